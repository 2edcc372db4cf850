"""Gradients of memory: a view's part of its base, and the rest of the base after a write through a view.

A gradient of the base has the layout of the base; the view's part of it is then at the view's location in the base's memory.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.autograd import graph
from mini_dl.autograd.places import Layout, Place
from mini_dl.autograd.primitive import linear_in, may_alias_argument, op, view
from mini_dl.autograd.single import as_it_is
from mini_dl.tensor import Tensor, wrap, written


def _ends(layout: Layout) -> tuple[int, int]:
    """The first byte, and the one after the last, relative to the first element."""
    if 0 in layout.shape:
        return 0, 0
    steps = [(n - 1) * step for n, step in zip(layout.shape, layout.strides)]
    return sum([s for s in steps if s < 0]), sum([s for s in steps if s > 0]) + layout.dtype.itemsize


@functools.lru_cache(1024)
def _span(place: Place) -> tuple[int, int, int]:
    """The number of bytes that base and view cover together, and the offset of the first element of each."""
    (low, high), (first, last) = _ends(place.base), _ends(place.view)
    start = min(low, place.offset + first)
    return max(high, place.offset + last) - start, -start, place.offset - start


def _memory(place: Place) -> tuple[Array, Array]:
    """Memory filled with zeros, as arrays with the layouts of the base and of the view."""
    size, at_base, at_view = _span(place)
    memory, (base, view, _) = np.zeros(size, np.uint8), place
    return (
        np.ndarray(base.shape, base.dtype, memory, at_base, base.strides),
        np.ndarray(view.shape, view.dtype, memory, at_view, view.strides),
    )


@functools.lru_cache(1024)
def overlaps(layout: Layout) -> bool:
    """Whether some elements share memory."""
    reach = layout.dtype.itemsize
    for step, n in sorted([(abs(step), n) for n, step in zip(layout.shape, layout.strides) if n > 1]):
        if step < reach:
            return _counts(layout).max(initial=0) > 1
        reach += step * (n - 1)
    return False


def _numbers(layout: Layout) -> Array:
    """For each element, the number of its memory location."""
    size = layout.dtype.itemsize
    where = np.full((1,) * len(layout.shape), -_ends(layout)[0] // size)
    for i, (n, step) in enumerate(zip(layout.shape, layout.strides)):
        where = where + (np.arange(n) * (step // size)).reshape((-1,) + (1,) * (len(layout.shape) - 1 - i))
    return where


def _counts(layout: Layout) -> Array:
    """For each element, the number of elements that share its memory location."""
    numbers = _numbers(layout)
    return np.bincount(numbers.reshape(-1))[numbers] if numbers.size else numbers


def _add(target: Array, values: Array, layout: Layout) -> None:
    """``target += values`` over memory filled with zeros, even if elements of `target` share it."""
    if overlaps(layout):
        numbers = _numbers(layout).reshape(-1)
        sums = np.zeros(numbers.max(initial=-1) + 1, target.dtype)
        np.add.at(sums, numbers, values.reshape(-1))
        values = sums[numbers].reshape(target.shape)
    target[...] = values


def _shared_evenly(values: Array, layout: Layout) -> Array:
    """`values` divided by the number of elements that share the memory of each."""
    return values / _counts(layout).astype(values.real.dtype) if overlaps(layout) else values


@linear_in("input")
@op(input=lambda grad, place: spread(grad, place))
@as_it_is
def shown(input: Array, place: Place) -> Array:
    """The view's part of `input`, which has the layout of its base."""
    base, view = _memory(place)
    _add(base, _shared_evenly(input, place.base), place.base)
    return view.copy()


def filled_in(made: Tensor) -> Tensor:
    """`made`, which counts as written once: torch creates it and then writes into it."""
    written(made)
    return made


@view(input=lambda grad: grad)
def _whole(input: Array) -> Array:
    return input.view()


def strided_gradient(grad: Tensor, place: Place) -> Tensor:
    """The gradient of a base from that of a view: a view, like torch's, of memory that was written after its creation; of a view
    without elements, zeros.
    """
    if 0 in place.view.shape:
        return filled_in(spread(grad.detach(), place))
    return _whole(filled_in(spread(grad, place)))


@linear_in("input")
@op(input=lambda grad, place: shown(grad, place))
@as_it_is
def spread(input: Array, place: Place) -> Array:
    """Zeros like the base, with `input` at the view's location; summed if the view contains a location several times."""
    base, view = _memory(place)
    _add(view, input, place.view)
    return _shared_evenly(base, place.base)


@linear_in("input")
@op(input=lambda grad, place: hidden(grad, place))
@as_it_is
def hidden(input: Array, place: Place) -> Array:
    """`input`, which has the layout of the base, with zeros at the view's location."""
    base, view = _memory(place)
    base[...] = input
    view[...] = 0
    return base


@op(
    base=lambda grad, place: filled_in(hidden(grad, place)),
    source=lambda grad, place: shown(grad, place),
)
@as_it_is
def copy_slices(base: Array, source: Array, place: Place) -> Array:
    """`base` after `source` was written through a view. The memory has been written already."""
    return base


copy_slices.op.grad_name = "torch::autograd::CopySlices"  # type: ignore[attr-defined]


@op(input=lambda grad, place: strided_gradient(grad, place))
@as_it_is
def as_strided(input: Array, place: Place) -> Any:
    """A view of the memory of `input`: `graph.edge_of` records it after a write."""
    return _memory(place)[1]


_whole.op.grad_name = as_strided.op.grad_name = "AsStridedBackward0"  # type: ignore[attr-defined]
graph.AS_STRIDED = as_strided.op  # type: ignore[attr-defined]


def _flat(grad: Tensor) -> Tensor:
    return wrap(np.zeros_like(grad._array))


@may_alias_argument
@op(input=_flat, other=_flat)
@as_it_is
def compared(result: Array, input: Array, other: Array) -> Array:
    """`result`, of a comparison that is written in place: its gradients are zero, and not None."""
    return result
