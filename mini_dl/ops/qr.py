"""QR factorization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._checks import deprecated
from mini_dl._dtypes import Array, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, method, public, requires_grad, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.mode import differentiates, mode
from mini_dl.autograd.primitive import op
from mini_dl.ops.cholesky import real_diagonal
from mini_dl.ops.joining import cat
from mini_dl.ops.matrices import H, matrix, tied_to_empty, tied_without_gradient
from mini_dl.ops.solving import solve_triangular
from mini_dl.tensor import Grads, Tensor, wrap

# ------------------------------------------------------------------------------------------------ QR


def _qr_gradient(grads: Grads, result: Sequence[Tensor]) -> Tensor:
    gQ, gR = grads
    Q, R = result
    M: Any = None
    if gR is not None:
        M = gR @ H(R)
    if gQ is not None:
        M = -(H(Q) @ gQ) if M is None else M - H(Q) @ gQ
    upper = M.triu(1)
    inner = Q @ (upper + H(upper) + real_diagonal(M))
    return solve_triangular(H(R), inner if gQ is None else gQ + inner, upper=False, left=False)


@op(A=lambda grads, result: _qr_gradient(grads, result))
def _qr(A: Array) -> tuple[Array, Array]:
    """For matrices with at least as many rows as columns: (Q of the same shape, R square)."""
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
    tracked = differentiates() and requires_grad(A)
    if tracked and 0 not in (m, n) and how != "r" and (m <= n or how == "reduced"):
        if m >= n:
            Q, R = _qr(A)
            return Q, R
        Q, R = _qr(A.narrow(-1, 0, m))
        return Q, cat([R, H(Q) @ A.narrow(-1, m, n - m)], -1)
    Q, R = _qr_whole(A, how)
    if not tracked:
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
    why = "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
    return _blocked(Q, A, why), _blocked(R, A, why)


@public("linalg:qr", out=True)
def linalg_qr(A: Tensor, mode: str = "reduced") -> NamedTensors:
    """The QR decomposition, orthonormal columns and an upper triangular matrix: ``A = Q @ R``

    `mode` "complete" makes Q square, "r" omits it.

    Shapes: (*, m, n) -> (*, m, k), (*, k, n) with ``k = min(m, n)``, or m if complete.
    Raises: RuntimeError for another `mode`, and for integers.

    >>> torch.linalg.qr(torch.tensor([[3.0, 1.0], [4.0, 2.0]])).R
    tensor([[-5.0000, -2.2000],
            [ 0.0000,  0.4000]])
    """
    return _QR(*_factor_qr(A, mode))


@method(out=True)
@deprecated("torch.qr", "`torch.linalg.qr(A, 'reduced' if some else 'complete')`")
def qr(input: Tensor, some: bool = True) -> NamedTensors:
    """`linalg.qr`; without `some`, complete: ``input = Q @ R``

    Shapes: (*, m, n) -> (*, m, k), (*, k, n) with ``k = min(m, n)``, or m if complete.
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.qr(torch.tensor([[3.0, 1.0], [4.0, 2.0]])).R
    tensor([[-5.0000, -2.2000],
            [ 0.0000,  0.4000]])
    """
    return _TorchQR(*_factor_qr(input, "reduced" if some else "complete"))


_Geqrf = return_type("geqrf", "a tau")


@method(out=True)
@by_element
def geqrf(input: Tensor) -> NamedTensors:
    """The QR decomposition as reflectors: ``input = Q @ R``, R in the upper triangle of `a`, Q the product of the reflectors
    below.

    See `linalg.householder_product`.

    Shapes: (*, m, n) -> (*, m, n), (*, min(m, n)).
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.geqrf(torch.tensor([[3.0, 1.0], [4.0, 2.0]])).tau
    tensor([1.6000, 0.0000])
    """
    refuse_meta("geqrf", input)
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
    """`result` for zero reflectors."""
    return tied_without_gradient(tied_without_gradient(result, a), tau)


@method(out=True)
@public("linalg:householder_product", out=True)
def orgqr(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of a product of reflectors, v the columns of A below the diagonal:
    ``out = prod(I - tau[i] * v[i] @ v[i].H, i)``

    Shapes: `A` (*, m, n), `tau` (*, k) with ``k <= n <= m`` -> (*, m, n).
    Raises: RuntimeError unless the shapes match.

    >>> a, tau = torch.geqrf(torch.tensor([[3.0], [4.0]]))
    >>> torch.linalg.householder_product(a, tau)
    tensor([[-0.6000],
            [-0.8000]])
    """
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
    """A product of reflectors times a matrix: ``out = Q @ other``, unless `left` ``out = other @ Q``; ``Q.H`` for `transpose`.

    Q is that of `linalg.householder_product`, but square.

    Shapes: `input` (*, m, k), `tau` (*, k), `other` (*, m, n) -> (*, m, n).
    Raises: RuntimeError unless the shapes match.

    >>> a, tau = torch.geqrf(torch.tensor([[3.0], [4.0]]))
    >>> torch.ormqr(a, tau, torch.tensor([[3.0], [4.0]]), transpose=True).round(decimals=4)
    tensor([[-5.],
            [ 0.]])
    """
    if input._array.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if other._array.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    side = -2 if left else -1
    if other._array.shape[side] < tau._array.shape[-1]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be greater than or equal to tau.shape[-1]")
    if other._array.shape[side] != input._array.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if tau._array.shape[-1] != min(other._array.shape[side], input._array.shape[-1]):
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
