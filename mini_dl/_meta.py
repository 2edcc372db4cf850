"""Arrays without values: the arrays of tensors on ``device="meta"``.

All elements of a `MetaArray` are the same zero: it has a shape and a type, and takes no memory. NumPy's results from one are
`MetaArray` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

NO_DATA = "Cannot copy out of meta tensor; no data!"
NO_ITEM = "Tensor.item() cannot be called on meta tensors"
when_used: list[Callable[[], None]] = []
"""Called when the first such array is created."""


class MetaArray(np.ndarray[Any, Any]):
    """An array of zeros that share one memory location."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outs = kwargs.pop("out", ())
        if method == "at":
            return None
        if method == "__call__" and ufunc.signature is None:
            shapes = [np.shape(value) for value in inputs]
            small = getattr(ufunc, method)(*[single(value) for value in inputs], **mapped(solid, kwargs))
            result = mapped(lambda value: meta_array(np.broadcast_shapes(*shapes), np.asarray(value).dtype, value), small)
        else:
            result = as_meta(getattr(ufunc, method)(*mapped(solid, inputs), **mapped(solid, kwargs)))
        given = [out for out in outs if out is not None]
        return (given[0] if len(given) == 1 else tuple(given)) if given else result

    def __array_function__(self, func: Any, types: object, args: Any, kwargs: Any) -> Any:
        if func is np.copyto:
            if not isinstance(args[0], MetaArray):
                raise NotImplementedError(NO_DATA)
            return None
        out = kwargs.pop("out", None)
        if func in _LIKE:
            kind = kwargs.get("dtype") or (args[2:3] if func is np.full_like else args[1:2] or (None,))[0]
            return meta_array(np.shape(args[0]), args[0].dtype if kind is None else kind)
        result = func(*mapped(solid, args), **mapped(solid, kwargs))
        return as_meta(result) if out is None else out

    def __getitem__(self, index: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        if any([isinstance(item, (np.ndarray, list)) for item in items]):
            return as_meta(solid(self)[mapped(solid, index)])
        return super().__getitem__(index)

    def __setitem__(self, index: object, value: Any) -> None:
        np.broadcast_shapes(np.shape(value), np.shape(self[index]))

    def copy(self, order: object = "C") -> MetaArray:
        """Another one."""
        return meta_array(self.shape, self.dtype)

    def astype(self, dtype: Any, *args: object, **kwargs: object) -> MetaArray:
        """Of another type."""
        return meta_array(self.shape, np.dtype(dtype))

    def flatten(self, order: object = "C") -> MetaArray:
        """Of one dimension."""
        return meta_array((self.size,), self.dtype)

    def fill(self, value: object) -> None:
        """Does nothing."""


_LIKE = (np.empty_like, np.zeros_like, np.ones_like, np.full_like)


def meta_array(shape: tuple[int, ...], dtype: Any, value: object = 0) -> MetaArray:
    """An array of this shape and type without values; if it is 0-d, with the `value` computed from zeros, so that a check
    of all values passes as for zeros."""
    for call in when_used:
        call()
    when_used.clear()
    kind = np.dtype(dtype)
    element = np.zeros(1, kind) if shape else np.asarray(value, kind).reshape(1)
    return MetaArray(shape, kind, element, 0, (0,) * len(shape))


def mapped(convert: Callable[[Any], Any], value: object) -> Any:
    """`value` with `convert` applied to everything that is not a container."""
    if isinstance(value, (list, tuple)):
        parts = [mapped(convert, one) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if type(value) is dict:
        return {name: mapped(convert, one) for name, one in value.items()}
    return convert(value)


def solid(value: object) -> Any:
    """A meta array as a regular array of zeros, for a kernel."""
    return value.view(np.ndarray) if isinstance(value, MetaArray) else value


def single(value: object) -> Any:
    """The same with one element along each dimension."""
    if not isinstance(value, np.ndarray):
        return value
    return solid(value)[tuple([slice(0, 1) if n else slice(None) for n in value.shape])] if value.ndim else solid(value)


def as_meta(result: object) -> Any:
    """The result of a kernel, without its values."""
    return mapped(
        lambda one: (
            meta_array(one.shape, one.dtype, one if not one.ndim else 0) if isinstance(one, (np.ndarray, np.generic)) else one
        ),
        result,
    )


def is_meta_array(array: object) -> bool:
    return array.__class__ is MetaArray


def refuse_meta(name: str, value: object) -> None:
    """NotImplementedError for a function that reads values, if a tensor or array has none."""
    if is_meta_array(getattr(value, "_array", value)):
        raise NotImplementedError(f"{name}: its result depends on values, which a meta tensor does not have")
