"""Invertible maps and the logarithms of their Jacobians, which turn one distribution into another.

>>> import mini_dl as torch
>>> from mini_dl.distributions.transforms import AffineTransform, ComposeTransform, ExpTransform
>>> flow = ComposeTransform([AffineTransform(1.0, 2.0), ExpTransform()])
>>> x = torch.tensor(0.5)
>>> flow(x), flow.inv(flow(x)), flow.log_abs_det_jacobian(x, flow(x))
(tensor(7.3891), tensor(0.5000), tensor(2.6931))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mini_dl._dtypes import finfo
from mini_dl._families import complete_docstrings
from mini_dl.distributions import constraints
from mini_dl.distributions.transform import (
    CatTransform as CatTransform,
    ComposeTransform as ComposeTransform,
    IndependentTransform as IndependentTransform,
    StackTransform as StackTransform,
    Transform,
    _InverseTransform as _InverseTransform,
    at_least,
    identity_transform as identity_transform,
    wider,
)
from mini_dl.distributions.utils import (
    NUMBERS,
    Value,
    broadcast_all,
    given_by,
    lazy_property,
    tril_matrix_to_vec,
    vec_to_tril_matrix,
)
from mini_dl.ops.activation import logsigmoid, softplus
from mini_dl.ops.cholesky import _linalg_cholesky as cholesky
from mini_dl.ops.copies import _broadcast_shapes as broadcast_shapes
from mini_dl.ops.creation import full_like
from mini_dl.ops.padding import pad
from mini_dl.ops.ranges import eye
from mini_dl.tensor import Size, Tensor

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "CatTransform",
    "ComposeTransform",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "ExpTransform",
    "IndependentTransform",
    "LowerCholeskyTransform",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StackTransform",
    "StickBreakingTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
]

# ------------------------------------------------------------------------------------------------ elementwise


class _Plain(Transform):
    """A transform without arguments: equal to all others of its class."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))


class _Increasing(_Plain):
    domain, bijective, sign = constraints.real, True, +1


class ExpTransform(_Increasing):
    """``y = exp(x)``

    Family: transform

    >>> torch.distributions.ExpTransform().inv(torch.tensor(1.0))
    tensor(0.)
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


def _clipped_sigmoid(x: Tensor) -> Tensor:
    info = finfo(x.dtype)
    return x.sigmoid().clamp(min=info.tiny, max=1.0 - info.eps)


class SigmoidTransform(_Increasing):
    """``y = 1 / (1 + exp(-x))``, never exactly 0 or 1.

    Family: transform

    >>> torch.distributions.SigmoidTransform()(torch.tensor([-200.0, 0.0]))
    tensor([1.1755e-38, 5.0000e-01])
    """

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return _clipped_sigmoid(x)

    def _inverse(self, y: Tensor) -> Tensor:
        info = finfo(y.dtype)
        y = y.clamp(min=info.tiny, max=1.0 - info.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(_Increasing):
    """``y = log(1 + exp(x))``

    Family: transform

    >>> t = torch.distributions.SoftplusTransform()
    >>> t(torch.tensor(0.0)), t.inv(t(torch.tensor(0.0)))
    (tensor(0.6931), tensor(0.))
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class TanhTransform(_Increasing):
    """``y = tanh(x)``, with the Jacobian from `x`: ``2 * (log(2) - x - softplus(-2 * x))``.

    Family: transform

    >>> t = torch.distributions.TanhTransform()
    >>> t.log_abs_det_jacobian(torch.tensor(20.0), torch.tensor(1.0))
    tensor(-38.6137)
    """

    codomain: Any = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class AbsTransform(_Plain):
    """``y = abs(x)``: not a bijection, and the inverse is the positive one.

    Family: transform

    >>> t = torch.distributions.AbsTransform()
    >>> t(torch.tensor([-2.0, 3.0])), t.inv(torch.tensor(2.0))
    (tensor([2., 3.]), tensor(2.))
    """

    domain, codomain = constraints.real, constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class PowerTransform(Transform):
    """``y = x ** exponent`` for positive x.

    Family: transform

    >>> torch.distributions.PowerTransform(2.0)(torch.tensor([1.0, 3.0]))
    tensor([1., 9.])
    """

    domain = codomain = constraints.positive
    bijective = True
    _arguments = ("exponent",)

    def __init__(self, exponent: object, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        (self.exponent,) = broadcast_all(exponent)

    @lazy_property
    def sign(self) -> Any:
        return self.exponent.sign()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and self.exponent.eq(other.exponent).all().item()

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return broadcast_shapes(shape, self.exponent.shape)

    inverse_shape = forward_shape


def _same(one: object, other: Any) -> bool:
    return one == other if isinstance(one, NUMBERS) and isinstance(other, NUMBERS) else bool((one == other).all())


class AffineTransform(Transform):
    """``y = loc + scale * x``, with events of `event_dim` dimensions.

    Shapes: (*), with `loc` and `scale` broadcast; the Jacobian is summed over an event.
    Raises: ValueError for a `cache_size` other than 0 and 1.

    >>> torch.distributions.AffineTransform(1.0, 2.0)(torch.tensor([0.0, 3.0]))
    tensor([1., 7.])
    """

    bijective = True
    _arguments = ("loc", "scale", "event_dim")

    def __init__(self, loc: Value, scale: Value, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    event_dim = given_by(lambda self: self._event_dim)

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return wider(constraints.real, self.event_dim)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        return wider(constraints.real, self.event_dim)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AffineTransform) and _same(self.loc, other.loc) and _same(self.scale, other.scale)

    @property
    def sign(self) -> Any:
        return (self.scale > 0) - (self.scale < 0) if isinstance(self.scale, NUMBERS) else self.scale.sign()

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Tensor) -> Tensor:
        shape, scale = x.shape, self.scale
        result = full_like(x, math.log(abs(scale))) if isinstance(scale, NUMBERS) else scale.abs().log()
        if self.event_dim:
            result = result.view(result.size()[: -self.event_dim] + (-1,)).sum(-1)
            shape = shape[: -self.event_dim]
        return result.expand(shape)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return broadcast_shapes(shape, getattr(self.loc, "shape", ()), getattr(self.scale, "shape", ()))

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """``y = cdf(x)`` of a distribution, whose density is the Jacobian.

    Family: transform

    >>> normal = torch.distributions.Normal(0.0, 1.0)
    >>> torch.distributions.CumulativeDistributionTransform(normal)(torch.tensor(0.0))
    tensor(0.5000)
    """

    bijective, sign = True, +1
    codomain = constraints.unit_interval
    domain = given_by(lambda self: self.distribution.support)
    _arguments = ("distribution",)

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    def _call(self, x: object) -> Any:
        return self.distribution.cdf(x)

    def _inverse(self, y: object) -> Any:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: object, y: object) -> Any:
        return self.distribution.log_prob(x)


# ------------------------------------------------------------------------------------------------ vectors


class ReshapeTransform(Transform):
    """``y = x.reshape(*batch, *out_shape)``: the last dimensions, of `in_shape`, reshaped.

    Shapes: (*, *in_shape) -> (*, *out_shape); the Jacobian, zeros, is (*).
    Raises: ValueError unless both shapes have equally many elements, and the input ends with `in_shape`.

    >>> torch.distributions.ReshapeTransform((4,), (2, 2))(torch.arange(4.0))
    tensor([[0., 1.],
            [2., 3.]])
    """

    bijective = True
    _arguments = ("in_shape", "out_shape")

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size=cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[: x.dim() - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(y.shape[: y.dim() - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return _replaced(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return _replaced(shape, self.out_shape, self.in_shape)


def _replaced(shape: Any, last: Size, by: Size) -> Any:
    at_least(len(last), shape)
    cut = len(shape) - len(last)
    if shape[cut:] != last:
        raise ValueError(f"Shape mismatch: expected {shape[cut:]} but got {last}")
    return shape[:cut] + by


class SoftmaxTransform(_Plain):
    """``y[i] = exp(x[i]) / sum(exp(x[j]), j)``: not a bijection; ``log(y)`` is one inverse.

    Shapes: (*, K) -> (*, K).
    Raises: ValueError for a `cache_size` other than 0 and 1.

    >>> torch.distributions.SoftmaxTransform()(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        probs = (x - x.max(-1, True)[0]).exp()
        return probs / probs.sum(-1, True)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Sequence[int]) -> Any:
        at_least(1, shape)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(_Plain):
    """``y[i] = s[i] * prod(1 - s[j], j)`` over ``j < i`` with ``s[i] = sigmoid(x[i] - log(K - i))``: pieces broken off a stick,
    the last one the rest.

    Shapes: (*, K) -> (*, K + 1) that sum to 1; the Jacobian (*).
    Raises: ValueError for a `cache_size` other than 0 and 1.
    Source: Stan reference manual, section on the unit simplex.

    >>> torch.distributions.StickBreakingTransform()(torch.zeros(3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    domain, codomain, bijective = constraints.real_vector, constraints.simplex, True

    def _call(self, x: Tensor) -> Tensor:
        shares = _clipped_sigmoid(x - _remaining(x).log())
        return pad(shares, [0, 1], value=1) * pad((1 - shares).cumprod(-1), [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        taken = y[..., :-1]
        left = (1 - taken.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return taken.log() - left.log() + _remaining(taken).log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - _remaining(x).log()
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        at_least(1, shape)
        return shape[:-1] + (shape[-1] + 1,)

    def inverse_shape(self, shape: Any) -> Any:
        at_least(1, shape)
        return shape[:-1] + (shape[-1] - 1,)


def _remaining(x: Tensor) -> Tensor:
    """The number of parts after each element of the last dimension: n, ..., 1."""
    n = x.shape[-1]
    return n + 1 - x.new_ones(n).cumsum(-1)


# ------------------------------------------------------------------------------------------------ matrices


class CorrCholeskyTransform(Transform):
    """``L[i, j] = tanh(x[k]) * sqrt(1 - sum(L[i, m] ** 2, m))`` over ``m < j``: the Cholesky factor of a correlation matrix.

    The numbers fill the lower triangle row by row; the diagonal makes the rows' norms 1.

    Shapes: (*, n * (n - 1) / 2) -> (*, n, n); the Jacobian (*).
    Raises: ValueError for a wrong size, and for a `cache_size` other than 0 and 1.
    Source: Stan reference manual, section on Cholesky factors of correlation matrices.

    >>> torch.distributions.CorrCholeskyTransform()(torch.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain, codomain, bijective = constraints.real_vector, constraints.corr_cholesky, True

    def _call(self, x: Tensor) -> Tensor:
        x = x.tanh()
        eps = finfo(x.dtype).eps
        shares = vec_to_tril_matrix(x.clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = (1 - shares**2).sqrt().cumprod(-1)
        return (shares + eye(shares.shape[-1], dtype=shares.dtype)) * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = pad((1 - (y * y).cumsum(-1))[..., :-1], [1, 0], value=1)
        share = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(left, diag=-1).sqrt()
        return (share.log1p() - share.neg().log1p()) / 2

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor, intermediates: object = None) -> Tensor:
        left = tril_matrix_to_vec(1 - (y * y).cumsum(-1), diag=-2)
        return 0.5 * left.log().sum(-1) - 2 * (x + softplus(-2 * x) - math.log(2.0)).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        at_least(1, shape)
        n = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != shape[-1]:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return shape[:-1] + (n, n)

    def inverse_shape(self, shape: Any) -> Any:
        at_least(2, shape)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return shape[:-2] + (shape[-1] * (shape[-1] - 1) // 2,)


class LowerCholeskyTransform(_Plain):
    """``y = tril(x, -1) + diag(exp(diag(x)))``

    Shapes: (*, n, n) -> (*, n, n).
    Raises: ValueError for a `cache_size` other than 0 and 1.

    >>> torch.distributions.LowerCholeskyTransform()(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Plain):
    """``y = L @ L.T``, where L is the `LowerCholeskyTransform` of the matrix.

    Shapes: (*, n, n) -> (*, n, n).
    Raises: ValueError for a `cache_size` other than 0 and 1.

    >>> torch.distributions.PositiveDefiniteTransform()(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([[1., 1.],
            [1., 2.]])
    """

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        x = LowerCholeskyTransform()(x)
        return x @ x.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(cholesky(y))


complete_docstrings(globals())
