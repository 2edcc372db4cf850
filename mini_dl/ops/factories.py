"""The keywords that functions creating tensors share: dtype, device, layout, requires_grad, out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._checks import check_bool, nonnegative, sizes, too_large, type_name
from mini_dl._device import (
    DeviceLike,
    Layout,
    channels_last,
    channels_last_3d,
    contiguous_format,
    is_meta,
    memory_format,
    strided,
)
from mini_dl._dtypes import INEXACT, Array, NumpyType, TypeLike, dtype as DType
from mini_dl._families import with_family
from mini_dl._guidance import mistyped
from mini_dl._importing import wraps
from mini_dl._layout import empty_in_order
from mini_dl._meta import is_meta_array, meta_array
from mini_dl._signatures import LateSignature
from mini_dl._surface import namespace, store
from mini_dl.autograd.draws import for_batches
from mini_dl.autograd.elements import one_by_one
from mini_dl.autograd.history import requires_grad_
from mini_dl.autograd.inplace import any_needs_grad
from mini_dl.autograd.mode import at_work, mode
from mini_dl.kernels import mersenne
from mini_dl.tensor import LEAF, Tensor, wrap

# ------------------------------------------------------------------------------------------------ shared keywords


def numpy_of(dtype: object, default: object = None) -> Any:
    """The NumPy dtype for the argument `dtype`, or `default` if it is None. TypeError if it is not a type."""
    if dtype is None:
        return default
    if isinstance(dtype, DType):
        return dtype.numpy
    if dtype in _dtypes.PYTHON_TYPES:
        return _dtypes.PYTHON_TYPES[dtype].numpy
    raise TypeError(f"argument 'dtype' must be torch.dtype, not {type_name(dtype)}")


def finished(array: Array, requires_grad: bool = False, out: Tensor | None = None, warns: bool = False) -> Tensor:
    """The array as a tensor, or `out` with its values; it `warns` if that resizes elements away."""
    made = wrap(array)
    if out is not None:
        made = store(made, out, warns=warns)
        if made._edge is LEAF:
            requires_grad_(made, False)  # the keyword decides, not what `out` was
    if requires_grad and made._array.dtype.kind not in INEXACT:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return requires_grad_(made) if requires_grad else made


def check_factory_out(name: str, out: Tensor, wanted: NumpyType) -> None:
    """RuntimeError if `out` requires grad or is not of the NumPy type `wanted`."""
    if mode.enabled and any_needs_grad((out,)):
        raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic differentiation")
    if wanted != out._array.dtype:
        raise RuntimeError(
            f"dtype {_dtypes.scalar_name(wanted)} does not match dtype of out parameter ({_dtypes.scalar_name(out._array.dtype)})"
        )


def check_options(name: str, layout: object, pin_memory: object, requires_grad: object) -> None:
    """TypeError or RuntimeError unless these are what a function that creates a tensor takes."""
    if layout is not None and layout is not strided:
        if not isinstance(layout, type(strided)):
            raise TypeError(f"{name}(): argument 'layout' must be torch.layout, not {type_name(layout)}")
        raise RuntimeError(f"mini_dl has dense tensors only: no layout {layout} here")
    for what, flag in (("pin_memory", pin_memory), ("requires_grad", requires_grad)):
        if flag is not True and flag is not False and flag is not None:
            check_bool(flag, f"{name}(): argument '{what}'")


_SHARED = {
    "out": "Tensor | None", "dtype": "TypeLike", "layout": "Layout", "device": "DeviceLike", "pin_memory": "bool",
    "requires_grad": "bool",
}  # fmt: skip
"""The keywords that all of them have, and their types."""


def factory(
    *, out: bool = True, place: str = "torch", draws: bool = False
) -> Callable[[Callable[..., Array]], Callable[..., Tensor]]:
    """Publish ``torch.f`` from a function that creates an array of the given NumPy dtype (None: its own choice).

    Adds the keywords that all such functions of torch have.
    """

    def decorate(make: Callable[..., Array]) -> Callable[..., Tensor]:
        @wraps(make)
        def call(
            *args: object, out: object = None, dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None,
            pin_memory: object = False, requires_grad: bool = False, **kwargs: object,
        ) -> Tensor:  # fmt: skip
            if at_work.anywhere and any([is_abstract(value) for value in (*args, *kwargs.values())]):
                given = {"dtype": dtype, "requires_grad": requires_grad, **kwargs}
                return one_by_one(call, args, given)
            meta = is_meta(device)
            if layout is not None or pin_memory is not False or requires_grad is not False:
                check_options(make.__name__, layout, pin_memory, requires_grad)
            if out is not None and not isinstance(out, Tensor):
                raise TypeError(f"{make.__name__}(): argument 'out' must be Tensor, not {type_name(out)}")
            wanted = numpy_of(dtype, None if out is None else out._array.dtype)
            if out is not None:
                check_factory_out(make.__name__, out, wanted)
            if meta and out is None:
                return finished(_on_meta(make, args, {**kwargs, "dtype": wanted}), requires_grad)
            try:
                array = mode.run(functools.partial(make, *args, dtype=wanted, **kwargs))
            except (MemoryError, ValueError, OverflowError) as error:
                if isinstance(error, OverflowError) and make.__name__ in NUMBERS_FIRST:
                    raise
                raise too_large(make.__name__, args, error) from None
            except TypeError as error:
                mistyped(error, call, kwargs)
                raise
            made = finished(array, requires_grad, out, warns=make.__name__ in ("arange", "range"))
            return for_batches(made) if draws and at_work.anywhere else made

        call.__doc__ = with_family(make.__doc__)
        call.__signature__ = LateSignature(lambda: _with_shared(make, out))  # type: ignore[attr-defined]
        namespace(place)[make.__name__] = call
        return call

    return decorate


def _with_shared(make: Callable[..., Array], out: bool) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [p for p in inspect.signature(make).parameters.values() if p.name != "dtype"]
    added = [
        inspect.Parameter(name, keyword, default=False if kind == "bool" else None, annotation=kind)
        for name, kind in _SHARED.items()
        if out or name != "out"
    ]
    return inspect.Signature([*own, *added], return_annotation="Tensor")


# ------------------------------------------------------------------------------------------------ one value


NUMBERS_FIRST = frozenset("scalar_tensor linspace logspace arange range".split())
"""Factories whose first arguments are values."""
SIZED = frozenset("zeros ones empty rand randn".split())
"""Factories whose arguments are sizes."""


def _on_meta(make: Callable[..., Array], args: tuple[object, ...], kwargs: dict[str, Any]) -> Array:
    """A factory's result without values: given a size, no tensor of that size is allocated, and no random number drawn."""
    name = make.__name__
    if "size" in kwargs:
        size, kwargs = kwargs["size"], {**kwargs, "size": (0,)}
    elif name in SIZED:
        size, args = args, ((0,),)
    elif name in ("full", "randint"):
        at = 0 if name == "full" else len(args) - 1
        size, args = args[at], (*args[:at], (0,), *args[at + 1 :])
    else:
        generator = kwargs.get("generator") or mersenne.here.generator
        state = generator.dump()
        made = mode.run(functools.partial(make, *args, **kwargs))
        generator.load(state)
        return meta_array(made.shape, made.dtype)
    shape = nonnegative(sizes(size if isinstance(size, (tuple, list)) else (size,)))
    return meta_array(shape, mode.run(functools.partial(make, *args, **kwargs)).dtype)


def valued_like(array: Array, device: DeviceLike) -> Array:
    """A template array on `device`, or where `array` is: a meta array may be the template of one with values."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape) if is_meta_array(array) and device is not None else array


def default_type(dtype: NumpyType | None) -> NumpyType:
    return _dtypes.default_numpy() if dtype is None else dtype


def empty_of_format(array: Array, dtype: NumpyType, order: object) -> Array:
    """An uninitialized array of the shape of `array`, in the order that a memory format names, or else in that of `array`."""
    if order is contiguous_format:
        return np.empty_like(array, dtype, order="C")
    if array.__class__ is np.ndarray and (order is channels_last or order is channels_last_3d):
        return empty_with_channels_last(array.shape, dtype, order)
    return empty_in_order(array, dtype)


def empty_with_channels_last(shape: tuple[int, ...], dtype: NumpyType, order: memory_format) -> Array:
    """An uninitialized array with its second dimension last in memory. RuntimeError unless `shape` has the rank of `order`."""
    rank = 4 if order is channels_last else 5
    if len(shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {order.name} format")
    return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)
