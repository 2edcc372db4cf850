"""Powers, exponentials and logarithms."""

from __future__ import annotations

import builtins
import cmath
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import (
    FLOATING,
    HALVES,
    INEXACT,
    NARROW,
    Array,
    Number,
    NumpyType,
    as_type,
    floating,
    is_number,
    number_as,
    of_numpy,
    result_numpy,
    scalar_name,
)
from mini_dl._layout import converted
from mini_dl._surface import method, tensor_method
from mini_dl.autograd.inplace import written_by
from mini_dl.autograd.primitive import Formula, binary, op, symmetric_in, unary
from mini_dl.kernels.blocks import as_single, elementwise, limited, sigmoid_of, slow_elementwise, spread
from mini_dl.kernels.elementary import fastest
from mini_dl.ops.arithmetic import _mul
from mini_dl.ops.choice import where
from mini_dl.ops.operands import (
    PLAIN,
    accept,
    both_floating,
    conjugate,
    kind_of,
    masked,
    own_copy,
    promote_floating,
    zero_of,
)
from mini_dl.ops.rounding import abs
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ powers


def _power(input: Any, other: Any) -> Array:
    """``np.power``, which threads share"""
    common = result_numpy(input, other)
    if common.char == "f":
        input, other = as_type(input, common), as_type(other, common)
    return spread(np.power, input, other) if type(input) is np.ndarray else np.power(input, other)


def _raised(input: Any, other: object) -> Array:
    """``input ** other`` of promoted operands."""
    if kind_of(input) == "b" and kind_of(other) == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if type(other) is np.ndarray and other.dtype.kind == "i" and (negative := other < 0).any():
        whole = np.power(input, np.where(negative, 0, other))  # 1 / n is 0 except for n = 1 and n = -1
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
    return where(exponent == 0, 0.0, grad * conjugate(exponent * _pow(base, exponent - 1)))


def _exponent_gradient(grad: Tensor, base: object, exponent: Tensor, result: Tensor) -> Tensor:
    """``grad * result * log(base)``; 0 where 0 is raised to a nonnegative number."""
    if exponent._array.dtype.kind == "c":
        steady = (exponent.imag == 0) & (exponent.real >= 0)
    else:
        steady = exponent >= 0
    if isinstance(base, Tensor):
        logarithm = log(base.to(result.dtype))
        slope = conjugate(result * logarithm)
        return grad * where((base == 0) & steady, 0.0, slope)
    if base == 0:
        return grad * where(steady, 0.0, conjugate(result * -math.inf))
    return grad * conjugate(result * _number_log(base))


def _number_log(base: Any) -> Any:
    if isinstance(base, builtins.complex):
        return cmath.log(base)
    return math.log(base) if base > 0 else math.nan


@symmetric_in("input")
@op(
    input=lambda grad, input, exponent: (
        grad * conjugate(exponent * _pow_number(input, exponent - 1)) if exponent else zero_of(grad)
    )
)
def _pow_number(input: Array, exponent: Any) -> Array:
    common = input.dtype if input.dtype.kind in FLOATING and type(exponent) in PLAIN else result_numpy(input, exponent)
    if common.kind in "iu" and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    power = number_as(exponent, common) if common.char in "bBhilqe" and exponent not in (0, 1, 2, 3) else exponent
    if exponent == 1:
        return converted(input, common)
    input = converted(input, common, False)
    if common.kind == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if exponent == 2:
        return np.multiply(input, input)
    if exponent == 3:
        return input * input * input
    if common.kind in FLOATING:
        if exponent == 0.5:
            return np.sqrt(input)
        if exponent == -0.5 and common.char not in HALVES:
            return np.reciprocal(np.sqrt(input))
        if exponent == -1:
            return np.reciprocal(input)
        if exponent == -2:
            wide = as_single(input)  # the square of a float16 may be out of range
            return np.reciprocal(wide * wide).astype(common, copy=False)
    return _power(input, as_type(power, common))


@method(inplace=True, out=True)
def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """`input` raised to a power: ``out = input ** exponent``

    Family: binary
    Raises: RuntimeError for an integer raised to a negative number, and if the shapes do not broadcast.

    >>> torch.pow(torch.tensor([2.0, 9.0]), torch.tensor([-1.0, 0.5]))
    tensor([0.5000, 3.0000])
    """
    if isinstance(input, Tensor) and is_number(exponent):
        return _pow_number(input, _as_exponent(input, exponent))
    return _pow(input, exponent)


def _as_exponent(input: Tensor, number: object) -> Any:
    """A bfloat16 exponent rounded to its type; the kernel, which computes in float32, could not tell."""
    if input._array.dtype.char not in NARROW or type(number) not in (int, float):
        return number
    return number_as(number, input._array.dtype).astype(np.float32).item()


def _pow_operator(self: Tensor, other: object) -> Any:
    return _pow_number(self, _as_exponent(self, other)) if is_number(other) else _pow.operator(self, other)


def _type_of_power(result: Tensor, out: Tensor, args: Sequence[object]) -> None:
    if result._array.dtype != out._array.dtype:
        raise RuntimeError(
            f"the output given to float_power has dtype {scalar_name(out._array.dtype)} but the operation's result requires "
            f"dtype {scalar_name(result._array.dtype)}"
        )


@method(out=_type_of_power)
def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """`input` raised to a power in double precision, float64 or complex128: ``out = input ** exponent``

    Family: binary

    >>> torch.float_power(torch.tensor([2, 4]), -1)
    tensor([0.5000, 0.2500], dtype=torch.float64)
    """
    target = _power_type(input, exponent)
    return pow(_in_type(input, target), _in_type(exponent, target))


@tensor_method()
def float_power_(self: Tensor, exponent: Tensor | Number) -> Tensor:
    """`float_power`, in place: ``self = self ** exponent``

    Family: binary
    Raises: RuntimeError unless this tensor has the type of the result, float64 or complex128.

    >>> torch.tensor([2.0, 4.0], dtype=torch.float64).float_power_(-1)
    tensor([0.5000, 0.2500], dtype=torch.float64)
    """
    target = _power_type(self, exponent)
    if self._array.dtype != target:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {scalar_name(self._array.dtype)} but the operation's result requires "
            f"dtype {scalar_name(target)}"
        )
    return self.pow_(_in_type(exponent, target))


def _power_type(*operands: object) -> NumpyType:
    kinds = [kind_of(v._array if isinstance(v, Tensor) else v) for v in operands]
    return np.dtype("complex128" if "c" in kinds else "float64")


def _in_type(operand: object, target: NumpyType) -> Any:
    return operand.to(of_numpy(target)) if isinstance(operand, Tensor) else as_type(operand, target).item()


@method(inplace=True, out=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """The number with mantissa `input` and binary exponent `other`: ``out = input * 2 ** other``

    Family: binary

    >>> torch.ldexp(torch.tensor([0.75, 0.75]), torch.tensor([2, -1]))
    tensor([3.0000, 0.3750])
    """
    kinds = input._array.dtype.kind, other._array.dtype.kind
    if kinds[0] in FLOATING and kinds[1] in "biu":
        if kinds[1] == "b":
            raise NotImplementedError("\"ldexp_cpu_exp\" not implemented for 'Bool'")
        return _ldexp(input, other)
    base = wrap(np.asarray(2, input._array.real.dtype)) if kinds[0] in INEXACT else 2.0
    return _mul(input, pow(base, other))


@symmetric_in("input")
@op(input=lambda grad, exponent: _ldexp(grad, exponent))
def _ldexp(input: Array, exponent: Array) -> Array:
    return np.ldexp(input, np.clip(exponent, -(2**20), 2**20).astype(np.int32))


# ------------------------------------------------------------------------------------------------ exponentials and logarithms

_expm1, _log1p, _log10, _logaddexp, _logaddexp2 = map(fastest, ("expm1", "log1p", "log10", "logaddexp", "logaddexp2"))


@method(inplace=True, out=True)
@written_by(np.exp)
@unary(input=lambda grad, result: grad * conjugate(result))
def exp(input: Array) -> Array:
    """``out = e ** input``

    >>> torch.exp(torch.tensor([0.0, 1.0, -1.0]))
    tensor([1.0000, 2.7183, 0.3679])
    """
    return np.exp(floating(input))


@method("special", inplace=True, out=True)
@written_by(np.exp2)
@unary(input=lambda grad, result: grad * conjugate(result) * math.log(2))
def exp2(input: Array) -> Array:
    """``out = 2 ** input``

    >>> torch.exp2(torch.tensor([0.0, 0.5, 10.0]))
    tensor([1.0000e+00, 1.4142e+00, 1.0240e+03])
    """
    return np.exp2(floating(input))


@method("special", inplace=True, out=True)
@written_by(_expm1)
@unary(input=lambda grad, result: grad * (conjugate(result) + 1))
def expm1(input: Array) -> Array:
    """``out = e ** input - 1``, accurate near 0, where ``exp(input) - 1`` loses every digit.

    >>> torch.expm1(torch.tensor(1e-10)), torch.exp(torch.tensor(1e-10)) - 1
    (tensor(1.0000e-10), tensor(0.))
    """
    return _expm1(floating(input))


@method(inplace=True, out=True)
@written_by(np.log)
@unary(input=lambda grad, input: grad / conjugate(input))
def log(input: Array) -> Array:
    """The natural logarithm, the inverse of `exp`: ``e ** out = input``; -inf at 0 and NaN below.

    >>> torch.log(torch.tensor([1.0, 2.718281828, 0.0, -1.0]))
    tensor([0., 1., -inf, nan])
    """
    return np.log(floating(input))


@method(inplace=True, out=True)
@written_by(np.log2)
@unary(input=lambda grad, input: grad / (conjugate(input) * math.log(2)))
def log2(input: Array) -> Array:
    """The logarithm to base 2: ``2 ** out = input``; -inf at 0 and NaN below.

    >>> torch.log2(torch.tensor([1.0, 8.0, 0.25]))
    tensor([ 0.,  3., -2.])
    """
    return np.log2(floating(input))


@method(inplace=True, out=True)
@written_by(_log10)
@unary(input=lambda grad, input: grad / (conjugate(input) * math.log(10)))
def log10(input: Array) -> Array:
    """The logarithm to base 10: ``10 ** out = input``; -inf at 0 and NaN below.

    >>> torch.log10(torch.tensor([1.0, 2.0, 1000.0]))
    tensor([0.0000, 0.3010, 3.0000])
    """
    return _log10(floating(input))


@method("special", inplace=True, out=True)
@written_by(_log1p)
@unary(input=lambda grad, input: grad / (conjugate(input) + 1))
def log1p(input: Array) -> Array:
    """``out = log(1 + input)``, accurate near 0, where ``1 + input`` rounds to 1.

    >>> torch.log1p(torch.tensor(1e-10)), torch.log(1 + torch.tensor(1e-10))
    (tensor(1.0000e-10), tensor(0.))
    """
    x = floating(input)
    return _log1p(x) if x.dtype.kind != "c" else _complex_log1p(x)


def _complex_log1p(z: Array) -> Array:
    """``log(|1 + z|) + i angle(1 + z)``, near 0 by ``|1 + z|^2 - 1 = x (2 + x) + y^2``: NumPy's adds 1 first."""
    out, x, y = np.asarray(np.log1p(z)), z.real, z.imag
    out.real = np.where(np.abs(z) < 0.5, 0.5 * np.log1p(x * (2 + x) + y * y), out.real)
    return out


def _parts_of_sum(power: Callable[[Tensor], Tensor]) -> dict[str, Formula]:
    """The formulas of ``log(b ** input + b ** other)``, where `power` is ``b ** x``: each gets its share of the sum."""
    return {
        "input": lambda grad, input, other: grad / (1 + conjugate(power(other - input))),
        "other": lambda grad, input, other: grad / (1 + conjugate(power(input - other))),
    }


@method(out=True)
@binary(**_parts_of_sum(lambda x: x.exp()), numbers="")
def logaddexp(input: Array, other: Array) -> Array:
    """The sum of two numbers that are given by their logarithms, without overflow: ``out = log(exp(input) + exp(other))``

    >>> torch.logaddexp(torch.tensor([0.0, 1000.0]), torch.tensor([0.0, 1000.0]))
    tensor([6.9315e-01, 1.0007e+03])
    """
    accept("logaddexp_cpu", "fc", input, other)
    if input.dtype.kind == "c":
        return _log_of_sum(input, other)
    return spread(_logaddexp, input, other)


def _log_of_sum(a: Array, b: Array) -> Array:
    """``log(exp(a) + exp(b))`` of complex numbers, with the one with the larger real part factored out."""
    greater = a.real >= b.real
    high, low = np.where(greater, a, b), np.where(greater, b, a)
    out: Array = high + np.log1p(np.exp(low - high))
    return out


@method(out=True)
@binary(**_parts_of_sum(lambda x: x.exp2()), numbers="")
def logaddexp2(input: Array, other: Array) -> Array:
    """`logaddexp` to base 2: ``out = log2(2 ** input + 2 ** other)``

    >>> torch.logaddexp2(torch.tensor([3.0]), torch.tensor([3.0]))
    tensor([4.])
    """
    accept("logaddexp2_cpu", "f", input, other)
    return spread(_logaddexp2, input, other)


@method("special", inplace=True, out=True)
@binary(
    input=lambda grad, input, other: _xlogy_gradient(grad, input, other),
    other=lambda grad, input, other: grad * input / other,
    promote=promote_floating,
)
def xlogy(input: Array, other: Array) -> Array:
    """``out = input * log(other)``; 0 where `input` is 0, unless `other` is NaN.

    Family: binary

    >>> torch.xlogy(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return product_with_log("xlogy_cpu", np.log, input, other)


def _xlogy_gradient(grad: Tensor, input: Any, other: Any) -> Tensor:
    return none_of_zero(xlogy(grad, other), input, other <= 0)


def none_of_zero(slope: Tensor, input: Tensor | Number, outside: Any) -> Tensor:
    """`slope`, but 0 where `input` is 0 and the logarithm is NaN: its argument is `outside` the positive numbers."""
    return slope.masked_fill((input == 0) & outside, 0.0) if isinstance(input, Tensor) or input == 0 else slope


def product_with_log(kernel: str, log: np.ufunc, input: Any, other: Any) -> Array:
    """``input * log(other)`` of arrays and numbers, in floating point."""
    accept(kernel, "biuf", input, other)
    input, other = both_floating(input, other)
    return times_log(input, other, log(other, dtype=input.dtype if isinstance(input, np.ndarray) else None))


def times_log(input: Array, other: Array, logarithm: Array) -> Array:
    steady = (input == 0) & (other == other)
    product = np.multiply(input, logarithm)
    return np.where(steady, product.dtype.type(0), product) if steady.any() else product


def _through_sigmoid(grad: Tensor, result: Tensor) -> Tensor:
    return _sigmoid_backward(grad, conjugate(result))


@method("special:expit", "nn.functional", inplace=True, out=True)
@unary(input=lambda grad, result: _through_sigmoid(grad, result))
def sigmoid(input: Array) -> Array:
    """The logistic function, from 0 to 1: ``out = 1 / (1 + exp(-input))``

    >>> torch.sigmoid(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5000, 0.8808])
    """
    return _sigmoid(floating(input))


_sigmoid = slow_elementwise(sigmoid_of)


@method("special", inplace=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """The inverse of the sigmoid, the log odds: ``out = log(input / (1 - input))``; with `eps`, `input` is first clamped to
    ``[eps, 1 - eps]``.

    Family: elementwise

    >>> torch.logit(torch.tensor([0.5, 0.75, 1.0]))
    tensor([0.0000, 1.0986,    inf])
    >>> torch.logit(torch.tensor([0.5, 0.75, 1.0]), eps=0.01)
    tensor([0.0000, 1.0986, 4.5951])
    """
    return _logit(input, eps)


@symmetric_in("input")
@op(input=lambda grad, input, eps: _logit_gradient(grad, input, eps))
def _logit(input: Array, eps: float | None) -> Array:
    accept("logit_cpu", "biuf", input)
    x = floating(input)
    return _log_odds(x, eps) if x.dtype.char == "e" else _log_odds_in_blocks(x, eps)  # torch rounds each step


def _log_odds(x: Array, eps: float | None, out: Array | None = None) -> Array:
    if eps is not None:
        x = limited(x, x.dtype.type(eps), x.dtype.type(1 - eps))
    rest = np.subtract(1, x, out)
    odds = np.divide(x, rest, own_copy(rest))
    return np.log(odds, own_copy(odds))


_log_odds_in_blocks = slow_elementwise(_log_odds)


def _logit_gradient(grad: Tensor, input: Tensor, eps: float | None) -> Tensor:
    if eps is None or eps < 0:
        slope = grad / abs(input * (1 - input))  # positive infinity at -0.0 too
        return where((input >= 0) & (input <= 1), slope, math.nan)
    slope = grad / (input * (1 - input))
    return masked(slope, ~((input < eps) | (input > 1 - eps)))  # keep NaN


@binary(
    input=lambda grad, other: grad * conjugate(other * (1 - other)),
    other=lambda grad, input, other: grad * conjugate(input * (1 - 2 * other)),
)
def _sigmoid_backward(input: Array, other: Array) -> Array:
    """The gradient `input` passed back through a sigmoid whose result was `other`."""
    return _times_slope(input, other, True)


@binary(
    input=lambda grad, other: grad * conjugate(1 - other * other),
    other=lambda grad, input, other: grad * conjugate(input * other) * -2,
)
def _tanh_backward(input: Array, other: Array) -> Array:
    """The gradient `input` passed back through a tanh whose result was `other`."""
    return _times_slope(input, other, False)


_ONE = {char: np.ones((), char) for char in "fdFD"}
"""Faster than the number 1, which NumPy would convert in each call."""


@elementwise
def _times_slope(grad: Array, y: Array, logistic: bool, out: Array | None = None) -> Array:
    """``grad * (1 - y * y)``, the slope of tanh; of a sigmoid ``grad * (y * (1 - y))``"""
    one = _ONE[y.dtype.char]
    if grad.shape != y.shape or not y.ndim:
        return grad * (y * (one - y) if logistic else one - y * y)
    slope = np.subtract(one, y, out) if logistic else np.multiply(y, y, out)
    slope = np.multiply(slope, y, slope) if logistic else np.subtract(one, slope, slope)
    return np.multiply(grad, slope, slope)
