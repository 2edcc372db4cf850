"""Making tensors: from data, from a value, from a rule."""

from __future__ import annotations

import builtins
import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import nonnegative, sizes, type_name
from mini_dl._device import require_cpu
from mini_dl._dtypes import Array
from mini_dl._dtypes import dtype as DType
from mini_dl._surface import namespace, public, store
from mini_dl.autograd.history import requires_grad_
from mini_dl.autograd.mode import mode
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ the keywords they share

_PYTHON_TYPES = {builtins.bool: _dtypes.bool, builtins.int: _dtypes.int64, builtins.float: _dtypes.float64}


def numpy_of(dtype: Any, default: Any = None) -> Any:
    """The NumPy dtype that the argument `dtype` asks for, or `default` where it is None. TypeError if it is no type."""
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
    return requires_grad_(made) if requires_grad else made


def factory(*, out: bool = True) -> Callable[[Callable[..., Array]], Callable[..., Tensor]]:
    """Publish ``torch.f`` from a function that makes an array and takes the NumPy dtype wanted (None: its own choice).

    Adds the keywords that all such functions of torch have.
    """

    def decorate(make: Callable[..., Array]) -> Callable[..., Tensor]:
        @functools.wraps(make)
        def call(
            *args: Any,
            out: Any = None,
            dtype: Any = None,
            layout: Any = None,
            device: Any = None,
            pin_memory: Any = False,
            requires_grad: bool = False,
            **kwargs: Any,
        ) -> Tensor:
            if device is not None:
                require_cpu(device)
            wanted = numpy_of(dtype, None if out is None else out._array.dtype)
            if out is not None and wanted != out._array.dtype:
                raise RuntimeError(
                    f"dtype {_dtypes.scalar_name(wanted)} does not match dtype of out parameter "
                    f"({_dtypes.scalar_name(out._array.dtype)})"
                )
            return finished(mode.run(functools.partial(make, *args, dtype=wanted, **kwargs)), requires_grad, out)

        keyword = inspect.Parameter.KEYWORD_ONLY
        own = [p for p in inspect.signature(make).parameters.values() if p.name != "dtype"]
        shared = {"dtype": None, "layout": None, "device": None, "pin_memory": False, "requires_grad": False}
        if out:
            shared = {"out": None, **shared}
        added = [inspect.Parameter(name, keyword, default=value) for name, value in shared.items()]
        call.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        namespace("torch")[make.__name__] = call
        return call

    return decorate


# ------------------------------------------------------------------------------------------------ from data


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A tensor with a copy of `data`: a number, an array, or nested sequences.

    Python floats become the default dtype, ints int64. ValueError if sequences of one level differ in length.

    >>> import mini_dl as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    require_cpu(device)
    array = from_data(data, numpy_of(dtype))
    return finished(array, requires_grad)


def from_data(data: Any, target: np.dtype[Any] | None) -> Array:
    """A new array with the values of `data`."""
    if isinstance(data, Tensor):
        return data._array.astype(target or data._array.dtype)
    if isinstance(data, (np.ndarray, np.generic)):
        return np.array(data, target or _dtypes.of_numpy(data.dtype).numpy)
    if _dtypes.is_number(data):
        return _dtypes.as_type(data, target or _dtypes.dtype_of_number(data))
    found = np.array(data)
    if target is None:
        if found.dtype.kind == "f":
            target = _dtypes.default_numpy()
        elif found.dtype.kind == "c":
            target = _dtypes.get_default_dtype().to_complex().numpy
        else:
            target = _dtypes.of_numpy(found.dtype).numpy
    return found.astype(target, copy=False)


public("torch")(tensor)


# ------------------------------------------------------------------------------------------------ one value


def _default(dtype: Any) -> Any:
    return _dtypes.default_numpy() if dtype is None else dtype


@factory()
def zeros(*size: Any, dtype: Any) -> Array:
    """Zeros of this shape."""
    return np.zeros(nonnegative(sizes(size)), _default(dtype))


@factory()
def ones(*size: Any, dtype: Any) -> Array:
    """Ones of this shape."""
    return np.ones(nonnegative(sizes(size)), _default(dtype))


@factory()
def empty(*size: Any, dtype: Any) -> Array:
    """A tensor of this shape whose values are whatever the memory held."""
    return np.empty(nonnegative(sizes(size)), _default(dtype))


@factory()
def full(size: Sequence[int], fill_value: Any, *, dtype: Any) -> Array:
    """`fill_value` in this shape; its type is that of the value."""
    if dtype is None:
        dtype = _dtypes.dtype_of_number(fill_value)
    return np.full(nonnegative(sizes((size,))), _dtypes.as_type(fill_value, dtype), dtype)


def _like(name: str, make: Callable[..., Array], *more: str) -> None:
    """Publish ``torch.f_like(input)`` from `make`: shape and type are those of `input`."""

    def call(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        dtype, requires_grad = kwargs.pop("dtype", None), kwargs.pop("requires_grad", False)
        require_cpu(kwargs.pop("device", None))
        for ignored in ("layout", "memory_format", "pin_memory"):
            kwargs.pop(ignored, None)
        array = make(input._array.shape, *args, **kwargs, dtype=numpy_of(dtype, input._array.dtype))
        return finished(array, requires_grad)

    call.__name__ = call.__qualname__ = name
    namespace("torch")[name] = call


_like("zeros_like", np.zeros)
_like("ones_like", np.ones)
_like("empty_like", np.empty)


def _full(shape: tuple[int, ...], fill_value: Any, dtype: Any) -> Array:
    return np.full(shape, _dtypes.as_type(fill_value, dtype), dtype)


_like("full_like", _full, "fill_value")


# ------------------------------------------------------------------------------------------------ ranges


@factory()
def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any) -> Array:
    """``start, start + step, ...`` below `end`."""
    if end is None:
        start, end = 0, start
    start, end, step = [v.item() if hasattr(v, "item") else v for v in (start, end, step)]
    if dtype is None:
        whole = all(isinstance(v, builtins.int) for v in (start, end, step))
        dtype = np.dtype("int64") if whole else _dtypes.default_numpy()
    length = builtins.max(0, builtins.int(np.ceil((end - start) / step)))
    if np.dtype(dtype).kind in "iu":
        return (np.arange(length, dtype="int64") * step + start).astype(dtype)
    return (np.arange(length, dtype="float64") * step + start).astype(dtype)
