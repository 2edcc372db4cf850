"""Processes that multiprocessing starts by "spawn" or "forkserver" inherit the proxy of their parent."""

from __future__ import annotations

import os
import sys
from typing import Any

import mini_dl

_original: Any = None

ROOT = os.path.dirname(os.path.dirname(mini_dl.__file__))


class Enabled:
    """Enables the proxy when unpickled: before the child imports the program."""

    def __reduce__(self) -> tuple[Any, ...]:
        code = (
            "import sys\n"
            f"if {ROOT!r} not in sys.path: sys.path.append({ROOT!r})\n"
            "import mini_dl.compat\n"
            "mini_dl.compat.enable_torch_proxy()"
        )
        return exec, (code,)  # the path of the parent comes later, so the child may not find a function of ours yet


def tell() -> None:
    """Make new child processes enable the proxy."""
    global _original
    from multiprocessing import spawn

    _original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {"torch_proxy": Enabled(), **_original(name)}

    spawn.get_preparation_data = get_preparation_data


def forget() -> None:
    """Restore the default behavior for new child processes."""
    global _original
    spawn = sys.modules["multiprocessing.spawn"]
    spawn.get_preparation_data = _original  # type: ignore[attr-defined]
    _original = None
