"""Whether operations are recorded, per thread."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from mini_dl._checks import check_bool
from mini_dl._dtypes import Function
from mini_dl._leaving import Block
from mini_dl.kernels.context import here, run
from mini_dl.tensor import Tensor, inference

IN_VAIN: Any = 0
"""Grad mode enabled inside inference mode, where nothing is recorded: falsy, but reported as enabled."""


class _Mode(threading.local):
    enabled: bool = True  # record operations
    casting: bool = False  # autocast is on
    spare: Any = None  # the array that a kernel may overwrite instead of copying it first
    run_under_way: Any = None  # the backward that calls the hooks
    formula: str = ""  # the primitive whose formula is run for the first time, and checked
    run = staticmethod(run)  # runs a kernel under this thread's NumPy settings
    enter: Function  # the same, but it raises if the context is in use
    stack: tuple[Any, ...] = ()  # the active levels of transforms, the innermost last
    forward: bool = True  # tangents are computed

    def __init__(self) -> None:
        self.enter = here.enter


mode = _Mode()


class _AtWork:
    """Whether a function transform is active in any thread, and its hooks: `transforms` installs its own."""

    def __init__(self) -> None:
        self.anywhere: set[object] = set()
        """What each open level is noted by, in all threads."""

    def take(self, primitive: object, args: tuple[object, ...]) -> Any:
        """The result of a call, NotImplemented if no transform handles it."""
        return NotImplemented

    def involves(self, values: object) -> bool:
        """Whether a transform affects one of these arguments."""
        return False

    def has_tangents(self, values: object) -> bool:
        """Whether one of these arguments has a tangent."""
        return False

    def passed_on(self, tensor: Tensor, out: Tensor) -> None:
        """Copy the tangent to another tensor with the same memory."""

    def put(self, target: Tensor, result: Tensor) -> bool:
        """Write into memory as the transforms require; returns whether they do."""
        return False

    def apply(self, function: object, args: tuple[object, ...]) -> Any:
        """The result of a call of an ``autograd.Function``, NotImplemented if no transform handles it."""
        return NotImplemented

    def detached(self, tensor: Tensor) -> Tensor:
        """A tensor of a level without history."""
        return tensor

    def alike(self, target: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
        """Both on one level."""
        return target, result

    def widen(self, tensor: Tensor, source: Tensor) -> None:
        """Give `tensor` the batches of another that will be written into it."""


at_work = _AtWork()


def differentiates() -> bool:
    """Whether a derivative of current computations may be requested: by recording, or by a transform."""
    return mode.enabled or bool(at_work.anywhere)


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
    """Disable recording within the block or the decorated function.

    Raises: RuntimeError if a tensor created in it is differentiated, since it has no history.

    >>> x = torch.ones(1, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """

    def _change(self, before: object) -> None:
        mode.enabled = False


class enable_grad(_Plain):
    """Enable recording within the block or the decorated function, even inside `no_grad`.

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
    """A switch that sets its mode when created, and restores the previous one at the end of its block."""

    def __init__(self, mode: bool) -> None:
        check_bool(mode, f"{type(self).__name__}(): argument 'enabled' (position 1)")
        self.flag = mode
        self.before = self._now()
        self._change(self.before)

    def _now(self) -> bool:
        return mode.enabled

    def _state(self) -> bool:
        return self.before

    def clone(self) -> _Switch:
        return type(self)(self.flag)


class set_grad_enabled(_SetAtOnce):
    """Turn recording on or off: immediately when called, and until the block ends when used as a context manager.

    Raises: TypeError unless `mode` is a bool.

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
    """As `no_grad`, and tensors created in it never have a history: they may not be used in recorded computations.

    Raises: RuntimeError if such a tensor is saved for a backward, or set to require grad outside of it.

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

    def _state(self) -> tuple[bool, bool, bool]:
        return mode.enabled, mode.forward, inference.here

    def _change(self, before: object) -> None:
        mode.enabled = mode.forward = not self.flag
        inference.here = self.flag

    def _put_back(self, before: tuple[bool, bool, bool]) -> None:
        mode.enabled, mode.forward, inference.here = before

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
    """Whether `inference_mode` is active.

    Raises: TypeError for an argument.

    >>> with torch.inference_mode():
    ...     print(torch.is_inference_mode_enabled())
    True
    """
    return inference.here
