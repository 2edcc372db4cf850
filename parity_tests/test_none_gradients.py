"""None and zeros are different gradients: an optimizer skips the former and applies the latter, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, twin

PIECEWISE = {
    "relu": lambda F, x: F.relu(x),
    "leaky_relu": lambda F, x: F.leaky_relu(x),
    "relu6": lambda F, x: F.relu6(x),
    "hardtanh": lambda F, x: F.hardtanh(x),
    "threshold": lambda F, x: F.threshold(x, 0.1, 0.2),
    "hardshrink": lambda F, x: F.hardshrink(x),
    "softshrink": lambda F, x: F.softshrink(x),
    "rrelu": lambda F, x: F.rrelu(x, training=True),
    "rrelu in evaluation": lambda F, x: F.rrelu(x),
    "max_pool": lambda F, x: F.max_pool2d(x, 2),
    "avg_pool": lambda F, x: F.avg_pool2d(x, 2),
    "adaptive_avg_pool": lambda F, x: F.adaptive_avg_pool2d(x, (2, 3)),
    "adaptive_avg_pool to one": lambda F, x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool": lambda F, x: F.adaptive_max_pool2d(x, (2, 3)),
    "reflect": lambda F, x: F.pad(x, (1, 1, 1, 1), "reflect"),
    "replicate": lambda F, x: F.pad(x, (1, 1, 1, 1), "replicate"),
    "circular": lambda F, x: F.pad(x, (1, 1, 1, 1), "circular"),
    "zeros around": lambda F, x: F.pad(x, (1, 1, 1, 1)),
    "area": lambda F, x: F.interpolate(x, size=(3, 2), mode="area"),
    "nearest": lambda F, x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda F, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "dropout": lambda F, x: F.dropout(x),
    "abs": lambda F, x: x.abs(),
    "clamp": lambda F, x: x.clamp(-1, 1),
    "prelu": lambda F, x: F.prelu(x, x.new_ones(1)),
    "elu": lambda F, x: F.elu(x),
    "linear": lambda F, x: x * 2,
    "sum": lambda F, x: x.sum(1),
    "sort": lambda F, x: x.sort(-1)[0],
    "max": lambda F, x: x.max(-1)[0],
}


@twin
@pytest.mark.parametrize("kind", PIECEWISE)
def test_a_gradient_penalty_through_piecewise_linear_layers(torch, rng, kind):
    torch.manual_seed(3)
    F = torch.nn.functional
    convolutions = [(rng(2, 2, 3, 3, dtype="float64", grad=True), rng(2, dtype="float64", grad=True)) for _ in range(2)]
    x = rng(2, 2, 6, 6, dtype="float64", grad=True)
    inner = F.conv2d(x, *convolutions[0], padding=1)
    out = F.conv2d(PIECEWISE[kind](F, inner), *convolutions[1], padding=1)
    (g,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    (g.pow(2).sum()).backward()
    return [parameter.grad for pair in convolutions for parameter in pair], x.grad, g


@twin
@pytest.mark.parametrize("kind", [k for k in PIECEWISE if k not in ("area",)])
def test_whether_a_first_gradient_requires_grad(torch, rng, kind):
    torch.manual_seed(3)
    x = rng(2, 2, 6, 6, dtype="float64", grad=True)
    out = PIECEWISE[kind](torch.nn.functional, x)
    (g,) = torch.autograd.grad(out, x, torch.ones_like(out), create_graph=True)
    return g.requires_grad, outcome(lambda: torch.autograd.grad(g, x, torch.ones_like(g), allow_unused=True))


@twin
def test_an_optimizer_steps_alike_under_a_gradient_penalty(torch, rng):
    torch.manual_seed(0)
    critic = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1),
        torch.nn.LeakyReLU(0.2),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(3, 2, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(2, 1),
    ).double()
    optimizer = torch.optim.SGD(critic.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    found = []
    for _ in range(3):
        x = rng(4, 2, 6, 6, dtype="float64", grad=True)
        optimizer.zero_grad()
        (g,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        ((g.flatten(1).norm(2, 1) - 1) ** 2).mean().backward()
        found.append([p.grad is None for p in critic.parameters()])
        optimizer.step()
    return found, list(critic.parameters())


@twin
def test_norms_that_count_and_distances(torch, rng):
    x, y = rng(4, 3, grad=True), rng(4, 3)
    F = torch.nn.functional
    results = [
        lambda: x.norm(0),
        lambda: x.norm(0, 1),
        lambda: torch.linalg.vector_norm(x, 0),
        lambda: torch.linalg.norm(x, 0, 1),
        lambda: torch.dist(x, y, 0),
        lambda: torch.cdist(x, y, 0.0),
        lambda: F.pdist(x, 0.0),
        lambda: F.pairwise_distance(x, y, 0.0),
        lambda: x.norm(1),
        lambda: x.norm(2) + x.norm(0),
        lambda: x.norm(float("inf")),
    ]
    return [
        (
            r().requires_grad,
            torch.autograd.grad(r().sum(), x, allow_unused=True),
            outcome(lambda r=r: torch.autograd.grad(r().sum(), x)),
        )
        for r in results
    ]


@twin
def test_decompositions_of_what_is_empty(torch, rng):
    L = torch.linalg
    a, t, c = rng(3, 2, dtype="float64", grad=True), rng(0, dtype="float64", grad=True), rng(3, 2, dtype="float64", grad=True)
    empty, tall = rng(2, 0, 3, dtype="float64", grad=True), rng(5, 0, dtype="float64", grad=True)
    none, batch = rng(0, 3, 3, dtype="float64", grad=True), rng(0, 3, dtype="float64", grad=True)
    found = [
        torch.autograd.grad(L.householder_product(a, t).sum(), (a, t), allow_unused=True),
        torch.autograd.grad(L.householder_product(none, batch).sum(), (none, batch), allow_unused=True),
        torch.autograd.grad(torch.ormqr(none, batch, none).sum(), (none, batch), allow_unused=True),
        torch.autograd.grad(torch.ormqr(a[:, :0], t, c).sum(), (a, t, c), allow_unused=True),
    ]
    for x in (empty, tall):
        for part in (0, 1):
            out = L.qr(x)[part]
            weights = torch.ones_like(out).requires_grad_()
            (g,) = torch.autograd.grad(out, x, weights, create_graph=True)
            found.append(torch.autograd.grad(g, (x, weights), torch.ones_like(g), allow_unused=True))
    for f in (lambda x: x.cumprod(0), lambda x: x.logcumsumexp(0)):
        for shape in ((0,), (1,), (3,), (), (1, 0)):
            x = rng(*shape, dtype="float64", grad=True)
            out = f(x)
            weights = torch.ones_like(out).requires_grad_()
            (g,) = torch.autograd.grad(out, x, weights, create_graph=True)
            found.append(torch.autograd.grad(g, (x, weights), torch.ones_like(g), allow_unused=True))
    return found


@twin
def test_losses_and_samples_with_constant_slopes(torch, rng):
    F = torch.nn.functional
    x, classes = rng(4, 3, dtype="float64", grad=True), torch.tensor([0, 2, 1, 1])
    image, grid = rng(1, 2, 4, 4, dtype="float64", grad=True), (rng(1, 3, 3, 2, dtype="float64") / 3).requires_grad_()
    found = []
    for out, inputs in (
        (F.nll_loss(x, classes), (x,)),
        (F.nll_loss(x, classes, reduction="none"), (x,)),
        (F.nll_loss(x.log_softmax(1), classes), (x,)),
        (F.cross_entropy(x, classes), (x,)),
        (F.grid_sample(image, grid, align_corners=False), (image, grid)),
        (F.l1_loss(x, x.detach() * 2), (x,)),
        (F.smooth_l1_loss(x, x.detach() * 2), (x,)),
        (F.fractional_max_pool2d(image, 2, output_size=2, _random_samples=image.new_ones(1, 2, 2) / 2), (image,)),
    ):
        grads = torch.autograd.grad(out, inputs, torch.ones_like(out), create_graph=True)
        second = [
            torch.autograd.grad(g, inputs, torch.ones_like(g), allow_unused=True, retain_graph=True)
            for g in grads
            if g.requires_grad
        ]
        found.append(([g.requires_grad for g in grads], second))
    return found


@twin
def test_recurrent_cells_of_relu(torch, rng):
    torch.manual_seed(0)
    cell = torch.nn.RNNCell(3, 2, nonlinearity="relu").double()
    x, h = rng(4, 3, dtype="float64", grad=True), rng(4, 2, dtype="float64", grad=True)
    (g,) = torch.autograd.grad(cell(x, h).sum(), x, create_graph=True)
    g.pow(2).sum().backward()
    return [p.grad for p in cell.parameters()], x.grad, h.grad
