"""Sorting and selecting by order. Indices are computed without gradient, then `gather` selects the values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import refuse_batch
from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import INEXACT, Array, Ints, dtype_of_number, int64, is_number, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, function, method, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.primitive import op
from mini_dl.kernels import sorting as kernels
from mini_dl.kernels.sorting import median_of_all, middle, most_frequent, top
from mini_dl.ops.reduction import checked, no_overlap, pick, shares, spread
from mini_dl.ops.special import no_derivative
from mini_dl.tensor import Tensor, wrap


@op()
def order(input: Array, dim: int, descending: bool) -> Array:
    """The indices that sort along `dim`, with equal elements in their original order; NaN counts as largest."""
    return kernels.order(input, dim, descending)


def _sortable(name: str, input: Any, dim: Ints) -> int:
    """`dim` counted from the front, after a check that `input` can be sorted."""
    if checked(name, input)._array.dtype.kind == "c":
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    return wrap_dim(dim, input._array.ndim)


_sort, _topk = return_type("sort", "values indices"), return_type("topk", "values indices")


@method(out=True)
def sort(input: Tensor, dim: Ints = -1, descending: bool = False, *, stable: bool | None = None) -> NamedTensors:
    """The elements along `dim` in order, always stable, and their indices: ``values[k] = input[indices[k]]``; NaN counts as
    largest.

    Family: scan

    >>> torch.sort(torch.tensor([[3, 1, 2]]), descending=True)
    torch.return_types.sort(
    values=tensor([[3, 2, 1]]),
    indices=tensor([[0, 2, 1]]))
    """
    if isinstance(dim, bool):  # sort(input, stable, dim, descending) is keyword-only
        raise TypeError(f"sort(): argument 'dim' must be int, not {type_name(dim)}")
    dim = _sortable("sort", input, dim)
    indices = order(input, dim, descending)
    return _sort(input.gather(dim, indices), indices)


@method()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim`: ``input[out[k]] <= input[out[k + 1]]``

    Family: scan

    >>> torch.argsort(torch.tensor([30, 10, 20]))
    tensor([1, 2, 0])
    """
    return order(input, _sortable("argsort", input, dim), descending)


@method(out=True)
def msort(input: Tensor) -> Tensor:
    """`input` sorted along its first dimension: ``out[k] <= out[k + 1]``

    Family: elementwise
    Shapes: (n, *in) -> (n, *in).

    >>> torch.msort(torch.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0).values


@op()
def _top(input: Array, k: int, dim: int, largest: bool) -> Array:
    """The indices of the `k` largest or smallest along `dim`, in order."""
    return top(input, k, dim, largest)


@method(out=True)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> NamedTensors:
    """The `k` largest (or smallest) along `dim`, in order, and their indices: ``values[j] = input[indices[j]]``; NaN counts as
    largest.

    Shapes: (*in) -> (*in) with size k at `dim`, twice.
    Raises: RuntimeError unless ``0 <= k <= size``; IndexError for a dimension that `input` lacks.

    >>> torch.topk(torch.tensor([10, 40, 20, 30]), 2)
    torch.return_types.topk(
    values=tensor([40, 30]),
    indices=tensor([1, 3]))
    """
    x = checked("topk", input)
    if x._array.dtype.kind in "bc":
        raise RuntimeError(f"topk does not support {'bool' if x._array.dtype.kind == 'b' else 'complex'} dtypes on CPU")
    dim = wrap_dim(dim, x._array.ndim)
    if not 0 <= k <= (x._array.shape[dim] if x._array.ndim else 1):
        raise RuntimeError("selected index k out of range")
    indices = _top(x, k, dim, largest)
    return _topk(x.gather(dim, indices), indices)


# ------------------------------------------------------------------------------------------------ order statistics


_kthvalue, _mode = return_type("kthvalue", "values indices"), return_type("mode", "values indices")
_median, _nanmedian = return_type("median", "values indices"), return_type("nanmedian", "values indices")


@op()
def _kth(input: Array, k: int, dim: int) -> Array:
    """The index of the `k`-th smallest along `dim` (counted from 0), where the result has size 1."""
    if not input.ndim or not input.size:
        return np.zeros([1 if i == dim else n for i, n in enumerate(input.shape)], np.int64)
    return kernels.one_in_order(input, k, dim)


def _along(name: str, input: Tensor, dim: int, keepdim: bool, no_bool: bool = True) -> int:
    """`dim` counted from the front, after a check that it is not empty and its elements can be ordered."""
    x = checked(name, input, keepdim)._array
    if x.dtype.kind in ("bc" if no_bool else "c") and (x.ndim or "median" in name):
        raise NotImplementedError(f"\"{name.replace('nan', '')}_cpu\" not implemented for '{scalar_name(x.dtype)}'")
    dim = wrap_dim(dim, x.ndim)
    if x.ndim and x.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    return dim


@method(out=no_overlap)
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> NamedTensors:
    """The `k`-th smallest along `dim`, counted from 1, and its index: ``values = sort(input)[k - 1]``

    Family: reduction
    Raises: RuntimeError unless ``1 <= k <= size``; IndexError for a dimension that `input` lacks.

    >>> torch.kthvalue(torch.tensor([30, 10, 20]), 2)
    torch.return_types.kthvalue(
    values=tensor(20),
    indices=tensor(2))
    """
    dim = _along("kthvalue", input, dim, keepdim)
    if not 1 <= k <= (input._array.shape[dim] if input._array.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    return _kthvalue(*pick(input, dim, _kth(input, k - 1, dim), keepdim))


@op()
def _middle(input: Array, dim: int, skip_nan: bool) -> Array:
    """The index of the lower median along `dim`: if there are NaNs, that of the first, or (`skip_nan`) among the others."""
    return middle(input, dim, skip_nan)


@op(
    input=lambda grad, input, result: (
        spread(grad, input._array.shape, every(input), False) * shares(input, result, every(input), False)
    )
)
def _median_of_all(input: Array, skip_nan: bool) -> Array:
    return median_of_all(input, skip_nan)


def every(x: Tensor) -> tuple[int, ...]:
    return tuple(range(x._array.ndim))


def _median_by(name: str, result: Any, input: Tensor, dim: int | None, keepdim: bool, skip_nan: bool) -> NamedTensors:
    if dim is not None:
        dim = _along(name, input, dim, keepdim)
        return result(*pick(input, dim, _middle(input, dim, skip_nan), keepdim))
    if checked(name, input)._array.dtype.kind in "bc":
        raise NotImplementedError(f"\"median_cpu\" not implemented for '{scalar_name(input._array.dtype)}'")
    return _median_of_all(input, skip_nan)


@method(out=True)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> NamedTensors:
    """The lower median of all elements; with `dim`, also its index: ``values = sort(input)[(n - 1) // 2]``; NaN if any is NaN.

    Family: reduction

    >>> torch.median(torch.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    >>> torch.median(torch.tensor([[4.0, 1.0, 3.0]]), 1)
    torch.return_types.median(
    values=tensor([3.]),
    indices=tensor([2]))
    """
    return _median_by("median", _median, input, dim, keepdim, False)


@method(out=True)
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> NamedTensors:
    """The lower median of the n elements that are not NaN; with `dim`, also its index: ``values = sort(input)[(n - 1) // 2]``

    Family: reduction

    >>> torch.nanmedian(torch.tensor([4.0, torch.nan, 3.0, 1.0]))
    tensor(3.)
    """
    return _median_by("nanmedian", _nanmedian, input, dim, keepdim, True)


@op()
def _most_frequent(input: Array, dim: int) -> Array:
    """The last index of the most frequent element along `dim`; of several such elements, the smallest's."""
    return most_frequent(input, dim)


@method(out=True)
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> NamedTensors:
    """The most frequent element along `dim`, the smallest of several, and an index of it:
    ``values = argmax(count(input == v), v)``

    Family: reduction

    >>> torch.mode(torch.tensor([1, 2, 2, 3, 3]))
    torch.return_types.mode(
    values=tensor(2),
    indices=tensor(2))
    """
    dim = _along("mode", input, dim, keepdim, no_bool=False)
    return _mode(*pick(input, dim, _most_frequent(input, dim), keepdim))


def _quantile(
    name: str, input: Tensor, q: Tensor | float, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool
) -> Tensor:
    x = checked(name, input, keepdim)
    name = "quantile()"
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name} interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not x._array.size:
        raise RuntimeError(f"{name} input tensor must be non-empty")
    if x._array.dtype.char not in "fd":
        raise RuntimeError(f"{name} input tensor must be either float or double dtype")
    if isinstance(q, Tensor):
        if q._array.ndim > 1:
            raise RuntimeError(f"{name} q must be a scalar or 1D tensor")
        if q._array.dtype != x._array.dtype:
            raise RuntimeError(f"{name} q tensor must be same dtype as the input tensor")
        if not ((q._array >= 0) & (q._array <= 1)).all():
            raise RuntimeError(f"{name} q values must be in the range [0, 1]")
    else:
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name} q must be in the range [0, 1] but got {q:g}")
        q = wrap(np.asarray(q, x._array.dtype))
    shape = [1] * x._array.ndim
    if dim is None:
        x = x.reshape(-1)
    else:
        dim = wrap_dim(dim, x._array.ndim)
        shape = [n for i, n in enumerate(x._array.shape) if keepdim or i != dim]
        if keepdim and shape:
            shape[dim] = 1
        x = x.movedim(dim, -1) if x._array.ndim else x.reshape(1)
    if dim is None and not keepdim:
        shape = []
    x = sort(x).values
    n = x._array.shape[-1]
    missing = x.isnan().sum(-1, keepdim=True)
    ranks = q.reshape(-1)
    if skip_nan:
        ranks = ranks * (n - 1 - missing).clamp(min=0).to(x.dtype)
    else:
        ranks = (ranks * (n - 1)).expand(*x._array.shape[:-1], q._array.size).masked_fill(missing > 0, n - 1)
    if interpolation == "lower":
        ranks = ranks.floor()
    elif interpolation == "higher":
        ranks = ranks.ceil()
    elif interpolation == "nearest":
        ranks = ranks.round()
    below = ranks.detach().to(_dtypes.int64)
    out = x.gather(-1, below)
    if interpolation in ("linear", "midpoint"):
        weights = ranks - below if interpolation == "linear" else wrap(np.full_like(ranks._array, 0.5))
        out = out.lerp(x.gather(-1, ranks.detach().ceil().to(_dtypes.int64)), weights)
    return out.movedim(-1, 0).reshape([*q._array.shape, *shape])


@method(out=True)
def quantile(
    input: Tensor, q: Tensor | float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which a fraction `q` of the elements along `dim` lie: ``out = sort(input)[q * (n - 1)]``; NaN if any is
    NaN.

    Between two elements by `interpolation`: linear, lower, higher, midpoint or nearest.

    Shapes: `input` (*in), `q` a number or (k,) -> (*in) without `dim` (size 1 if `keepdim`), with a leading k.
    Raises: RuntimeError for `q` outside [0, 1], for integers, and for an empty `input`; IndexError for a dimension that it
    lacks.

    >>> torch.quantile(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([0.25, 0.5]))
    tensor([0.7500, 1.5000])
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@method(out=True)
def nanquantile(
    input: Tensor, q: Tensor | float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """`quantile` of the n elements that are not NaN: ``out = sort(input)[q * (n - 1)]``

    Family: torch.quantile

    >>> torch.nanquantile(torch.tensor([0.0, torch.nan, 2.0]), 0.5)
    tensor(1.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# ------------------------------------------------------------------------------------------------ distinct values


def _distinct(name: str, input: Tensor) -> Array:
    x = checked(name, input)._array
    if x.dtype.kind == "c":
        raise NotImplementedError(f"\"unique\" not implemented for '{scalar_name(x.dtype)}'")
    return x


def _slices(name: str, x: Array, dim: int) -> tuple[int, Array]:
    """`dim` counted from the front, and `x` as one row for each of its slices along it."""
    if not x.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, x.ndim)
    if any([n == 0 for i, n in enumerate(x.shape) if i != dim]):
        raise RuntimeError(f"There are 0 sized dimensions, and they aren't selected, so {name} cannot be applied")
    rows = np.moveaxis(x, dim, 0)
    return dim, np.ascontiguousarray(rows).reshape(len(rows), math.prod(rows.shape[1:]))


@op(input=lambda grad: no_derivative("_unique2"))
def _unique2(input: Array, at: Array) -> Array:
    return _chosen(input, at, None)


@op(input=lambda grad: no_derivative("unique_dim"))
def _unique_dim(input: Array, at: Array, dim: int) -> Array:
    return _chosen(input, at, dim)


@op(input=lambda grad: no_derivative("unique_consecutive"))
def _unique_consecutive(input: Array, at: Array, dim: int | None) -> Array:
    return _chosen(input, at, dim)


def _chosen(input: Array, at: Array, dim: int | None) -> Array:
    """The elements at these positions, or the slices along `dim`, which lie in memory one after the other."""
    return input.reshape(-1)[at] if dim is None else np.moveaxis(np.take(np.moveaxis(input, dim, 0), at, 0), 0, dim)


def _answer(
    values: Tensor, counts: Array, by_value: Array | None, shape: tuple[int, ...], return_inverse: bool, return_counts: bool
) -> Any:
    """The results, of runs of these lengths of the elements in the order `by_value`, or as they are (None)."""
    out = [values]
    if return_inverse:
        inverse = kernels.run_of_each(counts)
        if by_value is not None:
            number, inverse = inverse, np.empty(len(inverse), np.int64)
            inverse[by_value] = number
        out.append(wrap(inverse.reshape(shape)))
    if return_counts:
        out.append(wrap(counts))
    return tuple(out) if len(out) > 1 else values


@method()
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct elements in order, with `dim` the distinct slices: ``input = out[inverse]``

    On request also the position of each element among them (`return_inverse`), and the number of occurrences (`return_counts`).

    Shapes: (*in) -> (n,), or (*in) with size n at `dim`; the inverse (*in), or (size,) with `dim`; the counts (n,).
    Raises: IndexError for a dimension that `input` lacks; TypeError unless it is a tensor.

    >>> torch.unique(torch.tensor([3, 1, 3]), return_inverse=True, return_counts=True)
    (tensor([1, 3]), tensor([1, 0, 1]), tensor([1, 2]))
    """
    refuse_meta("unique", input)
    refuse_batch("_unique2" if dim is None else "unique_dim", input)
    x = _distinct("unique", input)
    if dim is None:
        rows = x.reshape(-1)
        alike = x.dtype.kind not in INEXACT  # equal elements are interchangeable, unlike zeros and NaNs
        if alike and not (return_inverse or return_counts):
            return wrap(kernels.distinct(rows))
        by_value = kernels.order(rows, 0)
        first, counts = kernels.runs(rows[by_value])
        values = _unique2(input, wrap(by_value[first]))
        return _answer(values, counts, by_value, x.shape, return_inverse, return_counts)
    dim, rows = _slices("unique", x, dim)
    by_value = np.lexsort(rows.T[::-1]) if rows.size else np.arange(len(rows))
    first, counts = kernels.runs(rows[by_value])
    values = _unique_dim(input, wrap(by_value[first]), dim)
    return _answer(values, counts, by_value, (len(rows),), return_inverse, return_counts)


@method()
def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The elements, with `dim` the slices, that differ from the one before: ``input = out[inverse]``

    On request also the run of each (`return_inverse`), and the lengths of the runs (`return_counts`).

    Family: torch.unique

    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 1]), return_counts=True)
    (tensor([1, 2, 1]), tensor([2, 1, 1]))
    """
    refuse_meta("unique_consecutive", input)
    refuse_batch("unique_consecutive", input)
    x = _distinct("unique_consecutive", input)
    if dim is None:
        rows = x.reshape(-1)
        first, counts = kernels.runs(rows)
        return _answer(_unique_consecutive(input, wrap(first), None), counts, None, x.shape, return_inverse, return_counts)
    dim, rows = _slices("unique_consecutive", x, dim)
    first, counts = kernels.runs(rows)
    return _answer(_unique_consecutive(input, wrap(first), dim), counts, None, (len(rows),), return_inverse, return_counts)


# ------------------------------------------------------------------------------------------------ searching


def _orderable(boundaries: Array, values: Array) -> None:
    """NotImplementedError for complex numbers, and if both are bools, unless there are no values."""
    kind = boundaries.dtype
    if not values.size:
        return
    if kind.kind == "c" or values.dtype.kind == "c" or (kind.kind == "b" and values.dtype.kind == "b"):
        found = kind if kind.kind in "bc" else values.dtype
        raise NotImplementedError(f"\"searchsorted_out_cpu\" not implemented for '{scalar_name(found)}'")


def _values(name: str, value: object) -> Array:
    if isinstance(value, Tensor):
        return value._array
    if not is_number(value):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type_name(value)}")
    return np.asarray(value, dtype_of_number(value))


@function(out=True)
@by_element
def searchsorted(
    sorted_sequence: Tensor, input: object, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where each element goes into its sorted sequence: ``sorted_sequence[out - 1] < input <= sorted_sequence[out]``

    With `right` or ``side="right"``, after equal elements: ``sorted_sequence[out - 1] <= input < sorted_sequence[out]``.

    Shapes: `sorted_sequence` (*, n), `input` (*, m) -> (*, m), or one sequence (n,) for any shape.
    Raises: RuntimeError if the leading dimensions differ, and if `side` contradicts `right`.

    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 4]))
    tensor([1, 2])
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 4]), right=True)
    tensor([2, 2])
    """
    refuse_meta("searchsorted", sorted_sequence)
    name = "torch.searchsorted()"
    boundaries, values = checked("searchsorted", sorted_sequence)._array, _values("searchsorted", input)
    _orderable(boundaries, values)
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name}: side and right can't be set to opposites, got side of left while right was True")
    if not boundaries.ndim:
        raise RuntimeError(f"{name}: boundaries tensor should have positive dimension, but got 0 dimension")
    if not isinstance(input, Tensor) and boundaries.ndim != 1:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor "
            f"dim({boundaries.ndim}) and input value's dim({values.ndim}) numel({values.size})"
        )
    if boundaries.ndim > 1 and boundaries.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value "
            f"tensor must match, but we got boundaries tensor {list(boundaries.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    if sorter is not None:
        at = sorter._array
        if at.shape != boundaries.shape:
            raise RuntimeError(
                f"{name}: boundary and sorter must have the same size, but got boundary tensor {list(boundaries.shape)}and got "
                f"sorter tensor {list(at.shape)}"
            )
        if at.dtype != int64.numpy:
            raise RuntimeError(f"{name}: sorter must be a tensor of long dtype but got dtype {scalar_name(at.dtype)}")
        if at.size and not (at.min() >= 0 and at.max() < at.shape[-1]):
            raise RuntimeError(f"{name}: sorter index out of range")
        boundaries = np.take_along_axis(boundaries, at, -1)
    return wrap(kernels.search(boundaries, values, right or side == "right", out_int32))


@method(out=True)
@by_element
def bucketize(input: object, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The interval of the sorted `boundaries` that contains each element: ``boundaries[out - 1] < input <= boundaries[out]``

    With `right`, ``boundaries[out - 1] <= input < boundaries[out]``.

    Shapes: `input` (*in), `boundaries` (n,) -> (*in).
    Raises: RuntimeError unless `boundaries` is a vector.

    >>> torch.bucketize(torch.tensor([1, 2, 9]), torch.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    refuse_meta("bucketize", boundaries)
    edges = checked("bucketize", boundaries)._array
    values = _values("bucketize", input)
    _orderable(edges, values)
    if edges.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({edges.ndim})")
    return wrap(kernels.search(edges, values, right, out_int32))
