"""Tensors on the device meta: shapes and types without values, in every function, module and file."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest

import mini_dl
from parity_tests import adapter, bridge, judging
from parity_tests.twin import message, outcome, twin


def look(value: Any) -> Any:
    """Shape, type and device of the tensors in a result."""
    if isinstance(value, (tuple, list)):
        return [look(one) for one in value]
    return (value.shape, value.dtype, str(value.device)) if hasattr(value, "device") else value


# ------------------------------------------------------------------------------------------------ properties


@twin
def test_what_they_say_of_themselves(torch, rng):
    x = torch.empty(2, 3, device="meta", requires_grad=True)
    return (
        x.device, x.is_meta, torch.ones(1).is_meta, x.shape, x.stride(), x.numel(), x.nbytes, x.is_contiguous(), x.data_ptr(),
        len(x), [row.shape for row in x],
    )  # fmt: skip


@twin
@pytest.mark.parametrize("make", [
    lambda torch: torch.empty(2, 3, device="meta"),
    lambda torch: torch.zeros(2, device="meta", dtype=torch.int64),
    lambda torch: torch.tensor(1.5, device="meta"),
    lambda torch: torch.empty(0, device="meta"),
    lambda torch: torch.empty(2, device="meta", requires_grad=True),
    lambda torch: torch.empty(2, device="meta", requires_grad=True) * 2,
    lambda torch: torch.nn.Parameter(torch.empty(2, device="meta")),
], ids=range(7))  # fmt: skip
def test_they_print(torch, rng, make):
    return repr(make(torch))


READS = {
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "bool": lambda x: bool(x.sum()),
    "if": lambda x: 1 if (x > 0).all() else 2,
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "index": lambda x: [1, 2][x.sum().long()],
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
}


@twin
@pytest.mark.parametrize("name", READS)
def test_values_are_refused_in_torchs_words(torch, rng, name):
    return message(lambda: READS[name](torch.empty(2, 3, device="meta")))


SHAPED_BY_VALUES = {
    "mask": lambda torch, x: x[x > 0],
    "nonzero": lambda torch, x: x.nonzero(),
    "unique": lambda torch, x: x.unique(),
    "masked_select": lambda torch, x: x.masked_select(x > 0),
    "equal": lambda torch, x: torch.equal(x, x),
    "copy to the CPU": lambda torch, x: torch.ones(2, 3).copy_(x),
    "large copy to the CPU": lambda torch, x: torch.ones(512, 600, 3).copy_(torch.empty(512, 600, 3, device="meta")),
    "mixed devices": lambda torch, x: x + torch.ones(2, 3),
    "mixed devices, reflected": lambda torch, x: torch.ones(2, 3) + x,
    "joined devices": lambda torch, x: torch.cat([x, torch.ones(2, 3)]),
}


@twin
@pytest.mark.parametrize("name", SHAPED_BY_VALUES)
def test_what_depends_on_values_is_refused(torch, rng, name):
    return outcome(lambda: SHAPED_BY_VALUES[name](torch, torch.empty(2, 3, device="meta")))


# ------------------------------------------------------------------------------------------------ creation

FACTORIES = {
    "zeros": lambda torch: torch.zeros(2, 3, device="meta"),
    "ones of a tuple": lambda torch: torch.ones((2, 3), device="meta", dtype=torch.float64),
    "full": lambda torch: torch.full((2,), 3, device="meta"),
    "rand": lambda torch: torch.rand(2, device="meta"),
    "randint": lambda torch: torch.randint(0, 5, (2,), device="meta"),
    "randint of one bound": lambda torch: torch.randint(5, (2,), device="meta"),
    "normal": lambda torch: torch.normal(0.0, 1.0, (2, 3), device="meta"),
    "randperm": lambda torch: torch.randperm(4, device="meta"),
    "arange": lambda torch: torch.arange(5, device="meta"),
    "linspace": lambda torch: torch.linspace(0, 1, 5, device=torch.device("meta")),
    "eye": lambda torch: torch.eye(3, device="meta"),
    "tensor": lambda torch: torch.tensor([1, 2], device="meta"),
    "as_tensor": lambda torch: torch.as_tensor([1.0], device="meta"),
    "empty_like": lambda torch: torch.empty_like(torch.ones(2, device="meta")),
    "zeros_like elsewhere": lambda torch: torch.zeros_like(torch.ones(2), device="meta"),
    "ones_like here": lambda torch: torch.ones_like(torch.ones(2, device="meta"), device="cpu"),
    "randn_like": lambda torch: torch.randn_like(torch.ones(2, device="meta")),
    "new_zeros": lambda torch: torch.ones(2, device="meta").new_zeros(3),
    "to": lambda torch: torch.ones(2).to(device="meta", dtype=torch.float16),
    "to another": lambda torch: torch.ones(2).to(torch.ones(1, device="meta")),
    "a negative size": lambda torch: outcome(lambda: torch.zeros(-1, device="meta")),
    "more than memory": lambda torch: torch.zeros(10**6, 10**6, device="meta") + 1,
}


@twin
@pytest.mark.parametrize("name", FACTORIES)
def test_factories_make_them_without_drawing_a_number(torch, rng, name):
    made = FACTORIES[name](torch)
    return look(made), torch.rand(2)


@twin
def test_a_block_makes_everything_there(torch, rng):
    with torch.device("meta"):
        first, second = torch.ones(2), torch.nn.Linear(2, 3)
        with torch.device("cpu"):
            third = torch.ones(2)
        fourth = torch.zeros(2)
    return look([first, second.weight, third, fourth, torch.ones(1)])


# ------------------------------------------------------------------------------------------------ computation


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", adapter.dense_entries("float32"), ids=repr)
def test_each_op_gives_the_shape_it_has_with_values_or_refuses(entry: adapter.Entry) -> None:
    for number, sample in enumerate(entry.samples("float32")):
        if number == 2:
            break
        given = sample.all_args, sample.kwargs
        try:
            args, kwargs = bridge.to_mini(given)
            wanted = judging.call(entry.ours, *args, **kwargs)
        except Exception:
            continue
        args, kwargs = bridge.walk(
            bridge.to_mini(given), lambda item: item.to("meta") if isinstance(item, mini_dl.Tensor) else item
        )
        if not any(tensor.is_meta for tensor in bridge.tensors((args, kwargs))):
            continue
        try:
            found = judging.call(entry.ours, *args, **kwargs)
        except (RuntimeError, IndexError, ValueError):
            continue
        assert [(t.shape, t.dtype, t.is_meta) for t in bridge.tensors(found)] == [
            (t.shape, t.dtype, True) for t in bridge.tensors(wanted)
        ]


@twin
def test_in_place_functions_and_assignments(torch, rng):
    x = torch.empty(4, 3, device="meta")
    same = [
        y is x for y in (x.add_(1), x.zero_(), x.fill_(3), x.uniform_(), x.normal_(), x.clamp_(0, 1), x.copy_(torch.ones(4, 3)))
    ]
    x[0] = 1.0
    x[1:] += 2
    return same, look(x), outcome(lambda: x.add_(torch.empty(5, device="meta")))


@twin
def test_gradients(torch, rng):
    x, w = torch.empty(2, 3, device="meta"), torch.empty(4, 3, device="meta", requires_grad=True)
    loss = torch.nn.functional.linear(x, w).relu().square().mean()
    loss.backward()
    return look([loss, w.grad]), repr(loss)


# ------------------------------------------------------------------------------------------------ modules

MODULES = {
    "MLP": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(), nn.LayerNorm(4)), (5, 3)),
    "CNN": (lambda nn: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Flatten()), (2, 3, 8, 8)),
    "LSTM": (lambda nn: nn.LSTM(3, 4, 2), (5, 2, 3)),
    "GRU": (lambda nn: nn.GRU(3, 4), (5, 2, 3)),
    "TransformerEncoderLayer": (lambda nn: nn.TransformerEncoderLayer(8, 2, 16), (5, 2, 8)),
}


@twin
@pytest.mark.parametrize("name", MODULES)
def test_modules_are_made_and_called_without_memory(torch, rng, name):
    make, shape = MODULES[name]
    with torch.device("meta"):
        module = make(torch.nn)
    drawn = torch.rand(1)
    members = look([*module.parameters(), *module.buffers()])
    return drawn, members, look(module(torch.empty(shape, device="meta")))


@twin
def test_deferred_initialization(torch, rng):
    nn = torch.nn
    state = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict()
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    copied = outcome(lambda: module.to("cpu"))
    module.load_state_dict(state, assign=True)
    kinds = [(type(p).__name__, p.requires_grad) for p in module.parameters()]
    with torch.device("meta"):
        other = nn.Linear(3, 4)
    empty = other.to_empty(device="cpu")
    other.load_state_dict({name: torch.ones_like(value) for name, value in other.state_dict().items()})
    return copied, kinds, module(torch.ones(2, 3)), empty is other, look(list(other.parameters())), other.weight


@twin
def test_modules_move_and_skip_their_initialization(torch, rng):
    nn = torch.nn
    moved = nn.Linear(2, 3).to("meta")
    skipped = nn.utils.skip_init(nn.Linear, 3, 4)
    return look([*moved.parameters(), *skipped.parameters(), nn.Embedding(3, 2, device="meta").weight]), torch.rand(1)


@twin
@pytest.mark.parametrize("name", ["xavier_uniform_", "kaiming_normal_", "zeros_", "orthogonal_", "trunc_normal_", "eye_"])
def test_initializations_do_nothing(torch, rng, name):
    return look(getattr(torch.nn.init, name)(torch.empty(3, 3, device="meta"))), torch.rand(1)


# ------------------------------------------------------------------------------------------------ copies and files


@twin
def test_they_are_copied_pickled_and_saved(torch, rng):
    x = torch.nn.Parameter(torch.empty(2, 3, device="meta", dtype=torch.float64))
    file = io.BytesIO()
    torch.save({"x": x.detach()}, file)
    file.seek(0)
    read = torch.load(file)["x"]
    return look([copy.deepcopy(x), pickle.loads(pickle.dumps(x.detach())), read, copy.copy(x)]), type(copy.deepcopy(x)).__name__


def test_formats_of_values_alone_refuse_them() -> None:
    x = {"x": mini_dl.ones(2, device="meta")}
    for save in (mini_dl.serialization.save_npz, mini_dl.serialization.save_safetensors):
        with pytest.raises(NotImplementedError, match="no data"):
            save(x, io.BytesIO())
