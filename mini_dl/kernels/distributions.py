"""Distributions: each function checks its parameters, with torch's errors, and returns a drawer of `n` numbers of a type.

Like the generator, they use only arrays.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, Array, NumpyType, c_name, float16, limits_of, of_numpy, scalar_name
from mini_dl.kernels import mersenne
from mini_dl.kernels.mersenne import Generator, multiply_add, piecewise, unit_double

DType = NumpyType
Draw = Callable[[Generator, int], Array]

BAREBONES = "HILQ"  # uint16, uint32, uint64: torch has few kernels for them


def not_implemented(kernel: str, dtype: DType) -> NotImplementedError:
    return NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(dtype)}'")


# ------------------------------------------------------------------------------------------------ continuous


def uniform(dtype: DType, low: float, high: float) -> Draw:
    """Uniform on [low, high)."""
    if dtype.kind == "c":
        return _in_pairs(uniform(_real(dtype), low, high))
    if dtype.kind not in FLOATING:
        raise not_implemented("check_uniform_bounds", dtype)
    low, high = float(low), float(high)
    if 0 <= low <= high <= 1:  # the common case needs no further checks
        return piecewise(dtype, lambda generator, n: mersenne.uniform(generator, n, dtype, low, high))
    limit = float(limits_of(dtype).max)
    for name, bound in (("from", low), ("to", high)):
        if not -limit <= bound <= limit:
            raise RuntimeError(f"{name} is out of bounds for {c_name(dtype)}")
    if not low <= high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > limit:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{scalar_name(dtype)}>::max(), but found to={high:g} "
            f"and from={low:g} which result in to-from to exceed the limit"
        )
    return piecewise(dtype, lambda generator, n: mersenne.uniform(generator, n, dtype, low, high))


def normal(dtype: DType, mean: float, std: float, blocks: bool) -> Draw:
    """Normal, in `blocks` of 16 as torch draws for contiguous memory, or one by one. Complex parts have half the variance."""
    std = float(std)
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if dtype.kind == "c":
        return _in_pairs(normal(_real(dtype), mean, std / math.sqrt(2), blocks))
    if dtype.kind not in FLOATING:
        raise not_implemented("normal_kernel_cpu", dtype)
    return lambda generator, n: mersenne.normal(generator, n, dtype, float(mean), std, blocks)


def exponential(dtype: DType, rate: float) -> Draw:
    """Density ``rate exp(-rate x)``."""
    rate = float(rate)
    _require_float(dtype, "Exponential")
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    return piecewise(dtype, lambda generator, n: (np.log1p(-unit_double(generator, n)) * (-1 / rate)).astype(dtype))


def cauchy(dtype: DType, median: float, sigma: float) -> Draw:
    """Density ``sigma / (pi ((x - median)^2 + sigma^2))``."""
    median, sigma = float(median), float(sigma)
    _require_float(dtype, "Cauchy")
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")

    def draw(generator: Generator, n: int) -> Array:
        angle = (unit_double(generator, n) - 0.5) * math.pi
        return multiply_add(np.tan(angle), sigma, median, angle.dtype).astype(dtype)

    return piecewise(dtype, draw)


def log_normal(dtype: DType, mean: float, std: float) -> Draw:
    """exp of a normal number."""
    mean, std = float(mean), float(std)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    if dtype.kind not in FLOATING:
        raise not_implemented("log_normal_cpu", dtype)

    def draw(generator: Generator, n: int) -> Array:
        return np.exp(mersenne.normal(generator, n, np.dtype(np.float64), mean, std, blocks=False)).astype(dtype)

    return piecewise(dtype, draw)


def _in_pairs(draw: Draw) -> Draw:
    """Complex numbers from a draw of their parts."""

    def pairs(generator: Generator, n: int) -> Array:
        parts = draw(generator, 2 * n)
        return parts.view(np.result_type(parts.dtype, np.complex64))

    return pairs


def _real(dtype: DType) -> DType:
    return of_numpy(dtype).to_real().numpy


def _require_float(dtype: DType, name: str) -> None:
    if dtype.kind not in FLOATING:
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you specified "
            f"{scalar_name(dtype)}"
        )


# ------------------------------------------------------------------------------------------------ discrete


def bernoulli(dtype: DType, p: float) -> Draw:
    """1 with probability `p`, else 0."""
    p = float(p)
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    if dtype.kind == "c" or dtype.char in BAREBONES:
        raise not_implemented("bernoulli_scalar_cpu_", dtype)
    return piecewise(dtype, lambda generator, n: (unit_double(generator, n) < p).astype(dtype))


def coins(dtype: DType, p: Array) -> Draw:
    """1 with probability `p`, one for each element, else 0. The uniform number drawn has the type of `p`."""
    if dtype.kind == "c" or dtype.char in BAREBONES:
        raise not_implemented("bernoulli_tensor_cpu_self_", dtype)
    if p.dtype.kind not in FLOATING:
        raise not_implemented("bernoulli_tensor_cpu_p_", p.dtype)
    with np.errstate(invalid="ignore"):  # NaN
        between = np.all(p >= 0) and np.all(p <= 1)
    if not between:
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return lambda generator, n: (mersenne.unit(generator, n, p.dtype) < p.ravel()).astype(dtype)


def geometric(dtype: DType, p: float) -> Draw:
    """The number of trials up to the first success: ``P(X = k) = (1 - p)^(k - 1) p``."""
    p = float(p)
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if dtype.kind in "bc" or dtype.char in BAREBONES:
        raise not_implemented("geometric_cpu", dtype)
    return piecewise(dtype, lambda generator, n: np.ceil(np.log(unit_double(generator, n)) / math.log1p(-p)).astype(dtype))


# ------------------------------------------------------------------------------------------------ integers

INT64 = np.iinfo(np.int64)


def integers(dtype: DType, low: int, high: int | None) -> Draw:
    """Integers in [low, high), or from `low` to the greatest that the type can represent: a draw modulo their number.

    From 2^28 numbers on, the draw has 64 bits, so that the modulo favors none.
    """
    if high is None and low == INT64.min:
        if dtype.kind == "b" or dtype == float16.numpy or dtype.char in BAREBONES:
            raise not_implemented("random_full_64_bits_range_kernel_cpu", dtype)
        if dtype.name not in ("int64", "float64", "float32"):
            raise RuntimeError("random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16")
        return piecewise(dtype, lambda generator, n: generator.doubles(n).view(np.int64).astype(dtype))
    if dtype.kind == "c":
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    last = _last(dtype, high)
    if high is not None and not low < high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype.kind in FLOATING:
        low, last = _low_after_rounding(low, dtype), last if high is None else _high_after_rounding(high, dtype) - 1
        if low > last or (high is None and low == last):
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
                f"from={low} >= to={last + 1}"
            )
    _check_range(dtype, low, last)
    count = last - low + 1
    wide = count >= 2**28

    def draw(generator: Generator, n: int) -> Array:
        numbers = _modulo(generator.doubles(n) if wide else generator.words(n), count).astype(np.int64)
        numbers += low
        return numbers.astype(dtype)

    return piecewise(dtype, draw)


def all_integers(dtype: DType) -> Draw:
    """Integers from 0 to the greatest of the type; for a float, to 2^digits."""
    if dtype.kind == "c" or dtype.char in BAREBONES:
        raise not_implemented("random_kernel_cpu", dtype)
    count = _last(dtype, None) + 1
    wide = dtype.name in ("int64", "float64")

    def draw(generator: Generator, n: int) -> Array:
        return _modulo(generator.doubles(n) if wide else generator.words(n), count).astype(dtype)

    return piecewise(dtype, draw)


def _modulo(bits: Array, count: int) -> Array:
    if count <= int(np.iinfo(bits.dtype).max):
        bits %= bits.dtype.type(count)
    return bits


def _last(dtype: DType, high: int | None) -> int:
    if high is not None:
        return high - 1
    return 2 ** digits(dtype) if dtype.kind in FLOATING else _limits(dtype)[1]


def _check_range(dtype: DType, low: int, last: int) -> None:
    name = c_name(dtype)
    for word, value in (("from", low), ("to - 1", last)):
        least, greatest = _limits(dtype)
        if not least <= value <= min(greatest, INT64.max if dtype.kind == "u" else greatest):
            raise RuntimeError(f"{word} is out of bounds for {name}")
        if dtype.kind in FLOATING and abs(value) > 2 ** digits(dtype):
            warnings.warn(
                f"{word} is out of bounds [-(2^{digits(dtype)}), 2^{digits(dtype)}]. Due to precision limitations {name} can "
                "support discrete uniform distribution only within this range. This warning will become an error in version 1.7 "
                "release, please fix the code in advance",
                stacklevel=4,
            )


def digits(dtype: DType) -> int:
    """The binary digits of a float: it represents all integers up to 2^digits."""
    return int(limits_of(dtype).nmant) + 1


def _limits(dtype: DType) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    info: Any = limits_of(dtype) if dtype.kind in FLOATING else np.iinfo(dtype)
    return int(info.min), int(info.max)


def _low_after_rounding(low: int, dtype: DType) -> int:
    """`low`, raised so that no integer from it on is rounded below it."""
    rounded = _rounded(low + 1, dtype)
    return rounded + (1 << (abs(low + 1).bit_length() - digits(dtype))) if rounded < low else low


def _high_after_rounding(high: int, dtype: DType) -> int:
    """`high`, lowered so that no integer below it is rounded up to it."""
    rounded = _rounded(high - 1, dtype)
    return rounded - (1 << (abs(high - 1).bit_length() - digits(dtype))) if rounded >= high else high


def _rounded(value: int, dtype: DType) -> int:
    with np.errstate(over="ignore"):
        said = float(np.asarray(value, np.int64).astype(dtype))
    return int(said) if math.isfinite(said) else (-(2**63) if said < 0 else 2**63)
