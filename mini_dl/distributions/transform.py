"""The base class of transforms, and composite transforms. Everything public is in `transforms`."""

from __future__ import annotations

import functools
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mini_dl.distributions import constraints
from mini_dl.distributions.utils import consecutive, given_by, lazy_property, sum_rightmost
from mini_dl.ops.creation import zeros_like
from mini_dl.ops.joining import cat, stack
from mini_dl.tensor import Tensor


class Transform:
    """A map ``y = t(x)`` from `domain` to `codomain`, invertible if it is `bijective`, with ``log(abs(det(diff(y, x))))``.

    A subclass defines `_call`, `_inverse` and `log_abs_det_jacobian`. With ``cache_size=1`` it caches its last pair of
    values: the inverse of a result is the original tensor itself. Two transforms are equal if their classes and arguments are.

    Shapes: as `forward_shape` and `inverse_shape` say; by default unchanged.
    Raises: NotImplementedError for methods that a subclass does not define; ValueError for a `cache_size` other than 0 and 1.

    >>> exp = torch.distributions.ExpTransform()
    >>> x = torch.tensor(2.0)
    >>> exp(x), exp.inv(exp(x)), exp.log_abs_det_jacobian(x, exp(x))
    (tensor(7.3891), tensor(2.), tensor(2.))
    """

    bijective: Any = False
    domain: Any
    codomain: Any
    sign: Any
    _arguments: tuple[str, ...] = ()
    """The attributes that are constructor arguments."""

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._inv: Any = None  # a weak reference: the inverse refers to this
        self._cached_x_y: tuple[Any, Any] = None, None
        super().__init__()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inv": None}

    @property
    def event_dim(self) -> Any:
        """The number of dimensions of an event. ValueError if they differ before and after the transform."""
        if self.domain.event_dim != self.codomain.event_dim:
            raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")
        return self.domain.event_dim

    @property
    def inv(self) -> Any:
        """The inverse, whose inverse is this transform."""
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = self._inverted()
            self._inv = weakref.ref(inverse)
        return inverse

    def _inverted(self) -> Any:
        return _InverseTransform(self)

    def with_cache(self, cache_size: int = 1) -> Any:
        """This transform with a cache of the given size."""
        if self._cache_size == cache_size:
            return self
        own: Any = type(self)
        declared: Any = next(cls for cls in own.__mro__ if "_arguments" in vars(cls))
        if own.__init__ is not declared.__init__:
            raise NotImplementedError(f"{own}.with_cache is not implemented")
        return own(*[getattr(self, name) for name in self._arguments], cache_size=cache_size)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self.__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, x: Any) -> Any:
        """The value of `x`."""
        if self._cache_size == 0:
            return self._call(x)
        cached = self._cached_x_y
        if x is not cached[0]:
            cached = self._cached_x_y = x, self._call(x)
        return cached[1]

    def _inv_call(self, y: Tensor) -> Any:
        if self._cache_size == 0:
            return self._inverse(y)
        cached = self._cached_x_y
        if y is not cached[1]:
            cached = self._cached_x_y = self._inverse(y), y
        return cached[0]

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``log |det dy/dx|`` of each event, of `x` and its value `y`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.__class__.__name__ + "()"

    def forward_shape(self, shape: Sequence[int]) -> Any:
        """The shape of the value for an argument of this shape."""
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        """The shape of the argument for a value of this shape."""
        return shape


def _no_sign(self: object) -> Any:
    raise NotImplementedError


Transform.sign = property(_no_sign, doc="+1 if it increases, -1 if it decreases.")


def _of_inverse(name: str) -> Any:
    return property(lambda self: getattr(self._inv, name))


class _InverseTransform(Transform):
    bijective, sign, inv = _of_inverse("bijective"), _of_inverse("sign"), given_by(lambda self: self._inv)

    def __init__(self, transform: Transform) -> None:
        super().__init__(cache_size=transform._cache_size)
        self._inv = transform

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return self._inv.codomain

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        return self._inv.domain

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def with_cache(self, cache_size: int = 1) -> Any:
        return self._inv.with_cache(cache_size).inv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _InverseTransform) and self._inv == other._inv

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._inv!r})"

    def __call__(self, x: object) -> Any:
        return self._inv._inv_call(x)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return self._inv.forward_shape(shape)


# ------------------------------------------------------------------------------------------------ composite transforms


def wider(constraint: Any, event_dim: int) -> Any:
    """The constraint with events of at least that many dimensions."""
    more = event_dim - constraint.event_dim
    return constraints.independent(constraint, more) if more > 0 else constraint


class ComposeTransform(Transform):
    """``y = parts[n - 1](... parts[0](x))``: transforms in sequence. The parts have the caches.

    Shapes: as changed by each part in turn.
    Raises: ValueError for a `cache_size` other than 0 and 1.

    >>> D = torch.distributions
    >>> D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)])(torch.tensor(0.0))
    tensor(3.)
    """

    _arguments = ("parts",)

    def __init__(self, parts: list[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.parts = [part.with_cache(cache_size) for part in parts] if cache_size else parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        if not self.parts:
            return constraints.real
        event_dim = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            event_dim = max(event_dim + part.domain.event_dim - part.codomain.event_dim, part.domain.event_dim)
        return wider(self.parts[0].domain, event_dim)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        if not self.parts:
            return constraints.real
        event_dim = self.parts[0].domain.event_dim
        for part in self.parts:
            event_dim = max(event_dim + part.codomain.event_dim - part.domain.event_dim, part.codomain.event_dim)
        return wider(self.parts[-1].codomain, event_dim)

    @lazy_property
    def bijective(self) -> bool:
        return all([part.bijective for part in self.parts])

    @lazy_property
    def sign(self) -> Any:
        return functools.reduce(operator.mul, [part.sign for part in self.parts], 1)

    def _inverted(self) -> Any:
        made = ComposeTransform([part.inv for part in reversed(self.parts)])
        made._inv = weakref.ref(self)
        return made

    def __call__(self, x: object) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return zeros_like(x)
        values = [x]
        for part in self.parts[:-1]:
            values.append(part(values[-1]))
        terms, event_dim = [], self.domain.event_dim
        for part, before, behind in zip(self.parts, values, [*values[1:], y]):
            terms.append(sum_rightmost(part.log_abs_det_jacobian(before, behind), event_dim - part.domain.event_dim))
            event_dim += part.codomain.event_dim - part.domain.event_dim
        return functools.reduce(operator.add, terms)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return self.__class__.__name__ + "(\n    " + ",\n    ".join([repr(part) for part in self.parts]) + "\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """``log(abs(det(diff(y, x)))) = sum(log_abs_det_jacobian, i)`` over `reinterpreted_batch_ndims` more dimensions:
    `base_transform` of events.

    Shapes: those of `base_transform`; the Jacobian lacks the last dimensions.
    Raises: ValueError if there are fewer dimensions, and for a `cache_size` other than 0 and 1.

    >>> t = torch.distributions.IndependentTransform(torch.distributions.ExpTransform(), 1)
    >>> t.log_abs_det_jacobian(torch.ones(3), torch.ones(3).exp())
    tensor(3.)
    """

    _arguments = ("base_transform", "reinterpreted_batch_ndims")
    bijective = given_by(lambda self: self.base_transform.bijective)
    sign = given_by(lambda self: self.base_transform.sign)

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    def _call(self, x: Tensor) -> Tensor:
        at_least(self.domain.event_dim, x.shape)
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        at_least(self.codomain.event_dim, y.shape)
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_rightmost(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.base_transform!r}, {self.reinterpreted_batch_ndims})"

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return self.base_transform.inverse_shape(shape)


def at_least(dimensions: int, shape: Sequence[int]) -> None:
    if len(shape) < dimensions:
        raise ValueError("Too few dimensions on input")


def _must_fit(tensor: Tensor, name: str, dim: int, size: int, called: str) -> None:
    if not -tensor.dim() <= dim < tensor.dim():
        what = "tensor" if name == "" else name
        raise AssertionError(f"dim {dim} out of range for {what} with {tensor.dim()} dimensions")
    if tensor.size(dim) != size:
        raise AssertionError(f"{name or 'x'}.size({dim}) = {tensor.size(dim)} must equal {called} {size}")


class _Several(Transform):
    """One transform per part of a tensor along `dim`."""

    bijective = given_by(lambda self: all([one.bijective for one in self.transforms]))
    _called: str

    def __init__(self, tseq: Sequence[Transform], dim: int, cache_size: int) -> None:
        if not all([isinstance(one, Transform) for one in tseq]):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [one.with_cache(cache_size) for one in tseq] if cache_size else list(tseq)
        self.dim = dim

    def _size(self) -> int:
        raise NotImplementedError

    def _parts(self, tensor: Tensor) -> Iterator[Tensor]:
        raise NotImplementedError

    def _each(self, tensor: Tensor, maps: Sequence[Callable[[Any], Any]], name: str) -> list[Any]:
        _must_fit(tensor, name, self.dim, self._size(), self._called)
        return [one(part) for one, part in zip(maps, self._parts(tensor))]

    def _jacobians(self, x: Tensor, y: Tensor) -> list[Any]:
        for name, tensor in (("x", x), ("y", y)):
            _must_fit(tensor, name, self.dim, self._size(), self._called)
        return [one.log_abs_det_jacobian(*parts) for one, *parts in zip(self.transforms, self._parts(x), self._parts(y))]


class CatTransform(_Several):
    """``y = cat([t(x[part]) for t, part in zip(tseq, parts)], dim)``: transforms of consecutive parts, of `lengths` (1 each
    if not given).

    Shapes: (*, n, *) -> (*, n, *) along `dim`, n the sum of `lengths`.
    Raises: AssertionError for anything but a transform, or a size other than the sum of `lengths`.

    >>> D = torch.distributions
    >>> D.CatTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)], lengths=[1, 2])(torch.tensor([0.0, 0.0, 3.0]))
    tensor([1., 1., 7.])
    """

    _arguments = ("transforms", "dim", "lengths")
    _called = "length"

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Any = None, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})")

    event_dim = given_by(lambda self: max([one.event_dim for one in self.transforms]))
    length = given_by(lambda self: sum(self.lengths))

    def _size(self) -> int:
        return self.length

    def _parts(self, tensor: Tensor) -> Iterator[Tensor]:
        return consecutive(tensor, self.dim, self.lengths)

    def _call(self, x: Tensor) -> Tensor:
        return cat(self._each(x, self.transforms, ""), self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return cat(self._each(y, [one.inv for one in self.transforms], "y"), self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        terms = [sum_rightmost(term, self.event_dim - one.event_dim) for one, term in zip(self.transforms, self._jacobians(x, y))]
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + self.event_dim
        return cat(terms, dim) if dim < 0 else functools.reduce(operator.add, terms)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([one.domain for one in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([one.codomain for one in self.transforms], self.dim, self.lengths)


class StackTransform(_Several):
    """``y = stack([t(x[i]) for i, t in enumerate(tseq)], dim)``: transforms of the slices along `dim`.

    Shapes: (*, n, *) -> (*, n, *) along `dim`, n the number of transforms.
    Raises: AssertionError for anything but a transform, or another number of slices.

    >>> D = torch.distributions
    >>> D.StackTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)])(torch.tensor([0.0, 3.0]))
    tensor([1., 7.])
    """

    _arguments = ("transforms", "dim")
    _called = "len(transforms)"

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)

    def _size(self) -> int:
        return len(self.transforms)

    def _parts(self, tensor: Tensor) -> Iterator[Tensor]:
        return (tensor.select(self.dim, i) for i in range(tensor.size(self.dim)))

    def _call(self, x: Tensor) -> Tensor:
        return stack(self._each(x, self.transforms, ""), self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return stack(self._each(y, [one.inv for one in self.transforms], "y"), self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return stack(self._jacobians(x, y), self.dim)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([one.domain for one in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([one.codomain for one in self.transforms], self.dim)
