"""Pooling: the maximum, mean or power mean over windows of the last one, two or three dimensions.

The maximum over a window is taken dimension by dimension, the last one first: that stays in contiguous memory and finds, of equal
maxima, the first in reading order. Its gradient goes back the same way. Sums over windows, regular or adaptive, are likewise done
one dimension at a time.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import index_of
from mini_dl._dtypes import Array, Ints, NumpyType, Shape, among, int64, scalar_name
from mini_dl._surface import named, public
from mini_dl._unseen import is_unseen
from mini_dl.autograd.formal import kinked, piecewise
from mini_dl.autograd.inplace import is_recorded
from mini_dl.autograd.primitive import forwards_by, linear_in, not_a_tensor, op
from mini_dl.kernels import pooling as kernels
from mini_dl.kernels.pooling import Regions, Windows, at_maxima, maxima, means, places_of_maxima, spread_means, to_maxima
from mini_dl.ops.random import rand
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ maxima


@piecewise("input")
@forwards_by(lambda tangent, result, input, windows: _at_maxima(tangent, input, windows))
@op(input=lambda grad, input, windows: _to_maxima(grad, input, windows))
def _maxima(input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out)"""
    return maxima(input, windows)


@linear_in("output")
@op(output=lambda grad, input, windows: _at_maxima(grad, input, windows))
def _to_maxima(output: Array, input: Array, windows: Windows) -> Array:
    """(*, *out) -> (*, *in): each value is added to the position of its window's maximum."""
    return to_maxima(output, input, windows)


@linear_in("values")
@op(values=lambda grad, input, windows: _to_maxima(grad, input, windows))
def _at_maxima(values: Array, input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out): the value at the place of each window's maximum."""
    return at_maxima(values, input, windows)


@linear_in("input")
@op(input=lambda grad, places, input_shape, n: _put_at(grad, places, input_shape, n))
def _values_at(input: Array, places: Array, n: int) -> Array:
    """(*, *in), (*, *out) -> (*, *out): the values at positions in the flattened last `n` dimensions."""
    return kernels.taken_at(input, places, n)


@linear_in("output")
@op(output=lambda grad, places, n: _values_at(grad, places, n))
def _put_at(output: Array, places: Array, shape: Shape, n: int) -> Array:
    """The transpose of `_values_at`."""
    return kernels.added_at(output, places, shape, n)


# ------------------------------------------------------------------------------------------------ means


@piecewise("input")
@linear_in("input")
@op(input=lambda grad, regions, divisor: _spread_means(grad, regions, divisor))
def _means(input: Array, regions: tuple[Regions, ...], divisor: Any) -> Array:
    """(*, *in) -> (*, *out): the sums over regions, divided."""
    return means(input, regions, divisor)


@linear_in("output")
@op(output=lambda grad, regions, divisor: _means(grad, regions, divisor))
def _spread_means(output: Array, regions: tuple[Regions, ...], divisor: Any) -> Array:
    """The transpose of `_means`."""
    return spread_means(output, regions, divisor)


# ------------------------------------------------------------------------------------------------ arguments


WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


_places = op()(places_of_maxima)  # (*, *in), (*, *out) -> (*, *out)
_largest = op()(kernels.largest)  # (*, *in) -> (*, *out)


def _ints(name: str, what: str, value: Any, n: int, alone: bool = True) -> Shape:
    """`value` for each of `n` dimensions; a list of one int stands for all of them only where it may stand `alone`."""
    if not isinstance(value, (tuple, list)):
        return (operator.index(value),) * n
    if len(value) == 1 and (alone or n == 1):
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
    name: str, n: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Windows:
    """The windows over `input`, after torch's checks."""
    if not isinstance(input, Tensor):
        raise not_a_tensor(name, "input", 1, input)
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


def _check_rank(name: str, n: int, shape: Shape) -> None:
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


def _require(dtype: NumpyType, kinds: str, kernel: str, without: str = "") -> None:
    if not among(dtype, kinds) or dtype.char in "HILQ" + without:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(dtype)}'")


# ------------------------------------------------------------------------------------------------ max_pool


def _max_pool(
    n: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool, indices: bool
) -> tuple[Tensor, Tensor | None]:
    name = f"max_pool{n}d"
    if n == 1:
        _check_max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, indices)
    windows = _geometry(name, n, input, kernel_size, stride, padding, dilation, ceil_mode)
    plain = n == 1 and not indices and not is_recorded(input)
    _require(input._array.dtype, "f" if plain else "fiu", "max_pool1d_impl" if plain else f"max_pool{max(n, 2)}d")
    values = _maxima(input, windows)
    return values, _places(input, values, windows) if indices else None


def _check_max_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool, indices: bool
) -> None:
    if not isinstance(input, Tensor):
        raise not_a_tensor("max_pool1d", "input", 1, input)
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
        input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        return _max_pool(n, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    def max_pool(
        input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        found = _max_pool(n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return found if return_indices else found[0]

    lengths = {1: "L", 2: "H, W", 3: "D, H, W"}[n]
    _publish(
        max_pool, f"max_pool{n}d", f"The maximum over windows of the last {n} dimensions, (N, C, {lengths}) -> (N, C, *out)."
    )
    places = ("nn.functional", "torch") if n == 1 else ("nn.functional",)
    _publish(with_indices, f"max_pool{n}d_with_indices", f"``max_pool{n}d`` and the places of the maxima.", places)


def _publish(function: Callable[..., object], name: str, doc: str, places: Sequence[str] = ("nn.functional", "torch")) -> None:
    public(*places)(named(function, name, doc))


for _n in (1, 2, 3):
    _max_pool_family(_n)

# ------------------------------------------------------------------------------------------------ avg_pool


def _avg_pool(
    n: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
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
    if n == 3 and any([size < k for size, k in zip(sizes, windows.kernel)]):  # whatever the padding, and only in 3 dimensions
        image = " ".join([f"{d}: {i}" for d, i in zip("THW", sizes)])
        kernel = " ".join([f"k{d}: {k}" for d, k in zip("THW", windows.kernel)])
        raise RuntimeError(f"input image ({image}) smaller than kernel size ({kernel})")
    placed = zip(sizes, windows.kernel, windows.stride, windows.padding, windows.out)
    regions = tuple([kernels.window_regions(*place) for place in placed])
    return _means(input, regions, divisor or _divisor(regions, windows, sizes, count_include_pad))


def _divisor(regions: tuple[Regions, ...], windows: Windows, sizes: Shape, count_include_pad: bool) -> Any:
    """The number of elements of each window, one number if all are equal; padding counts on request, anything beyond never."""
    counts = []
    for region, size, k, s, p in zip(regions, sizes, windows.kernel, windows.stride, windows.padding):
        starts = np.arange(region.out) * s - p
        counts.append(np.minimum(starts + k, size + p) - starts if count_include_pad else region.counts)
    if all([(c == c[0]).all() for c in counts]):
        return int(math.prod([int(c[0]) for c in counts]))
    return functools.reduce(np.multiply.outer, counts)


@public("nn.functional", "torch")
def avg_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean over windows of the last dimension, (N, C, L) -> (N, C, L')."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def _means_of_windows(n: int, doc: str) -> Callable[..., Tensor]:
    """``avg_pool{n}d``, published"""

    def avg_pool(
        input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> Tensor:  # fmt: skip
        return _avg_pool(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    return public("nn.functional", out=True)(named(avg_pool, f"avg_pool{n}d", doc))


avg_pool2d = _means_of_windows(
    2,
    """The mean over windows of the last two dimensions, (N, C, H, W) -> (N, C, H', W')
    with H' = (H + 2 padding - K) // stride + 1, rounded up in `ceil_mode`.

    >>> import mini_dl as torch
    >>> torch.nn.functional.avg_pool2d(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2)
    tensor([[[2.5000]]])
    """,
)
avg_pool3d = _means_of_windows(3, "The mean over windows of the last three dimensions, (N, C, D, H, W) -> (N, C, D', H', W').")


# ------------------------------------------------------------------------------------------------ lp_pool


def _lp_pool(n: int, input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool) -> Tensor:
    if isinstance(kernel_size, (tuple, list)) and len(kernel_size) != n > 1:
        raise ValueError(f"lp_pool{n}d: kernel_size must have {n} values, but got {kernel_size}")
    kernel = _ints(f"lp_pool{n}d", "kernel_size", kernel_size, n)
    if norm_type == math.inf:
        return _max_pool(n, input.abs(), kernel, stride, 0, 1, ceil_mode, False)[0]
    if norm_type == -math.inf:
        return -_max_pool(n, -input.abs(), kernel, stride, 0, 1, ceil_mode, False)[0]
    mean = _avg_pool(n, input.pow(norm_type), kernel, stride, 0, ceil_mode, True, None)
    total: Tensor = (mean.sign() * mean.abs().relu()) * math.prod(kernel)
    return total.pow(1.0 / norm_type)


@public("nn.functional")
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over windows of the last dimension."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@public("nn.functional")
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over windows of the last two dimensions."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@public("nn.functional")
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over windows of the last three dimensions."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# ------------------------------------------------------------------------------------------------ adaptive


def _adaptive_out(name: str, n: int, input: Tensor, output_size: Ints, average: bool) -> Shape:
    """The checked output size; None in it stands for the size of the input."""
    if not isinstance(input, Tensor):
        raise not_a_tensor(name, "input", 1, input)
    shape = input._array.shape
    given: Any = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    for o in given:
        if o is not None:
            index_of(o, f"{name}(): argument 'output_size' (position 2) must be tuple of ints")
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


def _adaptive_avg_pool(n: int, input: Tensor, output_size: Ints) -> Tensor:
    out = _adaptive_out(f"adaptive_avg_pool{n}d", n, input, output_size, True)
    if set(out) == {1}:
        return input.mean(tuple(range(-n, 0)), keepdim=True)
    if 0 not in out and (input._array.size or n == 3):
        _require(input._array.dtype, "f", f"adaptive_avg_pool{max(n, 2)}d")
    regions = tuple([kernels.adaptive_regions(size, o) for size, o in zip(input._array.shape[-n:], out)])
    windows = Windows(out, out, (0,) * n, (1,) * n, out)
    divisor = 1 if 0 in out else _divisor(regions, windows, input._array.shape[-n:], False)
    return _means(input, regions, divisor)


@public("nn.functional", "torch")
def adaptive_avg_pool1d(input: Tensor, output_size: Ints) -> Tensor:
    """The mean over `output_size` regions of the last dimension, region i from floor(i L / L') to ceil((i + 1) L / L')."""
    return _adaptive_avg_pool(1, input, output_size)


@public("nn.functional")
def adaptive_avg_pool2d(input: Tensor, output_size: Ints) -> Tensor:
    """The mean over `output_size` regions of the last two dimensions, (N, C, H, W) -> (N, C, *output_size)."""
    return _adaptive_avg_pool(2, input, output_size)


@public("nn.functional")
def adaptive_avg_pool3d(input: Tensor, output_size: Ints) -> Tensor:
    """The mean over `output_size` regions of the last three dimensions, (N, C, D, H, W) -> (N, C, *output_size)."""
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n: int, input: Tensor, output_size: Ints) -> tuple[Tensor, Tensor]:
    out = _adaptive_out(f"adaptive_max_pool{n}d", n, input, output_size, False)
    _require(input._array.dtype, "f", f"adaptive_max_pool{max(n, 2)}d")
    space = input._array.shape[-n:]
    if 0 not in out and all([size % o == 0 for size, o in zip(space, out)]):
        kernel = tuple([size // o for size, o in zip(space, out)])
        windows = Windows(kernel, kernel, (0,) * n, (1,) * n, out)
        values = _maxima(input, windows)
        return values, _places(input, values, windows)
    axes = []
    for size, o in zip(space, out):
        i = np.arange(o)
        starts, ends = i * size // max(o, 1), -(-(i + 1) * size // max(o, 1))
        taps = np.arange(int((ends - starts).max(initial=1)))
        axes.append(np.minimum(starts[:, None] + taps, ends[:, None] - 1))  # (out, K), the last repeated where there are fewer
    places = _largest(input, axes)
    return _values_at(kinked(input), places, n), places


def _adaptive_max_family(n: int) -> None:
    """Publish ``adaptive_max_pool{n}d`` and ``adaptive_max_pool{n}d_with_indices``."""

    def with_indices(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
        return _adaptive_max_pool(n, input, output_size)

    def adaptive_max_pool(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
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


@linear_in("input")
@op(input=lambda grad, places, n: _values_at(grad, places, n))
def _unpool(input: Array, places: Array, out: Shape, n: int) -> Array:
    """(*, *in) -> (*, *out): zeros except for the inputs at their positions; of several for one position, the last."""
    lead, count = input.shape[:-n], math.prod(input.shape[-n:])
    flat = np.zeros((math.prod(lead), math.prod(out)), input.dtype)
    np.put_along_axis(flat, places.reshape(len(flat), count), input.reshape(len(flat), count), 1)
    return flat.reshape(*lead, *out)


def _max_unpool(
    n: int, input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Any
) -> Tensor:
    name = f"max_unpool{n}d"
    kernel = _ints(name, "kernel_size", kernel_size, n, alone=False)
    pads = _ints(name, "padding", padding, n, alone=False)
    steps = kernel if stride is None else _ints(name, "stride", stride, n, alone=False)
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
    if indices._array.dtype != int64.numpy:
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
    if places.size and not is_unseen(places) and not (places.min() >= 0 and places.max() < math.prod(out)):
        bad = places.max() if places.max() >= math.prod(out) else places.min()
        volume = "x".join([str(o) for o in ([*out, 1] if n == 1 else out)])
        raise RuntimeError(f"Found an invalid max index: {bad} (output volumes are of size {volume}")
    return _unpool(input, indices, tuple(out), n)


def _max_unpool_family(n: int) -> None:
    """Publish ``max_unpool{n}d``."""

    def max_unpool(
        input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
        output_size: Ints | None = None,
    ) -> Tensor:  # fmt: skip
        return _max_unpool(n, input, indices, kernel_size, stride, padding, output_size)

    before = {1: "L", 2: "H, W", 3: "D, H, W"}[n]
    after = before.replace(",", "',") + "'"
    doc = f"Zeros except for the inputs at the positions found by ``max_pool{n}d``, (N, C, {before}) -> (N, C, {after})."
    _publish(max_unpool, f"max_unpool{n}d", doc, ("nn.functional",))


for _n in (1, 2, 3):
    _max_unpool_family(_n)


# ------------------------------------------------------------------------------------------------ fractional


def _fractional_max_pool(
    n: int,
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Any,
    samples: Tensor | None,
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
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(x.shape)}")
    out, kernel = (
        _ints(name, what, size, n, alone=False) for what, size in (("output_size", output_size), ("kernel_size", kernel_size))
    )
    if min(out) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {[*x.shape[:-n], *out]}")
    if min(kernel) <= 0:
        raise ValueError(f"{name}: kernel_size must be greater than 0, but got {list(kernel)}")
    batch = 1 if x.ndim == n + 1 else x.shape[0]
    if samples is None:
        samples = rand(batch, x.shape[-n - 1], n, dtype=input.dtype)
    if samples._array.dtype != x.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    for dim, (expected, what) in enumerate(((batch, "input batch size"), (x.shape[-n - 1], "input channel size"), (n, str(n)))):
        found = samples.shape[dim]
        if (found < expected) if dim == 0 else (found != expected):
            got = f"; got {found}" if dim == 2 else ""
            raise RuntimeError(f"Expect _random_samples.size({dim}) equals to {what}{got}.")
    words = {2: ("height", "width"), 3: ("time", "height", "width")}[n]
    for word, size, k, o in zip(words, x.shape[-n:], kernel, out):
        if o + k - 1 > size - (n == 3):  # torch requires one to spare in three dimensions
            raise RuntimeError(f"{name}(): pool {word} {k} too large relative to input {word} {size}")
    _require(x.dtype, "f", f"{name}_out_frame")
    drawn = samples._array[:batch].reshape(*x.shape[:-n], n)
    order = range(n) if n == 3 else (1, 0)  # in two dimensions the first sample is for the width
    axes = [
        kernels.intervals(drawn[..., s], x.shape[d - n], out[d], kernel[d])[..., None] + np.arange(kernel[d])
        for d, s in enumerate(order)
    ]
    places = _largest(input, axes)
    return _values_at(kinked(input), places, n), places


def _fractional_family(n: int) -> None:
    """Publish ``fractional_max_pool{n}d`` and ``fractional_max_pool{n}d_with_indices``."""

    def with_indices(
        input: Tensor,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        return _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, _random_samples)

    def fractional_max_pool(
        input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> Any:  # fmt: skip
        found = _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, _random_samples)
        return found if return_indices else found[0]

    doc = "The maximum over windows whose places are drawn at random (Graham, Fractional Max-Pooling, 2014)"
    _publish(fractional_max_pool, f"fractional_max_pool{n}d", doc + ".", ("nn.functional",))
    _publish(with_indices, f"fractional_max_pool{n}d_with_indices", doc + ", and where they are.", ("nn.functional",))


for _n in (2, 3):
    _fractional_family(_n)
