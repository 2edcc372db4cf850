"""Sums, differences, products and quotients, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import (
    FLOATING,
    HALVES,
    INEXACT,
    Array,
    Exact,
    Number,
    NumpyType,
    as_type,
    floating,
    number_as,
    of_numpy,
    promote,
    result_numpy,
)
from mini_dl._surface import method
from mini_dl.autograd.inplace import written_by
from mini_dl.autograd.primitive import binary, linear_in, not_a_tensor, number_of, unary
from mini_dl.ops.operands import accept, conjugate, kind_of, own_copy, promote_floating, tensor_first, zero_of
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ arithmetic


@binary(input=lambda grad: grad, other=lambda grad: grad)
def _add(input: Array, other: Array) -> Array:
    return np.add(input, other)


@method(inplace=True, out=True)
@written_by(np.add, _add)
def add(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``input + alpha * other``

    >>> import mini_dl as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    return _add(input, other) if alpha.__class__ is int and alpha == 1 else _with_scaled(_add, input, other, alpha)


def _with_scaled(function: Any, input: object, other: object, alpha: object) -> Tensor:
    """``function(input, alpha * other)``; of float16 and bfloat16 in float32, rounded once."""
    common = result_numpy(*[v._array if isinstance(v, Tensor) else v for v in (input, other)])
    if common.char not in HALVES:
        return function(input, _scaled(common, other, alpha))
    factor = number_as(_alpha_of(common, alpha), common).astype(np.float32).item()
    kind = of_numpy(common)
    wide = [v.to(kind).float() if isinstance(v, Tensor) else as_type(v, common).astype(np.float32).item() for v in (input, other)]
    return function(wide[0], wide[1] * factor).to(kind)


def _alpha_of(common: NumpyType, alpha: Any) -> Any:
    """`alpha` as a number. RuntimeError if it is of a higher category than the type of the result."""
    alpha = number_of("add", "alpha", alpha)
    kind = kind_of(alpha)
    if kind == "b" and common.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if common.kind not in INEXACT and kind in INEXACT:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if common.kind != "c" and kind == "c":
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    return alpha


def _scaled(common: NumpyType, other: Any, alpha: Any) -> Any:
    """``alpha * other`` in the type of the result. RuntimeError if `alpha` is of a higher category."""
    factor = number_as(_alpha_of(common, alpha), common)
    if isinstance(other, Tensor):  # cast first: the product could wrap around in its own type
        return _mul(other if other._array.dtype == common else other.to(of_numpy(common)), factor.item())
    return np.multiply(as_type(other, common), factor).item()


def refuse_bools(*operands: object) -> None:
    """RuntimeError if an operand of a difference is a bool."""
    if "b" in [kind_of(operand._array if isinstance(operand, Tensor) else operand) for operand in operands]:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )


def _promote_difference(input: object, other: object) -> tuple[Any, Any]:
    refuse_bools(input, other)
    return promote(input, other)


@binary(input=lambda grad: grad, other=lambda grad: -grad, promote=_promote_difference)
def _sub(input: Array, other: Array) -> Array:
    if type(other) is np.ndarray and other.dtype.kind == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    return np.subtract(input, other)


@method(alias="subtract", inplace=True, out=True)
@written_by(np.subtract, _sub)
def sub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``input - alpha * other``"""
    if alpha.__class__ is int and alpha == 1:
        return _sub(input, other)
    refuse_bools(input, other)
    return _with_scaled(_sub, input, other, alpha)


@method()
def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``other - alpha * input``"""
    if not isinstance(input, Tensor):
        raise not_a_tensor("rsub", "input", 1, input)
    refuse_bools(input, other)
    return _sub(other, input) if alpha.__class__ is int and alpha == 1 else _with_scaled(_sub, other, input, alpha)


@method(alias="multiply", inplace=True, out=True)
@written_by(np.multiply)
@linear_in("input", "other")
@binary(  # a real factor is its own conjugate: this saves two calls in the most common formula
    input=lambda grad, other: _mul(
        grad, other if type(other) is Tensor and other._array.dtype.kind in FLOATING else conjugate(other)
    ),
    other=lambda grad, input: _mul(
        grad, input if type(input) is Tensor and input._array.dtype.kind in FLOATING else conjugate(input)
    ),
    exact="input other",
)
def mul(input: Array, other: Array) -> Array:
    """``input * other``"""
    return np.multiply(input, other)


_mul: Any = mul


@linear_in("input")
@binary(
    input=lambda grad, other: grad / conjugate(other),
    other=lambda grad, input, other: -grad * conjugate(input / other / other),
    promote=promote_floating,
    exact="other",
)
def _div(input: Array, other: Array) -> Array:
    if type(input) is np.ndarray and input.dtype.kind not in INEXACT:
        input, other = floating(input), floating(other)
    return np.divide(input, other)


@method(alias="divide", inplace=True, out=True)
@written_by(np.divide)
def div(input: Tensor | Number, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other``, rounded towards zero (`rounding_mode` "trunc"), down ("floor") or not at all.

    RuntimeError for another `rounding_mode`, and for an integer division by zero.
    """
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode == "floor":
        return _floor_div(input, other)
    if rounding_mode == "trunc":
        return _trunc_div(input, other)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


@method(inplace=True, out=True)
def true_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """``input / other``"""
    return _div(input, other)


def _divisible(input: object, other: object) -> None:
    """RuntimeError if an integer would be divided by zero."""
    if type(other) is np.ndarray and other.dtype.kind in "biu" and not other.all():
        raise RuntimeError("ZeroDivisionError")


def _floored(input: Any, other: Any) -> Array:
    accept("div_floor_cpu", "iuf", input, other)
    _divisible(input, other)
    return np.floor_divide(input, other)


@binary(input=lambda grad: zero_of(grad), other=lambda grad: zero_of(grad), exact="other")
def _floor_div(input: Array, other: Array) -> Array:
    return _floored(input, other)


@binary(input=lambda grad: zero_of(grad), other=lambda grad: zero_of(grad), exact="other")
def _trunc_div(input: Array, other: Array) -> Array:
    accept("div_trunc_cpu", "iuf", input, other)
    _divisible(input, other)
    if isinstance(other, Exact):
        return np.trunc(np.divide(input, other.view(np.ndarray))).astype(np.float16)
    if kind_of(input) in FLOATING or kind_of(other) in FLOATING:
        return np.trunc(np.divide(input, other))
    return (input - np.fmod(input, other)) // other


def underivable(name: str) -> Any:
    raise RuntimeError(f"derivative for aten::{name} is not implemented")


@method(inplace=True, out=True)
@binary(input=lambda grad: underivable("floor_divide"), other=lambda grad: underivable("floor_divide"), exact="other")
def floor_divide(input: Array, other: Array) -> Array:
    """``floor(input / other)``, without a derivative. RuntimeError for an integer division by zero."""
    return _floored(input, other)


@method(inplace=True, out=tensor_first)
@binary(input=lambda grad: grad, other=lambda grad, input, other: -grad * _floor_div(input, other))
def remainder(input: Array, other: Array) -> Array:
    """``input - other * floor(input / other)``: the sign is that of `other`. RuntimeError for an integer division by zero."""
    accept("remainder_cpu", "iuf", input, other)
    _divisible(input, other)
    result = np.remainder(input, other)
    if result.dtype.kind in FLOATING and not result.all():  # a remainder of 0 has the sign of `input`
        return np.where(result == 0, np.copysign(result, input), result)
    return result


@method(inplace=True, out=True)
@binary(input=lambda grad: grad, other=lambda grad, input, other: -grad * _trunc_div(input, other), numbers="other")
def fmod(input: Array, other: Array) -> Array:
    """``input - other * trunc(input / other)``: the sign is that of `input`. RuntimeError for an integer division by zero."""
    accept("fmod_cpu", "iuf", input, other)
    _divisible(input, other)
    return np.fmod(input, other)


@method(alias="negative", inplace=True, out=True)
@written_by(np.negative)
@unary(input=lambda grad: -grad)
def neg(input: Array) -> Array:
    """``-input``. RuntimeError for bool."""
    if input.dtype.kind == "b":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )
    return np.negative(input)


@method()
def positive(input: Tensor) -> Tensor:
    """`input` itself. RuntimeError for bool."""
    if input._array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@method(inplace=True, out=True)
@written_by(np.reciprocal)
@unary(input=lambda grad, result: -grad * conjugate(result * result))
def reciprocal(input: Array) -> Array:
    """``1 / input``"""
    return np.reciprocal(floating(input))


@method(inplace=True, out=True)
@written_by(np.square)
@unary(input=lambda grad, input: grad * 2 * conjugate(input))
def square(input: Array) -> Array:
    """``input ** 2``"""
    if input.dtype.kind == "b":
        input = input.astype(np.int64)
    return np.multiply(input, input)


@method(inplace=True, out=True)
@written_by(np.sqrt)
@unary(input=lambda grad, result: grad / (2 * conjugate(result)))
def sqrt(input: Array) -> Array:
    """The square root; NaN for negative numbers."""
    return np.sqrt(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, result: grad * -0.5 * conjugate(result**3))
def rsqrt(input: Array) -> Array:
    """``1 / sqrt(input)``"""
    y = np.sqrt(floating(input))
    return np.reciprocal(y, own_copy(y))


def as_tensors(name: str, **arguments: object) -> None:
    """TypeError unless all are tensors."""
    for position, (argument, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            raise not_a_tensor(name, argument, position, value)


def _factor(name: str, value: object, like: Tensor) -> Any:
    """A factor as a number of the type of `like`, which the product keeps."""
    return number_as(number_of(name, "value", value), like._array.dtype).item()


def in_one_type(name: str, input: Tensor, tensor1: Tensor, tensor2: Tensor) -> list[Tensor]:
    """Three tensors in the type of the result, so that no product wraps around in a smaller one."""
    as_tensors(name, input=input, tensor1=tensor1, tensor2=tensor2)
    three = [input, tensor1, tensor2]
    types = {t._array.dtype for t in three}
    if len(types) == 1:
        return three
    common = result_numpy(*[t._array for t in three])
    return [t if t._array.dtype == common else t.to(of_numpy(common)) for t in three]


def _half(*tensors: Tensor) -> bool:
    """Whether all are float16, or all bfloat16: their sums of products are computed in float32."""
    return len({t._array.dtype for t in tensors}) == 1 and tensors[0]._array.dtype.char in HALVES


@method(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``"""
    number_of("addcmul", "value", value)
    input, tensor1, tensor2 = in_one_type("addcmul", input, tensor1, tensor2)
    if _half(input, tensor1, tensor2):
        return addcmul(input.float(), tensor1.float(), tensor2.float(), value=value).to(input.dtype)
    plain = value.__class__ is int and value == 1
    if tensor1._array.dtype.kind == "b":
        raise NotImplementedError("\"addcmul_cpu_out\" not implemented for 'Bool'")
    return _add(input, _mul(tensor1 if plain else tensor1 * _factor("addcmul", value, tensor1), tensor2))


@method(inplace=True, out=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``. RuntimeError for integer `tensor1` and `tensor2`."""
    as_tensors("addcdiv", input=input, tensor1=tensor1, tensor2=tensor2)
    number_of("addcdiv", "value", value)
    if tensor1._array.dtype.kind in "biu" and tensor2._array.dtype.kind in "biu":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true division "
            "of tensor1 and tensor2. The historic addcdiv behavior can be implemented as "
            "(input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as "
            "(input + value * tensor1 / tensor2) for float inputs."
        )
    input, tensor1, tensor2 = in_one_type("addcdiv", input, tensor1, tensor2)
    if _half(input, tensor1, tensor2):
        return addcdiv(input.float(), tensor1.float(), tensor2.float(), value=value).to(input.dtype)
    plain = value.__class__ is int and value == 1
    return _add(input, _div(tensor1 if plain else tensor1 * _factor("addcdiv", value, tensor1), tensor2))
