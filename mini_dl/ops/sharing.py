"""Tensors in memory that several processes see."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Any

import numpy as np

from mini_dl._surface import tensor_method
from mini_dl.kernels.shared import new_shared, shared_root
from mini_dl.ops.pickling import located
from mini_dl.tensor import Tensor


@tensor_method()
def share_memory_(self: Tensor) -> Tensor:
    """Move the memory of this tensor, and of all that look into it, to where other processes see it; return this tensor.

    What they write there is seen here, and the reverse. Arrays that NumPy got before keep the old memory.

    >>> import mini_dl as torch
    >>> torch.ones(2).share_memory_().is_shared()
    True
    """
    if is_shared(self):
        return self
    importlib.import_module("mini_dl.multiprocessing")  # which tells the standard one how to send it; loaded when needed
    memory, _ = located(self._array)
    shared = new_shared(memory.nbytes)
    shared[: memory.nbytes] = memory
    for holder in _holders(self):
        array = holder["_array"]
        there, offset = located(array)
        if there.ctypes.data == memory.ctypes.data:
            holder["_array"] = np.ndarray(array.shape, array.dtype, shared, offset, array.strides)
    return self


@tensor_method()
def is_shared(self: Tensor) -> bool:
    """Whether other processes can see this memory."""
    return shared_root(self._array) is not None


def _holders(tensor: Tensor) -> list[dict[str, Any]]:
    """The attributes of this tensor, and of all that look into the same memory: they have one counter of writes."""
    counter = tensor._counter
    own = vars(tensor)
    if counter is None or sys.getrefcount(counter) <= 3:  # this tensor, the variable here, the argument
        return [own]
    found = [vars(each) if isinstance(each, Tensor) else each for each in gc.get_referrers(counter)]
    others = [each for each in found if isinstance(each, dict) and each.get("_counter") is counter and "_array" in each]
    return list({id(each): each for each in (own, *others)}.values())
