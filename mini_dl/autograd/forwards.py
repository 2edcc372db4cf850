"""The wrappers around the forwards of all primitives: none, until a kind of array is used that kernels do not support."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _meta
from mini_dl._checks import broadcast_shapes
from mini_dl._importing import wraps
from mini_dl._meta import MetaArray, as_meta, mapped, meta_array, single, solid
from mini_dl.autograd.mode import mode
from mini_dl.kernels.blocks import in_pieces
from mini_dl.kernels.context import run
from mini_dl.kernels.elementary import Elementwise

Forward = Callable[..., Any]
_primitives: list[Any] = []
_wrappers: dict[int, Callable[[Any, Forward], Forward]] = {}
ROUNDING, META, RECORDING = 0, 1, 2
"""The order of the wrappers, from the inside."""


def computes(primitive: Any) -> None:
    """Register a primitive."""
    primitive.kernel = primitive.forward
    _primitives.append(primitive)
    _put_around(primitive)


def is_shared(primitive: Any, ufunc: Elementwise, entirely: bool = False) -> None:
    """Let threads share the forward of a primitive, which is `ufunc` on floating point arrays, if these are large. If it is
    nothing else on any arrays (`entirely`), the ufunc is called without the function around it."""
    primitive.ufunc = ufunc
    if entirely:
        primitive.signature  # noqa: B018  # is that of the function
        primitive.kernel = ufunc
    _put_around(primitive)


def _put_around(primitive: Any) -> None:
    primitive.forward = _surrounded(primitive, primitive.kernel)
    if primitive.ufunc is not None:
        primitive.shared = _surrounded(primitive, _in_pieces(primitive.ufunc, primitive.kernel))


def _surrounded(primitive: Any, forward: Forward) -> Forward:
    for order in sorted(_wrappers):
        forward = _wrappers[order](primitive, forward)
    return forward


def _in_pieces(ufunc: Elementwise, forward: Forward) -> Forward:
    """`forward`, in pieces if that pays."""

    @wraps(forward)
    def call(*arrays: object) -> Any:
        computed = in_pieces(ufunc, *arrays)
        return forward(*arrays) if computed is None else computed

    return call


def known() -> list[Any]:
    """All primitives declared so far."""
    return list(_primitives)


def wrap_all(order: int, wrapper: Callable[[object, Forward], Forward]) -> None:
    """Put a wrapper around the forwards of all primitives, present and future."""
    _wrappers[order] = wrapper
    for primitive in _primitives:
        _put_around(primitive)


def unwrap_all(order: int) -> None:
    """Remove that wrapper."""
    del _wrappers[order]
    for primitive in _primitives:
        _put_around(primitive)


def without_values(primitive: Any, forward: Forward) -> Forward:
    """`forward`, which finds the shapes and types of its results from zeros if an argument is a meta array."""
    binary = hasattr(primitive, "promote")

    @wraps(forward)
    def call(*args: Any, **kwargs: object) -> Any:
        for value in args:
            kind = value.__class__
            if kind is MetaArray or ((kind is list or kind is tuple) and any([one.__class__ is MetaArray for one in value])):
                break
        else:
            return forward(*args, **kwargs)
        if primitive.looks:
            seen = forward(*args, **kwargs)
            return seen.view(MetaArray) if type(seen) is np.ndarray else seen
        if primitive.unary or binary:
            solids = [value for value in args if type(value) is np.ndarray and value.ndim]
            if solids and mode.enabled:  # formulas may have their own arrays
                here, there = ("meta", "cpu") if type(args[0]) is np.ndarray else ("cpu", "meta")
                raise RuntimeError(f"Tensor on device {here} is not on the expected device {there}!")
            if binary:
                args = primitive.promote(*args)
            shape = broadcast_shapes(*[np.shape(value) for value in args])
            return meta_array(shape, np.asarray(forward(*[single(value) for value in args])).dtype)
        for value in () if args[0].__class__ is MetaArray else args:  # a list after a tensor has indices, which may be anywhere
            if value.__class__ in (list, tuple) and any([type(one) is np.ndarray and one.ndim for one in value]) and mode.enabled:
                raise RuntimeError("Tensor on device cpu is not on the expected device meta!")
        try:
            return as_meta(forward(*mapped(solid, args), **kwargs))
        except np.linalg.LinAlgError as error:
            raise NotImplementedError(f"{primitive.name} of meta tensors: {error}") from None

    return call


def _run_without_values(kernel: Callable[..., object], *args: object, **kwargs: object) -> Any:
    """`context.run`, which runs a kernel on zeros if an argument is a meta array. NumPy's own functions do that themselves."""
    if isinstance(kernel, np.ufunc) or kernel is np.copyto or not any([value.__class__ is MetaArray for value in args]):
        return run(kernel, *args, **kwargs)
    return as_meta(run(kernel, *mapped(solid, args), **kwargs))


def _use_meta_arrays() -> None:
    wrap_all(META, without_values)
    type(mode).run = staticmethod(_run_without_values)


_meta.when_used.append(_use_meta_arrays)
