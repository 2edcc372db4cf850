"""Autograd state of tensors, without torch: views after writes, retained gradients, leaves that change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.autograd.engine import owns_memory
from mini_dl.autograd.memory import hidden, overlaps, shown, spread
from mini_dl.autograd.places import layout_of, place_of


def test_a_kept_gradient_moves_to_the_value_after_a_write() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    assert y.grad.tolist() == [1, 1] and x.grad.tolist() == [6, 6]


def test_inputs_of_backward_get_their_gradient_once() -> None:
    y = torch.ones(2, requires_grad=True) * 1
    y.retain_grad()
    y.sum().backward(inputs=[y])
    assert y.grad.tolist() == [1, 1]


def test_a_frozen_leaf_takes_no_gradient_from_an_older_graph() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    x.requires_grad_(False)
    y.sum().backward()
    assert x.grad is None


def test_an_integer_tensor_does_not_come_to_require_grad() -> None:
    t = torch.zeros(3, dtype=torch.int64)
    t.copy_(torch.ones(3, requires_grad=True))
    assert not t.requires_grad


@pytest.mark.parametrize("change", ["t_", "squeeze_", "unsqueeze_"])
def test_a_shape_changed_without_recording_leaves_a_leaf_a_leaf(change: str) -> None:
    p = torch.ones(1, 3, requires_grad=True)
    with torch.no_grad():
        getattr(p, change)(*((0,) if change != "t_" else ()))
    assert p.requires_grad and p.is_leaf


def test_a_view_made_without_recording_ends_gradients() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    with torch.no_grad():
        v = x[0]
    (v * 2).sum().backward()
    assert v.requires_grad and v.is_leaf and x.grad is None


def test_set_in_place_cannot_be_differentiated() -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.set_(torch.ones(3))
    y = x * 2
    y.set_(torch.ones(2))
    with pytest.raises(RuntimeError, match="set_ is not implemented"):
        y.sum().backward()


def test_a_gradient_of_another_shape_is_refused() -> None:
    x = torch.ones(3, 1, requires_grad=True)
    y = x * 2
    with torch.no_grad():
        y.t_()
    with pytest.raises(RuntimeError, match="expected shape compatible"):
        (y * y).sum().backward()


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_that_is_shown_hidden_and_spread(order: str) -> None:
    base = np.arange(12.0).reshape(3, 4).copy(order)
    for look in (
        lambda a: a[1:, ::2],
        lambda a: a.T[1],
        lambda a: a[0, 1, ...],
        lambda a: a[:, 0:0],
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, axis=1, writeable=True),
    ):
        view = look(base)
        place = place_of(view, base)
        counts = np.bincount(look(np.arange(12).reshape(3, 4)).reshape(-1), minlength=12).reshape(3, 4)
        x, g = torch.tensor(base + 0.5), torch.ones(view.shape, dtype=torch.float64)
        assert np.array_equal(shown(x, place).numpy(), view + 0.5)
        assert np.array_equal(spread(g, place).numpy(), counts)
        assert np.array_equal(hidden(x, place).numpy(), np.where(counts > 0, 0, base + 0.5))
        assert overlaps(layout_of(view)) == (counts.max() > 1)


KEPT: list[Any] = []


def kept() -> Any:
    KEPT.append(np.ones(6, np.float32))
    return KEPT[-1].reshape(2, 3)


@pytest.mark.parametrize(
    ("make", "taken"),
    [
        (lambda: np.ones((2, 3), np.float32), True),
        (lambda: np.ones(6, np.float32).reshape(2, 3), True),
        (lambda: np.ones(7, np.float32)[1:].reshape(2, 3), False),
        (lambda: np.ones((3, 2), np.float32).T, False),
        (lambda: np.frombuffer(bytearray(24), np.float32).reshape(2, 3), False),
        (kept, False),
    ],
)
def test_a_gradient_is_taken_without_a_copy_if_nobody_else_holds_its_memory(make: Callable[[], Any], taken: bool) -> None:
    assert owns_memory(make()) == taken


def test_a_gradient_that_convolution_reshapes_is_not_copied() -> None:
    weight = torch.ones(64, 64, 3, 3, requires_grad=True)
    torch.nn.functional.conv2d(torch.ones(4, 64, 16, 16), weight).sum().backward()
    assert weight.grad is not None and weight.grad._array.base is not None  # a copy would own its memory
