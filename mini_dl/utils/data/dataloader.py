"""DataLoader: batches of a dataset, in some order, read by this thread or by workers."""

from __future__ import annotations

import importlib
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from mini_dl._guidance import tell_constructor
from mini_dl.kernels.mersenne import Generator
from mini_dl.utils.data.collate import default_collate, default_convert
from mini_dl.utils.data.dataset import Dataset, IterableDataset
from mini_dl.utils.data.reading import Reader, WorkersReader
from mini_dl.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

T = TypeVar("T", covariant=True)


START_METHODS = ["fork", "spawn", "forkserver"]


class _Endless(Sampler[None]):
    """The indices for an iterable dataset: each requests the next sample."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T]):
    """Iterate over `dataset` in batches: shuffled, sampled and collated as in torch, in torch's order for the same seed.

    With `num_workers`, the batches are read ahead by that many threads: nothing is pickled, and NumPy and file reads
    release the GIL. With a `multiprocessing_context` (a start method or a context) they are read by processes, as torch always
    does. Each worker has its own default stream of random numbers, seeded as torch seeds its workers. A thread has a shallow copy
    of the dataset, and does not seed Python's and NumPy's global streams, which all threads share: ``get_worker_info().rng`` has
    its own streams, seeded as worker processes, here and in torch, seed the global ones. A worker's exception is raised here,
    with the worker's traceback as text; if SystemExit, KeyboardInterrupt or GeneratorExit ends a worker, or it is killed, a
    RuntimeError is raised. `pin_memory` and `pin_memory_device` are validated, but have no effect.

    Raises: ValueError for options that contradict each other, are negative, or do not go with an iterable dataset.

    >>> dataset = torch.utils.data.TensorDataset(torch.tensor([1, 2, 3]))
    >>> for batch in torch.utils.data.DataLoader(dataset, batch_size=2):
    ...     print(batch)
    [tensor([1, 2])]
    [tensor([3])]
    """

    _iterator: Any = None
    _initialized = False
    _reported_length: int | None = None  # the length an iterable dataset reported when this loader's length was requested

    def __init__(
        self, dataset: Dataset[T] | Sequence[T], batch_size: int | None = 1, shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None, batch_sampler: Sampler[Any] | Iterable[Any] | None = None,
        num_workers: int = 0, collate_fn: Callable[[Any], Any] | None = None, pin_memory: bool = False,
        drop_last: bool = False, timeout: float = 0, worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: object = None, generator: Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
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
            sized: Any = dataset
            if self._iterable:
                sampler = _Endless()
            else:
                sampler = RandomSampler(sized, generator=generator) if shuffle else SequentialSampler(sized)
        if batch_size is not None and batch_sampler is None:
            indices: Any = sampler
            batch_sampler = BatchSampler(indices, batch_size, drop_last)
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
    def multiprocessing_context(self, context: object) -> None:
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if not isinstance(context, str) and not hasattr(context, "get_start_method"):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start method, "
                    f"but got multiprocessing_context={context}"
                )
            if isinstance(context, str) and context not in START_METHODS:
                raise ValueError(
                    f"multiprocessing_context option should specify a valid start method in {START_METHODS!r}, but got "
                    f"multiprocessing_context={context!r}"
                )
        self._multiprocessing_context = context

    def __setattr__(self, attr: str, val: object) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._initialized and attr in fixed:
            raise ValueError(f"{attr} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(attr, val)

    def _get_iterator(self) -> Reader | WorkersReader:
        if self.num_workers == 0:
            return Reader(self)
        if self.multiprocessing_context is not None:  # imported lazily: it needs the standard multiprocessing
            return importlib.import_module("mini_dl.utils.data.processes").ProcessesReader(self)
        return WorkersReader(self)

    def __iter__(self) -> Iterator[Any]:
        if not self.persistent_workers:
            return self._get_iterator()
        if self._iterator is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator.restart(self)
        return self._iterator

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    @property
    def _how(self) -> tuple[Any, bool, bool]:
        """The settings that reading needs, without the loader: worker threads must not keep it alive."""
        return self.collate_fn, self._auto_collation, self.drop_last

    def __len__(self) -> int:
        if not self._iterable:
            return len(self._index_sampler)
        length = self._reported_length = len(self.dataset)
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


tell_constructor(DataLoader)


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


def _check_iterable(shuffle: object, sampler: object, batch_sampler: object) -> None:
    if shuffle not in (False, None):
        raise ValueError(f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}")
    for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}")
