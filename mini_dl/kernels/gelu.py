"""The Gaussian error linear unit and its derivatives."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array, float32
from mini_dl.kernels.blocks import Scratch, computed_in, elementwise, in_slices, real_floating
from mini_dl.kernels.special import erf_array

# ------------------------------------------------------------------------------------------------ gelu


TANH_SCALE, CUBIC = math.sqrt(2 / math.pi), 0.044715


@elementwise
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


@elementwise
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


@elementwise
def gelu_backward(upstream: Array, input: Array, cdf: Array, out: Array | None = None) -> Array:
    """``upstream * (cdf + input * density)``; `cdf`, known from the forward, is not differentiated."""
    slope = np.multiply(input, input, out)
    slope *= -0.5
    slope = np.exp(slope, slope if slope.ndim else None)
    slope *= input
    slope *= 1 / math.sqrt(2 * math.pi)
    slope += cdf
    slope *= upstream
    return slope


def gelu_and_cdf(input: Array) -> tuple[Array, Array]:
    """``input * cdf`` and, for the gradient, ``cdf``, the normal distribution's"""
    x = real_floating(input, "GeluKernelImpl")
    x = np.ascontiguousarray(x, computed_in(x.dtype))
    out, cdf = np.empty(input.shape, x.dtype), np.empty(input.shape, x.dtype)
    flat, flat_out, flat_cdf = x.reshape(-1), out.reshape(-1), cdf.reshape(-1)

    def multiply(block: slice) -> None:
        _normal_cdf(flat[block], flat_cdf[block])
        np.multiply(flat[block], flat_cdf[block], flat_out[block])

    in_slices(multiply, flat.size)
    return out.astype(input.dtype, copy=False), cdf


# atanh(2 Phi(x) - 1) / x as a polynomial in x^2 up to 5.6^2: our own fit, weighted by the slope of tanh. Phi is then within
# 9.5e-8 in float32, which rounding alone would cost, at half the price of erf.
_CDF = (1.75621375e-09, -1.32264737e-07, 3.96476017e-06, -5.53062700e-05, -3.25948164e-05, 3.63330844e-02, 7.97884941e-01)
_FIRST, *_MIDDLE, _LAST, _LIMIT, _ONE, _HALF = [np.array(number, np.float32) for number in (*_CDF, 5.6**2, 1, 0.5)]
"""Arrays: numbers would be converted at each call."""


_SQUARE = Scratch()


def _normal_cdf(x: Array, out: Array) -> None:
    if x.dtype != float32.numpy:
        np.add(erf_array(x * math.sqrt(0.5)), 1, out)
        out *= 0.5
        return
    square = np.multiply(x, x, _SQUARE.of(x.shape, x.dtype))
    np.minimum(square, _LIMIT, out=square)
    np.multiply(square, _FIRST, out)
    for coefficient in _MIDDLE:
        np.add(out, coefficient, out)
        np.multiply(out, square, out)
    np.add(out, _LAST, out)
    np.multiply(out, x, out)
    np.tanh(out, out)
    np.add(out, _ONE, out)
    np.multiply(out, _HALF, out)
