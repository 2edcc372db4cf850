"""Largest, middle and most frequent elements of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, Array

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
        return np.take(np.argpartition(input, k, dim), [k], dim)
    numbers = n - missing
    at = np.maximum(numbers - 1, 0) // 2 if skip_nan else np.where(missing > 0, numbers, k)
    return np.take_along_axis(np.argsort(input, dim, kind="stable"), at, dim)


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
    by_value = np.argsort(x, -1, kind="stable")
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
    reached = input == (np.maximum if largest else np.minimum).accumulate(input, dim)
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


def runs(rows: Array) -> tuple[Array, Array, Array]:
    """The runs of equal neighbors in `rows`: (first row of each run, number of the run of each row, length of each run)."""
    differ = rows[1:] != rows[:-1]
    if differ.ndim > 1:
        differ = differ.any(-1)
    first = np.concatenate([np.zeros(min(len(rows), 1), np.int64), np.flatnonzero(differ) + 1])
    number = np.cumsum(np.concatenate([np.zeros(min(len(rows), 1), np.int64), differ]), dtype=np.int64)
    return first, number, np.diff(np.append(first, len(rows)))


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
    kind = np.int32 if out_int32 else np.int64
    if boundaries.ndim == 1:
        return np.asarray(np.searchsorted(boundaries, values, side), kind)
    found = np.empty(values.shape, kind)
    for at in np.ndindex(values.shape[:-1]):
        found[at] = np.searchsorted(boundaries[at], values[at], side)
    return found
