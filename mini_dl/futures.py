"""Results that may become available later: ``torch.futures``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A result that another thread, or a later line, sets.

    >>> future = torch.futures.Future()
    >>> after = future.then(lambda done: done.value() + 1)
    >>> future.set_result(1)
    >>> after.wait()
    2
    """

    def __init__(self, *, devices: object = None) -> None:
        self._done = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], Any]] = []
        self._lock = threading.RLock()  # the caller that waits for the result may compute it

    def __getstate__(self) -> NoReturn:
        raise RuntimeError("Can not pickle torch.futures.Future")

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._done.is_set()

    def wait(self) -> Any:
        """The result, once available; an error is raised."""
        self._done.wait()
        return self.value()

    def value(self) -> Any:
        """The result, or the error raised. RuntimeError if there is none yet."""
        if not self.done():
            raise RuntimeError("Future is not yet completed: wait() waits for its value")
        if self._error is not None:
            raise self._error
        return self._result

    def _complete(self, result: object, error: BaseException | None) -> None:
        with self._lock:
            if self.done():
                raise RuntimeError("Future can only be marked completed once")
            self._result, self._error = result, error
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def set_result(self, result: object) -> None:
        """Set the result. RuntimeError if there is one."""
        self._complete(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Set the error that `wait` raises."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(None, result)

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Call ``callback(self)`` once there is a result, immediately if there already is one."""
        with self._lock:
            if not self.done():
                self._callbacks.append(callback)
                return
        callback(self)

    def _dependent_future(self) -> Future[Any]:
        """A future that depends on this one."""
        return Future()

    def then(self, callback: Callable[[Any], Any]) -> Future[Any]:
        """A future of the result of ``callback(self)``, which is called once there is a result."""
        later = self._dependent_future()

        def run(done: object) -> None:
            try:
                result = callback(done)
            except Exception as error:
                later.set_exception(error)
            else:
                later.set_result(result)

        self.add_done_callback(run)
        return later


def collect_all(futures: list[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future of the list of these, complete once all of them are."""
    together: Future[list[Future[Any]]] = Future()
    left, lock = [len(futures)], threading.Lock()
    if not futures:
        together.set_result([])

    def one(_: object) -> None:
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            together.set_result(list(futures))

    for future in futures:
        future.add_done_callback(one)
    return together


def wait_all(futures: list[Future[Any]]) -> list[Any]:
    """The results of all of them, once available."""
    return [future.wait() for future in collect_all(futures).wait()]
