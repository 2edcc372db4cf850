"""Memory shared between processes."""

from __future__ import annotations

import copy
import gc
import io
import multiprocessing
import os
import pickle
import sys

import numpy as np
import pytest

import mini_dl as torch
import mini_dl.multiprocessing as mp

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_all_that_look_into_the_memory_move() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    views = [x[1:], x.t(), x.detach(), x.data, x[::2, 1], torch.nn.Parameter(x), x.data[0][1:]]
    views[3].share_memory_()
    x.mul_(2)
    assert all(view.is_shared() for view in views) and x.is_shared()
    assert [float(view.sum()) for view in views] == [120, 132, 132, 132, 20, 132, 12]


def test_what_is_computed_or_copied_from_shared_memory_is_not_shared() -> None:
    x = torch.ones(3).share_memory_()
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    for each in (x + 1, x.clone(), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), torch.load(file), torch.tensor(x.numpy())):
        assert not each.is_shared()
    assert copy.copy(x).is_shared() and x[1:].is_shared()


def test_gradients_and_optimizers_work_in_shared_memory() -> None:
    net = torch.nn.Linear(3, 2).share_memory()
    optimizer = torch.optim.Adam(net.parameters())
    places = [parameter.data_ptr() for parameter in net.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.ones(4, 3)).sum().backward()
        optimizer.step()
    net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()})
    assert [parameter.data_ptr() for parameter in net.parameters()] == places


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files")
def test_memory_and_open_files_are_given_back() -> None:
    def count() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    torch.ones(2).share_memory_()
    before = count()
    held = [torch.ones(1000).share_memory_() for _ in range(20)]
    assert count() > before and len(held) == 20
    del held
    assert count() == before
    for strategy in mp.get_all_sharing_strategies():
        was = mp.get_sharing_strategy()
        mp.set_sharing_strategy(strategy)
        try:
            receiver, sender = mp.Pipe()
            for _ in range(10):
                sender.send({"a": torch.ones(5), "b": torch.arange(3)})
                assert receiver.recv()["a"].tolist() == [1] * 5
            receiver.close(), sender.close()
        finally:
            mp.set_sharing_strategy(was)
    assert count() <= before + 4  # the resource sharer keeps a thread and its socket


def _adds(shared: torch.Tensor, lock: object) -> None:
    for _ in range(200):
        with lock:  # type: ignore[attr-defined]
            shared.add_(1)


@FORKS
def test_writes_of_two_processes_to_one_tensor_add_up_under_a_lock() -> None:
    context = mp.get_context("fork")
    shared, lock = torch.zeros(3).share_memory_(), context.Lock()
    workers = [context.Process(target=_adds, args=(shared, lock)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert shared.tolist() == [400] * 3


class Named(torch.Tensor):
    pass


def test_classes_and_attributes_arrive() -> None:
    x = torch.ones(2).as_subclass(Named)
    x.label = "a"
    weight = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    weight.tag = 3
    receiver, sender = mp.Pipe()
    sender.send((x, weight))
    a, b = receiver.recv()
    assert type(a) is Named and a.label == "a" and a.is_shared()
    assert type(b) is torch.nn.Parameter and b.tag == 3 and not b.requires_grad and b.data_ptr() == weight.data_ptr()


def test_everything_of_the_standard_module_is_here() -> None:
    assert all(getattr(mp, name) is getattr(multiprocessing, name) for name in multiprocessing.__all__)
    assert torch.multiprocessing is mp and sys.modules["mini_dl.multiprocessing"] is mp
    np.testing.assert_array_equal(np.asarray(torch.ones(2).share_memory_()), [1, 1])
