"""Pointwise operations: each element of the result depends on one element of each input."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import Array, Number, dtype, floating
from mini_dl._surface import method, tensor_method
from mini_dl.autograd.primitive import binary, op, unary
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ arithmetic


@binary(input=lambda grad: grad, other=lambda grad: grad)
def _add(input: Array, other: Array) -> Array:
    return np.add(input, other)


@method(inplace=True, out=True)
def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``input + alpha * other``

    >>> import mini_dl as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    return _add(input, other if alpha == 1 else mul(other, alpha))


@binary(input=lambda grad, other: grad * _conj(other), other=lambda grad, input: grad * _conj(input))
def _mul(input: Array, other: Array) -> Array:
    return np.multiply(input, other)


@method(inplace=True, out=True)
def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """``input * other``"""
    return _mul(input, other)


@binary(input=lambda grad: grad, other=lambda grad: -grad)
def _sub(input: Array, other: Array) -> Array:
    return np.subtract(input, other)


@method(inplace=True)
@unary(input=lambda grad: -grad)
def neg(input: Array) -> Array:
    """``-input``"""
    return np.negative(input)


@method(inplace=True, out=True)
@unary(input=lambda grad, result: grad * _conj(result))
def exp(input: Array) -> Array:
    """``e ** input``"""
    return np.exp(floating(input))


@binary(
    input=lambda grad, other: grad * (1 - other * other),
    other=lambda grad, input, other: grad * input * other * -2,
)
def _tanh_backward(input: Array, other: Array) -> Array:
    """The gradient `input` through tanh, whose result was `other`."""
    return input * (1 - other * other)


@method(inplace=True, out=True)
@unary(input=lambda grad, result: _tanh_backward(grad, _conj(result)))
def tanh(input: Array) -> Array:
    return np.tanh(floating(input))


for _name, _operator in {
    "__add__": _add,
    "__radd__": _add,
    "__mul__": _mul,
    "__rmul__": _mul,
    "__sub__": _sub,
    "__rsub__": lambda self, other: _sub(other, self),
    "__neg__": neg,
}.items():
    setattr(Tensor, _name, _operator)


def _conj(value: Any) -> Any:
    """The conjugate, for the gradient of a holomorphic function; a real value is its own."""
    if isinstance(value, Tensor):
        return value.conj() if value._array.dtype.kind == "c" else value
    return value.conjugate()


# ------------------------------------------------------------------------------------------------ copies


@method()
@unary(input=lambda grad: grad)
def clone(input: Array) -> Array:
    """A copy, through which gradients flow."""
    return input.copy()


@op(input=lambda grad: grad)
def _cast(input: Array, target: np.dtype[Any]) -> Array:
    return input.astype(target)


@tensor_method()
def to(self: Tensor, target: dtype) -> Tensor:
    return self if self._array.dtype == target.numpy else _cast(self, target.numpy)
