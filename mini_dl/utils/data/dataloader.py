"""DataLoader: batches of a dataset, in an order, read here or by worker threads."""

from __future__ import annotations

import copy
import math
import os
import queue
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mini_dl._generator import Generator, here
from mini_dl.tensor import Tensor
from mini_dl.utils.data.collate import collate_tensor_fn, default_collate, default_collate_fn_map, default_convert
from mini_dl.utils.data.dataset import IterableDataset, collated_rows
from mini_dl.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, random_seed

T = TypeVar("T", covariant=True)


START_METHODS = ["fork", "spawn", "forkserver"]


class _Endless(Sampler[None]):
    """What an iterable dataset is asked for: the next, again and again."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T]):
    """Iterate over `dataset` in batches: shuffled, sampled and collated as in torch, in torch's order for the same seed.

    With `num_workers` the batches are read ahead by that many threads, where torch starts processes: nothing is pickled, and
    NumPy and file reads let other threads run. Each worker has a shallow copy of the dataset and its own stream of random
    numbers, seeded as torch seeds its workers; Python's and NumPy's global streams are common to all threads and not seeded.
    `pin_memory`, `pin_memory_device` and `multiprocessing_context` are checked and have no effect.

    ValueError for options that contradict each other.

    >>> import mini_dl as torch
    >>> from mini_dl.utils.data import DataLoader, TensorDataset
    >>> for batch in DataLoader(TensorDataset(torch.tensor([1, 2, 3])), batch_size=2):
    ...     print(batch)
    [tensor([1, 2])]
    [tensor([3])]
    """

    _iterator: Any = None
    _initialized = False
    _length_said: int | None = None  # by an iterable dataset, when this loader was asked for its length

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset: Any = dataset
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.pin_memory_device, self.in_order = pin_memory, pin_memory_device, in_order
        self.multiprocessing_context = multiprocessing_context
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            _check_iterable(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if self._iterable:
                sampler = _Endless()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last, self.sampler, self.batch_sampler = batch_size, drop_last, sampler, batch_sampler
        self.generator = generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.persistent_workers = persistent_workers
        self._initialized = True
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self) -> Any:
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str) and context not in START_METHODS:
                raise ValueError(
                    f"multiprocessing_context option should specify a valid start method in {START_METHODS!r}, but got "
                    f"multiprocessing_context={context!r}"
                )
        self._multiprocessing_context = context

    def __setattr__(self, attr: str, val: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._initialized and attr in fixed:
            raise ValueError(f"{attr} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(attr, val)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _Iterator(self)
        if not self.persistent_workers:
            return _ThreadedIterator(self)
        if self._iterator is None:
            self._iterator = _ThreadedIterator(self)
        else:
            self._iterator.restart()
        return self._iterator  # type: ignore[no-any-return]

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    @property
    def _how(self) -> tuple[Any, bool, bool]:
        """What reading needs to know, without the loader: worker threads must not keep it alive."""
        return self.collate_fn, self._auto_collation, self.drop_last

    def __len__(self) -> int:
        if not self._iterable:
            return len(self._index_sampler)
        length = self._length_said = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warn if there are more workers than processors."""
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if processors is not None and self.num_workers > processors:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker threads in total. Our suggested max number of worker in "
                f"current system is {processors}, which is smaller than what this DataLoader is going to create. Please be "
                "aware that excessive worker creation might get DataLoader running slow or even freeze, lower the worker number "
                "to avoid potential slowness/freeze if necessary.",
                stacklevel=3,
            )


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable multiprocessing, "
            "otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_iterable(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    if shuffle not in (False, None):
        raise ValueError(f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}")
    for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}")


# ------------------------------------------------------------------------------------------------ reading


class _Fetch:
    """From an index, or a list of them, to a batch. StopIteration when an iterable dataset has no more."""

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


class _Iterator:
    """Reads each batch when it is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
                stacklevel=3,
            )
        self.indices = iter(loader._index_sampler)
        self.base_seed = random_seed(loader.generator)  # torch draws it here, with or without workers
        self.given, self.length_said = 0, loader._length_said
        self.start()

    def start(self) -> None:
        if self.loader.timeout != 0:
            raise AssertionError("a DataLoader without workers requires timeout == 0")
        self.fetch = _Fetch(self.loader.dataset, *self.loader._how)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self.loader._index_sampler)

    def __next__(self) -> Any:
        batch = self.read()
        self.given += 1
        if self.loader._iterable and self.length_said is not None and self.given > self.length_said:
            warnings.warn(
                f"Length of IterableDataset {self.loader.dataset} was reported to be {self.length_said}(when accessing "
                f"len(dataloader)), but {self.given} samples have been fetched. ",
                stacklevel=2,
            )
        return batch

    def read(self) -> Any:
        return self.fetch(next(self.indices))


# ------------------------------------------------------------------------------------------------ worker threads


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows of itself."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    worker_method: str = "thread"


class _Worker(threading.local):
    info: WorkerInfo | None = None


_worker = _Worker()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader its id, their number, its seed and its copy of the dataset; elsewhere None."""
    return _worker.info


_AGAIN, _STOP, _ENDED = object(), object(), object()


class _Thread:
    """A worker: tasks go in, batches come out in the same order, each as (error or None, batch)."""

    def __init__(self, loader: DataLoader[Any], number: int, base_seed: int) -> None:
        self.tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.batches: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.active = True
        info = WorkerInfo(number, loader.num_workers, base_seed + number, copy.copy(loader.dataset))
        arguments = (info, loader.worker_init_fn, loader._how, self.tasks, self.batches)
        threading.Thread(target=_work, args=arguments, daemon=True, name=f"DataLoader worker {number}").start()


def _work(info: WorkerInfo, worker_init_fn: Any, how: Any, tasks: Any, batches: Any) -> None:
    _worker.info = info
    here.generator = Generator().manual_seed(info.seed)
    fetch: Any = None
    failed: BaseException | None = None
    ended = False
    try:
        if worker_init_fn is not None:
            worker_init_fn(info.id)
        fetch = _Fetch(info.dataset, *how)
    except Exception as error:
        failed = error
    while (task := tasks.get()) is not _STOP:
        if task is _AGAIN:
            ended = False
            fetch = _Fetch(info.dataset, *how)
        elif failed is not None:
            batches.put((failed, None))
        elif not ended:
            try:
                batches.put((None, fetch(task)))
            except StopIteration as stop:
                ended = fetch.stream is not None
                batches.put((None, _ENDED) if ended else (stop, None))
            except Exception as error:
                batches.put((error, None))


class _ThreadedIterator(_Iterator):
    """Hands the indices round to the workers, ahead of what is asked for, and gives the batches in the order of the indices."""

    def start(self) -> None:
        loader = self.loader
        self.workers = [_Thread(loader, number, self.base_seed) for number in range(loader.num_workers)]
        weakref.finalize(self, _stop, [worker.tasks for worker in self.workers])
        self.begin()

    def begin(self) -> None:
        self.pending: deque[_Thread] = deque()
        self.turn = 0
        for _ in range((self.loader.prefetch_factor or 0) * len(self.workers)):
            self.hand_out()

    def restart(self) -> None:
        while self.pending:  # of a pass that was left early
            worker = self.pending.popleft()
            if worker.active and worker.batches.get()[1] is _ENDED:
                worker.active = False
        for worker in self.workers:
            worker.active = True
            worker.tasks.put(_AGAIN)
        self.indices = iter(self.loader._index_sampler)
        self.given, self.length_said = 0, self.loader._length_said
        self.begin()

    def hand_out(self) -> None:
        """One more task to the next worker that has data."""
        for _ in self.workers:
            worker = self.workers[self.turn]
            self.turn = (self.turn + 1) % len(self.workers)
            if worker.active:
                break
        else:
            return
        try:
            task = next(self.indices)
        except StopIteration:
            return
        worker.tasks.put(task)
        self.pending.append(worker)

    def read(self) -> Any:
        while self.pending:
            worker = self.pending.popleft()
            if not worker.active:
                continue
            try:
                error, batch = worker.batches.get(timeout=self.loader.timeout or None)
            except queue.Empty:
                raise RuntimeError(f"DataLoader timed out after {self.loader.timeout} seconds") from None
            if batch is _ENDED:
                worker.active = False
                self.hand_out()
                continue
            self.hand_out()
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # its traceback holds this frame, and so the workers
            return batch
        if not self.loader.persistent_workers:
            _stop([worker.tasks for worker in self.workers])
        raise StopIteration


def _stop(tasks: list[Any]) -> None:
    for waiting in tasks:
        waiting.put(_STOP)
