"""Modules, states, schedulers, data and whole training runs, under both libraries, by value."""

from __future__ import annotations

import io

import pytest

from parity_tests.twin import outcome, raised, twin


def network(nn):
    """No bias before the normalization: its gradient is 0 except for rounding, whose sign Rprop would follow."""
    return nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    "Adam": {"lr": 1e-2},
    "AdamW": {"lr": 1e-2, "amsgrad": True},
    "RMSprop": {"lr": 1e-2, "centered": True, "momentum": 0.5},
    "Adagrad": {"lr": 1e-2},
    "Adadelta": {},
    "NAdam": {"lr": 1e-2},
    "RAdam": {"lr": 1e-2},
    "Adamax": {"lr": 1e-2},
    "ASGD": {"lr": 1e-2},
    "Rprop": {"lr": 1e-2},
}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@twin
def test_a_training_run(torch, rng, name):
    torch.manual_seed(1)
    model = network(torch.nn).double()
    optimizer = getattr(torch.optim, name)(model.parameters(), **OPTIMIZERS[name])
    x, y = rng(16, 4, dtype="float64"), rng(16, dtype="int64") % 3
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses, model(x), dict(model.state_dict())


@twin
def test_a_convolutional_network(torch, rng):
    nn = torch.nn
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, bias=False),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
        nn.LogSoftmax(1),
    ).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x, y = rng(6, 1, 8, 8, dtype="float64"), rng(6, dtype="int64") % 5
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.NLLLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.grad for p in model.parameters()]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@twin
def test_a_recurrent_network(torch, rng, kind):
    torch.manual_seed(3)
    layer = getattr(torch.nn, kind)(3, 5, 2, batch_first=True, bidirectional=True).double()
    x = rng(2, 6, 3, dtype="float64", grad=True)
    out, state = layer(x)
    loss = (out * out.detach().cos()).sum()
    return out, state, torch.autograd.grad(loss, (x, *layer.parameters()))


@twin
def test_a_transformer_layer(torch, rng):
    torch.manual_seed(4)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True).double()
    x = rng(2, 5, 8, dtype="float64", grad=True)
    out = layer(x)
    return out, torch.autograd.grad((out * out.detach().cos()).sum(), (x, *layer.parameters()))


SCHEDULERS = {
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [2, 5]},
    "ConstantLR": {},
    "LinearLR": {},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2},
    "PolynomialLR": {"total_iters": 5, "power": 2.0},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 12},
    "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.95},
}


@pytest.mark.parametrize("name", list(SCHEDULERS))
@twin
def test_a_schedule(torch, rng, name):
    x = torch.nn.Parameter(rng(2))
    optimizer = torch.optim.SGD([{"params": [x]}, {"params": [torch.nn.Parameter(rng(1))], "lr": 0.5}], lr=0.1, momentum=0.9)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **SCHEDULERS[name])
    found = []
    for _ in range(10):
        optimizer.step()
        scheduler.step()
        found.append([*scheduler.get_last_lr(), *[group["momentum"] for group in optimizer.param_groups]])
    state = {k: v for k, v in scheduler.state_dict().items() if not callable(v) and k not in ("lr_lambdas", "_wrapped")}
    return found, sorted(state)


@twin
def test_schedules_on_a_plateau_and_in_sequence(torch, rng):
    schedulers = torch.optim.lr_scheduler
    optimizer = torch.optim.SGD([torch.nn.Parameter(rng(2))], lr=1.0)
    plateau = schedulers.ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
    found = []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0):
        plateau.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    optimizer = torch.optim.SGD([torch.nn.Parameter(rng(2))], lr=1.0)
    sequence = schedulers.SequentialLR(
        optimizer, [schedulers.ConstantLR(optimizer, 0.1, 3), schedulers.ExponentialLR(optimizer, 0.9)], [3]
    )
    for _ in range(8):
        optimizer.step()
        sequence.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


@twin
def test_module_state(torch, rng):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3)
            self.blocks = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
            self.named = nn.ModuleDict({"a": nn.ReLU(), "b": nn.BatchNorm1d(3)})
            self.weight = nn.Parameter(torch.ones(2))
            self.register_buffer("count", torch.zeros(1))
            self.register_buffer("hidden", torch.zeros(2), persistent=False)
            self.shared = self.layer

        def forward(self, x):
            return self.blocks[0](self.layer(x))

    torch.manual_seed(0)
    net = Net()
    names = [n for n, _ in net.named_parameters()], [n for n, _ in net.named_buffers()], [n for n, _ in net.named_modules()]
    state = net.state_dict()
    other = Net()
    result = other.load_state_dict(state)
    partial = other.load_state_dict({"weight": torch.zeros(2), "extra": torch.zeros(1)}, strict=False)
    print(net, result, partial)
    net.eval().requires_grad_(False)
    children = [type(c).__name__ for c in net.children()]
    return (
        names,
        list(state),
        dict(state),
        children,
        net.training,
        net.blocks[1].training,
        [p.requires_grad for p in net.parameters()],
        partial.missing_keys,
        partial.unexpected_keys,
        len(list(net.modules())),
        net.get_parameter("layer.weight"),
        str(net.double().weight.dtype),
        raised(lambda: net.get_submodule("none")),
        len(net.blocks),
        "a" in net.named,
        other.weight,
    )


@twin
def test_module_hooks(torch, rng):
    seen = []
    layer = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(layer.weight)
    layer.register_forward_pre_hook(lambda m, args: seen.append(("pre", args[0].shape)))
    handle = layer.register_forward_hook(lambda m, args, out: out * 2)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(("backward", gi[0].clone(), go[0].clone())))
    layer.register_full_backward_pre_hook(lambda m, go: seen.append(("pre backward", go[0].clone())))
    x = rng(3, 2, grad=True)
    layer(x).sum().backward()
    handle.remove()
    return seen, x.grad, layer(x)


@twin
def test_initializers(torch, rng):
    init = torch.nn.init
    found = []
    for name, kwargs in {
        "uniform_": {"a": -1, "b": 2},
        "normal_": {"mean": 1, "std": 2},
        "constant_": {"val": 3},
        "ones_": {},
        "zeros_": {},
        "eye_": {},
        "xavier_uniform_": {"gain": 2},
        "xavier_normal_": {},
        "kaiming_uniform_": {"a": 1},
        "kaiming_normal_": {"mode": "fan_out"},
        "trunc_normal_": {},
        "orthogonal_": {},
        "sparse_": {"sparsity": 0.5},
    }.items():
        torch.manual_seed(5)
        found.append(outcome(lambda name=name, kwargs=kwargs: getattr(init, name)(torch.empty(6, 5), **kwargs)))
    return (
        found,
        [init.calculate_gain(n) for n in ("linear", "relu", "tanh", "selu")],
        raised(lambda: init.xavier_uniform_(torch.empty(3))),
    )


@twin
def test_random_numbers_are_torchs(torch, rng):
    torch.manual_seed(11)
    found = [
        torch.rand(5),
        torch.randn(5),
        torch.randn(20),
        torch.randn(17, dtype=torch.float64),
        torch.randint(0, 100, (7,)),
        torch.randperm(9),
        torch.rand(3, dtype=torch.float64),
        torch.bernoulli(torch.full((6,), 0.4)),
        torch.multinomial(torch.ones(5), 3),
        torch.normal(1.0, 2.0, (3,)),
        torch.empty(4).uniform_(-1, 1),
        torch.empty(4).exponential_(),
        torch.empty(4).normal_(),
        torch.empty(3).random_(10),
        torch.rand_like(torch.ones(3)),
        torch.nn.functional.dropout(torch.ones(10), 0.5),
        torch.randint(0, 2**40, (3,)),
        torch.randn(2, 3),
        torch.empty(5).bernoulli_(0.3),
    ]
    state = torch.get_rng_state()
    first = torch.rand(3)
    torch.set_rng_state(state)
    g = torch.Generator().manual_seed(3)
    return (
        found,
        first,
        torch.rand(3),
        torch.rand(2, generator=g),
        torch.randperm(4, generator=g),
        g.initial_seed(),
        torch.initial_seed(),
    )


@twin
def test_data_loaders(torch, rng):
    data = torch.utils.data
    torch.manual_seed(7)
    x, y = rng(11, 3), torch.arange(11)
    dataset = data.TensorDataset(x, y)
    batches = [(a, b) for a, b in data.DataLoader(dataset, batch_size=4, shuffle=True)]
    second = [b for _, b in data.DataLoader(dataset, batch_size=4, shuffle=True, drop_last=True)]
    parts = data.random_split(dataset, [8, 3], generator=torch.Generator().manual_seed(1))
    weighted = list(data.WeightedRandomSampler([0.1, 0.9, 0.5], 5))
    return (
        batches,
        second,
        [list(p.indices) for p in parts],
        weighted,
        len(data.DataLoader(dataset, 4)),
        data.default_collate([{"a": 1, "b": [1.0, 2]}] * 2),
    )


@twin
def test_saving_and_loading(torch, rng):
    model = torch.nn.Linear(2, 2)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "step": 3, "list": [rng(2), (1, "a")]}, file)
    file.seek(0)
    loaded = torch.load(file)
    return loaded["step"], loaded["list"], list(loaded["model"]), (loaded["model"]["weight"] == model.weight).all().item()


@twin
def test_gradient_utilities(torch, rng):
    utils = torch.nn.utils
    params = [rng(3, grad=True), rng(2, 2, grad=True)]
    sum((p * p).sum() for p in params).backward()
    norm = utils.clip_grad_norm_(params, 0.5)
    first = [p.grad.clone() for p in params]
    utils.clip_grad_value_(params, 0.1)
    vector = utils.parameters_to_vector(params)
    utils.vector_to_parameters(vector * 2, params)
    return norm, first, [p.grad for p in params], vector, params


@twin
def test_averaged_models(torch, rng):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(rng(4, 2)) ** 2).sum().backward()
        optimizer.step()
        average.update_parameters(model)
    return dict(average.state_dict())


@twin
def test_optimizer_state_travels(torch, rng):
    p = torch.nn.Parameter(rng(3))
    optimizer = torch.optim.Adam([p], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    state = optimizer.state_dict()
    q = torch.nn.Parameter(p.detach().clone())
    other = torch.optim.Adam([q], lr=0.5)
    other.load_state_dict(state)
    (q * q).sum().backward()
    other.step()
    optimizer.add_param_group({"params": [torch.nn.Parameter(rng(1))]})
    return (
        q,
        state["param_groups"],
        len(optimizer.param_groups),
        raised(lambda: other.load_state_dict({"state": {}, "param_groups": []})),
    )
