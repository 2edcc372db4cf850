"""Convolution by lines, for kernels of few channels, grouped and depthwise ones above all.

The elements under the taps of one line of the kernel are copied for each output position, with a row of a matrix for each tap
and channel. Successive lines lie one after another in memory: what an output line sees, the lines under all taps, is one run of
it, and overlaps what the next sees. So a 3 x 3 kernel takes 3 copies instead of 9. BLAS needs a few rows to be fast: where a
group has fewer output channels, a product computes several lines by a matrix with the kernel along its diagonals.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from mini_dl._dtypes import Array, Index, Shape
from mini_dl.kernels.blocks import Scratch, check_finite, split
from mini_dl.kernels.geometry import Geometry, fitted_window, inner
from mini_dl.kernels.parallel import get_num_threads, share

EXPANDED, LINES = Scratch(), Scratch()
EXPANDED_IN_CACHE = 1 << 20
"""Elements of the copies of a piece. Smaller ones would stay in the second-level cache, but take more calls."""
ROWS, COLUMNS = 4, 128
"""Output lines of all channels of a group, and positions in a line of all images, that a product has if there are so many."""

UNCOPIED = 10**6
"""Multiplications of a product up to which OpenBLAS reads its operands as they lie."""
SMALL_WEIGHT = 1 << 16
"""Elements of a weight up to which its gradients in many pieces may be added up."""


class Piece(NamedTuple):
    images: slice
    groups: slice
    lines: slice  # of the output


def suits(images: int, weight: Shape, g: Geometry) -> bool:
    """Whether there are groups, or a small weight that is moved by one, and enough positions to repay copies of the weight. In
    one dimension, only a long kernel saves copies."""
    outputs, inputs, *kernel = weight
    if len(kernel) == 1:
        return g.groups > 1 and kernel[0] >= 8
    if images * math.prod(g.out) < 256:
        return g.groups > 1 and inputs * outputs <= ROWS * g.groups
    return g.groups > 1 or (max(*g.stride, *g.dilation) == 1 and inputs >= 6 and math.prod(weight) <= SMALL_WEIGHT)


def conv(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    """(N, C, *in), (O, C/G, *kernel), (O) -> `out`, (N, O, *out), any view.

    Raises: FloatingPointError if infinities or NaN would spread.
    """
    if len(g.out) == 1:
        fold = Fold(len(input), weight.shape[2], g)
        found = np.empty((*out.shape[:2], fold.size), out.dtype)
        conv(fold.seen(input), weight[..., None], bias, fold.g, fold.lines(found))
        out[...] = found[..., : g.out[0]]
        return
    lines = lines_of(input.shape, weight.shape, g, get_num_threads())
    matrices = lines.matrices(weight)
    target = lines.grouped(out)
    added = None if bias is None else bias.reshape(g.groups, lines.outputs, *[1] * len(g.out))

    def convolve(piece: Piece) -> None:
        seen = lines.of(input, piece)
        shape = (*seen.shape[:2], matrices.shape[1], seen.shape[3])
        found = np.matmul(matrices[piece.groups, None], seen, LINES.of(shape, out.dtype))
        if lines.height > 1:
            check_finite(found)
        part = target[piece.images, piece.groups, :, piece.lines]
        shown = found.reshape(len(found), -1, lines.outputs, len(part), *g.out[1:])[:, : part.shape[3]]
        shown = shown.transpose(3, 0, 2, 1, *lines.rest)
        if added is None:
            part[...] = shown
        else:
            np.add(shown, added[piece.groups], part)

    share(convolve, lines.pieces, lines.size)


def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """(N, O, *out), (O, C/G, *kernel) -> `shape`, (N, C, *in). Of every `stride` positions, each is a convolution, by the taps
    that meet it, in reverse order."""
    found = np.empty(shape, output.dtype)
    transposed = weight.reshape(g.groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    for phase in np.ndindex(*g.stride):
        part = found[inner([slice(first, None, s) for first, s in zip(phase, g.stride)])]
        taps, sides = list[slice](), list[tuple[int, int]]()
        for first, s, p, d, k in zip(phase, g.stride, g.padding, g.dilation, weight.shape[2:]):
            meeting = [t for t in range(k) if (first + p - t * d) % s == 0]
            step = s // math.gcd(s, d)
            taps.append(slice(meeting[-1], None, -step) if meeting else slice(0))
            sides.append(((meeting[-1] * d - first - p) // s if meeting else 0, step * d // s))
        kernel = transposed[inner(taps)]
        if 0 in kernel.shape:
            part[...] = 0
        elif part.size:
            padding, dilation = zip(*sides)
            back = Geometry((1,) * len(taps), padding, dilation, g.groups, part.shape[2:])
            conv(output, np.ascontiguousarray(kernel).reshape(-1, *kernel.shape[2:]), None, back, part)
    return found


def conv_weight(input: Array, output: Array, shape: Shape, g: Geometry) -> Array:
    """(N, C, *in), (N, O, *out) -> `shape`, (O, C/G, *kernel); raises as `conv` does."""
    if len(g.out) == 1:
        fold = Fold(len(input), shape[2], g)
        given = np.zeros((*output.shape[:2], fold.size), output.dtype)
        given[..., : g.out[0]] = output
        return conv_weight(fold.seen(input), fold.lines(given), (*shape, 1), fold.g).reshape(shape)
    lines = lines_of(input.shape, shape, g, get_num_threads())
    source, rows = lines.grouped(output), lines.height * lines.outputs
    upright = 8 < rows < 64  # then the product of transposed lines takes longer than turning them

    def product(piece: Piece) -> Array:
        seen = lines.of(input, piece)
        part = source[piece.images, piece.groups, :, piece.lines]
        groups, blocks = seen.shape[:2]
        order = (1, 3, 0, *lines.rest, 2) if upright else (1, 3, 2, 0, *lines.rest)
        turned = part.transpose(order)
        given = LINES.of((groups, blocks * lines.height, *turned.shape[2:]), output.dtype)
        given[:, part.shape[3] :] = 0
        given[:, : part.shape[3]] = turned
        if not upright:
            return np.matmul(seen, given.reshape(groups, blocks, rows, -1).swapaxes(2, 3)).sum(1)
        return np.matmul(seen, given.reshape(groups, blocks, -1, rows)).sum(1)

    totals = np.zeros((min(get_num_threads(), len(lines.pieces)), g.groups, lines.seen * lines.rows, rows), input.dtype)

    def add_up(number: int) -> None:
        for piece in lines.pieces[number :: len(totals)]:
            totals[number, piece.groups] += product(piece)

    share(add_up, range(len(totals)), lines.size)
    found = totals.sum(0)
    if lines.height > 1:
        check_finite(found)
    return lines.weight_of(found.swapaxes(1, 2))


@functools.lru_cache(1024)
def lines_of(shape: Shape, weight: Shape, g: Geometry, threads: int) -> Lines:
    return Lines(shape, weight, g, threads)


class Lines:
    """How an input of `shape`, with at least two spatial dimensions, is divided and expanded.

    `height` lines are computed at once, from `seen` lines, each of `rows` taps and channels of a group.
    """

    def __init__(self, shape: Shape, weight: Shape, g: Geometry, threads: int) -> None:
        self.shape, self.g, self.kernel = shape, g, weight[2:]
        self.inputs, self.outputs = weight[1], weight[0] // g.groups
        self.height = max(1, min(g.out[0], ROWS // self.outputs))
        self.step, self.span = g.stride[0], g.dilation[0] * (weight[2] - 1) + 1
        self.seen = (self.height - 1) * self.step + self.span
        self.rows = math.prod(weight[3:]) * self.inputs
        self.rest = range(4, 3 + len(g.out))  # the other dimensions of the output, where it has groups and channels
        self.taps = [self._seen_by(tap) for tap in np.ndindex(*self.kernel[1:])]
        self.pieces = self._pieces(threads)
        self.size = math.prod((shape[0], g.groups, *g.out, self.rows, weight[2]))

    def _pieces(self, threads: int) -> list[Piece]:
        """Of several images if lines are short, of several groups if images are small, and as many as threads can share."""
        counts, width = (self.shape[0], self.g.groups, self.g.out[0]), math.prod(self.g.out[1:])
        most = UNCOPIED // (self.height * self.outputs * self.seen * self.rows)
        images = min(counts[0], max(-(-COLUMNS // width), most // width))
        line = self.rows * width * images * self.step
        lines = min(counts[2], max(8, EXPANDED_IN_CACHE // line))
        groups = min(counts[1], max(1, EXPANDED_IN_CACHE // (line * lines)))
        numbers = [-(-count // size) for count, size in zip(counts, (images, groups, lines))]
        for axis in (1, 0, 2):
            more = -(-numbers[axis] // threads) * threads
            if math.prod(numbers) % threads and more <= counts[axis]:
                numbers[axis] = more
        return [Piece(*parts) for parts in itertools.product(*[split(n, number) for n, number in zip(counts, numbers)])]

    def _seen_by(self, tap: tuple[int, ...]) -> tuple[tuple[slice | int, ...], Index, Index, bool]:
        """Where the copies for a tap of a line are, in them those from inside the image, where these come from, and whether
        they are all."""
        g, to, of = self.g, list[slice](), list[slice]()
        for t, s, d, p, size, out in zip(tap, g.stride[1:], g.dilation[1:], g.padding[1:], self.shape[3:], g.out[1:]):
            offset = t * d - p
            start = min(out, max(0, -(offset // s)))
            stop = max(start, min(out, (size - 1 - offset) // s + 1))
            to.append(slice(start, stop))
            of.append(slice(start * s + offset, (stop - 1) * s + offset + 1, s) if stop > start else slice(0))
        whole = all([part.stop - part.start == out for part, out in zip(to, g.out[1:])])
        return (slice(None), slice(None), *tap), inner(to), inner(of), whole

    def grouped(self, output: Array) -> Array:
        """(N, O, *out) -> (N, G, O/G, *out)"""
        return output.reshape(len(output), self.g.groups, self.outputs, *self.g.out)

    def matrices(self, weight: Array) -> Array:
        """(O, C/G, *kernel) -> (G, height * O/G, seen * rows)"""
        taps = np.moveaxis(weight.reshape(self.g.groups, self.outputs, *weight.shape[1:]), 2, -1)
        found = np.zeros((self.g.groups, self.height, self.outputs, self.seen, *taps.shape[3:]), weight.dtype)
        for line in range(self.height):
            found[:, line, :, self._under(line)] = taps
        return found.reshape(self.g.groups, self.height * self.outputs, -1)

    def weight_of(self, found: Array) -> Array:
        """The transpose of `matrices`."""
        parts = found.reshape(self.g.groups, self.height, self.outputs, self.seen, *self.kernel[1:], self.inputs)
        taps = functools.reduce(np.add, [parts[:, line, :, self._under(line)] for line in range(self.height)])
        return np.moveaxis(taps, -1, 2).reshape(-1, self.inputs, *self.kernel)

    def _under(self, line: int) -> slice:
        """The lines that the taps of an output line see."""
        return slice(line * self.step, line * self.step + self.span, self.g.dilation[0])

    def of(self, input: Array, piece: Piece) -> Array:
        """What the lines of a piece see: (G, lines / height, seen * rows, n * width), valid until the next request."""
        part, space = input[piece.images], self.shape[2:]
        part = part.reshape(len(part), self.g.groups, self.inputs, *space)[:, piece.groups]
        source = part.transpose(1, 3, 2, 0, *self.rest)  # (G, line, C/G, n, *)
        blocks = -(-(piece.lines.stop - piece.lines.start) // self.height)
        count = (blocks - 1) * self.height * self.step + self.seen
        found = EXPANDED.of((len(source), count, *self.kernel[1:], self.inputs, len(part), *self.g.out[1:]), input.dtype)
        first = piece.lines.start * self.step - self.g.padding[0]
        start = max(0, first)
        stop = max(start, min(space[0], first + count))
        found[:, : start - first] = 0
        found[:, stop - first :] = 0
        to, of = found[:, start - first : stop - first], source[:, start:stop]
        for tap, inside, place, whole in self.taps:
            if not whole:
                to[tap] = 0
            to[tap][inside] = of[place]
        flat = found.reshape(len(found), count * self.rows, -1)
        group, row, item = flat.strides
        shape = (len(found), blocks, self.seen * self.rows, flat.shape[2])
        return np.ndarray(shape, input.dtype, found, 0, (group, self.height * self.step * self.rows * row, row, item))


class Fold:
    """A signal of one dimension as an image: its columns are strips of the signal, and overlap by what the taps reach."""

    def __init__(self, images: int, kernel: int, g: Geometry) -> None:
        self.padding, (self.step,) = g.padding, g.stride
        self.span = g.dilation[0] * (kernel - 1) + 1
        strips = max(1, min(-(-COLUMNS // images), g.out[0] * self.step // (4 * self.span)))
        self.length = -(-g.out[0] // strips)
        self.strips = -(-g.out[0] // self.length)
        self.size = self.strips * self.length
        self.g = Geometry((self.step, 1), (0, 0), (*g.dilation, 1), g.groups, (self.length, self.strips))

    def seen(self, input: Array) -> Array:
        """(N, C, in) -> (N, C, line, strip)"""
        signal = fitted_window(input, self.padding, ((self.size - 1) * self.step + self.span,))
        *steps, item = signal.strides
        shape = (*input.shape[:2], (self.length - 1) * self.step + self.span, self.strips)
        return np.lib.stride_tricks.as_strided(signal, shape, (*steps, item, self.length * self.step * item))

    def lines(self, output: Array) -> Array:
        """(N, O, size) -> (N, O, line, strip)"""
        return output.reshape(*output.shape[:2], self.strips, self.length).swapaxes(2, 3)
