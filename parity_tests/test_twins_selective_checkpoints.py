"""Checkpoints that save the results of selected operators, and operators as keys of such selections."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import pytest

from parity_tests.twin import message, twin


def parts(torch: Any) -> Any:
    return importlib.import_module(f"{torch.__name__}.utils.checkpoint")


def layers(torch: Any, x: Any, y: Any) -> Any:
    return torch.sigmoid(torch.matmul(torch.matmul(x, y), y)) * y


@pytest.mark.parametrize("by", ["list", "policy", "bools"])
@twin
def test_gradients_are_those_without_a_checkpoint(torch: Any, rng: Any, by: str) -> Any:
    saved, seen = [torch.ops.aten.mm.default], []
    policies = parts(torch).CheckpointPolicy

    def policy(context: Any, operator: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append((str(operator), context.is_recompute, context.op_output.shape, [one.shape for one in args]))
        keep = operator in saved
        return keep if by == "bools" else policies.MUST_SAVE if keep else policies.PREFER_RECOMPUTE

    contexts = functools.partial(parts(torch).create_selective_checkpoint_contexts, saved if by == "list" else policy)
    x, y = rng(4, 4, grad=True), rng(4, 4, grad=True)
    out = parts(torch).checkpoint(functools.partial(layers, torch), x, y, use_reentrant=False, context_fn=contexts)
    return torch.autograd.grad(out.sum(), (x, y)), seen


@twin
def test_what_was_kept_is_not_computed_again(torch: Any, rng: Any) -> Any:
    calls = []

    def part(x: Any) -> Any:
        calls.append(1)
        return torch.sin(x @ x).exp()

    contexts = functools.partial(parts(torch).create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    x = rng(3, 3, grad=True)
    out = parts(torch).checkpoint(part, x, use_reentrant=False, context_fn=contexts)
    out.sum().backward()
    return len(calls), x.grad


@twin
def test_a_second_backward_is_refused(torch: Any, rng: Any) -> Any:
    contexts = functools.partial(parts(torch).create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    x, y = rng(4, 4, grad=True), rng(4, 4, grad=True)
    out = parts(torch).checkpoint(functools.partial(layers, torch), x, y, use_reentrant=False, context_fn=contexts)
    out.sum().backward(retain_graph=True)
    return message(lambda: out.sum().backward())


@pytest.mark.parametrize("what", [3, "packet"])
@twin
def test_what_is_not_a_policy_is_refused(torch: Any, rng: Any, what: Any) -> Any:
    given = [torch.ops.aten.mm] if what == "packet" else what
    text = message(lambda: parts(torch).create_selective_checkpoint_contexts(given))
    return text[0], text[1].partition(" of type")[0]


@twin
def test_operators_as_keys(torch: Any, rng: Any) -> Any:
    operators = torch.ops.aten
    named = [operators.mm, operators.mm.default, operators.add.Tensor, operators._scaled_dot_product_flash_attention.default]
    return [(str(one), repr(one)) for one in named], operators.mm.default.name(), operators.mm.default is operators.mm.default


@twin
def test_nodes_of_operators_that_programs_define(torch: Any, rng: Any) -> Any:
    library = importlib.import_module(f"{torch.__name__}.library")

    def both(x: Any) -> Any:
        return x.sin(), x.cos()

    both.__annotations__ = {"x": torch.Tensor, "return": tuple[torch.Tensor, torch.Tensor]}
    operator = library.custom_op("nodes_of::both", both, mutates_args=())
    operator.register_autograd(lambda ctx, a, b: a + b, setup_context=lambda ctx, inputs, output: None)
    x = rng(3, grad=True)
    first, second = operator(x)
    first.sum().backward(retain_graph=True)
    return first.grad_fn.name(), type(second.grad_fn).__name__, [node.name() for node, _ in first.grad_fn.next_functions], x.grad


@twin
def test_profiles_name_the_operators(torch: Any, rng: Any) -> Any:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.nn.functional.mse_loss(torch.softmax(net(rng(3, 4)) @ rng(2, 2), 1), rng(3, 2)).backward()
    known = {event.key: event.count for event in profile.key_averages()}
    return {name: name in known for name in ("aten::addmm", "aten::mm", "aten::_softmax", "aten::relu")}
