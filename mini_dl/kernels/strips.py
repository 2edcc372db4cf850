"""Convolution by strips, for dense kernels over long lines.

A copy of the input has its lines one after another, in each a row for each tap of a line and channel, and in it the output
positions. What an output line sees through the whole kernel is a matrix, which is a run of this memory and overlaps what the next
line sees: each number is copied once for the taps of a line, not for all. The products are the lines of the result where it lies.
Nothing is computed in vain. For the gradient of the kernel, the lines of each row are neighbors, and sums go over all of them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from mini_dl._dtypes import Array, Index, Shape
from mini_dl.kernels.blocks import Scratch, number_of_pieces, split, total_of
from mini_dl.kernels.geometry import Geometry, inner, meeting, reverse
from mini_dl.kernels.parallel import get_num_threads, share

SEEN = Scratch()
COPIED = 1 << 20
"""Elements that are copied for a piece at most."""
LONG, WIDE = 48, 24
"""Positions of an output line from which it pays for any number of images, and for `FEW`."""
FEW = 4096
"""Positions of all images below which other methods have short calls."""
LARGE = 100
"""Positions of an image over which sums are long."""
FEW_CHANNELS = 6
"""Inputs below which columns are faster, but for the result for a few images."""
Piece = tuple[slice, slice]
"""Images, and lines of the output."""


def suits(images: int, weight: Shape, g: Geometry) -> bool:
    """Whether lines are long, and the channels put in are not so many that it is faster to add up what each puts out."""
    outputs, inputs = weight[0] // g.groups, weight[1]
    return has_long_lines(images, weight, g) and outputs >= min(32, inputs) and (images <= 4 or inputs >= FEW_CHANNELS)


def suits_input(shape: Shape, weight: Shape, g: Geometry) -> bool:
    """The same for the gradient of an input of `shape`, (N, C, *in)."""
    turned = (shape[1], weight[0] // g.groups, *weight[2:])
    return max(g.stride) == 1 and suits(shape[0], turned, reverse(weight[2:], shape[2:], g))


def suits_weight(images: int, weight: Shape, g: Geometry) -> bool:
    """The same for the gradient of the weight, whose sums go over all lines of an image."""
    long = math.prod(g.out) >= LARGE and max(g.stride) == 1 and weight[1] >= FEW_CHANNELS
    return long and _is_possible(images, weight, g)


def has_long_lines(images: int, weight: Shape, g: Geometry) -> bool:
    width = math.prod(g.out[1:])
    return (width >= LONG or (width >= WIDE and images * math.prod(g.out) < FEW)) and _is_possible(images, weight, g)


def _is_possible(images: int, weight: Shape, g: Geometry) -> bool:
    """Whether the taps of a line are neighbors, groups not almost depthwise, and elements of the weight, which are rearranged,
    few for each position."""
    dense = g.groups == 1 or min(weight[0] // g.groups, weight[1]) >= 4
    return len(g.out) > 1 < weight[2] and g.dilation[0] == 1 and dense and math.prod(weight) <= 64 * images * math.prod(g.out)


def conv(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    """(N, C, *in), (O, C/G, *kernel), (O) -> `out`, (N, O, *out), contiguous"""
    _conv(input, weight.reshape(g.groups, -1, *weight.shape[1:]), bias, g, out)


def _conv(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    """The same with a weight (G, O/G, C/G, *kernel), any view."""
    groups, outputs = weight.shape[:2]
    strips = strips_of(input.shape, (groups * outputs, *weight.shape[2:]), g, get_num_threads())
    matrices = np.ascontiguousarray(np.moveaxis(weight, 2, -1)).reshape(groups, 1, outputs, -1)
    target = strips.by_line(out)
    added = None if bias is None else bias.reshape(groups, 1, outputs, 1)

    def convolve(piece: Piece) -> None:
        images, lines = piece
        part = target[images, :, lines]
        np.matmul(matrices, strips.seen(input, piece), part)
        if added is not None:
            part += added

    share(convolve, strips.pieces, strips.size)


def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """(N, O, *out), (O, C/G, *kernel) -> `shape`, (N, C, *in), without a stride: the convolution with the mirrored kernel"""
    found = np.empty(shape, output.dtype)
    mirrored = inner([slice(None, None, -1)] * len(g.out))
    kernel = weight.reshape(g.groups, -1, *weight.shape[1:]).swapaxes(1, 2)[mirrored]
    _conv(output, kernel, None, reverse(weight.shape[2:], shape[2:], g), found)
    return found


def conv_weight(input: Array, output: Array, shape: Shape, g: Geometry) -> Array:
    """(N, C, *in), (N, O, *out) -> `shape`, (O, C/G, *kernel), without a stride. What has fewer channels is copied."""
    outputs, inputs = shape[0] // g.groups, shape[1]
    if outputs < inputs:
        turned = (g.groups * inputs, outputs, *shape[2:])
        found = conv_weight(output, input, turned, reverse(shape[2:], input.shape[2:], g))
        mirrored = inner([slice(None, None, -1)] * len(g.out))
        found = found.reshape(g.groups, inputs, *turned[1:]).swapaxes(1, 2)[mirrored]
        return np.ascontiguousarray(found).reshape(shape)
    strips = strips_of(input.shape, shape, g, get_num_threads())

    def term(piece: Piece) -> Array:
        images, lines = piece
        part = output[images].reshape(-1, g.groups, 1, outputs, *g.out)[:, :, :, :, lines]
        part = part.reshape(*part.shape[:4], -1)
        return np.matmul(strips.seen_at_length(input, piece), part.swapaxes(3, 4)).sum(0)  # (G, first tap, taps * C/G, O/G)

    found = total_of(term, strips.pieces, strips.size).reshape(g.groups, *shape[2:], inputs, outputs)
    return np.ascontiguousarray(np.moveaxis(found, (-1, -2), (1, 2))).reshape(shape)


@functools.lru_cache(1024)
def strips_of(shape: Shape, weight: Shape, g: Geometry, threads: int) -> Strips:
    return Strips(shape, weight, g)


class Strips:
    """How an input of `shape`, with at least two spatial dimensions, is divided, and what each tap of a line sees of one."""

    def __init__(self, shape: Shape, weight: Shape, g: Geometry) -> None:
        self.shape, self.g, self.height, self.inputs = shape, g, weight[2], weight[1]
        self.taps = [self._seen_by(tap) for tap in np.ndindex(*weight[3:])]
        n, lines = shape[0], g.out[0]
        self.size = n * g.groups * math.prod(weight[1:]) * math.prod(g.out)
        count = (lines - 1) * g.stride[0] + self.height
        copied = n * g.groups * math.prod(weight[3:]) * weight[1] * count * math.prod(g.out[1:])
        number = number_of_pieces(copied, self.size, COPIED, COPIED)
        even = n % number == 0 or n >= 4 * number
        images, parts = (number, 1) if even else (n, number // math.gcd(n, number))
        self.pieces: list[Piece] = list(itertools.product(split(n, images), split(lines, parts)))

    def _seen_by(self, tap: Sequence[int]) -> tuple[Index, Index, list[Index]]:
        """The positions of an output line at which a tap sees the input, which those are, and the others, margin by margin."""
        to, of, margins = list[slice](), list[slice](), list[Index]()
        rest = len(tap)
        for axis, (t, s, p, d) in enumerate(zip(tap, self.g.stride[1:], self.g.padding[1:], self.g.dilation[1:])):
            count = self.g.out[1 + axis]
            inside, source = meeting(t * d - p, s, self.shape[3 + axis], count)
            to.append(inside)
            of.append(source)
            start, stop = inside.start, inside.stop
            others = [slice(None)] * (rest - axis - 1)
            margins += [inner([part, *others]) for part in (slice(start), slice(stop, count)) if part.stop > (part.start or 0)]
        return inner(to), inner(of), margins

    def by_line(self, output: Array) -> Array:
        """(N, O, *out) -> (N, G, line, O/G, position)"""
        return output.reshape(len(output), self.g.groups, -1, self.g.out[0], math.prod(self.g.out[1:])).swapaxes(2, 3)

    def seen(self, input: Array, piece: Piece) -> Array:
        """What the output lines of a piece see: (n, G, line, taps * C/G, position), valid until the next request."""
        memory, (image, group, line, row) = self._copied(input, piece, (0, 1, 2, 3, 4))
        lines = piece[1]
        width = math.prod(self.g.out[1:])
        shape = (len(memory), self.g.groups, lines.stop - lines.start, self.height * len(self.taps) * self.inputs, width)
        return np.ndarray(shape, input.dtype, memory, 0, (image, group, line * self.g.stride[0], row, memory.itemsize))

    def seen_at_length(self, input: Array, piece: Piece) -> Array:
        """What all of them see through each line of the kernel, without a stride: (n, G, line, taps of it * C/G, position)"""
        memory, (image, group, line, row) = self._copied(input, piece, (0, 1, 3, 4, 2))
        lines = piece[1]
        width = (lines.stop - lines.start) * math.prod(self.g.out[1:])
        shape = (len(memory), self.g.groups, self.height, len(self.taps) * self.inputs, width)
        return np.ndarray(shape, input.dtype, memory, 0, (image, group, line, row, memory.itemsize))

    def _copied(self, input: Array, piece: Piece, order: tuple[int, ...]) -> tuple[Array, Shape]:
        """What the taps of a line see, (n, G, line, tap, C/G, *), in another `order` of memory, and the steps in bytes between
        images, groups, lines and channels."""
        images, lines = piece
        part, g = input[images], self.g
        part = part.reshape(len(part), g.groups, self.inputs, *self.shape[2:]).swapaxes(2, 3)  # (n, G, line, C/G, *)
        count = (lines.stop - lines.start - 1) * g.stride[0] + self.height
        shape = (*part.shape[:2], count, len(self.taps), self.inputs)
        memory = SEEN.of((*[shape[axis] for axis in order], *g.out[1:]), input.dtype)
        found = memory.transpose(*[order.index(axis) for axis in range(5)], *range(5, memory.ndim))
        first = lines.start * g.stride[0] - g.padding[0]
        start = min(max(0, first), first + count)
        stop = max(start, min(self.shape[2], first + count))
        found[:, :, : start - first] = 0
        found[:, :, stop - first :] = 0
        inside, source = found[:, :, start - first : stop - first], part[:, :, start:stop]
        for number, (to, of, margins) in enumerate(self.taps):
            at = inside[:, :, :, number]
            for margin in margins:
                at[margin] = 0
            at[to] = source[of]
        return memory, (*found.strides[:3], found.strides[4])
