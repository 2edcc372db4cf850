"""DataLoader with worker processes: if a multiprocessing_context is given, batches and errors are those of torch's workers."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import subprocess
import sys
import textwrap
import time

import pytest
import torch

import mini_dl
from parity_tests import processes

LIBRARIES = (torch, mini_dl)
methods = pytest.mark.parametrize("method", ("fork", "spawn"))


def loader(m, dataset, method="fork", **options):
    data = importlib.import_module(f"{m.__name__}.utils.data")
    m.manual_seed(0)
    return data.DataLoader(dataset, **{"num_workers": 2, "multiprocessing_context": method, **options})


def plain(batch):
    if hasattr(batch, "tolist"):
        return batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items() if key != "process"}
    return [plain(each) for each in batch] if isinstance(batch, (list, tuple)) else batch


def both(program):
    answers = [program(m) for m in LIBRARIES]
    assert answers[0] == answers[1]
    return answers[0]


@methods
def test_batches_and_random_numbers_are_those_of_torchs_processes(method):
    def program(m):
        reader = loader(m, processes.Table(m.__name__), method, batch_size=4, shuffle=True)
        found = [plain(batch) for batch in reader]
        assert {number for batch in reader for number in batch["process"].tolist()}.isdisjoint({os.getpid()})
        return found

    batches = both(program)
    assert {worker for batch in batches for worker in batch["worker"]} == {0, 1}


@pytest.mark.parametrize("options", ({"persistent_workers": True}, {"batch_size": None}, {"prefetch_factor": 1}))
def test_epochs_follow_each_other(options):
    def program(m):
        reader = loader(m, processes.Table(m.__name__, 7), **{"batch_size": 2, "shuffle": True, **options})
        return [[plain(batch) for batch in reader] for _ in range(3)]

    both(program)


def test_streams_are_shared_out_by_worker():
    def program(m):
        reader = loader(m, processes.STREAMS[m.__name__](), batch_size=2, worker_init_fn=processes.prepare)
        return [plain(batch) for batch in reader]

    assert sorted(number for batch in both(program) for number in batch[0]) == list(range(11))


def test_batches_come_in_shared_memory():
    def program(m):
        batch = next(iter(loader(m, processes.Table(m.__name__), batch_size=4)))
        return {key: (value.is_shared(), value.dtype == m.float32) for key, value in batch.items() if hasattr(value, "is_shared")}

    both(program)


def lines(error):
    text = str(error).replace("\\n", "\n")
    return type(error).__name__, text.split("\n")[0], [line for line in text.split("\n") if line.strip()][-1].strip("'\" ")


@pytest.mark.parametrize("how", ("error", "key", "own"))
@pytest.mark.parametrize("persistent", (True, False))
def test_errors_come_with_their_tracebacks(how, persistent):
    def program(m):
        reader = loader(m, processes.Table(m.__name__, 8, 5, how), batch_size=2, persistent_workers=persistent)
        found, batches = [], iter(reader)
        for _ in range(4):
            try:
                found.append(plain(next(batches)["row"]))
            except Exception as error:  # noqa: PERF203
                found.append(lines(error))
        return found

    assert "in DataLoader worker process 0." in both(program)[2][1]


def test_an_error_while_a_worker_is_prepared():
    def program(m):
        reader = loader(m, processes.Table(m.__name__), worker_init_fn=processes.fails_to_prepare)
        with pytest.raises(RuntimeError) as caught:
            next(iter(reader))
        return lines(caught.value)

    both(program)


@pytest.mark.parametrize("how", ("killed", "left", "exit"))
@pytest.mark.parametrize("persistent", (True, False))
def test_the_end_of_a_worker_is_noticed_at_once_and_the_next_epoch_is_whole(how, persistent):
    reader = loader(mini_dl, processes.Table("mini_dl", 8, 2, how), batch_size=2, persistent_workers=persistent)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="killed by signal: Killed" if how == "killed" else "exited unexpectedly"):
        list(reader)
    assert time.monotonic() - start < 60
    reader.dataset.failing = None
    assert [batch["row"].tolist() for batch in reader] == [[[4 * n], [4 * n + 2]] for n in range(4)]


def test_what_cannot_be_sent_is_an_error_and_not_a_wait():
    reader = loader(mini_dl, Unsendable(), batch_size=None)
    with pytest.raises(Exception, match="in DataLoader worker process"):
        next(iter(reader))


class Unsendable:
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return lambda: index


@pytest.mark.parametrize("context", ("fork", multiprocessing.get_context("fork"), "spoon", 3, None))
def test_contexts_are_checked_as_by_torch(context):
    def program(m):
        try:
            return [plain(batch["row"]) for batch in loader(m, processes.Table(m.__name__, 3), context, num_workers=1)]
        except (ValueError, TypeError) as error:
            return type(error).__name__

    both(program)
    for m in LIBRARIES:
        with pytest.raises(ValueError, match="multiprocessing_context can only be used with"):
            loader(m, [1], "fork", num_workers=0)


def test_no_process_stays_behind():
    before = set(multiprocessing.active_children())
    for persistent in (True, False):
        reader = loader(mini_dl, processes.Table("mini_dl"), persistent_workers=persistent)
        batches = iter(reader)
        next(batches)
        assert len(set(multiprocessing.active_children()) - before) == 2
        del batches, reader
        gc.collect()
        assert set(multiprocessing.active_children()) <= before


def test_the_interpreter_ends_while_workers_read_and_after_an_interrupt_the_next_batch_comes():
    program = """
        import os, signal
        import mini_dl
        from parity_tests.processes import Table
        from mini_dl.utils.data import DataLoader
        reader = DataLoader(Table("mini_dl", 12), 2, num_workers=2, multiprocessing_context="fork")
        batches, rows = iter(reader), []
        for number in range(5):
            try:
                rows.append(next(batches)["row"][0].item())
                os.killpg(0, signal.SIGINT)
                signal.sigtimedwait([], 1)
            except KeyboardInterrupt:
                pass
        print(rows)
    """
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, env=environment, start_new_session=True
    )
    assert done.returncode == 0 and not done.stderr and done.stdout.strip() == "[0.0, 4.0, 8.0, 12.0, 16.0]", done
