"""The pieces of a kernel on several threads: NumPy and BLAS release the interpreter while they compute.

A kernel that works through a large array in pieces gives them to `share`. Each thread takes the next piece until none is left.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

import numpy as np

from mini_dl._dtypes import Array, Function
from mini_dl.kernels.blas import limit_threads
from mini_dl.kernels.context import run

try:
    import resource
except ImportError:  # not on this system
    resource = None  # type: ignore[assignment]
if not hasattr(resource, "RUSAGE_THREAD"):
    resource = None  # type: ignore[assignment]

Piece = TypeVar("Piece")


ENOUGH = 1 << 18
"""Elements from which it pays to share a kernel of several passes over them: waking a thread takes as long as one such pass."""


def share(work: Callable[[Piece], object], pieces: Sequence[Piece], size: int) -> None:
    """Call ``work(piece)`` once for each piece; return when all are done, and raise what one of them raised.

    The pieces have `size` elements in all. If that is `worth_sharing`, all threads work on them in any order. Otherwise, within
    another `share`, or while another thread shares, they are done in turn. Pieces must write to different locations.
    Partial sums of pieces are kept separately and added afterward, so results do not depend on thread timing.
    """
    if worth_sharing(size):
        share_calls(work, [(piece,) for piece in pieces])
    else:
        for piece in pieces:
            work(piece)


def share_calls(function: Callable[..., object], calls: Sequence[tuple[object, ...]]) -> None:
    """``function(*arguments)`` for each of `calls`, as in a `share` that is worthwhile. It costs least if the function is NumPy's
    own: it leaves the interpreter to the other threads at once."""
    if len(calls) < 2 or _pool.threads < 2 or not _pool.share(function, calls):
        for arguments in calls:
            function(*arguments)


def share_product(multiply: Callable[..., object], calls: Sequence[tuple[object, ...]]) -> bool:
    """The calls for the parts of a large matrix product, by `share_calls`; False, doing nothing, if BLAS has its own threads."""
    if _blas_is_single:
        share_calls(multiply, calls)
    return _blas_is_single


def worth_sharing(size: int) -> bool:
    """Whether a kernel over `size` elements is shared. It depends only on `size` and the number of threads."""
    return _pool.threads > 1 and size >= ENOUGH


def get_num_threads() -> int:
    """The number of threads that share the work of one operation.

    Raises: TypeError for an argument.

    >>> torch.get_num_threads() >= 1
    True
    """
    return _pool.threads


def set_num_threads(num: int) -> None:
    """Set the number of threads that share the work of one operation.

    Raises: RuntimeError unless it is positive; TypeError unless it is an int.

    >>> threads = torch.get_num_threads()
    >>> torch.set_num_threads(1); torch.get_num_threads()
    1
    >>> torch.set_num_threads(threads)
    """
    if isinstance(num, bool) or not isinstance(num, int):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {num}")
    _pool.threads = num


class _Task:
    """Calls of a function, which threads take until none is left."""

    def __init__(self, function: Callable[..., object], calls: Sequence[tuple[object, ...]]) -> None:
        self.function, self.rest = function, deque(calls)  # popleft is atomic, even without the interpreter's lock
        self.came: list[None] = []
        self.went: list[None] = []
        self.errors: list[BaseException] = []
        self.awaited: SimpleQueue[None] | None = None  # where the caller sleeps

    def take(self) -> None:
        rest, function = self.rest, self.function
        try:
            while rest:
                try:
                    arguments = rest.popleft()
                except IndexError:
                    return
                function(*arguments)
        except BaseException as error:
            self.errors.append(error)

    def help(self) -> None:
        """Take calls in another thread than the caller's: if it is late, it finds none."""
        self.came.append(None)
        self.take()
        self.went.append(None)
        if self.awaited:
            self.awaited.put(None)

    def is_open(self) -> bool:
        """Whether calls are left or under way."""
        return bool(self.rest) or len(self.went) < len(self.came)


class _Flag:
    """A byte that one thread sets and another watches, through a NumPy reduction that stops at a true byte and leaves the
    interpreter to others: a thread that waits for the interpreter sleeps, and waking it takes 10 to 50 us, as long as many
    kernels."""

    def __init__(self) -> None:
        self.bytes = bytearray(64 + 2 * MOST * LEAD)  # a true byte, the flag, and the results of checks of other flags
        self.bytes[63] = True

    def set(self) -> None:
        self.bytes[64] = True

    def clear(self) -> None:
        self.bytes[64] = False

    def is_set(self) -> bool:
        return bool(self.bytes[64])

    def checks(self, times: int, rows: int) -> Array:
        """For another flag's `set_and_watch`: rows of the true byte, and rows of the flag."""
        return np.ndarray((2, rows, -(-times // rows)), bool, self.bytes, 63, (1, 0, 0))

    def set_and_watch(self, checks: Array) -> None:
        """Set it, without the interpreter; then check another flag until it is set, and for its rows more, or checks run out."""
        _either(checks, 2, None, np.ndarray(checks.shape[:2], bool, self.bytes, 64))


_either: Function = np.logical_or.reduce
LEAD = 100
"""Into how many rows the first helper divides its checks of a flag. Each row that is left when the flag is set takes another
0.05 us: in that time, the thread that set it goes on to its own part of the work, in which it does not need the interpreter."""
MOST = 16
"""Helpers that follow each other at this distance, each with that many more rows, instead of meeting in the interpreter."""
SPINS = 1 << 21
"""How often a thread checks a flag before it sleeps: about 0.7 ms."""
TURN = 2e-3
"""A wait in seconds that indicates that another thread is using the core."""


class _Helper:
    """A thread that works for others, and watches a flag for a while before it sleeps.

    It does not watch while there are more busy threads than cores: it would take a core from one of them, possibly its caller.
    """

    def __init__(self, done: _Flag, number: int) -> None:
        self.tasks = deque[_Task]()  # at most one
        self.called, self.done, self.tokens, self.asleep = _Flag(), done, SimpleQueue[None](), False
        self.rows = LEAD * min(number, MOST)
        threading.Thread(target=run, args=(self.serve,), daemon=True, name=f"mini_dl helper {number}").start()

    def call(self, task: _Task) -> None:
        self.tasks.append(task)
        self.called.set()
        if self.asleep:
            self.tokens.put(None)

    def serve(self) -> None:
        patient, short = self.called.checks(SPINS, self.rows), self.called.checks(1, self.rows)
        lost, sober = _CoreWatch(), 0.0
        while True:
            if lost.core():
                sober = lost.at + 30 * TURN
            self.done.set_and_watch(patient if lost.at > sober else short)
            if not self.tasks and not self.called.is_set():
                self.asleep = True
                if not self.tasks:  # otherwise it has just arrived
                    self.tokens.get()
                self.asleep = False
                lost.begin()
            self.called.clear()
            try:
                task = self.tasks.pop()
            except IndexError:  # it was withdrawn
                continue
            task.help()
            del task


class _CoreWatch:
    """Looks at the clocks of this thread."""

    def __init__(self) -> None:
        self.times = 0
        self.begin()

    def begin(self) -> None:
        self.at, self.worked = time.perf_counter(), time.thread_time()

    def core(self) -> bool:
        """Whether other work had the core for a turn since the last question."""
        at, worked = self.at, self.worked
        if time.perf_counter() < at + TURN:
            return False
        self.begin()
        if self.at - at < self.worked - worked + TURN or resource is None:
            return False
        before, self.times = self.times, resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        return self.times != before  # else it waited of its own accord


class _ThreadPool:
    """The threads besides the caller's: started on demand, then waiting for tasks."""

    def __init__(self) -> None:
        self.threads = _threads_at_first()
        self.forget()

    def forget(self) -> None:
        """Discard the threads, including after a fork: the child has none of them."""
        self.lock = threading.RLock()  # reentrant: a thread interrupted just after taking it can go on
        self.busy = False
        self.helpers = list[_Helper]()
        self.done = _Flag()
        self.patience = self.done.checks(SPINS, 1)[1]

    def share(self, function: Callable[..., object], calls: Sequence[tuple[object, ...]]) -> bool:
        """Whether the calls were made: not if the threads are already working, for another thread or for this one."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if self.busy:
                return False
            self.busy = True
            try:
                self._share(_Task(function, calls))
            finally:
                self.busy = False
        finally:
            self.lock.release()
        return True

    def _share(self, task: _Task) -> None:
        helpers: list[_Helper] = []
        errors = task.errors
        try:
            helpers += self.first_helpers(min(self.threads, len(task.rest)) - 1)
            function, first = task.function, task.rest.popleft()
            for helper in helpers:
                helper.call(task)
            function(*first)
        except BaseException as error:
            errors.append(error)
        while True:  # even after an interrupt: others still write to the caller's arrays
            try:
                if errors:
                    task.rest.clear()
                if not task.is_open():
                    break
                self.wait_for(task) if not task.rest else task.take()
            except BaseException as error:
                errors.append(error)
        for helper in helpers:
            helper.tasks.clear()
        if errors:
            try:
                raise next((error for error in errors if not isinstance(error, Exception)), errors[0])
            finally:
                errors.clear()  # their tracebacks hold this frame

    def wait_for(self, task: _Task) -> None:
        self.done.clear()
        if task.is_open():
            _either(self.patience, 1)
        if task.is_open():
            task.awaited = SimpleQueue()
            if task.is_open():  # otherwise it has just ended
                task.awaited.get()

    def first_helpers(self, count: int) -> list[_Helper]:
        while len(self.helpers) < count:
            self.helpers.append(_Helper(self.done, len(self.helpers) + 1))
        return self.helpers[:count]


def _threads_at_first() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given) > 0:
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


_pool = _ThreadPool()
_blas_is_single = limit_threads(1) > 0
"""Set at import and permanently: BLAS divides a product differently for several threads than for one, and its threads belong to
the whole process, so the bits of a result would depend on concurrent work."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)
