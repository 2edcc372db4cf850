"""Recurrent networks: layers over a sequence, and single cells."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, overload

from mini_dl._checks import type_name
from mini_dl.autograd.mode import mode
from mini_dl.nn import init
from mini_dl.nn._types import Device, DType, Kwargs
from mini_dl.nn.modules.configured import deviations
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, empty
from mini_dl.nn.utils.rnn import PackedSequence
from mini_dl.ops.recurrent import gru, gru_cell, lstm, lstm_cell, rnn_relu, rnn_relu_cell, rnn_tanh, rnn_tanh_cell
from mini_dl.tensor import Tensor

_NETWORKS = {"LSTM": lstm, "GRU": gru, "RNN_TANH": rnn_tanh, "RNN_RELU": rnn_relu}
_COMPUTED = ("_flat_weights", "_flat_weights_names", "_given_weights")
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _check_dropout(dropout: float, num_layers: int) -> None:
    if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
        raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater "
            f"than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=3,
        )


def _check_options(input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool, proj_size: int) -> None:
    typed = (("bias", bias, bool), ("batch_first", batch_first, bool))
    sized = (("input_size", input_size, int), ("hidden_size", hidden_size, int))
    for name, value, kind in (*typed, *sized):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    if isinstance(hidden_size, bool):
        raise TypeError("hidden_size should be of type int, got: bool")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


State = Tensor | tuple[Tensor, ...]
"""Of a network with one part of it, or several."""


def _each(f: Callable[[Tensor], Tensor], state: State) -> State:
    """`f` of a state, or of the parts of one."""
    return tuple([f(part) for part in state]) if isinstance(state, tuple) else f(state)


class RNNBase(Module):
    """The base of RNN, LSTM and GRU: layers of ``h[t] = cell(x[t], h[t - 1])`` over a sequence, each over the outputs of the
    previous one.

    All parameters are initially drawn from U(-b, b) with ``b = 1 / sqrt(hidden_size)``. `bidirectional` layers also run backward,
    and concatenate both outputs; `dropout` applies between layers.

    Shapes: (L, N, input_size), state (D * num_layers, N, hidden_size) -> (L, N, D * hidden_size), state, where D is 2 if
    `bidirectional`, else 1; `batch_first` puts N first; also without N, or a PackedSequence.
    Raises: ValueError for an unknown `mode`, sizes that are not positive, and a `dropout` outside [0, 1]; RuntimeError for other
    sizes.

    >>> torch.nn.RNNBase("GRU", 3, 5)
    RNNBase(3, 5)
    """

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _check_dropout(dropout, num_layers)
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._make_weights(device, dtype)
        self.reset_parameters()

    def _make_weights(self, device: Device, dtype: DType) -> None:
        gates, out = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        self._all_weights: list[list[str]] = []
        for layer in range(self.num_layers):
            inputs = self.input_size if layer == 0 else out * self._number_of_directions
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, inputs), "weight_hh": (gates, out)}
            if self.bias:
                shapes.update(bias_ih=(gates,), bias_hh=(gates,))
            if self.proj_size:
                shapes["weight_hr"] = (self.proj_size, self.hidden_size)
            for suffix in ("", "_reverse")[: self._number_of_directions]:
                names = {f"{name}_l{layer}{suffix}": shape for name, shape in shapes.items()}
                for name, shape in names.items():
                    setattr(self, name, Parameter(empty(*shape, device=device, dtype=dtype)))
                self._all_weights.append(list(names))

    @property
    def _number_of_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        given: list[Tensor] | None = self.__dict__.get("_given_weights")
        return [getattr(self, name) for name in self._flat_weights_names] if given is None else given

    @_flat_weights.setter
    def _flat_weights(self, weights: list[Tensor]) -> None:
        """What the next calls compute with, until a weight is set by its name, or the module moves."""
        self.__dict__["_given_weights"] = weights

    def __setattr__(self, name: str, value: object) -> None:
        if "_given_weights" in self.__dict__ and name in self._flat_weights_names:
            self._flat_weights[self._flat_weights_names.index(name)] = value  # type: ignore[call-overload]
        super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RNNBase:
        super()._apply(fn, recurse)
        self.__dict__.pop("_given_weights", None)
        return self

    def __setstate__(self, state: dict[str, object]) -> None:
        """Attributes that torch stores next to the parameters are computed from them here."""
        super().__setstate__({name: value for name, value in state.items() if name not in _COMPUTED})

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Accepted, without effect: only GPU kernels need contiguous weights."""

    def reset_parameters(self) -> None:
        """Redraw all parameters."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    # -------------------------------------------------------------------------------------------- the call

    def _as_state(self, hx: State) -> State:
        """`hx`, or a tuple of its parts."""
        return hx

    def _zero_state(self, input: Tensor, batch_sizes: Tensor | None) -> State:
        """The state before the first step, if none is given."""
        return input.new_zeros(self.get_expected_hidden_size(input, batch_sizes))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(output of the last layer at each step, state after the last step)"""
        packed = isinstance(input, PackedSequence)
        data, batch_sizes = (input.data, input.batch_sizes) if packed else (input, None)
        if not isinstance(data, Tensor):
            raise TypeError(f"{type(self).__name__}: 'input' must be Tensor, not {type_name(data)}")
        if not packed and data.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {data.ndim}D instead")
        batched, at = packed or data.ndim == 3, 0 if self.batch_first else 1
        state = None if hx is None else self._as_state(hx)
        if not packed:
            self._check_ranks_of_state(state, batched)
            if not batched:
                data = data.unsqueeze(at)
                state = state if state is None else _each(lambda s: s.unsqueeze(1), state)
        if state is None:
            state = self._zero_state(data, batch_sizes)
        elif packed:
            state = self.permute_hidden(state, input.sorted_indices)
        self.check_forward_args(data, state, batch_sizes)
        network: Callable[..., Any] = _NETWORKS[self.mode]
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if packed:
            output, *parts = network(data, batch_sizes, state, self._flat_weights, *options)
            final = self.permute_hidden(tuple(parts) if len(parts) > 1 else parts[0], input.unsorted_indices)
            return PackedSequence(output, *input[1:]), final
        output, *parts = network(data, state, self._flat_weights, *options, self.batch_first)
        final = tuple(parts) if len(parts) > 1 else parts[0]
        return (output, final) if batched else (output.squeeze(at), _each(lambda s: s.squeeze(1), final))

    def permute_hidden(self, hx: State, permutation: Tensor | None) -> State:
        """The state in another order of the samples."""
        return hx if permutation is None else _each(lambda s: s.index_select(1, permutation), hx)

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the hidden state."""
        return self._size_of_state(input, batch_sizes, self.proj_size or self.hidden_size)

    def _size_of_state(self, input: Tensor, batch_sizes: Tensor | None, features: int) -> tuple[int, int, int]:
        samples = input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])
        return self.num_layers * self._number_of_directions, samples, features

    def check_forward_args(self, input: Tensor, hidden: State, batch_sizes: Tensor | None) -> None:
        """RuntimeError unless input and state have the sizes of this network."""
        self.check_input(input, batch_sizes)
        size = self.get_expected_hidden_size(input, batch_sizes)
        self.check_hidden_size(hidden, size)  # type: ignore[arg-type]  # one part here

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """RuntimeError unless a part of the state has this shape."""
        if hx.shape != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def _check_ranks_of_state(self, state: State | None, batched: bool) -> None:
        ranks = [] if state is None else [s.ndim for s in (state if isinstance(state, tuple) else (state,))]
        if any([rank != (3 if batched else 2) for rank in ranks]):
            kind, n = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
            if len(ranks) > 1:
                raise RuntimeError(
                    f"For {kind} input, hx and cx should also be {n}-D but got ({ranks[0]}-D, {ranks[1]}-D) tensors"
                )
            raise RuntimeError(f"For {kind} input, hx should also be {n}-D but got {ranks[0]}-D tensor")

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """RuntimeError unless the input has the sizes of this network; ValueError for another type than its weights have."""
        weight, rank = self._flat_weights[0], 3 if batch_sizes is None else 2
        if input.dtype != weight.dtype and not mode.casting:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.ndim != rank:
            raise RuntimeError(f"input must have {rank} dimensions, got {input.ndim}")
        if self.input_size != input.shape[-1]:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}" + deviations(self, proj_size=0, num_layers=1, bias=True)
        return text + deviations(self, batch_first=False, dropout=0, bidirectional=False)


def _refuse_projection(options: Kwargs) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


if TYPE_CHECKING:

    class _WithOneState(RNNBase):
        @overload
        def __call__(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
        @overload
        def __call__(self, input: PackedSequence, hx: Tensor | None = None) -> tuple[PackedSequence, Tensor]: ...
        def __call__(self, input: Any, hx: Any = None) -> Any: ...
else:
    _WithOneState = RNNBase


class RNN(_WithOneState):
    """``h[t] = tanh(x[t] @ W_ih.T + b_ih + h[t - 1] @ W_hh.T + b_hh)``, or with relu, in `num_layers` layers.

    Shapes: (L, N, input_size), state (D * num_layers, N, hidden_size) -> (L, N, D * hidden_size), state, where D is 2 if
    `bidirectional`, else 1; `batch_first` puts N first; also without N, or a PackedSequence.
    Raises: ValueError for an unknown `nonlinearity`, a `proj_size`, or other numbers of dimensions; RuntimeError for other
    sizes.
    Source: Elman, Finding structure in time, 1990.

    >>> output, hidden = torch.nn.RNN(3, 5, num_layers=2)(torch.ones(7, 4, 3))
    >>> output.shape, hidden.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    """

    if TYPE_CHECKING:

        def __init__(
            self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
            batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Device = None,
            dtype: DType = None,
        ) -> None: ...  # fmt: skip
    else:

        def __init__(self, *args: object, **kwargs: object) -> None:
            _refuse_projection(kwargs)
            if len(args) > 3:
                nonlinearity, args = args[3], (*args[:3], *args[4:])
            else:
                nonlinearity = kwargs.pop("nonlinearity", "tanh")
            if nonlinearity not in ("tanh", "relu"):
                raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
            super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
            self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """``c[t] = f * c[t - 1] + i * g`` and ``h[t] = o * tanh(c[t])``, with gates `i`, `f`, `o` and the candidate `g` linear in
    `x[t]` and ``h[t - 1]``, ``i = sigmoid(x[t] @ W_ii.T + b_ii + h[t - 1] @ W_hi.T + b_hi)``, and ``g = tanh(...)``.

    The state is (h, c); with `proj_size` the hidden state is projected to that size, ``h[t] = o * tanh(c[t]) @ W_hr.T`` (Sak et
    al. 2014).

    Shapes: (L, N, input_size), (h, c) of (D * num_layers, N, hidden_size) -> (L, N, D * hidden_size), (h, c), where D is 2 if
    `bidirectional`, else 1; `batch_first` puts N first; also without N, or a PackedSequence.
    Raises: ValueError for a `proj_size` of `hidden_size` or more, or other numbers of dimensions; RuntimeError for other sizes.
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; the forget gate: Gers, Schmidhuber and Cummins, 2000.

    >>> output, (hidden, cell) = torch.nn.LSTM(3, 5, batch_first=True)(torch.ones(4, 7, 3))
    >>> output.shape, hidden.shape, cell.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]), torch.Size([1, 4, 5]))
    """

    if TYPE_CHECKING:

        def __init__(
            self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
            batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
            device: Device = None, dtype: DType = None,
        ) -> None: ...  # fmt: skip
        @overload
        def __call__(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...
        @overload
        def __call__(
            self, input: PackedSequence, hx: tuple[Tensor, Tensor] | None = None
        ) -> tuple[PackedSequence, tuple[Tensor, Tensor]]: ...
        def __call__(self, input: Any, hx: Any = None) -> Any: ...
    else:

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__("LSTM", *args, **kwargs)

    def _as_state(self, hx: State) -> State:
        if len(hx) != 2 and all([isinstance(part, Tensor) for part in hx]):
            raise IndexError(f"LSTM: expected the states (hidden, cell), but got {len(hx)}")
        return tuple(hx)

    def _zero_state(self, input: Tensor, batch_sizes: Tensor | None) -> State:
        sizes = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        return tuple([input.new_zeros(size) for size in sizes])

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the cells' state."""
        return self._size_of_state(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: State, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        shapes = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        for i, (part, shape) in enumerate(zip(hidden, shapes)):
            self.check_hidden_size(part, shape, f"Expected hidden[{i}] size {{}}, got {{}}")


class GRU(_WithOneState):
    """``h[t] = (1 - z) * n + z * h[t - 1]`` with gates `r` and `z`, and
    ``n = tanh(x[t] @ W_in.T + b_in + r * (h[t - 1] @ W_hn.T + b_hn))``,
    ``r = sigmoid(x[t] @ W_ir.T + b_ir + h[t - 1] @ W_hr.T + b_hr)``, and `z` likewise.

    Shapes: (L, N, input_size), state (D * num_layers, N, hidden_size) -> (L, N, D * hidden_size), state, where D is 2 if
    `bidirectional`, else 1; `batch_first` puts N first; also without N, or a PackedSequence.
    Raises: ValueError for a `proj_size`, or other numbers of dimensions; RuntimeError for other sizes.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, section 2.3.

    >>> torch.nn.GRU(3, 5, bidirectional=True)(torch.ones(7, 4, 3))[0].shape
    torch.Size([7, 4, 10])
    """

    if TYPE_CHECKING:

        def __init__(
            self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
            batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Device = None,
            dtype: DType = None,
        ) -> None: ...  # fmt: skip
    else:

        def __init__(self, *args: object, **kwargs: object) -> None:
            _refuse_projection(kwargs)
            super().__init__("GRU", *args, **kwargs)


# ------------------------------------------------------------------------------------------------ cells


class RNNCellBase(Module):
    """The parameters of one step, ``num_chunks * hidden_size`` rows each: the base of RNNCell, LSTMCell and GRUCell.

    Shapes: (N, input_size), state (N, hidden_size) -> state; also without N.
    Raises: RuntimeError for an input or a state of another size.

    >>> [name for name, _ in torch.nn.RNNCell(3, 5, bias=False).named_parameters()]
    ['weight_ih', 'weight_hh']
    """

    _parts_of_state: ClassVar[int] = 1
    """The number of tensors in the state."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(gates, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(gates, hidden_size, device=device, dtype=dtype))
        self.register_parameter("bias_ih", Parameter(empty(gates, device=device, dtype=dtype)) if bias else None)
        self.register_parameter("bias_hh", Parameter(empty(gates, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Redraw all parameters."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _call(self, step: Callable[..., Any], input: Tensor, hx: Any) -> Any:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        state = None if hx is None else tuple(hx) if self._parts_of_state > 1 else (hx,)
        for i, part in enumerate(state or ()):
            if part.ndim not in (1, 2):
                which = f"hx[{i}]" if self._parts_of_state > 1 else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {part.ndim}D instead")
        batched = input.ndim == 2
        rows = input if batched else input.unsqueeze(0)
        for i, part in enumerate(state or ()):
            if part.ndim != input.ndim:
                raise RuntimeError(f"{name}: input and hidden{i} must both be batched or not, got {input.ndim}D and {part.ndim}D")
        if state is None:
            state = (rows.new_zeros((len(rows), self.hidden_size)),) * self._parts_of_state
        elif not batched:
            state = tuple([part.unsqueeze(0) for part in state])
        hidden = state if self._parts_of_state > 1 else state[0]
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        result = step(rows, hidden, *weights)
        if batched:
            return result
        return tuple([part.squeeze(0) for part in result]) if self._parts_of_state > 1 else result.squeeze(0)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """``h = tanh(input @ W_ih.T + b_ih + hx @ W_hh.T + b_hh)``, or with relu: one step of an `RNN`.

    Shapes: (N, input_size), state (N, hidden_size) -> (N, hidden_size); also without N.
    Raises: RuntimeError for an unknown `nonlinearity` or other sizes; ValueError for other numbers of dimensions.
    Source: Elman, Finding structure in time, 1990.

    >>> torch.nn.RNNCell(3, 5)(torch.ones(4, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Device = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._call(rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell, input, hx)


class LSTMCell(RNNCellBase):
    """``c1 = f * c + i * g`` and ``h1 = o * tanh(c1)``: one step of an `LSTM`, whose docstring defines the gates.

    Shapes: (N, input_size), (h, c) of (N, hidden_size) -> (h1, c1); also without N.
    Raises: RuntimeError for other sizes; ValueError for other numbers of dimensions.
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997.

    >>> hidden, cell = torch.nn.LSTMCell(3, 5)(torch.ones(4, 3))
    >>> hidden.shape, cell.shape
    (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    _parts_of_state = 2

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Device = None, dtype: DType = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: object = None) -> tuple[Tensor, Tensor]:
        return self._call(lstm_cell, input, hx)


class GRUCell(RNNCellBase):
    """``h1 = (1 - z) * n + z * h``: one step of a `GRU`, whose docstring defines the gates.

    Shapes: (N, input_size), state (N, hidden_size) -> (N, hidden_size); also without N.
    Raises: RuntimeError for other sizes; ValueError for other numbers of dimensions.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, section 2.3.

    >>> cell, hidden = torch.nn.GRUCell(3, 5), torch.zeros(4, 5)
    >>> for step in torch.ones(7, 4, 3):
    ...     hidden = cell(step, hidden)
    >>> hidden.shape
    torch.Size([4, 5])
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Device = None, dtype: DType = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._call(gru_cell, input, hx)


def apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    """``tensor.index_select(dim, permutation)``; it warns to use that instead."""
    warnings.warn(
        "apply_permutation is deprecated, please use tensor.index_select(dim, permutation) instead", FutureWarning, stacklevel=2
    )
    return tensor.index_select(dim, permutation)
