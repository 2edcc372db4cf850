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
    return np.logical_not(input)


def _logical(ufunc: np.ufunc, doc: str) -> Binary:
    """The logical operation that NumPy's `ufunc` computes, published under its name"""

    def forward(input: Array, other: Array) -> Array:
        return ufunc(input, other)

    return method(inplace=True, out=True)(binary(numbers="")(named(forward, ufunc.__name__, doc)))


logical_and = _logical(np.logical_and, "Whether both elements are nonzero.")
logical_or = _logical(np.logical_or, "Whether at least one of the elements is nonzero.")
logical_xor = _logical(np.logical_xor, "Whether exactly one of the elements is nonzero.")


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


def _bitwise(name: str, ufunc: np.ufunc, kernel: str, kinds: str, doc: str) -> Binary:
    """The operation on the bits of integers that NumPy's `ufunc` computes, published"""

    def forward(input: Array, other: Array) -> Array:
        accept(kernel, kinds, input, other)
        return ufunc(input, other)

    return method(inplace=True, out=tensor_first)(binary()(named(forward, name, doc)))


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "bitwise_and_cpu", "biu", "The bits set in both.")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "bitwise_or_cpu", "biu", "The bits set in either.")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "bitwise_xor_cpu", "biu", "The bits set in exactly one.")
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", np.left_shift, "lshift_cpu", "iu",
    "``input * 2 ** other``; 0 where `other` is negative or not below the number of bits.",
)  # fmt: skip
bitwise_right_shift = _bitwise(
    "bitwise_right_shift", np.right_shift, "rshift_cpu", "iu",
    "``floor(input / 2 ** other)``; all bits equal the sign where `other` is negative or not below the number of bits.",
)  # fmt: skip
