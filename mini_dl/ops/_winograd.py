"""Convolution with 3 x 3 kernels by Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, 2016): 16 products where there were 36.

Each tile of 2 x 2 outputs sees 4 x 4 inputs. Inputs, kernel and outputs are transformed by small matrices of 0, 1 and 1/2; in
between, each of 16 planes is one matrix product over the channels. Arrays are kept with the channels last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._kernels import number_of_pieces, scratch, split, total_of
from mini_dl._parallel import share

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
KERNEL = np.kron(G, G)  # (16, 9)
BLOCK = 1 << 18
"""Elements of the transformed input of a piece: it stays in the second-level cache."""


def conv(input: Array, weight: Array, padding: Any, out: Array) -> None:
    """(N, C, H, W), (O, C, 3, 3) -> `out`, (N, O, H', W')"""
    o, c = weight.shape[:2]
    h, w = out.shape[2:]
    taps = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(9, c * o)
    planes = np.matmul(KERNEL.astype(weight.dtype), taps).reshape(16, c, o)

    def convolve(piece: tuple[slice, slice]) -> None:
        images, lines = piece
        seen = _seen(input, padding, images, lines, w)
        n, th, tw = seen.shape[0], seen.shape[1] // 2 - 1, seen.shape[2] // 2 - 1
        product = scratch("winograd products", (4, 4, n, th, tw, o), input.dtype)
        np.matmul(_inputs(seen), planes, out=product.reshape(16, n * th * tw, o))
        found = scratch("winograd tiles", (n, th, 2, tw, 2, o), input.dtype)
        rows = scratch("winograd rows", (2, 4, n, th, tw, o), input.dtype)
        _sums(product, rows)
        _sums(rows.swapaxes(0, 1), found.transpose(4, 2, 0, 1, 3, 5))
        target = out[images, :, lines]
        target[...] = found.reshape(n, 2 * th, 2 * tw, o)[:, : target.shape[2], :w].transpose(0, 3, 1, 2)

    share(convolve, *_pieces(len(input), c, h, w))


def conv_weight(input: Array, output: Array, padding: Any) -> Array:
    """(N, C, H, W), (N, O, H', W') -> (O, C, 3, 3)"""
    c, o = input.shape[1], output.shape[1]
    h, w = output.shape[2:]

    def product(piece: tuple[slice, slice]) -> Array:
        images, lines = piece
        seen = _seen(input, padding, images, lines, w)
        n, th, tw = seen.shape[0], seen.shape[1] // 2 - 1, seen.shape[2] // 2 - 1
        tiles = scratch("winograd tiles", (n, 2 * th, 2 * tw, o), input.dtype)
        tiles[...] = 0
        source = output[images, :, lines]
        tiles[:, : source.shape[2], :w] = source.transpose(0, 2, 3, 1)
        rows = scratch("winograd rows", (4, 2, n, th, tw, o), input.dtype)
        spread = scratch("winograd products", (4, 4, n, th, tw, o), input.dtype)
        _spread(tiles.reshape(n, th, 2, tw, 2, o).transpose(2, 4, 0, 1, 3, 5), rows)
        _spread(rows.swapaxes(0, 1), spread.swapaxes(0, 1))
        return np.matmul(_inputs(seen).swapaxes(1, 2), spread.reshape(16, n * th * tw, o))  # (16, C, O)

    total = total_of(product, *_pieces(len(input), c, h, w))
    taps = np.matmul(KERNEL.T.astype(input.dtype), total.reshape(16, c * o))
    return np.ascontiguousarray(taps.reshape(3, 3, c, o).transpose(3, 2, 0, 1))


def _pieces(count: int, c: int, h: int, w: int) -> tuple[list[tuple[slice, slice]], int]:
    """A few images at a time, or a few lines of outputs of large ones, an even number of lines but for the last; and how much
    work they are."""
    th, tw = (h + 1) // 2, (w + 1) // 2
    size = 16 * count * th * tw * c  # of the transformed input
    number = number_of_pieces(size, 4 * size, BLOCK, 2 * BLOCK)
    lines = split(th, number // count)
    return [(i, slice(2 * j.start, min(2 * j.stop, h))) for i in split(count, number) for j in lines], 4 * size


def _seen(input: Array, padding: Any, images: slice, lines: slice, w: int) -> Array:
    """What `lines` of the outputs see, with the channels last and padded to whole tiles: (n, 2 th + 2, 2 tw + 2, C)"""
    top, left = padding
    height, width = 2 * ((lines.stop - lines.start + 1) // 2) + 2, 2 * ((w + 1) // 2) + 2
    first = lines.start - top
    part = input[images, :, max(0, first) : max(0, first + height), : max(0, width - left)]
    seen = scratch("winograd images", (len(part), height, width, input.shape[1]), input.dtype)
    seen[...] = 0
    at = max(0, -first)
    seen[:, at : at + part.shape[2], left : left + part.shape[3]] = part.transpose(0, 2, 3, 1)
    return seen


def _inputs(seen: Array) -> Array:
    """(n, 2 th + 2, 2 tw + 2, C) -> (16, n * th * tw, C)"""
    n, h, w, c = seen.shape
    th, tw = h // 2 - 1, w // 2 - 1
    rows = scratch("winograd half", (4, n, th, w, c), seen.dtype)
    _differences(seen[:, 0::2], seen[:, 1::2], rows, 1)
    planes = scratch("winograd planes", (4, 4, n, th, tw, c), seen.dtype)
    _differences(rows[:, :, :, 0::2], rows[:, :, :, 1::2], planes.swapaxes(0, 1), 3)
    return planes.reshape(16, n * th * tw, c)


def _differences(even: Array, odd: Array, out: Array, axis: int) -> None:
    """Of four neighbours a, b, c, d, of which `even` has a and c, `odd` b and d: a - c, b + c, c - b, b - d."""
    before = (slice(None),) * axis
    this, following = (*before, slice(None, -1)), (*before, slice(1, None))
    a, b, c, d = even[this], odd[this], even[following], odd[following]
    np.subtract(a, c, out=out[0])
    np.add(b, c, out=out[1])
    np.subtract(c, b, out=out[2])
    np.subtract(b, d, out=out[3])


def _sums(planes: Array, out: Array) -> None:
    """Of four planes a, b, c, d: a + b + c and b - c - d."""
    a, b, c, d = planes
    np.add(b, c, out=out[0])
    np.add(out[0], a, out=out[0])
    np.subtract(b, c, out=out[1])
    np.subtract(out[1], d, out=out[1])


def _spread(planes: Array, out: Array) -> None:
    """The transpose of `_sums`: of a, b the four a, a + b, a - b, -b."""
    a, b = planes
    out[0] = a
    np.add(a, b, out=out[1])
    np.subtract(a, b, out=out[2])
    np.negative(b, out=out[3])
