"""All steps of an LSTM or a GRU over a sequence, forward and back."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.products import matmul

# ------------------------------------------------------------------------------------------------ all steps, fused


def lstm_steps(gates: Array, hidden: Array, cell: Array, weight: Array, reverse: bool) -> tuple[Array, Array, Array, Array]:
    """Gates of the inputs (L, N, 4 H), state (N, H), (N, H), weight (4 H, H) -> hidden states (L, N, H), final cell (N, H).

    Also returns what the backward needs: cells (L, N, H) and activated gates (L, N, 4 H). One tanh serves the four gates, as
    ``sigmoid(z) = (tanh(z / 2) + 1) / 2``.
    """
    steps, n, size = len(gates), *hidden.shape
    half = np.full(4 * size, 0.5, gates.dtype)
    half[2 * size : 3 * size] = 1
    rest, transposed = 1 - half, np.ascontiguousarray(weight.T)
    hiddens, cells, activated = (
        np.empty((steps, n, size), gates.dtype),
        np.empty((steps, n, size), gates.dtype),
        np.empty_like(gates),
    )
    for t in reversed(range(steps)) if reverse else range(steps):
        z = matmul(hidden, transposed, activated[t])
        z += gates[t]
        z *= half
        np.tanh(z, z)
        z *= half
        z += rest
        i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
        cell = np.multiply(f, cell, cells[t])
        hidden = np.multiply(i, g, hiddens[t])
        cell += hidden
        np.tanh(cell, hidden)
        hidden *= o
    return hiddens, cell.copy(), cells, activated


def lstm_steps_backward(
    grad: Array | None, grad_cell: Array | None, hidden: Array, cell: Array, weight: Array,
    hiddens: Array, cells: Array, activated: Array, reverse: bool,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """The gradients of gates, hidden, cell and weight."""
    steps, n, size = hiddens.shape
    to_gates, slopes = np.empty(activated.shape, activated.dtype), np.empty((n, 4 * size), activated.dtype)
    to_hidden, to_cell = np.zeros_like(hidden), np.zeros_like(cell)
    if grad_cell is not None:
        to_cell += grad_cell
    order = list(reversed(range(steps)) if reverse else range(steps))
    slope_i, slope_f, slope_g, slope_o = (slopes[:, k * size : (k + 1) * size] for k in range(4))
    for t, before in zip(reversed(order), [*reversed(order[:-1]), None]):
        a = activated[t]
        i, f, g, o = (a[:, k * size : (k + 1) * size] for k in range(4))
        if grad is not None:
            to_hidden += grad[t]
        end = np.tanh(cells[t])
        np.multiply(a, a, slopes)
        np.subtract(1, slope_g, slope_g)
        slope_g *= i
        for slope, gate in ((slope_i, i), (slope_f, f), (slope_o, o)):
            np.subtract(gate, slope, slope)
        slope_i *= g
        slope_f *= cell if before is None else cells[before]
        slope_o *= end
        end *= end
        np.subtract(1, end, end)
        end *= o
        end *= to_hidden
        to_cell += end
        z = to_gates[t]
        parts = z.reshape(n, 4, size)
        np.multiply(slopes.reshape(n, 4, size)[:, :3], to_cell[:, None], parts[:, :3])
        np.multiply(slope_o, to_hidden, parts[:, 3])
        to_cell *= f
        matmul(z, weight, to_hidden)
    return to_gates, to_hidden, to_cell, _to_weight(to_gates, hidden, hiddens, reverse)


def gru_steps(gates: Array, hidden: Array, weight: Array, bias: Array | None, reverse: bool) -> tuple[Array, Array]:
    """Gates of the inputs (L, N, 3 H), state (N, H), weight (3 H, H), bias (3 H) -> hidden states (L, N, H).

    Also returns what the backward needs (L, N, 4 H): the gates r, z, n, and the hidden state's part of n before r.
    """
    steps, n, size = len(gates), *hidden.shape
    transposed = np.ascontiguousarray(weight.T)
    hiddens, kept = np.empty((steps, n, size), gates.dtype), np.empty((steps, n, 4 * size), gates.dtype)
    z = np.empty((n, 3 * size), gates.dtype)
    for t in reversed(range(steps)) if reverse else range(steps):
        matmul(hidden, transposed, z)
        if bias is not None:
            z += bias
        both, new, own = (kept[t, :, i:j] for i, j in ((0, 2 * size), (2 * size, 3 * size), (3 * size, 4 * size)))
        own[...] = z[:, 2 * size :]
        np.add(z[:, : 2 * size], gates[t, :, : 2 * size], both)
        both *= 0.5
        np.tanh(both, both)
        both *= 0.5
        both += 0.5
        np.multiply(both[:, :size], own, new)
        new += gates[t, :, 2 * size :]
        np.tanh(new, new)
        hidden = np.subtract(hidden, new, hiddens[t])
        hidden *= both[:, size:]
        hidden += new
    return hiddens, kept


def gru_steps_backward(
    grad: Array, hidden: Array, weight: Array, bias: Array | None, hiddens: Array, kept: Array, reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """The gradients of gates, hidden, weight and bias."""
    steps, n, size = hiddens.shape
    to_gates, to_own = np.empty((steps, n, 3 * size), kept.dtype), np.empty((steps, n, 3 * size), kept.dtype)
    to_hidden = np.zeros_like(hidden)
    order = list(reversed(range(steps)) if reverse else range(steps))
    for t, before in zip(reversed(order), [*reversed(order[:-1]), None]):
        both = kept[t, :, : 2 * size]
        r, z, new, own = (kept[t, :, k * size : (k + 1) * size] for k in range(4))
        to_hidden += grad[t]
        to_both, to_new = to_gates[t, :, : 2 * size], to_gates[t, :, 2 * size :]
        np.multiply(new, new, to_new)
        np.subtract(1, to_new, to_new)
        to_new *= to_hidden
        to_new *= 1 - z
        np.multiply(both, both, to_both)
        np.subtract(both, to_both, to_both)  # the slopes of r and z
        to_r, to_z = to_both[:, :size], to_both[:, size:]
        to_r *= to_new
        to_r *= own
        to_z *= to_hidden
        to_z *= (hidden if before is None else hiddens[before]) - new
        to_own[t, :, : 2 * size] = to_both
        np.multiply(to_new, r, to_own[t, :, 2 * size :])
        to_hidden *= z
        to_hidden += to_own[t] @ weight
    flat = to_own.reshape(-1, 3 * size)
    return to_gates, to_hidden, _to_weight(to_own, hidden, hiddens, reverse), np.ones(len(flat), flat.dtype) @ flat


def _to_weight(to_gates: Array, hidden: Array, hiddens: Array, reverse: bool) -> Array:
    """The gradient of the hidden weight: over all steps, of the gates (L, N, G) and the hidden states before them."""
    gates, size = to_gates.shape[2], hidden.shape[1]
    later, earlier = (to_gates[:-1], hiddens[1:]) if reverse else (to_gates[1:], hiddens[:-1])
    out: Array = to_gates[-1 if reverse else 0].T @ hidden
    out += matmul(later.reshape(-1, gates).T, earlier.reshape(-1, size))
    return out
