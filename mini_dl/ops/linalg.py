"""Linear algebra: NumPy's factorisations, with derivatives of our own.

The last two dimensions are the matrix, those before them a batch. A formula is made of products, solutions and factorisations,
which have derivatives themselves; ``A.H`` is the conjugate transpose.

Formulas of the factorisations: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); for complex matrices and phases, as they follow from it by requiring the loss not to see the phase.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import Array, dtype, scalar_name
from mini_dl._surface import method, public, requires_grad, return_type
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels import linalg as kernels
from mini_dl.kernels.linalg import factor, first_failure, h, is_large, permutation
from mini_dl.ops.joining import cat
from mini_dl.ops.matmul import chain
from mini_dl.ops.norms import converted, vector_norm
from mini_dl.ops.reduction import checked
from mini_dl.tensor import Tensor, wrap


class _LinAlgError(RuntimeError):
    """A matrix does not have what was asked for: an inverse, a Cholesky factor, ..."""


LinAlgError = _LinAlgError

# ------------------------------------------------------------------------------------------------ arguments


def matrix(name: str, A: Any, label: str = "A", floating: bool = True) -> Tensor:
    """`A`, once it is known to be a batch of matrices that NumPy can factor."""
    if not isinstance(A, Tensor):
        raise TypeError(f"{name.replace('.', '_')}(): argument '{label}' (position 1) must be Tensor, not {type_name(A)}")
    if A._array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {label} must have at least 2 dimensions.")
    if floating:
        kind = A._array.dtype
        if kind.kind not in "fc":
            raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {scalar_name(kind)}")
        if kind.char == "e":
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got Half")
    return A


def square(name: str, A: Any, label: str = "A", floating: bool = True) -> Tensor:
    """`A`, once it is known to be a batch of square matrices."""
    rows, columns = matrix(name, A, label, floating)._array.shape[-2:]
    if rows != columns:
        raise RuntimeError(f"{name}: {label} must be batches of square matrices, but they are {rows} by {columns} matrices")
    return A


def H(A: Tensor) -> Tensor:
    """The conjugate transpose."""
    At = A.transpose(-2, -1)
    return At.conj() if A._array.dtype.kind == "c" else At


def eye_like(A: Tensor, n: int) -> Tensor:
    return wrap(np.eye(n, dtype=A._array.dtype))


def diagonal(A: Tensor) -> Tensor:
    return A.diagonal(dim1=-2, dim2=-1)


def on_diagonal(values: Tensor, rest: Tensor) -> Tensor:
    """`rest` with its diagonal replaced."""
    n = rest._array.shape[-1]
    identity = np.eye(n, dtype=rest._array.dtype)
    return rest * wrap(1 - identity) + values.unsqueeze(-1) * wrap(identity)


@op(source=lambda grad, source_shape: wrap(np.zeros(source_shape)))
def tied(result: Array, source: Array) -> Array:
    """`result`, of which torch says that it requires grad with `source`, although it does not depend on it."""
    return result.copy()


@op(source=lambda grad, source_shape: (grad.sum() * 0).expand(source_shape))
def tied_to_empty(result: Array, source: Array) -> Array:
    """As `tied`, where torch computes the gradient of the empty `source` all the same."""
    return result.copy()


@op(result=lambda grad: grad, source=lambda grad: None)
def tied_without_gradient(result: Array, source: Array) -> Array:
    """As `tied`, where torch then gives no gradient instead of zeros."""
    return result.copy()


# ------------------------------------------------------------------------------------------------ LU


def _lu_gradient(grads: Any, result: Any) -> Tensor:
    gL, gU = grads
    L, U = result
    inner = None
    if gL is not None:
        inner = (H(L) @ gL).tril(-1)
    if gU is not None:
        upper = (gU @ H(U)).triu()
        inner = upper if inner is None else inner + upper
    assert inner is not None
    return solve_triangular(H(L), solve_triangular(H(U), inner, upper=False, left=False), upper=True, unitriangular=True)


@op(input=lambda grads, result: _lu_gradient(grads, result))
def _lu_square(input: Array) -> tuple[Array, Array]:
    """L and U of square matrices whose rows are in order already."""
    LU = np.array(input)
    n = LU.shape[-1]
    for k in range(n):
        pivot = LU[..., k, k]
        LU[..., k + 1 :, k] /= np.where(pivot == 0, 1, pivot)[..., None]
        LU[..., k + 1 :, k + 1 :] -= LU[..., k + 1 :, k, None] * LU[..., k, None, k + 1 :]
    return np.tril(LU, -1) + np.eye(n, dtype=LU.dtype), np.triu(LU)


def exchange(A: Tensor, order: Array) -> Tensor:
    """The rows of `A` in `order`."""
    index = wrap(np.broadcast_to(order[..., None], A._array.shape))
    return A.gather(-2, index)


def _lower_upper(A: Tensor) -> tuple[Tensor, Tensor, Array, Array]:
    """(L, U, pivots, info). What is below or right of a square part follows from it by solving."""
    LU, pivots, info = mode.run(factor, A._array)
    m, n = A._array.shape[-2:]
    k = min(m, n)
    if not requires_grad(A) or not mode.enabled:
        L = np.tril(LU[..., :k], -1)
        L[..., range(k), range(k)] = 1
        return wrap(L), wrap(np.triu(LU[..., :k, :])), pivots, info
    A = exchange(A, permutation(pivots, m))
    L, U = _lu_square(A.narrow(-2, 0, k).narrow(-1, 0, k))
    if m > k:
        rest = solve_triangular(U, A.narrow(-2, k, m - k), upper=True, left=False)
        L = cat([L, rest], -2)
    if n > k:
        rest = solve_triangular(L, A.narrow(-1, k, n - k), upper=False, unitriangular=True)
        U = cat([U, rest], -1)
    return L, U, pivots, info


def _packed(L: Tensor, U: Tensor) -> Tensor:
    """L and U in one matrix, without the diagonal of L."""
    m, n = L._array.shape[-2], U._array.shape[-1]
    L = L.tril(-1)
    if n > m:
        return cat([L, L.narrow(-1, 0, 1).expand(*L._array.shape[:-1], n - m) * 0], -1) + U
    if m > n:
        return L + cat([U, U.narrow(-2, 0, 1).expand(*U._array.shape[:-2], m - n, n) * 0], -2)
    return L + U


_LU = return_type("linalg_lu", "P L U")
_LUFactor, _LUFactorEx = return_type("linalg_lu_factor", "LU pivots"), return_type("linalg_lu_factor_ex", "LU pivots info")
_LUUnpack = return_type("lu_unpack", "P L U")


def _pivoting(pivot: bool) -> None:
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


def _permutation_matrix(pivots: Array, m: int, kind: Any) -> Tensor:
    order = permutation(pivots, m)
    return wrap(np.swapaxes(np.eye(m, dtype=kind)[order], -2, -1).copy())


@public("linalg", out=True)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """``(P, L, U)`` with ``A = P @ L @ U``: a permutation, unit lower and upper triangular."""
    _pivoting(pivot)
    L, U, pivots, _ = _lower_upper(matrix("linalg.lu", A))
    return _LU(_permutation_matrix(pivots, A._array.shape[-2], A._array.dtype), L, U)


def _zero_pivot(name: str, info: Array) -> str:
    batch, order = first_failure(info)
    return (
        f"{name}: {batch}U[{order},{order}] is zero and using it on lu_solve would result in a division by zero. If you still "
        "want "
        "to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
    )


@public("linalg", out=True)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """As `lu_factor`, with ``info``: the order of the first zero pivot, 0 if there is none."""
    _pivoting(pivot)
    A = matrix("torch.linalg.lu_factor_ex", A)
    if requires_grad(A) and mode.enabled:
        L, U, pivots, info = _lower_upper(A)
        LU = _packed(L, U)
    else:
        array, pivots, info = mode.run(factor, A._array)
        LU = wrap(array)
    if check_errors and info.any():
        raise RuntimeError(_zero_pivot("torch.linalg.lu_factor_ex", info))
    return _LUFactorEx(LU, wrap(pivots), wrap(info))


@public("linalg", out=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """``(LU, pivots)``: L without its diagonal and U in one matrix, and the row exchanges, counted from 1."""
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    if info._array.any():
        raise RuntimeError(_zero_pivot("torch.linalg.lu_factor", info._array))
    return _LUFactor(LU, pivots)


@public("torch:lu", "Tensor:lu", out=True)
def _torch_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """``linalg.lu_factor``, with ``info`` on request."""
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    return (LU, pivots, info) if get_infos else (LU, pivots)


@public("torch", out=True)
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """``(P, L, U)`` from what `lu_factor` returned."""
    if unpack_pivots and LU_pivots._array.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    LU = matrix("torch.lu_unpack", LU_data, "LU_data", floating=False)
    m, n = LU._array.shape[-2:]
    k = min(m, n)
    nothing = wrap(np.empty(0, LU._array.dtype))
    P = _permutation_matrix(LU_pivots._array, m, LU._array.dtype) if unpack_pivots else nothing
    if not unpack_data:
        return _LUUnpack(P, nothing, nothing)
    return _LUUnpack(P, LU.narrow(-1, 0, k).tril(-1) + eye_like(LU, m)[:, :k], LU.narrow(-2, 0, k).triu())


@public("linalg:lu_solve", out=True)
def _lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solution of ``A @ X = B`` (or ``X @ A = B``; of the adjoint of A) from the LU factors of A."""
    square("torch.linalg.lu_solve", LU, "LU")
    matrix("torch.linalg.lu_solve", B, "B")
    if pivots._array.dtype != np.int32:
        raise RuntimeError(
            f"linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32. Got {scalar_name(pivots._array.dtype)}"
        )
    if LU._array.dtype != B._array.dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type {scalar_name(LU._array.dtype)} "
            "and B of "
            f"type {scalar_name(B._array.dtype)} instead"
        )
    n = LU._array.shape[-1]
    if pivots._array.shape != LU._array.shape[:-1]:
        raise RuntimeError("linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix")
    if B._array.shape[-2 if left else -1] != n:
        r, c = B._array.shape[-2:]
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"linalg.lu_solve: Incompatible shapes of A and B for the equation {equation} ({n}x{n} and {r}x{c})")
    if not left:
        return H(_lu_solve(LU, pivots, H(B), adjoint=not adjoint))
    order = permutation(pivots._array, n)
    batch = np.broadcast_shapes(LU._array.shape[:-2], B._array.shape[:-2])
    B = B.expand(*batch, *B._array.shape[-2:])
    if not adjoint:
        Y = solve_triangular(LU, exchange(B, order), upper=False, unitriangular=True)
        return solve_triangular(LU, Y, upper=True)
    Y = solve_triangular(H(LU), B, upper=False)
    return exchange(solve_triangular(H(LU), Y, upper=True, unitriangular=True), np.argsort(order, -1))


@method(out=True)
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The solution of ``A @ X = input`` from the LU factors of A."""
    return _lu_solve(LU_data, LU_pivots, input)


# ------------------------------------------------------------------------------------------------ inverse and solutions


@op(A=lambda grad, result: -(H(result) @ grad @ H(result)))
def _inv(A: Array) -> Array:
    return np.linalg.inv(A)


@op(
    A=lambda grad, A, result: -(_solve(H(A), grad) @ H(result)),
    B=lambda grad, A: _solve(H(A), grad),
)
def _solve(A: Array, B: Array) -> Array:
    """``A @ X = B`` for matrices B, with broadcasting."""
    return np.linalg.solve(A, B)


def _singular(A: Tensor) -> Array:
    """For each matrix the order of its first zero pivot, 0 if it has an inverse."""
    return np.asarray(mode.run(factor, A._array)[2])


def _raise_singular(name: str, info: Array, inverse: bool) -> None:
    batch, order = first_failure(info)
    if inverse:
        raise LinAlgError(
            f"{name}: {batch}The diagonal element {order} is zero, the inversion could not be completed because the input "
            "matrix is "
            "singular."
        )
    raise LinAlgError(f"{name}: {batch}The solver failed because the input matrix is singular.")


def _inverse(name: str, A: Tensor) -> Tensor:
    square(name, A)
    try:
        return _inv(A)
    except np.linalg.LinAlgError:
        _raise_singular(name, _singular(A), True)
        raise


_InvEx, _SolveEx = return_type("linalg_inv_ex", "inverse info"), return_type("linalg_solve_ex", "result info")


@public("linalg", out=True)
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices. LinAlgError (a RuntimeError) where one is singular.

    >>> import mini_dl as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return _inverse("linalg.inv", A)


@method(out=True)
def inverse(input: Tensor) -> Tensor:
    """``linalg.inv``"""
    return _inverse("linalg.inv", input)


@public("linalg", out=True)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """``(inverse, info)``: where a matrix is singular, info is the order of its first zero pivot, and there is no error."""
    info = _singular(square("linalg.inv", A))
    if not info.any():
        return _InvEx(_inv(A), wrap(info))
    if check_errors:
        _raise_singular("linalg.inv_ex", info, True)
    return _InvEx(_inv(A * 1 + eye_like(A, A._array.shape[-1]) * wrap((info != 0)[..., None, None])) * math.nan, wrap(info))


def _solve_system(name: str, A: Tensor, B: Tensor, left: bool) -> Tensor:
    square(name, A)
    matrix_or_vector = B._array.ndim == 1 or (
        A._array.ndim - 1 == B._array.ndim and B._array.shape == A._array.shape[:-1] and A._array.ndim > 2
    )
    if A._array.dtype != B._array.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {scalar_name(A._array.dtype)} and B of type "
            f"{scalar_name(B._array.dtype)} instead"
        )
    vector = matrix_or_vector
    if vector and not left:
        raise RuntimeError(f"{name}: Vector broadcasting of the left hand side is not supported for left=False")
    if vector:
        B = B.unsqueeze(-1)
    n = A._array.shape[-1]
    if B._array.shape[-2 if left else -1] != n:
        r, c = B._array.shape[-2:]
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation {equation} ({n}x{n} and {r}x{c})")
    try:
        out = _solve(A, B) if left else H(_solve(H(A), H(B)))
    except np.linalg.LinAlgError:
        _raise_singular(name, _singular(A), False)
        raise
    return out.squeeze(-1) if vector else out


@public("linalg", out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The solution of ``A @ X = B`` (or ``X @ A = B``). LinAlgError where A is singular.

    ``(*, n, n), (*, n, k) -> (*, n, k)``; B may be vectors ``(*, n)``.
    """
    return _solve_system("linalg.solve", A, B, left)


@public("linalg", out=True)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """``(result, info)``: as `solve`, without an error where A is singular unless asked for."""
    info = _singular(square("linalg.solve", A))
    if info.any() and not check_errors:
        A = A + eye_like(A, A._array.shape[-1]) * wrap((info != 0)[..., None, None]) * math.nan
    return _SolveEx(_solve_system("linalg.solve_ex" if check_errors else "linalg.solve", A, B, left), wrap(info))


@public("linalg", out=True)
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The solution of ``A @ X = B`` (or ``X @ A = B``) for triangular A, of which only that triangle is read."""
    name = "linalg.solve_triangular"
    square(name, A)
    matrix(name, B, "B")
    n = A._array.shape[-1]
    if B._array.shape[-2 if left else -1] != n:
        r, c = B._array.shape[-2:]
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation {equation} ({n}x{n} and {r}x{c})")
    if A._array.dtype != B._array.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {scalar_name(A._array.dtype)} and B of type "
            f"{scalar_name(B._array.dtype)} instead"
        )
    return _triangular(A, B, upper, unitriangular) if left else H(_triangular(H(A), H(B), not upper, unitriangular))


def _triangular_gradient(grad: Tensor, A: Tensor, result: Tensor, upper: bool, unit: bool) -> Tensor:
    whole = -(_triangular(H(A), grad, not upper, unit) @ H(result))
    return whole.triu(int(unit)) if upper else whole.tril(-int(unit))


@op(
    A=lambda grad, A, result, upper, unit: _triangular_gradient(grad, A, result, upper, unit),
    B=lambda grad, A, upper, unit: _triangular(H(A), grad, not upper, unit),
)
def _triangular(A: Array, B: Array, upper: bool, unit: bool) -> Array:
    n = A.shape[-1]
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    X = np.array(np.broadcast_to(B, (*batch, *B.shape[-2:])))
    kernels.substitute(A, X, upper, unit, n)
    return X


_TriangularSolve = return_type("triangular_solve", "solution cloned_coefficient")


@method(out=True)
def triangular_solve(b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Any:
    """``(solution, A)`` of ``A @ X = b`` for triangular A (`transpose`: of ``A.T @ X = b``)."""
    if b._array.ndim < 2:
        raise RuntimeError(
            f"torch.triangular_solve: Expected b to have at least 2 dimensions, but it has {b._array.ndim} dimensions instead"
        )
    if A._array.ndim < 2:
        raise RuntimeError(
            f"torch.triangular_solve: Expected A to have at least 2 dimensions, but it has {A._array.ndim} dimensions instead"
        )
    M = A.transpose(-2, -1) if transpose else A
    return _TriangularSolve(solve_triangular(M, b, upper=upper != transpose, unitriangular=unitriangular), A.clone())


# ------------------------------------------------------------------------------------------------ Cholesky


def _cholesky_gradient(grad: Tensor, result: Tensor, upper: bool) -> Tensor:
    """``A = L @ L.H``: from phi, the lower half of ``L.H @ grad`` with half its diagonal, made Hermitian."""
    if upper:
        grad, result = H(grad), H(result)
    phi = (H(result) @ grad).tril()
    phi = phi + H(phi.tril(-1))
    inner = solve_triangular(H(result), phi * 0.5, upper=True)
    return solve_triangular(result, inner, upper=False, left=False)


def _real_diagonal(A: Tensor) -> Tensor:
    """The diagonal matrix of the real part of the diagonal."""
    D = A * eye_like(A, A._array.shape[-1])
    return (D + D.conj()) * 0.5 if A._array.dtype.kind == "c" else D


@op(A=lambda grad, result, upper: _cholesky_gradient(grad, result, upper))
def _cholesky(A: Array, upper: bool) -> Array:
    return h(np.linalg.cholesky(h(A))) if upper else np.linalg.cholesky(A)


def _cholesky_of(name: str, A: Tensor, upper: bool) -> Tensor:
    square(name, A)
    try:
        return _cholesky(A, upper)
    except np.linalg.LinAlgError:
        batch, order = first_failure(mode.run(kernels.minor, A._array))
        raise LinAlgError(
            f"{name}: {batch}The factorization could not be completed because the input is not positive-definite (the leading "
            "minor of "
            f"order {order} is not positive-definite)."
        ) from None


_CholeskyEx = return_type("linalg_cholesky_ex", "L info")


@public("linalg:cholesky", out=True)
def _linalg_cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with ``A = L @ L.H`` of positive definite matrices (`upper`: ``L.H``). LinAlgError if one is not."""
    return _cholesky_of("linalg.cholesky", A, upper)


@method(out=True)
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """``linalg.cholesky``"""
    return _cholesky_of("cholesky", input, upper)


@public("linalg", out=True)
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """``(L, info)``: info is the order of the first leading minor that is not positive, 0 for a positive definite matrix."""
    try:
        L = _cholesky_of("linalg.cholesky_ex" if check_errors else "linalg.cholesky", A, upper)
        return _CholeskyEx(L, wrap(np.zeros(A._array.shape[:-2], np.int32)))
    except LinAlgError:
        if check_errors:
            raise
    info = mode.run(kernels.minor, A._array)
    good = wrap((info == 0)[..., None, None])
    safe = A * good + eye_like(A, A._array.shape[-1]) * good.logical_not()
    L = _cholesky(safe, upper)
    return _CholeskyEx(L * good + (A.triu() if upper else A.tril()) * good.logical_not(), wrap(info))


@method(out=True)
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The solution of ``A @ X = B`` where ``A = L @ L.H`` (`upper`: ``L.H @ L``)."""
    for label, M in (("b", B), ("u", L)):
        if M._array.ndim < 2:
            raise RuntimeError(f"{label} should have at least 2 dimensions, but has {M._array.ndim} dimensions instead")
    if L._array.shape[-1] != L._array.shape[-2]:
        r, c = L._array.shape[-2:]
        raise RuntimeError(f"cholesky_solve: A must be batches of square matrices, but they are {r} by {c} matrices")
    if L._array.shape[-1] != B._array.shape[-2]:
        n, (r, c) = L._array.shape[-1], B._array.shape[-2:]
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {n} by {n} but each b matrix is {r} by {c}"
        )
    return _cholesky_solve(B, L, upper)


def _cholesky_solve_gradient(grad: Tensor, L: Tensor, result: Tensor, upper: bool) -> Tensor:
    """As if all of L were read: what lies outside its triangle is 0, and its gradient is that of ``L @ L.H``."""
    inner = _cholesky_solve(grad, L, upper) @ H(result)
    inner = inner + H(inner)
    return -(L @ inner) if upper else -(inner @ L)


@op(
    B=lambda grad, L, upper: _cholesky_solve(grad, L, upper),
    L=lambda grad, L, result, upper: _cholesky_solve_gradient(grad, L, result, upper),
)
def _cholesky_solve(B: Array, L: Array, upper: bool) -> Array:
    if upper:
        L = h(L)
    X = np.array(np.broadcast_to(B, (*np.broadcast_shapes(L.shape[:-2], B.shape[:-2]), *B.shape[-2:])))
    kernels.substitute(L, X, False, False, L.shape[-1])
    kernels.substitute(h(L), X, True, False, L.shape[-1])
    return X


@method(out=True)
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of ``A = L @ L.H`` (`upper`: ``L.H @ L``)."""
    square("cholesky_inverse", L)
    n = L._array.shape[-1]
    return cholesky_solve(eye_like(L, n).expand(L._array.shape), L, upper)


# ------------------------------------------------------------------------------------------------ determinants


@op(A=lambda grad, A, result: _det_gradient(grad, A, result))
def _det(A: Array) -> Array:
    return np.linalg.det(A)


def _det_gradient(grad: Tensor, A: Tensor, result: Tensor) -> Tensor:
    """``grad * cofactors``: of invertible matrices ``det * inv(A).H``, else from the minors."""
    each = grad.unsqueeze(-1).unsqueeze(-1)
    if not A._array.size:
        return wrap(np.zeros_like(A._array))
    if A._array.shape[-1] == 1:
        return each
    if not _nearly_singular(A._array):
        return each * H(result.unsqueeze(-1).unsqueeze(-1) * _inv(A))
    cofactors = _minors(A) if mode.enabled else _cofactors(A)
    return each * (cofactors.conj() if A._array.dtype.kind == "c" else cofactors)


def _nearly_singular(A: Array) -> bool:
    s: Array = mode.run(np.linalg.svd, A, False, False)
    return bool((s[..., -1] <= s[..., 0] * A.shape[-1] * np.finfo(A.dtype).eps * 10).any())


@op()
def _cofactors(A: Array) -> Array:
    """``d det / d A``, from the singular values, of which any may be 0."""
    n = A.shape[-1]
    U, s, Vh = np.linalg.svd(A)
    others = np.stack([np.prod(np.delete(s, i, -1), -1) for i in range(n)], -1) if n else s
    phase = np.linalg.det(U) * np.linalg.det(Vh)
    return (U.conj() * (phase[..., None] * others)[..., None, :]) @ Vh.conj()


def _minors(A: Tensor) -> Tensor:
    """The cofactors as determinants of what is left without a row and a column: these have derivatives of any order."""
    n = A._array.shape[-1]
    kept = np.array([[k for k in range(n) if k != i] for i in range(n)], np.int64).reshape(n, n - 1)
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    minors = A[..., wrap(kept[:, None, :, None]), wrap(kept[None, :, None, :])]
    return _det(minors) * wrap(signs.astype(A._array.dtype))


@public("linalg", out=True)
def det(A: Tensor) -> Tensor:
    """The determinant.

    >>> import mini_dl as torch
    >>> torch.linalg.det(torch.tensor([[3.0, 1.0], [0.0, 2.0]]))
    tensor(6.)
    """
    return _det(square("linalg.det", A))


@public("torch:det", "Tensor:det")
def _torch_det(input: Tensor) -> Tensor:
    """``linalg.det``"""
    return _det(square("linalg.det", input))


def _slogdet_gradient(grads: Any, A: Tensor, result: Any) -> Tensor:
    of_sign, of_log = grads
    each = of_log
    if A._array.dtype.kind == "c" and of_sign is not None:
        turn = (of_sign.conj() * result[0]).imag * -1j
        each = turn if each is None else each + turn
    if each is None:
        return A * 0
    return each.unsqueeze(-1).unsqueeze(-1) * H(_inv(A))


@op(A=lambda grads, A, result: _slogdet_gradient(grads, A, result))
def _slogdet(A: Array) -> tuple[Array, Array]:
    sign, log = np.linalg.slogdet(A)
    return np.asarray(sign), np.asarray(log)


_Slogdet, _LinalgSlogdet = return_type("slogdet", "sign logabsdet"), return_type("linalg_slogdet", "sign logabsdet")


@public("linalg:slogdet", out=True)
def _linalg_slogdet(A: Tensor) -> Any:
    """``(sign, logabsdet)`` with ``det = sign * exp(logabsdet)``."""
    return _LinalgSlogdet(*_slogdet(square("linalg.slogdet", A)))


@method(out=True)
def slogdet(input: Tensor) -> Any:
    """``(sign, logabsdet)`` with ``det = sign * exp(logabsdet)``."""
    return _Slogdet(*_slogdet(square("linalg.slogdet", input)))


@method()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where it is negative."""
    sign, log = _slogdet(square("logdet", input))
    return log + (sign.log() if input._array.dtype.kind == "c" else sign.detach().log())


# ------------------------------------------------------------------------------------------------ QR


def _qr_gradient(grads: Any, result: Any) -> Tensor:
    gQ, gR = grads
    Q, R = result
    M: Any = None
    if gR is not None:
        M = gR @ H(R)
    if gQ is not None:
        M = -(H(Q) @ gQ) if M is None else M - H(Q) @ gQ
    upper = M.triu(1)
    inner = Q @ (upper + H(upper) + _real_diagonal(M))
    return solve_triangular(H(R), inner if gQ is None else gQ + inner, upper=False, left=False)


@op(A=lambda grads, result: _qr_gradient(grads, result))
def _qr(A: Array) -> tuple[Array, Array]:
    """Of matrices with at least as many rows as columns: (Q of the same shape, R square)."""
    Q, R = np.linalg.qr(A)
    return Q, R


@op()
def _qr_whole(A: Array, mode: Any) -> tuple[Array, Array]:
    if mode == "r":
        return np.empty(0, A.dtype), np.asarray(np.linalg.qr(A, "r"))
    if 0 in A.shape[-2:]:
        m, n = A.shape[-2:]
        size = m if mode == "complete" else min(m, n)
        return np.broadcast_to(np.eye(m, size, dtype=A.dtype), (*A.shape[:-2], m, size)).copy(), np.zeros(
            (*A.shape[:-2], size, n), A.dtype
        )
    Q, R = np.linalg.qr(A, mode)
    return Q, R


_QR, _TorchQR = return_type("linalg_qr", "Q R"), return_type("qr", "Q R")


@op(grad_of=lambda grad, why: _not_differentiable(why))
def _blocked(array: Array, grad_of: Array, why: str) -> Array:
    return array.copy()


def _not_differentiable(why: str) -> Tensor:
    raise RuntimeError(why)


def _factor_qr(A: Tensor, how: str) -> tuple[Tensor, Tensor]:
    matrix("linalg.qr", A)
    if how not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{how}' but expected one of 'reduced' (default), 'r', or 'complete'")
    m, n = A._array.shape[-2:]
    Q, R = _qr_whole(A, how)
    if not (mode.enabled and requires_grad(A)):
        return Q, R
    if 0 in (m, n):
        return tied_to_empty(Q, kinked(A)), tied_to_empty(R, kinked(A))
    if how == "r":
        why = (
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
            "mode='reduced') "
            "if you are going to require gradients through linalg.qr."
        )
        return _blocked(Q, A, why), _blocked(R, A, why)
    if how == "complete" and m > n:
        why = "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
        return _blocked(Q, A, why), _blocked(R, A, why)
    if m >= n:
        Q, R = _qr(A)
        return Q, R
    Q, R = _qr(A.narrow(-1, 0, m))
    return Q, cat([R, H(Q) @ A.narrow(-1, m, n - m)], -1)


@public("linalg:qr", out=True)
def _linalg_qr(A: Tensor, mode: str = "reduced") -> Any:
    """``(Q, R)`` with ``A = Q @ R``: orthonormal columns, upper triangular. `mode` complete makes Q square, r leaves it out."""
    return _QR(*_factor_qr(A, mode))


@method(out=True)
def qr(input: Tensor, some: bool = True) -> Any:
    """``linalg.qr``; without `some`, complete."""
    return _TorchQR(*_factor_qr(input, "reduced" if some else "complete"))


_Geqrf = return_type("geqrf", "a tau")


@method(out=True)
def geqrf(input: Tensor) -> Any:
    """``(a, tau)``: R above the diagonal of `a`, below it the reflectors whose product is Q (see `householder_product`)."""
    matrix("torch.geqrf", input)
    m, n = input._array.shape[-2:]
    if 0 in (m, n):
        return _Geqrf(input.clone(), wrap(np.zeros((*input._array.shape[:-2], 0), input._array.dtype)))
    a, tau = mode.run(np.linalg.qr, input._array, "raw")
    return _Geqrf(wrap(np.swapaxes(a, -2, -1).copy()), wrap(np.asarray(tau, input._array.dtype)))


def _reflector(a: Tensor, i: int) -> Tensor:
    """Column `i` of the reflectors: 0 above its diagonal, 1 on it."""
    m = a._array.shape[-2]
    below = np.zeros((m, 1), a._array.dtype)
    one = below.copy()
    below[i + 1 :], one[i] = 1, 1
    return a.narrow(-1, i, 1) * wrap(below) + wrap(one)


def _reflect(a: Tensor, tau: Tensor, other: Tensor, left: bool, adjoint: bool) -> Tensor:
    """`other` times the product of the reflectors ``1 - tau v v.H``, or its adjoint, from one side."""
    k = tau._array.shape[-1]
    for i in range(k) if left == adjoint else reversed(range(k)):
        v, t = _reflector(a, i), tau.narrow(-1, i, 1).unsqueeze(-1)
        if adjoint and t.is_complex():
            t = t.conj()
        other = other - t * (v @ (H(v) @ other) if left else (other @ v) @ H(v))
    return other


def _tied_to_both(result: Tensor, a: Tensor, tau: Tensor) -> Tensor:
    """What no reflector made of `result`."""
    return tied_without_gradient(tied_without_gradient(result, a), tau)  # type: ignore[no-any-return]


@method(out=True)
@public("linalg:householder_product", out=True)
def orgqr(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the reflectors ``1 - tau v v.H``, whose v are the columns of A below the diagonal."""
    name = "torch.linalg.householder_product"
    if A._array.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    m, n = A._array.shape[-2:]
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if n < tau._array.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if A._array.ndim - tau._array.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau._array.ndim} and "
            "input.ndim is "
            f"equal to {A._array.ndim}"
        )
    if A._array.shape[:-2] != tau._array.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(tau._array.shape[:-1])}"
        )
    if A._array.dtype != tau._array.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {scalar_name(tau._array.dtype)} does not match input dtype {scalar_name(A._array.dtype)}"
        )
    eye = wrap(np.broadcast_to(np.eye(m, n, dtype=A._array.dtype), A._array.shape))
    return _reflect(A, tau, eye, True, False) if tau._array.size else _tied_to_both(eye, A, tau)


@method(out=True)
def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """``Q @ other`` (or ``other @ Q``; Q.H for `transpose`), where Q is the product of the reflectors in `input` and `tau`."""
    if input._array.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if other._array.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    side = -2 if left else -1
    if other._array.shape[side] < tau._array.shape[-1]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be greater than or equal to tau.shape[-1]")
    if other._array.shape[side] != input._array.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if tau._array.shape[-1] > input._array.shape[-1]:
        raise RuntimeError("torch.ormqr: tau.shape[-1] must be equal to min(other.shape[-2], input.shape[-1])")
    if input._array.ndim - tau._array.ndim != 1:
        raise RuntimeError(
            f"torch.ormqr: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau._array.ndim} and "
            f"input.ndim is equal to {input._array.ndim}"
        )
    if input._array.ndim != other._array.ndim:
        raise RuntimeError(
            f"torch.ormqr: Expected other to have the same number of dimensions as input, but got other.ndim equal to "
            f"{other._array.ndim} and input.ndim is equal to {input._array.ndim}"
        )
    batch = input._array.shape[:-2]
    for label, found in (("tau", tau._array.shape[:-1]), ("other", other._array.shape[:-2])):
        if found != batch:
            raise RuntimeError(
                f"torch.ormqr: Expected batch dimensions of {label} to be equal to input.shape[:-2], but got {list(found)}"
            )
    for label, t in (("tau", tau), ("other", other)):
        if t._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"torch.ormqr: Expected input and {label} to have the same dtype, but input has dtype "
                f"{scalar_name(input._array.dtype)} "
                f"and {label} has dtype {scalar_name(t._array.dtype)}"
            )
    return _reflect(input, tau, other, left, transpose) if tau._array.size else _tied_to_both(other, input, tau)


# ------------------------------------------------------------------------------------------------ eigenvalues


def _apart(values: Tensor) -> Tensor:
    """``values[j] - values[i]``, with 1 on the diagonal."""
    return values.unsqueeze(-2) - values.unsqueeze(-1) + eye_like(values, values._array.shape[-1])


def _eigh_gradient(grads: Any, result: Any) -> Tensor:
    gL, gV = grads
    L, V = result
    if gV is None:
        return _hermitian((V * gL.unsqueeze(-2)) @ H(V))
    n = V._array.shape[-1]
    inner = (H(V) @ gV) * wrap(1 - np.eye(n, dtype=V._array.dtype)) / _apart(L)
    if gL is not None:
        inner = inner + gL.unsqueeze(-1) * eye_like(V, n)
    return _hermitian(V @ inner @ H(V))


def _hermitian(A: Tensor) -> Tensor:
    return (A + H(A)) * 0.5


@op(A=lambda grads, result: _eigh_gradient(grads, result))
def _eigh(A: Array, UPLO: Any) -> tuple[Array, Array]:
    L, V = np.linalg.eigh(A, UPLO)
    return L, V


def _eigh_of(name: str, A: Tensor, UPLO: str) -> tuple[Tensor, Tensor]:
    square(name, A)
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    try:
        L, V = _eigh(A, UPLO.upper())
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{name}: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated "
            "eigenvalues."
        ) from None
    return L, V


_Eigh, _Eig = return_type("linalg_eigh", "eigenvalues eigenvectors"), return_type("linalg_eig", "eigenvalues eigenvectors")


@public("linalg", out=True)
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """``(eigenvalues, eigenvectors)`` of symmetric or Hermitian matrices, ascending; only one triangle is read."""
    return _Eigh(*_eigh_of("linalg.eigh", A, UPLO))


@public("linalg", out=True)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric or Hermitian matrices, ascending."""
    return _eigh_of("linalg.eigvalsh", A, UPLO)[0]


def _eig_gradient(grads: Any, result: Any) -> Tensor:
    """The loss must not see the phase of the eigenvectors, whose length is 1."""
    gL, gV = grads
    L, V = result
    n = V._array.shape[-1]
    if gV is None:
        inner = gL.unsqueeze(-1) * eye_like(V, n)
    else:
        W = H(V) @ gV
        length = diagonal(W).real
        inner = W - (H(V) @ V) * length.unsqueeze(-2)
        inner = inner * wrap(1 - np.eye(n, dtype=V._array.dtype)) / _apart(L).conj()
        if gL is not None:
            inner = inner + gL.unsqueeze(-1) * eye_like(V, n)
    return _solve(H(V), inner @ H(V))


@op(A=lambda grads, result: _eig_gradient(grads, result))
def _eig(A: Array) -> tuple[Array, Array]:
    kind = np.result_type(A.dtype, np.complex64)
    L, V = np.linalg.eig(A)
    return L.astype(kind), V.astype(kind)


def _eig_of(name: str, A: Tensor) -> tuple[Tensor, Tensor]:
    square(name, A)
    if not np.isfinite(A._array).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    L, V = _eig(A)
    return L, V


@public("linalg", out=True)
def eig(A: Tensor) -> Any:
    """``(eigenvalues, eigenvectors)`` of square matrices, always complex: ``A @ V = V @ diag(L)``, columns of length 1."""
    return _Eig(*_eig_of("linalg.eig", A))


@public("linalg", out=True)
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices, always complex."""
    return _eig_of("linalg.eigvals", A)[0]


# ------------------------------------------------------------------------------------------------ singular values


def _skew(A: Tensor) -> Tensor:
    return A - H(A)


def _svd_gradient(grads: Any, A_shape: Any, result: Any) -> Tensor:
    """The loss must not see the phase common to U and V, nor (of complete factors) the columns beyond the first k."""
    gU, gS, gVh = grads
    U, S, Vh = result
    m, n = A_shape[-2:]
    k = min(m, n)
    U, Vh = U.narrow(-1, 0, k), Vh.narrow(-2, 0, k)
    if gU is None and gVh is None:
        return (U * gS.unsqueeze(-2)) @ Vh
    off = wrap(1 - np.eye(k, dtype=U._array.dtype))
    squares = S * S
    gaps = _apart(squares)
    row, column = S.unsqueeze(-2), S.unsqueeze(-1)
    inner: Any = 0
    rest: Any = 0
    if gS is not None:
        inner = gS.unsqueeze(-1) * eye_like(U, k)
    if gU is not None:
        gU = gU.narrow(-1, 0, k)
        W = H(U) @ gU
        inner = inner + _skew(W) * off / gaps * row
        if U._array.dtype.kind == "c":
            inner = inner + _skew(W) * eye_like(U, k) * 0.5 / row
        if m > k:
            rest = rest + ((gU - U @ W) / row) @ Vh
    if gVh is not None:
        gVh = gVh.narrow(-2, 0, k)
        W = gVh @ H(Vh)
        inner = inner - column * (_skew(W) * off / gaps)
        if n > k:
            rest = rest + U @ ((gVh - W @ Vh) / column)
    return U @ inner @ Vh + rest


@op(A=lambda grads, A_shape, result: _svd_gradient(grads, A_shape, result))
def _svd(A: Array, full: bool) -> tuple[Array, Array, Array]:
    U, S, Vh = np.linalg.svd(A, full)
    return U, S, Vh


@op()
def _singular_values(A: Array) -> Array:
    return np.linalg.svd(A, compute_uv=False)


def _svd_of(name: str, A: Tensor, full: bool, vectors: bool = True) -> tuple[Any, Tensor, Any]:
    matrix(name, A)
    try:
        if not vectors and not (mode.enabled and requires_grad(A)):
            return None, _singular_values(A), None
        U, S, Vh = _svd(A, full)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{name}: The algorithm failed to converge because the input matrix contained non-finite values."
        ) from None
    return U, S, Vh


_SVD, _TorchSVD = return_type("linalg_svd", "U S Vh"), return_type("svd", "U S V")


def _no_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.")


@public("linalg:svd", out=True)
def _linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None) -> Any:
    """``(U, S, Vh)`` with ``A = U @ diag(S) @ Vh``, S descending; U and Vh square if `full_matrices`."""
    _no_driver(driver)
    return _SVD(*_svd_of("linalg.svd", A, full_matrices))


@method(out=True)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """``(U, S, V)`` with ``input = U @ diag(S) @ V.H``; without `some`, U and V are square; without `compute_uv`, zero."""
    U, S, Vh = _svd_of("linalg.svd", input, not some or not compute_uv)
    if not compute_uv:
        m, n = input._array.shape[-2:]
        nothing = [wrap(np.zeros((*input._array.shape[:-2], k, k), input._array.dtype)) for k in (m, n)]
        return _TorchSVD(nothing[0], S, nothing[1])
    return _TorchSVD(U, S, H(Vh))


@public("linalg", out=True)
def svdvals(A: Tensor, *, driver: Any = None) -> Tensor:
    """The singular values, descending."""
    _no_driver(driver)
    return _svd_of("linalg.svdvals", A, False, False)[1]


def _pinv_gradient(grad: Tensor, A: Tensor, result: Tensor) -> Tensor:
    """Golub and Pereyra (1973); the shorter products for tall and for wide matrices."""
    P, Ph, G = result, H(result), H(grad)
    if A._array.shape[-2] <= A._array.shape[-1]:
        K = G @ P
        KPh = K @ Ph
        return -H(P @ K) + KPh - (A @ P) @ KPh + (Ph @ P) @ (G - K @ A)
    K = P @ G
    PhK = Ph @ K
    return -H(K @ P) + (G - A @ K) @ P @ Ph + PhK - (PhK @ P) @ A


@op(A=lambda grad, A, result: _pinv_gradient(grad, A, result))
def _pinv(A: Array, atol: Any, rtol: Any, hermitian: bool) -> Array:
    if not A.size:
        return np.zeros((*A.shape[:-2], A.shape[-1], A.shape[-2]), A.dtype)
    if hermitian:
        L, V = np.linalg.eigh(A)
        return (V * kernels.inverted(L, atol, rtol)[..., None, :]) @ h(V)
    U, S, Vh = np.linalg.svd(A, False)
    return (h(Vh) * kernels.inverted(S, atol, rtol)[..., None, :]) @ h(U)


def _tolerances(name: str, A: Tensor, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """Numbers or arrays; without both, ``eps * max(m, n)`` relative to the largest singular value."""
    for label, given in (("atol", atol), ("rtol", rtol)):
        if isinstance(given, Tensor) and given._array.dtype.kind == "c":
            raise RuntimeError(f"{name}: {label} tensor of complex type is not supported.")
    if rtol is None:
        default = np.finfo(A._array.dtype).eps * max(A._array.shape[-2:])
        if atol is None:
            rtol = default
        elif isinstance(atol, Tensor):
            rtol = np.where(atol._array > 0, 0, default)
        else:
            rtol = 0.0 if atol > 0 else default
    return (0.0 if atol is None else _plain(atol)), _plain(rtol)


def _plain(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else value


@public("linalg", out=True)
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The pseudoinverse; singular values up to ``max(atol, rtol * largest)`` count as 0."""
    if isinstance(A, Tensor) and A._array.ndim < 2:
        raise RuntimeError(
            f"linalg.pinv({scalar_name(A._array.dtype)}{{{list(A._array.shape)}}}): expected a tensor with 2 or more dimensions "
            "of float, "
            "double, cfloat or cdouble types"
        )
    (square if hermitian else matrix)("linalg.pinv", A)
    atol, rtol = _tolerances("torch.linalg.pinv", A, atol, rcond if rtol is None else rtol)
    return _pinv(A, atol, rtol, hermitian)


@method()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """``linalg.pinv(input, rtol=rcond)``"""
    return pinv(input, rcond)


@public("linalg", out=True)
def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values are above ``max(atol, rtol * largest)``."""
    matrix("torch.linalg.matrix_rank", A, "input", floating=False)
    if tol is not None:
        if isinstance(tol, Tensor) and tol._array.dtype.kind == "c":
            raise RuntimeError("torch.linalg.matrix_rank: atol tensor of complex type is not supported.")
        atol, rtol = tol, 0.0
    limits = _tolerances("torch.linalg.matrix_rank", A, atol, rtol)
    A = A.detach()
    if not A._array.size:
        return wrap(np.zeros(A._array.shape[:-2], np.int64))
    values = eigvalsh(A) if hermitian else svdvals(A)
    return wrap(np.asarray(mode.run(is_large, values._array, *limits).sum(-1), np.int64))


_Lstsq = return_type("linalg_lstsq", "solution residuals rank singular_values")


@public("linalg", out=True)
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """``(solution, residuals, rank, singular_values)``: the X of least norm with the least ``norm(A @ X - B)``.

    Residuals are given for tall matrices of full rank by the drivers gels, gelsd and gelss; singular values by the last two.
    """
    name = "torch.linalg.lstsq"
    matrix(name, A, "input")
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    if A._array.dtype != B._array.dtype:
        raise RuntimeError(f"{name}: Expected A and B to have the same dtype")
    if B._array.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    difference = A._array.ndim - B._array.ndim
    if not 0 <= difference <= 1:
        raise RuntimeError(f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1")
    m, n = A._array.shape[-2:]
    vector = difference == 1 and B._array.shape == A._array.shape[:-1]
    if difference == 1 and not vector:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-1)")
    if vector:
        B = B.unsqueeze(-1)
    if B._array.shape[-2] != m:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    rtol = np.finfo(A._array.dtype).eps * max(m, n) if rcond is None else rcond
    solution = _pinv(A, 0.0, 0.0 if driver == "gels" else rtol, False) @ B
    values = wrap(mode.run(np.linalg.svd, A._array, False, False)) if A._array.size else wrap(np.zeros((*A._array.shape[:-2], 0)))
    rank = np.asarray(mode.run(is_large, values._array, 0.0, rtol).sum(-1), np.int64)
    nothing = wrap(np.empty(0, values._array.dtype))
    residuals = tied(nothing, A)
    if driver != "gelsy" and m > n and (driver == "gels" or bool((rank == n).all())):
        apart = A @ solution - B
        residuals = (apart.abs() ** 2).sum(-2)
    return _Lstsq(
        solution.squeeze(-1) if vector else solution,
        residuals,
        wrap(np.empty(0, np.int64)) if driver == "gels" else wrap(rank),
        values if driver in ("gelsd", "gelss") else nothing,
    )


# ------------------------------------------------------------------------------------------------ norms


@public("linalg", out=True)
def matrix_norm(A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """``fro``: root of the sum of squares; ``nuc``: sum of singular values; 2, -2: the largest, smallest of them.

    1, -1, inf, -inf: the largest or smallest sum of absolute values of a column, a row.
    """
    name = "linalg.matrix_norm"
    x = matrix(name, A, floating=False)
    dims = list(dim) if isinstance(dim, (tuple, list)) else [dim]
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {', '.join(map(str, dims))}")
    first, second = (wrap_dim(d, x._array.ndim) for d in dims)
    if first == second:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if isinstance(ord, str) and ord not in ("fro", "nuc"):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    if not isinstance(ord, str) and abs(ord) not in (1, 2, math.inf):
        raise RuntimeError(f"{name}: Order {ord:g} not supported.")
    x = converted(name, x, dtype)
    if ord == "fro":
        return vector_norm(x, 2, (first, second), keepdim)
    if ord == "nuc" or abs(ord) == 2:
        kept = [d for d in range(x._array.ndim) if d not in (first, second)]
        values = svdvals(x.permute(*kept, first, second))
        out = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord > 0 else values.amin(-1)
        if keepdim:
            for d in sorted((first, second)):
                out = out.unsqueeze(d)
        return out
    if abs(ord) == math.inf:
        first, second = second, first
    sums = vector_norm(x, 1, first, keepdim)
    left = second if keepdim or second < first else second - 1
    return sums.amax(left, keepdim) if ord > 0 else sums.amin(left, keepdim)


@public("linalg", out=True)
def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """`vector_norm` over one dimension (or, without `ord`, over all), `matrix_norm` over two."""
    checked("linalg.norm", A, keepdim)
    dims = dim if dim is None or isinstance(dim, (tuple, list)) else [dim]
    if dims is not None and len(dims) not in (1, 2) and ord is not None:
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if dims is None and ord is not None and A._array.ndim not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A._array.ndim}D.")
    if ord is not None and ((dims is not None and len(dims) == 2) or (dims is None and A._array.ndim == 2)):
        return matrix_norm(A, ord, (0, 1) if dims is None else dims, keepdim, dtype=dtype)
    if isinstance(ord, str):
        return matrix_norm(A, ord, dims if dims is not None else (0,), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@public("linalg", out=True)
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number ``norm(A) * norm(inv(A))``; by singular values for p of None, 2 or -2. inf where A is singular."""
    matrix("linalg.cond", A, "input", floating=False)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not isinstance(p, str) and p is not None and abs(p) not in (1, 2, math.inf):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if p is None or p in (2, -2):
        if not A._array.size:
            return wrap(np.zeros(A._array.shape[:-2], np.empty(0, A._array.dtype).real.dtype))
        values = svdvals(A)
        largest, smallest = values.select(-1, 0), values.select(-1, values._array.shape[-1] - 1)
        return smallest / largest if p == -2 else largest / smallest
    square(f"linalg.cond(ord={p})", A)
    if not A._array.size:
        return wrap(np.zeros(A._array.shape[:-2], np.empty(0, A._array.dtype).real.dtype))
    info = _singular(A)
    good = info == 0
    if good.all():
        return matrix_norm(A, p) * matrix_norm(_inv(A), p)
    A = A + eye_like(A, A._array.shape[-1]) * wrap(~good[..., None, None])
    return (matrix_norm(A, p) * matrix_norm(_inv(A), p)).masked_fill(wrap(~good), math.inf)


# ------------------------------------------------------------------------------------------------ products


@public("linalg", "torch", "Tensor", out=True)
def matrix_power(A: Tensor, n: int) -> Tensor:
    """``A @ A @ ...``, `n` times, by squaring; of the inverse for negative `n`."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type_name(n)}")
    square("linalg.matrix_power", A, floating=n < 0)
    if n == 0:
        return tied(eye_like(A, A._array.shape[-1]).expand(A._array.shape), A)
    if n < 0:
        A, n = inv(A), -n
    out: Tensor | None = None
    while True:
        if n & 1:
            out = A if out is None else out @ A
        n >>= 1
        if not n:
            assert out is not None
            return out.clone() if out is A else out
        A = A @ A


@public("linalg", out=True)
def multi_dot(tensors: Any) -> Tensor:
    """The product of matrices in the cheapest order; the first and the last may be vectors."""
    tensors = list(tensors)
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    row, column = tensors[0]._array.ndim == 1, tensors[-1]._array.ndim == 1
    for i, t in enumerate(tensors):
        ndim = t._array.ndim
        if i in (0, n - 1) and ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {'first' if i == 0 else 'last'} tensor must be 1D or 2D but got {ndim}D")
        if 0 < i < n - 1 and ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {ndim}D")
        if t._array.dtype != tensors[0]._array.dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {scalar_name(tensors[0]._array.dtype)} "
                "and "
                f"tensor {i} {scalar_name(t._array.dtype)}"
            )
    if row:
        tensors[0] = tensors[0].unsqueeze(0)
    if column:
        tensors[-1] = tensors[-1].unsqueeze(-1)
    for i in range(n - 1):
        a, b = tensors[i]._array.shape, tensors[i + 1]._array.shape
        if a[1] != b[0]:
            raise RuntimeError(f"multi_dot(): tensors {i} and {i + 1} with shapes {list(a)} and {list(b)} cannot be multiplied")
    out = chain(tensors)
    if row:
        out = out.squeeze(0)
    return out.squeeze(-1) if column else out


@public("linalg:diagonal")
def _linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonal of the matrices in `dim1` and `dim2`, as the last dimension of a view."""
    return A.diagonal(offset, dim1, dim2)


@public("linalg", out=True)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """``sum(conj(x) * y)`` along `dim`."""
    return ((x.conj() if x.is_complex() else x) * y).sum(dim)


@method()
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if input._array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._array.ndim}")
    return diagonal(input).sum()


def _cross_product(input: Tensor, other: Tensor, dim: int) -> Tensor:
    forward, back = wrap(np.array([1, 2, 0])), wrap(np.array([2, 0, 1]))
    return input.index_select(dim, forward) * other.index_select(dim, back) - input.index_select(dim, back) * other.index_select(
        dim, forward
    )


@public("linalg:cross", out=True)
def _linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of length 3 along `dim`."""
    a, b = input._array, other._array
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    at = wrap_dim(dim, a.ndim)
    if a.shape[at] != 3 or b.shape[at] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[at]} and {b.shape[at]}")
    return _cross_product(input, other, at - a.ndim)


@method(out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of length 3 along `dim`: the first of size 3 by default."""
    if dim is None:
        dim = next((i for i, n in enumerate(input._array.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return _linalg_cross(input, other, dim=dim)


@public("linalg:vander")
def _linalg_vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers ``x ** 0, ..., x ** (N - 1)`` along a new last dimension."""
    n = N if N is not None else x._array.shape[-1] if x._array.ndim else 0
    if n <= 1:
        raise RuntimeError("N must be greater than 1.")
    return _powers(x if x._array.ndim else x.reshape(1), n)


def _powers(x: Tensor, n: int) -> Tensor:
    column = x.unsqueeze(-1)
    one = wrap(np.ones(column._array.shape, column._array.dtype if column._array.dtype.kind in "fc" else np.int64))
    if n == 0:
        return one.narrow(-1, 0, 0)
    if n == 1:
        return one
    return cat([one, column.expand(*x._array.shape, n - 1).cumprod(-1)], -1)


@public("torch")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector as columns, the highest first unless `increasing`."""
    if x._array.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x._array.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    out = _powers(x, n)
    return out if increasing else out.flip(-1)


@public("linalg", out=True)
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map between its dimensions before and from `ind`."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = A._array.shape
    rows, columns = math.prod(shape[ind:]), math.prod(shape[:ind])
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {rows} != {columns}"
        )
    return _inverse("linalg.tensorinv", A.reshape(columns, rows)).reshape(*shape[ind:], *shape[:ind])


@public("linalg", out=True)
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """The X with ``tensordot(A, X, X.ndim) = B``; `dims` of A are moved to the end first."""
    if dims is not None:
        moved = [wrap_dim(d, A._array.ndim) for d in dims]
        A = A.permute(*[d for d in range(A._array.ndim) if d not in moved], *moved)
    shape = A._array.shape[B._array.ndim :]
    rows, columns = B._array.size, math.prod(shape)
    if A._array.size != rows * columns or rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {columns} != {rows}"
        )
    return solve(A.reshape(rows, columns), B.reshape(-1)).reshape(*shape)


@public("linalg", "torch", "Tensor")
def matrix_exp(A: Tensor) -> Tensor:
    """``1 + A + A @ A / 2 + ...``: the rational approximation of order 13 of A scaled to norm 1, then squared (Higham, 2005)."""
    square("linalg.matrix_exp", A)
    n = A._array.shape[-1]
    if not A._array.size:
        return A.clone()
    single = A._array.dtype.char in "fF"
    target = A.dtype
    if single:
        A = A.to(_dtypes.float64 if target.is_floating_point else _dtypes.complex128)
    largest = float(np.abs(A._array).sum(-2).max())
    times = max(0, math.ceil(math.log2(largest))) if largest > 1 and math.isfinite(largest) else 0
    A = A / 2.0**times
    b = [64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
         33522128640, 1323241920, 40840800, 960960, 16380, 182, 1]  # fmt: skip
    c = [x / b[0] for x in b]
    one = eye_like(A, n)
    A2 = A @ A
    A4 = A2 @ A2
    A6 = A4 @ A2
    odd = A @ (A6 @ (A6 * c[13] + A4 * c[11] + A2 * c[9]) + A6 * c[7] + A4 * c[5] + A2 * c[3] + one * c[1])
    even = A6 @ (A6 * c[12] + A4 * c[10] + A2 * c[8]) + A6 * c[6] + A4 * c[4] + A2 * c[2] + one
    out = _solve(even - odd, even + odd)
    for _ in range(times):
        out = out @ out
    return out.to(target) if single else out
