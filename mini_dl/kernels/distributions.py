"""Distributions: each function checks its parameters, with torch's errors, and returns a drawer of `n` numbers of a type.

Like the generator, they know only arrays.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, HALVES, Array, NumpyType, c_name, float16, limits_of, of_numpy, scalar_name
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
    if not (np.all(p >= 0) and np.all(p <= 1)):
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


def poisson(rates: Array) -> Draw:
    """The number of events of a process that has `rates` of them on average, one rate for each number drawn.

    Source: below 10, Knuth's product of uniforms; from 10 on, transformed rejection, Hoermann (1993),
    https://doi.org/10.1016/0167-6687(93)90997-4.
    """
    if rates.dtype.kind not in FLOATING:
        raise not_implemented("poisson_cpu", rates.dtype)
    if not np.all(rates >= 0):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")

    def draw(generator: Generator, n: int) -> Array:
        uniforms, some = mersenne.Lookahead(generator), rates.ravel() > 0
        values = np.zeros(n)
        values[some] = [
            _events(rate, uniforms)
            for uniforms.sure, rate in in_turn(rates.ravel()[some].astype(np.float64))  # each draws one number at least
        ]
        return values.astype(rates.dtype)

    return draw


def in_turn(*parameters: Array) -> Iterator[tuple[int, Any]]:
    """How many elements follow, and the parameters of each element (the parameter, if there is one)."""
    lists = [values.tolist() for values in parameters]
    return zip(range(parameters[0].size - 1, -1, -1), zip(*lists) if len(lists) > 1 else lists[0])


def _events(rate: float, uniforms: mersenne.Lookahead) -> int:
    if rate < 10:
        count, product, limit = 0, next(uniforms), math.exp(-rate)
        while product > limit:
            count += 1
            product *= next(uniforms)
        return count
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    sure = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = next(uniforms) - 0.5
        v = next(uniforms)
        edge = 0.5 - abs(u)
        count = math.floor((2 * a / edge + b) * u + rate + 0.43)
        if edge >= 0.07 and v <= sure:
            return count
        if count < 0 or (edge < 0.013 and v > edge):
            continue
        if math.log(v) + math.log(inverse_alpha) - math.log(a / (edge * edge) + b) <= (
            -rate + count * log_rate - math.lgamma(count + 1)
        ):
            return count


def binomial(counts: Array, chances: Array) -> Draw:
    """How many of `counts` trials succeed, each with one of `chances`.

    Source: with fewer than 10 expected, the waiting times until each success; else transformed rejection, Hoermann (1993),
    https://doi.org/10.1080/00949659308811496 (algorithm BTRS).
    """
    if counts.dtype.char in HALVES:
        raise not_implemented("binomial_cpu", counts.dtype)

    def draw(generator: Generator, n: int) -> Array:
        uniforms = mersenne.Lookahead(generator)
        tries, p = counts.ravel().astype(np.float64), chances.ravel().astype(np.float64)
        values = np.where((tries <= 0) | (p <= 0), 0, np.where(p >= 1, tries, np.nan))
        some = (tries > 0) & (p > 0) & (p < 1)
        values[some] = [_successes(count, chance, uniforms) for uniforms.sure, (count, chance) in in_turn(tries[some], p[some])]
        return values.astype(counts.dtype)

    return draw


def _successes(count: float, chance: float, uniforms: mersenne.Lookahead) -> float:
    if chance > 0.5:
        return count - _few_of(count, 1 - chance, uniforms)
    return _few_of(count, chance, uniforms)


def _few_of(count: float, chance: float, uniforms: mersenne.Lookahead) -> float:
    """`_successes` for a `chance` of at most one half."""
    if count * chance < 10:
        successes, waited, log_miss = 0, 0.0, math.log1p(-chance)
        while True:
            u = next(uniforms)
            waited += math.ceil(math.log(u) / log_miss) if u else math.inf
            if waited > count:
                return successes
            successes += 1
    deviation = math.sqrt(count * chance * (1 - chance))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    middle = count * chance + 0.5
    sure = 0.92 - 4.2 / b
    odds = chance / (1 - chance)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((count + 1) * chance)
    while True:
        u = next(uniforms) - 0.5
        v = next(uniforms)
        edge = 0.5 - abs(u)
        k = math.floor((2 * a / edge + b) * u + middle) if edge else -1
        if edge >= 0.07 and v <= sure:
            return k
        if k < 0 or k > count:
            continue
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + (_stirling_tail(mode) + _stirling_tail(count - mode) - _stirling_tail(k) - _stirling_tail(count - k))
        )
        if not v or math.log(v * alpha / (a / (edge * edge) + b)) <= bound:
            return k


def _stirling_tail(k: float) -> float:
    """What Stirling's series for ``log(k!)`` adds to ``(k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2``."""
    if k <= 9:
        return math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


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
        low, last = _first_said(low, dtype), last if high is None else _end_said(high, dtype) - 1
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


def _first_said(low: int, dtype: DType) -> int:
    """`low`, raised so that no integer from it on is rounded below it."""
    rounded = _rounded(low + 1, dtype)
    return rounded + (1 << (abs(low + 1).bit_length() - digits(dtype))) if rounded < low else low


def _end_said(high: int, dtype: DType) -> int:
    """`high`, lowered so that no integer below it is rounded up to it."""
    rounded = _rounded(high - 1, dtype)
    return rounded - (1 << (abs(high - 1).bit_length() - digits(dtype))) if rounded >= high else high


def _rounded(value: int, dtype: DType) -> int:
    with np.errstate(over="ignore"):
        said = float(np.asarray(value, np.int64).astype(dtype))
    return int(said) if math.isfinite(said) else (-(2**63) if said < 0 else 2**63)
