"""What surrounds training: loading data; exchange with other libraries."""

from mini_dl.utils import data, dlpack

__all__ = ["data", "dlpack"]
