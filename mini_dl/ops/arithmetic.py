"""Sums, differences, products and quotients, element by element."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mini_dl._dtypes import (
    FLOATING,
    HALVES,
    INEXACT,
    Array,
    Exact,
    Number,
    NumpyType,
    as_type,
    floating,
    number_as,
    of_numpy,
    promote,
    result_numpy,
)
from mini_dl._surface import method
from mini_dl.autograd.inplace import moved_by, written_by
from mini_dl.autograd.primitive import binary, linear_in, number_of, unary
from mini_dl.kernels.blocks import choose, slow_elementwise, spread
from mini_dl.kernels.elementary import fastest
from mini_dl.ops.operands import accept, conjugate, kind_of, own_copy, promote_floating, tensor_first, zero_of
from mini_dl.tensor import Tensor

_fmod, _remainder, _whole_quotient = map(fastest, ("fmod", "remainder", "floor_divide"))

# ------------------------------------------------------------------------------------------------ arithmetic


@binary(input=lambda grad: grad, other=lambda grad: grad, numbers="input other both")
def _add(input: Array, other: Array) -> Array:
    return np.add(input, other)


def _times(other: Array, factor: float) -> Array:
    return spread(np.multiply, other, factor)


@method(inplace=True, out=True)
@moved_by(np.add, _times, 1, "alpha")
@written_by(np.add, _add, entirely=True)
def add(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``out = input + alpha * other``

    Family: binary

    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([[10.0], [20.0]]))
    tensor([[11., 12.],
            [21., 22.]])
    >>> torch.add(torch.tensor([1.0, 2.0]), 10, alpha=0.5)
    tensor([6., 7.])
    """
    return _add(input, other) if alpha.__class__ is int and alpha == 1 else _with_scaled(_add, input, other, alpha)


def _with_scaled(function: Any, input: object, other: object, alpha: object) -> Tensor:
    """``function(input, alpha * other)``; float16 and bfloat16 in float32, rounded once."""
    common = result_numpy(*[v._array if isinstance(v, Tensor) else v for v in (input, other)])
    if common.char not in HALVES:
        return function(input, _scaled(common, other, alpha))
    factor = number_as(_alpha_of(common, alpha), common).astype(np.float32).item()
    kind = of_numpy(common)
    wide = [v.to(kind).float() if isinstance(v, Tensor) else as_type(v, common).astype(np.float32).item() for v in (input, other)]
    return function(wide[0], wide[1] * factor).to(kind)


def _alpha_of(common: NumpyType, alpha: object) -> Any:
    """`alpha` as a number. RuntimeError if it is of a higher category than the type of the result."""
    alpha = number_of("add", "alpha", alpha)
    kind = kind_of(alpha)
    if kind == "b" and common.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if common.kind not in INEXACT and kind in INEXACT:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if common.kind != "c" and kind == "c":
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    return alpha


def _scaled(common: NumpyType, other: object, alpha: object) -> Any:
    """``alpha * other`` in the type of the result. RuntimeError if `alpha` is of a higher category."""
    factor = number_as(_alpha_of(common, alpha), common)
    if isinstance(other, Tensor):  # cast first: the product could wrap around in its own type
        return _mul(other if other._array.dtype == common else other.to(of_numpy(common)), factor.item())
    return np.multiply(as_type(other, common), factor).item()


def refuse_bools(*operands: object) -> None:
    """RuntimeError if an operand of a difference is a bool."""
    if "b" in [kind_of(operand._array if isinstance(operand, Tensor) else operand) for operand in operands]:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )


def _promote_difference(input: object, other: object) -> tuple[Any, Any]:
    refuse_bools(input, other)
    return promote(input, other)


@binary(input=lambda grad: grad, other=lambda grad: -grad, promote=_promote_difference, numbers="input other both")
def _sub(input: Array, other: Array) -> Array:
    if type(other) is np.ndarray and other.dtype.kind == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    return np.subtract(input, other)


@method(alias="subtract", inplace=True, out=True)
@moved_by(np.subtract, _times, 1, "alpha")
@written_by(np.subtract, _sub)
def sub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """``out = input - alpha * other``

    Family: binary
    Raises: RuntimeError for two bools (`^` is their difference), and if the shapes do not broadcast.

    >>> torch.sub(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 10.0]), alpha=0.1)
    tensor([0., 1.])
    """
    if alpha.__class__ is int and alpha == 1:
        return _sub(input, other)
    refuse_bools(input, other)
    return _with_scaled(_sub, input, other, alpha)


@method()
def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """Subtraction with its operands exchanged: ``out = other - alpha * input``

    Family: binary
    Raises: RuntimeError for bools; TypeError unless `input` is a tensor.

    >>> torch.rsub(torch.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([8., 6.])
    """
    refuse_bools(input, other)
    return _sub(other, input) if alpha.__class__ is int and alpha == 1 else _with_scaled(_sub, other, input, alpha)


@method(alias="multiply", inplace=True, out=True)
@written_by(np.multiply)
@linear_in("input", "other")
@binary(  # a real factor is its own conjugate: this saves two calls in the most common formula
    input=lambda grad, other: _mul(
        grad, other if type(other) is Tensor and other._array.dtype.kind in FLOATING else conjugate(other)
    ),
    other=lambda grad, input: _mul(
        grad, input if type(input) is Tensor and input._array.dtype.kind in FLOATING else conjugate(input)
    ),
    exact="input other",
    numbers="input other both",
)
def mul(input: Array, other: Array) -> Array:
    """``out = input * other``

    Family: binary

    >>> torch.mul(torch.tensor([[1], [2]]), torch.tensor([10, 20]))
    tensor([[10, 20],
            [20, 40]])
    """
    return np.multiply(input, other)


_mul: Any = mul


@linear_in("input")
@binary(
    input=lambda grad, other: grad / conjugate(other),
    other=lambda grad, input, other: -grad * conjugate(input / other / other),
    promote=promote_floating,
    exact="other",
    numbers="input other both",
)
def _div(input: Array, other: Array) -> Array:
    if type(input) is np.ndarray and input.dtype.kind not in INEXACT:
        input, other = floating(input), floating(other)
    return np.divide(input, other)


@method(alias="divide", inplace=True, out=True)
@written_by(np.divide)
def div(input: Tensor | Number, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """``out = input / other``, rounded toward zero (`rounding_mode` "trunc"), down ("floor"), or not at all.

    Family: binary
    Raises: RuntimeError for another `rounding_mode`, and for an integer division by zero.

    >>> torch.div(torch.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode == "floor":
        return _floor_div(input, other)
    if rounding_mode == "trunc":
        return _trunc_div(input, other)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


@method(inplace=True, out=True)
def true_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The quotient as a floating point number: ``out = input / other``

    Family: binary

    >>> torch.true_divide(torch.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return _div(input, other)


def _divisible(input: object, other: object) -> None:
    """RuntimeError if an integer would be divided by zero."""
    if type(other) is np.ndarray and other.dtype.kind in "biu" and not other.all():
        raise RuntimeError("ZeroDivisionError")


def _floored(input: Any, other: Any) -> Array:
    accept("div_floor_cpu", "iuf", input, other)
    _divisible(input, other)
    return spread(_whole_quotient, input, other)


@binary(input=lambda grad: zero_of(grad), other=lambda grad: zero_of(grad), exact="other", numbers="input other both")
def _floor_div(input: Array, other: Array) -> Array:
    return _floored(input, other)


@binary(input=lambda grad: zero_of(grad), other=lambda grad: zero_of(grad), exact="other", numbers="input other both")
def _trunc_div(input: Array, other: Array) -> Array:
    accept("div_trunc_cpu", "iuf", input, other)
    _divisible(input, other)
    if isinstance(other, Exact):
        return np.trunc(np.divide(input, other.view(np.ndarray))).astype(np.float16)
    if kind_of(input) in FLOATING or kind_of(other) in FLOATING:
        return np.trunc(np.divide(input, other))
    return (input - np.fmod(input, other)) // other


def underivable(name: str) -> Any:
    raise RuntimeError(f"derivative for aten::{name} is not implemented")


@method(inplace=True, out=True)
@binary(
    input=lambda grad: underivable("floor_divide"),
    other=lambda grad: underivable("floor_divide"),
    exact="other",
    numbers="input other both",
)
def floor_divide(input: Array, other: Array) -> Array:
    """The quotient rounded down, without a derivative: ``out = floor(input / other)``

    Family: binary
    Raises: RuntimeError for an integer division by zero.

    >>> torch.floor_divide(torch.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return _floored(input, other)


@method(inplace=True, out=tensor_first)
@binary(input=lambda grad: grad, other=lambda grad, input, other: -grad * _floor_div(input, other))
def remainder(input: Array, other: Array) -> Array:
    """The remainder of division with the sign of `other`, as in Python's `%`: ``out = input - other * floor(input / other)``

    Family: binary
    Raises: RuntimeError for an integer division by zero.

    >>> torch.remainder(torch.tensor([7.0, -7.0]), 3)
    tensor([1., 2.])
    """
    accept("remainder_cpu", "iuf", input, other)
    _divisible(input, other)
    result = spread(_remainder, input, other)
    if result.dtype.kind in FLOATING and not result.all():  # a remainder of 0 has the sign of `input`
        return choose(np.asarray(result == 0), np.copysign(result, input), result)
    return result


@method(inplace=True, out=True)
@binary(input=lambda grad: grad, other=lambda grad, input, other: -grad * _trunc_div(input, other), numbers="other")
def fmod(input: Array, other: Array) -> Array:
    """The remainder of division with the sign of `input`, as in C's `fmod`: ``out = input - other * trunc(input / other)``

    Family: binary
    Raises: RuntimeError for an integer division by zero.

    >>> torch.fmod(torch.tensor([7.0, -7.0]), 3)
    tensor([ 1., -1.])
    """
    accept("fmod_cpu", "iuf", input, other)
    _divisible(input, other)
    return spread(_fmod, input, other)


@method(alias="negative", inplace=True, out=True)
@written_by(np.negative)
@unary(input=lambda grad: -grad)
def neg(input: Array) -> Array:
    """``out = -input``

    Raises: RuntimeError for bools (`~` inverts those).

    >>> torch.neg(torch.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    if input.dtype.kind == "b":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )
    return np.negative(input)


@method()
def positive(input: Tensor) -> Tensor:
    """`input` itself: ``out = +input``

    Family: elementwise
    Raises: RuntimeError for bools.

    >>> torch.positive(torch.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    if input._array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@method(inplace=True, out=True)
@written_by(np.reciprocal)
@unary(input=lambda grad, result: -grad * conjugate(result * result))
def reciprocal(input: Array) -> Array:
    """``out = 1 / input``

    >>> torch.reciprocal(torch.tensor([4.0, -0.5, 0.0]))
    tensor([ 0.2500, -2.0000,     inf])
    """
    return _inverse(floating(input))


def _inverse(x: Array, out: Array | None = None) -> Array:
    """``1 / x``; NumPy's reciprocal of a complex 0 is NaN."""
    return np.divide(x.dtype.type(1), x, out) if x.dtype.kind == "c" else np.reciprocal(x, out)


@method(inplace=True, out=True)
@written_by(np.square)
@unary(input=lambda grad, input: grad * 2 * conjugate(input))
def square(input: Array) -> Array:
    """``out = input ** 2``

    Family: elementwise

    >>> torch.square(torch.tensor([-3.0, 0.5]))
    tensor([9.0000, 0.2500])
    """
    if input.dtype.kind == "b":
        input = input.astype(np.int64)
    return np.multiply(input, input)


@method(inplace=True, out=True)
@written_by(np.sqrt)
@unary(input=lambda grad, result: grad / (2 * conjugate(result)))
def sqrt(input: Array) -> Array:
    """The nonnegative number with ``out ** 2 = input``; NaN for negative real numbers.

    >>> torch.sqrt(torch.tensor([9.0, 2.0, -1.0]))
    tensor([3.0000, 1.4142,    nan])
    """
    return np.sqrt(floating(input))


@method(inplace=True, out=True)
@unary(input=lambda grad, result: grad * -0.5 * conjugate(result**3))
def rsqrt(input: Array) -> Array:
    """``out = 1 / sqrt(input)``

    >>> torch.rsqrt(torch.tensor([4.0, 0.25]))
    tensor([0.5000, 2.0000])
    """
    return _inverse_root(floating(input))


@slow_elementwise
def _inverse_root(x: Array, out: Array | None = None) -> Array:
    y = np.sqrt(x, out)
    return _inverse(y, own_copy(y))


def _factor(name: str, value: object, like: Tensor) -> Any:
    """A factor as a number of the type of `like`, which the product keeps."""
    return number_as(number_of(name, "value", value), like._array.dtype).item()


def in_one_type(name: str, input: Tensor, tensor1: Tensor, tensor2: Tensor) -> list[Tensor]:
    """Three tensors in the type of the result, so that no product wraps around in a smaller one."""
    three = [input, tensor1, tensor2]
    types = {t._array.dtype for t in three}
    if len(types) == 1:
        return three
    common = result_numpy(*[t._array for t in three])
    return [t if t._array.dtype == common else t.to(of_numpy(common)) for t in three]


def _half(*tensors: Tensor) -> bool:
    """Whether all are float16, or all bfloat16: their sums of products are computed in float32."""
    return len({t._array.dtype for t in tensors}) == 1 and tensors[0]._array.dtype.char in HALVES


def _scaled_pair(ufunc: np.ufunc, first: Array, second: Array, factor: float) -> Array:
    if factor == 1:
        return spread(ufunc, first, second)
    scaled = _times(first, factor)
    return spread(ufunc, scaled, second, out=own_copy(scaled))


@method(inplace=True, out=True)
@moved_by(np.add, functools.partial(_scaled_pair, np.multiply), 2, "value")
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """A scaled product added: ``out = input + value * tensor1 * tensor2``

    Shapes: all three are broadcast, and the result has their common shape.
    Raises: RuntimeError if the shapes do not broadcast; TypeError for anything but a tensor.

    >>> torch.addcmul(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    number_of("addcmul", "value", value)
    input, tensor1, tensor2 = in_one_type("addcmul", input, tensor1, tensor2)
    if _half(input, tensor1, tensor2):
        return addcmul(input.float(), tensor1.float(), tensor2.float(), value=value).to(input.dtype)
    plain = value.__class__ is int and value == 1
    if tensor1._array.dtype.kind == "b":
        raise NotImplementedError("\"addcmul_cpu_out\" not implemented for 'Bool'")
    return _add(input, _mul(tensor1 if plain else tensor1 * _factor("addcmul", value, tensor1), tensor2))


@method(inplace=True, out=True)
@moved_by(np.add, functools.partial(_scaled_pair, np.divide), 2, "value")
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """A scaled quotient added: ``out = input + value * tensor1 / tensor2``

    Shapes: all three are broadcast, and the result has their common shape.
    Raises: RuntimeError for integer `tensor1` and `tensor2`, and if the shapes do not broadcast.

    >>> torch.addcdiv(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([4.0, 4.0]), value=2)
    tensor([1.5000, 2.0000])
    """
    number_of("addcdiv", "value", value)
    if tensor1._array.dtype.kind in "biu" and tensor2._array.dtype.kind in "biu":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true division "
            "of tensor1 and tensor2. The historic addcdiv behavior can be implemented as "
            "(input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as "
            "(input + value * tensor1 / tensor2) for float inputs."
        )
    input, tensor1, tensor2 = in_one_type("addcdiv", input, tensor1, tensor2)
    if _half(input, tensor1, tensor2):
        return addcdiv(input.float(), tensor1.float(), tensor2.float(), value=value).to(input.dtype)
    plain = value.__class__ is int and value == 1
    return _add(input, _div(tensor1 if plain else tensor1 * _factor("addcdiv", value, tensor1), tensor2))
