"""Names for annotations: numbers, devices, files, sizes."""

from __future__ import annotations

import builtins
import os
from builtins import (
    bool as _bool,
    bytes as _bytes,
    complex as _complex,
    float as _float,
    int as _int,
    str as _str,
)
from collections.abc import Sequence
from typing import IO, Any

from mini_dl import _device as _devices, _dtypes
from mini_dl.tensor import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

_device, _layout, _dtype = _devices.device, _devices.layout, _dtypes.dtype


class SymInt:
    """A size that is not known yet: nothing here is one."""


class SymFloat:
    """A number that is not known yet: nothing here is one."""


class SymBool:
    """A condition that is not known yet: nothing here is one."""


py_sym_types = (SymInt, SymFloat, SymBool)
PySymType = SymInt | SymFloat | SymBool
IntLikeType = int | SymInt
FloatLikeType = float | SymFloat
BoolLikeType = bool | SymBool

Number = builtins.int | builtins.float | builtins.bool
_Number = (builtins.int, builtins.float, builtins.bool)
Device = _device | str | int | None
FileLike = str | os.PathLike[str] | IO[bytes]

_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors = Tensor | Sequence[Tensor | None]
_TensorOrTensorsOrGradEdge = Tensor | Sequence[Any]
_size = Size | list[int] | tuple[int, ...]
_symsize = Size | Sequence[int | SymInt]


class Storage:
    """What annotations call the memory of a tensor."""

    device: Any
    dtype: Any
