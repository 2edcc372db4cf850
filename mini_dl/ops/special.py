"""Special functions: the error function, the gamma family, Bessel and Airy functions.

Kernels work on one-dimensional float64 arrays; `in_double` converts other types and shapes to and from these. Where no
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
    """The error function: ``out = 2 / sqrt(pi) * integral(exp(-t ** 2), t, 0, input)``

    >>> torch.erf(torch.tensor([0.0, 0.5, 3.0]))
    tensor([0.0000, 0.5205, 1.0000])
    """
    accept("erf_vml_cpu", "biuf", input)
    return erf_array(floating(input))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, input: grad * (-2 / math.sqrt(math.pi)) * (-input * input).exp())
def erfc(input: Array) -> Array:
    """``out = 1 - erf(input)``, accurate where that is small.

    >>> torch.erfc(torch.tensor([0.0, 5.0])), 1 - torch.erf(torch.tensor(5.0))
    (tensor([1.0000e+00, 1.5375e-12]), tensor(5.9605e-08))
    """
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
    """`erfc` without its decay: ``out = exp(input ** 2) * erfc(input)``

    >>> torch.special.erfcx(torch.tensor([0.0, 1.0, 100.0]))
    tensor([1.0000, 0.4276, 0.0056])
    """
    accept("erfcx_cpu", "biuf", input)
    return kernels.erfcx(floating(input))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, result: grad * (math.sqrt(math.pi) / 2) * (result * result).exp())
def erfinv(input: Array) -> Array:
    """The inverse of `erf`: ``erf(out) = input``; NaN outside [-1, 1].

    >>> torch.erfinv(torch.tensor([0.0, 0.5, 1.0]))
    tensor([0.0000, 0.4769,    inf])
    """
    accept("erfinv_vml_cpu", "biuf", input)
    return kernels.erfinv(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input: grad * (input * input * -0.5).exp() / math.sqrt(2 * math.pi))
def ndtr(input: Array) -> Array:
    """The distribution function of the standard normal distribution: ``out = (1 + erf(input / sqrt(2))) / 2``

    >>> torch.special.ndtr(torch.tensor([-1.96, 0.0, 1.96]))
    tensor([0.0250, 0.5000, 0.9750])
    """
    accept("ndtr_cpu", "biuf", input)
    return kernels.ndtr(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input: grad / erfcx(input * -math.sqrt(0.5)) * math.sqrt(2 / math.pi))
def log_ndtr(input: Array) -> Array:
    """``out = log(ndtr(input))``, accurate in the lower tail.

    >>> torch.special.log_ndtr(torch.tensor([0.0, -20.0]))
    tensor([  -0.6931, -203.9172])
    """
    accept("log_ndtr_cpu", "biuf", input)
    return kernels.log_ndtr(floating(input))


@public("special", out=True)
@unary(input=lambda grad, result: grad * math.sqrt(2 * math.pi) * (result * result * 0.5).exp())
def ndtri(input: Array) -> Array:
    """The quantiles of the standard normal distribution, the inverse of `ndtr`: ``ndtr(out) = input``; NaN outside [0, 1].

    >>> torch.special.ndtri(torch.tensor([0.025, 0.5, 0.975]))
    tensor([-1.9600,  0.0000,  1.9600])
    """
    accept("ndtri_cpu", "biuf", input)
    return kernels.ndtri(floating(input))


# ------------------------------------------------------------------------------------------------ entropy


@public("special", out=True)
@unary(input=lambda grad, input: grad * -(1 + input.log()))
def entr(input: Array) -> Array:
    """The term of an entropy: ``out = -input * log(input)``, 0 at 0, and -inf below.

    >>> torch.special.entr(torch.tensor([0.0, 0.5, 1.0, -1.0]))
    tensor([0.0000, 0.3466, 0.0000,   -inf])
    """
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
    """``out = input * log(1 + other)``; 0 where `input` is 0, unless `other` is NaN.

    Family: binary

    >>> torch.special.xlog1py(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 1e-10]))
    tensor([0.0000e+00, 2.0000e-10])
    """
    return product_with_log("xlog1py_cpu", np.log1p, input, other)


def _xlog1py_gradient(grad: Tensor, input: Any, other: Any) -> Tensor:
    return none_of_zero(xlog1py(grad, other), input, other <= -1)


# ------------------------------------------------------------------------------------------------ gamma


@method("special:gammaln", inplace=True, out=True)
@unary(input=lambda grad, input: grad * input.digamma())
def lgamma(input: Array) -> Array:
    """The logarithm of the gamma function: ``out = log(abs(gamma(input)))``

    Polynomials up to 10, Stirling's formula beyond, reflection below 0.

    >>> torch.lgamma(torch.tensor([1.0, 5.0, 0.5])), torch.log(torch.tensor(24.0))
    (tensor([0.0000, 3.1781, 0.5724]), tensor(3.1781))
    """
    accept("lgamma_cpu", "biuf", input)
    return kernels.lgamma(floating(input))


@method("special", "special:psi", inplace=True, out=True)
@unary(input=lambda grad, input: grad * _polygamma(1, input))
def digamma(input: Array) -> Array:
    """The derivative of log gamma: ``out = diff(log(gamma(input)), input)``

    >>> torch.digamma(torch.tensor([1.0, 2.0]))
    tensor([-0.5772,  0.4228])
    """
    accept("digamma", "biuf", input)
    return kernels.digamma(floating(input))


@public("special", out=True)
@binary(
    input=lambda grad: no_derivative("special_zeta"),
    other=lambda grad, input, other: _zeta_gradient(grad, input, other),
    promote=promote_floating,
)
def zeta(input: Array, other: Array) -> Array:
    """Hurwitz' zeta function, by the Euler-Maclaurin formula: ``out = sum(1 / (k + other) ** input, k)`` over k from 0.

    >>> torch.special.zeta(torch.tensor([2.0]), 1), torch.pi**2 / 6
    (tensor([1.6449]), 1.6449340668482264)
    """
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
    """The n-th derivative of `digamma`: ``out = (-1) ** (n + 1) * factorial(n) * zeta(n + 1, input)``

    Family: elementwise
    Raises: RuntimeError for a negative `n`.

    >>> torch.polygamma(1, torch.tensor([1.0, 2.0]))
    tensor([1.6449, 0.6449])
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return _polygamma(n, input)


def _polygamma_of(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of `digamma`: ``out = (-1) ** (n + 1) * factorial(n) * zeta(n + 1, self)``

    Family: elementwise
    Raises: RuntimeError for a negative `n`.

    >>> torch.tensor([1.0, 2.0]).polygamma(1)
    tensor([1.6449, 0.6449])
    """
    return polygamma(n, self)


public("Tensor:polygamma", inplace=True)(_polygamma_of)


@method("special:multigammaln", inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function: ``out = p * (p - 1) / 4 * log(pi) + sum(lgamma(input - j / 2), j)`` over
    ``0 <= j < p``

    Family: elementwise
    Raises: RuntimeError for `p` below 1.

    >>> torch.mvlgamma(torch.tensor([2.0, 3.0]), p=2)
    tensor([0.4516, 1.5502])
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
    """The regularized lower incomplete gamma function:
    ``out = 1 / gamma(input) * integral(t ** (input - 1) * exp(-t), t, 0, other)``

    By its series, or by a continued fraction for the upper one.

    >>> torch.igamma(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    tensor([0.6321, 0.2642])
    """
    accept("igamma_cpu", "f", input, other)
    return kernels.igamma(input, other)


@method("special:gammaincc", inplace=True, out=True)
@binary(
    input=lambda grad: no_derivative("igammac: input"),
    other=lambda grad, input, other: -grad * _igamma_slope(input, other),
    numbers="",
)
def igammac(input: Array, other: Array) -> Array:
    """The regularized upper incomplete gamma function: ``out = 1 - igamma(input, other)``, accurate where that is small.

    >>> torch.igammac(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 50.0]))
    tensor([3.6788e-01, 1.9287e-22])
    """
    accept("igammac_cpu", "f", input, other)
    return kernels.igammac(input, other)


# ------------------------------------------------------------------------------------------------ Bessel functions


_i0e, _i1e = in_double(kernels.i0e_kernel), in_double(kernels.i1e_kernel)
_i0 = in_double(lambda x: kernels.unscaled(kernels.i0e_kernel, x))
_i1 = in_double(lambda x: kernels.unscaled(kernels.i1e_kernel, x))


@method("special", inplace=True, out=True)
@unary(input=lambda grad, input: _i0_gradient(grad, input))
def i0(input: Array) -> Array:
    """The modified Bessel function of the first kind of order 0: ``out = sum((input / 2) ** (2 * k) / factorial(k) ** 2, k)``

    >>> torch.i0(torch.tensor([0.0, 1.0, 2.0]))
    tensor([1.0000, 1.2661, 2.2796])
    """
    accept("i0", "biuf", input)
    return _i0(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input, result: _i0e_gradient(grad, input, result))
def i0e(input: Array) -> Array:
    """`i0` without its growth: ``out = exp(-abs(input)) * i0(input)``

    >>> torch.special.i0e(torch.tensor([0.0, 1.0, 1000.0]))
    tensor([1.0000, 0.4658, 0.0126])
    """
    accept("i0e_cpu", "biuf", input)
    return _i0e(floating(input))


@public("special", out=True)
@unary(input=lambda grad, input, result: grad * where(abs(input) > 1e-16, i0(input) - result / _nonzero_or_one(input), 0.5))
def i1(input: Array) -> Array:
    """The modified Bessel function of the first kind of order 1:
    ``out = sum((input / 2) ** (2 * k + 1) / (factorial(k) * factorial(k + 1)), k)``

    >>> torch.special.i1(torch.tensor([0.0, 1.0, 2.0]))
    tensor([0.0000, 0.5652, 1.5906])
    """
    accept("i1_cpu", "biuf", input)
    return _i1(floating(input))


@public("special", out=True)
@unary(
    input=lambda grad, input, result: (
        grad * where(abs(input) > 1e-16, i0e(input) - result * (input.sgn() + _nonzero_or_one(input).reciprocal()), 0.5)
    )
)
def i1e(input: Array) -> Array:
    """`i1` without its growth: ``out = exp(-abs(input)) * i1(input)``

    >>> torch.special.i1e(torch.tensor([0.0, 1.0, 1000.0]))
    tensor([0.0000, 0.2079, 0.0126])
    """
    accept("i1e_cpu", "biuf", input)
    return _i1e(floating(input))


def _i0_gradient(grad: Tensor, input: Tensor) -> Tensor:
    return grad * i1(input)


def _i0e_gradient(grad: Tensor, input: Tensor, result: Tensor) -> Tensor:
    return grad * (i1e(input) - input.sgn() * result)


def _nonzero_or_one(input: Tensor) -> Tensor:
    return where(abs(input) > 1e-16, input, 1.0)


def _declare(name: str, kernel: Callable[..., Array], summary: str, shown: str) -> None:
    """A function of ``special`` without derivative; `shown` is what its example prints."""

    def forward(input: Array) -> Array:
        accept(f"{name}_cpu", "biuf", input)
        return kernel(floating(input))

    named(forward, name, f"{summary}\n\n{BESSEL}\n\n>>> torch.special.{name}(torch.tensor([0.5, 1.0, 5.0]))\ntensor({shown})")
    public("special", out=True)(unary()(forward))


BESSEL = """Raises: RuntimeError for complex numbers, and if a gradient is requested.
Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, chapters 9 and 10."""

_VALUES = {
    0: (
        "[ 0.9385,  0.7652, -0.1776]", "[-0.4445,  0.0883, -0.3085]", "[ 1.0635,  1.2661, 27.2399]",
        "[0.9244, 0.4210, 0.0037]", "[1.5241, 1.1445, 0.5478]",
    ),
    1: (
        "[ 0.2423,  0.4401, -0.3276]", "[-1.4715, -0.7812,  0.1479]", "[ 0.2579,  0.5652, 24.3356]",
        "[1.6564, 0.6019, 0.0040]", "[2.7310, 1.6362, 0.6003]",
    ),
}  # fmt: skip
for _order, _shown in _VALUES.items():
    _declare(
        f"bessel_j{_order}", in_double(functools.partial(kernels.j_kernel, _order)),
        f"The Bessel function of the first kind of order {_order}: "
        f"``out = integral(cos({_order} * t - input * sin(t)), t, 0, pi) / pi``",
        _shown[0],
    )  # fmt: skip
    _declare(
        f"bessel_y{_order}", in_double(functools.partial(kernels.y_kernel, _order)),
        f"The Bessel function of the second kind of order {_order}, that of the first times its logarithm near 0: "
        f"``J[{_order + 1}] * Y[{_order}] - J[{_order}] * Y[{_order + 1}] = 2 / (pi * input)``",
        _shown[1],
    )  # fmt: skip
    _declare(
        f"modified_bessel_i{_order}", (_i0, _i1)[_order],
        f"The modified Bessel function of the first kind of order {_order}: "
        f"``out = integral(exp(input * cos(t)) * cos({_order} * t), t, 0, pi) / pi``",
        _shown[2],
    )  # fmt: skip
    _declare(
        f"modified_bessel_k{_order}", in_double(functools.partial(kernels.k_kernel, _order, False)),
        f"The modified Bessel function of the second kind of order {_order}: "
        f"``out = integral(exp(-input * cosh(t)) * cosh({_order} * t), t, 0, inf)``",
        _shown[3],
    )  # fmt: skip
    _declare(
        f"scaled_modified_bessel_k{_order}", in_double(functools.partial(kernels.k_kernel, _order, True)),
        f"The modified Bessel function of the second kind of order {_order} without its decay: "
        f"``out = exp(input) * modified_bessel_k{_order}(input)``",
        _shown[4],
    )  # fmt: skip
_declare(
    "airy_ai", kernels.airy, "The Airy function Ai: ``out = integral(cos(t ** 3 / 3 + input * t), t, 0, inf) / pi``",
    "[2.3169e-01, 1.3529e-01, 1.0834e-04]",
)  # fmt: skip
_declare(
    "spherical_bessel_j0", kernels.spherical_j0, "The spherical Bessel function of order 0: ``out = sin(input) / input``",
    "[ 0.9589,  0.8415, -0.1918]",
)  # fmt: skip
