"""The defaults of .pt files: ``config.load.mmap = True``, or, within a block, ``config.patch({"load.mmap": True})``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mini_dl._leaving import block
from mini_dl.files.pt.settings import load as load, save as save

_PARTS = {"load": load, "save": save}


@block
def patch(changes: str | dict[str, Any] | None = None, value: object = None, **more: object) -> Iterator[None]:
    """Change options by name (``"save.compute_crc32"``) within a block. AttributeError for a name that does not exist."""
    wanted = {changes: value} if isinstance(changes, str) else {**(changes or {}), **more}
    before = {name: getattr(_PARTS[name.partition(".")[0]], name.partition(".")[2]) for name in wanted}
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def _set(options: dict[str, Any]) -> None:
    for name, value in options.items():
        part, _, option = name.partition(".")
        setattr(_PARTS[part], option, value)
