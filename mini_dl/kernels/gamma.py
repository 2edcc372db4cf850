"""Gamma and Dirichlet numbers, and how they change with their parameters.

Like the other distributions, these functions use only arrays. Every element takes its draws from the stream in order, as many as
its rejections need, so their positions depend on the draws: a loop finds the positions, the arithmetic is vectorized.
"""

from __future__ import annotations

import bisect
import math
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.distributions import Draw, not_implemented
from mini_dl.kernels.mersenne import Generator, unit_double
from mini_dl.kernels.special import digamma

# ------------------------------------------------------------------------------------------------ drawing


def standard_gamma(shapes: Array) -> Draw:
    """Density ``x^(a-1) exp(-x) / gamma(a)``, with one `a` of `shapes` for each number drawn."""
    if shapes.dtype.char not in "fd":
        raise not_implemented("gamma_cpu", shapes.dtype)
    return lambda generator, n: _at_least_tiny(_gamma(shapes.ravel(), generator).astype(shapes.dtype))


def dirichlet(concentration: Array) -> Draw:
    """Points of the simplex: gamma numbers, drawn in float64 so that none is lost, divided by their sum over the last axis."""
    dtype = concentration.dtype
    if dtype.char not in "fd":
        raise not_implemented("dirichlet", dtype)

    def draw(generator: Generator, n: int) -> Array:
        wide = concentration.astype(np.float64)
        numbers = _at_least_tiny(_gamma(wide.ravel(), generator)).reshape(wide.shape)
        points = (numbers / numbers.sum(-1 if wide.ndim else None, keepdims=True)).astype(dtype)
        return np.minimum(_at_least_tiny(points), np.nextafter(dtype.type(1), dtype.type(0))).ravel()

    return draw


def _at_least_tiny(numbers: Array) -> Array:
    """The smallest normal number instead of NaN, too, as ``std::max(tiny, x)`` has it."""
    tiny = np.finfo(numbers.dtype).tiny
    return np.where(numbers > tiny, numbers, tiny)


def _gamma(a: Array, generator: Generator) -> Array:
    """Source: rejection from normal numbers, Marsaglia and Tsang (2000), https://doi.org/10.1145/358407.358414; below 1, a number
    of ``a + 1`` times ``u^(1/a)``.
    """
    kind = a.dtype.type
    out = np.zeros(a.size)
    drawn = a != 0
    if not drawn.all():
        out[drawn] = _gamma(a[drawn], generator)
        return out
    small = a < 1
    d = (np.where(small, a + kind(1), a) - kind(np.float32(1 / 3))).astype(np.float64)
    c = 1 / np.sqrt(9 * d)
    normals, boosts = _accepted(generator, small, d, c)
    v = 1 + c * normals
    np.multiply(d, v * v * v, out=out)
    if boosts.size:
        out[small] *= (1 - boosts) ** (1 / a[small]).astype(np.float64)
    return out


SQUEEZE = float(np.float32(0.0331))
STRETCH = 1 << 16


def _accepted(generator: Generator, small: Array, d: Array, c: Array) -> tuple[Array, Array]:
    """The normal number that each element accepts, and the uniform number that each `small` one draws first.

    Numbers are drawn in bulk, but never more than are certain to be needed, so none has to be returned.
    """
    normals, boosts = np.empty(d.size), np.empty(d.size)
    uniforms, waiting, done = np.empty(0), generator._normal, 0
    while done < d.size:
        part = slice(done, done + STRETCH)
        size, boosted = d[part].size, int(np.count_nonzero(small[part]))
        least = size + boosted + 2 * ((size + (waiting is None)) // 2)
        uniforms = np.concatenate([uniforms, unit_double(generator, max(least - uniforms.size, 1))])
        places = np.empty(size, np.int64)
        runs = _Runs.of(small[part], d[part], c[part], uniforms)
        count, used, waiting = _walk(small[part], d[part], c[part], uniforms, waiting, runs, normals[part], places)
        if boosted:
            boosts[done : done + count] = uniforms[places[:count]]
        uniforms = uniforms[used:]
        done += count
    generator._normal = waiting
    return normals, boosts[small]


def _walk(
    small: Array, d: Array, c: Array, uniforms: Array, waiting: float | None, runs: _Runs | None, normals: Array, places: Array
) -> tuple[int, int, float | None]:
    """Finds the normal number for each element, and the position of its first draw, until the uniforms are used up.

    Returns how many elements are done, how many uniforms are used, and the pending normal number. `runs` handles elements
    that accept their first draw; the others are processed draw by draw.
    """
    number, d_of, c_of, boosted = [a.tolist().__getitem__ if runs is None else a.item for a in (uniforms, d, c, small)]
    i, position, size = 0, 0, len(d)
    while i < size:
        if runs is not None and waiting is None:
            count = runs.go(position, i, normals, places)
            i, position = i + 2 * count, position + runs.period * count
            if i == size:
                break
        before = position, waiting
        try:
            position += boosted(i)
            while True:
                if waiting is None:
                    radius, angle = math.sqrt(-2 * math.log1p(-number(position + 1))), 2 * math.pi * number(position)
                    x, waiting, position = radius * math.cos(angle), radius * math.sin(angle), position + 2
                else:
                    x, waiting = waiting, None
                y = 1 + c_of(i) * x
                if y <= 0:
                    continue
                u, v, square = 1 - number(position), y * y * y, x * x
                position += 1
                if u < 1 - SQUEEZE * square * square or math.log(u) < 0.5 * square + d_of(i) * (1 - v + math.log(v)):
                    break
        except IndexError:
            return i, *before
        normals[i], places[i] = x, before[0]
        i += 1
    return i, position, waiting


class _Runs:
    """Elements, two by two, that accept the first normal number they draw: their draws follow a pattern of `period` uniforms.

    Each pair takes two uniforms for two normal numbers, and one for each decision; if elements are small, one more for each.
    Acceptance is tested for the smallest `d`: elements with a larger one then accept, too.
    """

    def __init__(self, small: bool, d: float, c: float, uniforms: Array) -> None:
        self.small, self.d, self.c, self.uniforms = small, d, c, uniforms
        self.period = 6 if small else 4
        self.phases: dict[int, tuple[Array, Array, Array, list[int]]] = {}

    @staticmethod
    def of(small: Array, d: Array, c: Array, uniforms: Array) -> _Runs | None:
        """None if there are few elements, or those below 1 are mixed with others, or some are not numbers."""
        if d.size < 64 or not np.all(d > 0) or small.any() != small.all():
            return None
        return _Runs(bool(small[0]), float(d.min()), float(c.max()), uniforms)

    def go(self, position: int, i: int, normals: Array, places: Array) -> int:
        """Write the results of all pairs in a run from `position` on, for element `i` and those after it."""
        phase = position % self.period
        if phase not in self.phases:
            self.phases[phase] = self._tried(phase)
        first, second, at, stops = self.phases[phase]
        j = position // self.period
        count = min(stops[bisect.bisect_left(stops, j)] - j, (len(normals) - i) // 2)
        if count > 0:
            end = i + 2 * count
            normals[i:end:2], normals[i + 1 : end : 2] = first[j : j + count], second[j : j + count]
            if self.small:
                places[i:end:2], places[i + 1 : end : 2] = at[j : j + count], at[j : j + count] + 4
        return max(count, 0)

    def _tried(self, phase: int) -> tuple[Array, Array, Array, list[int]]:
        """For pairs that begin at `phase` and every period from there: normal numbers, places, and where a run stops."""
        at = np.arange(phase, len(self.uniforms) - self.period + 1, self.period)
        drawn = self.uniforms[phase : phase + self.period * at.size].reshape(at.size, self.period)[:, self.small :]
        radius, angle = np.sqrt(-2 * np.log1p(-drawn[:, 1])), 2 * math.pi * drawn[:, 0]
        first, second = radius * np.cos(angle), radius * np.sin(angle)
        good = self._accepts(first, drawn[:, 2]) & self._accepts(second, drawn[:, -1])
        return first, second, at, [*np.flatnonzero(~good).tolist(), at.size]

    def _accepts(self, x: Array, uniform: Array) -> Array:
        y, u, square = 1 + self.c * x, 1 - uniform, x * x
        v = y * y * y
        return (y > 0) & ((u < 1 - SQUEEZE * square * square) | (np.log(u) < 0.5 * square + self.d * (1 - v + np.log(v))))


# ------------------------------------------------------------------------------------------------ the change with a parameter


def gamma_slope(a: Array, x: Array) -> Array:
    """The derivative of a gamma number `x` with respect to `a` at a fixed quantile: ``-(d/da cdf(x; a)) / pdf(x; a)``.

    Source: Figurnov, Mohamed and Mnih (2018), Implicit Reparameterization Gradients, https://arxiv.org/abs/1805.08498: a series
    near 0, a saddle point expansion for large `a`, else a rational approximation of its logarithm.
    """
    if a.dtype.char not in "fd":
        raise not_implemented("_standard_gamma_grad_cpu", a.dtype)
    shape, dtype = a.shape, a.dtype
    a, x = (np.ravel(v).astype(np.float64) for v in np.broadcast_arrays(a, x))
    near, large = x < np.float32(0.8), a > 8
    middle = large & (np.float32(0.9) * a <= x) & (x <= np.float32(1.1) * a)
    return _by_case(
        (a, x), (near, _gamma_near_zero), (middle, _gamma_near_mean), (large, _gamma_large), (np.True_, _gamma_rational)
    ).astype(dtype).reshape(shape)  # fmt: skip


def _by_case(values: tuple[Array, ...], *cases: tuple[Any, Any]) -> Array:
    """Each element by the function of the first case that holds for it."""
    out = np.empty(values[0].size)
    open_ = np.ones(out.size, np.bool_)
    for holds, function in cases:
        here = open_ & holds
        if here.any():
            out[here] = function(*[value[here] for value in values])
            open_ &= ~here
    return out


def _gamma_near_zero(a: Array, x: Array) -> Array:
    term, order = np.ones_like(x), a
    sums, squares = term / order, term / (order * order)
    for i in range(1, 6):
        term = term * (-x / i)
        order = order + 1
        sums += term / order
        squares += term / (order * order)
    power = x**a
    slope = (np.log(x) - digamma(a)) * power * sums - power * squares
    return _without_nan(-slope / (x ** (a - 1) * np.exp(-x)))


def _gamma_near_mean(a: Array, x: Array) -> Array:
    first = 1 + 24 * a * (1 + 12 * a)
    second = 1440 * (a * a) + 6 * x * (53 - 120 * x) - 65 * x * x / a + a * (107 + 3600 * x)
    return first * second / (1244160 * (a * a) * (a * a))


def _gamma_large(a: Array, x: Array) -> Array:
    root, log_ratio = np.sqrt(8 * a), np.log(x / a)
    distance = (x - a - a * log_ratio) ** -1.5
    both = root / (a - x) + np.where(x < a, -distance, distance)
    term = log_ratio * both - np.sqrt(2 / a) * (a + x) / ((a - x) * (a - x))
    stirling = 1 + 1 / (12 * a) * (1 + 1 / (24 * a))
    return -stirling * x * term / root


_OF_GAMMA = np.array(
    [
        [0.16009398, -0.094634809, 0.025146376, -0.0030648343, 1, 0.32668115, 0.10406089, 0.0014179084],
        [0.53487893, 0.1298071, 0.065735949, -0.0015649758, 0.16639465, 0.020070113, -0.0035938915, -0.00058392623],
        [0.040121004, -0.0065914022, -0.0026286047, -0.0013441777, 0.017050642, -0.0021309326, 0.00085092367, -1.5247877e-07],
    ]
)
"""The coefficients that torch uses, of powers of ``log(x / a)`` (rows) and of ``log(a)`` (4 of the numerator, 4 below)."""


def _gamma_rational(a: Array, x: Array) -> Array:
    u, v = np.log(x / a), np.log(a)
    rows = [zero + u * (one + u * two) for zero, one, two in _OF_GAMMA.T]
    p = rows[0] + v * (rows[1] + v * (rows[2] + v * rows[3]))
    q = rows[4] + v * (rows[5] + v * (rows[6] + v * rows[7]))
    return np.exp(p / q)


def _without_nan(values: Array) -> Array:
    return np.where(np.isnan(values), 0, values)


def dirichlet_slope(x: Array, a: Array, total: Array) -> Array:
    """The derivative of a Beta number `x` with respect to `a`, ``total = a + b``:
    ``-(d/da cdf(x; a, b)) / pdf(x; a, b) / (1 - x)``.

    Source: as `gamma_slope`, with series near 0 and 1.
    """
    if x.dtype.char not in "fd":
        raise not_implemented("_dirichlet_grad_cpu", x.dtype)
    shape, dtype = x.shape, x.dtype
    edge = np.ravel(total * x * (1 - x))
    x, a, total = (np.ravel(np.broadcast_to(v, shape)).astype(np.float64) for v in (x, a, total))
    b = total - a
    low, high = (x <= 0.5) & (edge < 2.5), (x >= 0.5) & (edge < 0.75)
    large = (a > 6) & (b > 6)
    mean, spread = a / total, np.sqrt(a * b / (total + 1)) / total
    middle = large & (mean - 0.1 * spread <= x) & (x <= mean + 0.1 * spread)
    return _by_case(
        (x, a, b, total), (low, _beta_near_zero), (high, _beta_near_one), (middle, _beta_near_mean), (large, _beta_large),
        (np.True_, _beta_rational),
    ).astype(dtype).reshape(shape)  # fmt: skip


def _beta_near_zero(x: Array, a: Array, b: Array, total: Array) -> Array:
    factor = digamma(a) - digamma(total) - np.log(x)
    term = np.ones_like(x)
    series = term / a * (factor + 1 / a)
    for i in range(1, 11):
        term = term * ((i - b) * x / i)
        series += term / (a + i) * (factor + 1 / (a + i))
    return _without_nan(x * (1 - x) ** -b * series)


def _beta_near_one(x: Array, a: Array, b: Array, total: Array) -> Array:
    """By the change of ``1 - x``, near 0, with its second parameter, `a`."""
    y = 1 - x
    factor = digamma(total) - digamma(a)
    term, product, slope = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    series = factor / b
    for i in range(1, 9):
        term = term * (-y / i)
        slope = slope * (a - i) + product
        product = product * (a - i)
        series += term / (b + i) * (slope + factor * product)
    return _without_nan((1 - y) ** (1 - a) * series)


def _beta_near_mean(x: Array, a: Array, b: Array, total: Array) -> Array:
    poly = (1620 * b * (1 - x) + 453 - 455 * x) * b + a * (8 * (1 - x) * (135 * b - 11))
    poly = 3 * (59 + 180 * b - 90 * x) * (b * b) + a * poly
    poly = (43 + 20 * (16 + 27 * b) * x) * (b * b) * b + a * poly
    poly = 47 * x * (b * b) * (b * b) + a * poly
    above = (1 + 12 * a) * (1 + 12 * b) / (total * total)
    below = 12960 * a * a * a * b * b * (1 + 12 * total)
    return above / (1 - x) * poly / below


def _beta_large(x: Array, a: Array, b: Array, total: Array) -> Array:
    def stirling(v: Array) -> Array:
        return 1 + 1 / (12 * v) + 1 / (288 * v * v)

    off = a * (x - 1) + b * x
    first = 2 * (a * a) * (x - 1) + a * b * (x - 1) - x * (b * b)
    first /= np.sqrt(2 * a / b) * total**1.5 * off * off
    distance = (b * np.log(b / (total * (1 - x))) + a * np.log(a / (total * x))) ** -1.5
    both = np.sqrt(8 * a * b / total) / off + np.where(x < a / total, distance, -distance)
    scale = -x / np.sqrt(2 * a * b / total) * stirling(a) * stirling(b) / stirling(total)
    return scale * (first + 0.5 * np.log(a / (total * x)) * both)


_OF_BETA = np.array(
    [
        [[1.003668233, -0.01061107488, -0.0657888334, 0.01201642863],
         [0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033],
         [-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013],
         [0.221950385, -0.3187676331, 0.01799915743, 0.01074823814],
         [-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057],
         [0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-05],
         [-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565],
         [0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181],
         [0.005900514878, -0.001936558688, -9.495446725e-06, 5.385558597e-05]],
        [[1, -0.02924021934, -0.04438342661, 0.007285809825],
         [0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521],
         [-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149],
         [0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273],
         [0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956],
         [-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-05],
         [0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-05],
         [0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-05],
         [-0.0003477407336, 6.959756487e-05, 1.097287507e-05, -1.650964693e-06]],
    ]
)  # fmt: skip
"""torch's coefficients above and below the fraction: rows are powers of ``log(x)`` and of ``log(a / x)``, 0 to 2 each."""


def _beta_rational(x: Array, a: Array, b: Array, total: Array) -> Array:
    u = np.log(x)
    v = np.log(a) - u
    w = np.log(total) - v
    above, below = (
        sum(u**i * v**j * (c[0] + w * (c[1] + w * (c[2] + w * c[3]))) for (i, j), c in zip(np.ndindex(3, 3), table))
        for table in _OF_BETA
    )
    return above / below * x * (digamma(total) - digamma(a)) / b
