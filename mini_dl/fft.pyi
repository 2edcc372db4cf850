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
def fft(input: _Tensor, n: _int | None = None, dim: _int = -1, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def fft2(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] = ..., norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def fftfreq(n: _int, d: _float = 1.0, *, out: _Tensor | None = None, dtype: _DType | None = None, layout: _layout | None = None, device: _Device | _str | _int | None = None, pin_memory: _bool = False, requires_grad: _bool = False) -> _Tensor: ...
def fftn(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] | None = None, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def fftshift(input: _Tensor, dim: _int | _Sequence[_int] | None = None) -> _Tensor: ...
def hfft(input: _Tensor, n: _int | None = None, dim: _int = -1, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def hfft2(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] = ..., norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def hfftn(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] | None = None, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def ifft(input: _Tensor, n: _int | None = None, dim: _int = -1, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def ifft2(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] = ..., norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def ifftn(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] | None = None, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def ifftshift(input: _Tensor, dim: _int | _Sequence[_int] | None = None) -> _Tensor: ...
def ihfft(input: _Tensor, n: _int | None = None, dim: _int = -1, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def ihfft2(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] = ..., norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def ihfftn(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] | None = None, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def irfft(input: _Tensor, n: _int | None = None, dim: _int = -1, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def irfft2(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] = ..., norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def irfftn(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] | None = None, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def rfft(input: _Tensor, n: _int | None = None, dim: _int = -1, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def rfft2(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] = ..., norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
def rfftfreq(n: _int, d: _float = 1.0, *, out: _Tensor | None = None, dtype: _DType | None = None, layout: _layout | None = None, device: _Device | _str | _int | None = None, pin_memory: _bool = False, requires_grad: _bool = False) -> _Tensor: ...
def rfftn(input: _Tensor, s: _int | _Sequence[_int] | None = None, dim: _int | _Sequence[_int] | None = None, norm: _str | None = None, *, out: _Tensor | None = None) -> _Tensor: ...
Tensor: _Any
