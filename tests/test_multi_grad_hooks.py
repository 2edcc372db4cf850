"""Hooks of several tensors hold nothing once the tensors are gone."""

import gc
import weakref

import pytest

import mini_dl as torch


class Hook:
    def __call__(self, gradients):
        pass


@pytest.mark.parametrize("mode", ["all", "any"])
@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("runs", [True, False])
def test_a_hook_of_several_tensors_makes_no_reference_cycle(mode, leaves, runs):
    gc.collect()
    gc.disable()
    try:
        x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        tensors = [x, y] if leaves else [x * 2, y * 3]
        hook = Hook()
        gone = [weakref.ref(hook), weakref.ref(x), weakref.ref(y)]
        torch.autograd.graph.register_multi_grad_hook(tensors, hook, mode=mode)
        if runs:
            (tensors[0] + tensors[1]).sum().backward()
        del x, y, tensors, hook
        assert [ref() for ref in gone] == [None] * 3
    finally:
        gc.enable()


def test_a_tensor_that_is_gone_is_not_waited_for():
    x = torch.ones(2, requires_grad=True)
    kept, dropped, seen = x * 2, x * 3, []
    torch.autograd.graph.register_multi_grad_hook([kept, dropped], seen.append)
    del dropped
    kept.sum().backward()
    assert [None if one is None else one.tolist() for one in seen[0]] == [[1.0, 1.0], None]
