"""Orthogonal polynomials by their recurrences and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array

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


T = chebyshev(lambda x: x, lambda angle, n: np.cos(n * angle))
U = chebyshev(lambda x: 2 * x, lambda angle, n: np.sin((n + 1) * angle) / np.sin(angle))
V = chebyshev(lambda x: 2 * x - 1, lambda angle, n: np.cos((n + 0.5) * angle) / np.cos(0.5 * angle))
W = chebyshev(lambda x: 2 * x + 1, lambda angle, n: np.sin((n + 0.5) * angle) / np.sin(0.5 * angle))


def shifted(kernel: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda x, n: kernel(2 * x - 1, n)
