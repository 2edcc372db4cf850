"""Eigenvalues and eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._dtypes import Array
from mini_dl._surface import NamedTensors, public, return_type
from mini_dl.autograd.primitive import op
from mini_dl.ops.matrices import H, LinAlgError, diagonal, eye_like, square
from mini_dl.ops.solving import _solve
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ eigenvalues


def gaps_between(values: Tensor) -> Tensor:
    """``values[j] - values[i]``, with 1 on the diagonal."""
    return values.unsqueeze(-2) - values.unsqueeze(-1) + eye_like(values, values._array.shape[-1])


def _eigh_gradient(grads: Any, result: Sequence[Tensor]) -> Tensor:
    gL, gV = grads
    L, V = result
    if gV is None:
        return _hermitian((V * gL.unsqueeze(-2)) @ H(V))
    n = V._array.shape[-1]
    inner = (H(V) @ gV) * wrap(1 - np.eye(n, dtype=V._array.dtype)) / gaps_between(L)
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
def eigh(A: Tensor, UPLO: str = "L") -> NamedTensors:
    """The eigenvalues, ascending, and orthonormal eigenvectors of symmetric or Hermitian matrices: ``A = Q @ diag(L) @ Q.H``

    Only the triangle that `UPLO` names is read.

    Shapes: (*, n, n) -> (*, n), (*, n, n).
    Raises: RuntimeError for matrices that are not square, integers, and another `UPLO` than "L" or "U".

    >>> torch.linalg.eigh(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    return _Eigh(*_eigh_of("linalg.eigh", A, UPLO))


@public("linalg", out=True)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues, ascending, of symmetric or Hermitian matrices: ``det(A - out[i] * I) = 0``

    Shapes: (*, n, n) -> (*, n).
    Raises: RuntimeError for matrices that are not square, integers, and another `UPLO` than "L" or "U".

    >>> torch.linalg.eigvalsh(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    return _eigh_of("linalg.eigvalsh", A, UPLO)[0]


def _eig_gradient(grads: Any, result: Sequence[Tensor]) -> Tensor:
    """The loss must not depend on the phase of the eigenvectors, whose length is 1."""
    gL, gV = grads
    L, V = result
    n = V._array.shape[-1]
    if gV is None:
        inner = gL.unsqueeze(-1) * eye_like(V, n)
    else:
        W = H(V) @ gV
        length = diagonal(W).real
        inner = W - (H(V) @ V) * length.unsqueeze(-2)
        inner = inner * wrap(1 - np.eye(n, dtype=V._array.dtype)) / gaps_between(L).conj()
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
    if not is_abstract(A) and not np.isfinite(A._array).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    L, V = _eig(A)
    return L, V


@public("linalg", out=True)
def eig(A: Tensor) -> NamedTensors:
    """The eigenvalues and eigenvectors, columns of length 1, of square matrices, always complex: ``A @ V = V @ diag(L)``

    Shapes: (*, n, n) -> (*, n), (*, n, n).
    Raises: RuntimeError for matrices that are not square, integers, and NaN or infinity.

    >>> torch.linalg.eig(torch.tensor([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
    tensor([0.+1.j, 0.-1.j])
    """
    return _Eig(*_eig_of("linalg.eig", A))


@public("linalg", out=True)
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices, always complex: ``det(A - out[i] * I) = 0``

    Shapes: (*, n, n) -> (*, n).
    Raises: RuntimeError for matrices that are not square, integers, and NaN or infinity.

    >>> torch.linalg.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    tensor([0.+1.j, 0.-1.j])
    """
    return _eig_of("linalg.eigvals", A)[0]
