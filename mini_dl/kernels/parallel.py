"""The pieces of a kernel on several threads: NumPy and BLAS release the interpreter while they compute.

A kernel that works through a large array in pieces gives them to `share`. Each thread takes the next piece until none is left.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from mini_dl.kernels.blas import limit_threads
from mini_dl.kernels.room import run

Piece = TypeVar("Piece")


ENOUGH = 1 << 18
"""Elements from which it pays to share a kernel of several passes over them: waking a thread takes as long as one such pass."""


def share(work: Callable[[Piece], object], pieces: Sequence[Piece], size: int) -> None:
    """Call ``work(piece)`` once for each piece; return when all are done, and raise what one of them raised.

    The pieces have `size` elements in all. If that is `worth_sharing`, all threads work on them in any order. Otherwise, within
    another `share`, or while another thread shares, they are done in turn. Pieces must write to different places. Sums over
    pieces are kept separately and added up afterwards, so that results do not depend on which thread was faster.
    """
    if worth_sharing(size):
        _share_always(work, pieces)
    else:
        for piece in pieces:
            work(piece)


def share_product(multiply: Callable[[Piece], object], pieces: Sequence[Piece]) -> bool:
    """Do the pieces of a large matrix product as `share` does; return False, doing nothing, if BLAS has its own threads."""
    if not _blas_is_single:
        return False
    _share_always(multiply, pieces)
    return True


def _share_always(work: Callable[[Piece], object], pieces: Sequence[Piece]) -> None:
    if len(pieces) < 2 or _crew.threads < 2 or not _crew.share(work, pieces):
        for piece in pieces:
            work(piece)


def worth_sharing(size: int) -> bool:
    """Whether a kernel over `size` elements is shared. It depends only on `size` and the number of threads."""
    return _crew.threads > 1 and size >= ENOUGH


def get_num_threads() -> int:
    """How many threads share the work of one operation.

    Raises: TypeError for an argument.

    >>> torch.get_num_threads() >= 1
    True
    """
    return _crew.threads


def set_num_threads(num: int) -> None:
    """Let `num` threads share the work of one operation.

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
    _crew.threads = num


Task = Callable[[], None]


class _Crew:
    """The threads besides the caller's: started when first needed, then waiting for tasks."""

    def __init__(self) -> None:
        self.threads = _threads_at_first()
        self.forget()

    def forget(self) -> None:
        """Forget the threads, also after a fork: the child has none of them."""
        self.lock = threading.RLock()  # reentrant: a thread interrupted just after taking it can go on
        self.busy = False
        self.tasks: list[SimpleQueue[Task]] = []

    def share(self, work: Callable[[Piece], object], pieces: Sequence[Piece]) -> bool:
        """Whether the pieces were done: not if the threads are already working, for another thread or for this one."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if self.busy:
                return False
            self.busy = True
            try:
                self._share(work, pieces)
            finally:
                self.busy = False
        finally:
            self.lock.release()
        return True

    def _share(self, work: Callable[[Piece], object], pieces: Sequence[Piece]) -> None:
        rest = deque[Any](pieces)  # popleft is atomic, even without the interpreter's lock
        came, went, done = list[None](), list[None](), SimpleQueue[None]()  # a late helper finds nothing to do
        errors = list[BaseException]()

        def take() -> None:
            try:
                while rest:
                    try:
                        piece = rest.popleft()
                    except IndexError:
                        return
                    work(piece)
            except BaseException as error:
                errors.append(error)

        def help() -> None:
            came.append(None)
            take()
            went.append(None)
            done.put(None)

        try:
            for tasks in self.hired(min(self.threads, len(pieces)) - 1):
                tasks.put(help)
            take()
        except BaseException as error:
            errors.append(error)
        while rest or len(went) < len(came):  # even after an interrupt: others still write to the caller's arrays
            try:
                if errors:
                    rest.clear()
                done.get() if not rest else take()
            except BaseException as error:  # noqa: PERF203
                errors.append(error)
        if errors:
            try:
                raise next((error for error in errors if not isinstance(error, Exception)), errors[0])
            finally:
                errors.clear()  # their tracebacks hold this frame

    def hired(self, count: int) -> list[SimpleQueue[Task]]:
        while len(self.tasks) < count:
            tasks: SimpleQueue[Task] = SimpleQueue()
            threading.Thread(target=run, args=(_help, tasks), daemon=True, name=f"mini_dl helper {len(self.tasks) + 1}").start()
            self.tasks.append(tasks)
        return self.tasks[:count]


def _help(tasks: SimpleQueue[Task]) -> None:
    while True:
        tasks.get()()


def _threads_at_first() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given) > 0:
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


_crew = _Crew()
_blas_is_single = limit_threads(1) > 0
"""From the start and for good: BLAS divides a product differently for several threads than for one, and its threads belong to the
whole process, so the bits of a result would depend on what else ran, and when."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.forget)
