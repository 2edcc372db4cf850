"""Interpolation along the dimensions of arrays, and its transpose."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, NumpyType
from mini_dl.kernels.blocks import as_single, check_finite, computed_in, in_slices
from mini_dl.kernels.copying import reshaped

# ------------------------------------------------------------------------------------------------ resizing


Real = type[np.floating[Any]]


class Axis:
    """How one dimension is resampled: output i is the sum over k of ``weights[i, k] * input[places[i, k]]``; in each column, the
    places never decrease."""

    def __init__(self, size: int, places: Array, weights: Array | None) -> None:
        self.size, self.places, self.weights = size, places, weights  # weights None: all 1
        self.columns = [*np.ascontiguousarray(places.T)]
        self._bands: dict[tuple[NumpyType, bool, int], list[Band]] = {}

    def weights_as(self, dtype: NumpyType | type) -> Array:
        return np.ones(self.places.shape, dtype) if self.weights is None else self.weights.astype(dtype)

    def matrix(self, dtype: NumpyType | type) -> Array:
        """(out, in): the same as a matrix."""
        found = np.zeros((len(self.places), self.size), dtype)
        np.add.at(found, (np.arange(len(self.places))[:, None], self.places), self.weights_as(dtype))
        return found

    @functools.cached_property
    def runs(self) -> list[tuple[Array, tuple[int, int] | None]]:
        """For each column of the places, where the runs of equal ones begin, and if they are the same for all, the distance
        between the places of neighboring runs and the length of the runs."""
        found = []
        for place in self.columns:
            starts = np.flatnonzero(np.diff(place, prepend=-1))
            step, length = (evenly_spaced(steps) for steps in (place[starts], np.append(starts, len(place))))
            found.append((starts, (step, length) if step and length else None))
        return found

    def bands(self, dtype: NumpyType, back: bool, run: int) -> list[Band]:
        """The matrix, or if `back` its transpose, as one matrix for each `run` of its rows, with the columns that are not 0."""
        key = (dtype, back, run)
        if key not in self._bands:
            self._bands[key] = self._find_bands(dtype, back, run)
        return self._bands[key]

    def _find_bands(self, dtype: NumpyType, back: bool, run: int) -> list[Band]:
        outputs = np.repeat(np.arange(len(self.places)), self.places.shape[1])
        inputs, weights = self.places.reshape(-1), self.weights_as(dtype).reshape(-1)
        rows, columns = (inputs, outputs) if back else (outputs, inputs)
        n, wide = (self.size, len(self.places)) if back else (len(self.places), self.size)
        number, of_run = -(-n // run), rows // run
        starts, ends = np.full(number, wide), np.zeros(number, np.int64)
        np.minimum.at(starts, of_run, columns)
        np.maximum.at(ends, of_run, columns + 1)
        span = max(1, int((ends - starts).max()))
        starts = np.minimum(starts, wide - span)
        values = np.zeros((n, span), dtype)
        np.add.at(values.reshape(-1), rows * span + columns - starts[of_run], weights)
        return [
            (slice(start, min(start + run, n)), slice(at, at + span), values[start : start + run])
            for start, at in zip(range(0, n, run), starts.tolist())
        ]


Band = tuple[slice, slice, Array]
"""Rows of a matrix, its columns that are not 0 there, and what it has in both."""
RUN = 16
"""Rows of a band: longer ones have more zeros, shorter ones make more calls. Twice as many along the last dimension."""
ENOUGH, LONG = 1 << 14, 1 << 11
"""Numbers from which bands take less time than a copy for each term, and up to how many in a dimension: a band of few images is
little work."""


class _Step:
    """One dimension of (images, *before, n, *after) resampled, or if `back` the transpose of that."""

    def __init__(self, axis: Axis, back: bool, images: int, before: int, after: int, dtype: NumpyType) -> None:
        self.axis, self.back, self.before, self.after = axis, back, before, after
        self.n_in, self.n = (len(axis.places), axis.size) if back else (axis.size, len(axis.places))
        self.bands = self.chosen_bands(images * before, dtype)

    def chosen_bands(self, rows: int, dtype: NumpyType) -> list[Band]:
        """Bands, or none where a pass for each term takes less time."""
        axis, after = self.axis, self.after
        few = rows * self.n * after < ENOUGH
        if axis.weights is None and (few or not self.back or axis.runs[0][1]):
            return []
        if few and self.back and self.n_in <= 256:
            return axis.bands(dtype, True, self.n)
        if few or (rows < RUN if after == 1 else after < RUN) or (self.n > LONG and not self.back):
            return []
        bands = axis.bands(dtype, self.back, 2 * RUN if after == 1 else RUN)
        return bands if self.back or bands[0][2].shape[1] <= 2 * RUN * axis.places.shape[1] else []

    def run(self, x: Array, out: Array | None) -> Array:
        """The result as (rows, n, after), which is written to `out`."""
        x = x.reshape(-1, self.n_in, self.after)
        found = np.empty((len(x), self.n, self.after), x.dtype) if out is None else out.reshape(len(x), self.n, self.after)
        if self.bands:
            self.multiply(x, found)
            try:
                check_finite(found)
                return found
            except FloatingPointError:  # what is not finite spreads over a band
                pass
        if self.back:
            self.spread_terms(x, found)
        else:
            self.add_terms(x, found)
        return found

    def multiply(self, x: Array, out: Array) -> None:
        for rows, columns, matrix in self.bands:
            if self.after == 1:
                np.matmul(x[:, columns, 0], matrix.T, out[:, rows, 0])
            else:
                np.matmul(matrix, x[:, columns], out[:, rows])

    def add_terms(self, x: Array, out: Array) -> None:
        term, axis = out, self.axis
        for k, place in enumerate(axis.columns):
            x.take(place, 1, term, "clip")  # this mode writes to `term` at once
            if axis.weights is not None and out.size < ENOUGH:
                term *= axis.weights[:, k, None].astype(x.dtype)
            elif axis.weights is not None:  # along whole images: NumPy takes longer for short rows
                weights = np.tile(np.repeat(axis.weights[:, k].astype(x.dtype), self.after), self.before)
                images = term.reshape(-1, len(weights))
                np.multiply(images, weights, images)
            if k:
                np.add(out, term, out)
            else:
                term = np.empty_like(out)

    def spread_terms(self, x: Array, out: Array) -> None:
        out.fill(0)
        weights = self.axis.weights
        for k, (place, (starts, runs)) in enumerate(zip(self.axis.columns, self.axis.runs)):
            terms = x if weights is None else x * weights[:, k, None].astype(x.dtype)
            if runs is not None:
                step, length = runs
                seen = out[:, place[0] :: step][:, : len(starts)]
                for i in range(length):
                    seen += terms[:, i::length]
            else:
                out[:, place[starts]] += np.add.reduceat(terms, starts, 1)


def evenly_spaced(positions: Array) -> int:
    """The distance between neighbors, which is the same for all; 0 if it is not."""
    steps = np.diff(positions)
    return int(steps[0]) if len(steps) and (steps == steps[0]).all() else 0


def resample(input: Array, axes: tuple[Axis, ...]) -> Array:
    """(*, *in) -> (*, *out)"""
    if input.dtype.char == "B" and axes[0].weights is not None:
        return _resample_bytes(input, axes)
    return _in_turn(input, axes, False)


def resample_back(output: Array, axes: tuple[Axis, ...]) -> Array:
    """The transpose of `resample`."""
    return _in_turn(output, axes, True)


def _in_turn(input: Array, axes: tuple[Axis, ...], back: bool) -> Array:
    first, dtype = input.ndim - len(axes), computed_in(input.dtype)
    outer, sizes = input.shape[:first], list(input.shape[first:])
    images, each, steps = math.prod(outer), math.prod(sizes), list[_Step]()
    source = reshaped(input, (images, each))
    for dim in range(len(axes)) if back else reversed(range(len(axes))):
        step = _Step(axes[dim], back, images, math.prod(sizes[:dim]), math.prod(sizes[dim + 1 :]), dtype)
        steps.append(step)
        sizes[dim] = step.n
    out = np.empty((*outer, *sizes), input.dtype)
    target = out.reshape(images, math.prod(sizes))

    def resample_images(part: slice) -> None:
        x = as_single(source[part])
        for step in steps[:-1]:
            x = step.run(x, None)
        found = steps[-1].run(x, target[part] if dtype == out.dtype else None)
        if dtype != out.dtype:
            target[part] = found.reshape(len(target[part]), -1)

    if images:
        in_slices(resample_images, images, max(each, math.prod(sizes)))
    return out


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
