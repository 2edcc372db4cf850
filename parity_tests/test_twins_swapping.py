"""`torch.utils.swap_tensors`: two tensors exchange what they are, and remain the same objects."""

from __future__ import annotations

import weakref

import pytest

from parity_tests.twin import outcome, raised, twin


def shown(x):
    return type(x).__name__, x.detach().clone(), str(x.dtype), x.requires_grad, x.grad, x._version, getattr(x, "mark", None)


def a_written(torch, rng):
    return rng(3).add_(1)


def a_parameter(torch, rng):
    return torch.nn.Parameter(rng(2, 2))


def a_derived(torch, rng):
    return rng(2).as_subclass(type("Derived", (torch.Tensor,), {}))


def a_marked(torch, rng):
    x = rng(2)
    x.mark = 1
    return x


def a_leaf_with_grad(torch, rng):
    x = rng(2, grad=True)
    (x * 2).sum().backward()
    return x


def a_result(torch, rng):
    return rng(2, grad=True) * 2


def some_integers(torch, rng):
    return rng(4, dtype="int64")


MADE = [a_written, a_parameter, a_derived, a_marked, a_leaf_with_grad, a_result, some_integers]


@pytest.mark.parametrize("second", MADE)
@pytest.mark.parametrize("first", MADE)
@twin
def test_they_exchange_everything_but_identity(torch, rng, first, second):
    x, y = first(torch, rng), second(torch, rng)
    out = torch.utils.swap_tensors(x, y)
    names = [None if one.grad_fn is None else type(one.grad_fn).__name__ for one in (x, y)]
    later = [raised(lambda one=one: (one * 3).sum().backward()) for one in (x, y)]
    return out, shown(x), shown(y), names, later, x.is_leaf, y.is_leaf


@twin
def test_what_holds_a_tensor_forbids_the_swap(torch, rng):
    def with_view():
        x = rng(2, grad=True)
        kept.append(x[0])
        torch.utils.swap_tensors(x, rng(2))

    def with_reference():
        x = rng(2)
        kept.append(weakref.ref(x))
        torch.utils.swap_tensors(rng(2), x)

    def saved():
        x = rng(2, grad=True)
        kept.append(x * x)
        torch.utils.swap_tensors(x, rng(2))

    def with_slots():
        x = rng(2).as_subclass(type("Slotted", (torch.Tensor,), {"__slots__": ["extra"]}))
        torch.utils.swap_tensors(x, rng(2))

    kept: list[object] = []
    found = [raised(call) for call in (with_view, with_reference, saved, with_slots)]
    return found, raised(lambda: torch.utils.swap_tensors(3, rng(2))), raised(lambda: torch.utils.swap_tensors(rng(2), 3))


@twin
def test_a_graph_from_before_cannot_be_run(torch, rng):
    x, y = rng(2, grad=True), rng(3, grad=True)
    before = [(x * 2).sum(), (y * 2).sum()]
    torch.utils.swap_tensors(x, y)
    failed = [raised(one.backward) for one in before]
    before.clear()
    (x * 3).sum().backward()
    return failed, x.grad, y.grad


@twin
def test_hooks_go_with_the_value(torch, rng):
    x, y = rng(2, grad=True), rng(2, grad=True)
    x.register_hook(lambda grad: grad * 2)
    torch.utils.swap_tensors(x, y)
    (x * 1).sum().backward()
    (y * 1).sum().backward()
    return x.grad, y.grad, outcome(lambda: torch.utils.swap_tensors(x, x))
