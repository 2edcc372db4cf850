"""Workers of a DataLoader: interrupts, timeouts, workers that exit, their exceptions, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import random
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.utils.data import DataLoader, IterableDataset, RandomSampler, get_worker_info

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def run(program: str, *arguments: str) -> str:
    """What the program prints. It fails after a minute."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent.parent
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


class Raises:
    """A dataset that raises at one point: at a sample, in the collate function, or before the first one."""

    def __init__(self, error: BaseException, at: int) -> None:
        self.error, self.at = error, at

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> int:
        if index == self.at:
            raise self.error
        return index


ENDS = (SystemExit(3), KeyboardInterrupt(), GeneratorExit("no more"))


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("workers", (1, 2))
@pytest.mark.parametrize("persistent", (False, True))
def test_what_ends_a_worker_is_an_error_in_the_reader(error: BaseException, workers: int, persistent: bool) -> None:
    def collate(samples: list[int]) -> Any:
        if 4 in samples:
            raise error
        return samples

    def prepare(worker: int) -> None:
        raise error

    for loader, given in (
        (DataLoader(Raises(error, 4), 2, num_workers=workers, persistent_workers=persistent), [[0, 1], [2, 3]]),
        (DataLoader(range(12), 2, num_workers=workers, collate_fn=collate, persistent_workers=persistent), [[0, 1], [2, 3]]),
        (DataLoader(range(12), 2, num_workers=workers, worker_init_fn=prepare, persistent_workers=persistent), []),
    ):
        for _ in range(2):
            batches, seen = iter(loader), []
            with pytest.raises(RuntimeError, match=r"DataLoader worker .* exited unexpectedly"):
                seen.extend(batches)
            assert [batch if isinstance(batch, list) else batch.tolist() for batch in seen] == given


def test_the_other_workers_go_on_after_one_ended() -> None:
    batches = iter(DataLoader(Raises(SystemExit(1), 0), 2, num_workers=2, prefetch_factor=1))
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        next(batches)
    assert [b.tolist() for b in batches] == [[2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]


def test_what_a_process_read_before_it_ended_arrives() -> None:
    loader = DataLoader(Raises(SystemExit(3), 4), 2, num_workers=1, multiprocessing_context="spawn", persistent_workers=True)
    for _ in range(2):
        seen: list[Any] = []
        with pytest.raises(RuntimeError, match=r"DataLoader worker \(process 0\) exited unexpectedly"):
            seen.extend(loader)
        assert [batch.tolist() for batch in seen] == [[0, 1], [2, 3]]


class Two(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(first, second)


@pytest.mark.parametrize(
    "error, kind",
    [(ValueError("bad"), ValueError), (KeyError("bad"), KeyError), (StopIteration("bad"), None), (Two(1, 2), RuntimeError)],
)
def test_an_error_keeps_its_type_and_says_where_it_arose(error: Exception, kind: Any) -> None:
    batches = iter(DataLoader(Raises(error, 5), 2, num_workers=2))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    if kind is None:
        assert next(batches, None) is None
    else:
        with pytest.raises(kind) as caught:
            next(batches)
        text = str(caught.value)
        assert text.startswith(
            f"Caught {type(error).__name__} in DataLoader worker thread 0.\nOriginal Traceback (most recent call"
        )
        assert "in __getitem__" in text and "\n" in text
    assert [b.tolist() for b in batches] == [[6, 7], [8, 9], [10, 11]]


def test_a_prefetch_factor_of_0_is_refused() -> None:
    with pytest.raises(AssertionError, match="prefetch_factor must be greater than 0"):
        iter(DataLoader(range(6), 2, num_workers=2, prefetch_factor=0))


class Gate:
    """A dataset whose samples from 4 on wait until the gate is open."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __copy__(self) -> Gate:
        return self

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> int:
        if index >= 4:
            assert self.open.wait(30)
        return index


WHOLE = [[i, i + 1] for i in range(0, 12, 2)]


@pytest.mark.parametrize("workers", (1, 2))
@pytest.mark.parametrize("persistent", (False, True))
def test_after_a_time_out_the_batches_come_in_order(workers: int, persistent: bool) -> None:
    gate = Gate()
    loader = DataLoader(gate, 2, num_workers=workers, timeout=30, persistent_workers=persistent)
    batches = iter(loader)
    seen = [next(batches).tolist(), next(batches).tolist()]
    batches.timeout = 0.05  # type: ignore[attr-defined]
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds"):
            next(batches)
    batches.timeout = 30  # type: ignore[attr-defined]
    gate.open.set()
    assert seen + [b.tolist() for b in batches] == WHOLE
    assert [b.tolist() for b in loader] == WHOLE


def test_the_epoch_after_a_time_out_is_whole() -> None:
    gate = Gate()
    loader = DataLoader(gate, 2, num_workers=2, timeout=0.05, persistent_workers=True)
    with pytest.raises(RuntimeError, match="timed out"):
        list(loader)
    gate.open.set()
    loader.timeout = 0
    loader._iterator.timeout = 0
    assert [[b.tolist() for b in loader] for _ in range(2)] == [WHOLE, WHOLE]


INTERRUPTED = """
import random, signal, sys
import mini_dl as torch
from mini_dl.utils.data import DataLoader

random.seed(int(sys.argv[1]))
signal.signal(signal.SIGALRM, signal.default_int_handler)
whole = [[i, i + 1] for i in range(0, 60, 2)]
loader = DataLoader(range(60), 2, num_workers=2, persistent_workers=True)
interrupts = wrong = 0
for _ in range(150):
    batches, seen = iter(loader), []
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-3))
        for batch in batches:
            seen.append(batch.tolist())
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupts += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    wrong += seen != whole[: len(seen)]
    wrong += [b.tolist() for b in loader] != whole
print(wrong, interrupts > 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no interval timers here")
def test_the_epoch_after_an_interrupt_is_whole() -> None:
    assert run(INTERRUPTED, "0") == "0 True"


def test_a_batch_that_was_waited_for_when_the_reader_was_interrupted_comes_next() -> None:
    loader = DataLoader(range(12), 2, num_workers=2)
    batches = iter(loader)
    wait = batches.wait  # type: ignore[attr-defined]

    def interrupted(worker: Any) -> None:
        wait(worker)
        raise KeyboardInterrupt

    seen, count = [], 0
    while True:
        batches.wait = interrupted if count % 2 == 0 else wait  # type: ignore[attr-defined]
        try:
            seen.append(next(batches).tolist())
        except KeyboardInterrupt:
            pass
        except StopIteration:
            break
        count += 1
    assert seen == WHOLE


def workers_alive() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("DataLoader worker")}


@pytest.mark.parametrize("persistent", (False, True))
@pytest.mark.parametrize("how", ("exhausted", "left early", "an error", "an end", "never read"))
def test_no_thread_stays_behind_and_nothing_waits_for_the_collector(persistent: bool, how: str) -> None:
    before = workers_alive()
    dataset = Raises(SystemExit(1) if how == "an end" else ValueError("bad"), 6 if how.startswith("an ") else -1)
    gc.collect()
    gc.disable()
    try:
        loader = DataLoader(dataset, 2, num_workers=2, persistent_workers=persistent)
        batches = iter(loader)
        with contextlib.suppress(ValueError, RuntimeError):
            deque(itertools.islice(batches, {"never read": 0, "left early": 2}.get(how)), 0)
        gone = weakref.ref(batches), weakref.ref(loader), weakref.ref(dataset)
        del batches, loader, dataset
        assert [reference() for reference in gone] == [None] * 3
    finally:
        gc.enable()
    assert workers_alive() <= before


def test_the_interpreter_ends_while_workers_live() -> None:
    program = """
import mini_dl
from mini_dl.utils.data import DataLoader
loader = DataLoader(range(1000), 2, num_workers=2, persistent_workers=True)
batches = iter(loader)
print(next(batches).tolist())
"""
    assert run(program) == "[0, 1]"


def test_streams_of_python_and_numpy_are_seeded_for_each_worker() -> None:
    class Draws:
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> Any:
            info = get_worker_info()
            assert info is not None and info.rng.torch_generator.initial_seed() == info.seed and info.worker_method == "thread"
            return info.rng.random_generator.random(), info.rng.numpy_generator.rand(), torch.rand(1).item()

    states = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    runs = []
    for _ in range(2):
        torch.manual_seed(4)
        runs.append([[part.tolist() for part in batch] for batch in DataLoader(Draws(), 2, num_workers=2)])
    assert runs[0] == runs[1]
    drawn = [number for batch in runs[0] for part in batch for number in part]
    assert len(set(drawn)) == len(drawn)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # type: ignore[union-attr]


@pytest.mark.parametrize("workers", (1, 2, 3))
def test_a_stream_may_end_earlier_in_one_worker_than_in_another(workers: int) -> None:
    class Shards(IterableDataset):
        def __iter__(self) -> Iterator[int]:
            info = get_worker_info()
            assert info is not None
            return iter(range(100 * info.id, 100 * info.id + (1, 6, 3)[info.id]))

    loader = DataLoader(Shards(), 2, num_workers=workers, persistent_workers=True)
    expected = {1: [[0]], 2: [[0], [100, 101], [102, 103], [104, 105]]}
    expected[3] = [[0], [100, 101], [200, 201], [102, 103], [202], [104, 105]]
    for _ in range(3):
        assert [b.tolist() for b in loader] == expected[workers]


@pytest.mark.parametrize("persistent", (False, True))
def test_batches_out_of_order_are_all_there(persistent: bool) -> None:
    gate = Gate()

    def prepare(worker: int) -> None:
        if worker == 0:
            gate.open.wait(30)

    loader = DataLoader(range(12), 2, num_workers=2, worker_init_fn=prepare, in_order=False, persistent_workers=persistent)
    batches = iter(loader)
    first = [next(batches).tolist() for _ in range(2)]
    assert first == [[2, 3], [6, 7]]  # from the worker that did not wait
    gate.open.set()
    assert sorted(first + [b.tolist() for b in batches]) == WHOLE
    assert sorted(b.tolist() for b in loader) == WHOLE


def test_a_sampler_of_many_indices_draws_as_they_are_asked_for() -> None:
    for replacement, count in ((True, 10**12), (True, 10**10), (False, 10**10)):
        sampler = RandomSampler(range(50), replacement, count, generator=torch.Generator().manual_seed(0))
        start = list(itertools.islice(sampler, 70))
        again = RandomSampler(range(50), replacement, 100, generator=torch.Generator().manual_seed(0))
        assert start == list(again)[:70]


def test_an_interrupt_while_the_iterator_is_made_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    before = workers_alive()
    copies: list[Callable[[], None]] = []

    class Copied(list[int]):
        def __copy__(self) -> Copied:
            copies.append(lambda: None)
            if len(copies) == 2:
                raise KeyboardInterrupt
            return self

    loader = DataLoader(Copied(range(4)), num_workers=3, persistent_workers=True)
    with pytest.raises(KeyboardInterrupt):
        iter(loader)
    assert workers_alive() <= before
    assert [b.tolist() for b in loader] == [[0], [1], [2], [3]]


ABANDONED = """
import os, signal
import mini_dl as torch
from mini_dl.utils.data import processes

processes.CHECK = 0.2
loader = torch.utils.data.DataLoader(range(100), num_workers=2, multiprocessing_context="fork")
batches = iter(loader)
next(batches)
print(*[child.pid for child in processes.multiprocessing.active_children()], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_worker_processes_end_with_a_process_that_was_killed() -> None:
    ran = subprocess.run([sys.executable, "-c", ABANDONED], stdout=subprocess.PIPE, text=True, timeout=60)
    workers = ran.stdout.split()
    assert len(workers) == 2
    for _ in range(200):
        if not any(is_running(int(pid)) for pid in workers):
            return
        time.sleep(0.05)
    raise AssertionError("the workers run on")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z " not in state.read_text()  # a zombie waits for whoever inherited it


class Waiting:
    """Its own indices, each after a moment."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        time.sleep(0.01)
        return index


class Turning:
    """Indices in another order each time."""

    def __init__(self) -> None:
        self.order = list(range(8))

    def __iter__(self) -> Iterator[int]:
        self.order = self.order[::-1]
        return iter(self.order)


def test_what_was_read_ahead_for_an_epoch_that_was_left_does_not_come_in_the_next() -> None:
    loader = DataLoader(Waiting(), 1, sampler=Turning(), num_workers=1, persistent_workers=True, prefetch_factor=4)
    assert int(next(iter(loader))) == 7
    assert [int(batch) for batch in loader] == list(range(8))
