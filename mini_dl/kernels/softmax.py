"""Softmax and its logarithm over rows, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mini_dl._dtypes import HALVES, Array
from mini_dl.kernels.blocks import Scratch, computed_in, in_slices, is_one_block, ones
from mini_dl.kernels.sums import row_extremes

# ------------------------------------------------------------------------------------------------ softmax


def _over_rows(kernel: Callable[..., None], arrays: Sequence[Array], beside: Sequence[Array]) -> Array:
    """Run ``kernel(out, *arrays, *beside)`` on blocks of rows, 2-d; float16 is computed in float32."""
    first = arrays[0]
    if first.dtype.char in HALVES:
        return _over_rows(kernel, [a.astype(np.float32) for a in arrays], beside).astype(first.dtype)
    n = first.shape[-1]
    out = np.empty(first.shape, first.dtype)
    if first.ndim == 2 and is_one_block(first.size):
        kernel(out, *arrays, *beside)
        return out
    rows = [np.ascontiguousarray(a).reshape(-1, n) for a in arrays] + [*beside]
    out_rows = out.reshape(-1, n)
    in_slices(lambda block: kernel(out_rows[block], *[r[block] for r in rows]), len(out_rows), n)
    return out


_SHORT = 128
"""Row length up to which a number for each row is better written out: NumPy broadcasts it through its buffer. In place it needs
room, and pays up to half of that."""
_WRITTEN_OUT = Scratch()


def by_row(ufunc: np.ufunc, x: Array, numbers: Array, out: Array) -> None:
    """``out = ufunc(x, numbers)``, with a number for each row; `out` may be `x`."""
    if x.shape[1] > (_SHORT // 2 if out is x else _SHORT):
        ufunc(x, numbers[:, None], out)
    else:
        room = _WRITTEN_OUT.of(x.shape, x.dtype) if out is x else out
        np.copyto(room, numbers[:, None])
        ufunc(x, room, out)


_LIMITS = {"f": (1e37, 1e-30), "d": (1e300, 1e-250)}
"""Sums of exponentials between these have neither overflowed nor lost precision: no maximum needs to be subtracted."""


def exponentials(out: Array, x: Array, sums: Array | None = None) -> tuple[Array, Array | None]:
    """``out = exp(x - m)`` row by row, with the row `sums` and `m`: the maximum, or None for 0 if all sums allow it."""
    np.exp(x, out)
    sums = np.dot(out, ones(x.shape[1], x.dtype), sums)
    if _are_exact(sums):
        return sums, None
    maximum = row_extremes(True, x)
    by_row(np.subtract, x, maximum, out)
    np.exp(out, out)
    return np.dot(out, ones(x.shape[1], x.dtype), sums), maximum


def _are_exact(sums: Array) -> bool:
    """Whether sums of exponentials are all within the limits. For few, `argmax` takes a third of the time of a reduction."""
    largest, smallest = _LIMITS[sums.dtype.char]
    return bool(sums[sums.argmax()] < largest and sums[sums.argmin()] > smallest)


_EXPONENTIALS = Scratch()


def log_sum_exp_rows(x: Array) -> Array:
    """(R, n) -> (R,)"""
    out = np.empty(len(x), x.dtype)

    def reduce(rows: slice) -> None:
        part = x[rows]
        powers = _EXPONENTIALS.of(part.shape, x.dtype)
        np.exp(part, powers)
        sums, largest = np.dot(powers, ones(x.shape[1], x.dtype)), None
        if not _are_exact(sums):
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
    by_row(np.divide, out, sums, out)  # not by the reciprocal: a probability of 1 is then exactly 1


def log_softmax_rows(out: Array, x: Array, powers: Array | None = None, sums: Array | None = None) -> None:
    """Given room for them, it keeps the exponentials and the sums of their rows.

    The logarithm of the sum is subtracted in two parts, its rounded value and the rest: a single subtraction would lose the
    digits of logarithms near 0."""
    sums, maximum = exponentials(out if powers is None else powers, x, sums)
    if maximum is None:
        logarithms = np.log(sums.astype(np.float64))
        maximum = logarithms.astype(x.dtype)
        logarithms -= maximum
    else:
        logarithms = np.log(sums)
    by_row(np.subtract, x, maximum, out)
    by_row(np.subtract, out, logarithms.astype(x.dtype, copy=False), out)


def softmax_backward_rows(out: Array, grad: Array, result: Array) -> None:
    by_row(np.subtract, grad, np.vecdot(grad, result), out)
    out *= result


def log_softmax_backward_rows(
    out: Array, grad: Array, result: Array, powers: Array | None = None, sums: Array | None = None
) -> None:
    factor = grad.dot(ones(grad.shape[1], grad.dtype))
    if powers is None or sums is None:
        by_row(np.multiply, np.exp(result, out), factor, out)
    else:
        by_row(np.multiply, powers, factor / sums, out)
    np.subtract(grad, out, out)


def along(kernel: Callable[..., None], dim: int, *arrays: Array, beside: Sequence[Array] = ()) -> Array:
    """Run a kernel over rows along `dim`, whose result is contiguous; `beside` are arrays of these rows, or a number for each."""
    first = arrays[0]
    if not first.size:
        return np.empty(first.shape, first.dtype)
    if first.ndim == 2 and dim == 1:
        return _over_rows(kernel, arrays, beside)
    if first.ndim < 2:
        return _over_rows(kernel, [a.reshape(1, -1) for a in arrays], beside).reshape(first.shape)
    moved = _over_rows(kernel, [np.moveaxis(a, dim, -1) for a in arrays], beside)
    return np.ascontiguousarray(np.moveaxis(moved, -1, dim))


def exponentials_of(input: Array, dim: int) -> tuple[Array, Array]:
    """Room for the exponentials of rows along `dim` (R, n) and their sums (R)"""
    n, dtype = input.shape[dim] if input.ndim else 1, computed_in(input.dtype)
    rows = input.size // max(1, n)
    return np.empty((rows, n), dtype), np.empty(rows, dtype)
