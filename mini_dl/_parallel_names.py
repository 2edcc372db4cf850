"""The errors and timeouts of ``torch.distributed``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta


class DistError(RuntimeError):
    """An error among processes."""


class DistBackendError(DistError):
    """An error in the library that connects processes."""


class DistNetworkError(DistError):
    """An error in the network between processes."""


class DistStoreError(DistError):
    """An error in the store that processes share."""


class QueueEmptyError(DistStoreError):
    """An empty queue of the store."""


for _error in (DistError, DistBackendError, DistNetworkError, DistStoreError, QueueEmptyError):
    _error.__module__ = "torch.distributed"

default_pg_timeout = timedelta(seconds=1800)
"""The default timeout of processes."""

processes: Callable[[], tuple[int, int]] | None = None
"""The number of processes and the rank of this one; set if distributed processes are supported."""
