"""Matrix products: operands that BLAS can read, shared among threads if they are large."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import HALVES, Array, Function, Index
from mini_dl.kernels import blas
from mini_dl.kernels.blocks import SEVERAL, add_row, parts
from mini_dl.kernels.halves import SINGLE, cast
from mini_dl.kernels.parallel import get_num_threads, share_product

LARGE = 1 << 22
"""The number of multiplications that take a few times as long as waking a thread."""
AHEAD = 1 << 19
"""Multiplications by which the caller's part of a product is larger: helpers begin later, and end before the caller needs the
interpreter."""

MANY_ROWS = 256
"""Rows from which the threads share them, even if there are more columns: parts of rows meet in lines of the cache."""
UNCOPIED = 10**6
"""Multiplications of a product up to which OpenBLAS does not copy its operands first, if it `reads_in_place`."""
SMALL = 8192
"""Elements of a second operand that is read again and again, or four times those of a first one."""
HUGE = 10**6
"""Elements of a first operand from which runs pay even if OpenBLAS copies: the copies stay in the cache."""
_RESULT, _LONG = 1200, 128
"""The same for a second operand whose columns are contiguous: numbers in the result, and the length of the sums from which it
pays to keep to these limits."""
_FEW, _SOME, _LONGER = 24, 50, 512
"""For how many rows of the smaller operand that pays, and for longer sums, if a step has as many as `_FEW` of the others."""


def gemm(input: Array, other: Array, added: Array | None = None) -> Array:
    """``input @ other`` of stacks of matrices; float16 is summed in float32. Operands BLAS cannot read are copied first.

    The row `added`, if there is one, is added to all rows.
    """
    dtype = input.dtype
    if dtype.char in HALVES:
        out = cast(matmul(cast(input, SINGLE), cast(other, SINGLE)), dtype)
        return out if added is None else add_row(out, added)
    if input.ndim == other.ndim == 2 and (size := input.size * other.shape[1]) < LARGE:
        stepped = None if size < _RESULT * _LONG else _in_steps(input, other)
        # dot copies operands that BLAS cannot read, at half the cost of matmul for small products
        out = input.dot(other) if stepped is None else stepped
        if added is None:
            return out
        return np.add(out, added, out) if out.size < SEVERAL else add_row(out, added)
    return matmul(_readable(input), _readable(other), None, added)


def _readable(array: Array) -> Array:
    """`array`, or a copy if neither its rows nor its columns are contiguous: NumPy would use a plain loop instead of BLAS."""
    if array.flags.c_contiguous:
        return array
    rows, columns = array.strides[-2:]
    size = array.itemsize
    if (columns == size and rows >= size * array.shape[-1]) or (rows == size and columns >= size * array.shape[-2]):
        return array
    return np.ascontiguousarray(array)


def matmul(a: Array, b: Array, out: Array | None = None, added: Array | None = None) -> Array:
    """``np.matmul`` of stacks of matrices. A large product is divided, by its shape and the number of threads, and shared."""
    if (1 if a.ndim == 2 else 2) * a.size * b.shape[-1] < LARGE:  # stacks are divided between matrices
        return _product(a, b, out, added)
    if out is None:
        lead = a.shape[:-2] if b.ndim == 2 else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = np.empty((*lead, a.shape[-2], b.shape[-1]), a.dtype if a.dtype is b.dtype else np.result_type(a, b))
    ndim = out.ndim
    axis = next((axis for axis, size in enumerate(out.shape[:-2]) if size > 1), ndim - 2) if ndim > 2 else 0
    if axis == ndim - 2 and out.shape[-2] < min(MANY_ROWS, out.shape[-1]):
        axis += 1
    items = out.shape[axis]
    ahead = AHEAD * items // (out.size * a.shape[-1])
    operands = ((a, -1), (b, -2), (out, 0)) if added is None else ((a, -1), (b, -2), (out, 0), (added, 0))
    divided = [(x, axis != ndim + but and x.ndim >= ndim - axis and x.shape[axis - ndim] > 1) for x, but in operands]
    calls = []
    for piece in parts(items, get_num_threads(), ahead if axis < ndim - 2 else ahead - ahead % 16):
        index: Index = (piece,) if axis == 0 else (..., piece, *[slice(None)] * (ndim - axis - 1))
        calls.append(tuple([x[index] if by else x for x, by in divided]))
    if _step_of(*calls[0][:2]) or not is_whole(*calls[0][:2]):
        multiply: Function = _product
    else:
        multiply = np.matmul if added is None else _sum
    if not share_product(multiply, calls):
        _product(a, b, out, added)
    return out


def _sum(a: Array, b: Array, out: Array, added: Array) -> None:
    np.matmul(a, b, out)
    add_row(out, added)


def _product(a: Array, b: Array, out: Array | None, added: Array | None = None) -> Array:
    stepped = _in_steps(a, b, out)
    out = product(a, b, out) if stepped is None else stepped
    return out if added is None else add_row(out, added)


def is_whole(a: Array, b: Array) -> bool:
    """Whether `product` is ``np.matmul``."""
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    if rows * inner * columns <= UNCOPIED or b.strides[-1] != b.itemsize or b.dtype.char != "f":
        return True
    few = inner * columns <= SMALL and columns % 16 == 0
    return not (few or 4 * rows * inner <= SMALL if blas.reads_in_place() else few and rows * inner >= HUGE)


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """``np.matmul``, in runs of rows or columns where OpenBLAS then reads the operands as they lie, and where the one of which
    each run needs all stays in the first-level cache. If it copies them, only long operands go in runs."""
    if is_whole(a, b):
        return np.matmul(a, b, out)
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    if out is None:
        out = np.empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), rows, columns), np.result_type(a, b))
    if inner * columns <= SMALL and columns % 16 == 0:
        run = -(-rows // -(-rows * inner * columns // UNCOPIED))
        whole = rows - rows % run
        left, found = (array[..., :whole, :].reshape(*array.shape[:-2], -1, run, array.shape[-1]) for array in (a, out))
        np.matmul(left, b[..., None, :, :], found)
        if whole < rows:
            np.matmul(a[..., whole:, :], b, out[..., whole:, :])
    else:
        run = UNCOPIED // (rows * inner)
        run = min(512, run - run % 16)
        whole = columns - columns % run
        right, found = (array[..., :whole].reshape(*array.shape[:-1], -1, run).swapaxes(-3, -2) for array in (b, out))
        np.matmul(a[..., None, :, :], right, found)
        if whole < columns:
            np.matmul(a, b[..., whole:], out[..., whole:])
    return out


def _step_of(a: Array, b: Array) -> int:
    """The number of rows or columns in a step of ``a @ b`` of float32, where rows meet contiguous columns, such that OpenBLAS
    reads both as they lie; 0 if that does not pay."""
    if not blas.reads_in_place():
        return 0
    (m, k), n = a.shape[-2:], b.shape[-1]
    few, many = (m, n) if m < n else (n, m)
    most = min(_FEW if k < _LONGER else _SOME, k // 8)
    if k < _LONG or not 1 < few <= most or a.ndim > 2 or b.ndim > 2 or a.strides[1] != 4 or b.strides[0] != 4:
        return 0
    step = min(_RESULT, UNCOPIED // k) // few // 8 * 8
    pays = (0 if few <= _FEW else _FEW - 1) < step < many and a.dtype == b.dtype == np.float32
    return step if pays else 0


def _in_steps(a: Array, b: Array, out: Array | None = None) -> Array | None:
    """``a @ b`` in products of such sizes; None if that does not pay."""
    step, m, n = _step_of(a, b), a.shape[-2], b.shape[-1]
    if not step:
        return None
    out = np.empty((m, n), a.dtype) if out is None else out
    for i in range(0, max(m, n), step):
        if m < n:
            np.matmul(a, b[:, i : i + step], out[:, i : i + step])
        else:
            np.matmul(a[i : i + step], b, out[i : i + step])
    return out
