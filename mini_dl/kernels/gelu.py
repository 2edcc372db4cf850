"""The Gaussian error linear unit and its derivatives."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array, float32
from mini_dl.kernels.blocks import SLOW, Scratch, computed_in, elementwise, in_slices, real_floating, slow_elementwise
from mini_dl.kernels.halves import cast
from mini_dl.kernels.special import erf_array

# ------------------------------------------------------------------------------------------------ gelu


TANH_SCALE, CUBIC = math.sqrt(2 / math.pi), 0.044715


@slow_elementwise
def gelu_tanh_backward(upstream: Array, input: Array) -> Array:
    square = input * input
    t = square * (CUBIC * TANH_SCALE)
    t += TANH_SCALE
    t *= input
    t = np.tanh(t)
    square *= 3 * CUBIC * TANH_SCALE
    square += TANH_SCALE
    square *= 1 - t * t  # 0 before the cube of a large number would overflow
    square *= input
    square += t
    square += 1
    square *= 0.5
    square *= upstream
    return square


@slow_elementwise
def gelu_tanh(input: Array) -> Array:
    t = input * real_floating(input, "GeluKernelImpl")
    t *= CUBIC * TANH_SCALE
    t += TANH_SCALE
    t *= input
    t = np.tanh(t)
    t += 1
    t *= 0.5
    t *= input
    return t


def gelu(input: Array) -> Array:
    """``input * cdf`` with the normal distribution's `cdf`"""
    return _gelu(input, None)


def gelu_and_slope(input: Array) -> tuple[Array, Array]:
    """The same, and its derivative ``cdf + input * density``."""
    slope = np.empty(input.shape, computed_in(input.dtype))
    return _gelu(input, slope), slope


def _gelu(input: Array, slope: Array | None) -> Array:
    x = real_floating(input, "GeluKernelImpl")
    x = np.ascontiguousarray(cast(x, computed_in(x.dtype)))
    out = np.empty(input.shape, x.dtype)
    flat, flat_out, flat_slope = x.reshape(-1), out.reshape(-1), None if slope is None else slope.reshape(-1)
    compute = _in_single if x.dtype == float32.numpy else _in_double
    in_slices(
        lambda block: compute(flat[block], flat_out[block], None if flat_slope is None else flat_slope[block]), flat.size, 1, SLOW
    )
    return cast(out, input.dtype)


# (1 - Phi(x)) exp(x^2 / 2) for x >= 0 as a polynomial in 1 / (x + 3.2) - 0.22569444, which is small where it matters: our own
# fit, weighted by the exponential. Phi is then within 1.3e-8; float32 rounds it to 1.2e-7. The exponential is also the density.
_TAIL = (-46.4146251, 7.18859845, 17.8158120, 8.48042138, 2.20450409, 0.232902420)
_FIRST, *_MIDDLE, _LAST, _SHIFT, _CENTER, _HALF, _MINUS_HALF, _DENSITY = [
    np.array(number, np.float32) for number in (*_TAIL, 3.2, 0.22569444, 0.5, -0.5, 1 / math.sqrt(2 * math.pi))
]
"""Arrays: numbers would be converted at each call."""
_SIGN = np.array(-(2**31), np.int32)
_SCRATCH = Scratch()


def _in_single(x: Array, out: Array, slope: Array | None) -> None:
    u, tail = _SCRATCH.of((2, x.size), x.dtype)
    np.absolute(x, u)
    np.add(u, _SHIFT, u)
    np.reciprocal(u, u)
    np.subtract(u, _CENTER, u)
    np.multiply(u, _FIRST, tail)
    for coefficient in _MIDDLE:
        np.add(tail, coefficient, tail)
        np.multiply(tail, u, tail)
    np.add(tail, _LAST, tail)
    np.multiply(x, x, u)
    np.multiply(u, _MINUS_HALF, u)
    bell = np.exp(u, u)
    np.multiply(tail, bell, tail)
    cdf = np.subtract(_HALF, tail, tail)
    bits = cdf.view(np.int32)  # 0.5 + sign(x) * (0.5 - tail)
    np.bitwise_or(bits, np.bitwise_and(x.view(np.int32), _SIGN, out.view(np.int32)), bits)
    np.add(cdf, _HALF, cdf)
    np.multiply(x, cdf, out)
    if slope is None:
        return
    np.multiply(bell, x, slope)
    np.multiply(slope, _DENSITY, slope)
    np.add(slope, cdf, slope)


def _in_double(x: Array, out: Array, slope: Array | None) -> None:
    cdf = erf_array(x * math.sqrt(0.5))
    cdf += 1
    cdf *= 0.5
    np.multiply(x, cdf, out)
    if slope is None:
        return
    np.multiply(x, x, slope)
    slope *= -0.5
    np.exp(slope, slope)
    slope *= x
    slope *= 1 / math.sqrt(2 * math.pi)
    slope += cdf


@elementwise
def gelu_backward(upstream: Array, slope: Array, out: Array | None = None) -> Array:
    return np.multiply(upstream, slope, out)
