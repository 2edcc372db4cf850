"""What ``Module.to`` and ``Module.to_empty`` ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._device import device as device_class, require_cpu
from mini_dl.tensor import Tensor


def uninitialized_like(tensor: Tensor) -> Tensor:
    """A tensor of the shape and type of `tensor` with values of its own."""
    out = Tensor.__new__(Tensor)
    out._array = np.empty_like(tensor._array)
    return out


def dtype_to(*args: Any, **kwargs: Any) -> _dtypes.dtype | None:
    """The dtype asked for by the arguments of ``Module.to``; the device must be the CPU."""
    given = dict(kwargs)
    for value in args:
        if isinstance(value, _dtypes.dtype):
            given["dtype"] = value
        elif isinstance(value, Tensor):
            given["dtype"] = value.dtype
        elif isinstance(value, (str, device_class)):
            given["device"] = value
        elif isinstance(value, bool) or value is None:
            continue
        else:
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(value).__name__})")
    if isinstance(given.get("tensor"), Tensor):
        given["dtype"] = given["tensor"].dtype
    for name in given:
        if name not in ("device", "dtype", "tensor", "non_blocking", "memory_format", "copy"):
            raise TypeError(f"to() got an unexpected keyword argument '{name}'")
    require_cpu(given.get("device"))
    return given.get("dtype")
