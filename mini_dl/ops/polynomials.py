"""Orthogonal polynomials of ``special``: ``f(input, n)`` by the three-term recurrence, with a degree for each element."""

from __future__ import annotations

from collections.abc import Callable

from mini_dl._dtypes import Array
from mini_dl._surface import named, public
from mini_dl.autograd.primitive import binary
from mini_dl.kernels import polynomials as kernels
from mini_dl.kernels.polynomials import recurrence
from mini_dl.kernels.special import in_double
from mini_dl.ops.operands import accept, both_floating
from mini_dl.ops.special import no_derivative


def _declare(name: str, kernel: Callable[[Array, Array], Array], summary: str) -> None:
    compute = in_double(kernel)

    def forward(input: Array, other: Array) -> Array:
        accept(f"{name}_cpu", "biuf", input, other)
        return compute(*both_floating(input, other))

    named(forward, name, summary)
    missing = f"special_{name}"
    public("special", out=True)(
        binary(input=lambda grad: no_derivative(missing), other=lambda grad: no_derivative(missing))(forward)
    )


for _letter, _kernel in {"t": kernels.T, "u": kernels.U, "v": kernels.V, "w": kernels.W}.items():
    _kind = {"t": "first", "u": "second", "v": "third", "w": "fourth"}[_letter]
    _declare(f"chebyshev_polynomial_{_letter}", _kernel, f"The Chebyshev polynomial of the {_kind} kind of degree n.")
    _declare(
        f"shifted_chebyshev_polynomial_{_letter}",
        kernels.shifted(_kernel),
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
