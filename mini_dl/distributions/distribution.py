"""The base class: shapes, checks of parameters and values, and the methods of every distribution."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mini_dl._guidance import tell_constructor
from mini_dl.autograd.mode import no_grad
from mini_dl.distributions import constraints
from mini_dl.distributions.utils import given_by, lazy_property, logits_to_probs, probs_to_logits
from mini_dl.tensor import Size, Tensor

__all__ = ["Distribution"]

SCALAR = Size()


def _is_declared_here(kind: type) -> bool:
    """Whether a class belongs to this package, also known as ``torch.distributions``."""
    root, _, place = kind.__module__.partition(".")
    return root in ("mini_dl", "torch") and place.startswith("distributions.")


def missing(name: str, *, explained: bool = False) -> Any:
    """A property only of subclasses; the error says so if `explained`."""

    def value(self: object) -> Any:
        raise NotImplementedError(*[f"{self.__class__} does not implement {name}"] * explained)

    value.__name__ = name
    return property(value)


def constrained(**parameters: object) -> Any:
    """The constraint of each parameter, by name."""
    return parameters


class Distribution:
    """``log_prob(x)``, `sample`, `rsample`, `mean`, `variance`, `entropy`, `cdf` and `icdf`, if there are formulas for them.

    A class declares the constraints of its parameters, `arg_constraints`, and of its samples, `support`; they are
    checked unless `validate_args` is False. Parameters, and distributions it contains, begin with the batch dimensions,
    so `expand` needs no further information.

    Shapes: batch (*B), one distribution for each element, and event (*E): samples of (*S) are (*S, *B, *E), a `log_prob` is (*S,
    *B).
    Raises: ValueError for parameters and values outside their constraints; NotImplementedError if there is no formula.

    >>> normal = torch.distributions.Normal(torch.zeros(3), 1.0)
    >>> normal.batch_shape, normal.event_shape, normal.sample((2,)).shape
    (torch.Size([3]), torch.Size([]), torch.Size([2, 3]))
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        tell_constructor(cls)

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__

    arg_constraints: Any = missing("arg_constraints")
    support: Any = missing("support")
    if TYPE_CHECKING:

        @property
        def mean(self) -> Tensor: ...
        @property
        def variance(self) -> Tensor: ...
        @property
        def mode(self) -> Tensor: ...

    else:
        mean = missing("mean")
        variance = missing("variance")
        mode = missing("mode", explained=True)

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Set whether parameters and values are checked by default."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Sequence[int] = SCALAR, event_shape: Sequence[int] = SCALAR, validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()
        super().__init__()

    def _check_parameters(self) -> None:
        """ValueError if a parameter violates its constraint. Parameters computed lazily from others are not checked."""
        try:
            given = self.arg_constraints
        except NotImplementedError:
            given = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
        for name, constraint in given.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    # -------------------------------------------------------------------------------------------- shapes

    @property
    def batch_shape(self) -> Size:
        """The shape over which the parameters vary."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Any:
        """The same distributions over a larger batch, without copies of the parameters.

        NotImplementedError for user subclasses with their own constructor, which must define it.
        """
        declared: Any = next(filter(_is_declared_here, type(self).__mro__))
        if declared.__init__ is Distribution.__init__:
            raise NotImplementedError
        new = self._get_checked_instance(declared, _instance)
        batch_shape = Size(batch_shape)
        for name, value in vars(self).items():
            if name not in vars(new) and (
                name in self._varying() or not isinstance(getattr(type(self), name, None), lazy_property)
            ):
                setattr(new, name, self._expanded(name, value, batch_shape))
        new._batch_shape, new._validate_args = batch_shape, self._validate_args
        return new

    def _varying(self) -> Any:
        """The names of the tensor attributes that vary over the batch."""
        return self.arg_constraints

    def _expanded(self, name: str, value: Tensor | Distribution, batch_shape: Size) -> Any:
        kept = len(self._batch_shape)
        if isinstance(value, Distribution):
            return value.expand(batch_shape + value.batch_shape[kept:])
        return value.expand(batch_shape + value.shape[kept:]) if name in self._varying() else value

    def _get_checked_instance(self, cls: Any, _instance: object = None) -> Any:
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method must also define a "
                "custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    # -------------------------------------------------------------------------------------------- methods

    stddev: Any = given_by(lambda self: self.variance.sqrt())

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Numbers of the shape ``sample_shape + batch_shape + event_shape``, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Numbers of that shape as functions of the parameters, through which gradients flow."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``, which should be used instead."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", category=FutureWarning, stacklevel=2
        )  # fmt: skip
        return self.sample(Size((n,)))

    def log_prob(self, value: object) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError

    def cdf(self, value: object) -> Tensor:
        """The probability of a number up to `value`."""
        raise NotImplementedError

    def icdf(self, value: object) -> Tensor:
        """The quantile: the number up to which the probability is `value`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution, along a new first dimension."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The mean of ``-log_prob``."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """``exp(entropy)``"""
        return self.entropy().exp()

    # -------------------------------------------------------------------------------------------- checks of values

    def _checked(self, value: Tensor) -> Any:
        """`value`, after `_validate_sample` if this distribution checks its arguments."""
        if self._validate_args:
            self._validate_sample(value)
        return value

    def _validate_sample(self, value: Tensor) -> None:
        """ValueError if `value` does not have the shape of samples, or lies outside the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        if value.size()[len(value.size()) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.size()} vs {self._event_shape}."
            )  # fmt: skip
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.size()), reversed(expected)):
            if i != 1 and j != 1 and i != j:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {value.size()} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        if support is None:
            raise AssertionError("support is unexpectedly None")
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        given = [f"{name}: {value if value.numel() == 1 else value.size()}" for name, value in shown.items()]
        return f"{self.__class__.__name__}({', '.join(given)})"


class ProbsOrLogits(Distribution):
    """Distributions whose parameter is `probs` or `logits`; the other one is computed on first access."""

    _binary = True
    _given: str

    def _choose(self, probs: object, logits: object) -> Any:
        """The one that is given, recording which it is. ValueError if both or neither are."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        self._given = "logits" if probs is None else "probs"
        return logits if probs is None else probs

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._given)

    @lazy_property
    def logits(self) -> Any:
        return probs_to_logits(self.probs, is_binary=self._binary)

    @lazy_property
    def probs(self) -> Any:
        return logits_to_probs(self.logits, is_binary=self._binary)

    param_shape: Any = given_by(lambda self: self._param.size())

    def _new(self, *args: object, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)
