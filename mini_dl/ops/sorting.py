"""Sorting and choosing by order. Indices are found without gradient, then `gather` takes the values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import Array
from mini_dl._surface import method, return_type
from mini_dl.autograd.primitive import op
from mini_dl.ops.reduction import checked
from mini_dl.tensor import Tensor


@op()
def order(input: Array, dim: int, descending: bool) -> Array:
    """The indices that sort along `dim`, equal elements in their order; NaN counts as largest."""
    if not input.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(input, dim, kind="stable")
    return input.shape[dim] - 1 - np.flip(np.argsort(np.flip(input, dim), dim, kind="stable"), dim)


def _sortable(name: str, input: Any, dim: Any) -> int:
    """`dim` counted from the front, once `input` can be sorted."""
    if checked(name, input)._array.dtype.kind == "c":
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    return wrap_dim(dim, input._array.ndim)


_sort, _topk = return_type("sort", "values indices"), return_type("topk", "values indices")


@method(out=True)
def sort(input: Tensor, dim: Any = -1, descending: bool = False, *, stable: bool | None = None) -> Any:
    """``(values, indices)`` along `dim` in order, always stable; NaN counts as largest.

    >>> import mini_dl as torch
    >>> torch.tensor([3, 1, 2]).sort().indices
    tensor([1, 2, 0])
    """
    if isinstance(dim, bool):  # sort(input, stable, dim, descending) takes its arguments by name
        raise TypeError(f"sort(): argument 'dim' must be int, not {type_name(dim)}")
    dim = _sortable("sort", input, dim)
    indices = order(input, dim, descending)
    return _sort(input.gather(dim, indices), indices)


@method()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim`."""
    return order(input, _sortable("argsort", input, dim), descending)


@method(out=True)
def msort(input: Tensor) -> Tensor:
    """`input` sorted along its first dimension."""
    return sort(input, 0).values


@op()
def _top(input: Array, k: int, dim: int, largest: bool) -> Array:
    """The indices of the `k` largest or smallest along `dim`, in order."""
    if not input.ndim:
        return np.zeros((), np.int64)
    x = np.moveaxis(input, dim, -1)
    n = x.shape[-1]
    if largest:
        x = x[..., ::-1]
    if k * 8 < n:
        at = n - k if largest else k - 1
        chosen = np.argpartition(x, max(at, 0), -1)
        chosen = chosen[..., n - k :] if largest else chosen[..., :k]
        chosen.sort(-1)
        chosen = np.take_along_axis(chosen, np.argsort(np.take_along_axis(x, chosen, -1), -1, kind="stable"), -1)
    else:
        chosen = np.argsort(x, -1, kind="stable")
        chosen = chosen[..., n - k :] if largest else chosen[..., :k]
    if largest:
        chosen = n - 1 - chosen[..., ::-1]
    return np.ascontiguousarray(np.moveaxis(chosen, -1, dim))


@method(out=True)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """``(values, indices)`` of the `k` largest (or smallest) along `dim`, in order; NaN counts as largest.

    RuntimeError unless ``0 <= k <= size``.
    """
    x = checked("topk", input)
    if x._array.dtype.kind in "bc":
        raise RuntimeError(f"topk does not support {'bool' if x._array.dtype.kind == 'b' else 'complex'} dtypes on CPU")
    dim = wrap_dim(dim, x._array.ndim)
    if not 0 <= k <= (x._array.shape[dim] if x._array.ndim else 1):
        raise RuntimeError("selected index k out of range")
    indices = _top(x, k, dim, largest)
    return _topk(x.gather(dim, indices), indices)
