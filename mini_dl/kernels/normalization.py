"""Normalization of rows (M, n) and of channels (N, C, L), forward and back."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, Function, Index
from mini_dl.kernels.blocks import (
    BLOCK,
    LONGEST,
    LONGEST_RUN,
    Scratch,
    as_single,
    computed_in,
    in_slices,
    is_one_block,
    number_of_pieces,
    ones,
    real_floating,
    run_of,
    slices,
    split,
    total_of,
)
from mini_dl.kernels.halves import cast
from mini_dl.kernels.parallel import share

_FAR = 2.0
"""From ``mean ** 2 > 2 var`` on, ``E[x ** 2] - mean ** 2`` loses too much: the rounded mean is subtracted from the data first.
The rounding error, many deviations if the mean is large, is then measured and subtracted as well."""
_FAR_CHANNEL = 8.0
"""The same for channels: after a ReLU, one in 25 has a mean beyond 2, and moving it takes as long as normalizing all others."""
_MANY = 64
"""Numbers of a channel from which the sum of their squares needs no mean: of fewer, many more have a mean far from zero."""
_RUN = 1024
"""How many numbers are added in one run; the sums of the runs are added one by one. Errors grow with the length of a run."""

_SHORT_ROW = 256
"""Row length below which NumPy takes three times as long for an operand that it broadcasts to rows. Such operands are written
out by a matrix product with an inner dimension of 1 or 2, as fast as a copy."""
_FEW = 4096
"""Numbers up to which that does not repay the calls."""
_SHORT_CHANNEL = 512
"""Row length below which a number for each channel is written out for the images to share."""
_SHORTEST = 32
"""Row length below which sums go over the samples first."""
_PRODUCTS = Scratch()


def _working(array: Array | None, like: Array) -> Array | None:
    """`array`, contiguous, in the type to compute in: float32 for float16."""
    if array is None:
        return None
    return np.ascontiguousarray(array, computed_in(like.dtype))


# ------------------------------------------------------------------------------------------------ rows


def _rows(x: Array) -> Array:
    """(*, n) -> (M, n), contiguous, in the type to compute in."""
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return np.ascontiguousarray(rows, computed_in(x.dtype))


_all: Function = np.logical_and.reduce  # of short arrays, faster than their method


def _row_sums(x: Array, y: Array | None = None, out: Array | None = None) -> Array:
    """(R, n) -> sums of x, or of x * y, in their type: (R,)"""
    n = x.shape[1]
    if n <= _RUN:
        return np.dot(x, ones(n, x.dtype), out) if y is None else np.vecdot(x, y, out)
    run = run_of(n, _RUN)
    if run >= _SHORT_ROW:
        runs = _row_sums(x.reshape(-1, run), None if y is None else y.reshape(-1, run))
        return np.add.reduce(runs.reshape(len(x), -1), 1, out=out)
    total = np.empty(len(x), x.dtype) if out is None else out
    total[...] = 0
    for i in range(0, n, _RUN):
        total += _row_sums(x[:, i : i + _RUN], None if y is None else y[:, i : i + _RUN])
    return total


def _is_near(shift: Array) -> bool:
    """Whether no mean, in deviations, is far from 0."""
    return shift.dot(shift) <= _FAR or _all(shift * shift <= _FAR)


def _written_out(x: Array) -> bool:
    """Whether what is broadcast to (R, n) is better written out."""
    return x.shape[1] < _SHORT_ROW and x.size > _FEW


def row_norm(input: Array, weight: Array | None, bias: Array | None, eps: float, center: bool) -> tuple[Array, Array]:
    """(*, n), (n), (n) -> (*, n), and ``1 / sqrt(var + eps)`` and the mean of the M rows (2, M); without `center`, of the mean
    square and 0"""
    real_floating(input, "LayerNormKernelImpl" if center else "rms_norm")
    x, w, b = _rows(input), _working(weight, input), _working(bias, input)
    m, n = x.shape
    out, all_numbers = np.empty_like(x), np.empty((4, m), x.dtype)
    count, small = np.array(n, x.dtype), np.array(eps, x.dtype)
    if not center:
        all_numbers[1] = 0
    written_out = _written_out(x)
    if written_out:
        all_numbers[3] = 1
        right = np.empty((2, n), x.dtype)
        right[0] = 1 if w is None else w
        right[1] = 0 if b is None else np.negative(b)

    def measure(part: Array, moments: Array, shift: Array) -> bool:
        """`moments` are ``1 / sqrt(var + eps)`` and the mean, `shift` their product. Whether the mean is near 0."""
        scale, average = moments[0], moments[1]
        _row_sums(part, part, scale)
        if center:
            _row_sums(part, None, average)
            np.divide(moments, count, moments)
            np.subtract(scale, np.multiply(average, average, shift), scale)
        else:
            np.divide(scale, count, scale)
        np.add(scale, small, scale)
        np.reciprocal(np.sqrt(scale, scale), scale)
        np.multiply(average, scale, shift)
        return _is_near(shift)

    def norm(rows: slice) -> None:
        part, y, numbers = x[rows], out[rows], all_numbers[:, rows]
        scale, shift = numbers[0], numbers[2]
        if not measure(part, numbers[:2], shift):
            part = part - numbers[1][:, None]
            moments = np.zeros((2, len(part)), x.dtype)
            measure(part, moments, shift)
            scale[...] = moments[0]
        if written_out:
            np.dot(scale[:, None], right[:1], y)
            np.multiply(y, part, y)  # in place: an output apart from two inputs takes twice as long, if they are not aligned
            if center or b is not None:
                np.subtract(y, np.dot(numbers[2:].T, right, _PRODUCTS.of(y.shape, y.dtype)), y)
            return
        np.multiply(part, scale[:, None], y)
        if center:
            y -= shift[:, None]
        if w is not None:
            y *= w
        if b is not None:
            y += b

    in_slices(norm, m, n)
    return cast(out.reshape(input.shape), input.dtype), all_numbers[:2]


def row_norm_backward(
    grad: Array, input: Array, weight: Array | None, statistics: Array, center: bool
) -> tuple[Array, Array, Array]:
    """The gradients of input (*, n), weight (n) and bias (n).

    With ``unit = x * rstd - mean * rstd`` and h = grad * rstd * weight, that of input is
    ``h - mean(h) - x * rstd * mean(h * unit)``, up to a shift of x, also a number for each row.
    """
    g, x, w = _rows(grad), _rows(input), _working(weight, input)
    m, n = x.shape
    count, factor, out = np.array(n, x.dtype), ones(n, x.dtype) if w is None else w, np.empty_like(x)
    pieces = slices(m, n)
    to_weight: list[Any] = [None] * len(pieces)
    to_bias: list[Any] = [None] * len(pieces)
    written_out = _written_out(x)

    def norm_backward(piece: int) -> None:
        rows = pieces[piece]
        part, gradient, h, scale, average = x[rows], g[rows], out[rows], statistics[0, rows], statistics[1, rows]
        numbers, products = np.empty((4, len(part)), x.dtype), _PRODUCTS.of(part.shape, x.dtype)
        shift, each, rest, slope = numbers
        np.multiply(average, scale, shift)
        if center and not _is_near(shift):
            part = part - average[:, None]
            average = _row_sums(part) / count
            np.multiply(average, scale, shift)
        np.multiply(gradient, part, products)
        to_bias[piece] = ones(len(part), x.dtype).dot(gradient)
        of_weight = to_weight[piece] = scale.dot(products)
        np.subtract(of_weight, shift.dot(gradient), of_weight)
        np.dot(gradient, factor, rest)
        np.dot(products, factor, slope)
        np.divide(scale, count, each)
        np.multiply(rest, each, rest)
        np.multiply(slope, np.multiply(each, scale, each), slope)
        np.subtract(slope, np.multiply(shift, rest, each), slope)  # the mean of h * unit
        np.multiply(slope, scale, slope)
        np.subtract(rest, np.multiply(slope, average, each), rest)
        if written_out:
            np.dot(scale[:, None], factor[None], h)
            np.multiply(h, gradient, h)
            np.copyto(products, slope[:, None])
            np.multiply(products, part, products)
            np.subtract(h, products, h)
            if center:
                np.copyto(products, rest[:, None])
                np.subtract(h, products, h)
            return
        np.multiply(gradient, factor, h)
        h *= scale[:, None]
        h -= np.multiply(part, slope[:, None], products)
        if center:
            h -= rest[:, None]

    share(norm_backward, range(len(pieces)), x.size)
    return cast(out.reshape(input.shape), input.dtype), _total(to_weight, factor), _total(to_bias, factor)


def _total(parts: list[Array], like: Array) -> Array:
    """The sum of arrays with the shape and type of `like`, in their order."""
    return functools.reduce(np.add, parts) if parts else np.zeros_like(like)


# ------------------------------------------------------------------------------------------------ channels


def shared(shape: tuple[int, ...], groups: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape in which (N, C, L) has dims that share statistics: the batch (`groups` 0), or a group of channels."""
    return ((shape[0], groups, shape[1] // groups * shape[2]), (2,)) if groups else (shape, (0, 2))


def channel_norm(
    input: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array, Array]:
    """(N, C, *), (C), (C) -> (N, C, *), and the mean, ``1 / sqrt(var + eps)`` and variance: (1, C), with `groups` (N, groups)"""
    real_floating(input, "batch_norm" if not groups else "GroupNormKernelImpl")
    whole = _working(input, input)
    assert whole is not None
    x, each = _apart(whole, groups), groups > 0
    w, b = _numbers(weight, x, groups), _numbers(bias, x, groups)
    shape = (len(x), 1) if each else (1, x.shape[1])
    out, mean, variance, rstd = np.empty_like(x), np.empty(shape, x.dtype), np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    count, small = x.size / max(1, mean.size), x.dtype.type(eps)

    def norm(divided: Part) -> None:
        part: Index = divided
        seen = x[part]
        if count >= _MANY:
            average, spread = moments = _shared_sums(seen, seen, each) / count
            square = average * average
            np.subtract(spread, square, spread)
            near = square <= spread * _FAR_CHANNEL
            mean[part], variance[part] = moments
            finish(part, seen, mean[part], out[part])
            if near.all():
                return
            part = _among(divided, ~near)
            seen = np.ascontiguousarray(x[part])
        average = (_shared_sums(seen, None, each)[0] / count).astype(x.dtype)
        moved = seen - average[:, :, None]
        rest, squares = _shared_sums(moved, moved, each) / count
        mean[part], variance[part] = average + rest, np.maximum(squares - rest * rest, 0)
        finish(part, moved, rest.astype(x.dtype), moved)
        out[part] = moved

    def finish(part: Index, seen: Array, center: Array, y: Array) -> None:
        """``y = (seen - center) * rstd * w + b``"""
        root = variance[part] + small
        rstd[part] = scale = np.reciprocal(np.sqrt(root, root), root)
        if w is not None:
            scale = scale * w[part]
        shift = center * scale
        shift = np.negative(shift, shift) if b is None else b[part] - shift
        _by_rows(_scale_and_shift, (seen, y), (scale, shift))

    _in_parts(norm, x, each)
    rest = (-1, groups or x.shape[1])
    return cast(out.reshape(input.shape), input.dtype), mean.reshape(rest), rstd.reshape(rest), variance.reshape(rest)


def channel_norm_backward(
    grad: Array, input: Array, weight: Array | None, mean: Array, rstd: Array, groups: int
) -> tuple[Array, Array, Array]:
    """The gradients of input (N, C, *), weight (C) and bias (C): that of input is ``(x * a + b + grad * weight) * scale``."""
    whole, grads = _working(input, input), _working(grad, input)
    assert whole is not None and grads is not None
    x, g, each = _apart(whole, groups), _apart(grads, groups), groups > 0
    w = _numbers(weight, x, groups)
    count = x.size / max(1, mean.size)
    average, scale = (mean.reshape(-1, 1), rstd.reshape(-1, 1)) if each else (mean, rstd)
    out, (to_weight, to_bias) = np.empty_like(x), np.empty((2, len(x) if each else 1, x.shape[1]))

    def back(part: Part) -> None:
        seen, given, center, factor = x[part], g[part], average[part], scale[part]
        away = center * factor
        if not (away * away <= _FAR_CHANNEL).all():
            seen = seen - center[:, :, None]
            center = _shared_sums(seen, None, each)[0] / count
        sums, products = _sums(given, seen, each)
        to_bias[part] = sums
        np.subtract(products, center * sums, products)
        to_weight[part] = units = np.multiply(products, factor, products)  # sums of grad * unit
        if w is not None and each:
            sums, units = (np.add.reduce(a * w[part], 1, keepdims=True) for a in (sums, units))
            given = given * w[part].astype(x.dtype)[:, :, None]
        elif each:
            sums, units = (np.add.reduce(a, 1, keepdims=True) for a in (sums, units))
        slope = units * factor / -count
        shift = -slope * center - sums / count
        if w is not None and not each:
            factor = factor * w[part]
        _by_rows(_combine, (seen, given, out[part]), (slope, shift, factor))

    _in_parts(back, x, each)
    found = [a.reshape(-1, input.shape[1]).sum(0).astype(x.dtype) for a in (to_weight, to_bias)]
    return cast(out.reshape(input.shape), input.dtype), found[0], found[1]


def _scale_and_shift(seen: Array, y: Array, scale: Array, shift: Array) -> None:
    np.multiply(seen, scale, y)
    np.add(y, shift, y)


def _combine(seen: Array, given: Array, y: Array, slope: Array, shift: Array, factor: Array) -> None:
    """``y = (seen * slope + shift + given) * factor``"""
    np.multiply(seen, slope, y)
    np.add(y, shift, y)
    np.add(y, given, y)
    np.multiply(y, factor, y)


Part = tuple[slice, ...]
"""All samples and some channels, or some samples."""


def _apart(x: Array, groups: int) -> Array:
    """(N, C, *) as (N, C, L), with `groups` as (N * groups, C / groups, L)"""
    n, c, *space = x.shape
    return x.reshape(n * (groups or 1), c // (groups or 1), math.prod(space))


def _numbers(values: Array | None, x: Array, groups: int) -> Array | None:
    """(C) for the channels of `_apart`: (1, C) or (N * groups, C / groups)"""
    if values is None or not groups:
        return None if values is None else values[None]
    rows = values.reshape(groups, -1)
    return np.tile(rows, (len(x) // groups, 1))


def _in_parts(work: Callable[[Part], object], x: Array, each: bool) -> None:
    """``work(index)`` for parts of the channels, or of the samples if `each` has its own statistics, as long as what a thread has
    in pieces: a part takes some thirty short calls. Threads share only large arrays. Of the shortest channels, rows of some would
    be short, too: they are one part, and its sums and result are shared."""
    if not x.size:
        return
    if x.size <= LONGEST or (not each and x.shape[2] < _SHORTEST):
        work((slice(0, len(x)),) if each else (slice(None), slice(0, x.shape[1])))
        return
    number = number_of_pieces(x.size, x.size, LONGEST, LONGEST)
    pieces = split(len(x) if each else x.shape[1], number)
    share(work, [(piece,) if each else (slice(None), piece) for piece in pieces], x.size)


def _among(part: Part, chosen: Array) -> Index:
    """The chosen channels or samples of a part."""
    return (*part[:-1], np.flatnonzero(chosen) + part[-1].start)


def _sums(x: Array, y: Array | None, each: bool) -> Array:
    """(N, C, L) -> the sums of x and, unless `y` is None, of x * y, in float64: (1 or 2, 1, C), or (1 or 2, N, C) if `each`
    sample has its own. Of some channels, runs are views."""
    n, c, length = x.shape
    if not each and length < _SHORTEST:
        return _sums_of_shortest_channels(x, y)
    run = length if length <= _RUN else run_of(length, _RUN)
    if run < 32 and length > _RUN:
        ends = slice(0, length - length % _RUN), slice(length - length % _RUN, length)
        return np.add(*[_sums(x[:, :, part], None if y is None else y[:, :, part], each) for part in ends])
    runs = x.reshape(n, -1, run)
    found = np.empty((1 if y is None else 2, *runs.shape[:2]), x.dtype)
    np.matmul(runs, ones(run, x.dtype), found[0])
    if y is not None:
        np.vecdot(runs, y.reshape(runs.shape), found[1])
    total: Array = np.add.reduce(found.reshape(len(found), n, c, -1), 3 if each else (1, 3), np.float64)
    return total if each else total[:, None]


def _sums_of_shortest_channels(x: Array, y: Array | None) -> Array:
    """The same over the batch: (1 or 2, 1, C)"""
    n, c, length = x.shape
    rows, others = x.reshape(n, c * length), None if y is None else y.reshape(n, c * length)

    def term(images: slice) -> Array:
        part = rows[images]
        return np.array([_column_sums(part)] if others is None else [_column_sums(part), _column_sums(part * others[images])])

    total = term(slice(0, n)) if is_one_block(x.size) else total_of(term, slices(n, c * length), x.size)
    if length > 1:
        total = total.reshape(len(total), c, length) @ ones(length, total.dtype)
    return total[:, None]


def _column_sums(x: Array) -> Array:
    """(n, m) -> (m), in float64. BLAS sums a column in one accumulator: few rows at a time."""
    n, m = x.shape
    if n <= 64:
        return (ones(n, x.dtype) @ x).astype(np.float64)
    whole = n - n % 64
    total: Array = np.add.reduce(np.matmul(ones(64, x.dtype), x[:whole].reshape(-1, 64, m)), 0, np.float64)
    return total + ones(n - whole, x.dtype) @ x[whole:] if whole < n else total


def _shared_sums(x: Array, y: Array | None, each: bool) -> Array:
    """`_sums` over all that share statistics: (1 or 2, 1, C), or (1 or 2, N, 1)"""
    if each:
        x, y = x.reshape(len(x), 1, -1), None if y is None else y.reshape(len(x), 1, -1)
    return _sums(x, y, each)


def _by_rows(work: Callable[..., None], arrays: Sequence[Array], numbers: Sequence[Array]) -> None:
    """``work(*arrays, *numbers)`` with arrays (N, C, L) and numbers (1 or N, 1 or C) in shapes such that these broadcast to
    those, along rows that are not short."""
    n, c, length = arrays[0].shape
    if length >= _SHORT_CHANNEL or len(numbers[0]) > 1 or arrays[0].size <= BLOCK // 4:
        work(*arrays, *[a.astype(arrays[0].dtype, copy=False)[:, :, None] for a in numbers])
        return
    written = np.empty((len(numbers), c, length), arrays[0].dtype)
    for row, number in zip(written, numbers):
        row[...] = number.T
    samples, rows = [a.reshape(n, c * length) for a in arrays], written.reshape(len(numbers), c * length)
    if length < _SHORTEST:
        in_slices(lambda some: work(*[a[some] for a in samples], *rows), n, c * length)
    else:
        work(*samples, *rows)


def scaled(x: Array, scale: Array, shift: Array) -> Array:
    """``x * scale + shift``, in one pass if `x` is large, (N, C, *), and both have a number for each channel: (C, 1, ...)."""
    numbers = (*x.shape[1:2], *(1,) * (x.ndim - 2))
    if x.size <= BLOCK // 4 or not x.dtype == scale.dtype == shift.dtype or not numbers == scale.shape == shift.shape:
        return x * scale + shift
    n, c = x.shape[:2]
    length = x.size // (n * c)
    long = length >= _SHORT_ROW  # a row for each channel, otherwise for each sample
    seen = np.ascontiguousarray(x).reshape(n * c if long else n, -1)
    factors, terms = [a.reshape(1, c).repeat(n, 0).reshape(-1, 1) if long else a.repeat(length) for a in (scale, shift)]
    out = np.empty_like(seen)

    def combine(rows: slice) -> None:
        factor, term = (factors[rows], terms[rows]) if long else (factors, terms)
        y = out[rows]
        np.multiply(seen[rows], factor, y)
        y += term

    share(combine, split(len(seen), number_of_pieces(x.size, x.size, LONGEST_RUN, LONGEST_RUN)), x.size)
    return out.reshape(x.shape)


def evaluated(
    input: Array, weight: Array | None, bias: Array | None, running_mean: Array, running_var: Array, eps: float
) -> Array:
    """Batch norm of (N, C, *) with known statistics, (C): ``input * scale + shift``"""
    root = as_single(running_var + running_var.dtype.type(eps))
    scale = cast(np.divide(1, np.sqrt(root, root), root), running_var.dtype)
    if weight is not None:
        scale *= weight
    shift = running_mean * scale
    shift = -shift if bias is None else np.subtract(bias, shift, shift)
    shape = (-1, *(1,) * (input.ndim - 2))
    return cast(scaled(input, scale.reshape(shape), shift.reshape(shape)), input.dtype)


def unbiased(variance: Array, count: float) -> Array:
    return variance * np.divide(count, count - 1)
