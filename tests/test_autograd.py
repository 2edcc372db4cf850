"""The graph, the engine, views and in-place writes: tests that do not need torch."""

from __future__ import annotations

import gc
import inspect
import textwrap
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.autograd.primitive import Op, op_together
from mini_dl.autograd.recording import Text, text_of_unary


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_a_dropped_graph_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1, 2, 3)
        y = (x * 2).exp()
        nodes = [weakref.ref(y.grad_fn), weakref.ref(y.grad_fn.next_functions[0][0])]
        z = torch.softmax(y.reshape(3, 1), 0).sum()
        nodes.append(weakref.ref(z.grad_fn))
        del y, z
        assert [node() for node in nodes] == [None, None, None]
    finally:
        gc.enable()


def test_a_leaf_is_freed_with_its_graph_and_backward_leaves_no_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1, 2)
        gone = weakref.ref(x)
        y = x * 3
        y.sum().backward()
        del x, y
        assert gone() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_chain_of_50000_ops_backpropagates() -> None:
    x = leaf(1, 2)
    y = x
    for _ in range(50_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_stack_of_200_layers_backpropagates() -> None:
    torch.manual_seed(0)
    layers = [layer for _ in range(200) for layer in (torch.nn.Linear(8, 8), torch.nn.Tanh())]
    model = torch.nn.Sequential(*layers)
    model(torch.ones(2, 8)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_graph_can_be_used_once_unless_it_is_retained() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_gradients_add_up_and_never_alias_each_other() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    (x + y).sum().backward()
    x.grad.mul_(10)
    assert y.grad.tolist() == [1, 1]


def test_a_gradient_given_by_the_user_is_not_taken_over() -> None:
    x = leaf(1, 2)
    given = torch.tensor([5.0, 6.0], dtype=torch.float64)
    (x * 1).backward(given)
    x.grad.zero_()
    assert given.tolist() == [5, 6]


def test_a_leaf_that_requires_grad_cannot_be_written_in_place() -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        x[0].mul_(2)
    assert x.tolist() == [1, 2]


def test_a_value_saved_for_backward_must_not_be_written() -> None:
    x = leaf(1, 2)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_write_through_a_view_reaches_the_base_and_its_gradient() -> None:
    x, w = leaf(1, 2, 3), leaf(10, 20)
    y = x * 1
    y[1:].mul_(w)
    assert y.tolist() == [1, 20, 60]
    y.sum().backward()
    assert x.grad.tolist() == [1, 10, 20]
    assert w.grad.tolist() == [2, 3]


def test_a_view_taken_before_a_write_to_its_base_follows_the_new_history() -> None:
    x = leaf(1, 2, 3)
    y = x * 1
    view = y[:2]
    y.mul_(3)
    view.sum().backward()
    assert x.grad.tolist() == [3, 3, 0]


def test_second_and_third_order_gradients() -> None:
    x = leaf(2)
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    assert [first.item(), second.item(), third.item()] == [12, 12, 6]


def test_grad_mode_belongs_to_the_thread() -> None:
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        thread.start()
        thread.join()
        assert not torch.is_grad_enabled()
    assert seen == [True]


def test_hooks_see_and_replace_gradients() -> None:
    x = leaf(1, 2)
    y = x * 2
    seen = []
    y.register_hook(lambda grad: seen.append(grad.tolist()))
    handle = x.register_hook(lambda grad: grad * 100)
    y.sum().backward()
    handle.remove()
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [200, 200]


def test_retain_grad_keeps_the_gradient_of_what_is_no_leaf() -> None:
    x = leaf(1, 2)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8]


def test_a_function_of_the_users_own() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            assert ctx.saved_tensors[0].tolist() == [1, 2]
            return grad * 2

    x = leaf(1, 2)
    Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_gradcheck_accepts_a_right_gradient_and_refuses_a_wrong_one() -> None:
    Wrong = type("Wrong", (torch.autograd.Function,), {
        "forward": staticmethod(lambda ctx, x: x * 2), "backward": staticmethod(lambda ctx, grad: grad * 2.1)
    })  # fmt: skip

    x = leaf(0.3, -1.2)
    assert torch.autograd.gradcheck(lambda x: torch.sin(x) * x, (x,))
    assert torch.autograd.gradgradcheck(lambda x: torch.sin(x) * x, (x,))
    with pytest.raises(torch.autograd.GradcheckError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(Wrong.apply, (x,))
    assert not torch.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False, fast_mode=True)


def test_jacobian_and_hessian_of_known_functions() -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert torch.autograd.functional.jacobian(lambda x: x**2, x).tolist() == [[2, 0], [0, 4]]
    assert torch.autograd.functional.hessian(lambda x: (x**3).sum(), x).tolist() == [[6, 0], [0, 12]]


def test_anomaly_mode_names_the_operation_that_made_nan() -> None:
    x = leaf(0)
    with pytest.warns(UserWarning), torch.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan values"):
        (torch.sqrt(x) * 0).sum().backward()


def test_an_expanded_tensor_cannot_be_written() -> None:
    x = torch.zeros(3).expand(2, 3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory location"):
        x.add_(1)


def test_a_write_that_does_not_fit_changes_nothing() -> None:
    x = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(RuntimeError, match="can't be cast"):
        x.add_(1.5)
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        x.add_(torch.ones(3, 2, dtype=torch.int64))
    assert np.array_equal(x.numpy(), [0, 0])


def test_a_summed_gradient_that_goes_on_to_two_tensors_is_not_added_to_in_place() -> None:
    x, z = leaf(1, 2), leaf(1, 2)
    b, a = z * 1.0, x * 1.0
    also_a = (a * 10).sum()  # older than the sum below: its gradient comes last, when a and b share one
    s = a + b
    ((s * 2).sum() + (s * 3).sum() + also_a).backward()
    assert x.grad.tolist() == [15, 15]
    assert z.grad.tolist() == [5, 5]


def test_a_formula_of_several_gradients_runs_once_and_is_told_which_are_wanted() -> None:
    asked = []

    def gradients(grad: torch.Tensor, wanted: list[bool], x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(wanted)
        return grad * y, grad * x

    @op_together(gradients, "x", "y")
    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x * y

    a, b = leaf(1, 2), leaf(3, 4)
    product(a, b).sum().backward()
    product(a, b.detach()).sum().backward()
    assert asked == [[True, True], [True, False]]
    assert a.grad.tolist() == [6, 8]
    assert b.grad.tolist() == [1, 2]


def test_a_formula_of_several_gradients_must_take_what_is_wanted() -> None:
    def square(x: np.ndarray) -> np.ndarray:
        return x * x

    with pytest.raises(TypeError, match=r"square: the formula of 'x' must take `grad` .* and `wanted` first"):
        op_together(lambda grad, x: (grad * x,), "x")(square)


def test_the_text_of_a_call_is_what_its_documentation_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Text, "asks", False)  # no transform has started

    def exp(input: Any) -> Any:
        return np.exp(input)

    written = text_of_unary(Op(exp, {"input": lambda grad, result: grad * result}))
    assert Text.__doc__ is not None
    assert textwrap.indent(written, "    ") in inspect.cleandoc(Text.__doc__)
