"""What both libraries run: every function ``case_*(torch, dist, rank, size)`` of these files, on each rank, in this order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests_distributed.cases import collecting, grouping, reducing, refusing, sending

FILES = (reducing, collecting, sending, grouping, refusing)
CASES: dict[str, Callable[..., Any]] = {
    name.removeprefix("case_"): function for file in FILES for name, function in vars(file).items() if name.startswith("case_")
}
