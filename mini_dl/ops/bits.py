"""Logic and bits."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._surface import method, named
from mini_dl.autograd.primitive import Binary, binary, unary
from mini_dl.ops.operands import accept, tensor_first

# ------------------------------------------------------------------------------------------------ logic and bits


@method(inplace=True, out=True)
@unary()
def logical_not(input: Array) -> Array:
    """Whether each element is zero: ``out = input == 0``

    >>> torch.logical_not(torch.tensor([0.0, 1.5, -2.0]))
    tensor([ True, False, False])
    """
    return np.equal(input, 0) if input.dtype.char in "fd" else np.logical_not(input)


def _truth(x: Array) -> Array:
    """`x` as bools if it is floating point: NumPy's logical functions of numbers take five times as long as its comparisons."""
    return np.not_equal(x, 0) if x.dtype.char in "fd" else x


def _logical(ufunc: np.ufunc, summary: str, shown: str) -> Binary:
    """The logical operation that NumPy's `ufunc` computes, published under its name; `shown` is what its example prints."""

    name = ufunc.__name__
    doc = f"{summary}\n\n>>> torch.{name}(torch.tensor([[True], [False]]), torch.tensor([True, False]))\n{shown}"

    def forward(input: Array, other: Array) -> Array:
        return ufunc(_truth(input), _truth(other))

    return method(inplace=True, out=True)(binary(numbers="")(named(forward, name, doc)))


logical_and = _logical(np.logical_and, "``out = input != 0 and other != 0``", "tensor([[ True, False],\n        [False, False]])")
logical_or = _logical(np.logical_or, "``out = input != 0 or other != 0``", "tensor([[ True,  True],\n        [ True, False]])")
logical_xor = _logical(
    np.logical_xor, "``out = (input != 0) != (other != 0)``", "tensor([[False,  True],\n        [ True, False]])"
)


@method(inplace=True, out=True)
@unary()
def bitwise_not(input: Array) -> Array:
    """All bits inverted: ``out = -input - 1`` for signed integers, the logical complement of bools.

    Raises: RuntimeError for floating point numbers.

    >>> torch.bitwise_not(torch.tensor([0, 5, -1]))
    tensor([-1, -6,  0])
    >>> torch.bitwise_not(torch.tensor([True, False]))
    tensor([False,  True])
    """
    accept("bitwise_not_cpu", "biu", input)
    return np.invert(input)


def _bitwise(name: str, ufunc: np.ufunc, kernel: str, kinds: str, summary: str, shown: str) -> Binary:
    """The operation on the bits of integers that NumPy's `ufunc` computes, published; `shown` is what its example prints."""

    doc = f"{summary}\n\n{NO_BITS}\n\n>>> torch.{name}(torch.tensor([12, -3]), 2)\n{shown}"

    def forward(input: Array, other: Array) -> Array:
        accept(kernel, kinds, input, other)
        return ufunc(input, other)

    return method(inplace=True, out=tensor_first)(binary()(named(forward, name, doc)))


NO_BITS = "Raises: RuntimeError or NotImplementedError for floating point numbers, and if the shapes do not broadcast."

bitwise_and = _bitwise(
    "bitwise_and", np.bitwise_and, "bitwise_and_cpu", "biu", "The bits set in both: ``out = input & other``", "tensor([0, 0])"
)
bitwise_or = _bitwise(
    "bitwise_or", np.bitwise_or, "bitwise_or_cpu", "biu", "The bits set in either: ``out = input | other``", "tensor([14, -1])"
)
bitwise_xor = _bitwise(
    "bitwise_xor",
    np.bitwise_xor,
    "bitwise_xor_cpu",
    "biu",
    "The bits set in exactly one: ``out = input ^ other``",
    "tensor([14, -1])",
)
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", np.left_shift, "lshift_cpu", "iu",
    "``out = input * 2 ** other``; 0 where `other` is negative or not below the number of bits.", "tensor([ 48, -12])",
)  # fmt: skip
bitwise_right_shift = _bitwise(
    "bitwise_right_shift", np.right_shift, "rshift_cpu", "iu",
    "``out = floor(input / 2 ** other)``; all bits equal the sign where `other` is negative or not below the number of bits.",
    "tensor([ 3, -1])",
)  # fmt: skip
