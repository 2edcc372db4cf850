"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, floating
from mini_dl._surface import method
from mini_dl.autograd.inplace import written_by
from mini_dl.autograd.primitive import binary, unary
from mini_dl.kernels.blocks import slow_elementwise, spread
from mini_dl.kernels.elementary import fastest
from mini_dl.ops.arithmetic import rsqrt
from mini_dl.ops.choice import where
from mini_dl.ops.operands import accept, both_floating, conjugate, promote_floating
from mini_dl.ops.powers import _tanh_backward
from mini_dl.tensor import Tensor

_tan, _atan, _sinh, _cosh, _asinh, _acosh, _atanh = map(
    fastest, ("tan", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh")
)
_atan2, _hypot = fastest("arctan2"), fastest("hypot")

# ------------------------------------------------------------------------------------------------ trigonometry


@method(inplace=True, out=True)
@written_by(np.sin)
@unary(input=lambda grad, input: grad * conjugate(input.cos()))
def sin(input: Array) -> Array:
    """The sine of an angle in radians: ``out = sin(input)``

    >>> torch.sin(torch.tensor([0.0, torch.pi / 6, torch.pi / 2]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return np.sin(floating(input))


@method(inplace=True, out=True)
@written_by(np.cos)
@unary(input=lambda grad, input: -grad * conjugate(input.sin()))
def cos(input: Array) -> Array:
    """The cosine of an angle in radians: ``out = cos(input)``

    >>> torch.cos(torch.tensor([0.0, torch.pi / 3, torch.pi]))
    tensor([ 1.0000,  0.5000, -1.0000])
    """
    return np.cos(floating(input))


@method(inplace=True, out=True)
@written_by(_tan)
@unary(input=lambda grad, result: grad * conjugate(1 + result * result))
def tan(input: Array) -> Array:
    """The tangent of an angle in radians: ``out = sin(input) / cos(input)``

    >>> torch.tan(torch.tensor([0.0, torch.pi / 4, -torch.pi / 4]))
    tensor([ 0.,  1., -1.])
    """
    return _tan(floating(input))


@method(inplace=True, out=True)
@written_by(np.arcsin)
@unary(input=lambda grad, input: grad * conjugate(rsqrt(1 - input * input)))
def asin(input: Array) -> Array:
    """The angle in ``[-pi / 2, pi / 2]`` with ``sin(out) = input``; NaN for real numbers outside [-1, 1].

    >>> torch.asin(torch.tensor([0.5, 1.0, 2.0]))
    tensor([0.5236, 1.5708,    nan])
    """
    return np.arcsin(floating(input))


@method(inplace=True, out=True)
@written_by(np.arccos)
@unary(input=lambda grad, input: -grad * conjugate(rsqrt(1 - input * input)))
def acos(input: Array) -> Array:
    """The angle in ``[0, pi]`` with ``cos(out) = input``; NaN for real numbers outside [-1, 1].

    >>> torch.acos(torch.tensor([1.0, 0.0, -1.0]))
    tensor([0.0000, 1.5708, 3.1416])
    """
    return np.arccos(floating(input))


@method(inplace=True, out=True)
@written_by(_atan)
@unary(input=lambda grad, input: grad / conjugate(1 + input * input))
def atan(input: Array) -> Array:
    """The angle in ``[-pi / 2, pi / 2]`` with ``tan(out) = input``

    >>> torch.atan(torch.tensor([0.0, 1.0, torch.inf]))
    tensor([0.0000, 0.7854, 1.5708])
    """
    return _atan(floating(input))


@method(inplace=True, out=True)
@written_by(_sinh)
@unary(input=lambda grad, input: grad * conjugate(input.cosh()))
def sinh(input: Array) -> Array:
    """The hyperbolic sine: ``out = (exp(input) - exp(-input)) / 2``

    >>> torch.sinh(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.1752,  0.0000,  1.1752])
    """
    return _sinh(floating(input))


@method(inplace=True, out=True)
@written_by(_cosh)
@unary(input=lambda grad, input: grad * conjugate(input.sinh()))
def cosh(input: Array) -> Array:
    """The hyperbolic cosine: ``out = (exp(input) + exp(-input)) / 2``

    >>> torch.cosh(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([1.5431, 1.0000, 1.5431])
    """
    return _cosh(floating(input))


@method("nn.functional", inplace=True, out=True)
@written_by(np.tanh)
@unary(input=lambda grad, result: _tanh_backward(grad, conjugate(result)))
def tanh(input: Array) -> Array:
    """The hyperbolic tangent, from -1 to 1: ``out = (exp(input) - exp(-input)) / (exp(input) + exp(-input))``

    >>> torch.tanh(torch.tensor([-10.0, 0.0, 0.5]))
    tensor([-1.0000,  0.0000,  0.4621])
    """
    return np.tanh(floating(input))


@method(inplace=True, out=True)
@written_by(_asinh)
@unary(input=lambda grad, input: grad * conjugate(rsqrt(input * input + 1)))
def asinh(input: Array) -> Array:
    """The inverse of `sinh`: ``out = log(input + sqrt(input ** 2 + 1))``

    >>> torch.asinh(torch.tensor([0.0, 1.1752, -1.1752]))
    tensor([ 0.0000,  1.0000, -1.0000])
    """
    return _asinh(floating(input))


@method(inplace=True, out=True)
@written_by(_acosh)
@unary(input=lambda grad, input: _acosh_gradient(grad, input))
def acosh(input: Array) -> Array:
    """The inverse of `cosh`: ``out = log(input + sqrt(input ** 2 - 1))``; NaN for real numbers below 1.

    >>> torch.acosh(torch.tensor([1.0, 1.5431, 0.5]))
    tensor([0.0000, 1.0000,    nan])
    """
    return _acosh(floating(input))


def _acosh_gradient(grad: Tensor, input: Tensor) -> Tensor:
    if input._array.dtype.kind != "c":
        return grad * rsqrt(input * input - 1)
    return grad * conjugate(rsqrt(input - 1) * rsqrt(input + 1))


@method(inplace=True, out=True)
@written_by(_atanh)
@unary(input=lambda grad, input: grad / conjugate(1 - input * input))
def atanh(input: Array) -> Array:
    """The inverse of `tanh`: ``out = log((1 + input) / (1 - input)) / 2``; NaN for real numbers outside [-1, 1].

    >>> torch.atanh(torch.tensor([0.0, 0.4621, 1.0]))
    tensor([0.0000, 0.5000,    inf])
    """
    return _atanh(floating(input))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, input: _sinc_gradient(grad, input))
def sinc(input: Array) -> Array:
    """The normalized sinc: ``out = sin(pi * input) / (pi * input)``, 1 at 0, and 0 at every other integer.

    >>> torch.sinc(torch.tensor([0.0, 0.5, 1.5]))
    tensor([ 1.0000,  0.6366, -0.2122])
    """
    return _sinc(floating(input))


@slow_elementwise
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
    """The angle of the point (`other`, `input`), in ``[-pi, pi]``: ``tan(out) = input / other``

    >>> torch.atan2(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1.0, -1.0, -1.0]))
    tensor([ 0.7854,  2.3562, -2.3562])
    """
    accept("atan2", "biuf", input, other)
    input, other = both_floating(input, other)
    return spread(_atan2, input, other)


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
    """The hypotenuse, without overflow: ``out = sqrt(input ** 2 + other ** 2)``

    >>> torch.hypot(torch.tensor([3.0, 3e30]), torch.tensor([4.0, 4e30]))
    tensor([5.0000e+00, 5.0000e+30])
    """
    accept("hypot_cpu", "f", input, other)
    return spread(_hypot, input, other)


@method(inplace=True, out=True)
@unary(input=lambda grad: grad * (180 / math.pi))
def rad2deg(input: Array) -> Array:
    """Radians to degrees: ``out = input * 180 / pi``

    >>> torch.rad2deg(torch.tensor([torch.pi, -torch.pi / 2]))
    tensor([180., -90.])
    """
    _refuse_complex("rad2deg", input)
    return np.multiply(floating(input), 180 / math.pi)


@method(inplace=True, out=True)
@unary(input=lambda grad: grad * (math.pi / 180))
def deg2rad(input: Array) -> Array:
    """Degrees to radians: ``out = input * pi / 180``

    >>> torch.deg2rad(torch.tensor([180.0, -90.0]))
    tensor([ 3.1416, -1.5708])
    """
    _refuse_complex("deg2rad", input)
    return np.multiply(floating(input), math.pi / 180)


def _refuse_complex(name: str, input: Array) -> None:
    if input.dtype.kind == "c":
        raise RuntimeError(f"{name} is not supported for complex tensors.")
