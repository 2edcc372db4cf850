"""Gradients that come from outside: sparse ones from a Function, from hooks and from the user; none at all."""

from __future__ import annotations

import pytest

from parity_tests.twin import function_of, raised, twin


def kept(x):
    """What can be seen of the gradient of a leaf, sparse or not."""
    return x.grad.is_sparse, x.grad.shape, x.grad.to_dense()


@twin
def test_a_function_may_return_a_sparse_gradient(torch, rng):
    sparse = function_of(torch, "Twice", forward=lambda ctx, x: x * 2, backward=lambda ctx, g: (g * 2).to_sparse())
    x, y = rng(2, 3, grad=True), rng(2, 3, grad=True)
    sparse.apply(x).backward(rng(2, 3))
    sparse.apply(y * 3).backward(rng(2, 3))  # what comes after it is dense
    return kept(x), y.grad


@twin
def test_a_sparse_gradient_of_another_shape_is_refused(torch, rng):
    sparse = function_of(torch, "Row", forward=lambda ctx, x: x * 2, backward=lambda ctx, g: g.repeat(2, 1).to_sparse())
    return raised(lambda: sparse.apply(rng(2, 3, grad=True)).sum().backward())


@twin
def test_a_sparse_tensor_may_be_assigned_as_gradient(torch, rng):
    x = rng(2, 3, grad=True)
    x.grad = rng(2, 3).to_sparse()
    torch.optim.SGD([x], lr=0.1).step()
    return kept(x), x.detach()


@pytest.mark.parametrize("make", [lambda g: g.double(), lambda g: g[:1]])
@twin
def test_a_sparse_gradient_is_checked_when_it_is_assigned(torch, rng, make):
    return raised(lambda: setattr(rng(2, 3, grad=True), "grad", make(rng(2, 3)).to_sparse()))


@twin
def test_a_backward_may_begin_with_a_sparse_gradient(torch, rng):
    x = rng(2, 3, grad=True)
    (x * 2).backward(rng(2, 3).to_sparse())
    return x.grad.to_dense()


@pytest.mark.parametrize("where", ["leaf", "result", "before a node"])
@twin
def test_a_hook_cannot_make_a_gradient_sparse(torch, rng, where):
    x = rng(2, 3, grad=True)
    y = x.exp()
    if where == "before a node":
        y.grad_fn.register_prehook(lambda grads: (grads[0].to_sparse(),))
    else:
        (x if where == "leaf" else y).register_hook(lambda g: g.to_sparse())
    return raised(lambda: (y * 2).sum().backward())


@pytest.mark.parametrize("arguments", [{}, {"allow_unused": True}, {"materialize_grads": True}, {"is_grads_batched": True}])
@twin
def test_the_inputs_of_grad_cannot_be_empty(torch, rng, arguments):
    return raised(lambda: torch.autograd.grad(rng(3, grad=True).sum(), [], **arguments))


@pytest.mark.parametrize("shape", [(), (2,)])
@twin
def test_batched_gradients_must_be_given(torch, rng, shape):
    x = rng(*shape, grad=True)
    return raised(lambda: torch.autograd.grad(x * 2, x, is_grads_batched=True))
