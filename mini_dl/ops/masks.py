"""Selecting by mask, and finding where something holds."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import broadcast_shapes, type_name
from mini_dl._dtypes import Array, int64, is_number, scalar_name
from mini_dl._meta import refuse_hollow
from mini_dl._surface import function, method, public
from mini_dl._unseen import is_unseen, refuse_batch
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import linear_in, not_a_tensor, op
from mini_dl.kernels.blocks import choose
from mini_dl.ops.gathering import one_value, zeros_as
from mini_dl.ops.parts import _slice
from mini_dl.ops.views import place
from mini_dl.tensor import Operand, Tensor, wrap

# ------------------------------------------------------------------------------------------------ by mask


def checked_mask(name: str, mask: Tensor) -> Tensor:
    if mask._array.dtype.kind != "b":
        raise RuntimeError(
            f"{name}: expected BoolTensor for mask"
            if name == "masked_select"
            else f"{name} only supports boolean masks, but got mask with dtype {_dtypes.of_numpy(mask._array.dtype)}"
        )
    return mask


def _fill_mask(grad: Tensor, mask: Tensor) -> Tensor:
    return _masked_fill(grad, mask, zeros_as(grad, ()))


@linear_in("input value")
@op(input=_fill_mask, value=lambda grad, mask: (grad * mask).sum())
def _masked_fill(input: Array, mask: Array, value: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    if input.dtype.kind != "c":
        out = choose(np.broadcast_to(mask, shape), np.broadcast_to(value, shape), np.broadcast_to(input, shape))
        return np.asarray(out, order="C")
    out = np.array(np.broadcast_to(input, shape), order="C")
    np.copyto(out, value, where=mask)
    return out


@method(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """`value` where `mask` holds, else `input`. RuntimeError unless `mask` is bool."""
    return _masked_fill(input, checked_mask("masked_fill", mask), one_value("masked_fill_", input, value))


@linear_in("input")
@op(input=lambda grad, input_shape, mask: _masked_scatter(zeros_as(grad, broadcast_shapes(input_shape, mask.shape)), mask, grad))
def _masked_select(input: Array, mask: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    return np.broadcast_to(input, shape)[np.broadcast_to(mask, shape)]


@method(out=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where `mask` holds, in one dimension."""
    refuse_hollow("masked_select", input)
    return _masked_select(input, checked_mask("masked_select", mask))


def _selected_gradient(grad: Tensor, mask: Tensor, source_shape: tuple[int, ...]) -> Tensor:
    found = _masked_select(grad, mask)
    size = 1
    for n in source_shape:
        size *= n
    return place(found, _slice, ((slice(found.numel()),),), (size,)).reshape(source_shape)


@linear_in("input source")
@op(input=_fill_mask, source=_selected_gradient)
def _masked_scatter(input: Array, mask: Array, source: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    out = np.array(np.broadcast_to(input, shape), order="C")
    mask = np.broadcast_to(mask, shape)
    count = int(mask.sum())
    if count > source.size:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but the mask selects more than source has".replace(
                "expected self and source to have same dtypes but the mask", f"the mask with {count} true elements"
            )
            + f": {source.size}"
        )
    out[mask] = source.reshape(-1)[:count]
    return out


@method(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements where `mask` holds replaced, in order, by those of `source`."""
    if not isinstance(source, Tensor):
        raise not_a_tensor("masked_scatter", "source", 2, source)
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{scalar_name(input._array.dtype)} and {scalar_name(source._array.dtype)}"
        )
    return _masked_scatter(input, checked_mask("masked_scatter_", mask), source)


# ------------------------------------------------------------------------------------------------ where something holds


def _nonzero(array: Array) -> Array:
    return np.stack(array.nonzero(), 1) if array.ndim else np.zeros((int(bool(array)), 0), "int64")


@method(out=True)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero, (count, ndim); or one tensor per dimension if `as_tuple`."""
    refuse_hollow("nonzero", input)
    refuse_batch("nonzero", input)
    if as_tuple:
        return tuple([wrap(found) for found in mode.run(np.ndarray.nonzero, np.atleast_1d(input._array))])
    return wrap(mode.run(_nonzero, input._array))


@method()
@by_element
def argwhere(input: Tensor) -> Tensor:
    """``input.nonzero()``"""
    refuse_hollow("argwhere", input)
    return wrap(mode.run(_nonzero, input._array))


@method(out=True)
@by_element
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """``input.nonzero()`` truncated or filled to `size` rows."""
    refuse_hollow("nonzero_static", input)
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = mode.run(_nonzero, input._array)
    rows = np.full((size, found.shape[1]), fill_value, "int64")
    rows[: len(found)] = found[:size]
    return wrap(rows)


@function(out=True)
@by_element
def isin(elements: Operand, test_elements: Operand, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each of `elements` is among `test_elements`; one of them may be a number."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise not_a_tensor("isin", "elements", 1, elements)
    for position, (name, one) in enumerate((("elements", elements), ("test_elements", test_elements)), 1):
        if not isinstance(one, Tensor) and not is_number(one):
            raise not_a_tensor("isin", name, position, one)
    ours, theirs = [v._array if isinstance(v, Tensor) else np.asarray(v) for v in (elements, test_elements)]
    for array in (ours, theirs):
        if array.dtype.kind in "bc":
            raise RuntimeError(f"Unsupported input type encountered for isin(): {scalar_name(array.dtype)}")
    return wrap(np.isin(ours, theirs, invert=invert))


@function()
@by_element
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, one tensor per dimension of `shape`, of indices into a flattened tensor."""
    if not isinstance(indices, Tensor) or indices._array.dtype.kind not in "iu":
        raise TypeError(
            "expected 'indices' to be integer dtype, but got "
            f"{indices.dtype if isinstance(indices, Tensor) else type_name(indices)}"
        )
    sizes = tuple([operator.index(n) for n in (shape if isinstance(shape, (tuple, list)) else [shape])])
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    rest, found = indices._array.astype(np.int64), []
    for n in reversed(sizes):
        found.append(wrap(rest % n))
        rest = rest // n
    return tuple(found[::-1])


def _one_hot(array: Array, num_classes: int) -> Array:
    return (array[..., None] == np.arange(num_classes)).astype("int64")


@public("nn.functional")
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """``(*) -> (*, num_classes)``: 1 at the index given by each element, else 0. -1 means the largest element plus one."""
    array = input._array
    if array.dtype != int64.numpy:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if is_unseen(input):
        if num_classes <= 0:
            raise RuntimeError(
                "When vmap-ing torch.nn.functional.one_hot, please provide an explicit positive num_classes argument."
            )
        return (input.unsqueeze(-1) == wrap(np.arange(num_classes))).to(_dtypes.int64)
    if not array.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.zeros((*array.shape, num_classes), "int64"))
    if array.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif array.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap(mode.run(_one_hot, array, num_classes))
