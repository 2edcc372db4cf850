"""Running a function on all unit vectors together: this computes the rows of a Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl.autograd.batching import Batched
from mini_dl.autograd.elements import setting
from mini_dl.autograd.transforms import wrap_at
from mini_dl.tensor import Tensor, wrap


def rows_of(
    function: Callable[..., list[Any]], batches: Sequence[Tensor], chunk_size: int | None = None, randomness: str = "error"
) -> list[Any]:
    """The results of ``function(*rows)`` for the rows of the `batches`, stacked; `chunk_size` rows at a time."""
    count = len(batches[0]._array)
    if chunk_size is None or chunk_size >= count:
        return together(function, batches, randomness)
    parts = [
        together(function, [batch[start : start + chunk_size] for batch in batches], randomness)
        for start in range(0, count, chunk_size)
    ]
    return [None if column[0] is None else setting.cat(column) for column in zip(*parts)]


def together(function: Callable[..., list[Any]], batches: Sequence[Tensor], randomness: str) -> list[Any]:
    """The results for all rows of the `batches` in one call."""
    with Batched(len(batches[0]._array), randomness) as level:
        found = function(*[wrap_at(level, batch, 0) for batch in batches])
    return [outside(level, one) for one in found]


def outside(level: Batched, result: object) -> Any:
    """A result of the level as a tensor of the level below, with the batch in front. None stays None."""
    if not isinstance(result, Tensor):
        return result
    return result._value if result._level is level else result.expand(level.size, *result._array.shape)


def basis_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The unit vectors of the space of all elements of several tensors, as one batch for each."""
    sizes = [tensor._array.size for tensor in tensors]
    total, at, made = sum(sizes), 0, []
    for tensor, size in zip(tensors, sizes):
        unit = np.zeros((total, size), tensor._array.dtype)
        unit[np.arange(at, at + size), np.arange(size)] = 1
        made.append(wrap(unit.reshape(total, *tensor._array.shape)))
        at += size
    return made
