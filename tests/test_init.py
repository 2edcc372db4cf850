"""Our own initialization rules for whole modules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.nn import init


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def variances(model: Any, batch: Any) -> dict[str, float]:
    """The variance of the output of each dense and convolutional layer."""
    found: dict[str, float] = {}
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d))]

    def look(name: str) -> Any:
        return lambda layer, args, output: found.update({name: float(output.detach().var(correction=0))})

    hooks = [layer.register_forward_hook(look(name)) for name, layer in layers]
    model(batch)
    for hook in hooks:
        hook.remove()
    return found


def convolutional() -> Any:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 36, 10)
    )


def deep(activation: Any, depth: int = 20) -> Any:
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(30, 30), activation())])


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Identity])
def test_lsuv_gives_every_layer_an_output_of_variance_one(activation: Any) -> None:
    model, batch = deep(activation), 5 * torch.randn(64, 30)
    assert init.lsuv_(model, batch, tol=0.05) is model
    found = variances(model, batch)
    assert len(found) == 20
    assert all(abs(variance - 1) < 0.05 for variance in found.values()), found


def test_lsuv_scales_filters_too_and_leaves_them_orthogonal() -> None:
    model, batch = convolutional(), torch.randn(8, 2, 8, 8)
    biases = [model[i].bias.detach().clone() for i in (0, 2, 5)]
    init.lsuv_(model, batch, tol=0.05)
    assert all(abs(variance - 1) < 0.05 for variance in variances(model, batch).values())
    for i, bias in zip((0, 2, 5), biases):
        matrix = model[i].weight.detach().flatten(1).numpy()
        gram = matrix @ matrix.T
        np.testing.assert_allclose(gram, gram[0, 0] * np.eye(len(gram)), atol=1e-5 * gram[0, 0])
        assert model[i].bias.equal(bias)


def test_lsuv_stops_after_the_given_number_of_trials_or_when_near_enough() -> None:
    model, batch = nn.Sequential(nn.Linear(5, 5)), 7 * torch.randn(50, 5)
    init.lsuv_(model, batch, max_trials=0)
    weight = model[0].weight.detach().numpy()
    np.testing.assert_allclose(weight @ weight.T, np.eye(5), atol=1e-6)
    init.lsuv_(model, batch, tol=1000.0)  # already close enough
    weight = model[0].weight.detach().numpy()
    np.testing.assert_allclose(weight @ weight.T, np.eye(5), atol=1e-6)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5))
    with torch.no_grad():
        model[0].bias.mul_(3)
    init.lsuv_(model, batch, tol=1e-9, max_trials=1)
    assert abs(variances(model, batch)["0"] - 1) > 1e-6  # the bias varies too, so one scaling is not enough


def test_lsuv_goes_in_the_order_of_the_forward_pass() -> None:
    class Backward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first = nn.Linear(6, 4), nn.Linear(5, 6)

        def forward(self, x: Any) -> Any:
            return self.second(self.first(x).relu())

    model, batch = Backward(), 10 * torch.randn(40, 5)
    init.lsuv_(model, batch, tol=0.02)
    assert all(abs(variance - 1) < 0.02 for variance in variances(model, batch).values())


def test_lsuv_puts_every_part_back_into_its_mode_and_leaves_statistics_and_hooks() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[2].eval()
    mean = model[1].running_mean.clone()
    init.lsuv_(model, torch.randn(20, 5))
    assert [part.training for part in model] == [True, True, False, True]
    assert model[1].running_mean.equal(mean)
    assert not any(part._forward_hooks for part in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_lsuv_names_a_layer_whose_output_does_not_vary_and_leaves_no_hook() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    init.zeros_(model[0].bias)
    with pytest.raises(ValueError, match=r"layer '0' has the variance 0\.0"):
        init.lsuv_(model, torch.zeros(4, 5))
    assert model.training and not model[0]._forward_hooks
    with pytest.raises(ValueError, match="nan"):
        init.lsuv_(model, torch.full((4, 5), math.nan))


def test_a_layer_that_is_called_twice_or_shares_its_weight_is_scaled_once() -> None:
    layer, tied = nn.Linear(5, 5), nn.Linear(5, 5)
    tied.weight = layer.weight
    model, batch = nn.Sequential(layer, nn.ReLU(), tied, layer), 9 * torch.randn(50, 5)
    init.lsuv_(model, batch, tol=0.02)
    assert abs(float(layer(batch).var(correction=0)) - 1) < 0.02


def test_lsuv_passes_a_tuple_as_several_arguments() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 6)

        def forward(self, x: Any, y: Any) -> Any:
            return self.layer(x + y)

    model, x, y = Sum(), torch.randn(50, 5), torch.randn(50, 5)
    init.lsuv_(model, (x, y), tol=0.02)
    assert abs(float(model(x, y).var(correction=0)) - 1) < 0.02


@pytest.mark.parametrize(
    "nonlinearity, gain", [("relu", math.sqrt(2) * math.exp(1.2 / (36 - 2.4))), ("linear", math.exp(1 / 72))]
)
def test_random_walk_scales_by_the_fan_in_of_each_layer(nonlinearity: str, gain: float) -> None:
    model = nn.Sequential(nn.Conv2d(4, 2000, 3), nn.BatchNorm2d(2000), nn.Linear(36, 2000), nn.Embedding(3, 4))
    norm, embedding, bias = (t.detach().clone() for t in (model[1].weight, model[3].weight, model[0].bias))
    assert init.random_walk_(model, nonlinearity) is model
    for layer in (model[0], model[2]):
        assert float(layer.weight.std()) == pytest.approx(gain / 6, rel=0.01)
    assert model[1].weight.equal(norm) and model[3].weight.equal(embedding) and model[0].bias.equal(bias)


def test_random_walk_keeps_the_gradient_of_a_deep_net() -> None:
    """Over 40 linear layers of width 20 the mean log of its length falls by 40 / (2 * 20) = 1 with the plain rule."""

    def mean_log_length(draw: Any) -> float:
        logs = []
        for _ in range(40):
            model = nn.Sequential(*[nn.Linear(20, 20, bias=False) for _ in range(40)])
            draw(model)
            x = torch.randn(1, 20, requires_grad=True)
            (direction,) = torch.randn(1, 1, 20)
            model(x).backward(direction)
            logs.append(float((x.grad.norm() / direction.norm()).log()))
        return float(np.mean(logs))

    def plain(model: Any) -> None:
        for layer in model:
            init.normal_(layer.weight, 0, 1 / math.sqrt(20))

    assert mean_log_length(plain) < -0.6
    assert abs(mean_log_length(lambda model: init.random_walk_(model, "linear"))) < 0.4


def test_random_walk_refuses_another_nonlinearity() -> None:
    with pytest.raises(ValueError, match="'tanh'"):
        init.random_walk_(nn.Linear(2, 2), "tanh")


def test_both_draw_from_the_generator_they_are_given() -> None:
    state = torch.get_rng_state().clone()
    for rule in (
        lambda m, g: init.random_walk_(m, generator=g),
        lambda m, g: init.lsuv_(m, torch.ones(2, 3).cumsum(0), generator=g),
    ):
        weights = []
        for _ in range(2):
            torch.set_rng_state(state)
            model = nn.Linear(3, 4)
            before = torch.get_rng_state()
            rule(model, torch.Generator().manual_seed(7))
            assert torch.get_rng_state().equal(before)
            weights.append(model.weight.detach().clone())
        assert weights[0].equal(weights[1])
