"""Integers of two types in functions that compute in floating point: none may wrap around in the type of the other."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, twin

INTEGERS = ("uint8", "int8", "int16", "int32", "int64", "bool")
FUNCTIONS = (
    "div", "true_divide", "atan2", "arctan2", "float_power", "xlogy", "special.xlogy", "special.xlog1py", "special.zeta",
    "copysign", "ldexp", "logaddexp", "hypot", "special.chebyshev_polynomial_t", "special.chebyshev_polynomial_u",
    "special.chebyshev_polynomial_v", "special.chebyshev_polynomial_w", "special.shifted_chebyshev_polynomial_t",
    "special.hermite_polynomial_h", "special.hermite_polynomial_he", "special.laguerre_polynomial_l",
    "special.legendre_polynomial_p", "special.gammainc", "special.gammaincc", "igamma", "nextafter", "heaviside",
)  # fmt: skip


def found(torch, path):
    home, _, name = path.rpartition(".")
    return getattr(getattr(torch, home) if home else torch, name)


@twin
@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_number_keeps_its_value_whatever_the_type_of_the_other(torch, rng, path):
    results = []
    for one in INTEGERS:
        for other in INTEGERS[1:-1]:  # those that have -1
            whole, single = torch.tensor([0, 1, 5]).to(getattr(torch, one)), torch.tensor(-1).to(getattr(torch, other))
            pairs = (whole, single), (single, whole), (whole, single.reshape(1))
            results += [outcome(lambda pair=pair: found(torch, path)(*pair)) for pair in pairs]
    return results
