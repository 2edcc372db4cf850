"""The polynomials of mini_dl/kernels/special.py, computed with mpmath to 40 digits.

    python scripts/fit_special.py > mini_dl/kernels/special_tables.py

Each is f(x(t)) on -1 <= t <= 1: interpolated at Chebyshev nodes, truncated below 2e-17 of its size in the Chebyshev basis, then
converted to powers of t, highest first.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import mpmath as mp

mp.mp.dps = 40


def coefficients(f: Callable[[Any], Any], nodes: int = 72) -> list[float]:
    angles = [mp.pi * (mp.mpf(k) + 0.5) / nodes for k in range(nodes)]
    values = [f(mp.cos(a)) for a in angles]
    c = [2 * mp.fsum([v * mp.cos(j * a) for v, a in zip(values, angles)]) / nodes for j in range(nodes)]
    c[0] /= 2
    size = max(abs(x) for x in c)
    while abs(c[-1]) < 2e-17 * size:
        c.pop()
    if len(c) > nodes - 6:
        raise ValueError("more nodes needed")
    return [float(x) for x in powers(c)[::-1]]


def powers(c: list[Any]) -> list[Any]:
    """A sum of Chebyshev polynomials in powers of t, lowest first."""
    before, now = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    total = [mp.mpf(0)] * len(c)
    for k, factor in enumerate(c):
        for i, x in enumerate(before):
            total[i] += factor * x
        if k < len(c) - 1:
            after = [mp.mpf(0)] + [2 * x for x in now]
            for i, x in enumerate(before):
                after[i] -= x
            before, now = now, after
    return total


def on(a: float, b: float, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f over [a, b] as a function of t."""
    return lambda t: f((mp.mpf(a) + b) / 2 + (mp.mpf(b) - a) / 2 * t)


def erfcx(x: Any) -> Any:
    return (
        mp.exp(x * x) * mp.erfc(x)
        if x < 30
        else mp.nsum(lambda k: (-1) ** int(k) * mp.fac2(2 * int(k) - 1) / (2 * x * x) ** int(k), [0, 12]) / (x * mp.sqrt(mp.pi))
    )


def erfc_inverse(p: Any) -> Any:
    x = mp.sqrt(-mp.log(p))
    for _ in range(60):  # Newton on log erfc
        step = (mp.log(mp.erfc(x)) - mp.log(p)) / (-2 * mp.exp(-x * x) / (mp.sqrt(mp.pi) * mp.erfc(x)))
        x -= step
        if abs(step) < mp.mpf(10) ** -35 * (1 + abs(x)):
            break
    return x


def log_gamma_ratio(x: Any) -> Any:
    for root in (1, 2):
        if abs(x - root) < 1e-12:
            x += mp.mpf("1e-12")
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def modulus_phase(order: int, x: Any) -> tuple[Any, Any]:
    angle = x - (2 * order + 1) * mp.pi / 4
    j, y, size = mp.besselj(order, x), mp.bessely(order, x), mp.sqrt(mp.pi * x / 2)
    return size * (j * mp.cos(angle) + y * mp.sin(angle)), size * x * (y * mp.cos(angle) - j * mp.sin(angle))


def far(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f(x) for x >= 8 as a function of v = 64 / x^2 on [0, 1]."""
    return on(0, 1, lambda v: f(8 / mp.sqrt(v)))


def airy_parts(z: Any) -> tuple[Any, Any]:
    x = (3 * z / 2) ** (mp.mpf(2) / 3)
    angle, size = z + mp.pi / 4, mp.sqrt(mp.pi) * x ** mp.mpf("0.25")
    a, b = mp.airyai(-x), mp.airybi(-x)
    return size * (a * mp.sin(angle) + b * mp.cos(angle)), size * (a * mp.cos(angle) - b * mp.sin(angle)) * z


GAMMA_RANGE = -0.28, 0.24


def gamma_term(order: int) -> Callable[[Any], Any]:
    """The coefficient of ``a ** -order`` in Temme's expansion of the incomplete gamma functions, of eta."""

    def term(eta: Any) -> Any:
        mu = eta  # eta ** 2 / 2 = mu - log(1 + mu), by Newton
        for _ in range(20):
            mu -= (mu - mp.log1p(mu) - eta * eta / 2) * (1 + mu) / mu
        return (
            1 / mu - 1 / eta,
            1 / eta**3 - 1 / mu**3 - 1 / mu**2 - 1 / (12 * mu),
            3 / mu**5 + 5 / mu**4 + mp.mpf(25) / 12 / mu**3 + 1 / (12 * mu**2) + 1 / (288 * mu) - 3 / eta**5,
        )[order]

    return on(*GAMMA_RANGE, term)


FITS: dict[str, Callable[[], Any]] = {
    "ERFCX": lambda: lambda t: (1 + 2 * (x := mp.mpf("3.75") * (1 + t) / (1 - t))) * erfcx(x),
    "ERF": lambda: on(0, 1, lambda v: mp.erf(mp.sqrt(v)) / mp.sqrt(v)),
    "ERFINV": lambda: on(0, 0.5625, lambda v: mp.erfinv(mp.sqrt(v)) / mp.sqrt(v)),
    "ERFCINV_NEAR": lambda: on(1.17, 6.25, lambda s: erfc_inverse(mp.exp(-s * s)) / s),
    "ERFCINV_FAR": lambda: on(1 / 27.5, 1 / 6.25, lambda u: erfc_inverse(mp.exp(-1 / (u * u))) * u),
    "LGAMMA_ROOTS": lambda: on(0.5, 3, log_gamma_ratio),
    "LGAMMA": lambda: on(3, 10, mp.loggamma),
    "I0_NEAR": lambda: on(0, 8, lambda x: mp.exp(-x) * mp.besseli(0, x)),
    "I0_FAR": lambda: on(0, 0.125, lambda u: mp.sqrt(1 / u) * mp.exp(-1 / u) * mp.besseli(0, 1 / u)),
    "I1_NEAR": lambda: on(0, 8, lambda x: mp.exp(-x) * mp.besseli(1, x) / x),
    "I1_FAR": lambda: on(0, 0.125, lambda u: mp.sqrt(1 / u) * mp.exp(-1 / u) * mp.besseli(1, 1 / u)),
    "K0_NEAR": lambda: on(0, 4, lambda v: mp.besselk(0, mp.sqrt(v)) + mp.log(mp.sqrt(v) / 2) * mp.besseli(0, mp.sqrt(v))),
    "K0_FAR": lambda: on(0, 0.5, lambda u: mp.sqrt(1 / u) * mp.exp(1 / u) * mp.besselk(0, 1 / u)),
    "K1_NEAR": lambda: on(
        0, 4, lambda v: mp.sqrt(v) * (mp.besselk(1, mp.sqrt(v)) - mp.log(mp.sqrt(v) / 2) * mp.besseli(1, mp.sqrt(v)))
    ),
    "K1_FAR": lambda: on(0, 0.5, lambda u: mp.sqrt(1 / u) * mp.exp(1 / u) * mp.besselk(1, 1 / u)),
    "J0_NEAR": lambda: on(0, 64, lambda v: mp.besselj(0, mp.sqrt(v))),
    "J1_NEAR": lambda: on(0, 64, lambda v: mp.besselj(1, mp.sqrt(v)) / mp.sqrt(v)),
    "Y0_NEAR": lambda: on(0, 64, lambda v: mp.bessely(0, mp.sqrt(v)) - mp.log(v) / mp.pi * mp.besselj(0, mp.sqrt(v))),
    "Y1_NEAR": lambda: on(
        0,
        64,
        lambda v: (mp.bessely(1, mp.sqrt(v)) - (mp.log(v) * mp.besselj(1, mp.sqrt(v)) - 2 / mp.sqrt(v)) / mp.pi) / mp.sqrt(v),
    ),
    "J0_P": lambda: far(lambda x: modulus_phase(0, x)[0]),
    "J0_Q": lambda: far(lambda x: modulus_phase(0, x)[1]),
    "J1_P": lambda: far(lambda x: modulus_phase(1, x)[0]),
    "J1_Q": lambda: far(lambda x: modulus_phase(1, x)[1]),
    "AIRY_MIDDLE": lambda: on(-3, 3, mp.airyai),
    "AIRY_DECAY": lambda: on(
        0,
        0.2887,
        lambda u: 2 * mp.sqrt(mp.pi) * mp.exp(1 / u) * (x := (1.5 / u) ** (mp.mpf(2) / 3)) ** mp.mpf("0.25") * mp.airyai(x),
    ),
    "AIRY_P": lambda: on(0, 0.0834, lambda v: airy_parts(1 / mp.sqrt(v))[0]),
    "GAMMA_0": lambda: gamma_term(0),
    "GAMMA_1": lambda: gamma_term(1),
    "GAMMA_2": lambda: gamma_term(2),
    "AIRY_Q": lambda: on(0, 0.0834, lambda v: airy_parts(1 / mp.sqrt(v))[1]),
}


if __name__ == "__main__":
    print('"""Polynomials of the special functions, computed by scripts/fit_special.py, which documents each fit."""\n')
    print("# fmt: off")
    print(f"GAMMA_RANGE = {GAMMA_RANGE}")
    for name, fit in FITS.items():
        numbers = ", ".join(map(repr, coefficients(fit()))) + ","
        print(f"{name} = (\n{textwrap.fill(numbers, 126, initial_indent='    ', subsequent_indent='    ')}\n)")
