"""The workloads that `compare_speed` times, each written once for both libraries. The name of a case begins with its group."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Work = Callable[[], Any]
Make = Callable[[Any], Work]
CASES: dict[str, Make] = {}
"""By name, ``make(torch)``, which prepares inputs and returns the work to time."""
FLOORS: dict[str, Make] = {}
"""torch's form with fewer passes than the workload, if there is one."""


def case(name: str) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        CASES[name] = make
        return make

    return register


def tensor(torch: Any, *shape: int, grad: bool = False, dtype: str = "float32") -> Any:
    """The same standard normal numbers in both libraries."""
    values = np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape).astype(dtype)
    return torch.from_numpy(values).requires_grad_(grad)


def both_ways(torch: Any, function: Callable[..., Any], *inputs: Any) -> Work:
    """Forward and backward from a random cotangent."""
    cotangent = tensor(torch, *function(*inputs).shape)

    def work() -> None:
        for x in inputs:
            x.grad = None
        function(*inputs).backward(cotangent)

    return work


def without_gradients(torch: Any, function: Callable[..., Any], *inputs: Any) -> Work:
    def work() -> None:
        with torch.no_grad():
            function(*inputs)

    return work


# ------------------------------------------------------------------------------------------------ dispatch


@case("dispatch: a + b, 8 numbers")
def _(torch: Any) -> Work:
    a, b = tensor(torch, 8), tensor(torch, 8)
    return lambda: a + b


@case("dispatch: a + b recorded, 8 numbers")
def _(torch: Any) -> Work:
    a, b = tensor(torch, 8, grad=True), tensor(torch, 8)
    return lambda: a + b


@case("dispatch: chain of 20 ops, both ways")
def _(torch: Any) -> Work:
    x, w, b = tensor(torch, 8, grad=True), tensor(torch, 8, grad=True), tensor(torch, 8, grad=True)

    def chain(x: Any, w: Any, b: Any) -> Any:
        for _ in range(5):
            x = ((x * w + b) * 0.5).tanh()
        return x

    return both_ways(torch, chain, x, w, b)


@case("dispatch: (a * b).sum().item()")
def _(torch: Any) -> Work:
    a, b = tensor(torch, 8), tensor(torch, 8)
    return lambda: (a * b).sum().item()


@case("dispatch: a view of a view, x[1:3].T")
def _(torch: Any) -> Work:
    x = tensor(torch, 4, 8)
    return lambda: x[1:3].T


@case("dispatch: a call of Linear(8, 8)")
def _(torch: Any) -> Work:
    layer, x = torch.nn.Linear(8, 8), tensor(torch, 4, 8)
    return lambda: layer(x)


@case("dispatch: MLP 8-16-4 both ways, batch 4")
def _(torch: Any) -> Work:
    nn = torch.nn
    return both_ways(torch, nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), tensor(torch, 4, 8, grad=True))


# ------------------------------------------------------------------------------------------------ elementwise, and along rows

ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda torch, x: x + x,
    "mul": lambda torch, x: x * x,
    "exp": lambda torch, x: x.exp(),
    "tanh": lambda torch, x: x.tanh(),
    "sigmoid": lambda torch, x: x.sigmoid(),
    "log1p": lambda torch, x: x.log1p(),
}
ALONG_ROWS: dict[str, Callable[[Any, Any], Any]] = {
    "relu": lambda torch, x: torch.nn.functional.relu(x),
    "gelu": lambda torch, x: torch.nn.functional.gelu(x),
    "softmax": lambda torch, x: torch.nn.functional.softmax(x, 1),
    "log_softmax": lambda torch, x: torch.nn.functional.log_softmax(x, 1),
}

for _group, _shape in (("elementwise, small", (64, 128)), ("elementwise, big", (2048, 1000))):
    _size = " x ".join(map(str, _shape))
    for _name, _function in ELEMENTWISE.items():

        @case(f"{_group}: {_name}, {_size}")
        def _(torch: Any, function: Any = _function, shape: Any = _shape) -> Work:
            x = tensor(torch, *shape).abs()
            return lambda: function(torch, x)

    for _name, _function in ALONG_ROWS.items():

        @case(f"{_group}: {_name} both ways, {_size}")
        def _(torch: Any, function: Any = _function, shape: Any = _shape) -> Work:
            return both_ways(torch, lambda x: function(torch, x), tensor(torch, *shape, grad=True))

    @case(f"{_group}: cross_entropy both ways, {_size}")
    def _(torch: Any, shape: Any = _shape) -> Work:
        labels = torch.from_numpy(np.arange(shape[0]) * 7 % shape[1])
        x = tensor(torch, *shape, grad=True)
        return both_ways(torch, lambda x: torch.nn.functional.cross_entropy(x, labels), x)

    @case(f"{_group}: layer_norm both ways, {_size}")
    def _(torch: Any, shape: Any = _shape) -> Work:
        weight, bias = tensor(torch, shape[1], grad=True), tensor(torch, shape[1], grad=True)
        norm = torch.nn.functional.layer_norm
        return both_ways(torch, lambda x, w, b: norm(x, shape[1:], w, b), tensor(torch, *shape, grad=True), weight, bias)


REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: x.sum(),
    "sum of columns": lambda x: x.sum(0),
    "sum of rows": lambda x: x.sum(1),
    "mean of rows": lambda x: x.mean(1),
    "norm": lambda x: x.norm(),
    "var of rows": lambda x: x.var(1),
    "max of rows": lambda x: x.amax(1),
    "argmax of rows": lambda x: x.argmax(1),
    "cumsum along rows": lambda x: x.cumsum(1),
    "logsumexp of rows": lambda x: x.logsumexp(1),
}
for _name, _reduce in REDUCTIONS.items():

    @case(f"reductions: {_name}, 1024 x 1024")
    def _(torch: Any, reduce: Any = _reduce) -> Work:
        x = tensor(torch, 1024, 1024)
        return lambda: reduce(x)


# ------------------------------------------------------------------------------------------------ matrices

for _n in (32, 128, 512, 1024):

    @case(f"matmul, linear: mm {_n} x {_n}")
    def _(torch: Any, n: int = _n) -> Work:
        a, b = tensor(torch, n, n), tensor(torch, n, n + 1)[:, :n].contiguous()
        return lambda: a @ b


for _left, _right in (((64, 64, 64), (64, 64, 64)), ((64, 128, 64), (64, 64, 128))):

    @case(f"matmul, linear: bmm of 64, {_left[1]} x {_left[2]} x {_right[2]}")
    def _(torch: Any, left: Any = _left, right: Any = _right) -> Work:
        a, b = tensor(torch, *left), tensor(torch, *right)
        return lambda: torch.bmm(a, b)


for _batch, _inputs, _outputs in ((32, 64, 64), (64, 784, 50), (256, 1024, 1024)):

    @case(f"matmul, linear: linear both ways, {_batch} x {_inputs} -> {_outputs}")
    def _(torch: Any, batch: int = _batch, inputs: int = _inputs, outputs: int = _outputs) -> Work:
        x, w, b = tensor(torch, batch, inputs), tensor(torch, outputs, inputs, grad=True), tensor(torch, outputs, grad=True)
        return both_ways(torch, lambda w, b: torch.nn.functional.linear(x, w, b), w, b)


# ------------------------------------------------------------------------------------------------ convolution, pooling

Options = dict[str, Any]
_large = (32, 64, 32, 32)
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], Options]] = {  # shapes of input and weight
    "3x3, 32x64x32x32 -> 64": (_large, (64, 64, 3, 3), {"padding": 1}),
    "3x3, 1x64x56x56 -> 64": ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "3x3, 32x256x8x8 -> 256": ((32, 256, 8, 8), (256, 256, 3, 3), {"padding": 1}),
    "3x3 strided, 32x64x32x32 -> 128": (_large, (128, 64, 3, 3), {"padding": 1, "stride": 2}),
    "3x3 in 4 groups, 32x64x32x32 -> 64": (_large, (64, 16, 3, 3), {"padding": 1, "groups": 4}),
    "3x3 depthwise, 32x64x32x32": (_large, (64, 1, 3, 3), {"padding": 1, "groups": 64}),
    "1x1, 32x64x32x32 -> 256": (_large, (256, 64, 1, 1), {}),
    "5x5, 64x1x28x28 -> 20": ((64, 1, 28, 28), (20, 1, 5, 5), {}),
}
MORE_CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], Options]] = {
    "3x3, 32x16x8x8 -> 32": ((32, 16, 8, 8), (32, 16, 3, 3), {"padding": 1}),
    "7x7 strided, 8x3x96x96 -> 64": ((8, 3, 96, 96), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    "4x4 strided, 32x64x32x32 -> 128": (_large, (128, 64, 4, 4), {"padding": 1, "stride": 2}),
    "5x5 depthwise strided, 8x96x28x28": ((8, 96, 28, 28), (96, 1, 5, 5), {"padding": 2, "stride": 2, "groups": 96}),
    "7x7 depthwise, 8x96x28x28": ((8, 96, 28, 28), (96, 1, 7, 7), {"padding": 3, "groups": 96}),
    "1x1 strided, 32x64x32x32 -> 128": (_large, (128, 64, 1, 1), {"stride": 2}),
}


def convolution(torch: Any, input: Any, weight: Any, options: Options, transposed: bool = False) -> tuple[Any, Any, Any]:
    """The function and its arguments."""
    called = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d
    return lambda x, w: called(x, w, **options), tensor(torch, *input, grad=True), tensor(torch, *weight, grad=True)


for _name, _arguments in CONVOLUTIONS.items():

    @case(f"conv2d both ways: {_name}")
    def _(torch: Any, arguments: Any = _arguments) -> Work:
        return both_ways(torch, *convolution(torch, *arguments))

    @case(f"conv2d forward: {_name}")
    def _(torch: Any, arguments: Any = _arguments) -> Work:
        return without_gradients(torch, *convolution(torch, *arguments))


for _name, _arguments in MORE_CONVOLUTIONS.items():

    @case(f"more convolutions: {_name}")
    def _(torch: Any, arguments: Any = _arguments) -> Work:
        return both_ways(torch, *convolution(torch, *arguments))


@case("more convolutions: 4x4 transposed, 32x128x16x16 -> 64")
def _(torch: Any) -> Work:
    options = {"padding": 1, "stride": 2}
    return both_ways(torch, *convolution(torch, (32, 128, 16, 16), (128, 64, 4, 4), options, transposed=True))


POOLINGS: dict[str, Callable[[Any, Any], Any]] = {
    "max 2x2": lambda torch, x: torch.nn.functional.max_pool2d(x, 2),
    "avg 2x2": lambda torch, x: torch.nn.functional.avg_pool2d(x, 2),
    "max 3x3 strided": lambda torch, x: torch.nn.functional.max_pool2d(x, 3, 2, 1),
}
for _name, _pool in POOLINGS.items():

    @case(f"pooling: {_name} both ways, 32 x 64 x 32 x 32")
    def _(torch: Any, pool: Any = _pool) -> Work:
        return both_ways(torch, lambda x: pool(torch, x), tensor(torch, *_large, grad=True))


# ------------------------------------------------------------------------------------------------ norms, sequences


@case("batch norm, embedding: batch norm both ways, 32 x 64 x 32 x 32")
def _(torch: Any) -> Work:
    return both_ways(torch, torch.nn.BatchNorm2d(64), tensor(torch, *_large, grad=True))


@case("batch norm, embedding: batch norm in evaluation, 32 x 64 x 32 x 32")
def _(torch: Any) -> Work:
    return without_gradients(torch, torch.nn.BatchNorm2d(64).eval(), tensor(torch, *_large))


@case("batch norm, embedding: embedding both ways, 10000 x 128 by 2048")
def _(torch: Any) -> Work:
    index = torch.from_numpy(np.random.default_rng(0).integers(0, 10000, 2048))
    return both_ways(torch, lambda w: torch.nn.functional.embedding(index, w), tensor(torch, 10000, 128, grad=True))


for _name, _group in (("LSTM", "LSTM, attention"), ("GRU", "more layers")):

    @case(f"{_group}: {_name} both ways, 50 steps x 32 x 256")
    def _(torch: Any, name: str = _name) -> Work:
        torch.manual_seed(0)
        network = getattr(torch.nn, name)(256, 256)
        return both_ways(torch, lambda x: network(x)[0], tensor(torch, 50, 32, 256, grad=True))


for _name, _causal in (("attention", False), ("causal attention", True)):

    @case(f"LSTM, attention: {_name} both ways, 8 x 8 heads x 256 x 64")
    def _(torch: Any, causal: bool = _causal) -> Work:
        q, k, v = (tensor(torch, 8, 8, 256, 64).mul(scale).requires_grad_() for scale in (1.0, 0.9, 1.1))
        attend = torch.nn.functional.scaled_dot_product_attention
        return both_ways(torch, lambda q, k, v: attend(q, k, v, is_causal=causal), q, k, v)


@case("more layers: transformer both ways, 4 layers, 8 x 64 x 128")
def _(torch: Any) -> Work:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, activation="gelu", batch_first=True)
    blocks = torch.nn.TransformerEncoder(layer, 4)
    return both_ways(torch, blocks, tensor(torch, 8, 64, 128, grad=True))


for _name in ("silu", "elu", "softplus"):

    @case(f"more layers: {_name} both ways, 1024 x 512")
    def _(torch: Any, name: str = _name) -> Work:
        return both_ways(torch, getattr(torch.nn.functional, name), tensor(torch, 1024, 512, grad=True))


# ------------------------------------------------------------------------------------------------ optimizers

Shapes = list[tuple[int, ...]]
SMALL: Shapes = [(50, 784), (50,), (50, 50), (50,), (10, 50), (10,)]


def shapes_of_resnet18() -> Shapes:
    """Its 62 parameters: 11.7 million numbers."""
    found: Shapes = [(64, 3, 7, 7), (64,), (64,)]
    channels = 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            found += [(width, channels, 3, 3), (width,), (width,), (width, width, 3, 3), (width,), (width,)]
            if channels != width:
                found += [(width, channels, 1, 1), (width,), (width,)]
            channels = width
    return [*found, (1000, 512), (1000,)]


for _name, _options in (("SGD", {"lr": 1e-3, "momentum": 0.9}), ("Adam", {"lr": 1e-3}), ("AdamW", {"lr": 1e-3})):
    for _size, _shapes in (("6 small tensors", SMALL), ("ResNet-18's 62 tensors", shapes_of_resnet18())):

        def stepping(torch: Any, name: str = _name, options: Any = _options, shapes: Any = _shapes, **more: Any) -> Work:
            parameters = [torch.nn.Parameter(tensor(torch, *shape)) for shape in shapes]
            for parameter, shape in zip(parameters, shapes):
                parameter.grad = tensor(torch, *shape)
            return getattr(torch.optim, name)(parameters, **options, **more).step

        case(f"optimizers: {_name}, {_size}")(stepping)
        FLOORS[f"optimizers: {_name}, {_size}"] = functools.partial(stepping, fused=True)


# ------------------------------------------------------------------------------------------------ distributions

DISTRIBUTIONS: dict[str, Callable[[Any, int], tuple[Any, tuple[int, ...]]]] = {  # for n numbers: the distribution, sample_shape
    "Normal": lambda torch, n: (torch.distributions.Normal(torch.zeros(n), torch.ones(n)), ()),
    "Categorical": lambda torch, n: (torch.distributions.Categorical(logits=tensor(torch, n, 5)), ()),
    "Gamma": lambda torch, n: (torch.distributions.Gamma(torch.full((n,), 2.0), torch.ones(n)), ()),
    "MultivariateNormal": lambda torch, n: (torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3)), (n,)),
}

for _name, _make in DISTRIBUTIONS.items():
    for _n, _size in ((10, "10"), (1_000_000, "1e6")):

        @case(f"distributions: sample of {_name}, {_size}")
        def _(torch: Any, make: Any = _make, n: int = _n) -> Work:
            distribution, shape = make(torch, n)
            return lambda: distribution.sample(shape)

        @case(f"distributions: log_prob of {_name}, {_size}")
        def _(torch: Any, make: Any = _make, n: int = _n) -> Work:
            torch.manual_seed(0)
            distribution, shape = make(torch, n)
            values = distribution.sample(shape)
            return lambda: distribution.log_prob(values)

# ------------------------------------------------------------------------------------------------ derivatives of functions


def loss_of(torch: Any, model: Any, *shape: int) -> tuple[Any, dict[str, Any]]:
    """The loss of a model on a batch as a function of its parameters, and these."""
    images, labels = tensor(torch, *shape), torch.from_numpy(np.arange(shape[0]) % 10)
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(parameters: dict[str, Any]) -> Any:
        return torch.nn.functional.cross_entropy(torch.func.functional_call(model, parameters, (images,)), labels)

    return loss, parameters


def along_a_direction(torch: Any, model: Any, *shape: int) -> Work:
    """The derivative of the loss along a random direction of the parameters, by forward mode."""
    loss, parameters = loss_of(torch, model, *shape)
    direction = {name: tensor(torch, *parameter.shape) for name, parameter in parameters.items()}
    return lambda: torch.func.jvp(loss, (parameters,), (direction,))


@case("func: jvp of an MLP 64-256-256-10, batch 64")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    return along_a_direction(
        torch, nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 10)), 64, 64
    )


@case("func: jvp of a CNN, 64 x 1 x 28 x 28")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return along_a_direction(torch, nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(1568, 10)), 64, 1, 28, 28)


def mlp(torch: Any, hidden: int) -> tuple[Any, dict[str, Any]]:
    """A network 8-`hidden`-1, and its parameters without history."""
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, hidden), nn.Tanh(), nn.Linear(hidden, 1))
    return model, {name: parameter.detach() for name, parameter in model.named_parameters()}


@case("func: hessian of an MLP 8-32-1 in its input")
def _(torch: Any) -> Work:
    model, parameters = mlp(torch, 32)
    second = torch.func.hessian(lambda x: torch.func.functional_call(model, parameters, (x,)).sum())
    x = tensor(torch, 8)
    return lambda: second(x)


@case("func: hessian of an MLP 8-16-1 in its parameters, batch 64")
def _(torch: Any) -> Work:
    model, parameters = mlp(torch, 16)
    x = tensor(torch, 64, 8)
    second = torch.func.hessian(lambda p: torch.func.functional_call(model, p, (x,)).square().mean())
    return lambda: second(parameters)


@case("func: vmap(grad), 64 samples of a CNN, 1 x 28 x 28")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    stages = [(nn.Conv2d(n, m, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for n, m in ((1, 8), (8, 16))]
    model = nn.Sequential(*[layer for stage in stages for layer in stage], nn.Flatten(), nn.Linear(784, 10))
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    images, labels = tensor(torch, 64, 1, 28, 28), torch.from_numpy(np.arange(64) % 10)

    def loss(parameters: dict[str, Any], image: Any, label: Any) -> Any:
        return nn.functional.cross_entropy(torch.func.functional_call(model, parameters, (image[None],)), label[None])

    per_sample = torch.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: per_sample(parameters, images, labels)


@case("func: vmap over ten MLPs 64-128-128-10, batch 256")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    layers = lambda: [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)]
    models = [nn.Sequential(*layers()) for _ in range(10)]
    states = [{name: value.detach() for name, value in state.items()} for state in torch.func.stack_module_state(models)]
    x = tensor(torch, 256, 64)
    ensemble = torch.vmap(lambda *states: torch.func.functional_call(models[0], states, (x,)))
    return lambda: ensemble(*states)
