"""Maximum and minimum of two operands, limits, and choice by condition."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import broadcast_shapes, fits, type_name, warn_once
from mini_dl._dtypes import (
    FLOATING,
    HALVES,
    INEXACT,
    NARROW,
    Array,
    Number,
    as_type,
    c_name,
    int64,
    is_number,
    limits_of,
    number_as,
    number_cast,
    result_numpy,
    scalar_name,
)
from mini_dl._layout import copied
from mini_dl._surface import function, method, public
from mini_dl.autograd.inplace import room_of, spares_copy, written_by
from mini_dl.autograd.memory import filled_in
from mini_dl.autograd.primitive import Formula, binary, linear_in, not_a_tensor, op, real_number_of, symmetric_in
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.blocks import LARGE, choose, computed_in, elementwise, limited, spread
from mini_dl.ops.arithmetic import in_one_type
from mini_dl.ops.operands import PLAIN, accept, conjugate, kind_of, masked, own_copy
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ extremes and choice


def _ordered(name: str, *operands: object) -> None:
    if any([kind_of(v) == "c" for v in operands]):
        raise RuntimeError(f"{name} not implemented for complex tensors.")


def _extreme_gradients(chosen: object, rejected: Any, grad: Tensor) -> Tensor:
    """All of `grad` where an argument was chosen, half of it at a tie. `rejected` is false for NaN."""
    return filled_in(where(chosen, grad / 2, masked(grad, ~rejected)))


def _gradients_to_extreme(
    rejected: Callable[[Tensor, Tensor], Tensor], chosen: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Formula]:
    """The formulas of the larger or the smaller of two: nothing for `input` where ``rejected(input, other)``."""
    return {
        "input": lambda grad, input, other: _extreme_gradients(input == other, rejected(input, other), grad),
        "other": lambda grad, input, other: _extreme_gradients(input == other, chosen(input, other), grad),
    }


@method(out=True)
@written_by(np.maximum)
@binary(**_gradients_to_extreme(operator.lt, operator.gt), numbers="")
def maximum(input: Array, other: Array) -> Array:
    """The larger of the two: ``out = max(input, other)``; NaN if either is; at a tie each gets half of the gradient.

    >>> torch.maximum(torch.tensor([1.0, 5.0, 2.0]), torch.tensor([3.0, 4.0, torch.nan]))
    tensor([3., 5., nan])
    """
    _ordered("maximum", input, other)
    return np.maximum(input, other)


@method(out=True)
@written_by(np.minimum)
@binary(**_gradients_to_extreme(operator.gt, operator.lt), numbers="")
def minimum(input: Array, other: Array) -> Array:
    """The smaller of the two: ``out = min(input, other)``; NaN if either is; at a tie each gets half of the gradient.

    >>> torch.minimum(torch.tensor([1.0, 5.0, 2.0]), torch.tensor([3.0, 4.0, torch.nan]))
    tensor([1., 4., nan])
    """
    _ordered("minimum", input, other)
    return np.minimum(input, other)


def _gradients_to_number(chosen: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Formula]:
    """The formulas where NaN loses: all of `grad` for `input` where ``chosen(input, other)``."""
    return {
        "input": lambda grad, input, other: masked(grad, chosen(input, other) | (other != other)),
        "other": lambda grad, input, other: masked(grad, ~(chosen(input, other) | (other != other))),
    }


@method(out=True)
@binary(**_gradients_to_number(operator.ge), numbers="")
def fmax(input: Array, other: Array) -> Array:
    """The larger of the two: ``out = max(input, other)``; of a number and NaN, the number.

    >>> torch.fmax(torch.tensor([1.0, 2.0]), torch.tensor([3.0, torch.nan]))
    tensor([3., 2.])
    """
    _ordered("fmax", input, other)
    return np.fmax(input, other)


@method(out=True)
@binary(**_gradients_to_number(operator.le), numbers="")
def fmin(input: Array, other: Array) -> Array:
    """The smaller of the two: ``out = min(input, other)``; of a number and NaN, the number.

    >>> torch.fmin(torch.tensor([1.0, 2.0]), torch.tensor([3.0, torch.nan]))
    tensor([1., 2.])
    """
    _ordered("fmin", input, other)
    return np.fmin(input, other)


def _inside(input: Tensor, min: Tensor | float | None, max: Tensor | float | None) -> Tensor:
    if min is None:
        return input <= max  # type: ignore[operator]  # one of the two is given
    return input >= min if max is None else (input >= min) & (input <= max)


@op(
    input=lambda grad, input, min, max: masked(grad, _inside(input, min, max)),
    min=lambda grad, input, min, max: masked(grad, input < min if max is None else (input < min) & (min < max)),
    max=lambda grad, input, min, max: masked(grad, input > max if min is None else (input > max) | (max < min)),
)
@as_it_is
def _clamp(input: Array, min: Any, max: Any) -> Array:
    bounds = [bound for bound in (min, max) if bound is not None]
    broadcast_shapes(*map(np.shape, (input, *bounds)))
    if any([kind_of(v) == "c" for v in (input, *bounds)]):
        raise NotImplementedError("clamp is not supported for complex types")
    common = result_numpy(input, *bounds)
    if common.kind == "b" and not all([isinstance(bound, np.ndarray) for bound in bounds]):
        raise NotImplementedError("\"clamp_scalar_cpu\" not implemented for 'Bool'")
    if common.kind == "b" and len(bounds) == 2:
        raise NotImplementedError("\"clamp_cpu\" not implemented for 'Bool'")
    min, max = (bound if bound is None or isinstance(bound, np.ndarray) else number_as(bound, common) for bound in (min, max))
    if not any([isinstance(bound, np.ndarray) for bound in bounds]) and any([bound != bound for bound in bounds]):
        return np.full_like(input, np.nan, dtype=common)
    out: Array = input.astype(common, copy=False)
    if min is not None:
        out = spread(np.maximum, out, as_type(min, common))
    if max is None:
        return out
    top = as_type(max, common)
    own = min is not None and out.size >= LARGE and fits(np.shape(top), out.shape)
    return spread(np.minimum, out, top, out=out if own else None)


@symmetric_in("input")
@op(input=lambda grad, input, min, max: masked(grad, _inside(input, min, max)))
def _clamp_to(input: Array, min: float | None, max: float | None) -> Array:
    """`_clamp` by Python numbers of the kind of `input`."""
    if input.dtype.kind == "i":
        return limited(input, -(2**63) if min is None else min, 2**63 - 1 if max is None else max, room_of(input))
    return limited(input, -math.inf if min is None else min, math.inf if max is None else max, room_of(input))


def _type_of_clamped(result: Tensor, out: Tensor, args: Sequence[object]) -> None:
    """RuntimeError unless ``out=`` has the type of the result: with numbers as bounds, it is not cast."""
    numbers = [bound for bound in args[1:] if bound is not None and not isinstance(bound, Tensor)]
    if numbers and result._array.dtype != out._array.dtype:
        names = scalar_name(out._array.dtype), scalar_name(result._array.dtype)
        raise RuntimeError(f"Found dtype {names[0]} but expected {names[1]}")


@method(alias="clip", inplace=True, out=_type_of_clamped)
@spares_copy
def clamp(input: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None) -> Tensor:
    """Limited to an interval: ``out = minimum(maximum(input, min), max)``; a bound that is None has no effect.

    Family: elementwise
    Raises: RuntimeError if both bounds are None.

    >>> torch.clamp(torch.tensor([-2.0, 0.3, 5.0]), 0, 1)
    tensor([0.0000, 0.3000, 1.0000])
    """
    if (
        type(min) in PLAIN
        and type(max) in PLAIN
        and min is not max
        and isinstance(input, Tensor)
        and (input._array.dtype.kind in FLOATING or (input._array.dtype == int64.numpy and float not in (type(min), type(max))))
        and (min is None or -6e4 < min < 6e4)
        and (max is None or -6e4 < max < 6e4)
    ):
        return _clamp_to(input, min, max)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if min is None or max is None:
        _checked_bounds("clamp", input, max if min is None else min)
    else:
        min, max = _checked_bounds("clamp", input, min, max)
    return _clamp(input, min, max)


def _stands_for_a_number(bound: Tensor) -> bool:
    """Whether a tensor may stand for a number: 0-d, and without a gradient."""
    return not bound._array.ndim and not bound.requires_grad


def _checked_bounds(name: str, input: object, *bounds: Any) -> tuple[Any, ...]:
    """The bounds, all tensors or all numbers, which 0-d tensors next to numbers are, too. TypeError for others, and unless
    `input` is a tensor."""
    tensors = [isinstance(bound, Tensor) for bound in bounds]
    if not all(tensors):
        bounds = tuple(
            [bound.item() if is_one and _stands_for_a_number(bound) else bound for bound, is_one in zip(bounds, tensors)]
        )
        tensors = [isinstance(bound, Tensor) for bound in bounds]
    if not (all(tensors) or all([is_number(bound) for bound in bounds])):
        given = ", ".join([type_name(one) for one in (input, *bounds)])
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({given}), but the bounds must be tensors or numbers"
        )
    return bounds


@method(inplace=True, out=_type_of_clamped)
@written_by(np.maximum)
def clamp_min(input: Tensor, min: Tensor | float) -> Tensor:
    """``out = maximum(input, min)``

    Family: elementwise

    >>> torch.clamp_min(torch.tensor([-2.0, 0.3]), 0)
    tensor([0.0000, 0.3000])
    """
    _checked_bounds("clamp_min", input, min)
    return _clamp(input, min, None)


@method(inplace=True, out=_type_of_clamped)
@written_by(np.minimum)
def clamp_max(input: Tensor, max: Tensor | float) -> Tensor:
    """``out = minimum(input, max)``

    Family: elementwise

    >>> torch.clamp_max(torch.tensor([5.0, 0.3]), 1)
    tensor([1.0000, 0.3000])
    """
    _checked_bounds("clamp_max", input, max)
    return _clamp(input, None, max)


@linear_in("input other")
@op(
    input=lambda grad, condition: masked(grad, condition),
    other=lambda grad, condition: masked(grad, ~condition),
)
@as_it_is
def _where(condition: Array, input: object, other: object) -> Array:
    if type(input) is not np.ndarray or type(other) is not np.ndarray or input.dtype is not other.dtype:
        common = result_numpy(input, other)
        input, other = (
            v.astype(common, copy=False) if isinstance(v, np.ndarray) else number_as(v, common) for v in (input, other)
        )
    return choose(condition, input, other)


def _type_of_choice(result: Tensor, out: Tensor, args: Sequence[object]) -> None:
    """TypeError for numbers next to ``out=``; RuntimeError unless it has the type of the result."""
    for position, (name, value) in enumerate(zip(("input", "other"), args[1:]), 2):
        if not isinstance(value, Tensor):
            raise not_a_tensor("where", name, position, value)
    if result._array.dtype != out._array.dtype:
        names = scalar_name(result._array.dtype), scalar_name(out._array.dtype)
        raise RuntimeError(f"Expected out type to be {names[0]} but got {names[1]}")


@function(out=_type_of_choice)
def where(condition: Tensor, input: object = None, other: object = None) -> Any:
    """``out = input if condition else other``, element by element; with `condition` alone, the indices where it holds.

    Shapes: all three are broadcast, and the result has their common shape; of the indices, one vector for each dimension.
    Raises: RuntimeError if the shapes do not broadcast, or if `condition` is not of bools.

    >>> x = torch.tensor([-1.0, 2.0, -3.0])
    >>> torch.where(x > 0, x, 0.1 * x)
    tensor([-0.1000,  2.0000, -0.3000])
    >>> torch.where(x < 0)
    (tensor([0, 2]),)
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition._array.dtype.kind not in "bu" or condition._array.dtype.itemsize != 1:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {scalar_name(condition._array.dtype)}"
        )
    if condition._array.dtype.kind != "b":
        warn_once("where received a uint8 condition tensor. This behavior is deprecated. Use a boolean condition instead.")
        condition = condition != 0
    if type(other) in (int, float) and isinstance(input, Tensor) and input._array.dtype.char in HALVES:
        other = float(number_cast(other, input._array.dtype))
    elif type(input) in (int, float) and isinstance(other, Tensor) and other._array.dtype.char in HALVES:
        input = float(number_cast(input, other._array.dtype))
    try:
        return _where(condition, input, other)
    except ValueError:
        broadcast_shapes(*[v._array.shape for v in (condition, input, other) if isinstance(v, Tensor)])
        raise


def _where_method(self: Tensor, condition: Tensor, other: object) -> Tensor:
    """``out = self if condition else other``, element by element.

    Shapes: all three are broadcast, and the result has their common shape.
    Raises: RuntimeError if the shapes do not broadcast, or if `condition` is not of bools.

    >>> torch.tensor([1, 2, 3]).where(torch.tensor([True, False, True]), 0)
    tensor([1, 0, 3])
    """
    return where(condition, self, other)


_where_method.__name__ = "where"
public("Tensor")(_where_method)


@method(inplace=True, out=True)
def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN and infinities replaced:
    ``out = nan if isnan(input) else posinf if input == inf else neginf if input == -inf else input``

    By default NaN becomes 0, and the infinities become the largest and the smallest finite number.

    Family: elementwise

    >>> torch.nan_to_num(torch.tensor([torch.nan, torch.inf, 1.0]), posinf=9.0)
    tensor([0., 9., 1.])
    """
    numbers = [v if v is None else real_number_of("nan_to_num", "nan", v) for v in (nan, posinf, neginf)]
    if input._array.dtype.char in NARROW:  # whose limits NumPy does not have
        top = limits_of(input._array.dtype).max
        numbers[1:] = [limit if v is None else v for v, limit in zip(numbers[1:], (top, -top))]
    return _nan_to_num(input, *numbers)


@symmetric_in("input")
@op(input=lambda grad, input: masked(grad, input.isfinite()))
def _nan_to_num(input: Array, nan: float | None, posinf: float | None, neginf: float | None) -> Array:
    if input.dtype.kind not in INEXACT:
        return copied(input)
    out = copied(input)
    return out if np.isfinite(out).all() else np.nan_to_num(out, False, 0.0 if nan is None else nan, posinf, neginf)


@method(inplace=True, out=True)
@spares_copy
def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """Linear interpolation: ``out = input + weight * (end - input)``

    Shapes: all are broadcast, and the result has their common shape.
    Raises: RuntimeError unless all tensors have the same dtype, and if the shapes do not broadcast.

    >>> torch.lerp(torch.tensor([0.0, 10.0]), torch.tensor([10.0, 20.0]), 0.25)
    tensor([ 2.5000, 12.5000])
    """
    if not isinstance(weight, Tensor):
        if input._array.dtype.kind in INEXACT and not (type(weight) is float and builtins.abs(weight) < 60000):
            weight = number_as(weight, computed_in(input._array.dtype)).item()
    elif not weight._array.ndim and input._array.dtype == end._array.dtype and weight._array.dtype != input._array.dtype:
        input, end, weight = in_one_type("lerp", input, end, weight)  # a 0-d weight takes part in the promotion
    for name, tensor in (("end", end), ("weight", weight)):
        if isinstance(tensor, Tensor) and tensor._array.dtype != input._array.dtype:
            expected, got = [c_name(t._array.dtype) for t in (input, tensor)]
            raise RuntimeError(f"expected dtype {expected} for `{name}` but got dtype {got}")
    shapes = [t._array.shape for t in (input, end, weight) if isinstance(t, Tensor)]
    broadcast_shapes(*shapes)
    return _lerp(input, end, weight)


@linear_in("input end")
@op(
    input=lambda grad, weight: grad * conjugate(1 - weight),
    end=lambda grad, weight: grad * conjugate(weight),
    weight=lambda grad, input, end: grad * conjugate(end - input),
)
def _lerp(input: Array, end: Array, weight: object) -> Array:
    accept("lerp_kernel", "fc", input)
    apart = room_of(input) is None or input.dtype.char not in "fd" or end.shape != input.shape
    if apart or not isinstance(weight, (int, float)) or not builtins.abs(weight) < 0.5:
        return _between(input, end, weight)
    step = np.subtract(end, input)
    step *= weight
    return np.add(input, step, out=input)


@elementwise
def _between(input: Array, end: Array, weight: Any) -> Array:
    difference = end - input
    if not isinstance(weight, np.ndarray):
        near = np.absolute(weight) < 0.5
        difference *= weight if near else 1 - weight
        return np.add(input, difference, own_copy(difference)) if near else np.subtract(end, difference, own_copy(difference))
    near_end = np.absolute(weight) >= 0.5  # from the nearer end, which is then reached exactly
    if not near_end.any():
        return input + difference * weight
    one, zero = np.array([1, -0.0], weight.dtype)  # -0, as 0 - 0 and 0 - -0 would both be 0
    return choose(near_end, end, input) - difference * (choose(near_end, one, zero) - weight)


@method(inplace=True, out=True)
@binary(numbers="")
def gcd(input: Array, other: Array) -> Array:
    """The greatest common divisor: ``out = max(d, input % d == 0 and other % d == 0)``

    Raises: NotImplementedError unless both are integers; RuntimeError if the shapes do not broadcast.

    >>> torch.gcd(torch.tensor([12, 7]), torch.tensor([18, 0]))
    tensor([6, 7])
    """
    accept("gcd_cpu", "iu", input, other)
    return np.gcd(input, other)


@method(inplace=True, out=True)
@binary(numbers="")
def lcm(input: Array, other: Array) -> Array:
    """The least common multiple: ``out = abs(input * other) / gcd(input, other)``

    Raises: NotImplementedError unless both are integers; RuntimeError if the shapes do not broadcast.

    >>> torch.lcm(torch.tensor([4, 7]), torch.tensor([6, 0]))
    tensor([12,  0])
    """
    accept("lcm_cpu", "iu", input, other)
    return np.absolute(np.lcm(input, other))
