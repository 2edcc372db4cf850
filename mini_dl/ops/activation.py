"""Activation functions of ``nn.functional``, and softmax.

Piecewise linear ones keep or scale the gradient by a mask (`masked`, `_leaky_slope`); smooth ones have a fused first derivative
whose own derivative is composed.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable

import numpy as np

from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import FLOATING, HALVES, Array, Number, dtype, dtype as DType, exact, limits_of, number_as, scalar_name
from mini_dl._surface import method, namespace, public
from mini_dl.autograd.formal import piecewise
from mini_dl.autograd.inplace import inplace as in_place
from mini_dl.autograd.primitive import linear_in, not_a_tensor, number_of, op, recorded_as, symmetric_in, unary
from mini_dl.kernels import gelu as gelu_kernel, softmax as softmax_kernel
from mini_dl.kernels.blocks import (
    LARGE,
    choose,
    computed_in,
    elementwise,
    keep,
    one_and_exp_of_negative,
    real_floating,
    sigmoid_of,
    spread,
)
from mini_dl.kernels.gelu import gelu_and_cdf, gelu_backward, gelu_tanh, gelu_tanh_backward
from mini_dl.ops.operands import masked
from mini_dl.tensor import Grads, Tensor

_in_place = functools.cache(in_place)


def in_range(input: Array | Tensor, *numbers: object, opmath: bool = True) -> None:
    """RuntimeError if one of the numbers is beyond the type in which the kernel takes it: that of `input` or, if it is `opmath`,
    of the computation."""
    if isinstance(input, Tensor) and (kind := input._array.dtype).kind in FLOATING:
        for number in numbers:
            if isinstance(number, (int, float)) and -60000 < number < 60000:  # fits every type
                continue
            plain = number._array.item() if isinstance(number, Tensor) else number
            number_as(plain, computed_in(kind) if opmath else kind)


def _apply(primitive: Callable[..., Tensor], inplace: bool, input: Tensor, *args: object) -> Tensor:
    """``primitive(input, *args)``, written into `input` if `inplace`."""
    if not isinstance(input, Tensor):
        name = primitive.__name__.strip("_")
        raise not_a_tensor(name, "input", 1, input)
    return (_in_place(primitive) if inplace else primitive)(input, *args)


# ------------------------------------------------------------------------------------------------ piecewise linear


@public("torch:relu", "Tensor:relu", inplace=True)
@piecewise("input")
@unary(input=lambda grad, result: masked(grad, result))
def _relu(input: Array) -> Array:
    """``out = max(input, 0)``

    Raises: RuntimeError for bools and complex numbers.

    >>> torch.relu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    zero = _ZERO.get(input.dtype)
    if zero is None:
        if input.dtype.kind == "b":
            raise RuntimeError("Boolean inputs not supported for relu")
        if input.dtype.kind == "c":
            raise NotImplementedError("clamp is not supported for complex types")
        return np.maximum(input, input.dtype.type(0))
    return np.maximum(input, zero) if input.size < LARGE else spread(np.maximum, input, zero)


_ZERO = {kind: np.zeros((), kind) for kind in (np.dtype(np.float32), np.dtype(np.float64))}
"""As an array: NumPy converts a number at each call."""


@public("nn.functional")
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``

    >>> import mini_dl as torch
    >>> torch.nn.functional.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _in_place(_relu)(input) if inplace else _relu(input)


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, threshold: masked(grad, ~(input <= threshold)))
def _threshold(input: Array, threshold: float, value: float) -> Array:
    if input.dtype.kind in "bc":
        raise NotImplementedError(f"\"threshold_cpu\" not implemented for '{scalar_name(input.dtype)}'")
    limit = number_as(threshold, computed_in(input.dtype))
    return choose(np.asarray(input <= limit), number_as(value, input.dtype), input)


@public("nn.functional", "torch")
def threshold(input: Tensor, threshold: Number, value: Number, inplace: bool = False) -> Tensor:
    """`input` where it exceeds `threshold`, else `value`"""
    value = number_of("threshold", "value", value)
    in_range(input, value, opmath=False)
    return _apply(_threshold, inplace, input, threshold, value)


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, min_val, max_val: masked(grad, ~((input <= min_val) | (input >= max_val))))
def _hardtanh(input: Array, min_val: int | float, max_val: int | float) -> Array:
    if input.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype.kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    if input.dtype.kind == "u" and (min_val < 0 or max_val < 0):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return np.minimum(np.maximum(input, number_as(min_val, input.dtype)), number_as(max_val, input.dtype))


@public("nn.functional")
def hardtanh(input: Tensor, min_val: int | float = -1.0, max_val: int | float = 1.0, inplace: bool = False) -> Tensor:
    """`input` clipped to ``[min_val, max_val]``. ValueError if `min_val` exceeds `max_val`."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    in_range(input, min_val, max_val, opmath=False)
    return _apply(_hardtanh, inplace, input, min_val, max_val)


@public("nn.functional")
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``"""
    return _apply(_hardtanh, inplace, input, 0, 6)


@linear_in("upstream")
@op(upstream=lambda grad, input, slope: _leaky_slope(grad, input, slope))
@elementwise
def _leaky_slope(upstream: Array, input: Array, slope: float) -> Array:
    return choose(np.asarray(input > 0), upstream, upstream * upstream.dtype.type(slope))


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, negative_slope: _leaky_slope(grad, input, negative_slope))
def _leaky_relu(input: Array, negative_slope: float) -> Array:
    kind = real_floating(input, "leaky_relu_cpu").dtype
    slope = number_as(negative_slope, computed_in(kind))
    if kind.char in HALVES:
        slope = exact(slope)
    scaled = input * slope
    if 0 < slope <= 1:
        return np.maximum(input, scaled, out=scaled if scaled.ndim else None)
    return choose(np.asarray(input > 0), input, scaled)


@public("nn.functional")
def leaky_relu(input: Tensor, negative_slope: Number = 0.01, inplace: bool = False) -> Tensor:
    """`input` where it is positive, else ``negative_slope * input``"""
    negative_slope = number_of("leaky_relu", "negative_slope", negative_slope)
    return _apply(_leaky_relu, inplace, input, negative_slope)


@op(
    upstream=lambda grad, input, weight: _prelu_slope(grad, input, weight),
    weight=lambda grad, upstream, input: masked(grad * upstream, ~(input > 0)),
)
def _prelu_slope(upstream: Array, input: Array, weight: Array) -> Array:
    return choose(np.asarray(input > 0), upstream, upstream * weight)


@recorded_as("PreluKernelBackward0")
@piecewise("input", "weight")
@op(
    input=lambda grad, input, weight: _prelu_slope(grad, input, weight),
    weight=lambda grad, input: masked(grad * input, ~(input > 0)),
)
def _prelu(input: Array, weight: Array) -> Array:
    return choose(np.asarray(real_floating(input, "prelu_cpu") > 0), input, input * weight)


@public("nn.functional", "torch", "Tensor")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where it is positive, else ``weight * input``; `weight` has one element or one per channel (dimension 1)."""
    if input._array.dtype != weight._array.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {scalar_name(input._array.dtype)} and {scalar_name(weight._array.dtype)}"
        )
    shape, size = input._array.shape, weight._array.size
    if size != 1:
        if not shape:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = shape[1] if len(shape) > 1 else 1
        if channels != size:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {size} and channel size = "
                f"{channels}."
            )
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.ndim and len(shape) != 1:
        weight = weight.reshape((1, size, *(1,) * (len(shape) - 2)) if len(shape) > 1 else ())
    return _prelu(input, weight)


@public("nn.functional", "torch", "Tensor", out=True)
@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, lambd: masked(grad, ~(input.abs() <= lambd)))
def hardshrink(input: Array, lambd: float = 0.5) -> Array:
    """`input` where ``|input| > lambd``, else 0"""
    return keep(input, np.asarray(~(np.abs(real_floating(input, "hardshrink_cpu")) <= number_as(lambd, input.dtype))))


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, lambd: masked(grad, ~(input.abs() <= lambd)))
def _softshrink(input: Array, lambd: float) -> Array:
    limit = real_floating(input, "softshrink_check").dtype.type(lambd)
    return input - np.minimum(np.maximum(input, -limit), limit)


@public("nn.functional", out=True)
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards 0 by `lambd`, at most to 0. RuntimeError if `lambd` is negative."""
    real_floating(np.empty(0, computed_in(input._array.dtype)), "softshrink_check")
    maximum = limits_of(input._array.dtype).max
    if not 0 <= lambd <= maximum:
        raise RuntimeError(
            f"lambda must be in range [0, {maximum:g}] for input dtype {scalar_name(input._array.dtype)}, but found {lambd}"
        )
    return _softshrink(input, lambd)


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input: masked(grad / 6, (input > -3) & (input < 3)))
@elementwise
def _hardsigmoid(input: Array) -> Array:
    return np.minimum(np.maximum(real_floating(input, "hardsigmoid_cpu") + 3, 0), 6) / 6


@public("nn.functional")
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input + 3, 0), 6) / 6``"""
    return _apply(_hardsigmoid, inplace, input)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _hardswish_backward(grad, input),
    input=lambda grad, upstream, input: masked(grad * upstream / 3, (input > -3) & (input < 3)),
)
@elementwise
def _hardswish_backward(upstream: Array, input: Array) -> Array:
    inner = keep(upstream * (input / 3 + input.dtype.type(0.5)), np.asarray(input > -3))
    return choose(np.asarray(input < 3), inner, upstream)


@symmetric_in("input")
@op(input=lambda grad, input: _hardswish_backward(grad, input))
@elementwise
def _hardswish(input: Array) -> Array:
    return input * np.minimum(np.maximum(real_floating(input, "hardswish_cpu") + 3, 0), 6) / 6


@public("nn.functional")
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * min(max(input + 3, 0), 6) / 6``"""
    return _apply(_hardswish, inplace, input)


# ------------------------------------------------------------------------------------------------ exponential


@linear_in("upstream")
@op(
    upstream=lambda grad, input, alpha, scale, input_scale: _elu_backward(grad, input, alpha, scale, input_scale),
    input=lambda grad, upstream, input, alpha, scale, input_scale: masked(
        grad * upstream * (input.clamp(max=0) * input_scale).exp() * (alpha * scale * input_scale * input_scale),
        input <= 0,
    ),
)
@elementwise
def _elu_backward(upstream: Array, input: Array, alpha: float, scale: float, input_scale: float) -> Array:
    y = np.fmin(input, 0)  # NaN counts as positive
    y *= input.dtype.type(input_scale)
    y = np.exp(y)
    y *= upstream
    y *= input.dtype.type(alpha * scale * input_scale)
    if alpha * input_scale == 1:
        return y
    return choose(np.asarray(input <= 0), y, upstream * input.dtype.type(scale))


@symmetric_in("input")
@op(input=lambda grad, input, alpha, scale, input_scale: _elu_backward(grad, input, alpha, scale, input_scale))
@elementwise
def _elu(input: Array, alpha: float, scale: float, input_scale: float) -> Array:
    y = np.minimum(real_floating(input, "elu_cpu"), 0)
    y *= input.dtype.type(input_scale)
    y = np.expm1(y)
    y *= input.dtype.type(alpha * scale)
    y += np.maximum(input, 0) * input.dtype.type(scale)
    return y


@public("nn.functional")
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where it is positive, else ``alpha * (exp(input) - 1)`` (Clevert et al., 2016)"""
    in_range(input, alpha)
    return _apply(_elu, inplace, input, alpha, 1.0, 1.0)


@public("nn.functional")
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``scale * elu(input, alpha)`` with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017)"""
    return _apply(_elu, inplace, input, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


@public("nn.functional")
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(input, 0) + min(0, alpha * (exp(input / alpha) - 1))`` (Barron, 2017). RuntimeError if `alpha` is 0."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    in_range(input, alpha)
    return _apply(_elu, inplace, input, alpha, 1.0, 1.0 / alpha)


@linear_in("upstream")
@op(
    upstream=lambda grad, input, beta, threshold: _softplus_backward(grad, input, beta, threshold),
    input=lambda grad, upstream, input, beta, threshold: masked(
        grad * upstream * _sigmoid_slope((input * beta).sigmoid()) * beta, ~(input * beta > threshold)
    ),
)
@elementwise
def _softplus_backward(upstream: Array, input: Array, beta: float, threshold: float) -> Array:
    z = input * input.dtype.type(beta)
    return choose(np.asarray(z > threshold), upstream, upstream * sigmoid_of(z))


@symmetric_in("input")
@op(input=lambda grad, input, beta, threshold: _softplus_backward(grad, input, beta, threshold))
@elementwise
def _softplus(input: Array, beta: float, threshold: float) -> Array:
    z = real_floating(input, "softplus_cpu") * input.dtype.type(beta)
    soft = np.log1p(np.exp(-np.abs(z)))
    soft += np.maximum(z, 0)
    soft /= input.dtype.type(beta)
    return choose(np.asarray(z > threshold), input, soft)


@public("nn.functional", out=True)
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; `input` itself where ``beta * input > threshold``"""
    in_range(input, beta, threshold)
    return _softplus(input, beta, threshold)


def _sigmoid_slope(s: Tensor) -> Tensor:
    return s * (1 - s)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _logsigmoid_backward(grad, input),
    input=lambda grad, upstream, input: -grad * upstream * _sigmoid_slope(input.sigmoid()),
)
@elementwise
def _logsigmoid_backward(upstream: Array, input: Array) -> Array:
    return upstream * sigmoid_of(np.negative(input))


@public("nn.functional", out=True)
@recorded_as("LogSigmoidBackward0")
@symmetric_in("input")
@op(input=lambda grad, input: _logsigmoid_backward(grad, input))
@elementwise
def logsigmoid(input: Array) -> Array:
    """``log(1 / (1 + exp(-input)))``"""
    return np.minimum(real_floating(input, "log_sigmoid_cpu"), 0) - np.log1p(np.exp(-np.abs(input)))


@public("nn.functional")
def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``"""
    return input - input.tanh()


@public("nn.functional")
def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``"""
    return input / (input.abs() + 1)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _silu_backward(grad, input),
    input=lambda grad, upstream, input: grad * upstream * _silu_second(input),
)
@elementwise
def _silu_backward(upstream: Array, input: Array) -> Array:
    s = sigmoid_of(input)
    y = 1 - s
    y *= input
    y += 1
    y *= s
    y *= upstream
    return y


def _silu_second(x: Tensor) -> Tensor:
    s = x.sigmoid()
    return _sigmoid_slope(s) * (2 + x * (1 - 2 * s))


@symmetric_in("input")
@op(input=lambda grad, input: _silu_backward(grad, input))
def _silu(input: Array) -> Array:
    return _silu_of(real_floating(input, "silu_cpu"))


@elementwise
def _silu_of(x: Array, out: Array | None = None) -> Array:
    y = one_and_exp_of_negative(x, out)
    return np.divide(x, y, out=y if y.ndim else None)


@public("nn.functional")
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)`` (Elfwing et al., 2017)"""
    if isinstance(input, Tensor) and input._array.dtype.kind == "c":
        return input.mul_(input.sigmoid()) if inplace else input * input.sigmoid()
    return _apply(_silu, inplace, input)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _mish_backward(grad, input),
    input=lambda grad, upstream, input: grad * upstream * _mish_second(input),
)
@elementwise
def _mish_backward(upstream: Array, input: Array) -> Array:
    t = _tanh_softplus(input)
    return upstream * (t + input * sigmoid_of(input) * (1 - t * t))


def _mish_second(x: Tensor) -> Tensor:
    s, t = x.sigmoid(), softplus(x).tanh()
    return (1 - t * t) * s * (2 + x * (1 - s) - 2 * x * t * s)


def _tanh_softplus(x: Array) -> Array:
    """``tanh(log(1 + e))`` is ``n / (n + 2)`` with ``n = e (e + 2)``, ``e = exp(x)``; 1 from 40 on."""
    e = np.exp(np.minimum(x, 40))
    n = e * (e + 2)
    return n / (n + 2)


@symmetric_in("input")
@op(input=lambda grad, input: _mish_backward(grad, input))
@elementwise
def _mish(input: Array) -> Array:
    return input * _tanh_softplus(real_floating(input, "mish_cpu"))


@public("nn.functional")
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra, 2019)"""
    return _apply(_mish, inplace, input)


# ------------------------------------------------------------------------------------------------ gelu


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _gelu_tanh_backward(grad, input),
    input=lambda grad, upstream, input: grad * upstream * _gelu_tanh_second(input),
)
def _gelu_tanh_backward(upstream: Array, input: Array) -> Array:
    return gelu_tanh_backward(upstream, input)


def _gelu_tanh_second(x: Tensor) -> Tensor:
    square = x * x
    t = (x * (1 + gelu_kernel.CUBIC * square) * gelu_kernel.TANH_SCALE).tanh()
    inner = (1 + 3 * gelu_kernel.CUBIC * square) * gelu_kernel.TANH_SCALE
    return (1 - t * t) * (inner + x * (3 * gelu_kernel.CUBIC * gelu_kernel.TANH_SCALE * x - t * inner * inner))


@symmetric_in("input")
@op(input=lambda grad, input: _gelu_tanh_backward(grad, input))
def _gelu_tanh(input: Array) -> Array:
    return gelu_tanh(input)


def _gelu_gradient(grads: Grads, input: Tensor, result: list[Tensor]) -> Tensor | None:
    if grads[0] is None:
        return None
    return _gelu_backward(grads[0], input, result[1].detach())


@linear_in("upstream")
@op(
    upstream=lambda grad, input, cdf: _gelu_backward(grad, input, cdf),
    input=lambda grad, upstream, input: (
        grad * upstream * (input * input * -0.5).exp() * (2 - input * input) * (1 / math.sqrt(2 * math.pi))
    ),
)
def _gelu_backward(upstream: Array, input: Array, cdf: Array) -> Array:
    """``upstream * (cdf + input * density)``; `cdf`, known from the forward, is not differentiated."""
    return gelu_backward(upstream, input, cdf)


@symmetric_in("input")
@op(input=_gelu_gradient)
def _gelu(input: Array) -> tuple[Array, Array]:
    """``input * cdf`` and, for the gradient, ``cdf``, the normal distribution's"""
    return gelu_and_cdf(input)


@public("nn.functional", out=True)
def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """``input * Phi(input)`` with the normal distribution's Phi (Hendrycks & Gimpel, 2016).

    `approximate` "tanh": ``0.5 * input * (1 + tanh(sqrt(2 / pi) * (input + 0.044715 * input**3)))``. RuntimeError if it is
    neither "none" nor "tanh".
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _gelu(input)[0] if approximate == "none" else _gelu_tanh(input)


@public("nn.functional")
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)`` of the two halves along `dim`. RuntimeError if its size is odd."""
    if not input.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    at = wrap_dim(dim, input.ndim)
    size = input._array.shape[at]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {at} is size {size}")
    real_floating(input._array, "glu_cpu")
    return input.narrow(at, 0, size // 2) * input.narrow(at, size // 2, size // 2).sigmoid()


# ------------------------------------------------------------------------------------------------ softmax


@linear_in("upstream")
@op(
    upstream=lambda grad, result_, dim: softmax_backward(grad, result_, dim),
    result_=lambda grad, upstream, result_, dim: (
        grad * (upstream - (upstream * result_).sum(dim, keepdim=True)) - upstream * (grad * result_).sum(dim, keepdim=True)
    ),
)
def softmax_backward(upstream: Array, result_: Array, dim: int) -> Array:
    """``(upstream - sum(upstream * softmax)) * softmax``"""
    return softmax_kernel.along(softmax_kernel.softmax_backward_rows, dim, upstream, result_)


@symmetric_in("input")
@op(input=lambda grad, result, dim: softmax_backward(grad, result, dim))
def _softmax(input: Array, dim: int) -> Array:
    last = dim == max(input.ndim - 1, 0)
    return softmax_kernel.along(
        softmax_kernel.softmax_rows, dim, real_floating(input, "softmax_lastdim_kernel_impl" if last else "softmax_kernel_impl")
    )


@linear_in("upstream")
@op(
    upstream=lambda grad, result_, dim: grad - (grad * result_.exp()).sum(dim, keepdim=True),
    result_=lambda grad, upstream, result_, dim: -grad * result_.exp() * upstream.sum(dim, keepdim=True),
)
def log_softmax_backward(upstream: Array, result_: Array, dim: int) -> Array:
    """``upstream - softmax * sum(upstream)``"""
    return softmax_kernel.along(softmax_kernel.log_softmax_backward_rows, dim, upstream, result_)


@op(input=lambda grad, result, dim: log_softmax_backward(grad, result, dim))
def _log_softmax(input: Array, dim: int) -> Array:
    last = dim == max(input.ndim - 1, 0)
    name = "log_softmax_lastdim_kernel_impl" if last else "softmax_kernel_impl"
    return softmax_kernel.along(softmax_kernel.log_softmax_rows, dim, real_floating(input, name))


@method("special", out=True)
def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """Positive weights that add up to 1 along `dim`, computed in `dtype` if it is given:
    ``out[i] = exp(input[i]) / sum(exp(input[j]), j)``

    Family: scan

    >>> torch.softmax(torch.tensor([[0.0, 0.0], [1.0, 3.0]]), 1)
    tensor([[0.5000, 0.5000],
            [0.1192, 0.8808]])
    """
    if dtype is not None:
        input = input.to(dtype)
    return _softmax(input, wrap_dim(dim, input.ndim))


@method("special", out=True)
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """The logarithm of `softmax`, without its underflow: ``out[i] = input[i] - log(sum(exp(input[j]), j))``

    Family: scan

    >>> torch.log_softmax(torch.tensor([0.0, -1000.0]), 0)
    tensor([    0., -1000.])
    """
    if dtype is not None:
        input = input.to(dtype)
    return _log_softmax(input, wrap_dim(dim, input.ndim))


def _implicit_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel + 1,
    )
    return 0 if ndim in (0, 1, 3) else 1


def _functional_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """``torch.softmax``; without `dim` it warns, and takes dimension 0 of 0-d, 1-d and 3-d tensors and 1 of others."""
    return softmax(input, _implicit_dim("softmax", input.ndim, _stacklevel) if dim is None else dim, dtype)


def _functional_log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """``torch.log_softmax``; without `dim` it warns, and takes dimension 0 of 0-d, 1-d and 3-d tensors and 1 of others."""
    return log_softmax(input, _implicit_dim("log_softmax", input.ndim, _stacklevel) if dim is None else dim, dtype)


public("nn.functional:softmax")(_functional_softmax)
public("nn.functional:log_softmax")(_functional_log_softmax)


@public("nn.functional")
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """``softmax(-input)``"""
    if dtype is not None and not isinstance(dtype, DType):
        raise TypeError(f"softmin(): argument 'dtype' must be torch.dtype, not {type_name(dtype)}")
    return softmax(-input, _implicit_dim("softmin", input.ndim, _stacklevel) if dim is None else dim, dtype)


@public("nn.functional")
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A draw from the Gumbel-softmax distribution (Jang et al., 2017): ``softmax((logits + gumbels) / tau)``.

    `hard`: one-hot, with the gradient of the soft draw.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -logits.detach().clone().exponential_().log()
    soft = softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    one_hot = soft.detach().new_zeros(soft.shape).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft


# ------------------------------------------------------------------------------------------------ names in place


for _function in (relu, elu, selu, celu, leaky_relu, hardtanh, threshold):
    namespace("nn.functional")[_function.__name__ + "_"] = in_place(_function)
for _function in (selu, celu):
    namespace("torch")[_function.__name__] = _function
for _function in (selu, celu, threshold):
    namespace("torch")[_function.__name__ + "_"] = in_place(_function)
