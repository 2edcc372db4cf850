"""The standard `multiprocessing`, with tensors in shared memory: a tensor sent to another process is shared, not copied."""

from __future__ import annotations

import multiprocessing
from multiprocessing import *

from mini_dl.kernels.shared import STRATEGIES, Strategy
from mini_dl.multiprocessing import pool as pool, queue as queue, reductions as reductions
from mini_dl.multiprocessing.spawn import (
    ENV_VAR_PARALLEL_START as ENV_VAR_PARALLEL_START,
    ProcessContext as ProcessContext,
    ProcessException as ProcessException,
    ProcessExitedException as ProcessExitedException,
    ProcessRaisedException as ProcessRaisedException,
    SpawnContext as SpawnContext,
    spawn,
    start_processes as start_processes,
)

__all__ = ["get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", *multiprocessing.__all__]


def set_sharing_strategy(new_strategy: str) -> None:
    """Set how memory is shared: ``file_descriptor`` (as open files without names) or ``file_system`` (by names).

    AssertionError for a strategy that this system does not have.
    """
    if new_strategy not in STRATEGIES:
        raise AssertionError(f"invalid sharing strategy {new_strategy!r}, expected one of {STRATEGIES}")
    Strategy.current = new_strategy


def get_sharing_strategy() -> str:
    """The current strategy."""
    return Strategy.current


def get_all_sharing_strategies() -> set[str]:
    """The strategies that this system has."""
    return STRATEGIES


reductions.init_reductions()
