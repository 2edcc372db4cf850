"""Orthogonal polynomials of ``special``: ``f(input, n)`` by the three-term recurrence, with a degree for each element."""

from __future__ import annotations

from collections.abc import Callable

from mini_dl._dtypes import Array
from mini_dl._surface import named, public
from mini_dl.autograd.primitive import binary
from mini_dl.kernels import polynomials as kernels
from mini_dl.kernels.polynomials import recurrence
from mini_dl.kernels.special import in_double
from mini_dl.ops.operands import accept, both_floating, promote_floating
from mini_dl.ops.special import no_derivative

DEGREES = """Shapes: `input` and the degree n, `other`, are broadcast, and the result has their common shape.
Raises: RuntimeError if the shapes do not broadcast, for complex numbers, and if a gradient is requested.
Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, chapter 22."""


def _declare(name: str, kernel: Callable[[Array, Array], Array], summary: str, shown: str) -> None:
    """A polynomial of ``special``, published; `shown` is what its example prints: degree 2 and 3 at 0.5."""
    compute = in_double(kernel)

    def forward(input: Array, other: Array) -> Array:
        accept(f"{name}_cpu", "biuf", input, other)
        return compute(*both_floating(input, other))

    text = f"{summary}\n\n{DEGREES}\n\n>>> torch.special.{name}(torch.tensor([0.5, 0.5]), torch.tensor([2, 3]))\ntensor({shown})"
    named(forward, name, text)
    missing = f"special_{name}"
    made = binary(input=lambda grad: no_derivative(missing), other=lambda grad: no_derivative(missing), promote=promote_floating)
    public("special", out=True)(made(forward))


_KINDS = {
    "t": ("first", "cos(n * t)", "[-0.5000, -1.0000]", "[-1., -0.]"),
    "u": ("second", "sin((n + 1) * t) / sin(t)", "[ 0., -1.]", "[-1., -0.]"),
    "v": ("third", "cos((n + 1 / 2) * t) / cos(t / 2)", "[-1., -1.]", "[-1.,  1.]"),
    "w": ("fourth", "sin((n + 1 / 2) * t) / sin(t / 2)", "[ 1., -1.]", "[-1., -1.]"),
}
for _letter, _kernel in {"t": kernels.T, "u": kernels.U, "v": kernels.V, "w": kernels.W}.items():
    _kind, _formula, _shown, _shifted = _KINDS[_letter]
    _summary = f"The Chebyshev polynomial of the {_kind} kind of degree n: ``out = {_formula}`` with"
    _declare(f"chebyshev_polynomial_{_letter}", _kernel, f"{_summary} ``cos(t) = input``", _shown)
    _declare(
        f"shifted_chebyshev_polynomial_{_letter}",
        kernels.shifted(_kernel),
        f"{_summary} ``cos(t) = 2 * input - 1``",
        _shifted,
    )
_declare(
    "hermite_polynomial_h",
    recurrence(lambda x: 2 * x, lambda x, k: (2 * x, 2.0 * k)),
    "The physicists' Hermite polynomial of degree n: ``H[k + 1] = 2 * x * H[k] - 2 * k * H[k - 1]``",
    "[-1., -5.]",
)
_declare(
    "hermite_polynomial_he",
    recurrence(lambda x: x, lambda x, k: (x, float(k))),
    "The probabilists' Hermite polynomial of degree n: ``He[k + 1] = x * He[k] - k * He[k - 1]``",
    "[-0.7500, -1.3750]",
)
_declare(
    "laguerre_polynomial_l",
    recurrence(lambda x: 1 - x, lambda x, k: ((2 * k + 1 - x) / (k + 1), k / (k + 1))),
    "The Laguerre polynomial of degree n: ``(k + 1) * L[k + 1] = (2 * k + 1 - x) * L[k] - k * L[k - 1]``",
    "[ 0.1250, -0.1458]",
)
_declare(
    "legendre_polynomial_p",
    recurrence(lambda x: x, lambda x, k: ((2 * k + 1) * x / (k + 1), k / (k + 1))),
    "The Legendre polynomial of degree n: ``(k + 1) * P[k + 1] = (2 * k + 1) * x * P[k] - k * P[k - 1]``",
    "[-0.1250, -0.4375]",
)
