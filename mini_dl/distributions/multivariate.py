"""Normal vectors, and random matrices."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from mini_dl._dtypes import finfo
from mini_dl.distributions import constraints
from mini_dl.distributions.distribution import Distribution, constrained
from mini_dl.distributions.exp_family import ExponentialFamily
from mini_dl.distributions.positive import Chi2
from mini_dl.distributions.simplex import Beta
from mini_dl.distributions.utils import (
    NUMBERS,
    Value,
    broadcast_all,
    given_by,
    lazy_property,
    standard_normal,
    tensor_given_by,
    vec_to_tril_matrix,
)
from mini_dl.ops.cholesky import _linalg_cholesky as cholesky, cholesky_inverse, cholesky_solve
from mini_dl.ops.copies import _broadcast_shapes as broadcast_shapes, broadcast_tensors
from mini_dl.ops.determinants import slogdet
from mini_dl.ops.from_data import tensor
from mini_dl.ops.joining import cat
from mini_dl.ops.random import randn
from mini_dl.ops.ranges import arange, diag_embed, eye
from mini_dl.ops.solving import solve_triangular
from mini_dl.ops.special import mvlgamma
from mini_dl.tensor import Size, Tensor

__all__ = ["LKJCholesky", "LowRankMultivariateNormal", "MultivariateNormal", "Wishart"]

# ------------------------------------------------------------------------------------------------ batches of matrices


def _batch_mv(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _log_diagonal(matrix: Tensor) -> Tensor:
    """The logarithm of the determinant of triangular matrices."""
    return matrix.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _batch_mahalanobis(bL: Tensor, bx: Tensor) -> Tensor:
    """``|L^-1 x|^2``: the batch of `x` ends with multiples of the batch dimensions of `L`.

    Each L solves for all its vectors at once, as columns.
    """
    n, batch, factors = bx.size(-1), bx.shape[:-1], bL.shape[:-2]
    outer = len(batch) - len(factors)
    pairs = [size for ours, theirs in zip(factors, batch[outer:]) for size in (theirs // ours, ours)]
    x = bx.reshape(batch[:outer] + tuple(pairs) + (n,))
    repeats = [outer + 2 * i for i in range(len(factors))]
    own = [i + 1 for i in repeats]
    order = [*own, x.dim() - 1, *range(outer), *repeats]
    columns = x.permute(order).reshape(factors + (n, -1))
    squares = solve_triangular(bL, columns, upper=False).pow(2).sum(-2)
    kept = [i for i in order if i != x.dim() - 1]
    squares = squares.reshape([x.shape[i] for i in kept])
    return squares.permute([kept.index(i) for i in range(len(kept))]).reshape(batch)


def _precision_to_scale_tril(P: Tensor) -> Tensor:
    """The lower triangular L with ``L L^T = P^-1``, from the Cholesky factor of P reversed."""
    inverse = cholesky(P.flip((-2, -1))).flip((-2, -1)).transpose(-2, -1)
    return solve_triangular(inverse, eye(P.shape[-1], dtype=P.dtype), upper=False)


# ------------------------------------------------------------------------------------------------ normal vectors


class MultivariateNormal(Distribution):
    """Density ``exp(-(x - loc).T @ inv(C) @ (x - loc) / 2) / sqrt(det(2 * pi * C))``, C the covariance.

    One of `covariance_matrix` C, `precision_matrix` ``inv(C)`` and the Cholesky factor `scale_tril` is given.

    Shapes: `loc` (*B, K), the matrix (*B, K, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError unless one matrix is given, positive definite, and of at least two dimensions; and for NaN.
    Source: Kotz, Balakrishnan and Johnson, Continuous multivariate distributions, 2000, chapter 45.

    >>> torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)).log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = constrained(
        loc=constraints.real_vector,
        covariance_matrix=constraints.positive_definite,
        precision_matrix=constraints.positive_definite,
        scale_tril=constraints.lower_cholesky,
    )
    support = constraints.real_vector
    has_rsample = True
    mean = mode = given_by(lambda self: self.loc)

    def __init__(
        self, loc: Tensor, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = _only_one(covariance_matrix, precision_matrix, scale_tril, ValueError)
        if matrix.dim() < 2:
            called = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(f"{called} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        self.loc = loc.expand(batch_shape + (-1,))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = _scale_tril(name, matrix)

    def _over_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._over_batch(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._over_batch(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return self._over_batch(cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        eps = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, eps)

    def log_prob(self, value: Any) -> Tensor:
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, self._checked(value) - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - _log_diagonal(self._unbroadcasted_scale_tril)

    def entropy(self) -> Tensor:
        n = self._event_shape[0]
        entropy = 0.5 * n * (1.0 + math.log(2 * math.pi)) + _log_diagonal(self._unbroadcasted_scale_tril)
        return entropy.expand(self._batch_shape)


MATRICES = "covariance_matrix", "precision_matrix", "scale_tril"


def _only_one(covariance: object, precision: object, scale_tril: object, error: type[Exception]) -> tuple[str, Any]:
    """The one matrix given, with its name."""
    given = [(name, m) for name, m in zip(MATRICES, (covariance, precision, scale_tril)) if m is not None]
    if len(given) != 1:
        raise error("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    return given[0]


def _scale_tril(name: str, matrix: Tensor) -> Tensor:
    if name == "scale_tril":
        return matrix
    return cholesky(matrix) if name == "covariance_matrix" else _precision_to_scale_tril(matrix)


# ------------------------------------------------------------------------------------------------ of low rank


def _divided(W: Tensor, D: Tensor) -> Tensor:
    """``W^T D^-1``"""
    return W.mT / D.unsqueeze(-2)


def _plus_identity(matrix: Tensor) -> Tensor:
    return matrix + eye(matrix.shape[-1], dtype=matrix.dtype)


def _batch_lowrank_logdet(W: Tensor, D: Tensor, capacitance_tril: Tensor) -> Tensor:
    """``log det(W W^T + D)``, by the matrix determinant lemma."""
    return 2 * _log_diagonal(capacitance_tril) + D.log().sum(-1)


def _batch_lowrank_mahalanobis(W: Tensor, D: Tensor, x: Tensor, capacitance_tril: Tensor) -> Tensor:
    """``x^T (W W^T + D)^-1 x``, by the Woodbury identity."""
    return (x.pow(2) / D).sum(-1) - _batch_mahalanobis(capacitance_tril, _batch_mv(_divided(W, D), x))


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with covariance ``W @ W.T + diag(D)``, with W the `cov_factor`, of few columns, and D the `cov_diag`.

    Only matrices as large as W is wide are factored: ``I + W.T @ diag(1 / D) @ W``, the capacitance.

    Shapes: `loc` (*B, K), `cov_factor` (*B, K, R), `cov_diag` (*B, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError for sizes that do not match, and for NaN; LinAlgError unless `cov_diag` is positive.
    Source: Kotz, Balakrishnan and Johnson, Continuous multivariate distributions, 2000, chapter 45.

    >>> low = torch.distributions.LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(2))
    >>> low.covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints = constrained(
        loc=constraints.real_vector,
        cov_factor=constraints.independent(constraints.real, 2),
        cov_diag=constraints.independent(constraints.positive, 1),
    )
    support = constraints.real_vector
    has_rsample = True
    mean = mode = given_by(lambda self: self.loc)

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m")
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            wide, self.cov_factor, diagonal = broadcast_tensors(loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1))
        except RuntimeError as error:
            shapes = f"loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            raise ValueError(f"Incompatible batch shapes: {shapes}") from error
        self.loc, self.cov_diag = wide[..., 0], diagonal[..., 0]
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = cholesky(_plus_identity(_divided(cov_factor, cov_diag) @ cov_factor))
        super().__init__(self.loc.shape[:-1], event_shape, validate_args=validate_args)

    @property
    def _low_rank(self) -> tuple[Tensor, Tensor]:
        return self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag

    def _over_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def variance(self) -> Tensor:
        W, D = self._low_rank
        return (W.pow(2).sum(-1) + D).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        W, D = self._low_rank
        root = D.sqrt().unsqueeze(-1)
        scaled = W / root
        return self._over_batch(root * cholesky(_plus_identity(scaled @ scaled.mT)))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        W, D = self._low_rank
        return self._over_batch(W @ W.mT + diag_embed(D))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        W, D = self._low_rank
        A = solve_triangular(self._capacitance_tril, _divided(W, D), upper=False)
        return self._over_batch(diag_embed(D.reciprocal()) - A.mT @ A)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape, (W, D) = self._extended_shape(sample_shape), self._low_rank
        eps_W = standard_normal(shape[:-1] + self.cov_factor.shape[-1:], self.loc)
        eps_D = standard_normal(shape, self.loc)
        return self.loc + _batch_mv(W, eps_W) + D.sqrt() * eps_D

    def log_prob(self, value: Any) -> Tensor:
        distance = _batch_lowrank_mahalanobis(*self._low_rank, self._checked(value) - self.loc, self._capacitance_tril)
        log_det = _batch_lowrank_logdet(*self._low_rank, self._capacitance_tril)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + log_det + distance)

    def entropy(self) -> Tensor:
        log_det = _batch_lowrank_logdet(*self._low_rank, self._capacitance_tril)
        return (0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + log_det)).expand(self._batch_shape)


# ------------------------------------------------------------------------------------------------ random matrices


class Wishart(ExponentialFamily):
    """Positive definite matrices ``sum(x[i] @ x[i].T, i)`` of `df` normal vectors x with the given covariance.

    One of `covariance_matrix`, `precision_matrix` and `scale_tril` is given; `df` need not be an integer (Bartlett's
    decomposition).

    Shapes: `df` (*B), the matrix (*B, K, K); an event is (K, K), samples of (*S) are (*S, *B, K, K).
    Raises: AssertionError unless one matrix is given; ValueError unless it is positive definite and ``df > K - 1``.
    Source: Wishart, The generalised product moment distribution in samples from a normal multivariate population, 1928.

    >>> torch.distributions.Wishart(3.0, torch.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    mean = tensor_given_by(lambda self: self._per_matrix(self.df) * self.covariance_matrix)

    @property
    def arg_constraints(self) -> Any:
        matrices = {name: MultivariateNormal.arg_constraints[name] for name in MATRICES}
        return {**matrices, "df": constraints.greater_than(self.event_shape[-1] - 1)}

    def __init__(
        self, df: Any, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name, matrix = _only_one(covariance_matrix, precision_matrix, scale_tril, AssertionError)
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        event_shape, batch_shape = matrix.shape[-2:], matrix.shape[:-2]
        if isinstance(df, NUMBERS):
            df = tensor(df, dtype=matrix.dtype)
            self.df = df if batch_shape == () else df.expand(batch_shape)
        else:
            batch_shape = broadcast_shapes(batch_shape, df.shape)
            self.df = df.expand(batch_shape)
        n = event_shape[-1]
        if self.df.le(n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        if self.df.lt(n).any():
            message = "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim."
            warnings.warn(message, stacklevel=2)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._unbroadcasted_scale_tril = _scale_tril(name, matrix)
        self._dist_chi2 = Chi2(self.df.unsqueeze(-1) - arange(n, dtype=matrix.dtype).expand(batch_shape + (-1,)))

    def _per_matrix(self, values: Tensor) -> Tensor:
        return values.view(self._batch_shape + (1, 1))

    def _over_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._over_batch(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._over_batch(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.transpose(-2, -1))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        identity = eye(self._event_shape[-1], dtype=self._unbroadcasted_scale_tril.dtype)
        return self._over_batch(cholesky_solve(identity, self._unbroadcasted_scale_tril))

    @property
    def mode(self) -> Tensor:
        factor = self.df - self._event_shape[-1] - 1
        return self._per_matrix(factor.masked_fill(factor <= 0, math.nan)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        V = self.covariance_matrix
        diagonal = V.diagonal(dim1=-2, dim2=-1)
        return self._per_matrix(self.df) * (V.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def _bartlett_sampling(self, sample_shape: Sequence[int] = ()) -> Tensor:
        p = self._event_shape[-1]
        roots = self._dist_chi2.rsample(sample_shape).sqrt()
        diagonal = diag_embed(roots.clamp(min=finfo(roots.dtype).eps))
        below = randn(Size(sample_shape) + self._batch_shape + (p * (p - 1) // 2,), dtype=roots.dtype)
        factor = self._unbroadcasted_scale_tril @ (diagonal + vec_to_tril_matrix(below, diag=-1))
        return factor @ factor.transpose(-2, -1)

    def rsample(self, sample_shape: Sequence[int] = (), max_try_correction: int | None = None) -> Tensor:
        """Matrices as functions of the parameters.

        The first draws are drawn again, as in torch, whose test of them is inverted: it warns of singular matrices when
        they are positive definite.
        """
        sample_shape = Size(sample_shape)
        sample = self._bartlett_sampling(sample_shape)
        again = self._any_in_batch(self.support.check(sample))
        if again.any():
            warnings.warn("Singular sample detected.", stacklevel=2)
            for _ in range(10 if max_try_correction is None else max_try_correction):
                drawn = self._bartlett_sampling(again[again].shape)
                sample[again.clone()] = drawn  # the gradient needs the current mask
                again[again.clone()] = self._any_in_batch(~self.support.check(drawn))
                if not again.any():
                    break
        return sample

    def _any_in_batch(self, where: Tensor) -> Tensor:
        """Whether it holds anywhere in the batch."""
        return where.amax([-(i + 1) for i in range(len(self._batch_shape))]) if self._batch_shape else where

    def log_prob(self, value: Any) -> Tensor:
        value, nu, p = self._checked(value), self.df, self._event_shape[-1]
        factor = self._unbroadcasted_scale_tril
        trace = cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(-1)
        normalizer = nu * (p * math.log(2) / 2 + _log_diagonal(factor)) + mvlgamma(nu / 2, p=p)
        return -normalizer + (nu - p - 1) / 2 * slogdet(value).logabsdet - trace / 2

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        log_volume = (p + 1) * (p * math.log(2) / 2 + _log_diagonal(self._unbroadcasted_scale_tril))
        return log_volume + mvlgamma(nu / 2, p=p) - (nu - p - 1) / 2 * _mvdigamma(nu / 2, p) + nu * p / 2

    @property
    def _natural_params(self) -> Any:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        return half * (-slogdet(-2 * x).logabsdet + math.log(2) * p) + mvlgamma(half, p=p)


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    if not x.gt((p - 1) / 2).all():
        raise AssertionError("Wrong domain for multivariate digamma function.")
    return (x.unsqueeze(-1) - arange(p, dtype=x.dtype).div(2).expand(x.shape + (-1,))).digamma().sum(-1)


class LKJCholesky(Distribution):
    """Cholesky factors L of correlation matrices: density of ``L @ L.T`` proportional to ``det(L @ L.T) ** (concentration - 1)``.

    Uniform where `concentration` is 1. Samples by the onion method.

    Shapes: `concentration` (*B), `dim` K; an event is (K, K), samples of (*S) are (*S, *B, K, K).
    Raises: ValueError unless `concentration` is positive and `dim` at least 2, and for values outside the support.
    Source: Lewandowski, Kurowicka and Joe, Generating random correlation matrices based on vines and extended onion method,
    2009.

    >>> _ = torch.manual_seed(0)
    >>> factor = torch.distributions.LKJCholesky(3).sample()
    >>> factor.shape, factor[0]
    (torch.Size([3, 3]), tensor([1., 0., 0.]))
    """

    arg_constraints = constrained(concentration=constraints.positive)
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Value = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        marginal = self.concentration + 0.5 * (dim - 2)
        row = arange(dim - 1, dtype=self.concentration.dtype)
        row = cat([row.new_zeros((1,)), row])
        self._beta = Beta(row + 0.5, marginal.unsqueeze(-1) - 0.5 * row)
        super().__init__(self.concentration.size(), Size((dim, dim)), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        lengths = self._beta.sample(sample_shape).unsqueeze(-1)
        directions = randn(self._extended_shape(sample_shape), dtype=lengths.dtype).tril(-1)
        directions = directions / directions.norm(dim=-1, keepdim=True)
        directions[..., 0, :].fill_(0.0)
        rows = lengths.sqrt() * directions
        rest = (1 - (rows**2).sum(-1)).clamp(min=finfo(rows.dtype).tiny).sqrt()
        return rows + diag_embed(rest)

    def log_prob(self, value: Any) -> Tensor:
        diagonal = self._checked(value).diagonal(dim1=-1, dim2=-2)[..., 1:]
        power = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - arange(2, self.dim + 1)
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        normalizer = 0.5 * n * math.log(math.pi) + mvlgamma(alpha - 0.5, n) - alpha.lgamma() * n
        return (power * diagonal.log()).sum(-1) - normalizer
