"""Softmax attention over stacks of heads, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.blocks import computed_in, in_slices
from mini_dl.kernels.softmax import by_row, exponentials

# ------------------------------------------------------------------------------------------------ one product, fused


IN_DOUBLE = 4096
"""Up to this many scores are computed in double, at no cost: a score of 100 loses 5 digits of its exponential."""

COST = 8
"""How many passes two products and an exponential count for."""
BAND = 64
"""Queries that are treated together where a causal mask hides keys from them: the products are still long enough."""
Bands = Sequence[tuple[int, int, int]]
"""Queries from one to another, and how many of the first keys they see."""


def bands_of(length: int, source: int, causal: bool) -> Bands:
    """All queries, or, under a causal mask, bands of them, so that keys that are hidden from all of a band can be left out."""
    if not causal or length < 2 * BAND:
        return [(0, length, source)]
    starts = range(0, length, BAND)
    return [(start, end, min(end, source)) for start in starts for end in (min(start + BAND, length),)]


def attention(
    query: Array, key: Array, value: Array, mask: Array | None, alive: Array | None, scale: float, bands: Bands
) -> tuple[Array, Array, Array]:
    """(B, L, E), (B, S, E), (B, S, V) -> (B, L, V), and for the gradient exponentials (B, -1) and their row sums (B, L).

    `mask` (1 or B, L, S) is added to the scores; `alive` (1 or B, L, 1) is false for queries that see no key. A few heads at a
    time, so that their scores stay in cache. The exponentials of a head are those of all bands, one after the other.
    """
    (batch, length, _), source = query.shape, key.shape[1]
    working = computed_in(query.dtype)
    if batch * length * source <= IN_DOUBLE:
        working = np.dtype(np.float64)
    q, k, v = (a.astype(working, copy=False) for a in (query, key, value))
    q = q * working.type(scale)
    weights = np.empty((batch, sum([(end - start) * keys for start, end, keys in bands])), working)
    sums, out = np.empty((batch, length), working), np.empty((batch, length, v.shape[2]), working)

    def attend(heads: slice) -> None:
        for start, end, keys, band in _in_bands(weights[heads], bands):
            rows = slice(start, end)
            scores = q[heads, rows] @ k[heads, :keys].transpose(0, 2, 1)
            e = band if band.flags.c_contiguous else np.empty_like(scores)
            if mask is not None:
                scores += (mask if len(mask) == 1 else mask[heads])[:, rows, :keys]
            totals, _ = exponentials(e.reshape(-1, keys), scores.reshape(-1, keys))
            sums[heads, rows] = totals.reshape(e.shape[:2])
            if alive is not None:
                e *= (alive if len(alive) == 1 else alive[heads])[:, rows]
            if e is not band:
                band[...] = e
            np.matmul(e, v[heads, :keys], out[heads, rows])
        part = out[heads].reshape(-1, v.shape[2])
        by_row(np.divide, part, sums[heads].reshape(-1), part)

    in_slices(attend, batch, weights.shape[1], COST)
    return out.astype(query.dtype, copy=False), weights, sums


def _in_bands(weights: Array, bands: Bands) -> Iterator[tuple[int, int, int, Array]]:
    """Each band with its exponentials (B, queries, keys)."""
    at = 0
    for start, end, keys in bands:
        size = (end - start) * keys
        yield start, end, keys, weights[:, at : at + size].reshape(len(weights), end - start, keys)
        at += size


def attention_backward(
    grad: Array, query: Array, key: Array, value: Array, output: Array, weights: Array, sums: Array, scale: float, bands: Bands
) -> tuple[Array, Array, Array]:
    """Weights are ``e / sums``: `grad` is divided by the sums once, and ``sum(grad_weights * weights)`` is ``grad . output``."""
    working = weights.dtype
    g, q, k, v, out = (a.astype(working, copy=False) for a in (grad, query, key, value, output))
    g = g / sums[:, :, None]
    q = q * working.type(scale)
    center = np.vecdot(g, out)
    to_query, to_key, to_value = np.empty_like(q), np.empty_like(k), np.empty_like(v)

    def attend_backward(heads: slice) -> None:
        first = True  # the last band, which sees the most keys
        for start, end, keys, e in reversed([*_in_bands(weights[heads], bands)]):
            rows = slice(start, end)
            slope = g[heads, rows] @ v[heads, :keys].transpose(0, 2, 1)
            slope -= center[heads, rows, None]
            slope *= e
            np.matmul(slope, k[heads, :keys], to_query[heads, rows])
            for target, left, right in ((to_value, e, g), (to_key, slope, q)):
                if not first:
                    target[heads, :keys] += left.transpose(0, 2, 1) @ right[heads, rows]
                else:
                    np.matmul(left.transpose(0, 2, 1), right[heads, rows], target[heads, :keys])
                    target[heads, keys:] = 0
            first = False

    in_slices(attend_backward, len(q), weights.shape[1], COST)
    to_query *= working.type(scale)
    to_query, to_key, to_value = (a.astype(query.dtype, copy=False) for a in (to_query, to_key, to_value))
    return to_query, to_key, to_value
