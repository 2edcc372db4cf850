"""Distributions over all real numbers, or an interval of them, with location and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mini_dl import _dtypes
from mini_dl._dtypes import finfo
from mini_dl.autograd.mode import no_grad
from mini_dl.distributions import constraints
from mini_dl.distributions.distribution import Distribution, constrained
from mini_dl.distributions.exp_family import ExponentialFamily
from mini_dl.distributions.positive import Chi2
from mini_dl.distributions.utils import (
    Value,
    broadcast_all,
    given_by,
    lazy_property,
    sampled_by,
    standard_normal,
    tensor_given_by,
)
from mini_dl.ops.choice import where
from mini_dl.ops.comparison import isclose
from mini_dl.ops.creation import empty, full, ones_like, zeros_like
from mini_dl.ops.random import rand
from mini_dl.ops.sampling import normal
from mini_dl.tensor import Size, Tensor

__all__ = ["Cauchy", "GeneralizedPareto", "Laplace", "Normal", "StudentT", "Uniform", "VonMises"]

LOC_SCALE: Any = {"loc": constraints.real, "scale": constraints.positive}


class LocScale(Distribution):
    """Distributions of ``loc + scale * x``, symmetric about `loc`."""

    arg_constraints = LOC_SCALE
    support = constraints.real
    has_rsample = True
    mode = tensor_given_by(lambda self: self.loc)

    def __init__(self, loc: Value, scale: Value, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def _standardized(self, value: Tensor) -> Tensor:
        return (value - self.loc) / self.scale


class Normal(LocScale, ExponentialFamily):
    """Density ``exp(-(x - loc) ** 2 / (2 * scale ** 2)) / (scale * sqrt(2 * pi))``, over the real numbers.

    Shapes: `loc` and `scale` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for NaN.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 13.

    >>> torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(0.0))
    tensor(-0.9189)
    """

    _mean_carrier_measure = 0
    mean = tensor_given_by(lambda self: self.loc)
    stddev = tensor_given_by(lambda self: self.scale)
    variance = tensor_given_by(lambda self: self.stddev.pow(2))

    sample = sampled_by(normal, "loc", "scale")

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.loc + standard_normal(self._extended_shape(sample_shape), self.loc) * self.scale

    def log_prob(self, value: Any) -> Tensor:
        distance = self._checked(value) - self.loc
        return -(distance**2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Any) -> Tensor:
        distance = self._checked(value) - self.loc
        return 0.5 * (1 + (distance * self.scale.reciprocal() / math.sqrt(2)).erf())

    def icdf(self, value: Any) -> Tensor:
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()

    @property
    def _natural_params(self) -> Any:
        return self.loc / self.scale.pow(2), -0.5 * self.scale.pow(2).reciprocal()

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return -0.25 * x.pow(2) / y + 0.5 * (-math.pi / y).log()


class Laplace(LocScale):
    """Density ``exp(-abs(x - loc) / scale) / (2 * scale)``, over the real numbers.

    Shapes: `loc` and `scale` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for NaN.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1995, chapter 24.

    >>> torch.distributions.Laplace(0.0, 1.0).cdf(torch.tensor(1.0))
    tensor(0.8161)
    """

    mean = tensor_given_by(lambda self: self.loc)
    variance = tensor_given_by(lambda self: 2 * self.scale.pow(2))
    stddev = tensor_given_by(lambda self: 2**0.5 * self.scale)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).uniform_(finfo(self.loc.dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value: Any) -> Tensor:
        return -(2 * self.scale).log() - (self._checked(value) - self.loc).abs() / self.scale

    def cdf(self, value: Any) -> Tensor:
        distance = self._checked(value) - self.loc
        return 0.5 - 0.5 * distance.sign() * (-distance.abs() / self.scale).expm1()

    def icdf(self, value: Any) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()


class Cauchy(LocScale):
    """Density ``1 / (pi * scale * (1 + ((x - loc) / scale) ** 2))``, with tails so heavy that there is no mean.

    Shapes: `loc` and `scale` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for NaN.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 16.

    >>> cauchy = torch.distributions.Cauchy(0.0, 1.0)
    >>> cauchy.cdf(torch.tensor(1.0)), cauchy.mean
    (tensor(0.7500), tensor(nan))
    """

    mean = tensor_given_by(lambda self: full(self._extended_shape(), math.nan, dtype=self.loc.dtype))
    variance = tensor_given_by(lambda self: full(self._extended_shape(), math.inf, dtype=self.loc.dtype))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.loc + empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).cauchy_() * self.scale

    def log_prob(self, value: Any) -> Tensor:
        return -math.log(math.pi) - self.scale.log() - (self._standardized(self._checked(value)) ** 2).log1p()

    def cdf(self, value: Any) -> Tensor:
        return self._standardized(self._checked(value)).atan() / math.pi + 0.5

    def icdf(self, value: Any) -> Tensor:
        return (math.pi * (value - 0.5)).tan() * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()


class StudentT(Distribution):
    """Density proportional to ``(1 + ((x - loc) / scale) ** 2 / df) ** (-(df + 1) / 2)``, over the real numbers.

    The distribution of ``loc + scale * x / sqrt(z / df)`` with `x` standard normal and `z` chi-squared with `df` degrees of
    freedom.

    Shapes: `df`, `loc` and `scale` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `df` and `scale` are positive, and for NaN.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1995, chapter 28.

    >>> torch.distributions.StudentT(1.0).log_prob(torch.tensor(0.0))  # the Cauchy distribution
    tensor(-1.1447)
    """

    arg_constraints = constrained(df=constraints.positive, **LOC_SCALE)
    support = constraints.real
    has_rsample = True
    mode = tensor_given_by(lambda self: self.loc)
    mean = tensor_given_by(lambda self: self.loc.masked_fill(self.df <= 1, math.nan))

    def __init__(self, df: Value, loc: Value = 0.0, scale: Value = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.size(), validate_args=validate_args)

    @property
    def variance(self) -> Tensor:
        finite = self.df > 2
        safe = where(finite, self.df, 3.0)
        result = where(finite, self.scale.pow(2) * safe / (safe - 2), math.inf)
        return result.masked_fill(self.df <= 1, math.nan)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        x = standard_normal(self._extended_shape(sample_shape), self.df)
        z = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (x * (z / self.df).rsqrt())

    def log_prob(self, value: Any) -> Tensor:
        y = (self._checked(value) - self.loc) / self.scale
        halves = (0.5 * self.df).lgamma() - (0.5 * (self.df + 1.0)).lgamma()
        normalizer = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + halves
        return -0.5 * (self.df + 1.0) * (y**2.0 / self.df).log1p() - normalizer

    def entropy(self) -> Tensor:
        half, next_half = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = half.lgamma() + math.lgamma(0.5) - next_half.lgamma()
        return self.scale.log() + next_half * (next_half.digamma() - half.digamma()) + 0.5 * self.df.log() + log_beta


class Uniform(Distribution):
    """Density ``1 / (high - low)`` in [low, high), else 0.

    Shapes: `low` and `high` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless ``low < high``, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1995, chapter 26.

    >>> uniform = torch.distributions.Uniform(2.0, 6.0)
    >>> uniform.mean, uniform.cdf(torch.tensor(3.0))
    (tensor(4.), tensor(0.2500))
    """

    has_rsample = True
    mean = tensor_given_by(lambda self: (self.high + self.low) / 2)
    mode = tensor_given_by(lambda self: math.nan * self.high)
    stddev = tensor_given_by(lambda self: (self.high - self.low) / 12**0.5)
    variance = tensor_given_by(lambda self: (self.high - self.low).pow(2) / 12)

    @property
    def arg_constraints(self) -> Any:
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    def __init__(self, low: Value, high: Value, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.interval(self.low, self.high)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.low + rand(self._extended_shape(sample_shape), dtype=self.low.dtype) * (self.high - self.low)

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        inside = self.low.le(value).type_as(self.low).mul(self.high.gt(value).type_as(self.low))
        return inside.log() - (self.high - self.low).log()

    def cdf(self, value: Any) -> Tensor:
        return ((self._checked(value) - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: object) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()


class GeneralizedPareto(Distribution):
    """Density ``(1 + c * z) ** (-1 / c - 1) / scale`` with ``z = (x - loc) / scale`` and `c` the `concentration`;
    ``exp(-z) / scale`` for c = 0.

    Values exceeding a high threshold `loc` follow it.

    Shapes: `loc`, `scale` and `concentration` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for values outside the support.
    Source: Pickands, Statistical inference using extreme order statistics, 1975.

    >>> torch.distributions.GeneralizedPareto(0.0, 1.0, 0.0).cdf(torch.tensor(1.0))
    tensor(0.6321)
    """

    arg_constraints = constrained(**LOC_SCALE, concentration=constraints.real)
    has_rsample = True
    mode = tensor_given_by(lambda self: self.loc)

    def __init__(self, loc: Value, scale: Value, concentration: Value, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, where(self.concentration < 0, end, math.inf))

    def _split(self) -> tuple[Any, Any]:
        """Where the concentration is 0, and the concentration with 1 in those places."""
        zero = isclose(self.concentration, zeros_like(self.concentration))
        return zero, where(zero, ones_like(self.concentration), self.concentration)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.icdf(rand(self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def log_prob(self, value: Any) -> Tensor:
        z = (self._checked(value) - self.loc) / self.scale
        zero, c = self._split()
        y = 1 / c + ones_like(z)
        return -self.scale.log() - where(zero, z, where(y == 0, y, y * (c * z).log1p()))

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of a number above `value`."""
        z = (self._checked(value) - self.loc) / self.scale
        zero, c = self._split()
        return where(zero, -z, -(c * z).log1p() / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of a number up to `value`."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Any) -> Tensor:
        return self.log_cdf(value).exp()

    def icdf(self, value: Any) -> Tensor:
        zero, c = self._split()
        log_rest = (-value).log1p()
        return where(zero, self.loc - self.scale * log_rest, self.loc + self.scale / c * (-c * log_rest).expm1())

    def _below(self, limit: float, moment: Any) -> Any:
        """A moment that exists for concentrations below `limit`; NaN elsewhere."""
        exists = self.concentration < limit
        return where(exists, moment(where(exists, self.concentration, limit / 2)), math.nan)

    @property
    def mean(self) -> Tensor:
        return self._below(1, lambda c: self.loc + self.scale / (1 - c))

    @property
    def variance(self) -> Tensor:
        return self._below(0.5, lambda c: self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)))

    def entropy(self) -> Tensor:
        return (self.scale.log() + self.concentration + 1).broadcast_to(self._batch_shape)


# ------------------------------------------------------------------------------------------------ the circle


def _horner(y: Tensor, coefficients: tuple[float, ...]) -> Any:
    result: Any = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = coefficient + y * result
    return result


_NEAR = {
    0: (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.360768e-1, 0.45813e-2),
    1: (0.5, 0.87890594, 0.51498869, 0.15084934, 0.2658733e-1, 0.301532e-2, 0.32411e-3),
}
_FAR = {
    0: (
        0.39894228, 0.1328592e-1, 0.225319e-2, -0.157565e-2, 0.916281e-2, -0.2057706e-1, 0.2635537e-1, -0.1647633e-1, 0.392377e-2,
    ),
    1: (
        0.39894228, -0.3988024e-1, -0.362018e-2, 0.163801e-2, -0.1031555e-1, 0.2282967e-1, -0.2895312e-1, 0.1787654e-1,
        -0.420059e-2,
    ),
}  # fmt: skip
"""Abramowitz and Stegun, Handbook of Mathematical Functions, 9.8.1 to 9.8.4: by order, up to 3.75 and beyond."""


def _log_modified_bessel_fn(x: Tensor, order: int = 0) -> Tensor:
    """``log I_order(x)`` of positive `x`, to seven digits."""
    near = _horner((x / 3.75) * (x / 3.75), _NEAR[order])
    near = (x.abs() * near if order else near).log()
    far = x - 0.5 * x.log() + _horner(3.75 / x, _FAR[order]).log()
    return where(x < 3.75, near, far)


class VonMises(Distribution):
    """Angles about `loc`: density ``exp(concentration * cos(x - loc)) / (2 * pi * I_0(concentration))``.

    Samples by rejection from a wrapped Cauchy distribution.

    Shapes: `loc` and `concentration` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `concentration` is positive, and for NaN.
    Source: Best and Fisher, Efficient simulation of the von Mises distribution, 1979.

    >>> torch.distributions.VonMises(0.0, 1.0).log_prob(torch.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = constrained(loc=constraints.real, concentration=constraints.positive)
    support = constraints.real
    has_rsample = False
    mean = mode = given_by(lambda self: self.loc)

    def __init__(self, loc: Value, concentration: Value, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, Size(), validate_args)

    def log_prob(self, value: Any) -> Tensor:
        result = self.concentration * (self._checked(value) - self.loc).cos()
        return result - math.log(2 * math.pi) - _log_modified_bessel_fn(self.concentration)

    @lazy_property
    def variance(self) -> Tensor:
        return 1 - (_log_modified_bessel_fn(self.concentration, 1) - _log_modified_bessel_fn(self.concentration)).exp()

    @staticmethod
    def _proposal(kappa: Tensor) -> Tensor:
        tau = 1 + (1 + 4 * kappa**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
        return where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho**2) / (2 * rho))

    @no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        loc, kappa = self.loc.to(_dtypes.float64), self.concentration.to(_dtypes.float64)
        proposal, shape = self._proposal(kappa), self._extended_shape(sample_shape)
        x, done = empty(shape, dtype=loc.dtype), zeros_like(empty(shape, dtype=_dtypes.bool))
        while not done.all():
            u1, u2, u3 = rand((3, *shape), dtype=loc.dtype).unbind()
            z = (math.pi * u1).cos()
            f = (1 + proposal * z) / (proposal + z)
            c = kappa * (proposal - f)
            accept = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
            x = where(accept, (u3 - 0.5).sign() * f.acos(), x)
            done = done | accept
        return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)
