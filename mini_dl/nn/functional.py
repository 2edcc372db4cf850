"""The operations of networks as functions: what ``mini_dl.ops`` publishes under ``nn.functional``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mini_dl import ops  # noqa: F401  (publishes the names)
from mini_dl._arguments import asking
from mini_dl._surface import namespace

__all__ = sorted(namespace("nn.functional"))

globals().update(asking(namespace("nn.functional"), __name__))

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
