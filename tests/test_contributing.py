"""The three additions of CONTRIBUTING.md are executed, so that the page stays true."""

from __future__ import annotations

import doctest
import re
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mini_dl as torch
from mini_dl._surface import NAMESPACES
from mini_dl.autograd import gradcheck, gradgradcheck

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def addition(name: str) -> types.ModuleType:
    """The code that the page marks with `name`, run as a module."""
    found = re.search(rf"<!-- executed by tests/test_contributing.py: {name} -->\n```python\n(.*?)```", PAGE.read_text(), re.S)
    assert found, f"CONTRIBUTING.md has no code marked {name!r}"
    module = types.ModuleType(f"addition_{name}")
    exec(compile(found[1], f"CONTRIBUTING.md, {name}", "exec", dont_inherit=True), module.__dict__)
    return module


@pytest.fixture
def op() -> Iterator[types.ModuleType]:
    yield addition("op")
    for name in ("tanh_square", "tanh_square_"):
        NAMESPACES["torch"].pop(name, None)
        if hasattr(torch.Tensor, name):
            delattr(torch.Tensor, name)


def test_the_op_has_every_spelling_and_both_derivatives(op: types.ModuleType) -> None:
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    function = NAMESPACES["torch"]["tanh_square"]
    expected = np.tanh(x.detach().numpy() ** 2)
    assert np.array_equal(function(x).detach().numpy(), expected)
    assert np.array_equal(torch.Tensor.tanh_square(x.detach()).numpy(), expected)  # type: ignore[attr-defined]
    target = torch.empty(5, dtype=torch.float64)
    assert function(x.detach(), out=target) is target
    assert np.array_equal(target.numpy(), expected)
    written = x.detach().clone()
    torch.Tensor.tanh_square_(written)  # type: ignore[attr-defined]
    assert np.array_equal(written.numpy(), expected)
    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


def test_the_module_shows_its_fields_and_computes() -> None:
    made = addition("module")
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(made.Snake, "Snake", module=False, globs=vars(made)):
        assert runner.run(example).failed == 0
    assert repr(made.Snake(a=2.0)) == "Snake(a=2.0)"
    x = torch.linspace(-1, 1, 5)
    assert torch.allclose(made.Snake(2.0)(x), x + (2 * x).sin() ** 2 / 2)
    with pytest.raises(TypeError, match="unexpected keyword"):
        made.Snake(b=1)


@pytest.mark.parametrize("size", [3, 20_000, 300_000])
def test_the_optimizer_steps_alike_at_every_size_and_recorded(size: int) -> None:
    cls = addition("optimizer").SignDescent
    start = torch.randn(size, dtype=torch.float64)
    grads = [torch.randn(size, dtype=torch.float64) for _ in range(3)]
    mean, expected = np.zeros(size), start.numpy().copy()
    for grad in grads:
        g = grad.numpy() + 0.1 * expected
        mean += (1 - 0.9) * (g - mean)
        expected -= 0.01 * np.sign(mean)
    for differentiable in (False, True):
        param = start.clone()
        optimizer = cls([param], lr=0.01, weight_decay=0.1, differentiable=differentiable)
        for grad in grads:
            param.grad = grad.clone()
            optimizer.step()
        assert np.allclose(param.detach().numpy(), expected, rtol=0, atol=1e-12)
        assert float(optimizer.state[param]["step"]) == 3
    with pytest.raises(ValueError, match="Invalid learning rate"):
        cls([start], lr=-1)
