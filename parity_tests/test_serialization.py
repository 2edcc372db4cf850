"""Files in both directions: torch's files are loaded here, ours by torch, and nothing is lost."""

from __future__ import annotations

import collections
import io

import numpy as np
import pytest
import torch

import mini_dl

TYPES = (
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128",
    "uint16", "uint32", "uint64",
)  # fmt: skip


def content(m):
    x, base = m.arange(24.0).reshape(4, 6), m.arange(10)
    return {
        "contiguous": x,
        "views": [x.t(), x[1], x[:, 2], x[::2, 1:5], m.ones(1, 3).expand(2, 3)],
        "small": [m.tensor(3.0), m.zeros(0, 3)],
        "parameters": [m.nn.Parameter(m.ones(2, 2)), m.nn.Parameter(m.ones(2), requires_grad=False)],
        "leaf": m.ones(2, requires_grad=True),
        "types": {name: m.arange(5).to(getattr(m, name)) for name in TYPES},
        "plain": [1, 2.5, "s", None, True, (1,), b"ab", {3}, 2 + 1j, 10**30, bytearray(b"q")],
        "ordered": collections.OrderedDict(part=base[2:5], whole=base),
        "named": [m.float32, m.uint16, x.shape, m.device("cpu")],
    }


def same(theirs, ours):
    if isinstance(theirs, torch.Tensor):
        assert str(ours.dtype) == str(theirs.dtype) and tuple(ours.shape) == tuple(theirs.shape)
        np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
        assert ours.requires_grad == theirs.requires_grad
        assert isinstance(ours, mini_dl.nn.Parameter) == isinstance(theirs, torch.nn.Parameter)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs) and type(ours).__name__ == type(theirs).__name__
        for key in theirs:
            same(theirs[key], ours[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(theirs, ours, strict=True):
            same(a, b)
    elif isinstance(theirs, (torch.dtype, torch.device)):
        assert str(ours) == str(theirs)
    else:
        assert ours == theirs and type(ours).__name__ == type(theirs).__name__


def carried(value, writer, reader, **options):
    file = io.BytesIO()
    writer.save(value, file)
    file.seek(0)
    return reader.load(file, **options)


def test_what_torch_saved_is_loaded():
    same(content(torch), carried(content(torch), torch, mini_dl))


@pytest.mark.parametrize("weights_only", (True, False))
def test_torch_loads_what_was_saved_here(weights_only):
    same(carried(content(mini_dl), mini_dl, torch, weights_only=weights_only), content(mini_dl))


def test_memory_is_shared_again_on_both_sides():
    for writer, reader in ((torch, mini_dl), (mini_dl, torch)):
        loaded = carried(content(writer), writer, reader)
        loaded["contiguous"][1, 2] = 99
        loaded["ordered"]["whole"][3] = 77
        assert loaded["views"][0][2, 1] == 99 and loaded["views"][1][2] == 99 and loaded["ordered"]["part"][1] == 77


def test_a_network_and_its_optimizer_change_sides():
    def made(m):
        network = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.ReLU(), m.nn.Linear(4, 2))
        return network, m.optim.Adam(network.parameters(), 0.01)

    def train(m, network, optimizer):
        x = m.tensor(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))
        for _ in range(3):
            optimizer.zero_grad()
            (network(x) ** 2).sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    network, optimizer = made(torch)
    train(torch, network, optimizer)
    state = carried({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, torch, mini_dl)
    other, its_optimizer = made(mini_dl)
    other.load_state_dict(state["network"])
    its_optimizer.load_state_dict(state["optimizer"])
    train(torch, network, optimizer)
    train(mini_dl, other, its_optimizer)
    back = carried(other.state_dict(), mini_dl, torch)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(back[name], tensor)


def test_bfloat16_and_safetensors_are_read():
    assert carried(torch.arange(4.0).bfloat16(), torch, mini_dl).tolist() == [0, 1, 2, 3]
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "c": torch.tensor([True]), "d": torch.ones(2).bfloat16()}
    loaded = mini_dl.serialization.load_safetensors(io.BytesIO(safetensors.save(tensors)))
    for name, tensor in tensors.items():
        assert loaded[name].tolist() == tensor.tolist()
    file = io.BytesIO()
    mini_dl.serialization.save_safetensors(loaded, file, {"format": "pt"})
    for name, tensor in safetensors.load(file.getvalue()).items():
        assert tensor.tolist() == tensors[name].tolist() and tensor.dtype is tensors[name].dtype
