"""Inverses and solutions of linear equations."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._checks import deprecated
from mini_dl._dtypes import Array, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, method, public, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.kernels import linalg as kernels
from mini_dl.kernels.linalg import factor, first_failure
from mini_dl.ops.matrices import H, LinAlgError, eye_like, matrix, square
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ inverse and solutions


@op(A=lambda grad, result: -(H(result) @ grad @ H(result)))
def _inv(A: Array) -> Array:
    return np.linalg.inv(A)


@linear_in("B")
@op(
    A=lambda grad, A, result: -(_solve(H(A), grad) @ H(result)),
    B=lambda grad, A: _solve(H(A), grad),
)
def _solve(A: Array, B: Array) -> Array:
    """The solution of ``A @ X = B`` for matrices B, with broadcasting."""
    return np.linalg.solve(A, B)


def singular(A: Tensor) -> Array:
    """For each matrix the order of its first zero pivot, 0 if it has an inverse."""
    return np.asarray(mode.run(factor, A._array)[2])


def _raise_singular(name: str, info: Array, inverse: bool) -> None:
    batch, order = first_failure(info)
    if inverse:
        raise LinAlgError(
            f"{name}: {batch}The diagonal element {order} is zero, the inversion could not be completed because the input "
            "matrix is singular."
        )
    raise LinAlgError(f"{name}: {batch}The solver failed because the input matrix is singular.")


def _inverse(name: str, A: Tensor) -> Tensor:
    square(name, A)
    try:
        return _inv(A)
    except np.linalg.LinAlgError:
        _raise_singular(name, singular(A), True)
        raise


_InvEx, _SolveEx = return_type("linalg_inv_ex", "inverse info"), return_type("linalg_solve_ex", "result info")


@public("linalg", out=True)
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices: ``A @ out = I``

    Shapes: (*, n, n) -> (*, n, n).
    Raises: LinAlgError, a RuntimeError, if one is singular; RuntimeError for matrices that are not square.

    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [1.0, 4.0]]))
    tensor([[ 0.5000,  0.0000],
            [-0.1250,  0.2500]])
    """
    return _inverse("linalg.inv", A)


@method(out=True)
def inverse(input: Tensor) -> Tensor:
    """`linalg.inv`, the inverse of square matrices: ``input @ out = I``

    Family: linalg.inv

    >>> torch.inverse(torch.tensor([[2.0, 0.0], [1.0, 4.0]]))
    tensor([[ 0.5000,  0.0000],
            [-0.1250,  0.2500]])
    """
    return _inverse("linalg.inv", input)


@public("linalg", out=True)
@by_element
def inv_ex(A: Tensor, *, check_errors: bool = False) -> NamedTensors:
    """`inv` without an error: ``A @ inverse = I`` where ``info = 0``, else the order of the first zero pivot.

    Shapes: (*, n, n) -> (*, n, n), (*).
    Raises: LinAlgError only if `check_errors`; RuntimeError for matrices that are not square.

    >>> torch.linalg.inv_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    refuse_meta("inv_ex", A)
    info = singular(square("linalg.inv", A))
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
    matrix("linalg.solve", B, "B", floating=False)
    n = A._array.shape[-1]
    if B._array.shape[-2 if left else -1] != n:
        r, c = B._array.shape[-2:]
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation {equation} ({n}x{n} and {r}x{c})")
    try:
        out = _solve(A, B) if left else H(_solve(H(A), H(B)))
    except np.linalg.LinAlgError:
        _raise_singular(name, singular(A), False)
        raise
    return out.squeeze(-1) if vector else out


@public("linalg", out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The solution of a linear system: ``A @ out = B``, unless `left` ``out @ A = B``

    Shapes: (*, n, n), (*, n, k) -> (*, n, k); `B` may be vectors (*, n).
    Raises: LinAlgError, a RuntimeError, if A is singular; RuntimeError unless the shapes match.

    >>> torch.linalg.solve(torch.tensor([[1.0, 2.0], [4.0, 6.0]]), torch.tensor([5.0, 16.0]))
    tensor([1., 2.])
    """
    return _solve_system("linalg.solve", A, B, left)


@public("linalg", out=True)
@by_element
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> NamedTensors:
    """`solve` without an error: ``A @ result = B`` where ``info = 0``, else the order of the first zero pivot.

    Shapes: (*, n, n), (*, n, k) -> (*, n, k), (*).
    Raises: LinAlgError only if `check_errors`; RuntimeError unless the shapes match.

    >>> torch.linalg.solve_ex(torch.zeros(2, 2), torch.ones(2)).info
    tensor(1, dtype=torch.int32)
    """
    info = singular(square("linalg.solve", A))
    if info.any() and not check_errors:
        A = A + eye_like(A, A._array.shape[-1]) * wrap((info != 0)[..., None, None]) * math.nan
    return _SolveEx(_solve_system("linalg.solve_ex" if check_errors else "linalg.solve", A, B, left), wrap(info))


@public("linalg", out=True)
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The solution of a triangular linear system: ``A @ out = B``, unless `left` ``out @ A = B``; only that triangle
    is read.

    Shapes: (*, n, n), (*, n, k) -> (*, n, k).
    Raises: RuntimeError unless the shapes match.

    >>> torch.linalg.solve_triangular(torch.tensor([[2.0, 1.0], [0.0, 4.0]]), torch.tensor([[4.0], [8.0]]), upper=True)
    tensor([[1.],
            [2.]])
    """
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


@linear_in("B")
@op(
    A=lambda grad, A, result, upper, unit: _triangular_gradient(grad, A, result, upper, unit),
    B=lambda grad, A, upper, unit: _triangular(H(A), grad, not upper, unit),
)
def _triangular(A: Array, B: Array, upper: bool, unit: bool) -> Array:
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    X = np.array(np.broadcast_to(B, (*batch, *B.shape[-2:])))
    kernels.substitute(A, X, upper, unit)
    return X


_TriangularSolve = return_type("triangular_solve", "solution cloned_coefficient")


@method(out=True)
@deprecated("torch.triangular_solve", "`torch.linalg.solve_triangular(A, B)`")
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> NamedTensors:
    """The solution of a triangular linear system, and this matrix: ``A @ solution = b``, with `transpose`
    ``A.T @ solution = b``

    Shapes: `b` (*, n, k), `A` (*, n, n) -> (*, n, k), (*, n, n).
    Raises: RuntimeError unless the shapes match.

    >>> torch.triangular_solve(torch.tensor([[4.0], [8.0]]), torch.tensor([[2.0, 1.0], [0.0, 4.0]])).solution
    tensor([[1.],
            [2.]])
    """
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
