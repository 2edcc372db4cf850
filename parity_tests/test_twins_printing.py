"""Printed tensors, sizes, types and modules, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, twin

VALUES = {
    "scalar": [3.25],
    "small": [1e-5, 2.0],
    "large": [1e9, 1.0],
    "mixed": [1e-8, 1e8],
    "whole": [1.0, -2.0, 30.0],
    "negative": [-1.5, 2.25],
    "specials": [float("nan"), float("inf"), -float("inf"), 1.0],
    "only nan": [float("nan")],
    "zeros": [0.0, -0.0],
    "thousands": [12345.678, 0.1],
    "million": [1234567.0, 2.5],
    "tiny": [1e-30, 3e-30],
    "halves": [0.5, 1.5],
    "wide": [100000.5, 1.25],
    "ten digits": [1234567890.123],
}


@pytest.mark.parametrize("name", list(VALUES))
@twin
def test_floats(torch, rng, name):
    for dtype in (torch.float32, torch.float64, torch.float16):
        x = torch.tensor(VALUES[name], dtype=dtype)
        print(x, x[0], x[None], x.expand(2, len(VALUES[name])), f"{x[0]}", str(x), sep="\n")


@pytest.mark.parametrize("dtype", "bool uint8 int8 int16 int32 int64 complex64 complex128".split())
@twin
def test_other_types(torch, rng, dtype):
    d = getattr(torch, dtype)
    print(
        torch.tensor([0, 1, 100], dtype=d),
        torch.tensor(1, dtype=d),
        torch.zeros(2, 2, dtype=d),
        torch.empty(0, dtype=d),
        sep="\n",
    )
    if d.is_complex:
        print(torch.tensor([1.5 - 2j, 1e5 + 0j, -1j], dtype=d), torch.tensor(2 + 3j, dtype=d))
    if d is torch.int64:
        print(torch.tensor([-5, 123456789012]), torch.arange(30))


@pytest.mark.parametrize(
    "shape", [(0,), (2, 0), (1,), (3, 3), (2, 3, 4), (2, 1, 2, 2), (30,), (7, 30), (1001,), (40, 40), (20, 30, 2), (2, 2, 300)]
)
@twin
def test_shapes_and_summaries(torch, rng, shape):
    x = rng(*shape)
    print(x, repr(x.double()), x.t() if x.ndim == 2 else "")


@twin
def test_history_is_shown(torch, rng):
    x = rng(2, grad=True)
    y = x * 2
    print(x, y, y.sum(), y.detach(), x.data, y[0], x.exp(), y.view(1, 2), torch.nn.Parameter(rng(2)), sep="\n")
    x.sum().backward()
    print(x.grad)


@twin
def test_print_options(torch, rng):
    x = rng(3, 3) * 1000
    try:
        for options in (
            {"precision": 2},
            {"sci_mode": True},
            {"sci_mode": False},
            {"threshold": 2, "edgeitems": 1},
            {"linewidth": 30},
        ):
            torch.set_printoptions(**options)
            print(x)
        torch.set_printoptions(profile="full")
        print(rng(40, 30))
        torch.set_printoptions(profile="short")
        print(x)
    finally:
        torch.set_printoptions(profile="default")
    print(x)


@twin
def test_sizes_types_devices(torch, rng):
    x = rng(2, 3)
    print(
        x.shape,
        x.size(),
        x.size(0),
        x.dtype,
        x.device,
        torch.device("cpu"),
        torch.Size([1]),
        torch.Size([]),
        x.stride(),
        x.layout,
    )
    print(torch.float32, torch.int64, torch.get_default_dtype(), repr(torch.float64), x.type(), torch.finfo(torch.float32))
    print(x.max(0), x.sort(1), x.topk(2), x.shape[1:], x.shape + (4,), x.shape.numel(), torch.strided, torch.contiguous_format)


@twin
def test_formatting(torch, rng):
    x = torch.tensor(3.14159)
    i = torch.tensor(7)
    return (
        f"{x:.2f}",
        f"{x}",
        f"{i:03d}",
        f"{i}",
        outcome(lambda: f"{rng(2):.2f}"),
        f"{x.item():.3f}",
        str(x),
        repr(i),
    )


@twin
def test_modules(torch, rng):
    nn = torch.nn
    print(
        nn.Linear(2, 3),
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Dropout(0.2)),
        nn.ModuleList([nn.Linear(1, 1), nn.Tanh()]),
        nn.BatchNorm2d(3),
        nn.LSTM(2, 3, 2),
        nn.Embedding(3, 4),
        nn.MaxPool2d(2),
        nn.LayerNorm(3),
        nn.MultiheadAttention(4, 2),
        nn.TransformerEncoderLayer(4, 2),
        nn.ParameterList([nn.Parameter(rng(2))]),
        nn.CrossEntropyLoss(),
        sep="\n",
    )


@twin
def test_optimizers(torch, rng):
    x = torch.nn.Parameter(rng(2))
    for cls in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop):
        print(cls([x], lr=0.1))
