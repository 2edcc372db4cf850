"""Convolution with 3 x 3 kernels by Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, 2016): 36 products instead of 144.

Each tile of 4 x 4 outputs sees 6 x 6 inputs. Inputs, kernel and outputs are transformed by small matrices; in between, each of 36
planes is one matrix product over the channels. The transforms are products too: of what all tiles have in one place, a row. Arrays
are kept with the channels last.
"""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array, NumpyType, Shape
from mini_dl.kernels.blocks import Scratch, copy, number_of_pieces, split, total_of
from mini_dl.kernels.parallel import share
from mini_dl.kernels.products import matmul

POINTS = (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)
"""Where polynomials are multiplied, besides at infinity (Toom and Cook): with these, errors are a third of what 1 and 2 give, and
2.5 times those of a plain product."""
TILE, SEEN = 4, 6
"""Outputs of a tile, and the inputs they see, in each dimension."""
Piece = tuple[slice, slice]
"""Images, and lines of outputs."""
TRANSFORMED_IN_CACHE = 1 << 18
"""Elements of the transformed input of a piece: it stays in the second-level cache."""
FEW_TILES = 32
"""Tiles of a piece below which reading the transformed kernel takes longer than multiplying by it."""


def _transforms() -> tuple[Array, Array, Array]:
    """Of both dimensions at once: of inputs (36, 36), of a kernel (36, 9), and of products to outputs (16, 36)."""
    points = np.array(POINTS)
    others = [np.delete(points, j) for j in range(len(points))]
    inputs = [np.append(np.poly(rest)[::-1], 0) for rest in others] + [np.poly(points)[::-1]]
    scales = [np.prod(point - rest) for point, rest in zip(points, others)]
    kernel = np.vstack([points[:, None] ** np.arange(3) / np.array(scales)[:, None], [0, 0, 1]])
    outputs = np.vstack([points[:, None] ** np.arange(TILE), [0, 0, 0, 1]]).T
    return np.kron(inputs, inputs), np.kron(kernel, kernel), np.kron(outputs, outputs)


INPUTS, KERNEL, OUTPUTS = _transforms()


def conv(input: Array, weight: Array, padding: Shape, out: Array) -> None:
    """(N, C, H, W), (O, C, 3, 3) -> `out`, (N, O, H', W')"""
    turned = np.empty((9, *weight.shape[1::-1]), weight.dtype)
    copy(turned, weight.reshape(*weight.shape[:2], 9).transpose(2, 1, 0))
    kernel = _kernel(turned, KERNEL)

    def convolve(piece: Piece) -> None:
        images, lines = piece
        _products(_seen(input, piece, padding, out.shape[3]), kernel, out[images, :, lines])

    share(convolve, *_pieces(out, max(weight.shape[:2])))


def conv_weight(input: Array, output: Array, padding: Shape) -> Array:
    """(N, C, H, W), (N, O, H', W') -> (O, C, 3, 3)"""

    def product(piece: Piece) -> Array:
        images, lines = piece
        tiles = _tiles_of(lines, output.shape[3])
        spread = _spread(_window(output, images, (lines.start, 0), (TILE * tiles[0], TILE * tiles[1])), 0, tiles)
        return np.matmul(spread.swapaxes(1, 2), _planes(_seen(input, piece, padding, output.shape[3])))

    return _weight_of(total_of(product, *_pieces(output, max(input.shape[1], output.shape[1]))))


def conv_gradients(input: Array, weight: Array, output: Array) -> tuple[Array, Array]:
    """(N, C, H, W), (O, C, 3, 3), (N, O, H, W) -> the transposes of `conv` with a padding of 1 in input, (N, C, H, W), and in
    weight, (O, C, 3, 3): both read the output, whose tiles lie within what the mirrored kernel sees."""
    kernel = _kernel(weight.reshape(-1, 9).T.reshape(9, *weight.shape[:2]), KERNEL[:, ::-1])
    to_input = np.empty_like(input)

    def product(piece: Piece) -> Array:
        images, lines = piece
        seen = _seen(output, piece, (1, 1), output.shape[3])
        spread = _spread(seen, 1, _tiles_of(lines, output.shape[3]))
        _products(seen, kernel, to_input[images, :, lines])
        return np.matmul(spread.swapaxes(1, 2), _planes(_seen(input, piece, (1, 1), output.shape[3])))

    return to_input, _weight_of(total_of(product, *_pieces(output, max(weight.shape[:2]))))


def _kernel(taps: Array, transform: Array) -> Array:
    """(9, *) -> (36, *)"""
    return matmul(transform.astype(taps.dtype), taps.reshape(9, -1)).reshape(-1, *taps.shape[1:])


def _weight_of(planes: Array) -> Array:
    """The transpose of the kernel's transform: (36, O, C) -> (O, C, 3, 3)"""
    return matmul(planes.reshape(len(planes), -1).T, KERNEL.astype(planes.dtype)).reshape(*planes.shape[1:], 3, 3)


def _pieces(out: Array, channels: int) -> tuple[list[Piece], int]:
    """Pieces of a few images or, of large images, a few lines of outputs (whole tiles but for the last piece); and the amount of
    work they are."""
    count, h, w = len(out), *out.shape[2:]
    th, tw = _tiles_of(slice(0, h), w)
    size = SEEN**2 * count * th * tw * channels  # of the transformed input
    block = max(TRANSFORMED_IN_CACHE, SEEN**2 * FEW_TILES * channels)
    number = number_of_pieces(size, 4 * size, block, 2 * block)
    lines = split(th, number // count)
    return [(i, slice(TILE * j.start, min(TILE * j.stop, h))) for i in split(count, number) for j in lines], 4 * size


def _tiles_of(lines: slice, w: int) -> tuple[int, int]:
    """The number of tiles that cover the lines, of width `w`."""
    return -(-(lines.stop - lines.start) // TILE), -(-w // TILE)


# Successive results alternate between FIRST and SECOND: both stay in the cache.

WINDOW, FIRST, SECOND, SPREAD = Scratch(), Scratch(), Scratch(), Scratch()


def _seen(input: Array, piece: Piece, padding: Shape, w: int) -> Array:
    """What the outputs of a piece see: (n, 4 th + 2, 4 tw + 2, C)"""
    images, lines = piece
    th, tw = _tiles_of(lines, w)
    return _window(input, images, (lines.start - padding[0], -padding[1]), (TILE * th + 2, TILE * tw + 2))


def _window(array: Array, images: slice, start: tuple[int, int], size: tuple[int, int]) -> Array:
    """The window of `images`, (N, C, H, W), with zeros outside, and the channels last: (n, *size, C)"""
    at = [slice(max(0, s), max(0, s + n)) for s, n in zip(start, size)]
    part = array[images, :, at[0], at[1]].transpose(0, 2, 3, 1)
    out = WINDOW.of((len(part), *size, part.shape[3]), array.dtype)
    out[...] = 0
    rows, columns = [slice(max(0, -s), max(0, -s) + n) for s, n in zip(start, part.shape[1:3])]
    out[:, rows, columns] = part
    return out


def _tiles(window: Array, size: int, first: int, tiles: tuple[int, int]) -> Array:
    """The tiles of `size` x `size` from position `first` on, a row for each of their places: (size ** 2, n * th * tw * C)"""
    n, c = len(window), window.shape[3]
    image, line, column, step = window.strides
    shape = (size, size, n, *tiles, c)
    strides = (line, column, image, TILE * line, TILE * column, step)
    seen: Array = np.ndarray(shape, window.dtype, window, first * (line + column), strides)
    found = FIRST.of(shape, window.dtype)
    np.copyto(found, seen)
    return found.reshape(size**2, -1)


def _transformed(tiles: Array, transform: Array, memory: Scratch) -> Array:
    found = memory.of((len(transform), tiles.shape[1]), tiles.dtype)
    return np.matmul(transform.astype(tiles.dtype), tiles, found)


def _planes(seen: Array) -> Array:
    """(n, 4 th + 2, 4 tw + 2, C) -> (36, n * th * tw, C)"""
    tiles = seen.shape[1] // TILE, seen.shape[2] // TILE
    return _transformed(_tiles(seen, SEEN, 0, tiles), INPUTS, SECOND).reshape(SEEN**2, -1, seen.shape[3])


def _products(seen: Array, kernel: Array, out: Array) -> None:
    """(n, 4 th + 2, 4 tw + 2, C), (36, C, O) -> the window `out`, (n, O, h, w)"""
    planes, (n, o, h, w) = _planes(seen), out.shape
    product = np.matmul(planes, kernel, FIRST.of((*planes.shape[:2], o), seen.dtype))
    tiles = _transformed(product.reshape(SEEN**2, -1), OUTPUTS, SECOND)
    th, tw = seen.shape[1] // TILE, seen.shape[2] // TILE
    whole = FIRST.of((n, th, TILE, tw, TILE, o), seen.dtype)
    np.copyto(whole.transpose(2, 4, 0, 1, 3, 5), tiles.reshape(TILE, TILE, n, th, tw, o))
    out[...] = whole.reshape(n, TILE * th, TILE * tw, o)[:, :h, :w].transpose(0, 3, 1, 2)


def _spread(window: Array, first: int, tiles: tuple[int, int]) -> Array:
    """The transpose of the way from products to outputs, which are the window from position `first` on: (36, n * th * tw, O)"""
    return _transformed(_tiles(window, TILE, first, tiles), OUTPUTS.T, SPREAD).reshape(SEEN**2, -1, window.shape[3])
