"""Pooling: the maximum, mean or power mean over windows of the last one, two or three dimensions.

The maximum over a window is taken dimension by dimension, the last one first: this uses contiguous memory and finds, of equal
maxima, the first in row-major order. Its gradient flows back the same way. Sums over windows, regular or adaptive, are likewise
done one dimension at a time.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import int_list
from mini_dl._dtypes import Array, Ints, NumpyType, Shape, among, scalar_name
from mini_dl._spaces import INDICES
from mini_dl._surface import named, public
from mini_dl.autograd.formal import piecewise
from mini_dl.autograd.inplace import Memo, is_recorded, keep_in, memo_of, recalled
from mini_dl.autograd.primitive import forwards_by, linear_in, op
from mini_dl.kernels import pooling as kernels
from mini_dl.kernels.pooling import (
    Regions,
    Windows,
    at_maxima,
    maxima,
    maxima_and_taps,
    means,
    places_of_maxima,
    spread_means,
    to_maxima,
)
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ maxima


@piecewise("input")
@forwards_by(lambda tangent, result, input, windows, memo: _at_maxima(tangent, input, windows))
@op(input=lambda grad, input, windows, memo: _to_maxima(grad, input, windows, *(recalled(memo) or [None])))
def _maxima(input: Array, windows: Windows, memo: Memo) -> Array:
    """(*, *in) -> (*, *out); for the gradient, the numbers of the taps that see the maxima"""
    if memo is None:
        return maxima(input, windows)
    found, taps = maxima_and_taps(input, windows)
    if taps is not None:
        keep_in(memo, taps)
    return found


@linear_in("output")
@op(output=lambda grad, input, windows: _at_maxima(grad, input, windows))
def _to_maxima(output: Array, input: Array, windows: Windows, taps: Array | None) -> Array:
    """(*, *out) -> (*, *in): each value is added to the position of its window's maximum."""
    return to_maxima(output, input, windows, taps)


@linear_in("values")
@op(values=lambda grad, input, windows: _to_maxima(grad, input, windows, None))
def _at_maxima(values: Array, input: Array, windows: Windows) -> Array:
    """(*, *in) -> (*, *out): the value at the position of each window's maximum."""
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


def ints_of(name: str, what: str, value: Any, n: int, alone: bool = True) -> Shape:
    """`value` for each of `n` dimensions; a list of one int applies to all of them only if allowed to stand `alone`."""
    if not isinstance(value, (tuple, list)):
        return (operator.index(value),) * n
    if len(value) == 1 and (alone or n == 1):
        return int_list(value, f"{name}(): argument '{what}'") * n
    if len(value) != n:
        if n == 1:
            kinds = {"stride": "None, an int, list of ints,", "padding": "an int, list of ints,"}.get(
                what, "an int, list of ints"
            )
            raise RuntimeError(f"{name}() {what} must be {kinds} or tuple of ints of size 1 but got size {len(value)}")
        omitted = "be omitted, a single int, or a tuple of" if what == "stride" else "be a single int, or a tuple of"
        raise RuntimeError(f"{name}: {what} must either {omitted} {WORDS[n]}")
    return int_list(value, f"{name}(): argument '{what}'")


def _geometry(
    name: str, n: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Windows:
    """The windows over `input`, after torch's checks."""
    kernel = ints_of(name, "kernel_size", kernel_size, n)
    steps = kernel if stride is None or (isinstance(stride, (tuple, list)) and not stride) else ints_of(name, "stride", stride, n)
    pads, spread = ints_of(name, "padding", padding, n), ints_of(name, "dilation", dilation, n)
    return _windows(name, n, input._array.shape, kernel, steps, pads, spread, bool(ceil_mode))


@functools.lru_cache(1024)
def _windows(
    name: str, n: int, shape: Shape, kernel: Shape, steps: Shape, pads: Shape, spread: Shape, ceil_mode: bool
) -> Windows:
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


def require_type(dtype: NumpyType, kinds: str, kernel: str, without: str = "") -> None:
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
    require_type(input._array.dtype, "f" if plain else "fiu", "max_pool1d_impl" if plain else f"max_pool{max(n, 2)}d")
    values = _maxima(input, windows, memo_of(input))
    return values, _places(input, windows) if indices else None


def _check_max_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool, indices: bool
) -> None:
    shape = input._array.shape
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            f"max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
        )
    if indices:
        return
    given = {"kernel_size": kernel_size, "padding": padding, "dilation": dilation}
    (k,), (p,), (d,) = [ints_of("max_pool1d", what, value, 1) for what, value in given.items()]
    s = k if stride is None or stride in ((), []) else ints_of("max_pool1d", "stride", stride, 1)[0]
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


def _max_pool_family(n: int, example: str, with_places: str) -> None:
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

    formula = "``out[n, c, i] = max(input[n, c, i * stride - padding + k * dilation], k)``"
    doc = f"""{formula} over the positions `k` of a window.

    `i` and `k` are {INDICES[n]}. With `return_indices`, also the indices of the maxima in the flattened image.

    Family: max pooling {n}d

    {example}
    """
    publish_pool(max_pool, f"max_pool{n}d", doc)
    doc = f"""{formula}, and the indices of the maxima in the flattened image.

    Family: max pooling {n}d

    {with_places}
    """
    publish_pool(with_indices, f"max_pool{n}d_with_indices", doc, ("nn.functional", "torch") if n == 1 else ("nn.functional",))


def publish_pool(
    function: Callable[..., object], name: str, doc: str, places: Sequence[str] = ("nn.functional", "torch")
) -> None:
    public(*places)(named(function, name, doc))


_max_pool_family(
    1,
    """>>> F.max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 4.0]]), 2)
    tensor([[3., 4.]])""",
    """>>> F.max_pool1d_with_indices(torch.tensor([[1.0, 3.0, 4.0, 2.0]]), 2)
    (tensor([[3., 4.]]), tensor([[1, 2]]))""",
)
_max_pool_family(
    2,
    """>>> F.max_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])""",
    """>>> F.max_pool2d_with_indices(torch.arange(4.0).reshape(1, 2, 2), 2)
    (tensor([[[3.]]]), tensor([[[3]]]))""",
)
_max_pool_family(
    3,
    """>>> F.max_pool3d(torch.arange(64.0).reshape(1, 4, 4, 4), 2).flatten()
    tensor([21., 23., 29., 31., 53., 55., 61., 63.])""",
    """>>> F.max_pool3d_with_indices(torch.arange(8.0).reshape(1, 2, 2, 2), 2)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))""",
)

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
    require_type(input._array.dtype, "fi", "avg_pool3d_out_frame" if n == 3 else "avg_pool2d", "bhie" if n == 3 else "bhi")
    sizes = input._array.shape[-n:]
    if n == 3 and any([size < k for size, k in zip(sizes, windows.kernel)]):  # regardless of padding, and only in 3 dimensions
        image = " ".join([f"{d}: {i}" for d, i in zip("THW", sizes)])
        kernel = " ".join([f"k{d}: {k}" for d, k in zip("THW", windows.kernel)])
        raise RuntimeError(f"input image ({image}) smaller than kernel size ({kernel})")
    regions, count = _regions_and_sizes(windows, sizes, bool(count_include_pad))
    return _means(input, regions, divisor or count)


@functools.lru_cache(1024)
def _regions_and_sizes(windows: Windows, sizes: Shape, count_include_pad: bool) -> tuple[tuple[Regions, ...], object]:
    placed = zip(sizes, windows.kernel, windows.stride, windows.padding, windows.out)
    regions = tuple([kernels.window_regions(*place) for place in placed])
    return regions, sizes_of_windows(regions, windows, sizes, count_include_pad)


def sizes_of_windows(regions: tuple[Regions, ...], windows: Windows, sizes: Shape, count_include_pad: bool) -> Any:
    """The number of elements of each window, one number if all are equal; padding is included on request, anything beyond
    never.
    """
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
    """``out[n, c, i] = sum(input[n, c, i * stride - padding + k], k) / K`` with the number `K` of elements of a window.

    Zero padding is included unless `count_include_pad` is False.

    Family: mean pooling 1d

    >>> F.avg_pool1d(torch.tensor([[1.0, 3.0, 2.0, 4.0]]), 2)
    tensor([[2., 3.]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def _means_of_windows(n: int, example: str) -> Callable[..., Tensor]:
    """``avg_pool{n}d``, published"""

    def avg_pool(
        input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> Tensor:  # fmt: skip
        return _avg_pool(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    doc = f"""``out[n, c, i] = sum(input[n, c, i * stride - padding + k], k) / K`` over windows of `K` elements.

    `i` and `k` are {INDICES[n]}. Zero padding is included unless `count_include_pad` is False; `divisor_override`
    replaces `K`.

    Family: mean pooling {n}d

    {example}
    """
    return public("nn.functional", out=True)(named(avg_pool, f"avg_pool{n}d", doc))


avg_pool2d = _means_of_windows(
    2,
    """>>> F.avg_pool2d(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2)
    tensor([[[2.5000]]])""",
)
avg_pool3d = _means_of_windows(
    3,
    """>>> F.avg_pool3d(torch.arange(64.0).reshape(1, 4, 4, 4), 2).flatten()
    tensor([10.5000, 12.5000, 18.5000, 20.5000, 42.5000, 44.5000, 50.5000, 52.5000])""",
)


# ------------------------------------------------------------------------------------------------ lp_pool


def _lp_pool(n: int, input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool) -> Tensor:
    if isinstance(kernel_size, (tuple, list)) and len(kernel_size) != n > 1:
        raise ValueError(f"lp_pool{n}d: kernel_size must have {n} values, but got {kernel_size}")
    kernel = ints_of(f"lp_pool{n}d", "kernel_size", kernel_size, n)
    if norm_type == math.inf:
        return _max_pool(n, input.abs(), kernel, stride, 0, 1, ceil_mode, False)[0]
    if norm_type == -math.inf:
        return -_max_pool(n, -input.abs(), kernel, stride, 0, 1, ceil_mode, False)[0]
    mean = _avg_pool(n, input.pow(norm_type), kernel, stride, 0, ceil_mode, True, None)
    total: Tensor = (mean.sign() * mean.abs().relu()) * math.prod(kernel)
    return total.pow(1.0 / norm_type)


def _powers_of_windows(n: int, example: str) -> None:
    """Publish ``lp_pool{n}d``."""

    def lp_pool(
        input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
    ) -> Tensor:
        return _lp_pool(n, input, norm_type, kernel_size, stride, ceil_mode)

    doc = f"""``out[n, c, i] = sum(input[n, c, i * stride + k] ** norm_type, k) ** (1 / norm_type)`` over windows.

    `i` and `k` are {INDICES[n]}. The sum itself for ``norm_type = 1``, the maximum for infinity.

    Family: power pooling {n}d

    {example}
    """
    publish_pool(lp_pool, f"lp_pool{n}d", doc, ("nn.functional",))


_powers_of_windows(
    1,
    """>>> F.lp_pool1d(torch.tensor([[3.0, 4.0, 0.0, 1.0]]), 2, 2)
    tensor([[5., 1.]])""",
)
_powers_of_windows(
    2,
    """>>> F.lp_pool2d(torch.tensor([[[1.0, 1.0], [1.0, 1.0]]]), 2, 2)
    tensor([[[2.]]])""",
)
_powers_of_windows(
    3,
    """>>> F.lp_pool3d(torch.ones(1, 2, 2, 4), 1, 2)
    tensor([[[[8., 8.]]]])""",
)
