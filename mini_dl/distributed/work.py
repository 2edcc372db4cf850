"""A communication under way, and its result."""

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
"""How often the state is asked for before other processes get a turn."""
BUSY, PAUSE = 0.02, 1e-4
"""For so many seconds it is asked for all the time; then with pauses."""


class Work:
    """A communication under way. It goes on within `wait`, `is_completed` and whatever else the program does with MPI."""

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
        """Whether the data have: asks MPI, which goes on meanwhile."""
        if self._status is None:
            self._status = mpi().Status()
        return bool(self._request.Test(self._status))

    def _ask(self) -> bool:
        """Whether this is over, with a result or an error."""
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
        """Whether this is over."""
        return self._ask()

    def is_success(self) -> bool:
        """Whether this is over without an error."""
        return self._ask() and self._error is None

    def exception(self) -> Exception | None:
        """The error with which it ended."""
        return self._error

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Return once this is over. RuntimeError after `timeout`, by default that of the group, and if it ends with an error."""
        limit = (timeout or self._group.timeout).total_seconds()
        if not self.ends_within(limit):
            raise DistBackendError(f"Timed out waiting {round(limit * 1000)}ms for {self._name} operation to complete")
        if self._error is not None:
            raise self._error
        return True

    def ends_within(self, seconds: float) -> bool:
        """Whether this is over after so many seconds at most. Other processes of the machine get their turns meanwhile."""
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
    """The result of a `Work`, or what follows from it: to wait for it is to wait for the work."""

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

    def _another(self) -> Future[Any]:
        return WorkFuture(self._work)


# ------------------------------------------------------------------------------------------------ all ranks of a group

_beginning: list[ProcessGroup] = []
"""The groups that have collectives whose data are not under way."""


def begin_all() -> None:
    """Let collectives of all groups go on: whoever waits for one may keep others waiting for another one."""
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
    """What all ranks of a group must mean alike, before any data are sent."""

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
    """A communication of all ranks of a group, in two steps: the ranks agree on what they mean, then the data are sent.

    The headings are compared by one reduction of ten integers (on a communicator of its own, so that no order between headings
    and data matters). Where ranks differ, all of them learn it, and no data are sent.
    """

    def __init__(
        self, group: ProcessGroup, heading: Heading, start: Callable[[Comm], Request] | None,
        finish: Callable[[], None] | None = None, result: list[Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(group, heading.name, None, finish, result)
        self._heading, self._start = heading, start
        self._begun = False
        self._agreements: list[Request] = []
        if group.size() > 1:
            self._ask_all()
        if not group.waiting:
            _beginning.append(group)
        group.waiting.append(self)
        begin_all()

    def _ask_all(self) -> None:
        MPI, numbers = mpi(), np.array(self._heading.numbers(), np.int64)
        self._extremes = np.concatenate([numbers, -numbers])
        self._balance = np.array([(self._heading.balance or 0) % 2**64], np.uint64)
        self._agreements = [self._group.control.Iallreduce(MPI.IN_PLACE, self._extremes, MPI.MAX)]
        if self._heading.balance is not None:
            self._agreements.append(self._group.control.Iallreduce(MPI.IN_PLACE, self._balance, MPI.SUM))

    def begin(self) -> bool:
        """Start to send the data if all ranks have agreed; whether they have, or have not and know it."""
        if self._agreements:
            if not mpi().Request.Testall(self._agreements):
                return False
            highest, lowest = self._extremes[:5].tolist(), (-self._extremes[5:]).tolist()
            self._error = _disagreement(self._heading, lowest, highest, int(self._balance[0]))
        if self._start is not None and self._error is None:
            try:
                self._request = self._start(self._group.comm)
            except Exception as error:  # whoever waits gets it
                self._error = error
        self._start, self._begun = None, True
        return True

    def _arrived(self) -> bool:
        if self._error is not None:
            raise self._error
        return self._begun and (self._request is None or bool(self._request.Test()))


def _disagreement(heading: Heading, lowest: list[int], highest: list[int], balance: int) -> RuntimeError | None:
    """What is wrong, in the same words on all ranks but for the last ones."""
    for field, low, high, mine in zip(FIELDS, lowest, highest, heading.numbers()):
        if low != high:
            found = [_shown(field, number) for number in (low, high, mine)]
            return RuntimeError(
                f"{heading.name}: the ranks of the group disagree about the {field}: {found[0]} on some, {found[1]} on others, "
                f"{found[2]} on this one"
            )
    if balance:
        return RuntimeError(f"{heading.name}: some rank sends to another one more or less than that one expects")
    return None
