"""Convolution with small kernels by Winograd's F(4 x 4, r x r) (Lavin and Gray, 2016): 36 products instead of 144 with 3 x 3
taps, 25 instead of 64 with 2 x 2.

Each tile of 4 x 4 outputs sees (4 + r - 1) ** 2 inputs. Inputs, kernel and outputs are transformed by small matrices; in between,
each plane of transformed numbers is one matrix product over the channels. The transforms are products too, of rows of what all
tiles have in one place. With a stride of 2, the four phases of the input (even and odd lines and columns) are so many more
channels, and a kernel of k x k has r = k / 2 taps in each, rounded up. Arrays are kept with the channels last.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

from mini_dl._dtypes import FLOATING, Array, NumpyType, Shape
from mini_dl.kernels import blas, strips
from mini_dl.kernels.blocks import LINE, SLOW, Scratch, check_finite, in_slices, number_of_pieces, split, total_of
from mini_dl.kernels.copying import turn
from mini_dl.kernels.geometry import Geometry
from mini_dl.kernels.parallel import share
from mini_dl.kernels.products import matmul, product

POINTS = {2: (2 / 5, -2 / 5, 5 / 4, -5 / 4), 3: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)}
"""By r, where polynomials are multiplied, besides at infinity (Toom and Cook): found by trying. Errors are 1.6 and 2.6 times
those of a plain product; with 0, 1, -1, 2 and -2 they are 6 times."""
TILE = 4
"""Outputs of a tile in each dimension."""
MANY = 1 << 12
"""Positions from which it pays to turn the kernel for them, even if BLAS copies what it reads."""
Piece = tuple[slice, slice]
"""Images, and lines of tiles."""
Pair = tuple[int, int]
TRANSFORMED_IN_CACHE = 1 << 17
"""Elements of the transformed input of a piece: it stays in the second-level cache."""
FEW_TILES = 32
"""Tiles of a piece below which reading the transformed kernel takes longer than multiplying by it."""


def suits(images: int, weight: Shape, dtype: NumpyType, g: Geometry, back: bool = False) -> bool:
    """Whether the kernel is of this kind and dense, over enough channels and positions to repay the transforms; with 32 channels
    on both sides, lines take 0.8 of the time, as strips do up to 64, and for 3 x 3 with a stride of 2, too few products are
    saved. Back to the input, the kernel is transformed as it lies."""
    stride, k = g.stride[0], weight[-1]
    times = 1 if back and stride == 1 else 4
    return (
        weight[2:] == (k, k)
        and g.stride == (stride, stride)
        and (stride, k) in ((1, 2), (1, 3), (2, 4), (2, 5), (2, 6))
        and g.groups == max(g.dilation) == 1
        and min(weight[:2]) >= 32
        and (stride > 1 or max(weight[:2]) > (64 if min(weight[:2]) < 48 and strips.has_long_lines(images, weight, g) else 32))
        and min(g.padding) >= 0
        and images * math.prod(g.out) >= max(256, times * max(weight[:2]))
        and dtype.kind in FLOATING
    )


def conv(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    """(N, C, H, W), (O, C, k, k), (O) -> `out`, (N, O, H', W')"""
    form = form_of(weight.shape[2], g.stride[0], (0, 0), input.dtype)
    few = len(input) * math.prod(g.out) < MANY and form.phases == 1 and not blas.reads_in_place()
    kernel = form.lying_kernel(weight) if few else form.kernel(weight)

    def convolve(piece: Piece, tiles: Pair) -> None:
        planes = form.planes(input, piece, tiles, g.padding)
        form.multiply(planes.reshape(form.size, -1, 1, kernel.shape[2]), kernel, bias, out, piece, tiles)

    pieces, work = form.pieces(len(input), g.out, max(weight.shape[0], form.phases * weight.shape[1]))
    share(lambda piece: convolve(*piece), pieces, work)


def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """(N, O, H', W') -> `shape`, (N, C, H, W): the transpose of `conv` in its input. Each phase of it is a convolution."""
    form = form_of(weight.shape[2], g.stride[0], g.padding, output.dtype)
    kernel = form.mirrored_kernel(weight)
    found = np.empty(shape, output.dtype)

    def add_back(piece: Piece, tiles: Pair) -> None:
        form.multiply(form.planes_back(output, piece, tiles, g.padding), kernel, None, found, piece, tiles)

    space = -(-shape[2] // form.stride), -(-shape[3] // form.stride)
    pieces, work = form.pieces(len(output), space, form.phases * max(weight.shape[:2]))
    share(lambda piece: add_back(*piece), pieces, work)
    return found


def conv_weight(input: Array, output: Array, shape: Shape, g: Geometry) -> Array:
    """(N, C, H, W), (N, O, H', W') -> `shape`, (O, C, k, k): the transpose of `conv` in its weight."""
    form = form_of(shape[2], g.stride[0], (0, 0), input.dtype)

    def term(pair: tuple[Piece, Pair]) -> Array:
        piece, tiles = pair
        spread = form.spread(output, piece, tiles)  # (P, t, O)
        planes = form.planes(input, piece, tiles, g.padding)  # (P, t, phases, C)
        return np.matmul(spread.swapaxes(1, 2)[:, None], planes.swapaxes(1, 2))

    found = total_of(term, *form.pieces(len(input), g.out, max(shape[0], form.phases * shape[1])))
    taps = matmul(found.reshape(-1, shape[0] * shape[1]).T, form.of_kernel)
    check_finite(taps)
    return taps.reshape(shape)


# Successive results alternate between FIRST and SECOND: both stay in the cache.

WINDOW, FIRST, SECOND, SPREAD = Scratch(), Scratch(), Scratch(), Scratch()


@functools.lru_cache(64)
def form_of(kernel: int, stride: int, padding: Pair, dtype: NumpyType) -> Form:
    return Form(kernel, stride, padding, dtype)


class Form:
    """The transforms for a kernel size and a stride. The transposed kernel's phases start with that of the first input, which
    depends on `padding`. P is the number of planes, t that of tiles."""

    def __init__(self, k: int, stride: int, padding: Pair, dtype: NumpyType) -> None:
        self.stride, self.phases, self.taps = stride, stride**2, -(-k // stride)
        self.seen = TILE + self.taps - 1
        self.size = self.seen**2
        points = np.array(POINTS[self.taps])
        others = [np.delete(points, j) for j in range(len(points))]
        inputs = [np.append(np.poly(rest)[::-1], 0) for rest in others] + [np.poly(points)[::-1]]
        scales = np.array([np.prod(point - rest) for point, rest in zip(points, others)])
        kernel = np.vstack([points[:, None] ** np.arange(self.taps) / scales[:, None], np.eye(self.taps)[-1]])
        outputs = np.vstack([points[:, None] ** np.arange(TILE), np.eye(TILE)[-1]]).T
        self.of_inputs, self.of_outputs = np.kron(inputs, inputs).astype(dtype), np.kron(outputs, outputs).astype(dtype)
        self.of_kernel = self._of_phases(kernel, k, (0, 0), False).astype(dtype)
        self.of_mirrored = self._of_phases(kernel, k, padding, True).astype(dtype)

    def _of_phases(self, kernel: Array, k: int, padding: Pair, mirrored: bool) -> Array:
        """From the taps (k * k) to the planes and phases (P * phases)."""
        sides = []
        for p in padding:
            side = np.zeros((self.seen, self.stride, k))
            for tap in range(k):
                number, phase = divmod(tap, self.stride)
                side[:, (phase - p) % self.stride, tap] = kernel[:, self.taps - 1 - number if mirrored else number]
            sides.append(side)
        return np.einsum("pak,qbl->pqabkl", *sides).reshape(self.size * self.phases, k * k)

    def kernel(self, weight: Array) -> Array:
        """(O, C, k, k) -> (P, 1, phases * C, O)"""
        o, c = weight.shape[:2]
        found = np.empty((len(self.of_kernel), c, o), weight.dtype)

        def transform(inputs: slice) -> None:
            taps = weight[:, inputs].reshape(o, -1, self.of_kernel.shape[1])
            turned = FIRST.of(taps.shape[::-1], weight.dtype)
            turn(turned, taps.T)
            np.matmul(self.of_kernel, turned.reshape(len(turned), -1), found[:, inputs].reshape(len(found), -1))

        in_slices(transform, c, found[:, 0].size, SLOW)
        return found.reshape(self.size, 1, -1, o)

    def lying_kernel(self, weight: Array) -> Array:
        """The same as a view of transposed matrices, without phases."""
        return self._transformed(self.of_kernel, weight).swapaxes(2, 3)

    def mirrored_kernel(self, weight: Array) -> Array:
        """(O, C, k, k) -> (P, phases, O, C)"""
        return self._transformed(self.of_mirrored, weight)

    def _transformed(self, transform: Array, weight: Array) -> Array:
        o, c = weight.shape[:2]
        found = np.empty((len(transform), o * c), weight.dtype)
        rows = weight.reshape(o * c, -1)
        in_slices(lambda part: np.matmul(transform, rows[part].T, found[:, part]), o * c, len(transform), SLOW)
        return found.reshape(self.size, self.phases, o, c)

    def pieces(self, images: int, space: Shape, channels: int) -> tuple[list[tuple[Piece, Pair]], int]:
        """Pieces of a few images or, of large images, a few lines of tiles, with the number of tiles in each dimension;
        and their amount of work."""
        th, tw = -(-space[0] // TILE), -(-space[1] // TILE)
        size = self.size * images * th * tw * channels  # of the transformed input
        block = max(TRANSFORMED_IN_CACHE, self.size * FEW_TILES * channels)
        number = number_of_pieces(size, 4 * size, block, 2 * block)
        lines = split(th, number // images)
        return [((i, j), (j.stop - j.start, tw)) for i, j in itertools.product(split(images, number), lines)], 4 * size

    def planes(self, input: Array, piece: Piece, tiles: Pair, padding: Shape) -> Array:
        """(N, C, H, W) -> (P, t, phases, C)"""
        images, lines = piece
        start = self.stride * TILE * lines.start - padding[0], -padding[1]
        size = self.stride * (TILE * tiles[0] + self.taps - 1), self.stride * (TILE * tiles[1] + self.taps - 1)
        window = _window(input, images, start, size)
        found = _tiles(window, self.seen, self.stride, (1, 1), self.stride, tiles)
        return _transformed(found, self.of_inputs, SECOND).reshape(self.size, -1, self.phases, input.shape[1])

    def planes_back(self, output: Array, piece: Piece, tiles: Pair, padding: Shape) -> Array:
        """The source of the phases of the input: (N, O, H', W') -> (P, t, phases, O)"""
        images, lines = piece
        first, last = ([(p + phase) // self.stride for p in padding] for phase in (0, self.stride - 1))
        steps = last[0] - first[0], last[1] - first[1]
        start = TILE * lines.start + first[0] - self.taps + 1, first[1] - self.taps + 1
        size = TILE * tiles[0] + self.taps - 1 + steps[0], TILE * tiles[1] + self.taps - 1 + steps[1]
        found = _tiles(_window(output, images, start, size), self.seen, 1, steps, self.stride, tiles)
        return _transformed(found, self.of_inputs, SECOND).reshape(self.size, -1, self.phases, output.shape[1])

    def spread(self, output: Array, piece: Piece, tiles: Pair) -> Array:
        """The transpose of the map from products to outputs: (N, O, H', W') -> (P, t, O)"""
        images, lines = piece
        window = _window(output, images, (TILE * lines.start, 0), (TILE * tiles[0], TILE * tiles[1]))
        found = _tiles(window, TILE, 1, (0, 0), 1, tiles)
        return _transformed(found, self.of_outputs.T, SPREAD).reshape(self.size, -1, output.shape[1])

    def multiply(self, planes: Array, kernel: Array, bias: Array | None, out: Array, piece: Piece, tiles: Pair) -> None:
        """(P, t, phases, K), (P, phases, K, M), (M) -> the part of `out`, (N, M, *), of the piece"""
        images, lines = piece
        s = math.isqrt(kernel.shape[1])
        product = FIRST.of((*planes.shape[:3], kernel.shape[3]), planes.dtype)
        np.matmul(planes.swapaxes(1, 2), kernel, product.swapaxes(1, 2))
        found = _transformed(product.reshape(self.size, -1), self.of_outputs, SECOND)
        check_finite(found)
        part = out[images, :, s * TILE * lines.start : s * TILE * lines.stop]
        n, m, h, w = part.shape
        # pixels a line further apart: the transposed copy then meets more of the first-level cache
        whole = FIRST.of((n, tiles[0], TILE, s, tiles[1], TILE, s, m + LINE // planes.itemsize), planes.dtype)[..., :m]
        np.copyto(whole.transpose(2, 5, 0, 1, 4, 3, 6, 7), found.reshape(TILE, TILE, n, *tiles, s, s, m))
        shown = whole.reshape(n, tiles[0] * TILE * s, tiles[1] * TILE * s, m)[:, :h, :w].transpose(0, 3, 1, 2)
        if bias is None:
            part[...] = shown
        else:
            np.add(shown, bias[:, None, None], part)


def _window(array: Array, images: slice, start: Pair, size: Pair) -> Array:
    """The window of `images`, (N, C, H, W), with zeros outside, and the channels last: (n, *size, C)"""
    at = [slice(max(0, s), max(0, s + n)) for s, n in zip(start, size)]
    part = array[images, :, at[0], at[1]]
    out = WINDOW.of((len(part), *size, part.shape[1]), array.dtype)
    if part.shape[2:] != size:
        out[...] = 0
    rows, columns = [slice(max(0, -s), max(0, -s) + n) for s, n in zip(start, part.shape[2:])]
    turn(out[:, rows, columns], part.transpose(0, 2, 3, 1))
    return out


def _tiles(window: Array, size: int, unit: int, steps: Pair, phases: int, tiles: Pair) -> Array:
    """The tiles of `size` x `size`, `unit` apart in a tile, in phases that are `steps` apart, a row for each of their places:
    (size ** 2, n * th * tw * phases ** 2 * C)"""
    n, c = len(window), window.shape[3]
    image, line, column, channel = window.strides
    shape = (size, size, n, *tiles, phases, phases, c)
    inside, between = (unit * line, unit * column), (TILE * unit * line, TILE * unit * column)
    strides = (*inside, image, *between, steps[0] * line, steps[1] * column, channel)
    seen: Array = np.ndarray(shape, window.dtype, window, 0, strides)
    found = FIRST.of(shape, window.dtype)
    np.copyto(found, seen)
    return found.reshape(size**2, -1)


def _transformed(tiles: Array, transform: Array, memory: Scratch) -> Array:
    return product(transform, tiles, memory.of((len(transform), tiles.shape[1]), tiles.dtype))
