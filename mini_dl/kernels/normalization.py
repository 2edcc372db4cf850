"""Normalization of rows (M, n) and of channels (N, C, L), forward and back."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, Function
from mini_dl.kernels.blocks import BLOCK, Scratch, computed_in, in_slices, ones, real_floating, slices
from mini_dl.kernels.parallel import share

_FAR = 2.0
"""From ``mean ** 2 > 2 var`` on, ``E[x ** 2] - mean ** 2`` loses too much: the rounded mean is subtracted from the data first.
The rounding error, many deviations if the mean is large, is then measured and subtracted as well."""
_RUN = 1024
"""How many numbers are added in one run; the sums of the runs are added one by one. Errors grow with the length of a run."""

_SHORT_ROW = 256
"""Row length below which NumPy takes three times as long for an operand that it broadcasts to rows. Such operands are written
out by a matrix product with an inner dimension of 2, as fast as a copy."""
_FEW = 4096
"""Numbers up to which that does not repay the calls."""
_PRODUCTS = Scratch()


def _working(array: Array | None, like: Array) -> Array | None:
    """`array`, contiguous, in the type to compute in: float32 for float16."""
    if array is None:
        return None
    return np.ascontiguousarray(array, computed_in(like.dtype))


# ------------------------------------------------------------------------------------------------ rows


_all: Function = np.logical_and.reduce  # of short arrays, faster than their method


def _row_sums(x: Array, y: Array | None = None, out: Array | None = None) -> Array:
    """(R, n) -> sums of x, or of x * y, in their type: (R,)"""
    n = x.shape[1]
    if n <= _RUN:
        return np.dot(x, ones(n, x.dtype), out) if y is None else np.vecdot(x, y, out)
    total = np.empty(len(x), x.dtype) if out is None else out
    total[...] = 0
    for i in range(0, n, _RUN):
        total += _row_sums(x[:, i : i + _RUN], None if y is None else y[:, i : i + _RUN])
    return total


def _written_out(x: Array) -> bool:
    """Whether what is broadcast to (R, n) is better written out."""
    return x.shape[1] < _SHORT_ROW and x.size > _FEW


def row_norm(input: Array, weight: Array | None, bias: Array | None, eps: float, center: bool) -> tuple[Array, Array, Array]:
    """(M, n), (n), (n) -> (M, n), the mean and ``1 / sqrt(var + eps)`` of rows (without `center` 0, and of the mean square)"""
    real_floating(input, "LayerNormKernelImpl" if center else "rms_norm")
    x, w, b = _working(input, input), _working(weight, input), _working(bias, input)
    assert x is not None
    (m, n), number = x.shape, x.dtype.type
    out, mean, rstd = np.empty_like(x), np.zeros(m, x.dtype), np.empty(m, x.dtype)
    written_out = _written_out(x)
    right = np.zeros((2, 2, n if written_out else 0), x.dtype)
    if written_out:
        right[:, 0] = 1 if w is None else w
        if b is not None:
            np.negative(b, right[1, 1])

    def measure(part: Array, average: Array, scale: Array, shift: Array) -> bool:
        """The mean, ``1 / sqrt(var + eps)`` and their product. Whether the mean is near 0."""
        near = True
        np.divide(_row_sums(part, part, scale), number(n), scale)
        if center:
            np.divide(_row_sums(part, None, average), number(n), average)
            scale -= np.multiply(average, average, shift)
            near = _all(shift <= number(_FAR) * scale)
        scale += number(eps)
        np.reciprocal(np.sqrt(scale, scale), scale)
        np.multiply(average, scale, shift)
        return near

    def norm(rows: slice) -> None:
        part, y, average, numbers = x[rows], out[rows], mean[rows], np.empty((3, rows.stop - rows.start), x.dtype)
        scale, shift, numbers[2] = numbers[0], numbers[1], 1
        if not measure(part, average, scale, shift):
            part = part - average[:, None]
            measure(part, np.empty_like(average), scale, shift)
        rstd[rows] = scale
        if written_out:
            np.matmul(numbers[:2].T, right[0], y)
            y *= part  # in place: an output apart from two inputs takes twice as long, if they are not aligned
            if center or b is not None:
                y -= np.matmul(numbers[1:].T, right[1], _PRODUCTS.of(y.shape, y.dtype))
            return
        np.multiply(part, scale[:, None], y)
        if center:
            y -= shift[:, None]
        if w is not None:
            y *= w
        if b is not None:
            y += b

    in_slices(norm, m, n)
    return out.astype(input.dtype, copy=False), mean, rstd


def row_norm_backward(
    grad: Array, input: Array, weight: Array | None, mean: Array, rstd: Array, center: bool
) -> tuple[Array, Array, Array]:
    """The gradients of input (M, n), weight (n) and bias (n).

    With ``unit = x * rstd - mean * rstd`` and h = grad * rstd * weight, that of input is
    ``h - mean(h) - x * rstd * mean(h * unit)``, up to a shift of x, also a number for each row.
    """
    g, x, w = _working(grad, input), _working(input, input), _working(weight, input)
    assert g is not None and x is not None
    (m, n), number = x.shape, x.dtype.type
    factor, out = ones(n, x.dtype) if w is None else w, np.empty_like(x)
    pieces = slices(m, n)
    to_weight: list[Any] = [None] * len(pieces)
    to_bias: list[Any] = [None] * len(pieces)
    written_out = _written_out(x)
    right = np.zeros((3, n if written_out else 0), x.dtype)
    if written_out:
        right[0], right[2] = factor, 1

    def norm_backward(piece: int) -> None:
        rows = pieces[piece]
        part, gradient, h, average = x[rows], g[rows], out[rows], mean[rows]
        numbers, products = np.empty((4, len(part)), x.dtype), _PRODUCTS.of(part.shape, x.dtype)
        scale, slope, rest, all_ones = numbers
        scale[...], all_ones[...] = rstd[rows], 1
        shift = average * scale
        if center and not (shift.dot(shift) <= _FAR or _all(shift * shift <= number(_FAR))):
            part = part - average[:, None]
            average = _row_sums(part) / number(n)
            np.multiply(average, scale, shift)
        np.multiply(gradient, part, products)
        to_bias[piece] = all_ones.dot(gradient)
        to_weight[piece] = scale.dot(products)
        to_weight[piece] -= shift.dot(gradient)
        np.dot(gradient, factor, rest)
        np.dot(products, factor, slope)
        each = scale / number(n)
        rest *= each
        slope *= each
        slope *= scale
        slope -= shift * rest  # the mean of h * unit
        slope *= scale
        rest -= slope * average
        if written_out:
            np.matmul(numbers[:2].T, right[:2], h)
            h *= gradient
            np.matmul(numbers[:2].T, right[1:], products)
            products *= part
            h -= products
            if center:
                h -= np.matmul(numbers[1:3].T, right[1:], products)
            return
        np.multiply(gradient, factor, h)
        h *= scale[:, None]
        h -= np.multiply(part, slope[:, None], products)
        if center:
            h -= rest[:, None]

    share(norm_backward, range(len(pieces)), x.size)
    return out.astype(input.dtype, copy=False), _total(to_weight, factor), _total(to_bias, factor)


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
    """(N, C, L), (C), (C) -> (N, C, L), and the mean, ``1 / sqrt(var + eps)`` and variance: (1, C), with `groups` (N, groups)"""
    real_floating(input, "batch_norm" if not groups else "GroupNormKernelImpl")
    x = _working(input, input)
    assert x is not None
    mean, variance, moved, rest = _moments(x, groups)
    rstd = 1 / np.sqrt(variance + eps)
    scale = _per_channel(rstd, x, groups)
    if weight is not None:
        scale = scale * weight
    shift = -_per_channel(rest, x, groups) * scale
    if bias is not None:
        shift = shift + bias
    out = _combined(shift, (moved, scale))
    return out.astype(input.dtype, copy=False), mean.astype(x.dtype), rstd.astype(x.dtype), variance.astype(x.dtype)


def channel_norm_backward(
    grad: Array, input: Array, weight: Array | None, mean: Array, rstd: Array, groups: int
) -> tuple[Array, Array, Array]:
    """The gradients of input (N, C, L), weight (C) and bias (C): that of input is ``grad * a + x * b + c`` with small a, b, c."""
    g, x = _working(grad, input), _working(input, input)
    assert g is not None and x is not None
    average, scale = (_per_channel(a.astype(np.float64), x, groups) for a in (mean, rstd))
    count = x.size / max(1, mean.size)
    if not (average * average * scale * scale <= _FAR).all():
        x, rest = _moved(x, mean, groups, count)
        average = _per_channel(rest, x, groups)
    sums, products = sums_of_channels(groups, (g, None), (g, x))
    units = (products - average * sums) * scale  # (N or 1, C): sum of grad * unit
    to_weight, to_bias = units.sum(0), sums.sum(0)
    if weight is not None:
        sums, units = sums * weight, units * weight
    first = _per_channel(_shared_sum(sums, groups) / count, x, groups)
    second = _per_channel(_shared_sum(units, groups) / count, x, groups) * scale * scale
    to_grad = scale if weight is None else scale * weight
    out = _combined(second * average - first * scale, (g, to_grad), (x, -second))
    return out.astype(input.dtype, copy=False), to_weight.astype(x.dtype), to_bias.astype(x.dtype)


def sums_of_channels(groups: int, *pairs: tuple[Array, Array | None]) -> list[Array]:
    """(N, C, L) -> sums of x, or of x * y, in float64: (N, C), or over the batch too (1, C) if that shares its statistics."""
    n, c, length = pairs[0][0].shape
    if not groups and length < 32:
        return [_sums_of_short_channels(x, y) for x, y in pairs]
    rows = [[None if a is None else a.reshape(n * c, length) for a in pair] for pair in pairs]
    sums = np.zeros((len(pairs), n * c))

    def add(part: slice) -> None:
        for total, (x, y) in zip(sums, rows):
            assert x is not None
            for i in range(0, length, _RUN):
                total[part] += _row_sums(x[part, i : i + _RUN], None if y is None else y[part, i : i + _RUN])

    in_slices(add, n * c, length)
    each = sums.reshape(len(pairs), n, c)
    return list(each if groups else each.sum(1, keepdims=True))


def _sums_of_short_channels(x: Array, y: Array | None) -> Array:
    """The same over the batch."""
    n, c, length = x.shape
    rows, others = x.reshape(n, c * length), None if y is None else y.reshape(n, c * length)
    total = np.zeros(c * length)
    step = max(1, BLOCK // max(1, c * length))
    for i in range(0, n, step):
        part = rows[i : i + step]
        part = part if others is None else part * others[i : i + step]
        whole = len(part) - len(part) % 64  # BLAS sums a column in one accumulator: few rows at a time
        if whole > 64:
            total += np.matmul(ones(64, x.dtype), part[:whole].reshape(-1, 64, c * length)).sum(0, np.float64)
            part = part[whole:]
        total += ones(len(part), x.dtype) @ part
    return total.reshape(1, c, length).sum(2)


def _shared_sum(sums: Array, groups: int) -> Array:
    """(N, C) -> (N, groups); (1, C) unchanged"""
    return sums.reshape(len(sums), groups, sums.shape[1] // groups).sum(2) if groups else sums


def _per_channel(values: Array, x: Array, groups: int) -> Array:
    """(1, C) unchanged; (N, groups) -> (N, C)"""
    return np.repeat(values, x.shape[1] // groups, 1) if groups else values


def _moved(x: Array, mean: Array, groups: int, count: float) -> tuple[Array, Array]:
    """`x` minus its rounded mean, and the rest of the mean, in float64."""
    moved = x - _per_channel(mean, x, groups).astype(x.dtype)[:, :, None]
    return moved, _shared_sum(sums_of_channels(groups, (moved, None))[0], groups) / count


def _moments(x: Array, groups: int) -> tuple[Array, Array, Array, Array]:
    """Mean and biased variance in float64, and `x` and its mean: unchanged or, if the mean is far from 0, from `_moved`."""
    n, c, length = x.shape
    count = n * length if not groups else c // groups * length
    if x.size <= BLOCK // 4:
        shape, dims = shared(x.shape, groups)
        mean = np.add.reduce(x.reshape(shape), dims, np.float64).reshape(-1, groups or c) / count
        near = mean.astype(x.dtype)
        moved, rest = x - _per_channel(near, x, groups)[:, :, None], mean - near
    else:
        mean, squares = (_shared_sum(found, groups) / count for found in sums_of_channels(groups, (x, None), (x, x)))
        square = mean * mean
        variance = squares - square
        if (square <= _FAR * variance).all():
            return mean, variance, x, mean
        moved, rest = _moved(x, mean, groups, count)
        mean = mean.astype(x.dtype) + rest
    variance = _shared_sum(sums_of_channels(groups, (moved, moved))[0], groups) / count - rest * rest
    return mean, np.maximum(variance, 0), moved, rest


def _combined(shift: Array, *terms: tuple[Array, Array]) -> Array:
    """The sum of ``x * factor`` over the terms, and `shift`, with a number for each channel: (N, C, L), (1 or N, C) -> (N, C, L).

    In blocks of samples, viewed so that the inner loops are long: one row of numbers for each sample if the channels are short.
    """
    x = terms[0][0]
    n, c, length = x.shape
    out = np.empty_like(x)
    if not x.size:
        return out
    numbers = [a.astype(x.dtype) for a in (shift, *[factor for _, factor in terms])]
    each = len(shift) > 1
    if each or length >= 256 or x.size <= BLOCK // 4:
        shape: tuple[int, ...] = x.shape
        numbers = [a[:, :, None] for a in numbers]
    else:
        times = 1  # samples to a row
        while times * c * length < 1024 and n % (2 * times) == 0:
            times *= 2
        shape = (n // times, times * c * length)
        numbers = [np.tile(np.repeat(a[0], length), times) for a in numbers]
    whole, parts = out.reshape(shape), [y.reshape(shape) for y, _ in terms]

    def combine(block: slice) -> None:
        last, *factors = [a[block] for a in numbers] if each else numbers
        y = whole[block]
        np.multiply(parts[0][block], factors[0], y)
        for part, factor in zip(parts[1:], factors[1:]):
            y += part[block] * factor
        y += last

    in_slices(combine, shape[0], x.size // shape[0])
    return out


def scaled(x: Array, scale: Array, shift: Array) -> Array:
    """``x * scale + shift``, in one pass if `x` is large, (N, C, *), and both have a number for each channel: (C, 1, ...)."""
    numbers = (*x.shape[1:2], *(1,) * (x.ndim - 2))
    if x.size <= BLOCK // 4 or not x.dtype == scale.dtype == shift.dtype or not numbers == scale.shape == shift.shape:
        return x * scale + shift
    whole = np.ascontiguousarray(x).reshape(len(x), x.shape[1], -1)
    return _combined(shift.reshape(1, -1), (whole, scale.reshape(1, -1))).reshape(x.shape)


def unbiased(variance: Array, count: float) -> Array:
    return variance * np.divide(count, count - 1)
