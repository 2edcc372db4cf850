"""Singular values, pseudo-inverses, ranks and least squares."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import INEXACT, Array, Shape, limits_of, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import NamedTensors, method, public, requires_grad, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import differentiates, mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels import linalg as kernels
from mini_dl.kernels.linalg import h, is_large
from mini_dl.ops.eigenvalues import eigvalsh, gaps_between
from mini_dl.ops.matrices import H, LinAlgError, eye_like, matrix, square, tied
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ singular values


def _skew(A: Tensor) -> Tensor:
    return A - H(A)


def _svd_gradient(grads: Any, A_shape: Shape, result: Sequence[Tensor]) -> Tensor:
    """The loss must not depend on the phase common to U and V, nor (for complete factors) on the columns beyond the first k."""
    gU, gS, gVh = grads
    U, S, Vh = result
    m, n = A_shape[-2:]
    k = min(m, n)
    U, Vh = U.narrow(-1, 0, k), Vh.narrow(-2, 0, k)
    if gU is None and gVh is None:
        return (U * gS.unsqueeze(-2)) @ Vh
    off = wrap(1 - np.eye(k, dtype=U._array.dtype))
    squares = S * S
    gaps = gaps_between(squares)
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
    with _converging(name):
        if not vectors and not (differentiates() and requires_grad(A)):
            return None, _singular_values(A), None
        U, S, Vh = _svd(A, full)
    return U, S, Vh


@contextlib.contextmanager
def _converging(name: str) -> Iterator[None]:
    """torch's LinAlgError where LAPACK does not converge, which NumPy reports by its own."""
    try:
        yield
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{name}: The algorithm failed to converge because the input matrix contained non-finite values."
        ) from None


_SVD, _TorchSVD = return_type("linalg_svd", "U S Vh"), return_type("svd", "U S V")


def _no_driver(driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.")


@public("linalg:svd", out=True)
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> NamedTensors:
    """The singular value decomposition, S descending: ``A = U @ diag(S) @ Vh``; U and Vh are square if `full_matrices`.

    Shapes: (*, m, n) -> (*, m, k), (*, k), (*, k, n) with ``k = min(m, n)``; full, (*, m, m), (*, k), (*, n, n).
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.linalg.svd(torch.tensor([[0.0, 2.0], [3.0, 0.0]])).S
    tensor([3., 2.])
    """
    _no_driver(driver)
    return _SVD(*_svd_of("linalg.svd", A, full_matrices))


@method(out=True)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> NamedTensors:
    """The singular value decomposition: ``input = U @ diag(S) @ V.H``; without `some`, U and V are square; without `compute_uv`,
    zero.

    Shapes: (*, m, n) -> (*, m, k), (*, k), (*, n, k) with ``k = min(m, n)``.
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.svd(torch.tensor([[0.0, 2.0], [3.0, 0.0]])).S
    tensor([3., 2.])
    """
    U, S, Vh = _svd_of("linalg.svd", input, not some or not compute_uv)
    if not compute_uv:
        m, n = input._array.shape[-2:]
        nothing = [wrap(np.zeros((*input._array.shape[:-2], k, k), input._array.dtype)) for k in (m, n)]
        return _TorchSVD(nothing[0], S, nothing[1])
    return _TorchSVD(U, S, H(Vh))


@public("linalg", out=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, descending: ``out[i] = sqrt(eigvalsh(A.H @ A)[n - 1 - i])``

    Shapes: (*, m, n) -> (*, min(m, n)).
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.linalg.svdvals(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    tensor([3., 2.])
    """
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
    with _converging("linalg.eigh" if hermitian else "linalg.svd"):
        if hermitian:
            L, V = np.linalg.eigh(A)
            return (V * kernels.inverted(L, atol, rtol)[..., None, :]) @ h(V)
        U, S, Vh = np.linalg.svd(A, False)
    return (h(Vh) * kernels.inverted(S, atol, rtol)[..., None, :]) @ h(U)


def _tolerances(name: str, A: Tensor, atol: Any, rtol: object) -> tuple[Any, Any]:
    """Numbers or arrays; if neither is given, ``eps * max(m, n)`` relative to the largest singular value."""
    for label, given in (("atol", atol), ("rtol", rtol)):
        if isinstance(given, Tensor) and given._array.dtype.kind == "c":
            raise RuntimeError(f"{name}: {label} tensor of complex type is not supported.")
        if isinstance(given, complex):
            raise TypeError(f"{name}(): argument '{label}' must be Tensor or float, not complex")
    if rtol is None:
        default = limits_of(A._array.dtype).eps * max(A._array.shape[-2:])
        if atol is None:
            rtol = default
        elif isinstance(atol, Tensor):
            rtol = np.where(atol._array > 0, 0, default)
        else:
            rtol = 0.0 if atol > 0 else default
    return (0.0 if atol is None else _plain(atol)), _plain(rtol)


def _plain(value: object) -> Any:
    return value._array if isinstance(value, Tensor) else value


@public("linalg", out=True)
@by_element
def pinv(
    A: Tensor, rcond: Tensor | float | None = None, hermitian: bool = False, *, atol: Tensor | float | None = None,
    rtol: Tensor | float | None = None,
) -> Tensor:  # fmt: skip
    """The pseudoinverse: ``out = V @ diag(1 / S) @ U.H``; singular values up to ``max(atol, rtol * S[0])`` count as 0.

    Shapes: (*, m, n) -> (*, n, m).
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.linalg.pinv(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    if isinstance(A, Tensor) and A._array.ndim < 2:
        raise RuntimeError(
            f"linalg.pinv({scalar_name(A._array.dtype)}{{{list(A._array.shape)}}}): expected a tensor with 2 or more dimensions "
            "of float, double, cfloat or cdouble types"
        )
    (square if hermitian else matrix)("linalg.pinv", A)
    atol, rtol = _tolerances("torch.linalg.pinv", A, atol, rcond if rtol is None else rtol)
    return _pinv(A, atol, rtol, hermitian)


@method()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse: ``out = linalg.pinv(input, rtol=rcond)``

    Family: linalg.pinv

    >>> torch.pinverse(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return pinv(input, rcond)


@public("linalg", out=True)
@by_element
def matrix_rank(
    A: Tensor, tol: Tensor | float | None = None, hermitian: bool = False, *, atol: Tensor | float | None = None,
    rtol: Tensor | float | None = None,
) -> Tensor:  # fmt: skip
    """The number of nonzero singular values: ``out = sum(S[i] > max(atol, rtol * S[0]), i)``

    Shapes: (*, m, n) -> (*).
    Raises: RuntimeError for fewer than two dimensions, and for integers.

    >>> torch.linalg.matrix_rank(torch.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    refuse_meta("matrix_rank", A)
    matrix("torch.linalg.matrix_rank", A, "input", floating=False)
    if A._array.dtype.kind not in INEXACT:
        raise RuntimeError(f"linalg.matrix_rank: Expected a floating point or complex tensor. Got {scalar_name(A._array.dtype)}")
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
@by_element
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> NamedTensors:
    """Least squares: of all X with minimal ``norm(A @ X - B)``, that of minimal norm.

    The drivers gels, gelsd and gelss return residuals for tall matrices of full rank; the last two return singular values.

    Shapes: `A` (*, m, n), `B` (*, m, k) -> solution (*, n, k), residuals (*, k), rank (*), singular values (*, min(m, n)).
    Raises: RuntimeError unless the shapes match, and for an unknown `driver`.

    >>> A, b = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), torch.tensor([[1.0], [3.0], [5.0]])
    >>> torch.linalg.lstsq(A, b).solution
    tensor([[1.0000],
            [2.0000]])
    """
    refuse_meta("lstsq", A)
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
    rtol = limits_of(A._array.dtype).eps * max(m, n) if rcond is None else rcond
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
