"""Functions that are computed from tables of coefficients, beside SciPy's to a few units in the last place of double."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as exact

import mini_dl as torch

NEAR, FAR = np.linspace(0.01, 9.0, 1501), np.geomspace(8.0, 300.0, 601)
FUNCTIONS = {
    "bessel_j0": (exact.j0, (NEAR, FAR)),
    "bessel_j1": (exact.j1, (NEAR, FAR)),
    "bessel_y0": (exact.y0, (NEAR, FAR)),
    "bessel_y1": (exact.y1, (NEAR, FAR)),
    "i0e": (exact.i0e, (NEAR, FAR)),
    "i1e": (exact.i1e, (NEAR, FAR)),
    "scaled_modified_bessel_k0": (exact.k0e, (NEAR, FAR)),
    "scaled_modified_bessel_k1": (exact.k1e, (NEAR, FAR)),
    "erf": (exact.erf, (np.linspace(-3, 3, 1501),)),
    "erfcx": (exact.erfcx, (NEAR, FAR)),
    "erfinv": (exact.erfinv, (np.linspace(-0.999999, 0.999999, 1501),)),
    "ndtri": (exact.ndtri, (np.geomspace(1e-200, 0.5, 601), np.linspace(0.01, 0.99, 1501))),
    "gammaln": (exact.gammaln, (NEAR, FAR, np.arange(0.5, 60.0, 0.5))),
    "digamma": (exact.psi, (NEAR, FAR, np.arange(0.5, 60.0, 0.5))),
    "erfc": (exact.erfc, (np.linspace(-3, 10, 1501),)),
    "ndtr": (exact.ndtr, (np.linspace(-30, 9, 1501),)),
    "log_ndtr": (exact.log_ndtr, (np.linspace(-30, 9, 1501),)),
    "airy_ai": (lambda x: exact.airy(x)[0], (np.linspace(-9, 9, 1501), np.linspace(-50, -9, 601))),
}
LIMIT = 4e-14
"""Of the value, or of 1 where the value is less for it passes through zero."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_table_of_coefficients_gives_the_function_to_the_last_places(name: str) -> None:
    function, grids = FUNCTIONS[name]
    for x in grids:
        ours, theirs = getattr(torch.special, name)(torch.tensor(x)).numpy(), function(x)
        positive = (theirs > 0).all() and name != "airy_ai"
        size = np.abs(theirs) if positive else np.maximum(1.0, np.abs(theirs))
        error = np.abs(ours - theirs) / size
        assert error.max() <= LIMIT, (name, float(x[error.argmax()]), float(error.max()))


def test_an_incomplete_gamma_function_is_exact_where_its_two_expansions_meet() -> None:
    a = np.concatenate([np.geomspace(0.05, 5.0, 601), np.geomspace(5.0, 500.0, 601)])
    for distance in (0.01, 0.3, 0.6, 0.9, 0.99, 1.01, 1.2):
        x = a + distance
        ours = torch.special.gammainc(torch.tensor(a), torch.tensor(x)).numpy()
        assert np.abs(ours / exact.gammainc(a, x) - 1).max() <= 8e-15, distance


@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_an_incomplete_gamma_function_is_exact_for_large_and_for_tiny_parameters(name: str) -> None:
    deviations = np.linspace(-4.4, 4.4, 49)  # SciPy sums too few terms of its series beyond 4.5
    grids = [(np.full(49, a), a + deviations * np.sqrt(a)) for a in (9e3, 1.1e4, 1e6, 1e9, 1e12, 1e15, 1e18)]
    grids += [(np.geomspace(1e-300, 0.3, 61), np.full(61, x)) for x in (1e-280, 1e-20, 1e-3, 0.2, 0.9, 1.0)]
    for a, x in grids:
        ours, theirs = getattr(torch.special, name)(torch.tensor(a), torch.tensor(x)).numpy(), getattr(exact, name)(a, x)
        assert np.abs(ours / theirs - 1).max() <= 5e-13, (a[0], x[0])


def test_a_trigamma_function_of_huge_numbers_is_their_reciprocal() -> None:
    x = np.geomspace(1e20, 1e300, 57)
    assert np.abs(torch.polygamma(1, torch.tensor(x)).numpy() * x - 1).max() <= 1e-13
