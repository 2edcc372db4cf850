"""Processes that multiprocessing starts afresh ("spawn", "forkserver") get the proxy of their parent."""

from __future__ import annotations

import os
import sys
from typing import Any

import mini_dl

_original: Any = None

ROOT = os.path.dirname(os.path.dirname(mini_dl.__file__))


class Enabled:
    """Enables the proxy where it is unpickled: before the child imports the program."""

    def __reduce__(self) -> tuple[Any, ...]:
        code = (
            "import sys\n"
            f"if {ROOT!r} not in sys.path: sys.path.append({ROOT!r})\n"
            "import mini_dl.compat\n"
            "mini_dl.compat.enable_torch_proxy()"
        )
        return exec, (code,)  # the path of the parent comes later, so the child may not find a function of ours yet


def tell() -> None:
    """Let children enable the proxy from now on."""
    global _original
    from multiprocessing import spawn

    _original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {"torch_proxy": Enabled(), **_original(name)}

    spawn.get_preparation_data = get_preparation_data


def forget() -> None:
    """Let new children be as they would be without us."""
    global _original
    spawn = sys.modules["multiprocessing.spawn"]
    spawn.get_preparation_data = _original  # type: ignore[attr-defined]
    _original = None
