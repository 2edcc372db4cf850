"""Convolution with 3 x 3 kernels by Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, 2016): 16 products where there were 36.

Each tile of 2 x 2 outputs sees 4 x 4 inputs. Inputs, kernel and outputs are transformed by small matrices of 0, 1 and 1/2; in
between, each of 16 planes is one matrix product over the channels. Arrays are kept with the channels last.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._kernels import number_of_pieces, scratch, split, total_of
from mini_dl._parallel import share

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
KERNEL = np.kron(G, G)  # (16, 9)
Piece = tuple[slice, slice]
"""Images, and lines of outputs."""
BLOCK = 1 << 18
"""Elements of the transformed input of a piece: it stays in the second-level cache."""


def conv(input: Array, weight: Array, padding: Any, out: Array) -> None:
    """(N, C, H, W), (O, C, 3, 3) -> `out`, (N, O, H', W')"""
    o, c = weight.shape[:2]
    h, w = out.shape[2:]
    taps = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(9, c * o)
    kernel = np.matmul(KERNEL.astype(weight.dtype), taps).reshape(16, c, o)

    def convolve(piece: Piece) -> None:
        images, lines = piece
        th, tw = _tiles(lines, w)
        seen = _columns(input, images, lines.start - padding[0], -padding[1], (2 * th + 2, tw + 1))
        product = scratch(SECOND, (4, 4, seen.shape[1], th, tw, o), input.dtype)
        np.matmul(_inputs(seen), kernel, product.reshape(16, -1, o))
        _put(_outputs(product), out[images, :, lines])

    share(convolve, *_pieces(len(input), c, h, w))


def conv_weight(input: Array, output: Array, padding: Any) -> Array:
    """(N, C, H, W), (N, O, H', W') -> (O, C, 3, 3)"""
    c, o = input.shape[1], output.shape[1]
    h, w = output.shape[2:]

    def product(piece: Piece) -> Array:
        images, lines = piece
        th, tw = _tiles(lines, w)
        spread = _spread(_columns(output[:, :, : lines.stop], images, lines.start, 0, (2 * th, tw)))
        seen = _columns(input, images, lines.start - padding[0], -padding[1], (2 * th + 2, tw + 1))
        return np.matmul(_inputs(seen).swapaxes(1, 2), spread)  # (16, C, O)

    total = total_of(product, *_pieces(len(input), c, h, w))
    taps = np.matmul(KERNEL.T.astype(input.dtype), total.reshape(16, c * o))
    return np.ascontiguousarray(taps.reshape(3, 3, c, o).transpose(3, 2, 0, 1))


def _pieces(count: int, c: int, h: int, w: int) -> tuple[list[Piece], int]:
    """A few images at a time, or a few lines of outputs of large ones, an even number of lines but for the last; and how much
    work they are."""
    th, tw = (h + 1) // 2, (w + 1) // 2
    size = 16 * count * th * tw * c  # of the transformed input
    number = number_of_pieces(size, 4 * size, BLOCK, 2 * BLOCK)
    lines = split(th, number // count)
    return [(i, slice(2 * j.start, min(2 * j.stop, h))) for i in split(count, number) for j in lines], 4 * size


def _tiles(lines: slice, w: int) -> tuple[int, int]:
    """How many tiles of 2 x 2 cover so many lines of width `w`."""
    return (lines.stop - lines.start + 1) // 2, (w + 1) // 2


# Columns are kept even ones first, then odd ones: of the tiles of a row, the first columns are one run of memory, and so are the
# second ones. Of what follows from each other, one is kept in FIRST, the next in SECOND, and so on: both stay in the cache.

FIRST, SECOND, THIRD = "winograd 1", "winograd 2", "winograd 3"


def _columns(array: Array, images: slice, top: int, left: int, shape: tuple[int, int]) -> Array:
    """A window of `images`, (N, C, H, W), with zeros outside, and the channels last: of `shape` (height, width / 2), it is
    (2, n, height, width / 2, C)."""
    height, half = shape
    part = array[images, :, max(0, top) : max(0, top + height)]
    out = scratch(FIRST, (2, len(part), height, half, array.shape[1]), array.dtype)
    out[...] = 0
    rows = slice(max(0, -top), max(0, -top) + part.shape[2])
    for parity in (0, 1):
        first = max(0, -((left + parity) // 2))  # the first column of this parity that is not outside
        source = part[..., 2 * first + parity + left :: 2][..., : half - first]
        out[parity, :, rows, first : first + source.shape[3]] = source.transpose(0, 2, 3, 1)
    return out


def _put(columns: Array, out: Array) -> None:
    """The inverse of `_columns`: (2, n, height, width / 2, O) -> the window `out`, (n, O, H, W), without what is beyond it."""
    for parity in (0, 1):
        target = out[..., parity::2]
        target[...] = columns[parity, :, : target.shape[2], : target.shape[3]].transpose(0, 3, 1, 2)


def _inputs(seen: Array) -> Array:
    """(2, n, 2 th + 2, tw + 1, C) -> (16, n * th * tw, C)"""
    n, h, w, c = seen.shape[1:]
    th, tw = h // 2 - 1, w - 1
    rows = scratch(SECOND, (4, 2, n, th, w, c), seen.dtype)
    _differences(seen.reshape(2, n, th + 1, 2, w, c).transpose(3, 0, 1, 2, 4, 5), rows, 3)
    planes = scratch(FIRST, (4, 4, n, th, tw, c), seen.dtype)
    _differences(rows.swapaxes(0, 1), planes.swapaxes(0, 1), 4)
    return planes.reshape(16, n * th * tw, c)


def _differences(parities: Array, out: Array, axis: int) -> None:
    """Of four neighbours a, b, c, d along `axis`, the even ones a and c, the odd ones b and d: a - c, b + c, c - b, b - d."""
    before = (slice(None),) * axis
    this, following = parities[(*before, slice(None, -1))], parities[(*before, slice(1, None))]
    np.subtract(this, following, out[0::3])
    b, c = this[1], following[0]
    np.add(b, c, out[1])
    np.subtract(c, b, out[2])


def _outputs(product: Array) -> Array:
    """(4, 4, n, th, tw, O) -> (2, n, 2 th, tw, O)"""
    n, th, tw, o = product.shape[2:]
    rows = scratch(FIRST, (2, 4, n, th, tw, o), product.dtype)
    _sums(product, rows)
    out = scratch(SECOND, (2, n, th, 2, tw, o), product.dtype)
    _sums(rows.swapaxes(0, 1), out.transpose(0, 3, 1, 2, 4, 5))
    return out.reshape(2, n, 2 * th, tw, o)


def _sums(planes: Array, out: Array) -> None:
    """Of four planes a, b, c, d: a + b + c and b - c - d."""
    a, b, c, d = planes
    first, second = out
    np.add(b, c, first)
    first += a
    np.subtract(b, c, second)
    second -= d


def _spread(columns: Array) -> Array:
    """The transpose of `_outputs`: (2, n, 2 th, tw, O) -> (16, n * th * tw, O)"""
    n, h, tw, o = columns.shape[1:]
    th = h // 2
    rows = scratch(SECOND, (4, 2, n, th, tw, o), columns.dtype)
    _sums_back(columns.reshape(2, n, th, 2, tw, o).transpose(3, 0, 1, 2, 4, 5), rows)
    planes = scratch(THIRD, (4, 4, n, th, tw, o), columns.dtype)
    _sums_back(rows.swapaxes(0, 1), planes.swapaxes(0, 1))
    return planes.reshape(16, n * th * tw, o)


def _sums_back(planes: Array, out: Array) -> None:
    """The transpose of `_sums`: of a, b the four a, a + b, a - b, -b."""
    a, b = planes
    np.add(a, b, out[1])
    np.subtract(a, b, out[2])
    np.multiply(planes, _signs(planes.ndim, planes.dtype), out[0::3])


@functools.cache
def _signs(ndim: int, dtype: Any) -> Array:
    return np.array([1, -1], dtype).reshape(2, *[1] * (ndim - 1))
