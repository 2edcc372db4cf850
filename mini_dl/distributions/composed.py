"""Distributions built from others: more event dimensions, transformed numbers, mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mini_dl.autograd.mode import no_grad
from mini_dl.distributions import constraints
from mini_dl.distributions.discrete import Categorical
from mini_dl.distributions.distribution import Distribution, constrained
from mini_dl.distributions.transforms import ComposeTransform, Transform
from mini_dl.distributions.utils import given_by, sum_rightmost, tensor_given_by
from mini_dl.tensor import Size, Tensor

__all__ = ["Independent", "MixtureSameFamily", "TransformedDistribution"]


def of_base(name: str) -> Any:
    """A property that is that of `base_dist`."""
    return property(lambda self: getattr(self.base_dist, name))


class Independent(Distribution):
    """``log(p(x)) = sum(log(q(x[i])), i)`` with q of the base distribution, over the last batch dimensions, which become
    event dimensions.

    Shapes: batch (*B, *E) and event (*F) -> batch (*B), event (*E, *F), with `reinterpreted_batch_ndims` dimensions E.
    Raises: ValueError if there are fewer batch dimensions.

    >>> normal = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    >>> torch.distributions.Independent(normal, 1).log_prob(torch.zeros(3))
    tensor(-2.7568)
    """

    arg_constraints = constrained()
    has_rsample = of_base("has_rsample")
    mean, mode, variance = of_base("mean"), of_base("mode"), of_base("variance")

    def __init__(self, base_distribution: Any, reinterpreted_batch_ndims: int, validate_args: bool | None = None) -> None:
        if reinterpreted_batch_ndims > len(base_distribution.batch_shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{reinterpreted_batch_ndims} vs {len(base_distribution.batch_shape)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        shape = base_distribution.batch_shape + base_distribution.event_shape
        cut = len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    @property
    def has_enumerate_support(self) -> Any:
        return self.reinterpreted_batch_ndims <= 0 and self.base_dist.has_enumerate_support

    @constraints.dependent_property
    def support(self) -> Any:
        support = self.base_dist.support
        more = self.reinterpreted_batch_ndims
        return constraints.independent(support, more) if more else support

    def sample(self, sample_shape: object = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: object = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: object) -> Tensor:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand=expand)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.base_dist}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Distribution):
    """``log(p(y)) = log(q(x)) - log(abs(diff(y, x)))`` for ``y = transform(x)``, with the density q of `base_distribution`.

    Shapes: the batch and event shapes of the base, as the transforms change them.
    Raises: ValueError for transforms that are not `Transform`, or with more event dimensions than there are; also for
    values outside the support.

    >>> from mini_dl.distributions import AffineTransform, SigmoidTransform, Uniform
    >>> logistic = torch.distributions.TransformedDistribution(Uniform(0, 1), [SigmoidTransform().inv, AffineTransform(1, 2)])
    >>> logistic.log_prob(torch.tensor(1.0))
    tensor(-2.0794)
    """

    arg_constraints = constrained()
    has_rsample = of_base("has_rsample")

    def __init__(self, base_distribution: Any, transforms: object, validate_args: bool | None = None) -> None:
        self.transforms = _listed(transforms)
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_event_dim = len(base_distribution.event_shape)
        transform = ComposeTransform(self.transforms)
        domain, codomain = transform.domain, transform.codomain
        if len(base_shape) < domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {domain.event_dim}, but got {base_shape}."
            )  # fmt: skip
        shape = transform.forward_shape(base_shape)
        expanded = transform.inverse_shape(shape)
        if base_shape != expanded:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_event_dim])
        more = domain.event_dim - base_event_dim
        self.base_dist = Independent(base_distribution, more) if more > 0 else base_distribution
        cut = len(shape) - max(codomain.event_dim, base_event_dim + codomain.event_dim - domain.event_dim)
        if cut < 0:
            raise AssertionError(f"forward_shape length {len(shape)} must be >= event_dim {len(shape) - cut}")
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    def _expanded(self, name: str, value: Any, batch_shape: Size) -> Any:
        if name != "base_dist":
            return super()._expanded(name, value, batch_shape)
        shape = batch_shape + self.event_shape
        for transform in reversed(self.transforms):
            shape = transform.inverse_shape(shape)
        return value.expand(shape[: len(shape) - len(value.event_shape)])

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self.event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    def _transformed(self, x: Tensor) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: object = ()) -> Tensor:
        with no_grad():
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: object = ()) -> Tensor:
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        y = self._checked(value)
        event_dim, result = len(self.event_shape), 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            result = result - sum_rightmost(transform.log_abs_det_jacobian(x, y), event_dim - transform.domain.event_dim)
            y = x
        return result + sum_rightmost(self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape))

    def _complement_if_reversed(self, value: Tensor) -> Any:
        """A probability, or its complement if the transforms reverse the direction."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value: Any) -> Tensor:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._complement_if_reversed(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Tensor:
        return self._transformed(self.base_dist.icdf(self._complement_if_reversed(value)))


def _listed(transforms: object) -> list[Transform]:
    if isinstance(transforms, Transform):
        return [transforms]
    if not isinstance(transforms, list):
        raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
    if not all([isinstance(transform, Transform) for transform in transforms]):
        raise ValueError("transforms must be a Transform or a list of Transforms")
    return transforms


class MixtureSameFamily(Distribution):
    """Density ``sum(probs[k] * p_k(x), k)`` of the components, the last batch dimension of `component_distribution`.

    `mixture_distribution` is a `Categorical` with the probabilities.

    Shapes: mixture batch (*B) of K classes, component batch (*B, K) -> batch (*B), and the event of a component.
    Raises: ValueError unless the first is a `Categorical`, the second a distribution, and the batches match.

    >>> D = torch.distributions
    >>> two = D.MixtureSameFamily(D.Categorical(torch.tensor([0.3, 0.7])), D.Normal(torch.tensor([-1.0, 1.0]), 0.5))
    >>> two.mean, two.log_prob(torch.tensor(1.0))
    (tensor(0.4000), tensor(-0.5823))
    """

    arg_constraints = constrained()
    has_rsample = False
    mixture_distribution = given_by(lambda self: self._mixture_distribution)
    component_distribution = given_by(lambda self: self._component_distribution)

    def __init__(self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None) -> None:
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        _check_components(mixture_distribution, component_distribution)
        self._num_component = mixture_distribution.logits.shape[-1]
        batch_shape, event_shape = component_distribution.batch_shape[:-1], component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(batch_shape=batch_shape, event_shape=event_shape, validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    def _weighted(self, values: Tensor) -> Any:
        """The mean over the components."""
        return (self._pad_mixture_dimensions(self.mixture_distribution.probs) * values).sum(-1 - self._event_ndims)

    mean = tensor_given_by(lambda self: self._weighted(self.component_distribution.mean))

    @property
    def variance(self) -> Tensor:
        between = (self.component_distribution.mean - self._pad(self.mean)).pow(2.0)
        return self._weighted(self.component_distribution.variance) + self._weighted(between)

    def cdf(self, x: Any) -> Tensor:
        return (self.component_distribution.cdf(self._pad(x)) * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, x: Any) -> Tensor:
        of_components = self.component_distribution.log_prob(self._pad(self._checked(x)))
        return (of_components + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            dim, event = len(sample_shape) + len(self.batch_shape), self.event_shape
            chosen = self.mixture_distribution.sample(sample_shape)
            samples = self.component_distribution.sample(sample_shape)
            chosen = chosen.reshape(chosen.shape + (1,) * (len(event) + 1)).repeat((1,) * (len(chosen.shape) + 1) + event)
            return samples.gather(dim, chosen).squeeze(dim)

    def _pad(self, x: Tensor) -> Any:
        return x.unsqueeze(-1 - self._event_ndims)

    def _pad_mixture_dimensions(self, x: Tensor) -> Tensor:
        ours, theirs = len(self.batch_shape), len(self.mixture_distribution.batch_shape)
        more = 0 if theirs == 1 else ours - theirs
        return x.reshape(x.shape[:-1] + (1,) * more + x.shape[-1:] + (1,) * self._event_ndims)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"


def _check_components(mixture: object, components: object) -> None:
    if not isinstance(mixture, Categorical):
        raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
    if not isinstance(components, Distribution):
        raise ValueError("The Component distribution needs to be an instance of torch.distributions.Distribution")
    of_mixture, of_components = mixture.batch_shape, components.batch_shape[:-1]
    for one, other in zip(reversed(of_mixture), reversed(of_components)):
        if one != 1 and other != 1 and one != other:
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({of_mixture}) is not compatible with "
                f"`component_distribution.batch_shape`({of_components})"
            )
    km, kc = mixture.logits.shape[-1], components.batch_shape[-1]
    if km != kc:
        raise ValueError(
            f"`mixture_distribution component` ({km}) does not equal `component_distribution.batch_shape[-1]` ({kc})"
        )
