"""Tensors of one library among the arguments of the other: a TypeError that says so, never an endless recursion."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch

import mini_dl

OPERATORS = ["add", "sub", "mul", "truediv", "matmul", "pow", "lt", "iadd", "floordiv", "mod"]
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, t: mini_dl.add(x, t),
    "sin": lambda x, t: mini_dl.sin(t),
    "sum": lambda x, t: mini_dl.sum(t),
    "stack": lambda x, t: mini_dl.stack([x, t]),
    "cat": lambda x, t: mini_dl.cat([t, t]),
    "where": lambda x, t: mini_dl.where(x > 0, x, t),
    "clamp": lambda x, t: mini_dl.clamp(x, t),
    "add_": lambda x, t: x.add_(t),
    "copy_": lambda x, t: x.copy_(t),
    "an index": lambda x, t: x[t],
    "an element": lambda x, t: operator.setitem(x, 0, t),
    "tensor": lambda x, t: mini_dl.tensor(t),
    "as_tensor": lambda x, t: mini_dl.as_tensor(t),
    "linear": lambda x, t: mini_dl.nn.functional.linear(x, t),
    "a module": lambda x, t: mini_dl.nn.Linear(2, 2)(t),
    "a loss": lambda x, t: mini_dl.nn.functional.mse_loss(x, t),
    "einsum": lambda x, t: mini_dl.einsum("i,i", x, t),
    "norm": lambda x, t: mini_dl.linalg.norm(t),
    "fft": lambda x, t: mini_dl.fft.fft(t),
    "erf": lambda x, t: mini_dl.special.erf(t),
    "data": lambda x, t: setattr(x, "data", t),
    "grad": lambda x, t: setattr(x, "grad", t),
    "an optimizer": lambda x, t: mini_dl.optim.SGD([t], lr=0.1),
    "a parameter": lambda x, t: mini_dl.nn.Parameter(t),
    "a buffer": lambda x, t: mini_dl.nn.Buffer(t),
    "a gradient": lambda x, t: (x.requires_grad_() * 2).backward(t),
    "a gradient's output": lambda x, t: mini_dl.autograd.grad(t, x),
    "a recurrent layer": lambda x, t: mini_dl.nn.LSTM(2, 2)(t[None, None]),
    "torch's function": lambda x, t: torch.add(t, x),
    "torch's list": lambda x, t: torch.stack([t, x]),
}


@pytest.fixture(params=[False, True])
def theirs(request: pytest.FixtureRequest) -> torch.Tensor:
    return torch.ones(2, requires_grad=request.param)


@pytest.mark.parametrize("watching", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_with_one_is_a_type_error(theirs: torch.Tensor, name: str, watching: bool) -> None:
    if watching:  # as after a subclass was declared
        mini_dl.overrides.watch()
    for first, second in [(mini_dl.ones(2), theirs), (theirs, mini_dl.ones(2))]:
        with pytest.raises(TypeError, match=r"'Tensor'|torch\.Tensor|no implementation"):
            getattr(operator, name)(first, second)


@pytest.mark.parametrize("name", CALLS)
def test_a_function_given_one_is_a_type_error(theirs: torch.Tensor, name: str) -> None:
    with pytest.raises(TypeError):
        CALLS[name](mini_dl.ones(2), theirs)


def test_classes_derived_from_it_are_refused_too() -> None:
    with pytest.raises(TypeError, match="must be Tensor, not torch"):
        mini_dl.sin(torch.nn.Parameter(torch.ones(2)))


def test_memory_is_shared_by_from_dlpack() -> None:
    theirs = torch.ones(2)
    ours = mini_dl.from_dlpack(theirs)
    ours.add_(1)
    assert theirs.tolist() == [2, 2]
    assert mini_dl.is_tensor(theirs) is False


OURS: dict[str, Callable[[], Any]] = {
    "a tensor": lambda: mini_dl.ones(2),
    "a parameter": lambda: mini_dl.nn.Parameter(mini_dl.ones(2)),
    "a subclass": lambda: mini_dl.ones(2).as_subclass(type("Derived", (mini_dl.Tensor,), {})),
}
OF_TORCH: dict[str, Callable[[Any], Any]] = {
    "exp": torch.exp,
    "relu": torch.nn.functional.relu,
    "inv": torch.linalg.inv,
    "numel": torch.numel,
    "unique": torch.unique,
    "stack": lambda x: torch.stack([x]),
    "ones": lambda x: torch.ones(x),
    "an operator": lambda x: torch.ops.aten.exp(x),
    "a list": lambda x: torch._foreach_add([x], 1),
    "a module": lambda x: torch.nn.ReLU()(x),
    "a method": lambda x: torch.Tensor.exp(x),
    "an index": lambda x: torch.ones(3, 3)[x],
    "out": lambda x: torch.add(torch.ones(2), 1, out=x),
    "a gradient": lambda x: torch.ones(2, requires_grad=True).backward(x),
}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize("ours", OURS)
@pytest.mark.parametrize("name", OF_TORCH)
def test_a_function_of_torch_given_one_of_ours_is_a_type_error(name: str, ours: str) -> None:
    with pytest.raises(TypeError):
        OF_TORCH[name](OURS[ours]())
