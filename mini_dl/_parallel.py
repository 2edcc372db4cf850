"""The pieces of a kernel on several threads: NumPy and BLAS let go of the interpreter while they compute.

A kernel that works through a large array in pieces gives them to `share`. Each thread takes the next piece until none is left.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from mini_dl._blas import limit_threads

Piece = TypeVar("Piece")


MANY = 1 << 19
"""Elements from which it pays to share a kernel of several passes over them: waking a thread takes as long as one such pass."""
ENOUGH = 1 << 18
"""As many where BLAS is kept to one thread already, and sharing costs nothing more."""
PRODUCTS = 200
"""Large matrix products in a row after which BLAS gets back its threads. They wait in a busy loop, up to 0.1 s, on the cores of
ours: where kernels are shared too, ours do the products as well; where there are products alone, BLAS is better at them."""


def share(work: Callable[[Piece], object], pieces: Sequence[Piece], size: int) -> None:
    """``work(piece)`` for every piece, each once; returns when all are done, raises what one of them raised.

    The pieces have `size` elements in all. If that is `worth_sharing`, they are done in any order by all threads, else in turn;
    likewise within another `share`, or beside one of another thread. Pieces must write to different places. So that results do
    not depend on who was faster, sums over pieces are kept one for each piece and added up afterwards.
    """
    if len(pieces) < 2 or not worth_sharing(size) or not _crew.lock.acquire(blocking=False):
        for piece in pieces:
            work(piece)
        return
    try:
        if size >= MANY:
            _crew.products = 0
        if not _crew.blas_threads:
            _crew.blas_threads = limit_threads(1)
        _crew.share(work, pieces)
    finally:
        _crew.lock.release()


def share_product(multiply: Callable[[Piece], object], pieces: Sequence[Piece]) -> bool:
    """Do the pieces of a large matrix product, on all threads if BLAS is kept to one now; False if it is not: nothing is done."""
    if not _crew.blas_threads or len(pieces) < 2 or not _crew.lock.acquire(blocking=False):
        return False
    try:
        _crew.products += 1
        if _crew.products > PRODUCTS:
            limit_threads(_crew.blas_threads)
            _crew.blas_threads = 0
            return False
        _crew.share(multiply, pieces)
        return True
    finally:
        _crew.lock.release()


def worth_sharing(size: int) -> bool:
    """Whether a kernel over `size` elements is shared. It depends on what was shared before, never on time."""
    return _crew.threads > 1 and size >= (ENOUGH if _crew.blas_threads else MANY)


def get_num_threads() -> int:
    """How many threads share the work of one operation: those of OMP_NUM_THREADS, or as many as there are cores."""
    return _crew.threads


def set_num_threads(num: int) -> None:
    """Let `num` threads share the work of one operation. RuntimeError unless it is a positive int.

    From the first kernel that is shared, the OpenBLAS of NumPy is kept to one thread; this gives it back `num`.

    >>> import mini_dl as torch
    >>> before = torch.get_num_threads()
    >>> torch.set_num_threads(1)
    >>> torch.get_num_threads()
    1
    >>> torch.set_num_threads(before)
    """
    if isinstance(num, bool) or not isinstance(num, int):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {num}")
    with _crew.lock:
        _crew.threads, _crew.blas_threads = num, 0
        limit_threads(num)


Task = Callable[[], None]
_END = object()


class _Crew:
    """The threads beside the caller's: begun when first needed, and then waiting for tasks."""

    def __init__(self) -> None:
        self.threads = _threads_at_first()
        self.forget()

    def forget(self) -> None:
        """Also after a fork, whose child has none of the threads."""
        self.lock = threading.Lock()
        self.tasks: list[SimpleQueue[Task]] = []
        self.blas_threads = 0  # those that BLAS had, while it is kept to one
        self.products = 0  # since a kernel was shared

    def share(self, work: Callable[[Piece], object], pieces: Sequence[Piece]) -> None:
        helpers = min(self.threads, len(pieces)) - 1
        rest = deque[Any]([*pieces, *[_END] * (helpers + 1)])  # its popleft is atomic, also without the interpreter's lock
        errors, done = list[BaseException](), SimpleQueue[None]()

        def take() -> None:
            try:
                while (piece := rest.popleft()) is not _END:
                    work(piece)
            except BaseException as error:
                errors.append(error)

        def help() -> None:
            take()
            done.put(None)

        for tasks in self.hired(helpers):
            tasks.put(help)
        take()
        for _ in range(helpers):
            done.get()
        if errors:
            raise errors[0]

    def hired(self, count: int) -> list[SimpleQueue[Task]]:
        while len(self.tasks) < count:
            tasks: SimpleQueue[Task] = SimpleQueue()
            threading.Thread(target=_help, args=(tasks,), daemon=True, name=f"mini_dl helper {len(self.tasks) + 1}").start()
            self.tasks.append(tasks)
        return self.tasks[:count]


def _help(tasks: SimpleQueue[Task]) -> None:
    be_quiet()  # of this thread alone
    while True:
        tasks.get()()


def be_quiet() -> None:
    """NumPy's settings for kernels: no warnings, and a buffer through which rows of 256 numbers or more are not expanded."""
    np.seterr(all="ignore")
    np.setbufsize(256)


def _threads_at_first() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given) > 0:
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


_crew = _Crew()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.forget)
