"""Pointwise operations: each element of the result depends on one element of each input."""

from __future__ import annotations

import builtins
import functools
from typing import Any

from mini_dl._arguments import parsed
from mini_dl._dtypes import (
    result_numpy,
)
from mini_dl._surface import public
from mini_dl.autograd.inplace import check_cast, inplace as in_place
from mini_dl.ops.arithmetic import _add, _div, _sub, floor_divide, mul, neg, positive, remainder
from mini_dl.ops.bits import bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor
from mini_dl.ops.powers import _pow, _pow_operator, pow
from mini_dl.ops.rounding import abs
from mini_dl.ops.trigonometry import acos, acosh, asin, asinh, atan, atanh
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ operators


def _reversed_division(self: Tensor, other: Any) -> Any:
    """``other / self`` as torch rounds it."""
    return self.reciprocal() * other


def _inverted(self: Tensor) -> Tensor:
    """``~self``; TypeError for types without bits."""
    if self._array.dtype.kind not in "biu":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return bitwise_not(self)


def _shift_of_type(shift: Any) -> Any:
    """`shift`, an in-place shift, after a check that its result has the type of its target."""

    @functools.wraps(shift)
    def call(self: Tensor, other: Any) -> Tensor:
        have = self._array.dtype
        known = isinstance(other, (Tensor, builtins.int, builtins.float, builtins.complex))
        common = result_numpy(self._array, other._array if isinstance(other, Tensor) else other) if known else have
        check_cast(common, have)
        return shift(self, other)

    return call


for _name in ("bitwise_left_shift_", "bitwise_right_shift_"):
    setattr(Tensor, _name, parsed(_shift_of_type(getattr(Tensor, _name))))
_BINARY = {
    "add": _add, "sub": _sub, "mul": mul, "truediv": _div, "floordiv": floor_divide, "mod": remainder,
    "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor, "lshift": bitwise_left_shift, "rshift": bitwise_right_shift,
}  # fmt: skip
for _name, _primitive in _BINARY.items():
    setattr(Tensor, f"__{_name}__", _primitive.operator)
    setattr(Tensor, f"__r{_name}__", _primitive.reflected)
    _in_place = {"truediv": "div", "floordiv": "floor_divide"}.get(_name, _primitive.__name__.lstrip("_"))
    _writing = in_place(getattr(Tensor, _in_place), _in_place + "_", operator=True)
    setattr(Tensor, f"__i{_name}__", _shift_of_type(_writing) if "shift" in _name else _writing)
for _name, _operator in {
    "__neg__": neg,
    "__invert__": _inverted,
    "__pos__": positive,
    "__abs__": abs,
    "__pow__": _pow_operator,
    "__rpow__": _pow.reflected,
    "__ipow__": in_place(pow, "pow_", operator=True),
    "__rtruediv__": _reversed_division,
    "__div__": _div.operator,  # type: ignore[attr-defined]
    "__rdiv__": _reversed_division,
    "__idiv__": vars(Tensor)["div_"],
}.items():
    setattr(Tensor, _name, _operator)
for _name, _function in {
    "arcsin": asin, "arccos": acos, "arctan": atan, "arcsinh": asinh, "arccosh": acosh, "arctanh": atanh,
}.items():  # fmt: skip
    public(f"torch:{_name}", f"Tensor:{_name}", inplace=True, out=True)(_function)
