"""bfloat16 does what float16 does, with torch's numbers: types, draws, steps of optimizers, files. Its ops are in test_sweep."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests.twin import message, outcome, twin

# ------------------------------------------------------------------------------------------------ the type


@twin
def test_the_type_itself(torch, rng):
    b = torch.bfloat16
    kinds = [getattr(torch, name) for name in "float16 float32 float64 int64 uint8 bool complex64 bfloat16".split()]
    return (
        repr(b), repr(torch.finfo(b)), b.itemsize, b.is_floating_point, b.is_complex, b.is_signed, b.to_complex(), b.to_real(),
        [torch.promote_types(b, kind) for kind in kinds], [torch.can_cast(b, kind) for kind in kinds],
        pickle.loads(pickle.dumps(b)) is b, copy.deepcopy(b) is b, outcome(lambda: torch.iinfo(b)),
    )  # fmt: skip


@twin
def test_results_have_torchs_types(torch, rng):
    x = torch.tensor([1.5, -2.25, 3.0], dtype=torch.bfloat16)
    others = [1, 1.5, True, 1j, torch.tensor(2), torch.tensor(2.0), torch.ones(3), torch.ones(3).half(), torch.ones(3).long()]
    return [(x + other, (other * x).dtype, torch.result_type(x, other)) for other in others]


@twin
@pytest.mark.parametrize("expression", [
    "x + 0.001", "x * 1.001", "x / 3", "x // 2", "x % 2", "x**2", "2**x", "1 / x", "1 - x", "-x", "abs(x)", "x & 1", "~x",
    "x > 0",
    "x.exp()", "x.cumsum(0)", "x.prod()", "x.std()", "x.sum()", "x.mean()", "x.norm()", "x.softmax(0)", "x.round()", "x.sort()",
    "x.max(0)", "x.clamp(-1, 2)", "x[x > 0]", "x.nextafter(x * 0)", "x.frexp()", "x.int()", "x.bool()", "x.double()", "x.half()",
    "x.tolist()", "x[1].item()", "format(x[0], '.3f')", "x.view(torch.int16)", "x.type()", "x.element_size()", "x.numpy()",
    "x.sum(dtype=torch.float64)", "x.softmax(0, dtype=torch.float32)", "torch.add(x, x, alpha=0.333)",
    "torch.ones(3).bfloat16() + x",
])  # fmt: skip
def test_operations(torch, rng, expression):
    x = torch.tensor([1.5, -2.25, 3.0078125], dtype=torch.bfloat16)
    return outcome(lambda: eval(expression, {"x": x, "torch": torch}))


@twin
def test_numpy_arrays_of_this_type_are_refused(torch, rng):
    import ml_dtypes

    array = np.ones(2, ml_dtypes.bfloat16)
    calls = [torch.from_numpy, torch.tensor, torch.as_tensor]
    return [message(lambda call=call: call(array)) for call in calls], message(torch.ones(2, dtype=torch.bfloat16).numpy)


@twin
def test_types_that_do_not_fit_are_refused_in_torchs_words(torch, rng):
    x, y, functional = torch.ones(2, 2, dtype=torch.bfloat16), torch.ones(2, 2), torch.nn.functional
    return [
        message(lambda: x @ y), message(lambda: functional.linear(x, y)), message(lambda: torch.fft.fft(x)),
        message(lambda: functional.conv1d(x[None], y[None])), message(lambda: torch.bmm(x[None], y[None])),
        message(lambda: torch.dot(x[0], y[0])),
    ]  # fmt: skip


@twin
def test_it_prints(torch, rng):
    return [
        repr(torch.tensor(values, dtype=torch.bfloat16))
        for values in ([], 1.5, [1e-8, 1e9], [float("nan"), float("inf"), 2.0], [[0.1, 2.0], [3.0, 100.0]])
    ]


@twin
def test_writes_in_place(torch, rng):
    x = torch.tensor([1.5, -2.25, 3.0], dtype=torch.bfloat16)
    x[0] = 7.123
    x.add_(1).mul_(2.2)
    x[1:] += x[1:]
    x += torch.tensor([1.001, 2.0, 3.0])
    y = torch.zeros(3).copy_(x)
    return x, y, torch.zeros(3, dtype=torch.bfloat16).copy_(y * 1.001), outcome(lambda: torch.zeros(3, dtype=torch.int64).add_(x))


@twin
def test_views_share_memory_and_history(torch, rng):
    x = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    y = x * 2
    z = y.t()[1:]
    z.mul_(3)
    y[0].add_(1)
    (y * y).sum().backward()
    return y, z, x.grad, y._version, z._is_view()


DRAWS = {
    "rand": lambda torch, n: torch.rand(n, dtype=torch.bfloat16),
    "randn": lambda torch, n: torch.randn(n, dtype=torch.bfloat16),
    "uniform_": lambda torch, n: torch.empty(n, dtype=torch.bfloat16).uniform_(-3, 7),
    "normal_": lambda torch, n: torch.empty(n, dtype=torch.bfloat16).normal_(1, 2),
    "bernoulli_": lambda torch, n: torch.empty(n, dtype=torch.bfloat16).bernoulli_(0.3),
    "exponential_": lambda torch, n: torch.empty(n, dtype=torch.bfloat16).exponential_(),
    "random_": lambda torch, n: torch.empty(n, dtype=torch.bfloat16).random_(),
    "randint": lambda torch, n: torch.randint(0, 100, (n,), dtype=torch.bfloat16),
    "dropout": lambda torch, n: torch.nn.functional.dropout(torch.ones(n, dtype=torch.bfloat16), 0.3),
    "multinomial": lambda torch, n: torch.multinomial(torch.arange(1, n + 1, dtype=torch.bfloat16), 3),
    "linspace": lambda torch, n: torch.linspace(0, 1, n, dtype=torch.bfloat16),
    "arange": lambda torch, n: torch.arange(0, n / 4, 0.25, dtype=torch.bfloat16),
}


@twin
@pytest.mark.parametrize("n", [5, 20, 300])
@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_torchs(torch, rng, name, n):
    return DRAWS[name](torch, n)


@twin
def test_it_can_be_the_default_type(torch, rng):
    torch.set_default_dtype(torch.bfloat16)
    try:
        return torch.zeros(2), torch.tensor(1.5), torch.ones(2, dtype=torch.int64) / 3, torch.nn.Linear(2, 2).weight.dtype
    finally:
        torch.set_default_dtype(torch.float32)


# ------------------------------------------------------------------------------------------------ training


def train(library: Any, name: str, **options: Any) -> tuple[list[float], list[Any], Any]:
    library.manual_seed(0)
    nn = library.nn
    net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 3)).to(library.bfloat16)
    optimizer = getattr(library.optim, name)(net.parameters(), **options)
    x, y, losses = library.randn(20, 8).bfloat16(), library.arange(20) % 3, []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    state = optimizer.state[next(iter(net.parameters()))]
    kinds = {key: str(getattr(value, "dtype", None)) for key, value in state.items()}
    return losses, [p.detach().float().tolist() for p in net.parameters()], kinds


OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_step_alike(name: str) -> None:
    options = {"lr": 0.01, **({"momentum": 0.9, "nesterov": True} if name == "SGD" else {})}
    losses, values, kinds = train(torch, name, **options)
    our_losses, ours, our_kinds = train(mini_dl, name, **options)
    assert our_kinds == kinds
    torch.testing.assert_close(torch.tensor(our_losses), torch.tensor(losses), rtol=3e-2, atol=1e-2)
    for a, b in zip(ours, values):
        torch.testing.assert_close(torch.tensor(a), torch.tensor(b), rtol=2e-2, atol=2e-2)


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("writer", "reader"), [(torch, mini_dl), (mini_dl, torch), (mini_dl, mini_dl)])
def test_files_keep_type_and_sharing(writer: Any, reader: Any, zipped: bool) -> None:
    x = writer.tensor([1.5, -2.0, 3e38], dtype=writer.bfloat16)
    file = io.BytesIO()
    saved = {"whole": x, "part": x[1:], "type": writer.bfloat16, "parameter": writer.nn.Parameter(x)}
    writer.save(saved, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    read = reader.load(file)
    assert read["whole"].dtype is read["part"].dtype is read["type"] is reader.bfloat16
    assert read["whole"].tolist() == x.tolist() and read["parameter"].requires_grad
    read["whole"][1] = 7
    assert read["part"][0] == 7


def test_copies_and_pickles_keep_the_type() -> None:
    x = mini_dl.ones(2, 3, dtype=mini_dl.bfloat16)
    for made in (copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x)), x.clone()):
        assert made.dtype is mini_dl.bfloat16 and made.tolist() == x.tolist()


def test_safetensors_keep_the_type() -> None:
    file = io.BytesIO()
    mini_dl.serialization.save_safetensors({"x": mini_dl.ones(3, dtype=mini_dl.bfloat16), "y": mini_dl.ones(1)}, file)
    file.seek(0)
    read = mini_dl.serialization.load_safetensors(file)
    assert read["x"].dtype is mini_dl.bfloat16 and read["x"].tolist() == [1, 1, 1] and read["y"].dtype is mini_dl.float32


def test_npz_files_cannot_hold_it() -> None:
    with pytest.raises(TypeError, match=r"\.npz has no type for torch\.bfloat16"):
        mini_dl.serialization.save_npz({"x": mini_dl.ones(1, dtype=mini_dl.bfloat16)}, io.BytesIO())
