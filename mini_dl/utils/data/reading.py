"""The iterators of a DataLoader: batches read here, or ahead by workers. They hold the parts of the loader that they need."""

from __future__ import annotations

import copy
import itertools
import os
import queue
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any, NoReturn

from mini_dl.utils.data.sampler import random_seed
from mini_dl.utils.data.worker import AGAIN, ENDED, Failure, Fetch, Results, Worker, WorkerInfo, streams_of

PATIENCE = 5.0
"""Seconds that a closing loader waits for its workers, and after which a reader checks whether they are alive."""


class Reader:
    """Reads each batch when it is requested."""

    def __init__(self, loader: Any) -> None:
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
                stacklevel=3,
            )
        self.dataset, self.how, self.iterable = loader.dataset, loader._how, loader._iterable
        self.sampler, self.timeout = loader._index_sampler, loader.timeout
        self.indices = iter(self.sampler)
        self.base_seed = random_seed(loader.generator)  # torch draws it here, with or without workers
        self.given, self.reported_length = 0, loader._reported_length
        self.start(loader)

    def start(self, loader: object) -> None:
        if self.timeout != 0:
            raise AssertionError("a DataLoader without workers requires timeout == 0")
        self.fetch = Fetch(self.dataset, *self.how)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __getstate__(self) -> NoReturn:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)  # as in torch

    def __len__(self) -> int:
        return len(self.sampler)

    def __next__(self) -> Any:
        batch = self.read()
        self.given += 1
        if self.iterable and self.reported_length is not None and self.given > self.reported_length:
            warnings.warn(
                f"Length of IterableDataset {self.dataset} was reported to be {self.reported_length}(when accessing "
                f"len(dataloader)), but {self.given} samples have been fetched. ",
                stacklevel=2,
            )
        return batch

    def read(self) -> Any:
        return self.fetch(next(self.indices))


class WorkersReader(Reader):
    """Distributes the indices to the workers ahead of time, and returns the batches in the order of the indices.

    Each task has a number, and its result is kept under that number until it is returned. So a reader that was interrupted
    or timed out continues where it was.
    """

    def start(self, loader: Any) -> None:
        if loader.prefetch_factor <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 for a DataLoader with workers")
        self.limit, self.in_order, self.keep = (
            loader.prefetch_factor * loader.num_workers,
            loader.in_order,
            loader.persistent_workers,
        )
        self.prepare = loader.worker_init_fn
        self.results, self.workers = Results(), list[Any]()
        self.close = weakref.finalize(self, _close, self.results, self.workers)
        self.forked = False
        _readers.add(self)
        for number in range(loader.num_workers):
            self.workers.append(self.new_worker(number, loader.num_workers))
            self.workers[-1].start()
        self.epoch = 0
        self.begin()

    def new_worker(self, number: int, count: int) -> Any:
        rng = streams_of(self.base_seed, number)
        info = WorkerInfo(number, count, self.base_seed + number, copy.copy(self.dataset), rng)
        return Worker(info, self.results, self.how, self.prepare)

    def begin(self) -> None:
        self.sent = self.turn = 0
        self.upcoming: list[Any] = []
        self.assigned: dict[int, tuple[Worker, Any]] = {}  # tasks whose results have not been returned yet
        for _ in range(self.limit):
            self.hand_out()

    def restart(self, loader: Any) -> None:
        """Start another epoch. Leftover tasks of the previous one are still completed, as in torch, but ignored."""
        self.epoch += 1
        self.results.found = {}
        for number, worker in enumerate(self.workers):
            worker.active = True
            if self.forked or worker.exits or not worker.is_alive():
                self.workers[number] = self.new_worker(number, len(self.workers))
                self.workers[number].start()
            else:
                worker.tasks.put(AGAIN)
        self.forked = False
        self.indices = iter(self.sampler)
        self.given, self.reported_length = 0, loader._reported_length
        self.begin()

    def hand_out(self) -> None:
        """Give one more task to the next worker that has data."""
        if len(self.assigned) > self.limit:  # interrupted after it was assigned
            return
        if not self.upcoming:
            self.upcoming.extend(itertools.islice(self.indices, 1))  # in one step, so that no index is lost
        if not self.upcoming:
            return
        worker = self.next_worker()
        if worker is not None:
            number, index = self.sent, self.upcoming[0]
            worker.tasks.put(((self.epoch, number), index))
            self.assigned[number] = worker, index
            self.sent = number + 1
            self.upcoming = []

    def next_worker(self) -> Worker | None:
        most = self.limit // max(1, sum([worker.active for worker in self.workers]))
        for _ in self.workers:
            worker = self.workers[self.turn]
            self.turn = (self.turn + 1) % len(self.workers)
            if worker.active and (self.in_order or self.tasks_of(worker) < most):
                return worker
        return None

    def tasks_of(self, worker: Worker) -> int:
        return sum([at is worker for at, _ in self.assigned.values()])

    def read(self) -> Any:
        if self.forked:
            self.revive()
        while True:
            number = self.next_number()
            if number is None:
                if not self.keep:
                    self.close()
                raise StopIteration
            key, (worker, _) = (self.epoch, number), self.assigned[number]
            if key not in self.results.found:
                self.wait(worker)
                continue
            outcome = self.results.found[key]
            failed = isinstance(outcome, Failure)
            if outcome is ENDED or (failed and outcome.fatal):
                worker.active, worker.exits = False, failed
            self.hand_out()
            del self.results.found[key]  # no calls from here on, where Ctrl-C could interrupt: the batch is the reader's or ours
            del self.assigned[number]
            if failed:
                try:
                    raise outcome.error()
                finally:
                    del outcome, worker  # the traceback holds this frame
            if outcome is not ENDED:
                return outcome

    def next_number(self) -> int | None:
        """The worker of the task whose batch is returned next or awaited; None if there is none."""
        found = self.results.found
        if not self.in_order:
            came = [number for epoch, number in list(found) if epoch == self.epoch and number in self.assigned]
            if came:
                return came[0]
        for number, (worker, _) in list(self.assigned.items()):
            if worker.active or (self.epoch, number) in found:
                return number
            del self.assigned[number]  # given to a worker that has no more data
        return None

    def wait(self, worker: Worker) -> None:
        """Wait for a result from any worker. RuntimeError after `timeout`, or if the worker has exited."""
        alive = worker.is_alive()
        try:
            self.results.news.get(timeout=(self.timeout or PATIENCE) if alive else 0)
        except queue.Empty:
            if not alive:
                worker.active = False
                raise RuntimeError(worker.end()) from None
            if self.timeout:
                raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None

    def revive(self) -> None:
        """In a forked process, which has none of the threads: give the pending tasks to new ones."""
        if self.iterable:
            raise RuntimeError(
                "the workers that read an iterable dataset are in the process that was forked: create a new iterator"
            )
        for number, old in enumerate(self.workers):
            worker = self.workers[number] = Worker(old.info, self.results, self.how, None)
            worker.active = old.active
            for task, (at, index) in list(self.assigned.items()):
                if at is old:
                    self.assigned[task] = worker, index
                    if (self.epoch, task) not in self.results.found:
                        worker.tasks.put(((self.epoch, task), index))
            worker.start()
        self.forked = False


def _close(results: Results, workers: list[Any]) -> None:
    results.closed = True
    for worker in workers:
        worker.stop()
    until = time.monotonic() + PATIENCE
    for worker in workers:
        worker.join(max(0, until - time.monotonic()))


_readers: weakref.WeakSet[WorkersReader] = weakref.WeakSet()


def _after_fork() -> None:
    for reader in list(_readers):
        reader.forked = True
        found, reader.results = reader.results.found, Results()
        reader.results.found = found
        reader.close.detach()
        reader.close = weakref.finalize(reader, _close, reader.results, reader.workers)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
