"""Modules and their state: tests that do not need torch."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize(
    "broken",
    [
        {"3.bias": torch.ones(5)},
        {"unexpected": torch.ones(1)},
        {"3.bias": "no tensor"},
    ],
)
@pytest.mark.parametrize("assign", [False, True])
def test_nothing_is_written_when_a_state_does_not_fit(broken: dict[str, object], assign: bool) -> None:
    module = network()
    before, params = arrays(module), list(module.parameters())
    state = {name: torch.full_like(value, 7) for name, value in module.state_dict().items()}
    with pytest.raises(RuntimeError, match="Error\\(s\\) in loading state_dict for Sequential"):
        module.load_state_dict({**state, **broken}, assign=assign)
    assert all(np.array_equal(value, before[name]) for name, value in arrays(module).items())
    assert all(p is q for p, q in zip(module.parameters(), params))


def test_a_hook_that_raises_leaves_the_module_as_it_was() -> None:
    module = network()
    before = arrays(module)

    def fail(*args: object) -> None:
        raise KeyError("stop")

    module[3].register_load_state_dict_pre_hook(fail)
    with pytest.raises(KeyError):
        module.load_state_dict({name: torch.zeros_like(value) for name, value in module.state_dict().items()})
    assert all(np.array_equal(value, before[name]) for name, value in arrays(module).items())


def test_a_lazy_module_stays_lazy_when_loading_fails() -> None:
    module = nn.LazyLinear(2)
    with pytest.raises(RuntimeError):
        module.load_state_dict({"weight": torch.ones(2, 3)})
    assert isinstance(module.weight, nn.UninitializedParameter)
    assert module(torch.ones(1, 5)).shape == (1, 2)


def test_an_operation_on_a_parameter_without_a_shape_is_an_error() -> None:
    weight = nn.LazyLinear(2).weight
    for action in (lambda: weight + 1, lambda: weight.sum(), lambda: torch.cat([weight])):
        with pytest.raises(ValueError, match="uninitialized parameter"):
            action()


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_a_dropped_module_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        module = network()
        module[0].register_full_backward_hook(lambda *args: None)
        module(torch.randn(5, 3)).sum().backward()
        gone = weakref.ref(module), weakref.ref(module[0].weight)
        del module
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()


def test_declared_fields_are_the_signature_and_the_repr() -> None:
    assert str(inspect.signature(nn.ReLU6)) == "(inplace: bool = False) -> None"
    assert list(inspect.signature(nn.NLLLoss).parameters) == ["weight", "size_average", "ignore_index", "reduce", "reduction"]
    assert repr(nn.ELU(0.5, inplace=True)) == "ELU(alpha=0.5, inplace=True)"
    with pytest.raises(TypeError, match=r"ELU.__init__\(\) got an unexpected keyword argument 'beta'"):
        nn.ELU(beta=2)
    with pytest.raises(TypeError, match=r"MaxPool2d.__init__\(\) missing a required argument: 'kernel_size'"):
        nn.MaxPool2d()


def test_fields_of_an_own_module() -> None:
    class Scale(nn.modules.configured.Configured):
        factor: float = 2.0

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return input * self.factor

    class Shifted(Scale):
        by: int
        factor: float

    assert repr(Scale(3.0)) == "Scale(factor=3.0)"
    assert Scale()(torch.ones(1)).item() == 2
    assert repr(Shifted(1)) == "Shifted(by=1, factor=2.0)"


def test_modules_survive_pickling_and_copying() -> None:
    module, x = network(), torch.randn(6, 3)
    module(x)
    module.eval()
    for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert np.array_equal(other(x).detach().numpy(), module(x).detach().numpy())
        assert other[0].weight is not module[0].weight
        assert isinstance(other[0].weight, nn.Parameter)
        assert repr(other) == repr(module)


def test_a_parameter_shares_memory_and_version_with_its_tensor() -> None:
    tensor = torch.zeros(2)
    parameter = nn.Parameter(tensor)
    tensor.add_(1)
    assert parameter.tolist() == [1, 1]
    assert parameter._version == 1
    with pytest.raises(RuntimeError, match="Only Tensors of floating point"):
        nn.Parameter(torch.tensor([1, 2]))


def test_batch_norm_counts_batches_in_training_only() -> None:
    module, x = nn.BatchNorm1d(3, momentum=None), torch.randn(8, 3)
    module(x)
    module(x * 3)
    assert module.num_batches_tracked.item() == 2
    expected = (x.numpy().mean(0) + 3 * x.numpy().mean(0)) / 2
    assert np.allclose(module.running_mean.numpy(), expected, atol=1e-6)
    module.eval()(x)
    assert module.num_batches_tracked.item() == 2


def test_the_gradient_is_clipped_as_one_vector() -> None:
    params = [torch.zeros(3, requires_grad=True), torch.zeros(2, 2, requires_grad=True)]
    for p in params:
        p.grad = torch.ones_like(p.detach()) * 10
    norm = nn.utils.clip_grad_norm_(iter(params), 1.0)
    assert norm.item() == pytest.approx(10 * 7**0.5)
    assert sum([float((p.grad.numpy() ** 2).sum()) for p in params]) == pytest.approx(1.0, rel=1e-5)
