"""Functions that NumPy computes number by number on processors without AVX-512, several times slower than `exp` and `log`: here
they are composed of those, for many numbers in float32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels import blocks
from mini_dl.kernels.blocks import Scratch, choose
from mini_dl.kernels.halves import is_vectorized

FEW = 4096
"""Numbers up to which the calls of a composition take longer than NumPy's loop; more if that is fast, too."""

BLOCK = 2 * blocks.BLOCK
"""Numbers in a block: calls of two threads meet in the interpreter, so they are longer than for one."""

Formula = Callable[..., object]
"""Of vectors, or of a vector and a number: writes the function of the others to the last, which may be one of them."""


class Composed:
    """Like `ufunc`, of one or two operands; by `formula`, in blocks, for many numbers in float32."""

    def __init__(self, ufunc: np.ufunc, formula: Formula, few: int = FEW, cost: int = 2) -> None:
        self.ufunc, self.formula, self.__name__, self.nin = ufunc, formula, ufunc.__name__, ufunc.nin
        self.few, self.cost = few, cost  # as for `COSTS`: calls of two threads meet, so a function of many calls has a low one

    def __call__(self, *arrays: Array, out: Array | None = None) -> Array:
        operands, x = arrays[: self.nin], arrays[0]
        if len(arrays) > self.nin:
            out = arrays[self.nin]
        if type(x) is not np.ndarray or x.size < self.few or not all(map(_is_single, operands)):
            return self.ufunc(*operands, out=out)
        given, laid = self._laid_out(operands)
        result = np.empty_like(laid) if out is None or out.strides != laid.strides else out
        flat = [a.ravel("K") if a.ndim else a for a in (*given, result)]
        for start in range(0, laid.size, BLOCK):
            self.formula(*[a[start : start + BLOCK] if a.ndim else a for a in flat])
        if out is None or result is out:
            return result
        np.copyto(out, result)
        return out

    def _laid_out(self, operands: tuple[Array, ...]) -> tuple[list[Array], Array]:
        """The operands without gaps, in the order in which the ufunc gives its result, and one of them; numbers as they are."""
        x, other = operands[0], np.asarray(operands[-1], np.float32)
        if x.flags.forc and (not other.ndim or (other.shape == x.shape and other.strides == x.strides)):
            return ([x] if self.nin == 1 else [x, other]), x
        laid = np.positive(x) if self.nin == 1 else np.add(x, other)
        given = [np.empty_like(laid) for _ in operands]
        for array, operand in zip(given, operands):
            np.copyto(array, operand)
        return given, laid


def _is_single(operand: object) -> bool:
    return operand.dtype.char == "f" if isinstance(operand, np.ndarray) else type(operand) in (float, int, np.float32)


Elementwise = np.ufunc | Composed

# ------------------------------------------------------------------------------------------------ tools


def _singles(*numbers: float) -> list[Array]:
    """Arrays: numbers would be converted at each call."""
    return [np.array(number, np.float32) for number in numbers]


_ZERO, _ONE, _TWO, _HALF, _INFINITY = _singles(0, 1, 2, 0.5, math.inf)
_BITS = np.dtype(np.int32)
_SIGN, _LAST_BIT = np.array(-(2**31), _BITS), np.array(31, _BITS)
_SCRATCH, _OUTER = Scratch(), Scratch()


def _horner(x: Array, coefficients: list[Array], out: Array) -> Array:
    """The polynomial in x with these coefficients, the highest power first."""
    np.multiply(x, coefficients[0], out)
    for coefficient in coefficients[1:-1]:
        np.add(out, coefficient, out)
        np.multiply(out, x, out)
    return np.add(out, coefficients[-1], out)


def _with_sign_of(x: Array, size: Array, out: Array, spare: Array) -> None:
    """`size`, whose sign bit is not set, or is that of x"""
    signs = np.bitwise_and(x.view(_BITS), _SIGN, spare.view(_BITS) if x.ndim else None)
    np.bitwise_or(size.view(_BITS), signs, out.view(_BITS))


def _where_negative(x: Array, number: Array) -> None:
    """Replaces x by the number where its sign bit is set, else by 0."""
    bits = x.view(_BITS)
    np.right_shift(bits, _LAST_BIT, bits)
    np.bitwise_and(bits, number.view(_BITS), bits)


def _is_finite(x: Array) -> bool:
    """Whether the numbers of a vector are finite, and so small that the sum of their squares is"""
    return math.isfinite(x.dot(x))


Exceptions = tuple[Array, Array] | None
"""Places, and the values there."""


def _exceptions(ufunc: np.ufunc, where: Array, *operands: Array) -> Exceptions:
    """Where the formula does not hold, the values are those of NumPy."""
    at = np.flatnonzero(where)
    return (at, ufunc(*[a.take(at) if a.ndim else a for a in operands])) if at.size else None


def _put(exceptions: Exceptions, out: Array) -> None:
    if exceptions:
        out[exceptions[0]] = exceptions[1]


# ------------------------------------------------------------------------------------------------ in float32


def _log1p(x: Array, out: Array) -> None:
    """``x * log(u) / (u - 1)`` with ``u = 1 + x`` rounded: what rounding does to both factors cancels (Kahan). Where u is 1 or
    infinite, the quotient is 1."""
    u, y = _SCRATCH.of((2, *x.shape), x.dtype)
    np.add(x, _ONE, u)
    np.log(u, y)
    np.subtract(u, _ONE, u)
    np.divide(y, u, y)
    if not _is_finite(y):
        np.copyto(y, _ONE, where=(u == 0) | (u == np.inf))
    np.multiply(x, y, out)


_LOG1P = _singles(0.28011987, 0.28001806, 0.40021527, 0.6666642)
"""``(2 artanh(s) - 2 s) / s^3`` as a polynomial in s^2, for s up to 1/3: our own fit, within 5e-9 of the logarithm."""


def _log1p_of_fraction(x: Array, out: Array) -> None:
    """For x from 0 to 1"""
    s, square, y = _SCRATCH.of((3, *x.shape), x.dtype)
    np.subtract(x, _series(x, _LOG1P, s, square, y), out)


def _series(x: Array, coefficients: list[Array], s: Array, square: Array, y: Array) -> Array:
    """``x - log(1 + x) = s (x - s^2 p)`` with ``s = x / (2 + x)``, as ``log(1 + x) = 2 artanh(s)``; in `y`."""
    np.add(x, _TWO, s)
    np.divide(x, s, s)
    np.multiply(s, s, square)
    _horner(square, coefficients, y)
    np.multiply(y, square, y)
    np.subtract(x, y, y)
    return np.multiply(y, s, y)


_LOG, _HALF_ROOT = _singles(0.2987228, 0.39977527, 0.66666776), np.array(0.5**0.5, np.float32).view(_BITS)
"""As `_LOG1P`, for s up to 0.172: within 1e-9."""
_PER_E, _PER_DOUBLING, _REST_PER_DOUBLING = _singles(math.log10(math.e), 0x9A2 / 2**13, math.log10(2) - 0x9A2 / 2**13)
_NORMAL, _EXPONENT = np.array(2.0**-126, np.float32), np.array(23, _BITS)


def _log10(x: Array, out: Array) -> None:
    """``n log10(2) + log10(1 + f)`` with ``x = 2^n (1 + f)``, f around 0"""
    n, f, s, y = _SCRATCH.of((4, *x.shape), x.dtype)
    normal = x.min() >= _NORMAL and x.max() < _INFINITY
    odd = None if normal else _exceptions(np.log10, ~((x >= _NORMAL) & (x < _INFINITY)), x)
    exponents, bits = n.view(_BITS), f.view(_BITS)
    np.subtract(x.view(_BITS), _HALF_ROOT, exponents)
    np.right_shift(exponents, _EXPONENT, exponents)
    np.left_shift(exponents, _EXPONENT, bits)
    np.subtract(x.view(_BITS), bits, bits)
    np.copyto(n, exponents, casting="unsafe")
    np.subtract(f, _ONE, f)
    np.subtract(f, _series(f, _LOG, s, out, y), y)
    np.multiply(y, _PER_E, y)
    np.multiply(n, _REST_PER_DOUBLING, s)
    np.add(y, s, y)
    np.multiply(n, _PER_DOUBLING, n)
    np.add(y, n, out)
    _put(odd, out)


def _tan(x: Array, out: Array) -> None:
    cosine = _SCRATCH.of(x.shape, x.dtype)
    np.cos(x, cosine)
    np.sin(x, out)
    np.divide(out, cosine, out)


def _expm1_of_negative(x: Array, out: Array) -> None:
    """``2 t / (1 - t)`` with ``t = tanh(x / 2)``, accurate for x up to 0, in fewer calls than `_expm1`"""
    t = np.multiply(x, _HALF, _SCRATCH.of(x.shape, x.dtype))
    np.tanh(t, t)
    np.subtract(_ONE, t, out)
    np.divide(t, out, out)
    np.add(out, out, out)


_EXPM1 = _singles(1.3882522e-3, 8.366514e-3, 4.16672e-2, 0.16666543, 0.49999997)
"""``(expm1(x) - x) / x^2`` as a polynomial in x, for sizes up to log(2) / 2: our own fit, within 2e-8 of the function."""
_LOWEST, _HIGHEST, _PER_OCTAVE, _HIGH_OCTAVE, _LOW_OCTAVE = _singles(-18, 88, 1 / math.log(2), 0.693359375, -2.12194440e-4)
"""Below, the function is -1 in float32, above it may be out of range; log(2) in two parts, so that multiples are exact."""
_SHIFT = np.array(1.5 * 2**23, np.float32)
"""Adding it rounds to an integer, which is then in the last bits."""
_BIAS = np.array(127, _BITS)


def _expm1(x: Array, out: Array) -> None:
    """``2^n p + (2^n - 1)`` with ``p = expm1(x - n log(2))`` from a polynomial"""
    r, n, y, power = _SCRATCH.of((4, *x.shape), x.dtype)
    x.clip(_LOWEST, _HIGHEST, r)
    odd = None if r.max() < _HIGHEST else _exceptions(np.expm1, x >= _HIGHEST, x)
    np.multiply(r, _PER_OCTAVE, power)
    np.add(power, _SHIFT, power)
    np.subtract(power, _SHIFT, n)
    for part in (_HIGH_OCTAVE, _LOW_OCTAVE):
        np.multiply(n, part, y)
        np.subtract(r, y, r)
    bits = power.view(_BITS)
    np.add(bits, _BIAS, bits)
    np.left_shift(bits, _EXPONENT, bits)
    _horner(r, _EXPM1, y)
    np.multiply(y, r, y)
    np.multiply(y, r, y)
    np.add(y, r, y)
    np.multiply(y, power, y)
    np.subtract(power, _ONE, power)
    np.add(y, power, y)
    _with_sign_of(x, y, out, n)  # of 0
    _put(odd, out)


def _cosh(x: Array, out: Array) -> None:
    """``1 + e^2 / (2 + 2 e)`` with ``e = expm1(|x|)``"""
    size, half = _OUTER.of((2, *x.shape), x.dtype)
    np.absolute(x, size)
    _expm1(size, size)
    np.add(size, _ONE, half)
    np.divide(size, half, half)
    np.multiply(half, size, size)
    odd = None if _is_finite(size) else _exceptions(np.cosh, ~(size < np.inf), x)
    np.multiply(size, _HALF, size)
    np.add(size, _ONE, out)
    _put(odd, out)


_ARCTAN = _singles(2.920691e-3, -1.6367923e-2, 4.321185e-2, -7.552214e-2, 0.106660046, -0.14211056, 0.19993773, -0.33333153)
"""``(arctan(t) - t) / t^3`` as a polynomial in t^2, for t up to 1: our own fit, within 2e-8 of the angle."""
_PI, _HALF_PI, _REST = _singles(math.pi, math.pi / 2, math.pi / 2 - float(np.float32(math.pi / 2)))


def _angle(ratio: Array, steep: Array, y: Array, spare: Array) -> Array:
    """``arctan(ratio)``, up to 1, or where `steep` has its sign bit set, of ``1 / ratio``: pi / 2 minus the other. In `ratio`."""
    np.multiply(ratio, ratio, spare)
    _horner(spare, _ARCTAN, y)
    np.multiply(y, spare, y)
    np.multiply(y, ratio, y)
    np.copyto(spare, steep)
    _where_negative(spare, _REST)
    np.subtract(y, spare, y)
    np.add(y, ratio, ratio)
    _where_negative(steep, _HALF_PI)
    np.subtract(steep, ratio, ratio)
    return np.absolute(ratio, ratio)


def _arctan(x: Array, out: Array) -> None:
    ratio, steep, y, spare = _SCRATCH.of((4, *x.shape), x.dtype)
    np.absolute(x, y)
    np.subtract(_ONE, y, steep)
    y.clip(_ZERO, _ONE, ratio)
    y.clip(_ONE, _INFINITY, y)
    np.divide(ratio, y, ratio)
    _with_sign_of(x, _angle(ratio, steep, y, spare), out, y)


def _arctan2(y: Array, x: Array, out: Array) -> None:
    """The angle of the sides' lengths, taken from pi where x is negative, with the sign of y"""
    ratio, steep, high, spare = _SCRATCH.of((4, *y.shape), y.dtype)
    np.absolute(y, high)
    wide = np.absolute(x, spare if x.ndim else None)
    np.minimum(high, wide, out=ratio)
    np.subtract(wide, high, steep)
    np.maximum(high, wide, out=high)
    np.divide(ratio, high, ratio)
    odd = None if _is_finite(ratio) else _exceptions(np.arctan2, ratio != ratio, y, x)
    angle = _angle(ratio, steep, high, spare)
    np.copyto(steep, x)
    _where_negative(steep, _PI)
    np.subtract(steep, angle, angle)
    np.absolute(angle, angle)
    _with_sign_of(y, angle, out, spare)
    _put(odd, out)


_SMALLEST = np.array(1e-30, np.float32)
"""From here to infinity, a sum of squares has lost no digits."""


def _hypot(x: Array, y: Array, out: Array) -> None:
    total, square = _SCRATCH.of((2, *x.shape), x.dtype)
    np.multiply(y, y, square)
    np.multiply(x, x, total)
    np.add(total, square, total)
    in_range = total.min() > _SMALLEST and total.max() < _INFINITY
    odd = None if in_range else _exceptions(np.hypot, ~((total > _SMALLEST) & (total < _INFINITY)), x, y)
    np.sqrt(total, out)
    _put(odd, out)


def _log_of_sum(ufunc: np.ufunc, base: float) -> Formula:
    """``maximum(x, y) + log(1 + base^-|x - y|)``"""
    natural, scale = base == math.e, _singles(-math.log(base), 1 / math.log(base))

    def run(x: Array, y: Array, out: Array) -> None:
        distance, larger = _OUTER.of((2, *x.shape), x.dtype)
        np.maximum(x, y, out=larger)
        np.subtract(x, y, distance)
        np.absolute(distance, distance)
        odd = None if _is_finite(distance) else _exceptions(ufunc, distance != distance, x, y)
        np.multiply(distance, scale[0], distance)
        np.exp(distance, distance)
        _log1p_of_fraction(distance, distance)
        if not natural:
            np.multiply(distance, scale[1], distance)
        np.add(larger, distance, out)
        _put(odd, out)

    return run


# ------------------------------------------------------------------------------------------------ in float64


_NEAR = 2.0**-26
"""Up to here, a function that is ``x + O(x ** 2)`` is x in float32; beyond, its formula keeps enough digits."""
_DOUBLE = Scratch()
_KIND = np.dtype(np.float64)


def _in_double(formula: Formula, near_zero: bool) -> Formula:
    """A formula for float32 from one for float64 with a spare vector; `near_zero` for a function that is ``x + O(x ** 2)``."""

    def run(x: Array, out: Array) -> None:
        y, spare = _DOUBLE.of((2, *x.shape), _KIND)
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


def _of_quotient(ufunc: np.ufunc, rounding: np.ufunc, limit: float) -> Formula:
    """``x - y * n`` for the quotient n rounded to an integer, or for `floor_divide` n. In float64 both are exact while n is below
    2^28. NumPy's own quotient is rounded several times, so beyond 2^21 it need not be n."""

    def run(x: Array, y: Array, out: Array) -> None:
        a, n, b = _DOUBLE.of((3, *x.shape), _KIND)
        np.copyto(a, x)
        if y.ndim:
            np.copyto(b, y)
        else:
            b = y.astype(_KIND)
        rounding(np.divide(a, b, n), n)
        is_exact = n.max() < limit and n.min() > -limit and math.isfinite(b.dot(b))
        odd = None if is_exact else _exceptions(ufunc, ~(np.absolute(n) < limit) | ~np.isfinite(b), x, y)
        if ufunc is np.floor_divide:
            np.copyto(out, n, casting="same_kind")
        else:
            np.multiply(n, b, n)
            np.subtract(a, n, n)
            size = a.view(x.dtype)[: x.size]
            np.copyto(size, n, casting="same_kind")
            _with_sign_of(x if ufunc is np.fmod else y, size, out, n.view(x.dtype)[: x.size])  # of 0
        _put(odd, out)

    return run


COMPOSED = {
    "tan": Composed(np.tan, _tan, cost=4),
    "sinh": Composed(np.sinh, _in_double(_sinh, True), cost=4),
    "arcsinh": Composed(np.arcsinh, _in_double(_arcsinh, True), cost=4),
    "arccosh": Composed(np.arccosh, _in_double(_arccosh, False), cost=4),
    "arctanh": Composed(np.arctanh, _in_double(_arctanh, True), cost=4),
    "log1p": Composed(np.log1p, _log1p, cost=4),
    "log1p_of_fraction": Composed(np.log1p, _log1p_of_fraction),
    "log10": Composed(np.log10, _log10, 4 * FEW),
    "expm1_of_negative": Composed(np.expm1, _expm1_of_negative),
    "expm1": Composed(np.expm1, _expm1, 2 * FEW),
    "cosh": Composed(np.cosh, _cosh, 2 * FEW),
    "arctan": Composed(np.arctan, _arctan, 2 * FEW),
    "arctan2": Composed(np.arctan2, _arctan2),
    "hypot": Composed(np.hypot, _hypot, cost=1),
    "logaddexp": Composed(np.logaddexp, _log_of_sum(np.logaddexp, math.e)),
    "logaddexp2": Composed(np.logaddexp2, _log_of_sum(np.logaddexp2, 2)),
    "fmod": Composed(np.fmod, _of_quotient(np.fmod, np.trunc, 2**28)),
    "remainder": Composed(np.remainder, _of_quotient(np.remainder, np.floor, 2**28)),
    "floor_divide": Composed(np.floor_divide, _of_quotient(np.floor_divide, np.floor, 2**21)),
}
_PAYS = is_vectorized(np.exp) and is_vectorized(np.log)


def fastest(name: str) -> Elementwise:
    """The faster on this processor: NumPy's function or its composition."""
    composed = COMPOSED[name]
    return composed if _PAYS and not is_vectorized(composed.ufunc) else composed.ufunc
