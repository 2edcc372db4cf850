"""Regions in which parameters and samples must lie: ``check(value)`` says where they do.

The last `event_dim` dimensions of a value are one event, with one answer.

>>> import mini_dl as torch
>>> torch.distributions.constraints.interval(0, 1).check(torch.tensor([0.5, 2.0]))
tensor([ True, False])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mini_dl import _dtypes
from mini_dl._dtypes import finfo
from mini_dl.distributions.utils import consecutive
from mini_dl.ops.cholesky import cholesky_ex
from mini_dl.ops.comparison import isclose
from mini_dl.ops.creation import full
from mini_dl.ops.eigenvalues import eigvalsh
from mini_dl.ops.joining import cat as joined, stack as stacked
from mini_dl.ops.matrix_norms import norm
from mini_dl.tensor import Tensor

__all__ = [
    "Constraint",
    "MixtureSameFamilyConstraint",
    "boolean",
    "cat",
    "corr_cholesky",
    "dependent",
    "dependent_property",
    "greater_than",
    "greater_than_eq",
    "half_open_interval",
    "independent",
    "integer_interval",
    "interval",
    "is_dependent",
    "less_than",
    "lower_cholesky",
    "lower_triangular",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_definite",
    "positive_integer",
    "positive_semidefinite",
    "real",
    "real_vector",
    "simplex",
    "square",
    "stack",
    "symmetric",
    "unit_interval",
]


class Constraint:
    """A region over which a variable is valid; `is_discrete` says whether it is a discrete set."""

    is_discrete: Any = False
    event_dim: Any = 0

    def check(self, value: Tensor) -> Any:
        """Whether each event of `value` lies in the region."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.__class__.__name__[1:] + "()"


# ------------------------------------------------------------------------------------------------ known only for an instance


def _determined(name: str) -> Any:
    """A property that is undetermined as long as it is NotImplemented."""

    def value(self: object) -> Any:
        said = getattr(self, "_" + name)
        if said is NotImplemented:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return said

    return property(value)


class _Dependent(Constraint):
    """A region that depends on other variables: nothing can be checked."""

    is_discrete, event_dim = _determined("is_discrete"), _determined("event_dim")

    def __init__(self, *, is_discrete: object = NotImplemented, event_dim: object = NotImplemented) -> None:
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> _Dependent:
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Tensor) -> Any:
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: object) -> bool:
    """Whether the constraint is known only for an instance of the distribution."""
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property that gives the constraint of an instance; on the class, a dependent constraint."""

    def __init__(self, fn: Any = None, *, is_discrete: object = NotImplemented, event_dim: object = NotImplemented) -> None:
        super().__init__(fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn: Callable[[Any], Any]) -> Any:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


# ------------------------------------------------------------------------------------------------ composite constraints


def _must_be_constraint(value: object) -> None:
    if not isinstance(value, Constraint):
        raise AssertionError(f"base_constraint must be a Constraint, got {type(value).__name__}")


def _of_base(name: str) -> Any:
    return property(lambda self: getattr(self.base_constraint, name))


class _OfEvents(Constraint):
    """A constraint on whole events by another on their parts."""

    def _of_events(self, value: Tensor, result: Tensor, kept: int) -> Tensor:
        """Whether `result` holds for all parts of each event, which follow its first `kept` dimensions."""
        if kept < 0:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        return result.reshape(result.shape[:kept] + (-1,)).all(-1)


class _IndependentConstraint(_OfEvents):
    """`base_constraint` with that many more event dimensions; an event is valid if all its parts are."""

    is_discrete = _of_base("is_discrete")

    def __init__(self, base_constraint: Any, reinterpreted_batch_ndims: int) -> None:
        _must_be_constraint(base_constraint)
        count = reinterpreted_batch_ndims
        if not isinstance(count, int):
            raise AssertionError(f"reinterpreted_batch_ndims must be an int, got {type(count).__name__}")
        if count < 0:
            raise AssertionError(f"reinterpreted_batch_ndims must be >= 0, got {count}")
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, count

    @property
    def event_dim(self) -> Any:
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Any:
        result = self.base_constraint.check(value)
        return self._of_events(value, result, result.dim() - self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(_OfEvents):
    """The intersection of the supports of a mixture's components, whose dimension precedes the event in their constraint."""

    is_discrete, event_dim = _of_base("is_discrete"), _of_base("event_dim")

    def __init__(self, base_constraint: Any) -> None:
        _must_be_constraint(base_constraint)
        self.base_constraint = base_constraint

    def check(self, value: Tensor) -> Any:
        result = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return self._of_events(value, result, value.dim() - self.event_dim)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.base_constraint!r})"


class _Several(Constraint):
    """One constraint for each part of a value along `dim`."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        if not all([isinstance(one, Constraint) for one in cseq]):
            raise AssertionError("All elements of cseq must be Constraint instances")
        self.cseq, self.dim = list(cseq), dim

    @property
    def is_discrete(self) -> Any:
        return any([one.is_discrete for one in self.cseq])

    @property
    def event_dim(self) -> Any:
        return max([one.event_dim for one in self.cseq])

    def parts(self, value: Tensor) -> Iterator[Tensor]:
        raise NotImplementedError

    def checks(self, value: Tensor) -> list[Any]:
        if not -value.dim() <= self.dim < value.dim():
            raise AssertionError(f"dim {self.dim} out of range for value with {value.dim()} dimensions")
        return [one.check(part) for one, part in zip(self.cseq, self.parts(value))]


class _Cat(_Several):
    """Constraints of consecutive parts of the given lengths."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})")

    def parts(self, value: Tensor) -> Iterator[Tensor]:
        return consecutive(value, self.dim, self.lengths)

    def check(self, value: Tensor) -> Any:
        return joined(self.checks(value), self.dim)


class _Stack(_Several):
    """Constraints of slices."""

    @property
    def event_dim(self) -> Any:
        dim = max([one.event_dim for one in self.cseq])
        return dim + (self.dim + dim < 0)

    def parts(self, value: Tensor) -> Iterator[Tensor]:
        return (value.select(self.dim, i) for i in range(value.size(self.dim)))

    def check(self, value: Tensor) -> Any:
        return stacked(self.checks(value), self.dim)


# ------------------------------------------------------------------------------------------------ numbers


class _Real(Constraint):
    """Everything but NaN."""

    def check(self, value: Tensor) -> Any:
        return value == value


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value: Tensor) -> Any:
        return (value == 0) | (value == 1)


class _Bounded(Constraint):
    """An interval between bounds, which the repr shows."""

    def __repr__(self) -> str:
        return f"{self.__class__.__name__[1:]}({', '.join([f'{name}={bound}' for name, bound in vars(self).items()])})"


class _Above(_Bounded):
    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound


class _Below(_Bounded):
    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound


class _Between(_Bounded):
    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound


class _GreaterThan(_Above):
    def check(self, value: Tensor) -> Any:
        return self.lower_bound < value


class _GreaterThanEq(_Above):
    def check(self, value: Tensor) -> Any:
        return self.lower_bound <= value


class _LessThan(_Below):
    def check(self, value: Tensor) -> Any:
        return value < self.upper_bound


class _Interval(_Between):
    def check(self, value: Tensor) -> Any:
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class _HalfOpenInterval(_Between):
    def check(self, value: Tensor) -> Any:
        return (self.lower_bound <= value) & (value < self.upper_bound)


class _IntegerInterval(_Between):
    is_discrete = True

    def check(self, value: Tensor) -> Any:
        return (value % 1 == 0) & (self.lower_bound <= value) & (value <= self.upper_bound)


class _IntegerLessThan(_Below):
    is_discrete = True

    def check(self, value: Tensor) -> Any:
        return (value % 1 == 0) & (value <= self.upper_bound)


class _IntegerGreaterThan(_Above):
    is_discrete = True

    def check(self, value: Tensor) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound)


# ------------------------------------------------------------------------------------------------ vectors


class _OneHot(Constraint):
    is_discrete, event_dim = True, 1

    def check(self, value: Tensor) -> Any:
        return ((value == 0) | (value == 1)).all(-1) & value.sum(-1).eq(1)


class _Simplex(Constraint):
    """Nonnegative numbers with sum 1."""

    event_dim = 1

    def check(self, value: Tensor) -> Any:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    """Nonnegative numbers whose sum is at most the bound."""

    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Any:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


# ------------------------------------------------------------------------------------------------ matrices


class _Matrix(Constraint):
    event_dim = 2


class _LowerTriangular(_Matrix):
    def check(self, value: Tensor) -> Any:
        return (value.tril() == value).view(value.shape[:-2] + (-1,)).min(-1)[0]


class _LowerCholesky(_LowerTriangular):
    """Lower triangular with a positive diagonal."""

    def check(self, value: Tensor) -> Any:
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).min(-1)[0]


class _CorrCholesky(_LowerCholesky):
    """Lower Cholesky factors with rows of length 1."""

    def check(self, value: Tensor) -> Any:
        tolerance = finfo(value.dtype).eps * value.size(-1) * 10
        lengths = norm(value.detach(), dim=-1)
        return super().check(value) & (lengths - 1.0).abs().le(tolerance).all(-1)


class _Square(_Matrix):
    def check(self, value: Tensor) -> Any:
        return full(value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=_dtypes.bool)


class _Symmetric(_Square):
    def check(self, value: Tensor) -> Any:
        is_square = super().check(value)
        return isclose(value, value.mT, atol=1e-6).all(-2).all(-1) if is_square.all() else is_square


class _PositiveSemidefinite(_Symmetric):
    def check(self, value: Tensor) -> Any:
        is_symmetric = super().check(value)
        return eigvalsh(value).ge(0).all(-1) if is_symmetric.all() else is_symmetric


class _PositiveDefinite(_Symmetric):
    def check(self, value: Tensor) -> Any:
        is_symmetric = super().check(value)
        return cholesky_ex(value).info.eq(0) if is_symmetric.all() else is_symmetric


# ------------------------------------------------------------------------------------------------ public names

dependent: Any = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean: Any = _Boolean()
one_hot: Any = _OneHot()
nonnegative_integer: Any = _IntegerGreaterThan(0)
positive_integer: Any = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real: Any = _Real()
real_vector: Any = independent(real, 1)
positive: Any = _GreaterThan(0.0)
nonnegative: Any = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval: Any = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex: Any = _Simplex()
lower_triangular: Any = _LowerTriangular()
lower_cholesky: Any = _LowerCholesky()
corr_cholesky: Any = _CorrCholesky()
square: Any = _Square()
symmetric: Any = _Symmetric()
positive_semidefinite: Any = _PositiveSemidefinite()
positive_definite: Any = _PositiveDefinite()
cat = _Cat
stack = _Stack
