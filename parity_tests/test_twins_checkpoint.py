"""Checkpoints that recompute saved values: as torch's, by value, including nested ones and inside backward."""

from __future__ import annotations

import importlib
from typing import Any

from parity_tests.twin import message, raised, twin


def part(torch: Any) -> Any:
    return importlib.import_module(f"{torch.__name__}.utils.checkpoint")


def network(torch: Any) -> Any:
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))


@twin
def test_a_checkpoint_has_the_gradients_and_the_random_numbers_of_the_plain_call(torch, rng):
    checkpoint = part(torch).checkpoint
    net, x = network(torch), rng(3, 4, grad=True)
    torch.manual_seed(3)
    y = checkpoint(net, x, use_reentrant=False)
    a, b = checkpoint(lambda a, *, b: (a.sin() * b, a + b), y, b=y * 2, use_reentrant=False)
    (a.sum() + b.pow(2).sum()).backward()
    z = rng(3, 4, grad=True)
    part(torch).checkpoint_sequential(net, 3, z, use_reentrant=False).sum().backward()
    return y, x.grad, z.grad, [p.grad for p in net.parameters()], torch.rand(2)


@twin
def test_checkpoints_within_checkpoints(torch, rng):
    checkpoint = part(torch).checkpoint
    net, x = network(torch), rng(3, 4, grad=True)

    def inner(z):
        return checkpoint(lambda u: u.sin().cos(), z, use_reentrant=False) * z

    def outer(z, k=1):
        return checkpoint(lambda u: inner(net(u)).exp() * k, z, use_reentrant=False)

    return torch.autograd.grad(outer(x, k=2).sum(), [x, net[0].weight])


@twin
def test_higher_derivatives_and_several_runs_through_a_checkpoint(torch, rng):
    checkpoint = part(torch).checkpoint
    x = rng(3, 4, grad=True)
    y = checkpoint(lambda z, scale=1.0: (z * scale).sin().cos().tanh(), x, scale=3.0, use_reentrant=False)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    y = checkpoint(lambda z: z.sin().cos().tanh(), x, use_reentrant=False)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return g, h, x.grad


@twin
def test_backward_inside_a_checkpoint(torch, rng):
    x = rng(3, 4, grad=True)

    def function(x):
        y = x.sin()
        z = y.cos()
        (gy,) = torch.autograd.grad(z.sum(), y, retain_graph=True)
        return gy * z

    part(torch).checkpoint(function, x, use_reentrant=False).sum().backward()
    return x.grad


@twin
def test_the_second_run_stops_early_unless_told_otherwise(torch, rng):
    checkpoint, x, done = part(torch), rng(3, grad=True), []

    def function(x):
        y = x.sin().sin()
        done.append(1)
        return y

    for early in (True, False):
        with checkpoint.set_checkpoint_early_stop(early):
            checkpoint.checkpoint(function, x, use_reentrant=False).sum().backward()
    return len(done), x.grad


@twin
def test_a_second_run_that_differs_is_an_error(torch, rng):
    checkpoint, x = part(torch).checkpoint, rng(3, 4, grad=True)
    found = []
    for change in (lambda z: z.sin(), lambda z: z[:1].sin().cos(), lambda z: z.double().sin().cos()):
        runs = []

        def function(z, change=change, runs=runs):
            runs.append(1)
            return z.sin().cos() if len(runs) == 1 else change(z)

        found.append(message(lambda f=function: checkpoint(f, x, use_reentrant=False).sum().backward())[0])
    loose = []

    def without_check(z):
        loose.append(1)
        return z.sin().cos() if len(loose) == 1 else z.double().sin().cos()

    return found, raised(lambda: checkpoint(without_check, x, use_reentrant=False, determinism_check="none").sum())


@twin
def test_without_gradients_a_checkpoint_is_the_plain_call_and_the_reentrant_one_refuses_grad(torch, rng):
    checkpoint, x = part(torch).checkpoint, rng(3, 4, grad=True)
    with torch.no_grad():
        plain = checkpoint(lambda z: z.sin(), x, use_reentrant=False)
    refused = message(lambda: torch.autograd.grad(checkpoint(lambda z: z.sin(), x, use_reentrant=True).sum(), x))
    unknown = raised(lambda: checkpoint(lambda z: z, x, use_reentrant=False, determinism_check="all"))
    return plain, plain.requires_grad, refused, unknown


@twin
def test_contexts_around_both_runs(torch, rng):
    import contextlib

    seen = []

    @contextlib.contextmanager
    def note(name):
        seen.append(name)
        yield

    x = rng(3, grad=True)
    contexts = lambda: (note("first"), note("second"))
    part(torch).checkpoint(lambda z: z.sin().sin(), x, use_reentrant=False, context_fn=contexts).sum().backward()
    return seen, x.grad


@twin
def test_a_part_runs_once_more_however_many_formulas_ask_for_what_it_saved(torch, rng):
    runs = []
    F = torch.nn.functional
    for function in (
        lambda a, b: a / b, torch.atan2, torch.hypot, torch.logaddexp, torch.maximum, torch.linalg.solve, F.cosine_similarity,
        lambda a, b: torch.where(a > 0, a, b).sin(), lambda a, b: torch.lerp(a, b, b), lambda a, b: torch.addcdiv(a, a, b),
        lambda a, b: F.prelu(a, b[0]), lambda a, b: a / a.norm() + b,
    ):  # fmt: skip
        a, b, count = rng(3, 3, grad=True), rng(3, 3, grad=True), []

        def counted(a, b, function=function, count=count):
            count.append(1)
            return function(a, b)

        part(torch).checkpoint(counted, a, b, use_reentrant=False).pow(2).sum().backward()
        runs += [len(count), a.grad, b.grad]
    return runs


@twin
def test_a_hook_unpacks_a_tensor_once_for_a_node(torch, rng):
    unpacked = []
    a, b = rng(3, grad=True), rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach(), lambda t: unpacked.append(1) or t):
        y = torch.atan2(a, b)
    y.sum().backward()
    z = torch.atan2(a, b)
    z.grad_fn._raw_saved_other.register_hooks(lambda t: t.detach(), lambda t: unpacked.append(2) or t)
    z.sum().backward()
    return unpacked, a.grad, b.grad


@twin
def test_an_input_of_a_checkpoint_must_not_be_modified_before_backward(torch, rng):
    checkpoint, found = part(torch).checkpoint, []

    def multiplied(a, b, scale=1.0):
        return (a * b).sin() * scale

    def nested(a, b):
        return checkpoint(multiplied, a, b, use_reentrant=False)

    for reentrant in (False, True):
        for function in (multiplied, nested):
            for modified in (0, 1):
                a, b = rng(3), rng(3, grad=True) * 1
                out = checkpoint(function, a, b, use_reentrant=reentrant)
                with torch.no_grad():
                    (a, b)[modified].add_(1)
                found.append(message(lambda out=out: out.sum().backward()))
    a, b, scale = rng(3), rng(3, grad=True), rng(3)
    out = checkpoint(multiplied, a, b, scale=scale, use_reentrant=False)  # a tensor given by name is not looked after
    scale.add_(1)
    out.sum().backward()
    return found, b.grad
