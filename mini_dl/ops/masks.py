"""Selecting by mask, and finding where a condition holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract, refuse_batch
from mini_dl._checks import broadcast_shapes, type_name
from mini_dl._dtypes import Array, int64, is_number, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import function, method, public
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.inplace import room_of, spares_copy
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import linear_in, not_a_tensor, op
from mini_dl.kernels.blocks import choose
from mini_dl.kernels.indexing import fill_where
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
    shape = input.shape if input.shape == mask.shape else broadcast_shapes(input.shape, mask.shape)
    if room_of(input) is not None and input.shape == mask.shape:
        fill_where(input, mask, value)
        return input
    if input.shape == shape and mask.size <= input.size // 4 and input.itemsize in (4, 8):
        return np.asarray(_filled(input, mask, value), order="C")
    if input.dtype.kind != "c":
        out = choose(mask if mask.shape == shape else np.broadcast_to(mask, shape), value, input)
        return np.asarray(out, order="C")
    out = np.array(np.broadcast_to(input, shape), order="C")
    np.copyto(out, value, where=mask)
    return out


def _filled(input: Array, mask: Array, value: Array) -> Array:
    """`_masked_fill` by a mask that repeats: its bits are made once, and one pass or two go over the input."""
    bits = np.dtype(f"i{input.itemsize}")
    covered, number = np.negative(mask.astype(bits)), value.reshape(1).view(bits)
    out = np.bitwise_and(input.view(bits), np.invert(covered))
    if number[0]:
        out |= covered & number
    return out.view(input.dtype)


@method(inplace=True)
@spares_copy
def masked_fill(input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """One value where `mask` holds: ``out = value if mask else input``

    Shapes: `input` and `mask` are broadcast, `value` is a number or () -> their common shape.
    Raises: RuntimeError unless `mask` is of bools, and for a `value` with dimensions.

    >>> torch.masked_fill(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True]), 0.0)
    tensor([0., 2., 0.])
    """
    return _masked_fill(input, checked_mask("masked_fill", mask), one_value("masked_fill_", input, value))


@linear_in("input")
@op(input=lambda grad, input_shape, mask: _masked_scatter(zeros_as(grad, broadcast_shapes(input_shape, mask.shape)), mask, grad))
def _masked_select(input: Array, mask: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    return np.broadcast_to(input, shape)[np.broadcast_to(mask, shape)]


@method(out=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where `mask` holds, in order: ``out = input[mask]``

    Shapes: `input` and `mask` are broadcast -> (count,).
    Raises: RuntimeError unless `mask` is of bools, and if the shapes do not broadcast.

    >>> torch.masked_select(torch.tensor([1, 2, 3]), torch.tensor([True, False, True]))
    tensor([1, 3])
    """
    refuse_meta("masked_select", input)
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
    """The elements where `mask` holds replaced, in order, by those of `source`: ``out[mask][k] = source.flatten()[k]``

    Shapes: `input` and `mask` are broadcast, `source` has at least as many elements as are replaced -> their common
    shape.
    Raises: RuntimeError unless `mask` is of bools and `source` is long enough and of the dtype of `input`.

    >>> torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([5.0, 6.0]))
    tensor([5., 0., 6.])
    """
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{scalar_name(input._array.dtype)} and {scalar_name(source._array.dtype)}"
        )
    return _masked_scatter(input, checked_mask("masked_scatter_", mask), source)


# ------------------------------------------------------------------------------------------------ where a condition holds


def _nonzero(array: Array) -> Array:
    """(count, n), each column in one piece of memory."""
    return np.stack(array.nonzero()).T if array.ndim else np.zeros((int(bool(array)), 0), "int64")


@method(out=True)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the nonzero elements, in order: ``input[out[k]] != 0``

    Shapes: (*in) of n dimensions -> (count, n), or n vectors (count,) if `as_tuple`.
    Raises: TypeError unless `input` is a tensor.

    >>> torch.nonzero(torch.tensor([[0, 5], [7, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    refuse_meta("nonzero", input)
    refuse_batch("nonzero", input)
    if as_tuple:
        return wrap(mode.run(_nonzero, np.atleast_1d(input._array))).unbind(1)
    return wrap(mode.run(_nonzero, input._array))


@method()
@by_element
def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, in order: ``out = input.nonzero()``

    Shapes: (*in) of n dimensions -> (count, n).
    Raises: TypeError unless `input` is a tensor.

    >>> torch.argwhere(torch.tensor([0, 5, 7]))
    tensor([[1],
            [2]])
    """
    refuse_meta("argwhere", input)
    return wrap(mode.run(_nonzero, input._array))


@method(out=True)
@by_element
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """`nonzero` with a fixed length, truncated or padded: ``out[k] = nonzero(input)[k] if k < count else fill_value``

    Shapes: (*in) of n dimensions -> (size, n).
    Raises: RuntimeError for a negative `size`.

    >>> torch.nonzero_static(torch.tensor([0, 5, 7]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    refuse_meta("nonzero_static", input)
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = mode.run(_nonzero, input._array)
    rows = np.full((size, found.shape[1]), fill_value, "int64")
    rows[: len(found)] = found[:size]
    return wrap(rows)


@function(out=True)
@by_element
def isin(elements: Operand, test_elements: Operand, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each of `elements` is among `test_elements`, of which one may be a number:
    ``out[i] = any(elements[i] == test_elements)``

    Shapes: (*in) and any -> (*in), of bools.
    Raises: RuntimeError for dtypes without an order; TypeError if both are numbers.

    >>> torch.isin(torch.tensor([1, 2, 3]), torch.tensor([3, 1]))
    tensor([ True, False,  True])
    """
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
    """The coordinates of positions in a flattened tensor: ``indices = out[0] * shape[1] + out[1]``

    Shapes: (*in) -> one (*in) for each dimension of `shape`.
    Raises: ValueError for a negative size; TypeError unless `indices` is of integers.

    >>> torch.unravel_index(torch.tensor([4, 5]), (2, 3))
    (tensor([1, 1]), tensor([1, 2]))
    """
    if not isinstance(indices, Tensor) or indices._array.dtype.kind not in "iu":
        raise TypeError(
            "expected 'indices' to be integer dtype, but got "
            f"{indices.dtype if isinstance(indices, Tensor) else type_name(indices)}"
        )
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    for n in sizes:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
    if 0 in sizes and indices._array.size:
        raise RuntimeError(f"unravel_index: a tensor of shape {sizes} has no elements to find")
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
    """``out[i, c] = 1 if input[i] == c else 0``, with as many classes as the largest element needs unless `num_classes` is given.

    Shapes: (*) of int64 -> (*, num_classes).
    Raises: RuntimeError for other types, negative elements, and elements that are not below `num_classes`.

    >>> F.one_hot(torch.tensor([0, 2, 1]))
    tensor([[1, 0, 0],
            [0, 0, 1],
            [0, 1, 0]])
    """
    array = input._array
    if array.dtype != int64.numpy:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if is_abstract(input):
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
    elif array.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap(mode.run(_one_hot, array, num_classes))
