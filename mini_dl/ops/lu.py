"""LU factorization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._checks import deprecated
from mini_dl._dtypes import Array, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, function, method, public, requires_grad, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import differentiates, mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels.linalg import factor, first_failure, permutation
from mini_dl.ops.joining import cat
from mini_dl.ops.matrices import H, eye_like, matrix, square
from mini_dl.ops.solving import solve_triangular
from mini_dl.tensor import Grads, Tensor, wrap

# ------------------------------------------------------------------------------------------------ LU


def _lu_gradient(grads: Grads, result: Sequence[Tensor]) -> Tensor:
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
def _lu_square(input: Array, LU: Array) -> tuple[Array, Array]:
    """L and U of square matrices whose rows are already in order, from `LU`, which `factor` found."""
    return np.tril(LU, -1) + np.eye(LU.shape[-1], dtype=LU.dtype), np.triu(LU)


def exchange(A: Tensor, order: Array) -> Tensor:
    """The rows of `A` in `order`."""
    index = wrap(np.broadcast_to(order[..., None], A._array.shape))
    return A.gather(-2, index)


def _lower_upper(A: Tensor) -> tuple[Tensor, Tensor, Array, Array]:
    """(L, U, pivots, info). The part below or to the right of a square is obtained from it by solving."""
    LU, pivots, info = mode.run(factor, A._array)
    m, n = A._array.shape[-2:]
    k = min(m, n)
    if not requires_grad(A) or not differentiates():
        L = np.tril(LU[..., :k], -1)
        L[..., range(k), range(k)] = 1
        return wrap(L), wrap(np.triu(LU[..., :k, :])), pivots, info
    A = exchange(A, permutation(pivots, m))
    L, U = _lu_square(A.narrow(-2, 0, k).narrow(-1, 0, k), wrap(LU[..., :k, :k]))
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
@by_element
def lu(A: Tensor, *, pivot: bool = True) -> NamedTensors:
    """The LU decomposition with partial pivoting, a permutation, a unit lower, and an upper triangular matrix: ``A = P @ L @ U``

    Shapes: (*, m, n) -> (*, m, m), (*, m, k), (*, k, n) with ``k = min(m, n)``.
    Raises: RuntimeError for fewer than two dimensions, integers, and float16.

    >>> torch.linalg.lu(torch.tensor([[0.0, 2.0], [4.0, 6.0]]))
    torch.return_types.linalg_lu(
    P=tensor([[0., 1.],
            [1., 0.]]),
    L=tensor([[1., 0.],
            [0., 1.]]),
    U=tensor([[4., 6.],
            [0., 2.]]))
    """
    refuse_meta("lu", A)
    _pivoting(pivot)
    L, U, pivots, _ = _lower_upper(matrix("linalg.lu", A))
    return _LU(_permutation_matrix(pivots, A._array.shape[-2], A._array.dtype), L, U)


def _zero_pivot(name: str, info: Array) -> str:
    batch, order = first_failure(info)
    return (
        f"{name}: {batch}U[{order},{order}] is zero and using it on lu_solve would result in a division by zero. If you still "
        "want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
    )


@public("linalg", out=True)
@by_element
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> NamedTensors:
    """`lu_factor` without an error: ``A = P @ L @ U``, and `info`, the order of the first zero pivot, 0 if there is none.

    Shapes: (*, m, n) -> (*, m, n), (*, min(m, n)), (*).
    Raises: LinAlgError only if `check_errors`; RuntimeError for integers.

    >>> torch.linalg.lu_factor_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    refuse_meta("lu_factor_ex", A)
    _pivoting(pivot)
    A = matrix("torch.linalg.lu_factor_ex", A)
    if requires_grad(A) and differentiates():
        L, U, pivots, info = _lower_upper(A)
        LU = _packed(L, U)
    else:
        array, pivots, info = mode.run(factor, A._array)
        LU = wrap(array)
    if check_errors and info.any():
        raise RuntimeError(_zero_pivot("torch.linalg.lu_factor_ex", info))
    return _LUFactorEx(LU, wrap(pivots), wrap(info))


@public("linalg", out=True)
@by_element
def lu_factor(A: Tensor, *, pivot: bool = True) -> NamedTensors:
    """The LU decomposition, L without its diagonal and U in one matrix, and the row exchanges, counted from 1: ``A = P @ L @ U``

    Shapes: (*, m, n) -> (*, m, n), (*, min(m, n)).
    Raises: LinAlgError if a pivot is zero; RuntimeError for integers.

    >>> torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    torch.return_types.linalg_lu_factor(
    LU=tensor([[4.0000, 6.0000],
            [0.2500, 0.5000]]),
    pivots=tensor([2, 2], dtype=torch.int32))
    """
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    if info._array.any():
        raise RuntimeError(_zero_pivot("torch.linalg.lu_factor", info._array))
    return _LUFactor(LU, pivots)


@public("torch:lu", "Tensor:lu", out=True)
@deprecated("torch.lu", "`torch.linalg.lu_factor` or `torch.linalg.lu_factor_ex`")
def _torch_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """`linalg.lu_factor`, with `info` on request: ``A = P @ L @ U``

    Shapes: (*, m, n) -> (*, m, n), (*, min(m, n)), and (*) if `get_infos`.
    Raises: LinAlgError if a pivot is zero, unless `get_infos`.

    >>> torch.lu(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    (tensor([[4.0000, 6.0000],
            [0.2500, 0.5000]]), tensor([2, 2], dtype=torch.int32))
    """
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    return (LU, pivots, info) if get_infos else (LU, pivots)


@function(out=True)
@by_element
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> NamedTensors:
    """The three matrices from the result of `lu_factor`: ``A = P @ L @ U``

    Shapes: (*, m, n), (*, k) -> (*, m, m), (*, m, k), (*, k, n) with ``k = min(m, n)``; parts not requested are empty.
    Raises: RuntimeError unless the pivots are int32 and match.

    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    >>> torch.lu_unpack(LU, pivots).L
    tensor([[1.0000, 0.0000],
            [0.2500, 1.0000]])
    """
    if unpack_pivots and LU_pivots._array.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    LU = matrix("torch.lu_unpack", LU_data, "LU_data", floating=False)
    m, n = LU._array.shape[-2:]
    k = min(m, n)
    nothing = wrap(np.empty(0, LU._array.dtype))
    places = LU_pivots._array[..., :k] if LU_pivots._array.ndim else LU_pivots._array[None]
    if unpack_pivots and (places.shape[-1] < k or (places.size and not (places.min() >= 1 and places.max() <= m))):
        raise RuntimeError(f"pivots passed to lu_unpack must be between 1 and LU.size(-2) = {m} inclusive.")
    P = _permutation_matrix(places, m, LU._array.dtype) if unpack_pivots else nothing
    if not unpack_data:
        return _LUUnpack(P, nothing, nothing)
    return _LUUnpack(P, LU.narrow(-1, 0, k).tril(-1) + eye_like(LU, m)[:, :k], LU.narrow(-2, 0, k).triu())


@public("linalg:lu_solve", out=True)
@by_element
def _lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solution of a linear system from the LU factors of its matrix: ``A @ out = B``, unless `left` ``out @ A = B``

    With `adjoint`, that of ``A.H``.

    Family: factors

    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.tensor([[5.0], [16.0]]))
    tensor([[1.],
            [2.]])
    """
    square("torch.linalg.lu_solve", LU, "LU")
    matrix("torch.linalg.lu_solve", B, "B")
    if pivots._array.dtype != np.int32:
        raise RuntimeError(
            f"linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32. Got {scalar_name(pivots._array.dtype)}"
        )
    if LU._array.dtype != B._array.dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type {scalar_name(LU._array.dtype)} "
            f"and B of type {scalar_name(B._array.dtype)} instead"
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
@deprecated("torch.lu_solve", "`torch.linalg.lu_solve(LU, pivots, B)`")
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The solution of a linear system from the LU factors of its matrix: ``A @ out = input``

    Shapes: `input` (*, n, k), `LU_data` (*, n, n), `LU_pivots` (*, n) -> (*, n, k).
    Raises: RuntimeError unless the shapes match and the dtypes are equal.

    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    >>> torch.lu_solve(torch.tensor([[5.0], [16.0]]), LU, pivots)
    tensor([[1.],
            [2.]])
    """
    return _lu_solve(LU_data, LU_pivots, input)
