"""Pickles sent to another process, out of band, and of objects not tested elsewhere."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn


class Image(torch.Tensor):
    pass


class Slotted(torch.Tensor):
    __slots__ = ("label",)


def test_a_pickle_is_read_in_a_fresh_process() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    net[0].weight.tag = "first"
    x = torch.arange(6.0).reshape(2, 3)
    data = pickle.dumps((net, x[:, 1:], x.max(0), torch.nn.functional.relu, torch.float64))
    program = """
import pickle, sys
net, x, result, function, dtype = pickle.load(sys.stdin.buffer)
net(x).sum().backward()
print(net[0].weight.tag, net[0].weight.grad.shape[0], x.tolist(), type(result).__name__, function(x).sum().item(), dtype)
"""
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "first 3 [[1.0, 2.0], [4.0, 5.0]] max 12.0 torch.float64"


def _forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return net(x).detach()


def test_modules_go_to_a_process_that_was_spawned_and_results_come_back() -> None:
    net, x = nn.Linear(2, 2), torch.ones(3, 2)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        came = pool.apply(_forward, (net, x[:2]))
    np.testing.assert_array_equal(came.numpy(), net(x[:2]).detach().numpy())


def test_memory_goes_out_of_band() -> None:
    x = torch.arange(1000.0)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(x[10:], 5, buffer_callback=buffers.append)
    assert len(data) < 1000 and len(buffers) == 1
    y = pickle.loads(data, buffers=buffers)
    y[0] = 7
    assert x[10] == 7


def test_memory_that_may_not_be_written_comes_back_writable() -> None:
    array = np.arange(3.0)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        x = torch.from_numpy(array)
    for way in (copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value, 5))):
        assert way(x).add_(1).tolist() == [1, 2, 3]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_subclasses_come_back_as_themselves(protocol: int) -> None:
    x = Image([1.0, 2.0]).requires_grad_()
    x.label = "cat"
    y = Slotted([1.0])
    y.label, y.other = "dog", 1
    for way in (copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value, protocol))):
        a, b = way(x), way(y)
        assert type(a) is Image and a.is_leaf and a.requires_grad and a.label == "cat" and a.tolist() == [1, 2]
        assert type(b) is Slotted and (b.label, b.other) == ("dog", 1)


def test_a_class_says_itself_what_its_attributes_are() -> None:
    class Telling(torch.Tensor):
        def __getstate__(self) -> str:
            return "told"

        def __setstate__(self, state: str) -> None:
            self.state = state

    assert copy.copy(Telling([1.0])).state == "told"
    assert copy.deepcopy(Telling([1.0])).state == "told"


def test_an_integer_does_not_come_to_require_grad() -> None:
    rebuild, args = torch.tensor([1, 2]).__reduce_ex__(2)
    assert not rebuild(*args[:-1], True).requires_grad


def test_a_deep_copy_of_many_views_copies_their_memory_once() -> None:
    x = torch.zeros(1000)
    rows = copy.deepcopy([x[i : i + 1] for i in range(1000)])
    rows[0].untyped_storage()
    x_copy = torch.from_numpy(rows[0].numpy().base)
    assert x_copy.nbytes == 4000 and all([row.numpy().base is rows[0].numpy().base for row in rows])


def test_no_cycle_keeps_what_was_copied() -> None:
    gc.collect()
    gc.disable()
    try:
        x = Image([1.0])
        x.label = torch.ones(1)
        alive = [weakref.ref(value) for value in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x * 2, x[None])]
        assert [reference() for reference in alive] == [None] * 5
    finally:
        gc.enable()
