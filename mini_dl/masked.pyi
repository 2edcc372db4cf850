"""Written by scripts/write_stubs.py from the signatures. Do not edit."""

# mypy: disable-error-code="misc,override,overload-overlap,overload-cannot-match,assignment"

from builtins import (
    bool as _bool,
    bytes as _bytes,
    complex as _complex,
    dict as _dict,
    float as _float,
    int as _int,
    list as _list,
    object as _object,
    range as _range,
    slice as _slice,
    str as _str,
    tuple as _tuple,
    type as _type,
)
from collections.abc import Callable as _Callable, Iterable as _Iterable, Iterator as _Iterator, Sequence as _Sequence
from contextlib import AbstractContextManager as _AbstractContextManager
from os import PathLike as _PathLike
from types import EllipsisType as _EllipsisType
from typing import (
    IO as _IO,
    Any as _Any,
    Literal as _Literal,
    SupportsIndex as _SupportsIndex,
    TypeAlias as _TypeAlias,
    TypeVar as _TypeVar,
    overload as _overload,
)

from numpy import ndarray as _ndarray
from typing_extensions import Self as _Self, TypeIs as _TypeIs

from mini_dl import return_types as _return_types
from mini_dl._device import device as _Device, layout as _layout, memory_format as _memory_format
from mini_dl._dtypes import Number as _Number, dtype as _dtype
from mini_dl.autograd.graph import Handle as _RemovableHandle
from mini_dl.kernels.mersenne import Generator as _Generator
from mini_dl.ops.attributes import UntypedStorage as _UntypedStorage
from mini_dl.ops.storages import TypedStorage as _TypedStorage
from mini_dl.tensor import Size as _Size, Tensor as _Tensor

_Subclass = _TypeVar("_Subclass", bound=_Tensor)
_DType: _TypeAlias = _dtype | _type[_bool] | _type[_int] | _type[_float] | _type[_complex]
_Index: _TypeAlias = (
    _SupportsIndex | None | _slice | _EllipsisType | _Tensor | _ndarray[_Any, _Any] | _list[_Any] | _tuple[_Any, ...] | _range
)


__all__: _list[_str]
def amax(input: _Tensor, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def amin(input: _Tensor, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def argmax(input: _Tensor, dim: _int | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def argmin(input: _Tensor, dim: _int | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def cumprod(input: _Tensor, dim: _int, *, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def cumsum(input: _Tensor, dim: _int, *, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def log_softmax(input: _Tensor, dim: _int, *, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def logaddexp(input: _Tensor, other: _Tensor, *, dtype: _DType | None = None, input_mask: _Tensor | None = None, other_mask: _Tensor | None = None) -> _Tensor: ...
def logsumexp(input: _Tensor, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def mean(input: _Tensor, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def median(input: _Tensor, dim: _int = -1, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def norm(input: _Tensor, ord: _int | _float | _str | None = 2.0, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def normalize(input: _Tensor, ord: _int | _float | _str | None, dim: _int, *, eps: _float = 1e-12, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def prod(input: _Tensor, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def softmax(input: _Tensor, dim: _int, *, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def softmin(input: _Tensor, dim: _int, *, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def std(input: _Tensor, dim: _int | _Sequence[_int] | None = None, unbiased: _bool | None = None, *, correction: _int | _float | None = None, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def sum(input: _Tensor, dim: _int | _Sequence[_int] | None = None, *, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
def var(input: _Tensor, dim: _int | _Sequence[_int] | None = None, unbiased: _bool | None = None, *, correction: _int | _float | None = None, keepdim: _bool = False, dtype: _DType | None = None, mask: _Tensor | None = None) -> _Tensor: ...
MaskedTensor: _Any
as_masked_tensor: _Any
is_masked_tensor: _Any
masked_tensor: _Any
