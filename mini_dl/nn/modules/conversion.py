"""Conversions for ``Module.to`` and ``Module.to_empty``."""

from __future__ import annotations

import numpy as np

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


def moved(tensor: Tensor, meta: bool) -> Tensor:
    """`tensor` on the device meta, or where its values are. NotImplementedError if it has none."""
    if tensor.device.type == "meta" and not meta:
        raise NotImplementedError(
            f"{NO_DATA} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a "
            "different device."
        )
    return tensor.to("meta") if meta else tensor
