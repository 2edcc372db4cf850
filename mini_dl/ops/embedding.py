"""Rows of a table by index: embedding and embedding_bag.

Two mutually adjoint primitives suffice: `_rows_at` looks rows up, `_rows_summed` adds rows up by index.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import level_of_user
from mini_dl._dtypes import FLOATING, INDEX_TYPES, Array, int64, scalar_name
from mini_dl._surface import function, public
from mini_dl.autograd.elements import by_element, one_by_one
from mini_dl.autograd.mode import mode as current  # an argument is called mode
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.kernels.blocks import as_single, in_single
from mini_dl.kernels.indexing import add_rows, taken
from mini_dl.ops.sparse import sparse_tensors
from mini_dl.tensor import Tensor, wrap, written

FEW = 96
"""Up to how many different indices rows are added by a matrix product."""
LONG_BAG = 256
"""How many rows are added one after the other at most."""


@linear_in("table")
@op(table=lambda grad, index, table_shape: _rows_summed(grad, index, table_shape[0]))
def _rows_at(table: Array, index: Array) -> Array:
    """(K, D), (*) -> (*, D)"""
    return taken(table, index, 0)


@linear_in("rows")
@op(rows=lambda grad, index: _rows_at(grad, index))
@in_single
def _rows_summed(rows: Array, index: Array, count: int) -> Array:
    """(*, D), (*) -> (count, D): the sum of the rows of each index. For few indices, a product with their one-hot matrix, which
    for more takes longer than additions do."""
    width = rows.shape[-1]
    flat, places = rows.reshape(index.size, width), index.reshape(-1)
    if count and 0 < index.size <= LONG_BAG * count and index.size % count == 0 and places[-1] == count - 1:
        bags = places.reshape(count, -1)
        if (bags == np.arange(count)[:, None]).all():  # as many for each, in order
            return np.add.reduce(flat.reshape(*bags.shape, width), 1)
    if count <= FEW and rows.dtype.kind in FLOATING and index.size >= 4 * count:
        one_hot = np.zeros((count, index.size), rows.dtype)
        one_hot[places, np.arange(index.size)] = 1
        return one_hot @ flat
    out = np.zeros((count, width), rows.dtype)
    add_rows(out, places, flat, zeros=True)
    return out


@linear_in("weight")
@op(
    weight=lambda grad, indices, padding_idx, by_frequency, weight_shape: _embedding_backward(
        grad, indices, weight_shape[0], padding_idx, by_frequency
    )
)
def _embedding(weight: Array, indices: Array, padding_idx: int, by_frequency: bool) -> Array:
    return taken(weight, indices, 0)


@op(weight=lambda grad, indices, padding_idx, weight_shape: _sparse_backward(grad, indices, padding_idx, weight_shape))
def _embedding_sparse(weight: Array, indices: Array, padding_idx: int) -> Array:
    return taken(weight, indices, 0)


def _sparse_backward(grad: Tensor, indices: Tensor, padding_idx: int, size: tuple[int, ...]) -> Tensor:
    """The rows of `grad` at their indices, without those of the padding, as an uncoalesced sparse tensor."""
    index, width = indices._array.reshape(-1), size[1]
    grad = grad.reshape(-1, width) if index.size else grad.reshape(0, width)
    if padding_idx >= 0:
        used = np.flatnonzero(index != padding_idx)
        if len(used) < len(index):
            index, grad = index[used], grad.index_select(0, wrap(used))
    return sparse_tensors().rows_of(grad, index, size)


def _embedded_rows(weight: Tensor, indices: Tensor, padding_idx: int, by_frequency: bool, sparse: bool) -> Tensor:
    if not sparse:
        return _embedding(weight, indices, padding_idx, by_frequency)
    if by_frequency and weight.requires_grad:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    return _embedding_sparse(weight, indices, padding_idx)


def _embedding_backward(grad: Tensor, indices: Tensor, count: int, padding_idx: int, by_frequency: bool) -> Tensor:
    """Rows of `grad` added up by index, except those of the padding; with `by_frequency`, their mean."""
    if is_abstract(indices):
        return _embedding_backward_abstract(grad, indices, count, padding_idx, by_frequency)
    index, width = indices._array.reshape(-1), grad._array.shape[-1]
    grad = grad.reshape(-1, width) if index.size else grad.reshape(0, width)
    factors = None
    if by_frequency and index.size:
        factors = 1 / np.bincount(index, minlength=count)[index]
    if padding_idx >= 0 and (index == padding_idx).any():
        factors = (index != padding_idx) * (1.0 if factors is None else factors)
    if factors is not None:
        grad = grad * wrap(factors.astype(grad._array.dtype)[:, None])
    return _rows_summed(grad, wrap(index), count)


def _embedding_backward_abstract(grad: Tensor, indices: Tensor, count: int, padding_idx: int, by_frequency: bool) -> Tensor:
    if by_frequency:
        return one_by_one(_embedding_backward, (grad, indices, count, padding_idx, by_frequency), {})
    if padding_idx >= 0:
        grad = grad * (indices != padding_idx).unsqueeze(-1)
    return _rows_summed(grad, indices, count)


def _check_indices(indices: Tensor, name: str) -> None:
    if indices._array.dtype not in INDEX_TYPES:
        kind = "torch." + scalar_name(indices._array.dtype) + "Tensor"
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{kind} instead (while checking arguments for {name})"
        )


@public("torch:embedding")
def _torch_embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """``out[i] = weight[indices[i]]``: rows of a table. With `sparse` the gradient of a leaf is a sparse tensor.

    Shapes: `weight` (K, D), `indices` (*) of integers -> (*, D).
    Raises: IndexError for an index that is not a row; RuntimeError unless indices are integers and `weight` a matrix.

    >>> torch.embedding(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    _check_indices(indices, "embedding")
    index = indices._array
    if index.size and not is_abstract(index) and not (index.min() >= 0 and index.max() < weight._array.shape[0]):
        raise IndexError("index out of range in self")
    return _embedded_rows(weight, indices, padding_idx, scale_grad_by_freq, sparse)


@public("nn.functional")
def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """``out[i] = weight[input[i]]``: rows of a table.

    Rows at `padding_idx` get no gradient. Rows longer than `max_norm` (in the `norm_type`-norm) are scaled down in place.
    `scale_grad_by_freq` divides the gradient of a row by how often it was used; `sparse` gives a leaf a sparse gradient.

    Shapes: `input` (*) of integers, `weight` (K, D) -> (*, D).
    Raises: IndexError for an index, AssertionError for a `padding_idx` that is not a row; RuntimeError unless indices are
    integers.
    Source: Bengio et al., A neural probabilistic language model, 2003, section 2.

    >>> torch.nn.functional.embedding(torch.tensor([1, 0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    padding = -1
    if padding_idx is not None:
        if not weight.ndim and padding_idx not in (0, -1):
            raise IndexError(f"embedding(): a weight without dimensions has no row {padding_idx}")
        count = weight._array.shape[0] if weight.ndim else 0
        if not -count <= padding_idx < max(count, 1):
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding = padding_idx % count if count else 0
    if max_norm is not None:
        embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    return _torch_embedding(weight, input, padding, scale_grad_by_freq, sparse)


@function()
def embedding_renorm_(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """``weight[i] *= max_norm / norm(weight[i], norm_type)`` for the rows `indices` that are longer than `max_norm`, in place.

    Shapes: `weight` (K, D), `indices` (*) of integers -> (K, D).
    Raises: IndexError for an index that is not a row; RuntimeError unless indices are integers.

    >>> torch.embedding_renorm_(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), torch.tensor([0, 1]), 1.0, 2.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    _check_indices(indices, "embedding_renorm_")
    array = weight._array
    used = np.unique(indices._array)
    if used.size and not (used[0] >= 0 and used[-1] < len(array)):
        raise IndexError("index out of range in self")
    norms = current.run(np.linalg.norm, as_single(array[used]), norm_type, 1)
    over = norms > max_norm
    if over.any():
        array[used[over]] *= (max_norm / (norms[over] + 1e-7))[:, None].astype(array.dtype)
        written(weight)
    return weight


# ------------------------------------------------------------------------------------------------ bags


@public("nn.functional")
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """``out[b] = sum(weight[input[i]], i)`` over the bag `b`, or the mean or maximum, by `mode`.

    A bag is a row of a matrix, or begins at an offset (`include_last_offset`: the last one ends the last bag). An empty bag
    gives zeros; `padding_idx` is ignored. `per_sample_weights` multiply the rows of a sum.

    Shapes: `input` (B, n), or (N) with `offsets` (B) -> (B, D).
    Raises: ValueError if the arguments do not match; RuntimeError for an index that is not a row.

    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> F.embedding_bag(torch.tensor([0, 1, 1]), table, offsets=torch.tensor([0, 2]))
    tensor([[2., 3.],
            [3., 4.]])
    """
    if weight._array.dtype == int64.numpy and input.dtype.is_floating_point:
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is deprecated, "
            "and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=level_of_user(),
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same shape as "
            f"the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
                f"However, found offsets of type {type(offsets)}"
            )
        if input._array.dtype.kind in "bc":
            raise NotImplementedError(f"\"arange_cpu\" not implemented for '{scalar_name(input._array.dtype)}'")
        bags, length = input._array.shape
        starts, include_last_offset = np.arange(bags) * length, False
        input = input.reshape(-1)
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    elif input.ndim == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        if offsets._array.dtype.kind not in "biu":
            _check_indices(offsets, "embedding_bag")
        starts = offsets._array.astype(np.int64)
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if max_norm is not None:
        embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}'). Please open a feature request on GitHub."
        )
    return _bags(weight, input, starts, scale_grad_by_freq, mode, per_sample_weights, include_last_offset, padding_idx, sparse)


@by_element
def _bags(
    weight: Tensor,
    indices: Tensor,
    starts: Array,
    by_frequency: bool,
    mode: str,
    per_sample_weights: Tensor | None,
    include_last_offset: bool,
    padding_idx: int | None,
    sparse: bool,
) -> Tensor:
    _check_indices(indices, "embedding_bag")
    index, count = indices._array, weight._array.shape[0]
    if len(starts) and starts[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got "
            f"{starts[0]}"
        )
    if len(starts) and starts[-1] > index.size:
        raise RuntimeError(f"offsets[-1] can not be greater than input's length {index.size} but got offsets[-1] of {starts[-1]}")
    if include_last_offset and not len(starts):
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    bad = np.flatnonzero((index < 0) | (index >= count))
    if bad.size:
        raise RuntimeError(f"Index {bad[0]} of input takes value {index[bad[0]]} which is not in the valid range [0, {count})")
    padding = -1
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise RuntimeError("padding_idx must be within the number of embeddings")
        padding = padding_idx % count
    bags = len(starts) - include_last_offset
    end = int(starts[-1]) if include_last_offset else index.size
    lengths = np.diff(np.append(starts[:bags], end))
    if (lengths < 0).any():
        raise RuntimeError(f"embedding_bag: offsets must not decrease, but got {starts.tolist()}")
    bag = np.repeat(np.arange(bags), lengths)
    used = np.arange(len(bag)) if padding < 0 else np.flatnonzero(index[: len(bag)] != padding)
    bag = bag[used]
    rows = _embedded_rows(weight, wrap(current.run(np.take, index, used)), -1, by_frequency, sparse)
    if mode == "max":
        return _bag_maximum(rows, bag, bags)
    if per_sample_weights is not None:
        if per_sample_weights._array.dtype != weight._array.dtype:
            expected, found = scalar_name(weight._array.dtype), scalar_name(per_sample_weights._array.dtype)
            raise RuntimeError(f"expected scalar type {expected} but found {found}")
        rows = rows * per_sample_weights.index_select(0, wrap(used)).unsqueeze(1)
    sums = _rows_summed(rows, wrap(bag), bags)
    if mode == "sum":
        return sums
    sizes = np.maximum(np.bincount(bag, minlength=bags), 1).astype(weight._array.dtype)
    return sums / wrap(sizes[:, None])


def _bag_maximum(rows: Tensor, bag: Array, bags: int) -> Tensor:
    """The maximum of the rows of each bag, element by element; the first of equals. Zeros for an empty bag."""
    values = rows._array
    where = np.zeros((bags, values.shape[1]), np.int64)
    for b in np.unique(bag):
        first, last = np.searchsorted(bag, [b, b + 1])
        where[b] = first + values[first:last].argmax(0)
    filled = np.bincount(bag, minlength=bags) > 0
    if not len(values):
        return wrap(np.zeros(where.shape, values.dtype))
    found: Any = rows.gather(0, wrap(where))
    return found if filled.all() else found * wrap(filled[:, None])


@public("torch:embedding_bag")
def _torch_embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """``out[b] = sum(weight[indices[i]], i)`` over the bag `b`: ``nn.functional.embedding_bag`` with `mode` 0 sum, 1 mean, 2 max.

    Shapes: `weight` (K, D), `indices` (N), `offsets` (B) -> (B, D).
    Raises: RuntimeError for an index that is not a row, or offsets that do not begin with 0.

    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> torch.embedding_bag(table, torch.tensor([0, 1, 1]), torch.tensor([0, 2]))
    tensor([[4., 6.],
            [3., 4.]])
    """
    name = ("sum", "mean", "max")[mode]
    options = per_sample_weights, include_last_offset, padding_idx, sparse
    return _bags(weight, indices, offsets._array, scale_grad_by_freq, name, *options)
