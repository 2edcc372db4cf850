"""The part of a dataset that one of several processes reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar

from mini_dl import _parallel_names
from mini_dl.kernels.mersenne import Generator
from mini_dl.ops.random import randperm
from mini_dl.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]

T = TypeVar("T", covariant=True)


class DistributedSampler(Sampler[T]):
    """Every `num_replicas`-th index from `rank` on, of all indices in order or shuffled by `seed` and epoch (`set_epoch`).

    Some indices are repeated so that all processes read equally many; with `drop_last`, some are dropped instead.

    By default the processes are those of ``torch.distributed``.

    Raises: ValueError unless `rank` is one of them, and without a group of processes; RuntimeError without mpi4py.

    >>> sampler = torch.utils.data.DistributedSampler(range(10), num_replicas=4, rank=1, shuffle=False)
    >>> list(sampler), len(sampler)
    ([1, 5, 9], 3)
    """

    def __init__(
        self, dataset: Any, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True, seed: int = 0,
        drop_last: bool = False,
    ) -> None:  # fmt: skip
        if num_replicas is None or rank is None:
            num_replicas, rank = _of_this_process(num_replicas, rank)
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.epoch, self.drop_last, self.shuffle, self.seed = 0, drop_last, shuffle, seed
        size = len(dataset)
        self.num_samples = size // num_replicas if drop_last else math.ceil(size / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[T]:
        size = len(self.dataset)
        if self.shuffle:
            indices = randperm(size, generator=Generator().manual_seed(self.seed + self.epoch)).tolist()
        else:
            indices = list(range(size))
        while len(indices) < self.total_size and indices:
            indices += indices[: self.total_size - len(indices)]
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Change the shuffling: call it before each epoch."""
        self.epoch = epoch


def _of_this_process(num_replicas: int | None, rank: int | None) -> tuple[int, int]:
    """The number of processes and the rank of this one, if not given."""
    if _parallel_names.processes is None:
        raise RuntimeError("Requires distributed package to be available, or both `num_replicas` and `rank` to be given")
    known = _parallel_names.processes()
    return known[0] if num_replicas is None else num_replicas, known[1] if rank is None else rank
