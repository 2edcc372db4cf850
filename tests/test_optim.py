"""Optimizers and schedules: what holds without torch at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import optim
from mini_dl.optim.optimizer import BLOCK
from mini_dl.tensor import wrap

ALGORITHMS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1}),
]


def run(algorithm: Any, options: dict[str, Any], start: np.ndarray, grads: list[np.ndarray]) -> Any:
    param = wrap(start.copy()).requires_grad_()
    optimizer = algorithm([param], **options)
    for grad in grads:
        param.grad = wrap(grad)
        optimizer.step()
    return param, optimizer


@pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)
def test_pieces_layouts_and_ranks_give_one_answer(algorithm: Any, options: dict[str, Any]) -> None:
    numbers = np.random.default_rng(0)
    n = 2 * BLOCK + 6
    start, grads = numbers.standard_normal(n), [numbers.standard_normal(n) for _ in range(3)]
    expected = run(algorithm, options, start, grads)[0].numpy(force=True)
    for shape in ((2, n // 2), (n // 2, 2)):
        whole, _ = run(algorithm, options, start.reshape(shape), [g.reshape(shape) for g in grads])
        assert np.array_equal(whole.numpy(force=True).reshape(-1), expected)
        turned = start.reshape(shape).copy(order="F")
        turned_grads, _ = run(algorithm, options, turned, [g.reshape(shape) for g in grads])
        assert np.allclose(turned_grads.numpy(force=True).reshape(-1), expected, rtol=1e-12, atol=1e-12)
    for i in (0, BLOCK, n - 1):  # one element alone
        one, _ = run(algorithm, options, np.array(start[i]), [np.array(g[i]) for g in grads])
        assert one.item() == pytest.approx(expected[i], rel=1e-12)


@pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)
def test_every_algorithm_finds_the_bottom_of_a_bowl(algorithm: Any, options: dict[str, Any]) -> None:
    param = torch.tensor([3.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = algorithm([param], **options)
    for _ in range(300):
        optimizer.zero_grad()
        ((param - 1) ** 2).sum().backward()
        optimizer.step()
    assert np.allclose(param.numpy(force=True), 1, atol=0.05)


def test_the_gradient_is_left_alone() -> None:
    for algorithm, options in ALGORITHMS:
        grad = np.arange(4.0)
        for maximize in (False, True):
            param, _ = run(algorithm, {**options, "maximize": maximize}, np.ones(4), [grad])
            assert np.array_equal(param.grad.numpy(), np.arange(4.0))


def test_a_step_is_seen_by_a_backward_that_needs_the_old_value() -> None:
    param = torch.ones(2, requires_grad=True)
    loss = (param * param).sum()
    param.grad = torch.ones(2)
    optim.SGD([param], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_parameters_without_a_gradient_stay_and_have_no_state() -> None:
    params = [torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)]
    optimizer = optim.Adam(params)
    params[0].grad = torch.ones(2)
    optimizer.step()
    assert params[1].tolist() == [1, 1]
    assert list(optimizer.state_dict()["state"]) == [0]


def test_flags_that_cannot_be_served_are_refused_before_anything_is_written() -> None:
    for flag, error in (("capturable", AssertionError), ("differentiable", NotImplementedError)):
        param = torch.ones(2, requires_grad=True)
        param.grad = torch.ones(2)
        optimizer = optim.Adam([param], **{flag: True})
        with pytest.raises(error):
            optimizer.step()
        assert param.tolist() == [1, 1]


def test_the_mean_of_a_cosine_schedule() -> None:
    optimizer = optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([(1 + np.cos(np.pi * i / 10)) / 2 for i in range(10)])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)
