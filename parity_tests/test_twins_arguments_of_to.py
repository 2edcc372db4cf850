"""The arguments of ``to``, of tensors, of modules and alone (``_parse_to``): one list for all three."""

from __future__ import annotations

import pytest

from parity_tests.twin import raised, twin

CALLS = {
    "nothing": lambda torch, to: to(),
    "a device": lambda torch, to: to("cpu"),
    "a device of its class": lambda torch, to: to(torch.device("cpu")),
    "meta": lambda torch, to: to("meta"),
    "a type": lambda torch, to: to(torch.float64),
    "a type of Python": lambda torch, to: to(float),
    "a type and a flag": lambda torch, to: to(torch.float64, True),
    "both": lambda torch, to: to("cpu", torch.float64, non_blocking=True),
    "None for a device": lambda torch, to: to(None, torch.float64),
    "None": lambda torch, to: to(None),
    "a tensor": lambda torch, to: to(torch.zeros(1, dtype=torch.float64)),
    "a tensor by name": lambda torch, to: to(tensor=torch.zeros(1, dtype=torch.float64)),
    "by name": lambda torch, to: to(dtype=torch.float64, device="cpu"),
    "a format": lambda torch, to: to(torch.float64, memory_format=torch.preserve_format),
}
WRONG = {
    "a list": lambda torch, to: to([]),
    "a number for a type": lambda torch, to: to("cpu", 3),
    "a number for a flag": lambda torch, to: to(torch.float64, 1),
    "twice": lambda torch, to: to(torch.float64, dtype=torch.float32),
    "an unknown name": lambda torch, to: to(foo=1),
    "a tensor by another name": lambda torch, to: to(other=torch.zeros(1)),
    "too many": lambda torch, to: to("cpu", torch.float64, True, False, 1),
}


def calls(torch, rng):
    yield lambda *args, **kwargs: rng(2, 3).to(*args, **kwargs).dtype
    yield lambda *args, **kwargs: torch.nn.Linear(2, 3).to(*args, **kwargs).weight.dtype
    yield torch._C._nn._parse_to


@twin
@pytest.mark.parametrize("name", CALLS)
def test_arguments_mean_the_same_to_tensors_and_modules(torch, rng, name):
    return [str(CALLS[name](torch, to)) for to in calls(torch, rng)]


@twin
@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_do_not_go_together_are_refused_by_tensors_and_modules(torch, rng, name):
    return [raised(lambda to=to: WRONG[name](torch, to)) for to in calls(torch, rng)]


@twin
def test_a_module_has_no_copy(torch, rng):
    tensors, *others = calls(torch, rng)
    asked = [lambda to: to(copy=True), lambda to: to("cpu", copy=False), lambda to: to(torch.float64, False, False)]
    return [[raised(lambda ask=ask, to=to: ask(to)) for to in others] + [ask(tensors)] for ask in asked]
