"""Names for annotations: numbers, devices, files, sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Any

from mini_dl import _device as _devices, _dtypes
from mini_dl.tensor import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

_bool, _bytes, _complex, _float, _int, _str = bool, bytes, complex, float, int, str
_device, _layout, _dtype = _devices.device, _devices.layout, _dtypes.dtype


class SymInt:
    """A size that is not known yet: not used here."""


class SymFloat:
    """A number that is not known yet: not used here."""


class SymBool:
    """A condition that is not known yet: not used here."""


py_sym_types = (SymInt, SymFloat, SymBool)
PySymType = SymInt | SymFloat | SymBool
IntLikeType = int | SymInt
FloatLikeType = float | SymFloat
BoolLikeType = bool | SymBool

Number = int | float | bool
_Number = (int, float, bool)
Device = _device | str | int | None
FileLike = str | os.PathLike[str] | IO[bytes]

_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors = Tensor | Sequence[Tensor | None]
_TensorOrTensorsOrGradEdge = Tensor | Sequence[Any]
_size = Size | list[int] | tuple[int, ...]
_symsize = Size | Sequence[int | SymInt]


class Storage:
    """The name of a tensor's memory in annotations."""

    device: Any
    dtype: Any
