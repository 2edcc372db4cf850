"""Activation functions of ``nn.functional`` that are linear in pieces: they keep or scale the gradient by a mask."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from mini_dl._dtypes import FLOATING, HALVES, Array, Number, exact, limits_of, number_as, scalar_name
from mini_dl._surface import namespace, public
from mini_dl.autograd.formal import piecewise
from mini_dl.autograd.inplace import inplace as in_place, room_of, spares_copy
from mini_dl.autograd.primitive import linear_in, number_of, op, recorded_as, symmetric_in, unary
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.blocks import (
    CLIPPED,
    as_single,
    choose,
    computed_in,
    elementwise,
    keep,
    limited,
    real_floating,
    spread,
)
from mini_dl.ops.operands import masked, own_copy
from mini_dl.tensor import Tensor

made_in_place = functools.cache(in_place)


def in_range(input: Array | Tensor, *numbers: object, opmath: bool = True) -> None:
    """RuntimeError if one of the numbers is out of range for the kernel's type: that of `input` or, if it is `opmath`,
    of the computation."""
    if isinstance(input, Tensor) and (kind := input._array.dtype).kind in FLOATING:
        for number in numbers:
            if isinstance(number, (int, float)) and -60000 < number < 60000:  # fits every type
                continue
            plain = number._array.item() if isinstance(number, Tensor) else number
            number_as(plain, computed_in(kind) if opmath else kind)


def applied(primitive: Callable[..., Tensor], inplace: bool, input: Tensor, *args: object) -> Tensor:
    """``primitive(input, *args)``, written into `input` if `inplace`."""
    return (made_in_place(primitive) if inplace else primitive)(input, *args)


@public("torch:relu", "Tensor:relu", inplace=True)
@spares_copy
@piecewise("input")
@unary(input=lambda grad, result: masked(grad, result))
def _relu(input: Array) -> Array:
    """``out = max(input, 0)``

    Raises: RuntimeError for bool, NotImplementedError for complex tensors.
    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010, section 2.

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
    room = room_of(input)
    if input.size < CLIPPED:
        return np.maximum(input, zero, out=room)
    return spread(np.ndarray.clip, input, zero, _INFINITY[input.dtype], out=room)


_ZERO = {kind: np.zeros((), kind) for kind in (np.dtype(np.float32), np.dtype(np.float64))}
"""As an array: NumPy would convert a number in each call."""
_INFINITY = {kind: np.array(np.inf, kind) for kind in _ZERO}


@public("nn.functional")
@spares_copy
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = max(input, 0)``

    Shapes: (*) -> (*).
    Raises: RuntimeError for bool, NotImplementedError for complex tensors.
    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010, section 2.

    >>> F.relu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return made_in_place(_relu)(input) if inplace else _relu(input)


@linear_in("upstream")
@op(upstream=lambda grad, input, low, high, divisor, nan: _within(grad, input, low, high, divisor, nan))
def _within(upstream: Array, input: Array, low: float, high: float | None, divisor: float, nan: bool) -> Array:
    """``upstream / divisor`` where the input is between the limits, also where it is NaN if `nan`, else 0"""
    return _kept_within(upstream, input, low, high, divisor, nan)


@elementwise
def _kept_within(
    upstream: Array, input: Array, low: float, high: float | None, divisor: float, nan: bool, out: Array | None = None
) -> Array:
    if nan:
        beyond = np.asarray(input <= low)
        if high is not None:
            beyond |= input >= high
        inside = np.logical_not(beyond, beyond)
    else:
        inside = np.asarray(input > low)
        if high is not None:
            inside &= input < high
    if divisor != 1:
        upstream = out = np.asarray(np.divide(upstream, divisor, out))
    return keep(upstream, inside, out)


def _rounded(number: float, input: Tensor) -> float:
    """A number as it is in the type of `input`."""
    return float(as_single(number_as(number, input._array.dtype)))


@linear_in("upstream")
@op(upstream=lambda grad, input, limit: _beyond(grad, input, limit))
def _beyond(upstream: Array, input: Array, limit: float) -> Array:
    """`upstream` where the size of the input is not at the limit or below it, else 0"""
    return _kept_beyond(upstream, input, limit)


@elementwise
def _kept_beyond(upstream: Array, input: Array, limit: float, out: Array | None = None) -> Array:
    near = np.asarray(np.absolute(input, out) <= limit)
    return keep(upstream, np.logical_not(near, near), out)


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, threshold: _within(grad, input, threshold, None, 1, True))
def _threshold(input: Array, threshold: float, value: float) -> Array:
    if input.dtype.kind in "bc":
        raise NotImplementedError(f"\"threshold_cpu\" not implemented for '{scalar_name(input.dtype)}'")
    limit = number_as(threshold, computed_in(input.dtype))
    return _replaced(input, limit, number_as(value, input.dtype))


@elementwise
def _replaced(x: Array, limit: np.generic, value: np.generic, out: Array | None = None) -> Array:
    """`value` up to the limit, then the input"""
    return choose(np.asarray(x <= limit), x.dtype.type(value), x, out)


@public("nn.functional", "torch")
def threshold(input: Tensor, threshold: Number, value: Number, inplace: bool = False) -> Tensor:
    """``out = input if input > threshold else value``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for bool and complex tensors.

    >>> F.threshold(torch.tensor([0.2, 0.5, 0.7]), threshold=0.5, value=9.0)
    tensor([9.0000, 9.0000, 0.7000])
    """
    value = number_of("threshold", "value", value)
    in_range(input, value, opmath=False)
    return applied(_threshold, inplace, input, threshold, value)


@spares_copy
@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, min_val, max_val: _within(grad, input, min_val, max_val, 1, True))
def _hardtanh(input: Array, min_val: int | float, max_val: int | float) -> Array:
    if input.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype.kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    if input.dtype.kind == "u" and (min_val < 0 or max_val < 0):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    room = room_of(input) if input.dtype.kind in FLOATING else None
    return limited(input, number_as(min_val, input.dtype), number_as(max_val, input.dtype), room)


@public("nn.functional")
@spares_copy
def hardtanh(input: Tensor, min_val: int | float = -1.0, max_val: int | float = 1.0, inplace: bool = False) -> Tensor:
    """``out = min(max(input, min_val), max_val)``

    Shapes: (*) -> (*).
    Raises: ValueError if `min_val` exceeds `max_val`; RuntimeError for bool tensors.
    Source: Collobert, Large scale machine learning, 2004.

    >>> F.hardtanh(torch.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    in_range(input, min_val, max_val, opmath=False)
    return applied(_hardtanh, inplace, input, min_val, max_val)


@public("nn.functional")
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = min(max(input, 0), 6)``

    Shapes: (*) -> (*).
    Raises: RuntimeError for bool tensors.
    Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.

    >>> F.relu6(torch.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """
    return applied(_hardtanh, inplace, input, 0, 6)


@linear_in("upstream")
@op(upstream=lambda grad, input, slope: _leaky_slope(grad, input, slope))
def _leaky_slope(upstream: Array, input: Array, slope: float) -> Array:
    return _scaled_below(upstream, input, slope)


@elementwise
def _scaled_below(upstream: Array, input: Array, slope: float, out: Array | None = None) -> Array:
    """`upstream` where the input is positive, else ``upstream * slope``"""
    mask, scale = np.asarray(input > 0), upstream.dtype.type(slope)
    out = np.empty_like(upstream) if out is None else out
    if 0 <= slope <= 1:
        factor = mask.astype(upstream.dtype)
        return np.multiply(upstream, limited(factor, scale, math.inf, factor), out)
    scaled = np.multiply(upstream, scale, out)
    return choose(np.logical_not(mask, mask), scaled, upstream, scaled)


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, negative_slope: _leaky_slope(grad, input, negative_slope))
def _leaky_relu(input: Array, negative_slope: float) -> Array:
    kind = real_floating(input, "leaky_relu_cpu").dtype
    slope = number_as(negative_slope, computed_in(kind))
    if kind.char in HALVES:
        slope = exact(slope)
    elif 0 < slope <= 1:
        return spread(_larger_or_scaled, input, slope)
    scaled = input * slope
    return choose(np.asarray(input > 0), input, scaled)


def _larger_or_scaled(input: Array, slope: float | Array, out: Array | None = None) -> Array:
    scaled = np.multiply(input, slope, out)
    return np.maximum(input, scaled, out=own_copy(scaled))


@public("nn.functional")
def leaky_relu(input: Tensor, negative_slope: Number = 0.01, inplace: bool = False) -> Tensor:
    """``out = input if input > 0 else negative_slope * input``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013, section 2.

    >>> F.leaky_relu(torch.tensor([-1.0, 0.0, 2.0]), negative_slope=0.1)
    tensor([-0.1000,  0.0000,  2.0000])
    """
    negative_slope = number_of("leaky_relu", "negative_slope", negative_slope)
    return applied(_leaky_relu, inplace, input, negative_slope)


@op(
    upstream=lambda grad, input, weight: _prelu_slope(grad, input, weight),
    weight=lambda grad, upstream, input: masked(grad * upstream, ~(input > 0)),
)
def _prelu_slope(upstream: Array, input: Array, weight: Array) -> Array:
    return spread(_scaled_where_not_positive, upstream, input, weight)


def _scaled_where_not_positive(x: Array, input: Array, weight: Array, out: Array | None = None) -> Array:
    scaled, above = np.multiply(x, weight, out), np.asarray(input > 0)
    is_own = out is not None or (scaled.ndim and scaled.shape == above.shape)
    return choose(np.logical_not(above, above), np.asarray(scaled), x, scaled if is_own else None)


@recorded_as("PreluKernelBackward0")
@piecewise("input", "weight")
@op(
    input=lambda grad, input, weight: _prelu_slope(grad, input, weight),
    weight=lambda grad, input: masked(grad * input, ~(input > 0)),
)
def _prelu(input: Array, weight: Array) -> Array:
    if weight.size and np.min(weight) > 0 and np.max(weight) <= 1:  # also for infinite numbers
        return spread(_larger_or_scaled, real_floating(input, "prelu_cpu"), weight)
    return spread(_scaled_where_not_positive, real_floating(input, "prelu_cpu"), input, weight)


@public("nn.functional", "torch", "Tensor")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``out[n, c] = input[n, c] if input[n, c] > 0 else weight[c] * input[n, c]``

    Shapes: input (N, C, *), weight (C) or (1) -> (N, C, *).
    Raises: RuntimeError if `weight` has neither one element nor one per channel, or not the dtype of `input`.
    Source: He et al., Delving deep into rectifiers, 2015, section 2.1.

    >>> F.prelu(torch.tensor([[-1.0, -1.0], [2.0, 2.0]]), weight=torch.tensor([0.1, 0.5]))
    tensor([[-0.1000, -0.5000],
            [ 2.0000,  2.0000]])
    """
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
@op(input=lambda grad, input, lambd: _beyond(grad, input, _rounded(lambd, input)))
@as_it_is
def hardshrink(input: Array, lambd: float = 0.5) -> Array:
    """``out = input if abs(input) > lambd else 0``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, 1994.

    >>> F.hardshrink(torch.tensor([-1.0, 0.3, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return _kept_beyond(real_floating(input, "hardshrink_cpu"), input, number_as(lambd, input.dtype))


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input, lambd: _beyond(grad, input, _rounded(lambd, input)))
def _softshrink(input: Array, lambd: float) -> Array:
    return _moved_to_zero(real_floating(input, "softshrink_check"), lambd)


@elementwise
def _moved_to_zero(x: Array, by: float, out: Array | None = None) -> Array:
    limit = x.dtype.type(by)
    near = limited(x, -limit, limit, out)
    return np.subtract(x, near, own_copy(near))


@public("nn.functional", out=True)
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``out = sign(input) * max(abs(input) - lambd, 0)``: toward 0 by `lambd`, but not past it.

    Shapes: (*) -> (*).
    Raises: RuntimeError if `lambd` is negative; NotImplementedError for integers.
    Source: Donoho, De-noising by soft-thresholding, 1995.

    >>> F.softshrink(torch.tensor([-1.0, 0.3, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    real_floating(np.empty(0, computed_in(input._array.dtype)), "softshrink_check")
    maximum = limits_of(input._array.dtype).max
    if not 0 <= lambd <= maximum:
        raise RuntimeError(
            f"lambda must be in range [0, {maximum:g}] for input dtype {scalar_name(input._array.dtype)}, but found {lambd}"
        )
    return _softshrink(input, lambd)


@piecewise("input")
@symmetric_in("input")
@op(input=lambda grad, input: _within(grad, input, -3, 3, 6, False))
def _hardsigmoid(input: Array) -> Array:
    return _ramp(real_floating(input, "hardsigmoid_cpu"), False)


@elementwise
def _ramp(x: Array, times_input: bool, out: Array | None = None) -> Array:
    """``min(max(x + 3, 0), 6) / 6``, or x times that"""
    y = np.add(x, 3, out)
    room = own_copy(y)
    y = limited(y, 0, 6, room)
    return np.divide(np.multiply(x, y, out=room) if times_input else y, 6, out=room)


@public("nn.functional")
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = min(max(input + 3, 0), 6) / 6``: a piecewise linear `sigmoid`.

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Howard et al., Searching for MobileNetV3, 2019, section 5.2.

    >>> F.hardsigmoid(torch.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return applied(_hardsigmoid, inplace, input)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _hardswish_backward(grad, input),
    input=lambda grad, upstream, input: _within(grad * upstream, input, -3, 3, 3, False),
)
def _hardswish_backward(upstream: Array, input: Array) -> Array:
    return _times_hardswish_slope(upstream, input)


@elementwise
def _times_hardswish_slope(upstream: Array, input: Array, out: Array | None = None) -> Array:
    slope = np.asarray(np.divide(input, 3, out))
    slope += slope.dtype.type(0.5)
    slope *= upstream
    low = np.asarray(input > -3)
    inner = keep(slope, low, slope)
    return choose(np.less(input, 3, low), inner, upstream, inner)


@symmetric_in("input")
@op(input=lambda grad, input: _hardswish_backward(grad, input))
def _hardswish(input: Array) -> Array:
    return _ramp(real_floating(input, "hardswish_cpu"), True)


@public("nn.functional")
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = input * min(max(input + 3, 0), 6) / 6``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Howard et al., Searching for MobileNetV3, 2019, section 5.2.

    >>> F.hardswish(torch.tensor([-4.0, -1.0, 2.0, 4.0]))
    tensor([-0.0000, -0.3333,  1.6667,  4.0000])
    """
    return applied(_hardswish, inplace, input)


# ------------------------------------------------------------------------------------------------ names in place


for _function in (relu, leaky_relu, hardtanh, threshold):
    namespace("nn.functional")[_function.__name__ + "_"] = in_place(_function)
namespace("torch")["threshold_"] = in_place(threshold)
