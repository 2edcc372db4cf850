"""How fast is mini_dl against torch? Both do the same work in one run, in turn; medians, as a ratio (below 1 mini_dl is faster).

    python scripts/compare_speed.py
    python scripts/compare_speed.py 'dispatch*' 'step*' --threads 1

The column "at most" is the limit the project sets itself. With --strict, the script ends with 1 if a ratio exceeds it.
"""

from __future__ import annotations

import fnmatch
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _report import AGREE, DISAGREE, fail, libraries, parser, progress, table, versions, write_json

Work = Callable[[], Any]
CASES: dict[str, tuple[Callable[[Any], Work], float | None]] = {}


def case(name: str, at_most: float | None = None) -> Callable[[Callable[[Any], Work]], Callable[[Any], Work]]:
    """Register ``make(torch)``, which prepares inputs and returns the work to time."""

    def register(make: Callable[[Any], Work]) -> Callable[[Any], Work]:
        CASES[name] = make, at_most
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


# ------------------------------------------------------------------------------------------------ dispatch


@case("dispatch: a + b, 8 numbers")
def _(torch: Any) -> Work:
    a, b = tensor(torch, 8), tensor(torch, 8)
    return lambda: a + b


@case("dispatch: a + b recorded, 8 numbers", 1.0)
def _(torch: Any) -> Work:
    a, b = tensor(torch, 8, grad=True), tensor(torch, 8)
    return lambda: a + b


@case("dispatch: chain of 20 ops, both ways", 0.8)
def _(torch: Any) -> Work:
    x, w, b = tensor(torch, 8, grad=True), tensor(torch, 8, grad=True), tensor(torch, 8, grad=True)

    def chain(x: Any, w: Any, b: Any) -> Any:
        for _ in range(5):
            x = ((x * w + b) * 0.5).tanh()
        return x

    return both_ways(torch, chain, x, w, b)


# ------------------------------------------------------------------------------------------------ elementwise

for _name in ("exp", "tanh", "sigmoid", "log1p"):

    @case(f"elementwise: {_name}, 1024 x 1024")
    def _(torch: Any, name: str = _name) -> Work:
        x = tensor(torch, 1024, 1024).abs()
        return lambda: getattr(torch, name)(x)


@case("elementwise: add, 1024 x 1024")
def _(torch: Any) -> Work:
    a, b = tensor(torch, 1024, 1024), tensor(torch, 1024, 1024)
    return lambda: a + b


for _name, _at_most in (("relu", None), ("gelu", 6.0), ("silu", None)):

    @case(f"elementwise: {_name} both ways, 1024 x 512", _at_most)
    def _(torch: Any, name: str = _name) -> Work:
        return both_ways(torch, getattr(torch.nn.functional, name), tensor(torch, 1024, 512, grad=True))


@case("reduction: sum, 1024 x 1024")
def _(torch: Any) -> Work:
    x = tensor(torch, 1024, 1024)
    return lambda: x.sum()


@case("reduction: sum over rows, 1024 x 1024")
def _(torch: Any) -> Work:
    x = tensor(torch, 1024, 1024)
    return lambda: x.sum(0)


@case("reduction: argmax, 1024 x 1024")
def _(torch: Any) -> Work:
    x = tensor(torch, 1024, 1024)
    return lambda: x.argmax(1)


# ------------------------------------------------------------------------------------------------ softmax and norms

for _shape in ((64, 128), (1024, 512), (4096, 1000)):
    _size = " x ".join(map(str, _shape))

    @case(f"softmax both ways, {_size}", 4.0)
    def _(torch: Any, shape: Any = _shape) -> Work:
        return both_ways(torch, lambda x: torch.nn.functional.softmax(x, 1), tensor(torch, *shape, grad=True))

    @case(f"cross entropy both ways, {_size}", 1.8)
    def _(torch: Any, shape: Any = _shape) -> Work:
        labels = torch.from_numpy(np.arange(shape[0]) * 7 % shape[1])
        x = tensor(torch, *shape, grad=True)
        return both_ways(torch, lambda x: torch.nn.functional.cross_entropy(x, labels), x)

    @case(f"layer norm both ways, {_size}", 4.0)
    def _(torch: Any, shape: Any = _shape) -> Work:
        weight, bias = tensor(torch, shape[1], grad=True), tensor(torch, shape[1], grad=True)
        norm = torch.nn.functional.layer_norm
        return both_ways(torch, lambda x, w, b: norm(x, shape[1:], w, b), tensor(torch, *shape, grad=True), weight, bias)


@case("batch norm both ways, 32 x 64 x 32 x 32", 3.0)
def _(torch: Any) -> Work:
    norm = torch.nn.BatchNorm2d(64)
    return both_ways(torch, norm, tensor(torch, 32, 64, 32, 32, grad=True))


# ------------------------------------------------------------------------------------------------ matrices

for _n in (16, 64, 256, 1024):

    @case(f"matmul {_n} x {_n}")
    def _(torch: Any, n: int = _n) -> Work:
        a, b = tensor(torch, n, n), tensor(torch, n, n + 1)[:, :n].contiguous()
        return lambda: a @ b


@case("matmul batched, 64 x 64 x 64")
def _(torch: Any) -> Work:
    a, b = tensor(torch, 64, 64, 64), tensor(torch, 64, 64, 64)
    return lambda: a @ b


@case("linear both ways, 64 x 784 -> 50")
def _(torch: Any) -> Work:
    x, w, b = tensor(torch, 64, 784), tensor(torch, 50, 784, grad=True), tensor(torch, 50, grad=True)
    return both_ways(torch, lambda w, b: torch.nn.functional.linear(x, w, b), w, b)


# ------------------------------------------------------------------------------------------------ convolution, pooling


def convolution(name: str, at_most: float | None, input: tuple[int, ...], weight: tuple[int, ...], **options: Any) -> None:
    @case(f"conv2d both ways: {name}", at_most)
    def _(torch: Any) -> Work:
        x, w = tensor(torch, *input, grad=True), tensor(torch, *weight, grad=True)
        return both_ways(torch, lambda x, w: torch.nn.functional.conv2d(x, w, **options), x, w)


_large = (32, 64, 32, 32)
convolution("3x3, 32x64x32x32 -> 64", 1.7, _large, (64, 64, 3, 3), padding=1)
convolution("3x3, 1x64x56x56 -> 64", 1.7, (1, 64, 56, 56), (64, 64, 3, 3), padding=1)
convolution("3x3, 32x256x8x8 -> 256", 1.7, (32, 256, 8, 8), (256, 256, 3, 3), padding=1)
convolution("3x3 strided, 32x64x32x32 -> 128", 1.7, _large, (128, 64, 3, 3), padding=1, stride=2)
convolution("3x3 in 4 groups, 32x64x32x32 -> 64", None, _large, (64, 16, 3, 3), padding=1, groups=4)
convolution("3x3 depthwise, 32x64x32x32", 5.0, _large, (64, 1, 3, 3), padding=1, groups=64)
convolution("1x1, 32x64x32x32 -> 256", 1.0, _large, (256, 64, 1, 1))
convolution("5x5, 64x1x28x28 -> 20", None, (64, 1, 28, 28), (20, 1, 5, 5))
convolution("3x3, 32x16x8x8 -> 32", None, (32, 16, 8, 8), (32, 16, 3, 3), padding=1)


for _name, _at_most in (("max", 1.0), ("avg", None)):

    @case(f"{_name} pool 2x2 both ways, 32 x 64 x 32 x 32", _at_most)
    def _(torch: Any, name: str = _name) -> Work:
        pool = getattr(torch.nn.functional, f"{name}_pool2d")
        return both_ways(torch, lambda x: pool(x, 2), tensor(torch, 32, 64, 32, 32, grad=True))


# ------------------------------------------------------------------------------------------------ sequences


@case("embedding both ways, 10000 x 128 by 2048")
def _(torch: Any) -> Work:
    index = torch.from_numpy(np.random.default_rng(0).integers(0, 10000, 2048))
    return both_ways(torch, lambda w: torch.nn.functional.embedding(index, w), tensor(torch, 10000, 128, grad=True))


for _name, _at_most in (("LSTM", 2.0), ("GRU", None)):

    @case(f"{_name} both ways, 50 steps x 32 x 256", _at_most)
    def _(torch: Any, name: str = _name) -> Work:
        torch.manual_seed(0)
        network = getattr(torch.nn, name)(256, 256)
        return both_ways(torch, lambda x: network(x)[0], tensor(torch, 50, 32, 256, grad=True))


for _name, _causal in (("attention", False), ("causal attention", True)):

    @case(f"{_name} both ways, 8 x 8 heads x 256 x 64", 1.5)
    def _(torch: Any, causal: bool = _causal) -> Work:
        q, k, v = (tensor(torch, 8, 8, 256, 64).mul(scale).requires_grad_() for scale in (1.0, 0.9, 1.1))
        attend = torch.nn.functional.scaled_dot_product_attention
        return both_ways(torch, lambda q, k, v: attend(q, k, v, is_causal=causal), q, k, v)


@case("transformer both ways, 4 layers, 8 x 64 x 128")
def _(torch: Any) -> Work:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, activation="gelu", batch_first=True)
    blocks = torch.nn.TransformerEncoder(layer, 4)
    return both_ways(torch, blocks, tensor(torch, 8, 64, 128, grad=True))


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


# ------------------------------------------------------------------------------------------------ optimizers and steps

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
    for _size, _shapes, _most in (("6 small tensors", SMALL, 0.8), ("ResNet-18's 62 tensors", shapes_of_resnet18(), 1.1)):

        @case(f"step of {_name}, {_size}", _most)
        def _(torch: Any, name: str = _name, options: Any = _options, shapes: Any = _shapes) -> Work:
            parameters = [torch.nn.Parameter(tensor(torch, *shape)) for shape in shapes]
            for parameter, shape in zip(parameters, shapes):
                parameter.grad = tensor(torch, *shape)
            return getattr(torch.optim, name)(parameters, **options).step


def training_step(torch: Any, model: Any, *shape: int) -> Work:
    """Forward, loss, backward and a step of SGD with momentum."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = tensor(torch, *shape), torch.from_numpy(np.arange(shape[0]) % 10)

    def work() -> None:
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


@case("training step: MLP 784-50-10, batch 100", 1.0)
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    return training_step(torch, nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10)), 100, 784)


@case("training step: MLP 784-512-512-10, batch 128")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return training_step(torch, model, 128, 784)


@case("training step: LeNet, 64 x 1 x 28 x 28")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    head = [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return training_step(torch, nn.Sequential(*features, *head), 64, 1, 28, 28)


for _side in (8, 28):

    @case(f"training step: the CNN of compare_training, 32 x 1 x {_side} x {_side}", 2.0)
    def _(torch: Any, side: int = _side) -> Work:
        from compare_training import network

        torch.manual_seed(0)
        return training_step(torch, network(torch, "cnn", side), 32, 1, side, side)


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


@case("func: jvp of an MLP 64-256-256-10, batch 64", 1.5)
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    return along_a_direction(
        torch, nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 10)), 64, 64
    )


@case("func: jvp of a CNN, 64 x 1 x 28 x 28", 1.5)
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return along_a_direction(torch, nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(1568, 10)), 64, 1, 28, 28)


@case("func: hessian of an MLP 8-32-1 in its input", 1.5)
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    second = torch.func.hessian(lambda x: torch.func.functional_call(model, parameters, (x,)).sum())
    x = tensor(torch, 8)
    return lambda: second(x)


@case("func: hessian of an MLP 8-16-1 in its parameters, batch 64", 1.5)
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    x = tensor(torch, 64, 8)
    second = torch.func.hessian(lambda p: torch.func.functional_call(model, p, (x,)).square().mean())
    return lambda: second(parameters)


@case("func: vmap(grad), 64 samples of a CNN, 1 x 28 x 28", 1.5)
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


@case("func: vmap over ten MLPs 64-128-128-10, batch 256", 1.5)
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)
    layers = lambda: [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)]
    models = [nn.Sequential(*layers()) for _ in range(10)]
    states = [{name: value.detach() for name, value in state.items()} for state in torch.func.stack_module_state(models)]
    x = tensor(torch, 256, 64)
    ensemble = torch.vmap(lambda *states: torch.func.functional_call(models[0], states, (x,)))
    return lambda: ensemble(*states)


# ------------------------------------------------------------------------------------------------ measuring


TURN = 0.03
"""Seconds of each of the three parts of a turn: rest, work that is not counted, work that is. The threads of OpenMP and OpenBLAS
wait in busy loops for up to 26 ms after the last call: in the turn of the other library they would take a core from it."""


def medians(works: list[Work], seconds: float) -> list[float]:
    """Seconds per call of each work: medians over samples of at least a millisecond, in turns, for about `seconds` in all."""
    counts = []
    for work in works:
        work()
        began = time.perf_counter()
        work()
        once = max(time.perf_counter() - began, 1e-7)
        counts.append(max(1, int(1e-3 / once)))
    samples: list[list[float]] = [[] for _ in works]
    gc.collect()
    gc.disable()  # as timeit does: one library must not pay for the garbage of the other
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < 7:
        for work, count, taken in zip(works, counts, samples):
            time.sleep(TURN)
            sampled_for(TURN, work, count)
            taken += sampled_for(TURN, work, count)
    gc.enable()
    return [statistics.median(taken) for taken in samples]


def sampled_for(seconds: float, work: Work, count: int) -> list[float]:
    """Seconds per call in samples of `count` calls each: one, or as many as begin in that time."""
    samples, end = [], time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(count):
            work()
        samples.append((time.perf_counter() - began) / count)
    return samples


def restart_on(threads: int) -> None:
    """Start the program again where the libraries do not have so many threads: OpenBLAS reads the number when NumPy loads."""
    count = str(threads)
    if os.environ.get("OPENBLAS_NUM_THREADS") != count:
        os.environ.update(OPENBLAS_NUM_THREADS=count, OMP_NUM_THREADS=count)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def in_a_new_process(code: str) -> float:
    """The number that `code` prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the second import of a module reads what the first compiled
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


IMPORT = "import numpy, time; began = time.perf_counter(); import {name}; print(time.perf_counter() - began)"
MEMORY = """
import pathlib, sys
sys.path.insert(0, {scripts!r})
import {name} as torch
from compare_speed import CASES
def peak():  # MB; a process of its own starts at its own memory here, getrusage would start at its parent's
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before = peak()
work = CASES[{case!r}][0](torch)
for _ in range(5): work()
print(peak() - before)
"""


def processes(names: list[str]) -> list[list[str]]:
    """Rows for what needs a fresh process: import time and peak memory."""
    scripts = str(Path(__file__).resolve().parent)
    step = "training step: the CNN of compare_training, 32 x 1 x 28 x 28"
    imports = [statistics.median(in_a_new_process(IMPORT.format(name=name)) for _ in range(5)) for name in names]
    rows = [["import, after numpy", *[f"{1e3 * seconds:.0f} ms" for seconds in imports]]]
    if Path("/proc/self/status").exists():
        peaks = [in_a_new_process(MEMORY.format(name=name, scripts=scripts, case=step)) for name in names]
        rows.append(["peak memory of the CNN step, above import", *[f"{peak:.0f} MB" for peak in peaks]])
    return rows


def main(arguments: list[str] | None = None) -> int:
    made = parser("Time mini_dl beside torch, in one run.")
    made.add_argument("patterns", nargs="*", metavar="PATTERN", help="globs over the names of the cases, such as '*norm*'")
    made.add_argument("--seconds", type=float, default=1.0, help="how long to measure each case")
    made.add_argument("--threads", type=int, help="threads of both libraries; default: as they come")
    made.add_argument("--list", action="store_true", help="print the names of the cases")
    made.add_argument("--strict", action="store_true", help="end with 1 where a ratio is above 'at most'")
    options = made.parse_args(arguments)
    chosen = [n for n in CASES if not options.patterns or any(fnmatch.fnmatchcase(n, f"*{p}*") for p in options.patterns)]
    if options.list:
        print("\n".join(CASES))
        return AGREE
    if not chosen:
        return fail(f"no case matches {options.patterns}; --list shows them")
    if options.threads is not None:
        restart_on(options.threads)
    ours, theirs = libraries()
    if theirs is None:
        return fail("compare_speed needs torch: python -m pip install torch==2.13.0")
    print(versions(theirs))
    rows, numbers, slow = [], [], []
    for name in progress(chosen, desc="cases"):
        make, at_most = CASES[name]
        own, other = medians([make(ours), make(theirs)], options.seconds)
        ratio = own / other
        rows.append([name, f"{1e6 * own:.1f}", f"{1e6 * other:.1f}", f"{ratio:.2f}", "" if at_most is None else f"{at_most:.1f}"])
        numbers.append({"case": name, "mini_dl": own, "torch": other, "ratio": ratio, "at most": at_most})
        if at_most is not None and ratio > at_most:
            slow.append(name)
    print(table(["case", "mini_dl us", "torch us", "ratio", "at most"], rows))
    print(f"\ngeometric mean of {len(rows)} ratios: {statistics.geometric_mean(n['ratio'] for n in numbers):.2f}")
    if not options.patterns:
        print("\n" + table(["in a new process", "mini_dl", "torch"], processes(["mini_dl", "torch"])))
    for name in slow:
        print(f"above 'at most': {name}")
    write_json(options.json, numbers)
    return DISAGREE if slow and options.strict else AGREE


if __name__ == "__main__":
    sys.exit(main())
