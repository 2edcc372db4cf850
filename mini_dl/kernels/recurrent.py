"""All steps of an LSTM or a GRU over a sequence, forward and backward.

The samples of a batch are independent: each thread processes some of them through the whole sequence.
"""

from __future__ import annotations

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


def _multiply(rows: Array, blocks: Array, out: Array) -> Array:
    """``out = rows @ matrix`` for the blocks of a matrix."""
    count, _, width = blocks.shape
    np.matmul(rows, blocks, out.reshape(len(rows), count, width).transpose(1, 0, 2))
    return out


# ------------------------------------------------------------------------------------------------ all steps, fused


def lstm_steps(gates: Array, hidden: Array, cell: Array, weight: Array, reverse: bool) -> tuple[Array, Array, Array, Array]:
    """Gates of the inputs (L, N, 4 H), state (N, H), (N, H), weight (4 H, H) -> hidden states (L, N, H), final cell (N, H).

    Also returns the values for the backward: cells (L, N, H) and activated gates (L, N, 4 H). One tanh serves the four gates, as
    ``sigmoid(z) = (tanh(z / 2) + 1) / 2``.
    """
    steps, n, size = len(gates), *hidden.shape
    half = np.full(4 * size, 0.5, gates.dtype)
    half[2 * size : 3 * size] = 1
    rest = 1 - half
    hiddens, cells, activated = (
        np.empty((steps, n, size), gates.dtype),
        np.empty((steps, n, size), gates.dtype),
        np.empty_like(gates),
    )
    order = range(steps)[:: -1 if reverse else 1]

    def run(part: slice) -> None:
        h, c = hidden[part], cell[part]
        blocks = _in_blocks(weight.T, len(h))
        for t in order:
            z = _multiply(h, blocks, activated[t, part])
            z += gates[t, part]
            z *= half
            np.tanh(z, z)
            z *= half
            z += rest
            i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
            c = np.multiply(f, c, cells[t, part])
            h = np.multiply(i, g, hiddens[t, part])
            c += h
            np.tanh(c, h)
            h *= o

    _for_samples(run, n, n * weight.size)
    return hiddens, cells[order[-1]].copy(), cells, activated


def lstm_steps_backward(
    grad: Array | None, grad_cell: Array | None, hidden: Array, cell: Array, weight: Array,
    hiddens: Array, cells: Array, activated: Array, reverse: bool,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """The gradients of gates, hidden, cell and weight."""
    steps, n, size = hiddens.shape
    to_gates = np.empty(activated.shape, activated.dtype)
    to_hidden, to_cell = np.zeros_like(hidden), np.zeros_like(cell)
    if grad_cell is not None:
        to_cell += grad_cell
    back = slice(None, None, 1 if reverse else -1)
    slopes, all_cells = to_gates.reshape(steps, n, 4, size)[back], cells[back]
    gates = activated.reshape(slopes.shape)[back]
    grads = None if grad is None else grad[back]

    def run(part: slice) -> None:
        h, c = to_hidden[part], to_cell[part]
        blocks = _in_blocks(weight, len(h))
        for at in split(steps, -(-steps // 8)):  # several steps together, if they do not need the previous one
            before = np.concatenate([all_cells[at.start + 1 : at.stop + 1, part], cell[None, part]])[: at.stop - at.start]
            ends = _slopes(slopes[at, part], gates[at, part], all_cells[at, part], before)
            for t, end in zip(range(at.start, at.stop), ends):
                if grads is not None:
                    h += grads[t, part]
                end *= h
                c += end
                z = slopes[t, part]
                z[:, :3] *= c[:, None]
                z[:, 3] *= h
                c *= gates[t, part, 1]
                _multiply(z.reshape(len(h), -1), blocks, h)

    _for_samples(run, n, 2 * n * weight.size)  # there are fewer calls than in the forward
    return to_gates, to_hidden, to_cell, _to_weight(to_gates, hidden, hiddens, reverse)


def _slopes(out: Array, gates: Array, cells: Array, before: Array) -> Array:
    """The factors of gradients: `out` (..., 4, H) leads from the cell, for o from the hidden state, to the gates.

    Returns the factor from the hidden state to the cell.
    """
    i, f, g, o = (gates[..., k, :] for k in range(4))
    slope_i, slope_f, slope_g, slope_o = (out[..., k, :] for k in range(4))
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

    Also returns the values for the backward (L, N, 4 H): the gates r, z, n, and the hidden state's part of n before r.
    """
    steps, n, size = len(gates), *hidden.shape
    hiddens, kept = np.empty((steps, n, size), gates.dtype), np.empty((steps, n, 4 * size), gates.dtype)

    def run(part: slice) -> None:
        h = hidden[part]
        blocks, z = _in_blocks(weight.T, len(h)), np.empty((len(h), 3 * size), gates.dtype)
        for t in range(steps)[:: -1 if reverse else 1]:
            _multiply(h, blocks, z)
            if bias is not None:
                z += bias
            both, new, own = (kept[t, part, i:j] for i, j in ((0, 2 * size), (2 * size, 3 * size), (3 * size, 4 * size)))
            own[...] = z[:, 2 * size :]
            np.add(z[:, : 2 * size], gates[t, part, : 2 * size], both)
            both *= 0.5
            np.tanh(both, both)
            both *= 0.5
            both += 0.5
            np.multiply(both[:, :size], own, new)
            new += gates[t, part, 2 * size :]
            np.tanh(new, new)
            h = np.subtract(h, new, hiddens[t, part])
            h *= both[:, size:]
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
    order = range(steps)[:: 1 if reverse else -1]

    def run(part: slice) -> None:
        h = to_hidden[part]
        blocks, sent = _in_blocks(weight, len(h)), np.empty_like(h)
        for t, before in zip(order, [*(hiddens[t] for t in order[1:]), hidden]):
            both = kept[t, part, : 2 * size]
            r, z, new, own = (kept[t, part, k * size : (k + 1) * size] for k in range(4))
            h += grad[t, part]
            to_both, to_new = to_gates[t, part, : 2 * size], to_gates[t, part, 2 * size :]
            np.multiply(new, new, to_new)
            np.subtract(1, to_new, to_new)
            to_new *= h
            to_new *= 1 - z
            np.multiply(both, both, to_both)
            np.subtract(both, to_both, to_both)  # the slopes of r and z
            to_r, to_z = to_both[:, :size], to_both[:, size:]
            to_r *= to_new
            to_r *= own
            to_z *= h
            to_z *= before[part] - new
            to_own[t, part, : 2 * size] = to_both
            np.multiply(to_new, r, to_own[t, part, 2 * size :])
            h *= z
            h += _multiply(to_own[t, part], blocks, sent)

    _for_samples(run, n, n * weight.size)
    flat = to_own.reshape(-1, 3 * size)
    return to_gates, to_hidden, _to_weight(to_own, hidden, hiddens, reverse), np.ones(len(flat), flat.dtype) @ flat


def _to_weight(to_gates: Array, hidden: Array, hiddens: Array, reverse: bool) -> Array:
    """The gradient of the hidden weight: over all steps, of the gates (L, N, G) and the hidden states before them."""
    gates, size = to_gates.shape[2], hidden.shape[1]
    later, earlier = (to_gates[:-1], hiddens[1:]) if reverse else (to_gates[1:], hiddens[:-1])
    out: Array = to_gates[-1 if reverse else 0].T @ hidden
    out += matmul(later.reshape(-1, gates).T, earlier.reshape(-1, size))
    return out
