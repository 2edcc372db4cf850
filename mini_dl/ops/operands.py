"""The operands that elementwise operations accept, and the type they compute in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import type_name
from mini_dl._dtypes import (
    INEXACT,
    NARROW,
    Array,
    among,
    as_type,
    default_numpy,
    dtype_of_number,
    floating,
    promote,
    result_numpy,
    scalar_name,
)
from mini_dl.autograd.primitive import linear_in, op, unary
from mini_dl.kernels.blocks import keep
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ helpers


def conjugate(value: Any) -> Any:
    """The conjugate, for the gradient of a holomorphic function; a real value is its own conjugate."""
    if isinstance(value, Tensor):
        return value.conj() if value._array.dtype.kind == "c" else value
    return value.conjugate()


@unary()
def zero_of(input: Array) -> Array:
    """Zeros like `input`: the gradient of a function that is constant almost everywhere."""
    return np.zeros_like(input)


def kind_of(operand: object) -> str:
    """NumPy's letter for the category: b, u, i, f or c."""
    return (operand.dtype if isinstance(operand, np.ndarray) or is_abstract(operand) else dtype_of_number(operand)).kind


def accept(name: str, kinds: str, *arrays: object) -> None:
    """NotImplementedError if an array is of a kind for which torch does not compute `name`."""
    for array in arrays:
        if (isinstance(array, np.ndarray) or is_abstract(array)) and not among(array.dtype, kinds):
            raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(array.dtype)}'")


def own_copy(array: Any) -> Any:
    """Where a ufunc may write its result: to its own temporary `array`, if that is not a scalar."""
    return array if array.ndim else None


def both_floating(input: Any, other: Any) -> tuple[Any, Any]:
    """Two promoted operands, integers turned into the default floating point type."""
    if type(input) is np.ndarray and input.dtype.kind not in INEXACT:
        return floating(input), floating(other)
    return input, other


def promote_floating(input: object, other: object) -> tuple[Any, Any]:
    """Like `promote`, but integers become floating point first, before one could wrap around in the other's type."""
    common = result_numpy(input, other)
    if common.kind in INEXACT:
        return promote(input, other)
    return as_type(input, default_numpy()), as_type(other, default_numpy())


def in_float32(function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """The result, or results, of `function` on bfloat16 tensors: computed in float32 and rounded once, as by one kernel."""

    def wide(value: object) -> Any:
        return value.float() if isinstance(value, Tensor) and value._array.dtype.char in NARROW else value

    result = function(*map(wide, args), **{name: wide(value) for name, value in kwargs.items()})
    if isinstance(result, tuple):
        return tuple([part.bfloat16() if isinstance(part, Tensor) else part for part in result])
    return result.bfloat16()


PLAIN = (float, int, type(None))


def tensor_first(result: object, out: object, args: Sequence[object]) -> None:
    """TypeError if a number was given before the tensor: such overloads do not accept ``out=``."""
    if args and not isinstance(args[0], Tensor):
        raise TypeError(f"with out=, argument 'input' (position 1) must be Tensor, not {type_name(args[0])}")


@linear_in("input")
@op(input=lambda grad, mask: masked(grad, mask))
def masked(input: Array, mask: Array) -> Array:
    """`input` where `mask` is not 0, else 0, also where `input` is not finite."""
    return keep(input, mask) if input.shape == mask.shape else np.where(mask, input, input.dtype.type(0))
