"""What the functions that create tensors share: the keywords dtype, device, layout, requires_grad, out."""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable
from typing import Any

from mini_dl import _dtypes
from mini_dl._checks import too_large, type_name
from mini_dl._device import DeviceLike, Layout, require_cpu, strided
from mini_dl._dtypes import INEXACT, Array, NumpyType, TypeLike, dtype as DType
from mini_dl._surface import namespace, store
from mini_dl.autograd.history import requires_grad_
from mini_dl.autograd.mode import mode
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ the keywords they share


_PYTHON_TYPES = {builtins.bool: _dtypes.bool, builtins.int: _dtypes.int64, builtins.float: _dtypes.float64}


def numpy_of(dtype: Any, default: Any = None) -> Any:
    """The NumPy dtype for the argument `dtype`, or `default` if it is None. TypeError if it is not a type."""
    if dtype is None:
        return default
    if isinstance(dtype, DType):
        return dtype.numpy
    if dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype].numpy
    raise TypeError(f"argument 'dtype' must be torch.dtype, not {type_name(dtype)}")


def finished(array: Array, requires_grad: bool = False, out: Tensor | None = None) -> Tensor:
    made = wrap(array)
    if out is not None:
        made = store(made, out)
    if requires_grad and made._array.dtype.kind not in INEXACT:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return requires_grad_(made) if requires_grad else made


_SHARED = {
    "out": "Tensor | None", "dtype": "TypeLike", "layout": "Layout", "device": "DeviceLike", "pin_memory": "bool",
    "requires_grad": "bool",
}  # fmt: skip
"""The keywords that all of them have, and what they take."""


def factory(*, out: bool = True, place: str = "torch") -> Callable[[Callable[..., Array]], Callable[..., Tensor]]:
    """Publish ``torch.f`` from a function that makes an array and takes the NumPy dtype wanted (None: its own choice).

    Adds the keywords that all such functions of torch have.
    """

    def decorate(make: Callable[..., Array]) -> Callable[..., Tensor]:
        @functools.wraps(make)
        def call(
            *args: Any, out: Any = None, dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None,
            pin_memory: Any = False, requires_grad: bool = False, **kwargs: Any,
        ) -> Tensor:  # fmt: skip
            require_cpu(device)
            if layout is not None and layout is not strided:
                raise RuntimeError(f"mini_dl has dense tensors only: no layout {layout} here")
            wanted = numpy_of(dtype, None if out is None else out._array.dtype)
            if out is not None and wanted != out._array.dtype:
                raise RuntimeError(
                    f"dtype {_dtypes.scalar_name(wanted)} does not match dtype of out parameter "
                    f"({_dtypes.scalar_name(out._array.dtype)})"
                )
            if requires_grad is not True and requires_grad is not False and requires_grad is not None:
                raise TypeError(f"{make.__name__}(): argument 'requires_grad' must be bool, not {type_name(requires_grad)}")
            try:
                array = mode.run(functools.partial(make, *args, dtype=wanted, **kwargs))
            except (MemoryError, ValueError, OverflowError) as error:
                raise too_large(make.__name__, args, error) from None
            return finished(array, requires_grad, out)

        keyword = inspect.Parameter.KEYWORD_ONLY
        own = [p for p in inspect.signature(make).parameters.values() if p.name != "dtype"]
        added = [
            inspect.Parameter(name, keyword, default=False if kind == "bool" else None, annotation=kind)
            for name, kind in _SHARED.items()
            if out or name != "out"
        ]
        call.__signature__ = inspect.Signature([*own, *added], return_annotation="Tensor")  # type: ignore[attr-defined]
        namespace(place)[make.__name__] = call
        return call

    return decorate


# ------------------------------------------------------------------------------------------------ one value


def default_type(dtype: NumpyType | None) -> NumpyType:
    return _dtypes.default_numpy() if dtype is None else dtype
