"""Averaged models, the schedule towards their learning rate, and recomputed batch norm, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import message, twin

AVERAGES = {
    "equal": lambda swa: {},
    "equal, one by one": lambda swa: {"avg_fn": swa.get_swa_avg_fn()},
    "equal, lists": lambda swa: {"multi_avg_fn": swa.get_swa_multi_avg_fn()},
    "exponential, one by one": lambda swa: {"avg_fn": swa.get_ema_avg_fn(0.8)},
    "exponential, lists": lambda swa: {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.8)},
    "own": lambda swa: {"avg_fn": lambda average, current, count: (average + current * count) / (1 + count)},
}


def network(torch, dtype):
    nn = torch.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("how", "use_buffers"),
    [(how, flag) for how in AVERAGES for flag in (False, True) if not flag or how != "equal, lists"],  # which rejects integers
)
@twin
def test_averages_of_a_run(torch, rng, how, dtype, use_buffers):
    swa = torch.optim.swa_utils
    model = network(torch, dtype)
    average = swa.AveragedModel(model, use_buffers=use_buffers, **AVERAGES[how](swa))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(5):
        optimizer.zero_grad()
        (model(rng(6, 3, dtype=dtype)) ** 2).mean().backward()
        optimizer.step()
        average.update_parameters(model)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    batches = [rng(6, 3, dtype=dtype), (rng(6, 3, dtype=dtype), 1), [rng(2, 3, dtype=dtype)]]
    swa.update_bn(batches, average)
    return before, dict(average.state_dict()), average(rng(4, 3, dtype=dtype)), average.module[1].momentum, average.training


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4])
@twin
def test_the_schedule_towards_the_rate_of_averaging(torch, rng, epochs, strategy):
    params = [rng(2, grad=True), rng(3, grad=True)]
    optimizer = torch.optim.SGD([{"params": params[0], "lr": 0.5}, {"params": params[1]}], lr=0.1)
    first = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    second = torch.optim.swa_utils.SWALR(optimizer, [0.05, 0.2], epochs, strategy)
    found = []
    for epoch in range(9):
        optimizer.step()
        (first if epoch < 3 else second).step()
        found.append([group["lr"] for group in optimizer.param_groups])
    state = {key: value for key, value in second.state_dict().items() if not callable(value)}
    other = torch.optim.swa_utils.SWALR(torch.optim.SGD(params, lr=1.0), 0.5)
    other.load_state_dict(second.state_dict())
    return found, state, other.get_last_lr(), repr(optimizer)


@twin
def test_what_averaging_refuses(torch, rng):
    swa = torch.optim.swa_utils
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=0.1)
    model = torch.nn.Linear(1, 1)
    return [
        message(lambda: swa.get_ema_avg_fn(1.5)),
        message(lambda: swa.get_ema_multi_avg_fn(-0.1)),
        message(lambda: swa.SWALR(optimizer, 0.1, anneal_strategy="square")),
        message(lambda: swa.SWALR(optimizer, 0.1, anneal_epochs=-1)),
        message(lambda: swa.SWALR(optimizer, [0.1, 0.2])),
        message(lambda: swa.AveragedModel(model, avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn())),
    ]


@twin
def test_a_network_without_batch_norm_keeps_its_mode(torch, rng):
    model = torch.nn.Linear(2, 2).eval()
    torch.optim.swa_utils.update_bn(iter(int, 1), model)  # an endless loader: it is not used
    return model.training
