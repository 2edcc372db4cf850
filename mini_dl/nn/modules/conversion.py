"""What ``Module.to`` and ``Module.to_empty`` ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._device import device as device_class, is_meta
from mini_dl._meta import NO_DATA, hollow, is_hollow
from mini_dl.tensor import Tensor


def uninitialized_like(tensor: Tensor, meta: bool = False) -> Tensor:
    """A tensor of the shape and type of `tensor` with values of its own, or without any."""
    out = Tensor.__new__(Tensor)
    shape, kind = tensor._array.shape, tensor._array.dtype
    out._array = (
        hollow(shape, kind) if meta else np.empty(shape, kind) if is_hollow(tensor._array) else np.empty_like(tensor._array)
    )
    return out


def moved(tensor: Tensor, meta: bool) -> Tensor:
    """`tensor` on the device meta, or where its values are. NotImplementedError if it has none."""
    if tensor.device.type == "meta" and not meta:
        raise NotImplementedError(
            f"{NO_DATA} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a "
            "different device."
        )
    return tensor.to("meta") if meta else tensor


def what_to(*args: Any, **kwargs: Any) -> tuple[_dtypes.dtype | None, bool | None]:
    """The dtype asked for by the arguments of ``Module.to``, and whether the device is meta (None: none is named)."""
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
    where = given.get("device")
    return given.get("dtype"), None if where is None else is_meta(where)
