"""Arrays whose values cannot be read: the arrays of tensors within `vmap`.

Each represents an arbitrary element of a batch: it has a shape, a type and strides. Reading or computing with values
raises an error, so code that bypasses the primitives fails instead of computing on one element.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn, TypeGuard

import numpy as np

NO_VALUES = (
    "vmap: the values of a tensor are read here, which stands for all elements of a batch, one after the other: this operation "
    "is not supported within vmap"
)
ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, please try "
    "to rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch internals, please file "
    "a bug report."
)
NO_STORAGE = "Cannot access data pointer of Tensor that doesn't have storage"
FLOW = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that yet, "
    "please file an issue at https://github.com/pytorch/pytorch/issues ."
)


class _Flags:
    """NumPy's flags for the memory of one element."""

    writeable = False

    def __init__(self, array: AbstractArray) -> None:
        self.array = array

    def _in_order(self, dims: range) -> bool:
        step = self.array.itemsize
        for dim in dims:
            if self.array.shape[dim] != 1:
                if self.array.strides[dim] != step:
                    return False
                step *= self.array.shape[dim]
        return True

    @property
    def c_contiguous(self) -> bool:
        return not self.array.size or self._in_order(range(self.array.ndim)[::-1])

    @property
    def f_contiguous(self) -> bool:
        return not self.array.size or self._in_order(range(self.array.ndim))


class AbstractArray:
    """The array of a tensor at the level of a `vmap`: the shape, type and strides of one element. Reading values raises an error.

    `memory` is the array of the whole batch, which determines the locations of elements.
    """

    __slots__ = ("dtype", "memory", "shape", "strides")
    base = None

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...], memory: object) -> None:
        self.shape, self.dtype, self.strides, self.memory = shape, dtype, strides, memory

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def flags(self) -> _Flags:
        return _Flags(self)

    @property
    def real(self) -> AbstractArray:
        """The type of the real part."""
        kind = np.empty(0, self.dtype).real.dtype
        return AbstractArray(self.shape, kind, self.strides, self.memory)

    def __len__(self) -> int:
        return self.shape[0]

    def view(self) -> AbstractArray:
        """The same."""
        return self

    def item(self, *_: object) -> NoReturn:
        """Refused."""
        raise RuntimeError(ITEM)

    def tolist(self) -> NoReturn:
        """Refused."""
        raise RuntimeError(NO_STORAGE)

    def __bool__(self) -> NoReturn:
        raise RuntimeError(FLOW)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(NO_VALUES)

    __array_ufunc__ = __array__ = __getitem__ = __setitem__ = __iter__ = __int__ = __float__ = __index__ = __complex__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __abs__ = (
        _refuse
    )
    __and__ = __or__ = __xor__ = __invert__ = __rand__ = __ror__ = _refuse
    __hash__ = object.__hash__

    def __array_function__(self, function: object, types: object, args: Any, kwargs: Any) -> Any:
        array = args[0]
        if function in _LIKE:
            kind = kwargs.get("dtype")
            rest = args[1:2] if function is np.full_like else ()
            return _LIKE[function](np.shape(array), *rest, dtype=array.dtype if kind is None else kind)
        if function is np.may_share_memory or function is np.shares_memory:
            return function(*[getattr(a, "memory", a) for a in args])
        if function is np.moveaxis:
            order = np.moveaxis(np.empty(range(self.ndim)), *args[1:]).shape
            shape, strides = (tuple([each[dim] for dim in order]) for each in (self.shape, self.strides))
            return AbstractArray(shape, self.dtype, strides, self.memory)
        if function is np.shape:
            return self.shape
        if function is np.ndim:
            return self.ndim
        raise RuntimeError(NO_VALUES)

    def __getattr__(self, name: str) -> Any:
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            return self._refuse
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"AbstractArray({self.shape}, {self.dtype})"


_LIKE: dict[Any, Any] = {np.zeros_like: np.zeros, np.ones_like: np.ones, np.empty_like: np.empty, np.full_like: np.full}
"""These return an array that is the same for all elements."""


def is_abstract(value: object) -> TypeGuard[Any]:
    """Whether a tensor or array represents one element of a batch."""
    return getattr(value, "_array", value).__class__ is AbstractArray


def refuse_batch(name: str, *values: object) -> None:
    """RuntimeError for a function whose result has a different shape for each element of a batch."""
    if any([is_abstract(value) for value in values]):
        raise RuntimeError(
            f"vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over aten::{name}. "
            "Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature."
        )
