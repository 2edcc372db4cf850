"""The order of a copy in memory: repeated dimensions, as after `expand`, stay where they are. NumPy puts them innermost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Array: TypeAlias = np.ndarray[tuple[Any, ...], np.dtype[Any]]
"""NumPy's `NDArray[Any]`: to import `numpy.typing` would take 2 ms."""


def memory_order(array: Array) -> list[int]:
    """The axes of `array`, from the largest step in memory to the smallest; those without one, as after `expand`, are kept."""
    order, steps = list(range(array.ndim)), [abs(step) for step in array.strides]
    for start in range(array.ndim - 2, -1, -1):
        here = start
        for behind in range(start + 1, array.ndim):
            step, other = steps[order[here]], steps[order[behind]]
            if step and other and step < other:
                order[here], order[behind] = order[behind], order[here]
                here = behind
            elif step > other and other:
                break
    return order


def empty_in_order(array: Array, dtype: DTypeLike) -> Array:
    """An uninitialized array of the shape and the order of `array`."""
    if array.__class__ is not np.ndarray or 0 not in array.strides:
        return np.empty_like(array, dtype)
    axes = memory_order(array)
    return np.empty([array.shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))


def copied(array: Array) -> Array:
    """A copy in the order of `array`."""
    return converted(array, array.dtype)


def converted(array: Array, dtype: DTypeLike, copy: bool = True) -> Array:
    """A copy of another type in the order of `array`; `array` itself if it has the type and need not be copied. What the type
    cannot hold is cast without a warning."""
    wanted = np.dtype(dtype)
    array = on_the_way(array, wanted)
    given = array.dtype
    if given == wanted:
        if not copy:
            return array
    elif wanted.itemsize <= 2 or not (given.kind in "iub" or (given.kind == wanted.kind and given.itemsize < wanted.itemsize)):
        with np.errstate(all="ignore"):
            return _cast(array, wanted)
    return _cast(array, wanted)


def on_the_way(array: Array, target: np.dtype[Any]) -> Array:
    """`array`, in float32 if it is to be rounded from float64 to float16: torch rounds twice."""
    if array.dtype.char == "d" and target.char == "e":
        with np.errstate(all="ignore"):
            return array.astype(np.float32)
    return array


def _cast(array: Array, dtype: DTypeLike) -> Array:
    if array.__class__ is not np.ndarray or 0 not in array.strides:
        return array.astype(dtype)
    made = empty_in_order(array, dtype)
    np.copyto(made, array, casting="unsafe")
    return made
