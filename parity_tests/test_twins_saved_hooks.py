"""Hooks that decide what is kept of the tensors that are saved for backward."""

from __future__ import annotations

import importlib

import pytest

from parity_tests.twin import message, mistake, raised, twin


def graph_of(torch):
    return importlib.import_module(f"{torch.__name__}.autograd.graph")


@twin
@pytest.mark.parametrize("order", [1, 2])
def test_gradients_are_those_of_what_is_unpacked(torch, rng, order):
    x, w = rng(3, 4, dtype="float64", grad=True), rng(4, 2, dtype="float64", grad=True)
    with graph_of(torch).saved_tensors_hooks(lambda t: t.detach().numpy().copy(), lambda a: torch.from_numpy(a) * 2):
        y = (x.exp() @ w).tanh().prod(1)
    gradients = torch.autograd.grad(y.sum(), (x, w), create_graph=order == 2)
    if order == 1:
        return gradients
    return gradients, torch.autograd.grad(sum([(g * g).sum() for g in gradients]), (x, w))


@twin
def test_the_innermost_pair_counts_and_only_in_its_block(torch, rng):
    hooks, seen = graph_of(torch).saved_tensors_hooks, []
    x = rng(3, grad=True)

    def named(name):
        return hooks(lambda t: (seen.append(f"pack {name}"), t.detach())[1], lambda t: (seen.append(f"unpack {name}"), t)[1])

    with named("outer"):
        a = x.sin()
        with named("inner"):
            b = x.cos()
        c = x.sinh()
    d = x.cosh()
    (a + b + c + d).sum().backward()
    return seen[:3], sorted(seen), x.grad


@twin
def test_layers_and_functions(torch, rng):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x**3
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            return grad * 3 * x * x + 0 * y

    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.MaxPool2d(2))
    x = rng(2, 2, 6, 6, grad=True)
    with graph_of(torch).saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        y = torch.nn.functional.cross_entropy(Cube.apply(net(x)).flatten(1), torch.tensor([0, 1]))
    y.backward()
    return x.grad, [p.grad for p in net.parameters()]


@twin
def test_ready_made_hooks(torch, rng):
    graph = graph_of(torch)
    x = rng(3, grad=True)
    with graph.save_on_cpu():
        a = (x * x).exp().sum()
    with graph.allow_mutation_on_saved_tensors():
        b = rng(3) * 1.0
        c = (b * x).sum()
        b.add_(1)
        (a + c).backward()
    return x.grad


@twin
def test_errors(torch, rng):
    graph = graph_of(torch)
    x = rng(3, grad=True)

    def enter():
        with graph.disable_saved_tensors_hooks("not here"), graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            pass

    with graph.saved_tensors_hooks(lambda t: t.detach(), lambda t: 3):
        y = x.exp()
    with graph.saved_tensors_hooks(lambda t: t.zero_(), lambda t: t):
        failed = raised(lambda: rng(3) * x)
    with graph.saved_tensors_hooks(lambda t: t.detach(), lambda t: t):
        late = message(lambda: graph.disable_saved_tensors_hooks("too late").__enter__())
    return message(enter), raised(lambda: y.sum().backward()), failed, late


@twin
def test_edges_and_versions(torch, rng):
    graph = graph_of(torch)
    x = rng(3, grad=True)
    y = x.exp()
    parts = rng(4, grad=True).unbind()
    graph.increment_version(x)
    graph.increment_version([y, y])
    edges = [graph.get_gradient_edge(t) for t in (x, y, parts[2])]
    return (
        [(edge.node.name(), edge.output_nr) for edge in edges[:2]],
        x._version,
        y._version,
        raised(lambda: graph.get_gradient_edge(rng(2))),
    )


@mistake
def test_a_tensor_that_was_saved_may_not_be_modified_once_the_block_has_ended(torch, rng):
    x, b = rng(3, grad=True), rng(3) * 1.0
    with graph_of(torch).saved_tensors_hooks(lambda t: t.detach(), lambda t: t):
        pass
    y = (x * b).sum()
    b.add_(1)
    y.backward()
