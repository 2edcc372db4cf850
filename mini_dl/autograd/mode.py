"""Whether operations are recorded, per thread."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from mini_dl._dtypes import Function
from mini_dl._leaving import Block
from mini_dl.kernels.room import here, run
from mini_dl.tensor import Tensor, inference

IN_VAIN: Any = 0
"""The mode that is on inside of inference mode, where nothing is recorded all the same: like False, but for those who ask."""


class _Mode(threading.local):
    enabled: bool = True  # record operations
    casting: bool = False  # autocast is on
    spare: Any = None  # the array that a kernel may write into instead of copying it first
    run_under_way: Any = None  # the backward that calls the hooks
    formula: str = ""  # the primitive whose formula is computed for the first time, and watched
    run = staticmethod(run)  # runs a kernel under this thread's NumPy settings
    enter: Function  # the same, but it raises if the context is in use
    stack: tuple[Any, ...] = ()  # the levels of transforms that are at work here, the innermost last
    forward: bool = True  # tangents are computed

    def __init__(self) -> None:
        self.enter = here.enter


mode = _Mode()


class _AtWork:
    """Whether a transform of functions is at work in any thread, and what it then does: `transforms` puts in its own."""

    anywhere = 0
    """How many levels are open, in all threads."""

    def take(self, primitive: object, args: tuple[object, ...]) -> Any:
        """What a call gives, NotImplemented where no transform takes it."""
        return NotImplemented

    def involves(self, values: object) -> bool:
        """Whether a transform has to do with one of these arguments."""
        return False

    def has_tangents(self, values: object) -> bool:
        """Whether one of these arguments has a tangent."""
        return False

    def passed_on(self, tensor: Tensor, out: Tensor) -> None:
        """Give another tensor over the same memory the tangent as well."""

    def put(self, target: Tensor, result: Tensor) -> bool:
        """Write into memory as the transforms require; returns whether they do."""
        return False

    def apply(self, function: object, args: tuple[object, ...]) -> Any:
        """What a call of an ``autograd.Function`` gives, NotImplemented where no transform takes it."""
        return NotImplemented

    def detached(self, tensor: Tensor) -> Tensor:
        """A tensor of a level without history."""
        return tensor

    def alike(self, target: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
        """Both on one level."""
        return target, result


at_work = _AtWork()


def differentiates() -> bool:
    """Whether a derivative may be asked of what is computed now: by recording, or by a transform."""
    return mode.enabled or at_work.anywhere > 0


F = TypeVar("F", bound=Function)


class _Switch(Block):
    """A context manager and decorator that sets the mode and restores the previous one."""

    def _state(self) -> Any:
        return mode.enabled

    def _put_back(self, before: Any) -> None:
        mode.enabled = before

    def clone(self) -> _Switch:
        """An instance for a single use: decorated functions may recurse."""
        return type(self)()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: object, **kwargs: object) -> Any:
                inner = function(*args, **kwargs)
                step, value = inner.send, None
                while True:
                    try:
                        with self.clone():
                            produced = step(value)
                    except StopIteration as stop:
                        return stop.value
                    try:
                        value, step = (yield produced), inner.send
                    except GeneratorExit:
                        with self.clone():
                            inner.close()
                        raise
                    except BaseException as error:  # thrown in by the consumer: pass it on to the generator
                        value, step = error, inner.throw

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: object, **kwargs: object) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class _Plain(_Switch):
    """A switch without arguments also decorates as ``@no_grad``, without parentheses."""

    if not TYPE_CHECKING:

        def __new__(cls, function=None):
            switch = super().__new__(cls)
            return switch if function is None else switch(function)

    def __init__(self, function: Function | None = None) -> None:
        pass


class no_grad(_Plain):
    """Nothing is recorded within the block, or the function that it decorates.

    Raises: RuntimeError if a tensor that it made is differentiated, which has no history.

    >>> x = torch.ones(1, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """

    def _change(self, before: object) -> None:
        mode.enabled = False


class enable_grad(_Plain):
    """Operations are recorded within the block, or the function that it decorates, also inside of `no_grad`.

    Raises: TypeError for anything but a function.

    >>> x = torch.ones(1, requires_grad=True)
    >>> with torch.no_grad(), torch.enable_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    True
    """

    def _change(self, before: object) -> None:
        mode.enabled = IN_VAIN if inference.here else True


class _SetAtOnce(_Switch):
    """A switch that sets its mode when it is made, and whose block ends with the mode of before."""

    def __init__(self, mode: bool) -> None:
        self.flag = bool(mode)
        self.before = self._now()
        self._change(self.before)

    def _now(self) -> bool:
        return mode.enabled

    def _state(self) -> bool:
        return self.before

    def clone(self) -> _Switch:
        return type(self)(self.flag)


class set_grad_enabled(_SetAtOnce):
    """Turn recording on or off: at once when called, and until the block ends when used as a context manager.

    Raises: TypeError unless `mode` is given.

    >>> x = torch.ones(1, requires_grad=True)
    >>> with torch.set_grad_enabled(False):
    ...     print((2 * x).requires_grad)
    False
    """

    def _change(self, before: object) -> None:
        mode.enabled = IN_VAIN if self.flag and inference.here else self.flag

    def __call__(self, function: F) -> F:
        mode.enabled = self.before  # used as a decorator, it sets nothing now
        return super().__call__(function)


class inference_mode(_Switch):
    """As `no_grad`, and what is made within has no history, ever: it may not be used in computing what is recorded.

    Raises: RuntimeError if such a tensor is saved for a backward, or made to require grad outside of it.

    >>> with torch.inference_mode():
    ...     x = torch.ones(1)
    >>> x.is_inference()
    True
    """

    if not TYPE_CHECKING:

        def __new__(cls, mode=True):
            switch = super().__new__(cls)
            if callable(mode):
                switch.flag = True
                return switch(mode)
            return switch

    def __init__(self, mode: bool = True) -> None:
        self.flag = bool(mode)

    def _state(self) -> tuple[bool, bool]:
        return mode.enabled, inference.here

    def _change(self, before: object) -> None:
        mode.enabled, inference.here = not self.flag, self.flag

    def _put_back(self, before: tuple[bool, bool]) -> None:
        mode.enabled, inference.here = before

    def clone(self) -> _Switch:
        return type(self)(self.flag)


def is_grad_enabled() -> bool:
    """Whether operations are recorded.

    Raises: TypeError for an argument.

    >>> with torch.no_grad():
    ...     print(torch.is_grad_enabled())
    False
    """
    return mode.enabled is not False


def is_inference_mode_enabled() -> bool:
    """Whether the code runs within `inference_mode`.

    Raises: TypeError for an argument.

    >>> with torch.inference_mode():
    ...     print(torch.is_inference_mode_enabled())
    True
    """
    return inference.here
