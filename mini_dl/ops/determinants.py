"""Determinants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_dl._dtypes import Array, limits_of
from mini_dl._surface import NamedTensors, method, public, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import differentiates, mode
from mini_dl.autograd.primitive import op
from mini_dl.ops.matrices import H, square
from mini_dl.ops.solving import _inv
from mini_dl.tensor import Grads, Tensor, wrap

# ------------------------------------------------------------------------------------------------ determinants


@op(A=lambda grad, A, result: _det_gradient(grad, A, result))
def _det(A: Array) -> Array:
    return np.linalg.det(A)


@by_element
def _det_gradient(grad: Tensor, A: Tensor, result: Tensor) -> Tensor:
    """``grad * cofactors``: ``det * inv(A).H`` for invertible matrices, else from the minors."""
    each = grad.unsqueeze(-1).unsqueeze(-1)
    if not A._array.size:
        return wrap(np.zeros_like(A._array))
    if A._array.shape[-1] == 1:
        return each
    if not _nearly_singular(A._array):
        return each * H(result.unsqueeze(-1).unsqueeze(-1) * _inv(A))
    cofactors = _minors(A) if differentiates() else _cofactors(A)
    return each * (cofactors.conj() if A._array.dtype.kind == "c" else cofactors)


def _nearly_singular(A: Array) -> bool:
    s: Array = mode.run(np.linalg.svd, A, False, False)
    return bool((s[..., -1] <= s[..., 0] * A.shape[-1] * limits_of(A.dtype).eps * 10).any())


@op()
def _cofactors(A: Array) -> Array:
    """``d det / d A``, from the singular values, any of which may be 0."""
    n = A.shape[-1]
    U, s, Vh = np.linalg.svd(A)
    others = np.stack([np.prod(np.delete(s, i, -1), -1) for i in range(n)], -1) if n else s
    phase = np.linalg.det(U) * np.linalg.det(Vh)
    return (U.conj() * (phase[..., None] * others)[..., None, :]) @ Vh.conj()


def _minors(A: Tensor) -> Tensor:
    """The cofactors as determinants of the matrices without a row and a column: these have derivatives of any order."""
    n = A._array.shape[-1]
    kept = np.array([[k for k in range(n) if k != i] for i in range(n)], np.int64).reshape(n, n - 1)
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    minors = A[..., wrap(kept[:, None, :, None]), wrap(kept[None, :, None, :])]
    return _det(minors) * wrap(signs.astype(A._array.dtype))


@public("linalg", out=True)
def det(A: Tensor) -> Tensor:
    """The determinant, from the LU decomposition: ``out = sum(sign(p) * prod(A[i, p[i]], i), p)`` over all permutations p.

    Shapes: (*, n, n) -> (*).
    Raises: RuntimeError for matrices that are not square, and for integers.

    >>> torch.linalg.det(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return _det(square("linalg.det", A))


@public("torch:det", "Tensor:det")
def _torch_det(input: Tensor) -> Tensor:
    """`linalg.det`, the determinant: ``out = sum(sign(p) * prod(input[i, p[i]], i), p)`` over all permutations p.

    Family: linalg.det

    >>> torch.det(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return _det(square("linalg.det", input))


def _slogdet_gradient(grads: Grads, A: Tensor, result: Sequence[Tensor]) -> Tensor:
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
def _linalg_slogdet(A: Tensor) -> NamedTensors:
    """Sign and logarithm of the determinant, without overflow: ``det(A) = sign * exp(logabsdet)``

    Shapes: (*, n, n) -> (*), (*).
    Raises: RuntimeError for matrices that are not square, and for integers.

    >>> torch.linalg.slogdet(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(1.7918))
    """
    return _LinalgSlogdet(*_slogdet(square("linalg.slogdet", A)))


@method(out=True)
def slogdet(input: Tensor) -> NamedTensors:
    """Sign and logarithm of the determinant, without overflow: ``det(input) = sign * exp(logabsdet)``

    Family: linalg.slogdet

    >>> torch.slogdet(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    torch.return_types.slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(1.7918))
    """
    return _Slogdet(*_slogdet(square("linalg.slogdet", input)))


@method()
def logdet(input: Tensor) -> Tensor:
    """``out = log(det(input))``; NaN where the determinant is negative.

    Family: linalg.det

    >>> torch.logdet(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor(1.7918)
    """
    sign, log = _slogdet(square("logdet", input))
    return log + (sign.log() if input._array.dtype.kind == "c" else sign.detach().log())
