"""Tools around training: loading data, exchange with other libraries, pictures of the graph."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded when first used
    from mini_dl.utils import data, dlpack, viz

__all__ = ["data", "dlpack", "viz"]
