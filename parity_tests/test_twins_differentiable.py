"""Optimizers with ``differentiable=True`` under both libraries: gradients flow through their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch as real

from parity_tests import bridge, compare
from parity_tests.twin import Draws, message, raised, twin

STATE = {
    "SGD": ("momentum_buffer",),
    "Adam": ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    "AdamW": ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    "Adamax": ("exp_avg", "exp_inf"),
    "NAdam": ("exp_avg", "exp_avg_sq"),
    "RAdam": ("exp_avg", "exp_avg_sq"),
    "RMSprop": ("square_avg", "momentum_buffer", "grad_avg"),
    "Adadelta": ("square_avg", "acc_delta"),
    "Adagrad": ("sum",),
    "ASGD": ("ax",),
    "Rprop": ("prev", "step_size"),
}
"""The state tensors that are as large as the parameter."""

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True, "foreach": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.4, "amsgrad": True, "maximize": True}),
    ("Adamax", {"lr": 0.1}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.1}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "centered": True}),
    ("Adadelta", {"lr": 0.5}),
    ("Adadelta", {"weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 50, "lambd": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"lr": 0.1}),
    ("Rprop", {"lr": 0.1, "maximize": True}),
]


SHAPE = (3, 2)

SPOILED = {
    "Adam": ("amsgrad",),
    "AdamW": ("amsgrad",),
    "Adamax": (),
    "NAdam": (),
    "RMSprop": ("centered",),
    "Rprop": (),
}
"""The options with which torch's next step overwrites values needed by the gradient of the previous one; (): always."""


def spoiled(name: str, options: dict[str, Any]) -> bool:
    return name in SPOILED and all([options.get(option) for option in SPOILED[name]])


def check_closely(body: Callable[..., Any], **arguments: Any) -> None:
    """Fail unless `body(torch, rng, ...)` gives the same under both libraries within 1e-9."""
    theirs = body(real, Draws(real), **arguments)
    ours = body(bridge.mini_dl, Draws(bridge.mini_dl), **arguments)
    why = compare.same(ours, theirs, None, (1e-9, 1e-9), "result")
    assert why is None, why


def state_of(
    torch: Any, rng: Any, name: str, options: dict[str, Any], count: float = 6.0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A state in float64 after some steps: tensors that require grad, and others."""
    parts = [part for part in STATE[name] if part != "max_exp_avg_sq" or options.get("amsgrad")]
    if not options.get("momentum"):
        parts = [part for part in parts if part != "momentum_buffer"]
    if not options.get("centered"):
        parts = [part for part in parts if part != "grad_avg"]
    large = {part: rng(*SHAPE, dtype="float64").abs().add(3 if "sq" in part else 0.5).requires_grad_() for part in parts}
    if "square_avg" in large and "grad_avg" in large:
        large["square_avg"] = large["square_avg"].detach().add(9).requires_grad_()  # more than the square of the mean
    if name == "NAdam":
        large["mu_product"] = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    small = {} if name == "SGD" else {"step": torch.tensor(count, dtype=torch.float64)}
    if name == "ASGD":  # with another mu torch writes into what the gradient of the same step needs
        small.update(eta=torch.tensor(0.1, dtype=torch.float64), mu=torch.tensor(1.0, dtype=torch.float64))
    return large, small


def stepped(
    torch: Any,
    name: str,
    options: dict[str, Any],
    start: Any,
    grads: list[Any],
    state: dict[str, Any],
    anew: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """The parameter after as many steps as there are gradients, and its state. `anew`: with a new optimizer for each step."""
    optimizer = None
    param = start
    for grad in grads:
        if optimizer is None or anew:
            param = param.clone()
            optimizer = getattr(torch.optim, name)([param], differentiable=True, **options)
            if state:
                optimizer.state[param].update({key: value.clone() for key, value in state.items()})
        param.grad = grad
        optimizer.step()
        state = dict(optimizer.state.get(param, {}))
    return param, state


def orders(torch: Any, result: Any, sources: list[Any]) -> Any:
    """Gradients of a loss of `result`, and those of a function of these gradients."""
    first = torch.autograd.grad((result * result).sum(), sources, create_graph=True, allow_unused=True)
    cubes = sum([(one * one * one).sum() for one in first if one is not None])
    second = torch.autograd.grad(cubes, sources, allow_unused=True, retain_graph=True)
    return [known(found, sources) for found in (first, second)]


def into_state(torch: Any, state: dict[str, Any], sources: list[Any]) -> dict[str, Any]:
    """The gradients of a loss of each tensor of the state that has a history."""
    return {
        key: known(torch.autograd.grad((t * t).sum(), sources, allow_unused=True, retain_graph=True), sources)
        for key, t in state.items()
        if t.requires_grad
    }


def known(gradients: Any, sources: list[Any]) -> list[Any]:
    """Without history, zeros for None."""
    return [s.detach() * 0 if g is None else g.detach() for g, s in zip(gradients, sources)]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_gradients_flow_back_through_steps(name, options, steps):
    def body(torch, rng):
        start = rng(*SHAPE, dtype="float64", grad=True)
        grads = [rng(*SHAPE, dtype="float64", grad=True) for _ in range(steps)]
        large, small = state_of(torch, rng, name, options)
        anew = torch is real and steps > 1 and spoiled(name, options)
        param, state = stepped(torch, name, options, start, grads, {**large, **small}, anew)
        sources = [start, *grads, *large.values()]
        return into_state(torch, state, sources), orders(torch, param, sources), state, param, param.is_leaf, param._version > 0

    check_closely(body)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_steps_are_recorded_from_the_first(name, options, steps):
    def body(torch, rng):
        start = rng(*SHAPE, dtype="float64", grad=True)
        grads = [rng(*SHAPE, dtype="float64", grad=True) for _ in range(steps)]
        anew = torch is real and steps > 1 and spoiled(name, options)
        param, state = stepped(torch, name, options, start, grads, {}, anew)
        sources = [start, *grads]
        return orders(torch, param, sources), {key: t.detach() for key, t in state.items()}, param

    check_closely(body)


HYPERPARAMETERS = [
    ("SGD", {"lr": 0.1}, {}),
    ("SGD", {"lr": 0.1}, {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}, {"momentum": 0.9, "maximize": True}),
    ("SGD", {"weight_decay": 0.3}, {"lr": 0.1}),
    ("Adam", {"lr": 0.1}, {}),
    ("Adam", {"weight_decay": 0.3}, {"lr": 0.1, "amsgrad": True}),
    ("Adam", {"betas": (0.8, 0.9)}, {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.3, "betas": (0.8, 0.9)}, {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "betas": (0.8, 0.9)}, {"maximize": True}),
    ("NAdam", {"lr": 0.1}, {"weight_decay": 0.1}),
    ("NAdam", {"lr": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.1}, {"weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("ASGD", {"lr": 0.1}, {"lambd": 0.1, "t0": 50}),
]


@pytest.mark.parametrize("count", [0.0, 6.0])
@pytest.mark.parametrize(("name", "learned", "options"), HYPERPARAMETERS)
def test_gradients_flow_to_options_that_are_tensors(name, learned, options, count):
    def body(torch, rng):
        made = {
            key: tuple([rng.tensor(v, "float64", grad=True) for v in value])
            if type(value) is tuple
            else rng.tensor(value, "float64", grad=True)
            for key, value in learned.items()
        }
        start = rng(*SHAPE, dtype="float64", grad=True)
        grads = [rng(*SHAPE, dtype="float64", grad=True) for _ in range(3)]
        large, small = state_of(torch, rng, name, options, count)
        sources = [start, *grads, *large.values()]
        for value in made.values():
            sources += value if type(value) is tuple else [value]
        param = None
        state = {**large, **small}
        for grad in grads:  # torch writes into what the gradients of the options need
            param, state = stepped(
                torch, name, {**made, **options}, start if param is None else param, [grad.clone()], state, True
            )
        return into_state(torch, state, sources), orders(torch, param, sources), state, param

    check_closely(body)


def test_what_is_written_keeps_its_type():
    def body(torch, rng):
        betas = (torch.tensor(0.9, dtype=torch.float64), torch.tensor(0.999, dtype=torch.float64))
        start, grads = rng(*SHAPE, dtype="float64", grad=True), [rng(*SHAPE, dtype="float64") for _ in range(2)]
        param, state = stepped(torch, "NAdam", {"betas": betas, "lr": 0.1}, start, grads, {})
        return param, state["mu_product"]  # of float32

    check_closely(body)


@twin
def test_tensor_options_of_one_element_and_float32(torch, rng):
    found = []
    for name in ("SGD", "Adam", "NAdam", "RAdam"):
        for shape in ((), (1,)):
            start, grad, rate = rng(3, grad=True), rng(3, grad=True), torch.full(shape, 0.1, requires_grad=True)
            param, state = stepped(torch, name, {"lr": rate}, start, [grad], {})
            found.append((param, state, torch.autograd.grad((param * param).sum(), [start, rate])))
    return found


@pytest.mark.parametrize(("name", "options"), SETTINGS)
@twin
def test_parameters_of_other_shapes_and_types(torch, rng, name, options):
    found = []
    for dtype, shape in (("float64", ()), ("float64", (0,)), ("float32", (4, 3)), ("float64", (130, 130))):
        start, grad = rng(*shape, dtype=dtype, grad=True), rng(*shape, dtype=dtype, grad=True)
        param, state = stepped(torch, name, options, start, [grad], {})
        sources = [start, grad]
        (param * param).sum().backward()
        found.append((param, {key: t.detach() for key, t in state.items()}, *[s.grad for s in sources]))
    return found


COMPLEX = ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adadelta", "Adagrad", "ASGD", "Rprop")


@pytest.mark.parametrize("name", COMPLEX)
@twin
def test_complex_parameters_are_recorded_as_pairs(torch, rng, name):
    start, grad = rng(3, dtype="complex128", grad=True), rng(3, dtype="complex128", grad=True)
    param, state = stepped(torch, name, {"lr": 0.1, "maximize": True}, start, [grad], {})
    (param * param.conj()).real.sum().backward()
    return param, {key: t.detach() for key, t in state.items()}, start.grad, grad.grad


@twin
def test_a_step_is_recorded_under_no_grad_and_its_closure_too(torch, rng):
    start = rng(3, grad=True)
    param = start.clone()
    optimizer = torch.optim.SGD([param], lr=0.1, momentum=0.9, differentiable=True)

    def closure():
        loss = (param.clone() ** 2).sum()
        (param.grad,) = torch.autograd.grad(loss, param, create_graph=True)
        return loss

    with torch.no_grad():
        losses = [optimizer.step(closure), optimizer.step(closure)]
        inside = torch.is_grad_enabled()
    param.sum().backward()
    return losses, inside, param, start.grad, torch.is_grad_enabled()


@twin
def test_a_group_alone_does_not_make_the_step_recorded(torch, rng):
    a, b, grad = rng(3, grad=True), rng(3, grad=True), rng(3, grad=True)
    plain = torch.optim.SGD([{"params": [a], "differentiable": True}, {"params": [b]}], lr=0.1)
    a.grad = b.grad = grad.detach()
    plain.step()
    c, d = a.detach().clone(), a.detach().clone()
    mixed = torch.optim.SGD([{"params": [c], "differentiable": False}, {"params": [d], "lr": 0.5}], lr=0.1, differentiable=True)
    c.grad, d.grad = grad, grad
    mixed.step()
    return a, b, c, d, c.requires_grad, d.requires_grad


@pytest.mark.parametrize("momentum", [0, 0.9])
@twin
def test_meta_learning_of_a_start_and_a_rate(torch, rng, momentum):
    """An outer loop improves the start of an inner one of three steps, and its learning rate if there is no momentum: torch
    overwrites the buffer that the gradient of the rate needs."""
    x, y = rng(8, 3, dtype="float64"), rng(8, 1, dtype="float64")
    weight, bias = rng(3, 1, dtype="float64", grad=True), rng(1, dtype="float64", grad=True)
    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    outer = torch.optim.Adam([weight, bias, rate], lr=0.05)
    inner_rate = rate.item() if momentum else rate
    losses = []
    for _ in range(4):
        params = [weight.clone(), bias.clone()]
        inner = torch.optim.SGD(params, lr=inner_rate, momentum=momentum, differentiable=True)
        for _ in range(3):
            w, b = [p.clone() for p in params]
            loss = (torch.tanh(x @ w + b) - y).square().mean()
            for p, grad in zip(params, torch.autograd.grad(loss, params, create_graph=True)):
                p.grad = grad
            inner.step()
        loss = (torch.tanh(x @ params[0] + params[1]) - y).square().mean()
        outer.zero_grad()
        loss.backward()
        outer.step()
        losses.append(loss.detach())
    return losses, weight, bias, rate


def without_signature(said):
    """The type and the message of an error, without the signature that we append."""
    kind, words = said
    return kind, words.partition("\n")[0]


@twin
def test_what_a_recorded_step_refuses(torch, rng):
    def step(name, leaf=False, state=None, **options):
        param = rng(3, grad=True)
        param = param if leaf else param.clone()
        optimizer = getattr(torch.optim, name)([param], differentiable=True, **options)
        optimizer.state[param].update(state or {})
        param.grad = rng(3)
        optimizer.step()

    def kept():
        start = rng(3, grad=True)
        param = start.clone()
        optimizer = torch.optim.SGD([param], lr=0.1, differentiable=True)
        loss = (param * param).sum()
        param.grad = rng(3)
        optimizer.step()
        loss.backward()

    def fused_group(name):
        param = rng(3, grad=True).clone()
        optimizer = getattr(torch.optim, name)([{"params": [param], "fused": True}], differentiable=True)
        param.grad = rng(3)
        optimizer.step()

    count = torch.tensor(1.0, requires_grad=True)
    means = {"exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
    leaf_mean = {"step": torch.tensor(1.0), **means, "exp_avg": torch.zeros(3, requires_grad=True)}
    names = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adadelta", "Adagrad", "ASGD", "Rprop"]
    others = ["LBFGS", "Adafactor", "SparseAdam"]
    return [
        *[message(lambda name=name: step(name, leaf=True)) for name in names],
        *[message(lambda name=name: step(name, foreach=True)) for name in names],
        *[message(lambda name=name: step(name, fused=True)) for name in ("SGD", "Adam", "AdamW", "Adagrad")],
        *[message(lambda name=name: fused_group(name)) for name in ("Adam", "AdamW", "Adagrad")],
        *[
            without_signature(message(lambda name=name: getattr(torch.optim, name)([rng(3)], differentiable=True)))
            for name in others
        ],
        message(lambda: step("Adam", capturable=True)),
        message(lambda: step("Adam", state={"step": count, **means})),
        message(lambda: step("RAdam", state={"step": count, **means})),
        message(lambda: step("Adam", state=leaf_mean)),
        raised(kept),
    ]
