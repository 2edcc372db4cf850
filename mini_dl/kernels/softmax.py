"""Softmax and its logarithm over rows, forward and backward.

Rows are the last dimension of their arrays: (R, n) in memory order, or (outer, inner, n), a view of an array (outer, n, inner).
Loops then run over `inner`: turning the array would take longer than the exponentials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mini_dl._dtypes import HALVES, Array
from mini_dl.kernels.blocks import (
    BLOCK,
    LONGEST,
    Scratch,
    as_single,
    computed_in,
    in_slices,
    is_one_block,
    number_of_pieces,
    ones,
    split,
)
from mini_dl.kernels.halves import cast
from mini_dl.kernels.parallel import share
from mini_dl.kernels.sums import row_extremes

# ------------------------------------------------------------------------------------------------ softmax


_SHORT = 128
"""Row length up to which a number for each row is better written out: NumPy broadcasts it through its buffer. In place it needs
room, and pays up to half of that."""
_WRITTEN_OUT = Scratch()


def by_row(ufunc: np.ufunc, x: Array, numbers: Array, out: Array) -> None:
    """``out = ufunc(x, numbers)``, with a number for each row; `out` may be `x`."""
    if x.ndim > 2 or x.shape[1] > (_SHORT // 2 if out is x else _SHORT):
        ufunc(x, numbers[..., None], out)
    else:
        room = _WRITTEN_OUT.of(x.shape, x.dtype) if out is x else out
        np.copyto(room, numbers[:, None])
        ufunc(x, room, out)


_RUN = 256
"""Numbers of one row that are added up one after the other, where loops do not run along rows."""


def row_sums(x: Array, sums: Array | None = None) -> Array:
    if x.ndim == 2:
        return np.dot(x, ones(x.shape[1], x.dtype), sums)
    n = x.shape[-1]
    if n <= _RUN:
        return np.add.reduce(x, -1, out=sums)
    return np.add.reduce([np.add.reduce(x[..., i : i + _RUN], -1) for i in range(0, n, _RUN)], 0, out=sums)


def _row_maxima(x: Array) -> Array:
    return row_extremes(True, x) if x.ndim == 2 else np.maximum.reduce(x, -1)


COST = 2
"""How many passes exponentials count for, beside the short calls of a kernel of rows."""
_LIMITS = {"f": (1e37, 1e-30), "d": (1e300, 1e-250)}
"""Sums of exponentials between these have neither overflowed nor lost precision: no maximum needs to be subtracted."""


def exponentials(out: Array, x: Array, sums: Array | None = None) -> tuple[Array, Array | None]:
    """``out = exp(x - m)`` row by row, with the row `sums` and `m`: the maximum, or None for 0 if all sums allow it."""
    np.exp(x, out)
    sums = row_sums(out, sums)
    if _are_exact(sums):
        return sums, None
    maximum = _row_maxima(x)
    by_row(np.subtract, x, maximum, out)
    np.exp(out, out)
    return row_sums(out, sums), maximum


def _are_exact(sums: Array) -> bool:
    """Whether sums of exponentials are all within the limits. For few, `argmax` takes a third of the time of a reduction."""
    largest, smallest = _LIMITS[sums.dtype.char]
    return bool(sums.item(sums.argmax()) < largest and sums.item(sums.argmin()) > smallest)


_EXPONENTIALS = Scratch()


def log_sum_exp(input: Array, dim: int) -> Array:
    """The logarithm of the sum of the exponentials along `dim`, which the result lacks."""
    x = rows_along(input, dim)
    out = np.empty(x.shape[:-1], x.dtype)

    def reduce(piece: Piece) -> None:
        part = x[piece]
        powers = _EXPONENTIALS.of(part.shape, x.dtype) if x.ndim == 2 else np.empty_like(part)
        np.exp(part, powers)
        sums, largest = row_sums(powers), None
        if not _are_exact(sums):
            largest = _row_maxima(part)
            largest[~np.isfinite(largest)] = 0
            np.exp(np.subtract(part, largest[..., None], powers), powers)
            sums = row_sums(powers)
        np.log(sums, out[piece])
        if largest is not None:
            out[piece] += largest

    over_rows(reduce, x, COST)
    return out.reshape(input.shape[:dim] + input.shape[dim + 1 :])


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
    dots = np.vecdot(grad, result) if grad.ndim == 2 else np.add.reduce(np.multiply(grad, result, out), -1)
    by_row(np.subtract, grad, dots, out)
    out *= result


def log_softmax_backward_rows(
    out: Array, grad: Array, result: Array, powers: Array | None = None, sums: Array | None = None
) -> None:
    factor = row_sums(grad)
    if powers is None or sums is None:
        by_row(np.multiply, np.exp(result, out), factor, out)
    else:
        by_row(np.divide, powers, sums, out)  # first, so that a probability of 1 is exactly 1
        by_row(np.multiply, out, factor, out)
    np.subtract(grad, out, out)


_INNER = 32
"""The length of loops from which rows in another dimension than the last are left where they are."""


def rows_along(array: Array, dim: int) -> Array:
    """The rows along `dim`: (R, n), or (outer, inner, n) if the array need not be turned for them. A view if that is possible."""
    if dim == 1 and array.ndim == 2 and array.flags.c_contiguous:
        return array
    n, inner = array.shape[dim] if array.ndim else 1, math.prod(array.shape[dim + 1 :])
    if inner < _INNER:
        return np.ascontiguousarray(np.moveaxis(array, dim, -1) if inner > 1 else array).reshape(-1, n)
    return np.ascontiguousarray(array).reshape(-1, n, inner).swapaxes(1, 2)


def from_rows(rows: Array, shape: tuple[int, ...], dim: int) -> Array:
    """The contiguous array of this `shape` whose rows along `dim` these are."""
    if rows.ndim > 2:
        return rows.swapaxes(1, 2).reshape(shape)
    if dim >= len(shape) - 1:
        return rows.reshape(shape)
    return np.ascontiguousarray(np.moveaxis(rows.reshape(*shape[:dim], *shape[dim + 1 :], shape[dim]), -1, dim))


def in_memory(rows: Array) -> Array:
    """All numbers of contiguous `rows` as they lie in memory: a view."""
    return (rows if rows.ndim == 2 else rows.swapaxes(1, 2)).reshape(-1)


def first_places(rows: Array) -> Array:
    """(M) where the first number of each of the rows (outer, inner, n) is in memory."""
    outer, inner, n = rows.shape
    return np.add.outer(np.arange(outer) * (n * inner), np.arange(inner)).reshape(-1)


Piece = slice | tuple[slice, slice]


def over_rows(work: Callable[[Piece], object], rows: Array, cost: int = 1) -> None:
    """``work(piece)`` for parts of rows (R, n) or (outer, inner, n), shared if there are many; fewer suffice if the work costs
    more."""
    if rows.ndim == 2:
        in_slices(work, len(rows), rows.shape[1], cost)
        return
    outer, inner, _ = rows.shape
    number = 1 if is_one_block(rows.size) else number_of_pieces(rows.size, rows.size * cost, BLOCK, LONGEST)
    if outer >= number:
        pieces = [(part, slice(None)) for part in split(outer, number)]
    else:
        pieces = [(slice(i, i + 1), part) for i in range(outer) for part in split(inner, -(-number // outer))]
    share(work, pieces, rows.size * cost)


def along(kernel: Callable[..., None], dim: int, *arrays: Array, beside: Sequence[Array] = (), cost: int = 1) -> Array:
    """Run ``kernel(out, *arrays, *beside)``, of this `cost`, over rows along `dim`; the result is contiguous. `beside` are rows,
    or a number for each, as `exponentials_of` lays them out. float16 is computed in float32."""
    first = arrays[0]
    if not first.size:
        return np.empty(first.shape, first.dtype)
    if first.dtype.char in HALVES:
        return cast(along(kernel, dim, *[as_single(a) for a in arrays], beside=beside, cost=cost), first.dtype)
    if first.ndim == 2 and dim == 1 and is_one_block(first.size):
        out = np.empty(first.shape, first.dtype)
        kernel(out, *arrays, *beside)
        return out
    rows = [rows_along(a, dim) for a in arrays] + [*beside]
    out = np.empty(rows[0].shape, first.dtype) if rows[0].ndim == 2 else rows_along(np.empty(first.shape, first.dtype), dim)
    over_rows(lambda piece: kernel(out[piece], *[a[piece] for a in rows]), out, cost)
    return from_rows(out, first.shape, dim)


def exponentials_of(input: Array, dim: int) -> tuple[Array, Array]:
    """Room for the exponentials of the rows along `dim`, and for the sum of each row."""
    dtype, inner = computed_in(input.dtype), math.prod(input.shape[dim + 1 :])
    n = input.shape[dim] if input.ndim else 1
    shape = (input.size // max(1, n),) if inner < _INNER else (math.prod(input.shape[:dim]), inner)
    powers = np.empty((*shape, n), dtype) if inner < _INNER else rows_along(np.empty(input.shape, dtype), dim)
    return powers, np.empty(shape, dtype)
