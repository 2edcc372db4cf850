"""Softmax and its logarithm over rows, forward and backward."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mini_dl._dtypes import HALVES, Array
from mini_dl.kernels.blocks import Scratch, in_slices, is_one_block, ones
from mini_dl.kernels.sums import row_extremes

# ------------------------------------------------------------------------------------------------ softmax


def _over_rows(kernel: Callable[..., None], *arrays: Array) -> Array:
    """Run ``kernel(out, *arrays)`` on blocks of rows, 2-d; float16 is computed in float32."""
    first = arrays[0]
    if first.dtype.char in HALVES:
        return _over_rows(kernel, *[a.astype(np.float32) for a in arrays]).astype(first.dtype)
    n = first.shape[-1]
    out = np.empty(first.shape, first.dtype)
    if first.ndim == 2 and is_one_block(first.size):
        kernel(out, *arrays)
        return out
    rows = [np.ascontiguousarray(a).reshape(-1, n) for a in arrays]
    out_rows = out.reshape(-1, n)
    in_slices(lambda block: kernel(out_rows[block], *[r[block] for r in rows]), len(out_rows), n)
    return out


_SHORT = 128
"""Row length up to which a number for each row is better written out: NumPy broadcasts it through its buffer."""


def _subtract(out: Array, x: Array, numbers: Array) -> None:
    """``out = x - numbers``, with a number for each row; `out` is another array than `x`."""
    if x.shape[1] > _SHORT:
        np.subtract(x, numbers[:, None], out)
    else:
        np.copyto(out, numbers[:, None])
        np.subtract(x, out, out)


_LIMITS = {"f": (1e37, 1e-30), "d": (1e300, 1e-250)}
"""Sums of exponentials between these have neither overflowed nor lost precision: no maximum needs to be subtracted."""


def exponentials(out: Array, x: Array) -> tuple[Array, Array | None]:
    """``out = exp(x - m)`` row by row, with the row sums and `m`: the maximum, or None for 0 if all sums allow it."""
    n = x.shape[1]
    sums = _unshifted(out, x)
    if sums is not None:
        return sums, None
    maximum = row_extremes(True, x)
    _subtract(out, x, maximum)
    np.exp(out, out)
    return out.dot(ones(n, x.dtype)), maximum


def _unshifted(out: Array, x: Array) -> Array | None:
    """``out = exp(x)``, and its row sums, or None if one is not within the limits."""
    np.exp(x, out)
    sums = out.dot(ones(x.shape[1], x.dtype))
    largest, smallest = _LIMITS[x.dtype.char]
    return sums if np.maximum.reduce(sums) < largest and np.minimum.reduce(sums) > smallest else None


_EXPONENTIALS = Scratch()


def log_sum_exp_rows(x: Array) -> Array:
    """(R, n) -> (R,)"""
    out = np.empty(len(x), x.dtype)

    def reduce(rows: slice) -> None:
        part = x[rows]
        powers = _EXPONENTIALS.of(part.shape, x.dtype)
        sums, largest = _unshifted(powers, part), None
        if sums is None:
            largest = row_extremes(True, part)
            largest[~np.isfinite(largest)] = 0
            np.exp(np.subtract(part, largest[:, None], powers), powers)
            sums = powers @ ones(x.shape[1], x.dtype)
        np.log(sums, out[rows])
        if largest is not None:
            out[rows] += largest

    in_slices(reduce, len(x), x.shape[1])
    return out


def softmax_rows(out: Array, x: Array) -> None:
    sums, _ = exponentials(out, x)
    out /= sums[:, None]  # not by the reciprocal: a probability of 1 is then exactly 1


def log_softmax_rows(out: Array, x: Array) -> None:
    """The logarithm of the sum is subtracted in two parts, its rounded value and the rest: a single subtraction would lose the
    digits of logarithms near 0."""
    sums, maximum = exponentials(out, x)
    if maximum is None:
        logarithms = np.log(sums.astype(np.float64))
        maximum = logarithms.astype(x.dtype)
        logarithms -= maximum
    else:
        logarithms = np.log(sums)
    _subtract(out, x, maximum)
    out -= logarithms.astype(x.dtype, copy=False)[:, None]


def softmax_backward_rows(out: Array, grad: Array, result: Array) -> None:
    _subtract(out, grad, np.vecdot(grad, result))
    out *= result


def log_softmax_backward_rows(out: Array, grad: Array, result: Array) -> None:
    np.exp(result, out)
    out *= grad.dot(ones(grad.shape[1], grad.dtype))[:, None]
    np.subtract(grad, out, out)


def along(kernel: Callable[..., None], dim: int, *arrays: Array) -> Array:
    """Run a kernel over rows along `dim`, whose result is contiguous."""
    first = arrays[0]
    if not first.size:
        return np.empty(first.shape, first.dtype)
    if first.ndim < 2 or dim == first.ndim - 1:
        return (
            _over_rows(kernel, *[a.reshape(-1) for a in arrays]).reshape(first.shape)
            if first.ndim < 2
            else _over_rows(kernel, *arrays)
        )
    return np.ascontiguousarray(np.moveaxis(_over_rows(kernel, *[np.moveaxis(a, dim, -1) for a in arrays]), -1, dim))
