"""Running a function for all unit vectors: what the rows of a Jacobian are computed by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl.tensor import Tensor, wrap


def rows_of(
    function: Callable[..., list[Any]], batches: Sequence[Tensor], chunk_size: int | None = None, randomness: str = "error"
) -> list[Any]:
    """The results of ``function(*rows)`` for the rows of the `batches`, stacked."""
    count = len(batches[0]._array)
    found = [function(*[batch[i] for batch in batches]) for i in range(count)]
    return [stacked(column) for column in zip(*found)]


def stacked(rows: Sequence[Any]) -> Any:
    """Tensors one upon another: a new dimension in front. None if they are all None."""
    if rows[0] is None:
        return None
    whole = wrap(np.zeros((len(rows), *rows[0]._array.shape), rows[0]._array.dtype))
    for i, row in enumerate(rows):
        whole[i] = row
    return whole


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
