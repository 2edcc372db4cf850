"""Convolution of arrays: forward, and the gradients of input and weight, each by the method that suits its geometry."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from mini_dl._dtypes import Array, Index, NumpyType, Shape
from mini_dl.kernels import bands as by_bands, lines as by_lines, planes as by_planes, strips as by_strips, winograd
from mini_dl.kernels.blocks import LINE, Scratch, in_single, in_slices, number_of_pieces, slices, split, spread, total_of
from mini_dl.kernels.copying import copy, turn
from mini_dl.kernels.geometry import Geometry as Geometry, fitted_window as fitted_window, inner, overlap
from mini_dl.kernels.parallel import get_num_threads, share
from mini_dl.kernels.products import matmul, product

Piece = tuple[slice, slice]
"""Images, and lines of the first spatial dimension."""
COLUMNS_IN_CACHE = 262144
"""Elements of the matrix of columns that is built and multiplied at a time: it stays in the second-level cache."""
FEW_ROWS = 64
"""Rows up to which BLAS is faster with them as the columns of the second factor."""
SMALL_WEIGHT = 16384
"""Elements of a weight up to which its gradient is computed image by image."""
ADDITION = 32
"""Multiplications in a product that take as long as adding the result elsewhere."""
LONG_WEIGHT = 8192
"""Elements of a weight for each position of an image from which one product for all images repays their copies."""


COLUMNS, IMAGE, PRODUCT = Scratch(), Scratch(), Scratch()


# ------------------------------------------------------------------------------------------------ kernels


@in_single
def conv(input: Array, weight: Array, bias: Array | None, g: Geometry) -> Array:
    n, o, kernel = len(input), len(weight), weight.shape[2:]
    if leaves_out(kernel, g):
        input, g = np.ascontiguousarray(input[seen_by_one(g)]), without_stride(g)
    out = np.empty((n, o, *g.out), input.dtype)
    if 0 in out.shape or weight[0].size == 0:
        out[...] = 0 if bias is None else bias.reshape(o, *[1] * len(kernel))
    elif is_pointwise(input, kernel, g):
        _multiply_images(by_group(weight, g), grouped(input, g), grouped(out, g))
        if bias is not None:
            spread(np.add, out, bias.reshape(o, *[1] * len(kernel)), out=out)
    elif math.prod(g.out) == 1:
        rows = matmul(_seen_at_once(input, kernel, g), by_group(weight, g).swapaxes(1, 2))  # (G, N, O/G)
        grouped(out, g)[..., 0] = rows.swapaxes(0, 1)
        if bias is not None:
            out += bias.reshape(o, *[1] * len(kernel))
    elif not _conv_in_other_ways(input, weight, bias, g, out):
        _conv_by_columns(input, weight, bias, g, out)
    return out


def _multiply_images(matrices: Array, images: Array, out: Array) -> None:
    """(G, M, K), (N, G, K, L) -> `out`, (N, G, M, L): in one product, if images are small and matrices large."""
    if len(images) == 1 or matrices.size < LONG_WEIGHT * images.shape[3]:
        matmul(matrices[None], images, out)
    else:
        together = np.ascontiguousarray(images.transpose(1, 2, 0, 3)).reshape(*images.shape[1:3], -1)
        out.transpose(1, 2, 0, 3)[...] = matmul(matrices, together).reshape(*matrices.shape[:2], len(images), -1)


def _add_bias(part: Array, bias: Array) -> None:
    """Add it to outputs of shape (n, G, O/G, L)."""
    part += bias.reshape(*part.shape[1:3], 1)


def _conv_in_other_ways(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> bool:
    """Whether `out` was written by a method that suits. What is infinite or NaN would spread further than it should."""
    try:
        if winograd.suits(len(input), weight.shape, input.dtype, g):
            winograd.conv(input, weight, bias, g, out)
        elif by_planes.suits(len(input), weight.shape, g):
            by_planes.conv(input, weight, bias, g, out)
        elif by_bands.suits(input.shape, weight.shape, g):
            by_bands.conv(input, weight, bias, g, out)
        elif by_strips.suits(len(input), weight.shape, g):
            by_strips.conv(input, weight, bias, g, out)
        elif by_lines.suits(len(input), weight.shape, g):
            by_lines.conv(input, weight, bias, g, out)
        else:
            return False
    except FloatingPointError:
        return False
    return True


def _conv_by_columns(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    o = len(weight)
    columns = columns_of(input.shape, weight.shape[2:], g, o)
    rows, target = columns.rows_of(weight), grouped(out, g)
    upright = np.ascontiguousarray(rows[0].T) if columns.last else None  # (C * K, O)

    def multiply(piece: Piece) -> None:
        images, lines = piece
        matrix = columns.of(input, piece)
        at = target[images, :, :, positions(lines, g)]  # (n, G, O/G, L)
        if upright is not None:  # the rows of the transposed matrix are contiguous
            found = PRODUCT.of((matrix.shape[2], o + LINE // input.itemsize), input.dtype)[:, :o]
            at[:, 0] = np.matmul(matrix[0].T, upright, found).reshape(len(at), at.shape[-1], o).swapaxes(1, 2)
        elif at.shape[-1] < FEW_ROWS or columns.inner:
            sides = columns.sides(at)
            sides[...] = columns.multiply(rows, matrix).reshape(sides.shape)
        else:
            stacked = matrix.reshape(*matrix.shape[:2], len(at), at.shape[-1]).transpose(2, 0, 1, 3)
            (matmul if len(columns.pieces) == 1 else product)(rows[None], stacked, at)
        if bias is not None:
            _add_bias(at, bias)

    share(multiply, columns.pieces, columns.size)


@in_single
def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    kernel, c = weight.shape[2:], weight.shape[1]
    if 0 in output.shape or 0 in weight.shape or 0 in shape:
        return np.zeros(shape, output.dtype)
    if leaves_out(kernel, g):
        found = np.zeros(shape, output.dtype)
        found[seen_by_one(g)] = conv_input(output, weight, (*shape[:2], *g.out), without_stride(g))
        return found
    if is_pointwise(output, kernel, g) and shape[2:] == g.out:
        found = np.empty(shape, output.dtype)
        _multiply_images(by_group(weight, g).swapaxes(1, 2), grouped(output, g), grouped(found, g))
        return found
    if math.prod(g.out) == 1:
        return _sent_by_one(output, weight, shape, g)
    o = len(weight) // g.groups
    with contextlib.suppress(FloatingPointError):
        if winograd.suits(len(output), weight.shape, output.dtype, g, back=True):
            return winograd.conv_input(output, weight, shape, g)
        if by_planes.suits_input(shape, weight.shape, g):
            return by_planes.conv_input(output, weight, shape, g)
        if by_bands.suits(shape, weight.shape, g):
            return by_bands.conv_input(output, weight, shape, g)
        if fills(shape, g, o) and by_strips.suits_input(shape, weight.shape, g):
            return by_strips.conv_input(output, weight, shape, g)
        if fills(shape, g, o) and by_lines.suits(len(output), weight.shape, g):
            return by_lines.conv_input(output, weight, shape, g)
    if are_apart(shape, kernel, g):
        return _sent_apart(output, weight, shape, g)
    many = are_many(len(output), g, len(weight))
    full = many and max(g.stride) == 1 and fills(shape, g, o)
    if full and 2 * c >= o:  # the flipped kernel, over the padded output
        ends = [d * (k - 1) for d, k in zip(g.dilation, kernel)]
        mirrored = weight.reshape(g.groups, o, c, *kernel)[inner([slice(None, None, -1)] * len(kernel))].swapaxes(1, 2)
        back = Geometry(g.stride, tuple([e - p for e, p in zip(ends, g.padding)]), g.dilation, g.groups, shape[2:])
        return conv(output, np.ascontiguousarray(mirrored).reshape(g.groups * c, o, *kernel), None, back)
    needed = tuple([n + d * (k - 1) for n, d, k in zip(g.out, g.dilation, kernel)])
    if full and all([p >= 0 and p + i <= n for p, i, n in zip(g.padding, shape[2:], needed)]):
        return _spread_back(output, weight, shape, needed, g)
    columns = columns_of(shape, kernel, g, len(weight) // 4, back=True)  # here the weight is transposed, but not flipped
    rows = columns.rows_of(weight).swapaxes(1, 2)  # (G, C/G * K, O/G)
    source, found = grouped(output, g), np.empty(shape, output.dtype)

    def add_back(pieces: list[Piece]) -> None:
        images = pieces[0][0]
        space = columns.space(len(source[images]), output.dtype)
        for images, lines in pieces:
            columns.add(space, lines, source[images, :, :, positions(lines, g)], rows)
        found[images] = columns.unpadded(space)

    share(add_back, columns.by_images, columns.size)
    return found


def _seen_at_once(input: Array, kernel: Shape, g: Geometry) -> Array:
    """(N, C, *in) -> (G, N, C/G * K): what the taps see from one output position"""
    needed = tuple([d * (k - 1) + 1 for k, d in zip(kernel, g.dilation)])
    seen = fitted_window(input, g.padding, needed)[inner([slice(None, None, d) for d in g.dilation])]
    return seen.reshape(len(input), g.groups, -1).swapaxes(0, 1)


def _sent_by_one(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """`conv_input` of one output position: each tap sees another position, or padding."""
    kernels = by_group(weight, g)  # (G, O/G, C/G * K)
    sent = matmul(output.reshape(len(output), g.groups, -1).swapaxes(0, 1), kernels)
    taps = sent.swapaxes(0, 1).reshape(*shape[:2], *weight.shape[2:])
    first = [max(0, -(-p // d)) for p, d in zip(g.padding, g.dilation)]
    count = [min(k, (i - 1 + p) // d + 1) - f for k, i, p, d, f in zip(weight.shape[2:], shape[2:], g.padding, g.dilation, first)]
    if taps.shape == shape and not any(g.padding):
        return np.ascontiguousarray(taps)
    found = np.zeros(shape, output.dtype)
    if min(count) > 0:
        starts = [f * d - p for f, d, p in zip(first, g.dilation, g.padding)]
        at = [slice(start, start + d * (n - 1) + 1, d) for start, d, n in zip(starts, g.dilation, count)]
        found[inner(at)] = taps[inner([slice(f, f + n) for f, n in zip(first, count)])]
    return found


def _sent_apart(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """`conv_input` where output positions `are_apart`: nothing is added up."""
    kernel, c = weight.shape[2:], shape[1]
    rows, source = by_group(weight, g).swapaxes(1, 2), grouped(output, g)
    found = (np.empty if shape[2:] == tuple([o * k for o, k in zip(g.out, kernel)]) else np.zeros)(shape, output.dtype)
    size = len(output) * c * math.prod(kernel) * math.prod(g.out)

    def send(piece: Piece) -> None:
        images, lines = piece
        part, inside = found[images], (lines.stop - lines.start, *g.out[1:])
        sent = PRODUCT.of((len(part), g.groups, rows.shape[1], math.prod(inside)), output.dtype)
        np.matmul(rows, source[images, :, :, positions(lines, g)], sent)
        taps = sent.reshape(len(part), c, -1, *inside)
        for number, tap in enumerate(np.ndindex(*kernel)):
            starts = [t * d for t, d in zip(tap, g.dilation)]
            starts[0] += lines.start * g.stride[0]
            at = [slice(first, first + (n - 1) * s + 1, s) for first, n, s in zip(starts, inside, g.stride)]
            part[inner(at)] = taps[:, :, number]

    count = number_of_pieces(size, size, COLUMNS_IN_CACHE, 4 * COLUMNS_IN_CACHE)
    share(send, list(itertools.product(split(len(output), count), split(g.out[0], count // len(output)))), size)
    return found


def _spread_back(output: Array, weight: Array, shape: Shape, needed: Shape, g: Geometry) -> Array:
    """`_conv_input` at stride 1: with the output in planes of the size `needed`, the padded input's, each tap adds one run of
    memory."""
    kernel, o = weight.shape[2:], len(weight)
    steps, area = [math.prod(needed[i + 1 :]) for i in range(len(needed))], math.prod(needed)
    offsets = [sum([t * d * s for t, d, s in zip(tap, g.dilation, steps)]) for tap in np.ndindex(*kernel)]
    rows = by_group(weight, g).swapaxes(1, 2)  # (G, C/G * K, O/G)
    seen, valid = inner([slice(0, n) for n in g.out]), inner([slice(p, p + n) for p, n in zip(g.padding, shape[2:])])
    found = np.empty(shape, output.dtype)

    def add_back(images: slice) -> None:
        part = output[images]
        planes = np.zeros((o, len(part), *needed), output.dtype)
        planes[seen] = part.swapaxes(0, 1)
        taps = np.matmul(rows, planes.reshape(g.groups, o // g.groups, -1)).reshape(shape[1], len(offsets), -1)
        total = np.zeros((shape[1], len(part) * area), output.dtype)
        for k, offset in enumerate(offsets):
            run = total[:, offset:]
            run += taps[:, k, : run.shape[1]]
        found[images] = total.reshape(shape[1], len(part), *needed)[valid].swapaxes(0, 1)

    in_slices(add_back, len(output), shape[1] * len(offsets) * area)
    return found


@in_single
def conv_weight(input: Array, output: Array, shape: Shape, g: Geometry) -> Array:
    kernel = shape[2:]
    if 0 in input.shape or 0 in output.shape or 0 in shape:
        return np.zeros(shape, input.dtype)
    if math.prod(g.out) == 1:
        given = output.reshape(len(output), g.groups, -1).transpose(1, 2, 0)
        return matmul(given, _seen_at_once(input, kernel, g)).reshape(shape)
    if leaves_out(kernel, g):
        input, g = np.ascontiguousarray(input[seen_by_one(g)]), without_stride(g)
    if is_pointwise(input, kernel, g) and shape[0] * shape[1] <= 64 * math.prod(g.out):  # otherwise summing products takes longer
        left, right = grouped(output, g), grouped(input, g).swapaxes(2, 3)
        images = slices(len(input), max(input[0].size, output[0].size))
        found = total_of(lambda piece: np.matmul(left[piece], right[piece]).sum(0), images, max(input.size, output.size))
        return found.reshape(shape)
    with contextlib.suppress(FloatingPointError):
        if winograd.suits(len(input), shape, input.dtype, g):
            return winograd.conv_weight(input, output, shape, g)
        if by_bands.suits(input.shape, shape, g):
            return by_bands.conv_weight(input, output, shape, g)
        if by_strips.suits_weight(len(input), shape, g):
            return by_strips.conv_weight(input, output, shape, g)
        if by_lines.suits(len(input), shape, g, summed=True):
            return by_lines.conv_weight(input, output, shape, g)
    columns = columns_of(input.shape, kernel, g, shape[0])
    source = grouped(output, g)

    def term(piece: Piece) -> Array:
        images, lines = piece
        matrix = columns.of(input, piece)
        at = source[images, :, :, positions(lines, g)]  # (n, G, O/G, L)
        few = at.shape[2] <= FEW_ROWS
        small = at.shape[3] >= 128 and shape[0] * columns.height <= SMALL_WEIGHT
        if small and not columns.inner:  # one long product with so few rows takes longer
            seen = matrix.reshape(*matrix.shape[:2], len(at), at.shape[3]).transpose(2, 0, 1, 3)
            found = np.matmul(seen, at.swapaxes(2, 3)).swapaxes(2, 3) if few else np.matmul(at, seen.swapaxes(2, 3))
            return found.sum(0)
        at = columns.sides(at).reshape(*at.shape[1:3], matrix.shape[2])
        left, right = (matrix, at) if few else (at, matrix)
        found = columns.multiply(left, right.swapaxes(1, 2))
        return found.swapaxes(1, 2) if few else found

    return columns.weight_of(total_of(term, columns.pieces, columns.size), shape)


def is_pointwise(array: Array, kernel: Shape, g: Geometry) -> bool:
    """Whether one matrix product is enough: each output position sees only the input position at the same index."""
    return max(kernel) == 1 == max(g.stride) and not any(g.padding) and array.shape[2:] == g.out


def leaves_out(kernel: Shape, g: Geometry) -> bool:
    """Whether a kernel of one tap has a stride: what it does not see is better left out first."""
    return max(kernel) == 1 < max(g.stride) and not any(g.padding)


def seen_by_one(g: Geometry) -> Index:
    """The positions of the input that a kernel of one tap sees."""
    return inner([slice(0, (n - 1) * s + 1, s) for n, s in zip(g.out, g.stride)])


def without_stride(g: Geometry) -> Geometry:
    return g._replace(stride=(1,) * len(g.stride))


def by_group(weight: Array, g: Geometry) -> Array:
    """(O, C/G, *kernel) -> (G, O/G, C/G * K)"""
    return weight.reshape(g.groups, len(weight) // g.groups, math.prod(weight.shape[1:]))


def grouped(array: Array, g: Geometry) -> Array:
    """(N, C, *) -> (N, G, C/G, L)"""
    return array.reshape(len(array), g.groups, array.shape[1] // g.groups, math.prod(array.shape[2:]))


def positions(lines: slice, g: Geometry) -> slice:
    """`lines` of the output's first spatial dimension, as positions in the flattened ones."""
    each = math.prod(g.out[1:])
    return slice(lines.start * each, lines.stop * each)


def are_apart(shape: Shape, kernel: Shape, g: Geometry) -> bool:
    """Whether no two output positions see the same, nor one of them padding, and what a tap sends is a long run."""
    spans = [d * (k - 1) for k, d in zip(kernel, g.dilation)]
    inside = all([(o - 1) * s + span < i for o, s, span, i in zip(g.out, g.stride, spans, shape[2:])])
    apart = all([span < s for span, s in zip(spans, g.stride)])
    return apart and inside and not any(g.padding) and kernel[-1] <= g.out[-1]


def are_many(images: int, g: Geometry, outputs: int) -> bool:
    """Whether there are so many positions that the elements of the weight may be moved: it takes as long as some products."""
    return images * math.prod(g.out) >= 4 * outputs


def fills(shape: Shape, g: Geometry, outputs: int) -> bool:
    """Whether so many positions of the input meet all taps that each may be computed from all of them, rather than added up from
    what each output position sends: an addition takes as long as some products."""
    return math.prod(shape[2:]) * outputs <= math.prod(g.out) * math.prod(g.stride) * (outputs + ADDITION)


def columns_of(shape: Shape, kernel: Shape, g: Geometry, outputs: int, back: bool = False) -> Columns:
    return _columns_of(shape, kernel, g, outputs, back, get_num_threads())


@functools.lru_cache(1024)
def _columns_of(shape: Shape, kernel: Shape, g: Geometry, outputs: int, back: bool, threads: int) -> Columns:
    return Columns(shape, kernel, g, outputs, back)


class Columns:
    """The matrix of the elements under the taps of the kernel: a row per channel and tap, a column per image and output position.

    It is built in pieces, unless the weight is larger than they would be: then threads share its rows. Rows are ordered
    (C, *kernel), as the weight lies, and columns (N, *out); or, where that makes longer runs of memory, columns are ordered
    (*out, N) (`inner`); or, where the weight may be moved, rows (*kernel, C), from images with the channels last (`last`).
    On the way `back`, without a stride, the runs that a tap is added to decide.
    """

    def __init__(self, shape: Shape, kernel: Shape, g: Geometry, outputs: int, back: bool) -> None:
        self.shape, self.kernel, self.g = shape, kernel, g
        self.needed = tuple([(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(g.out, g.stride, g.dilation, kernel)])
        self.height = shape[1] * math.prod(kernel)
        self.size = shape[0] * self.height * math.prod(g.out)
        many, width = are_many(shape[0], g, outputs), g.out[-1]
        aside = shape[0] * (width if g.stride[-1] == 1 else 1)  # the run of memory with the images last
        short = back and max(g.stride) == 1 and aside >= max(width + 1, shape[1])  # `_add_runs` would add to runs of C
        whole = (short or not many) and self.size <= 8 * COLUMNS_IN_CACHE
        run = shape[1] * (kernel[-1] if g.dilation[-1] == 1 else 1)
        channels = shape[1] * g.stride[-1] if back else shape[1]  # with one, both orders are the same, but for runs of taps
        self.last = many and not whole and g.groups == 1 < channels and run >= 3 * width
        longest = (2 if self.last else 4) * COLUMNS_IN_CACHE  # otherwise calls are shorter
        number = 1 if whole else number_of_pieces(self.size, self.size, COLUMNS_IN_CACHE, longest)
        self.pieces = list(itertools.product(split(shape[0], number), split(g.out[0], number // max(1, shape[0]))))
        self.multiply = matmul if len(self.pieces) == 1 else np.matmul  # if the threads have no pieces, they share the products
        self.by_images = [list(pieces) for _, pieces in itertools.groupby(self.pieces, lambda piece: piece[0].start)]
        self.inner = whole and aside > width
        space = range(2, len(shape))
        self.axes = (0, *space, 1) if self.last else (1, *space, 0) if self.inner else (0, 1, *space)
        self.back = [self.axes.index(axis) for axis in range(len(shape))]

    def sides(self, output: Array) -> Array:
        """(n, G, O/G, L) -> (G, O/G, n, L) or (G, O/G, L, n): the order of the columns"""
        return output.transpose(1, 2, 3, 0) if self.inner else output.transpose(1, 2, 0, 3)

    def of(self, input: Array, piece: Piece) -> Array:
        """The matrix of a piece, (G, C/G * K, n * L): valid until the thread asks for the next."""
        g, c, k = self.g, self.shape[1], self.kernel
        images, lines = piece
        image = self._seen(input, images, lines)
        steps = dict(zip(self.axes, image.strides))
        taps = tuple([steps[2 + i] * d for i, d in enumerate(g.dilation)])
        moves = tuple([steps[2 + i] * s for i, s in enumerate(g.stride)])
        n, out = images.stop - images.start, (lines.stop - lines.start, *g.out[1:])
        if self.last:
            shape, strides = (n, *out, *k, c), (steps[0], *moves, *taps, steps[1])
        elif self.inner:
            shape, strides = (c, *k, *out, n), (steps[1], *taps, *moves, steps[0])
        else:
            shape, strides = (c, *k, n, *out), (steps[1], *taps, steps[0], *moves)
        filled = COLUMNS.of(shape, image.dtype)
        put = copy if len(self.pieces) == 1 else np.copyto
        put(filled, np.ndarray(shape, image.dtype, image, 0, strides))
        if self.last:
            return filled.reshape(1, -1, self.height).swapaxes(1, 2)
        return filled.reshape(g.groups, self.height // g.groups, -1)

    def _seen(self, input: Array, images: slice, lines: slice) -> Array:
        """What the outputs of a piece see, contiguous in the order of `axes`."""
        step, first = self.g.stride[0], lines.start * self.g.stride[0]
        padding = (self.g.padding[0] - first, *self.g.padding[1:])
        needed = (self.needed[0] - step * (self.g.out[0] - (lines.stop - lines.start)), *self.needed[1:])
        target, source = overlap(padding, needed, self.shape[2:])
        seen = input[images][inner(source)]
        whole = seen.shape[2:] == needed
        if whole and not self.last and not self.inner and seen.flags.c_contiguous:
            return seen
        out = IMAGE.of(tuple([(len(seen), self.shape[1], *needed)[axis] for axis in self.axes]), input.dtype)
        if not whole:
            out[...] = 0
        to = out.transpose(self.back)[inner(target)]
        axis = 1 if self.last else 0  # the last one in `out`, unless images are copied as they lie
        turn(np.moveaxis(to, axis, -1), np.moveaxis(seen, axis, -1)) if self.last or self.inner else np.copyto(to, seen)
        return out

    def rows_of(self, weight: Array) -> Array:
        """(O, C/G, *kernel) -> (G, O/G, C/G * K), the columns ordered as the rows of the matrices."""
        return by_group(np.moveaxis(weight, 1, -1) if self.last else weight, self.g)

    def weight_of(self, rows: Array, shape: Shape) -> Array:
        """The inverse of `rows_of`."""
        if not self.last:
            return rows.reshape(shape)
        return np.ascontiguousarray(np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1))

    # The transpose: adding columns back to where they were read from -------------------------------------------------------

    def space(self, images: int, dtype: NumpyType) -> Array:
        """Zeros in the shape of padded images, in which `add` writes: valid until the thread asks for the next."""
        full = [max(m, p + i) for m, p, i in zip(self.needed, self.g.padding, self.shape[2:])]
        if self.last:
            full[-1] += self.g.stride[-1]  # up to the end of the last run
        found = IMAGE.of(tuple([(images, self.shape[1], *full)[axis] for axis in self.axes]), dtype)
        found[...] = 0
        return found

    def add(self, found: Array, lines: slice, output: Array, rows: Array) -> None:
        """Add ``rows @ output`` to `found`; output is (n, G, O/G, L), rows (G, C/G * K, O/G)."""
        n, out = len(output), (lines.stop - lines.start, *self.g.out[1:])
        flat = self.sides(output).reshape(*output.shape[1:3], -1)  # (G, O/G, n * L)
        if self.last:
            columns = self.multiply(flat.swapaxes(1, 2), rows.swapaxes(1, 2)).reshape(n, *out, *self.kernel, self.shape[1])
            self._add_runs(found, lines.start, columns)
            return
        order = (*out, n) if self.inner else (n, *out)
        columns = self.multiply(rows, flat).reshape(self.shape[1], *self.kernel, *order)
        at_once = [axis for axis, count in enumerate(self.g.out) if count == 1]  # all taps, as they see different positions
        for axis in at_once:
            columns = columns.swapaxes(1 + axis, axis - len(out) - self.inner)
        taps = np.moveaxis(columns, 0, len(out))
        for tap in np.ndindex(*taps.shape[: len(out)]):
            at = self._seen_by(tap, lines.start, out)
            for axis in at_once:
                at[axis] = slice(0, self.needed[axis], self.g.dilation[axis])
            seen = found[inner([*at, slice(None)])] if self.inner else found[inner(at)].swapaxes(0, 1)
            seen += taps[tap]

    def _add_runs(self, found: Array, start: int, columns: Array) -> None:
        """With the channels last, neighboring taps of a stride add to one run of memory: (n, *out, *kernel, C)"""
        n, *out = columns.shape[: -len(self.kernel) - 1]
        c, k, s = self.shape[1], self.kernel[-1], self.g.stride[-1]
        width = s if self.g.dilation[-1] == 1 else 1
        for tap in itertools.product(*[range(k) for k in self.kernel[:-1]], range(0, k, width)):
            *lines, last = self._seen_by(tap, start, out)
            taps = slice(tap[-1], min(k, tap[-1] + width))
            part = columns[inner([*tap[:-1], taps, slice(None)])].reshape(n, *out, -1)
            runs = found[inner([*lines, slice(last.start, last.start + s * out[-1]), slice(None)])].reshape(n, *out, s * c)
            runs[..., : part.shape[-1]] += part

    def _seen_by(self, tap: Sequence[int], start: int, out: Sequence[int]) -> list[slice]:
        """The positions that a tap sees from `out` positions of the output, `start` the first of its lines."""
        first = [t * d for t, d in zip(tap, self.g.dilation)]
        first[0] += start * self.g.stride[0]
        return [slice(f, f + s * (o - 1) + 1, s) for f, s, o in zip(first, self.g.stride, out)]

    def unpadded(self, found: Array) -> Array:
        """The images without their padding: (n, C, *in)"""
        at = [slice(p, p + i) for p, i in zip(self.g.padding, self.shape[2:])]
        return found.transpose(self.back)[inner(at)]
