"""Every learning rate schedule under both libraries: tensors as rates, given epochs, warnings, saved state, bad arguments."""

from __future__ import annotations

import copy
import functools
import inspect

import pytest
import torch as real

from parity_tests import bridge
from parity_tests.schedules import SCHEDULES
from parity_tests.twin import message, twin

PLAIN = sorted(set(SCHEDULES) - {"ReduceLROnPlateau"})
WITH_EPOCH = sorted(set(PLAIN) - {"ChainedScheduler", "SequentialLR"})


def optimizer_of(torch, rng, rate=0.3):
    groups = [{"params": rng(2, grad=True)}, {"params": rng(3, grad=True), "lr": copy.deepcopy(rate) / 2}]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9)


def begun(torch, rng, name, rate=0.3):
    """An optimizer, and the schedule of this name on it."""
    optimizer = optimizer_of(torch, rng, rate)
    return optimizer, SCHEDULES[name](torch.optim.lr_scheduler, optimizer)


def rates(optimizer):
    return [copy.deepcopy(group["lr"]) for group in optimizer.param_groups]


@pytest.mark.parametrize("name", PLAIN)
@twin
def test_a_tensor_as_rate_is_changed_in_place(torch, rng, name):
    optimizer = optimizer_of(torch, rng, torch.tensor(0.3, dtype=torch.float64))
    before = [group["lr"] for group in optimizer.param_groups]
    scheduler = SCHEDULES[name](torch.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(10):
        optimizer.step()
        scheduler.step()
        found.append((rates(optimizer), scheduler.get_last_lr()))
    return found, [a is group["lr"] for a, group in zip(before, optimizer.param_groups)]


@pytest.mark.parametrize("name", WITH_EPOCH)
@twin
def test_a_given_epoch(torch, rng, name):
    optimizer, scheduler = begun(torch, rng, name)
    optimizer.step()
    found = []
    for epoch in (3, 7, 1, 12, None, None, 0, None):
        scheduler.step() if epoch is None else scheduler.step(epoch)
        found.append((rates(optimizer), scheduler.last_epoch))
    return found


@pytest.mark.parametrize("name", PLAIN)
@twin
def test_asking_for_the_rate_from_outside(torch, rng, name):
    optimizer, scheduler = begun(torch, rng, name)
    scheduler.step()
    return message(scheduler.get_lr), scheduler.get_last_lr(), repr(optimizer)


@pytest.mark.parametrize("name", PLAIN)
@twin
def test_saved_state(torch, rng, name):
    optimizer, scheduler = begun(torch, rng, name)
    for _ in range(5):
        optimizer.step()
        scheduler.step()

    def plain(state):
        if isinstance(state, dict):
            return {str(key): plain(value) for key, value in sorted(state.items(), key=str) if not callable(value)}
        return [plain(item) for item in state] if isinstance(state, (list, tuple)) else state

    return plain(scheduler.state_dict())


@pytest.mark.parametrize("name", [n for n in WITH_EPOCH if "," not in n])
@twin
def test_going_on_from_an_epoch(torch, rng, name):
    optimizer = optimizer_of(torch, rng)
    SCHEDULES[name](torch.optim.lr_scheduler, optimizer)
    kind = getattr(torch.optim.lr_scheduler, name)
    options = {
        "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
        "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.9},
        "StepLR": {"step_size": 2},
        "MultiStepLR": {"milestones": [4, 6]},
        "ExponentialLR": {"gamma": 0.9},
        "CosineAnnealingLR": {"T_max": 7},
        "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1},
        "OneCycleLR": {"max_lr": 0.2, "total_steps": 21},
        "CosineAnnealingWarmRestarts": {"T_0": 4},
    }.get(name, {})
    scheduler = kind(optimizer, **options, last_epoch=4)
    found = [rates(optimizer)]
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        found.append(rates(optimizer))
    return found, message(lambda: kind(optimizer_of(torch, rng), **options, last_epoch=4))


BAD = {
    "LambdaLR": ["abs", "[abs]"],
    "MultiplicativeLR": ["3", "[abs, 3]", "[abs, abs, abs]"],
    "ConstantLR": ["-0.1", "1.5"],
    "LinearLR": ["0.0", "1.5", "0.5, 1.5", "0.5, -0.1"],
    "CosineAnnealingWarmRestarts": ["0", "1.5", "-1", "3, 0", "3, 1.5", "3, 1, '1'"],
    "ReduceLROnPlateau": ["'least'", "factor=1.0", "threshold_mode='other'", "min_lr=[0.1]", "min_lr=[0.1, 0.1, 0.1]"],
    "CyclicLR": ["0.1, 1, mode='square'", "0.1, [1.0]", "[0.1], 1", "0.1, 1, base_momentum=[1]", "0.1, 1, 3, 0"],
    "OneCycleLR": [
        "1.0",
        "1.0, 0",
        "1.0, -3",
        "1.0, 2.5",
        "1.0, epochs=3",
        "1.0, epochs=0, steps_per_epoch=3",
        "1.0, epochs=3, steps_per_epoch=0",
        "1.0, 10, pct_start=1.5",
        "1.0, 10, pct_start=1",
        "1.0, 10, anneal_strategy='other'",
        "[1.0], 10",
    ],
}


@pytest.mark.parametrize("name", BAD)
@twin
def test_bad_arguments(torch, rng, name):
    found = []
    for text in BAD[name]:
        arguments, options = eval(f"(lambda *a, **k: (a, k))({text})")
        call = functools.partial(getattr(torch.optim.lr_scheduler, name), optimizer_of(torch, rng), *arguments, **options)
        found.append((text, message(call)))
    return found, message(lambda: getattr(torch.optim.lr_scheduler, name)(3, *arguments, **options))


@twin
def test_schedules_that_do_not_fit_together(torch, rng):
    kinds = torch.optim.lr_scheduler
    optimizer, other = optimizer_of(torch, rng), optimizer_of(torch, rng)
    one, two = kinds.StepLR(optimizer, 2), kinds.ExponentialLR(other, 0.5)
    plateau = kinds.ReduceLROnPlateau(optimizer)
    adagrad = torch.optim.Adagrad([rng(2, grad=True)])
    cycle = kinds.OneCycleLR(optimizer_of(torch, rng), 1.0, 3)
    return [
        message(lambda: kinds.ChainedScheduler([]))[0],
        message(lambda: kinds.ChainedScheduler([one, two]))[0],
        message(lambda: kinds.ChainedScheduler([one, plateau]))[0],
        message(lambda: kinds.ChainedScheduler([3]))[0],
        message(lambda: kinds.SequentialLR(optimizer, [one, two], [3]))[0],
        message(lambda: kinds.SequentialLR(optimizer, [one, plateau], [3]))[0],
        message(lambda: kinds.SequentialLR(optimizer, [one, 3], [3]))[0],
        message(lambda: kinds.CyclicLR(adagrad, 0.1, 1.0)),
        message(lambda: kinds.OneCycleLR(adagrad, 0.1, 10)),
        message(lambda: [cycle.step() for _ in range(5)]),
        message(lambda: kinds.LRScheduler(optimizer)),
    ]


@twin
def test_restarts_at_fractions_of_an_epoch(torch, rng):
    optimizer = optimizer_of(torch, rng)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 2, 0.01)
    found = []
    for tenth in range(1, 90, 7):
        optimizer.step()
        scheduler.step(tenth / 10)
        found.append((rates(optimizer), scheduler.T_cur, scheduler.T_i, scheduler.last_epoch))
    return found, message(lambda: scheduler.step(-1))


@twin
def test_plateaus_of_groups_with_least_rates(torch, rng):
    optimizer, found = optimizer_of(torch, rng), []
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.3, 0, min_lr=[0.05, 0.01], eps=1e-3)
    for metric in (torch.tensor(1.0), 1.0, 0.5, 2.0, float("nan"), 1.0, 1.0):
        scheduler.step(metric)
        found.append((rates(optimizer), scheduler.get_last_lr(), scheduler.last_epoch, scheduler.num_bad_epochs))
    scheduler.step(3.0, 40)
    return found, scheduler.last_epoch, scheduler.best, sorted(k for k in scheduler.state_dict())


LEFT_OUT = {"OptimizerPreHook", "OptimizerPostHook", "profile_hook_step", "share_memory", "swap_in_optimizer_params_and_state"}
"""Types of hooks, the profiler, memory shared between processes, optimizers for tracing."""


def test_names_and_signatures_are_those_of_torch():
    ours, theirs = bridge.mini_dl.optim, real.optim
    assert {name for name in theirs.__all__ if not hasattr(ours, name)} <= LEFT_OUT
    pairs = [(ours, theirs, name) for name in theirs.__all__ if isinstance(getattr(theirs, name), type)]
    pairs += [(ours.lr_scheduler, theirs.lr_scheduler, name) for name in theirs.lr_scheduler.__all__]
    pairs += [(ours.swa_utils, theirs.swa_utils, name) for name in theirs.swa_utils.__all__]
    for one, other, name in pairs:
        mine, expected = getattr(one, name), getattr(other, name)
        assert parameters_of(mine) == parameters_of(expected), name
        if isinstance(expected, type) and not issubclass(expected, real.nn.Module):
            public = {n for n in dir(expected) if not n.startswith("_")} - LEFT_OUT
            assert public <= set(dir(mine)), name
            for method in public:
                if callable(getattr(expected, method)):
                    assert parameters_of(getattr(mine, method)) == parameters_of(getattr(expected, method)), (name, method)


def parameters_of(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
