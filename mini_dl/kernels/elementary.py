"""Functions that NumPy computes number by number on processors without AVX-512, several times slower than `exp` and `log`: here
they are composed of those, for many numbers in float32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.lib.introspect import opt_func_info

from mini_dl._dtypes import Array
from mini_dl.kernels import blocks
from mini_dl.kernels.blocks import Scratch, choose

FEW = 4096
"""Numbers up to which the calls of a composition take longer than NumPy's loop."""

BLOCK = 2 * blocks.BLOCK
"""Numbers in a block: calls of two threads meet in the interpreter, so they are longer than for one."""

Formula = Callable[[Array, Array], object]
"""Of contiguous arrays: writes the function of the first to the second, which may be the same."""


def is_vectorized(ufunc: np.ufunc) -> bool:
    """Whether NumPy has a loop in float32 for the instructions of this processor."""
    loops = opt_func_info(func_name=f"^{ufunc.__name__}$", signature="^float32$").get(ufunc.__name__, {})
    return not loops.get("ff", {"current": "baseline"})["current"].startswith("baseline")


class Composed:
    """Like `ufunc`, of one operand; by `formula`, in blocks, for many numbers in float32."""

    nin = 1

    def __init__(self, ufunc: np.ufunc, formula: Formula) -> None:
        self.ufunc, self.formula, self.__name__ = ufunc, formula, ufunc.__name__

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        if x.dtype.char != "f" or x.size < FEW or type(x) is not np.ndarray:
            return self.ufunc(x, out=out)
        dense = x if x.flags.forc else np.positive(x)  # in the order that the ufunc gives its result
        result = np.empty_like(dense) if out is None or out.strides != dense.strides else out
        if x.size <= BLOCK:
            self.formula(dense, result)
        else:
            flat, flat_result = dense.ravel("K"), result.ravel("K")
            for i in range(0, x.size, BLOCK):
                self.formula(flat[i : i + BLOCK], flat_result[i : i + BLOCK])
        if out is None or result is out:
            return result
        np.copyto(out, result)
        return out


Elementwise = np.ufunc | Composed

# ------------------------------------------------------------------------------------------------ in float32


_ONE, _HALF = (np.array(number, np.float32) for number in (1, 0.5))
"""Arrays: numbers would be converted at each call."""
_SCRATCH = Scratch()


def _log1p(x: Array, out: Array) -> None:
    """``x * log(u) / (u - 1)`` with ``u = 1 + x`` rounded: what rounding does to both factors cancels (Kahan). Where u is 1 or
    infinite, the quotient is 1."""
    u, y = _SCRATCH.of((2, *x.shape), x.dtype)
    np.add(x, _ONE, u)
    np.log(u, y)
    np.subtract(u, _ONE, u)
    np.divide(y, u, y)
    flat = y.reshape(-1)
    if not math.isfinite(flat.dot(flat)):
        np.copyto(y, _ONE, where=(u == 0) | (u == np.inf))
    np.multiply(x, y, out)


def _tan(x: Array, out: Array) -> None:
    cosine = _SCRATCH.of(x.shape, x.dtype)
    np.cos(x, cosine)
    np.sin(x, out)
    np.divide(out, cosine, out)


def _expm1_of_negative(x: Array, out: Array) -> None:
    """``2 t / (1 - t)`` with ``t = tanh(x / 2)``, accurate for x up to 0."""
    t = np.multiply(x, _HALF, _SCRATCH.of(x.shape, x.dtype))
    np.tanh(t, t)
    np.subtract(_ONE, t, out)
    np.divide(t, out, out)
    np.add(out, out, out)


# ------------------------------------------------------------------------------------------------ in float64


_NEAR = 2.0**-26
"""Up to here, a function that is ``x + O(x ** 2)`` is x in float32; beyond, its formula keeps enough digits."""
_DOUBLE = Scratch()


def _in_double(formula: Formula, near_zero: bool) -> Formula:
    """A formula for float32 from one for float64 with a spare vector; `near_zero` for a function that is ``x + O(x ** 2)``."""

    def run(x: Array, out: Array) -> None:
        y, spare = _DOUBLE.of((2, *x.shape), np.dtype(np.float64))
        np.copyto(y, x)
        formula(y, spare)
        rounded = y.astype(x.dtype)
        np.copyto(out, choose(np.absolute(x) < _NEAR, x, rounded) if near_zero else rounded)

    return run


def _sinh(y: Array, spare: Array) -> None:
    np.exp(y, y)
    y -= np.reciprocal(y, spare)
    y *= 0.5


def _arcsinh(y: Array, spare: Array) -> None:
    """``log(size + root)``, with the sign: ``y + root`` would cancel below 0."""
    size = np.absolute(y)
    np.multiply(y, y, spare)
    spare += 1
    size += np.sqrt(spare, spare)
    np.copysign(np.log(size, size), y, y)


def _arccosh(y: Array, spare: Array) -> None:
    """``log(y + root(y - 1) * root(y + 1))``, NaN below 1, where one root of the product is not"""
    np.sqrt(np.subtract(y, 1, spare), spare)
    spare *= np.sqrt(y + 1)
    y += spare
    np.log(y, y)


def _arctanh(y: Array, spare: Array) -> None:
    np.subtract(1, y, spare)
    y += 1
    y /= spare
    np.log(y, y)
    y *= 0.5


COMPOSED = {
    "tan": Composed(np.tan, _tan),
    "sinh": Composed(np.sinh, _in_double(_sinh, True)),
    "arcsinh": Composed(np.arcsinh, _in_double(_arcsinh, True)),
    "arccosh": Composed(np.arccosh, _in_double(_arccosh, False)),
    "arctanh": Composed(np.arctanh, _in_double(_arctanh, True)),
    "log1p": Composed(np.log1p, _log1p),
    "expm1_of_negative": Composed(np.expm1, _expm1_of_negative),
}
_PAYS = is_vectorized(np.exp) and is_vectorized(np.log)


def fastest(name: str) -> Elementwise:
    """The faster on this processor: NumPy's function or its composition."""
    composed = COMPOSED[name]
    return composed if _PAYS and not is_vectorized(composed.ufunc) else composed.ufunc
