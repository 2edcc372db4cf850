"""Factorizations of stacks of matrices that LAPACK does not offer through NumPy.

Few matrices are given to LAPACK one by one where it can be reached. Many small ones, and those where numbers are not finite or
rounding decides whether a matrix is singular, are computed row by row, all matrices at once.
"""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels import blas

# ------------------------------------------------------------------------------------------------ arguments


def h(A: Array) -> Array:
    return np.swapaxes(A, -2, -1).conj()


def first_failure(info: Array) -> tuple[str, int]:
    """The first failure in a batch: ("(Batch element 3): ", the info of that matrix)."""
    at = int(np.flatnonzero(info)[0])
    return (f"(Batch element {at}): " if info.ndim else ""), int(info.reshape(-1)[at])


# ------------------------------------------------------------------------------------------------ LU


def factor(A: Array) -> tuple[Array, Array, Array]:
    """(LU in one matrix, row exchanges counted from 1, order of the first zero pivot or 0), with partial pivoting."""
    LU = np.array(A)
    m, n = LU.shape[-2:]
    batch = LU.shape[:-2]
    flat = LU.reshape(math.prod(batch), m, n)
    steps = min(m, n)
    pivots = np.empty((len(flat), steps), np.int32)
    info = np.zeros(len(flat), np.int32)
    if len(flat) > steps:
        _by_columns(flat, pivots, info)
    else:
        for i, matrix in enumerate(flat):
            found = blas.factor(matrix)
            if found is None or _doubtful(matrix, found[0]):
                _by_columns(flat[i : i + 1], pivots[i : i + 1], info[i : i + 1])
            else:
                matrix[...], pivots[i], info[i] = found
    return flat.reshape(LU.shape), pivots.reshape(*batch, steps), info.reshape(batch)


def _doubtful(A: Array, LU: Array) -> bool:
    """Whether numbers are not finite, or a pivot is so small that rounding decides whether it is 0."""
    small = 16 * np.finfo(A.dtype).eps * np.abs(A).max()
    return not (np.isfinite(LU).all() and np.abs(LU.diagonal()).min() > small)


def _by_columns(flat: Array, pivots: Array, info: Array) -> None:
    each = np.arange(len(flat))
    for k in range(pivots.shape[1]):
        size = np.abs(flat[:, k:, k].real) + np.abs(flat[:, k:, k].imag)
        p = k + size.argmax(1)
        pivots[:, k] = p + 1
        flat[each, k], flat[each, p] = flat[each, p], flat[each, k].copy()
        pivot = flat[:, k, k]
        zero = pivot == 0
        info[zero & (info == 0)] = k + 1
        flat[:, k + 1 :, k] /= np.where(zero, 1, pivot)[:, None]
        flat[:, k + 1 :, k + 1 :] -= flat[:, k + 1 :, k, None] * flat[:, None, k, k + 1 :]


def permutation(pivots: Array, m: int) -> Array:
    """The order of the rows after the exchanges: ``A[order] = L @ U``."""
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    order = np.tile(np.arange(m), (len(flat), 1))
    if len(flat) <= flat.shape[1]:
        for i, exchanges in enumerate(flat.tolist()):
            row = list(range(m))
            for k, p in enumerate(exchanges):
                row[k], row[p - 1] = row[p - 1], row[k]
            order[i] = row
        return order.reshape(*pivots.shape[:-1], m)
    each = np.arange(len(flat))
    for k in range(flat.shape[1]):
        p = flat[:, k] - 1
        order[each, k], order[each, p] = order[each, p], order[each, k].copy()
    return order.reshape(*pivots.shape[:-1], m)


# ------------------------------------------------------------------------------------------------ inverse and solutions


SMALL = 8
"""Rows for each matrix of a stack up to which LAPACK gains little time; it multiplies by rounded reciprocals of the diagonal."""


def substitute(A: Array, X: Array, upper: bool, unit: bool) -> None:
    """Solve ``A @ out = X`` in place for triangular A, with as many dimensions as X or fewer."""
    n = X.shape[-2]
    if math.prod(X.shape[:-2]) * SMALL > n or not X.size:
        _by_halves(A, X, upper, unit, n)
        return
    A = np.broadcast_to(A, (*X.shape[:-2], n, n))
    for at in np.ndindex(X.shape[:-2]):
        matrix, solution = A[at], np.array(X[at], order="A")
        if not matrix.flags.forc:
            matrix = matrix.copy()
        if blas.substitute(matrix, solution, upper, unit) and np.isfinite(solution).all():
            X[at] = solution
        else:
            _by_halves(matrix, X[at], upper, unit, n)


def _by_halves(A: Array, X: Array, upper: bool, unit: bool, n: int) -> None:
    """Solve in place: blocks of 16 rows one by one, larger ones by splitting them in half and a product."""
    if n <= 16:
        for k in range(n - 1, -1, -1) if upper else range(n):
            known = slice(k + 1, n) if upper else slice(0, k)
            X[..., k, :] -= (A[..., k, None, known] @ X[..., known, :])[..., 0, :]
            if not unit:
                X[..., k, :] /= A[..., k, k, None]
        return
    half = n // 2
    first, second = slice(0, half), slice(half, n)
    if upper:
        first, second = second, first
    _by_halves(A[..., first, first], X[..., first, :], upper, unit, first.stop - first.start)
    X[..., second, :] -= A[..., second, first] @ X[..., first, :]
    _by_halves(A[..., second, second], X[..., second, :], upper, unit, second.stop - second.start)


# ------------------------------------------------------------------------------------------------ Cholesky


def cholesky(A: Array) -> Array:
    """NumPy's, but LinAlgError also for NaN and if an infinite pivot divides infinity, which not every LAPACK detects."""
    L = np.linalg.cholesky(A)
    pivots = L.diagonal(0, -2, -1)
    if np.isnan(pivots).any() or np.isinf(pivots[..., :-1]).any():
        raise np.linalg.LinAlgError
    return L


def minor(A: Array) -> Array:
    """For each matrix the order of its first leading minor that is not positive, 0 if it is positive definite."""
    info = np.zeros(A.shape[:-2], np.int32)
    for at in np.ndindex(info.shape):
        info[at] = next((k for k in range(1, A.shape[-1] + 1) if not _positive(A[at][:k, :k])), 0)
    return info


def _positive(A: Array) -> bool:
    try:
        cholesky(A)
    except np.linalg.LinAlgError:
        return False
    return True


# ------------------------------------------------------------------------------------------------ singular values


def inverted(values: Array, atol: Array | float, rtol: Array | float) -> Array:
    """The reciprocals of the values that are not negligible, else 0."""
    large = is_large(values, atol, rtol)
    return large / np.where(large, values, 1)


def is_large(values: Array, atol: Array | float, rtol: Array | float) -> Array:
    size = np.abs(values)
    limit = np.maximum(np.asarray(atol), np.asarray(rtol) * size.max(-1, initial=0))
    return size > limit[..., None].astype(values.dtype)


ALPHA = (1 + math.sqrt(17)) / 8


def _size(x: Array) -> Array:
    return np.abs(x.real) + np.abs(x.imag)


def _pivot(A: Array, k: int) -> tuple[int, int]:
    """(row to exchange, size of the block): the pivot at column `k` that keeps L small."""
    n = len(A)
    here = _size(A[k, k])
    below = _size(A[k + 1 :, k])
    if not below.size or here >= ALPHA * below.max():
        return k, 1
    top = k + 1 + int(below.argmax())
    largest = below.max()
    row = max(_size(A[top, k:top]).max(), _size(A[top + 1 :, top]).max() if top + 1 < n else 0)
    if here >= ALPHA * largest * (largest / row):
        return k, 1
    return (top, 1) if _size(A[top, top]) >= ALPHA * row else (top, 2)


def _exchange(A: Array, k: int, i: int, p: int, hermitian: bool) -> None:
    """Exchange rows and columns `i` < `p` of the remaining matrix from `k` on, in the lower triangle."""
    A[p + 1 :, i], A[p + 1 :, p] = A[p + 1 :, p].copy(), A[p + 1 :, i].copy()
    between, across = A[i + 1 : p, i].copy(), A[p, i + 1 : p].copy()
    A[i + 1 : p, i], A[p, i + 1 : p] = (across.conj(), between.conj()) if hermitian else (across, between)
    if hermitian:
        A[p, i] = A[p, i].conj()
    A[i, i], A[p, p] = A[p, p], A[i, i]
    if i > k:
        A[i, k], A[p, k] = A[p, k], A[i, k]


def _factor(A: Array, hermitian: bool) -> tuple[Array, Array, int]:
    A = np.tril(A)
    n = len(A)
    pivots, info, k = np.zeros(n, np.int32), 0, 0
    if hermitian:
        A[range(n), range(n)] = A.diagonal().real
    while k < n:
        if _size(A[k:, k]).max() == 0:
            info, pivots[k] = info or k + 1, k + 1
            k += 1
            continue
        p, size = _pivot(A, k)
        i = k + size - 1
        if p != i:
            _exchange(A, k, i, p, hermitian)
        X = A[k + size :, k : k + size].copy()
        W = X @ np.linalg.inv(_block(A, k, size, hermitian))
        A[k + size :, k + size :] -= np.tril(W @ (X.conj() if hermitian else X).T)
        A[k + size :, k : k + size] = W
        pivots[k : k + size] = p + 1 if size == 1 else -(p + 1)
        k += size
    return A, pivots, info


def _block(A: Array, k: int, size: int, hermitian: bool) -> Array:
    """The block of D at `k`, with its upper half."""
    D = A[k : k + size, k : k + size].copy()
    if size == 2:
        D[0, 1] = D[1, 0].conj() if hermitian else D[1, 0]
    return D


def _solve(LD: Array, pivots: Array, B: Array, hermitian: bool) -> Array:
    X, n, k = B.copy(), len(LD), 0
    starts = []
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        starts.append((k, size))
        i, p = k + size - 1, abs(pivots[k]) - 1
        X[[i, p]] = X[[p, i]]
        X[k + size :] -= LD[k + size :, k : k + size] @ X[k : k + size]
        X[k : k + size] = np.linalg.solve(_block(LD, k, size, hermitian), X[k : k + size])
        k += size
    for k, size in reversed(starts):
        L = LD[k + size :, k : k + size]
        X[k : k + size] -= (L.conj() if hermitian else L).T @ X[k + size :]
        i, p = k + size - 1, abs(pivots[k]) - 1
        X[[i, p]] = X[[p, i]]
    return X


def factors(A: Array, hermitian: bool) -> tuple[Array, Array, Array]:
    LD, pivots, info = np.empty_like(A), np.empty(A.shape[:-1], np.int32), np.zeros(A.shape[:-2], np.int32)
    for at in np.ndindex(info.shape):
        LD[at], pivots[at], info[at] = _factor(A[at], hermitian and A.dtype.kind == "c")
    return LD, pivots, info


def solutions(LD: Array, pivots: Array, B: Array, hermitian: bool) -> Array:
    batch = np.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    LD, pivots = np.broadcast_to(LD, (*batch, *LD.shape[-2:])), np.broadcast_to(pivots, (*batch, pivots.shape[-1]))
    B = np.broadcast_to(B, (*batch, *B.shape[-2:]))
    X = np.empty(B.shape, B.dtype)
    for at in np.ndindex(batch):
        X[at] = _solve(LD[at], pivots[at], B[at], hermitian and B.dtype.kind == "c")
    return X
