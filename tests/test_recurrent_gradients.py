"""The gradients of recurrent layers are those of numerical differences, and of the same steps taken one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}
OPTIONS: list[dict[str, Any]] = [
    {}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}, {"bias": False}, {"batch_first": True},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_numerical_differences(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer: Any = LAYERS[name](2, 3, dtype=torch.float64, **options)
    ways = (2 if layer.bidirectional else 1) * layer.num_layers
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    n = x.shape[0 if layer.batch_first else 1]
    states = [torch.randn(ways, n, 3, dtype=torch.float64, requires_grad=True) for _ in range(1 + (name == "lstm"))]

    def run(x: Any, *rest: Any) -> Any:
        hidden, weights = rest[: len(states)], rest[len(states) :]
        names = [name for name, _ in layer.named_parameters()]
        state = tuple(hidden) if name == "lstm" else hidden[0]
        out, last = torch.func.functional_call(layer, dict(zip(names, weights)), (x, state))
        return (out, *last) if name == "lstm" else (out, last)

    assert torch.autograd.gradcheck(run, (x, *states, *layer.parameters()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 3, 4), (40, 8, 32)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_all_steps_at_once_are_the_steps_one_by_one(name: str, sizes: tuple[int, int, int], dtype: Any) -> None:
    steps, n, size = sizes
    torch.manual_seed(0)
    layer: Any = LAYERS[name](3, size, dtype=dtype)
    cell: Any = CELLS[name](3, size, dtype=dtype)
    for ours, theirs in zip(layer.parameters(), cell.parameters()):
        theirs.data.copy_(ours)
    x, weights = torch.randn(steps, n, 3, dtype=dtype), torch.randn(steps, n, size, dtype=dtype)
    first, second = (x.clone().requires_grad_() for _ in range(2))
    out, _ = layer(first)
    (out * weights).sum().backward()
    state: Any = None
    total = torch.zeros((), dtype=dtype)
    for step, weight in zip(second, weights):
        state = cell(step, state)
        total = total + ((state[0] if name == "lstm" else state) * weight).sum()
    total.backward()
    tolerance = 1e-4 if dtype is torch.float32 else 1e-11
    pairs = [(first.grad, second.grad), *[(a.grad, b.grad) for a, b in zip(layer.parameters(), cell.parameters())]]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=tolerance, atol=tolerance)
