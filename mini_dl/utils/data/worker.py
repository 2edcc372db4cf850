"""A worker of a DataLoader: a thread with its own copy of the dataset and its own random streams."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from mini_dl.kernels.mersenne import Generator, here
from mini_dl.tensor import Tensor
from mini_dl.utils.data.collate import collate_tensor_fn, default_collate, default_collate_fn_map
from mini_dl.utils.data.dataset import IterableDataset, collated_rows


@dataclass(frozen=True)
class WorkerRandom:
    """The streams of a worker, seeded as torch seeds ``random``, ``torch`` and ``numpy.random`` in its worker processes."""

    random_generator: random.Random
    torch_generator: Generator
    numpy_generator: np.random.RandomState


@dataclass(frozen=True)
class WorkerInfo:
    """A worker's information: `id`, `num_workers`, `seed`, `dataset`, `rng` and `worker_method`, "thread" or a
    process start method.

    Raises: FrozenInstanceError if an attribute is assigned.

    >>> class Who(torch.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         return torch.utils.data.get_worker_info().num_workers
    >>> [int(n) for n in torch.utils.data.DataLoader(Who(), num_workers=2)]
    [2, 2]
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: WorkerRandom
    worker_method: str = "thread"


def streams_of(base_seed: int, worker: int) -> WorkerRandom:
    seed = base_seed + worker
    words = np.random.SeedSequence([worker, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]).generate_state(4)
    return WorkerRandom(random.Random(seed), Generator().manual_seed(seed), np.random.RandomState(words))


class _Here(threading.local):
    info: WorkerInfo | None = None


_here = _Here()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader: its id, the number of workers, its seed, its copy of the dataset and, as `rng`, its random
    streams. Elsewhere None.

    Raises: nothing.

    >>> torch.utils.data.get_worker_info() is None
    True
    """
    return _here.info


class Fetch:
    """Turns an index, or a list of indices, into a batch. StopIteration when an iterable dataset is exhausted."""

    def __init__(self, dataset: Any, collate: Callable[[Any], Any], batched: bool, drop_last: bool) -> None:
        self.dataset, self.collate, self.batched, self.drop_last = dataset, collate, batched, drop_last
        self.stream = iter(dataset) if isinstance(dataset, IterableDataset) else None

    def __call__(self, index: Any) -> Any:
        if self.stream is not None:
            return self.collate(self._next(index))
        if not self.batched:
            return self.collate(self.dataset[index])
        if self.collate is default_collate and default_collate_fn_map.get(Tensor) is collate_tensor_fn:
            rows = collated_rows(self.dataset, index)
            if rows is not None:
                return rows
        if getattr(self.dataset, "__getitems__", None):
            return self.collate(self.dataset.__getitems__(index))
        return self.collate([self.dataset[i] for i in index])

    def _next(self, index: Any) -> Any:
        assert self.stream is not None
        if not self.batched:
            return next(self.stream)
        samples = [sample for _, sample in zip(index, self.stream)]
        if not samples or (self.drop_last and len(samples) < len(index)):
            raise StopIteration
        return samples


class _Message(str):
    """A message that KeyError shows unquoted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self


class Failure:
    """A worker's exception as text: the exception itself would keep its frames alive."""

    def __init__(self, error: BaseException, worker: str) -> None:
        self.kind: Any = type(error)
        self.worker, self.fatal = worker, not isinstance(error, Exception)
        self.text = "".join(traceback.format_exception(type(error), error, error.__traceback__))

    def error(self) -> BaseException:
        """An exception of the same type, if it can be created from a message, else a RuntimeError."""
        if self.fatal:
            return RuntimeError(f"DataLoader worker ({self.worker}) exited unexpectedly.\nOriginal {self.text}")
        message = f"Caught {self.kind.__name__} in DataLoader worker {self.worker}.\nOriginal {self.text}"
        try:
            if self.kind is KeyError:
                return KeyError(_Message(message))
            if getattr(self.kind, "message", None):
                return self.kind(message=message)
            return self.kind(message)
        except Exception:
            return RuntimeError(message)


ENDED = object()
"""The result of a task when an iterable dataset is exhausted."""
AGAIN, STOP = object(), object()

Key = tuple[int, int]
"""The epoch's number, and the task's number in it."""


class Results:
    """Where the workers put the results of their tasks. It refers to nothing else, so that threads keep no loader alive."""

    def __init__(self) -> None:
        self.found: dict[Key, Any] = {}  # in order of arrival
        self.news: SimpleQueue[None] = SimpleQueue()  # wakes the reader, which then checks: a missed one does no harm
        self.closed = False


class Worker:
    """A thread that reads. `tasks` takes pairs of a key and an index, AGAIN and STOP."""

    def __init__(self, info: WorkerInfo, results: Results, how: tuple[Any, bool, bool], prepare: object) -> None:
        self.info, self.how, self.results = info, how, results
        self.tasks: Any = SimpleQueue()
        self.active = True  # has data, as far as the reader knows
        self.exits = False  # its last result says that it is about to exit
        name = f"DataLoader worker {info.id}"
        arguments = (info, self.tasks, results, how, prepare)
        self.thread = threading.Thread(target=_work, args=arguments, daemon=True, name=name)

    def start(self) -> None:
        self.thread.start()

    def is_alive(self) -> bool:
        return self.thread.is_alive()

    def end(self) -> str:
        """How it ended."""
        return f"DataLoader worker (thread {self.info.id}) exited unexpectedly"

    def stop(self) -> None:
        """Ask it to exit."""
        self.tasks.put(STOP)

    def join(self, seconds: float) -> None:
        """Wait for it to exit."""
        if self.thread.ident is not None and self.thread is not threading.current_thread():
            self.thread.join(seconds)


def _work(info: WorkerInfo, tasks: SimpleQueue[Any], results: Results, how: tuple[Any, bool, bool], prepare: object) -> None:
    here.generator = info.rng.torch_generator

    def deliver(key: Key, outcome: object) -> None:
        results.found[key] = outcome
        results.news.put(None)

    serve(info, tasks.get, deliver, lambda: results.closed, how, prepare)


def serve(
    info: WorkerInfo,
    next_task: Callable[[], Any],
    deliver: Callable[[Key, Any], None],
    is_closed: Callable[[], bool],
    how: tuple[Any, bool, bool],
    prepare: Any,
) -> None:
    """What a worker does: the outcome of each task is a batch, ENDED or a `Failure`."""
    _here.info = info
    where = f"{'thread' if info.worker_method == 'thread' else 'process'} {info.id}"
    fetch: Fetch | None = None
    failed: Failure | None = None
    try:
        if prepare is not None:
            prepare(info.id)
        fetch = Fetch(info.dataset, *how)
    except BaseException as error:
        failed = Failure(error, where)
    ended = False
    while (task := next_task()) is not STOP:
        outcome: Any = failed
        if task is AGAIN:
            ended = False
            if fetch is not None:
                try:
                    fetch = Fetch(info.dataset, *how)
                    failed = None
                except BaseException as error:
                    failed = Failure(error, where)
            continue
        if ended or is_closed():
            continue
        key, index = task
        if failed is None and fetch is not None:
            try:
                outcome = fetch(index)
            except BaseException as error:
                ended = isinstance(error, StopIteration) and fetch.stream is not None
                outcome = ENDED if ended else Failure(error, where)
        deliver(key, outcome)
        if isinstance(outcome, Failure) and outcome.fatal:
            return
        del task, index, outcome  # the batch is the reader's now
