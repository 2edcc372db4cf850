"""Sequences of different lengths: padded to a common length, or packed step by step without padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import check_bool
from mini_dl._dtypes import Array
from mini_dl.autograd.node_names import rename
from mini_dl.autograd.primitive import not_a_tensor
from mini_dl.ops.joining import cat, stack
from mini_dl.tensor import Tensor, wrap


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


def _conversion(name: str, dtype: _dtypes.dtype) -> Callable[[PackedSequence], PackedSequence]:
    """The method `name`: the same sequences converted to another type."""

    def convert(self: PackedSequence) -> PackedSequence:
        return self.to(dtype)

    convert.__name__, convert.__qualname__ = name, f"PackedSequence.{name}"
    convert.__doc__ = f"The same, converted to {dtype.name}."
    return convert


class PackedSequence(_Packed):
    """``data[offset[t] + n]`` is element t of the n-th longest sequence, ``batch_sizes[t]`` the number of sequences longer
    than t.

    ``sorted_indices`` puts the sequences in order of decreasing length. Created by `pack_sequence` and `pack_padded_sequence`.

    Shapes: `data` (the sum of the lengths, *), `batch_sizes` (longest), the indices (N).
    Raises: AssertionError for a single argument that is not a pair.

    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    def __new__(
        cls, data: Any, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with ``data.to(...)``."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self) -> PackedSequence:
        return self

    def cuda(self, *args: object, **kwargs: object) -> PackedSequence:
        """AssertionError: there is no GPU here."""
        return self.to("cuda")

    @property
    def is_cuda(self) -> bool:
        """Whether ``data`` is on a GPU."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Whether the memory of ``data`` is pinned."""
        return self.data.is_pinned()

    def pin_memory(self) -> PackedSequence:
        """RuntimeError: without a GPU there is no pinned memory."""
        return type(self)(self.data.pin_memory(), *self[1:])

    double = _conversion("double", _dtypes.float64)
    float = _conversion("float", _dtypes.float32)
    half = _conversion("half", _dtypes.float16)
    bfloat16 = _conversion("bfloat16", _dtypes.bfloat16)
    long = _conversion("long", _dtypes.int64)
    int = _conversion("int", _dtypes.int32)
    short = _conversion("short", _dtypes.int16)
    char = _conversion("char", _dtypes.int8)
    byte = _conversion("byte", _dtypes.uint8)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """``out[permutation[i]] = i``: the permutation that undoes `permutation`; None for None.

    Shapes: (N) -> (N).
    Raises: TypeError for anything but a tensor.

    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    if not isinstance(permutation, Tensor):
        raise not_a_tensor("invert_permutation", "permutation", 1, permutation)
    return wrap(np.argsort(permutation._array))


def _rows(batch_sizes: Array) -> Tensor:
    """The row of each packed element among (steps * sequences) rows."""
    widest = int(batch_sizes[0])
    return wrap(np.concatenate([t * widest + np.arange(n) for t, n in enumerate(batch_sizes)]))


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """``data = cat([input[t, :batch_sizes[t]] for t in steps])``: the elements of padded sequences step by step, without the
    padding.

    Shapes: `input` (T, N, *), or (N, T, *) if `batch_first`, `lengths` (N) -> PackedSequence.
    Raises: RuntimeError unless the lengths are positive, as many as sequences, and decreasing (any order unless
    `enforce_sorted`).

    >>> padded = torch.tensor([[1, 2, 3], [4, 5, 0]])
    >>> torch.nn.utils.rnn.pack_padded_sequence(padded, [3, 2], batch_first=True).data
    tensor([1, 4, 2, 5, 3])
    """
    counts = np.asarray(lengths._array if isinstance(lengths, Tensor) else lengths, np.int64)
    if counts.ndim != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {counts.ndim}D cpu Long tensor")
    check_bool(batch_first, "_pack_padded_sequence(): argument 'batch_first' (position 3)")
    input = input.transpose(0, 1) if batch_first else input
    order = None
    if not enforce_sorted:
        order = wrap(np.argsort(-counts, kind="stable"))
        counts, input = counts[order._array], input.index_select(1, order)
    if len(counts) != input.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} (batch_size={input.shape[1]})"
        )
    if not input._array.size:
        raise RuntimeError("Cannot pack empty tensors.")
    if counts[-1] <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if np.any(np.diff(counts) > 0):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need "
            "ONNX exportability."
        )
    if counts[0] > input.shape[0]:
        raise RuntimeError(f"a length of {counts[0]} is greater than the {input.shape[0]} steps of the padded sequences")
    sizes = (counts[None, :] > np.arange(counts[0])[:, None]).sum(1)
    rows = input.reshape(-1, *input.shape[2:])
    data = rows.index_select(0, _rows(sizes))
    rename(data, "PackPaddedSequenceBackward0")
    return PackedSequence(data, wrap(sizes), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """``out[t, n] = sequence[n][t] if t < lengths[n] else padding_value``, and the lengths.

    Shapes: PackedSequence -> (T, N, *), or (N, T, *) if `batch_first`, and (N), with T the longest length or `total_length`.
    Raises: ValueError for a `total_length` below the longest; AttributeError for anything not packed.

    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4, 5])])
    >>> torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 5, 0]]), tensor([3, 2]))
    """
    sizes = sequence.batch_sizes._array
    steps = len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    n, data = int(sizes[0]), sequence.data
    given = sizes[:, None] > np.arange(n)
    padded = data.new_full((steps, n, *data.shape[1:]), padding_value)
    padded[tuple([wrap(places) for places in np.nonzero(given)])] = data
    lengths = wrap(given.sum(0))
    if batch_first:
        padded = padded.transpose(0, 1)
    back = sequence.unsorted_indices
    if back is not None:
        return padded.index_select(0 if batch_first else 1, back), lengths[back]
    return padded, lengths


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """``out[t, n] = sequences[n][t] if t < len(sequences[n]) else padding_value``, or padded on the "left" by `padding_side`.

    Shapes: N sequences (length, *) -> (longest, N, *), or (N, longest, *) if `batch_first`.
    Raises: RuntimeError for no sequences, or an unknown side.

    >>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], batch_first=True, padding_value=9)
    tensor([[1, 2],
            [3, 9]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    check_bool(batch_first, "pad_sequence(): argument 'batch_first' (position 2)")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    tensors = list(sequences)
    if not tensors:
        raise RuntimeError("received an empty list of sequences")
    longest = max([len(t) for t in tensors])
    padded = []
    for tensor in tensors:
        padding = tensor.new_full((longest - len(tensor), *tensor.shape[1:]), padding_value)
        padded.append(cat([tensor, padding] if padding_side == "right" else [padding, tensor]))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """``out[n] = padded_sequences[:lengths[n], n]``: the sequences without their padding.

    Shapes: (T, N, *), or (N, T, *) if `batch_first`, `lengths` (N) -> N sequences (length, *).
    Raises: ValueError unless there are as many lengths as sequences; IndexError for fewer than two dimensions.

    >>> torch.nn.utils.rnn.unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    counts = lengths.tolist()
    if len(counts) != len(rows):
        raise ValueError(f"unpad_sequence: {len(counts)} lengths for {len(rows)} sequences")
    return [row[: max(0, math.ceil(length))].contiguous().clone() for row, length in zip(rows.unbind(0), counts)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """``pack_padded_sequence(pad_sequence(sequences), lengths)``

    Shapes: N sequences (length, *) -> PackedSequence.
    Raises: RuntimeError for no sequences, or lengths that do not decrease while `enforce_sorted`.

    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    return pack_padded_sequence(pad_sequence(sequences), [len(t) for t in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """``unpad_sequence(*pad_packed_sequence(packed_sequences))``: the sequences that were packed.

    Shapes: PackedSequence -> N sequences (length, *).
    Raises: AttributeError for anything not packed.

    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
