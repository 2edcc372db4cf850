"""Distributions over integers, over classes and over vectors of counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mini_dl import _dtypes
from mini_dl._dtypes import finfo
from mini_dl.autograd.mode import no_grad
from mini_dl.distributions import constraints
from mini_dl.distributions.distribution import Distribution, ProbsOrLogits, constrained
from mini_dl.distributions.exp_family import ExponentialFamily
from mini_dl.distributions.positive import Gamma
from mini_dl.distributions.utils import Value, broadcast_all, given_by, lazy_property, sampled_by, tensor_given_by
from mini_dl.ops.activation import logsigmoid
from mini_dl.ops.copies import broadcast_tensors
from mini_dl.ops.creation import empty, full, ones_like, zeros_like
from mini_dl.ops.from_data import tensor
from mini_dl.ops.loss import binary_cross_entropy_with_logits
from mini_dl.ops.masks import one_hot
from mini_dl.ops.powers import xlogy
from mini_dl.ops.ranges import arange, eye
from mini_dl.ops.sampling import bernoulli, binomial, multinomial, poisson
from mini_dl.tensor import Size, Tensor

__all__ = [
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Geometric",
    "Multinomial",
    "NegativeBinomial",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Poisson",
]

BINARY: Any = {"probs": constraints.unit_interval, "logits": constraints.real}
CLASSES: Any = {"probs": constraints.simplex, "logits": constraints.real_vector}


def _along(values: Tensor, batch_shape: Size, expand: bool) -> Tensor:
    """Values along a new first dimension before the batch."""
    values = values.view((-1,) + (1,) * len(batch_shape))
    return values.expand((-1,) + batch_shape) if expand else values


class Bernoulli(ProbsOrLogits, ExponentialFamily):
    """Probability ``probs if x == 1 else 1 - probs`` of 0 and 1. `logits` is ``log(probs / (1 - probs))``.

    Shapes: `probs` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless one of `probs`, in [0, 1], and `logits` is given, and for values outside the support.
    Source: Johnson, Kemp and Kotz, Univariate discrete distributions, 2005, chapter 3.

    >>> torch.distributions.Bernoulli(0.25).log_prob(torch.tensor(1.0))
    tensor(-1.3863)
    """

    arg_constraints = BINARY
    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0
    mean = tensor_given_by(lambda self: self.probs)
    variance = tensor_given_by(lambda self: self.probs * (1 - self.probs))
    _natural_params = given_by(lambda self: (self.probs.logit(),))

    def __init__(self, probs: Value | None = None, logits: Value | None = None, validate_args: bool | None = None) -> None:
        (given,) = broadcast_all(self._choose(probs, logits))
        setattr(self, self._given, given)
        super().__init__(given.size(), validate_args=validate_args)

    @property
    def mode(self) -> Tensor:
        return (self.probs >= 0.5).to(self.probs).masked_fill(self.probs == 0.5, math.nan)

    sample = sampled_by(bernoulli, "probs")

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return _along(arange(2, dtype=self._param.dtype), self._batch_shape, expand)

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return x.exp().log1p()


class Geometric(ProbsOrLogits):
    """Probability ``(1 - probs) ** k * probs`` of `k` failures before the first success. `logits` is
    ``log(probs / (1 - probs))``.

    Shapes: `probs` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless one of `probs`, in (0, 1], and `logits` is given, and for values outside the support.
    Source: Johnson, Kemp and Kotz, Univariate discrete distributions, 2005, chapter 5.

    >>> torch.distributions.Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints = BINARY
    support = constraints.nonnegative_integer
    mean = tensor_given_by(lambda self: 1.0 / self.probs - 1.0)
    mode = tensor_given_by(lambda self: zeros_like(self.probs))
    variance = tensor_given_by(lambda self: (1.0 / self.probs - 1.0) / self.probs)

    def __init__(self, probs: Value | None = None, logits: Value | None = None, validate_args: bool | None = None) -> None:
        (given,) = broadcast_all(self._choose(probs, logits))
        setattr(self, self._given, given)
        super().__init__(given.size(), validate_args=validate_args)
        if self._validate_args and probs is not None and not (given > 0).all():
            raise ValueError(
                f"Expected parameter probs ({type(given).__name__} of shape {tuple(given.shape)}) of distribution {self!r} to be "
                f"positive but found invalid values:\n{given.data[~(given > 0)]}"
            )

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            u = empty(self._extended_shape(sample_shape), dtype=self.probs.dtype).uniform_(finfo(self.probs.dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Any) -> Tensor:
        value, probs = broadcast_all(self._checked(value), self.probs)
        finite = probs.masked_fill((probs == 1) & (value == 0), 0)
        return value * (-finite).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class _OfTrials(ProbsOrLogits):
    """Distributions with a `total_count` of the same type as the probabilities."""

    def __init__(self, total_count: Value, probs: Value | None, logits: Value | None, validate_args: bool | None) -> None:
        count, given = broadcast_all(total_count, self._choose(probs, logits))
        self.total_count = count.type_as(given)
        setattr(self, self._given, given)
        super().__init__(given.size(), validate_args=validate_args)


class Binomial(_OfTrials):
    """Probability ``binomial(n, k) * probs ** k * (1 - probs) ** (n - k)`` of `k` successes in n trials, the `total_count`.
    `logits` is ``log(probs / (1 - probs))``.

    Shapes: `total_count` and `probs` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless one of `probs`, in [0, 1], and `logits` is given, and for values outside the support.
    Source: Johnson, Kemp and Kotz, Univariate discrete distributions, 2005, chapter 3.

    >>> two = torch.distributions.Binomial(2, torch.tensor([0.0, 0.5, 1.0]))
    >>> two.mean, two.log_prob(torch.tensor(2.0)).exp()
    (tensor([0., 1., 2.]), tensor([1.4211e-14, 2.5000e-01, 1.0000e+00]))
    """

    arg_constraints = constrained(total_count=constraints.nonnegative_integer, **BINARY)
    has_enumerate_support = True
    mean = tensor_given_by(lambda self: self.total_count * self.probs)
    mode = tensor_given_by(lambda self: ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count))
    variance = tensor_given_by(lambda self: self.total_count * self.probs * (1 - self.probs))

    def __init__(
        self, total_count: Value = 1, probs: Value | None = None, logits: Value | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(total_count, probs, logits, validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    sample = sampled_by(binomial, "total_count", "probs")

    def log_prob(self, value: Any) -> Tensor:
        value, n, logits = self._checked(value), self.total_count, self.logits
        positive = (logits.clamp(min=0) + logits - logits.clamp(max=0)) / 2  # max(logits, 0), with the slope 1/2 at 0
        normalizer = n * positive + n * (-logits.abs()).exp().log1p() - (n + 1).lgamma()
        return value * logits - (value + 1).lgamma() - (n - value + 1).lgamma() - normalizer

    def entropy(self) -> Tensor:
        self._common_count("entropy")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = self._common_count("enumerate_support")
        return _along(arange(1 + count, dtype=self._param.dtype), self._batch_shape, expand)

    def _common_count(self, name: str) -> int:
        count = int(self.total_count.max())
        if not self.total_count.min() == count:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{name}`.")
        return count


class NegativeBinomial(_OfTrials):
    """Probability ``gamma(k + r) / (factorial(k) * gamma(r)) * probs ** k * (1 - probs) ** r`` of `k` successes before r
    failures, the `total_count`.

    r need not be an integer: a Poisson distribution whose rate is gamma distributed. `logits` is ``log(probs / (1 - probs))``.

    Shapes: `total_count` and `probs` broadcast to the batch (*B); an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError unless one of `probs`, in [0, 1), and `logits` is given, and for values outside the support.
    Source: Johnson, Kemp and Kotz, Univariate discrete distributions, 2005, chapter 5.

    >>> torch.distributions.NegativeBinomial(3.0, 0.5).mean
    tensor(3.)
    """

    arg_constraints = constrained(
        total_count=constraints.greater_than_eq(0),
        probs=constraints.half_open_interval(0.0, 1.0),
        logits=constraints.real,
    )
    support = constraints.nonnegative_integer
    mean = tensor_given_by(lambda self: self.total_count * self.logits.exp())
    mode = tensor_given_by(lambda self: ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0))
    variance = tensor_given_by(lambda self: self.mean / (-self.logits).sigmoid())

    def __init__(
        self, total_count: Value, probs: Value | None = None, logits: Value | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(total_count, probs, logits, validate_args)

    @lazy_property
    def _gamma(self) -> Gamma:
        return Gamma(self.total_count, (-self.logits).exp(), validate_args=False)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            return poisson(self._gamma.sample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        value, n = self._checked(value), self.total_count
        unnormalized = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        normalizer = -(n + value).lgamma() + (1.0 + value).lgamma() + n.lgamma()
        return unnormalized - normalizer.masked_fill(n + value == 0.0, 0.0)


class Poisson(ExponentialFamily):
    """Probability ``rate ** k * exp(-rate) / factorial(k)`` of `k` events, with `rate` on average.

    Shapes: `rate` (*B) is the batch; an event is (), samples of (*S) are (*S, *B).
    Raises: ValueError if `rate` is negative, and for values outside the support.
    Source: Johnson, Kemp and Kotz, Univariate discrete distributions, 2005, chapter 4.

    >>> torch.distributions.Poisson(2.0).log_prob(torch.tensor(0.0))
    tensor(-2.)
    """

    arg_constraints = constrained(rate=constraints.nonnegative)
    support = constraints.nonnegative_integer
    mean = variance = given_by(lambda self: self.rate)
    mode = tensor_given_by(lambda self: self.rate.floor())
    _natural_params = given_by(lambda self: (self.rate.log(),))

    def __init__(self, rate: Value, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.size(), validate_args=validate_args)

    sample = sampled_by(poisson, "rate")

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        rate, value = broadcast_all(self.rate, value)
        return xlogy(value, rate) - rate - (value + 1).lgamma()

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return x.exp()


# ------------------------------------------------------------------------------------------------ classes


class Categorical(ProbsOrLogits):
    """Probability ``probs[k] / sum(probs[j], j)`` of the class `k`, or with ``exp(logits[k])`` in place of ``probs[k]``.

    Shapes: `probs` (*B, K); an event is (), samples of (*S) are (*S, *B) of int64.
    Raises: ValueError unless one of nonnegative `probs` and `logits` is given, with a dimension; also for values outside the
    support.

    >>> torch.distributions.Categorical(torch.tensor([1.0, 3.0])).log_prob(torch.tensor(1))
    tensor(-0.2877)
    """

    arg_constraints = CLASSES
    has_enumerate_support = True
    _binary = False
    mean = variance = given_by(lambda self: full(self._extended_shape(), math.nan, dtype=self.probs.dtype))
    mode = tensor_given_by(lambda self: self.probs.argmax(-1))

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None) -> None:
        given = self._choose(probs, logits)
        if given.dim() < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if self._given == "probs":
            self.probs = given / given.sum(-1, keepdim=True)
        else:
            self.logits = given - given.logsumexp(-1, keepdim=True)
        self._num_events = given.size()[-1]
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        rows = self.probs.reshape(-1, self._num_events)
        return multinomial(rows, Size(sample_shape).numel(), True).T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value).long().unsqueeze(-1)
        value, logits = broadcast_tensors(value, self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return _along(arange(self._num_events, dtype=_dtypes.int64), self._batch_shape, expand)


class OverClasses(Distribution):
    """Distributions over vectors with one element per class of the Categorical distribution they contain."""

    _categorical: Any
    arg_constraints = CLASSES
    probs = given_by(lambda self: self._categorical.probs)
    logits = given_by(lambda self: self._categorical.logits)
    param_shape = given_by(lambda self: self._categorical.param_shape)
    _param = given_by(lambda self: self._categorical._param)

    def __init__(self, categorical: Categorical, validate_args: bool | None) -> None:
        self._categorical = categorical
        super().__init__(categorical.batch_shape, categorical.param_shape[-1:], validate_args=validate_args)

    def _new(self, *args: object, **kwargs: object) -> Tensor:
        return self._categorical._new(*args, **kwargs)


class OneHotCategorical(OverClasses):
    """Probability ``probs[k] / sum(probs[j], j)`` of the vector with 1 at `k` and 0 elsewhere.

    Shapes: `probs` (*B, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError unless one of nonnegative `probs` and `logits` is given, with a dimension; also for values outside the
    support.

    >>> one = torch.distributions.OneHotCategorical(torch.tensor([1.0, 3.0]))
    >>> one.log_prob(torch.tensor([0.0, 1.0])).exp(), one.entropy()
    (tensor(0.7500), tensor(0.5623))
    """

    support = constraints.one_hot
    has_enumerate_support = True
    mean = tensor_given_by(lambda self: self.probs)
    mode = tensor_given_by(lambda self: one_hot(self.probs.argmax(-1), self.probs.shape[-1]).to(self.probs))
    variance = tensor_given_by(lambda self: self.probs * (1 - self.probs))

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None) -> None:
        super().__init__(Categorical(probs, logits), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return one_hot(self._categorical.sample(sample_shape), self._categorical._num_events).to(self.probs)

    def log_prob(self, value: Any) -> Tensor:
        return self._categorical.log_prob(self._checked(value).max(-1)[1])

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        n = self.event_shape[0]
        values = eye(n, dtype=self._param.dtype).view((n,) + (1,) * len(self.batch_shape) + (n,))
        return values.expand((n,) + self.batch_shape + (n,)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """``x + probs - probs``, the last one detached: one-hot samples that have the gradients of the probabilities.

    Shapes: `probs` (*B, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError unless one of nonnegative `probs` and `logits` is given, with a dimension; also for values outside the
    support.
    Source: Bengio, Léonard and Courville, Estimating or propagating gradients through stochastic neurons, 2013.

    >>> logits = torch.zeros(2, requires_grad=True)
    >>> torch.distributions.OneHotCategoricalStraightThrough(logits=logits).rsample()[0].backward()
    >>> logits.grad
    tensor([ 0.2500, -0.2500])
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Multinomial(OverClasses):
    """Probability ``factorial(n) * prod(probs[i] ** x[i] / factorial(x[i]), i)`` of the counts `x` of each class in n draws, the
    `total_count`.

    Shapes: `probs` (*B, K); an event is (K), samples of (*S) are (*S, *B, K).
    Raises: ValueError unless one of nonnegative `probs` and `logits` is given, with a dimension; also for values outside the
    support. NotImplementedError for a `total_count` that varies.
    Source: Johnson, Kotz and Balakrishnan, Discrete multivariate distributions, 1997, chapter 35.

    >>> counts = torch.distributions.Multinomial(2, torch.tensor([0.5, 0.5]))
    >>> counts.log_prob(torch.tensor([1.0, 1.0])).exp()
    tensor(0.5000)
    """

    total_count: int
    mean = tensor_given_by(lambda self: self.probs * self.total_count)
    variance = tensor_given_by(lambda self: self.total_count * self.probs * (1 - self.probs))

    def __init__(
        self, total_count: int = 1, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(Categorical(probs, logits), validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count,) + Size(sample_shape)).movedim(0, -1)
        counts = drawn.new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add_(-1, drawn, ones_like(drawn)).type_as(self.probs)

    def entropy(self) -> Tensor:
        n = tensor(self.total_count)
        counts = arange(1, 1 + self.total_count, dtype=self._param.dtype).view((-1,) + (1,) * self.probs.dim())
        chances = Binomial(self.total_count, probs=self.probs).log_prob(counts).exp()
        return n * self._categorical.entropy() - (n + 1).lgamma() + (chances * (counts + 1).lgamma()).sum([0, -1])

    def log_prob(self, value: Any) -> Tensor:
        value = self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + (logits * value).sum(-1)
