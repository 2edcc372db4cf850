"""Optimizers, their groups, state and hooks, and learning rate schedules, under both libraries."""

from __future__ import annotations

import copy
import importlib
import warnings

import numpy as np
import pytest
import torch as real

import mini_dl
from mini_dl.kernels import blas
from parity_tests import bridge
from parity_tests.twin import message, twin

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.4, "amsgrad": True}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adadelta", {"weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 5, "lambd": 0.1, "weight_decay": 0.1}),
]
SHAPES = ((5,), (3, 4), (), (0,), (300, 300))


def parameters(rng, dtype, shapes=SHAPES):
    return [rng(*shape, dtype=dtype, grad=True) for shape in shapes]


def to_torch(value):
    """mini_dl's state as torch's."""
    if isinstance(value, bridge.mini_dl.Tensor):
        return real.from_numpy(value.numpy().copy())
    if isinstance(value, dict):
        return {key: to_torch(item) for key, item in value.items()}
    return [to_torch(item) for item in value] if isinstance(value, list) else value


def gradients(rng, params):
    for p in params:
        p.grad = rng(*p.shape, dtype=str(p.dtype).split(".")[1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), SETTINGS)
@twin
def test_twenty_steps(torch, rng, name, options, dtype):
    params = parameters(rng, dtype)
    optimizer = getattr(torch.optim, name)(params, **options)
    for _ in range(20):
        gradients(rng, params)
        params[1].grad = params[1].grad.t().contiguous().t()
        optimizer.step()
    return params, optimizer.state_dict(), repr(optimizer), [p._version > 0 for p in params]


@twin
def test_complex_parameters_are_pairs_of_real_ones(torch, rng):
    found = []
    for name, options in SETTINGS:
        params = parameters(rng, "complex64", SHAPES[:2])
        optimizer = getattr(torch.optim, name)(params, **options)
        for _ in range(3):
            gradients(rng, params)
            optimizer.step()
        found.append(params)
    return found


@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_state_goes_from_torch_to_mini_dl_and_back(name, options):
    numbers = np.random.default_rng(0)
    start = numbers.standard_normal((3, 4))
    theirs = real.tensor(start, requires_grad=True)
    ours = bridge.mini_dl.tensor(start, requires_grad=True)
    optimizers = [getattr(lib.optim, name)([p], **options) for lib, p in ((real, theirs), (bridge.mini_dl, ours))]

    def steps(n):
        for _ in range(n):
            grad = numbers.standard_normal((3, 4))
            theirs.grad, ours.grad = real.tensor(grad), bridge.mini_dl.tensor(grad)
            for optimizer in optimizers:
                optimizer.step()

    steps(2)
    from_theirs, from_ours = (copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers)
    optimizers[1].load_state_dict(bridge.to_mini(from_theirs))
    optimizers[0].load_state_dict(to_torch(from_ours))
    steps(2)
    assert np.allclose(theirs.detach().numpy(), ours.detach().numpy(), rtol=1e-12, atol=1e-12)


@twin
def test_groups(torch, rng):
    a, b, c = parameters(rng, "float32", ((2,), (3,), (1,)))
    optimizer = torch.optim.SGD([{"params": a, "lr": 0.5}, {"params": [b], "momentum": 0.9}], lr=0.1)
    optimizer.add_param_group({"params": [c], "weight_decay": 0.1})
    gradients(rng, (a, b))
    optimizer.step()
    named = torch.optim.Adam([("first", a), ("second", b)])
    packed = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    return a, b, c, packed, optimizer.state_dict(), named.state_dict()["param_groups"], repr(optimizer)


@twin
def test_what_optimizers_refuse(torch, rng):
    a, b = parameters(rng, "float32", ((2,), (3,)))
    SGD, Adam = torch.optim.SGD, torch.optim.Adam
    made = SGD([a])
    calls = [
        lambda: SGD(a),
        lambda: SGD([]),
        lambda: SGD([3]),
        lambda: SGD([a * 2]),
        lambda: SGD([a], lr=-1),
        lambda: SGD([a], momentum=-1),
        lambda: SGD([a], weight_decay=-1),
        lambda: SGD([a], nesterov=True),
        lambda: SGD([a], fused=True, foreach=True),
        lambda: SGD([a], fused=True, differentiable=True),
        lambda: SGD([a], lr=torch.ones(2)),
        lambda: SGD([{"params": {a, b}}]),
        lambda: SGD([{"params": [a]}, {"params": [a]}]),
        lambda: SGD([("x", a), b]),
        lambda: made.add_param_group([b]),
        lambda: made.add_param_group({"params": [("name", b)]}),
        lambda: Adam([a], betas=(1.0, 0.9)),
        lambda: Adam([a], betas=(0.9, -1.0)),
        lambda: Adam([a], betas=(0.9, torch.tensor(0.9))),
        lambda: Adam([a], eps=-1),
        lambda: Adam([a], lr=torch.tensor(0.1), foreach=True),
        lambda: made.load_state_dict(SGD([{"params": [a]}, {"params": [b]}]).state_dict()),
        lambda: made.load_state_dict(SGD([a, b]).state_dict()),
    ]
    return [message(one) for one in calls], SGD([a, a]).param_groups[0]["lr"]


@twin
def test_closures_hooks_and_zero_grad(torch, rng):
    (a,) = parameters(rng, "float32", ((3,),))
    optimizer, log = torch.optim.SGD([a], lr=0.1), []
    optimizer.register_step_pre_hook(lambda opt, args, kwargs: log.append(("pre", len(args), list(kwargs))))
    optimizer.register_step_post_hook(lambda opt, args, kwargs: log.append("post"))
    optimizer.register_state_dict_post_hook(lambda opt, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda opt, state: log.append(sorted(state)))

    def closure():
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        first = optimizer.step(closure)
    second = optimizer.step(closure=closure)
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    optimizer.zero_grad(set_to_none=False)
    zeros = a.grad.clone()
    optimizer.zero_grad()
    return first, second, a, log, state["more"], zeros, a.grad


@twin
def test_a_subclass_with_its_own_step(torch, rng):
    class Plain(torch.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad, alpha=group["lr"])

    (a,) = parameters(rng, "float32", ((3,),))
    optimizer, log = Plain([a], 0.5), []
    optimizer.register_step_post_hook(lambda *args: log.append("post"))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    gradients(rng, (a,))
    optimizer.step()
    scheduler.step()
    return a, log, repr(optimizer), copy.deepcopy(torch.optim.SGD([a], 0.5)).param_groups[0]["lr"]


@twin
def test_a_tensor_as_learning_rate(torch, rng):
    (a,) = parameters(rng, "float32", ((3,),))
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([a], lr=rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        gradients(rng, (a,))
        optimizer.step()
        scheduler.step()
    return a, rate, optimizer.param_groups[0]["lr"] is rate


# ------------------------------------------------------------------------------------------------ schedules

SCHEDULES = {
    "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.95},
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": [2, 5, 5], "gamma": 0.5},
    "ConstantLR": {"factor": 0.5, "total_iters": 4},
    "LinearLR": {"start_factor": 0.25, "total_iters": 6},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {"total_iters": 8, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 4, "eta_min": 0.01},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 20},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3, "step_size_down": 4, "mode": "triangular2"},
}


def rates(optimizer, scheduler, n):
    found = []
    for _ in range(n):
        optimizer.step()
        scheduler.step()
        group = optimizer.param_groups[0]
        found.append((group["lr"], group["momentum"], scheduler.get_last_lr()))
    return found


@pytest.mark.parametrize("name", SCHEDULES)
@twin
def test_learning_rates(torch, rng, name):
    params = parameters(rng, "float32", ((1,), (2,)))
    optimizer = torch.optim.SGD([{"params": params[0], "lr": 0.2}, {"params": params[1]}], lr=0.1, momentum=0.9)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **SCHEDULES[name])
    found = rates(optimizer, scheduler, 12)
    state = scheduler.state_dict()
    return found, sorted(k for k in state if not callable(state[k])), repr(optimizer)


@pytest.mark.parametrize("name", ["StepLR", "MultiStepLR", "LinearLR", "CosineAnnealingLR", "ExponentialLR", "PolynomialLR"])
@twin
def test_learning_rates_of_a_given_epoch_and_after_loading(torch, rng, name):
    def make():
        optimizer = torch.optim.SGD(parameters(rng, "float32", ((1,),)), lr=0.1, momentum=0.9)
        return optimizer, getattr(torch.optim.lr_scheduler, name)(optimizer, **SCHEDULES[name])

    optimizer, scheduler = make()
    rates(optimizer, scheduler, 3)
    other_optimizer, other = make()
    other.load_state_dict(scheduler.state_dict())
    other_optimizer.load_state_dict(optimizer.state_dict())
    resumed = rates(other_optimizer, other, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler.step(6)
    resumed_from = getattr(torch.optim.lr_scheduler, name)(optimizer, **SCHEDULES[name], last_epoch=2)
    return resumed, scheduler.get_last_lr(), resumed_from.get_last_lr(), resumed_from.last_epoch


@twin
def test_schedules_of_schedules(torch, rng):
    kinds = torch.optim.lr_scheduler

    def make():
        return torch.optim.SGD(parameters(rng, "float32", ((1,),)), lr=0.1, momentum=0.9)

    optimizer = make()
    warm, main = kinds.LinearLR(optimizer, total_iters=3), kinds.ExponentialLR(optimizer, 0.9)
    sequential = rates(optimizer, kinds.SequentialLR(optimizer, [warm, main], [3]), 8)
    optimizer = make()
    chained = kinds.ChainedScheduler([kinds.ConstantLR(optimizer, 0.5, 2), kinds.ExponentialLR(optimizer, 0.9)])
    other = make()
    errors = [
        message(lambda: kinds.SequentialLR(optimizer, [main], [1]))[0],
        message(lambda: kinds.SequentialLR(optimizer, [], [])),
        message(lambda: kinds.StepLR(3, 1)),
        message(lambda: kinds.StepLR(other, 1, last_epoch=3)),
        message(lambda: kinds.LinearLR(other, start_factor=2)),
        message(lambda: kinds.LambdaLR(other, [abs, abs])),
        message(lambda: kinds.ReduceLROnPlateau(other, factor=1)),
        message(lambda: kinds.OneCycleLR(other, 1.0)),
        message(lambda: kinds.CosineAnnealingWarmRestarts(other, 0)),
    ]
    return sequential, rates(optimizer, chained, 5), errors


@twin
def test_reducing_on_a_plateau(torch, rng):
    optimizer = torch.optim.SGD(parameters(rng, "float32", ((1,),)), lr=0.1)
    found = []
    for mode, how in (("min", "rel"), ("min", "abs"), ("max", "rel"), ("max", "abs")):
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, 0.5, 1, 0.1, how, cooldown=1, min_lr=0.01)
        for metric in (3, 2.95, 2.8, 2.9, 3.0, 3.5, 3.5, 3.5, 3.5, 1, 0.5, 0.5, 0.5, 0.5):
            scheduler.step(metric)
            found.append((optimizer.param_groups[0]["lr"], scheduler.num_bad_epochs, scheduler.best))
    return found


@twin
def test_warnings_of_order(torch, rng):
    optimizer = torch.optim.SGD(parameters(rng, "float32", ((1,),)), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    scheduler.step()
    scheduler.get_lr()
    return scheduler.get_last_lr()


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@twin
def test_lbfgs_on_a_curved_valley(torch, rng, search):
    p = rng.tensor([-1.2, 1.0], "float64", grad=True)
    optimizer = torch.optim.LBFGS([p], lr=1.0 if search else 0.01, max_iter=8, history_size=5, line_search_fn=search)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        losses.append(loss.detach())
        return loss

    for _ in range(3):
        optimizer.step(closure)
    errors = [
        message(lambda: torch.optim.LBFGS([{"params": [p]}, {"params": [rng(1, grad=True)]}])),
    ]
    return p, losses, errors, optimizer.state_dict()["state"][0]["n_iter"], optimizer.state_dict()["state"][0]["func_evals"]


# ------------------------------------------------------------------------------------------------ bad options of each

BAD = {
    "SGD": ["lr=-1", "momentum=-1", "weight_decay=-1", "nesterov=True", "dampening=1, nesterov=True, momentum=1"],
    "Adam": ["lr=-1", "betas=(2.0, 0.9)", "betas=(0.9, 1.0)", "betas=(0.9, tensor(0.9))", "eps=-1", "weight_decay=-1"],
    "AdamW": ["lr=-1", "betas=(-0.1, 0.9)", "betas=(tensor([0.9, 0.9]), tensor(0.9))", "lr=tensor(0.1), foreach=True", "eps=nan"],
    "Adamax": ["lr=-1", "betas=(2, 0.9)", "betas=(0.9, 2)", "eps=-1", "weight_decay=-1", "lr=tensor([1.0, 2.0])"],
    "NAdam": [
        "lr=-1",
        "betas=(2, 0.9)",
        "betas=(0.9, 2)",
        "eps=-1",
        "weight_decay=-1",
        "momentum_decay=-1",
        "lr=tensor([1.0, 2.0])",
    ],
    "RAdam": ["lr=-1", "betas=(2, 0.9)", "betas=(0.9, 2)", "eps=-1", "weight_decay=-1", "lr=tensor([1.0, 2.0])"],
    "Adagrad": ["lr=-1", "lr_decay=-1", "eps=-1", "weight_decay=-1", "initial_accumulator_value=-1", "fused=True, foreach=True"],
    "Adadelta": ["lr=-1", "rho=1.5", "rho=-0.5", "eps=-1", "weight_decay=-1", "lr=tensor([1.0, 2.0])"],
    "RMSprop": ["lr=-1", "eps=-1", "momentum=-1", "weight_decay=-1", "alpha=-1", "lr=tensor([1.0, 2.0])"],
    "Rprop": ["lr=-1", "etas=(1.5, 1.2)", "etas=(0.5, 0.9)", "etas=(0.0, 1.2)", "lr=tensor([1.0, 2.0])"],
    "ASGD": ["lr=-1", "weight_decay=-1", "lr=tensor([1.0, 2.0])"],
    "Adafactor": ["lr=-1", "beta2_decay=1", "eps=(-1, 1)", "eps=(None, -1)", "d=0.5", "weight_decay=-1", "lr=tensor([1.0, 2.0])"],
    "LBFGS": ["lr=-1", "lr=tensor([1.0, 2.0])"],
    "Muon": ["lr=-1", "momentum=-1", "weight_decay=-1", "adjust_lr_fn='other'", "lr=tensor([1.0, 2.0])"],
    "SparseAdam": ["lr=0", "lr=-1", "eps=0", "betas=(2, 0.9)", "betas=(0.9, -2)", "lr=tensor([1.0, 2.0])"],
}


@pytest.mark.parametrize("name", BAD)
@twin
def test_bad_options_of_every_optimizer(torch, rng, name):
    made, found = getattr(torch.optim, name), []
    names = {"tensor": torch.tensor, "nan": float("nan")}
    for text in BAD[name]:
        options = eval(f"dict({text})", names)
        found.append((text, message(lambda options=options: made([rng(2, 2, grad=True)], **options))))
    return found


@twin
def test_steps_that_are_refused(torch, rng):
    optim, found = torch.optim, []

    def step(made, dtype="float32", **options):
        (p,) = parameters(rng, dtype, ((2, 3),))
        p.grad = rng(2, 3, dtype=dtype)
        kind, words = message(made([p], **options).step)
        found.append((kind, words.partition(" devices:")[0]))  # the choice of devices is specific to torch

    step(optim.SparseAdam)
    step(optim.Adafactor, "complex64")
    step(optim.Muon, "complex64")
    step(optim.Muon, ns_steps=100)
    step(optim.Muon, ns_coefficients=(1.0, 2.0))
    for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adadelta", "RMSprop", "Rprop", "ASGD"):
        step(getattr(optim, name), capturable=True)
    step(optim.Adam, "complex64", fused=True)
    found.append(message(lambda: optim.SGD([rng(2, grad=True)]).load_state_dict({"param_groups": []})))
    found.append(message(lambda: optim.Muon([rng(2, grad=True)])))
    found.append(message(lambda: optim.SparseAdam([rng(2, dtype="complex64", grad=True)])))
    found.append(message(lambda: optim.SparseAdam([rng(2, grad=True), torch.zeros(3).to_sparse()])))
    found.append(message(lambda: optim.SparseAdam([{"params": torch.eye(2).to_sparse()}])))
    found.append(message(lambda: optim.LBFGS([rng(2, grad=True)], line_search_fn="other").step(lambda: torch.ones(1))))
    return found


NAMES = [name for name in BAD if name not in ("LBFGS", "SparseAdam")]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rate", ["float32", "float64", "float32, (1,)"])
@pytest.mark.parametrize("name", NAMES)
@twin
def test_rates_that_are_tensors_of_another_type(torch, rng, name, rate, dtype):
    kind, _, shape = rate.partition(", ")
    shapes = {"Muon": ((3, 4), (2, 2)), "Adafactor": ((3, 4), (), (5,))}.get(name, ((3, 4), (), (0,), (5,)))
    params = parameters(rng, dtype, shapes)
    lr = torch.full(eval(shape or "()"), 0.05, dtype=getattr(torch, kind))
    optimizer = (
        getattr(torch.optim, name)(params, lr=lr, weight_decay=0.1) if name != "Rprop" else torch.optim.Rprop(params, lr=lr)
    )
    for _ in range(3):
        gradients(rng, params)
        optimizer.step()
    if dtype == "float16":  # of which only the type is specified: both round after every operation, not after the same ones
        state = optimizer.state_dict()["state"]
        return [{key: (value.dtype, value.shape) for key, value in one.items()} for one in state.values()]
    return params, optimizer.state_dict()["state"]


@twin
def test_betas_that_are_tensors(torch, rng):
    params, found = parameters(rng, "float64"), []
    for shape in ((), (1,)):
        betas = tuple(torch.full(shape, beta, dtype=torch.float64) for beta in (0.8, 0.95))
        for name in ("Adam", "AdamW"):
            optimizer = getattr(torch.optim, name)(params, lr=0.1, betas=betas)
            for _ in range(3):
                gradients(rng, params)
                optimizer.step()
            found.append([beta.shape for beta in optimizer.param_groups[0]["betas"]])
    return params, found


@pytest.mark.parametrize("name", NAMES)
@twin
def test_odd_layouts_and_no_elements(torch, rng, name):
    base = rng(8, 6, dtype="float64")
    params = [
        base[::2, 1:4].requires_grad_(),
        rng(4, 3, dtype="float64").t().requires_grad_(),
        rng(3, 0, dtype="float64", grad=True),
    ]
    params = params[:2] if name in ("Muon", "Adafactor") else params  # in torch both divide by the number of elements
    optimizer = getattr(torch.optim, name)(params, lr=0.05)
    for _ in range(3):
        for p in params:
            p.grad = rng(*reversed(p.shape), dtype="float64").t()
        optimizer.step()
    return params, base, optimizer.state_dict()


@twin
def test_hooks_of_all_optimizers_and_of_saved_state(torch, rng):
    (a,), log = parameters(rng, "float32", ((3,),)), []
    optimizer = torch.optim.SGD([("a", a)], lr=0.5)
    made = importlib.import_module(f"{torch.__name__}.optim.optimizer")
    handles = [
        made.register_optimizer_step_pre_hook(lambda opt, args, kwargs: log.append(("all, before", len(args)))),
        made.register_optimizer_step_post_hook(lambda opt, args, kwargs: log.append("all, after")),
        optimizer.register_step_pre_hook(lambda opt, args, kwargs: ((args[0], lambda: log.append("other closure")), {})),
        optimizer.register_state_dict_pre_hook(lambda opt: log.append("saving")),
        optimizer.register_state_dict_pre_hook(lambda opt: log.append("saving first"), prepend=True),
        optimizer.register_state_dict_post_hook(lambda opt, state: log.append(sorted(state))),
        optimizer.register_load_state_dict_pre_hook(lambda opt, state: log.append("loading")),
        optimizer.register_load_state_dict_post_hook(lambda opt: log.append("loaded")),
    ]
    gradients(rng, [a])
    optimizer.step(lambda: log.append("closure"))
    optimizer.load_state_dict(optimizer.state_dict())
    for handle in handles:
        handle.remove()
    log.append("removed")
    optimizer.step()
    bad = torch.optim.SGD([a], lr=0.5)
    bad.register_step_pre_hook(lambda opt, args, kwargs: 3)
    return a, log, optimizer.state_dict(), message(bad.step)[0]


@pytest.mark.parametrize("name", NAMES)
@twin
def test_a_copy_goes_its_own_way(torch, rng, name):
    model = torch.nn.Linear(3, 2, bias=name != "Muon").to(torch.float64)
    for p in model.parameters():
        p.data = rng(*p.shape, dtype="float64")
    optimizer = getattr(torch.optim, name)(model.named_parameters(), lr=0.05)
    x = rng(4, 3, dtype="float64")

    def train(model, optimizer):
        for _ in range(2):
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()

    train(model, optimizer)
    other, other_optimizer = copy.deepcopy((model, optimizer))
    train(other, other_optimizer)
    after = [p.detach().clone() for p in model.parameters()]
    train(model, optimizer)
    return after, list(model.parameters()), list(other.parameters()), other_optimizer.state_dict(), repr(other_optimizer)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
        ("SGD", {"lr": 0.0, "momentum": 0.9}),
        ("Adam", {"lr": 0.1, "betas": (0.0, 0.0)}),
        *[(name, {"lr": 0.1}) for name in ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "ASGD")],
        ("RMSprop", {"lr": 0.1, "momentum": 0.9, "centered": True}),
    ],
)
def test_large_parameters(name, options, dtype, single, monkeypatch):
    """Tensors that BLAS updates in fewer passes while it uses one thread; NaN and inf end up where they do in torch."""
    blas.functions()  # the first call checks the number of threads
    monkeypatch.setattr(blas._State, "single", single)
    runs = []
    for library in (real, mini_dl):
        numbers = np.random.default_rng(0)
        values = [numbers.standard_normal((150, 130)).astype(dtype) for _ in range(5)]
        values[1][0, :4] = np.nan, np.inf, -np.inf, 0
        parameters = [library.from_numpy(array.copy()).requires_grad_() for array in values[:2]]
        optimizer = getattr(library.optim, name)(parameters, **options)
        for step in range(3):
            for parameter, grad in zip(parameters, (values[2 + step], values[2 + step].T.copy().T)):  # the second: by columns
                parameter.grad = library.from_numpy(grad.copy("K"))
                parameter.grad[1, :3] = library.tensor([float("nan"), float("inf"), 0.0])
            optimizer.step()
        runs.append([parameter.detach().numpy() for parameter in parameters])
    for theirs, ours in zip(*runs):
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", "SGD Adam AdamW RMSprop NAdam RAdam Rprop Adadelta Adagrad Adamax ASGD".split())
@twin
def test_a_parameter_that_is_listed_twice_is_updated_twice(torch, rng, name):
    p, q = torch.nn.Parameter(rng(3)), torch.nn.Parameter(rng(2))
    optimizer = getattr(torch.optim, name)([q, p, p], lr=0.1)
    for _ in range(3):
        p.grad, q.grad = rng(3), rng(2)
        optimizer.step()
    state = optimizer.state_dict()
    numbers = [group["params"] for group in state["param_groups"]]
    return (
        p.detach(),
        q.detach(),
        sorted(state["state"]),
        numbers,
        [float(s["step"]) for s in state["state"].values() if "step" in s],
    )
