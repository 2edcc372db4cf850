"""Copies of arrays in another order: shared among threads, and without conflicts in the cache."""

from __future__ import annotations

import functools
import math

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.blocks import BLOCK, LARGE, LINE, Scratch, in_slices, split
from mini_dl.kernels.parallel import get_num_threads, share_calls

CONFLICT = 2048
"""Rows that are a multiple of so many bytes apart compete for a few lines of the first-level cache."""
_ROWS = 64
"""As many are read side by side."""
_APART = Scratch()
_LARGE = 1 << 22
"""Bytes from which threads share a copy in the same order."""
_RUN_STARTS = 48
"""The number of elements that take as long to copy as a run of memory takes to begin."""


def copy(target: Array, source: Array) -> None:
    """``target[...] = source``, of one shape and type. Large copies are shared: transposing takes as long as several passes."""
    if target.flags.f_contiguous:
        target, source = target.T, source.T
    if target.ndim < 2 or source.strides[-1] == target.strides[-1]:
        if len(target) < 2 or target.nbytes * (1 + _RUN_STARTS) < _LARGE or target.nbytes * _runs_cost(target, source) < _LARGE:
            np.copyto(target, source)
        else:
            share_calls(np.copyto, [(target[part], source[part]) for part in split(len(target), get_num_threads())])
    else:
        in_slices(lambda part: turn(target[part], source[part]), len(target), target.size // max(1, len(target)))


def _runs_cost(target: Array, source: Array) -> int:
    """How many times as long as one run of memory a copy takes."""
    run, size = 1, target.itemsize
    for count, step, other in zip(target.shape[::-1], target.strides[::-1], source.strides[::-1]):
        if not step == other == size * run:
            break
        run *= count
    return 1 + _RUN_STARTS // run


def compact(array: Array) -> Array:
    """A contiguous copy."""
    if array.size < BLOCK or array.__class__ is not np.ndarray:
        return array.copy("C")
    out = np.empty(array.shape, array.dtype)
    copy(out, array)
    return out


def reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    """A view in another shape, or a copy where the memory does not allow it."""
    if array.size >= LARGE and not array.flags.c_contiguous:
        try:
            return array.reshape(shape, copy=False)
        except ValueError:
            return compact(array).reshape(shape)
        except TypeError:  # NumPy 2.0
            pass
    return array.reshape(shape)


def turn(target: Array, source: Array) -> None:
    """``target[...] = source``, which have the same shape. Neighbors along the last dimension that are in conflict in `source`
    are moved apart first, an odd number of lines: a sixth to a half of the time."""
    last = source.strides[-1] if source.ndim > 1 else 0
    if not last or last % CONFLICT or source.shape[-1] < 16 or min(map(abs, source.strides)) == last:
        np.copyto(target, source)
        return
    order, back = _orders(source.strides)
    at, line = back[-1], LINE // source.itemsize
    for start in range(0, source.shape[-1], _ROWS):
        part = source[..., start : start + _ROWS].transpose(order)
        size = math.prod(part.shape[at + 1 :])
        pitch = (-(-size // line) | 1) * line
        apart = _APART.of((*part.shape[: at + 1], pitch), source.dtype)[..., :size].reshape(part.shape)
        np.copyto(apart, part)
        np.copyto(target[..., start : start + _ROWS], apart.transpose(back))


@functools.lru_cache(256)
def _orders(strides: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The axes in the order of memory, and the places of the axes in it."""
    axes = range(len(strides))
    order = sorted(axes, key=lambda axis: -abs(strides[axis]))
    return order, sorted(axes, key=order.__getitem__)
