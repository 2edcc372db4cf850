"""Weights that stay orthogonal, have spectral norm 1, or have a learned length."""

from __future__ import annotations

from typing import Any

from mini_dl._dtypes import limits_of
from mini_dl.autograd.mode import no_grad
from mini_dl.nn.modules.module import Module
from mini_dl.nn.utils.parametrize import register_parametrization
from mini_dl.nn.utils.spectral_norm import as_matrix, output_dim, unit
from mini_dl.nn.utils.weight_norm import WeightNorm
from mini_dl.ops.comparison import allclose
from mini_dl.ops.creation import zeros_like
from mini_dl.ops.joining import cat
from mini_dl.ops.linalg import matrix_exp
from mini_dl.ops.qr import geqrf, orgqr
from mini_dl.ops.random import randn
from mini_dl.ops.ranges import eye
from mini_dl.ops.solving import solve
from mini_dl.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_MAPS = ("matrix_exp", "cayley", "householder")


# ------------------------------------------------------------------------------------------------ orthogonal


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """``W.H @ W = I``, or ``W @ W.H = I`` for a wide W: a tensor that stays orthogonal (unitary). Returns `module`.

    The map from any matrix X, with ``A = tril(X) - tril(X).H``: ``exp(A)`` ("matrix_exp"), ``inv(1 - A / 2) @ (1 + A / 2)``
    ("cayley"), or a product of reflections ("householder"). With `use_trivialization` the result is multiplied by a fixed
    orthogonal ``base``.

    Shapes: matrices (*, m, n).
    Raises: ValueError for an unknown `orthogonal_map`, an unknown tensor, or one of fewer than two dimensions.
    Source: Lezcano Casado, Trivializations for gradient-based optimization on manifolds, 2019.

    >>> layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 3))
    >>> bool((layer.weight @ layer.weight.T).allclose(torch.eye(3), atol=1e-5))
    True
    """
    weight = _tensor(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, parametrization, unsafe=True)


class _Orthogonal(Module):
    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        tall = X.mT if wide else X
        result = _reflections(tall) if self.orthogonal_map == "householder" else self._from_skew(tall)
        if hasattr(self, "base"):
            result = self.base @ result
        return result.mT if wide else result

    def _from_skew(self, tall: Tensor) -> Tensor:
        """(..., n, k) -> the first k columns of the orthogonal matrix of A."""
        n, k = tall.shape[-2:]
        lower = tall.tril()
        if n != k:
            lower = cat([lower, lower.new_zeros(*lower.shape[:-1], n - k)], dim=-1)
        skew = lower - lower.mH
        if self.orthogonal_map == "matrix_exp":
            result = matrix_exp(skew)
        else:
            identity = eye(n, dtype=skew.dtype)
            result = solve(identity - 0.5 * skew, identity + 0.5 * skew)
        return result[..., :k] if n != k else result

    @no_grad()
    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}.")
        wide = Q.shape[-2] < Q.shape[-1]
        tall = Q.mT if wide else Q
        n, k = tall.shape[-2:]
        if hasattr(self, "base"):
            if n != k:
                more = randn(*tall.shape[:-1], n - k, dtype=tall.dtype)
                tall = cat([tall, more], dim=-1)
            self.base = tall.clone() if n == k and _is_orthogonal(tall) else _nearest(tall)
            start = zeros_like(Q)  # minus the identity, which every map sends to the identity
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return start
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        reflectors, tau = geqrf(tall)
        diagonal = reflectors.diagonal(dim1=-2, dim2=-1)
        diagonal.sign_()
        diagonal[tau == 0.0] *= -1  # where LAPACK used no reflection
        return reflectors.mT if wide else reflectors


def _reflections(tall: Tensor) -> Tensor:
    """The product of the reflections with vectors below the diagonal, with columns signed by the diagonal."""
    below = tall.tril(-1)
    tau = 2.0 / (1.0 + (below * below).sum(-2))
    signs = tall.detach().diagonal(dim1=-2, dim2=-1).trunc()
    return orgqr(below, tau) * signs.unsqueeze(-2)


def _is_orthogonal(matrix: Tensor) -> bool:
    n, k = matrix.shape[-2:]
    eps = 10.0 * n * float(limits_of(matrix._array.dtype).eps)
    return allclose(matrix.mH @ matrix, eye(k, dtype=matrix.dtype), atol=eps)


def _nearest(tall: Tensor) -> Tensor:
    """The Q of ``tall = Q R`` with a positive diagonal of R."""
    reflectors, tau = geqrf(tall)
    signs = reflectors.diagonal(dim1=-2, dim2=-1).sgn()
    return orgqr(reflectors, tau) * signs.unsqueeze(-2)


# ------------------------------------------------------------------------------------------------ norms


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """``W = g * v / norm(v)``: ``original0`` is the length g, over all dimensions but `dim` (None: over all), ``original1`` the
    direction v. Returns `module`.

    Shapes: a tensor of any shape, which does not change.
    Raises: ValueError for an unknown tensor.
    Source: Salimans and Kingma, Weight normalization, 2016, section 2.

    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def accept_old_names(state_dict: Any, prefix: str, *_: object) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all([key in state_dict for key in old]):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(accept_old_names)
    return module


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / WeightNorm("", self.dim).norm(weight_v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return WeightNorm("", self.dim).norm(weight), weight


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """``W = original / sigma`` with the largest singular value of the tensor as a matrix with `dim` first. Returns `module`.

    The value is estimated by power iteration: `n_power_iterations` more steps whenever the tensor is computed in training.

    Shapes: a tensor of any shape, which does not change.
    Raises: ValueError for an unknown tensor, and unless the steps are positive.
    Source: Miyato et al., Spectral normalization for generative adversarial networks, 2018, section 2.1.

    >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 2), n_power_iterations=50)
    >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 3)
    1.0
    """
    parametrization = _SpectralNorm(_tensor(module, name), n_power_iterations, output_dim(module, dim), eps)
    return register_parametrization(module, name, parametrization)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        n = weight.ndim
        if not -n <= dim < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{n}, {n - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.dim, self.eps = dim % n, eps
        if n > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim).detach()
            height, width = matrix.shape
            left, right = matrix.new_empty(height).normal_(), matrix.new_empty(width).normal_()
            self.register_buffer("_u", unit(left, eps))
            self.register_buffer("_v", unit(right, eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            self._u.copy_(unit(matrix.mv(self._v), self.eps))
            self._v.copy_(unit(matrix.H.mv(self._u), self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        left, right = self._u.clone(), self._v.clone()  # the next call overwrites them
        return weight / left.vdot(matrix.mv(right))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def _tensor(module: Module, name: str) -> Tensor:
    tensor = getattr(module, name, None)
    if not isinstance(tensor, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return tensor
