"""What stands around the forwards of all primitives: nothing, until a kind of array is used that kernels do not know."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _meta
from mini_dl._checks import broadcast_shapes
from mini_dl._meta import Hollow, hollow, hollowed, mapped, single, solid
from mini_dl.autograd.mode import mode

Forward = Callable[..., Any]
_primitives: list[tuple[Any, Forward]] = []
_wrappers: dict[int, Callable[[Any, Forward], Forward]] = {}
NARROW, HOLLOW = 0, 1
"""The order of the wrappers, from the inside."""


def computes(primitive: Any) -> None:
    """Let a primitive take part: its forward computes, it does not only look into memory."""
    _primitives.append((primitive, primitive.forward))
    _put_around(primitive, primitive.forward)


def _put_around(primitive: Any, forward: Forward) -> None:
    for order in sorted(_wrappers):
        forward = _wrappers[order](primitive, forward)
    primitive.forward = forward


def wrap_all(order: int, wrapper: Callable[[Any, Forward], Forward]) -> None:
    """Put a wrapper around the forwards of all primitives, of now and later."""
    _wrappers[order] = wrapper
    for primitive, forward in _primitives:
        _put_around(primitive, forward)


def _hollow_among(value: Any) -> bool:
    return value.__class__ is Hollow or (value.__class__ in (list, tuple) and any([one.__class__ is Hollow for one in value]))


def without_values(primitive: Any, forward: Forward) -> Forward:
    """`forward`, which finds the shapes and types of its results from zeros where an argument is hollow."""
    binary = hasattr(primitive, "promote")

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not any([_hollow_among(value) for value in args]):
            return forward(*args, **kwargs)
        if primitive.unary or binary:
            solids = [value for value in args if type(value) is np.ndarray and value.ndim]
            if solids and mode.enabled:  # formulas may have arrays of their own
                here, there = ("meta", "cpu") if type(args[0]) is np.ndarray else ("cpu", "meta")
                raise RuntimeError(f"Tensor on device {here} is not on the expected device {there}!")
            shape = broadcast_shapes(*[np.shape(value) for value in args])
            return hollow(shape, np.asarray(forward(*[single(value) for value in args])).dtype)
        for value in args:
            if value.__class__ in (list, tuple) and any([type(one) is np.ndarray and one.ndim for one in value]) and mode.enabled:
                raise RuntimeError("Tensor on device cpu is not on the expected device meta!")
        try:
            return hollowed(forward(*mapped(solid, args), **kwargs))
        except np.linalg.LinAlgError as error:
            raise NotImplementedError(f"{primitive.name} of meta tensors: {error}") from None

    return run


_meta.when_used.append(lambda: wrap_all(HOLLOW, without_values))
