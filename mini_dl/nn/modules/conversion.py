"""Conversions for ``Module.to`` and ``Module.to_empty``."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from mini_dl._device import DeviceLike, MemoryFormat, is_meta
from mini_dl._dtypes import dtype
from mini_dl._meta import NO_DATA, is_meta_array, meta_array
from mini_dl.tensor import Tensor


def uninitialized_like(tensor: Tensor, meta: bool = False) -> Tensor:
    """A tensor of the shape and type of `tensor`, uninitialized or without data."""
    out = Tensor.__new__(Tensor)
    shape, kind = tensor._array.shape, tensor._array.dtype
    out._array = (
        meta_array(shape, kind)
        if meta
        else np.empty(shape, kind)
        if is_meta_array(tensor._array)
        else np.empty_like(tensor._array)
    )
    return out


def conversion(where: DeviceLike, dtype: dtype | None, order: MemoryFormat) -> Callable[[Tensor], Tensor]:
    """What ``Module.to`` does to each tensor. TypeError for a `dtype` that is neither floating point nor complex."""
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")
    if dtype is not None and dtype.is_complex:
        warnings.warn(
            "Complex modules are a new feature under active development whose design may change, and some modules might not "
            "work as expected when using complex tensors as parameters or buffers.",
            stacklevel=3,
        )

    meta = is_meta(where)

    def convert(tensor: Tensor) -> Tensor:
        if where is not None:
            tensor = moved(tensor, meta)
        wanted = dtype if tensor.dtype.is_floating_point or tensor.dtype.is_complex else None
        return tensor.to(dtype=wanted, memory_format=order if order is not None and tensor.ndim in (4, 5) else None)

    return convert


def moved(tensor: Tensor, meta: bool) -> Tensor:
    """`tensor` on the device meta, or where its values are. NotImplementedError if it has none."""
    if tensor.device.type == "meta" and not meta:
        raise NotImplementedError(
            f"{NO_DATA} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a "
            "different device."
        )
    return tensor.to("meta") if meta else tensor
