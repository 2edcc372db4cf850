"""Comparisons: bool tensors, without gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import Array, scalar_name
from mini_dl._surface import public
from mini_dl.autograd.primitive import binary, unary
from mini_dl.ops.pointwise import kind_of
from mini_dl.tensor import Tensor


def _ordered(name: str, input: Any, other: Any) -> None:
    for operand in (input, other):
        if kind_of(operand) == "c":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{scalar_name(np.asarray(operand).dtype)}'")


@public("torch", "Tensor", inplace_too=True, out=True)
@binary()
def eq(input: Array, other: Array) -> Array:
    """``input == other``"""
    return np.equal(input, other)


@public("torch", "Tensor", "torch:not_equal", "Tensor:not_equal", inplace_too=True, out=True)
@binary()
def ne(input: Array, other: Array) -> Array:
    """``input != other``"""
    return np.not_equal(input, other)


@public("torch", "Tensor", "torch:less", "Tensor:less", inplace_too=True, out=True)
@binary()
def lt(input: Array, other: Array) -> Array:
    """``input < other``. NotImplementedError for complex."""
    _ordered("lt", input, other)
    return np.less(input, other)


@public("torch", "Tensor", "torch:less_equal", "Tensor:less_equal", inplace_too=True, out=True)
@binary()
def le(input: Array, other: Array) -> Array:
    """``input <= other``. NotImplementedError for complex."""
    _ordered("le", input, other)
    return np.less_equal(input, other)


@public("torch", "Tensor", "torch:greater", "Tensor:greater", inplace_too=True, out=True)
@binary()
def gt(input: Array, other: Array) -> Array:
    """``input > other``. NotImplementedError for complex."""
    _ordered("gt", input, other)
    return np.greater(input, other)


@public("torch", "Tensor", "torch:greater_equal", "Tensor:greater_equal", inplace_too=True, out=True)
@binary()
def ge(input: Array, other: Array) -> Array:
    """``input >= other``. NotImplementedError for complex."""
    _ordered("ge", input, other)
    return np.greater_equal(input, other)


for _name, _primitive in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
    setattr(Tensor, f"__{_name}__", _primitive.operator)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------ what kind of number


@public("torch", "Tensor")
@unary()
def isnan(input: Array) -> Array:
    """Whether each element is NaN."""
    return np.not_equal(input, input)


@public("torch", "Tensor")
@unary()
def isfinite(input: Array) -> Array:
    """Whether each element is neither infinite nor NaN."""
    return np.isfinite(input)


@public("torch", "Tensor")
@unary()
def isinf(input: Array) -> Array:
    """Whether each element is infinite."""
    return np.isinf(input)
