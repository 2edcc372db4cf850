"""Steps of optimizers over arrays: arithmetic in place, and pieces that stay in the cache.

The target may also be a recording stand-in (see `mini_dl.optim._recorded`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels import blas
from mini_dl.kernels.blocks import Scratch


def with_penalty(grad: Array, param: Array, weight_decay: float, maximize: bool, buffer: Any, out: Any) -> Array:
    """The gradient for the step: `grad`, or its negative, plus that of ``weight_decay / 2 * param ** 2``."""
    if maximize:
        grad = np.negative(grad, out=out)
    if weight_decay != 0:
        grad = np.add(grad, np.multiply(param, weight_decay, out=buffer), out=out)
    return grad


def add_scaled(target: Any, value: Any, weight: Any, buffer: Any, keep: float | None = None) -> None:
    """``target += weight * value``, or ``target = keep * target + weight * value``"""
    if type(target) is not np.ndarray:  # recorded
        target.add_scaled(value, weight, keep)
        return
    if target.size > SMALL and blas.add_scaled(weight, value, 1 if keep is None else keep, target):
        return
    if keep is not None:
        target *= keep
    target += value if weight == 1 else np.multiply(value, weight, out=buffer)


def mean_towards(mean: Array, value: Array, weight: float, buffer: Any) -> None:
    """``mean += weight * (value - mean)``"""
    difference = np.subtract(value, mean, out=buffer)
    add_scaled(mean, difference, weight, difference)


def square_towards(square: Array, value: Array, decay: float, buffer: Any) -> None:
    """``square = decay * square + (1 - decay) * value ** 2``"""
    squared = np.multiply(value, value, out=buffer)
    add_scaled(square, squared, 1 - decay, squared, decay)


def step_by_root(
    param: Array, numerator: Array, square: Array, floor: float, rate: float, buffer: Any, keep: float | None = None
) -> None:
    """``param = keep * param - rate * numerator / (sqrt(square) + floor)``; `square` may be the buffer."""
    np.sqrt(square, out=buffer)
    buffer += floor
    np.divide(numerator, buffer, out=buffer)
    add_scaled(param, buffer, -rate, buffer, keep)


# ------------------------------------------------------------------------------------------------ pieces

BLOCK = 3 << 16
"""Elements in one pass: few enough for a buffer to stay in the cache, and enough for two threads to run side by side."""
SMALL = 1 << 14
"""Elements up to which the buffers of a shape are kept for the next array of that shape."""
SHAPES = 64
"""The number of shapes whose buffers are kept."""
MOST_BUFFERS = 3
"""The number of buffers that an update may request."""
BUFFERS = [Scratch() for _ in range(MOST_BUFFERS)]


def in_pieces(buffers: int, param: Array, *others: Array | None) -> Iterator[tuple[Any, ...]]:
    """Arrays of one shape in pieces, with `buffers` scratch arrays for each; complex ones as real and imaginary parts."""
    arrays = (param, *others)
    if not param.ndim:  # as a vector: operations on 0-d arrays give scalars, which cannot be written to
        vectors: Any = [None if a is None else a.reshape(1) for a in arrays]
        yield from in_pieces(buffers, *vectors)
    elif param.dtype.kind == "c":
        for part in (np.real, np.imag):
            parts: Any = [None if a is None else part(a) for a in arrays]
            yield from in_pieces(buffers, *parts)
    elif param.size <= SMALL or not all([a is None or a.flags.c_contiguous for a in (param, *others[1:])]):
        yield (*arrays, *[np.empty(param.shape, param.dtype) for _ in range(buffers)])  # the written arrays: all except grad
    elif param.size <= BLOCK:
        yield (*arrays, *[memory.of(param.shape, param.dtype) for memory in BUFFERS[:buffers]])
    else:
        flat = [None if a is None else a.reshape(-1) for a in arrays]
        size = -(-param.size // -(-param.size // BLOCK))
        whole = param.size - param.size % size
        spare = [memory.of((size,), param.dtype) for memory in BUFFERS[:buffers]]
        rows = [repeat(None) if a is None else a[:whole].reshape(-1, size) for a in flat]
        yield from zip(*rows, *[repeat(b) for b in spare])  # faster than slices, for which the other thread would wait
        if whole < param.size:
            yield (*[None if a is None else a[whole:] for a in flat], *[b[: param.size - whole] for b in spare])
