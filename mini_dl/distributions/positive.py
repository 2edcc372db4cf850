"""Distributions over the positive numbers that are not transforms of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mini_dl._dtypes import finfo
from mini_dl.distributions import constraints
from mini_dl.distributions.distribution import Distribution, constrained
from mini_dl.distributions.exp_family import ExponentialFamily
from mini_dl.distributions.utils import Value, broadcast_all, given_by, tensor_given_by
from mini_dl.ops.creation import empty, zeros_like
from mini_dl.ops.from_data import as_tensor
from mini_dl.ops.powers import xlogy
from mini_dl.ops.sampling import _standard_gamma
from mini_dl.ops.special import igamma
from mini_dl.tensor import Tensor

__all__ = ["Chi2", "Exponential", "FisherSnedecor", "Gamma"]


class Exponential(ExponentialFamily):
    """Density ``rate * exp(-rate * x)`` for ``x >= 0``.

    Shapes: `rate` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `rate` is positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 19.

    >>> torch.distributions.Exponential(2.0).cdf(torch.tensor(1.0))
    tensor(0.8647)
    """

    arg_constraints = constrained(rate=constraints.positive)
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0
    mean = stddev = given_by(lambda self: self.rate.reciprocal())
    mode = tensor_given_by(lambda self: zeros_like(self.rate))
    variance = tensor_given_by(lambda self: self.rate.pow(-2))
    _natural_params = given_by(lambda self: (-self.rate,))

    def __init__(self, rate: Value, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return empty(self._extended_shape(sample_shape), dtype=self.rate.dtype).exponential_() / self.rate

    def log_prob(self, value: Any) -> Tensor:
        return self.rate.log() - self.rate * self._checked(value)

    def cdf(self, value: Any) -> Tensor:
        return 1 - (-self.rate * self._checked(value)).exp()

    def icdf(self, value: Any) -> Tensor:
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return 1.0 - self.rate.log()

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return -(-x).log()


class Gamma(ExponentialFamily):
    """Density ``rate ** a * x ** (a - 1) * exp(-rate * x) / gamma(a)`` for positive x, with `a` the `concentration`.

    Shapes: `concentration` and `rate` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 17. Samples: Marsaglia and Tsang,
    A simple method for generating gamma variables, 2000.

    >>> torch.distributions.Gamma(2.0, 1.0).log_prob(torch.tensor(1.0))
    tensor(-1.)
    """

    arg_constraints = constrained(concentration=constraints.positive, rate=constraints.positive)
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0
    mean = tensor_given_by(lambda self: self.concentration / self.rate)
    mode = tensor_given_by(lambda self: ((self.concentration - 1) / self.rate).clamp(min=0))
    variance = tensor_given_by(lambda self: self.concentration / self.rate.pow(2))
    _natural_params = given_by(lambda self: (self.concentration - 1, -self.rate))

    def __init__(self, concentration: Value, rate: Value, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        value = _standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(min=finfo(value.dtype).tiny)  # not recorded: the gradient also flows where it changed something
        return value

    def log_prob(self, value: object) -> Tensor:
        value = self._checked(as_tensor(value, dtype=self.rate.dtype))
        a, rate = self.concentration, self.rate
        return xlogy(a, rate) + xlogy(a - 1, value) - rate * value - a.lgamma()

    def cdf(self, value: Any) -> Tensor:
        return igamma(self.concentration, self.rate * self._checked(value))

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1.0 - a) * a.digamma()

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return (x + 1).lgamma() + (x + 1) * (-y.reciprocal()).log()


class Chi2(Gamma):
    """Density ``x ** (df / 2 - 1) * exp(-x / 2) / (2 ** (df / 2) * gamma(df / 2))``: the sum of the squares of `df` standard
    normal numbers.

    Shapes: `df` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `df` is positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 18.

    >>> chi = torch.distributions.Chi2(3.0)
    >>> chi.mean, chi.variance
    (tensor(3.), tensor(6.))
    """

    arg_constraints = constrained(df=constraints.positive)
    df = given_by(lambda self: self.concentration * 2)

    def __init__(self, df: Value, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def _varying(self) -> Any:
        return Gamma.arg_constraints


class FisherSnedecor(Distribution):
    """The distribution of ``(x1 / df1) / (x2 / df2)``, with `x1` and `x2` chi-squared with `df1` and `df2` degrees of freedom.

    Shapes: `df1` and `df2` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1995, chapter 27.

    >>> torch.distributions.FisherSnedecor(2.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = constrained(df1=constraints.positive, df2=constraints.positive)
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Value, df2: Value, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1 = Gamma(self.df1 * 0.5, self.df1)
        self._gamma2 = Gamma(self.df2 * 0.5, self.df2)
        super().__init__(self.df1.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        df2 = self.df2.masked_fill(self.df2 <= 2, math.nan)
        return df2 / (df2 - 2)

    @property
    def mode(self) -> Tensor:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return mode.masked_fill(self.df1 <= 2, math.nan)

    @property
    def variance(self) -> Tensor:
        df2 = self.df2.masked_fill(self.df2 <= 4, math.nan)
        return 2 * df2.pow(2) * (self.df1 + df2 - 2) / (self.df1 * (df2 - 2).pow(2) * (df2 - 4))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        tiny = finfo(self.df2.dtype).tiny
        above, below = self._gamma1.rsample(sample_shape), self._gamma2.rsample(sample_shape)
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        half1, half2, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        normalizer = (half1 + half2).lgamma() - half1.lgamma() - half2.lgamma()
        return normalizer + half1 * ratio.log() + (half1 - 1) * value.log() - (half1 + half2) * (ratio * value).log1p()
