"""The cases both libraries run: every function ``case_*(torch, dist, rank, size)`` of these files, on each rank, in this
order.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests_distributed.cases import collecting, grouping, reducing, refusing, sending, training

FILES = (reducing, collecting, sending, grouping, refusing)


def cases_of(*files: ModuleType) -> dict[str, Callable[..., Any]]:
    """The cases of files by name."""
    pairs = [pair for file in files for pair in vars(file).items()]
    return {name.removeprefix("case_"): function for name, function in pairs if name.startswith("case_")}


CASES = cases_of(*FILES)
"""Files whose results are equal."""
TRAINING = cases_of(training)
"""Files whose results are equal within rounding."""
