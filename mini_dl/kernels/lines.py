"""Convolution by lines, for kernels of few channels, grouped and depthwise ones above all.

A padded copy of the input has the lines of an image one after another, in each a row for each channel, and in it all images. What
an output line sees through one column of the kernel is a matrix, which is a run of this memory. It overlaps what the next line
sees, and what the next column shows begins a position later: nothing is copied for each tap, and a few positions are computed in
vain, at the end of a row. BLAS needs a few rows to be fast: where a group has fewer output channels, a product computes several
lines, by a matrix with the column of the kernel along its diagonals.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from mini_dl._dtypes import Array, Index, Shape
from mini_dl.kernels.blocks import Scratch, check_finite, split
from mini_dl.kernels.geometry import Geometry, fitted_window, in_phases, inner, meeting
from mini_dl.kernels.parallel import get_num_threads, share, worth_sharing
from mini_dl.kernels.products import UNCOPIED

SEEN, LINES, ADDED = Scratch(), Scratch(), Scratch()
SEEN_IN_CACHE = 3 << 17
"""Elements of the padded input of a piece: it stays in the second-level cache."""
ROWS, COLUMNS = 4, 128
"""Output lines of all channels of a group, and positions in a line of all images, that a product has if there are so many; if
there are fewer positions, it has more lines."""
ENOUGH = 1 << 16
"""Elements under the taps from which the preparations are repaid."""
SMALL_WEIGHT = 1 << 14
"""Elements of a weight up to which its gradients in many pieces may be added up."""


class Piece(NamedTuple):
    images: slice
    groups: slice
    lines: slice  # of the output


def suits(images: int, weight: Shape, g: Geometry, summed: bool = False) -> bool:
    """Whether there are groups, or the weight is small and moved by one; and whether there is enough to do, in lines of several
    taps and many positions, over which the gradient of the weight is `summed`. In one dimension, only a long depthwise kernel
    repays that."""
    outputs, inputs, *kernel = weight
    depthwise = inputs * outputs <= ROWS * g.groups
    if len(kernel) == 1:
        return depthwise and g.groups > 1 and kernel[0] >= 8
    if kernel[0] == 1 or size_of(images, weight, g) < ENOUGH:
        return False
    if g.groups > 1:
        return (depthwise and not summed) or images * math.prod(g.out[1:]) >= 24
    return max(*g.stride, *g.dilation) == 1 and inputs >= 6 and math.prod(weight) <= SMALL_WEIGHT


def size_of(images: int, weight: Shape, g: Geometry) -> int:
    """The number of elements under the taps."""
    return math.prod((images, *g.out, g.groups, *weight[1:]))


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
    matrices, target = lines.matrices(weight), lines.grouped(out)
    added = None if bias is None else bias.reshape(g.groups, lines.outputs, *[1] * len(g.out))

    def convolve(piece: Piece) -> None:
        found = _summed([matrix[piece.groups] for matrix in matrices], lines.of(input, piece, lines.windows), lines.further)
        if lines.sees_more:
            check_finite(found)
        part = target[piece.images, piece.groups, :, piece.lines]
        shown = lines.shown(found, len(part))[:, : part.shape[3]].transpose(3, 0, 2, 1, *lines.rest)
        if added is None:
            part[...] = shown
        else:
            np.add(shown, added[piece.groups], part)

    share(convolve, lines.pieces, lines.size)


def _summed(matrices: list[Array], windows: list[Array], further: list[list[int]]) -> Array:
    """The sum over taps, (G, lines / height, height * O/G * n * space). Each product is that of several taps, which contribute
    from a few positions `further` on; as many at the end of the rows count for nothing."""
    groups, blocks, _, run = windows[0].shape
    total: Array | None = None
    for matrix, seen, offsets in zip(matrices, windows, further):
        memory = LINES if total is None else ADDED
        products = np.matmul(matrix, seen, memory.of((groups, blocks, matrix.shape[2], run), seen.dtype))
        parts = products.reshape(groups, blocks, len(offsets), -1)
        for number, offset in enumerate(offsets):
            part = parts[:, :, number, offset:]
            if total is None:
                total = part
            else:
                total[:, :, : part.shape[2]] += part
    assert total is not None
    return total


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
    lines = lines_of(input.shape, shape, g, get_num_threads(), summed=True)
    source, rows = lines.grouped(output), lines.height * lines.outputs
    upright = lines.height == 1 and 8 < rows < 64  # then the product of transposed lines takes longer than turning them
    threads = min(get_num_threads(), len(lines.pieces))
    totals = np.zeros((threads, len(lines.taps), g.groups, lines.seen * lines.inputs, rows), input.dtype)

    def add_up(number: int) -> None:
        for piece in lines.pieces[number::threads]:
            windows = lines.of(input, piece, lines.taps)
            part = source[piece.images, piece.groups, :, piece.lines]
            groups, blocks = windows[0].shape[:2]
            turned = part.transpose(1, 3, 0, *lines.rest, 2) if upright else part.transpose(1, 3, 2, 0, *lines.rest)
            space = (len(part), *lines.space)
            shape = (*space, lines.outputs) if upright else (lines.outputs, *space)
            given = LINES.of((groups, blocks * lines.height, *shape), output.dtype)
            given[...] = 0
            at = inner([slice(n) for n in turned.shape[2:]])
            given[:, : part.shape[3]][at] = turned
            right = given.reshape(groups, blocks, -1, rows) if upright else given.reshape(groups, blocks, rows, -1).swapaxes(2, 3)
            for tap, seen in enumerate(windows):
                totals[number, tap, piece.groups] += np.matmul(seen, right).sum(1)

    share(add_up, range(threads), lines.size)
    found = totals.sum(0)
    check_finite(found)  # at the end of a row, what is infinite meets zeros
    return lines.weight_of(found.swapaxes(2, 3))


@functools.lru_cache(1024)
def lines_of(shape: Shape, weight: Shape, g: Geometry, threads: int, summed: bool = False) -> Lines:
    return Lines(shape, weight, g, threads, summed)


class Lines:
    """How an input of `shape`, with at least two spatial dimensions, is divided and padded.

    `height` lines are computed at once, from `seen` lines. The other dimensions are divided into phases, positions that are a
    stride apart; each has the shape `space`, in which an output position and a tap meet at the sum of two offsets.
    """

    def __init__(self, shape: Shape, weight: Shape, g: Geometry, threads: int, summed: bool) -> None:
        self.shape, self.g, self.kernel = shape, g, weight[2:]
        self.inputs, self.outputs = weight[1], weight[0] // g.groups
        positions = shape[0] * math.prod(g.out[1:])
        one = summed and self.inputs == self.outputs == 1 and positions >= COLUMNS  # a matrix times a vector is faster
        rows = 1 if one else max(ROWS, COLUMNS // positions)
        self.height = max(1, min(g.out[0], rows // self.outputs))
        self.step, self.span = g.stride[0], g.dilation[0] * (weight[2] - 1) + 1
        self.seen = (self.height - 1) * self.step + self.span
        self.sees_more = self.height > 1 or g.dilation[0] > 1  # than an output depends on
        self.rest = range(4, 3 + len(g.out))  # the other dimensions of the output, where it has groups and channels
        self.space, used, self.taps = in_phases(self.kernel[1:], g.stride[1:], g.dilation[1:], g.out[1:])
        self.phases = [(number, *self._inside(phase)) for number, phase in enumerate(used)]
        at_once = self.height == 1  # one product for all taps of a phase; with several lines, sorting them takes longer
        numbers, each = range(len(self.taps)), len(used) if at_once else len(self.taps)
        self.products = [[k for k in numbers if (self.taps[k][0] if at_once else k) == n] for n in range(each)]
        self.windows = [(self.taps[taps[0]][0], 0) if at_once else self.taps[taps[0]] for taps in self.products]
        self.further = [[self.taps[k][1] for k in taps] if at_once else [0] for taps in self.products]
        self.size = size_of(shape[0], weight, g)
        self.pieces = self._pieces(threads if worth_sharing(self.size) else 1)

    def _pieces(self, threads: int) -> list[Piece]:
        """Of several images if lines are short, of several groups if images are small, and as many as threads can share."""
        counts, width = (self.shape[0], self.g.groups, self.g.out[0]), math.prod(self.space)
        line = len(self.phases) * self.inputs * width * self.step
        uncopied = UNCOPIED // (self.height * self.outputs * self.seen * self.inputs * width)
        images = min(counts[0], max(-(-COLUMNS // width), min(uncopied, SEEN_IN_CACHE // (line * counts[2]))))
        lines = min(counts[2], max(8, SEEN_IN_CACHE // (line * images)))
        groups = min(counts[1], max(1, SEEN_IN_CACHE // (line * images * lines)))
        numbers = [-(-count // size) for count, size in zip(counts, (images, groups, lines))]
        for axis in (1, 0, 2):
            more = -(-numbers[axis] // threads) * threads
            if math.prod(numbers) % threads and more <= counts[axis]:
                numbers[axis] = more
        return [Piece(*parts) for parts in itertools.product(*[split(n, number) for n, number in zip(counts, numbers)])]

    def _inside(self, phase: tuple[int, ...]) -> tuple[Index, Index, bool]:
        """The part of a phase inside the image, where it comes from, and whether it is all."""
        sizes = zip(phase, self.g.stride[1:], self.g.padding[1:], self.shape[3:], self.space)
        to, of = zip(*[meeting(first - p, s, size, count) for first, s, p, size, count in sizes])
        return inner(to), inner(of), all([part.stop - part.start == count for part, count in zip(to, self.space)])

    def grouped(self, output: Array) -> Array:
        """(N, O, *out) -> (N, G, O/G, *out)"""
        return output.reshape(len(output), self.g.groups, self.outputs, *self.g.out)

    def shown(self, found: Array, images: int) -> Array:
        """Results, as (G, line, O/G, n, *out[1:])"""
        whole = found.reshape(len(found), found.shape[1] * self.height, self.outputs, images, *self.space)
        return whole[inner([slice(n) for n in self.g.out[1:]])]

    def matrices(self, weight: Array) -> list[Array]:
        """(O, C/G, *kernel) -> (G, 1, taps * height * O/G, seen * C/G) for each product"""
        taps = weight.reshape(self.g.groups, self.outputs, self.inputs, self.kernel[0], -1).transpose(0, 4, 1, 3, 2)
        found = np.zeros((*taps.shape[:2], self.height, self.outputs, self.seen, self.inputs), weight.dtype)
        for line in range(self.height):
            found[:, :, line, :, self._under(line)] = taps
        return [found[:, taps].reshape(len(found), 1, -1, self.seen * self.inputs) for taps in self.products]

    def weight_of(self, found: Array) -> Array:
        """The transpose of `matrices`: (taps, G, height * O/G, seen * C/G) -> (O, C/G, *kernel)"""
        parts = found.reshape(len(found), self.g.groups, self.height, self.outputs, self.seen, self.inputs)
        taps = functools.reduce(np.add, [parts[:, :, line, :, self._under(line)] for line in range(self.height)])
        return taps.transpose(1, 2, 4, 3, 0).reshape(-1, self.inputs, *self.kernel)

    def _under(self, line: int) -> slice:
        """The lines that the taps of an output line see."""
        return slice(line * self.step, line * self.step + self.span, self.g.dilation[0])

    def of(self, input: Array, piece: Piece, taps: list[tuple[int, int]]) -> list[Array]:
        """What the lines of a piece see through `taps` of a line, phases and offsets: (G, lines / height, seen * C/G, n * space),
        valid until the next request."""
        part, size = input[piece.images], self.shape[2]
        part = part.reshape(len(part), self.g.groups, self.inputs, *self.shape[2:])[:, piece.groups]
        source = part.transpose(1, 3, 2, 0, *self.rest)  # (G, line, C/G, n, *)
        blocks = -(-(piece.lines.stop - piece.lines.start) // self.height)
        count = (blocks - 1) * self.height * self.step + self.seen
        shape = (len(self.phases), len(source), count, self.inputs, len(part), *self.space)
        used, beyond = math.prod(shape), max([offset for _, offset in taps])
        memory = SEEN.of((used + beyond,), input.dtype)
        memory[used:] = 0
        found = memory[:used].reshape(shape)
        first = piece.lines.start * self.step - self.g.padding[0]
        start = max(0, first)
        stop = max(start, min(size, first + count))
        for number, to, of, whole in self.phases:
            if not whole:
                found[number] = 0
            else:
                found[number, :, : start - first] = 0
                found[number, :, stop - first :] = 0
            found[number, :, start - first : stop - first][to] = source[:, start:stop][of]
        phase, group, line, row = found.strides[:4]
        seen = (len(source), blocks, self.seen * self.inputs, math.prod(shape[4:]))
        steps = (group, self.height * self.step * line, row, found.itemsize)
        return [np.ndarray(seen, input.dtype, memory, number * phase + at * steps[3], steps) for number, at in taps]


class Fold:
    """A signal of one dimension as an image: its columns are strips of the signal, and overlap by what the taps reach."""

    def __init__(self, images: int, kernel: int, g: Geometry) -> None:
        self.padding, (self.step,) = g.padding, g.stride
        self.span = g.dilation[0] * (kernel - 1) + 1
        strips = max(1, min(-(-COLUMNS // images), g.out[0] * self.step // self.span))
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
