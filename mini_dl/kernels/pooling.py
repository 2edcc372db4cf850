"""Maxima and means over windows and regions of the last dimensions of arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import FLOATING, Array, Index, Number, NumpyType, Shape
from mini_dl.kernels.blocks import LONGEST, as_single, computed_in, in_slices, number_of_pieces, slices, split
from mini_dl.kernels.parallel import share


class Windows(NamedTuple):
    """Output position o sees ``o * stride + t * dilation - padding`` for t below `kernel`, per dimension."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    out: Shape


class Plan:
    """How images of the shape `space` are reduced by windows, one dimension after the other, the last first."""

    def __init__(self, windows: Windows, space: Shape) -> None:
        dims = list(zip(*windows, space))
        self.padded = tuple([-(-max((o - 1) * s + d * (k - 1) + 1, p + i) // s) * s for k, s, p, d, o, i in dims])
        """The shape that covers all windows and the padded image, in whole strides."""
        self.reduced = tuple([size // s for size, s in zip(self.padded, windows.stride)])
        self.image: Index = (Ellipsis, *[slice(p, p + i) for p, i in zip(windows.padding, space)])
        self.out: Index = (slice(None), *[slice(o) for o in windows.out])
        self.stages = [
            (s, math.prod(self.reduced[dim + 1 :]), [divmod(t * d, s) for t in range(k)])
            for dim, (k, s, p, d, o, i) in reversed(list(enumerate(dims)))
        ]
        """The stride, the elements of a row, and the row and the phase at which each tap starts."""
        steps = [math.prod(space[dim + 1 :]) for dim in range(len(space))]
        taps = [sum([t * d * step for t, d, step in zip(tap, windows.dilation, steps)]) for tap in np.ndindex(*windows.kernel)]
        starts = [(np.arange(o) * s - p) * step for (k, s, p, d, o, i), step in zip(dims, steps)]
        self.taps, self.starts = np.array(taps), functools.reduce(np.add, np.ix_(*starts))
        """Where the taps of a window are in the flattened `space`, and where the windows start."""
        self.number = np.min_scalar_type(len(taps) - 1)
        """The type for the number of a tap."""
        once = (1,) * len(space)
        self.whole = windows.kernel == space and windows[2:] == ((0,) * len(space), once, once)
        """Whether there is one window, the image."""


@functools.lru_cache(1024)
def plan_of(windows: Windows, space: Shape) -> Plan:
    return Plan(windows, space)


# ------------------------------------------------------------------------------------------------ maxima


def maxima(input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out)"""
    out = np.empty((*input.shape[: -len(windows.out)], *windows.out), input.dtype)

    def reduce(arrays: tuple[Array, ...]) -> None:
        images, found = arrays
        found[...] = _reduced(images, plan_of(windows, images.shape[1:]), False)[0]

    _share_images(reduce, len(windows.out), input, out)
    return out


def maxima_and_taps(input: Array, windows: Windows) -> tuple[Array, Array | None]:
    """`maxima`, and the numbers of the taps that see them first, (*, *out), unless something is left open by comparing."""
    if input.dtype.kind not in FLOATING:
        return maxima(input, windows), None
    n = len(windows.out)
    plan = plan_of(windows, input.shape[-n:])
    out = np.empty((*input.shape[:-n], *windows.out), input.dtype)
    taps, open_ones = np.empty(out.shape, plan.number), list[bool]()

    def reduce(arrays: tuple[Array, ...]) -> None:
        images, found, numbers = arrays
        found[...], numbers[...] = _reduced(images, plan, True)
        open_ones.append(_is_ambiguous(found))

    _share_images(reduce, n, input, out, taps)
    return out, None if any(open_ones) else taps


def to_maxima(output: Array, input: Array, windows: Windows, taps: Array | None = None) -> Array:
    """(*, *out) -> (*, *in): each value is added to the position of its window's maximum.

    Without the `taps` that see them, the maxima are found again, not kept: the result of the forward may be written in place.
    """
    out, n = np.empty(input.shape, output.dtype), len(windows.out)

    def spread(arrays: tuple[Array, ...]) -> None:
        images, values, found, *numbers = arrays
        places = _places_of(numbers[0], plan_of(windows, images.shape[1:])) if numbers else _places(images, windows)
        if found.dtype == computed_in(found.dtype):
            _add_at(found, values, places)
        else:
            found[...] = added_at(as_single(values), places, found.shape, n)

    _share_images(spread, n, input, output, out, *([] if taps is None else [taps]))
    return out


def at_maxima(values: Array, input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out): the value at the position of each window's maximum."""
    out, n = np.empty((*input.shape[: -len(windows.out)], *windows.out), values.dtype), len(windows.out)

    def pick(arrays: tuple[Array, ...]) -> None:
        images, given, found = arrays
        found[...] = taken_at(given, _places(images, windows), n)

    _share_images(pick, n, input, values, out)
    return out


def places_of_maxima(input: Array, windows: Windows) -> Array:
    """Where the maxima are in the flattened spatial dimensions."""
    out = np.empty((*input.shape[: -len(windows.out)], *windows.out), np.int64)

    def place(arrays: tuple[Array, ...]) -> None:
        images, found = arrays
        found[...] = _places(images, windows)

    _share_images(place, len(windows.out), input, out)
    return out


_SHARED = 2
"""How many times larger than usual an array is whose maxima threads find together: their calls are many and short."""


def _share_images(work: Callable[[tuple[Array, ...]], object], n: int, *arrays: Array) -> None:
    """``work`` for `_by_images`, in long pieces, of large arrays by all threads."""
    size = max([a.size for a in arrays])
    share(work, _by_images(n, *arrays, number=number_of_pieces(size, size // _SHARED, LONGEST, LONGEST)), size // _SHARED)


def _by_images(n: int, *arrays: Array, number: int | None = None) -> list[tuple[Array, ...]]:
    """The arrays, flattened but for their last `n` dimensions, a few images at a time, in at most `number` pieces."""
    flat = [a.reshape(math.prod(a.shape[: a.ndim - n]), *a.shape[a.ndim - n :]) for a in arrays]
    count, each = len(flat[0]), max([math.prod(a.shape[-n:]) for a in arrays])
    pieces = slices(count, each) if number is None else split(count, number)
    return [tuple([a[images] for a in flat]) for images in pieces]


def _places(images: Array, windows: Windows) -> Array:
    """The position of each window's maximum in the flattened spatial dimensions: the first of equals, the last NaN."""
    if images.dtype.kind in FLOATING:
        plan = plan_of(windows, images.shape[1:])
        values, numbers = _reduced(images, plan, True)
        if not _is_ambiguous(values):
            return _places_of(numbers, plan)
    return _argmax(images, windows)


def _places_of(taps: Array, plan: Plan) -> Array:
    """The positions that taps of these numbers, (N, *out), see in the flattened spatial dimensions."""
    found = plan.taps.take(taps)
    return np.add(found, plan.starts, found)


def _is_ambiguous(maxima: Array) -> bool:
    """Whether comparing with the maxima fails to find them: there is a NaN, or padding may equal the maximum."""
    if not maxima.size:
        return False
    least = maxima.min()
    return bool(np.isnan(least) or least == -np.inf)


def _reduced(images: Array, plan: Plan, numbered: bool) -> tuple[Array, Array]:
    """(N, *in) -> the maxima, (N, *out), and if `numbered`, which tap sees them first.

    What a tap sees is a run of memory. It continues from one image to the next: what comes of that is cut off at the end.
    """
    if plan.whole:
        flat, out = images.reshape(len(images), len(plan.taps)), (len(images),) + (1,) * (images.ndim - 1)
        found = flat.argmax(1)
        return np.take_along_axis(flat, found[:, None], 1).reshape(out), found.reshape(out)
    seen, count = _padded(images, plan.padded, plan.image), 1
    numbers: Array = np.empty(0, plan.number)
    for stride, inner, taps in plan.stages:
        runs = _runs(seen, stride, inner, taps, numbered)
        seen = np.empty((seen.size // (stride * inner), inner), seen.dtype)
        most = seen[: len(runs[0])]
        np.maximum(runs[0], runs[min(1, len(runs) - 1)], out=most)
        for run in runs[2:]:
            np.maximum(most, run, out=most)
        if numbered:
            before = _runs(numbers, stride, inner, taps, True) if count > 1 else []
            numbers = np.zeros(seen.shape, plan.number)
            _number(runs, most, before, count, numbers[: len(most)])
        count *= len(taps)
    shape = (len(images), *plan.reduced)
    return seen.reshape(shape)[plan.out], numbers.reshape(shape)[plan.out] if numbered else numbers


def _runs(array: Array, stride: int, inner: int, taps: list[tuple[int, int]], copied: bool) -> list[Array]:
    """What each tap sees, as rows of `inner` elements; `copied` makes them contiguous, since NumPy compares nothing else fast."""
    whole = array.reshape(-1, stride, inner)
    phases = {phase: whole[:, phase] for _, phase in taps}
    if copied and stride > 1:
        phases = {phase: np.ascontiguousarray(rows) for phase, rows in phases.items()}
    count = len(whole) - taps[-1][0]
    return [phases[phase][row : row + count] for row, phase in taps]


def _number(runs: list[Array], most: Array, before: list[Array], count: int, out: Array) -> None:
    """Write the numbers of the first taps whose runs have the maximum to `out`, which is zero. `before` are the numbers so far
    of what the runs see, all zero if there are none; a tap adds `count`."""
    if before:
        out[...] = before[0]
    free = None  # where the maximum has not been found yet
    for tap in range(len(runs) - 1):
        other = np.not_equal(runs[tap], most)
        free = other if free is None else np.logical_and(free, other, out=free)
        out += free.view(np.uint8) * (before[tap + 1] - before[tap] + count) if before else free.view(np.uint8)


def lowest(dtype: NumpyType) -> Number:
    """The lowest value of the type."""
    return dtype.type(-np.inf) if dtype.kind in FLOATING else np.iinfo(dtype).min


def _padded(input: Array, shape: Shape, inside: Index) -> Array:
    """`input`, contiguous, in images of `shape`, the lowest value around it."""
    lead = input.shape[: input.ndim - len(shape)]
    if input.shape == (*lead, *shape):
        return np.ascontiguousarray(input)
    out = np.full((*lead, *shape), lowest(input.dtype), input.dtype)
    out[inside] = input
    return out


def _argmax(input: Array, windows: Windows) -> Array:
    """The position of each window's maximum in the flattened spatial dimensions: the first of equals, the last NaN."""
    n = len(windows.out)
    space = input.shape[-n:]
    plan = plan_of(windows, space)
    padded = _padded(input, plan.padded, plan.image)
    seen = _all_taps(padded, windows).reshape(*input.shape[:-n], *windows.out, math.prod(windows.kernel))
    places = np.arange(math.prod(space)).reshape(space)
    marked = np.full(padded.shape[-n:], -1)
    marked[plan.image] = places
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
    """The values at positions in the flattened last `n` dimensions, (N, C, *out); in range if they are the same for all C."""
    if places.ndim == n + 2 and places.strides[1] == 0 and places.size:
        out, channels = np.empty(places.shape, values.dtype), values.shape[1]

        def take(images: slice) -> None:
            for image, place, found in zip(values[images], places[images, 0], out[images]):
                flat = found.reshape(channels, -1)
                np.take(image.reshape(channels, -1), place.reshape(-1), 1, flat, mode="clip")  # "raise" would take a buffer

        in_slices(take, len(out), out[0].size)
        return out
    lead = math.prod(values.shape[: values.ndim - n])
    flat = values.reshape(lead, math.prod(values.shape[values.ndim - n :]))
    return np.take_along_axis(flat, places.reshape(lead, math.prod(places.shape[places.ndim - n :])), 1).reshape(places.shape)


def added_at(values: Array, places: Array, shape: Shape, n: int) -> Array:
    """Zeros of `shape` with each value added at its position in the flattened last `n` dimensions."""
    lead = math.prod(shape[: len(shape) - n])
    out = np.empty((lead, math.prod(shape[len(shape) - n :])), values.dtype)
    _add_at(out, values, places.reshape(lead, math.prod(places.shape[places.ndim - n :])))
    return out.reshape(shape)


def _add_at(out: Array, values: Array, places: Array) -> None:
    """Zero `out`, (N, *in), contiguous, and add each value at its position in the flattened spatial dimensions."""
    out.fill(0)
    starts = np.arange(len(out)) * math.prod(out.shape[1:])
    flat = places + starts.reshape(-1, *(1,) * (places.ndim - 1))
    np.add.at(out.reshape(-1), flat.reshape(-1), values.reshape(-1))  # one flat index: NumPy's fast case


# ------------------------------------------------------------------------------------------------ means


MATRIX = 1 << 13
"""Elements of a matrix up to which a product with it takes less time than adding elements by index."""


class Regions(NamedTuple):
    """The summed regions of one dimension. Tap t: the outputs whose regions have a t-th element, and its position."""

    size: int
    out: int
    taps: tuple[tuple[Any, Any], ...]
    counts: Array  # elements in each region
    repeated: bool  # whether one tap may see an element for several outputs
    apart: bool  # whether no element is in two regions
    paired: bool  # whether the first two taps see an element for every output
    matrix: Array | None  # (size, out): 1 for the elements of a region; None if taps are slices


def _regions(starts: Array, ends: Array, size: int) -> Regions:
    taps = []
    for t in range(int((ends - starts).max(initial=0))):
        place = starts + t
        which = np.flatnonzero((place < ends) & (place >= 0) & (place < size))
        if len(which):
            taps.append((_as_slice(which), _as_slice(place[which])))
    counts = np.minimum(ends, size) - np.maximum(starts, 0)
    repeated, apart = bool((np.diff(starts) == 0).any()), bool((starts[1:] >= ends[:-1]).all())
    paired = len(starts) > 0 and int(starts.min()) >= 0 and int(counts.min()) >= 2
    matrix = None
    if size * len(starts) <= MATRIX and any([type(index) is not slice for tap in taps for index in tap]):
        place = np.arange(size)[:, None]
        matrix = ((place >= starts) & (place < ends)).astype(np.float32)
    return Regions(size, len(starts), tuple(taps), counts, repeated, apart, paired, matrix)


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
            after = (slice(None),) * (len(regions) - dim - 1)
            grad = _spread_to_taps(grad, region, after, None if after or found.dtype != grad.dtype else found)
        if grad is not found:
            found[...] = grad

    share(spread, _by_images(len(regions), output, out), out.size)
    return out


def _as(divisor: Array | Number, dtype: NumpyType) -> Array | Number:
    return divisor.astype(dtype) if isinstance(divisor, np.ndarray) else divisor


def _sum_of_taps(x: Array, region: Regions, after: tuple[slice, ...]) -> Array:
    """Along the dimension before `after`."""
    if region.matrix is not None and x.dtype.char in "fd":
        matrix = region.matrix.astype(x.dtype)
        if after:
            found = np.matmul(matrix.T, x.reshape(*x.shape[: x.ndim - len(after)], -1))
            found = found.reshape(*found.shape[:-1], *x.shape[x.ndim - len(after) :])
        else:
            found = np.matmul(x.reshape(-1, region.size), matrix).reshape(*x.shape[:-1], region.out)
        if np.isfinite(found).all():  # else something infinite may have met a 0
            return found
    places = [((Ellipsis, which, *after), (Ellipsis, place, *after)) for which, place in region.taps]
    seen = [(to, x[of]) for to, of in places]
    if region.paired:
        total, rest = np.add(seen[0][1], seen[1][1]), seen[2:]
    else:
        axis = x.ndim - len(after) - 1
        total, rest = np.zeros((*x.shape[:axis], region.out, *x.shape[axis + 1 :]), x.dtype), seen[1:]
        for to, part in seen[:1]:
            total[to] = part
    for to, part in rest:
        total[to] += part
    return total


def _spread_to_taps(grad: Array, region: Regions, after: tuple[slice, ...], out: Array | None) -> Array:
    """The transpose of `_sum_of_taps`, in `out` if given."""
    axis = grad.ndim - len(after) - 1
    if out is None:
        out = np.empty((*grad.shape[:axis], region.size, *grad.shape[axis + 1 :]), grad.dtype)
    if not region.apart or region.counts.sum() < region.size:
        out[...] = 0
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
    flat = input.reshape(math.prod(lead), math.prod(space))
    if place.ndim == 2 * n:  # the same for all
        seen = flat.take(place.reshape(-1), 1)
        place = np.broadcast_to(place.reshape(*out, taps), (*lead, *out, taps))
        return _place_of_maximum(seen.reshape(place.shape), place)
    place = np.broadcast_to(place.reshape(*place.shape[: place.ndim - n], taps), (*lead, *out, taps))
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
