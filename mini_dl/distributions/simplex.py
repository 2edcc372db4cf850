"""Distributions over [0, 1] and over the simplex."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mini_dl.autograd.function import Function, once_differentiable
from mini_dl.autograd.mode import no_grad
from mini_dl.distributions import constraints
from mini_dl.distributions.distribution import ProbsOrLogits, constrained
from mini_dl.distributions.exp_family import ExponentialFamily
from mini_dl.distributions.utils import (
    NUMBERS,
    Value,
    broadcast_all,
    clamp_probs,
    given_by,
    lazy_property,
    logits_to_probs,
    tensor_given_by,
)
from mini_dl.ops.choice import where
from mini_dl.ops.creation import full_like, ones_like, zeros_like
from mini_dl.ops.from_data import tensor
from mini_dl.ops.joining import stack
from mini_dl.ops.loss import binary_cross_entropy_with_logits
from mini_dl.ops.masks import one_hot
from mini_dl.ops.powers import xlogy
from mini_dl.ops.random import rand
from mini_dl.ops.sampling import _dirichlet_grad, _sample_dirichlet
from mini_dl.tensor import Tensor

__all__ = ["Beta", "ContinuousBernoulli", "Dirichlet"]


def _Dirichlet_backward(x: Tensor, concentration: Tensor, grad_output: Tensor) -> Tensor:
    total = concentration.sum(-1, True).expand_as(concentration)
    slope = _dirichlet_grad(x, concentration, total)
    return slope * (grad_output - (x * grad_output).sum(-1, True))


class _Dirichlet(Function):
    """Points as functions of the concentration: each moves so that its quantiles stay constant."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor) -> Tensor:
        x = _sample_dirichlet(concentration)
        ctx.save_for_backward(x, concentration)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        x, concentration = ctx.saved_tensors
        return _Dirichlet_backward(x, concentration, grad_output)


class Dirichlet(ExponentialFamily):
    """Density proportional to ``prod(x[i] ** (concentration[i] - 1), i)`` on the simplex: nonnegative x that sum to 1.

    Shapes: `concentration` (*B, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError unless `concentration` is positive and has a dimension, and for values outside the support.
    Source: Kotz, Balakrishnan and Johnson, Continuous multivariate distributions, 2000, chapter 49.

    >>> torch.distributions.Dirichlet(torch.tensor([1.0, 1.0, 2.0])).mean
    tensor([0.2500, 0.2500, 0.5000])
    """

    arg_constraints = constrained(concentration=constraints.independent(constraints.positive, 1))
    support = constraints.simplex
    has_rsample = True
    mean = tensor_given_by(lambda self: self.concentration / self.concentration.sum(-1, True))
    _natural_params = given_by(lambda self: (self.concentration,))

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return _Dirichlet.apply(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        a = self.concentration
        return xlogy(a - 1.0, self._checked(value)).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    @property
    def mode(self) -> Tensor:
        above = (self.concentration - 1).clamp(min=0.0)
        mode = above / above.sum(-1, True)
        corner = (self.concentration < 1).all(-1)
        mode[corner] = one_hot(mode[corner].argmax(-1), above.shape[-1]).to(mode)
        return mode

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Tensor:
        a, total = self.concentration, self.concentration.sum(-1)
        normalizer = a.lgamma().sum(-1) - total.lgamma()
        return normalizer - (a.size(-1) - total) * total.digamma() - ((a - 1.0) * a.digamma()).sum(-1)

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return x.lgamma().sum(-1) - x.sum(-1).lgamma()


class Beta(ExponentialFamily):
    """Density proportional to ``x ** (concentration1 - 1) * (1 - x) ** (concentration0 - 1)`` on [0, 1].

    Shapes: `concentration1` and `concentration0` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1995, chapter 25.

    >>> torch.distributions.Beta(2.0, 3.0).mean
    tensor(0.4000)
    """

    arg_constraints = constrained(concentration1=constraints.positive, concentration0=constraints.positive)
    support = constraints.unit_interval
    has_rsample = True
    concentration1 = given_by(lambda self: self._dirichlet.concentration[..., 0])
    concentration0 = given_by(lambda self: self._dirichlet.concentration[..., 1])
    mean = tensor_given_by(lambda self: self.concentration1 / (self.concentration1 + self.concentration0))
    mode = tensor_given_by(lambda self: self._dirichlet.mode[..., 0])
    _natural_params = given_by(lambda self: (self.concentration1, self.concentration0))

    def __init__(self, concentration1: Value, concentration0: Value, validate_args: bool | None = None) -> None:
        if isinstance(concentration1, NUMBERS) and isinstance(concentration0, NUMBERS):
            both = tensor([float(concentration1), float(concentration0)])
        else:
            both = stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(both, validate_args=validate_args)
        super().__init__(self._dirichlet._batch_shape, validate_args=validate_args)

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        return self._dirichlet.log_prob(stack([value, 1.0 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return x.lgamma() + y.lgamma() - (x + y).lgamma()


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """Density proportional to ``probs ** x * (1 - probs) ** (1 - x)`` on [0, 1].

    Near 1/2, within `lims`, where the formulas are 0 / 0, Taylor series replace them. `logits` is ``log(probs / (1 - probs))``.

    Shapes: `probs` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless one of `probs` and `logits` is given, and for values outside the support.
    Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli, 2019.

    >>> torch.distributions.ContinuousBernoulli(0.9).mean
    tensor(0.6699)
    """

    arg_constraints = constrained(probs=constraints.unit_interval, logits=constraints.real)
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    stddev = tensor_given_by(lambda self: self.variance.sqrt())
    _natural_params = given_by(lambda self: (self.logits,))

    def __init__(
        self, probs: Value | None = None, logits: Value | None = None, lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        (given,) = broadcast_all(self._choose(probs, logits))
        if probs is not None:
            if validate_args is not None and not self.arg_constraints["probs"].check(given).all():
                raise ValueError("The parameter probs has invalid values")
            given = clamp_probs(given)
        setattr(self, self._given, given)
        self._lims = lims
        super().__init__(given.size(), validate_args=validate_args)

    @lazy_property
    def probs(self) -> Any:
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _outside_unstable_region(self) -> Any:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Any:
        return where(self._outside_unstable_region(), self.probs, full_like(self.probs, self._lims[0]))

    def _stable(self, formula: object, series: object) -> Any:
        return where(self._outside_unstable_region(), formula, series)

    def _cont_bern_log_norm(self) -> Any:
        cut = self._cut_probs()
        low = where(cut <= 0.5, cut, zeros_like(cut))
        high = where(cut >= 0.5, cut, ones_like(cut))
        slope = ((-cut).log1p() - cut.log()).abs().log()
        formula = slope - where(cut <= 0.5, (-2.0 * low).log1p(), (2.0 * high - 1.0).log())
        x = (self.probs - 0.5).pow(2)
        return self._stable(formula, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> Tensor:
        cut, x = self._cut_probs(), self.probs - 0.5
        formula = cut / (2.0 * cut - 1.0) + 1.0 / ((-cut).log1p() - cut.log())
        return self._stable(formula, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x)

    @property
    def variance(self) -> Tensor:
        cut, x = self._cut_probs(), (self.probs - 0.5).pow(2)
        formula = cut * (cut - 1.0) / (1.0 - 2.0 * cut).pow(2) + 1.0 / ((-cut).log1p() - cut.log()).pow(2)
        return self._stable(formula, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.icdf(rand(self._extended_shape(sample_shape), dtype=self.probs.dtype))

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._cont_bern_log_norm()

    def cdf(self, value: Any) -> Tensor:
        value, cut = self._checked(value), self._cut_probs()
        formula = (cut.pow(value) * (1.0 - cut).pow(1.0 - value) + cut - 1.0) / (2.0 * cut - 1.0)
        inside = where(value >= 1.0, ones_like(value), self._stable(formula, value))
        return where(value <= 0.0, zeros_like(value), inside)

    def icdf(self, value: object) -> Tensor:
        cut = self._cut_probs()
        rest = (-cut).log1p()
        return self._stable(((-cut + value * (2.0 * cut - 1.0)).log1p() - rest) / (cut.log() - rest), value)

    def entropy(self) -> Tensor:
        log_probs0 = (-self.probs).log1p()
        return self.mean * (log_probs0 - self.probs.log()) - self._cont_bern_log_norm() - log_probs0

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        low, high = self._lims[0] - 0.5, self._lims[1] - 0.5
        outside = (x <= low) | (x > high)
        cut = where(outside, x, full_like(x, low))
        formula = cut.expm1().abs().log() - cut.abs().log()
        return where(outside, formula, 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0)
