"""Softmax attention over stacks of heads, forward and backward."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.blocks import computed_in, in_slices
from mini_dl.kernels.softmax import exponentials

# ------------------------------------------------------------------------------------------------ one product, fused


IN_DOUBLE = 4096
"""Up to this many scores are computed in double, at no cost: a score of 100 loses 5 digits of its exponential."""


def attention(
    query: Array, key: Array, value: Array, mask: Array | None, alive: Array | None, scale: float
) -> tuple[Array, Array, Array]:
    """(B, L, E), (B, S, E), (B, S, V) -> (B, L, V), and for the gradient the exponentials (B, L, S) and their row sums (B, L).

    `mask` (1 or B, L, S) is added to the scores; `alive` (1 or B, L, 1) is false for queries that see no key. A few heads at a
    time, so that their scores stay in cache.
    """
    (batch, length, _), source = query.shape, key.shape[1]
    working = computed_in(query.dtype)
    if batch * length * source <= IN_DOUBLE:
        working = np.dtype(np.float64)
    q, k, v = (a.astype(working, copy=False) for a in (query, key, value))
    q = q * working.type(scale)
    weights, sums = np.empty((batch, length, source), working), np.empty((batch, length), working)
    out = np.empty((batch, length, v.shape[2]), working)

    def attend(heads: slice) -> None:
        scores, e = q[heads] @ k[heads].transpose(0, 2, 1), weights[heads]
        if mask is not None:
            scores += mask if len(mask) == 1 else mask[heads]
        totals, _ = exponentials(e.reshape(-1, source), scores.reshape(-1, source))
        sums[heads] = totals.reshape(len(e), length)
        if alive is not None:
            e *= alive if len(alive) == 1 else alive[heads]
        np.matmul(e, v[heads], out[heads])
        out[heads] /= sums[heads][:, :, None]

    in_slices(attend, batch, length * source)
    return out.astype(query.dtype, copy=False), weights, sums


def attention_backward(
    grad: Array, query: Array, key: Array, value: Array, output: Array, weights: Array, sums: Array, scale: float
) -> tuple[Array, Array, Array]:
    """Weights are ``e / sums``: `grad` is divided by the sums once, and ``sum(grad_weights * weights)`` is ``grad . output``."""
    working = weights.dtype
    g, q, k, v, out = (a.astype(working, copy=False) for a in (grad, query, key, value, output))
    g = g / sums[:, :, None]
    q = q * working.type(scale)
    center = np.vecdot(g, out)
    to_query, to_key, to_value = np.empty_like(q), np.empty_like(k), np.empty_like(v)

    def attend_backward(heads: slice) -> None:
        e = weights[heads]
        np.matmul(e.transpose(0, 2, 1), g[heads], to_value[heads])
        slope = g[heads] @ v[heads].transpose(0, 2, 1)
        slope -= center[heads][:, :, None]
        slope *= e
        np.matmul(slope, k[heads], to_query[heads])
        np.matmul(slope.transpose(0, 2, 1), q[heads], to_key[heads])

    in_slices(attend_backward, len(q), weights.shape[1] * weights.shape[2])
    to_query *= working.type(scale)
    to_query, to_key, to_value = (a.astype(query.dtype, copy=False) for a in (to_query, to_key, to_value))
    return to_query, to_key, to_value
