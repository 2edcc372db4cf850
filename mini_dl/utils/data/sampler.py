"""Samplers: the order in which the samples of a dataset are read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from mini_dl import _dtypes
from mini_dl.kernels.mersenne import Generator
from mini_dl.ops.creation import empty
from mini_dl.ops.from_data import from_data
from mini_dl.ops.random import randint, randperm
from mini_dl.ops.sampling import multinomial
from mini_dl.tensor import wrap

T = TypeVar("T", covariant=True)


class Sampler(Generic[T]):
    """An iterable of indices, or of lists of them. Subclasses define ``__iter__``, and ``__len__`` if it is known.

    Raises: NotImplementedError if a subclass does not.

    >>> class EverySecond(torch.utils.data.Sampler):
    ...     def __iter__(self):
    ...         return iter(range(0, 6, 2))
    >>> [batch.tolist() for batch in torch.utils.data.DataLoader(range(6), sampler=EverySecond())]
    [[0], [2], [4]]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """The indices 0, 1, 2, ... of `data_source`.

    Raises: TypeError on iteration unless `data_source` has a length.

    >>> list(torch.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """All indices in random order (repeatedly, until there are `num_samples`), or independent random ones if `replacement`.

    Raises: TypeError unless `replacement` is a bool; ValueError unless there are samples to draw.

    >>> _ = torch.manual_seed(0)
    >>> list(torch.utils.data.RandomSampler("abcde"))
    [1, 3, 4, 2, 0]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, generator = len(self.data_source), self.generator
        if generator is None:
            generator = Generator().manual_seed(random_seed(None))
        if self.replacement:
            for drawn in itertools.chain(itertools.repeat(32, self.num_samples // 32), (self.num_samples % 32,)):
                yield from randint(high=n, size=(drawn,), generator=generator).tolist()
            return
        for _ in range(self.num_samples // n):
            yield from randperm(n, generator=generator).tolist()
        yield from randperm(n, generator=generator).tolist()[: self.num_samples % n]

    def __len__(self) -> int:
        return self.num_samples


def random_seed(generator: Generator | None) -> int:
    """A seed, from 0 to 2^63 - 1, drawn as torch draws the seeds of samplers and workers."""
    return int(empty((), dtype=_dtypes.int64).random_(generator=generator))


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order.

    Raises: TypeError on iteration unless `indices` is a sequence.

    >>> _ = torch.manual_seed(0)
    >>> list(torch.utils.data.SubsetRandomSampler([5, 6, 7]))
    [7, 5, 6]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each with probability ``weights[i] / sum(weights)``; without `replacement`, none twice.

    Raises: ValueError unless `num_samples` is a positive int, `replacement` a bool and `weights` one-dimensional; RuntimeError
    on iteration for more samples than there are without `replacement`.

    >>> _ = torch.manual_seed(0)
    >>> list(torch.utils.data.WeightedRandomSampler([0.0, 1.0, 9.0], num_samples=5))
    [2, 2, 2, 2, 2]
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = wrap(from_data(weights, np.dtype(np.float64)))
        if self.weights.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}")
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        yield from multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices of another sampler; the last may be shorter, or is dropped if `drop_last`.

    Raises: ValueError unless `batch_size` is a positive int and `drop_last` a bool.

    >>> list(torch.utils.data.BatchSampler(range(8), batch_size=3, drop_last=False))
    [[0, 1, 2], [3, 4, 5], [6, 7]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler: Any = sampler
        self.batch_size, self.drop_last = batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole if self.drop_last else whole + (rest > 0)
