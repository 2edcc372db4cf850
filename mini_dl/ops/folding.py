"""Windows as columns and back (`unfold`, `fold`), and rearrangements between channels and space."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from mini_dl._checks import int_list
from mini_dl._dtypes import Array, Ints, Shape, scalar_name
from mini_dl._surface import public
from mini_dl.autograd.primitive import linear_in, not_a_tensor, op
from mini_dl.kernels.convolution import Geometry
from mini_dl.kernels.folding import fold_back, padded_for, taps_of
from mini_dl.tensor import Tensor


@linear_in("input")
@op(input=lambda grad, input_shape, kernel, geometry: _fold(grad, input_shape, kernel, geometry))
def _unfold(input: Array, kernel: Shape, geometry: Geometry) -> Array:
    """(N, C, *in) -> (N, C * K, L)"""
    columns = taps_of(padded_for(input, kernel, geometry), kernel, geometry).reshape(
        len(input), input.shape[1] * math.prod(kernel), math.prod(geometry.out)
    )
    return columns.copy() if np.may_share_memory(columns, input) else columns  # with a kernel of one element


@linear_in("input")
@op(input=lambda grad, kernel, geometry: _unfold(grad, kernel, geometry))
def _fold(input: Array, shape: Shape, kernel: Shape, geometry: Geometry) -> Array:
    """(N, C * K, L) -> `shape`, (N, C, *in): each value is added where `_unfold` reads it."""
    return fold_back(input, shape, kernel, geometry)


def _pair(name: str, value: Any) -> Shape:
    if not isinstance(value, (tuple, list)):
        return (operator.index(value),) * 2
    if len(value) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(value)}")
    return int_list(value, name)


def _blocks(space: Shape, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints) -> tuple[Shape, Geometry]:
    """The kernel, and the geometry of its positions in an image of shape `space`, after torch's checks."""
    kernel, spread = _pair("kernel_size", kernel_size), _pair("dilation", dilation)
    pads, steps = _pair("padding", padding), _pair("stride", stride)
    for name, word, (h, w) in (("kernel size", "kernel", kernel), ("dilation",) * 2 + (spread,), ("stride",) * 2 + (steps,)):
        if min(h, w) <= 0:
            raise RuntimeError(f"{name} should be greater than zero, but got {word}_height: {h} {word}_width: {w}")
    if min(pads) < 0:
        raise RuntimeError(f"padding should be non-negative, but got pad_height: {pads[0]} pad_width: {pads[1]}")
    sizes = zip(space, pads, spread, kernel, steps)
    out = tuple([(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, p, d, k, s in sizes])
    return kernel, Geometry(steps, pads, spread, 1, out)


@public("nn.functional")
def unfold(input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Tensor:
    """``out[n, (c, i, j), l] = input[n, c, y[l] + i * dilation, x[l] + j * dilation]``: each window of an image as a column.

    Shapes: (N, C, H, W) -> (N, C * K1 * K2, L), also without N, with L windows: the product of (H + 2 * padding - dilation * (K1
    - 1) - 1) // stride + 1 and the same for W.
    Raises: RuntimeError if no window fits, and for sizes that are not positive.

    >>> F.unfold(torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), 2)
    tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]])
    """
    shape = input._array.shape
    if len(shape) < 3:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got 2)")
    if len(shape) > 4 or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    kernel, geometry = _blocks(shape[-2:], kernel_size, dilation, padding, stride)
    if min(geometry.out) < 1:
        raise RuntimeError(
            f"Given input with spatial size {shape[-2:]}, kernel_size={kernel}, dilation={geometry.dilation}, "
            f"padding={geometry.padding}, calculated shape of the array of sliding blocks as {geometry.out}, "
            "but its components must be at least one."
        )
    _check_type(input, "im2col_out_cpu")
    if len(shape) == 4:
        return _unfold(input, kernel, geometry)
    result: Tensor = _unfold(input.reshape(1, *shape), kernel, geometry)
    return result.reshape(result.shape[1:])


def _check_type(input: Tensor, kernel: str) -> None:
    dtype = input._array.dtype
    if dtype.kind in "iu":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(dtype)}'")


@public("nn.functional")
def fold(input: Tensor, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Tensor:
    """``out[n, c, y[l] + i * dilation, x[l] + j * dilation] += input[n, (c, i, j), l]``: columns as windows, summed where
    they overlap.

    The transpose of `unfold`, not its inverse.

    Shapes: (N, C * K1 * K2, L) -> (N, C, *output_size), also without N.
    Raises: RuntimeError unless `kernel_size` divides the rows and L is the number of windows.

    >>> F.fold(torch.ones(1, 4, 4), output_size=(3, 3), kernel_size=2)
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    if not isinstance(input, Tensor):
        raise not_a_tensor("fold", "input", 1, input)
    shape, space = input._array.shape, _pair("output_size", output_size)
    kernel, geometry = _blocks(space, kernel_size, dilation, padding, stride)
    if min(space) < 1:
        raise RuntimeError(
            f"output_size should be greater than zero, but got output_size_height: {space[0]} output_size_width: {space[1]}"
        )
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    area, blocks = math.prod(kernel), math.prod(geometry.out)
    if shape[-2] % area:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={shape[-2]} and kernel_size={kernel}."
        )
    if shape[-1] != blocks or min(geometry.out) < 1:
        raise RuntimeError(
            f"Given output_size={space}, kernel_size={kernel}, dilation={geometry.dilation}, padding={geometry.padding}, "
            f"stride={geometry.stride}, expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{geometry.out[0]} * {geometry.out[1]} = {blocks}, but got input.size(2)={shape[-1]}."
        )
    _check_type(input, "col2im_out_cpu")
    batched = input if len(shape) == 3 else input.reshape(1, *shape)
    result: Tensor = _fold(batched, (len(batched), shape[-2] // area, *space), kernel, geometry)
    return result if len(shape) == 3 else result.reshape(result.shape[1:])


# ------------------------------------------------------------------------------------------------ channels and space


def _image(name: str, input: object, factor: str, r: int) -> Any:
    """The checked shape of an image: the dimensions before the channels, the channels, and the spatial shape."""
    if not isinstance(input, Tensor):
        raise not_a_tensor(name, "input", 1, input)
    if input.ndim < 3:
        raise RuntimeError(f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"{name} expects a positive {factor}, but got {r}")
    return input._array.shape[:-3], *input._array.shape[-3:]


def _in_own_memory(blocks: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`blocks` in this shape, copied also where a view has it: for blocks of one pixel, or images of one."""
    out = blocks.reshape(shape)
    return out.clone() if out._base is not None else out


@public("nn.functional", "torch")
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """``out[c, y * r + i, x * r + j] = input[c * r ** 2 + i * r + j, y, x]`` with r the `upscale_factor`: channels become pixels.

    Shapes: (*, C * r ** 2, H, W) -> (*, C, H * r, W * r).
    Raises: RuntimeError unless ``r ** 2`` divides the channels, and for fewer than three dimensions.
    Source: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network, 2016, section 3.2.

    >>> F.pixel_shuffle(torch.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    r = upscale_factor
    lead, c, h, w = _image("pixel_shuffle", input, "upscale_factor", r)
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={c} is not divisible by {r * r}"
        )
    n, c = math.prod(lead), c // (r * r)
    blocks = input.reshape(n, c, r, r, h, w).permute(0, 1, 4, 2, 5, 3)
    return _in_own_memory(blocks, (*lead, c, h * r, w * r))


@public("nn.functional", "torch")
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """``out[c * r ** 2 + i * r + j, y, x] = input[c, y * r + i, x * r + j]`` with r the `downscale_factor`: pixels become
    channels.

    Shapes: (*, C, H * r, W * r) -> (*, C * r ** 2, H, W).
    Raises: RuntimeError unless r divides both sizes, and for fewer than three dimensions.
    Source: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network, 2016, section 3.2.

    >>> F.pixel_unshuffle(torch.arange(4.0).reshape(1, 2, 2), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    r = downscale_factor
    lead, c, h, w = _image("pixel_unshuffle", input, "downscale_factor", r)
    for name, dim, size in (("height", -2, h), ("width", -1, w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, "
                f"but input.size({dim})={size} is not divisible by {r}"
            )
    h, w = h // r, w // r
    blocks = input.reshape(math.prod(lead), c, h, r, w, r).permute(0, 1, 3, 5, 2, 4)
    return _in_own_memory(blocks, (*lead, c * r * r, h, w))


@public("nn.functional", "nn.functional:native_channel_shuffle", "torch", "torch:native_channel_shuffle")
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """``out[n, i * groups + g] = input[n, g * C / groups + i]``: the channels as a matrix of `groups` rows, transposed.

    Shapes: (N, C, *) -> (N, C, *).
    Raises: RuntimeError unless `groups` divides C, and for fewer than three dimensions.
    Source: Zhang et al., ShuffleNet, 2018, section 3.1.

    >>> F.channel_shuffle(torch.arange(4.0).reshape(1, 4, 1), groups=2).flatten()
    tensor([0., 2., 1., 3.])
    """
    if not isinstance(input, Tensor):
        raise not_a_tensor("channel_shuffle", "input", 1, input)
    shape = input._array.shape
    if len(shape) < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    n, c = shape[:2]
    if c % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    shuffled = input.reshape(n, groups, c // groups, math.prod(shape[2:])).transpose(1, 2)
    return shuffled.reshape(shape).clone() if groups in (1, c) else shuffled.reshape(shape)
