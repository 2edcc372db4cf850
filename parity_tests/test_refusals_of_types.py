"""What of a type or shape torch's kernels refuse is refused here too, and what they take is taken."""

from __future__ import annotations

import itertools

import pytest

from parity_tests.twin import outcome, twin

FILLS = {
    "a 0-d tensor": lambda torch: torch.tensor(2),
    "a tensor of one element": lambda torch: torch.tensor([2.0]),
    "a tensor of several": lambda torch: torch.tensor([2.0, 3.0]),
    "one that requires grad": lambda torch: torch.tensor(2.0, requires_grad=True),
    "None": lambda torch: None,
    "a string": lambda torch: "a",
    "a list": lambda torch: [1],
    "a number": lambda torch: 2.5,
    "a bool": lambda torch: True,
}


@twin
@pytest.mark.parametrize("fill", FILLS)
def test_full_like_takes_a_number_or_what_stands_for_one(torch, rng, fill):
    x = rng(2, 3)
    value = FILLS[fill](torch)
    return outcome(lambda: torch.full_like(x, value)), outcome(lambda: torch.full_like(x, fill_value=value))


@twin
@pytest.mark.parametrize("kinds", list(itertools.product(["bool", "int64"], ["bool", "int64", None], ["bool", "int64", None])))
def test_bounds_of_any_types_for_clamp(torch, rng, kinds):
    values = [None if kind is None else torch.tensor([1, 0, 1], dtype=getattr(torch, kind)) for kind in kinds]
    return outcome(lambda: torch.clamp(*values))


@twin
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_searching_among_boundaries_of_any_type(torch, rng, dtype):
    edges = torch.tensor([0, 1], dtype=getattr(torch, dtype))
    return [
        outcome(lambda: torch.searchsorted(edges, edges)),
        outcome(lambda: torch.bucketize(edges, edges)),
        outcome(lambda: torch.searchsorted(edges, True)),
    ]


@twin
@pytest.mark.parametrize("dims", [(), (-1,), (0,), ((0, 1),)])
def test_the_gradient_of_a_squeeze_of_nothing_may_be_written(torch, rng, dims):
    x, p = rng(2, 3, grad=True), rng(2, 3, grad=True)
    (g,) = torch.autograd.grad((x.squeeze(*dims) * 1).sum(), x)
    g.sub_(p)
    return g, g.requires_grad, g._is_view()


@twin
@pytest.mark.parametrize("shape", [(), (2,), (3,), (2, 2)])
def test_elements_of_out_that_share_memory_are_refused_before_it_takes_the_shape(torch, rng, shape):
    x, out = rng(*shape), rng(1).expand(2)
    return outcome(lambda: torch.add(x, x, out=out)), out
