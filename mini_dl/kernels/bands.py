"""Depthwise convolution of small images: lines of a channel times a banded matrix, with the kernel along its diagonals.

A product of a few rows costs BLAS more in calls than in multiplications, so the zeros of the matrix, and its zeros outside of
the image, are multiplied too. Nothing is copied for each tap, and nothing is padded but for whole lines; a stride leaves out
columns of the matrix. The matrix of the gradient of the input is the transposed one, of other lines.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from mini_dl._dtypes import Array, Shape
from mini_dl.kernels.blocks import Scratch, check_finite, number_of_pieces, split
from mini_dl.kernels.geometry import Geometry
from mini_dl.kernels.parallel import get_num_threads, share

SEEN, MATRIX, FOUND = Scratch(), Scratch(), Scratch()
FEW = 1 << 12
"""Images, at least two, times the lengths of an input and an output line, over the stride, up to which it pays."""
SMALL = 1 << 10
"""Elements of the matrix of all lines, up to which there is only one product for each channel."""
WIDTH = 16
"""Outputs that a product computes at least."""
LARGEST = 1 << 15
"""Elements of a matrix."""
IN_CACHE = 3 << 17
"""Elements that the channels of a piece have in all arrays."""


def suits(shape: Shape, weight: Shape, g: Geometry) -> bool:
    """Whether an input of `shape`, (N, C, *in), at least two-dimensional, has little to do for each of many channels."""
    if len(g.out) < 2 or not weight[0] == weight[1] * g.groups == g.groups > 1:
        return False
    (first, *rest), (lines, *others) = shape[2:], g.out
    width, length = math.prod(rest), math.prod(others)
    few = max(2, shape[0]) * width * length <= FEW * g.stride[-1] or first * width * lines * length <= SMALL
    return few and weight[2] * width * length * max(1, WIDTH // length) <= LARGEST


def conv(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    """(N, C, *in), (C, 1, *kernel), (C) -> `out`, (N, C, *out).

    Raises: FloatingPointError if infinities or NaN would spread.
    """
    bands = bands_of(input.shape, weight.shape[2:], g, get_num_threads())
    bands.multiply(input, weight, out, bias)


def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """(N, C, *out), (C, 1, *kernel) -> `shape`, (N, C, *in); raises as `conv` does."""
    found = np.empty(shape, output.dtype)
    bands_of(shape, weight.shape[2:], g, get_num_threads(), back=True).multiply(output, weight, found, None)
    return found


def conv_weight(input: Array, output: Array, shape: Shape, g: Geometry) -> Array:
    """(N, C, *in), (N, C, *out) -> `shape`, (C, 1, *kernel); raises as `conv` does."""
    bands = bands_of(input.shape, shape[2:], g, get_num_threads())
    found = np.zeros((shape[0], math.prod(shape[2:])), input.dtype)
    order, starts, taps = _runs(bands.parts)

    def add_up(part: slice) -> None:
        seen, given = bands.seen(input[:, part]), bands.given(output[:, part])
        matrix = np.matmul(seen.swapaxes(1, 2), given, MATRIX.of((len(seen), *bands.matrix), input.dtype))
        check_finite(matrix)
        if len(taps):
            found[part, taps] = np.add.reduceat(matrix.reshape(len(matrix), -1).take(order, 1), starts, 1)

    share(add_up, bands.pieces, bands.size)
    return found.reshape(shape)


@functools.lru_cache(1024)
def bands_of(shape: Shape, kernel: Shape, g: Geometry, threads: int, back: bool = False) -> Bands:
    return Bands(shape, kernel, g, back)


class Bands:
    """How the lines of a source are divided: in the block number u, the lines from ``u * unit - front`` on, `seen` of them,
    contribute to the lines from ``u * rows - skipped`` on, `rows` of them, of the target. If the matrix is small, all lines are
    one block. The source is the input, or on the way `back` the output."""

    def __init__(self, shape: Shape, kernel: Shape, g: Geometry, back: bool) -> None:
        n, c, *space = shape
        self.source, self.target = (g.out, tuple(space)) if back else (tuple(space), g.out)
        reach, step, padding = g.dilation[0] * (kernel[0] - 1), g.stride[0], g.padding[0]
        height = max(1, WIDTH // math.prod(g.out[1:]))
        self.whole = math.prod(space) * math.prod(g.out) <= SMALL
        if self.whole:
            lines, shift = (space[0], g.out[0]), padding
            self.blocks = 1
        elif back:
            self.front, self.unit, self.rows, self.skipped = reach // step, height, height * step, padding
            self.seen_lines = height + reach // step
            lines, shift = (self.rows, self.seen_lines), self.front * step
            self.blocks = -(-(space[0] + padding) // self.rows)
        else:
            self.front, self.unit, self.rows, self.skipped = padding, height * step, height, 0
            self.seen_lines = (height - 1) * step + reach + 1
            lines, shift = (self.seen_lines, height), 0
            self.blocks = -(-g.out[0] // height)
        sizes, paddings = [lines, *zip(space[1:], g.out[1:])], (shift, *g.padding[1:])
        self.parts = tuple(zip(kernel, sizes, g.stride, paddings, g.dilation))
        self.back = back
        inputs, outputs = (math.prod(size) for size in zip(*sizes))
        self.matrix = (outputs, inputs) if back else (inputs, outputs)
        if not self.whole:  # for each image, as many blocks as make the steps between images a multiple of their own
            self.steps = max(self.blocks, -(-((self.blocks - 1) * self.unit + self.seen_lines) // self.unit))
        self.size = n * c * math.prod(g.out) * math.prod(kernel)
        each = inputs * outputs + n * (math.prod(space) + math.prod(g.out))
        self.pieces = split(c, number_of_pieces(c * each, self.size, IN_CACHE, IN_CACHE))

    def multiply(self, source: Array, weight: Array, target: Array, bias: Array | None) -> None:
        """Lines of `source`, (N, C, *source), times the matrices of the weight -> `target`, (N, C, *target)"""
        kernels = np.zeros((len(weight), weight[0].size + 1), source.dtype)
        kernels[:, :-1] = weight.reshape(len(weight), -1)
        taps = _taps_at(self.parts, self.back)

        def work(part: slice) -> None:
            seen = self.seen(source[:, part])
            matrices = MATRIX.of((len(seen), len(taps)), source.dtype)
            kernels[part].take(taps, 1, matrices, "clip")
            found = FOUND.of((*seen.shape[:2], self.matrix[1]), source.dtype)
            np.matmul(seen, matrices.reshape(len(seen), *self.matrix), found)
            check_finite(found)
            shown = self._lines(found, len(source)).swapaxes(0, 1)
            if bias is None:
                target[:, part] = shown
            else:
                np.add(shown, bias[part].reshape(-1, *[1] * len(self.target)), target[:, part])

        share(work, self.pieces, self.size)

    def seen(self, source: Array) -> Array:
        """What each block sees: (C, N * blocks, lines), valid until the next request."""
        n, c = source.shape[:2]
        if self.whole:
            return source.reshape(n, c, -1).swapaxes(0, 1)
        width, count = math.prod(self.source[1:]), self.steps * self.unit
        used = c * n * count * width
        memory = SEEN.of((used + self.seen_lines * width,), source.dtype)
        memory[used:] = 0
        stop = min(count, self.front + self.source[0])
        self._fill(memory[:used].reshape(c, n, count, *self.source[1:]), source, self.front, stop)
        step = self.unit * width * memory.itemsize
        shape = (c, n * self.steps, self.seen_lines * width)
        return np.ndarray(shape, source.dtype, memory, 0, (n * self.steps * step, step, memory.itemsize))

    def given(self, target: Array) -> Array:
        """The outputs that each block computes, (C, N * blocks, lines), with zeros where there are none."""
        n, c = target.shape[:2]
        if self.whole:
            return target.reshape(n, c, -1).swapaxes(0, 1)
        space = FOUND.of((c, n, self.steps * self.rows, *self.target[1:]), target.dtype)
        self._fill(space, target, 0, self.target[0])
        return space.reshape(c, n * self.steps, -1)

    def _fill(self, space: Array, images: Array, start: int, stop: int) -> None:
        """Write images, (n, C, *), from line `start` up to `stop` of a space, (C, n, *), with zeros around."""
        space[:, :, :start] = 0
        space[:, :, start:stop] = images.swapaxes(0, 1)[:, :, : stop - start]
        space[:, :, stop:] = 0

    def _lines(self, found: Array, images: int) -> Array:
        """The lines of the target that `found` holds, (C, n, *target)"""
        whole = found.reshape(len(found), images, -1, *self.target[1:])
        return whole if self.whole else whole[:, :, self.skipped : self.skipped + self.target[0]]


@functools.lru_cache(256)
def _taps_at(parts: tuple[tuple[int, tuple[int, int], int, int, int], ...], back: bool) -> Array:
    """The number of the tap at which an input and an output position meet, (inputs * outputs), or (outputs * inputs) on the way
    `back`; where none does, the number of taps. Each part says the taps, sizes, stride, padding and dilation of a dimension."""
    found, meeting = np.zeros((1, 1), np.intp), np.ones((1, 1), bool)
    for taps, (inputs, outputs), stride, padding, dilation in parts:
        at, to = np.ogrid[:inputs, :outputs]
        tap, rest = np.divmod(at - to * stride + padding, dilation)
        shape = (len(found) * inputs, found.shape[1] * outputs)
        found = (found[:, None, :, None] * taps + tap[None, :, None, :]).reshape(shape)
        meeting = (meeting[:, None, :, None] & ((rest == 0) & (tap >= 0) & (tap < taps))[None, :, None, :]).reshape(shape)
    found = np.where(meeting, found, math.prod([taps for taps, *_ in parts]))
    return np.ascontiguousarray(found.T if back else found).reshape(-1)


@functools.lru_cache(256)
def _runs(parts: tuple[tuple[int, tuple[int, int], int, int, int], ...]) -> tuple[Array, Array, Array]:
    """The elements of a matrix that taps meet, in the order of these; where those of each begin; and the taps."""
    numbers = _taps_at(parts, False)
    order = np.argsort(numbers, kind="stable")[: np.count_nonzero(numbers < math.prod([taps for taps, *_ in parts]))]
    taps, starts = np.unique(numbers[order], return_index=True)
    return order, starts, taps
