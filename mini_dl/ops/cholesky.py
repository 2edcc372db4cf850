"""Cholesky factorization."""

from __future__ import annotations

import numpy as np

from mini_dl._checks import deprecated
from mini_dl._dtypes import Array, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, method, public, return_type
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.kernels import linalg as kernels
from mini_dl.kernels.linalg import first_failure, h
from mini_dl.ops.choice import where
from mini_dl.ops.matrices import H, LinAlgError, eye_like, square
from mini_dl.ops.solving import solve_triangular
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ Cholesky


def _cholesky_gradient(grad: Tensor, result: Tensor, upper: bool) -> Tensor:
    """``A = L @ L.H``: from phi, the lower half of ``L.H @ grad`` with half its diagonal, made Hermitian."""
    if upper:
        grad, result = H(grad), H(result)
    phi = (H(result) @ grad).tril()
    phi = phi + H(phi.tril(-1))
    inner = solve_triangular(H(result), phi * 0.5, upper=True)
    return solve_triangular(result, inner, upper=False, left=False)


def real_diagonal(A: Tensor) -> Tensor:
    """The diagonal matrix of the real part of the diagonal."""
    D = A * eye_like(A, A._array.shape[-1])
    return (D + D.conj()) * 0.5 if A._array.dtype.kind == "c" else D


@op(A=lambda grad, result, upper: _cholesky_gradient(grad, result, upper))
def _cholesky(A: Array, upper: bool) -> Array:
    return h(kernels.cholesky(h(A))) if upper else kernels.cholesky(A)


def _cholesky_of(name: str, A: Tensor, upper: bool) -> Tensor:
    square(name, A)
    try:
        return _cholesky(A, upper)
    except np.linalg.LinAlgError:
        batch, order = first_failure(mode.run(kernels.minor, A._array))
        raise LinAlgError(
            f"{name}: {batch}The factorization could not be completed because the input is not positive-definite (the leading "
            f"minor of order {order} is not positive-definite)."
        ) from None


_CholeskyEx = return_type("linalg_cholesky_ex", "L info")


@public("linalg:cholesky", out=True)
def _linalg_cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular factor of positive definite matrices: ``A = L @ L.H``, or with `upper` ``A = U.H @ U``

    Shapes: (*, n, n) -> (*, n, n), where * are batch dimensions.
    Raises: LinAlgError, a RuntimeError, for matrices that are not positive definite.

    >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return _cholesky_of("linalg.cholesky", A, upper)


@method(out=True)
@deprecated("torch.cholesky", "`torch.linalg.cholesky(A)`, or `torch.linalg.cholesky(A).mH` for upper=True,")
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky`, the lower triangular factor: ``input = out @ out.H``, or with `upper` ``input = out.H @ out``

    Family: linalg.cholesky

    >>> torch.cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]), upper=True)
    tensor([[2., 1.],
            [0., 2.]])
    """
    return _cholesky_of("cholesky", input, upper)


@public("linalg", out=True)
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> NamedTensors:
    """`cholesky` without an error: ``A = L @ L.H`` where ``info = 0``, else the order of the first leading minor that is not
    positive.

    Shapes: (*, n, n) -> (*, n, n), (*).
    Raises: LinAlgError only if `check_errors`; RuntimeError for matrices that are not square.

    >>> torch.linalg.cholesky_ex(torch.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=torch.int32)
    """
    refuse_meta("cholesky_ex", A)
    try:
        L = _cholesky_of("linalg.cholesky_ex" if check_errors else "linalg.cholesky", A, upper)
        return _CholeskyEx(L, wrap(np.zeros(A._array.shape[:-2], np.int32)))
    except LinAlgError:
        if check_errors:
            raise
    info = mode.run(kernels.minor, A._array)
    good = wrap((info == 0)[..., None, None])
    L = _cholesky(where(good, A, eye_like(A, A._array.shape[-1])), upper)
    return _CholeskyEx(where(good, L, A.triu() if upper else A.tril()), wrap(info))


@method(out=True)
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The solution of a linear system from the Cholesky factor of its matrix: ``L @ L.H @ out = B``, or with `upper`
    ``L.H @ L @ out = B``

    Shapes: `B` (*, n, k), `L` (*, n, n) -> (*, n, k).
    Raises: RuntimeError unless `L` is square and both have n rows.

    >>> L = torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> torch.cholesky_solve(torch.tensor([[8.0], [7.0]]), L)
    tensor([[1.2500],
            [1.5000]])
    """
    for label, M in (("b", B), ("u", L)):
        if M._array.ndim < 2:
            raise RuntimeError(f"{label} should have at least 2 dimensions, but has {M._array.ndim} dimensions instead")
    if B._array.dtype != L._array.dtype:
        types = [scalar_name(M._array.dtype) for M in (B, L)]
        raise RuntimeError(f"Expected b and A to have the same dtype, but found b of type {types[0]} and A of type {types[1]}")
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
    """As if all of L were read: the elements outside its triangle are 0, and its gradient is that of ``L @ L.H``."""
    inner = _cholesky_solve(grad, L, upper) @ H(result)
    inner = inner + H(inner)
    return -(L @ inner) if upper else -(inner @ L)


@linear_in("B")
@op(
    B=lambda grad, L, upper: _cholesky_solve(grad, L, upper),
    L=lambda grad, L, result, upper: _cholesky_solve_gradient(grad, L, result, upper),
)
def _cholesky_solve(B: Array, L: Array, upper: bool) -> Array:
    if upper:
        L = h(L)
    X = np.array(np.broadcast_to(B, (*np.broadcast_shapes(L.shape[:-2], B.shape[:-2]), *B.shape[-2:])))
    kernels.substitute(L, X, False, False)
    kernels.substitute(h(L), X, True, False)
    return X


@method(out=True)
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of a matrix from its Cholesky factor: ``out @ (L @ L.H) = I``, or with `upper` ``out @ (L.H @ L) = I``

    Family: square

    >>> L = torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> torch.cholesky_inverse(L)
    tensor([[ 0.3750, -0.2500],
            [-0.2500,  0.5000]])
    """
    square("cholesky_inverse", L)
    n = L._array.shape[-1]
    return cholesky_solve(eye_like(L, n).expand(L._array.shape), L, upper)
