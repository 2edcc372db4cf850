"""The largest or smallest eigenpairs of a symmetric matrix, using only products with it: LOBPCG (Knyazev, 2001)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.autograd.function import Function
from mini_dl.kernels.context import run
from mini_dl.ops.random import randn
from mini_dl.tensor import Tensor, wrap

__all__ = ["LOBPCG", "lobpcg"]

Product = Callable[[Array], Array]


class Options(NamedTuple):
    """The number of requested pairs, the convergence criterion, and which pairs are requested."""

    k: int
    niter: int
    tol: float
    largest: bool


def product_with(matrix: Tensor | None) -> Product:
    """A function that multiplies an array by a dense or sparse matrix, or returns it unchanged."""
    if matrix is None:
        return lambda x: x
    constant: Any = matrix.detach()
    return lambda x: (constant @ wrap(x))._array


def orthonormal(basis: Array, by: Product, tolerance: float) -> Array:
    """The span of `basis`, orthonormal in the product with ``by``; negligible directions are dropped."""
    for _ in range(2):
        gram = basis.T @ by(basis)
        scale = 1 / np.sqrt(np.maximum(np.diagonal(gram), np.finfo(basis.dtype).tiny))
        values, vectors = np.linalg.eigh(gram * scale * scale[:, None])
        keep = values > tolerance * values.max()
        basis = basis @ (scale[:, None] * vectors[:, keep] / np.sqrt(values[keep]))
    return basis


class LOBPCG:
    """The iteration: each step searches for the pairs in the span of the vectors, their residuals and the last step."""

    def __init__(self, A: Tensor, B: Tensor | None, X: Tensor, iK: Tensor | None, options: Options, tracker: Any = None) -> None:
        self.times_a, self.times_b, self.preconditioned = product_with(A), product_with(B), product_with(iK)
        self.x, self.options, self.tracker = X._array, options, tracker
        self.steps, self.converged = 0, 0
        size = np.linalg.norm(self.x)
        self.norm_a = float(np.linalg.norm(self.times_a(self.x)) / size)
        self.norm_b = float(np.linalg.norm(self.times_b(self.x)) / size)
        self.before: Array = self.x[:, :0]
        self.residual: Array = self.x

    X = property(lambda self: wrap(self.x), doc="The vectors.")
    E = property(lambda self: wrap(self.values), doc="The values.")

    def ritz(self, basis: Array) -> tuple[Array, Array, Array]:
        """The eigenvalues in the span of a basis, the requested ones first, an orthonormal basis, and the vectors in it."""
        basis = orthonormal(basis, self.times_b, float(np.finfo(basis.dtype).eps))
        inner = basis.T @ self.times_a(basis)
        values, vectors = np.linalg.eigh((inner + inner.T) / 2)
        return (values[::-1], basis, vectors[:, ::-1]) if self.options.largest else (values, basis, vectors)

    def update(self) -> None:
        """One step, which does not change converged pairs."""
        n, done = self.x.shape[1], self.converged
        if not self.steps:
            values, basis, vectors = self.ritz(self.x)
            self.values, self.x = values[:n], basis @ vectors[:, :n]
        else:
            fixed, moving = self.x[:, :done], self.x[:, done:]
            rest = np.concatenate([self.preconditioned(self.residual[:, done:]), self.before], 1)
            space = np.concatenate([moving, rest], 1)
            for _ in range(2 if done else 0):
                space = space - fixed @ (fixed.T @ self.times_b(space))
            values, basis, vectors = self.ritz(space)
            found = basis @ vectors[:, : n - done]
            self.before = found - moving @ (moving.T @ self.times_b(found))
            self.x = np.concatenate([fixed, found], 1)
            self.values = np.concatenate([self.values[:done], values[: n - done]])
        images = self.times_b(self.x)
        self.residual = self.times_a(self.x) - images * self.values
        errors = np.linalg.norm(self.residual, axis=0) / (
            np.linalg.norm(self.x, axis=0) * (self.norm_a + np.abs(self.values) * self.norm_b)
        )
        below = errors < self.options.tol
        self.converged = max(done, len(below) if below.all() else int(np.argmin(below)))
        self.before = self.before[:, max(self.before.shape[1] - (n - self.converged), 0) :]
        self.steps += 1

    def run(self) -> None:
        """Steps until the pairs have converged, or until the maximum number of steps."""
        while self.steps < self.options.niter and (not self.steps or self.converged < self.options.k):
            self.update()
            if self.tracker is not None:
                self.tracker(self)


class _Pairs(Function):
    """The pairs with their derivatives, which need all eigenvectors."""

    @staticmethod
    def forward(ctx: Any, A: Tensor, found: tuple[Tensor, Tensor], general: bool) -> tuple[Tensor, Tensor]:
        values, vectors = found
        ctx.general = general
        ctx.save_for_backward(A, values, vectors)
        return values.clone(), vectors.clone()

    @staticmethod
    def backward(ctx: Any, of_values: Tensor, of_vectors: Tensor) -> Any:
        A, values, vectors = ctx.saved_tensors
        if A._sparse:
            raise ValueError("lobpcg.backward does not support sparse input yet. Note that lobpcg.forward does though.")
        if ctx.general:
            raise ValueError("lobpcg.backward does not support backward with B != I yet.")
        every, basis = run(np.linalg.eigh, A.detach()._array)
        gaps = values._array[..., None, :] - every[..., :, None]
        own = np.abs(gaps).min(-2, keepdims=True) == np.abs(gaps)
        slopes = np.where(own, 0, 1 / np.where(own, 1, gaps))
        all_vectors = wrap(basis)
        inner = (all_vectors.mT @ of_vectors) * wrap(slopes.astype(values._array.dtype))
        return (vectors * of_values.unsqueeze(-2) + all_vectors @ inner) @ vectors.mT, None, None


def lobpcg(
    A: Tensor, k: int | None = None, B: Tensor | None = None, X: Tensor | None = None, n: int | None = None,
    iK: Tensor | None = None, niter: int | None = None, tol: float | None = None, largest: bool | None = None,
    method: str | None = None, tracker: Any = None, ortho_iparams: dict[str, int] | None = None,
    ortho_fparams: dict[str, float] | None = None, ortho_bparams: dict[str, bool] | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The `k` largest (or, with ``largest=False``, smallest) eigenvalues and their vectors: ``A @ x = e * B @ x``

    `A` and `B` are symmetric and positive definite, dense or sparse; `B` defaults to the identity. `X` is the initial
    guess, by default `n` random vectors; `iK` preconditions. `method` is "ortho" or "basic"; `tracker` is called in each
    iteration.

    Shapes: `A` and `B` (*, m, m), `X` (*, m, n) -> (*, k), (*, m, k).
    Raises: ValueError for an `m` below 3 k; RuntimeError for other shapes, and for a gradient that is not
    defined.
    Source: Knyazev, Toward the optimal preconditioned eigensolver, 2001; Stathopoulos and Wu, A block orthogonalization
    procedure, 2002.

    >>> A = torch.diag(torch.arange(1.0, 10.0))
    >>> torch.lobpcg(A, k=2)[0]
    tensor([9.0000, 8.0000])
    """
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: method must be 'basic' or 'ortho', got {method!r}")
    if A.shape[-2] != A.shape[-1]:
        raise AssertionError(f"A must be square, got shape {A.shape}")
    if B is not None and A.shape != B.shape:
        raise AssertionError(f"A and B must have same shape, got {A.shape} vs {B.shape}")
    dtype = A.dtype if A.dtype.is_floating_point else randn(0).dtype
    eps = {"float32": 1.2e-07, "float64": 2.23e-16}[dtype.name]
    m = A.shape[-1]
    k = (1 if X is None else X.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X.shape[-1]
    if m < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3 x the number of requested "
            f"eigenpairs (={n})"
        )
    options = Options(k, 1000 if niter is None else niter, math.sqrt(eps) if tol is None else tol, largest is not False)
    if A.requires_grad and not A._sparse:
        A = (A + A.mT) / 2
    batch = tuple(A.shape[:-2])
    count = math.prod(batch)
    values, vectors = np.empty((count, k), dtype.numpy), np.empty((count, m, k), dtype.numpy)
    for i in range(count):
        first, second = ((each.reshape(count, m, m)[i] if batch and each is not None else each) for each in (A, B))
        start = randn(m, n, dtype=dtype) if X is None else X.reshape(count, m, n)[i]
        worker = LOBPCG(first, second, start, iK, options, tracker)  # type: ignore[arg-type]
        worker.run()
        values[i], vectors[i] = worker.values[:k], worker.x[:, :k]
    found = wrap(values.reshape(*batch, k)), wrap(vectors.reshape(*batch, m, k))
    return _Pairs.apply(A, found, B is not None) if A.requires_grad else found
