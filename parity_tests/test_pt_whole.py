"""Whole modules, optimizers and schedules are exchanged in both directions in .pt files, in both formats, under torch's names."""

from __future__ import annotations

import functools
import importlib
import inspect
import io
import itertools
import warnings

import numpy as np
import pytest
import torch

import mini_dl
from mini_dl.files.pt.torch_names import name_in_torch
from mini_dl.standins.tables import section
from parity_tests import adapter, bridge

DIRECTIONS = [(torch, mini_dl), (mini_dl, torch), (mini_dl, mini_dl)]
both_ways = pytest.mark.parametrize(("writer", "reader"), DIRECTIONS)


def carried(value, writer, reader, zipped=True, **options):
    file = io.BytesIO()
    writer.save(value, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return reader.load(file, **({"weights_only": False} | options))


def tensors_in(value):
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in tensors_in(part)]
    return [value.detach().numpy()] if hasattr(value, "detach") else []


def answer(library, module, sample):
    given, named = (bridge.to_mini if library is mini_dl else bridge.copy)((sample.inputs, sample.keywords))
    library.manual_seed(1)
    try:
        return tensors_in(module(*given, **named))
    except RuntimeError as error:  # some samples are written for another type
        return type(error).__name__


def entries():
    return {repr(entry): entry for entry in adapter.module_entries()}


@pytest.mark.parametrize("name", sorted(entries()))
@pytest.mark.filterwarnings("ignore")
def test_every_module_of_the_table_is_read_by_the_other_library(name):
    entry, seen = entries()[name], 0
    for training in (True, False):
        for sample in itertools.islice(entry.samples("float32", training), 6):
            made = {
                torch: entry.theirs(*bridge.copy(sample.args), **bridge.copy(sample.kwargs)),
                mini_dl: entry.ours(*bridge.to_mini(sample.args), **bridge.to_mini(sample.kwargs)),
            }
            if not entry.lazy:
                made[mini_dl].load_state_dict(bridge.to_mini(dict(made[torch].state_dict())))
            for module in made.values():
                module.train(training)
            for writer, reader in DIRECTIONS:
                back = carried(made[writer], writer, reader, zipped=bool(seen % 2))
                assert type(back) is type(made[reader]) and repr(back) == repr(made[writer])
                assert sorted(back.state_dict()) == sorted(made[writer].state_dict())
                if not entry.lazy:
                    for found, expected in zip(answer(reader, back, sample), answer(reader, made[reader], sample), strict=True):
                        np.testing.assert_array_equal(found, expected)
                seen += 1
    assert seen


def net_of(library):
    class Net(library.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = library.nn.ModuleList([library.nn.Linear(3, 3), library.nn.LSTM(3, 3, batch_first=True)])
            self.scale = library.nn.Parameter(library.full((1,), 2.0))
            self.act = library.nn.functional.gelu
            self.other = {"dtype": library.float32, "shape": library.Size([2]), "function": library.tanh}
            self.register_buffer("seen", library.zeros(2), persistent=False)

        def forward(self, x):
            return self.other["function"](self.layers[1](self.act(self.layers[0](x)))[0]) * self.scale

    Net.__module__, Net.__qualname__ = __name__, "Net"
    return Net


NETS = {library: net_of(library) for library in (torch, mini_dl)}


@pytest.mark.parametrize("zipped", (True, False))
@both_ways
@pytest.mark.filterwarnings("ignore")
def test_a_module_of_ones_own_with_functions_and_types_as_attributes(writer, reader, zipped, monkeypatch):
    monkeypatch.setitem(globals(), "Net", NETS[writer])
    file = io.BytesIO()
    writer.save(net := NETS[writer](), file, _use_new_zipfile_serialization=zipped)
    monkeypatch.setitem(globals(), "Net", NETS[reader])  # the reader's object for the name
    file.seek(0)
    back = reader.load(file, weights_only=False)
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 4, 3)
    np.testing.assert_allclose(
        back(reader.tensor(x)).detach().numpy(), net(writer.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )
    assert back.other["dtype"] is reader.float32 and type(back.other["shape"]) is reader.Size


HOOKED = {
    "weight_norm": lambda m: m.nn.utils.weight_norm(m.nn.Linear(3, 2)),
    "spectral_norm": lambda m: m.nn.utils.spectral_norm(m.nn.Linear(3, 2)),
    "lazy": lambda m: m.nn.LazyLinear(2),
    "pruned": lambda m: m.nn.utils.prune.l1_unstructured(m.nn.Linear(3, 2), "weight", 2),
}


@both_ways
@pytest.mark.parametrize("name", HOOKED)
@pytest.mark.filterwarnings("ignore")
def test_hooks_of_the_library_go_with_their_modules(writer, reader, name):
    if name == "pruned":
        importlib.import_module("torch.nn.utils.prune")
        if not hasattr(mini_dl.nn.utils, "prune"):
            pytest.skip("there is no pruning yet")
    writer.manual_seed(0)
    module = HOOKED[name](writer)
    back = carried(module, writer, reader)
    for library, each in ((writer, module), (reader, back)):
        library.manual_seed(3)
        each(library.ones(2, 3))
    for key, value in module.state_dict().items():
        np.testing.assert_allclose(back.state_dict()[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
    if name == "lazy":
        assert type(back).__name__ == "Linear" and not back._forward_pre_hooks


SCHEDULES = {
    "StepLR": (2,), "CosineAnnealingLR": (5,), "ExponentialLR": (0.9,), "MultiStepLR": ([1, 2],), "LinearLR": (),
    "CyclicLR": (0.01, 0.1, 3),
    "ReduceLROnPlateau": (), "OneCycleLR": (0.1, 100), "CosineAnnealingWarmRestarts": (3,), "ConstantLR": (), "PolynomialLR": (),
}  # fmt: skip
OPTIMIZERS = [entry for entry in dir(torch.optim) if isinstance(getattr(torch.optim, entry), type)]
BROKEN_IN_TORCH = ("LBFGS",)
"""Its pickle forgets what it optimizes."""


def trained(library, model, optimizer, steps):
    for number in range(steps):
        optimizer.zero_grad()
        (model(library.arange(6.0).reshape(2, 3) + number) ** 2).sum().backward()
        optimizer.step()


@both_ways
@pytest.mark.parametrize(
    ("name", "schedule"),
    [(name, None) for name in OPTIMIZERS if name not in ("Optimizer", "SparseAdam", *BROKEN_IN_TORCH)]
    + [("SGD", schedule) for schedule in SCHEDULES],
)
@pytest.mark.filterwarnings("ignore")
def test_an_optimizer_and_its_schedule_continue_in_the_other_library(writer, reader, name, schedule):
    writer.manual_seed(0)
    model = writer.nn.Linear(3, 2)
    optimizer = getattr(writer.optim, name)([model.weight] if name == "Muon" else model.parameters(), lr=0.01)
    plan = getattr(writer.optim.lr_scheduler, schedule)(optimizer, *SCHEDULES[schedule]) if schedule else None
    loss = (1.0,) if schedule == "ReduceLROnPlateau" else ()
    trained(writer, model, optimizer, 2)
    if plan is not None:
        plan.step(*loss)
    theirs = carried((model, optimizer, plan), writer, reader)
    for library, (m, o, p) in ((writer, (model, optimizer, plan)), (reader, theirs)):
        for _ in range(2):
            trained(library, m, o, 2)
            if p is not None:
                assert p.optimizer is o
                p.step(*loss)
    np.testing.assert_allclose(theirs[0].weight.detach().numpy(), model.weight.detach().numpy(), rtol=1e-4, atol=1e-6)
    assert [group["lr"] for group in theirs[1].param_groups] == pytest.approx([group["lr"] for group in optimizer.param_groups])


@both_ways
@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.filterwarnings("ignore")
def test_a_cyclic_schedule_continues_in_every_mode(writer, reader, mode):
    optimizer = writer.optim.SGD([writer.nn.Parameter(writer.ones(2))], lr=0.1, momentum=0.9)
    plan = writer.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, 2, mode=mode, gamma=0.9)
    for _ in range(3):
        plan.step()
    back = carried(plan, writer, reader)
    assert sorted(vars(back)) == sorted(vars(plan))
    courses = []
    for one in (plan, back):
        courses.append([])
        for _ in range(6):
            one.step()
            courses[-1].append(one.get_last_lr()[0])
    assert courses[0] == pytest.approx(courses[1])


@pytest.mark.parametrize("writer", [torch, mini_dl])
def test_an_lbfgs_that_was_pickled_whole_continues_here(writer):
    parameter = writer.nn.Parameter(writer.ones(2))
    optimizer = writer.optim.LBFGS([parameter], lr=0.1)

    def closure(parameter, optimizer):
        optimizer.zero_grad()
        loss = ((parameter - 3) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(lambda: closure(parameter, optimizer))
    back_parameter, back = carried((parameter, optimizer), writer, mini_dl)
    for p, o in ((parameter, optimizer), (back_parameter, back)):
        o.step(lambda p=p, o=o: closure(p, o))
    np.testing.assert_allclose(back_parameter.detach().numpy(), parameter.detach().numpy(), rtol=1e-6)


MODULES = (
    "", "nn", "nn.modules", "nn.parameter", "nn.utils", "nn.utils.rnn", "nn.utils.parametrize", "nn.utils.parametrizations",
    "nn.init", "nn.functional", "optim", "optim.lr_scheduler", "optim.swa_utils", "utils.data", "utils.data.dataset",
    "utils.data.sampler", "autograd",
)  # fmt: skip


def test_public_classes_and_functions_are_written_under_the_names_that_torch_has_for_them():
    seen = 0
    for name in MODULES:
        theirs, ours = (importlib.import_module(f"{library}.{name}".rstrip(".")) for library in ("torch", "mini_dl"))
        for key in dir(theirs):
            value, other = getattr(theirs, key), getattr(ours, key, None)
            is_named = not key.startswith("_") and (isinstance(value, type) or inspect.isfunction(value))
            table = section(name or "torch")
            if not is_named or other is None or "<locals>" in value.__qualname__ or (table is not None and key in table.rows):
                continue
            named = name_in_torch(other)
            if named is None:
                assert not isinstance(other, type) or other.__module__.partition(".")[0] != "mini_dl", key
                continue
            found = functools.reduce(getattr, named[1].split("."), importlib.import_module(named[0]))
            assert found is value or not isinstance(value, type), (key, named)
            if isinstance(value, type) and value.__module__.startswith("torch."):
                assert named == (value.__module__, value.__qualname__)
            seen += 1
    assert seen > 400


@both_ways
def test_classes_of_modules_can_be_allowed_one_by_one(writer, reader):
    network = writer.nn.Sequential(writer.nn.Linear(2, 2), writer.nn.ReLU(), writer.nn.MultiheadAttention(2, 1))
    with pytest.raises(Exception, match=r"Unsupported global: GLOBAL torch\.nn\.modules\.container\.Sequential"):
        carried(network, writer, reader, weights_only=True)
    nn = reader.nn
    kinds = [nn.Sequential, nn.Linear, nn.ReLU, nn.MultiheadAttention, nn.modules.linear.NonDynamicallyQuantizableLinear]
    with reader.serialization.safe_globals(kinds):
        back = carried(network, writer, reader, weights_only=True)
    assert repr(back) == repr(network)
    file = io.BytesIO()
    writer.save(network, file)
    file.seek(0)
    names = set(reader.serialization.get_unsafe_globals_in_checkpoint(file))
    assert names == {f"{kind.__module__}.{kind.__qualname__}" for kind in map(type, torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.MultiheadAttention(2, 1)).modules())}  # fmt: skip


@pytest.mark.parametrize("library", (torch, mini_dl))
def test_a_module_learns_which_version_its_saved_state_has(library):
    class Versioned(library.nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.weight = library.nn.Parameter(library.ones(2))
            self.inner = library.nn.BatchNorm1d(2)

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
            version = local_metadata.get("version", None)
            if version not in (1, 2):
                raise ValueError(f"version should be set to 1 or 2 instead of {version}")
            if version == 1:
                state_dict[prefix + "weight"] = state_dict[prefix + "weight"] * 10
                self._version = 1
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    for other in (torch, mini_dl):
        old = library.nn.Sequential(Versioned())
        old[0]._version = 1
        state = carried(old.state_dict(), library, library, zipped=other is torch, weights_only=True)
        assert dict(state._metadata) == {"": {"version": 1}, "0": {"version": 1}, "0.inner": {"version": 2}}
        new = library.nn.Sequential(Versioned())
        new.load_state_dict(state)
        assert new[0].weight.tolist() == [10, 10] and new.state_dict()._metadata["0"] == {"version": 1}
        with pytest.raises(ValueError, match="instead of None"):
            new.load_state_dict(dict(old.state_dict()))


def test_what_the_library_lacks_is_refused_by_name():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(4, 4)), dtype=torch.qint8)
        scripted = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), scripted)
        traced = torch.fx.symbolic_trace(torch.nn.Linear(2, 2))
    for value, words in ((quantized, "no quantized modules"), (traced, r"no graphs of torch\.fx")):
        with pytest.raises(AttributeError, match=words):
            carried(value, torch, mini_dl)
    with pytest.raises(Exception, match="no quantized tensors"):
        carried(torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8), torch, mini_dl, weights_only=True)
    for options in ({"weights_only": True}, {"weights_only": False}):
        scripted.seek(0)
        with pytest.raises(RuntimeError, match="TorchScript"):
            mini_dl.load(scripted, **options)
