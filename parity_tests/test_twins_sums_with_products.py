"""Factors out of the range of a type, and biases that are no vectors."""

from __future__ import annotations

import math

import pytest

from parity_tests.twin import outcome, twin

FACTORS = ((1e6, 1), (1, 70000), (1e300, 1), (1, -1e300), (math.nan, 1), (math.inf, 0), (0, math.nan), (True, 1), (1, True))


@twin
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64", "int64"])
@pytest.mark.parametrize("name", ["addmm", "addmv", "addr", "addbmm", "baddbmm"])
def test_factors_out_of_range(torch, rng, name, kind):
    def full(*shape):
        return torch.ones(shape, dtype=getattr(torch, kind))

    arguments = {
        "addmm": (full(2, 2), full(2, 3), full(3, 2)),
        "addmv": (full(2), full(2, 3), full(3)),
        "addr": (full(2, 2), full(2), full(2)),
        "addbmm": (full(2, 2), full(2, 2, 3), full(2, 3, 2)),
        "baddbmm": (full(2, 2, 2), full(2, 2, 3), full(2, 3, 2)),
    }[name]
    found = []
    for beta, alpha in FACTORS:
        refused = outcome(lambda: getattr(torch, name)(*arguments, beta=beta, alpha=alpha))  # noqa: B023 - called at once
        found.append(refused)
    return found


BIASES = ((3, 1), (1, 3), (3, 3), (2, 3), (2, 1), (4,), (2, 4, 3), (1, 1, 3), (1, 1), ())


@twin
@pytest.mark.parametrize("shape", [(2, 4, 5), (3, 1, 5), (4, 5), (5,), (2, 2, 4, 5)], ids=str)
def test_biases_of_other_shapes(torch, rng, shape):
    found = []
    for size in BIASES:
        bias = rng(*size, grad=True)
        input, weight = rng(*shape), rng(3, 5)

        def run():
            out = torch.nn.functional.linear(input, weight, bias)  # noqa: B023 - called at once
            out.square().sum().backward()
            return out, bias.grad  # noqa: B023

        found.append(outcome(run))
    return found
