"""Pooling: the maximum, mean or power mean over windows of the last one, two or three dimensions.

The maximum over a window is taken dimension by dimension, the last one first: that keeps to contiguous memory and finds, of equal
maxima, the first in reading order. Its gradient goes the same way back. Sums over windows, regular or adaptive, are likewise done
one dimension at a time.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import Array, scalar_name
from mini_dl._surface import public
from mini_dl.autograd.formal import kinked, piecewise
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels.blocks import keep, slices
from mini_dl.kernels.parallel import share
from mini_dl.ops.random import rand
from mini_dl.tensor import Tensor, wrap

Ints = tuple[int, ...]


class Windows(NamedTuple):
    """Output position o sees ``o * stride + t * dilation - padding`` for t below `kernel`, per dimension."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    out: Ints

    @property
    def needed(self) -> Ints:
        """The spatial shape that all windows together cover."""
        return tuple([(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(self.out, self.stride, self.dilation, self.kernel)])

    def taps(self, dim: int, ndim: int) -> list[Any]:
        """For each tap of dimension `dim`, the index that shows what it sees in a padded array."""
        s, d, o = self.stride[dim], self.dilation[dim], self.out[dim]
        after = (slice(None),) * (len(self.out) - dim - 1)
        return [(Ellipsis, slice(t * d, t * d + (o - 1) * s + 1, s), *after) for t in range(self.kernel[dim])]


# ------------------------------------------------------------------------------------------------ maxima


@piecewise("input")
@op(input=lambda grad, input, windows: _to_maxima(grad, input, windows))
def _maxima(input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out)"""
    out = np.empty((*input.shape[: -len(windows.out)], *windows.out), input.dtype)

    def reduce(arrays: tuple[Array, ...]) -> None:
        image, maxima = arrays
        maxima[...] = _stages(image, windows)[-1]

    share(reduce, _by_images(len(windows.out), input, out), input.size)
    return out


@op(output=lambda grad, input, windows: _at_maxima(grad, input, windows))
def _to_maxima(output: Array, input: Array, windows: Windows) -> Array:
    """(*, *out) -> (*, *in): each value at the place of its window's maximum, added up.

    The maxima are computed once more, which is cheap, so that the result of the forward may be written in place.
    """
    out = np.empty(input.shape, output.dtype)
    n = len(windows.out)

    def spread(arrays: tuple[Array, ...]) -> None:
        image, values, found = arrays
        stages = _stages(image, windows)
        if _unclear(stages[-1]):
            found[...] = _added_at(values, _argmax(image, windows), image.shape, n)
            return
        grad = values.astype(np.float32) if values.dtype.char == "e" else values
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


@op(values=lambda grad, input, windows: _to_maxima(grad, input, windows))
def _at_maxima(values: Array, input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out): the value at the place of each window's maximum."""
    out = np.empty((*input.shape[: -len(windows.out)], *windows.out), values.dtype)
    share(lambda arrays: _picked(windows, *arrays), _by_images(len(windows.out), values, input, out), input.size)
    return out


def _picked(windows: Windows, values: Array, image: Array, out: Array) -> None:
    n = len(windows.out)
    stages = _stages(image, windows)
    if _unclear(stages[-1]):
        out[...] = _taken_at(values, _argmax(image, windows), n)
        return
    seen = _padded(values, windows, 0)
    for dim in reversed(range(n)):
        x, y = stages[n - 1 - dim], stages[n - dim]
        picked = np.zeros(y.shape, values.dtype)
        for index, mask in _chosen(x, y, windows, dim):
            picked += seen[index] if mask is None else keep(seen[index], mask)
        seen = picked
    out[...] = seen


def _places(input: Array, maxima: Array, windows: Windows) -> Array:
    """Where the maxima are in the flattened spatial dimensions."""
    if _unclear(maxima) or input.dtype.kind != "f":
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


def _unclear(maxima: Array) -> bool:
    """Whether comparing with the maxima does not find them: there is a NaN, or padding may equal the maximum."""
    if not maxima.size:
        return False
    least = maxima.min()
    return bool(np.isnan(least) or least == -np.inf)


def _stages(input: Array, windows: Windows) -> list[Array]:
    """The padded input, and what it is after each dimension was reduced, the last dimension first."""
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


def _chosen(x: Array, y: Array, windows: Windows, dim: int) -> Iterator[tuple[Any, Array | None]]:
    """For each tap of `dim`, where in `x` it looks and in which windows it is the first to hold the maximum `y`; None: in all."""
    taps = windows.taps(dim, x.ndim)
    if len(taps) == 1:
        yield taps[0], None
        return
    free: Any = None  # windows whose maximum has not been met yet
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


def lowest(dtype: np.dtype[Any]) -> Any:
    """What no value of the type is below."""
    return dtype.type(-np.inf) if dtype.kind == "f" else np.iinfo(dtype).min


def _padded(input: Array, windows: Windows, fill: Any) -> Array:
    """`input` with `fill` around it as far as the windows reach; `input` itself where they stay inside."""
    n, needed = len(windows.out), windows.needed
    space = input.shape[-n:]
    if not any(windows.padding) and all([m <= i for m, i in zip(needed, space)]):
        return input
    shape = [max(m, p + i) for m, p, i in zip(needed, windows.padding, space)]
    out = np.full((*input.shape[:-n], *shape), fill, input.dtype)
    out[_inner(windows, space)] = input
    return out


def _inner(windows: Windows, space: Ints) -> Any:
    return (Ellipsis, *[slice(p, p + i) for p, i in zip(windows.padding, space)])


def _argmax(input: Array, windows: Windows) -> Array:
    """The place of each window's maximum in the flattened spatial dimensions: the first of equals, the last NaN."""
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
    """(*, K) and the place of each, -1 outside the image -> (*)"""
    best = seen.argmax(-1)
    if seen.dtype.kind == "f" and np.isnan(seen).any():
        nan = np.isnan(seen)
        best = np.where(nan.any(-1), seen.shape[-1] - 1 - nan[..., ::-1].argmax(-1), best)
    found = np.take_along_axis(place, best[..., None], -1)[..., 0]
    if found.size and found.min() < 0:  # nothing is above the padding: the first place that is inside
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


@op(input=lambda grad, places, input_shape, n: _put_at(grad, places, input_shape, n))
def _values_at(input: Array, places: Array, n: int) -> Array:
    """(*, *in), (*, *out) -> (*, *out): the values at places in the flattened last `n` dimensions."""
    return _taken_at(input, places, n)


@op(output=lambda grad, places, n: _values_at(grad, places, n))
def _put_at(output: Array, places: Array, shape: Ints, n: int) -> Array:
    """The transpose of `_values_at`."""
    return _added_at(output, places, shape, n)


def _taken_at(values: Array, places: Array, n: int) -> Array:
    """The values at places in the flattened last `n` dimensions."""
    lead = math.prod(values.shape[: values.ndim - n])
    flat = values.reshape(lead, math.prod(values.shape[values.ndim - n :]))
    return np.take_along_axis(flat, places.reshape(lead, math.prod(places.shape[places.ndim - n :])), 1).reshape(places.shape)


def _added_at(values: Array, places: Array, shape: Ints, n: int) -> Array:
    """Zeros of `shape` with each value added at its place in the flattened last `n` dimensions."""
    lead, size = math.prod(shape[: len(shape) - n]), math.prod(shape[len(shape) - n :])
    flat = places.reshape(lead, math.prod(places.shape[places.ndim - n :])) + np.arange(0, lead * size, size or 1)[:, None]
    out = np.zeros(lead * size, values.dtype)
    np.add.at(out, flat.reshape(-1), values.reshape(-1))  # one flat index: NumPy's fast case
    return out.reshape(shape)


# ------------------------------------------------------------------------------------------------ means


class Regions(NamedTuple):
    """The regions of one dimension that are summed. Tap t: the outputs that have a t-th element, and where it is."""

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
def _window_regions(size: int, kernel: int, stride: int, padding: int, out: int) -> Regions:
    starts = np.arange(out) * stride - padding
    return _regions(starts, starts + kernel, size)


@functools.lru_cache(1024)
def _adaptive_regions(size: int, out: int) -> Regions:
    """Region i is from floor(i * size / out) to ceil((i + 1) * size / out)."""
    i = np.arange(out)
    return _regions(i * size // max(out, 1), -(-(i + 1) * size // max(out, 1)), size)


@piecewise("input")
@op(input=lambda grad, regions, divisor: _spread_means(grad, regions, divisor))
def _means(input: Array, regions: tuple[Regions, ...], divisor: Any) -> Array:
    """(*, *in) -> (*, *out): the sums over regions, divided."""
    out = np.empty((*input.shape[: -len(regions)], *[region.out for region in regions]), input.dtype)

    def reduce(arrays: tuple[Array, ...]) -> None:
        x, means = arrays
        x = x.astype(np.float32) if x.dtype.char == "e" else x
        for dim in reversed(range(len(regions))):
            x = _sum_of_taps(x, regions[dim], (slice(None),) * (len(regions) - dim - 1))
        if x.dtype.kind == "i":  # towards zero
            means[...] = np.sign(x) * np.sign(divisor) * (np.abs(x) // np.abs(divisor))
        else:
            np.divide(x, _as(divisor, x.dtype), out=means)

    share(reduce, _by_images(len(regions), input, out), input.size)
    return out


@op(output=lambda grad, regions, divisor: _means(grad, regions, divisor))
def _spread_means(output: Array, regions: tuple[Regions, ...], divisor: Any) -> Array:
    """The transpose of `_means`."""
    out = np.empty((*output.shape[: -len(regions)], *[region.size for region in regions]), output.dtype)

    def spread(arrays: tuple[Array, ...]) -> None:
        means, found = arrays
        grad = np.divide(means, _as(divisor, np.dtype(np.float32) if means.dtype.char == "e" else means.dtype))
        for dim, region in enumerate(regions):
            grad = _spread_to_taps(grad, region, (slice(None),) * (len(regions) - dim - 1))
        found[...] = grad

    share(spread, _by_images(len(regions), output, out), out.size)
    return out


def _as(divisor: Any, dtype: np.dtype[Any]) -> Any:
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


# ------------------------------------------------------------------------------------------------ arguments

WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


def _ints(name: str, what: str, value: Any, n: int) -> Ints:
    """`value` for each of `n` dimensions."""
    if not isinstance(value, (tuple, list)):
        return (operator.index(value),) * n
    if len(value) == 1:
        return (operator.index(value[0]),) * n
    if len(value) != n:
        if n == 1:
            raise RuntimeError(
                f"{name}() {what} must be an int, list of ints or tuple of ints of size 1 but got size {len(value)}"
            )
        omitted = "be omitted, a single int, or a tuple of" if what == "stride" else "be a single int, or a tuple of"
        raise RuntimeError(f"{name}: {what} must either {omitted} {WORDS[n]}")
    return tuple([operator.index(v) for v in value])


def _geometry(
    name: str, n: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Windows:
    """The windows over `input`, after torch's checks."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}")
    kernel = _ints(name, "kernel_size", kernel_size, n)
    steps = kernel if stride is None or (isinstance(stride, (tuple, list)) and not stride) else _ints(name, "stride", stride, n)
    pads, spread = _ints(name, "padding", padding, n), _ints(name, "dilation", dilation, n)
    if min(steps) == 0:
        raise RuntimeError("stride should not be zero")
    if min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {list(kernel)}")
    if min(steps) < 0:
        raise RuntimeError(f"stride should be greater than zero, but got {list(steps)}")
    if min(spread) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(spread)}")
    for k, p, d in zip(kernel, pads, spread):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
            )
    shape = input._array.shape
    _check_rank(name, n, shape)
    space = shape[-n:]
    out = []
    for i, k, s, p, d in zip(space, kernel, steps, pads, spread):
        reach = i + 2 * p - d * (k - 1) - 1
        o = (-(-reach // s) if ceil_mode else reach // s) + 1
        if ceil_mode and (o - 1) * s >= i + p:  # the last window must start inside the image or its left padding
            o -= 1
        out.append(o)
    if min(out) < 1:
        before = "x".join([str(i) for i in shape[-n - 1 :]])
        after = "x".join([str(i) for i in (shape[-n - 1], *out)])
        raise RuntimeError(f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small")
    return Windows(kernel, steps, pads, spread, tuple(out))


def _check_rank(name: str, n: int, shape: Ints) -> None:
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(f"non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input")
    if 0 in shape[-n - 1 :] and n == 3:
        kernel = "max_pool3d_with_indices_out_cpu_template()" if name == "max_pool3d" else "avg_pool3d()"
        raise RuntimeError(
            f"{kernel}: Expected input's non-batch dimensions to have positive length, but input has a shape of {list(shape)} "
            "and non-batch dimension 0 has length zero!"
        )
    if 0 in shape[-n - 1 :]:
        raise RuntimeError(
            f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
        )


def _require(dtype: np.dtype[Any], kinds: str, kernel: str, without: str = "") -> None:
    if dtype.kind not in kinds or dtype.char in "HILQ" + without:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(dtype)}'")


# ------------------------------------------------------------------------------------------------ max_pool


def _max_pool(
    n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: bool
) -> tuple[Tensor, Tensor | None]:
    name = f"max_pool{n}d"
    if n == 1:
        _check_max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, indices)
    windows = _geometry(name, n, input, kernel_size, stride, padding, dilation, ceil_mode)
    plain = n == 1 and not indices and not (mode.enabled and edge_of(input) is not None)
    _require(input._array.dtype, "f" if plain else "fiu", "max_pool1d_impl" if plain else f"max_pool{max(n, 2)}d")
    values = _maxima(input, windows)
    return values, wrap(mode.run(_places, input._array, values._array, windows)) if indices else None


def _check_max_pool1d(
    input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: bool
) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"max_pool1d(): argument 'input' (position 1) must be Tensor, not {type_name(input)}")
    shape = input._array.shape
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            f"max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
        )
    if indices:
        return
    given = {"kernel_size": kernel_size, "padding": padding, "dilation": dilation}
    (k,), (p,), (d,) = [_ints("max_pool1d", what, value, 1) for what, value in given.items()]
    s = k if stride is None or stride in ((), []) else _ints("max_pool1d", "stride", stride, 1)[0]
    for what, value in (("kernel_size", k), ("stride", s), ("dilation", d)):
        if value <= 0:
            raise RuntimeError(f"max_pool1d() {what} must be greater than zero, but got {value}")
    if p < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {p}")
    if p > k // 2:
        raise RuntimeError(f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}")
    reach = shape[-1] + 2 * p - d * (k - 1) - 1
    out = (-(-reach // s) if ceil_mode else reach // s) + 1
    if out < 1:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out}")


def _max_pool_family(n: int) -> None:
    """Publish ``max_pool{n}d`` and ``max_pool{n}d_with_indices``."""

    def with_indices(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        return _max_pool(n, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    def max_pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        found = _max_pool(n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return found if return_indices else found[0]

    lengths = {1: "L", 2: "H, W", 3: "D, H, W"}[n]
    _publish(
        max_pool, f"max_pool{n}d", f"The maximum over windows of the last {n} dimensions, (N, C, {lengths}) -> (N, C, *out)."
    )
    places = ("nn.functional", "torch") if n == 1 else ("nn.functional",)
    _publish(with_indices, f"max_pool{n}d_with_indices", f"``max_pool{n}d`` and the places of the maxima.", places)


def _publish(function: Callable[..., Any], name: str, doc: str, places: Sequence[str] = ("nn.functional", "torch")) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    public(*places)(function)


for _n in (1, 2, 3):
    _max_pool_family(_n)


# ------------------------------------------------------------------------------------------------ avg_pool


def _avg_pool(
    n: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    name = f"avg_pool{n}d"
    if n == 1 and isinstance(input, Tensor) and input.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input.ndim}-dimensional tensor for argument #1 'self' "
            "(while checking arguments for avg_pool1d)"
        )
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    windows = _geometry(name, n, input, kernel_size, stride, padding, 1, ceil_mode)
    _require(input._array.dtype, "fi", "avg_pool3d_out_frame" if n == 3 else "avg_pool2d", "bhie" if n == 3 else "bhi")
    sizes = input._array.shape[-n:]
    if n == 3 and any([size < k for size, k in zip(sizes, windows.kernel)]):  # whatever the padding, and in 3 dimensions only
        image = " ".join([f"{d}: {i}" for d, i in zip("THW", sizes)])
        kernel = " ".join([f"k{d}: {k}" for d, k in zip("THW", windows.kernel)])
        raise RuntimeError(f"input image ({image}) smaller than kernel size ({kernel})")
    regions = tuple([_window_regions(*r) for r in zip(sizes, windows.kernel, windows.stride, windows.padding, windows.out)])
    return _means(input, regions, divisor or _divisor(regions, windows, sizes, count_include_pad))  # type: ignore[no-any-return]


def _divisor(regions: tuple[Regions, ...], windows: Windows, sizes: Ints, count_include_pad: bool) -> Any:
    """How many elements each window has, a number if all have as many; padding counts on request, what is beyond it never."""
    counts = []
    for region, size, k, s, p in zip(regions, sizes, windows.kernel, windows.stride, windows.padding):
        starts = np.arange(region.out) * s - p
        counts.append(np.minimum(starts + k, size + p) - starts if count_include_pad else region.counts)
    if all([(c == c[0]).all() for c in counts]):
        return int(math.prod([int(c[0]) for c in counts]))
    return functools.reduce(np.multiply.outer, counts)


@public("nn.functional", "torch")
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean over windows of the last dimension, (N, C, L) -> (N, C, L')."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@public("nn.functional", out=True)
def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean over windows of the last two dimensions, (N, C, H, W) -> (N, C, H', W')
    with H' = (H + 2 padding - K) // stride + 1, rounded up in `ceil_mode`.

    >>> import mini_dl as torch
    >>> torch.nn.functional.avg_pool2d(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2)
    tensor([[[2.5000]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@public("nn.functional", out=True)
def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean over windows of the last three dimensions, (N, C, D, H, W) -> (N, C, D', H', W')."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# ------------------------------------------------------------------------------------------------ lp_pool


def _lp_pool(n: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    kernel = _ints(f"lp_pool{n}d", "kernel_size", kernel_size, n)
    if norm_type == math.inf:
        return _max_pool(n, input.abs(), kernel, stride, 0, 1, ceil_mode, False)[0]
    if norm_type == -math.inf:
        return -_max_pool(n, -input.abs(), kernel, stride, 0, 1, ceil_mode, False)[0]
    mean = _avg_pool(n, input.pow(norm_type), kernel, stride, 0, ceil_mode, True, None)
    total: Tensor = (mean.sign() * mean.abs().relu()) * math.prod(kernel)
    return total.pow(1.0 / norm_type)


@public("nn.functional")
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over windows of the last dimension."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@public("nn.functional")
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over windows of the last two dimensions."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@public("nn.functional")
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over windows of the last three dimensions."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# ------------------------------------------------------------------------------------------------ adaptive


def _adaptive_out(name: str, n: int, input: Any, output_size: Any, average: bool) -> Ints:
    """The checked output size; None in it stands for the size of the input."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}")
    shape = input._array.shape
    given: Any = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if n == 1:
        if len(shape) not in (2, 3):
            raise RuntimeError(
                f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' "
                f"(while checking arguments for {name})"
            )
        if len(given) != 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(given)})")
    elif isinstance(output_size, (tuple, list)) and len(shape) <= len(given):
        raise ValueError(f"Input dimension should be at least {len(given) + 1}")
    if len(given) != n:
        if average:
            raise RuntimeError(f"{name}: output_size must be {n}")
        raise RuntimeError(f"{name}(): internal error: output_size.size() must be {n}")
    if n > 1 and len(shape) not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got{'' if average else ':'} {list(shape)}")
    out = tuple([size if o is None else int(o) for o, size in zip(given, shape[-n:])])
    if min(out) < 0:
        if average:
            listed = ", ".join([str(o) for o in ((1,) + out if n == 1 else out)])
            word = f"adaptive_avg_pool{max(n, 2)}d"
            raise RuntimeError(f"{word}: elements of output_size must be greater than or equal to 0 but received {{{listed}}}")
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {[*shape[:-n], *out]}")
    for dim in range(len(shape) - n, len(shape)):
        if shape[dim] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)} "
                f"with dimension {dim} being empty"
            )
    return out


def _adaptive_avg_pool(n: int, input: Tensor, output_size: Any) -> Tensor:
    out = _adaptive_out(f"adaptive_avg_pool{n}d", n, input, output_size, True)
    if set(out) == {1}:
        return input.mean(tuple(range(-n, 0)), keepdim=True)
    _require(input._array.dtype, "f", f"adaptive_avg_pool{max(n, 2)}d")
    regions = tuple([_adaptive_regions(size, o) for size, o in zip(input._array.shape[-n:], out)])
    windows = Windows(out, out, (0,) * n, (1,) * n, out)
    divisor = 1 if 0 in out else _divisor(regions, windows, input._array.shape[-n:], False)
    return _means(input, regions, divisor)  # type: ignore[no-any-return]


@public("nn.functional", "torch")
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The mean over `output_size` regions of the last dimension, region i from floor(i L / L') to ceil((i + 1) L / L')."""
    return _adaptive_avg_pool(1, input, output_size)


@public("nn.functional")
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The mean over `output_size` regions of the last two dimensions, (N, C, H, W) -> (N, C, *output_size)."""
    return _adaptive_avg_pool(2, input, output_size)


@public("nn.functional")
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The mean over `output_size` regions of the last three dimensions, (N, C, D, H, W) -> (N, C, *output_size)."""
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n: int, input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    out = _adaptive_out(f"adaptive_max_pool{n}d", n, input, output_size, False)
    _require(input._array.dtype, "f", f"adaptive_max_pool{max(n, 2)}d")
    space = input._array.shape[-n:]
    if 0 not in out and all([size % o == 0 for size, o in zip(space, out)]):
        kernel = tuple([size // o for size, o in zip(space, out)])
        windows = Windows(kernel, kernel, (0,) * n, (1,) * n, out)
        values = _maxima(input, windows)
        return values, wrap(mode.run(_places, input._array, values._array, windows))
    axes = []
    for size, o in zip(space, out):
        i = np.arange(o)
        starts, ends = i * size // max(o, 1), -(-(i + 1) * size // max(o, 1))
        taps = np.arange(int((ends - starts).max(initial=1)))
        axes.append(np.minimum(starts[:, None] + taps, ends[:, None] - 1))  # (out, K), the last repeated where there are fewer
    places = wrap(mode.run(_largest, input._array, axes))
    return _values_at(kinked(input), places, n), places


def _largest(input: Array, axes: list[Array]) -> Array:
    """Where the maximum of each region is; `axes` has the positions (\\*lead, out, K) of the regions in each dimension."""
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


def _adaptive_max_family(n: int) -> None:
    """Publish ``adaptive_max_pool{n}d`` and ``adaptive_max_pool{n}d_with_indices``."""

    def with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _adaptive_max_pool(n, input, output_size)

    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        found = _adaptive_max_pool(n, input, output_size)
        return found if return_indices else found[0]

    name, doc = f"adaptive_max_pool{n}d", f"The maximum over `output_size` regions of the last {n} dimensions"
    _publish(adaptive_max_pool, name, doc + ".", ("nn.functional",))
    _publish(with_indices, name + "_with_indices", doc + ", and its place in the flattened image.", ("nn.functional",))
    if n == 1:
        public("torch:adaptive_max_pool1d")(with_indices)


for _n in (1, 2, 3):
    _adaptive_max_family(_n)


# ------------------------------------------------------------------------------------------------ max_unpool


@op(input=lambda grad, places, n: _values_at(grad, places, n))
def _unpool(input: Array, places: Array, out: Ints, n: int) -> Array:
    """(*, *in) -> (*, *out): zeros but for the inputs at their places; of several for one place, the last."""
    lead, count = input.shape[:-n], math.prod(input.shape[-n:])
    flat = np.zeros((math.prod(lead), math.prod(out)), input.dtype)
    np.put_along_axis(flat, places.reshape(len(flat), count), input.reshape(len(flat), count), 1)
    return flat.reshape(*lead, *out)


def _max_unpool(n: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Tensor:
    name = f"max_unpool{n}d"
    kernel, pads = _ints(name, "kernel_size", kernel_size, n), _ints(name, "padding", padding, n)
    steps = kernel if stride is None else _ints(name, "stride", stride, n)
    space = input._array.shape[-n:]
    default = [(i - 1) * s + k - 2 * p for i, s, k, p in zip(space, steps, kernel, pads)]
    out = default
    if output_size is not None:
        out = list(output_size)[2:] if len(output_size) == n + 2 else list(output_size)
        if len(out) != n:
            raise ValueError(
                f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of '{len(out)}'"
            )
        for d, (o, usual, s) in enumerate(zip(out, default, steps)):
            if not usual - s < o < usual + s:
                raise ValueError(f'invalid output_size "{output_size}" (dim {d} must be between {usual - s} and {usual + s})')
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.ndim} dimensions."
        )
    if indices._array.dtype != np.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {scalar_name(indices._array.dtype)}")
    if indices._array.shape != input._array.shape:
        tail = [1] if n == 1 else []
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({[*input._array.shape, *tail]}) but got indices tensor with shape: {[*indices._array.shape, *tail]}"
        )
    if min(out) < 0:
        raise RuntimeError(f"max_unpooling: output_size must be non-negative, but got {out}")
    _require(input._array.dtype, "f", f"max_unpool{max(n, 2)}d")
    places = indices._array
    if places.size and not (places.min() >= 0 and places.max() < math.prod(out)):
        bad = places.max() if places.max() >= math.prod(out) else places.min()
        volume = "x".join([str(o) for o in ([*out, 1] if n == 1 else out)])
        raise RuntimeError(f"Found an invalid max index: {bad} (output volumes are of size {volume}")
    return _unpool(input, indices, tuple(out), n)  # type: ignore[no-any-return]


@public("nn.functional")
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros but for the inputs at the places that ``max_pool1d`` found, (N, C, L) -> (N, C, L')."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@public("nn.functional")
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros but for the inputs at the places that ``max_pool2d`` found, (N, C, H, W) -> (N, C, H', W')."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@public("nn.functional")
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros but for the inputs at the places that ``max_pool3d`` found, (N, C, D, H, W) -> (N, C, D', H', W')."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ------------------------------------------------------------------------------------------------ fractional


def _fractional_max_pool(
    n: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Tensor | None
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{n}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        if len(output_ratio) > n:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        ratios = tuple(output_ratio) * (n if len(output_ratio) == 1 else 1)
        output_size = [int(input.shape[d - n] * ratios[d]) for d in range(n)]
    x = input._array
    if x.ndim <= n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-x.ndim}, {x.ndim - 1}], but got {-n - 1})")
    out, kernel = _ints(name, "output_size", output_size, n), _ints(name, "kernel_size", kernel_size, n)
    batch = 1 if x.ndim == n + 1 else x.shape[0]
    if samples is None:
        samples = rand(batch, x.shape[-n - 1], n, dtype=input.dtype)
    for dim, (expected, what) in enumerate(((batch, "input batch size"), (x.shape[-n - 1], "input channel size"), (n, str(n)))):
        found = samples.shape[dim]
        if (found < expected) if dim == 0 else (found != expected):
            got = f"; got {found}" if dim == 2 else ""
            raise RuntimeError(f"Expect _random_samples.size({dim}) equals to {what}{got}.")
    words = {2: ("height", "width"), 3: ("time", "height", "width")}[n]
    for word, size, k, o in zip(words, x.shape[-n:], kernel, out):
        if o + k - 1 > size - (n == 3):  # torch wants one to spare in three dimensions
            raise RuntimeError(f"{name}(): pool {word} {k} too large relative to input {word} {size}")
    _require(x.dtype, "f", f"{name}_out_frame")
    drawn = samples._array[:batch].reshape(*x.shape[:-n], n)
    order = range(n) if n == 3 else (1, 0)  # in two dimensions the first sample is for the width
    axes = [
        _intervals(drawn[..., s], x.shape[d - n], out[d], kernel[d])[..., None] + np.arange(kernel[d])
        for d, s in enumerate(order)
    ]
    places = wrap(mode.run(_largest, x, axes))
    return _values_at(kinked(input), places, n), places


def _intervals(sample: Array, size: int, out: int, kernel: int) -> Array:
    """(*) -> (*, out): where the windows start, ``int((i + u) * a) - int(u * a)`` with a = (size - kernel) / (out - 1);
    the last one ends with the image (Graham, Fractional Max-Pooling, 2014)."""
    starts = np.full((*sample.shape, out), size - kernel)
    if out > 1:
        alpha = sample.dtype.type(size - kernel) / sample.dtype.type(out - 1)
        i = np.arange(out - 1).astype(sample.dtype)
        u = sample[..., None]
        starts[..., :-1] = ((i + u) * alpha).astype(np.int64) - (u * alpha).astype(np.int64)
    return starts


def _fractional_family(n: int) -> None:
    """Publish ``fractional_max_pool{n}d`` and ``fractional_max_pool{n}d_with_indices``."""

    def with_indices(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        return _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, _random_samples)

    def fractional_max_pool(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        found = _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, _random_samples)
        return found if return_indices else found[0]

    doc = "The maximum over windows whose places are drawn at random (Graham, Fractional Max-Pooling, 2014)"
    _publish(fractional_max_pool, f"fractional_max_pool{n}d", doc + ".", ("nn.functional",))
    _publish(with_indices, f"fractional_max_pool{n}d_with_indices", doc + ", and where they are.", ("nn.functional",))


for _n in (2, 3):
    _fractional_family(_n)
