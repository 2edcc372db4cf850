"""Interpolation along the dimensions of arrays, and its transpose."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, NumpyType
from mini_dl.kernels.blocks import as_single

# ------------------------------------------------------------------------------------------------ resizing


Real = type[np.floating[Any]]


class Axis:
    """How one dimension is resampled: output i is the sum over k of ``weights[i, k] * input[places[i, k]]``."""

    def __init__(self, size: int, places: Array, weights: Array | None) -> None:
        self.size, self.places, self.weights = size, places, weights  # weights None: all 1

    def terms(self, ndim_after: int, dtype: NumpyType) -> list[tuple[Array, Array | None]]:
        """For each k, the positions and the weights, shaped to multiply."""
        shape = (len(self.places), *[1] * ndim_after)
        return [
            (self.places[:, k], None if self.weights is None else self.weights[:, k].astype(dtype).reshape(shape))
            for k in range(self.places.shape[1])
        ]

    def matrix(self, dtype: NumpyType | type) -> Array:
        """(out, in): the same as a matrix."""
        found = np.zeros((len(self.places), self.size), dtype)
        weights = 1 if self.weights is None else self.weights.astype(dtype)
        np.add.at(found, (np.arange(len(self.places))[:, None], self.places), weights)
        return found


def resample(input: Array, axes: tuple[Axis, ...]) -> Array:
    """(*, *in) -> (*, *out)"""
    if input.dtype.char == "B" and axes[0].weights is not None:
        return _resample_bytes(input, axes)
    out = as_single(input)
    for dim in reversed(range(len(axes))):
        at = out.ndim - len(axes) + dim
        total: Any = None
        for place, weight in axes[dim].terms(len(axes) - dim - 1, out.dtype):
            seen = out.take(place, at)
            if weight is not None:
                seen *= weight
            total = seen if total is None else np.add(total, seen, out=total)
        out = total
    return out.astype(input.dtype, copy=False)


def _resample_bytes(input: Array, axes: tuple[Axis, ...]) -> Array:
    """The same for bytes, as torch computes it: in each dimension, the weights are multiples of 2**-bits that fit 16 bits, and
    the result is rounded to bytes. The products are exact in float64.
    """
    out = input
    for dim in reversed(range(len(axes))):
        at = out.ndim - len(axes) + dim
        matrix = axes[dim].matrix(np.float64)
        bits, most = 0, matrix.max(initial=0.0)
        while bits < 22 and int(0.5 + most * 2 ** (bits + 1)) < 2**15:
            bits += 1
        weights = np.trunc(matrix * 2.0**bits + np.copysign(0.5, matrix))
        total = np.moveaxis(out, at, -1).astype(np.float64) @ weights.T
        rounded = np.clip(np.floor((total + 2.0 ** (bits - 1)) / 2.0**bits), 0, 255)
        out = np.moveaxis(rounded, -1, at).astype(np.uint8)
    return np.ascontiguousarray(out)


def resample_back(output: Array, axes: tuple[Axis, ...]) -> Array:
    """The transpose of `_resample`."""
    grad = as_single(output)
    for dim, axis in enumerate(axes):
        at = grad.ndim - len(axes) + dim
        if axis.weights is not None and len(axis.places) <= 256 and np.isfinite(grad).all():
            rest = math.prod(grad.shape[at + 1 :])
            flat = grad.reshape(math.prod(grad.shape[:at]), len(axis.places), rest)
            matrix = axis.matrix(grad.dtype)
            product = np.matmul(flat[..., 0], matrix) if rest == 1 else np.matmul(matrix.T, flat)
            grad = product.reshape(*grad.shape[:at], axis.size, *grad.shape[at + 1 :])
            continue
        found = np.zeros((*grad.shape[:at], axis.size, *grad.shape[at + 1 :]), grad.dtype)
        after = len(axes) - dim - 1
        for place, weight in axis.terms(after, grad.dtype):  # positions never decrease: sums of runs
            starts = np.flatnonzero(np.diff(place, prepend=-1))
            terms = grad if weight is None else grad * weight
            step, length = evenly_spaced(place[starts]), evenly_spaced(np.append(starts, len(place)))
            if step and length:
                seen = np.moveaxis(found, at, 0)[place[0] :: step][: len(starts)]
                for k in range(length):
                    seen += np.moveaxis(terms, at, 0)[k::length]
            else:
                index: Any = (Ellipsis, place[starts], *[slice(None)] * after)
                found[index] += np.add.reduceat(terms, starts, at)
        grad = found
    return grad.astype(output.dtype, copy=False)


def evenly_spaced(positions: Array) -> int:
    """The distance between neighbors, which is the same for all; 0 if it is not."""
    steps = np.diff(positions)
    return int(steps[0]) if len(steps) and (steps == steps[0]).all() else 0


def _step(size: int, out: int, align_corners: bool, factor: float | None, real: Real) -> Any:
    """The distance in the input between neighboring outputs."""
    if align_corners:
        return real(size - 1) / real(out - 1) if out > 1 else real(0)
    return real(1.0 / factor) if factor is not None and factor > 0 else real(size) / real(out)


def _source(size: int, out: int, align_corners: bool, factor: float | None, real: Real) -> Array:
    """The position of each output in the input: pixel edges are aligned or, with `align_corners`, the centers of the corner
    pixels.
    """
    step, i = _step(size, out, align_corners, factor, real), np.arange(out).astype(real)
    return step * i if align_corners else step * (i + real(0.5)) - real(0.5)


def _nearest_axis(size: int, out: int, align_corners: bool, factor: float | None, real: Real, shift: float = 0.0) -> Axis:
    if out == size:
        places = np.arange(out)
    else:
        step = _step(size, out, False, factor, np.float32)
        places = np.floor((np.arange(out).astype(np.float32) + np.float32(shift)) * step).astype(np.int64)
    return Axis(size, np.minimum(places, size - 1)[:, None], None)


def _linear_axis(size: int, out: int, align_corners: bool, factor: float | None, real: Real) -> Axis:
    source = np.maximum(_source(size, out, align_corners, factor, real), real(0))
    low = np.minimum(source.astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    part = np.clip(source - low.astype(real), 0, 1)
    return Axis(size, np.stack([low, high], 1), np.stack([real(1) - part, part], 1))


def _cubic_axis(size: int, out: int, align_corners: bool, factor: float | None, real: Real) -> Axis:
    source = _source(size, out, align_corners, factor, real)
    low = np.floor(source)
    part = np.clip(source - low, 0, 1)
    places = np.clip(low.astype(np.int64)[:, None] + np.arange(-1, 3), 0, size - 1)
    return Axis(size, places, np.stack(cubic_weights(part, -0.75), 1))


def cubic_weights(t: Any, a: float) -> list[Any]:
    """The weights of the four neighbors at -1, 0, 1, 2 for a position t between 0 and 1 (Keys, 1981); arrays or tensors."""
    s = 1 - t
    return [a * t * s * s, s * (1 + t - (a + 2) * t * t), t * (1 + s - (a + 2) * s * s), a * s * t * t]


def smooth_axis(
    size: int, out: int, align_corners: bool, factor: float | None, real: Real, reach: int, kernel: Callable[[Array], Array]
) -> Axis:
    """With `kernel` widened by the step, to remove details finer than the output."""
    step = _step(size, out, align_corners, factor, real)
    wide = max(step, real(1))
    support = real(reach) * real(0.5) * wide
    center = step * (np.arange(out).astype(real) + real(0.5))
    first = np.maximum((center - support + real(0.5)).astype(np.int64), 0)
    count = np.minimum((center + support + real(0.5)).astype(np.int64), size) - first
    taps = np.arange(max(int(count.max(initial=1)), 1))
    offsets = (taps + first[:, None]).astype(real) - center[:, None] + real(0.5)
    weights = np.where(taps < count[:, None], kernel(offsets / wide), real(0)).astype(real)
    weights /= weights.sum(1, keepdims=True)
    return Axis(size, np.clip(first[:, None] + taps, 0, size - 1), weights)


def _triangle(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: Array) -> Array:
    x, a = np.abs(x), -0.5
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


MODES: dict[str, tuple[int | None, Callable[..., Axis]]] = {  # the number of spatial dimensions, None: any
    "nearest": (None, _nearest_axis),
    "nearest-exact": (None, functools.partial(_nearest_axis, shift=0.5)),
    "linear": (1, _linear_axis),
    "bilinear": (2, _linear_axis),
    "trilinear": (3, _linear_axis),
    "bicubic": (2, _cubic_axis),
}
SMOOTH: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "bilinear": (2, _triangle),
    "bicubic": (4, _cubic),
    "lanczos": (6, _lanczos),
}
