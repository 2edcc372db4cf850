"""Tensors in memory shared between processes."""

from __future__ import annotations

import gc
import importlib
import sys

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._surface import tensor_method
from mini_dl.kernels.shared import new_shared, shared_root
from mini_dl.ops.pickling import located
from mini_dl.tensor import Tensor, wrap


@tensor_method()
def share_memory_(self: Tensor) -> Tensor:
    """Move the memory of this tensor, and of all tensors that share it, to shared memory: ``out = self``

    Writes by other processes are visible here, and vice versa. Arrays that NumPy got before keep the old memory.

    Family: attribute

    >>> torch.ones(2).share_memory_().is_shared()
    True
    """
    if is_shared(self):
        return self
    importlib.import_module("mini_dl.multiprocessing")  # registers how the standard module sends it; imported lazily
    is_alone = _is_unshared(self)
    memory, _ = located(self._array)
    shared = new_shared(memory.nbytes)
    shared[: memory.nbytes] = memory
    for holder in [self] if is_alone else _holders(memory):
        array = holder._array
        holder._array = np.ndarray(array.shape, array.dtype, shared, located(array)[1], array.strides)
    return self


@tensor_method()
def is_shared(self: Tensor) -> bool:
    """Whether other processes can see this memory: ``out = True`` after `share_memory_`.

    Family: attribute

    >>> torch.ones(2).is_shared()
    False
    """
    return shared_root(self._array) is not None


def _holders(memory: Array) -> list[Tensor]:
    """The tensors that share this memory, found among all that exist."""
    start = memory.ctypes.data
    tensors = [each for each in gc.get_objects() if issubclass(type(each), Tensor) and "_array" in vars(each)]
    return [each for each in tensors if _starts_at(each._array, start)]


def _starts_at(array: Array, start: int) -> bool:
    return shared_root(array) is None and located(array)[0].ctypes.data == start


def _is_unshared(tensor: Tensor) -> bool:
    """Whether certainly no other tensor shares this one's memory."""
    return _references(tensor) <= (_ALONE if tensor._array.base is None else _ALONE_IN_VIEW)


def _references(tensor: Tensor) -> int:
    """The number of references to the array that owns the memory of `tensor`."""
    owner = tensor._array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return sys.getrefcount(owner)


_ALONE = _references(wrap(np.zeros(2)))
_ALONE_IN_VIEW = _references(wrap(np.zeros(2)[1:]))
"""Their number if nothing else shares it."""
