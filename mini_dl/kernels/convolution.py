"""Convolution of arrays: forward, and the gradients of input and weight, each by the method that suits its geometry."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, Index, NumpyType, Shape
from mini_dl.kernels import winograd
from mini_dl.kernels.blocks import Scratch, copy, in_single, in_slices, slices, total_of
from mini_dl.kernels.depthwise import Depthwise, Geometry as Geometry
from mini_dl.kernels.parallel import share
from mini_dl.kernels.products import matmul

Piece = tuple[slice, slice]
"""Images, and lines of the first spatial dimension."""
COLUMNS_IN_CACHE = 262144
"""Elements of the matrix of columns that is built and multiplied at a time: it stays in the second-level cache."""
FEW_ROWS = 64
"""Rows up to which BLAS is faster with them as the columns of the second factor."""
SMALL_WEIGHT = 16384
"""Elements of a weight up to which its gradient is computed image by image."""


COLUMNS = Scratch()


# ------------------------------------------------------------------------------------------------ primitives


# ------------------------------------------------------------------------------------------------ kernels


@in_single
def conv(input: Array, weight: Array, bias: Array | None, g: Geometry) -> Array:
    n, o, kernel = len(input), len(weight), weight.shape[2:]
    out = np.empty((n, o, *g.out), input.dtype)
    if 0 in out.shape or weight[0].size == 0:
        out[...] = 0
    elif is_pointwise(input, kernel, g):
        matmul(by_group(weight, g)[None], grouped(input, g), grouped(out, g))
    elif is_depthwise(weight.shape, g):
        taps = weight.reshape(g.groups, -1, math.prod(kernel))
        Depthwise(input.shape, kernel, g).conv(input, taps, out.reshape(n, g.groups, -1, *g.out))
    elif winograd.suits(n, weight.shape, input.dtype, g):
        winograd.conv(input, weight, g, out)
    else:
        columns = columns_of(input.shape, kernel, g, o)
        rows, target, image = columns.rows_of(weight), grouped(out, g), columns.image(input)
        upright = np.ascontiguousarray(rows[0].T) if columns.last else None  # (C * K, O)

        def multiply(piece: Piece) -> None:
            images, lines = piece
            matrix = columns.of(image, piece)
            at = target[images, :, :, columns.positions(lines)]  # (n, G, O/G, L)
            if upright is not None:  # the rows of the transposed matrix are contiguous
                at[:, 0] = np.matmul(matrix[0].T, upright).reshape(len(at), at.shape[-1], o).swapaxes(1, 2)
            elif at.shape[-1] < FEW_ROWS:
                at[...] = columns.multiply(rows, matrix).reshape(*at.shape[1:3], len(at), -1).transpose(2, 0, 1, 3)
            else:
                stacked = matrix.reshape(*matrix.shape[:2], len(at), at.shape[-1]).transpose(2, 0, 1, 3)
                np.matmul(rows[None], stacked, out=at)

        share(multiply, columns.pieces, columns.size)
    if bias is not None:
        out += bias.reshape(o, *[1] * len(kernel))
    return out


@in_single
def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    kernel, c = weight.shape[2:], weight.shape[1]
    if 0 in output.shape or 0 in weight.shape or 0 in shape:
        return np.zeros(shape, output.dtype)
    if is_pointwise(output, kernel, g) and shape[2:] == g.out:
        return matmul(by_group(weight, g).swapaxes(1, 2)[None], grouped(output, g)).reshape(shape)
    o = len(weight) // g.groups
    if is_depthwise(weight.shape, g):
        taps = weight.reshape(g.groups, o, math.prod(kernel))
        return Depthwise(shape, kernel, g).conv_input(output.reshape(len(output), g.groups, o, *g.out), taps)
    if winograd.suits(len(output), weight.shape, output.dtype, g):
        return winograd.conv_input(output, weight, shape, g)
    many = are_many(len(output), g, len(weight))
    if max(g.stride) == 1 and 2 * c >= o and many:  # the flipped kernel, over the padded output
        ends = [d * (k - 1) for d, k in zip(g.dilation, kernel)]
        mirrored = weight.reshape(g.groups, o, c, *kernel)[inner([slice(None, None, -1)] * len(kernel))].swapaxes(1, 2)
        back = Geometry(g.stride, tuple([e - p for e, p in zip(ends, g.padding)]), g.dilation, g.groups, shape[2:])
        return conv(output, np.ascontiguousarray(mirrored).reshape(g.groups * c, o, *kernel), None, back)
    needed = tuple([n + d * (k - 1) for n, d, k in zip(g.out, g.dilation, kernel)])
    if many and max(g.stride) == 1 and all([p >= 0 and p + i <= n for p, i, n in zip(g.padding, shape[2:], needed)]):
        return _spread_back(output, weight, shape, needed, g)
    columns = columns_of(shape, kernel, g, len(weight) // 4)  # here the weight is transposed, but not flipped
    rows = columns.rows_of(weight).swapaxes(1, 2)  # (G, C/G * K, O/G)
    source = grouped(output, g)
    found = columns.space(output.dtype)

    def add_back(pieces: list[Piece]) -> None:
        for images, lines in pieces:
            at = source[images, :, :, columns.positions(lines)]
            columns.add(found[images], lines, at, rows)

    share(add_back, columns.by_images, columns.size)
    return columns.unpadded(found)


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
    if is_depthwise(shape, g):
        given = output.reshape(len(output), g.groups, -1, *g.out)
        return Depthwise(input.shape, kernel, g).conv_weight(input, given).reshape(shape)
    if winograd.suits(len(input), shape, input.dtype, g):
        return winograd.conv_weight(input, output, shape, g)
    if is_pointwise(input, kernel, g) and shape[0] * shape[1] <= 64 * math.prod(g.out):  # otherwise summing products takes longer
        left, right = grouped(output, g), grouped(input, g).swapaxes(2, 3)
        images = slices(len(input), max(input[0].size, output[0].size))
        found = total_of(lambda piece: np.matmul(left[piece], right[piece]).sum(0), images, max(input.size, output.size))
        return found.reshape(shape)
    columns = columns_of(input.shape, kernel, g, shape[0])
    source, image = grouped(output, g), columns.image(input)

    def product(piece: Piece) -> Array:
        images, lines = piece
        matrix = columns.of(image, piece)
        at = source[images, :, :, columns.positions(lines)]  # (n, G, O/G, L)
        few = at.shape[2] <= FEW_ROWS
        if at.shape[3] >= 128 and shape[0] * columns.height <= SMALL_WEIGHT:  # one long product with so few rows takes longer
            seen = matrix.reshape(*matrix.shape[:2], len(at), at.shape[3]).transpose(2, 0, 1, 3)
            found = np.matmul(seen, at.swapaxes(2, 3)).swapaxes(2, 3) if few else np.matmul(at, seen.swapaxes(2, 3))
            return found.sum(0)
        at = at.transpose(1, 2, 0, 3)
        at = at.reshape(*at.shape[:2], matrix.shape[2])
        left, right = (matrix, at) if few else (at, matrix)
        found = columns.multiply(left, right.swapaxes(1, 2))
        return found.swapaxes(1, 2) if few else found

    return columns.weight_of(total_of(product, columns.pieces, columns.size), shape)


def is_pointwise(array: Array, kernel: Shape, g: Geometry) -> bool:
    """Whether one matrix product is enough: each output position sees only the input position at the same index."""
    return max(kernel) == 1 == max(g.stride) and not any(g.padding) and array.shape[2:] == g.out


def is_depthwise(weight: Shape, g: Geometry) -> bool:
    """Whether each output channel sees exactly one of several input channels."""
    return weight[1] == 1 < g.groups


def by_group(weight: Array, g: Geometry) -> Array:
    """(O, C/G, *kernel) -> (G, O/G, C/G * K)"""
    return weight.reshape(g.groups, len(weight) // g.groups, math.prod(weight.shape[1:]))


def grouped(array: Array, g: Geometry) -> Array:
    """(N, C, *) -> (N, G, C/G, L)"""
    return array.reshape(len(array), g.groups, array.shape[1] // g.groups, math.prod(array.shape[2:]))


def are_many(images: int, g: Geometry, outputs: int) -> bool:
    """Whether there are so many positions that the elements of the weight may be moved: it takes as long as some products."""
    return images * math.prod(g.out) >= 4 * outputs


@functools.lru_cache(1024)
def columns_of(shape: Shape, kernel: Shape, g: Geometry, outputs: int) -> Columns:
    return Columns(shape, kernel, g, outputs)


class Columns:
    """The matrix of the elements under the taps of the kernel: a row per channel and tap, a column per image and output position.

    It is built in pieces. Two layouts: rows ordered (C, *kernel), copied from the image directly; or, if the rows of the image
    are shorter than the number of channels, (*kernel, C), copied from the image with the channels last: longer runs of memory.
    """

    def __init__(self, shape: Shape, kernel: Shape, g: Geometry, outputs: int) -> None:
        self.shape, self.kernel, self.g = shape, kernel, g
        self.needed = tuple([(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(g.out, g.stride, g.dilation, kernel)])
        run = shape[1] * (kernel[-1] if g.dilation[-1] == 1 else 1)
        self.last = g.groups == 1 < shape[1] and run >= 3 * g.out[-1] and are_many(shape[0], g, outputs)
        self.height = shape[1] * math.prod(kernel)
        self.size = shape[0] * self.height * math.prod(g.out)
        self.pieces = list(self._pieces())
        self.multiply = matmul if len(self.pieces) == 1 else np.matmul  # if the threads have no pieces, they share the products
        self.by_images = [list(pieces) for _, pieces in itertools.groupby(self.pieces, lambda piece: piece[0].start)]
        target, source = overlap(g.padding, self.needed, shape[2:])
        self.fits = self.needed == shape[2:] and not any(g.padding)
        self.to, self.of_input = [(*at, slice(None)) if self.last else at for at in (inner(target), inner(source))]

    def _pieces(self) -> Iterator[Piece]:
        """Ranges of images and of the first spatial dimension whose columns fit the cache."""
        n, lines = self.shape[0], self.g.out[0]
        line = self.height * math.prod(self.g.out[1:])
        if line * lines <= COLUMNS_IN_CACHE:
            step = COLUMNS_IN_CACHE // (line * lines)
            for i in range(0, n, step):
                yield slice(i, min(i + step, n)), slice(0, lines)
        else:
            step = max(1, COLUMNS_IN_CACHE // line)
            for i in range(n):
                for j in range(0, lines, step):
                    yield slice(i, i + 1), slice(j, min(j + step, lines))

    def positions(self, lines: slice) -> slice:
        """`lines` of the first spatial dimension, as positions in the flattened ones."""
        inner = math.prod(self.g.out[1:])
        return slice(lines.start * inner, lines.stop * inner)

    def of(self, image: Array, piece: Piece) -> Array:
        """The matrix of a piece, (G, C/G * K, n * L), from the result of `image`: valid until the thread's next request."""
        g, c = self.g, self.shape[1]
        images, lines = piece
        if self.last:
            first, channel, steps = image.strides[0], image.strides[-1:], image.strides[1:-1]
        else:
            first, channel, steps = image.strides[0], image.strides[1:2], image.strides[2:]
        taps = tuple([b * d for b, d in zip(steps, g.dilation)])
        moves = tuple([b * s for b, s in zip(steps, g.stride)])
        strides = (first, *moves, *taps, *channel) if self.last else (*channel, *taps, first, *moves)
        n, out = images.stop - images.start, (lines.stop - lines.start, *g.out[1:])
        area = math.prod(out)
        shape = (n, *out, *self.kernel, c) if self.last else (c, *self.kernel, n, *out)
        seen: Array = np.ndarray(shape, image.dtype, image, images.start * first + lines.start * moves[0], strides)
        filled = COLUMNS.of(shape, image.dtype)
        np.copyto(filled, seen)
        if self.last:
            return filled.reshape(1, n * area, self.height).swapaxes(1, 2)
        return filled.reshape(g.groups, self.height // g.groups, n * area)

    def image(self, input: Array) -> Array:
        """The input with its padding, contiguous in the order of the layout."""
        if self.last:
            input = np.moveaxis(input, 1, -1)
        if self.fits:
            return np.ascontiguousarray(input)
        n, c = self.shape[:2]
        out = np.zeros((n, *self.needed, c) if self.last else (n, c, *self.needed), input.dtype)
        copy(out[self.to], input[self.of_input])
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

    def space(self, dtype: NumpyType) -> Array:
        """Zeros in the shape of the padded image, in which `add` writes."""
        n, c = self.shape[:2]
        full = [max(m, p + i) for m, p, i in zip(self.needed, self.g.padding, self.shape[2:])]
        if not self.last:
            return np.zeros((n, c, *full), dtype)
        full[-1] += self.g.stride[-1]  # up to the end of the last run
        return np.zeros((n, *full, c), dtype)

    def add(self, found: Array, lines: slice, output: Array, rows: Array) -> None:
        """Add ``rows @ output`` to `found`; output is (n, G, O/G, L), rows (G, C/G * K, O/G)."""
        g = self.g
        n, out = len(found), (lines.stop - lines.start, *g.out[1:])
        flat = output.transpose(1, 2, 0, 3).reshape(*output.shape[1:3], n * output.shape[3])  # (G, O/G, n * L)
        if self.last:
            columns = self.multiply(flat.swapaxes(1, 2), rows.swapaxes(1, 2)).reshape(n, *out, *self.kernel, self.shape[1])
            self._add_runs(found, lines.start, columns)
            return
        columns = self.multiply(rows, flat).reshape(self.shape[1], math.prod(self.kernel), n, *out)
        for tap_number, tap in enumerate(np.ndindex(*self.kernel)):
            found[inner(self._seen_by(tap, lines.start, out))] += columns[:, tap_number].swapaxes(0, 1)

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
        """The image without its padding."""
        at = [slice(p, p + i) for p, i in zip(self.g.padding, self.shape[2:])]
        seen = np.moveaxis(found[inner([*at, slice(None)])], -1, 1) if self.last else found[inner(at)]
        out = np.empty(self.shape, found.dtype)
        copy(out, seen)
        return out


def fitted_window(input: Array, padding: Shape, needed: Shape) -> Array:
    """(N, C, *in) -> (N, C, *needed): `input` from position -padding on, with zeros outside of it."""
    space = input.shape[2:]
    if all([p <= 0 and n - p <= i for p, n, i in zip(padding, needed, space)]):
        return input[inner([slice(-p, n - p) for p, n in zip(padding, needed)])]
    out = np.zeros((*input.shape[:2], *needed), input.dtype)
    target, source = overlap(padding, needed, space)
    out[inner(target)] = input[inner(source)]
    return out


def overlap(padding: Shape, needed: Shape, space: Shape) -> tuple[list[slice], list[slice]]:
    """Where an image of shape `space`, and which part of it, lies in a window of shape `needed` that starts at -padding."""
    target = [slice(max(p, 0), max(min(n, p + i), 0)) for p, n, i in zip(padding, needed, space)]
    source = [slice(max(-p, 0), max(min(i, n - p), 0)) for p, n, i in zip(padding, needed, space)]
    return target, source


def inner(index: Any) -> Index:
    """The index that applies `index` to the last dimensions."""
    return (Ellipsis, *index)
