"""Batching rules for indexing: if the indices are batched too, the element's number is one more index."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._checks import broadcast_shapes
from mini_dl.autograd import memory
from mini_dl.autograd.batching import Call, rule_for
from mini_dl.autograd.memory import _span
from mini_dl.autograd.places import Layout, Place, layout_of
from mini_dl.autograd.tangents import part_of
from mini_dl.kernels.indexing import Indices
from mini_dl.ops import gathering
from mini_dl.ops.batching import loop, loop_with_warning, ranked
from mini_dl.ops.choice import where
from mini_dl.ops.classification import _pick, _unpick
from mini_dl.ops.embedding import _embedding, _rows_at, _rows_summed
from mini_dl.ops.filling import _copied, _fill
from mini_dl.ops.indexing import _index, _index_place, _index_put
from mini_dl.ops.masks import _masked_fill, _masked_scatter, _masked_select
from mini_dl.ops.memory import _as_strided, as_strided
from mini_dl.ops.sorting import _median_of_all, _middle
from mini_dl.tensor import Tensor, wrap


def numbers(size: int, rank: int = 0) -> Tensor:
    """The number of each element of the batch, (B, 1, ...)."""
    return wrap(np.arange(size).reshape(size, *(1,) * rank))


# ------------------------------------------------------------------------------------------------ brackets


class Choice:
    """What `indices` select from elements of a shape: the positions of the selected dimensions in a result, and the batch's
    indices.
    """

    def __init__(self, call: Call, at: int) -> None:
        indices, batched = call.args[at], call.batched[at]
        batched = batched if type(batched) is list else [False] * len(indices)
        used = [i for i, index in enumerate(indices) if index is not None]
        shapes = [tuple(indices[i]._array.shape[1 if batched[i] else 0 :]) for i in used]
        self.shape = broadcast_shapes(*shapes)
        """of the selected dimensions"""
        self.together = used[-1] - used[0] == len(used) - 1
        self.start = used[0] if self.together else 0
        """their position in the result of an element"""
        self.of_all = any(batched)
        """whether each element has its own indices"""
        rank = len(self.shape)
        if self.of_all:
            rest = [index if index is None else ranked(index, has, rank) for index, has in zip(indices, batched)]
            self.indices: Indices = [numbers(call.size, rank), *rest]
            moved = [*range(1, 1 + rank)], [*range(1 + self.start, 1 + self.start + rank)]
            self.move: Any = moved if self.start and rank else None
        else:
            self.indices = [None, *indices]
            self.move = None if self.together or not rank else (rank, 0)
        """NumPy puts these dimensions first, or the batch after them: where they move from in its result, and where to."""

    def arranged(self, found: Tensor) -> Tensor:
        """The result of `_index` for `indices`, with dimensions ordered as in the result of an element, after the batch."""
        return found if self.move is None else found.movedim(*self.move)

    def as_found(self, values: Tensor) -> Tensor:
        """The inverse of `arranged`."""
        return values if self.move is None else values.movedim(*self.move[::-1])

    def of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what is chosen of an element of that shape."""
        skipped = [None] * (len(shape) - len(self.indices) + 1)
        kept = [n for n, index in zip(shape, [*self.indices[1:], *skipped]) if index is None]
        return (*kept[: self.start], *self.shape, *kept[self.start :])


@rule_for(_index)
def _index_on_batch(call: Call) -> Tensor:
    choice = Choice(call, 1)
    return choice.arranged(_index(call.front(0), choice.indices))


@rule_for(_index_place)
def _index_place_on_batch(call: Call) -> Tensor:
    choice, shape = Choice(call, 1), call.args[2]
    chosen = choice.of(shape)
    values = ranked(call.front(0), True, len(chosen)).expand(call.size, *chosen)
    return _index_place(choice.as_found(values), choice.indices, (call.size, *shape))


@rule_for(_index_put)
def _index_put_on_batch(call: Call) -> Tensor:
    _, _, _, accumulate = call.args
    choice, input = Choice(call, 1), call.front(0)
    chosen = choice.of(input._array.shape[1:])
    values = ranked(call.front(2), True, len(chosen)).expand(call.size, *chosen)
    return _index_put(input, choice.indices, choice.as_found(values), accumulate)


# ------------------------------------------------------------------------------------------------ along a dimension


def _spread(index: Tensor, like: Tensor, dim: int) -> Tensor:
    """Indices (B, n) along dimension `dim` of the elements of `like`, expanded to all its other dimensions."""
    shape = list(like._array.shape)
    shape[dim + 1] = index._array.shape[1]
    return index.reshape(len(index), *[-1 if d == dim else 1 for d in range(len(shape) - 1)]).expand(shape)


@rule_for(gathering._index_select)
def _index_select_on_batch(call: Call) -> Tensor:
    input, dim, index = call.args
    if not call.batched[2]:
        return call.run(input, dim + 1, index) if call.ndim(0) else loop(call)
    if not call.ndim(0):
        return loop(call)
    input = call.front(0)
    index = index.reshape(call.size, -1)
    return gathering._gather(input, dim + 1, _spread(index, input, dim))


def _written_at(call: Call, by_index: object) -> Any:
    """`index_add` and similar: the corresponding scatter if each element has its own indices."""
    dim, index = call.args[1:3]
    if not call.ndim(0):
        return loop(call)
    if not call.batched[2]:
        return call.run(call.front(0), dim + 1, index, call.front(3), *call.args[4:])
    return _scattered(call, by_index, *call.args[4:])


def _scattered(call: Call, scatter: Any, *more: object) -> Any:
    """Values written at per-element indices."""
    dim, input, values = call.args[1], call.front(0), call.front(3)
    indices = _spread(call.front(2).reshape(call.size, -1), input, dim)
    return scatter(input, dim + 1, indices, ranked(values, True, input._array.ndim - 1).expand(indices._array.shape), *more)


@rule_for(gathering._index_add)
def _index_add_on_batch(call: Call) -> Any:
    return _written_at(call, gathering._scatter_add)


@rule_for(gathering._index_copy)
def _index_copy_on_batch(call: Call) -> Any:
    return _written_at(call, gathering._scatter)


@rule_for(gathering._index_reduce)
def _index_reduce_on_batch(call: Call) -> Any:
    return _written_at(call, gathering._scatter_reduce)


@rule_for(gathering._index_fill)
def _index_fill_on_batch(call: Call) -> Any:
    input, dim, index, value = call.args
    if not call.ndim(0):
        return loop(call)
    if not call.batched[2] and not call.batched[3]:
        return call.run(input, dim + 1, index, value)
    return _scattered(call, gathering._scatter)


@rule_for(gathering._take)
def _take_on_batch(call: Call) -> Tensor:
    input, index = call.front(0).reshape(call.size, -1), call.args[1]
    rank = call.ndim(1)
    return _index(input, [numbers(call.size, rank), index])


rule_for(gathering._put, _masked_scatter)(loop_with_warning)


@rule_for(_masked_fill)
def _masked_fill_on_batch(call: Call) -> Tensor:
    """With one value per element, `where` on two tensors: the primitive takes a single number."""
    input, mask, value = call.front(0), call.args[1], call.args[2]
    rank = max(call.ndim(0), call.ndim(1))
    input, mask = ranked(input, True, rank), ranked(mask, call.batched[1], rank)
    if not call.batched[2]:
        return call.run(input, mask, value)
    return where(mask, ranked(value, True, rank), input)


@rule_for(_fill)
def _fill_on_batch(call: Call) -> Tensor:
    input, value = call.front(0), call.args[1]
    if not call.batched[1]:
        return call.run(input, value)
    return _copied(input, ranked(value, True, call.ndim(0)))


@rule_for(_masked_select)
def _masked_select_on_batch(call: Call) -> Tensor:
    """With one mask for all, the same positions of each element."""
    input, mask = call.args
    if call.batched[1]:
        return loop_with_warning(call)
    shape = broadcast_shapes(input._array.shape[1:], mask._array.shape)
    flat = ranked(input, True, len(shape)).expand(call.size, *shape).reshape(call.size, -1)
    return flat.index_select(1, mask.expand(shape).reshape(-1).nonzero().squeeze(1))


# ------------------------------------------------------------------------------------------------ memory positions


def _batched_place(place: Place, size: int) -> Place:
    """The position of a view in a batch of consecutive bases."""
    step = -(-_span(place)[0] // place.base.dtype.itemsize) * place.base.dtype.itemsize
    layouts = [Layout((size, *of.shape), (step, *of.strides), of.dtype) for of in (place.base, place.view)]
    return Place(layouts[0], layouts[1], place.offset)


@rule_for(memory.shown, memory.spread, memory.hidden, memory.copy_slices, memory.as_strided)
def _in_memory(call: Call) -> Tensor:
    *_, place = call.args
    fronts = [call.front(i) for i in range(len(call.args) - 1)]
    return call.run(*fronts, _batched_place(place, call.size))


@rule_for(part_of)
def _part_of_batch(call: Call) -> Tensor:
    input, place = call.args
    step, (shape, strides, dtype) = input._array.strides[0], place.view
    return part_of(input, Place(layout_of(input._array), Layout((call.size, *shape), (step, *strides), dtype), place.offset))


@rule_for(_as_strided)
def _as_strided_on_batch(call: Call) -> Tensor:
    """Each element is read at the same offset from its start in the memory of the batch."""
    input, size, stride, offset, _ = call.args
    step = input._array.strides[0] // input._array.itemsize
    return as_strided(input, (call.size, *size), (step, *stride), offset)


# ------------------------------------------------------------------------------------------------ rows of a table


def _numbered(call: Call, index: Tensor, at: int, rows: int) -> Tensor:
    """Indices into tables of that many rows, one table per element, concatenated."""
    return index + numbers(call.size, call.ndim(at)) * rows


@rule_for(_rows_at)
def _rows_at_on_batch(call: Call) -> Tensor:
    table, index = call.args
    if not call.batched[0]:
        return _rows_at(table, index)
    rows = table._array.shape[1]
    return _rows_at(table.reshape(-1, table._array.shape[2]), _numbered(call, index, 1, rows))


@rule_for(_rows_summed)
def _rows_summed_on_batch(call: Call) -> Tensor:
    rows, count = call.front(0), call.args[2]
    index = _numbered(call, call.args[1], 1, count)
    return _rows_summed(rows, index, count * call.size).reshape(call.size, count, rows._array.shape[-1])


@rule_for(_embedding)
def _embedding_on_batch(call: Call) -> Tensor:
    weight, indices, padding_idx, by_frequency = call.args
    if not call.batched[0]:
        return _embedding(weight, indices, padding_idx, by_frequency)
    if padding_idx >= 0 or by_frequency:
        return loop(call)
    rows = weight._array.shape[1]
    return _rows_at(weight.reshape(-1, weight._array.shape[2]), _numbered(call, indices, 1, rows))


@rule_for(_pick)
def _pick_on_batch(call: Call) -> Tensor:
    return call.front(0).gather(2, call.front(1).unsqueeze(2)).squeeze(2)


@rule_for(_unpick)
def _unpick_on_batch(call: Call) -> Tensor:
    values, index, classes = call.front(0).unsqueeze(2), call.front(1).unsqueeze(2), call.args[2]
    zeros = wrap(np.zeros((*values._array.shape[:2], classes), values._array.dtype))
    return gathering._scatter(zeros, 2, index, values)


@rule_for(_median_of_all)
def _median_of_all_on_batch(call: Call) -> Tensor:
    rows = call.args[0].reshape(call.size, -1)
    place = _middle(rows, 1, call.args[1])
    return rows.gather(1, place).squeeze(1)
