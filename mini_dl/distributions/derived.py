"""Distributions of transformed numbers, with their own formulas where the transforms do not provide them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mini_dl._dtypes import finfo
from mini_dl.distributions import constraints
from mini_dl.distributions.composed import TransformedDistribution, of_base
from mini_dl.distributions.continuous import LOC_SCALE, Cauchy, Normal, Uniform
from mini_dl.distributions.discrete import BINARY, CLASSES, Categorical, OverClasses
from mini_dl.distributions.distribution import ProbsOrLogits, constrained
from mini_dl.distributions.positive import Exponential, Gamma
from mini_dl.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    StickBreakingTransform,
)
from mini_dl.distributions.utils import Value, broadcast_all, clamp_probs, euler_constant, given_by, tensor_given_by
from mini_dl.ops.choice import where
from mini_dl.ops.creation import full, full_like, ones_like, zeros_like
from mini_dl.ops.from_data import as_tensor
from mini_dl.ops.random import rand
from mini_dl.tensor import Tensor

__all__ = [
    "ExpRelaxedCategorical",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "InverseGamma",
    "Kumaraswamy",
    "LogNormal",
    "LogisticNormal",
    "LogitRelaxedBernoulli",
    "Pareto",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "Weibull",
]

# ------------------------------------------------------------------------------------------------ of normal numbers


class LogNormal(TransformedDistribution):
    """Density ``exp(-(log(x) - loc) ** 2 / (2 * scale ** 2)) / (x * scale * sqrt(2 * pi))``: ``exp`` of normal numbers.

    Shapes: `loc` and `scale` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 14.

    >>> torch.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints = LOC_SCALE
    support: Any = constraints.positive
    has_rsample = True
    loc, scale = of_base("loc"), of_base("scale")
    mean = tensor_given_by(lambda self: (self.loc + self.scale.pow(2) / 2).exp())
    mode = tensor_given_by(lambda self: (self.loc - self.scale.square()).exp())
    variance = tensor_given_by(lambda self: self.scale.pow(2).expm1() * (2 * self.loc + self.scale.pow(2)).exp())

    def __init__(self, loc: Value, scale: Value, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args=validate_args), ExpTransform(), validate_args=validate_args)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class LogisticNormal(TransformedDistribution):
    """Points of the simplex: ``x = StickBreakingTransform(z)`` of normal numbers `z`.

    Shapes: `loc` and `scale` broadcast to (*B, K); an event is (K + 1), samples of (*S) are (*S, *B, K + 1).
    Raises: ValueError unless `scale` is positive, and for values outside the support.
    Source: Aitchison and Shen, Logistic-normal distributions, 1980.

    >>> _ = torch.manual_seed(0)
    >>> x = torch.distributions.LogisticNormal(torch.zeros(2), torch.ones(2)).sample()
    >>> x.shape, x.sum()
    (torch.Size([3]), tensor(1.))
    """

    arg_constraints = LOC_SCALE
    support: Any = constraints.simplex
    has_rsample = True
    loc = given_by(lambda self: self.base_dist.base_dist.loc)
    scale = given_by(lambda self: self.base_dist.base_dist.scale)

    def __init__(self, loc: Value, scale: Value, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)


class Half(TransformedDistribution):
    """The absolute value of numbers distributed symmetrically about 0."""

    arg_constraints = constrained(scale=constraints.positive)
    support: Any = constraints.nonnegative
    has_rsample = True
    scale = of_base("scale")
    mode = tensor_given_by(lambda self: zeros_like(self.scale))

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        return where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Any) -> Tensor:
        return 2 * self.base_dist.cdf(self._checked(value)) - 1

    def icdf(self, prob: Any) -> Tensor:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(Half):
    """Density ``sqrt(2 / pi) / scale * exp(-x ** 2 / (2 * scale ** 2))``: the absolute value of normal numbers about 0.

    Shapes: `scale` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 13.

    >>> torch.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    mean = tensor_given_by(lambda self: self.scale * math.sqrt(2 / math.pi))
    variance = tensor_given_by(lambda self: self.scale.pow(2) * (1 - 2 / math.pi))

    def __init__(self, scale: Value, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)


class HalfCauchy(Half):
    """Density ``2 / (pi * scale * (1 + (x / scale) ** 2))``: the absolute value of Cauchy numbers about 0.

    Shapes: `scale` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for values outside the support.

    >>> torch.distributions.HalfCauchy(1.0).cdf(torch.tensor(1.0))
    tensor(0.5000)
    """

    mean = tensor_given_by(lambda self: full(self._extended_shape(), math.inf, dtype=self.scale.dtype))
    variance = of_base("variance")

    def __init__(self, scale: Value, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    def log_prob(self, value: Any) -> Tensor:
        return super().log_prob(as_tensor(self._checked(value), dtype=self.scale.dtype))


# ------------------------------------------------------------------------------------------------ of uniform numbers


class Gumbel(TransformedDistribution):
    """The maximum of many numbers: distribution function ``exp(-exp(-(x - loc) / scale))``.

    Shapes: `loc` and `scale` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless `scale` is positive, and for NaN.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1995, chapter 22.

    >>> torch.distributions.Gumbel(0.0, 1.0).cdf(torch.tensor(0.0))
    tensor(0.3679)
    """

    arg_constraints = LOC_SCALE
    support: Any = constraints.real
    mean = tensor_given_by(lambda self: self.loc + self.scale * euler_constant)
    mode = tensor_given_by(lambda self: self.loc)
    stddev = tensor_given_by(lambda self: (math.pi / math.sqrt(6)) * self.scale)
    variance = tensor_given_by(lambda self: self.stddev.pow(2))

    def __init__(self, loc: Value, scale: Value, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        info = finfo(self.loc.dtype)
        base = Uniform(full_like(self.loc, info.tiny), full_like(self.loc, 1 - info.eps), validate_args=validate_args)
        transforms = [
            ExpTransform().inv,
            AffineTransform(0, -ones_like(self.scale)),
            ExpTransform().inv,
            AffineTransform(loc, -self.scale),
        ]
        super().__init__(base, transforms, validate_args=validate_args)

    def log_prob(self, value: Any) -> Tensor:
        y = (self.loc - self._checked(value)) / self.scale
        return y - y.exp() - self.scale.log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + euler_constant)


class Kumaraswamy(TransformedDistribution):
    """Almost a Beta distribution: distribution function ``1 - (1 - x ** concentration1) ** concentration0``.

    Shapes: `concentration1` and `concentration0` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.
    Source: Kumaraswamy, A generalized probability density function for double-bounded random processes, 1980.

    >>> torch.distributions.Kumaraswamy(2.0, 1.0).mean
    tensor(0.6667)
    """

    arg_constraints = constrained(concentration1=constraints.positive, concentration0=constraints.positive)
    support: Any = constraints.unit_interval
    has_rsample = True
    mean = tensor_given_by(lambda self: self._moment(1))
    variance = tensor_given_by(lambda self: self._moment(2) - self.mean.pow(2))

    def __init__(self, concentration1: Value, concentration0: Value, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        zero, one = zeros_like(self.concentration0), ones_like(self.concentration0)
        transforms = [
            PowerTransform(self.concentration0.reciprocal()),
            AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ]
        super().__init__(Uniform(zero, one, validate_args=validate_args), transforms, validate_args=validate_args)

    def _moment(self, n: int) -> Any:
        """The mean of ``x ** n``."""
        a, b = 1 + n / self.concentration1, self.concentration0
        return b * (a.lgamma() + b.lgamma() - (a + b).lgamma()).exp()

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        log_mode = b.reciprocal() * (-b).log1p() - (-b * a).log1p()
        return log_mode.masked_fill((b < 1) | (a < 1), math.nan).exp()

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + euler_constant
        return (1 - b.reciprocal()) + (1 - a.reciprocal()) * harmonic - a.log() - b.log()


# ------------------------------------------------------------------------------------------------ of positive numbers


class Pareto(TransformedDistribution):
    """Density ``alpha * scale ** alpha / x ** (alpha + 1)`` for ``x >= scale``.

    Shapes: `scale` and `alpha` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 20.

    >>> pareto = torch.distributions.Pareto(1.0, 3.0)
    >>> pareto.mean, pareto.cdf(torch.tensor(2.0))
    (tensor(1.5000), tensor(0.8750))
    """

    arg_constraints = constrained(alpha=constraints.positive, scale=constraints.positive)
    mode = tensor_given_by(lambda self: self.scale)

    def __init__(self, scale: Value, alpha: Value, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, [ExpTransform(), AffineTransform(0, self.scale)], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class Weibull(TransformedDistribution):
    """Distribution function ``1 - exp(-(x / scale) ** concentration)``: a power of exponential numbers.

    Shapes: `scale` and `concentration` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.
    Source: Johnson, Kotz and Balakrishnan, Continuous univariate distributions, 1994, chapter 21.

    >>> torch.distributions.Weibull(2.0, 1.0).mean  # the exponential distribution of rate 1/2
    tensor(2.)
    """

    arg_constraints = constrained(scale=constraints.positive, concentration=constraints.positive)
    support: Any = constraints.positive
    mean = tensor_given_by(lambda self: self.scale * self._moment(1))

    def __init__(self, scale: Value, concentration: Value, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(ones_like(self.scale), validate_args=validate_args)
        transforms = [PowerTransform(self.concentration_reciprocal), AffineTransform(0, self.scale)]
        super().__init__(base, transforms, validate_args=validate_args)

    concentration_reciprocal = given_by(lambda self: self.concentration.reciprocal())

    def _moment(self, n: int) -> Any:
        """The mean of ``(x / scale) ** n``."""
        return (1 + n * self.concentration_reciprocal).lgamma().exp()

    @property
    def mode(self) -> Tensor:
        return self.scale * ((self.concentration - 1) / self.concentration) ** self.concentration.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (self._moment(2) - (2 * (1 + self.concentration_reciprocal).lgamma()).exp())

    def entropy(self) -> Tensor:
        inverse = self.concentration_reciprocal
        return euler_constant * (1 - inverse) + (self.scale * inverse).log() + 1


class InverseGamma(TransformedDistribution):
    """Density ``rate ** a * x ** (-a - 1) * exp(-rate / x) / gamma(a)``, with `a` the `concentration`: ``1 / z`` of gamma numbers
    `z`.

    Shapes: `concentration` and `rate` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless both are positive, and for values outside the support.

    >>> torch.distributions.InverseGamma(3.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = constrained(concentration=constraints.positive, rate=constraints.positive)
    support: Any = constraints.positive
    has_rsample = True
    concentration, rate = of_base("concentration"), of_base("rate")
    mean = tensor_given_by(lambda self: where(self.concentration > 1, self.rate / (self.concentration - 1), math.inf))
    mode = tensor_given_by(lambda self: self.rate / (self.concentration + 1))

    def __init__(self, concentration: Value, rate: Value, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(-base.rate.new_ones(())), validate_args=validate_args)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        return where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), math.inf)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()


# ------------------------------------------------------------------------------------------------ relaxed choices


class LogitRelaxedBernoulli(ProbsOrLogits):
    """Logits of numbers near 0 and 1; the lower the `temperature`, the nearer.

    Source: Maddison, Mnih and Teh (2017), https://arxiv.org/abs/1611.00712; Jang, Gu and Poole (2017),
    https://arxiv.org/abs/1611.01144.
    """

    arg_constraints = BINARY
    support = constraints.real

    def __init__(
        self, temperature: Tensor, probs: Value | None = None, logits: Value | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self.temperature = temperature
        (given,) = broadcast_all(self._choose(probs, logits))
        setattr(self, self._given, given)
        super().__init__(given.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(rand(shape, dtype=probs.dtype))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        difference = logits - value.mul(self.temperature)
        return self.temperature.log() + difference - 2 * difference.exp().log1p()


class _Relaxed(TransformedDistribution):
    has_rsample = True
    temperature, logits, probs = of_base("temperature"), of_base("logits"), of_base("probs")


class RelaxedBernoulli(_Relaxed):
    """``x = sigmoid((logits + log(u / (1 - u))) / temperature)`` with `u` uniform: near 0 and 1; the lower the `temperature`,
    the nearer.

    Samples have the gradients of `probs`.

    Shapes: `probs` (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless one of `probs`, in [0, 1], and `logits` is given, and for values outside the support.
    Source: Maddison, Mnih and Teh, The concrete distribution, 2017; Jang, Gu and Poole, 2017.

    >>> _ = torch.manual_seed(0)
    >>> torch.distributions.RelaxedBernoulli(torch.tensor(0.1), torch.tensor([0.1, 0.9])).sample()
    tensor([2.4691e-10, 1.0000e+00])
    """

    arg_constraints = BINARY
    support: Any = constraints.unit_interval

    def __init__(
        self, temperature: Tensor, probs: Value | None = None, logits: Value | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)


class ExpRelaxedCategorical(OverClasses):
    """Logarithms of points near the corners of the simplex; the lower the `temperature`, the nearer."""

    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, temperature: Tensor, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        super().__init__(Categorical(probs, logits), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = clamp_probs(rand(self._extended_shape(sample_shape), dtype=self.logits.dtype))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Any) -> Tensor:
        n = self._categorical._num_events
        value = self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        normalizer = full_like(self.temperature, float(n)).lgamma() - self.temperature.log().mul(-(n - 1))
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + normalizer


class RelaxedOneHotCategorical(_Relaxed):
    """``x = softmax((logits + g) / temperature)`` with `g` Gumbel distributed: near the corners of the simplex.

    The lower the `temperature`, the nearer; samples have the gradients of `probs`.

    Shapes: `probs` (*B, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError unless one of nonnegative `probs` and `logits` is given, with a dimension; also for values outside the
    support.
    Source: Maddison, Mnih and Teh, The concrete distribution, 2017; Jang, Gu and Poole, 2017.

    >>> _ = torch.manual_seed(0)
    >>> torch.distributions.RelaxedOneHotCategorical(torch.tensor(0.1), torch.tensor([0.2, 0.8])).sample().sum()
    tensor(1.)
    """

    arg_constraints = CLASSES
    support: Any = constraints.simplex

    def __init__(
        self, temperature: Tensor, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)
