"""Numbers of events and of successes: draws by rejection, one after the other, or together if all have the same parameters.

Like the other distributions, they use only arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, HALVES, Array
from mini_dl.kernels import mersenne
from mini_dl.kernels.distributions import Draw, not_implemented
from mini_dl.kernels.mersenne import Generator, unit_double
from mini_dl.kernels.special import lgamma

MANY = 256  # from here on, looking for equal parameters pays off


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
        flat = rates.ravel()
        if n >= MANY and 0 < flat[0] < np.inf and np.all(flat == flat[0]):
            return _many(generator, n, _Events(float(flat[0]))).astype(rates.dtype)
        uniforms, some = mersenne.Lookahead(generator), flat > 0
        values = np.zeros(n)
        values[some] = [
            _events(rate, uniforms)
            for uniforms.sure, rate in _in_turn(flat[some].astype(np.float64))  # each draws one number at least
        ]
        return values.astype(rates.dtype)

    return draw


def _in_turn(*parameters: Array) -> Iterator[tuple[int, Any]]:
    """The number of remaining elements, and the parameters of each element (the parameter, if there is one)."""
    lists = [values.tolist() for values in parameters]
    return zip(range(parameters[0].size - 1, -1, -1), zip(*lists) if len(lists) > 1 else lists[0])


def _events(rate: float, uniforms: Any) -> int:
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
    """The number of successes in `counts` trials with probabilities `chances`.

    Source: with fewer than 10 expected, the waiting times until each success; else transformed rejection, Hoermann (1993),
    https://doi.org/10.1080/00949659308811496 (algorithm BTRS).
    """
    if counts.dtype.char in HALVES:
        raise not_implemented("binomial_cpu", counts.dtype)

    def draw(generator: Generator, n: int) -> Array:
        tries, p = counts.ravel(), chances.ravel()
        values = np.where((tries <= 0) | (p <= 0), 0, np.where(p >= 1, tries, np.nan)).astype(np.float64)
        some = (tries > 0) & (p > 0) & (p < 1)
        tries, mirrored, p = tries[some], p[some] > 0.5, p[some]
        numbers = _few_of(generator, tries, np.where(mirrored, (1 - p.astype(np.float64)).astype(p.dtype), p))
        values[some] = np.where(mirrored, tries - numbers, numbers)
        return values.astype(counts.dtype)

    return draw


def _few_of(generator: Generator, tries: Array, p: Array) -> Array:
    """`binomial` for probabilities of at most one half. Values independent of the draws have the type of the parameters."""
    mean = tries * p
    odds = p / (1 - p)
    constants = (tries, p, mean, np.sqrt(mean * (1 - p)), odds, np.floor((tries + 1) * p))
    wide = [values.astype(np.float64) for values in constants]
    if p.size >= MANY and tries[0] < np.inf and np.all(tries == tries[0]) and np.all(p == p[0]):
        return _many(generator, p.size, _Successes(*[float(values[0]) for values in wide]))
    uniforms = mersenne.Lookahead(generator)
    return np.array([_successes(uniforms, *given) for uniforms.sure, given in _in_turn(*wide)], np.float64)


def _successes(uniforms: Any, count: float, chance: float, mean: float, deviation: float, odds: float, mode: float) -> float:
    if mean < 10:
        successes, waited, log_miss = 0, 0.0, math.log1p(-chance)
        while True:
            u = next(uniforms)
            waited += math.ceil(math.log(u) / log_miss) if u else math.inf
            if waited > count:
                return successes
            successes += 1
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    sure = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * deviation
    while True:
        u = next(uniforms) - 0.5
        v = next(uniforms)
        edge = 0.5 - abs(u)
        k = math.floor((2 * a / edge + b) * u + (mean + 0.5)) if edge else -1
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
    """The correction of Stirling's series for ``log(k!)`` adds to ``(k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2``."""
    if k <= 9:
        return math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


# ------------------------------------------------------------------------------------------------ many with the same parameters


def _many(generator: Generator, n: int, method: _Events | _Successes) -> Array:
    """`n` numbers by a method that returns the numbers it can compute from given uniforms, and the number
    of uniforms used. Each number needs `method.least` at least, so no more is drawn than is needed.
    """
    found: list[Array] = []
    uniforms = np.empty(0)
    while n:
        wanted = min(n, mersenne.PIECE)
        uniforms = np.concatenate([uniforms, unit_double(generator, max(method.least * wanted - uniforms.size, 1))])
        numbers, used = method.of(uniforms, wanted)
        found.append(numbers)
        uniforms, n = uniforms[used:], n - numbers.size
    return np.concatenate(found)


def _by_attempts(uniforms: Array, attempt: Callable[[Array, Array], tuple[Array, Array]]) -> tuple[Array, int]:
    """The results of the accepted attempts, each of which takes two uniforms."""
    pairs = uniforms[: uniforms.size // 2 * 2].reshape(-1, 2)
    numbers, accepted = attempt(pairs[:, 0] - 0.5, pairs[:, 1])
    return numbers[accepted], pairs.size


def _by_steps(steps: Array, wanted: int, combine: np.ufunc, goes_on: Callable[[Array], Array]) -> tuple[Array, int]:
    """How many steps each number takes, starting where the one before ended, while what `combine` makes of them allows more."""
    sizes, here = np.ones(steps.size, np.int64), np.arange(steps.size)
    total = steps.copy()
    here = here[goes_on(total)]
    size = 1
    while here.size:
        inside = here + size < steps.size
        sizes[here[~inside]] = steps.size + 1  # more than available
        here = here[inside]
        total[here] = combine(total[here], steps[here + size])
        size += 1
        sizes[here] = size
        here = here[goes_on(total[here])]
    found: list[int] = []
    place, end, jumps = 0, steps.size, sizes.tolist()
    while len(found) < wanted and place < end and place + jumps[place] <= end:
        found.append(jumps[place] - 1)
        place += jumps[place]
    return np.array(found, np.float64), place


class _Events:
    """`poisson` of one rate."""

    def __init__(self, rate: float) -> None:
        self.rate, self.least = rate, 1 if rate < 10 else 2

    def of(self, uniforms: Array, wanted: int) -> tuple[Array, int]:
        if self.rate < 10:
            limit = math.exp(-self.rate)
            return _by_steps(uniforms, wanted, np.multiply, lambda product: product > limit)
        return _by_attempts(uniforms, self._attempt)

    def _attempt(self, u: Array, v: Array) -> tuple[Array, Array]:
        rate = self.rate
        b = 0.931 + 2.53 * math.sqrt(rate)
        a = -0.059 + 0.02483 * b
        edge = 0.5 - np.abs(u)
        count = np.floor((2 * a / edge + b) * u + rate + 0.43)
        quick = (edge >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        possible = (count >= 0) & ~((edge < 0.013) & (v > edge))
        left = np.log(v) + math.log(1.1239 + 1.1328 / (b - 3.4)) - np.log(a / (edge * edge) + b)
        right = -rate + count * math.log(rate) - lgamma(np.maximum(count, 0) + 1)
        return count, quick | (possible & (left <= right))


class _Successes:
    """`binomial` of one number of trials and one chance, with the constants of `_few_of`."""

    def __init__(self, count: float, chance: float, mean: float, deviation: float, odds: float, mode: float) -> None:
        self.count, self.chance, self.mean, self.deviation, self.odds, self.mode = count, chance, mean, deviation, odds, mode
        self.least = 1 if mean < 10 else 2

    def of(self, uniforms: Array, wanted: int) -> tuple[Array, int]:
        if self.mean < 10:
            steps = np.ceil(np.log(uniforms) / math.log1p(-self.chance))
            return _by_steps(steps, wanted, np.add, lambda waited: waited <= self.count)
        return _by_attempts(uniforms, self._attempt)

    def _attempt(self, u: Array, v: Array) -> tuple[Array, Array]:
        n, odds, mode = self.count, self.odds, self.mode
        b = 1.15 + 2.53 * self.deviation
        a = -0.0873 + 0.0248 * b + 0.01 * self.chance
        alpha = (2.83 + 5.1 / b) * self.deviation
        edge = 0.5 - np.abs(u)
        k = np.floor((2 * a / edge + b) * u + (self.mean + 0.5))
        quick = (edge >= 0.07) & (v <= 0.92 - 4.2 / b)
        possible = (k >= 0) & (k <= n)
        known = np.where(possible, k, 0)
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * np.log((n - mode + 1) / (n - known + 1))
            + (known + 0.5) * np.log(odds * (n - known + 1) / (known + 1))
            + (_stirling_tail(mode) + _stirling_tail(n - mode) - _stirling_tails(known) - _stirling_tails(n - known))
        )
        return k, quick | ((np.log(v * alpha / (a / (edge * edge) + b)) <= bound) & possible)


def _stirling_tails(k: Array) -> Array:
    square = (k + 1) * (k + 1)
    near = np.array([_stirling_tail(i) for i in range(10)])
    far = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    return np.where(k <= 9, near[np.minimum(k, 9).astype(np.int64)], far)
