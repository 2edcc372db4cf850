"""All steps of an LSTM or a GRU over a sequence, forward and backward.

The samples of a batch are independent: each thread processes some of them through the whole sequence.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels import blas
from mini_dl.kernels.blocks import split
from mini_dl.kernels.parallel import get_num_threads, share_product
from mini_dl.kernels.products import matmul

ENOUGH = 1 << 22
"""Multiplications of a step from which it pays to share the batch: with fewer, most time goes into calls, where threads meet."""


def _for_samples(work: Callable[[slice], object], n: int, products: int) -> None:
    """Call `work` for parts of `n` samples, by several threads if a step makes many products."""
    pieces = split(n, get_num_threads() if products >= ENOUGH else 1)
    if len(pieces) == 1 or not share_product(work, [(piece,) for piece in pieces]):
        work(slice(0, n))


FAST = 10**6
"""Multiplications up to which OpenBLAS reads a matrix in place. To multiply few rows by a larger one, it copies all of it first,
which takes as long as the product."""


def _in_blocks(matrix: Array, rows: int) -> Array:
    """A matrix (K, M) as (C, K, M / C): C products of it and `rows` rows that are small enough, or one. A matrix that
    is copied at each step anyway stays as it is."""
    k, m = matrix.shape
    if not blas.reads_in_place():
        return matrix[None]
    count = next((c for c in range(1, m // 32 + 1) if m % c == 0 and rows * k * m <= FAST * c), 1)
    return np.ascontiguousarray(matrix.reshape(k, count, m // count).transpose(1, 0, 2))


def _columns(array: Array, width: int) -> Array:
    """`array` (..., N, C * width) as (..., C, N, width): the gates of each step, or where products with blocks write."""
    return array.reshape(*array.shape[:-1], array.shape[-1] // width, width).swapaxes(-2, -3)


TOGETHER = 1 << 18
"""Gates of the steps of a backward whose slopes are computed together: they do not need the gradient of the hidden state."""


def _together(gates: Array) -> list[slice]:
    """The steps of gates (L, ...), several together."""
    steps = len(gates)
    return split(steps, -(-steps // max(1, TOGETHER * steps // max(1, gates.size))))


def _before(states: Array, first: Array, at: slice) -> Array:
    """The states before those of `at`, where each is followed by the one before it."""
    return np.concatenate([states[at.start + 1 : at.stop + 1], first[None]])[: at.stop - at.start]


# ------------------------------------------------------------------------------------------------ all steps, fused


def lstm_steps(gates: Array, hidden: Array, cell: Array, weight: Array, reverse: bool) -> tuple[Array, Array, Array, Array]:
    """Gates of the inputs (L, N, 4 H), state (N, H), (N, H), weight (4 H, H) -> hidden states (L, N, H), final cell (N, H).

    Also returns the values for the backward: cells (L, N, H) and activated gates (L, N, 4 H). One tanh serves the four gates, as
    ``sigmoid(z) = (tanh(z / 2) + 1) / 2``.
    """
    steps, n, size = len(gates), *hidden.shape
    hiddens, cells, activated = (
        np.empty((steps, n, size), gates.dtype),
        np.empty((steps, n, size), gates.dtype),
        np.empty_like(gates),
    )
    back = slice(None, None, -1 if reverse else 1)

    def run(part: slice) -> None:
        h, c = hidden[part], cell[part]
        blocks = _in_blocks(weight.T, len(h))
        half = np.full((len(h), 4 * size), 0.5, gates.dtype)  # for each sample: broadcasting takes longer
        half[:, 2 * size : 3 * size] = 1
        rest = 1 - half
        xs, zs, hs, cs = (array[back, part] for array in (gates, activated, hiddens, cells))
        for x, z, out, (i, f, g, o), h_t, c_t in zip(xs, zs, _columns(zs, blocks.shape[2]), _columns(zs, size), hs, cs):
            np.matmul(h, blocks, out)
            z += x
            z *= half
            np.tanh(z, z)
            z *= half
            z += rest
            c = np.multiply(f, c, c_t)
            h = np.multiply(i, g, h_t)
            c += h
            np.tanh(c, h)
            h *= o

    _for_samples(run, n, n * weight.size)
    return hiddens, cells[back][-1].copy(), cells, activated


def lstm_steps_backward(
    grad: Array | None, grad_cell: Array | None, hidden: Array, cell: Array, weight: Array,
    hiddens: Array, cells: Array, activated: Array, reverse: bool,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """The gradients of gates, hidden, cell and weight."""
    _, n, size = hiddens.shape
    to_gates = np.empty(activated.shape, activated.dtype)
    to_hidden, to_cell = np.zeros_like(hidden), np.zeros_like(cell)
    if grad_cell is not None:
        to_cell += grad_cell
    back = slice(None, None, 1 if reverse else -1)

    def run(part: slice) -> None:
        h, c = to_hidden[part], to_cell[part]
        blocks = _in_blocks(weight, len(h))
        out = _columns(h, blocks.shape[2])
        z, kept, after = (array[back, part] for array in (to_gates, activated, cells))
        slopes, gates = (_columns(array, size) for array in (z, kept))
        grads = itertools.repeat(None) if grad is None else iter(grad[back, part])
        for at in _together(gates):
            ends = _slopes(slopes[at], gates[at], after[at], _before(after, cell[part], at))
            for end, z_t, to_c, to_h, f in zip(ends, z[at], slopes[at, :3], slopes[at, 3], gates[at, 1]):
                g = next(grads)
                if g is not None:
                    h += g
                end *= h
                c += end
                to_c *= c
                to_h *= h
                c *= f
                np.matmul(z_t, blocks, out)

    _for_samples(run, n, 2 * n * weight.size)  # there are fewer calls than in the forward
    return to_gates, to_hidden, to_cell, _to_weight(to_gates, hidden, hiddens, reverse)


def _slopes(out: Array, gates: Array, cells: Array, before: Array) -> Array:
    """The factors of gradients: `out` (L, 4, N, H) leads from the cell, for o from the hidden state, to the gates.

    Returns the factor from the hidden state to the cell.
    """
    i, f, g, o = (gates[:, k] for k in range(4))
    slope_i, slope_f, slope_g, slope_o = (out[:, k] for k in range(4))
    np.multiply(gates, gates, out)
    np.subtract(1, slope_g, slope_g)
    slope_g *= i
    for slope, gate in ((slope_i, i), (slope_f, f), (slope_o, o)):
        np.subtract(gate, slope, slope)
    slope_i *= g
    slope_f *= before
    end = np.tanh(cells)
    slope_o *= end
    end *= end
    np.subtract(1, end, end)
    end *= o
    return end


def gru_steps(gates: Array, hidden: Array, weight: Array, bias: Array | None, reverse: bool) -> tuple[Array, Array]:
    """Gates of the inputs (L, N, 3 H), state (N, H), weight (3 H, H), bias (3 H) -> hidden states (L, N, H).

    Also returns the values for the backward (L, N, 4 H): the gates n, r, z, and the hidden state's part of n before r.
    """
    steps, n, size = len(gates), *hidden.shape
    hiddens, kept = np.empty((steps, n, size), gates.dtype), np.empty((steps, n, 4 * size), gates.dtype)
    back = slice(None, None, -1 if reverse else 1)

    def run(part: slice) -> None:
        h, blocks = hidden[part], _in_blocks(weight.T, len(hidden[part]))
        x, k, hs = (array[back, part] for array in (gates, kept, hiddens))
        from_hidden, xs = k[..., size:], (x[..., : 2 * size], x[..., 2 * size :])
        outs, boths = _columns(from_hidden, blocks.shape[2]), k[..., size : 3 * size]
        for own, out, both, (new, r, z, own_n), x_both, x_n, h_t in zip(from_hidden, outs, boths, _columns(k, size), *xs, hs):
            np.matmul(h, blocks, out)
            if bias is not None:
                own += bias
            both += x_both
            both *= 0.5
            np.tanh(both, both)
            both *= 0.5
            both += 0.5
            np.multiply(r, own_n, new)
            new += x_n
            np.tanh(new, new)
            h = np.subtract(h, new, h_t)
            h *= z
            h += new

    _for_samples(run, n, n * weight.size)
    return hiddens, kept


def gru_steps_backward(
    grad: Array, hidden: Array, weight: Array, bias: Array | None, hiddens: Array, kept: Array, reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """The gradients of gates, hidden, weight and bias."""
    steps, n, size = hiddens.shape
    to_gates, to_own = np.empty((steps, n, 3 * size), kept.dtype), np.empty((steps, n, 3 * size), kept.dtype)
    to_hidden = np.zeros_like(hidden)
    back = slice(None, None, 1 if reverse else -1)

    def run(part: slice) -> None:
        h, sent = to_hidden[part], np.empty_like(to_hidden[part])
        blocks = _in_blocks(weight, len(h))
        out = _columns(sent, blocks.shape[2])
        own, grads, after = (array[back, part] for array in (to_own, grad, hiddens))
        slopes, to_each, gates = (_columns(array[back, part], size) for array in (to_own, to_gates, kept))
        for at in _together(gates):
            _gru_slopes(slopes[at], to_each[at, 2], gates[at], _before(after, hidden[part], at))
            for to_all, to_new, to_own_t, g, z in zip(slopes[at], to_each[at, 2], own[at], grads[at], gates[at, 2]):
                h += g
                to_all *= h
                to_new *= h
                h *= z
                np.matmul(to_own_t, blocks, out)
                h += sent
            to_each[at, :2] = slopes[at, :2]

    _for_samples(run, n, 2 * n * weight.size)
    flat = to_own.reshape(-1, 3 * size)
    return to_gates, to_hidden, _to_weight(to_own, hidden, hiddens, reverse), np.ones(len(flat), flat.dtype) @ flat


def _gru_slopes(out: Array, to_new: Array, gates: Array, before: Array) -> None:
    """The factors of gradients from the hidden state: `out` (L, 3, N, H) to what it gave to r, z and n, `to_new` to n."""
    new, r, z, own = (gates[:, k] for k in range(4))
    to_r, to_z, to_own = (out[:, k] for k in range(3))
    np.multiply(new, new, to_new)
    np.subtract(1, to_new, to_new)
    to_new *= np.subtract(1, z, to_z)
    np.multiply(to_new, r, to_own)
    np.subtract(1, r, to_r)
    to_r *= to_own
    to_r *= own
    to_z *= z
    to_z *= before - new


def _to_weight(to_gates: Array, hidden: Array, hiddens: Array, reverse: bool) -> Array:
    """The gradient of the hidden weight: over all steps, of the gates (L, N, G) and the hidden states before them."""
    gates, size = to_gates.shape[2], hidden.shape[1]
    later, earlier = (to_gates[:-1], hiddens[1:]) if reverse else (to_gates[1:], hiddens[:-1])
    out: Array = to_gates[-1 if reverse else 0].T @ hidden
    out += matmul(later.reshape(-1, gates).T, earlier.reshape(-1, size))
    return out
