"""The names that written stubs use, where each begins with an underscore: no public name of a stub can hide it."""

from builtins import (
    bool as bool,
    bytes as bytes,
    complex as complex,
    dict as dict,
    float as float,
    int as int,
    list as list,
    object as object,
    range as range,
    slice as slice,
    str as str,
    tuple as tuple,
    type as type,
)
from collections.abc import Callable as Callable, Iterable as Iterable, Iterator as Iterator, Sequence as Sequence
from contextlib import AbstractContextManager as AbstractContextManager
from os import PathLike as PathLike
from types import EllipsisType as EllipsisType
from typing import (
    IO as IO,
    Any as Any,
    Literal as Literal,
    NamedTuple as NamedTuple,
    SupportsIndex as SupportsIndex,
    TypeAlias as TypeAlias,
    TypeVar as TypeVar,
    overload as overload,
)

from numpy import ndarray as ndarray
from typing_extensions import Self as Self, TypeIs as TypeIs

from mini_dl import return_types as return_types
from mini_dl._device import device, layout as layout, memory_format as memory_format
from mini_dl._dtypes import Number as Number, dtype as dtype
from mini_dl.autograd.graph import Handle
from mini_dl.kernels.mersenne import Generator as Generator
from mini_dl.ops.attributes import UntypedStorage as UntypedStorage
from mini_dl.ops.storages import TypedStorage as TypedStorage
from mini_dl.tensor import Size as Size, Tensor as Tensor

Subclass = TypeVar("Subclass", bound=Tensor)
Device: TypeAlias = device
RemovableHandle: TypeAlias = Handle
DType: TypeAlias = dtype | type[bool] | type[int] | type[float] | type[complex]
Index: TypeAlias = SupportsIndex | None | slice | EllipsisType | Tensor | ndarray[Any, Any] | list[Any] | tuple[Any, ...] | range
