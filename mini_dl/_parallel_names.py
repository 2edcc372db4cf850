"""The errors of ``torch.distributed``, and how long it waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta


class DistError(RuntimeError):
    """What goes wrong among processes."""


class DistBackendError(DistError):
    """What goes wrong in the library that connects them."""


class DistNetworkError(DistError):
    """What goes wrong in the network between them."""


class DistStoreError(DistError):
    """What goes wrong in the store that they share."""


class QueueEmptyError(DistStoreError):
    """A queue of the store that has nothing."""


for _error in (DistError, DistBackendError, DistNetworkError, DistStoreError, QueueEmptyError):
    _error.__module__ = "torch.distributed"

default_pg_timeout = timedelta(seconds=1800)
"""How long processes wait for each other."""

processes: Callable[[], tuple[int, int]] | None = None
"""The number of processes and the rank of this one; set where several can work together."""
