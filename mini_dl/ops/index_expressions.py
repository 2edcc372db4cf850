"""The meaning of an index in brackets."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import level_of_user, type_name
from mini_dl._dtypes import INDEX_TYPES, Array
from mini_dl._meta import refuse_meta
from mini_dl.kernels.indexing import WHOLE, Indices
from mini_dl.ops.from_data import from_data
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ interpreting an index


BY_MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing with a "
    "boolean mask."
)
TOO_DEEP = (
    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a "
    "number"
)
KINDS = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})"


def is_tuple_like(index: object) -> bool:
    """Whether a list means a tuple of indices: if it is short and contains anything but numbers."""
    if isinstance(index, (tuple, Tensor, np.ndarray)) or not isinstance(index, Sequence):
        return isinstance(index, tuple)
    kinds = (Tensor, slice, np.ndarray, Sequence)
    found = len(index) < 32 and any([i is None or i is Ellipsis or isinstance(i, kinds) for i in index])
    if found:
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; use "
            "x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], "
            "which will result either in an error or a different result",
            stacklevel=level_of_user(),
        )
    return found


def parse(shape: tuple[int, ...], index: Any) -> tuple[list[Any], Indices | None]:
    """`index` into a tensor of this `shape`, in two steps: the view ``x[basic]``, then selection by integers from it."""
    items = list(index) if is_tuple_like(index) else [index]
    used = _dimensions_used(items, index)
    if used > len(shape):
        if not shape and items[0] is index and is_int(index) and not isinstance(index, (Tensor, np.ndarray)):
            n = operator.index(index)
            raise IndexError(f"index {n} is out of bounds for dimension 0 with size 0" if n else TOO_DEEP)
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    basic: list[Any] = []
    chosen: Indices = []
    dim = 0  # of the tensor
    for item in items:
        if item is None:
            basic.append(None)
            chosen.append(None)
            continue
        if item is Ellipsis:
            skipped = len(shape) - used
            basic += [WHOLE] * skipped
            chosen += [None] * skipped
            dim, used = dim + skipped, len(shape)
            continue
        if isinstance(item, slice):
            item = forward_slice(item)
            basic.append(WHOLE if dim < len(shape) and takes_all(item, shape[dim]) else item)
            chosen.append(None)
            dim += 1
            continue
        if isinstance(item, (Tensor, np.ndarray)):
            item = _number_or_indices(item, shape, dim)
            if isinstance(item, list):
                basic += [WHOLE] * len(item)
                chosen += item
                dim += len(item)
                continue
        if isinstance(item, bool):
            basic.append(None)
            chosen.append(wrap(np.zeros(1 if item else 0, "int64")))
            continue
        if not is_int(item):
            raise (
                TypeError("new(): invalid data type 'str'")
                if isinstance(item, str)
                else IndexError(KINDS.format(type_name(item)))
            )
        basic.append(in_range(operator.index(item), shape, dim))
        dim += 1
    return basic, chosen if any([c is not None for c in chosen]) else None


def _dimensions_used(items: list[object], index: object) -> int:
    """The number of tensor dimensions the items cover; lists among them become tensors."""
    used = 0
    for i, item in enumerate(items):
        if isinstance(item, (Tensor, np.ndarray)):
            kind = item.dtype if isinstance(item, np.ndarray) else item._array.dtype
            used += item.ndim if kind.char in "?B" else 1
        elif isinstance(item, (list, range)) or (isinstance(item, tuple) and index is not item):
            item = items[i] = wrap(from_data(list(item), None))
            if item._array.dtype.kind not in "iub":
                item._array = item._array.astype("int64")
            used += item.ndim if item._array.dtype.kind == "b" else 1
        elif item is not None and item is not Ellipsis and not isinstance(item, (bool, np.bool_)):
            used += 1
    return used


def _number_or_indices(item: Tensor | Array, shape: tuple[int, ...], dim: int) -> int | bool | list[Tensor]:
    """The meaning of a tensor: a number if it has no dimensions; else the indices, one tensor for each dimension it covers."""
    array = item._array if isinstance(item, Tensor) else item
    if array.dtype.char in "?B" or not array.ndim:
        refuse_meta("indexing", array)
    if is_abstract(array):
        if array.dtype.char in "?B":
            raise RuntimeError(BY_MASK)
        return [integers(item)]  # type: ignore[arg-type]
    if array.ndim == 0 and array.dtype.kind in "iu" and array.dtype.char != "B":
        return int(array)
    if array.dtype.char in "?B":
        if array.dtype.char == "B":
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
                stacklevel=level_of_user(),
            )
        if array.ndim == 0:
            return bool(array)
        mask_fits(array.shape, shape, dim)
        return [wrap(found) for found in array.nonzero()]
    if isinstance(item, Tensor) and array.dtype.kind in "iu" and array.dtype not in INDEX_TYPES:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return [integers(item if isinstance(item, Tensor) else wrap(array))]


def is_int(item: object) -> bool:
    return hasattr(type(item), "__index__")


def in_range(index: int, shape: tuple[int, ...], dim: int) -> int:
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {shape[dim]}")
    return index


def takes_all(item: slice, n: int) -> bool:
    """Whether a slice takes all `n` elements, given by nonnegative numbers."""
    return not item.start and (item.stop is None or operator.index(item.stop) >= n) and item.step in (None, 1)


def forward_slice(item: slice) -> slice:
    if item.step is not None:
        step = operator.index(item.step)
        if step <= 0:
            raise ValueError("slice step cannot be zero" if step == 0 else "step must be greater than zero")
    return item


def mask_fits(mask: tuple[int, ...], shape: tuple[int, ...], dim: int) -> None:
    for i, n in enumerate(mask):
        if n != shape[dim + i]:
            raise IndexError(
                f"The shape of the mask {list(mask)} at index {i} does not match the shape of the indexed tensor {list(shape)} "
                f"at index {dim + i}"
            )


def integers(index: Tensor) -> Tensor:
    if index._array.dtype not in INDEX_TYPES and index._array.dtype != np.int8:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return index
