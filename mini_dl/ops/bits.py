"""Logic and bits."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl._surface import method
from mini_dl.autograd.primitive import binary, unary
from mini_dl.ops.operands import accept, tensor_first

# ------------------------------------------------------------------------------------------------ logic and bits


@method(inplace=True, out=True)
@unary()
def logical_not(input: Array) -> Array:
    """Whether each element is zero."""
    return np.logical_not(input)


@method(inplace=True, out=True)
@binary(numbers="")
def logical_and(input: Array, other: Array) -> Array:
    """Whether both elements are nonzero."""
    return np.logical_and(input, other)


@method(inplace=True, out=True)
@binary(numbers="")
def logical_or(input: Array, other: Array) -> Array:
    """Whether at least one of the elements is nonzero."""
    return np.logical_or(input, other)


@method(inplace=True, out=True)
@binary(numbers="")
def logical_xor(input: Array, other: Array) -> Array:
    """Whether exactly one of the elements is nonzero."""
    return np.logical_xor(input, other)


@method(inplace=True, out=True)
@unary()
def bitwise_not(input: Array) -> Array:
    """All bits inverted; the logical complement of a bool."""
    accept("bitwise_not_cpu", "biu", input)
    return np.invert(input)


@method(inplace=True, out=tensor_first)
@binary()
def bitwise_and(input: Array, other: Array) -> Array:
    """The bits set in both."""
    accept("bitwise_and_cpu", "biu", input, other)
    return np.bitwise_and(input, other)


@method(inplace=True, out=tensor_first)
@binary()
def bitwise_or(input: Array, other: Array) -> Array:
    """The bits set in either."""
    accept("bitwise_or_cpu", "biu", input, other)
    return np.bitwise_or(input, other)


@method(inplace=True, out=tensor_first)
@binary()
def bitwise_xor(input: Array, other: Array) -> Array:
    """The bits set in exactly one."""
    accept("bitwise_xor_cpu", "biu", input, other)
    return np.bitwise_xor(input, other)


@method(inplace=True, out=tensor_first)
@binary()
def bitwise_left_shift(input: Array, other: Array) -> Array:
    """``input * 2 ** other``; 0 where `other` is negative or not below the number of bits."""
    accept("lshift_cpu", "iu", input, other)
    return np.left_shift(input, other)


@method(inplace=True, out=tensor_first)
@binary()
def bitwise_right_shift(input: Array, other: Array) -> Array:
    """``floor(input / 2 ** other)``; all bits equal the sign where `other` is negative or not below the number of bits."""
    accept("rshift_cpu", "iu", input, other)
    return np.right_shift(input, other)
