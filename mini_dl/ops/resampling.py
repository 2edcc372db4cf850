"""Resampling images: to another size (`interpolate`) and at given positions (`grid_sample`)."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._arguments import as_float, as_index
from mini_dl._checks import check_bool, level_of_user, type_name
from mini_dl._dtypes import FLOATING, HALVES, Array, Ints, Shape, scalar_name
from mini_dl._surface import function, public
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.inplace import is_recorded
from mini_dl.autograd.primitive import linear_in, op, symmetric_in
from mini_dl.kernels import resampling as kernels
from mini_dl.kernels.blocks import as_single
from mini_dl.kernels.resampling import MODES, SMOOTH, Axis, resample, resample_back
from mini_dl.ops.matmul import bmm
from mini_dl.ops.pooling import _values_at
from mini_dl.ops.pooling_to_size import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from mini_dl.ops.ranges import _between
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ to another size


BYTE_MODES = ("bilinear", "bicubic", "lanczos")
"""Resizes bytes with integer weights."""


@linear_in("input")
@op(input=lambda grad, axes: _spread_back(grad, axes))
def _resample(input: Array, axes: tuple[Axis, ...]) -> Array:
    """(*, *in) -> (*, *out)"""
    return resample(input, axes)


@linear_in("output")
@op(output=lambda grad, axes: _resample(grad, axes))
def _spread_back(output: Array, axes: tuple[Axis, ...]) -> Array:
    """The transpose of `_resample`."""
    return resample_back(output, axes)


@public("nn.functional")
def interpolate(
    input: Tensor, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """``out[i] = sum(w[i, j] * input[j], j)`` along each dimension: the image resized, with weights by `mode`.

    Pixel `i` is at ``x = (i + 0.5) * L / M - 0.5``, or at ``i * (L - 1) / (M - 1)`` if `align_corners`: "nearest"
    (``floor(i * L / M)``), "nearest-exact", "linear", "bilinear", "trilinear", "bicubic" (a = -0.75), or "area" (means).
    `antialias` widens the weights where the image shrinks.

    Shapes: (N, C, *in) -> (N, C, *size), of one to three dimensions, or `scale_factor` times those of the input.
    Raises: ValueError unless exactly one of `size` and `scale_factor` is given, with the right length; NotImplementedError for a
    mode of another dimension.
    Source: Keys, Cubic convolution interpolation for digital image processing, 1981 (bicubic).

    >>> F.interpolate(torch.tensor([[[1.0, 2.0]]]), size=4, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    >>> F.interpolate(torch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if align_corners is not None:
        check_bool(align_corners, "interpolate(): argument 'align_corners' (position 5)")
    shape = input._array.shape
    n, space = len(shape) - 2, shape[2:]
    out, factors = _wanted(space, n, size, scale_factor, mode == "area")
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if mode == "area" or recompute_scale_factor:
        factors = None
    if antialias and not (mode in SMOOTH and n == 2):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if n not in (1, 2, 3) or mode not in (*MODES, "area", "lanczos"):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {len(shape)}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact "
            f"(got {mode})"
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](input, out)
    if mode == "lanczos":
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    elif (needs := MODES[mode][0]) not in (None, n):
        raise NotImplementedError(f"Got {n + 2}D input, but {mode} mode needs {needs + 2}D input")
    return _resized(input, mode, tuple(out), factors, bool(align_corners), antialias)


def _wanted(space: Shape, n: int, size: object, scale_factor: Any, whole: bool) -> tuple[list[int], list[float] | None]:
    """The output size, and the factors from which it was computed; for area means (`whole`) Python converts to ints."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if not isinstance(size, (list, tuple)):
            size = [size] * n
        elif len(size) != n:
            raise ValueError(
                f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
                f"{list(space)} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "output size in (o1, o2, ...,oK) format."
            )
        found = [as_index(o) for o in size]
        if any([o is NotImplemented for o in found]):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], "
                f"but got size with types {[type(o) for o in size]}"
            )
        return found, None
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    several = isinstance(scale_factor, (list, tuple))
    factors = scale_factor if several else [scale_factor] * n
    if several and len(factors) != n:
        raise ValueError(
            f"Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of "
            f"{list(space)} and scale_factor of shape {scale_factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
            "format and scale_factor in (s1, s2, ...,sK) format."
        )
    for f in () if whole else factors:
        if as_float(f) is NotImplemented or isinstance(f, Tensor):
            raise TypeError(f"interpolate(): argument 'scale_factor' must be float or tuple of floats, not {type_name(f)}")
        if not math.isfinite(f):
            raise RuntimeError(f"interpolate(): scale_factor {float(f)} does not give an integer size")
    return [int(i * f) for i, f in zip(space, factors)], [float(f) for f in factors]


def _resized(input: Tensor, mode: str, out: Shape, factors: list[float] | None, align_corners: bool, antialias: bool) -> Tensor:
    space = input._array.shape[2:]
    if min((*out, *space)) < 1:
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"({', '.join(map(str, space))}) output ({', '.join(map(str, out))})"
        )
    if 0 in input._array.shape[1:]:
        raise RuntimeError(
            f"Non-empty {len(out) + 2}D data tensor expected but got a tensor with sizes {list(input._array.shape)}"
        )
    dtype = input._array.dtype
    nearest = mode.startswith("nearest")
    if dtype.kind not in FLOATING and not (dtype.char == "B" and (nearest or mode in BYTE_MODES)):
        raise NotImplementedError(f"\"upsample_{mode}{len(out)}d\" not implemented for '{scalar_name(dtype)}'")
    if antialias and dtype.char in HALVES:
        raise NotImplementedError("\"compute_index_ranges_weights\" not implemented for 'Half'")
    real = np.float64 if dtype.char in "dB" and not nearest else np.float32
    axes = []
    scales: list[float | None] = [*factors] if factors else [None] * len(out)
    for size, o, factor in zip(space, out, scales):
        axes.append(_axis(mode, antialias, size, o, align_corners, factor, real))
    return _resample(input, tuple(axes))


@functools.lru_cache(64)
def _axis(mode: str, antialias: bool, size: int, out: int, align_corners: bool, factor: float | None, real: kernels.Real) -> Axis:
    if antialias:
        return kernels.smooth_axis(size, out, align_corners, factor, real, *SMOOTH[mode])
    return MODES[mode][1](size, out, align_corners, factor, real)


@public("nn.functional")
def upsample(
    input: Tensor, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """``interpolate(input, size, scale_factor, mode, align_corners)``, under its old name, with a warning.

    Shapes: (N, C, *in) -> (N, C, *size).
    Raises: ValueError unless exactly one of `size` and `scale_factor` is given.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     F.upsample(torch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=level_of_user())
    return interpolate(input, size, scale_factor, mode, align_corners)


@public("nn.functional")
def upsample_nearest(input: Tensor, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None) -> Tensor:
    """``interpolate(input, size, scale_factor, "nearest")``, with a warning.

    Shapes: (N, C, *in) -> (N, C, *size).
    Raises: ValueError unless exactly one of `size` and `scale_factor` is given.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     F.upsample_nearest(torch.tensor([[[1.0, 2.0]]]), size=4)
    tensor([[[1., 1., 2., 2.]]])
    """
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=level_of_user()
    )
    return interpolate(input, size, scale_factor, mode="nearest")


@public("nn.functional")
def upsample_bilinear(input: Tensor, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None) -> Tensor:
    """``interpolate(input, size, scale_factor, "bilinear", align_corners=True)``, with a warning.

    Shapes: (N, C, H, W) -> (N, C, *size).
    Raises: ValueError unless exactly one of `size` and `scale_factor` is given; NotImplementedError for other numbers of
    dimensions.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     F.upsample_bilinear(torch.tensor([[[[1.0, 2.0]]]]), size=(1, 3))
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=level_of_user()
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# ------------------------------------------------------------------------------------------------ at given positions


@op(input=lambda grad, slope: grad * slope)
def _moved(input: Array, value: Array, slope: Array) -> Array:
    """`value`, computed from `input`, with `slope` as its derivative."""
    return value.copy()


@op(input=lambda grad: grad, other=lambda grad, other_shape: wrap(np.zeros(other_shape)))
def _constant_in(input: Array, other: Array) -> Array:
    """`input`, with a gradient of zero for `other`."""
    return input.copy()


@symmetric_in("input")
@op(input=lambda grad, scale: grad * scale)
def _scaled_to_edges(input: Array, scale: float) -> Array:
    """``(input + 1) * scale - 0.5`` with the last two steps rounded once, as torch's kernel for planes does."""
    moved = input + input.dtype.type(1)
    return (np.multiply(moved, scale, dtype=np.result_type(input, np.float64)) - 0.5).astype(input.dtype)


def _pixel(place: Tensor, size: int, align_corners: bool, n: int) -> Tensor:
    """From [-1, 1] to pixels: -1 and 1 are the centers of the outermost pixels (`align_corners`) or their outer edges."""
    if align_corners:
        return (place + 1) * ((size - 1) / 2)
    return _scaled_to_edges(place, size / 2) if n == 2 else ((place + 1) * size - 1) / 2


def _coordinates_inside(place: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Pixel coordinates within the image, for the modes that move them there."""
    if padding_mode == "zeros":
        return place
    x = place._array
    value, slope = x, np.ones_like(x)
    if padding_mode == "reflection":
        low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
        if span == 0:
            value, slope = np.zeros_like(x), np.zeros_like(x)
        else:
            away = np.abs(x - low).astype(x.dtype)
            flips, extra = np.floor(away / span), np.fmod(away, x.dtype.type(span))
            odd = flips % 2 == 1
            value = (np.where(odd, span - extra, extra) + low).astype(x.dtype)
            slope = (np.where(odd, -1, 1) * np.where(x < low, -1, 1)).astype(x.dtype)
    inside = (value > 0) & (value < size - 1)
    value = np.minimum(np.fmax(value, 0), size - 1).astype(x.dtype)
    return _moved(place, wrap(value), wrap(slope * inside))


def _pixels_at(image: Tensor, places: list[Array], n: int) -> Tensor:
    """(N, C, *in) at integer positions (N, *out) in each dimension -> (N, C, *out); zero outside."""
    shape = image._array.shape
    inside: Any = True
    flat: Any = 0
    for place, size in zip(places, shape[2:]):
        inside = inside & (place >= 0) & (place < size)
        flat = flat * size + np.clip(place, 0, size - 1)
    where = np.broadcast_to(flat[:, None], (*shape[:2], *flat.shape[1:]))
    found: Tensor = _values_at(image, wrap(where), n)
    return found if inside.all() else found * wrap(inside[:, None].astype(image._array.dtype))


def _whole(array: Array) -> Array:
    """Positions as integers; NaN is outside."""
    return np.where(np.abs(as_single(array)) < 2.0**31, array, -100).astype(np.int64)


def _sampled(image: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool) -> Tensor:
    """(N, C, *in), (N, *out, n) -> (N, C, *out); the last dimension of the grid is (x, y, z): the image's last dimension
    first.
    """
    n = grid._array.shape[-1]
    sizes = image._array.shape[2:]
    places = [_pixel(grid.select(-1, n - 1 - d), sizes[d], align_corners, n) for d in range(n)]
    if mode == "bicubic":
        return _sampled_cubic(image, places, padding_mode, align_corners)
    places = [_coordinates_inside(p, size, padding_mode, align_corners) for p, size in zip(places, sizes)]
    if mode == "nearest":
        found = _pixels_at(image, [_whole(np.rint(p._array)) for p in places], n)
        return _constant_in(found, kinked(grid)) if is_recorded(grid) else found
    floors = [np.floor(p._array) for p in places]
    parts = [p - wrap(f) for p, f in zip(places, floors)]
    total: Any = None
    for corner in np.ndindex(*[2] * n):
        weight: Any = None
        for c, part in zip(corner, parts):
            factor = part if c else 1 - part
            weight = factor if weight is None else weight * factor
        term = _pixels_at(image, [_whole(f + c) for f, c in zip(floors, corner)], n) * weight.unsqueeze(1)
        total = term if total is None else total + term
    return total


def _sampled_cubic(image: Tensor, places: list[Tensor], padding_mode: str, align_corners: bool) -> Tensor:
    floors = [np.floor(p._array) for p in places]
    weights = [kernels.cubic_weights(p - wrap(f), -0.75) for p, f in zip(places, floors)]
    total: Any = None
    for i in range(4):
        row: Any = None
        for j in range(4):
            at = [wrap(f + (k - 1)) for f, k in zip(floors, (i, j))]
            inside = [
                _coordinates_inside(p, size, padding_mode, align_corners)._array for p, size in zip(at, image._array.shape[2:])
            ]
            term = _pixels_at(image, [_whole(p) for p in inside], 2) * weights[1][j].unsqueeze(1)
            row = term if row is None else row + term
        term = row * weights[0][i].unsqueeze(1)
        total = term if total is None else total + term
    return total


INTERPOLATION = ("bilinear", "nearest", "bicubic")
PADDING = ("zeros", "border", "reflection")


@public("nn.functional")
@by_element
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """``out[n, c, i] = sum(w[n, i, j] * input[n, c, j], j)``: the image read at the positions ``grid[n, i]``.

    A position is (x, y) or (x, y, z), from -1 to 1, the centers of the outer pixels if `align_corners`, else their outer edges.
    Between pixels, `mode`: "bilinear", "nearest" or "bicubic"; beyond the image, `padding_mode`: "zeros", "border" or
    "reflection".

    Shapes: `input` (N, C, H, W), `grid` (N, H', W', 2) -> (N, C, H', W'); or with depth, (N, C, D, H, W) and (N, D', H', W', 3).
    Raises: ValueError for an unknown `mode` or `padding_mode`; RuntimeError if the shapes do not match, and for "bicubic" with
    depth.
    Source: Jaderberg et al., Spatial transformer networks, 2015, section 3.3.

    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> F.grid_sample(image, torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]]), align_corners=True)
    tensor([[[[2.5000, 4.0000]]]])
    """
    if mode not in INTERPOLATION:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in PADDING:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    if align_corners is None:
        _warn_of_default()
    return grid_sampler(input, grid, INTERPOLATION.index(mode), PADDING.index(padding_mode), bool(align_corners))


def _warn_of_default() -> None:
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
        "align_corners=True if the old behavior is desired.",
        stacklevel=level_of_user(),
    )


@public("torch", "torch:grid_sampler_2d", "torch:grid_sampler_3d")
@by_element
def grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    """``out[n, c, i] = sum(w[n, i, j] * input[n, c, j], j)``: the image read at the positions ``grid[n, i]``.

    A position is (x, y) or (x, y, z), from -1 to 1, the centers of the outer pixels if `align_corners`, else their outer edges.
    Between pixels, by the number of `interpolation_mode`: 0 bilinear, 1 nearest, 2 bicubic; beyond the image, 0 zeros, 1 the
    border, 2 the reflection.

    Shapes: `input` (N, C, H, W), `grid` (N, H', W', 2) -> (N, C, H', W'); or with depth, (N, C, D, H, W) and (N, D', H', W', 3).
    Raises: RuntimeError if the shapes do not match.
    Source: Jaderberg et al., Spatial transformer networks, 2015, section 3.3.

    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> torch.grid_sampler(image, torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]]), 0, 0, True)
    tensor([[[[2.5000, 4.0000]]]])
    """
    shape, places = input._array.shape, grid._array.shape
    if len(shape) < 3 or shape[0] != places[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, "
            f"but got input with sizes {list(shape)} and grid with sizes {list(places)}"
        )
    if places[-1] != len(shape) - 2 and len(places) == len(shape):
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(shape) - 2} in last dimension, "
            f"but got grid with sizes {list(places)}"
        )
    if len(shape) not in (4, 5) or len(shape) != len(places):
        raise RuntimeError(
            f"grid_sampler(): expected {len(shape)}D input and grid with same number of dimensions, "
            f"but got input with sizes {list(shape)} and grid with sizes {list(places)}"
        )
    for dim in range(2, len(shape)):
        if shape[dim] == 0:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(shape)} "
                f"with dimension {dim} being empty"
            )
    if interpolation_mode == 2 and len(shape) == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    a, b = input._array.dtype, grid._array.dtype
    if a.kind not in FLOATING:
        raise NotImplementedError(f"\"grid_sampler_{len(shape) - 2}d_cpu_kernel_impl\" not implemented for '{scalar_name(a)}'")
    if a != b:
        raise RuntimeError(f"expected scalar type {scalar_name(a)} but found {scalar_name(b)}")
    for number, modes in ((interpolation_mode, INTERPOLATION), (padding_mode, PADDING)):
        if not 0 <= number < len(modes):
            raise ValueError(f"grid_sampler(): expected a mode from 0 to {len(modes) - 1}, but got {number}")
    return _sampled(input, grid, INTERPOLATION[interpolation_mode], PADDING[padding_mode], align_corners)


@public("nn.functional")
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """``grid[n, i] = theta[n] @ (x, y, 1)`` at each position `i` of an image of shape `size`, with `x` and `y` from -1 to 1: for
    `grid_sample`.

    With `align_corners` -1 and 1 are the centers of the outer pixels, else their outer edges.

    Shapes: `theta` (N, 2, 3), `size` (N, C, H, W) -> (N, H, W, 2); or with depth, (N, 3, 4) -> (N, D, H, W, 3).
    Raises: ValueError if `theta` is not floating point or of another shape, or for a size of 0; NotImplementedError for other
    numbers of sizes.
    Source: Jaderberg et al., Spatial transformer networks, 2015, section 3.2.

    >>> identity = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(identity, (1, 1, 1, 3), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 0.,  0.],
              [ 1.,  0.]]]])
    """
    if align_corners is None:
        _warn_of_default()
    if theta._array.dtype.kind not in FLOATING:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {size}."
        )
    if theta.ndim != 3 or theta.shape[-2:] != (n, n + 1):
        raise ValueError(f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got {theta.shape}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True: "
            "they are sampled at the center.",
            stacklevel=level_of_user(),
        )
    lines = []
    for o in size[2:]:
        line = _between("affine_grid", -1, 1, o, theta._array.dtype) if o > 1 else np.zeros(1, theta._array.dtype)
        lines.append(line if align_corners else line * (o - 1) / o)  # in the type of theta: which pixel is leftmost depends on it
    axes = np.meshgrid(*lines, indexing="ij")
    points = np.stack([*axes[::-1], np.ones_like(axes[0])], -1).reshape(1, -1, n + 1).astype(theta._array.dtype)
    grid: Tensor = bmm(wrap(np.repeat(points, size[0], 0)), theta.transpose(1, 2))
    return grid.reshape(size[0], *size[2:], n)


@function()
def affine_grid_generator(theta: Tensor, size: object, align_corners: bool) -> Tensor:
    """``grid[n, i] = theta[n] @ (x, y, 1)``: ``nn.functional.affine_grid``.

    Shapes: `theta` (N, 2, 3), `size` (N, C, H, W) -> (N, H, W, 2); or with depth, (N, 3, 4) -> (N, D, H, W, 3).
    Raises: RuntimeError or ValueError if `theta` and `size` do not match.
    Source: Jaderberg et al., Spatial transformer networks, 2015, section 3.2.

    >>> torch.affine_grid_generator(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 3), True)
    tensor([[[[-1.,  0.],
              [ 0.,  0.],
              [ 1.,  0.]]]])
    """
    return affine_grid(theta, size, align_corners)
