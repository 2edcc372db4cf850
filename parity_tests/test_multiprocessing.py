"""torch.multiprocessing under both libraries: shared memory, queues, spawn, Hogwild training."""

from __future__ import annotations

import copy
import gc
import importlib
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests import processes

NAMES = ("torch", "mini_dl")
methods = pytest.mark.parametrize("method", ("fork", "spawn"))


def multi(name):
    return importlib.import_module(f"{name}.multiprocessing")


def both(program):
    answers = [program(processes.library(name), multi(name)) for name in NAMES]
    assert answers[0] == answers[1]
    return answers[0]


@pytest.fixture(params=sorted(torch.multiprocessing.get_all_sharing_strategies()))
def strategy(request):
    before = {name: multi(name).get_sharing_strategy() for name in NAMES}
    for name in NAMES:
        multi(name).set_sharing_strategy(request.param)
    yield request.param
    for name, old in before.items():
        multi(name).set_sharing_strategy(old)


def test_a_tensor_moves_to_shared_memory_with_all_that_look_into_it():
    def program(m, _):
        x = m.arange(6.0)
        view, detached, part = x[2:], x.detach(), x.view(2, 3)[1]
        before = x.is_shared(), view.is_shared()
        assert view.share_memory_() is view
        view[0] = 9
        detached[5] = -1
        alone = m.ones(2)
        empty = m.empty(0).share_memory_()
        weight = m.nn.Parameter(m.ones(2))
        other = weight.data
        weight.share_memory_()
        other.add_(1)
        return (
            before, [each.is_shared() for each in (x, view, detached, part, alone, empty, weight, other)], x.tolist(),
            part.tolist(), x._version, weight.tolist(), weight.is_leaf, x.clone().is_shared(), copy.deepcopy(x).is_shared(),
            (x + 1).is_shared(),
        )  # fmt: skip

    assert both(program)[2] == [0, 1, 9, 3, 4, -1]


def test_a_module_moves_with_its_gradients_and_buffers():
    def program(m, _):
        net = m.nn.Sequential(m.nn.Linear(2, 3), m.nn.BatchNorm1d(3))
        weight = net[0].weight
        net(m.ones(2, 2)).sum().backward()
        assert net.share_memory() is net and net[0].weight is weight
        saved = io.BytesIO()
        m.save(net.state_dict(), saved)
        saved.seek(0)
        m.optim.SGD(net.parameters(), lr=0.1).step()
        return (
            [parameter.is_shared() for parameter in net.parameters()], [buffer.is_shared() for buffer in net.buffers()],
            weight.grad.is_shared(), {key: value.is_shared() for key, value in m.load(saved).items()},
            pickle.loads(pickle.dumps(weight)).is_shared(),
        )  # fmt: skip

    both(program)


@methods
def test_processes_see_what_each_other_writes(method, strategy):
    def program(m, mp):
        context, arguments = mp.get_context(method), (m.__name__,)
        shared, weight = m.zeros(3).share_memory_(), m.nn.Parameter(m.ones(2)).share_memory_()
        queue, done = context.Queue(), context.Event()
        workers = [
            context.Process(target=processes.adds, args=(number, *arguments, shared, {"weight": weight}, queue, done))
            for number in range(2)
        ]
        for worker in workers:
            worker.start()
        came = sorted((queue.get(timeout=100) for _ in workers), key=lambda each: each[0])
        if (method, strategy) != ("spawn", "file_system"):  # torch's child does not know the strategy, and sends a copy
            came[0][1][2] = 7  # the tensor that came back is the same memory
        found = [(number, same.is_shared(), own.tolist(), own.is_shared(), *rest) for number, same, own, *rest in came]
        answer = shared.tolist(), weight.tolist(), found
        done.set()
        for worker in workers:
            worker.join()
        return answer, [worker.exitcode for worker in workers]

    (shared, weight, _), codes = both(program)
    assert shared[:2] == [10, 20] and weight == [2, 2] and codes == [0, 0]


def test_what_comes_back_has_one_address_and_stays_after_its_sender():
    def program(m, mp):
        x = m.arange(4.0)
        receiver, sender = mp.Pipe()
        sender.send({"x": x, "part": x[1:3], "bool": m.tensor([True]), "number": m.tensor(3)})
        found = receiver.recv()
        same = found["x"].data_ptr() == x.data_ptr(), found["part"].data_ptr() - x.data_ptr()
        found["part"][0] = 8
        answer = same, x.is_shared(), x.tolist(), found["x"].tolist(), found["bool"].tolist(), found["number"].item()
        del x
        gc.collect()
        found["x"].add_(1)
        return answer, found["x"].tolist(), found["part"].tolist()

    both(program)


@methods
def test_pools_and_what_cannot_be_sent(method):
    def program(m, mp):
        with mp.get_context(method).Pool(2) as pool:
            found = pool.map(processes.doubled, [m.ones(2), m.arange(3)])
        _, sender = mp.Pipe()
        with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor") as caught:
            sender.send(m.ones(2, requires_grad=True) * 2)
        return [(value.tolist(), shared) for value, shared in found], str(caught.value)

    both(program)


def test_failures_of_spawned_processes():
    def program(m, mp):
        with pytest.raises(mp.ProcessRaisedException) as raised:
            mp.spawn(processes.raises, args=(m.__name__, 1), nprocs=2)
        found = [raised.value.error_index, str(raised.value).replace(m.__name__, "m").split("\n")[-3:]]
        copied = pickle.loads(pickle.dumps(raised.value))
        found.append((str(copied) == str(raised.value), copied.error_index, type(copied) is mp.ProcessRaisedException))
        for code in (5, -9):
            with pytest.raises(mp.ProcessExitedException) as left:
                mp.start_processes(processes.leaves, args=(code,), nprocs=2, start_method="fork")
            found.append((str(left.value), left.value.error_index, left.value.exit_code, left.value.signal_name))
        context = mp.spawn(processes.raises, args=(m.__name__, 7), nprocs=2, join=False)
        while not context.join():
            pass
        return found, len(context.pids()), context.join()

    both(program)


def test_names_and_strategies():
    def program(m, mp):
        with pytest.raises(AssertionError, match="invalid sharing strategy"):
            mp.set_sharing_strategy("carrier pigeon")
        return mp.get_all_sharing_strategies(), mp.get_sharing_strategy(), sorted(mp.__all__), m.multiprocessing is mp

    both(program)
    names = [name for name in multiprocessing.__all__ if not hasattr(mini_dl.multiprocessing, name)]
    assert not names


@methods
def test_hogwild_training_of_two_processes_in_turns(method):
    def program(m, mp):
        model = processes.net_of(m).share_memory()
        if m is mini_dl:
            model.load_state_dict({key: m.tensor(value.numpy()) for key, value in processes.net_of(torch).state_dict().items()})
        context = mp.get_context(method)
        turns = [context.Semaphore(1), context.Semaphore(0)]
        workers = [context.Process(target=processes.trains, args=(rank, m.__name__, model, turns, 6)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0]
        return [parameter.detach().numpy() for parameter in model.parameters()]

    theirs, ours = (program(processes.library(name), multi(name)) for name in NAMES)
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
    assert abs(ours[0] - processes.net_of(torch)[0].weight.detach().numpy()).max() > 0.01


def test_hogwild_training_of_rows_of_ones_own():
    def program(m, mp):
        table, state = m.linspace(-1, 1, 12).reshape(6, 2).share_memory_(), m.zeros(2, dtype=m.float64).share_memory_()
        mp.spawn(processes.trains_its_rows, args=(m.__name__, table, state), nprocs=2)
        return np.concatenate([table.numpy().ravel(), state.numpy()])

    theirs, ours = (program(processes.library(name), multi(name)) for name in NAMES)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_nothing_is_left_behind_and_nothing_is_said_at_the_end():
    program = """
        import mini_dl
        import mini_dl.multiprocessing as mp
        def work(kept, queue, came):
            kept.add_(1)
            queue.put(mini_dl.ones(3))
            queue.put(kept)
            came.wait(60)
        if __name__ == "__main__":
            for strategy in sorted(mp.get_all_sharing_strategies()):
                mp.set_sharing_strategy(strategy)
                kept, queue, came = mini_dl.zeros(2).share_memory_(), mp.Queue(), mp.Event()
                child = mp.get_context("fork").Process(target=work, args=(kept, queue, came))
                child.start()
                first, second = queue.get(), queue.get()
                assert second.tolist() == [1, 1] and first.is_shared()
                came.set()
                child.join()
                del kept, first, second
                queue.close()
            stays = mini_dl.zeros(5).share_memory_()
    """
    folder = "/dev/shm"
    if not os.path.isdir(folder):
        pytest.skip("no such folder here")
    before = set(os.listdir(folder))
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONWARNINGS": "always", "PYTHONDEVMODE": "1"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert not [name for name in set(os.listdir(folder)) - before if name.startswith("torch_")]
