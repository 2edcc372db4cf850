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


OPERANDS_AND_OUT = {
    "a number in where": lambda torch, x, out: torch.where(x > 0, x, 1, out=out),
    "another type in where": lambda torch, x, out: torch.where(x > 0, x, x, out=out),
    "numbers in clamp": lambda torch, x, out: torch.clamp(x, 0, 2, out=out),
    "a named number in clip": lambda torch, x, out: torch.clip(x, max=2.5, out=out),
    "tensors in clamp": lambda torch, x, out: torch.clamp(x, x, max=x + 1, out=out),
    "a complex tensor in clamp": lambda torch, x, out: torch.clamp(x, x + 1j, out=out),
    "a step": lambda torch, x, out: torch.heaviside(x, x, out=out),
    "a step of another type": lambda torch, x, out: torch.heaviside(x, x.double(), out=out),
    "bits of a float": lambda torch, x, out: torch.bitwise_and(x, 0.5, out=out),
    "bits": lambda torch, x, out: torch.bitwise_xor(x, 3, out=out),
    "a floor of complex numbers": lambda torch, x, out: torch.floor_divide(x, 2j, out=out),
    "a remainder of complex numbers": lambda torch, x, out: torch.fmod(x, 1 + 1j, out=out),
    "a sign of a complex number": lambda torch, x, out: torch.copysign(x, 1j, out=out),
    "a line": lambda torch, x, out: torch.lerp(x, x, 0.5, out=out),
}


@twin
@pytest.mark.parametrize("call", OPERANDS_AND_OUT)
@pytest.mark.parametrize("kinds", list(itertools.product(["bool", "uint8", "int64", "float32"], ["bool", "int64", "float32"])))
def test_a_result_that_out_cannot_take_is_refused_before_a_kernel_that_there_is_not(torch, rng, call, kinds):
    x, out = torch.tensor([1, 0, 1], dtype=getattr(torch, kinds[0])), torch.zeros(3, dtype=getattr(torch, kinds[1]))
    try:
        return OPERANDS_AND_OUT[call](torch, x, out), out
    except Exception as error:  # a NotImplementedError is a RuntimeError, but here it matters which of two is raised
        return type(error).__name__, out


@twin
@pytest.mark.parametrize("call", ["div_", "bitwise_and_", "fmod_", "lerp_", "copysign_"])
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "complex64"])
@pytest.mark.parametrize("other", [1 + 1j, 0.5, True])
def test_in_place_too(torch, rng, call, dtype, other):
    x = torch.tensor([1, 0, 1], dtype=getattr(torch, dtype))
    more = {"rounding_mode": "floor"} if call == "div_" else {"weight": 0.5} if call == "lerp_" else {}
    try:
        return getattr(x, call)(torch.tensor(other) if call == "lerp_" else other, **more)
    except Exception as error:
        return type(error).__name__, x


@twin
def test_a_filling_value_with_dimensions_is_looked_at_before_the_index(torch, rng):
    return outcome(lambda: torch.zeros(2).index_fill(0, torch.tensor([5]), torch.ones(2)))
