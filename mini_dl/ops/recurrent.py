"""Recurrent networks, composed of linear maps and gates: cells, and layers of them over a sequence.

The gates of all inputs of a layer are one product; only those of the hidden state are computed step by step. An LSTM or GRU over
whole sequences is one primitive, whose second derivative is that of the composition.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl._dtypes import NARROW, Array
from mini_dl._surface import function, named
from mini_dl.autograd.backwards import grad as gradients
from mini_dl.autograd.engine import run_backward
from mini_dl.autograd.mode import at_work, differentiates
from mini_dl.autograd.primitive import op, op_together
from mini_dl.autograd.transforms import Lifted, unwrap, wrap_at
from mini_dl.kernels.recurrent import gru_steps, gru_steps_backward, lstm_steps, lstm_steps_backward
from mini_dl.ops.dropout import dropout
from mini_dl.ops.joining import cat, stack
from mini_dl.ops.matmul import linear
from mini_dl.tensor import LEAF, Grads, Tensor

State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State, Sequence[Tensor | None]], State]
"""(gates of the input, state before, hidden weights (w_hh, b_hh, w_hr)) -> state after"""

# ------------------------------------------------------------------------------------------------ one step


def _tanh(gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
    return ((gates + linear(state[0], weights[0], weights[1])).tanh(),)


def _relu(gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
    return ((gates + linear(state[0], weights[0], weights[1])).relu(),)


def _lstm(gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
    hidden, cell = state
    i, f, g, o = (gates + linear(hidden, weights[0], weights[1])).chunk(4, -1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * cell.tanh()
    return (hidden if weights[2] is None else linear(hidden, weights[2])), cell


def _gru(gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
    hidden = state[0]
    reset, update, new = gates.chunk(3, -1)
    hidden_reset, hidden_update, hidden_new = linear(hidden, weights[0], weights[1]).chunk(3, -1)
    new = (new + (reset + hidden_reset).sigmoid() * hidden_new).tanh()
    return ((hidden - new) * (update + hidden_update).sigmoid() + new,)


def _cell(step: Cell, input: Tensor, state: State, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None) -> State:
    _check_cell(input, state, w_ih, w_hh)
    return step(linear(input, w_ih, b_ih), state, (w_hh, b_hh, None))


def _check_cell(input: Tensor, state: State, w_ih: Tensor, w_hh: Tensor) -> None:
    if input.shape[-1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {w_ih.shape[1]}")
    for i, hidden in enumerate(state):
        if hidden.shape[0] != input.shape[0]:
            raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {hidden.shape[0]}")
        if hidden.shape[-1] != w_hh.shape[1]:
            raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {hidden.shape[-1]}, expected {w_hh.shape[1]}")


def _simple_cell(name: str, step: Cell, formula: str, example: str) -> Callable[..., Tensor]:
    """The cell of a network without gates, published."""

    def cell(
        input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
    ) -> Tensor:
        return _cell(step, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]

    doc = f"""One step of a recurrent network: ``out = {formula}``

    Family: cell

    >>> torch.{name}(torch.ones(1, 2), torch.zeros(1, 3), torch.ones(3, 2), torch.ones(3, 3))
    {example}
    """
    return function()(named(cell, name, doc))


rnn_tanh_cell = _simple_cell(
    "rnn_tanh_cell", _tanh, "tanh(w_ih @ input + b_ih + w_hh @ hx + b_hh)", "tensor([[0.9640, 0.9640, 0.9640]])"
)
rnn_relu_cell = _simple_cell("rnn_relu_cell", _relu, "max(0, w_ih @ input + b_ih + w_hh @ hx + b_hh)", "tensor([[2., 2., 2.]])")


@function()
def lstm_cell(
    input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> State:
    """One step of an LSTM, of the gates i, f, g, o: ``cell = sigmoid(f) * cell + sigmoid(i) * tanh(g)``,
    ``hidden = sigmoid(o) * tanh(cell)``

    Shapes: `input` (N, C), `hx` two (N, H), `w_ih` (4 H, C), `w_hh` (4 H, H), both biases (4 H) -> (N, H), (N, H).
    Raises: RuntimeError for sizes that do not match.
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers, Schmidhuber, and Cummins, Learning to forget,
    2000.

    >>> h = torch.zeros(1, 1)
    >>> torch.lstm_cell(torch.ones(1, 2), (h, h), torch.ones(4, 2), torch.ones(4, 1))
    (tensor([[0.6083]]), tensor([[0.8491]]))
    """
    return _cell(_lstm, input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


@function()
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a GRU, of the gates r, z, n: ``n = tanh(n_input + sigmoid(r) * n_hidden)``,
    ``hidden = (hidden - n) * sigmoid(z) + n``

    Shapes: `input` (N, C), `hx` (N, H), `w_ih` (3 H, C), `w_hh` (3 H, H), both biases (3 H) -> (N, H).
    Raises: RuntimeError for sizes that do not match.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014.

    >>> torch.gru_cell(torch.ones(1, 2), torch.zeros(1, 1), torch.ones(3, 2), torch.ones(3, 1))
    tensor([[0.1149]])
    """
    return _cell(_gru, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


# ------------------------------------------------------------------------------------------------ all steps, fused


def _gradients(
    grads: Grads,
    wanted: list[bool],
    step: Cell,
    kernel: Any,
    parts: Sequence[Tensor | None],
    states: int,
    result: Any,
    reverse: bool,
) -> Sequence[Tensor | None]:
    """The gradients of the `parts`: gates, `states` parts of the state, weight (and bias).

    Computed by `kernel` or, if they need a history, by the composition of single steps.
    """
    if all([g is None for g in grads[:states]]):
        return [None] * len(parts)
    kept = result[:1] + result[states:]  # not the final state
    if not differentiates():
        return kernel(*grads[:states], *parts[1:], *kept, reverse)
    if at_work.anywhere:
        with Lifted() as level:
            lifted = [x if x is None else wrap_at(level, x) for x in parts]
            for x in lifted:
                if x is not None:
                    x._edge = LEAF
            outs, cotangents = _composed(step, lifted, states, grads, reverse)
            level.quiet = True
            leaves: list[Any] = [x for x, is_wanted in zip(lifted, wanted) if is_wanted]
            found = iter([unwrap(level, g) for g in run_backward(outs, cotangents, leaves, False, False, False)])
    else:
        inputs = [x if x is None else x.view_as(x) for x in parts]  # the same tensor may come twice
        outs, cotangents = _composed(step, inputs, states, grads, reverse)
        leaves = [x for x, is_wanted in zip(inputs, wanted) if is_wanted]
        found = iter(gradients(outs, leaves, cotangents, create_graph=True, allow_unused=True))
    return [next(found) if is_wanted else None for is_wanted in wanted]


def _composed(
    step: Cell, inputs: Sequence[Any], states: int, grads: Grads, reverse: bool
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The outputs, from single steps, that got gradients; and these gradients."""
    weights = (*inputs[1 + states :], None, None)[:3]
    outputs, final = _direction(_by_step(step, weights), inputs[0].unbind(0), tuple(inputs[1 : 1 + states]), reverse)
    reached = [(out, g) for out, g in zip((stack(outputs), *final[1:]), grads) if g is not None]
    return tuple([out for out, _ in reached]), tuple([g for _, g in reached])


def _lstm_gradients(
    grads: Grads, wanted: list[bool], gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, result: object, reverse: bool
) -> Sequence[Tensor | None]:
    return _gradients(grads, wanted, _lstm, _lstm_steps_backward, (gates, hidden, cell, weight), 2, result, reverse)


def _gru_gradients(
    grads: Grads,
    wanted: list[bool],
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    result: object,
    reverse: bool,
) -> Sequence[Tensor | None]:
    return _gradients(grads, wanted, _gru, _gru_steps_backward, (gates, hidden, weight, bias), 1, result, reverse)


@op_together(_lstm_gradients, "gates", "hidden", "cell", "weight")
def _lstm_steps(gates: Array, hidden: Array, cell: Array, weight: Array, reverse: bool) -> tuple[Array, Array, Array, Array]:
    """Gates of the inputs (L, N, 4 H), state (N, H), (N, H), weight (4 H, H) -> hidden states (L, N, H), the last cell (N, H)."""
    return lstm_steps(gates, hidden, cell, weight, reverse)


@op()
def _lstm_steps_backward(
    grad: Array | None, grad_cell: Array | None, hidden: Array, cell: Array, weight: Array,
    hiddens: Array, cells: Array, activated: Array, reverse: bool,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """The gradients of gates, hidden, cell and weight."""
    return lstm_steps_backward(grad, grad_cell, hidden, cell, weight, hiddens, cells, activated, reverse)


@op_together(_gru_gradients, "gates", "hidden", "weight", "bias")
def _gru_steps(gates: Array, hidden: Array, weight: Array, bias: Array | None, reverse: bool) -> tuple[Array, Array]:
    """Gates of the inputs (L, N, 3 H), state (N, H), weight (3 H, H), bias (3 H) -> hidden states (L, N, H)."""
    return gru_steps(gates, hidden, weight, bias, reverse)


@op()
def _gru_steps_backward(
    grad: Array, hidden: Array, weight: Array, bias: Array | None, hiddens: Array, kept: Array, reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """The gradients of gates, hidden, weight and bias."""
    return gru_steps_backward(grad, hidden, weight, bias, hiddens, kept, reverse)


def _fits(gates: int, input: Tensor, samples: int, start: State, weight: Tensor, biases: Sequence[Tensor | None]) -> bool:
    """Whether a fused primitive can compute it: a single type, and matching sizes."""
    first, (width, size) = input._array, weight._array.shape
    same = all([x is None or x._array.dtype is first.dtype for x in (*start, weight, *biases)])
    fitting = all([x._array.shape == (samples, size) for x in start])
    return same and fitting and first.dtype.char in "fd" and len(first) > 0 and width == gates * size


# ------------------------------------------------------------------------------------------------ all steps


Advance = Callable[[Tensor, State], tuple[Tensor, State]]
"""(gates of the input in one step or several, state before) -> (hidden states, state after)"""


def _by_step(step: Cell, weights: Sequence[Tensor | None]) -> Advance:
    def advance(gates: Tensor, state: State) -> tuple[Tensor, State]:
        state = step(gates, state, weights)
        return state[0], state

    return advance


def _by_primitive(step: Cell, weight: Tensor, bias: Tensor | None, reverse: bool) -> Advance:
    """Several steps with the same samples."""

    def advance(gates: Tensor, state: State) -> tuple[Tensor, State]:
        last: State = ()
        if step is _lstm:
            output, *last, _, _ = _lstm_steps(gates, *state, weight, reverse)
        else:
            output, _ = _gru_steps(gates, *state, weight, bias, reverse)
        return output, (output[0 if reverse else -1], *last)

    return advance


def _direction(advance: Advance, gates: Sequence[Tensor], start: State, reverse: bool) -> tuple[list[Tensor], State]:
    """The hidden states after each of `gates`, in their order, and the state at the end.

    They may have fewer samples than the gates before, the first ones; the state of the others is unchanged.
    """
    state, ended, outputs = start, [], []
    if reverse and gates[-1].shape[-2] < len(start[0]):
        state = tuple([s[: gates[-1].shape[-2]] for s in start])
    for part in reversed(gates) if reverse else gates:
        n, now = part.shape[-2], len(state[0])
        if n < now:
            ended.append([s[n:] for s in state])
            state = tuple([s[:n] for s in state])
        elif n > now:
            state = tuple([cat([s, first[now:n]]) for s, first in zip(state, start)])
        output, state = advance(part, state)
        outputs.append(output)
    if ended:
        state = tuple([cat([last, *[part[i] for part in reversed(ended)]]) for i, last in enumerate(state)])
    return outputs[::-1] if reverse else outputs, state


def _parts(gates: Tensor, sizes: list[int] | None) -> list[Tensor]:
    """The steps with the same samples, (L, N, G) each, of packed gates (*, G)"""
    if sizes is None:
        return [gates]
    runs = [(n, len(list(run))) for n, run in itertools.groupby(sizes)]
    return [part.unflatten(0, (steps, n)) for part, (n, steps) in zip(gates.split([n * steps for n, steps in runs]), runs)]


_FUSED: dict[Cell, int] = {_lstm: 4, _gru: 3}
"""The number of gates where all steps are one primitive."""


def _layers(
    step: Cell,
    input: Tensor,
    start: State,
    params: Sequence[Tensor],
    sizes: list[int] | None,
    has_biases: bool,
    num_layers: int,
    rate: float,
    train: bool,
    bidirectional: bool,
) -> State:
    """(output of the last layer, final states of all layers and directions stacked)"""
    directions = 2 if bidirectional else 1
    per_direction = len(params) // (num_layers * directions)
    finals: list[State] = []
    for layer in range(num_layers):
        results = []
        for direction in range(directions):
            at = layer * directions + direction
            w_ih, w_hh, *rest = params[at * per_direction : (at + 1) * per_direction]
            b_ih, b_hh = rest[:2] if has_biases else (None, None)
            projection = rest[2 * has_biases] if len(rest) > 2 * has_biases else None
            first = tuple([s[at] for s in start])
            count, reverse = _FUSED.get(step), direction == 1
            samples = input.shape[1] if sizes is None else sizes[0]
            if count and projection is None and _fits(count, input, samples, first, w_hh, (b_ih, b_hh)):
                gates = linear(input, w_ih, b_ih if step is _gru or b_ih is None or b_hh is None else b_ih + b_hh)
                if gates._array.dtype is first[0]._array.dtype:  # else autocast narrowed it, and each step decides
                    outputs, final = _direction(_by_primitive(step, w_hh, b_hh, reverse), _parts(gates, sizes), first, reverse)
                    whole = outputs[0].clone() if sizes is None else cat([out.flatten(0, 1) for out in outputs])
                    results.append(whole)  # free to be written
                    finals.append(final)
                    continue
            gates = linear(input, w_ih, b_ih)
            steps = gates.unbind(0) if sizes is None else gates.split(sizes)
            outputs, final = _direction(_by_step(step, (w_hh, b_hh, projection)), steps, first, reverse)
            results.append(stack(outputs) if sizes is None else cat(outputs))
            finals.append(final)
        input = results[0] if directions == 1 else cat(results, -1)
        if rate and train and layer < num_layers - 1:
            input = dropout(input, rate, True)
    return (input, *[stack(list(parts)) for parts in zip(*finals)])


CLASSES = {"rnn_tanh": "RNN(2, 3)", "rnn_relu": "RNN(2, 3, nonlinearity='relu')", "lstm": "LSTM(2, 3)", "gru": "GRU(2, 3)"}
"""An object with the parameters of each."""


def _network(step: Cell, name: str) -> Callable[..., State]:
    def call(*args: Any) -> State:
        if isinstance(args[3], (list, tuple)):
            data, batch_sizes, hx, params, *options = args
            sizes: list[int] | None = [int(n) for n in batch_sizes.tolist()]
            batch_first = False
        else:
            data, hx, params, *options, batch_first = args
            sizes = None
        start = tuple(hx) if isinstance(hx, (list, tuple)) else (hx,)
        data = data.transpose(0, 1) if batch_first else data
        if step is _lstm and data._array.dtype.char in NARROW:  # rounded once, at the end
            wide = _layers(step, data.float(), tuple([s.float() for s in start]), [p.float() for p in params], sizes, *options)
            output, *final = [part.bfloat16() for part in wide]
            return (output.transpose(0, 1) if batch_first else output, *final)
        output, *final = _layers(step, data, start, params, sizes, *options)
        return (output.transpose(0, 1) if batch_first else output, *final)

    several = name == "lstm"
    layers, twice = CLASSES[name].partition("(")[0], ", twice" * several
    doc = f"""The layers of `nn.{layers}` as a function, step by step: ``h[t] = {name}_cell(x[t], h[t - 1])``

The arguments are `input`, `hx`, `params`, `has_biases`, `num_layers`, `dropout`, `train`, `bidirectional`, `batch_first`, or,
packed, `data`, `batch_sizes`, `hx`, `params`, `has_biases`, `num_layers`, `dropout`, `train`, `bidirectional`.

Shapes: `input` (L, N, C), `hx` (layers * directions, N, H){twice} -> (L, N, directions * H), and the last of each like `hx`.
Raises: RuntimeError for sizes that do not match; IndexError for too few arguments.

>>> layer = nn.{CLASSES[name]}
>>> x, h = torch.ones(5, 1, 2), torch.zeros(1, 1, 3)
>>> torch.{name}(x, {"(h, h)" if several else "h"}, list(layer.parameters()), True, 1, 0.0, False, False, False)[0].shape
torch.Size([5, 1, 3])"""
    return function()(named(call, name, doc))


rnn_tanh, rnn_relu = _network(_tanh, "rnn_tanh"), _network(_relu, "rnn_relu")
lstm, gru = _network(_lstm, "lstm"), _network(_gru, "gru")
