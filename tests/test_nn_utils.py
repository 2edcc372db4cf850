"""Parametrized, normalized, pruned and fused layers; modules called with other tensors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.nn import utils
from mini_dl.nn.utils import parametrizations, parametrize, prune


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(np.allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-6))


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
def test_an_orthogonal_weight_stays_orthogonal_in_training(kind: str, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = parametrizations.orthogonal(nn.Linear(*shape), orthogonal_map=kind)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    before = layer.weight.detach().clone()
    for _ in range(3):
        (layer(torch.randn(4, shape[0])) ** 3).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    weight = layer.weight if shape[0] <= shape[1] else layer.weight.mT
    assert close(weight.mT @ weight, torch.eye(min(shape)))
    assert not close(layer.weight, before)


@pytest.mark.parametrize("apply", [utils.spectral_norm, parametrizations.spectral_norm])
def test_the_largest_singular_value_becomes_one(apply: object) -> None:
    torch.manual_seed(0)
    layer = apply(nn.Linear(6, 4), n_power_iterations=100)  # type: ignore[operator]
    layer(torch.randn(1, 6))
    assert np.linalg.norm(layer.weight.detach().numpy(), 2) == pytest.approx(1, abs=1e-5)


def test_parametrizing_changes_this_module_only_and_can_be_undone() -> None:
    layer, other = nn.Linear(2, 2), nn.Linear(2, 2)
    weight, start = layer.weight, layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", nn.Tanh())
    assert type(other) is nn.Linear and isinstance(layer, nn.Linear) and type(layer).__name__ == "ParametrizedLinear"
    assert close(layer.weight, start.tanh())
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert type(layer) is nn.Linear and layer.weight is weight and close(weight, start)


def test_a_dropped_parametrized_module_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        layer = parametrizations.weight_norm(nn.Linear(2, 2))
        layer(torch.ones(1, 2)).sum().backward()
        gone = weakref.ref(layer.parametrizations.weight.original0)
        del layer
        assert gone() is None
    finally:
        gc.enable()


def test_pruning_twice_counts_from_what_is_left() -> None:
    layer = nn.Linear(10, 10)
    prune.l1_unstructured(layer, "weight", 0.5)
    prune.l1_unstructured(layer, "weight", 0.5)
    assert int((layer.weight == 0).sum()) == 75
    layer(torch.ones(1, 10)).sum().backward()
    assert close(layer.weight_orig.grad, layer.weight_mask)
    prune.remove(layer, "weight")
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"]


def test_a_mask_that_cannot_be_computed_leaves_the_module_as_it_was() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="should be smaller"):
        prune.l1_unstructured(layer, "weight", 7)
    assert sorted(name for name, _ in layer.named_parameters()) == ["bias", "weight"]


def test_a_fused_layer_does_what_both_did() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)
    for _ in range(3):
        norm(conv(torch.randn(4, 2, 5, 5)))
    conv.eval(), norm.eval()
    x = torch.randn(1, 2, 5, 5)
    assert close(utils.fuse_conv_bn_eval(conv, norm)(x), norm(conv(x)))


def test_a_functional_call_leaves_the_module_as_it_was_even_if_it_fails() -> None:
    layer = nn.Linear(2, 2)
    weight, given = layer.weight, {"weight": torch.eye(2), "bias": torch.zeros(2)}
    assert close(torch.func.functional_call(layer, given, torch.ones(1, 2)), torch.ones(1, 2))
    with pytest.raises(RuntimeError):
        torch.func.functional_call(layer, given, torch.ones(1, 3))
    assert layer.weight is weight
