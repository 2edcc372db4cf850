"""A pending communication, and its result."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mini_dl._dtypes import ALL, of_numpy
from mini_dl._parallel_names import DistBackendError
from mini_dl.distributed.mpi import Comm, Request, mpi
from mini_dl.futures import Future
from mini_dl.tensor import Tensor

if TYPE_CHECKING:
    from mini_dl.distributed.groups import ProcessGroup

SPINS = 2000
"""The number of polls before yielding to other processes."""
BUSY, PAUSE = 0.02, 1e-4
"""Seconds of continuous polling; then with pauses."""


class Work:
    """A pending communication. It progresses within `wait`, `is_completed` and any other use of MPI."""

    def __init__(
        self, group: ProcessGroup, name: str, request: Request = None, finish: Callable[[], None] | None = None,
        result: list[Tensor] | None = None,
    ) -> None:  # fmt: skip
        self._group, self._name, self._request, self._finish = group, name, request, finish
        self._result = [] if result is None else result
        self._done = False
        self._error: Exception | None = None
        self._futures: list[WorkFuture] = []
        self._status: Request = None

    def _arrived(self) -> bool:
        """Whether the data have arrived: polls MPI, which makes progress meanwhile."""
        if self._status is None:
            self._status = mpi().Status()
        return bool(self._request.Test(self._status))

    def _ask(self) -> bool:
        """Whether this is complete, with a result or an error."""
        if self._done:
            return True
        begin_all()
        try:
            if not self._arrived():
                return False
            if self._finish is not None:
                self._finish()
        except mpi().Exception as error:
            self._error = DistBackendError(f"{self._name}: {error}")
        except Exception as error:
            self._error = error
        self._done, self._request, self._finish = True, None, None
        for future in self._futures:
            future.settle()
        return True

    def is_completed(self) -> bool:
        """Whether this is complete."""
        return self._ask()

    def is_success(self) -> bool:
        """Whether this completed without an error."""
        return self._ask() and self._error is None

    def exception(self) -> Exception | None:
        """The error with which it ended."""
        return self._error

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Return once this is complete. RuntimeError after `timeout`, by default the group's, or if it fails."""
        limit = (timeout or self._group.timeout).total_seconds()
        if not self.ends_within(limit):
            raise DistBackendError(f"Timed out waiting {round(limit * 1000)}ms for {self._name} operation to complete")
        if self._error is not None:
            raise self._error
        return True

    def ends_within(self, seconds: float) -> bool:
        """Whether this completes within that many seconds. Other processes of the machine can run meanwhile."""
        turns, begin = 0, time.monotonic()
        while not self._ask():
            turns += 1
            if turns > SPINS:
                waited = time.monotonic() - begin
                if waited > seconds:
                    return False
                time.sleep(0 if waited < BUSY else PAUSE)
        return True

    def synchronize(self) -> None:
        """`wait`: nothing here runs on another device."""
        self.wait()

    def result(self) -> list[Tensor]:
        """The tensors that were written."""
        return self._result

    def source_rank(self) -> int:
        """The rank in the group that a message came from."""
        return int(self._status.source)

    _source_rank = source_rank

    def get_future(self) -> WorkFuture:
        """The tensors that are written, as a future result."""
        future = WorkFuture(self)
        self._futures.append(future)
        if self._done:
            future.settle()
        return future


class WorkFuture(Future[Any]):
    """The result of a `Work`, or a continuation of it: waiting for it waits for the work."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def settle(self) -> None:
        """Take the result or the error of the work."""
        if self._work._error is not None:
            self.set_exception(self._work._error)
        else:
            self.set_result(self._work.result())

    def done(self) -> bool:
        return super().done() or (self._work._ask() and super().done())

    def wait(self) -> Any:
        if not super().done():
            self._work.wait()
        return super().wait()

    def _dependent_future(self) -> Future[Any]:
        return WorkFuture(self._work)


# ------------------------------------------------------------------------------------------------ collectives

_beginning: list[ProcessGroup] = []
"""The groups with collectives whose data transfer has not started."""


def begin_all() -> None:
    """Advance collectives of all groups: waiting for one may otherwise block others."""
    for group in list(_beginning):
        group.begin()
        if not group.waiting:
            _beginning.remove(group)


NAMES = (
    "barrier broadcast all_reduce reduce all_gather gather scatter reduce_scatter all_to_all all_to_all_single "
    "all_gather_object gather_object broadcast_object_list scatter_object_list"
).split()
FIELDS = "collective", "type", "number of elements", "root", "reduction"


class Heading(NamedTuple):
    """What all ranks of a group must agree on before any data are sent."""

    name: str
    kind: np.dtype[Any] | None = None
    numel: int = 0
    root: int = -1
    reduction: int = -1
    balance: int | None = None
    """What must add up to 0 over all ranks, modulo 2 ** 64."""

    def numbers(self) -> tuple[int, ...]:
        kind = -1 if self.kind is None else ALL.index(of_numpy(self.kind))
        return NAMES.index(self.name), kind, self.numel, self.root, self.reduction


def _shown(field: str, number: int) -> str:
    return NAMES[number] if field == "collective" else repr(ALL[number]) if field == "type" else str(number)


class Collective(Work):
    """A communication of all ranks of a group, in two steps: the ranks agree on the operation, then the data are sent.

    The headings are compared by one reduction of ten integers (on its own communicator, so that the order of headings and
    data does not matter). If ranks differ, all of them detect it, and no data are sent.
    """

    def __init__(
        self, group: ProcessGroup, heading: Heading, start: Callable[[Comm], Request] | None,
        finish: Callable[[], None] | None = None, result: list[Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(group, heading.name, None, finish, result)
        self._heading, self._start = heading, start
        self._begun = False
        self._asked: Request = None
        self._added: Request = None
        if group.size() > 1:
            numbers = heading.numbers()
            self._extremes = np.array([*numbers, *[-each for each in numbers]], np.int64)
            self._asked = group.control.Iallreduce(mpi().IN_PLACE, self._extremes, mpi().MAX)
        if not group.waiting:
            _beginning.append(group)
        group.waiting.append(self)
        begin_all()

    def begin(self) -> bool:
        """Start sending the data once all ranks have agreed; return whether agreement or disagreement is known."""
        if self._asked is not None and not self._agreed():
            return False
        if self._start is not None and self._error is None:
            try:
                self._request = self._start(self._group.comm)
            except Exception as error:  # raised by `wait`
                self._error = error
        self._start, self._begun = None, True
        return True

    def _agreed(self) -> bool:
        """Whether the agreement check is complete. On disagreement there is then an error."""
        if self._added is None:
            if not self._asked.Test():
                return False
            highest, lowest = self._extremes[:5].tolist(), (-self._extremes[5:]).tolist()
            self._error = _disagreement(self._heading, lowest, highest)
            if self._heading.balance is None or self._error is not None:
                return True
            self._balance = np.array([self._heading.balance % 2**64], np.uint64)
            self._added = self._group.comm.Iallreduce(mpi().IN_PLACE, self._balance, mpi().SUM)
        if not self._added.Test():
            return False
        if self._balance[0]:
            self._error = RuntimeError(f"{self._name}: some rank sends to another one more or less than that one expects")
        return True

    def _arrived(self) -> bool:
        if self._error is not None:
            raise self._error
        return self._begun and (self._request is None or bool(self._request.Test()))


def _disagreement(heading: Heading, lowest: list[int], highest: list[int]) -> RuntimeError | None:
    """The disagreement, in the same words on all ranks except the last part."""
    for field, low, high, mine in zip(FIELDS, lowest, highest, heading.numbers()):
        if low != high:
            found = [_shown(field, number) for number in (low, high, mine)]
            return RuntimeError(
                f"{heading.name}: the ranks of the group disagree about the {field}: {found[0]} on some, {found[1]} on others, "
                f"{found[2]} on this one"
            )
    return None
