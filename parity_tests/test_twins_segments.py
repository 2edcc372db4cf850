"""Reductions over runs of elements."""

from __future__ import annotations

import pytest

from parity_tests.twin import raised, twin

KINDS = ["sum", "mean", "max", "min", "prod"]


@twin
@pytest.mark.parametrize("reduce", KINDS)
@pytest.mark.parametrize("initial", [None, 0.5])
def test_runs_of_rows_and_their_gradients(torch, rng, reduce, initial):
    found = []
    for shape, lengths in (((6,), [1, 3, 0, 2]), ((6, 2), [4, 2]), ((5, 2, 3), [0, 5])):
        x = rng(*shape, dtype="float64", grad=True)
        y = torch.segment_reduce(x, reduce, lengths=torch.tensor(lengths), initial=initial)
        y.backward(rng(*y.shape, dtype="float64"))
        found += [y, x.grad]
    return found


@twin
@pytest.mark.parametrize("reduce", KINDS)
def test_runs_along_another_axis_and_between_offsets(torch, rng, reduce):
    x = rng(2, 5, 3, dtype="float64", grad=True)
    lengths = torch.tensor([[2, 3], [5, 0]])
    offsets = torch.tensor([[0, 2, 5], [0, 1, 5]])
    a = torch.segment_reduce(x, reduce, lengths=lengths, axis=1)
    b = torch.segment_reduce(x, reduce, offsets=offsets, axis=1)
    return a, b, torch.segment_reduce(rng(4), reduce, offsets=torch.tensor([0, 3, 4]))


@twin
def test_mistakes(torch, rng):
    x = rng(4)
    calls = (
        lambda: torch.segment_reduce(x, "sum"),
        lambda: torch.segment_reduce(x, "sum", lengths=torch.tensor([1, 1])),
        lambda: torch.segment_reduce(x, "sum", lengths=torch.tensor([5, -1])),
        lambda: torch.segment_reduce(x, "sum", lengths=torch.tensor([[4]])),
    )
    return [raised(call) for call in calls]
