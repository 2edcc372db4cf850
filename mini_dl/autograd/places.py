"""Where a view lies in the memory of its base."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import Array


class Layout(NamedTuple):
    """How elements lie in memory: `strides` in bytes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


class Place(NamedTuple):
    """Where a view lies: its first element `offset` bytes from that of the base."""

    base: Layout
    view: Layout
    offset: int


def layout_of(array: Array) -> Layout:
    return Layout(array.shape, array.strides, array.dtype)


def place_of(view: Array, base: Array) -> Place:
    offset = 0
    # a tensor that was given another's memory, by `set_` or `data`, counts as looking where its base begins
    if view.size and base.size and (view.base is base or view.base is base.base or np.may_share_memory(view, base)):
        offset = address_of(view) - address_of(base)
    return Place(layout_of(base), layout_of(view), offset)


def address_of(array: Array) -> int:
    """Where the first element lies."""
    if array.flags.writeable:  # a third of the time that `__array_interface__` takes
        return ctypes.addressof(ctypes.c_char.from_buffer(array[(0,) * array.ndim + (...,)]))  # type: ignore[arg-type]
    return int(array.__array_interface__["data"][0])
