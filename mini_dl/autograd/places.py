"""The location of a view in the memory of its base."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._dtypes import Array, NumpyType, buffer_of


class Layout(NamedTuple):
    """The memory layout of elements: `strides` in bytes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: NumpyType


class Place(NamedTuple):
    """The location of a view: its first element is `offset` bytes from that of the base."""

    base: Layout
    view: Layout
    offset: int


def layout_of(array: Array) -> Layout:
    return Layout(array.shape, array.strides, array.dtype)


def place_of(view: Array, base: Array) -> Place:
    # a tensor given another's memory, by `set_` or `data`, counts as starting where its base starts
    owner = view.base
    together = (owner is not None and (owner is base or owner is base.base)) or np.may_share_memory(view, base)
    offset = address_of(view) - address_of(base) if together and view.size and base.size else 0
    return Place(layout_of(base), layout_of(view), offset)


def address_of(array: Array) -> int:
    """The address of the first element."""
    if array.flags.writeable:  # three times as fast as `__array_interface__`
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer_of(array[(0,) * array.ndim + (...,)])))  # type: ignore[arg-type]
    if is_abstract(array):
        return address_of(array.memory)
    return int(array.__array_interface__["data"][0])


def reopened(array: Array) -> Array:
    """A view that may be written to, of an array that is read-only because its tensor has a tangent; `array` if its memory is."""
    if array.base is None or not array.base.flags.writeable:
        return array
    out = array.view()
    out.flags.writeable = True
    return out


def owner_of(array: Array) -> Array:
    """The array whose memory `array` shares, or itself."""
    while True:
        base = getattr(array.base, "base", None) if type(array.base).__name__ == "DummyArray" else array.base  # of np.as_strided
        if not isinstance(base, np.ndarray):
            return array
        array = base


def memory_of(array: Array) -> Array:
    """The memory of `array`: all bytes of its owner."""
    if is_abstract(array):
        array = array.memory
    array = owner_of(array)
    if not array.flags.c_contiguous:
        if not array.flags.f_contiguous:
            low, high = np.lib.array_utils.byte_bounds(array)
            start = array[tuple([-1 if stride < 0 else 0 for stride in array.strides]) + (...,)]
            return np.lib.stride_tricks.as_strided(start.reshape(1).view(np.uint8), (high - low,), (1,))
        array = array.T
    return np.ndarray((array.nbytes,), np.uint8, buffer_of(array))


def offset_of(array: Array) -> int:
    """The offset of `array` in its memory, in elements."""
    if is_abstract(array):
        array = array.memory
    return (array.__array_interface__["data"][0] - memory_of(array).__array_interface__["data"][0]) // (array.itemsize or 1)


def resized(array: Array, shape: tuple[int, ...]) -> Array:
    """`array` in another shape, compact: in its memory if that is large enough, else in new memory that starts with the old
    contents.
    """
    memory, start = memory_of(array), offset_of(array) * array.itemsize
    needed = start + math.prod(shape) * array.itemsize
    if needed > memory.nbytes:
        grown = np.empty(needed, np.uint8)
        grown[: memory.nbytes] = memory
        memory = grown
    return array_in(memory, shape, array.dtype, start)


def array_in(memory: Array, shape: tuple[int, ...], dtype: NumpyType, start: int, strides: Sequence[int] | None = None) -> Array:
    """The array at byte `start` of `memory`, with `strides` in bytes; without elements, it may start anywhere, as in torch."""
    return np.ndarray(shape, dtype, memory, 0 if 0 in shape else start, strides)
