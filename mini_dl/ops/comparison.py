"""Comparisons: bool tensors, without gradients."""

from __future__ import annotations

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import broadcast_shapes
from mini_dl._dtypes import Array, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import method, named
from mini_dl.autograd.primitive import Binary, binary, op, unary
from mini_dl.ops.operands import kind_of
from mini_dl.tensor import Tensor


def _ordered(name: str, input: object, other: object) -> None:
    for operand in (input, other):
        if kind_of(operand) == "c":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{scalar_name(np.asarray(operand).dtype)}'")


@method(inplace=True, out=True)
@binary(numbers="other")
def eq(input: Array, other: Array) -> Array:
    """``out = input == other``

    Family: comparison

    >>> torch.eq(torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 4]))
    tensor([[ True, False],
            [False,  True]])
    """
    return np.equal(input, other)


@method(alias="not_equal", inplace=True, out=True)
@binary(numbers="other")
def ne(input: Array, other: Array) -> Array:
    """``out = input != other``

    Family: comparison

    >>> torch.ne(torch.tensor([1, 2, 3]), 2)
    tensor([ True, False,  True])
    """
    return np.not_equal(input, other)


def _in_order(name: str, ufunc: np.ufunc, sign: str, shown: str) -> Binary:
    """A comparison that needs an order, published also under the name of NumPy's `ufunc`"""

    def forward(input: Array, other: Array) -> Array:
        _ordered(name, input, other)
        return ufunc(input, other)

    doc = f"""``out = input {sign} other``

Family: comparison
Raises: NotImplementedError for complex numbers; RuntimeError if the shapes do not broadcast.

>>> torch.{name}(torch.tensor([1, 2, 3]), 2)
tensor([{shown}])"""
    primitive = binary(numbers="other")(named(forward, name, doc))
    return method(alias=ufunc.__name__, inplace=True, out=True)(primitive)


lt = _in_order("lt", np.less, "<", " True, False, False")
le = _in_order("le", np.less_equal, "<=", " True,  True, False")
gt = _in_order("gt", np.greater, ">", "False, False,  True")
ge = _in_order("ge", np.greater_equal, ">=", "False,  True,  True")

for _name, _primitive in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
    setattr(Tensor, f"__{_name}__", _primitive.operator)


# ------------------------------------------------------------------------------------------------ kinds of numbers


@method()
@unary()
def isnan(input: Array) -> Array:
    """Whether each element is NaN, the only number with ``input != input``

    >>> torch.isnan(torch.tensor([1.0, torch.nan, torch.inf]))
    tensor([False,  True, False])
    """
    return np.not_equal(input, input)


@method()
@unary()
def isfinite(input: Array) -> Array:
    """Whether each element is neither infinite nor NaN: ``abs(input) < inf``

    >>> torch.isfinite(torch.tensor([1.0, torch.nan, torch.inf]))
    tensor([ True, False, False])
    """
    return np.isfinite(input)


@method()
@unary()
def isinf(input: Array) -> Array:
    """Whether each element is infinite: ``abs(input) == inf``

    >>> torch.isinf(torch.tensor([1.0, torch.nan, -torch.inf]))
    tensor([False, False,  True])
    """
    return np.isinf(input)


@method(out=True)
@unary()
def isposinf(input: Array) -> Array:
    """Whether each element is positive infinity: ``input == inf``

    Raises: RuntimeError for complex numbers.

    >>> torch.isposinf(torch.tensor([1.0, torch.inf, -torch.inf]))
    tensor([False,  True, False])
    """
    return _equals("isposinf", input, np.inf)


@method(out=True)
@unary()
def isneginf(input: Array) -> Array:
    """Whether each element is negative infinity: ``input == -inf``

    Raises: RuntimeError for complex numbers.

    >>> torch.isneginf(torch.tensor([1.0, torch.inf, -torch.inf]))
    tensor([False, False,  True])
    """
    return _equals("isneginf", input, -np.inf)


def _equals(name: str, input: Array, number: float) -> Array:
    if input.dtype.kind == "c":
        raise RuntimeError(f"{name} does not support complex inputs.")
    return np.equal(input, number)


@method()
@unary()
def isreal(input: Array) -> Array:
    """Whether each element is a real number: ``imag(input) == 0``

    >>> torch.isreal(torch.tensor([1 + 0j, 1 + 1j]))
    tensor([ True, False])
    """
    return np.equal(input.imag, 0) if input.dtype.kind == "c" else np.ones(input.shape, bool)


# ------------------------------------------------------------------------------------------------ whole tensors


@op()
def _isclose(input: Array, other: Array, rtol: float, atol: float, equal_nan: bool) -> Array:
    close = np.equal(input, other)
    if equal_nan:
        close |= (input != input) & (other != other)
    if rtol == 0 and atol == 0:
        return close
    if input.dtype.kind in "iub":
        input, other = input.astype(np.float64), other.astype(np.float64)
    difference = np.absolute(input - other)
    return close | (np.isfinite(difference) & (difference <= atol + np.absolute(rtol * other)))


@method()
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether each pair is equal within a tolerance: ``out = abs(input - other) <= atol + rtol * abs(other)``

    Family: comparison
    Raises: RuntimeError for different dtypes, or for a negative tolerance.

    >>> torch.isclose(torch.tensor([1.0, 1000.0, torch.nan]), torch.tensor([1.0001, 1000.001, torch.nan]), equal_nan=True)
    tensor([False,  True,  True])
    """
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(f"{scalar_name(input._array.dtype)} did not match {scalar_name(other._array.dtype)}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not value >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    broadcast_shapes(input._array.shape, other._array.shape)
    return _isclose(input, other, rtol, atol, equal_nan)


@method()
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all pairs are equal within a tolerance, a bool: ``out = all(abs(input - other) <= atol + rtol * abs(other))``

    Shapes: `input` and `other` are broadcast.
    Raises: RuntimeError for different dtypes, or for a negative tolerance.

    >>> torch.allclose(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-6]))
    True
    """
    refuse_meta("allclose", input)
    if is_abstract(input) or is_abstract(other):
        raise RuntimeError(
            "vmap over torch.allclose isn't supported yet. Please file an issue at https://github.com/pytorch/pytorch/issues if "
            "you need this feature."
        )
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


@method()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and the same elements, a bool: ``out = all(input == other)``

    Shapes: any two; tensors of different shapes are not equal.
    Raises: RuntimeError for different dtypes; TypeError unless both are tensors.

    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2])), torch.equal(torch.ones(2), torch.ones(1, 2))
    (True, False)
    """
    refuse_meta("equal", input)
    if is_abstract(input) or is_abstract(other):
        raise RuntimeError("Batching rule not implemented for aten::equal. We could not generate a fallback.")
    return input is other or np.array_equal(input._array, other._array)
