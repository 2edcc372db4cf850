"""Reading, writing and combining elements of arrays by integer indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._checks import fits
from mini_dl._dtypes import FLOATING, INDEX_TYPES, INEXACT, Array, NumpyType, scalar_name
from mini_dl.kernels.blocks import slices

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
    else:
        np.add.at(out, key_of(indices), values)


ROUNDS = 8
"""Repeats of a row up to which each is added in turn to all rows."""
MANY = 64
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
        out[ordered[starts]] += np.add.reduceat(values[order], starts, axis=0)
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
    few = counts.max() <= ROUNDS or len(rows) > MANY * np.count_nonzero(counts)
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


def linear(shape: tuple[int, ...], dim: int, index: Array) -> Array:
    """Positions, in a flat contiguous array of `shape`, of the elements that `index` chooses along `dim`."""
    step, offsets = 1, np.zeros((1,) * index.ndim, "int64")
    for i in reversed(range(len(shape))):
        if i == dim:
            along = step
        else:
            offsets = offsets + (np.arange(index.shape[i]) * step).reshape((-1,) + (1,) * (index.ndim - 1 - i))
        step *= shape[i]
    if along == 1:
        return index + offsets
    where = np.multiply(index, along, dtype=np.int64)
    return np.add(where, offsets, where if where.ndim else None)


def positions(name: str, input: Array, dim: int, index: Array, src: Array | None = None) -> Array:
    """The flat positions in `input` of the elements that `index` chooses along `dim`. RuntimeError if it does not match."""
    if not index.size:
        return np.empty(index.shape, "int64")
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
    if index.view(f"u{index.itemsize}").max() >= shape[dim]:  # what is negative is large there
        low, high = index.min(), index.max()
        raise RuntimeError(f"index {low if low < 0 else high} is out of bounds for dimension {dim} with size {shape[dim]}")
    return linear(shape, dim, index.reshape(sizes)).reshape(index.shape)


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
