"""Special functions: the error function, the gamma family, Bessel and Airy functions.

Kernels are written for one-dimensional float64 arrays; `in_double` converts other types and shapes there and back. Where no
closed form or series is available, they are polynomials in a variable that makes the function smooth (`special_tables`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, floating
from mini_dl._surface import method, named, public
from mini_dl.autograd.primitive import binary, op, symmetric_in, unary
from mini_dl.kernels import special as kernels
from mini_dl.kernels.special import erf_array, in_double
from mini_dl.ops.choice import where
from mini_dl.ops.operands import accept, both_floating, promote_floating
from mini_dl.ops.powers import none_of_zero, product_with_log, times_log
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ error function


@method("special", inplace=True, out=True)
@unary(input=lambda grad, input: grad * (2 / math.sqrt(math.pi)) * (-input * input).exp())
def erf(input: Array) -> Array:
    """``2 / sqrt(pi) * integral of exp(-t^2) from 0 to input``"""
    accept("erf_vml_cpu", "biuf", input)
    return erf_array(floating(input))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, input: grad * (-2 / math.sqrt(math.pi)) * (-input * input).exp())
def erfc(input: Array) -> Array:
    """``1 - erf(input)``, accurate where that is small."""
    accept("erfc_cpu", "biuf", input)
    return kernels.erfc(floating(input))


@unary(input=lambda grad, input, result: _erfcx_second(grad, input, result))
def _erfcx_slope(input: Array) -> Array:
    """The derivative of erfcx, in float64 because its terms cancel for large `input`."""
    x = input.astype(np.float64)
    return (2 * x * kernels.erfcx(x) - 2 / math.sqrt(math.pi)).astype(input.dtype)


def _erfcx_second(grad: Tensor, input: Tensor, slope: Tensor) -> Tensor:
    return grad * (2 * erfcx(input) + 2 * input * slope)


@public("special", out=True)
@unary(input=lambda grad, input: grad * _erfcx_slope(input))
def erfcx(input: Array) -> Array:
    """``exp(input^2) * erfc(input)``"""
    accept("erfcx_cpu", "biuf", input)
    return kernels.erfcx(floating(input))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, result: grad * (math.sqrt(math.pi) / 2) * (result * result).exp())
def erfinv(input: Array) -> Array:
    """The x with ``erf(x) = input``; NaN outside [-1, 1]."""
    accept("erfinv_vml_cpu", "biuf", input)
    return kernels.erfinv(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input: grad * (input * input * -0.5).exp() / math.sqrt(2 * math.pi))
def ndtr(input: Array) -> Array:
    """The distribution function of the standard normal distribution."""
    accept("ndtr_cpu", "biuf", input)
    return kernels.ndtr(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input: grad / erfcx(input * -math.sqrt(0.5)) * math.sqrt(2 / math.pi))
def log_ndtr(input: Array) -> Array:
    """``log(ndtr(input))``, accurate in the lower tail."""
    accept("log_ndtr_cpu", "biuf", input)
    return kernels.log_ndtr(floating(input))


@public("special", out=True)
@unary(input=lambda grad, result: grad * math.sqrt(2 * math.pi) * (result * result * 0.5).exp())
def ndtri(input: Array) -> Array:
    """The x with ``ndtr(x) = input``; NaN outside [0, 1]."""
    accept("ndtri_cpu", "biuf", input)
    return kernels.ndtri(floating(input))


# ------------------------------------------------------------------------------------------------ entropy


@public("special", out=True)
@unary(input=lambda grad, input: grad * -(1 + input.log()))
def entr(input: Array) -> Array:
    """``-input * log(input)``; 0 at 0, minus infinity below."""
    accept("entr_cpu", "biuf", input)
    input = floating(input)
    product = 0 - times_log(input, input, np.log(input))
    return np.where(input < 0, input.dtype.type(-np.inf), product)


@public("special", out=True)
@binary(
    input=lambda grad, input, other: _xlog1py_gradient(grad, input, other),
    other=lambda grad, input, other: grad * input / (other + 1),
    promote=promote_floating,
)
def xlog1py(input: Array, other: Array) -> Array:
    """``input * log(1 + other)``; 0 where `input` is 0, unless `other` is NaN."""
    return product_with_log("xlog1py_cpu", np.log1p, input, other)


def _xlog1py_gradient(grad: Tensor, input: Any, other: Any) -> Tensor:
    return none_of_zero(xlog1py(grad, other), input, other <= -1)


# ------------------------------------------------------------------------------------------------ gamma


@method("special:gammaln", inplace=True, out=True)
@unary(input=lambda grad, input: grad * input.digamma())
def lgamma(input: Array) -> Array:
    """``log |gamma(input)|``: polynomials up to 10, Stirling's formula beyond, reflection below 0."""
    accept("lgamma_cpu", "biuf", input)
    return kernels.lgamma(floating(input))


@method("special", "special:psi", inplace=True, out=True)
@unary(input=lambda grad, input: grad * _polygamma(1, input))
def digamma(input: Array) -> Array:
    """The derivative of log gamma."""
    accept("digamma", "biuf", input)
    return kernels.digamma(floating(input))


@public("special", out=True)
@binary(input=lambda grad: no_derivative("special_zeta"), other=lambda grad, input, other: _zeta_gradient(grad, input, other))
def zeta(input: Array, other: Array) -> Array:
    """Hurwitz' zeta function: the sum of ``(k + other) ** -input`` over k from 0, by the formula of Euler and Maclaurin."""
    accept("zeta_cpu", "biuf", input, other)
    if "e" in [v.dtype.char for v in (input, other) if isinstance(v, np.ndarray)]:
        raise NotImplementedError("\"zeta_cpu\" not implemented for 'Half'")
    input, other = both_floating(input, other)
    return kernels.zeta(input, other)


def _zeta_gradient(grad: Tensor, input: Any, other: object) -> Tensor:
    return grad * -input * zeta(input + 1, other)


def no_derivative(name: str) -> Any:
    raise NotImplementedError(f"the derivative for '{name}' is not implemented.")


@symmetric_in("input")
@op(input=lambda grad, n, input: grad * _polygamma(n + 1, input))
def _polygamma(n: int, input: Array) -> Array:
    accept("polygamma", "biuf", input)
    input = floating(input)
    if n == 0:
        return kernels.digamma(input)
    if n == 1:
        return kernels.trigamma(input)
    size = math.factorial(n) if n <= 170 else math.inf
    return kernels.zeta(input.dtype.type(n + 1), input) * input.dtype.type(size if n % 2 else -size)


@public("torch", "special", out=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma: ``(-1)^(n+1) n! zeta(n + 1, input)``. RuntimeError for a negative `n`."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return _polygamma(n, input)


def _polygamma_of(self: Tensor, n: int) -> Tensor:
    return polygamma(n, self)


public("Tensor:polygamma", inplace=True)(_polygamma_of)


@method("special:multigammaln", inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function:
    ``p (p - 1) / 4 log(pi) + sum of lgamma(input - j / 2) over j < p``. RuntimeError for `p` below 1.
    """
    if input._array.dtype.kind == "b":
        raise RuntimeError(f"mvlgamma: The input tensor may not be {input.dtype}")
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, but got {p}")
    accept("mvlgamma", "iuf", input._array)
    total = lgamma(input)
    for j in range(1, p):
        total = total + lgamma(input - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


# ------------------------------------------------------------------------------------------------ incomplete gamma


def _igamma_slope(input: Any, other: Tensor) -> Tensor:
    """The density of the gamma distribution."""
    return ((input - 1) * other.log() - other - lgamma(input)).exp()


@method("special:gammainc", inplace=True, out=True)
@binary(
    input=lambda grad: no_derivative("igamma: input"),
    other=lambda grad, input, other: grad * _igamma_slope(input, other),
    numbers="",
)
def igamma(input: Array, other: Array) -> Array:
    """The regularized lower incomplete gamma function P(input, other), by its series or by a continued fraction for 1 - P."""
    accept("igamma_cpu", "f", input, other)
    return kernels.igamma(input, other)


@method("special:gammaincc", inplace=True, out=True)
@binary(
    input=lambda grad: no_derivative("igammac: input"),
    other=lambda grad, input, other: -grad * _igamma_slope(input, other),
    numbers="",
)
def igammac(input: Array, other: Array) -> Array:
    """The regularized upper incomplete gamma function, ``1 - igamma(input, other)``."""
    accept("igammac_cpu", "f", input, other)
    return kernels.igammac(input, other)


# ------------------------------------------------------------------------------------------------ Bessel functions


_i0e, _i1e = in_double(kernels.i0e_kernel), in_double(kernels.i1e_kernel)
_i0 = in_double(lambda x: kernels.unscaled(kernels.i0e_kernel, x))
_i1 = in_double(lambda x: kernels.unscaled(kernels.i1e_kernel, x))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, input: _i0_gradient(grad, input))
def i0(input: Array) -> Array:
    """The modified Bessel function of the first kind of order 0."""
    accept("i0", "biuf", input)
    return _i0(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input, result: _i0e_gradient(grad, input, result))
def i0e(input: Array) -> Array:
    """``exp(-|input|) * i0(input)``"""
    accept("i0e_cpu", "biuf", input)
    return _i0e(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input, result: grad * where(abs(input) > 1e-16, i0(input) - result / _away_from_0(input), 0.5))
def i1(input: Array) -> Array:
    """The modified Bessel function of the first kind of order 1."""
    accept("i1_cpu", "biuf", input)
    return _i1(floating(input))


@public("special", out=True)
@unary(
    input=lambda grad, input, result: (
        grad * where(abs(input) > 1e-16, i0e(input) - result * (input.sgn() + _away_from_0(input).reciprocal()), 0.5)
    )
)
def i1e(input: Array) -> Array:
    """``exp(-|input|) * i1(input)``"""
    accept("i1e_cpu", "biuf", input)
    return _i1e(floating(input))


def _i0_gradient(grad: Tensor, input: Tensor) -> Tensor:
    return grad * i1(input)


def _i0e_gradient(grad: Tensor, input: Tensor, result: Tensor) -> Tensor:
    return grad * (i1e(input) - input.sgn() * result)


def _away_from_0(input: Tensor) -> Tensor:
    return where(abs(input) > 1e-16, input, 1.0)


def _declare(name: str, kernel: Callable[..., Array], summary: str) -> None:
    """A function of ``special`` without derivative."""

    def forward(input: Array) -> Array:
        accept(f"{name}_cpu", "biuf", input)
        return kernel(floating(input))

    named(forward, name, summary)
    public("special", out=True)(unary()(forward))


for _order in (0, 1):
    _declare(
        f"bessel_j{_order}", in_double(functools.partial(kernels.j_kernel, _order)), f"The Bessel function J of order {_order}."
    )
    _declare(
        f"bessel_y{_order}", in_double(functools.partial(kernels.y_kernel, _order)), f"The Bessel function Y of order {_order}."
    )
    _declare(f"modified_bessel_i{_order}", (_i0, _i1)[_order], f"The modified Bessel function I of order {_order}.")
    _declare(
        f"modified_bessel_k{_order}",
        in_double(functools.partial(kernels.k_kernel, _order, False)),
        f"The modified Bessel function K of order {_order}.",
    )
    _declare(
        f"scaled_modified_bessel_k{_order}",
        in_double(functools.partial(kernels.k_kernel, _order, True)),
        f"``exp(input)`` times the modified Bessel function K of order {_order}.",
    )
_declare("airy_ai", kernels.airy, "The Airy function Ai.")
_declare("spherical_bessel_j0", kernels.spherical_j0, "``sin(input) / input``, the spherical Bessel function of order 0.")
