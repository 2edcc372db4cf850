"""Convolution with 3 x 3 kernels by Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, 2016): 16 products instead of 36.

Each tile of 2 x 2 outputs sees 4 x 4 inputs. Inputs, kernel and outputs are transformed by small matrices of 0, 1 and 1/2; in
between, each of 16 planes is one matrix product over the channels. Arrays are kept with the channels last.
"""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array, Shape
from mini_dl.kernels.blocks import Scratch, number_of_pieces, split, total_of
from mini_dl.kernels.parallel import share

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
KERNEL = np.kron(G, G)  # (16, 9)
Piece = tuple[slice, slice]
"""Images, and lines of outputs."""
TRANSFORMED_IN_CACHE = 1 << 18
"""Elements of the transformed input of a piece: it stays in the second-level cache."""


def conv(input: Array, weight: Array, padding: Shape, out: Array) -> None:
    """(N, C, H, W), (O, C, 3, 3) -> `out`, (N, O, H', W')"""
    kernel = _kernel(weight, KERNEL).swapaxes(1, 2)
    if out.size >= 16 * len(weight) ** 2:  # many positions: BLAS is then slower with a transposed factor than turning it over is
        kernel = np.ascontiguousarray(kernel)

    def convolve(piece: Piece) -> None:
        images, lines = piece
        _products(_seen(input, piece, padding, out.shape[3]), kernel, out[images, :, lines])

    share(convolve, *_pieces(input, *out.shape[2:]))


def conv_weight(input: Array, output: Array, padding: Shape) -> Array:
    """(N, C, H, W), (N, O, H', W') -> (O, C, 3, 3)"""
    h, w = output.shape[2:]

    def product(piece: Piece) -> Array:
        images, lines = piece
        spread = _spread(*_columns(output[:, :, : lines.stop], images, lines.start, 0, _tiles(lines, w), 0))
        return np.matmul(spread.swapaxes(1, 2), _inputs(_seen(input, piece, padding, w)))

    return _weight_of(total_of(product, *_pieces(input, h, w)))


def conv_gradients(input: Array, weight: Array, output: Array) -> tuple[Array, Array]:
    """(N, C, H, W), (O, C, 3, 3), (N, O, H, W) -> the transposes of `conv` with a padding of 1 in input, (N, C, H, W), and in
    weight, (O, C, 3, 3): both read the output, whose tiles lie within what the mirrored kernel sees."""
    h, w = output.shape[2:]
    kernel = _kernel(weight, KERNEL[:, ::-1])
    to_input = np.empty_like(input)

    def product(piece: Piece) -> Array:
        images, lines = piece
        seen = _seen(output, piece, (1, 1), w)
        spread = _spread(seen[1, :, 1:-1, :-1], seen[0, :, 1:-1, 1:])
        _products(seen, kernel, to_input[images, :, lines])
        return np.matmul(spread.swapaxes(1, 2), _inputs(_seen(input, piece, (1, 1), w)))

    return to_input, _weight_of(total_of(product, *_pieces(input, h, w)))


def _kernel(weight: Array, transform: Array) -> Array:
    """(O, C, 3, 3) -> (16, O, C): a product, which puts the taps in front as it goes; to move them takes longer."""
    return np.matmul(transform.astype(weight.dtype), weight.reshape(-1, 9).T).reshape(16, *weight.shape[:2])


def _weight_of(planes: Array) -> Array:
    """The transpose of `_kernel`: (16, O, C) -> (O, C, 3, 3)"""
    return np.matmul(planes.reshape(16, -1).T, KERNEL.astype(planes.dtype)).reshape(*planes.shape[1:], 3, 3)


def _products(seen: Array, kernel: Array, out: Array) -> None:
    """(2, n, 2 th + 2, tw + 1, C), (16, C, O) -> the window `out`, (n, O, h, w)"""
    n, h, w = seen.shape[1:4]
    product = SECOND.of((4, 4, n, h // 2 - 1, w - 1, kernel.shape[2]), seen.dtype)
    np.matmul(_inputs(seen), kernel, product.reshape(16, -1, kernel.shape[2]))
    for columns, target in zip(_outputs(product), (out[..., 0::2], out[..., 1::2])):
        target[...] = columns[:, : target.shape[2], : target.shape[3]].transpose(0, 3, 1, 2)


def _pieces(input: Array, h: int, w: int) -> tuple[list[Piece], int]:
    """Pieces of a few images or, of large images, a few lines of outputs (an even number except for the last piece); and the
    amount of work they are."""
    count, th = len(input), (h + 1) // 2
    size = 16 * count * th * ((w + 1) // 2) * input.shape[1]  # of the transformed input
    number = number_of_pieces(size, 4 * size, TRANSFORMED_IN_CACHE, 2 * TRANSFORMED_IN_CACHE)
    lines = split(th, number // count)
    return [(i, slice(2 * j.start, min(2 * j.stop, h))) for i in split(count, number) for j in lines], 4 * size


def _tiles(lines: slice, w: int) -> tuple[int, int]:
    """The number of 2 x 2 tiles that cover the lines, of width `w`."""
    return (lines.stop - lines.start + 1) // 2, (w + 1) // 2


# Columns are kept even ones first, then odd ones: of the tiles of a row, the first columns are one run of memory, and so are the
# second ones. Successive results alternate between FIRST and SECOND: both stay in the cache.

FIRST, SECOND, THIRD = Scratch(), Scratch(), Scratch()


def _seen(input: Array, piece: Piece, padding: Shape, w: int) -> Array:
    """What the outputs of a piece see: (2, n, 2 th + 2, tw + 1, C)"""
    images, lines = piece
    return _columns(input, images, lines.start - padding[0], -padding[1], _tiles(lines, w), 1)


def _columns(array: Array, images: slice, top: int, left: int, tiles: tuple[int, int], more: int) -> Array:
    """A window of `images`, (N, C, H, W), with zeros outside, and the channels last: (2, n, 2 th + 2 `more`, tw + `more`, C)"""
    height, half = 2 * (tiles[0] + more), tiles[1] + more
    part = array[images, :, max(0, top) : max(0, top + height)]
    out = FIRST.of((2, len(part), height, half, array.shape[1]), array.dtype)
    out[...] = 0
    rows = slice(max(0, -top), max(0, -top) + part.shape[2])
    for parity in (0, 1):
        first = max(0, -((left + parity) // 2))  # the first column of this parity that is not outside
        source = part[..., 2 * first + parity + left :: 2][..., : half - first]
        out[parity, :, rows, first : first + source.shape[3]] = source.transpose(0, 2, 3, 1)
    return out


def _inputs(seen: Array) -> Array:
    """(2, n, 2 th + 2, tw + 1, C) -> (16, n * th * tw, C)"""
    n, h, w, c = seen.shape[1:]
    th, tw = h // 2 - 1, w - 1
    rows = SECOND.of((4, 2, n, th, w, c), seen.dtype)
    _differences(seen.reshape(2, n, th + 1, 2, w, c).transpose(3, 0, 1, 2, 4, 5), rows, 3)
    planes = FIRST.of((4, 4, n, th, tw, c), seen.dtype)
    _differences(rows.swapaxes(0, 1), planes.swapaxes(0, 1), 4)
    return planes.reshape(16, n * th * tw, c)


def _differences(parities: Array, out: Array, axis: int) -> None:
    """For four neighbors a, b, c, d along `axis`, the even ones a and c, the odd ones b and d: a - c, b + c, c - b, b - d."""
    before = (slice(None),) * axis
    but_last, but_first = (*before, slice(None, -1)), (*before, slice(1, None))
    this, following = parities[but_last], parities[but_first]
    np.subtract(this, following, out[0::3])
    b, c = this[1], following[0]
    np.add(b, c, out[1])
    np.subtract(c, b, out[2])


def _outputs(product: Array) -> Array:
    """(4, 4, n, th, tw, O) -> (2, n, 2 th, tw, O)"""
    n, th, tw, o = product.shape[2:]
    rows = FIRST.of((2, 4, n, th, tw, o), product.dtype)
    _sums(product, rows)
    out = SECOND.of((2, n, th, 2, tw, o), product.dtype)
    _sums(rows.swapaxes(0, 1), out.transpose(0, 3, 1, 2, 4, 5))
    return out.reshape(2, n, 2 * th, tw, o)


def _sums(planes: Array, out: Array) -> None:
    """For four planes a, b, c, d: a + b + c and b - c - d."""
    a, b, c, d = planes
    first, second = out
    np.add(b, c, first)
    first += a
    np.subtract(b, c, second)
    second -= d


def _spread(even: Array, odd: Array) -> Array:
    """The transpose of `_outputs`: (n, 2 th, tw, O), (n, 2 th, tw, O) -> (16, n * th * tw, O)"""
    n, h, tw, o = even.shape
    columns = SECOND.of((4, n, h // 2, 2, tw, o), even.dtype)
    _sums_back(even, odd, columns.reshape(4, n, h, tw, o))
    planes = THIRD.of((4, 4, n, h // 2, tw, o), even.dtype)
    _sums_back(columns[:, :, :, 0], columns[:, :, :, 1], planes)
    return planes.reshape(16, -1, o)


def _sums_back(a: Array, b: Array, out: Array) -> None:
    """The transpose of `_sums`: a, a + b, a - b, -b."""
    np.copyto(out[0], a)
    np.add(a, b, out[1])
    np.subtract(a, b, out[2])
    np.negative(b, out[3])
