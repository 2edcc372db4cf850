"""Convolution with 3 x 3 kernels by Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, 2016): 16 products where there were 36.

Each tile of 2 x 2 outputs sees 4 x 4 inputs. Inputs, kernel and outputs are transformed by small matrices of 0, 1 and 1/2; in
between, each of 16 planes is one matrix product over the channels. Arrays are kept with the channels last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._kernels import scratch

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
KERNEL = np.kron(G, G)  # (16, 9)
BLOCK = 262144
"""Elements of the transformed input of a few images: it stays in the second-level cache."""


def conv(input: Array, weight: Array, padding: Any, out: Array) -> None:
    """(N, C, H, W), (O, C, 3, 3) -> `out`, (N, O, H', W')"""
    o, c = weight.shape[:2]
    h, w = out.shape[2:]
    taps = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(9, c * o)
    planes = np.matmul(KERNEL.astype(weight.dtype), taps).reshape(16, c, o)
    for images, lines, seen in _blocks(input, padding, (h, w)):
        n, th, tw = seen.shape[0], seen.shape[1] // 2 - 1, seen.shape[2] // 2 - 1
        product = scratch("winograd products", (4, 4, n, th, tw, o), input.dtype)
        np.matmul(_inputs(seen), planes, out=product.reshape(16, n * th * tw, o))
        found = scratch("winograd tiles", (n, th, 2, tw, 2, o), input.dtype)
        rows = scratch("winograd rows", (2, 4, n, th, tw, o), input.dtype)
        _sums(product, rows)
        _sums(rows.swapaxes(0, 1), found.transpose(4, 2, 0, 1, 3, 5))
        out[images, :, lines] = found.reshape(n, 2 * th, 2 * tw, o)[:, : lines.stop - lines.start, :w].transpose(0, 3, 1, 2)


def conv_weight(input: Array, output: Array, padding: Any) -> Array:
    """(N, C, H, W), (N, O, H', W') -> (O, C, 3, 3)"""
    c, o = input.shape[1], output.shape[1]
    h, w = output.shape[2:]
    total: Any = None
    for images, lines, seen in _blocks(input, padding, (h, w)):
        n, th, tw = seen.shape[0], seen.shape[1] // 2 - 1, seen.shape[2] // 2 - 1
        tiles = scratch("winograd tiles", (n, 2 * th, 2 * tw, o), input.dtype)
        tiles[...] = 0
        tiles[:, : lines.stop - lines.start, :w] = output[images, :, lines].transpose(0, 2, 3, 1)
        rows = scratch("winograd rows", (4, 2, n, th, tw, o), input.dtype)
        spread = scratch("winograd products", (4, 4, n, th, tw, o), input.dtype)
        _spread(tiles.reshape(n, th, 2, tw, 2, o).transpose(2, 4, 0, 1, 3, 5), rows)
        _spread(rows.swapaxes(0, 1), spread.swapaxes(0, 1))
        product = np.matmul(_inputs(seen).swapaxes(1, 2), spread.reshape(16, n * th * tw, o))  # (16, C, O)
        total = product if total is None else np.add(total, product, out=total)
    taps = np.matmul(KERNEL.T.astype(input.dtype), total.reshape(16, c * o))
    return np.ascontiguousarray(taps.reshape(3, 3, c, o).transpose(3, 2, 0, 1))


def _blocks(input: Array, padding: Any, out: Any) -> Iterator[tuple[slice, slice, Array]]:
    """A few images at a time, or a few lines of outputs of a large one, and what they see: with the channels last, padded to
    whole tiles, (n, 2 th + 2, 2 tw + 2, C)."""
    count, c, h, w = input.shape
    th, tw = (out[0] + 1) // 2, (out[1] + 1) // 2
    tiles = th * tw
    step = max(1, BLOCK // (16 * tiles * c), -(-128 // tiles))
    deep = th if step > 1 else max(1, BLOCK // (16 * tw * c), -(-128 // tw))  # rows of tiles
    top, left = padding
    height, width = min(h, 2 * th + 2 - top), min(w, 2 * tw + 2 - left)
    for i in range(0, count, step):
        part = input[i : i + step, :, :height, :width]
        seen = scratch("winograd images", (len(part), 2 * th + 2, 2 * tw + 2, c), input.dtype)
        seen[...] = 0
        seen[:, top : top + height, left : left + width] = part.transpose(0, 2, 3, 1)
        for j in range(0, th, deep):
            end = min(j + deep, th)
            yield slice(i, i + len(part)), slice(2 * j, min(2 * end, out[0])), seen[:, 2 * j : 2 * end + 2]


def _inputs(seen: Array) -> Array:
    """(n, 2 th + 2, 2 tw + 2, C) -> (16, n * th * tw, C)"""
    n, h, w, c = seen.shape
    th, tw = h // 2 - 1, w // 2 - 1
    rows = scratch("winograd half", (4, n, th, w, c), seen.dtype)
    _differences(seen[:, 0::2], seen[:, 1::2], rows, 1)
    planes = scratch("winograd planes", (4, 4, n, th, tw, c), seen.dtype)
    for row, plane in zip(rows, planes):
        _differences(row[:, :, 0::2], row[:, :, 1::2], plane, 2)
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
