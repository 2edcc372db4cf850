"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, floating
from mini_dl._surface import method
from mini_dl.autograd.inplace import written_by
from mini_dl.autograd.primitive import binary, unary
from mini_dl.kernels.blocks import elementwise
from mini_dl.ops.arithmetic import rsqrt
from mini_dl.ops.choice import where
from mini_dl.ops.operands import accept, both_floating, conjugate, promote_floating
from mini_dl.ops.powers import _tanh_backward
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ trigonometry


@method(inplace=True, out=True)
@written_by(np.sin)
@unary(input=lambda grad, input: grad * conjugate(input.cos()))
def sin(input: Array) -> Array:
    """The sine of `input` radians."""
    return np.sin(floating(input))


@method(inplace=True, out=True)
@written_by(np.cos)
@unary(input=lambda grad, input: -grad * conjugate(input.sin()))
def cos(input: Array) -> Array:
    """The cosine of `input` radians."""
    return np.cos(floating(input))


@method(inplace=True, out=True)
@written_by(np.tan)
@unary(input=lambda grad, result: grad * conjugate(1 + result * result))
def tan(input: Array) -> Array:
    """The tangent of `input` radians."""
    return np.tan(floating(input))


@method(inplace=True, out=True)
@written_by(np.arcsin)
@unary(input=lambda grad, input: grad * conjugate(rsqrt(1 - input * input)))
def asin(input: Array) -> Array:
    """The angle whose sine is `input`; NaN outside [-1, 1]."""
    return np.arcsin(floating(input))


@method(inplace=True, out=True)
@written_by(np.arccos)
@unary(input=lambda grad, input: -grad * conjugate(rsqrt(1 - input * input)))
def acos(input: Array) -> Array:
    """The angle whose cosine is `input`; NaN outside [-1, 1]."""
    return np.arccos(floating(input))


@method(inplace=True, out=True)
@written_by(np.arctan)
@unary(input=lambda grad, input: grad / conjugate(1 + input * input))
def atan(input: Array) -> Array:
    """The angle whose tangent is `input`."""
    return np.arctan(floating(input))


@method(inplace=True, out=True)
@written_by(np.sinh)
@unary(input=lambda grad, input: grad * conjugate(input.cosh()))
def sinh(input: Array) -> Array:
    """``(exp(input) - exp(-input)) / 2``"""
    return np.sinh(floating(input))


@method(inplace=True, out=True)
@written_by(np.cosh)
@unary(input=lambda grad, input: grad * conjugate(input.sinh()))
def cosh(input: Array) -> Array:
    """``(exp(input) + exp(-input)) / 2``"""
    return np.cosh(floating(input))


@method("nn.functional", inplace=True, out=True)
@written_by(np.tanh)
@unary(input=lambda grad, result: _tanh_backward(grad, conjugate(result)))
def tanh(input: Array) -> Array:
    """``sinh(input) / cosh(input)``"""
    return np.tanh(floating(input))


@method(inplace=True, out=True)
@written_by(np.arcsinh)
@unary(input=lambda grad, input: grad * conjugate(rsqrt(input * input + 1)))
def asinh(input: Array) -> Array:
    """The number whose hyperbolic sine is `input`."""
    return np.arcsinh(floating(input))


@method(inplace=True, out=True)
@written_by(np.arccosh)
@unary(input=lambda grad, input: _acosh_gradient(grad, input))
def acosh(input: Array) -> Array:
    """The number whose hyperbolic cosine is `input`; NaN below 1."""
    return np.arccosh(floating(input))


def _acosh_gradient(grad: Tensor, input: Tensor) -> Tensor:
    if input._array.dtype.kind != "c":
        return grad * rsqrt(input * input - 1)
    return grad * conjugate(rsqrt(input - 1) * rsqrt(input + 1))


@method(inplace=True, out=True)
@written_by(np.arctanh)
@unary(input=lambda grad, input: grad / conjugate(1 - input * input))
def atanh(input: Array) -> Array:
    """The number whose hyperbolic tangent is `input`; NaN outside [-1, 1]."""
    return np.arctanh(floating(input))


@method("special", inplace=True, out=True)
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
    return where(size == 0, 0.0, grad * conjugate(slope))


@method(alias="arctan2", inplace=True, out=True)
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
