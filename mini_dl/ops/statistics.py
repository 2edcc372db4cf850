"""Covariance, histograms and counts."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import index_of, level_of_user, without_imaginary_parts
from mini_dl._dtypes import FLOATING, Array, number_as, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, function, method, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import mode
from mini_dl.kernels.sorting import search
from mini_dl.ops import complex_numbers
from mini_dl.ops.ranges import linspace
from mini_dl.ops.reduction import checked
from mini_dl.tensor import Tensor, wrap


def _weights(name: str, weights: Tensor | None, n: int, integral: bool) -> Tensor | None:
    """The checked weights of the observations."""
    if weights is None:
        return None
    w = weights._array
    if w.ndim > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {name} with {w.ndim} dimensions")
    if w.dtype.kind not in ("iu" if integral else FLOATING):
        kinds = "integral dtype" if integral else "floating point dtype"
        raise RuntimeError(f"cov(): expected {name} to have {kinds} but got {name} with {scalar_name(w.dtype)} dtype")
    if w.size != n:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got {w.size} != {n}"
        )
    if w.size and w.min() < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")
    return weights


@method()
@by_element
def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariance matrix of variables (rows) observed together (columns):
    ``out = (x - mean) @ (x - mean).T / (n - correction)``

    `fweights` are the counts of the observations, `aweights` their weights.

    Shapes: (m, n) -> (m, m), (n,) -> ().
    Raises: RuntimeError for more than two dimensions, bools, and weights that are negative or not one per observation.

    >>> torch.cov(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    x = checked("cov", input)
    if x._array.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {x._array.ndim} dimensions"
        )
    if x._array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    if x._array.ndim < 2:
        x = x.reshape(1, -1)
    n = x._array.shape[1]
    f, a = _weights("fweights", fweights, n, True), _weights("aweights", aweights, n, False)
    w: Any = f if a is None else a if f is None else f * a
    if w is None:
        total: Any = n
        norm: Any = n - correction
    else:
        total = w.sum()
        if not total._array:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        norm = total - correction if a is None or correction == 0 else total - correction * (w * a).sum() / total
    if (norm._array if isinstance(norm, Tensor) else norm) <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=level_of_user(),
        )
        norm = x.new_zeros(())
    elif not isinstance(norm, Tensor):
        norm = wrap(np.asarray(norm))
    for _ in range(2 if n else 1):  # the second pass removes the rounding error of a large mean
        x = x - ((x if w is None else x * w).sum(1, keepdim=True) / total if n else math.nan)
    weighted = x if w is None else x * w
    return ((x @ weighted.transpose(0, 1).conj()) / norm).squeeze()


@method()
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlations of variables (rows) observed together (columns):
    ``out[i, j] = cov[i, j] / sqrt(cov[i, i] * cov[j, j])``

    Shapes: (m, n) -> (m, m), (n,) -> ().
    Raises: RuntimeError for more than two dimensions.

    >>> torch.corrcoef(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if checked("corrcoef", input)._array.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input._array.ndim} dimensions"
        )
    c = cov(input)
    if not c._array.ndim:
        return c / c
    d = c.diagonal()
    deviation = (d.real if d.is_complex() else d).sqrt()
    c = c / deviation.reshape(-1, 1) / deviation.reshape(1, -1)
    if c.is_complex():
        return complex_numbers.complex(c.real.clamp(-1, 1), c.imag.clamp(-1, 1))
    return c.clamp(-1, 1)


# ------------------------------------------------------------------------------------------------ histograms


_histogram, _histogramdd = return_type("histogram", "hist bin_edges"), return_type("histogramdd", "hist bin_edges")


def _limits(name: str, x: Array, low: float, high: float, by: float) -> tuple[float, float]:
    """The range of the bins: by default that of the data, and never empty."""
    if low == high and x.size:
        low, high = x.min(), x.max()
    if low == high:
        low, high = low - by, high + by
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    return low, high


@method(out=True)
@by_element
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """The number of elements in each of `bins` equal parts of [min, max]: ``out[b] = count(edge[b] <= input < edge[b + 1])``

    If both are equal, of the data's range; the last part is closed.

    Shapes: (*in) -> (bins,).
    Raises: RuntimeError unless `bins` is positive and ``min <= max``, and for a range that is not finite.

    >>> torch.histc(torch.tensor([1.0, 2.0, 1.0, 4.0]), bins=3, min=1, max=4)
    tensor([2., 1., 1.])
    """
    x = checked("histc", input)._array.reshape(-1)
    if x.dtype.kind not in FLOATING:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{scalar_name(x.dtype)}'")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if min > max:
        raise RuntimeError("torch.histc: max must be larger than min")
    return wrap(mode.run(_in_parts, x, bins, min, max))


def _in_parts(x: Array, bins: int, min: float, max: float) -> Array:
    kind = x.dtype
    low, high = (number_as(v, kind)[()] for v in _limits("torch.histc", x, min, max, 1))
    x = x[(x >= low) & (x <= high)]
    if not np.isfinite((high - low) * kind.type(bins)):
        x, low, high = x.astype(np.float64), np.float64(low), np.float64(high)
    at = ((x - low) * x.dtype.type(bins) / (high - low)).astype(np.int64)
    return np.bincount(np.minimum(at, bins - 1), minlength=bins).astype(kind)


def _count(x: Array, edges: list[Array], weight: Array | None, density: bool) -> Array:
    """Counts of the rows (n, d) of `x` in the boxes between `edges`, the last ones closed on both sides."""
    shape = tuple([len(e) - 1 for e in edges])
    inside = np.ones(len(x), bool)
    at = np.zeros(len(x), np.int64)
    for column, e in zip(x.T, edges):
        box = search(e, column, True, False) - 1
        box[column == e[-1]] = len(e) - 2
        inside &= (column >= e[0]) & (column <= e[-1])
        at = at * (len(e) - 1) + box
    n = math.prod(shape)
    hist = np.bincount(at[inside], None if weight is None else weight.reshape(-1)[inside], n)[:n].reshape(shape).astype(x.dtype)
    if density:
        hist = hist / hist.sum()
        for i, e in enumerate(edges):
            hist = hist / np.diff(e).reshape([-1 if j == i else 1 for j in range(len(edges))])
    return hist


def _edges(x: Array, bins: Any, range: tuple[float, float] | None, i: int) -> Array:
    """The edges of `bins` equal bins, or those given."""
    if isinstance(bins, Tensor):
        if bins._array.ndim != 1:
            raise RuntimeError(
                f"torch.histogramdd(): bins tensor should have one dimension, but got {bins._array.ndim} dimensions in the bins "
                f"tensor for dimension {i}"
            )
        if bins._array.dtype != x.dtype:
            raise RuntimeError("torch.histogramdd(): input tensor and bins tensors should have the same dtype")
        if not bins._array.size:
            raise RuntimeError(f"torch.histogramdd(): bins tensor should have at least 1 element for dimension {i}")
        return bins._array
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension {i}")
    low, high = (0.0, 1.0) if range is None and not x.size else (x.min(), x.max()) if range is None else range
    if low > high:
        raise RuntimeError(f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension {i}")
    low, high = _limits(f"torch.histogramdd: dimension {i}'s", x.reshape(-1)[:0], low, high, 0.5)
    return linspace(float(low), float(high), bins + 1, dtype=_dtypes.of_numpy(x.dtype))._array


@method(out=True)
@by_element
def histogram(
    input: Tensor,
    bins: object = 100,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> NamedTensors:
    """The sum of the weights (1 by default) of the elements in each bin:
    ``hist[b] = sum(weight[i], edge[b] <= input[i] < edge[b + 1])``

    `bins` is their number over `range` (by default that of the data), or a tensor of increasing edges; the last bin is closed.
    `density` makes the integral 1.

    Shapes: `input` and `weight` (*in) -> `hist` (bins,), `bin_edges` (bins + 1,).
    Raises: RuntimeError unless `bins` is positive, edges increase, and `weight` has the shape of `input`.

    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), bins=2, range=(0.0, 4.0))
    torch.return_types.histogram(
    hist=tensor([2., 1.]),
    bin_edges=tensor([0., 2., 4.]))
    """
    refuse_meta("histogram", input)
    x = checked("histogram", input)._array
    if x.dtype.char not in "fd":
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{scalar_name(x.dtype)}'")
    if weight is not None and weight._array.shape != x.shape:
        raise RuntimeError(
            f"torch.histogramdd(): if weight tensor is provided it should have the same shape as the input tensor excluding its "
            f"innermost dimension, but got input with shape {[x.size, 1]} and weight with shape {list(weight._array.shape)}"
        )
    if weight is not None and weight._array.dtype != x.dtype:
        raise RuntimeError(
            "torch.histogramdd(): if weight tensor is provided, input tensor and weight tensor should have the same dtype, "
            f"but got input(float), and weight({scalar_name(weight._array.dtype)})"
        )
    if not isinstance(bins, Tensor):
        bins = index_of(bins, "histogram(): argument 'bins' must be Tensor or int")
    edges = _edges(x, bins, range, 0)
    hist = mode.run(_count, x.reshape(-1, 1), [edges], None if weight is None else weight._array, density)
    return _histogram(wrap(hist), bins.clone() if isinstance(bins, Tensor) else wrap(edges))


@function()
@by_element
def histogramdd(input: Tensor, bins: Any, range: Any = None, weight: Tensor | None = None, density: bool = False) -> Any:
    """A histogram in d dimensions: ``hist[a, b] = count(x[a] <= input[:, 0] < x[a + 1] and y[b] <= input[:, 1] < y[b + 1])``

    `bins` is one number of bins, or one tensor of edges, for each coordinate.

    Shapes: (*in, d) -> `hist` (bins_1, ..., bins_d), and `bin_edges`, one vector for each coordinate.
    Raises: RuntimeError unless there are bins for each of the d coordinates.

    >>> torch.histogramdd(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), bins=[2, 2]).hist
    tensor([[0., 1.],
            [1., 0.]])
    """
    refuse_meta("histogramdd", input)
    x = checked("histogramdd", input)._array
    if x.dtype.char not in "fd":
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{scalar_name(x.dtype)}'")
    if x.ndim < 2:
        raise RuntimeError(f"torch.histogramdd(): input tensor should have at least 2 dimensions, but got {x.ndim}")
    d = x.shape[-1]
    counts = list(bins) if isinstance(bins, (tuple, list)) else [index_of(bins, "histogramdd(): argument 'bins' must be int")] * d
    if len(counts) != d:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost dimension of the input.")
    if range is not None and len(range) != 2 * d:
        raise RuntimeError(
            f"torch.histogramdd(): for a {d}-dimensional histogram range should have {2 * d} elements, but got {len(range)}"
        )
    points = x.reshape(-1, d)
    edges = [
        _edges(points[:, i], counts[i], None if range is None else (range[2 * i], range[2 * i + 1]), i) for i in builtins.range(d)
    ]
    hist = mode.run(_count, points, edges, None if weight is None else weight._array, density)
    return _histogramdd(wrap(hist), tuple([b if isinstance(b, Tensor) else wrap(e) for b, e in zip(counts, edges)]))


@method()
@by_element
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs, or the sum of its `weights`: ``out[k] = sum(weights[i], input[i] == k)``

    Shapes: (n,) -> (max(input) + 1,), at least (minlength,).
    Raises: RuntimeError unless `input` is a vector of nonnegative integers, and `weights` has its shape.

    >>> torch.bincount(torch.tensor([0, 2, 2, 3]))
    tensor([1, 0, 2, 1])
    """
    refuse_meta("bincount", input)
    x = checked("bincount", input)._array
    if x.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{scalar_name(x.dtype)}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return wrap(np.bincount(x.astype(np.int64), None, minlength).astype(np.int64, copy=False))
    w = weights._array
    if not x.size:  # regardless of the weights, as in torch
        return wrap(np.zeros(minlength, np.int64))
    if w.shape != x.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    counted = np.bincount(x.astype(np.int64), without_imaginary_parts(w, np.dtype(np.float64)), minlength)
    return wrap(counted.astype(np.float32 if w.dtype == np.float32 else np.float64))
