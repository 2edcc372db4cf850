"""Symmetric indefinite systems: ``A = P @ L @ D @ L.H @ P.T``, D of blocks of size 1 and 2.

J. Bunch, L. Kaufman, "Some stable methods for calculating inertia and solving symmetric linear systems" (1977), in LAPACK's
packing: L and D share the lower triangle; a positive pivot p exchanged this row with row p, two equal negative ones belong to a
block of 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, scalar_name
from mini_dl._surface import public, return_type
from mini_dl.autograd.mode import mode
from mini_dl.ops.linalg import LinAlgError, first_failure, matrix, square
from mini_dl.tensor import Tensor, wrap

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
    """Exchange rows and columns `i` < `p` of what is left from `k` on, in the lower triangle."""
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


_LDL, _LDLEx = return_type("linalg_ldl_factor", "LD pivots"), return_type("linalg_ldl_factor_ex", "LD pivots info")


def _factors(A: Array, hermitian: bool) -> tuple[Array, Array, Array]:
    LD, pivots, info = np.empty_like(A), np.empty(A.shape[:-1], np.int32), np.zeros(A.shape[:-2], np.int32)
    for at in np.ndindex(info.shape):
        LD[at], pivots[at], info[at] = _factor(A[at], hermitian and A.dtype.kind == "c")
    return LD, pivots, info


@public("linalg", out=True)
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """As `ldl_factor`, with ``info``: the order of the first zero pivot, 0 if there is none."""
    square("torch.linalg.ldl_factor_ex", A)
    LD, pivots, info = mode.run(_factors, A._array, hermitian)
    if check_errors and info.any():
        batch, order = first_failure(info)
        raise LinAlgError(f"torch.linalg.ldl_factor_ex: {batch}D[{order},{order}] is zero: the matrix is singular.")
    return _LDLEx(wrap(LD), wrap(pivots), wrap(info))


@public("linalg", out=True)
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """``(LD, pivots)`` of symmetric (or Hermitian) matrices, of which the lower triangle is read."""
    square("torch.linalg.ldl_factor", A)
    LD, pivots, _ = mode.run(_factors, A._array, hermitian)
    return _LDL(wrap(LD), wrap(pivots))


def _solutions(LD: Array, pivots: Array, B: Array, hermitian: bool) -> Array:
    batch = np.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    LD, pivots = np.broadcast_to(LD, (*batch, *LD.shape[-2:])), np.broadcast_to(pivots, (*batch, pivots.shape[-1]))
    B = np.broadcast_to(B, (*batch, *B.shape[-2:]))
    X = np.empty(B.shape, B.dtype)
    for at in np.ndindex(batch):
        X[at] = _solve(LD[at], pivots[at], B[at], hermitian and B.dtype.kind == "c")
    return X


@public("linalg", out=True)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """The solution of ``A @ X = B`` from what `ldl_factor` returned."""
    name = "torch.linalg.ldl_solve"
    square(name, LD, "LD")
    if B._array.ndim < 2:
        raise RuntimeError(f"{name}: Expected B to have at least 2 dimensions, but it has {B._array.ndim} dimensions instead")
    matrix(name, B, "B")
    if pivots._array.shape != LD._array.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots._array.shape)} instead"
        )
    if pivots._array.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {scalar_name(pivots._array.dtype)}")
    if LD._array.dtype != B._array.dtype:
        raise RuntimeError(
            f"{name}: LD dtype {scalar_name(LD._array.dtype)} does not match b dtype {scalar_name(B._array.dtype)}"
        )
    if LD._array.shape[-1] != B._array.shape[-2]:
        n, (r, c) = LD._array.shape[-1], B._array.shape[-2:]
        raise RuntimeError(f"{name}: Incompatible shapes of LD and B ({n}x{n} and {r}x{c})")
    return wrap(mode.run(_solutions, LD._array, pivots._array, B._array, hermitian))
