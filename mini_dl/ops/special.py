"""Special functions: the error function, gamma and its relatives, Bessel and Airy functions.

Kernels are written for float64 over one-dimensional arrays; `in_double` brings other types and shapes there and back. Where no
closed form or series is at hand, they are polynomials in a variable that makes the function smooth (`special_tables`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, floating
from mini_dl._surface import public
from mini_dl.autograd.primitive import binary, op, unary
from mini_dl.kernels import special_tables as table
from mini_dl.kernels.blocks import elementwise
from mini_dl.ops.pointwise import _times_log, accept, both_floating, promote_floating, where
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ tools

BLOCK = 8192


def in_double(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` for arrays of any shape and floating type (broadcast against each other), computed in float64 block by block."""

    @functools.wraps(kernel)
    def run(*operands: Any) -> Array:
        given = next(operand for operand in operands if isinstance(operand, np.ndarray))
        flat = [a.reshape(-1) for a in np.broadcast_arrays(*operands)]
        out = np.empty(np.broadcast_shapes(*map(np.shape, operands)), given.dtype)
        flat_out = out.reshape(-1)
        for i in range(0, flat_out.size, BLOCK):
            flat_out[i : i + BLOCK] = kernel(*[a[i : i + BLOCK].astype(np.float64) for a in flat])
        return out

    return run


def piecewise(x: Array, *cases: tuple[Array, Callable[[Array], Array]]) -> Array:
    """``f(x)`` where the mask of each (mask, f) says so; NaN where none does."""
    out = np.full_like(x, np.nan)
    for mask, f in cases:
        at = np.flatnonzero(mask)  # taking and putting by index is five times as fast as by mask
        if at.size == x.size:
            return f(x)
        if at.size:
            out[at] = f(x.take(at))
    return out


def horner(t: Array, coefficients: tuple[float, ...]) -> Array:
    """The polynomial in t with these coefficients, the highest power first."""
    y = t * coefficients[0]
    for c in coefficients[1:-1]:
        y += c
        y *= t
    y += coefficients[-1]
    return y


def fitted(coefficients: tuple[float, ...], a: float, b: float, x: Array) -> Array:
    """The polynomial for a function over [a, b] at x."""
    return horner((x - a) * (2 / (b - a)) - 1, coefficients)


# ------------------------------------------------------------------------------------------------ error function

_ERF_P = (1.98679431e-06, 0.000284562649, 0.00388322905, 0.0531013933, 0.193542476, 1.12837914)
_ERF_Q = (3.74201268e-05, 0.00118554192, 0.0152070232, 0.115348921, 0.50485511, 1.0)


@elementwise
def _erf_single(x: Array) -> Array:
    """erf in float32, ``x P(x^2) / Q(x^2)``: at most 6 ULP off."""
    x = np.minimum(np.maximum(x, np.float32(-4)), np.float32(4))
    square = x * x
    y = horner(square, _ERF_P)
    y *= x
    y /= horner(square, _ERF_Q)
    y = np.minimum(y, np.float32(1), out=y if y.ndim else None)
    return np.maximum(y, np.float32(-1), out=y if y.ndim else None)


def _bell(x: Array) -> Array:
    """``exp(-x^2)``, the rounding error of the square made good."""
    x = np.minimum(np.absolute(x), 30.0)
    high = x.astype(np.float32).astype(np.float64)
    return np.exp(-high * high) * np.exp((high - x) * (high + x))


def _erfcx_positive(x: Array) -> Array:
    """``(1 + 2x) erfcx(x)`` is smooth in (x - k) / (x + k) up to infinity (Shepherd and Laframboise 1981)."""
    return horner(1 - 7.5 / (x + 3.75), table.ERFCX) / (1 + 2 * x)


def _erf_inner(x: Array) -> Array:
    return x * fitted(table.ERF, 0, 1, x * x)


def _erfc_positive(x: Array) -> Array:
    return _bell(x) * _erfcx_positive(x)


@in_double
def _erf_double(x: Array) -> Array:
    size = np.absolute(x)
    return piecewise(x, (size < 1, _erf_inner), (size >= 1, lambda x: np.copysign(1 - _erfc_positive(np.absolute(x)), x)))


def erf_array(x: Array) -> Array:
    """erf of a floating point array: fast in float32, to the last digits in float64."""
    return _erf_double(x) if x.dtype.char == "d" else _erf_single(x)


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, input: grad * (2 / math.sqrt(math.pi)) * (-input * input).exp())
def erf(input: Array) -> Array:
    """``2 / sqrt(pi) * integral of exp(-t^2) from 0 to input``"""
    accept("erf_vml_cpu", "biuf", input)
    return erf_array(floating(input))


@in_double
def _erfc(x: Array) -> Array:
    return piecewise(
        x,
        (x < -1, lambda x: 2 - _erfc_positive(-x)),
        ((x >= -1) & (x < 0.5), lambda x: 1 - _erf_inner(x)),
        (x >= 0.5, _erfc_positive),
    )


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, input: grad * (-2 / math.sqrt(math.pi)) * (-input * input).exp())
def erfc(input: Array) -> Array:
    """``1 - erf(input)``, accurate where that is small."""
    accept("erfc_cpu", "biuf", input)
    return _erfc(floating(input))


@in_double
def _erfcx(x: Array) -> Array:
    return piecewise(x, (x >= 0, _erfcx_positive), (x < 0, lambda x: 2 / _bell(x) - _erfcx_positive(-x)))


@unary(input=lambda grad, input, result: _erfcx_second(grad, input, result))
def _erfcx_slope(input: Array) -> Array:
    """The derivative of erfcx. Its terms cancel for large `input`: hence in float64."""
    x = input.astype(np.float64)
    return (2 * x * _erfcx(x) - 2 / math.sqrt(math.pi)).astype(input.dtype)


def _erfcx_second(grad: Tensor, input: Tensor, slope: Tensor) -> Tensor:
    return grad * (2 * erfcx(input) + 2 * input * slope)


@public("special", out=True)
@unary(input=lambda grad, input: grad * _erfcx_slope(input))
def erfcx(input: Array) -> Array:
    """``exp(input^2) * erfc(input)``"""
    accept("erfcx_cpu", "biuf", input)
    return _erfcx(floating(input))


def _erfcinv_small(p: Array) -> Array:
    """The x with ``erfc(x) = p``, for p up to 1/4: ``x / s`` is smooth in ``s = sqrt(-log p)``."""
    s = np.sqrt(-np.log(p))
    return s * piecewise(
        s,
        (s <= 6.25, lambda s: fitted(table.ERFCINV_NEAR, 1.17, 6.25, s)),
        (s > 6.25, lambda s: fitted(table.ERFCINV_FAR, 1 / 27.5, 1 / 6.25, 1 / s)),
    )


@in_double
def _erfinv(x: Array) -> Array:
    size = np.absolute(x)
    return piecewise(
        x,
        (size <= 0.75, lambda x: x * fitted(table.ERFINV, 0, 0.5625, x * x)),
        ((size > 0.75) & (size < 1), lambda x: np.copysign(_erfcinv_small(1 - np.absolute(x)), x)),
        (size == 1, lambda x: x * np.inf),
    )


@public("torch", "Tensor", "special", inplace_too=True, out=True)
@unary(input=lambda grad, result: grad * (math.sqrt(math.pi) / 2) * (result * result).exp())
def erfinv(input: Array) -> Array:
    """The x with ``erf(x) = input``; NaN outside [-1, 1]."""
    accept("erfinv_vml_cpu", "biuf", input)
    return _erfinv(floating(input))


@in_double
def _ndtr(x: Array) -> Array:
    x = x * math.sqrt(0.5)
    return piecewise(
        x,
        (x < -1, lambda x: 0.5 * _erfc_positive(-x)),
        (np.absolute(x) <= 1, lambda x: 0.5 + 0.5 * _erf_inner(x)),
        (x > 1, lambda x: 1 - 0.5 * _erfc_positive(x)),
    )


@public("special", out=True)
@unary(input=lambda grad, input: grad * (input * input * -0.5).exp() / math.sqrt(2 * math.pi))
def ndtr(input: Array) -> Array:
    """The distribution function of the standard normal distribution."""
    accept("ndtr_cpu", "biuf", input)
    return _ndtr(floating(input))


@in_double
def _log_ndtr(x: Array) -> Array:
    x = x * math.sqrt(0.5)
    return piecewise(
        x,
        (x < -1, lambda x: np.log(0.5 * _erfcx_positive(-x)) - x * x),
        (np.absolute(x) <= 1, lambda x: np.log1p(-0.5 * (1 - _erf_inner(x)))),
        (x > 1, lambda x: np.log1p(-0.5 * _erfc_positive(x))),
    )


@public("special", out=True)
@unary(input=lambda grad, input: grad / erfcx(input * -math.sqrt(0.5)) * math.sqrt(2 / math.pi))
def log_ndtr(input: Array) -> Array:
    """``log(ndtr(input))``, accurate in the lower tail."""
    accept("log_ndtr_cpu", "biuf", input)
    return _log_ndtr(floating(input))


@in_double
def _ndtri(p: Array) -> Array:
    tail = np.minimum(p, 1 - p)
    return math.sqrt(2) * piecewise(
        p,
        (tail > 0.125, lambda p: (2 * p - 1) * fitted(table.ERFINV, 0, 0.5625, (2 * p - 1) ** 2)),
        ((p > 0) & (p <= 0.125), lambda p: -_erfcinv_small(2 * p)),
        ((p < 1) & (p >= 0.875), lambda p: _erfcinv_small(2 * (1 - p))),
        (tail == 0, lambda p: (2 * p - 1) * np.inf),
    )


@public("special", out=True)
@unary(input=lambda grad, result: grad * math.sqrt(2 * math.pi) * (result * result * 0.5).exp())
def ndtri(input: Array) -> Array:
    """The x with ``ndtr(x) = input``; NaN outside [0, 1]."""
    accept("ndtri_cpu", "biuf", input)
    return _ndtri(floating(input))


# ------------------------------------------------------------------------------------------------ entropy


@public("special", out=True)
@unary(input=lambda grad, input: grad * -(1 + input.log()))
def entr(input: Array) -> Array:
    """``-input * log(input)``; 0 at 0, minus infinity below."""
    accept("entr_cpu", "biuf", input)
    input = floating(input)
    product = 0 - _times_log(input, input, np.log(input))
    return np.where(input < 0, input.dtype.type(-np.inf), product)


@public("special", out=True)
@binary(
    input=lambda grad, input, other: _xlog1py_gradient(grad, input, other),
    other=lambda grad, input, other: grad * input / (other + 1),
    promote=promote_floating,
)
def xlog1py(input: Array, other: Array) -> Array:
    """``input * log(1 + other)``; 0 where `input` is 0, unless `other` is NaN."""
    accept("xlog1py_cpu", "biuf", input, other)
    input, other = both_floating(input, other)
    return _times_log(input, other, np.log1p(other, dtype=input.dtype if isinstance(input, np.ndarray) else None))


def _xlog1py_gradient(grad: Tensor, input: Any, other: Any) -> Tensor:
    slope = xlog1py(grad, other)
    return slope.masked_fill((input == 0) & (other <= -1), 0.0) if isinstance(input, Tensor) or input == 0 else slope


# ------------------------------------------------------------------------------------------------ gamma

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def _stirling(x: Array) -> Array:
    """What Stirling's formula for log gamma lacks, for x from 10 on."""
    return horner(1 / (x * x), _STIRLING[::-1]) / x


def _log_gamma_positive(x: Array) -> Array:
    return piecewise(
        x,
        ((x > 0) & (x < 0.5), lambda x: x * (x - 1) * fitted(table.LGAMMA_ROOTS, 0.5, 3, x + 1) - np.log(x)),
        ((x >= 0.5) & (x < 3), lambda x: (x - 1) * (x - 2) * fitted(table.LGAMMA_ROOTS, 0.5, 3, x) + 0.0),
        ((x >= 3) & (x < 10), lambda x: fitted(table.LGAMMA, 3, 10, x)),
        (x >= 10, lambda x: (x - 0.5) * (np.log(x) - 1) + (0.5 * math.log(2 * math.pi) - 0.5) + _stirling(x)),
    )


def _sine_of_pi(x: Array) -> Array:
    """``|sin(pi x)|``, exactly 0 at integers."""
    return np.sin(np.pi * np.absolute(x - np.rint(x)))


@in_double
def _lgamma(x: Array) -> Array:
    return piecewise(
        x,
        (x > 0, _log_gamma_positive),
        ((x < 0) & (np.absolute(x) < 1e300), lambda x: np.log(np.pi / (_sine_of_pi(x) * -x)) - _log_gamma_positive(-x)),
        ((x == 0) | (x <= -1e300), lambda x: np.full_like(x, np.inf)),
    )


@public("torch", "Tensor", "special:gammaln", inplace_too=True, out=True)
@unary(input=lambda grad, input: grad * input.digamma())
def lgamma(input: Array) -> Array:
    """``log |gamma(input)|``: polynomials up to 10, Stirling's formula beyond, reflection below 0."""
    accept("lgamma_cpu", "biuf", input)
    return _lgamma(floating(input))


_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def _digamma_positive(x: Array) -> Array:
    """Upwards by ``psi(x) = psi(x + 1) - 1 / x`` to 10, from where the asymptotic series holds."""
    x, total = x.copy(), np.zeros_like(x)
    for _ in range(10):
        small = x < 10
        if not small.any():
            break
        total -= small / x
        x += small
    return total + np.log(x) - 0.5 / x - horner(1 / (x * x), _DIGAMMA[::-1]) / (x * x)


def _digamma_negative(x: Array) -> Array:
    """By reflection; NaN at the poles."""
    rest = x - np.rint(x)
    return np.where(rest == 0, np.nan, _digamma_positive(1 - x) - np.pi / np.tan(np.pi * rest))


@in_double
def _digamma(x: Array) -> Array:
    return piecewise(
        x,
        ((x > 0) & (x < np.inf), _digamma_positive),
        ((x < 0) & (x > -np.inf), _digamma_negative),
        (x == np.inf, lambda x: x),
        (x == 0, lambda x: np.copysign(np.inf, -x)),
    )


@public("torch", "Tensor", "special", "special:psi", inplace_too=True, out=True)
@unary(input=lambda grad, input: grad * _polygamma(1, input))
def digamma(input: Array) -> Array:
    """The derivative of log gamma."""
    accept("digamma", "biuf", input)
    return _digamma(floating(input))


# B_2k / (2k)!
_EULER_MACLAURIN = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600,
    -3617 / 10670622842880000, 43867 / 5109094217170944000,
)  # fmt: skip


@in_double
def _zeta(x: Array, q: Array) -> Array:
    out = np.full_like(x, np.nan)
    out[x == 1] = np.inf
    whole = q == np.floor(q)
    out[(x > 1) & (q <= 0) & whole] = np.inf
    take = (x > 1) & ((q > 0) | (~whole & (x == np.floor(x))))
    s, a = x[take], q[take].copy()
    total = np.zeros_like(s)
    low = np.ones_like(s, dtype=bool)
    for k in range(100000):  # terms one by one until a > 10
        total += low * np.power(a, -s)
        a += low
        low = (a <= 10) if k >= 9 else low
        if not low.any():
            break
    power = np.power(a, -s)
    tail = power * a / (s - 1) + 0.5 * power
    factor = s * power / a
    for k, c in enumerate(_EULER_MACLAURIN):
        tail += c * factor
        factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a)
    out[take] = total + np.where((power == 0) & (total > 0), 0.0, tail)
    return out


@public("special", out=True)
@binary(input=lambda grad: _no_derivative("special_zeta"), other=lambda grad, input, other: _zeta_gradient(grad, input, other))
def zeta(input: Array, other: Array) -> Array:
    """Hurwitz' zeta function: the sum of ``(k + other) ** -input`` over k from 0, by the formula of Euler and Maclaurin."""
    accept("zeta_cpu", "biuf", input, other)
    if "e" in [v.dtype.char for v in (input, other) if isinstance(v, np.ndarray)]:
        raise NotImplementedError("\"zeta_cpu\" not implemented for 'Half'")
    input, other = both_floating(input, other)
    return _zeta(input, other)


def _zeta_gradient(grad: Tensor, input: Any, other: Any) -> Tensor:
    return grad * -input * zeta(input + 1, other)


def _no_derivative(name: str) -> Any:
    raise NotImplementedError(f"the derivative for '{name}' is not implemented.")


@in_double
def _trigamma(x: Array) -> Array:
    return piecewise(
        x,
        (x == np.inf, np.zeros_like),
        ((x >= 0.5) & (x < np.inf), lambda x: _zeta(np.full_like(x, 2.0), x)),
        (x < 0.5, lambda x: (np.pi / _sine_of_pi(x)) ** 2 - _zeta(np.full_like(x, 2.0), 1 - x)),
    )


@op(input=lambda grad, n, input: grad * _polygamma(n + 1, input))
def _polygamma(n: int, input: Array) -> Array:
    accept("polygamma", "biuf", input)
    input = floating(input)
    if n == 0:
        return _digamma(input)
    if n == 1:
        return _trigamma(input)
    size = math.factorial(n) if n <= 170 else math.inf
    return _zeta(input.dtype.type(n + 1), input) * input.dtype.type(size if n % 2 else -size)


@public("torch", "special", out=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma: ``(-1)^(n+1) n! zeta(n + 1, input)``. RuntimeError for a negative `n`."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return _polygamma(n, input)  # type: ignore[no-any-return]


def _polygamma_of(self: Tensor, n: int) -> Tensor:
    return polygamma(n, self)  # type: ignore[no-any-return]


public("Tensor:polygamma", inplace_too=True)(_polygamma_of)


@public("torch", "Tensor", "special:multigammaln", inplace_too=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function:
    ``p (p - 1) / 4 log(pi) + sum of lgamma(input - j / 2) over j < p``. RuntimeError for `p` below 1.
    """
    if input.is_complex() or input._array.dtype.kind == "b":
        raise RuntimeError(f"mvlgamma: The input tensor may not be {input.dtype}")
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, but got {p}")
    total = lgamma(input)
    for j in range(1, p):
        total = total + lgamma(input - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


# ------------------------------------------------------------------------------------------------ incomplete gamma


def _gamma_front(a: Array, x: Array) -> Array:
    """``x^a e^-x / gamma(a + 1)``"""
    out = np.exp(a * np.log(x) - x - _log_gamma_positive(a + 1))
    large = a >= 10
    if large.any():
        a, x = a[large], x[large]
        mu = (x - a) / a
        out[large] = np.exp(a * (np.log1p(mu) - mu) - _stirling(a)) / np.sqrt(2 * np.pi * a)
    return out


def _lower_series(a: Array, x: Array) -> Array:
    """P(a, x) for x below a + 1: ``front * (1 + x / (a + 1) + x^2 / (a + 1)(a + 2) + ...)``."""
    term, total, k = np.ones_like(a), np.ones_like(a), a.copy()
    for _ in range(20000):
        k += 1
        term *= x / k
        total += term
        if not (term > 1e-17 * total).any():
            break
    return total * _gamma_front(a, x)


def _upper_fraction(a: Array, x: Array) -> Array:
    """Q(a, x) for x from a + 1 on: Legendre's continued fraction by Lentz' method."""
    b = x + 1 - a
    c, d = np.full_like(a, 1e300), 1 / b
    h = d.copy()
    for k in range(1, 20000):
        step = k * (a - k)
        b += 2
        d = 1 / (step * d + b)
        c = b + step / c
        change = c * d
        h *= change
        if not (np.absolute(change - 1) > 1e-15).any():
            break
    return h * a * _gamma_front(a, x)


def _incomplete(a: Array, x: Array, upper: bool) -> Array:
    out = np.full_like(a, np.nan)
    inside = (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)
    series = inside & (x < a + 1)
    fraction = inside & ~series
    if series.any():
        p = _lower_series(a[series], x[series])
        out[series] = 1 - p if upper else p
    if fraction.any():
        q = _upper_fraction(a[fraction], x[fraction])
        out[fraction] = q if upper else 1 - q
    out[~(a <= 0) & (x == 0) | (a == np.inf) & ~(x < 0) & (x != np.inf)] = 1 if upper else 0
    out[(a == 0) & (x > 0) | (a >= 0) & (a < np.inf) & (x == np.inf)] = 0 if upper else 1
    return out


@in_double
def _igamma(a: Array, x: Array) -> Array:
    return _incomplete(a, x, False)


@in_double
def _igammac(a: Array, x: Array) -> Array:
    return _incomplete(a, x, True)


def _igamma_slope(input: Any, other: Tensor) -> Tensor:
    """The density of the gamma distribution."""
    return ((input - 1) * other.log() - other - lgamma(input)).exp()


@public("torch", "Tensor", "special:gammainc", inplace_too=True, out=True)
@binary(
    input=lambda grad: _no_derivative("igamma: input"),
    other=lambda grad, input, other: grad * _igamma_slope(input, other),
    numbers="",
)
def igamma(input: Array, other: Array) -> Array:
    """The regularised lower incomplete gamma function P(input, other), by its series or by a continued fraction for 1 - P."""
    accept("igamma_cpu", "f", input, other)
    return _igamma(input, other)


@public("torch", "Tensor", "special:gammaincc", inplace_too=True, out=True)
@binary(
    input=lambda grad: _no_derivative("igammac: input"),
    other=lambda grad, input, other: -grad * _igamma_slope(input, other),
    numbers="",
)
def igammac(input: Array, other: Array) -> Array:
    """The regularised upper incomplete gamma function, ``1 - igamma(input, other)``."""
    accept("igammac_cpu", "f", input, other)
    return _igammac(input, other)


# ------------------------------------------------------------------------------------------------ Bessel functions


def _scaled(near: tuple[float, ...], far: tuple[float, ...], size: Array) -> Array:
    """``exp(-x) I_n(x)`` (for n = 1 without its factor x up to 8), of x >= 0."""
    return piecewise(
        size,
        (size <= 8, lambda x: fitted(near, 0, 8, x)),
        (size > 8, lambda x: fitted(far, 0, 0.125, 1 / x) / np.sqrt(x)),
    )


def _i0e_kernel(x: Array) -> Array:
    return _scaled(table.I0_NEAR, table.I0_FAR, np.absolute(x))


def _i1e_kernel(x: Array) -> Array:
    size = np.absolute(x)
    return _scaled(table.I1_NEAR, table.I1_FAR, size) * np.where(size <= 8, x, np.sign(x))


def _unscaled(kernel: Callable[[Array], Array], x: Array) -> Array:
    """``exp(|x|)`` times the scaled function, in two steps so that it overflows no earlier than the result; NaN at infinity."""
    half = np.exp(0.5 * np.absolute(x))
    return kernel(x) * half * half


_i0e, _i1e = in_double(_i0e_kernel), in_double(_i1e_kernel)
_i0 = in_double(lambda x: _unscaled(_i0e_kernel, x))
_i1 = in_double(lambda x: _unscaled(_i1e_kernel, x))


@public("torch", "Tensor", "special", inplace_too=True, out=True)
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
    return where(abs(input) > 1e-16, input, 1.0)  # type: ignore[no-any-return]


def _k_kernel(order: int, scaled: bool, x: Array) -> Array:
    """K0 and K1: what is left of ``-+log(x / 2) I_n(x)`` up to 2, a scaled expansion beyond."""

    def near(x: Array) -> Array:
        logarithm = np.log(0.5 * x)
        if order == 0:
            y = fitted(table.K0_NEAR, 0, 4, x * x) - logarithm * _unscaled(_i0e_kernel, x)
        else:
            y = fitted(table.K1_NEAR, 0, 4, x * x) / x + logarithm * _unscaled(_i1e_kernel, x)
        return y * np.exp(x) if scaled else y

    def far(x: Array) -> Array:
        y = fitted(table.K1_FAR if order else table.K0_FAR, 0, 0.5, 1 / x) / np.sqrt(x)
        return y if scaled else y * np.exp(-x)

    return piecewise(x, ((x > 0) & (x <= 2), near), (x > 2, far), (x == 0, lambda x: np.full_like(x, np.inf)))


def _j_and_y(order: int, second: bool, x: Array) -> Array:
    """J or Y of order 0 or 1 for x > 0: expansions in x^2 up to 8, modulus and phase beyond."""
    names = [f"{'Y' if second else 'J'}{order}_NEAR", f"J{order}_P", f"J{order}_Q"]
    inner, cosine_part, sine_part = [getattr(table, name) for name in names]

    def near(x: Array) -> Array:
        y = fitted(inner, 0, 64, x * x)
        if order:
            y = y * x
        if second:
            y += (2 / np.pi) * np.log(x) * _j_and_y(order, False, x)
            if order:
                y -= 2 / (np.pi * x)
        return y

    def far(x: Array) -> Array:
        v = 64 / (x * x)
        p, q = fitted(cosine_part, 0, 1, v), fitted(sine_part, 0, 1, v) / x
        sine, cosine = np.sin(x), np.cos(x)  # of x - pi / 4 (order 0) or x - 3 pi / 4, times the root of 2
        s, c = (sine - cosine, sine + cosine) if order == 0 else (-sine - cosine, sine - cosine)
        return (p * s + q * c if second else p * c - q * s) / np.sqrt(np.pi * x)

    return piecewise(x, (x <= 8, near), (x > 8, far))  # NaN at infinity


def _j_kernel(order: int, x: Array) -> Array:
    size = np.absolute(x)
    y = _j_and_y(order, False, size)
    return y * np.where(x < 0, -1.0, 1.0) if order else y


def _y_kernel(order: int, x: Array) -> Array:
    return piecewise(x, (x > 0, lambda x: _j_and_y(order, True, x)), (x == 0, lambda x: np.full_like(x, -np.inf)))


@in_double
def _airy(x: Array) -> Array:
    """Ai: one expansion around 0; exponential decay or an oscillation with modulus and phase beyond 3 (DLMF 9.7)."""

    def decaying(x: Array) -> Array:
        z = 2 / 3 * x * np.sqrt(x)
        return fitted(table.AIRY_DECAY, 0, 0.2887, 1 / z) * np.exp(-z) / (2 * np.sqrt(np.pi * np.sqrt(x)))

    def oscillating(x: Array) -> Array:
        x = -x
        z = 2 / 3 * x * np.sqrt(x)
        p, q = fitted(table.AIRY_P, 0, 0.0834, 1 / (z * z)), fitted(table.AIRY_Q, 0, 0.0834, 1 / (z * z)) / z
        return (p * np.sin(z + np.pi / 4) + q * np.cos(z + np.pi / 4)) / np.sqrt(np.pi * np.sqrt(x))

    return piecewise(
        x,
        (np.absolute(x) <= 3, lambda x: fitted(table.AIRY_MIDDLE, -3, 3, x)),
        ((x > 3) & (x < 200), decaying),
        ((x >= 200) & (x < np.inf), np.zeros_like),
        ((x < -3) & (x > -np.inf), oscillating),
    )


@in_double
def _spherical_j0(x: Array) -> Array:
    sine = np.where(x == 0, 1.0, np.sin(x) / x)
    return np.where(np.isinf(x), 0.0, sine)


def _declare(name: str, kernel: Callable[..., Array], summary: str) -> None:
    """A function of ``special`` without derivative."""

    def forward(input: Array) -> Array:
        accept(f"{name}_cpu", "biuf", input)
        return kernel(floating(input))

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = summary
    public("special", out=True)(unary()(forward))


for _order in (0, 1):
    _declare(f"bessel_j{_order}", in_double(functools.partial(_j_kernel, _order)), f"The Bessel function J of order {_order}.")
    _declare(f"bessel_y{_order}", in_double(functools.partial(_y_kernel, _order)), f"The Bessel function Y of order {_order}.")
    _declare(f"modified_bessel_i{_order}", (_i0, _i1)[_order], f"The modified Bessel function I of order {_order}.")
    _declare(
        f"modified_bessel_k{_order}",
        in_double(functools.partial(_k_kernel, _order, False)),
        f"The modified Bessel function K of order {_order}.",
    )
    _declare(
        f"scaled_modified_bessel_k{_order}",
        in_double(functools.partial(_k_kernel, _order, True)),
        f"``exp(input)`` times the modified Bessel function K of order {_order}.",
    )
_declare("airy_ai", _airy, "The Airy function Ai.")
_declare("spherical_bessel_j0", _spherical_j0, "``sin(input) / input``, the spherical Bessel function of order 0.")
