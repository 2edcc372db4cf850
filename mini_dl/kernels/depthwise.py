"""Depthwise convolution: lines of an image times banded matrices.

An output line of one channel is what its window of input lines, one run of memory, is times a matrix that has the kernel's taps
along its diagonals. Windows far enough apart not to overlap, every second or third, say, are the rows of a matrix, so all lines
of all images are a few matrix products. Wide lines are cut into strips, as if each were an image: the wider a matrix, the more
zeros. The gradients of input and weight are the transposes: products with the same matrix, or with the output lines.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from mini_dl._dtypes import Array, NumpyType, Shape
from mini_dl.kernels import blocks
from mini_dl.kernels.blocks import Scratch, check_finite, number_of_pieces, split
from mini_dl.kernels.parallel import share

WIDEST, LARGEST = 32, 96
"""Inputs of a line from which it is cut into strips, unless a window has fewer than so many."""
LINES, FOUND, BANDS = Scratch(), Scratch(), Scratch()
Piece = tuple[int, slice]
"""The number of a slice of the images, and channels."""


class Geometry(NamedTuple):
    """Output position o and kernel tap t meet at input position ``o * stride + t * dilation - padding``, per dimension."""

    stride: Shape
    padding: Shape  # before the first position; what is missing after the last follows from `out`
    dilation: Shape
    groups: int
    out: Shape  # the spatial shape of the output


@functools.lru_cache(1024)
def strips_of(space: Shape, kernel: Shape, g: Geometry) -> Strips:
    return Strips(space, kernel, g)


class Strips:
    """How an image of shape `space` is cut, and which windows of lines the outputs see."""

    def __init__(self, space: Shape, kernel: Shape, g: Geometry) -> None:
        self.space, self.kernel, self.out = space, kernel, g.out
        self.stride, self.dilation, (self.above, left) = g.stride, g.dilation, g.padding
        self.span, span = [d * (k - 1) + 1 for d, k in zip(g.dilation, kernel)]
        self.count = -(-g.out[1] * g.stride[1] // max(WIDEST, LARGEST // kernel[0]))
        self.width = -(-g.out[1] // self.count)  # of the outputs of a strip
        self.seen = space[1] if self.count == 1 else (self.width - 1) * g.stride[1] + span
        self.sets = -(-self.span // g.stride[0])  # windows of one set do not overlap
        self.lines = -(-max((g.out[0] - 1) * g.stride[0] + self.span, self.above + space[0]) // g.stride[0])  # times the stride
        step = self.width * g.stride[1]
        self.places: list[tuple[slice, slice]] = []  # of each strip, in itself and in the image
        for strip in range(self.count):
            first = strip * step - left if self.count > 1 else 0
            start, stop = max(0, first), min(space[1], first + self.seen)
            self.places.append((slice(start - first, max(start, stop) - first), slice(start, max(start, stop))))
        shift = left if self.count == 1 else 0
        self.taps: list[tuple[int, Array, Array]] = []  # the line of each tap, and where it lies along a line of input and output
        for y in range(kernel[0]):
            for x in range(kernel[1]):
                to = np.arange(self.width)
                of = to * g.stride[1] + x * g.dilation[1] - shift
                inside = (of >= 0) & (of < self.seen)
                self.taps.append((y * g.dilation[0], of[inside], to[inside]))

    def rows(self, images: int) -> int:
        """The number of windows of a set."""
        return -(-images * self.count * self.lines // self.sets)

    def empty_lines(self, channels: int, images: int, dtype: NumpyType) -> tuple[Array, Array]:
        """Memory for the lines, with zeros, (C, lines, seen), and the images within it, (C, n, strip, line, seen)."""
        pitch = self.lines * self.stride[0]  # of images, in lines
        needed = max((self.rows(images) * self.sets - 1) * self.stride[0] + self.span, images * self.count * pitch)
        whole = LINES.of((channels, needed, self.seen), dtype)
        whole[...] = 0
        shown = whole[:, : images * self.count * pitch].reshape(channels, images, self.count, pitch, self.seen)
        return whole, shown[:, :, :, self.above : self.above + self.space[0]]

    def cut(self, input: Array) -> Array:
        """(n, C, H, W) -> (C, lines, seen)"""
        whole, images = self.empty_lines(input.shape[1], len(input), input.dtype)
        for strip, (inside, place) in enumerate(self.places):
            images[:, :, strip, :, inside] = input[..., place].swapaxes(0, 1)
        return whole

    def windows(self, lines: Array, number: int, images: int) -> Array:
        """The windows of a set: (C, lines, seen) -> (C, rows, span * seen), a view."""
        shape = (len(lines), self.rows(images), self.span * self.seen)
        strides = (lines.strides[0], self.sets * self.stride[0] * lines.strides[1], lines.itemsize)
        return np.ndarray(shape, lines.dtype, lines, number * self.stride[0] * lines.strides[1], strides)

    def outputs(self, channels: int, times: int, images: int, dtype: NumpyType) -> tuple[Array, list[Array]]:
        """Memory for output lines, (C, rows of all sets, O/C * width), and each strip's in it as (n, C, O/C, H', w)."""
        whole = FOUND.of((channels, self.rows(images) * self.sets, times * self.width), dtype)
        lines = whole[:, : images * self.count * self.lines].reshape(channels, images, self.count, self.lines, times, -1)
        strips = lines[:, :, :, : self.out[0]].transpose(2, 1, 0, 4, 3, 5)
        rest = self.out[1] - (self.count - 1) * self.width
        return whole, [*strips[:-1], strips[-1][..., :rest]]

    def spread(self, output: Array) -> Array:
        """(n, C, O/C, H', W') -> (C, rows of all sets, O/C * width), zeros between."""
        whole, strips = self.outputs(output.shape[1], output.shape[2], len(output), output.dtype)
        whole[...] = 0
        for strip, shown in enumerate(strips):
            shown[...] = output[..., strip * self.width : strip * self.width + shown.shape[-1]]
        return whole

    def bands(self, weight: Array) -> Array:
        """(C, O/C, K) -> (C, span * seen, O/C * width)"""
        channels, times = weight.shape[:2]
        found = BANDS.of((channels, self.span, self.seen, times, self.width), weight.dtype)
        found[...] = 0
        for tap, (line, of, to) in enumerate(self.taps):
            found[:, line, of, :, to] = weight[:, :, tap]
        return found.reshape(channels, self.span * self.seen, -1)

    def taps_of(self, bands: Array, times: int) -> Array:
        """The transpose of `bands`: (C, span * seen, O/C * width) -> (C, O/C, K)"""
        parts = bands.reshape(len(bands), self.span, self.seen, times, self.width)
        return np.stack([parts[:, line, of, :, to].sum(0) for line, of, to in self.taps], -1)


class Depthwise:
    """A convolution in which each output channel sees one input channel: ``weight`` is (C, O/C, K). One dimension is a line."""

    def __init__(self, shape: Shape, kernel: Shape, g: Geometry) -> None:
        if len(kernel) == 1:
            shape, kernel = (*shape[:2], 1, shape[2]), (1, *kernel)
            g = Geometry((1, *g.stride), (0, *g.padding), (1, *g.dilation), g.groups, (1, *g.out))
        self.shape, self.kernel, self.g, self.strips = shape, kernel, g, strips_of(shape[2:], kernel, g)
        n, c = shape[:2]
        size = self.strips.count * self.strips.lines * self.strips.stride[0] * self.strips.seen
        self.size = n * c * size * self.strips.span
        block = 2 * blocks.BLOCK
        number = number_of_pieces(n * c * size, self.size, block, 2 * block)
        self.images = split(n, -(-number // c))
        self.pieces = [(i, channels) for i in range(len(self.images)) for channels in split(c, number)]

    def conv(self, input: Array, weight: Array, out: Array) -> None:
        """`out` is (N, C, O/C, *out)"""
        strips, input, out = self.strips, input.reshape(self.shape), out.reshape(*out.shape[:3], *self.g.out)

        def convolve(piece: Piece) -> None:
            images, channels = self.images[piece[0]], piece[1]
            part = input[images, channels]
            lines, bands = strips.cut(part), strips.bands(weight[channels])
            found, shown = strips.outputs(len(bands), weight.shape[1], len(part), out.dtype)
            for number in range(strips.sets):
                np.matmul(strips.windows(lines, number, len(part)), bands, found[:, number :: strips.sets])
            check_finite(found)
            for strip, values in enumerate(shown):
                out[images, channels, ..., strip * strips.width : strip * strips.width + values.shape[-1]] = values

        share(convolve, self.pieces, self.size)

    def conv_input(self, output: Array, weight: Array) -> Array:
        """(N, C, O/C, *out) -> (N, C, *in), with a line as an image"""
        g, strips, to_input = self.g, self.strips, np.zeros(self.shape, output.dtype)
        output = output.reshape(*output.shape[:3], *g.out)
        ends = [d * (k - 1) - p for d, k, p in zip(g.dilation, self.kernel, g.padding)]
        if max(g.stride) == weight.shape[1] == 1 and min(ends) >= 0:  # the mirrored kernel, over the padded output
            back = g._replace(padding=tuple(ends), out=self.shape[2:])
            mirrored = Depthwise((*output.shape[:2], *g.out), self.kernel, back)
            mirrored.conv(output[:, :, 0], weight[:, :, ::-1], to_input[:, :, None])
            return to_input

        def add_back(piece: Piece) -> None:
            images, channels = self.images[piece[0]], piece[1]
            spread, bands = strips.spread(output[images, channels]), strips.bands(weight[channels]).swapaxes(1, 2)
            count = images.stop - images.start
            lines, shown = strips.empty_lines(len(bands), count, output.dtype)
            for number in range(strips.sets):
                windows, own = strips.windows(lines, number, count), spread[:, number :: strips.sets]
                if number:
                    windows += np.matmul(own, bands)
                else:
                    np.matmul(own, bands, windows)
            check_finite(lines)
            target = to_input[images, channels]
            for strip, (inside, place) in enumerate(strips.places):
                target[..., place] += shown[:, :, strip, :, inside].swapaxes(0, 1)

        share(add_back, self.pieces, self.size)
        return to_input

    def conv_weight(self, input: Array, output: Array) -> Array:
        """(N, C, *in), (N, C, O/C, *out) -> (C, O/C, K)"""
        strips, times = self.strips, output.shape[2]
        input, output = input.reshape(self.shape), output.reshape(*output.shape[:3], *self.g.out)
        found = np.empty((len(self.images), *output.shape[1:3], len(strips.taps)), output.dtype)

        def products(piece: Piece) -> None:
            images, channels = self.images[piece[0]], piece[1]
            part = input[images, channels]
            lines, spread = strips.cut(part), strips.spread(output[images, channels])
            total = functools.reduce(
                np.add,
                [
                    np.matmul(strips.windows(lines, number, len(part)).swapaxes(1, 2), spread[:, number :: strips.sets])
                    for number in range(strips.sets)
                ],
            )
            found[piece[0], channels] = strips.taps_of(total, times)

        share(products, self.pieces, self.size)
        check_finite(found)
        return found.sum(0)
