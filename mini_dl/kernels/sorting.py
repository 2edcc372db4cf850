"""Largest, middle and most frequent elements of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, Array
from mini_dl.kernels.blocks import BLOCK, as_single, in_slices, number_of_pieces, split
from mini_dl.kernels.parallel import get_num_threads, share, share_calls, worth_sharing
from mini_dl.kernels.sums import running

# ------------------------------------------------------------------------------------------------ sorting

_SLOW = 32
"""Into how many passes over memory sorting translates, for each number."""
_PACKED, _LONG_ROW, _LONGEST_ROW = 4096, 32, 4096
"""Numbers in all and in a row from which packing pays; and in a row up to which it does where only some are sought."""


def order(input: Array, dim: int, descending: bool = False) -> Array:
    """The indices that sort along `dim`, with equal elements in their original order; NaN counts as largest."""
    if not input.ndim:
        return np.zeros((), np.int64)
    if (found := _packed(input, input.shape[dim], dim, descending, sort_rows)) is not None:
        return found
    if not descending:
        return np.argsort(input, dim, kind="stable")
    return input.shape[dim] - 1 - np.flip(np.argsort(np.flip(input, dim), dim, kind="stable"), dim)


def one_in_order(input: Array, k: int, dim: int) -> Array:
    """The index of the `k`-th smallest along `dim`, which gets size 1."""

    def choose(rows: Array) -> Array:
        rows.partition(k, -1)
        return rows[:, k : k + 1]

    found = _packed(input, 1, dim, False, choose)
    return np.take(np.argpartition(input, k, dim), [k], dim) if found is None else found


def _packed(input: Array, k: int, dim: int, descending: bool, choose: Callable[[Array], Array]) -> Array | None:
    """The `k` indices along `dim` that `choose` finds, by values only, in rows in any order; None where that does not pay.

    NumPy sorts and partitions 64-bit integers with vector instructions, but finds indices slowly. So each element becomes an
    integer: its rank in the high bits, its index in the low ones. All are different, and in order, equal elements are, too.
    """
    n = input.shape[dim]
    if input.size < _PACKED or n < _LONG_ROW or not k or (k < n and not (n <= _LONGEST_ROW and n < input.size)):
        return None
    x = np.moveaxis(input, dim, -1)
    low, bits = 0, n.bit_length()
    if x.dtype.itemsize > 4 or x.dtype == np.uint32:
        if x.dtype.kind not in "iu":
            return None
        low, high = int(x.min()), int(x.max())
        if (high - low).bit_length() + bits > 63:
            return None
    rows = x.reshape(-1, n)
    found, places, mask = np.empty((len(rows), k), np.int64), np.arange(n), (1 << bits) - 1

    def work(part: slice) -> None:
        wide = _ranks(rows[part], low)
        if descending:
            np.invert(wide, wide)
        wide <<= bits
        wide |= places
        np.bitwise_and(choose(wide), mask, found[part])

    share(work, split(len(rows), number_of_pieces(x.size, x.size * _SLOW, BLOCK, 2 * BLOCK)), x.size * _SLOW)
    return np.ascontiguousarray(np.moveaxis(found.reshape(*x.shape[:-1], k), -1, dim))


def _ranks(x: Array, low: int) -> Array:
    """Integers of up to 33 bits, or the differences from `low`, in the order of the elements."""
    if x.dtype.kind not in FLOATING:
        return (x - x.dtype.type(low) if low else x).astype(np.int64)
    bits = np.add(as_single(x), np.float32(0)).view(np.int32)  # both zeros become the same
    below = bits >> 31
    below &= 0x7FFFFFFF
    bits ^= below
    missing = x != x
    if missing.any():
        bits[missing] = 0x7FFFFFFF
    return bits.astype(np.int64)


def sort_rows(rows: Array) -> Array:
    """Sort integers, and if there is one long row, its parts on all threads."""
    threads, n = get_num_threads(), rows.shape[1]
    if len(rows) > 1 or not worth_sharing(n * _SLOW):
        rows.sort(-1)
        return rows
    parts = split(n, threads)
    rows.partition([part.start for part in parts[1:]], -1)
    share_calls(np.ndarray.sort, [(rows[0, part],) for part in parts])
    return rows


# ------------------------------------------------------------------------------------------------ the first in order

_FEW, _LONG, _MANY = 8, 64, 4096
"""How many elements are found one by one, in rows of how many, of how many in all: a search takes a thirtieth of the time of a
partition."""


def top(input: Array, k: int, dim: int, largest: bool) -> Array:
    """The indices of the `k` largest or smallest along `dim`, in order."""
    if not input.ndim:
        return np.zeros((), np.int64)
    x = np.moveaxis(input, dim, -1)
    n = x.shape[-1]
    if 0 < k <= _FEW and n >= _LONG and x.size >= _MANY and (found := _one_by_one(x, k, largest)) is not None:
        return np.ascontiguousarray(np.moveaxis(found, -1, dim))

    def choose(rows: Array) -> Array:
        if k < n:
            rows.partition(k - 1, -1)
        return sort_rows(rows[:, :k])

    if (first := _packed(input, k, dim, largest, choose)) is not None:
        return first
    if largest:
        x = x[..., ::-1]
    if 0 < k * 8 < n:
        at = n - k if largest else k - 1
        chosen = np.argpartition(x, at, -1)
        chosen = chosen[..., n - k :] if largest else chosen[..., :k]
        chosen.sort(-1)
        chosen = np.take_along_axis(chosen, np.argsort(np.take_along_axis(x, chosen, -1), -1, kind="stable"), -1)
    else:
        chosen = np.argsort(x, -1, kind="stable")
        chosen = chosen[..., n - k :] if largest else chosen[..., :k]
    if largest:
        chosen = n - 1 - chosen[..., ::-1]
    return np.ascontiguousarray(np.moveaxis(chosen, -1, dim))


def _one_by_one(x: Array, k: int, largest: bool) -> Array | None:
    """`top` along the last dimension: the extreme of each row, `k` times. None if what takes the place of one that was found
    could be found again."""
    if x.dtype.kind not in "iu" and x.dtype.char not in "fd":
        return None
    rows = np.array(x, order="C").reshape(-1, x.shape[-1])
    found, each = np.empty((len(rows), k), np.int64), np.arange(len(rows))
    limits = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    least = (-np.inf if largest else np.inf) if limits is None else limits.min if largest else limits.max
    for j in range(k):
        (rows.argmax if largest else rows.argmin)(1, found[:, j])
        values = rows[each, found[:, j]]
        if (values == least).any() or (not largest and (values != values).any()):
            return None
        rows[each, found[:, j]] = least
    return found.reshape(*x.shape[:-1], k)


# ------------------------------------------------------------------------------------------------ order statistics


def middle(input: Array, dim: int, skip_nan: bool) -> Array:
    """The index of the lower median along `dim`: if there are NaNs, the first one, or (`skip_nan`) ignoring them."""
    if not input.ndim or not input.size:
        return np.zeros([1 if i == dim else n for i, n in enumerate(input.shape)], np.int64)
    n = input.shape[dim]
    k = (n - 1) // 2
    missing = np.count_nonzero(input != input, dim, keepdims=True)
    if not missing.any():
        return one_in_order(input, k, dim)
    numbers = n - missing
    at = np.maximum(numbers - 1, 0) // 2 if skip_nan else np.where(missing > 0, numbers, k)
    return np.take_along_axis(order(input, dim), at, dim)


def median_of_all(input: Array, skip_nan: bool) -> Array:
    x = input.reshape(-1)
    if input.dtype.kind in FLOATING:
        numbers = x[~np.isnan(x)]
        if not numbers.size or (len(numbers) < len(x) and not skip_nan):
            return np.asarray(np.nan, input.dtype)
        x = numbers
    if not x.size:
        return np.asarray(np.iinfo(input.dtype).min, input.dtype)
    return np.partition(x, (len(x) - 1) // 2)[(len(x) - 1) // 2]


def most_frequent(input: Array, dim: int) -> Array:
    """The last index of the most frequent element along `dim`; of several such elements, of the smallest."""
    if not input.ndim or not input.size:
        return np.zeros([1 if i == dim else n for i, n in enumerate(input.shape)], np.int64)
    x = np.moveaxis(input, dim, -1)
    by_value = order(x, x.ndim - 1)
    x = np.take_along_axis(x, by_value, -1)
    places = np.arange(x.shape[-1])
    starts = np.zeros(x.shape, np.int64)
    starts[..., 1:] = (x[..., 1:] != x[..., :-1]) * places[1:]
    last = np.argmax(places - np.maximum.accumulate(starts, -1), -1, keepdims=True)
    return np.moveaxis(np.take_along_axis(by_value, last, -1), -1, dim)


# ------------------------------------------------------------------------------------------------ running extremes


SIDE_BY_SIDE = 256
"""Extremes side by side from which one call for all of them, step by step, is faster than a call for all steps."""
RARE = 32
"""Elements for one new extreme in a row, on average, from which repeating its place is faster than accumulating places."""


def places_of_extremes(input: Array, dim: int, largest: bool) -> Array:
    """The index of the extreme so far along `dim`: the last of equals; NaN is both largest and smallest."""
    if not input.ndim or not input.size:
        return np.zeros(input.shape, np.int64)
    n, last = input.shape[dim], dim == input.ndim - 1
    if not last and input.size >= SIDE_BY_SIDE * n:
        return _step_by_step(input, dim, np.greater_equal if largest else np.less_equal)
    if not last:
        return _accumulated(input, dim, largest)
    rows, out = input.reshape(-1, n), np.empty(input.shape, np.int64)
    found = out.reshape(-1, n)

    def along_rows(part: slice) -> None:
        found[part] = _accumulated(rows[part], 1, largest)

    in_slices(along_rows, len(rows), n, _SLOW // 2)
    return out


def _accumulated(input: Array, dim: int, largest: bool) -> Array:
    n, last, ufunc = input.shape[dim], dim == input.ndim - 1, np.maximum if largest else np.minimum
    extremes = np.empty_like(input)
    if not last or not running(ufunc, input, extremes, input.dtype):
        ufunc.accumulate(input, dim, None, extremes)
    reached = input == extremes
    if input.dtype.kind in FLOATING:
        reached |= input != input
    if not last or RARE * np.count_nonzero(reached) > input.size:
        places = np.arange(n).reshape([-1 if i == dim else 1 for i in range(input.ndim)])
        return np.ascontiguousarray(np.maximum.accumulate(reached * places, dim))
    starts = np.flatnonzero(reached)  # the first of each row is among them
    counts = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], counts[:-1])
    counts[-1] = input.size - starts[-1]
    return np.repeat(starts % n, counts).reshape(input.shape)


def _step_by_step(input: Array, dim: int, reaches: np.ufunc) -> Array:
    out = np.empty(input.shape, np.int64)
    rows, found = np.moveaxis(input, dim, 0), np.moveaxis(out, dim, 0)
    most, place = rows[0].copy(), np.zeros(rows[0].shape, np.int64)
    found[0] = 0
    for k in range(1, len(rows)):
        reached = reaches(rows[k], most)
        if input.dtype.kind in FLOATING:
            reached |= rows[k] != rows[k]
        np.copyto(most, rows[k], where=reached)
        np.copyto(place, k, where=reached)
        found[k] = place
    return out


# ------------------------------------------------------------------------------------------------ distinct values


def runs(rows: Array) -> tuple[Array, Array]:
    """The runs of equal neighbors in `rows`: (first row of each run, length of each run)."""
    differ = np.ones(len(rows), bool)
    if rows.ndim == 1:
        np.not_equal(rows[1:], rows[:-1], differ[1:])
    else:
        np.any(rows[1:] != rows[:-1], tuple(range(1, rows.ndim)), differ[1:])
    first = np.flatnonzero(differ)
    return first, np.diff(first, append=len(rows))


def run_of_each(counts: Array) -> Array:
    """The number of the run of each row, of runs of these lengths."""
    return np.repeat(np.arange(len(counts)), counts)


def distinct(values: Array) -> Array:
    """The distinct elements of a vector of integers, in order."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], first[1:])
    return ordered[first]


# ------------------------------------------------------------------------------------------------ searching


def search(boundaries: Array, values: Array, right: bool, out_int32: bool) -> Array:
    """Where `values` would be inserted into the sorted rows of `boundaries`."""
    side: Any = "right" if right else "left"
    found = np.empty(values.shape, np.int32 if out_int32 else np.int64)
    if boundaries.ndim == 1:
        flat, flat_found = values.reshape(-1), found.reshape(-1)

        def search_part(part: slice) -> None:
            flat_found[part] = np.searchsorted(boundaries, flat[part], side)

        in_slices(search_part, flat.size, 1, _SLOW)
        return found
    for at in np.ndindex(values.shape[:-1]):
        found[at] = np.searchsorted(boundaries[at], values[at], side)
    return found
