"""Maxima and means over windows and regions of the last dimensions of arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import FLOATING, Array, Index, Number, NumpyType, Shape
from mini_dl.kernels.blocks import as_single, computed_in, keep, slices
from mini_dl.kernels.parallel import share


class Windows(NamedTuple):
    """Output position o sees ``o * stride + t * dilation - padding`` for t below `kernel`, per dimension."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    out: Shape

    @property
    def needed(self) -> Shape:
        """The spatial shape that all windows together cover."""
        return tuple([(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(self.out, self.stride, self.dilation, self.kernel)])

    def taps(self, dim: int, ndim: int) -> list[Index]:
        """For each tap of dimension `dim`, the index of the elements it reads in a padded array."""
        s, d, o = self.stride[dim], self.dilation[dim], self.out[dim]
        after = (slice(None),) * (len(self.out) - dim - 1)
        return [(Ellipsis, slice(t * d, t * d + (o - 1) * s + 1, s), *after) for t in range(self.kernel[dim])]


# ------------------------------------------------------------------------------------------------ maxima


def maxima(input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out)"""
    out = np.empty((*input.shape[: -len(windows.out)], *windows.out), input.dtype)

    def reduce(arrays: tuple[Array, ...]) -> None:
        image, maxima = arrays
        maxima[...] = _stages(image, windows)[-1]

    share(reduce, _by_images(len(windows.out), input, out), input.size)
    return out


def to_maxima(output: Array, input: Array, windows: Windows) -> Array:
    """(*, *out) -> (*, *in): each value is added to the position of its window's maximum.

    The maxima are recomputed, which is cheap, so that the result of the forward may be written in place.
    """
    out = np.empty(input.shape, output.dtype)
    n = len(windows.out)

    def spread(arrays: tuple[Array, ...]) -> None:
        image, values, found = arrays
        stages = _stages(image, windows)
        if _is_ambiguous(stages[-1]):
            found[...] = added_at(values, _argmax(image, windows), image.shape, n)
            return
        grad = as_single(values)
        for dim in range(n):
            x, y = stages[-2 - dim], stages[-1 - dim]
            apart = windows.stride[dim] >= windows.dilation[dim] * (windows.kernel[dim] - 1) + 1
            wider = np.zeros(x.shape, grad.dtype)
            for index, mask in _chosen(x, y, windows, dim):
                kept = grad if mask is None else keep(grad, mask)
                if apart:
                    wider[index] = kept
                else:
                    wider[index] += kept
            grad = wider
        found[...] = grad if grad.shape == found.shape else grad[_inner(windows, found.shape[-n:])]

    share(spread, _by_images(n, input, output, out), input.size)
    return out


def at_maxima(values: Array, input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out): the value at the position of each window's maximum."""
    out = np.empty((*input.shape[: -len(windows.out)], *windows.out), values.dtype)
    share(lambda arrays: _picked(windows, *arrays), _by_images(len(windows.out), values, input, out), input.size)
    return out


def _picked(windows: Windows, values: Array, image: Array, out: Array) -> None:
    n = len(windows.out)
    stages = _stages(image, windows)
    if _is_ambiguous(stages[-1]):
        out[...] = taken_at(values, _argmax(image, windows), n)
        return
    seen = _padded(values, windows, 0)
    for dim in reversed(range(n)):
        x, y = stages[n - 1 - dim], stages[n - dim]
        picked = np.zeros(y.shape, values.dtype)
        for index, mask in _chosen(x, y, windows, dim):
            picked += seen[index] if mask is None else keep(seen[index], mask)
        seen = picked
    out[...] = seen


def places_of_maxima(input: Array, maxima: Array, windows: Windows) -> Array:
    """Where the maxima are in the flattened spatial dimensions."""
    if _is_ambiguous(maxima) or input.dtype.kind not in FLOATING:
        return _argmax(input, windows)
    space = input.shape[-len(windows.out) :]
    places = np.arange(math.prod(space), dtype=np.int32).reshape(space)
    out = np.empty(maxima.shape, np.int64)
    pieces = _by_images(len(windows.out), input, out)
    share(lambda arrays: _picked(windows, np.broadcast_to(places, arrays[0].shape), *arrays), pieces, input.size)
    return out


def _by_images(n: int, *arrays: Array) -> list[tuple[Array, ...]]:
    """The arrays, flattened but for their last `n` dimensions, a few images at a time."""
    flat = [a.reshape(math.prod(a.shape[: a.ndim - n]), *a.shape[a.ndim - n :]) for a in arrays]
    each = max([math.prod(a.shape[-n:]) for a in arrays])
    return [tuple([a[images] for a in flat]) for images in slices(len(flat[0]), each)]


def _is_ambiguous(maxima: Array) -> bool:
    """Whether comparing with the maxima fails to find them: there is a NaN, or padding may equal the maximum."""
    if not maxima.size:
        return False
    least = maxima.min()
    return bool(np.isnan(least) or least == -np.inf)


def _stages(input: Array, windows: Windows) -> list[Array]:
    """The padded input, and the results after reducing each dimension, the last dimension first."""
    stages = [_padded(input, windows, lowest(input.dtype))]
    for dim in reversed(range(len(windows.out))):
        x = stages[-1]
        first, *rest = windows.taps(dim, x.ndim)
        if rest:
            out = np.maximum(x[first], x[rest[0]])
            for index in rest[1:]:
                np.maximum(out, x[index], out=out)
        else:
            out = x[first].copy()
        stages.append(out)
    return stages


def _chosen(x: Array, y: Array, windows: Windows, dim: int) -> Iterator[tuple[Index, Array | None]]:
    """For each tap of `dim`: the elements it reads in `x`, and in which windows it first holds the maximum `y` (None: in all)."""
    taps = windows.taps(dim, x.ndim)
    if len(taps) == 1:
        yield taps[0], None
        return
    free: Array | None = None  # windows whose maximum has not been found yet
    for index in taps[:-1]:
        mask = np.equal(x[index], y)
        if free is None:
            yield index, mask
            free = np.logical_not(mask)
        else:
            np.logical_and(mask, free, out=mask)
            yield index, mask
            np.not_equal(free, mask, out=free)
    yield taps[-1], free


def lowest(dtype: NumpyType) -> Number:
    """The lowest value of the type."""
    return dtype.type(-np.inf) if dtype.kind in FLOATING else np.iinfo(dtype).min


def _padded(input: Array, windows: Windows, fill: Number) -> Array:
    """`input` padded with `fill` to cover the windows; `input` itself if they stay inside."""
    n, needed = len(windows.out), windows.needed
    space = input.shape[-n:]
    if not any(windows.padding) and all([m <= i for m, i in zip(needed, space)]):
        return input
    shape = [max(m, p + i) for m, p, i in zip(needed, windows.padding, space)]
    out = np.full((*input.shape[:-n], *shape), fill, input.dtype)
    out[_inner(windows, space)] = input
    return out


def _inner(windows: Windows, space: Shape) -> Index:
    return (Ellipsis, *[slice(p, p + i) for p, i in zip(windows.padding, space)])


def _argmax(input: Array, windows: Windows) -> Array:
    """The position of each window's maximum in the flattened spatial dimensions: the first of equals, the last NaN."""
    n = len(windows.out)
    space = input.shape[-n:]
    padded = _padded(input, windows, lowest(input.dtype))
    seen = _all_taps(padded, windows).reshape(*input.shape[:-n], *windows.out, math.prod(windows.kernel))
    places = np.arange(math.prod(space)).reshape(space)
    marked = np.full(padded.shape[-n:], -1)
    marked[_inner(windows, space)] = places
    place = _all_taps(marked, windows).reshape(-1, math.prod(windows.kernel))
    return _place_of_maximum(seen, np.broadcast_to(place, (*seen.shape[: -n - 1], *place.shape)).reshape(seen.shape))


def _place_of_maximum(seen: Array, place: Array) -> Array:
    """(*, K) and the position of each, -1 outside the image -> (*)"""
    best = seen.argmax(-1)
    if seen.dtype.kind in FLOATING and np.isnan(seen).any():
        nan = np.isnan(seen)
        best = np.where(nan.any(-1), seen.shape[-1] - 1 - nan[..., ::-1].argmax(-1), best)
    found = np.take_along_axis(place, best[..., None], -1)[..., 0]
    if found.size and found.min() < 0:  # nothing exceeds the padding: take the first position that is inside
        first = (place >= 0).argmax(-1)
        found = np.where(found < 0, np.take_along_axis(place, first[..., None], -1)[..., 0], found)
    return found


def _all_taps(padded: Array, windows: Windows) -> Array:
    """(*, *padded) -> (*, *out, *kernel), a view."""
    n = len(windows.out)
    steps = padded.strides[-n:]
    moves = [b * s for b, s in zip(steps, windows.stride)]
    taps = [b * d for b, d in zip(steps, windows.dilation)]
    shape = (*padded.shape[:-n], *windows.out, *windows.kernel)
    return np.lib.stride_tricks.as_strided(padded, shape, (*padded.strides[:-n], *moves, *taps))


def taken_at(values: Array, places: Array, n: int) -> Array:
    """The values at positions in the flattened last `n` dimensions."""
    lead = math.prod(values.shape[: values.ndim - n])
    flat = values.reshape(lead, math.prod(values.shape[values.ndim - n :]))
    return np.take_along_axis(flat, places.reshape(lead, math.prod(places.shape[places.ndim - n :])), 1).reshape(places.shape)


def added_at(values: Array, places: Array, shape: Shape, n: int) -> Array:
    """Zeros of `shape` with each value added at its position in the flattened last `n` dimensions."""
    lead, size = math.prod(shape[: len(shape) - n]), math.prod(shape[len(shape) - n :])
    flat = places.reshape(lead, math.prod(places.shape[places.ndim - n :])) + np.arange(0, lead * size, size or 1)[:, None]
    out = np.zeros(lead * size, values.dtype)
    np.add.at(out, flat.reshape(-1), values.reshape(-1))  # one flat index: NumPy's fast case
    return out.reshape(shape)


# ------------------------------------------------------------------------------------------------ means


class Regions(NamedTuple):
    """The summed regions of one dimension. Tap t: the outputs whose regions have a t-th element, and its position."""

    size: int
    out: int
    taps: tuple[tuple[Any, Any], ...]
    counts: Array  # elements in each region
    repeated: bool  # whether one tap may see an element for several outputs
    apart: bool  # whether no element is in two regions


def _regions(starts: Array, ends: Array, size: int) -> Regions:
    taps = []
    for t in range(int((ends - starts).max(initial=0))):
        place = starts + t
        which = np.flatnonzero((place < ends) & (place >= 0) & (place < size))
        if len(which):
            taps.append((_as_slice(which), _as_slice(place[which])))
    counts = np.minimum(ends, size) - np.maximum(starts, 0)
    repeated, apart = bool((np.diff(starts) == 0).any()), bool((starts[1:] >= ends[:-1]).all())
    return Regions(size, len(starts), tuple(taps), counts, repeated, apart)


def _as_slice(index: Array) -> Any:
    """Equally spaced positions as a slice: a view instead of a copy."""
    if len(index) == 1:
        return slice(int(index[0]), int(index[0]) + 1)
    step = int(index[1] - index[0])
    if step > 0 and (np.diff(index) == step).all():
        return slice(int(index[0]), int(index[-1]) + 1, step)
    return index


@functools.lru_cache(1024)
def window_regions(size: int, kernel: int, stride: int, padding: int, out: int) -> Regions:
    starts = np.arange(out) * stride - padding
    return _regions(starts, starts + kernel, size)


@functools.lru_cache(1024)
def adaptive_regions(size: int, out: int) -> Regions:
    """Region i extends from floor(i * size / out) to ceil((i + 1) * size / out)."""
    i = np.arange(out)
    return _regions(i * size // max(out, 1), -(-(i + 1) * size // max(out, 1)), size)


def means(input: Array, regions: tuple[Regions, ...], divisor: Array | Number) -> Array:
    """(*, *in) -> (*, *out): the sums over regions, divided."""
    out = np.empty((*input.shape[: -len(regions)], *[region.out for region in regions]), input.dtype)

    def reduce(arrays: tuple[Array, ...]) -> None:
        x, means = arrays
        x = as_single(x)
        for dim in reversed(range(len(regions))):
            x = _sum_of_taps(x, regions[dim], (slice(None),) * (len(regions) - dim - 1))
        if x.dtype.kind == "i":  # toward zero
            means[...] = np.sign(x) * np.sign(divisor) * (np.abs(x) // np.abs(divisor))
        else:
            np.divide(x, _as(divisor, x.dtype), out=means)

    share(reduce, _by_images(len(regions), input, out), input.size)
    return out


def spread_means(output: Array, regions: tuple[Regions, ...], divisor: Array | Number) -> Array:
    """The transpose of `_means`."""
    out = np.empty((*output.shape[: -len(regions)], *[region.size for region in regions]), output.dtype)

    def spread(arrays: tuple[Array, ...]) -> None:
        means, found = arrays
        grad = np.divide(means, _as(divisor, computed_in(means.dtype)))
        for dim, region in enumerate(regions):
            grad = _spread_to_taps(grad, region, (slice(None),) * (len(regions) - dim - 1))
        found[...] = grad

    share(spread, _by_images(len(regions), output, out), out.size)
    return out


def _as(divisor: Array | Number, dtype: NumpyType) -> Array | Number:
    return divisor.astype(dtype) if isinstance(divisor, np.ndarray) else divisor


def _sum_of_taps(x: Array, region: Regions, after: tuple[slice, ...]) -> Array:
    """Along the dimension before `after`."""
    axis = x.ndim - len(after) - 1
    total = np.zeros((*x.shape[:axis], region.out, *x.shape[axis + 1 :]), x.dtype)
    for number, (which, place) in enumerate(region.taps):
        to, of = (Ellipsis, which, *after), (Ellipsis, place, *after)
        if number == 0:
            total[to] = x[of]
        else:
            total[to] += x[of]
    return total


def _spread_to_taps(grad: Array, region: Regions, after: tuple[slice, ...]) -> Array:
    """The transpose of `_sum_of_taps`."""
    axis = grad.ndim - len(after) - 1
    out = np.zeros((*grad.shape[:axis], region.size, *grad.shape[axis + 1 :]), grad.dtype)
    for which, place in region.taps:
        to, of = (Ellipsis, place, *after), (Ellipsis, which, *after)
        if region.apart:
            out[to] = grad[of]
        elif region.repeated and not isinstance(place, slice):
            np.add.at(out, to, grad[of])
        else:
            out[to] += grad[of]
    return out


# ------------------------------------------------------------------------------------------------ adaptive


def largest(input: Array, axes: list[Array]) -> Array:
    """The position of the maximum of each region; `axes` has the positions (\\*lead, out, K) of the regions in each dimension."""
    n = len(axes)
    space, lead = input.shape[-n:], input.shape[:-n]
    out = [a.shape[-2] for a in axes]
    place: Any = 0
    for dim, axis in enumerate(axes):
        shape = [1] * (2 * n)
        shape[dim], shape[n + dim] = axis.shape[-2:]
        place = place * space[dim] + axis.reshape(*axis.shape[:-2], *shape)  # (\\*lead, \\*out, \\*K)
    taps = math.prod(place.shape[place.ndim - n :])
    place = np.broadcast_to(place.reshape(*place.shape[: place.ndim - n], taps), (*lead, *out, taps))
    flat = input.reshape(math.prod(lead), math.prod(space))
    seen = np.take_along_axis(flat, place.reshape(len(flat), math.prod(place.shape[len(lead) :])), 1)
    return _place_of_maximum(seen.reshape(place.shape), place)


# ------------------------------------------------------------------------------------------------ fractional


def intervals(sample: Array, size: int, out: int, kernel: int) -> Array:
    """(*) -> (*, out): where the windows start, ``int((i + u) * a) - int(u * a)`` with a = (size - kernel) / (out - 1);
    the last one ends with the image (Graham, Fractional Max-Pooling, 2014)."""
    starts = np.full((*sample.shape, out), size - kernel)
    if out > 1:
        alpha = sample.dtype.type(size - kernel) / sample.dtype.type(out - 1)
        i = np.arange(out - 1).astype(sample.dtype)
        u = sample[..., None]
        starts[..., :-1] = ((i + u) * alpha).astype(np.int64) - (u * alpha).astype(np.int64)
    return starts
