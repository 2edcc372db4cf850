"""Context managers that restore their changes however their block is left, even by Ctrl-C between any two instructions.

Python calls ``__exit__`` like any function: a signal that arrives just before it runs raises in its first instruction, or in the
last one of ``__enter__``, and then nothing is restored. The frame of the block always releases the ``__exit__`` that
it looked up. So this is a separate object, and if it is destroyed without a completed call, it restores the
state then.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import ContextDecorator
from typing import Any, ParamSpec

P = ParamSpec("P")
Steps = Generator[Any, None, None]


class _Entry:
    """One passage through a block: the previous state, from when the block is entered until the state is restored."""

    entered = False
    before: Any = None
    watch: Any = None  # calls `put_back` if the exit is lost

    def __init__(self, block: Block) -> None:
        self.block = block

    def put_back(self, way_out: object = None) -> None:
        if self.entered:
            self.block._put_back(self.before)
        self.entered, self.watch = False, None


class _Thread(threading.local):
    coming: _Entry | None = None  # made when ``with`` looked up ``__exit__``; next it enters


_thread = _Thread()


class _Exit:
    """The ``__exit__`` of a class."""

    def __get__(self, block: Block | None, owner: type) -> Callable[..., None]:
        if block is None:  # as ExitStack requests it
            return _leave
        entry = _thread.coming = _Entry(block)
        way_out = functools.partial(_leave_by, entry)
        entry.watch = weakref.ref(way_out, entry.put_back)
        return way_out


def _leave_by(entry: _Entry, *exception: object) -> None:
    if entry.entered:
        entry.put_back()
    else:  # ``__enter__`` was called explicitly, before ``__exit__`` was looked up
        _leave(entry.block)


def _leave(block: Block, *exception: object) -> None:
    if not getattr(block, "_by_hand", None):  # never entered: changes made at its creation are restored
        block._put_back(block._state())
        return
    entry = block._by_hand[-1]
    entry.put_back()
    block._by_hand.remove(entry)


class Block:
    """A context manager. Subclasses define the state, how it changes and how it is restored."""

    __slots__ = ()
    _by_hand: list[_Entry]

    def _state(self) -> Any:
        raise NotImplementedError

    def _change(self, before: Any) -> Any:
        """Change the state; return the value that ``as`` binds."""
        raise NotImplementedError

    def _put_back(self, before: Any) -> None:
        """Restore the result of `_state`. It may be called twice."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        entry, _thread.coming = _thread.coming, None
        if entry is None or entry.block is not self or entry.watch is None:
            entry = _Entry(self)
            self._by_hand = [*getattr(self, "_by_hand", ()), entry]  # type: ignore[misc]  # subclasses have it
        entry.before = self._state()
        entry.entered = True
        return self._change(entry.before)

    __exit__ = _Exit()


class _Steps(Block, ContextDecorator):
    """The context manager, and decorator, that a call of a `block` function returns."""

    def __init__(self, start: Callable[[], Steps]) -> None:
        self._start = start

    def _recreate_cm(self) -> _Steps:  # for each call of a decorated function
        return _Steps(self._start)

    def _state(self) -> Steps:
        return self._start()

    def _change(self, before: Steps) -> Any:
        return next(before)

    def _put_back(self, before: Steps) -> None:
        before.close()


def block(function: Callable[P, Iterator[object]]) -> Callable[P, _Steps]:
    """Like ``contextlib.contextmanager``, for a generator function that does everything after its ``yield`` in a ``finally``."""

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> _Steps:
        return _Steps(functools.partial(function, *args, **kwargs))  # type: ignore[arg-type]

    return make
