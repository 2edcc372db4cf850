"""Values and gradients at the edges: signed zeros, infinities, NaN, the largest and smallest numbers, boundaries of domains,
ties.

Where torch answers differently for one element and for many (its vector kernels), either answer is accepted. torch's accidental
answers are listed in `ACCIDENTS`, with the reason. `python -m parity_tests.test_edges [--second] [function ...]` lists all
differences, including the gradients of gradients.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch as real

from parity_tests import bridge

Body = Callable[..., Any]


def points(dtype: str) -> list[float]:
    """Points at which a function of one variable may behave in a special way."""
    limits = np.finfo(dtype)
    near_one = 1 + limits.eps
    positive = [0.0, 1.0, np.inf, limits.max, limits.smallest_normal, limits.smallest_subnormal, 0.5, 2.0, 3.0, near_one]
    positive += [1 - limits.epsneg, 6.0, 1e-10, 20.5, 100.0, 750.0, 2.5, 7.0]
    return [*map(float, positive), *(-float(v) for v in positive), float("nan")]


UNARY = (
    "abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac "
    "isfinite isinf isnan isneginf isposinf lgamma log log10 log1p log2 logit nan_to_num neg positive rad2deg reciprocal "
    "relu round rsqrt sigmoid sign sgn signbit sin sinc sinh sqrt square tan tanh trunc i0 logical_not frexp "
    "special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1 special.entr special.erfcx special.i0e "
    "special.i1 special.i1e special.log_ndtr special.modified_bessel_i0 special.modified_bessel_i1 "
    "special.modified_bessel_k0 special.modified_bessel_k1 special.ndtr special.ndtri special.scaled_modified_bessel_k0 "
    "special.scaled_modified_bessel_k1 special.spherical_bessel_j0 special.airy_ai nn.functional.celu nn.functional.elu "
    "nn.functional.gelu nn.functional.hardshrink nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh "
    "nn.functional.leaky_relu nn.functional.logsigmoid nn.functional.mish nn.functional.relu6 nn.functional.rrelu "
    "nn.functional.selu nn.functional.silu nn.functional.softplus nn.functional.softshrink nn.functional.softsign "
    "nn.functional.tanhshrink "
).split()
UNARY_FORMS: dict[str, Body] = {
    "gelu tanh": lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    "logit eps": lambda torch, x: torch.logit(x, 0.1),
    "clamp": lambda torch, x: x.clamp(-1, 1),
    "clamp nan": lambda torch, x: x.clamp(float("nan")),
    "threshold": lambda torch, x: torch.nn.functional.threshold(x, 0.5, -3.0),
    "polygamma 1": lambda torch, x: torch.polygamma(1, x),
    "polygamma 2": lambda torch, x: torch.polygamma(2, x),
    "multigammaln": lambda torch, x: torch.mvlgamma(x.clamp(2.0), 2),
    **{f"pow {p}": lambda torch, x, p=p: x**p for p in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.5, -1.5, float("inf"), float("nan"))},
    **{f"{p} pow": lambda torch, x, p=p: p**x for p in (0.0, -0.0, 1.0, -1.0, 2.0, float("inf"), float("nan"))},
    "xlogy number": lambda torch, x: torch.xlogy(x, 0.0),
    "number xlogy": lambda torch, x: torch.xlogy(0.0, x),
    "float_power": lambda torch, x: torch.float_power(x, 2),
    "softplus 2": lambda torch, x: torch.nn.functional.softplus(x, 2.0, 5.0),
    "elu 2": lambda torch, x: torch.nn.functional.elu(x, 0.5),
    "round decimals": lambda torch, x: torch.round(x, decimals=2),
    "prelu": lambda torch, x: torch.nn.functional.prelu(x, torch.full((1,), 0.25, dtype=x.dtype)),
    "fmod": lambda torch, x: torch.fmod(x, 1.0),
    "1/": lambda torch, x: 1 / x,
    "/0": lambda torch, x: x / 0,
    "nan_to_num 2": lambda torch, x: torch.nan_to_num(x, 1.0, 2.0, 3.0),
    "glu": lambda torch, x: torch.nn.functional.glu(torch.stack([x, x.flip(0)]), 0),
}
BINARY = (
    "add sub mul div atan2 pow fmod remainder floor_divide maximum minimum fmax fmin hypot copysign nextafter logaddexp "
    "logaddexp2 xlogy special.xlog1py special.zeta heaviside ldexp eq lt ge isclose special.gammainc special.gammaincc "
).split()
BINARY_FORMS: dict[str, Body] = {
    "div floor": lambda torch, x, y: torch.div(x, y, rounding_mode="floor"),
    "div trunc": lambda torch, x, y: torch.div(x, y, rounding_mode="trunc"),
    "clamp min": lambda torch, x, y: torch.clamp(x, min=y),
    "clamp both": lambda torch, x, y: torch.clamp(x, y, y + 1),
    "clamp max": lambda torch, x, y: torch.clamp(x, max=y),
    "lerp": lambda torch, x, y: torch.lerp(x, y, 0.25),
    "lerp weight": lambda torch, x, y: torch.lerp(x, x + 1, y),
    "addcmul": lambda torch, x, y: torch.addcmul(x, x, y, value=0.5),
    "addcdiv": lambda torch, x, y: torch.addcdiv(x, x, y, value=0.5),
    "where": lambda torch, x, y: torch.where(x > y, x, y),
    "complex abs": lambda torch, x, y: torch.complex(x, y).abs(),
    "complex angle": lambda torch, x, y: torch.complex(x, y).angle(),
    "prelu": lambda torch, x, y: torch.nn.functional.prelu(x.reshape(1, -1), y.reshape(-1)).reshape(-1),
}
LOSSES: dict[str, Body] = {
    name: lambda torch, x, y, n=name: getattr(torch.nn.functional, n)(x, y, reduction="none")
    for name in "l1_loss mse_loss smooth_l1_loss huber_loss hinge_embedding_loss soft_margin_loss kl_div poisson_nll_loss "
    "binary_cross_entropy binary_cross_entropy_with_logits".split()
}  # fmt: skip
LOSSES |= {
    "bce sigmoid": lambda torch, x, y: torch.nn.functional.binary_cross_entropy(x.sigmoid(), y.sigmoid(), reduction="none"),
    "bce weight": lambda torch, x, y: torch.nn.functional.binary_cross_entropy(x.sigmoid(), y.sigmoid(), y * 0, reduction="none"),
    "bce logits pos": lambda torch, x, y: torch.nn.functional.binary_cross_entropy_with_logits(
        x, y, pos_weight=torch.full((1,), 2.0, dtype=x.dtype), reduction="none"
    ),
    "kl_div log": lambda torch, x, y: torch.nn.functional.kl_div(x, y, reduction="none", log_target=True),
    "poisson plain": lambda torch, x, y: torch.nn.functional.poisson_nll_loss(x, y, log_input=False, reduction="none"),
    "poisson full": lambda torch, x, y: torch.nn.functional.poisson_nll_loss(x, y, full=True, reduction="none"),
    "gaussian": lambda torch, x, y: torch.nn.functional.gaussian_nll_loss(x, y, torch.ones_like(x), reduction="none"),
    "gaussian var": lambda torch, x, y: torch.nn.functional.gaussian_nll_loss(x, x, y.abs(), reduction="none"),
    "margin_ranking": lambda torch, x, y: torch.nn.functional.margin_ranking_loss(x, y, torch.ones_like(x), reduction="none"),
    "margin_ranking 0": lambda torch, x, y: torch.nn.functional.margin_ranking_loss(x, x * 0, y, 0.5, reduction="none"),
    "smooth_l1 0": lambda torch, x, y: torch.nn.functional.smooth_l1_loss(x, y, reduction="none", beta=0.0),
    **{
        f"{n} mean": lambda torch, x, y, n=n: torch.stack(
            [getattr(torch.nn.functional, n)(a, b) for a, b in zip(x.reshape(-1, 1), y.reshape(-1, 1))]
        )
        for n in ("soft_margin_loss", "hinge_embedding_loss")
    },
}


class Seen(NamedTuple):
    """One value that differs."""

    point: list[Any]  # the inputs there
    ours: Any
    theirs: Any
    text: str

    @property
    def numbers(self) -> list[float]:
        return [float(x) for x in np.ravel(np.array([np.ravel(one) for one in self.point], object).tolist())]

    @property
    def row(self) -> list[float]:
        return self.point[0]


def zeros(seen: Seen) -> bool:
    return bool(seen.ours == 0 == seen.theirs)


def extreme(seen: Seen) -> bool:
    """Infinite, NaN, huge or subnormal inputs."""
    return any([not abs(x) < 700 or 0 < abs(x) < 1e-37 for x in seen.numbers])


def not_finite(seen: Seen) -> bool:
    return not all(map(np.isfinite, seen.numbers))


def at_a_pole(seen: Seen) -> bool:
    x = seen.numbers[0]
    return x < -0.5 and abs(x - round(x)) < 2e-7


def tied(seen: Seen) -> bool:
    return len({str(x + 0.0) for x in seen.row}) < len(seen.row)


def of(names: str, excused: Callable[[Seen], bool], reason: str) -> dict[str, tuple[Callable[[Seen], bool], str]]:
    return dict.fromkeys(names.split(", "), (excused, reason))


_LARGE = "beyond where its argument can be reduced, or where its own formula overflows"
ACCIDENTS = {
    **of(
        "relu, nn.functional.relu6, nn.functional.elu, nn.functional.celu, nn.functional.selu, fmax, fmin, elu 2, lerp (two), "
        "special.entr, special.i1, special.modified_bessel_i1",
        zeros,
        "the sign of a zero: which of two equal numbers the maximum is differs between vectors and single numbers",
    ),
    **of("special.bessel_j1, special.i1e", lambda seen: zeros(seen) or extreme(seen), "the sign of a zero, and huge numbers"),
    **of(
        "special.bessel_j0, special.bessel_y0, special.bessel_y1, special.airy_ai, special.zeta, special.gammainc, "
        "special.erfcx, special.i0e, special.log_ndtr, special.modified_bessel_k1, frexp, ldexp, "
        "special.scaled_modified_bessel_k0, special.scaled_modified_bessel_k1",
        extreme,
        _LARGE,
    ),
    **of("special.gammaincc", lambda seen: extreme(seen) or seen.numbers[0] < 1e-9, "huge numbers; near 0 ours is nearer"),
    **of("special.ndtr", lambda seen: bool(seen.theirs == 0), "far out, where torch's formula cancels"),
    **of("binary_cross_entropy_with_logits", lambda seen: abs(seen.numbers[0]) >= 100, "the difference of 1 and its neighbor"),
    **of("logaddexp2", lambda seen: abs(seen.ours - seen.theirs) < 1e-6, "ours is nearer"),
    **of("digamma, polygamma 1, lgamma", at_a_pole, "finite at the poles, by the rounding of pi"),
    **of("kthvalue (rows)", tied, "which of equal elements is chosen"),
    **of("mode (rows)", lambda seen: bool(np.isnan(seen.row).any()), "where NaN sorts"),
    **of("complex angle (two)", extreme, "numbers at infinity, and where squares underflow"),
    **of("addcmul (two), addcdiv (two)", extreme, "in the range only because it is fused, or out of it by squares"),
    **of("bce logits pos", lambda seen: extreme(seen) or abs(seen.numbers[0]) >= 100, "an infinite target, and as above"),
    **of("cumprod (rows)", not_finite, "0 * inf, which the recurrence here never multiplies"),
    **of("var_mean (rows), std_mean (rows)", not_finite, "the mean of infinity, NaN by its way of computing"),
}
"""torch's accidental results: for each function, the points and the reason (see docs/decisions.md)."""


def accident(name: str, seen: Seen) -> bool:
    return name in ACCIDENTS and ACCIDENTS[name][0](seen)


ROWS = [0.0, -0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan]
ALONG: dict[str, Body] = {
    name: lambda torch, x, n=name: getattr(torch, n)(x, 1)
    for name in "sum mean prod amax amin max min median nanmedian mode logsumexp softmax log_softmax cumsum cumprod cummax "
    "cummin logcumsumexp var std nansum nanmean argmax argmin sort argsort all any count_nonzero norm var_mean std_mean".split()
}  # fmt: skip
ALONG |= {
    "kthvalue": lambda torch, x: torch.kthvalue(x, 2, 1),
    "topk": lambda torch, x: torch.topk(x, 2, 1),
    "topk smallest": lambda torch, x: torch.topk(x, 2, 1, largest=False),
    "sort descending": lambda torch, x: torch.sort(x, dim=1, descending=True, stable=True),
    "aminmax": lambda torch, x: torch.aminmax(x, dim=1),
    "quantile": lambda torch, x: torch.quantile(x, 0.3, 1),
    "nanquantile": lambda torch, x: torch.nanquantile(x, 0.3, 1),
    "quantile nearest": lambda torch, x: torch.quantile(x, 0.3, 1, interpolation="nearest"),
    "renorm": lambda torch, x: torch.renorm(x, 2, 0, 1.0),
    "normalize": lambda torch, x: torch.nn.functional.normalize(x, dim=1),
    "diff": lambda torch, x: torch.diff(x),
    "trapezoid": lambda torch, x: torch.trapezoid(x),
    "layer_norm": lambda torch, x: torch.nn.functional.layer_norm(x, (3,)),
    "rms_norm": lambda torch, x: torch.nn.functional.rms_norm(x, (3,)),
    "softmin": lambda torch, x: torch.nn.functional.softmin(x, 1),
    "dist": lambda torch, x: torch.cdist(x[:64], x[64:128]),
    "pairwise": lambda torch, x: torch.nn.functional.pairwise_distance(x, x.flip(0)),
    "cosine": lambda torch, x: torch.nn.functional.cosine_similarity(x, x.flip(0)),
    "max_pool1d": lambda torch, x: torch.nn.functional.max_pool1d(x[:, None], 2, 1),
    "max_pool1d indices": lambda torch, x: torch.nn.functional.max_pool1d(x[:, None], 2, 1, return_indices=True),
    "adaptive_max_pool1d": lambda torch, x: torch.nn.functional.adaptive_max_pool1d(x[:, None], 2),
    "avg_pool1d": lambda torch, x: torch.nn.functional.avg_pool1d(x[:, None], 2, 1),
    "lp_pool1d": lambda torch, x: torch.nn.functional.lp_pool1d(x[:, None], 2.0, 2, 1),
    "cross_entropy": lambda torch, x: torch.nn.functional.cross_entropy(x, torch.arange(len(x)) % 3, reduction="none"),
    "cross_entropy weight": lambda torch, x: torch.nn.functional.cross_entropy(
        x, torch.arange(len(x)) % 3, torch.tensor([0.0, 1.0, 2.0], dtype=x.dtype), reduction="none"
    ),
    "cross_entropy smooth": lambda torch, x: torch.nn.functional.cross_entropy(
        x, torch.arange(len(x)) % 3, reduction="none", label_smoothing=0.1
    ),
    "cross_entropy soft": lambda torch, x: torch.nn.functional.cross_entropy(x, x.detach().flip(0), reduction="none"),
    "nll_loss": lambda torch, x: torch.nn.functional.nll_loss(x, torch.arange(len(x)) % 3, reduction="none"),
    "multi_margin": lambda torch, x: torch.nn.functional.multi_margin_loss(x, torch.arange(len(x)) % 3, reduction="none"),
    "multilabel_margin": lambda torch, x: torch.nn.functional.multilabel_margin_loss(
        x, torch.tensor([1, -1, 0]).expand(len(x), 3).contiguous(), reduction="none"
    ),
    "multilabel_soft_margin": lambda torch, x: torch.nn.functional.multilabel_soft_margin_loss(
        x, torch.tensor([1.0, 0.0, 1.0], dtype=x.dtype).expand(len(x), 3), reduction="none"
    ),
    "triplet": lambda torch, x: torch.nn.functional.triplet_margin_loss(x, x.flip(0), x.roll(1, 0), reduction="none"),
    "cosine_embedding": lambda torch, x: torch.nn.functional.cosine_embedding_loss(
        x, x.flip(0), torch.ones(len(x), dtype=x.dtype), reduction="none"
    ),
    **{f"norm {p}": lambda torch, x, p=p: torch.norm(x, p, 1) for p in (0, 0.5, 1, 1.5, 2, 3, float("inf"), float("-inf"))},
    **{f"vector_norm {p}": lambda torch, x, p=p: torch.linalg.vector_norm(x, p, 1) for p in (0, -1, float("inf"))},
    **{
        f"{name} of all": lambda torch, x, n=name: torch.stack([getattr(torch, n)(row) for row in x])
        for name in "sum mean prod amax amin max min median nanmedian norm std var logsumexp0".split()
        if name != "logsumexp0"
    },
    "prod of two dims": lambda torch, x: x.reshape(-1, 8, 3).prod(2).prod(1),
}


def resolved(name: str) -> Body:
    def body(torch: Any, *args: Any) -> Any:
        found = torch
        for part in name.split("."):
            found = getattr(found, part)
        return found(*args)

    return body


def cases(dtype: str) -> Iterator[tuple[str, Body, list[Any]]]:
    """(name, body, its arrays)"""
    one = np.array(points(dtype), dtype)
    x, y = np.repeat(one, len(one)), np.tile(one, len(one))
    rows = np.array(list(itertools.product(ROWS, repeat=3)), dtype)
    for name in UNARY:
        yield name, resolved(name), [one]
    for name, body in UNARY_FORMS.items():
        yield name, body, [one]
    for name in BINARY:
        yield name, resolved(name), [x, y]
    for name, body in BINARY_FORMS.items():
        yield name + " (two)", body, [x, y]
    for name, body in LOSSES.items():
        few = np.array([0, -0.0, 1, -1, 0.5, 2, -3, 100, -100, np.inf, -np.inf, np.nan], dtype)
        yield name, body, [np.repeat(few, len(few)), np.tile(few, len(few))]
    for name, body in ALONG.items():
        yield name + " (rows)", body, [rows]


def answers(torch: Any, body: Body, arrays: list[Any], order: int) -> dict[str, Any]:
    """Results, gradients and gradients of gradients by name; the type of the exception in place of one that raises."""
    found: dict[str, Any] = {}
    wrap = (lambda a: real.from_numpy(a.copy())) if torch is real else (lambda a: bridge.wrap(a.copy()))
    inputs = [wrap(a).requires_grad_() for a in arrays]
    try:
        results = body(torch, *inputs)
    except Exception as error:
        return {"result": "RuntimeError" if isinstance(error, RuntimeError) else type(error).__name__}
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    for i, result in enumerate(results):
        found[f"result {i}"] = bridge.array(result.detach())
    flowing = [r for r in results if r.requires_grad]
    if not flowing:
        return found
    try:
        grads = torch.autograd.grad(
            flowing, inputs, [torch.ones_like(r) for r in flowing], create_graph=order > 1, allow_unused=True
        )
    except Exception as error:
        return {**found, "gradient": "RuntimeError" if isinstance(error, RuntimeError) else type(error).__name__}
    for i, grad in enumerate(grads):
        found[f"gradient {i}"] = None if grad is None else bridge.array(grad.detach())
    again = [g for g in grads if g is not None and g.requires_grad]
    if order > 1 and again:
        try:
            seconds = torch.autograd.grad(again, inputs, [torch.ones_like(g) for g in again], allow_unused=True)
        except Exception as error:
            return {**found, "second": "RuntimeError" if isinstance(error, RuntimeError) else type(error).__name__}
        for i, second in enumerate(seconds):
            found[f"second {i}"] = np.zeros_like(arrays[i]) if second is None else bridge.array(second.detach())
    return found


def agree(ours: Any, theirs: Any, strict: bool, absolute: float) -> Any:
    """Which elements agree: NaN with NaN, infinities and zeros by sign (`strict`), others roughly."""
    with np.errstate(all="ignore"):
        if theirs.dtype.kind == "c":
            return agree(ours.real, theirs.real, strict, absolute) & agree(ours.imag, theirs.imag, strict, absolute)
        same = (ours == theirs) | ((ours != ours) & (theirs != theirs))
        if theirs.dtype.kind != "f":
            return same
        if strict:
            same &= (theirs != 0) | (np.signbit(ours) == np.signbit(theirs))
        finite = np.isfinite(ours) & np.isfinite(theirs)
        wide, other = ours.astype(np.float64), theirs.astype(np.float64)
        close = np.abs(wide - other) <= 1e-3 * np.abs(other) + (absolute or (1e-30 if theirs.dtype == np.float32 else 1e-300))
        return same | (finite & close & (not strict or (theirs != 0) | (ours != 0)))


def elementwise(name: str) -> bool:
    return not name.endswith("(rows)") and name not in ("glu",) and not name.startswith("prelu") and "mean" not in name


def compared(name: str, body: Body, arrays: list[Any], order: int) -> Iterator[tuple[str, int, list[Seen]]]:
    """(what, how many values, differences)"""
    theirs, ours = answers(real, body, arrays, order), answers(bridge.mini_dl, body, arrays, order)
    others = []
    if elementwise(name):  # torch's answers in vectors, and one by one
        n = len(arrays[0])
        for many, chosen in ((lambda a: np.resize(a, n * 16), slice(n)), (lambda a: np.repeat(a, 16), slice(None, None, 16))):
            found = answers(real, body, [many(a) for a in arrays], order)
            others.append({key: value[chosen] for key, value in found.items() if isinstance(value, np.ndarray)})
        single = [answers(real, body, [a[i : i + 1] for a in arrays], order) for i in range(n)]
        keys = [k for k, v in single[0].items() if all(isinstance(one.get(k), np.ndarray) for one in single)]
        others.append({k: np.concatenate([one[k] for one in single]) for k in keys})
    for key in sorted(theirs.keys() | ours.keys()):
        a, b = ours.get(key, "nothing"), theirs.get(key, "nothing")
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
            same = (a is None and b is None) or (isinstance(a, str) and isinstance(b, str) and a == b)
            yield key, 1, [] if same else [unlike(a, b)]
            continue
        if a.shape != b.shape or a.dtype != b.dtype:
            yield key, 1, [unlike(a, b)]
            continue
        strict, absolute = elementwise(name) and key.startswith("result"), 0.0 if elementwise(name) else 2e-6
        good = agree(a, b, strict, absolute)
        for other in others:
            if isinstance(other.get(key), np.ndarray) and other[key].shape == b.shape:
                good |= agree(a, other[key], strict, 0.0)
        bad = np.argwhere(~np.atleast_1d(good))
        lines = []
        for at in map(tuple, bad):
            where = [(a_[at[0]] if a_.shape and at else a_).tolist() for a_ in arrays if len(a_) > (at[0] if at else 0)]
            x, y = np.atleast_1d(a)[at], np.atleast_1d(b)[at]
            lines.append(Seen(where, x, y, f"at {where}{list(map(int, at[1:])) or ''}: {x} for {y}"))
        yield key, a.size, lines


def unlike(ours: Any, theirs: Any) -> Seen:
    return Seen([np.nan], np.nan, np.nan, f"{describe(ours)} for {describe(theirs)}")


def describe(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else str(value)


def differences(dtype: str, names: list[str] | None, order: int) -> tuple[int, list[tuple[str, str, Seen]]]:
    total, found = 0, []
    for name, body, arrays in cases(dtype):
        if names and name not in names:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for what, count, lines in compared(name, body, arrays, order):
                total += count
                found += [(name, what, line) for line in lines]
    return total, found


def judged(dtype: str, names: list[str] | None = None) -> tuple[int, list[tuple[str, str, str]]]:
    total, found = differences(dtype, names, 1)
    return total, [(name, what, seen.text) for name, what, seen in found if not accident(name, seen)]


GROUPS = {"one": lambda name: name in UNARY or name in UNARY_FORMS, "rows": lambda name: name.endswith("(rows)"),
          "losses": lambda name: name in LOSSES, "two": lambda name: name in BINARY or name.endswith("(two)")}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("group", GROUPS)
def test_values_and_gradients_at_the_edges_are_those_of_torch(group, dtype):
    names = [name for name, _, _ in cases(dtype) if GROUPS[group](name)]
    total, found = judged(dtype, names)
    assert total
    assert not found, "\n".join(f"{name} | {what} | {line}" for name, what, line in found[:40])


def test_what_torch_answers_by_accident_still_happens():
    different = {name for dtype in ("float32", "float64") for name, _, _ in differences(dtype, list(ACCIDENTS), 1)[1]}
    assert different == ACCIDENTS.keys()


if __name__ == "__main__":
    for number_type in ("float32", "float64"):
        order = 2 if "--second" in sys.argv else 1
        compared_values, different = differences(number_type, [n for n in sys.argv[1:] if n != "--second"] or None, order)
        for name, what, seen in different:
            print(f"{number_type} | {name} | {what} | {seen.text}")
        kinds = Counter((name, what) for name, what, _ in different)
        print(f"{sum(not accident(name, seen) for name, _, seen in different)} of them no accident")
        functions = len({name for name, _ in kinds})
        print(
            f"{number_type}: {compared_values} values, {len(different)} differ in {len(kinds)} results of {functions} functions"
        )
