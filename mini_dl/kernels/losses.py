"""Cross entropy over rows of scores, and the paths of connectionist temporal classification (CTC)."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.blocks import computed_in, in_slices, keep, limited, real_floating
from mini_dl.kernels.softmax import COST, Piece, by_row, exponentials, first_places, from_rows, in_memory, over_rows, rows_along
from mini_dl.kernels.sums import add_up

# ------------------------------------------------------------------------------------------------ classes by index


def cross_entropy_rows(
    input: Array, index: Array, factors: Array, kept: Array | None, reduce: bool
) -> tuple[Array, Array, Array, Array]:
    """(N, C, *) and the classes (M) -> the loss () or (M), and for the gradient the exponentials of the rows along the classes
    with the sums of the rows, and where the classes are among them in memory (M)."""
    real_floating(input, "log_softmax_lastdim_kernel_impl")
    x = rows_along(np.asarray(input, computed_in(input.dtype)), 1)
    flat = x.ndim == 2
    out, sums = np.empty(x.shape, x.dtype) if flat else np.empty_like(x), np.empty(x.shape[:-1], x.dtype)
    places = np.arange(len(x)) * x.shape[1] if flat else first_places(x)
    places += index if flat else index * x.shape[1]
    memory, of_row, chosen = in_memory(x), places.reshape(sums.shape), np.empty(sums.shape, x.dtype)

    def sum_up(piece: Piece) -> None:
        _, maximum = exponentials(out[piece], x[piece], sums[piece])
        memory.take(of_row[piece], 0, chosen[piece], "clip")  # now, while they are in the cache
        if maximum is not None:
            chosen[piece] -= maximum

    over_rows(sum_up, x, COST)
    losses = np.log(sums.reshape(-1).astype(np.float64))
    losses -= chosen.reshape(-1)
    losses *= factors
    if kept is not None:
        losses = keep(losses, kept)
    return (np.add.reduce(losses) if reduce else losses).astype(input.dtype, copy=False), out, sums, places


def cross_entropy_slope(
    grad: Array, exponentials: Array, sums: Array, places: Array, factors: Array, shape: tuple[int, ...]
) -> Array:
    """``(softmax - one_hot) * grad * factor`` row by row, for scores of this `shape`"""
    scale, out = (factors * grad).reshape(sums.shape), np.empty_like(exponentials)
    factor, of_row = scale / sums, places.reshape(sums.shape)
    powers, target = in_memory(exponentials), in_memory(out)

    def spread(piece: Piece) -> None:
        by_row(np.multiply, exponentials[piece], factor[piece], out[piece])
        at = of_row[piece]
        slopes = powers.take(at)  # in half the time that two indices take
        slopes /= sums[piece]
        slopes -= 1  # before the factor: where the probability is 1, the slope is exactly 0
        slopes *= scale[piece]
        target[at] = slopes

    over_rows(spread, out)
    return out if out.shape == shape else from_rows(out, shape, 1)


# ------------------------------------------------------------------------------------------------ regression


_ROW = 1024
"""How many numbers are added in one run."""


def sum_of_squares_then_lines(x: Array, delta: float) -> Array:
    """The sum of ``m * (x - m / 2)`` with ``m = max(-delta, min(x, delta))`` over a vector, row by row."""
    whole = x.size - x.size % _ROW
    limit, half = x.dtype.type(delta), x.dtype.type(0.5)
    rows, sums = x[:whole].reshape(-1, _ROW), np.empty(whole // _ROW + 1, x.dtype)

    def add(part: Array, out: Array) -> None:
        near = limited(part, -limit, limit)
        np.subtract(np.vecdot(near, part), np.vecdot(near, near) * half, out)

    in_slices(lambda part: add(rows[part], sums[:-1][part]), len(rows), _ROW)
    add(x[whole:], sums[-1, ...])
    return add_up(sums, (0,))


# ------------------------------------------------------------------------------------------------ sequences


def _paths(log_probs: Array, extended: Array, input_lengths: Array, target_lengths: Array, skips: Array) -> Array:
    """(T, N, L): the logarithm of the probability of all paths that are at position s of the extended target at time t."""
    times, batch, _ = log_probs.shape
    alpha = np.full((times, batch, extended.shape[1]), -np.inf)
    emitted = np.take_along_axis(log_probs, np.broadcast_to(extended, (times, *extended.shape)), 2)
    alpha[:1, :, 0] = emitted[:1, :, 0]
    begins = target_lengths > 0
    alpha[:1, begins, 1:2] = emitted[:1, begins, 1:2]
    for t in range(1, times):
        before, now = alpha[t - 1], alpha[t]
        now[:] = before
        now[:, 1:] = np.logaddexp(now[:, 1:], before[:, :-1])
        now[:, 2:] = np.logaddexp(now[:, 2:], np.where(skips[:, 2:], before[:, :-2], -np.inf))
        now += emitted[t]
    return alpha


def _skips(extended: Array, blank: int) -> Array:
    """Where a path may skip from two positions before: a label that differs from the previous one."""
    skips = extended != blank
    skips[:, 2:] &= extended[:, 2:] != extended[:, :-2]
    skips[:, :2] = False
    return skips


def ctc_paths(
    log_probs: Array, extended: Array, input_lengths: Array, target_lengths: Array, blank: int, zero_infinity: bool
) -> tuple[Array, Array]:
    """(T, N, C), the targets with blanks between and around (N, L) -> the losses (N), and alpha (T, N, L)"""
    real_floating(log_probs, "ctc_loss_cpu")
    alpha = _paths(log_probs.astype(np.float64), extended, input_lengths, target_lengths, _skips(extended, blank))
    n = np.arange(len(extended))
    if len(alpha):
        last = alpha[np.maximum(input_lengths - 1, 0), n]
        end = last[n, 2 * target_lengths]
        before_end = np.where(target_lengths > 0, last[n, np.maximum(2 * target_lengths - 1, 0)], -np.inf)
        losses = -np.logaddexp(end, before_end)
    else:
        losses = np.zeros(len(n))
    losses = np.where(input_lengths == 0, np.where(target_lengths == 0, 0, np.inf), losses)
    if zero_infinity:
        losses = np.where(np.isposinf(losses), 0, losses)
    return losses.astype(log_probs.dtype), alpha


def ctc_slopes(
    grad: Array, log_probs: Array, losses: Array, alpha: Array, extended: Array, input_lengths: Array, target_lengths: Array,
    blank: int, zero_infinity: bool,
) -> Array:  # fmt: skip
    """``exp(log_probs) - occupancy``: the gradient of the log-softmax's input, assuming that `log_probs` is one
    (Graves et al., 2006, eq. 16); beta is alpha of the reversed sequences."""
    times, batch, _ = log_probs.shape
    lengths = 2 * target_lengths + 1
    places = np.arange(extended.shape[1])
    backward = np.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)  # reverses what is used
    moments = np.arange(times)[:, None]
    later = np.where(moments < input_lengths, input_lengths - 1 - moments, moments)  # (T, N)
    columns = np.arange(batch)
    mirrored = np.take_along_axis(extended, backward, 1)
    values = log_probs.astype(np.float64)
    beta = _paths(values[later, columns], mirrored, input_lengths, target_lengths, _skips(mirrored, blank))
    beta = np.take_along_axis(beta[later, columns], np.broadcast_to(backward, beta.shape), 2)
    emitted = np.take_along_axis(values, np.broadcast_to(extended, beta.shape), 2)
    used = (moments < input_lengths)[:, :, None] & (places < lengths[:, None])
    occupancy = np.where(used, np.exp(alpha + beta - emitted + losses.astype(np.float64)[:, None]), 0)
    out = np.exp(values)
    for s in places:
        out[moments, columns, extended[:, s]] -= occupancy[:, :, s]
    out *= (moments < input_lengths)[:, :, None]
    if zero_infinity:
        reachable = np.logaddexp.reduce(np.where(used, alpha + beta - emitted, -np.inf), 2).max(0, initial=-np.inf) > -np.inf
        out = np.where(reachable[:, None], out, 0)
    return (out * grad[:, None]).astype(log_probs.dtype)
