"""From unconstrained numbers to constrained ones.

``biject_to(constraint)`` is a bijection; ``transform_to(constraint)`` may be more convenient where bijectivity is not needed, as
in optimization.

>>> import mini_dl as torch
>>> from mini_dl.distributions import biject_to, constraints
>>> biject_to(constraints.greater_than(2.0))(torch.tensor(0.0))
tensor(3.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini_dl.distributions import constraints, transforms
from mini_dl.distributions.utils import NUMBERS

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """``transform = registry(constraint)``, a map from all real numbers onto the constrained set: one to one for `biject_to`, not
    necessarily for `transform_to`.

    ``register(constraint, factory)`` adds a class of constraints.

    Shapes: those of the transform.
    Raises: NotImplementedError for a constraint that is not registered; TypeError when registering anything else.

    >>> D = torch.distributions
    >>> D.biject_to(D.constraints.positive), D.transform_to(D.constraints.simplex)
    (ComposeTransform(
        ExpTransform(),
        AffineTransform()
    ), SoftmaxTransform())
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Any]] = {}

    def register(self, constraint: Any, factory: Any = None) -> Any:
        """Use `factory` for constraints of this class, or of this instance's class; without it, a decorator."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        if isinstance(constraint, constraints.Constraint):
            constraint = type(constraint)
        if not isinstance(constraint, type) or not issubclass(constraint, constraints.Constraint):
            raise TypeError(f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}")
        self._registry[constraint] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        """The transform to `constraint`. NotImplementedError if its class is not registered."""
        try:
            factory = self._registry[type(constraint)]
        except KeyError:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints") from None
        return factory(constraint)


biject_to = ConstraintRegistry()
transform_to = ConstraintRegistry()


def _onto_interval(constraint: Any) -> Any:
    low, high = constraint.lower_bound, constraint.upper_bound
    if isinstance(low, NUMBERS) and low == 0 and isinstance(high, NUMBERS) and high == 1:
        return transforms.SigmoidTransform()
    return transforms.ComposeTransform([transforms.SigmoidTransform(), transforms.AffineTransform(low, high - low)])


def _beyond(bound: Callable[[Any], Any], direction: int) -> Callable[[Any], Any]:
    """exp, from a bound upward or downward."""
    return lambda constraint: transforms.ComposeTransform(
        [transforms.ExpTransform(), transforms.AffineTransform(bound(constraint), direction)]
    )


def _parts(registry: ConstraintRegistry) -> dict[Any, Callable[[Any], Any]]:
    """The composite constraints, whose parts have transforms in `registry`."""
    return {
        constraints.independent: lambda c: transforms.IndependentTransform(
            registry(c.base_constraint), c.reinterpreted_batch_ndims
        ),
        constraints.cat: lambda c: transforms.CatTransform([registry(one) for one in c.cseq], c.dim, c.lengths),
        constraints.stack: lambda c: transforms.StackTransform([registry(one) for one in c.cseq], c.dim),
    }


_BIJECTIONS: dict[Any, Callable[[Any], Any]] = {
    constraints.real: lambda _: transforms.identity_transform,
    constraints.greater_than: _beyond(lambda c: c.lower_bound, 1),
    constraints.greater_than_eq: _beyond(lambda c: c.lower_bound, 1),
    constraints.less_than: _beyond(lambda c: c.upper_bound, -1),
    constraints.interval: _onto_interval,
    constraints.half_open_interval: _onto_interval,
    constraints.corr_cholesky: lambda _: transforms.CorrCholeskyTransform(),
}
_OTHERS: dict[Any, Callable[[Any], Any]] = {
    constraints.simplex: lambda _: transforms.SoftmaxTransform(),
    constraints.lower_cholesky: lambda _: transforms.LowerCholeskyTransform(),
    constraints.positive_definite: lambda _: transforms.PositiveDefiniteTransform(),
    constraints.positive_semidefinite: lambda _: transforms.PositiveDefiniteTransform(),
}

for _registry, _more in (
    (biject_to, {constraints.simplex: lambda _: transforms.StickBreakingTransform()}),
    (transform_to, _OTHERS),
):
    for _constraint, _factory in {**_BIJECTIONS, **_more, **_parts(_registry)}.items():
        _registry.register(_constraint, _factory)
