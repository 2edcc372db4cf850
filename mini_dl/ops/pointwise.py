"""Pointwise operations: each element of the result depends on one element of each input."""

from __future__ import annotations

import builtins
import cmath
import functools
import math
from typing import Any

import numpy as np

from mini_dl._arguments import parsed
from mini_dl._checks import broadcast_shapes, type_name
from mini_dl._dtypes import (
    Array,
    Number,
    as_type,
    castable,
    default_numpy,
    dtype_of_number,
    floating,
    is_number,
    number_as,
    of_numpy,
    promote,
    result_numpy,
    scalar_name,
)
from mini_dl._surface import function, method, public, return_type, store
from mini_dl.autograd.inplace import inplace as in_place
from mini_dl.autograd.inplace import written_by
from mini_dl.autograd.primitive import binary, not_a_tensor, number_of, op, real_number_of, unary, view
from mini_dl.kernels.blocks import choose, elementwise, keep, sigmoid_of
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ tools


def _conj(value: Any) -> Any:
    """The conjugate, for the gradient of a holomorphic function; a real value is its own."""
    if isinstance(value, Tensor):
        return value.conj() if value._array.dtype.kind == "c" else value
    return value.conjugate()


@unary()
def _zero(input: Array) -> Array:
    """Zeros like `input`: the gradient of a function that is constant almost everywhere."""
    return np.zeros_like(input)


def kind_of(operand: Any) -> str:
    """NumPy's letter for the category: b, u, i, f or c."""
    return (operand.dtype if isinstance(operand, np.ndarray) else dtype_of_number(operand)).kind


def accept(name: str, kinds: str, *arrays: Any) -> None:
    """NotImplementedError if an array is of another kind than torch computes `name` for."""
    for array in arrays:
        if isinstance(array, np.ndarray) and array.dtype.kind not in kinds:
            raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(array.dtype)}'")


def _own(array: Any) -> Any:
    """Where a ufunc may write its result: into its own temporary `array`, if that is no scalar."""
    return array if array.ndim else None


def both_floating(input: Any, other: Any) -> tuple[Any, Any]:
    """Two promoted operands, integers turned into the default floating point type."""
    if type(input) is np.ndarray and input.dtype.kind not in "fc":
        return floating(input), floating(other)
    return input, other


def promote_floating(input: Any, other: Any) -> tuple[Any, Any]:
    """As `promote`, but integers become floating point numbers at once, before the one could wrap around in the other's type."""
    common = result_numpy(input, other)
    if common.kind in "fc":
        return promote(input, other)
    return as_type(input, default_numpy()), as_type(other, default_numpy())


_PLAIN = (float, int, type(None))


def _tensor_first(result: Any, out: Any, args: Any) -> None:
    """TypeError if a number was given before the tensor: such overloads take no ``out=``."""
    if args and not isinstance(args[0], Tensor):
        raise TypeError(f"with out=, argument 'input' (position 1) must be Tensor, not {type_name(args[0])}")


@op(input=lambda grad, mask: masked(grad, mask))
def masked(input: Array, mask: Array) -> Array:
    """`input` where `mask` is not 0, else 0, also where `input` is not finite."""
    return keep(input, mask) if input.shape == mask.shape else np.where(mask, input, input.dtype.type(0))


# ------------------------------------------------------------------------------------------------ arithmetic


@binary(input=lambda grad: grad, other=lambda grad: grad)
def _add(input: Array, other: Array) -> Array:
    return np.add(input, other)


@method(inplace=True, out=True)
@written_by(np.add, _add)
def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``input + alpha * other``

    >>> import mini_dl as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    return _add(input, other if alpha.__class__ is int and alpha == 1 else _scaled(input, other, alpha))


def _scaled(input: Any, other: Any, alpha: Any) -> Any:
    """``alpha * other`` in the type of the result. RuntimeError if `alpha` is of a higher category than that."""
    common = result_numpy(*[v._array if isinstance(v, Tensor) else v for v in (input, other)])
    alpha = number_of("add", "alpha", alpha)
    kind = kind_of(alpha)
    if kind == "b" and common.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if common.kind not in "fc" and kind in "fc":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if common.kind != "c" and kind == "c":
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    factor = number_as(alpha, common)
    if isinstance(other, Tensor):  # cast first: the product could wrap around in its own type
        return _mul(other if other._array.dtype == common else other.to(of_numpy(common)), factor.item())
    return np.multiply(as_type(other, common), factor).item()


def _promote_difference(input: Any, other: Any) -> tuple[Any, Any]:
    if kind_of(input) == "b" or kind_of(other) == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )
    return promote(input, other)


@binary(input=lambda grad: grad, other=lambda grad: -grad, promote=_promote_difference)
def _sub(input: Array, other: Array) -> Array:
    if type(other) is np.ndarray and other.dtype.kind == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    return np.subtract(input, other)


@public("torch", "Tensor", "torch:subtract", "Tensor:subtract", inplace_too=True, out=True)
@written_by(np.subtract, _sub)
def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``input - alpha * other``"""
    return _sub(input, other if alpha.__class__ is int and alpha == 1 else _scaled(input, other, alpha))


@method()
def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``other - alpha * input``"""
    if not isinstance(input, Tensor):
        raise not_a_tensor("rsub", "input", 1, input)
    return _sub(other, input if alpha.__class__ is int and alpha == 1 else _scaled(other, input, alpha))


@public("torch", "Tensor", "torch:multiply", "Tensor:multiply", inplace_too=True, out=True)
@written_by(np.multiply)
@binary(  # a real factor is its own conjugate: the commonest of all formulas is spared two calls
    input=lambda grad, other: _mul(grad, other if type(other) is Tensor and other._array.dtype.kind == "f" else _conj(other)),
    other=lambda grad, input: _mul(grad, input if type(input) is Tensor and input._array.dtype.kind == "f" else _conj(input)),
)
def mul(input: Array, other: Array) -> Array:
    """``input * other``"""
    return np.multiply(input, other)


_mul: Any = mul


@binary(
    input=lambda grad, other: grad / _conj(other),
    other=lambda grad, input, other: -grad * _conj(input / other / other),
    promote=promote_floating,
)
def _div(input: Array, other: Array) -> Array:
    if type(input) is np.ndarray and input.dtype.kind not in "fc":
        input, other = floating(input), floating(other)
    return np.divide(input, other)


@public("torch", "Tensor", "torch:divide", "Tensor:divide", inplace_too=True, out=True)
@written_by(np.divide)
def div(input: Tensor, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
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


@public("torch", "Tensor", inplace_too=True, out=True)
def true_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """``input / other``"""
    return _div(input, other)


def _divisible(input: Any, other: Any) -> None:
    """RuntimeError if an integer would be divided by zero."""
    if type(other) is np.ndarray and other.dtype.kind in "biu" and not other.all():
        raise RuntimeError("ZeroDivisionError")


def _floored(input: Any, other: Any) -> Array:
    accept("div_floor_cpu", "iuf", input, other)
    _divisible(input, other)
    return np.floor_divide(input, other)


@binary(input=lambda grad: _zero(grad), other=lambda grad: _zero(grad))
def _floor_div(input: Array, other: Array) -> Array:
    return _floored(input, other)


@binary(input=lambda grad: _zero(grad), other=lambda grad: _zero(grad))
def _trunc_div(input: Array, other: Array) -> Array:
    accept("div_trunc_cpu", "iuf", input, other)
    _divisible(input, other)
    if kind_of(input) == "f" or kind_of(other) == "f":
        return np.trunc(np.divide(input, other))
    return (input - np.fmod(input, other)) // other


def _underivable(name: str) -> Any:
    raise NotImplementedError(f"derivative for aten::{name} is not implemented")


@method(inplace=True, out=True)
@binary(input=lambda grad: _underivable("floor_divide"), other=lambda grad: _underivable("floor_divide"))
def floor_divide(input: Array, other: Array) -> Array:
    """``floor(input / other)``, without a derivative. RuntimeError for an integer division by zero."""
    return _floored(input, other)


@public("torch", "Tensor", inplace_too=True, out=_tensor_first)
@binary(input=lambda grad: grad, other=lambda grad, input, other: -grad * _floor_div(input, other))
def remainder(input: Array, other: Array) -> Array:
    """``input - other * floor(input / other)``: the sign is that of `other`. RuntimeError for an integer division by zero."""
    accept("remainder_cpu", "iuf", input, other)
    _divisible(input, other)
    result = np.remainder(input, other)
    if result.dtype.kind == "f" and not result.all():  # a remainder of 0 has the sign of `input`
        return np.where(result == 0, np.copysign(result, input), result)
    return result


@method(inplace=True, out=True)
@binary(input=lambda grad: grad, other=lambda grad, input, other: -grad * _trunc_div(input, other), numbers="other")
def fmod(input: Array, other: Array) -> Array:
    """``input - other * trunc(input / other)``: the sign is that of `input`. RuntimeError for an integer division by zero."""
    accept("fmod_cpu", "iuf", input, other)
    _divisible(input, other)
    return np.fmod(input, other)


@public("torch", "Tensor", "torch:negative", "Tensor:negative", inplace_too=True, out=True)
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
@unary(input=lambda grad, result: -grad * _conj(result * result))
def reciprocal(input: Array) -> Array:
    """``1 / input``"""
    return np.reciprocal(floating(input))


@method(inplace=True, out=True)
@written_by(np.square)
@unary(input=lambda grad, input: grad * 2 * _conj(input))
def square(input: Array) -> Array:
    """``input ** 2``"""
    if input.dtype.kind == "b":
        input = input.astype(np.int64)
    return np.multiply(input, input)


@method(inplace=True, out=True)
@written_by(np.sqrt)
@unary(input=lambda grad, result: grad / (2 * _conj(result)))
def sqrt(input: Array) -> Array:
    """The square root; NaN for negative numbers."""
    return np.sqrt(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, result: grad * -0.5 * _conj(result**3))
def rsqrt(input: Array) -> Array:
    """``1 / sqrt(input)``"""
    y = np.sqrt(floating(input))
    return np.reciprocal(y, _own(y))


def _tensors(name: str, **arguments: Any) -> None:
    """TypeError unless all are tensors."""
    for position, (argument, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            raise not_a_tensor(name, argument, position, value)


def _factor(name: str, value: Any, like: Tensor) -> Any:
    """A factor as a number of the type of `like`, in which the product stays."""
    return number_as(number_of(name, "value", value), like._array.dtype).item()


def _in_one_type(name: str, input: Tensor, tensor1: Tensor, tensor2: Tensor) -> list[Tensor]:
    """Three tensors in the type of the result, so that no product wraps around in a smaller one."""
    _tensors(name, input=input, tensor1=tensor1, tensor2=tensor2)
    three = [input, tensor1, tensor2]
    types = {t._array.dtype for t in three}
    if len(types) == 1:
        return three
    common = result_numpy(*[t._array for t in three])
    return [t if t._array.dtype == common else t.to(of_numpy(common)) for t in three]


def _half(*tensors: Tensor) -> bool:
    """Whether all are float16, whose sums of products are computed in float32."""
    return all([t._array.dtype.char == "e" for t in tensors])


@method(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``"""
    number_of("addcmul", "value", value)
    input, tensor1, tensor2 = _in_one_type("addcmul", input, tensor1, tensor2)
    if _half(input, tensor1, tensor2):
        return addcmul(input.float(), tensor1.float(), tensor2.float(), value=value).half()  # type: ignore[no-any-return]
    plain = value.__class__ is int and value == 1
    if tensor1._array.dtype.kind == "b":
        raise NotImplementedError("\"addcmul_cpu_out\" not implemented for 'Bool'")
    return _add(input, _mul(tensor1 if plain else tensor1 * _factor("addcmul", value, tensor1), tensor2))


@method(inplace=True, out=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``. RuntimeError for integer `tensor1` and `tensor2`."""
    _tensors("addcdiv", input=input, tensor1=tensor1, tensor2=tensor2)
    number_of("addcdiv", "value", value)
    if tensor1._array.dtype.kind in "biu" and tensor2._array.dtype.kind in "biu":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true division "
            "of tensor1 and tensor2. The historic addcdiv behavior can be implemented as "
            "(input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as "
            "(input + value * tensor1 / tensor2) for float inputs."
        )
    input, tensor1, tensor2 = _in_one_type("addcdiv", input, tensor1, tensor2)
    if _half(input, tensor1, tensor2):
        return addcdiv(input.float(), tensor1.float(), tensor2.float(), value=value).half()  # type: ignore[no-any-return]
    plain = value.__class__ is int and value == 1
    return _add(input, _div(tensor1 if plain else tensor1 * _factor("addcdiv", value, tensor1), tensor2))


# ------------------------------------------------------------------------------------------------ powers


def _power(input: Any, other: Any) -> Array:
    """``np.power``; float32 goes through float64, which is as fast as torch and as exact (NumPy's own is off by 1 ULP)."""
    common = result_numpy(input, other)
    if common.char == "f":
        base, exponent = (as_type(as_type(x, common), np.dtype("d")) for x in (input, other))  # 0.9 is first rounded
        return np.power(base, exponent).astype(common)
    return np.power(input, other)


def _raised(input: Any, other: Any) -> Array:
    """``input ** other`` over promoted operands."""
    if kind_of(input) == "b" and kind_of(other) == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if type(other) is np.ndarray and other.dtype.kind == "i" and (negative := other < 0).any():
        whole = np.power(input, np.where(negative, 0, other))  # 1 / n is 0 but for n = 1 and n = -1
        inverse = np.where(input == 1, 1, np.where(input == -1, 1 - 2 * (other & 1), 0))
        return np.where(negative, inverse, whole).astype(other.dtype)
    return _power(input, other)


@binary(
    input=lambda grad, input, other: _base_gradient(grad, input, other),
    other=lambda grad, input, other, result: _exponent_gradient(grad, input, other, result),
)
def _pow(input: Array, other: Array) -> Array:
    return _raised(input, other)


def _base_gradient(grad: Tensor, base: Any, exponent: Any) -> Tensor:
    return where(exponent == 0, 0.0, grad * _conj(exponent * _pow(base, exponent - 1)))  # type: ignore[no-any-return]


def _exponent_gradient(grad: Tensor, base: Any, exponent: Tensor, result: Tensor) -> Tensor:
    """``grad * result * log(base)``; 0 where 0 is raised to what is not negative."""
    if exponent._array.dtype.kind == "c":
        steady = (exponent.imag == 0) & (exponent.real >= 0)
    else:
        steady = exponent >= 0
    if isinstance(base, Tensor):
        logarithm = log(base.to(result.dtype))
        slope = _conj(result * logarithm)
        return grad * where((base == 0) & steady, 0.0, slope)
    if base == 0:
        return grad * where(steady, 0.0, _conj(result * -math.inf))
    return grad * _conj(result * _number_log(base))


def _number_log(base: Any) -> Any:
    if isinstance(base, builtins.complex):
        return cmath.log(base)
    return math.log(base) if base > 0 else math.nan


@op(input=lambda grad, input, exponent: grad * _conj(exponent * _pow_number(input, exponent - 1)) if exponent else _zero(grad))
def _pow_number(input: Array, exponent: Any) -> Array:
    common = input.dtype if input.dtype.kind == "f" and type(exponent) in _PLAIN else result_numpy(input, exponent)
    if common.kind in "iu" and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    power = number_as(exponent, common) if common.char in "bBhilqe" and exponent not in (0, 1, 2, 3) else exponent
    input = input.astype(common, copy=False)
    if exponent == 1:
        return input.copy()
    if common.kind == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if exponent == 2:
        return np.multiply(input, input)
    if exponent == 3:
        return input * input * input
    if common.kind == "f":
        if exponent == 0.5:
            return np.sqrt(input)
        if exponent == -0.5 and common.char != "e":
            return np.reciprocal(np.sqrt(input))
        if exponent == -1:
            return np.reciprocal(input)
        if exponent == -2:
            return np.reciprocal(input * input)
    return _power(input, as_type(power, common))


@method(inplace=True, out=True)
def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """``input ** exponent``. RuntimeError for an integer raised to a negative number."""
    if isinstance(input, Tensor) and is_number(exponent):
        return _pow_number(input, exponent)
    return _pow(input, exponent)


def _pow_operator(self: Tensor, other: Any) -> Any:
    return _pow_number(self, other) if is_number(other) else _pow.operator(self, other)


def _type_of_power(result: Tensor, out: Tensor, args: Any) -> None:
    if result._array.dtype != out._array.dtype:
        raise RuntimeError(
            f"the output given to float_power has dtype {scalar_name(out._array.dtype)} but the operation's result requires "
            f"dtype {scalar_name(result._array.dtype)}"
        )


@method(out=_type_of_power)
def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """``input ** exponent`` in float64, or complex128."""
    target = _power_type(input, exponent)
    return pow(_in_type(input, target), _in_type(exponent, target))


@public("Tensor")
def float_power_(self: Tensor, exponent: Tensor | Number) -> Tensor:
    """In-place version of ``float_power``. RuntimeError unless this tensor has the type of the result."""
    target = _power_type(self, exponent)
    if self._array.dtype != target:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {scalar_name(self._array.dtype)} but the operation's result requires "
            f"dtype {scalar_name(target)}"
        )
    return self.pow_(_in_type(exponent, target))  # type: ignore[no-any-return]


def _power_type(*operands: Any) -> np.dtype[Any]:
    kinds = [kind_of(v._array if isinstance(v, Tensor) else v) for v in operands]
    return np.dtype("complex128" if "c" in kinds else "float64")


def _in_type(operand: Any, target: np.dtype[Any]) -> Any:
    return operand.to(of_numpy(target)) if isinstance(operand, Tensor) else as_type(operand, target).item()


@method(inplace=True, out=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """``input * 2 ** other``"""
    _tensors("ldexp", input=input, other=other)
    kinds = input._array.dtype.kind, other._array.dtype.kind
    if kinds[0] == "f" and kinds[1] in "biu":
        if kinds[1] == "b":
            raise NotImplementedError("\"ldexp_cpu_exp\" not implemented for 'Bool'")
        return _ldexp(input, other)
    base = wrap(np.asarray(2, input._array.real.dtype)) if kinds[0] in "fc" else 2.0
    return _mul(input, pow(base, other))


@op(input=lambda grad, exponent: _ldexp(grad, exponent))
def _ldexp(input: Array, exponent: Array) -> Array:
    return np.ldexp(input, np.clip(exponent, -(2**20), 2**20).astype(np.int32))


# ------------------------------------------------------------------------------------------------ exponentials and logarithms


@public("torch", "Tensor", inplace_too=True, out=True)
@written_by(np.exp)
@unary(input=lambda grad, result: grad * _conj(result))
def exp(input: Array) -> Array:
    """``e ** input``"""
    return np.exp(floating(input))


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, result: grad * _conj(result) * math.log(2))
def exp2(input: Array) -> Array:
    """``2 ** input``"""
    return np.exp2(floating(input))


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, result: grad * (_conj(result) + 1))
def expm1(input: Array) -> Array:
    """``e ** input - 1``, accurate near 0."""
    return np.expm1(floating(input))


@method(inplace=True, out=True)
@written_by(np.log)
@unary(input=lambda grad, input: grad / _conj(input))
def log(input: Array) -> Array:
    """The natural logarithm."""
    return np.log(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad / (_conj(input) * math.log(2)))
def log2(input: Array) -> Array:
    """The logarithm to base 2."""
    return np.log2(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad / (_conj(input) * math.log(10)))
def log10(input: Array) -> Array:
    """The logarithm to base 10."""
    return np.log10(floating(input))


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, input: grad / (_conj(input) + 1))
def log1p(input: Array) -> Array:
    """``log(1 + input)``, accurate near 0."""
    return np.log1p(floating(input))


@public("torch", "Tensor", out=True)
@binary(
    input=lambda grad, input, other: grad / (1 + _conj((other - input).exp())),
    other=lambda grad, input, other: grad / (1 + _conj((input - other).exp())),
    numbers="",
)
def logaddexp(input: Array, other: Array) -> Array:
    """``log(exp(input) + exp(other))``, without overflow."""
    accept("logaddexp_cpu", "fc", input, other)
    if input.dtype.kind == "c":
        return _log_of_sum(input, other)
    return np.logaddexp(input, other)


def _log_of_sum(a: Array, b: Array) -> Array:
    """``log(exp(a) + exp(b))`` of complex numbers, the one with the greater real part taken out."""
    greater = a.real >= b.real
    high, low = np.where(greater, a, b), np.where(greater, b, a)
    out: Array = high + np.log1p(np.exp(low - high))
    return out


@public("torch", "Tensor", out=True)
@binary(
    input=lambda grad, input, other: grad / (1 + _conj((other - input).exp2())),
    other=lambda grad, input, other: grad / (1 + _conj((input - other).exp2())),
    numbers="",
)
def logaddexp2(input: Array, other: Array) -> Array:
    """``log2(2 ** input + 2 ** other)``, without overflow."""
    accept("logaddexp2_cpu", "f", input, other)
    return np.logaddexp2(input, other)


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@binary(
    input=lambda grad, input, other: _xlogy_gradient(grad, input, other),
    other=lambda grad, input, other: grad * input / other,
    promote=promote_floating,
)
def xlogy(input: Array, other: Array) -> Array:
    """``input * log(other)``; 0 where `input` is 0, unless `other` is NaN."""
    accept("xlogy_cpu", "biuf", input, other)
    input, other = both_floating(input, other)
    return _times_log(input, other, np.log(other, dtype=input.dtype if isinstance(input, np.ndarray) else None))


def _xlogy_gradient(grad: Tensor, input: Any, other: Any) -> Tensor:
    """``grad * log(other)``, and 0 where that is nothing and `input` is 0."""
    slope = xlogy(grad, other)
    return slope.masked_fill((input == 0) & (other <= 0), 0.0) if isinstance(input, Tensor) or input == 0 else slope


def _times_log(input: Array, other: Array, logarithm: Array) -> Array:
    steady = (input == 0) & (other == other)
    product = np.multiply(input, logarithm)
    return np.where(steady, product.dtype.type(0), product) if steady.any() else product


def _through_sigmoid(grad: Tensor, result: Tensor) -> Tensor:
    return _sigmoid_backward(grad, _conj(result))


@public("torch", "Tensor", "special:expit", "nn.functional", inplace_too=True, out=True)
@unary(input=lambda grad, result: _through_sigmoid(grad, result))
def sigmoid(input: Array) -> Array:
    """``1 / (1 + exp(-input))``"""
    return _sigmoid(floating(input))


_sigmoid = elementwise(sigmoid_of)


@public("torch", "Tensor", "special", inplace_too=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """``log(input / (1 - input))``, the inverse of the sigmoid; with `eps`, `input` is first clamped to ``[eps, 1 - eps]``."""
    return _logit(input, eps)  # type: ignore[no-any-return]


@op(input=lambda grad, input, eps: _logit_gradient(grad, input, eps))
def _logit(input: Array, eps: float | None) -> Array:
    accept("logit_cpu", "biuf", input)
    input = floating(input)
    if eps is not None:
        input = np.minimum(np.maximum(input, input.dtype.type(eps)), input.dtype.type(1 - eps))
    return np.log(input / (1 - input))


def _logit_gradient(grad: Tensor, input: Tensor, eps: float | None) -> Tensor:
    if eps is None or eps < 0:
        slope = grad / abs(input * (1 - input))  # at -0.0 too it is positive infinity
        return where((input >= 0) & (input <= 1), slope, math.nan)
    slope = grad / (input * (1 - input))
    return masked(slope, (input >= eps) & (input <= 1 - eps))


@binary(
    input=lambda grad, other: grad * _conj(other * (1 - other)),
    other=lambda grad, input, other: grad * _conj(input * (1 - 2 * other)),
)
@elementwise
def _sigmoid_backward(input: Array, other: Array) -> Array:
    """The gradient `input` through a sigmoid whose result was `other`."""
    return input * (other * (1 - other))


_ONE = {char: np.ones((), char) for char in "fdFD"}
"""Quicker than the number 1, which NumPy converts at each call."""


@binary(
    input=lambda grad, other: grad * _conj(1 - other * other),
    other=lambda grad, input, other: grad * _conj(input * other) * -2,
)
@elementwise
def _tanh_backward(input: Array, other: Array) -> Array:
    """The gradient `input` through tanh, whose result was `other`."""
    return input * (_ONE[other.dtype.char] - other * other)


# ------------------------------------------------------------------------------------------------ trigonometry


@method(inplace=True, out=True)
@written_by(np.sin)
@unary(input=lambda grad, input: grad * _conj(input.cos()))
def sin(input: Array) -> Array:
    """The sine of `input` radians."""
    return np.sin(floating(input))


@method(inplace=True, out=True)
@written_by(np.cos)
@unary(input=lambda grad, input: -grad * _conj(input.sin()))
def cos(input: Array) -> Array:
    """The cosine of `input` radians."""
    return np.cos(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, result: grad * _conj(1 + result * result))
def tan(input: Array) -> Array:
    """The tangent of `input` radians."""
    return np.tan(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad * _conj(rsqrt(1 - input * input)))
def asin(input: Array) -> Array:
    """The angle whose sine is `input`; NaN outside [-1, 1]."""
    return np.arcsin(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: -grad * _conj(rsqrt(1 - input * input)))
def acos(input: Array) -> Array:
    """The angle whose cosine is `input`; NaN outside [-1, 1]."""
    return np.arccos(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad / _conj(1 + input * input))
def atan(input: Array) -> Array:
    """The angle whose tangent is `input`."""
    return np.arctan(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad * _conj(input.cosh()))
def sinh(input: Array) -> Array:
    """``(exp(input) - exp(-input)) / 2``"""
    return np.sinh(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad * _conj(input.sinh()))
def cosh(input: Array) -> Array:
    """``(exp(input) + exp(-input)) / 2``"""
    return np.cosh(floating(input))


@public("torch", "Tensor", "nn.functional", inplace_too=True, out=True)
@written_by(np.tanh)
@unary(input=lambda grad, result: _tanh_backward(grad, _conj(result)))
def tanh(input: Array) -> Array:
    """``sinh(input) / cosh(input)``"""
    return np.tanh(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad * _conj(rsqrt(input * input + 1)))
def asinh(input: Array) -> Array:
    """The number whose hyperbolic sine is `input`."""
    return np.arcsinh(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: _acosh_gradient(grad, input))
def acosh(input: Array) -> Array:
    """The number whose hyperbolic cosine is `input`; NaN below 1."""
    return np.arccosh(floating(input))


def _acosh_gradient(grad: Tensor, input: Tensor) -> Tensor:
    if input._array.dtype.kind != "c":
        return grad * rsqrt(input * input - 1)
    return grad * _conj(rsqrt(input - 1) * rsqrt(input + 1))


@method(inplace=True, out=True)
@unary(input=lambda grad, input: grad / _conj(1 - input * input))
def atanh(input: Array) -> Array:
    """The number whose hyperbolic tangent is `input`; NaN outside [-1, 1]."""
    return np.arctanh(floating(input))


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, input: _sinc_gradient(grad, input))
def sinc(input: Array) -> Array:
    """``sin(pi input) / (pi input)``, 1 at 0."""
    return _sinc(floating(input))


@elementwise
def _sinc(input: Array) -> Array:
    angle = input * math.pi
    return np.where(input == 0, input.dtype.type(1), np.sin(angle) / angle)


def _sinc_gradient(grad: Tensor, input: Tensor) -> Tensor:
    angle = input * math.pi
    size = angle * input
    slope = (angle * angle.cos() - angle.sin()) / size
    return where(size == 0, 0.0, grad * _conj(slope))


@public("torch", "Tensor", "torch:arctan2", "Tensor:arctan2", inplace_too=True, out=True)
@binary(
    input=lambda grad, input, other: _atan2_slope(grad, input, other) * other,
    other=lambda grad, input, other: _atan2_slope(grad, input, other) * -input,
    numbers="",
    promote=promote_floating,
)
def atan2(input: Array, other: Array) -> Array:
    """The angle of the point (`other`, `input`), between -pi and pi."""
    accept("atan2", "biuf", input, other)
    input, other = both_floating(input, other)
    return np.arctan2(input, other)


def _atan2_slope(grad: Tensor, input: Any, other: Any) -> Tensor:
    scale = input * input + other * other
    return where(scale == 0, 0.0, grad / scale)


@method(inplace=True, out=True)
@binary(
    input=lambda grad, input, result: grad * (input / result),
    other=lambda grad, other, result: grad * (other / result),
    numbers="",
)
def hypot(input: Array, other: Array) -> Array:
    """``sqrt(input ** 2 + other ** 2)`` without overflow."""
    accept("hypot_cpu", "f", input, other)
    return np.hypot(input, other)


@method(inplace=True, out=True)
@unary(input=lambda grad: grad * (180 / math.pi))
def rad2deg(input: Array) -> Array:
    """``input * 180 / pi``"""
    accept("rad2deg", "biuf", input)
    return np.multiply(floating(input), 180 / math.pi)


@method(inplace=True, out=True)
@unary(input=lambda grad: grad * (math.pi / 180))
def deg2rad(input: Array) -> Array:
    """``input * pi / 180``"""
    accept("deg2rad", "biuf", input)
    return np.multiply(floating(input), math.pi / 180)


# ------------------------------------------------------------------------------------------------ sign and rounding


@public("torch", "Tensor", "torch:absolute", "Tensor:absolute", out=True)
@written_by(np.absolute)
@unary(input=lambda grad, input: grad * input.sgn())
def abs(input: Array) -> Array:
    """The absolute value; its gradient at 0 is 0."""
    accept("abs_cpu", "iufc", input)
    return np.absolute(input)


@public("torch:abs_", "Tensor:abs_", "Tensor:absolute_")
def _abs_(self: Tensor) -> Tensor:
    """In-place version of ``abs``. RuntimeError for complex."""
    if self._array.dtype.kind == "c":
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return _real_abs_(self)


_real_abs_ = in_place(abs, "abs_")


@method(inplace=True, out=True)
@unary(input=lambda grad: _zero(grad))
def sign(input: Array) -> Array:
    """-1, 0 or 1; 0 for NaN. RuntimeError for complex: see ``sgn``."""
    if input.dtype.kind == "c":
        raise RuntimeError("Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.")
    return _sign_of(input)


def _sign_of(input: Array) -> Array:
    if input.dtype.kind == "b":
        return input.copy()
    sign = np.sign(input)
    return np.where(sign == sign, sign, sign.dtype.type(0)) if np.isnan(sign).any() else sign  # torch: 0 for NaN


@op(input=lambda grad, input, result: _sgn_gradient(grad, input, result))
def _sgn(input: Array) -> Array:
    return _sign_of(input)


def _sgn_gradient(grad: Tensor, input: Tensor, result: Tensor) -> Tensor:
    """For complex z: ``(grad - (conj(grad) z / |z|) z / |z|) / (2 |z|)`` as a real-linear map."""
    if input._array.dtype.kind != "c":
        return _zero(grad)
    size = abs(input)
    return where(size == 0, 0.0, grad / size - (grad / input).real * result)


@method(inplace=True, out=True)
def sgn(input: Tensor) -> Tensor:
    """``input / |input|``, 0 at 0: the sign, also of complex numbers."""
    return _sgn(input)


@method(out=True)
@unary(input=lambda grad, input: _angle_gradient(grad, input))
def angle(input: Array) -> Array:
    """The angle of a complex number in the plane; of a real one 0 or pi."""
    if input.dtype.kind == "c":
        return np.arctan2(input.imag, input.real)
    input = floating(input)
    return np.where(input < 0, input.dtype.type(math.pi), np.where(input != input, input, input.dtype.type(0)))


def _angle_gradient(grad: Tensor, input: Tensor) -> Tensor:
    if input._array.dtype.kind != "c":
        return _zero(grad)
    square_of_size = input.real * input.real + input.imag * input.imag
    return where(square_of_size == 0, 0.0, grad / square_of_size) * (input * 1j)


@method(out=True)
@unary()
def signbit(input: Array) -> Array:
    """Whether the sign bit is set: negative numbers and -0.0."""
    if input.dtype.kind == "c":
        raise RuntimeError("signbit is not implemented for complex tensors.")
    return np.signbit(input) if input.dtype.kind == "f" else np.less(input, 0)


@method(inplace=True, out=True)
@binary(
    input=lambda grad, input, result: grad * _sign_ratio(input, result),
    other=lambda grad: _zero(grad),
    numbers="other",
    promote=promote_floating,
)
def copysign(input: Array, other: Array) -> Array:
    """The size of `input` with the sign of `other`."""
    accept("copysign_cpu", "biuf", input, other)
    input, other = both_floating(input, other)
    return np.copysign(input, other)


def _sign_ratio(input: Tensor, result: Tensor) -> Tensor:
    return where(input == 0, 0.0, result / input)


@method(inplace=True, out=True)
@binary(input=lambda grad, input, other: masked(grad, input != other), other=lambda grad: _zero(grad), numbers="")
def nextafter(input: Array, other: Array) -> Array:
    """The next floating point number after `input` towards `other`."""
    accept("nextafter_cpu", "f", input, other)
    return np.nextafter(input, other)


@method(inplace=True, out=True)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where `input` is negative, 1 where it is positive, `values` where it is 0."""
    if not (isinstance(input, Tensor) and isinstance(values, Tensor)):
        return _heaviside(input, values)
    for tensor in (input, values):
        if tensor._array.dtype.kind == "c":
            raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input._array.dtype != values._array.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return _heaviside(input, values)


@binary(input=lambda grad: _underivable("heaviside"), other=lambda grad: _underivable("heaviside"), numbers="")
def _heaviside(input: Array, other: Array) -> Array:
    return np.where(input == 0, other, (input > 0).astype(input.dtype))


frexp_result = return_type("frexp", "mantissa exponent")


@function(out=True)
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent): ``input = mantissa * 2 ** exponent``, the mantissa between 1/2 and 1. RuntimeError for integers."""
    if input._array.dtype.kind != "f":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return frexp_result(*_frexp(input))


@op(input=lambda grads, result: grads[0] / result[1].detach().to(grads[0].dtype).exp2())
def _frexp(input: Array) -> tuple[Array, Array]:
    mantissa, exponent = np.frexp(input)
    return mantissa, np.asarray(exponent, np.int32)


public("Tensor")(frexp)


def _rounding(ufunc: Any, input: Array) -> Array:
    """`ufunc` on floating point numbers; integers are whole already."""
    accept(f"{ufunc.__name__}_cpu" if ufunc is not np.rint else "round_cpu", "iuf", input)
    return ufunc(input) if input.dtype.kind == "f" else input.copy()


@method(inplace=True, out=True)
@written_by(np.floor)
@unary(input=lambda grad: _zero(grad))
def floor(input: Array) -> Array:
    """The greatest integer that is not greater."""
    return _rounding(np.floor, input)


@method(inplace=True, out=True)
@written_by(np.ceil)
@unary(input=lambda grad: _zero(grad))
def ceil(input: Array) -> Array:
    """The least integer that is not less."""
    return _rounding(np.ceil, input)


@public("torch", "Tensor", "torch:fix", "Tensor:fix", inplace_too=True, out=True)
@unary(input=lambda grad: _zero(grad))
def trunc(input: Array) -> Array:
    """The integer part."""
    return _rounding(np.trunc, input)


@method(inplace=True, out=True)
@unary(input=lambda grad: grad)
def frac(input: Array) -> Array:
    """``input - trunc(input)``"""
    accept("frac_cpu", "f", input)
    return input - np.trunc(input)


@public("torch", "Tensor", "special", inplace_too=True, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, or the nearest multiple of ``10 ** -decimals``; halves go to the even neighbour."""
    return _round(input, decimals)


@op(input=lambda grad: _zero(grad))
def _round(input: Array, decimals: int) -> Array:
    if decimals == 0:
        return _rounding(np.rint, input)
    accept("round_cpu", "f", input)
    scale = 10.0 ** builtins.abs(decimals)
    if input.dtype.char == "e":
        return _at_decimals(input.astype(np.float32), decimals, scale).astype(np.float16)
    return _at_decimals(input, decimals, scale)


def _at_decimals(input: Array, decimals: int, scale: float) -> Array:
    return np.rint(input * scale) / scale if decimals > 0 else np.rint(input / scale) * scale


# ------------------------------------------------------------------------------------------------ extremes and choice


def _ordered(name: str, *operands: Any) -> None:
    if any([kind_of(v) == "c" for v in operands]):
        raise RuntimeError(f"{name} not implemented for complex tensors.")


def _extreme_gradients(chosen: Any, rejected: Any, grad: Tensor) -> Tensor:
    """All of `grad` where an argument was chosen, half of it at a tie. `rejected` is false for NaN."""
    return where(chosen, grad / 2, masked(grad, ~rejected))


@public("torch", "Tensor", out=True)
@binary(
    input=lambda grad, input, other: _extreme_gradients(input == other, input < other, grad),
    other=lambda grad, input, other: _extreme_gradients(input == other, input > other, grad),
    numbers="",
)
def maximum(input: Array, other: Array) -> Array:
    """The greater of the two, NaN if either is; at a tie each gets half of the gradient."""
    _ordered("maximum", input, other)
    return np.maximum(input, other)


@public("torch", "Tensor", out=True)
@binary(
    input=lambda grad, input, other: _extreme_gradients(input == other, input > other, grad),
    other=lambda grad, input, other: _extreme_gradients(input == other, input < other, grad),
    numbers="",
)
def minimum(input: Array, other: Array) -> Array:
    """The smaller of the two, NaN if either is; at a tie each gets half of the gradient."""
    _ordered("minimum", input, other)
    return np.minimum(input, other)


@method(out=True)
@binary(
    input=lambda grad, input, other: masked(grad, (input >= other) | (other != other)),
    other=lambda grad, input, other: masked(grad, ~((input >= other) | (other != other))),
    numbers="",
)
def fmax(input: Array, other: Array) -> Array:
    """The greater of the two; of a number and NaN, the number."""
    _ordered("fmax", input, other)
    return np.fmax(input, other)


@method(out=True)
@binary(
    input=lambda grad, input, other: masked(grad, (input <= other) | (other != other)),
    other=lambda grad, input, other: masked(grad, ~((input <= other) | (other != other))),
    numbers="",
)
def fmin(input: Array, other: Array) -> Array:
    """The smaller of the two; of a number and NaN, the number."""
    _ordered("fmin", input, other)
    return np.fmin(input, other)


def _inside(input: Tensor, min: Any, max: Any) -> Tensor:
    if min is None:
        return input <= max
    return input >= min if max is None else (input >= min) & (input <= max)


@op(
    input=lambda grad, input, min, max: masked(grad, _inside(input, min, max)),
    min=lambda grad, input, min, max: masked(grad, input < min if max is None else (input < min) & (min < max)),
    max=lambda grad, input, min, max: masked(grad, input > max if min is None else (input > max) | (max < min)),
)
def _clamp(input: Array, min: Any, max: Any) -> Array:
    bounds = [bound for bound in (min, max) if bound is not None]
    broadcast_shapes(*map(np.shape, (input, *bounds)))
    if any([kind_of(v) == "c" for v in (input, *bounds)]):
        raise NotImplementedError("clamp is not supported for complex types")
    common = result_numpy(input, *bounds)
    if common.kind == "b" and not all([isinstance(bound, np.ndarray) for bound in bounds]):
        raise NotImplementedError("\"clamp_scalar_cpu\" not implemented for 'Bool'")
    min, max = (bound if bound is None or isinstance(bound, np.ndarray) else number_as(bound, common) for bound in (min, max))
    if not any([isinstance(bound, np.ndarray) for bound in bounds]) and any([bound != bound for bound in bounds]):
        return np.full_like(input, np.nan, dtype=common)
    out: Array = input.astype(common, copy=False)
    if min is not None:
        out = np.maximum(out, as_type(min, common))
    return out if max is None else np.minimum(out, as_type(max, common))


@op(input=lambda grad, input, min, max: masked(grad, _inside(input, min, max)))
def _clamp_to(input: Array, min: float | None, max: float | None) -> Array:
    """`_clamp` of floating point numbers by Python numbers."""
    out: Array = input if min is None else np.maximum(input, min)
    if max is None:
        return out
    return np.minimum(out, max, out=None if min is None else _own(out))


@public("torch", "Tensor", "torch:clip", "Tensor:clip", inplace_too=True, out=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """``minimum(maximum(input, min), max)``; a bound that is None does not bind. RuntimeError if both are None.

    >>> import mini_dl as torch
    >>> torch.clamp(torch.tensor([-2.0, 0.5, 3.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if (
        type(min) in _PLAIN
        and type(max) in _PLAIN
        and min is not max
        and isinstance(input, Tensor)
        and input._array.dtype.kind == "f"
        and (min is None or -6e4 < min < 6e4)
        and (max is None or -6e4 < max < 6e4)
    ):
        return _clamp_to(input, min, max)  # type: ignore[no-any-return]
    _tensors("clamp", input=input)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    for name, bound in (("min", min), ("max", max)):
        if bound is not None and not isinstance(bound, Tensor) and not is_number(bound):
            raise TypeError(f"clamp(): argument '{name}' must be Number or Tensor, not {type_name(bound)}")
    return _clamp(input, min, max)


def _type_of_clamped(result: Tensor, out: Tensor, args: Any) -> None:
    """RuntimeError unless ``out=`` has the type of the result: bounds that are numbers do not cast."""
    if len(args) > 1 and not isinstance(args[1], Tensor) and result._array.dtype != out._array.dtype:
        names = scalar_name(out._array.dtype), scalar_name(result._array.dtype)
        raise RuntimeError(f"Found dtype {names[0]} but expected {names[1]}")


@method(inplace=True, out=_type_of_clamped)
@written_by(np.maximum)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """``maximum(input, min)``"""
    _tensors("clamp_min", input=input)
    return _clamp(input, min, None)  # type: ignore[no-any-return]


@method(inplace=True, out=_type_of_clamped)
@written_by(np.minimum)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """``minimum(input, max)``"""
    _tensors("clamp_max", input=input)
    return _clamp(input, None, max)  # type: ignore[no-any-return]


@op(
    input=lambda grad, condition: masked(grad, condition),
    other=lambda grad, condition: masked(grad, ~condition),
)
def _where(condition: Array, input: Any, other: Any) -> Array:
    if type(input) is not np.ndarray or type(other) is not np.ndarray or input.dtype is not other.dtype:
        common = result_numpy(input, other)
        input, other = (
            v.astype(common, copy=False) if isinstance(v, np.ndarray) else number_as(v, common) for v in (input, other)
        )
    return choose(condition, input, other)


@function(out=True)
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other`; with `condition` alone, the indices where it holds.

    >>> import mini_dl as torch
    >>> torch.where(torch.tensor([True, False]), torch.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type_name(condition)}")
    if condition._array.dtype.kind not in "bu" or condition._array.dtype.itemsize != 1:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {scalar_name(condition._array.dtype)}"
        )
    if condition._array.dtype.kind != "b":
        condition = condition != 0
    try:
        return _where(condition, input, other)
    except ValueError:
        broadcast_shapes(*[v._array.shape for v in (condition, input, other) if isinstance(v, Tensor)])
        raise


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """``torch.where(condition, self, other)``"""
    return where(condition, self, other)  # type: ignore[no-any-return]


_where_method.__name__ = "where"
public("Tensor")(_where_method)


@method(inplace=True, out=True)
def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`input` with NaN replaced by `nan` (0), inf and -inf by `posinf` and `neginf` (the greatest and least finite)."""
    _tensors("nan_to_num", input=input)
    numbers = [v if v is None else real_number_of("nan_to_num", "nan", v) for v in (nan, posinf, neginf)]
    return _nan_to_num(input, *numbers)  # type: ignore[no-any-return]


@op(input=lambda grad, input: masked(grad, input.isfinite()))
def _nan_to_num(input: Array, nan: float | None, posinf: float | None, neginf: float | None) -> Array:
    if input.dtype.kind not in "fc":
        return input.copy()
    return np.nan_to_num(input, True, 0.0 if nan is None else nan, posinf, neginf)


_C_NAMES = {"float32": "float", "float64": "double", "float16": "c10::Half", "int64": "long int", "int32": "int"}


@method(inplace=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """``input + weight * (end - input)``. RuntimeError unless all tensors have one type."""
    _tensors("lerp", input=input, end=end)
    if not isinstance(weight, Tensor):
        if input._array.dtype.kind in "fc" and not (type(weight) is float and builtins.abs(weight) < 60000):
            number_as(weight, input._array.dtype)
    elif not weight._array.ndim and input._array.dtype == end._array.dtype and weight._array.dtype != input._array.dtype:
        input, end, weight = _in_one_type("lerp", input, end, weight)  # a 0-d weight takes part in the promotion
    for name, tensor in (("end", end), ("weight", weight)):
        if isinstance(tensor, Tensor) and tensor._array.dtype != input._array.dtype:
            expected, got = [_C_NAMES.get(t.dtype.name, t.dtype.name) for t in (input, tensor)]
            raise RuntimeError(f"expected dtype {expected} for `{name}` but got dtype {got}")
    shapes = [t._array.shape for t in (input, end, weight) if isinstance(t, Tensor)]
    broadcast_shapes(*shapes)
    return _lerp(input, end, weight)  # type: ignore[no-any-return]


@op(
    input=lambda grad, weight: grad * _conj(1 - weight),
    end=lambda grad, weight: grad * _conj(weight),
    weight=lambda grad, input, end: grad * _conj(end - input),
)
def _lerp(input: Array, end: Array, weight: Any) -> Array:
    accept("lerp_kernel", "fc", input)
    return _between(input, end, weight)


@elementwise
def _between(input: Array, end: Array, weight: Any) -> Array:
    difference = end - input
    if not isinstance(weight, np.ndarray):
        near = np.absolute(weight) < 0.5
        difference *= weight if near else 1 - weight
        return np.add(input, difference, _own(difference)) if near else np.subtract(end, difference, _own(difference))
    near_end = np.absolute(weight) >= 0.5  # from the nearer end, which is then met exactly
    if not near_end.any():
        return input + difference * weight
    return np.where(near_end, end - difference * (1 - weight), input + difference * weight)


@method(inplace=True, out=True)
@binary(numbers="")
def gcd(input: Array, other: Array) -> Array:
    """The greatest common divisor. NotImplementedError unless both are integers."""
    accept("gcd_cpu", "iu", input, other)
    return np.gcd(input, other)


@method(inplace=True, out=True)
@binary(numbers="")
def lcm(input: Array, other: Array) -> Array:
    """The least common multiple. NotImplementedError unless both are integers."""
    accept("lcm_cpu", "iu", input, other)
    return np.absolute(np.lcm(input, other))


# ------------------------------------------------------------------------------------------------ logic and bits


@method(inplace=True, out=True)
@unary()
def logical_not(input: Array) -> Array:
    """Whether each element is zero."""
    return np.logical_not(input)


@method(inplace=True, out=True)
@binary(numbers="")
def logical_and(input: Array, other: Array) -> Array:
    """Whether both elements are nonzero."""
    return np.logical_and(input, other)


@method(inplace=True, out=True)
@binary(numbers="")
def logical_or(input: Array, other: Array) -> Array:
    """Whether one of the elements is nonzero."""
    return np.logical_or(input, other)


@method(inplace=True, out=True)
@binary(numbers="")
def logical_xor(input: Array, other: Array) -> Array:
    """Whether exactly one of the elements is nonzero."""
    return np.logical_xor(input, other)


@method(inplace=True, out=True)
@unary()
def bitwise_not(input: Array) -> Array:
    """All bits inverted; the logical complement of a bool."""
    accept("bitwise_not_cpu", "biu", input)
    return np.invert(input)


@method(inplace=True, out=_tensor_first)
@binary()
def bitwise_and(input: Array, other: Array) -> Array:
    """The bits set in both."""
    accept("bitwise_and_cpu", "biu", input, other)
    return np.bitwise_and(input, other)


@method(inplace=True, out=_tensor_first)
@binary()
def bitwise_or(input: Array, other: Array) -> Array:
    """The bits set in either."""
    accept("bitwise_or_cpu", "biu", input, other)
    return np.bitwise_or(input, other)


@method(inplace=True, out=_tensor_first)
@binary()
def bitwise_xor(input: Array, other: Array) -> Array:
    """The bits set in exactly one."""
    accept("bitwise_xor_cpu", "biu", input, other)
    return np.bitwise_xor(input, other)


@method(inplace=True, out=_tensor_first)
@binary()
def bitwise_left_shift(input: Array, other: Array) -> Array:
    """``input * 2 ** other``; 0 where `other` is negative or as large as the number of bits."""
    accept("lshift_cpu", "iu", input, other)
    return np.left_shift(input, other)


@method(inplace=True, out=_tensor_first)
@binary()
def bitwise_right_shift(input: Array, other: Array) -> Array:
    """``floor(input / 2 ** other)``; all bits are the sign where `other` is negative or as large as the number of bits."""
    accept("rshift_cpu", "iu", input, other)
    return np.right_shift(input, other)


# ------------------------------------------------------------------------------------------------ complex numbers


@method()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate; a real tensor is its own."""
    return _conjugate(input) if input._array.dtype.kind == "c" else input


@public("torch", "Tensor", inplace_too=True, out=True)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate, in memory of its own; a real tensor is its own."""
    return _conjugate(input) if input._array.dtype.kind == "c" else input


@unary(input=lambda grad: conj(grad))
def _conjugate(input: Array) -> Array:
    return np.conjugate(input)


@view(input=lambda grad: grad)  # the engine makes it complex
def _real(input: Array) -> Array:
    return input.real


@view(input=lambda grad: grad * 1j)
def _imag(input: Array) -> Array:
    return input.imag


@function()
def real(input: Tensor) -> Tensor:
    """The real part, a view; a real tensor is its own."""
    return _real(input) if input._array.dtype.kind == "c" else input


@function()
def imag(input: Tensor) -> Tensor:
    """The imaginary part, a view. RuntimeError for a real tensor."""
    if input._array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _imag(input)


def _set_real(self: Tensor, value: Any) -> None:
    real(self).copy_(value)


def _set_imag(self: Tensor, value: Any) -> None:
    imag(self).copy_(value)


for _name, _property in {"real": property(real, _set_real), "imag": property(imag, _set_imag)}.items():
    setattr(Tensor, _name, _property)


@view(input=lambda grad: _joined(grad))
def _view_as_real(input: Array) -> Array:
    part = input.real
    return np.lib.stride_tricks.as_strided(part, (*part.shape, 2), (*part.strides, part.itemsize))


def _joined(grad: Tensor) -> Tensor:
    return view_as_complex(grad.contiguous())


@function()
def view_as_real(input: Tensor) -> Tensor:
    """``(*) complex -> (*, 2)``: real and imaginary part side by side, a view. RuntimeError for a real tensor."""
    if input._array.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return _view_as_real(input)


@view(input=lambda grad: view_as_real(grad))
def _view_as_complex(input: Array) -> Array:
    target = np.dtype("complex128" if input.dtype.char == "d" else "complex64")
    return np.lib.stride_tricks.as_strided(input[..., :2].view(target), input.shape[:-1], input.strides[:-1])


@function()
def view_as_complex(input: Tensor) -> Tensor:
    """``(*, 2) -> (*) complex``, a view. RuntimeError unless the last dimension holds two adjacent numbers."""
    array = input._array
    if array.dtype.char not in "fd":
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, "
            f"but got a tensor of scalar type: {scalar_name(array.dtype)}"
        )
    if not array.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if array.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if array.strides[-1] != array.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any([stride % (2 * array.itemsize) for stride in array.strides[:-1]]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return _view_as_complex(input)


@op(
    real=lambda grad: grad.real,
    imag=lambda grad: grad.imag,
)
def _complex(real: Array, imag: Array) -> Array:
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), "complex128" if real.dtype.char == "d" else "complex64")
    out.real, out.imag = real, imag
    return out


@function()
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``real + i imag``. RuntimeError unless both are floating point numbers of one type, and `out` of the type of the result."""
    _two_floats(real, imag)
    result: Tensor = _complex(real, imag)
    if out is None:
        return result
    if out._array.dtype != result._array.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {scalar_name(result._array.dtype)} but got scalar type "
            f"{scalar_name(out._array.dtype)} for argument 'out'"
        )
    return store(result, out)  # type: ignore[no-any-return]


@function(out=True)
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """``abs * (cos(angle) + i sin(angle))``. RuntimeError unless both are floating point numbers of one type."""
    _two_floats(abs, angle)
    return _complex(abs * cos(angle), abs * sin(angle))


def _two_floats(a: Tensor, b: Tensor) -> None:
    types = a._array.dtype, b._array.dtype
    names = [scalar_name(t) for t in types]
    if types[0].kind != "f" or types[1].kind != "f":
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {names[0]} and {names[1]}")
    if types[0] != types[1]:
        raise RuntimeError(f"Expected object of scalar type {names[0]} but got scalar type {names[1]} for second argument")
    broadcast_shapes(a._array.shape, b._array.shape)


# ------------------------------------------------------------------------------------------------ operators


def _divided_into(self: Tensor, other: Any) -> Any:
    """``other / self`` as torch rounds it."""
    return self.reciprocal() * other


def _inverted(self: Tensor) -> Tensor:
    """``~self``; TypeError where there are no bits."""
    if self._array.dtype.kind not in "biu":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return bitwise_not(self)


def _shift_of_type(shift: Any) -> Any:
    """`shift`, an in-place shift, that checks first whether its result has the type of what it is written into."""

    @functools.wraps(shift)
    def call(self: Tensor, other: Any) -> Tensor:
        have = self._array.dtype
        known = isinstance(other, (Tensor, builtins.int, builtins.float, builtins.complex))
        common = result_numpy(self._array, other._array if isinstance(other, Tensor) else other) if known else have
        if not castable(common, have):
            names = scalar_name(common), scalar_name(have)
            raise RuntimeError("result type {} can't be cast to the desired output type {}".format(*names))
        return shift(self, other)

    return call


for _name in ("bitwise_left_shift_", "bitwise_right_shift_"):
    setattr(Tensor, _name, parsed(_shift_of_type(getattr(Tensor, _name))))

_BINARY = {
    "add": _add, "sub": _sub, "mul": mul, "truediv": _div, "floordiv": floor_divide, "mod": remainder,
    "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor, "lshift": bitwise_left_shift, "rshift": bitwise_right_shift,
}  # fmt: skip
for _name, _primitive in _BINARY.items():
    setattr(Tensor, f"__{_name}__", _primitive.operator)
    setattr(Tensor, f"__r{_name}__", _primitive.reflected)
    _in_place = {"truediv": "div", "floordiv": "floor_divide"}.get(_name, _primitive.__name__.lstrip("_"))
    setattr(Tensor, f"__i{_name}__", in_place(getattr(Tensor, _in_place), _in_place + "_", operator=True))

for _name, _operator in {
    "__neg__": neg,
    "__invert__": _inverted,
    "__pos__": positive,
    "__abs__": abs,
    "__pow__": _pow_operator,
    "__rpow__": _pow.reflected,
    "__ipow__": in_place(pow, "pow_", operator=True),
    "__rtruediv__": _divided_into,
    "__div__": _div.operator,
    "__rdiv__": _divided_into,
    "__idiv__": vars(Tensor)["div_"],
}.items():
    setattr(Tensor, _name, _operator)

for _name, _function in {
    "arcsin": asin, "arccos": acos, "arctan": atan, "arcsinh": asinh, "arccosh": acosh, "arctanh": atanh,
}.items():  # fmt: skip
    public(f"torch:{_name}", f"Tensor:{_name}", inplace_too=True, out=True)(_function)
