"""Sums, sums of squares and scans over some dimensions of arrays: by BLAS if that is faster and more accurate."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, HALVES, INEXACT, Array, Function, NumpyType
from mini_dl.kernels.blocks import BLOCK, Scratch, as_single, in_single, number_of_pieces, ones, run_of, split, spread
from mini_dl.kernels.parallel import ENOUGH, get_num_threads, share, share_calls, worth_sharing

Dims = tuple[int, ...]
IN_DOUBLE = 16384
"""Up to how many elements of float32 a variance and its mean are computed in float64."""

# ------------------------------------------------------------------------------------------------ arguments


def reduced(shape: Dims, dims: Dims, keepdim: bool) -> Dims:
    """`shape` without `dims`, or with 1 at their positions."""
    return tuple([1 if i in dims else n for i, n in enumerate(shape) if keepdim or i not in dims])


def count(shape: Dims, dims: Dims) -> int:
    """The number of elements that a reduction over `dims` combines."""
    return math.prod([shape[d] for d in dims])


# ------------------------------------------------------------------------------------------------ sums


def reduce(ufunc: np.ufunc, x: Array, dims: Dims, keepdim: bool, kind: Any = None, **more: Any) -> Array:
    """``ufunc.reduce``, whose result is compact, as in torch, for any layout of `x`."""
    out = ufunc.reduce(x, dims, kind, keepdims=keepdim, **more)
    return out if x.flags.c_contiguous or x.ndim < 3 else np.asarray(out, order="C")


def trailing(x: Array, dims: Dims) -> bool:
    """Whether `dims`, not none, are the last ones and `x` is contiguous: each sum is then over neighbors in memory."""
    return bool(dims) and x.flags.c_contiguous and builtins.min(dims) == x.ndim - len(dims)


_sum: Function = np.add.reduce


def add_up(x: Array, dims: Dims, keepdim: bool = False) -> Array:
    """The sum over `dims`: integers and bools in int64, half precision in single.

    NumPy's sum over a leading dimension loses digits with each row, and its sum over a short last one is slow. If that
    matters, take the dimensions in memory order and let BLAS multiply blocks of at most 8192 by ones: faster and more accurate.
    """
    code = x.dtype.char
    if x.size <= 256 and code in "fd" and x.flags.c_contiguous:
        if len(dims) < x.ndim or keepdim:
            return _sum(x, dims, keepdims=keepdim)
        out: Array = np.empty((), x.dtype)
        if x.size <= 4:  # in torch's order, bit for bit
            return _sum(x, dims, None, out)
        np.dot(x if x.ndim == 1 else x.reshape(-1), _FEW_ONES[code][x.size], out)
        return out
    along = trailing(x, dims)
    if along and code in "fd" and x.size > 256:
        rows = x.shape[: -len(dims)]
        return _rows(x.reshape(math.prod(rows), -1)).reshape((*rows, *(1,) * len(dims)) if keepdim else rows)
    if code in HALVES:
        return add_up(as_single(x), dims, keepdim).astype(x.dtype)
    if x.dtype.kind not in INEXACT:
        return reduce(np.add, x, dims, keepdim, np.int64)
    if not dims or x.size <= 256:
        return reduce(np.add, x, dims, keepdim)
    sizes, shape = x.shape, reduced(x.shape, dims, keepdim)
    if x.size <= 16384 and (along or x.ndim == 1 or count(sizes, dims) <= 256):
        return reduce(np.add, x, dims, keepdim)
    if code in "fd" and x.flags.c_contiguous and builtins.max(dims) < len(dims):
        return _columns(x.reshape(1, count(sizes, dims), -1)).reshape(shape)
    times = math.prod([n for d in dims if x.strides[d] == 0 and (n := x.shape[d])])  # copies of the same elements
    if times > 1:
        x = x[tuple([slice(1) if i in dims and s == 0 else slice(None) for i, s in enumerate(x.strides)])]
        return add_up(x, dims).reshape(shape) * x.dtype.type(times)
    if code in "FD":
        pairs = np.ascontiguousarray(x).view("f4" if code == "F" else "f8").reshape(*x.shape, 2)
        return add_up(pairs, dims).view(x.dtype).reshape(shape)
    order = sorted(range(x.ndim), key=lambda i: -abs(x.strides[i]))
    x = np.ascontiguousarray(_with_shorter_ends(x.transpose(order), [i in dims for i in order]))
    runs: list[list[int]] = []  # neighbors in memory that are summed, or kept, together: [size, summed]
    for i, n in zip(order, x.shape):
        if n == 1:
            continue
        if runs and runs[-1][1] == (i in dims):
            runs[-1][0] *= n
        else:
            runs.append([n, i in dims])
    inner = 1  # kept elements below the run
    for n, summed in reversed(runs):
        if not summed:
            inner *= n
        else:
            x = _rows(x.reshape(-1, n)) if inner == 1 else _columns(x.reshape(-1, n, inner))
    kept = [i for i in order if i not in dims]
    if kept != sorted(kept):
        out = x.reshape([sizes[i] for i in kept])
        x = np.ascontiguousarray(out.transpose([kept.index(i) for i in sorted(kept)]))
    return x.reshape(shape)


def _with_shorter_ends(x: Array, summed: list[bool]) -> Array:
    """`x`, or if it is not contiguous, but dimensions at its end are, and are `summed`: sums of runs along them. That spares a
    copy, as of the gradient of one of the tensors that were joined."""
    last, n = x.ndim, 1
    while last and summed[last - 1] and x.strides[last - 1] == n * x.itemsize:
        last -= 1
        n *= x.shape[last]
    run = run_of(n, 1024)
    if run < 64 or x.flags.c_contiguous:
        return x
    outer = x.shape[:last]
    sums = np.matmul(x.reshape(*outer, *([n // run] if n > run else []), run), _ONES[x.dtype.char][:run])
    return sums.reshape(*outer, *(1,) * (x.ndim - last - 1), n // run)


_ONES = {char: np.ones(8192, char) for char in "fd"}
_FEW_ONES = {char: [_ONES[char][:n] for n in range(257)] for char in "fd"}
_AHEAD = 1 << 17
"""Elements by which the caller's part of such a pass is larger: the helper begins later, and ends before the caller needs the
interpreter."""
FEW = 256
"""Up to how many elements the plainest way to find an extreme is the fastest."""
_CHEAP = 4
"""One pass of BLAS or `extremes` pays for a thread from this multiple of `ENOUGH` numbers on: more than a core's cache holds."""


def _each(reduce: Callable[..., object], x: Array, *given: object) -> Array:
    """What ``reduce(x, *given, out)`` writes, which takes each element of `x` by itself, in parts that threads share if there are
    enough numbers."""
    out = np.empty((len(x), *x.shape[2:]), x.dtype)
    if worth_sharing(x.size // _CHEAP):  # a thread finds its part in the cache the next time
        parts = split(len(x), get_num_threads(), _AHEAD * len(x) // x.size)
        share_calls(reduce, [(x[part], *given, out[part]) for part in parts])
    else:
        reduce(x, *given, out)
    return out


def _rows(x: Array) -> Array:
    """(R, n) -> (R,), run by run: in a long row, BLAS would add up the rounding errors of many numbers. NumPy adds halves."""
    rows, n = x.shape
    if rows == 1 and n <= 8192:
        return np.add.reduce(x, 1)
    longest = 1024 if rows > 1 else 256  # shorter ones of many rows take up to 1.7 times as long
    run = run_of(n, longest)
    if 32 <= run < n:
        return _rows(_rows(x.reshape(-1, run)).reshape(rows, -1))
    if n <= 8192:
        return _each(np.dot, x, _ONES[x.dtype.char][:n])
    if rows > 1:
        return _each(np.add.reduce, x, 1, None)
    whole = n - n % longest
    return _rows(x[:, :whole]) + np.add.reduce(x[:, whole:], 1)


def _columns(x: Array) -> Array:
    """(B, n, m) -> (B, m)"""
    n, m = x.shape[1:]
    one = _ONES[x.dtype.char]
    run = 256 if len(x) * n >= 2048 or x.size < _CHEAP * ENOUGH else 64  # threads share runs: a few are not enough
    if n <= 2 * run:
        return _each(lambda part, out: np.matmul(one[:n], part, out), x)
    whole = n - n % run
    out = _columns(_columns(x[:, :whole].reshape(-1, run, m)).reshape(-1, whole // run, m))
    return out if n == whole else out + np.matmul(one[: n - whole], x[:, whole:])


def add_up_squares(x: Array, dims: Dims, keepdim: bool) -> Array:
    """The sum of squares of real elements over `dims`."""
    if not x.size or not trailing(x, dims):
        return add_up(np.square(x), dims, keepdim)
    n = count(x.shape, dims)
    rows = x.reshape(-1, n)
    if n <= 8192:
        out = _each(lambda part, out: np.vecdot(part, part, out), rows)
    else:
        whole = n - n % 4096
        blocks = _each(lambda part, out: np.vecdot(part, part, out), rows[:, :whole].reshape(-1, 4096))
        out = add_up(blocks.reshape(len(rows), -1), (1,)) + np.vecdot(rows[:, whole:], rows[:, whole:])
    return out.reshape(reduced(x.shape, dims, keepdim))


# ------------------------------------------------------------------------------------------------ extremes


def extremes(largest: bool, x: Array, dims: Dims, keepdim: bool) -> Array:
    """The largest or smallest elements over `dims`.

    NumPy needs less time from row to row in `reduceat` than in `reduce`, but does not leave the interpreter to other threads
    there. In a row of up to 4096 floating point numbers, it finds the place of an extreme sooner than `reduce` finds the extreme.
    """
    ufunc = np.maximum if largest else np.minimum
    if x.size <= FEW or x.dtype.char in HALVES or not trailing(x, dims):
        return reduce(ufunc, x, dims, keepdim)
    n = count(x.shape, dims)
    if x.size < _CHEAP * ENOUGH:
        return ufunc.reduceat(x.reshape(-1), np.arange(0, x.size, n)).reshape(reduced(x.shape, dims, keepdim))
    if x.dtype.char not in "fd" or not 1 < n <= 4096:
        return reduce(ufunc, x, dims, keepdim)
    found = _each(lambda part, out: np.copyto(out, row_extremes(largest, part)), x.reshape(-1, n))
    return found.reshape(reduced(x.shape, dims, keepdim))


def row_extremes(largest: bool, rows: Array) -> Array:
    """(R, n) -> (R,)"""
    return rows[np.arange(len(rows)), rows.argmax(1) if largest else rows.argmin(1)]


WIDE, _LONG_RUN = 1 << 11, 16
"""Rows side by side, and neighbors in memory among them, from which `places_of_extremes` looks at all rows together."""


def places_of_extremes(largest: bool, x: Array, dim: int | None, keepdim: bool) -> Array:
    """Where the first of the largest or smallest elements, or of those that are NaN, are along `dim`, or among all.

    Along another dimension than the last, NumPy would turn the array first."""
    search = np.argmax if largest else np.argmin
    if dim is None or x.size < WIDE * x.shape[dim] or x.dtype.char in HALVES or not x.flags.c_contiguous:
        return np.asarray(search(x, dim, keepdims=keepdim), np.int64)
    inner = math.prod(x.shape[dim + 1 :])
    if inner < _LONG_RUN:
        return np.asarray(search(x, dim, keepdims=keepdim), np.int64)
    rows = x.reshape(-1, x.shape[dim], inner)
    out = np.empty((len(rows), inner), np.int64)

    def find(piece: tuple[slice, slice]) -> None:
        part = rows[piece[0], :, piece[1]]
        best = (np.maximum if largest else np.minimum).reduce(part, 1)
        if x.dtype.kind in FLOATING and np.isnan(best).any():
            out[piece] = search(part, 1)
        else:
            out[piece] = _first_equal(part, best)

    number = get_num_threads() if worth_sharing(x.size) else 1  # few parts: there are three calls for each row
    by_inner = len(rows) < number
    pieces = [
        (slice(None), part) if by_inner else (part, slice(None)) for part in split(inner if by_inner else len(rows), number)
    ]
    share(find, pieces, x.size)
    return out.reshape(reduced(x.shape, (dim,), keepdim))


def _first_equal(rows: Array, numbers: Array) -> Array:
    """How many of ``rows[:, i]``, (B, n, m), come before the first that is equal to its number (B, m)."""
    waiting, differs = np.ones(numbers.shape, np.bool_), np.empty(numbers.shape, np.bool_)
    places, count = np.zeros(numbers.shape, np.int64), np.zeros(numbers.shape, np.uint8)
    for i in range(rows.shape[1] - 1):
        np.not_equal(rows[:, i], numbers, differs)
        np.logical_and(waiting, differs, waiting)
        np.add(count, waiting.view(np.uint8), count)
        if i % 255 == 254:
            places += count
            count.fill(0)
    places += count
    return places


HALVED = 1 << 13
"""Elements from which a product combines halves of rows: NumPy multiplies the numbers of a row one by one."""


def product(x: Array, dims: Dims, keepdim: bool) -> Array:
    """The product over `dims`: integers and bools in int64."""
    if x.size <= HALVED or x.dtype.char not in "fd" or not trailing(x, dims):
        return reduce(np.multiply, x, dims, keepdim, x.dtype if x.dtype.kind in INEXACT else np.int64)
    shape, rows = reduced(x.shape, dims, keepdim), x.reshape(-1, count(x.shape, dims))
    while (n := rows.shape[1]) >= HALVED // len(rows) and n > 64:
        half = n // 2
        halves = spread(np.multiply, rows[:, :half], rows[:, half : 2 * half])
        if n % 2:
            halves[:, 0] *= rows[:, -1]
        rows = halves
    return np.multiply.reduce(rows, 1).reshape(shape)


# ------------------------------------------------------------------------------------------------ variance


@in_single
def squares(x: Array, dims: Dims, keepdim: bool, divisor: float) -> Array:
    """The sum of squared distances from the mean, divided by `divisor`; half precision in single."""
    return _squares(x, dims, keepdim, divisor).astype(x.real.dtype, copy=False)


def _squares(x: Array, dims: Dims, keepdim: bool, divisor: float) -> Array:
    """`squares`, in double where they were added so."""
    n = count(x.shape, dims)
    if x.dtype.char == "f" and x.size <= IN_DOUBLE:  # in double, so that the mean of equal elements is exactly their value
        return _squares_in_double(x, dims, keepdim, divisor)
    mean = add_up(x, dims, True) / x.dtype.type(n)
    apart = x - mean
    total = add_up_sizes(apart, dims)
    if not (np.square(np.absolute(mean)) * x.dtype.type(n) <= 100 * total).all():  # the rounding of the mean matters
        apart -= add_up(apart, dims, True) / x.dtype.type(n)
        total = add_up_sizes(apart, dims)
    if x.dtype.char == "f" and not ((total > _LEAST) & np.isfinite(total)).all() and not _equal(apart, total):
        return _squares_in_double(x, dims, keepdim, divisor)
    return np.divide(total, total.dtype.type(divisor)).reshape(reduced(x.shape, dims, keepdim))


_LEAST = 1e-30
"""Where squares in single precision begin to lose digits."""


def _equal(apart: Array, total: Array) -> bool:
    """Whether the elements are equal wherever the `total` of their squares is out of range."""
    within = (total > _LEAST) & np.isfinite(total)
    return not np.where(within, 0, apart).any()


def _squares_in_double(x: Array, dims: Dims, keepdim: bool, divisor: float) -> Array:
    apart = x.astype(np.float64)
    apart -= reduce(np.add, apart, dims, True) / count(x.shape, dims)
    return np.divide(add_up_squares(apart, dims, keepdim), divisor)


def add_up_sizes(x: Array, dims: Dims) -> Array:
    """The sum of squared absolute values over `dims`, which become 1."""
    if x.dtype.kind == "c":
        return add_up_squares(x.real, dims, True) + add_up_squares(x.imag, dims, True)
    return add_up_squares(x, dims, True)


def near_mean(input: Array, dims: Dims, keepdim: bool) -> Array:
    """The mean, corrected by the mean of the distances from it, or in double: exact up to the last rounding."""
    x = as_single(input)
    if x.dtype.char == "f" and x.size <= IN_DOUBLE:
        total = reduce(np.add, x.astype(np.float64), dims, keepdim)
        return np.divide(total, count(x.shape, dims)).astype(input.dtype)
    n = x.dtype.type(count(x.shape, dims))
    mean = add_up(x, dims, True) / n
    rest = add_up(x - mean, dims, True) / n
    mean += np.where(np.isfinite(rest), rest, 0)  # an infinite mean is unchanged
    return mean.reshape(reduced(x.shape, dims, keepdim)).astype(input.dtype, copy=False)


@in_single
def std_array(input: Array, dims: Dims, keepdim: bool, divisor: float) -> Array:
    return np.sqrt(_squares(input, dims, keepdim, divisor)).astype(input.real.dtype, copy=False)


WIDER = {"e": np.float32, "E": np.float32, "f": np.float64, "F": np.complex128}
"""The type in which long chains of additions and products are accumulated."""


def accumulate(ufunc: np.ufunc, x: Array, dim: int, reverse: bool) -> Array:
    """Running totals along `dim`, kept in a wider type; integers and bools in int64."""
    if not x.ndim:
        return accumulate(ufunc, x.reshape(1), 0, reverse).reshape(())
    inexact = x.dtype.kind in INEXACT
    kind = np.dtype(WIDER.get(x.dtype.char, x.dtype) if inexact else np.int64)
    out = np.empty(x.shape, x.dtype if inexact else kind)
    source, target = (np.flip(x, dim), np.flip(out, dim)) if reverse else (x, out)
    n = x.shape[dim]
    if x.ndim == 1:
        source, target, dim = source[None], target[None], 1
    if dim < source.ndim - 1 and x.size < MANY_TOTALS * n:
        target[...] = ufunc.accumulate(source.astype(kind), dim)
    elif dim == source.ndim - 1:

        def along_rows(rows: slice) -> None:
            by_runs = x.size and ufunc is np.multiply and kind.char == "d"
            if by_runs and running(ufunc, source[rows].reshape(-1, n), target[rows].reshape(-1, n), kind):
                return
            totals = running_sums(source[rows]) if ufunc is np.add and kind.char == "d" else None
            if totals is None:
                totals = source[rows].astype(kind)
                ufunc.accumulate(totals, dim, None, totals)
            target[rows] = totals

        share(along_rows, split(len(source), number_of_pieces(x.size, x.size, BLOCK, 2 * BLOCK)), x.size)
    elif n:
        source, target = np.moveaxis(source, dim, 0), np.moveaxis(target, dim, 0)
        width = x.size // n
        for part in split(source.shape[1], min(-(-x.size // BLOCK), width // SIDE_BY_SIDE)):
            totals = target[:, part] if kind == x.dtype else np.empty(source[:, part].shape, kind)
            np.copyto(totals, source[:, part])
            for before, now in itertools.pairwise(totals):
                ufunc(before, now, now)
            if kind != x.dtype:
                target[:, part] = totals
    return out


_SIDE = 8
"""Numbers in a run of `running`."""
_WITHIN = 1e250
"""Products of runs up to here, and down to the inverse, can be multiplied in any order."""


def running(ufunc: np.ufunc, x: Array, out: Array, kind: NumpyType) -> bool:
    """``ufunc.accumulate(x, 1)``, computed in type `kind`, for rows (R, n); False, with nothing done, if that does not pay.

    NumPy takes one number at a time, waits for it, and keeps the interpreter. Here runs of 8 lie side by side: what precedes a
    run is combined with its first number, then all first numbers with all second ones, and so on.
    """
    rows, n = x.shape
    if n < 64 or x.size < 4096:
        return False
    whole = n // _SIDE
    end = whole * _SIDE
    wide = _WIDE.of((_SIDE, rows, -(-n // _SIDE)), kind)
    np.copyto(wide[:, :, :whole], x[:, :end].reshape(rows, whole, _SIDE).transpose(2, 0, 1))
    if end < n:
        wide[:, :, whole] = 1
        wide[: n - end, :, whole] = x[:, end:].T
    totals = ufunc.reduce(wide, 0)
    if ufunc is np.multiply:
        sizes = np.absolute(totals)
        if not (sizes.max() < _WITHIN and sizes.min() > 1 / _WITHIN):
            return False
    ufunc.accumulate(totals, 1, None, totals)
    ufunc(totals[:, :-1], wide[0, :, 1:], out=wide[0, :, 1:])
    for before, now in itertools.pairwise(wide.reshape(_SIDE, -1)):
        ufunc(before, now, out=now)
    np.copyto(out[:, :end].reshape(rows, whole, _SIDE), wide[:, :, :whole].transpose(1, 2, 0), "same_kind")
    if end < n:
        out[:, end:] = wide[: n - end, :, whole].T
    return True


_RUN = 16
"""Numbers in a run of `running_sums`."""
_UPPER = np.triu(np.ones((_RUN, _RUN)))
_WIDE, _SUMS = Scratch(), Scratch()


def running_sums(x: Array) -> Array | None:
    """Running sums along the last dimension in float64, or None if that does not pay, or a sum is not finite.

    NumPy adds one number at a time. Here, the sums of runs are summed first, each is added to the number after its run, and a
    product with a triangular matrix of ones sums within the runs.
    """
    n = x.shape[-1]
    if n < 64 or x.size < 1024:
        return None
    padded = -(-n // _RUN) * _RUN
    wide = _WIDE.of((x.size // n, padded), _UPPER.dtype)
    wide[:, n:] = 0
    wide.reshape(*x.shape[:-1], padded)[..., :n] = x
    runs = wide.reshape(-1, _RUN)  # of all rows: one product takes 0.65 of the time of one for each
    totals = (runs @ ones(_RUN, _UPPER.dtype)).reshape(len(wide), -1)
    np.add.accumulate(totals, 1, None, totals)
    if not np.isfinite(totals[:, -1]).all():
        return None
    runs.reshape(*totals.shape, _RUN)[:, 1:, 0] += totals[:, :-1]
    sums = np.matmul(runs, _UPPER, _SUMS.of(runs.shape, _UPPER.dtype))
    return sums.reshape(*x.shape[:-1], padded)[..., :n]


MANY_TOTALS, SIDE_BY_SIDE = 128, 1024
"""Totals side by side from which one call for all of them, step by step, is faster than a call for each; and of how many a step
consists at least, where there are more."""


# ------------------------------------------------------------------------------------------------ logcumsumexp


def log_cumulative_sum(input: Array, dim: int) -> Array:
    if not input.ndim:
        return input.copy()
    if input.dtype.kind != "c":
        return accumulate(np.logaddexp, input, dim, False)
    out = input.astype(np.complex128)
    along = np.moveaxis(out, dim, 0)
    for k in range(1, len(along)):
        along[k] = _log_add(along[k - 1], along[k])
    return out.astype(input.dtype)


def _log_add(x: Array, y: Array) -> Array:
    """``log(exp(x) + exp(y))`` of complex numbers, with the phase of the larger one continued."""
    swap = x.real > y.real
    low, high = np.where(swap, y, x), np.where(swap, x, y)
    out = high + np.log1p(np.exp(low - high))
    endless = ~np.isfinite(high.real) & (low.real == high.real)
    return np.where(endless, np.where(high.real < 0, low, np.log(np.exp(low) + np.exp(high))), out)
