"""Singular values and principal components of matrices of low rank, by random projection.

Source: Halko, Martinsson, Tropp, "Finding structure with randomness" (2009), https://arxiv.org/abs/0909.4061.
"""

from __future__ import annotations

from mini_dl._dtypes import get_default_dtype
from mini_dl._surface import function
from mini_dl.ops.qr import linalg_qr
from mini_dl.ops.random import randn
from mini_dl.ops.singular_values import linalg_svd
from mini_dl.tensor import Tensor


@function()
def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The `q` largest singular values, approximately, of `A` or of ``A - M``, and their vectors: ``A = U @ diag(S) @ V.H``

    `niter` rounds of power iteration refine the basis, which is initially random.

    Shapes: (*, m, n) -> (*, m, q), (*, q), (*, n, q).
    Raises: ValueError for a negative `q` or `niter`; RuntimeError for shapes that do not match.
    Source: Halko, Martinsson, and Tropp, Finding structure with randomness, 2009, algorithm 5.1.

    >>> _ = torch.manual_seed(0); A = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
    >>> torch.svd_lowrank(A, q=3)[1]
    tensor([3.0000, 2.0000, 1.0000])
    """
    q = 6 if q is None else q
    m, n = A.shape[-2:]
    if M is not None:
        if M._array.dtype != A._array.dtype:
            raise RuntimeError(f"expected A and M to have the same dtype, but got: {A.dtype} != {M.dtype}")
        A = A - M.broadcast_to(A.shape)
    tall = A.mH if m < n else A
    basis = _approximate_basis(tall, q, 2 if niter is None else niter)
    U, S, Vh = linalg_svd(basis.mH @ tall, full_matrices=False)
    left, right = basis @ U, Vh.mH
    return (right, S, left) if m < n else (left, S, right)


def _approximate_basis(A: Tensor, q: int, niter: int) -> Tensor:
    """(*, m, n) -> (*, m, q): orthonormal columns that nearly span the range of `A`. Algorithm 4.4 of the source."""
    dtype = A.dtype if A.is_floating_point() or A.is_complex() else get_default_dtype()
    basis = linalg_qr(A @ randn(A.shape[-1], q, dtype=dtype)).Q
    for _ in range(niter):
        basis = linalg_qr(A.mH @ basis).Q
        basis = linalg_qr(A @ basis).Q
    return basis


@function()
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The principal directions (columns of V) of the rows: ``A - mean = U @ diag(S) @ V.T``; without `center`, of `A` itself.

    Shapes: (*, m, n) -> (*, m, q), (*, q), (*, n, q).
    Raises: ValueError unless ``0 <= q <= min(m, n)`` (6 at most by default) and ``niter >= 0``.
    Source: Halko, Martinsson, and Tropp, Finding structure with randomness, 2009.

    >>> _ = torch.manual_seed(0); x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    >>> torch.pca_lowrank(x, q=1)[2].abs()
    tensor([[0.7071],
            [0.7071]])
    """
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
