"""Reading, writing and combining elements of arrays by integer indices."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from mini_dl._checks import fits
from mini_dl._dtypes import FLOATING, INDEX_TYPES, INEXACT, Array, NumpyType, scalar_name
from mini_dl.kernels.blocks import BITS, BLOCK, LARGE, in_slices, slices
from mini_dl.kernels.copying import compact, copy, reshaped

Indices = list[Any]
"""One entry per dimension: None for all of it, or the integers (a Tensor; in forward bodies an array) that select from it."""

# ------------------------------------------------------------------------------------------------ meaning of an index


WHOLE = slice(None)

# ------------------------------------------------------------------------------------------------ selection by integers


def key_of(indices: Indices) -> tuple[Any, ...]:
    return tuple([WHOLE if i is None else i for i in indices])


def index_error(error: IndexError, shapes: list[tuple[int, ...]]) -> IndexError:
    """NumPy's error in torch's words."""
    text = str(error)
    if text.startswith("shape mismatch"):
        return IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join(str(list(s)) for s in shapes)
        )
    return IndexError(text.replace("axis", "dimension"))


def selected_shape(shape: tuple[int, ...], indices: Indices) -> tuple[int, ...]:
    """The shape of what is selected, by indices in range or not. IndexError if they select from a dimension without elements."""
    if any([i is not None and i.size and not n for i, n in zip(indices, shape)]):
        raise IndexError("index is out of bounds for dimension with size 0")
    wide = [n if at >= len(indices) or indices[at] is None else 1 for at, n in enumerate(shape)]
    first = [None if i is None else np.zeros_like(i) for i in indices]
    return np.broadcast_to(np.int8(0), wide)[key_of(first)].shape


def empty_selection(shape: tuple[int, ...], indices: Indices) -> tuple[int, ...] | None:
    """The shape of a result without elements, for which no index can be out of range; None if the result has elements."""
    found = selected_shape(shape, indices)
    return found if 0 in found else None


_MANY = 1 << 17
"""Numbers from which it pays to sort indices of another dimension than the first, and to turn slices."""


def chosen_along(input: Array, indices: Indices) -> Array | None:
    """The selection by a single index, not of the first dimension, in a tenth to a half of the time of NumPy's indexing; None for
    others, for indices out of range, and from nothing, of which NumPy's `take` checks none."""
    dim, others = 0, [i for i in indices if i is not None]
    if not input.size:
        return None
    while indices[dim] is None:
        dim += 1
    if len(others) > 1 or not dim or not others[0].ndim or not input.flags.c_contiguous:
        return None
    try:
        return taken(input, others[0], dim)
    except IndexError:  # which names another dimension
        return None


def taken(input: Array, index: Array, dim: int) -> Array:
    """``input.take(index, dim)``, which threads share if it is large."""
    n = input.shape[dim]
    if index.size * input.size <= LARGE * n or not input.flags.c_contiguous:
        return input.take(index, dim)
    flat, before, after = index.reshape(-1), math.prod(input.shape[:dim]), math.prod(input.shape[dim + 1 :])
    unsigned = flat.astype(np.int64).view(np.uint64)  # negative ones are large
    if unsigned[unsigned.argmax()] >= n:  # for NumPy to judge
        return input.take(index, dim)
    out = np.empty((*input.shape[:dim], *index.shape, *input.shape[dim + 1 :]), input.dtype)
    source, target = input.reshape(before, n, after), out.reshape(before, len(flat), after)
    if before == 1:
        in_slices(lambda part: source[0].take(flat[part], 0, target[0, part], "clip"), len(flat), after)
    else:
        in_slices(lambda part: source[part].take(flat, 1, target[part], "clip"), before, len(flat) * after)
    return out


def add_along(out: Array, dim: int, index: Array, values: Array) -> None:
    """``out[index[i]] += values[i]`` along `dim`"""
    if values.size >= _MANY and out.flags.c_contiguous:
        n, after = out.shape[dim], math.prod(out.shape[dim + 1 :])
        images = out.reshape(-1, n, after)
        if _add_in_rounds(images, index, reshaped(values, (len(images), len(index), after))):
            return
    rows, added = np.moveaxis(out, dim, 0), np.moveaxis(values, dim, 0)
    if dim and dim == out.ndim - 1 and values.size >= _MANY:  # slices whose numbers are apart in memory
        turned = compact(rows)
        add_rows(turned, index, compact(added))
        copy(rows, turned)
    else:
        add_rows(rows, index, added)


def _add_in_rounds(images: Array, index: Array, values: Array) -> bool:
    """``images[:, index[i]] += values[:, i]``, for (B, n, m), in rounds without repeats, if few suffice and each reaches many.

    What a round adds is taken in the order of the images' rows, with -0 where it adds nothing."""
    counts = np.bincount(index, minlength=images.shape[1])
    most = int(counts.max())
    if most > ROUNDS or 2 * most * len(counts) > 5 * len(index):
        return False
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(counts)
    sources = [np.where(counts > i, order.take(ends - counts + i, mode="clip"), len(index)) for i in range(most)]
    whole = bool(counts.min() == most)
    if len(images) == 1:
        if whole:
            _add_all_rows(images[0], sources, values[0])
        return whole

    def add(part: slice) -> None:
        target, added = images[part], values[part]
        if not whole:
            padded = np.empty((len(added), len(index) + 1, added.shape[2]), added.dtype)
            padded[:, :-1], padded[:, -1] = added, -0.0
            added = padded
        for source in sources:
            np.add(target, added.take(source, 1), out=target)

    in_slices(add, len(images), max(images[0].size, values[0].size))
    return True


def _add_all_rows(out: Array, sources: list[Array], values: Array) -> None:
    def add(part: slice) -> None:
        for source in sources:
            np.add(out[part], values.take(source[part], 0), out=out[part])

    in_slices(add, len(out), out.shape[1])


def add_at(out: Array, indices: Indices, values: Array) -> None:
    """``out[indices] += values``, adding up values for the same element."""
    if not values.size:
        return
    leading = 0
    while leading < len(indices) and indices[leading] is not None:
        leading += 1
    rest = out.shape[leading:]
    if leading and all(i is None for i in indices[leading:]) and rest and out.flags.c_contiguous and out.size:
        rows = np.ravel_multi_index(
            np.broadcast_arrays(*[np.where(i < 0, i + n, i) for i, n in zip(indices[:leading], out.shape)]), out.shape[:leading]
        )
        values = np.broadcast_to(values, rows.shape + rest)
        add_rows(out.reshape(-1, *rest), rows.reshape(-1), values.reshape(-1, *rest))
    elif values.size >= _MANY and len(chosen := [at for at, index in enumerate(indices) if index is not None]) == 1:
        dim, n = chosen[0], out.shape[chosen[0]]
        index = np.ravel_multi_index((np.where(indices[dim] < 0, indices[dim] + n, indices[dim]),), (n,))
        before, after = out.shape[:dim], out.shape[dim + 1 :]
        values = np.broadcast_to(values, (*before, *index.shape, *after)).reshape(*before, index.size, *after)
        add_along(out, dim, index.reshape(-1), values)
    else:
        np.add.at(out, key_of(indices), values)


ROUNDS = 8
"""Repeats of a row up to which each is added in turn to all rows."""
REPEATED = 64
"""Repeats of a row, on average, from which they are summed first."""


def add_rows(out: Array, rows: Array, values: Array, zeros: bool = False) -> None:
    """``out[rows[i]] += values[i]``. Few repeats are added in rounds, so many that sums of runs repay sorting are summed first,
    others are added number by number: `np.add.at` is fast along one index. If `out` is `zeros`, all rows are written together."""
    if not len(rows):
        return
    if len(out) <= 4 * len(rows) and _add_each(out, rows, values):
        return
    order = np.argsort(rows.astype(np.uint16) if len(out) <= 1 << 16 else rows, kind="stable")  # 16 bits: in linear time
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.concatenate((starts[1:], [len(rows)])) - starts
    most = counts.max()
    if most > ROUNDS:
        out[ordered[starts]] += np.add.reduceat(values[order], starts, 0, out.dtype)
        return
    if zeros:
        out[rows[::-1]] = values[::-1]  # backward: of several for a row, the first remains
        repeat = counts > 1
        starts, counts = starts[repeat], counts[repeat]
    elif most == 1:
        out[rows] += values
    for i in range(int(zeros or most == 1), int(most)):
        now = order[starts[counts > i] + i]
        out[rows[now]] += values[now]


def _add_each(out: Array, rows: Array, values: Array) -> bool:
    """Add number by number, if that is fast."""
    counts = np.bincount(rows, minlength=len(out))
    few = counts.max() <= ROUNDS or len(rows) > REPEATED * np.count_nonzero(counts)
    if few or out.dtype.char not in "fd" or not out.flags.c_contiguous:
        return False
    width = out[0].size
    flat, within, each = out.reshape(-1), np.arange(width), values.reshape(len(rows), width)
    for part in slices(len(rows), width):
        np.add.at(flat, (rows[part, None] * width + within).reshape(-1), each[part].reshape(-1))
    return True


def put_into(out: Array, indices: Indices, values: Array, accumulate: bool) -> None:
    if out.dtype != values.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {scalar_name(out.dtype)} for the destination and "
            f"{scalar_name(values.dtype)} for the source."
        )
    try:
        if not values.size:  # NumPy and `add_at` then write nothing, whatever the shapes are
            check_values(out, indices, values.shape)
        elif accumulate:
            add_at(out, indices, values)
        else:
            out[key_of(indices)] = values
    except IndexError as error:
        if "broadcast" in str(error):
            raise index_error(error, [i.shape for i in indices if i is not None]) from None
        check_values(out, indices, values.shape)
        if empty_selection(out.shape, indices) is None:
            raise index_error(error, []) from None
    except ValueError:
        check_values(out, indices, values.shape)
        raise


def check_values(out: Array, indices: Indices, shape: tuple[int, ...]) -> None:
    """RuntimeError unless values of this `shape` expand to the selected shape, in range or not."""
    chosen = selected_shape(out.shape, indices)
    if not fits(shape, chosen):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(shape)} cannot be broadcast to indexing result of shape {list(chosen)}"
        )


# ------------------------------------------------------------------------------------------------ an index per element


def fill_where(out: Array, mask: Array, value: Array) -> None:
    """``out[mask] = value``, one number, for arrays of one shape: by bits, since NumPy takes up to 15 ns for each number."""
    bits = BITS.get(out.itemsize)
    if bits is None or out.size < 512 or not (out.flags.c_contiguous and mask.flags.c_contiguous):
        np.copyto(out, value, where=mask)
        return
    flat, covered, number = out.reshape(-1).view(bits), mask.reshape(-1), value.astype(out.dtype).reshape(1).view(bits)

    def fill(block: slice) -> None:
        part, cover = flat[block], np.negative(covered[block].astype(bits))
        if number[0]:
            cover &= part ^ number
            part ^= cover
        else:
            part &= np.invert(cover, cover)

    in_slices(fill, flat.size)


def linear(shape: tuple[int, ...], dim: int, index: Array) -> Array:
    """Positions, in a flat contiguous array of `shape`, of the elements that `index` chooses along `dim`."""
    step = math.prod(shape[dim + 1 :])
    few = index.size <= _FEW * index.shape[dim]
    offsets = (_kept_offsets if few else _offsets)(shape, dim, index.shape)
    return (index if step == 1 else index * step) + offsets


def _offsets(shape: tuple[int, ...], dim: int, sizes: tuple[int, ...]) -> Array:
    """Where the elements of an index of these `sizes` begin to count: the positions of its dimensions other than `dim`."""
    step, offsets = 1, np.zeros((1,) * len(sizes), "int64")
    for i in reversed(range(len(shape))):
        if i != dim:
            offsets = offsets + (np.arange(sizes[i]) * step).reshape((-1,) + (1,) * (len(sizes) - 1 - i))
        step *= shape[i]
    return offsets


_FEW = 4096
"""Offsets that are kept for the next call, which takes two thirds of the time then."""
_kept_offsets = functools.lru_cache(64)(_offsets)


def positions(name: str, input: Array, dim: int, index: Array, src: Array | None = None) -> Array:
    """The flat positions in `input` of the elements that `index` chooses along `dim`. RuntimeError if it does not match."""
    if not index.size:
        return np.empty(index.shape, "int64")
    check_positions(name, input, dim, index, src)
    return linear(input.shape or (1,), dim, index.reshape(index.shape or (1,))).reshape(index.shape)


def gathered(input: Array, dim: int, index: Array) -> Array:
    """The elements that `index` chooses along `dim`. RuntimeError if it does not match."""
    if index.size <= 2 * BLOCK:
        return input.reshape(-1).take(positions("gather", input, dim, index))
    out = np.empty(index.shape, input.dtype)
    if (found := whole_rows("gather", input, dim, index)) is not None:
        rows, width = found
        source, target = input.reshape(-1, width), out.reshape(-1, width)
        in_slices(lambda piece: source.take(rows[piece], 0, target[piece], "clip"), len(rows), width)
        return out
    check_positions("gather", input, dim, index)
    flat, step = input.reshape(-1), math.prod(input.shape[dim + 1 :])
    offsets = np.broadcast_to(_offsets(input.shape, dim, index.shape), index.shape)

    def take(piece: slice) -> None:
        places = offsets[piece] + (index[piece] if step == 1 else index[piece] * step)
        flat.take(places, out=out[piece], mode="clip")  # all are in range; "raise" would take a buffer

    in_slices(take, len(index), index.size // len(index))
    return out


def whole_rows(name: str, input: Array, dim: int, index: Array, src: Array | None = None) -> tuple[Array, int] | None:
    """If a large `index` is expanded along the dimensions after `dim`, so that it chooses all elements there together: which rows
    of them it chooses, and their length. RuntimeError if it does not match."""
    if index.size < _MANY or index.ndim != input.ndim or (src is not None and src.shape != index.shape):
        return None
    width = math.prod(index.shape[dim + 1 :])
    if width == 1 or index.shape[dim + 1 :] != input.shape[dim + 1 :]:
        return None
    if any([step and n > 1 for step, n in zip(index.strides[dim + 1 :], index.shape[dim + 1 :])]):
        return None
    check_positions(name, input, dim, index, src)
    rows = index.reshape(*index.shape[: dim + 1], -1)[..., 0]
    return linear(input.shape[: dim + 1], dim, rows).reshape(-1), width


def check_positions(name: str, input: Array, dim: int, index: Array, src: Array | None = None) -> None:
    """RuntimeError unless `index`, not empty, chooses elements of `input` along `dim`."""
    if index.dtype not in INDEX_TYPES:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    shape, sizes = input.shape or (1,), index.shape or (1,)
    if len(shape) != len(sizes):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {'input' if name == 'gather' else 'self'} tensor"
        )
    if src is not None and len(src.shape or (1,)) != len(sizes):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    if any([n > have for i, (n, have) in enumerate(zip(sizes, shape)) if i != dim]) or (
        src is not None and any([n > have for n, have in zip(sizes, src.shape or (1,))])
    ):
        if name == "gather":
            at = next(i for i, (n, have) in enumerate(zip(sizes, shape)) if i != dim and n > have)
            raise RuntimeError(
                f"Size does not match at dimension {at} expected index {list(sizes)} to be no larger than self {list(shape)} "
                f"apart from dimension {dim}"
            )
        tail = "" if src is None else f" and to be no larger size than src {list(src.shape)}"
        raise RuntimeError(
            f"Expected index {list(sizes)} to be no larger than self {list(shape)} apart from dimension {dim}{tail}"
        )
    if 0 in index.strides:  # what is only repeated
        index = index[tuple([slice(None) if step else slice(1) for step in index.strides])]
    unsigned = index.astype(np.int64, copy=False).reshape(-1).view(np.uint64)  # negative ones are large; `argmax` is quick
    if unsigned[unsigned.argmax()] >= shape[dim]:
        low, high = index.min(), index.max()
        raise RuntimeError(f"index {low if low < 0 else high} is out of bounds for dimension {dim} with size {shape[dim]}")


def corner(src: Array, index: Array) -> Array:
    """The elements of `src` that the (smaller) `index` covers, in one dimension."""
    return src[tuple([slice(n) for n in index.shape])].reshape(-1)


# ------------------------------------------------------------------------------------------------ combining values


REDUCTIONS: dict[str, np.ufunc] = {"sum": np.add, "prod": np.multiply, "mean": np.add, "amax": np.maximum, "amin": np.minimum}


def neutral(reduce: str, dtype: NumpyType) -> Any:
    """The identity element of the reduction."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if dtype.kind == "b":
        return reduce == "amin"
    if dtype.kind in FLOATING:
        return -np.inf if reduce == "amax" else np.inf
    return np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max


def reduce_at(out: Array, key: Array, values: Array, reduce: str, include_self: bool) -> None:
    """``out[key] = reduce(out[key], values)``, one after the other."""
    if not include_self:
        out[key] = neutral(reduce, out.dtype)
    REDUCTIONS[reduce].at(out, key, values)
    if reduce == "mean":
        counts = np.full(out.shape, int(include_self))
        np.add.at(counts, key, 1)
        np.maximum(counts, 1, out=counts)
        if out.dtype.kind in INEXACT:
            np.divide(out, counts.astype(out.dtype), out=out)
        else:
            out[...] = np.floor_divide(out, counts)


# ------------------------------------------------------------------------------------------------ along one dimension


def rows_of(array: Array, dim: int) -> Array:
    """A view whose first dimension is `dim`."""
    return np.moveaxis(array, dim, 0) if array.ndim else array.reshape(1)


# ------------------------------------------------------------------------------------------------ in one dimension


def flat_index(index: Array, size: int) -> Array:
    """`index` into `size` elements, negative ones counted from the end. IndexError if out of range."""
    if index.size and not size:
        raise IndexError("take(): tried to take from an empty tensor")
    if index.size and not (-size <= index.min() and index.max() < size):
        raise IndexError(
            "out of range: tried to access index "
            + f"{index.max() if index.max() >= size else index.min()} on a tensor of {size} elements."
        )
    return index.reshape(-1) % size if size else index.reshape(-1)
