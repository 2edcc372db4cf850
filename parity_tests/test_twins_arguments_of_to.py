"""The arguments of ``to``, of tensors, of modules and alone (``_parse_to``): one list for all three."""

from __future__ import annotations

import pytest

from parity_tests.twin import message, raised, twin

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


@twin
def test_a_module_takes_a_memory_format(torch, rng):
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.Linear(2, 2))
    module.register_buffer("whole", torch.zeros(2, 3, 2, 2, dtype=torch.int64))
    weight = module[0].weight
    with torch.no_grad():
        weight.copy_(rng(3, 2, 2, 2))
    found = [module.to(memory_format=torch.channels_last) is module, module[0].weight is weight, weight.stride()]
    found += [module.whole.stride(), module[1].weight.stride()]
    optimizer = torch.optim.Adam(module[0].parameters())
    module[0](rng(1, 2, 4, 4)).pow(2).sum().backward()
    optimizer.step()
    found += [weight.grad.stride(), weight.stride(), optimizer.state[weight]["exp_avg"].stride()]
    found += [module.to(torch.float64, memory_format=torch.contiguous_format)[0].weight.stride(), module.whole.dtype]
    module.register_buffer("larger", torch.zeros(1, 2, 2, 2, 2))
    return found, message(lambda: module.to(memory_format=torch.channels_last))


@twin
def test_a_tensor_like_another_takes_a_memory_format(torch, rng):
    image, volume = rng(2, 3, 4, 4), rng(2, 3, 2, 2, 2)
    makers = [torch.empty_like, torch.zeros_like, torch.ones_like, torch.rand_like, torch.randn_like]
    makers += [lambda x, **kind: torch.full_like(x, 2.0, **kind), lambda x, **kind: torch.randint_like(x, 5, **kind)]
    torch.manual_seed(0)
    drawn = [
        torch.randn_like(image, memory_format=torch.channels_last),
        torch.rand_like(image, memory_format=torch.channels_last),
    ]
    strides = [make(image, memory_format=torch.channels_last).stride() for make in makers]
    strides += [make(volume, memory_format=torch.channels_last_3d).stride() for make in makers]
    strides += [make(drawn[0], memory_format=torch.contiguous_format).stride() for make in makers]
    return drawn, strides, [message(lambda make=make: make(volume, memory_format=torch.channels_last)) for make in makers]
