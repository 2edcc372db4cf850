"""Orthogonal polynomials of ``special``: ``f(input, n)`` by the three-term recurrence, for each element to its own degree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._surface import public
from mini_dl.autograd.primitive import binary
from mini_dl.ops.pointwise import accept, both_floating
from mini_dl.ops.special import _no_derivative, in_double

Step = Callable[[Array, int], tuple[Any, Any]]
"""(x, k) -> (a, b) in ``P[k+1] = a P[k] - b P[k-1]``."""


def recurrence(first: Callable[[Array], Array], step: Step) -> Callable[[Array, Array], Array]:
    """The polynomials with ``P[0] = 1`` and ``P[1] = first(x)``; 0 for a negative degree."""

    def kernel(x: Array, n: Array) -> Array:
        n = np.trunc(n)
        out = np.where(n < 0, 0.0, np.where(n == 0, 1.0, np.nan))
        before, now = np.ones_like(x), first(x)
        highest = n[np.isfinite(n)].max(initial=0)
        k = 1
        while k <= highest:
            np.copyto(out, now, where=n == k)
            a, b = step(x, k)
            before, now = now, a * now - b * before
            k += 1
        return out

    return kernel


def chebyshev(first: Callable[[Array], Array], closed: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """Chebyshev polynomials: for x within (-1, 1) and a degree above 6, where the recurrence loses digits, by their definition in
    angles."""
    by_steps = recurrence(first, lambda x, k: (2 * x, 1.0))

    def kernel(x: Array, n: Array) -> Array:
        by_angle = (np.absolute(x) < 1) & (n > 6)
        out = by_steps(x, np.where(by_angle, 0.0, n))
        out[by_angle] = closed(np.arccos(x[by_angle]), np.trunc(n[by_angle]))
        return out

    return kernel


_T = chebyshev(lambda x: x, lambda angle, n: np.cos(n * angle))
_U = chebyshev(lambda x: 2 * x, lambda angle, n: np.sin((n + 1) * angle) / np.sin(angle))
_V = chebyshev(lambda x: 2 * x - 1, lambda angle, n: np.cos((n + 0.5) * angle) / np.cos(0.5 * angle))
_W = chebyshev(lambda x: 2 * x + 1, lambda angle, n: np.sin((n + 0.5) * angle) / np.sin(0.5 * angle))


def _shifted(kernel: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda x, n: kernel(2 * x - 1, n)


def _declare(name: str, kernel: Callable[[Array, Array], Array], summary: str) -> None:
    compute = in_double(kernel)

    def forward(input: Array, other: Array) -> Array:
        accept(f"{name}_cpu", "biuf", input, other)
        return compute(*both_floating(input, other))

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = summary
    missing = f"special_{name}"
    public("special", out=True)(
        binary(input=lambda grad: _no_derivative(missing), other=lambda grad: _no_derivative(missing))(forward)
    )


for _letter, _kernel in {"t": _T, "u": _U, "v": _V, "w": _W}.items():
    _kind = {"t": "first", "u": "second", "v": "third", "w": "fourth"}[_letter]
    _declare(f"chebyshev_polynomial_{_letter}", _kernel, f"The Chebyshev polynomial of the {_kind} kind of degree n.")
    _declare(
        f"shifted_chebyshev_polynomial_{_letter}",
        _shifted(_kernel),
        f"The Chebyshev polynomial of the {_kind} kind of degree n at ``2 * input - 1``.",
    )
_declare(
    "hermite_polynomial_h",
    recurrence(lambda x: 2 * x, lambda x, k: (2 * x, 2.0 * k)),
    "The physicists' Hermite polynomial of degree n.",
)
_declare(
    "hermite_polynomial_he",
    recurrence(lambda x: x, lambda x, k: (x, float(k))),
    "The probabilists' Hermite polynomial of degree n.",
)
_declare(
    "laguerre_polynomial_l",
    recurrence(lambda x: 1 - x, lambda x, k: ((2 * k + 1 - x) / (k + 1), k / (k + 1))),
    "The Laguerre polynomial of degree n.",
)
_declare(
    "legendre_polynomial_p",
    recurrence(lambda x: x, lambda x, k: ((2 * k + 1) * x / (k + 1), k / (k + 1))),
    "The Legendre polynomial of degree n.",
)
