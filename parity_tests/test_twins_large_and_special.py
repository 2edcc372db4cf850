"""Arrays so large that kernels go through them in blocks, or compose functions, with infinities, NaN, zeros of both signs and
numbers whose squares are out of range among their elements. torch's tables have such numbers in small arrays only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.twin import either, twin

SPECIAL = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-40, 1e20, 88.0, -88.0, -104.0, 1.0, -1.0, 0.5)
ROWS, COLUMNS = 140, 500
"""Together more than a block of 65,536 numbers."""


def numbers(rng: Any, special: tuple[float, ...]) -> Any:
    x = rng.numbers.standard_normal((ROWS, COLUMNS))
    if special:
        x.flat[rng.numbers.choice(x.size, 300, replace=False)] = rng.numbers.choice(special, 300)
    return rng.tensor(x, "float32", grad=True)


def images(x: Any) -> Any:
    return x.reshape(4, 7, 50, 50)


def classes(t: Any) -> Any:
    return t.arange(ROWS) % COLUMNS


def divisors(t: Any, x: Any) -> Any:
    """No tiny ones: torch's remainders are NaN where the quotient is out of range."""
    return t.where(x.abs() < 1e-30, 0.0, x).flip(0) * 0.1


OF_EACH = """
    abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad erf erfc erfinv exp exp2 expm1 floor frac lgamma log log10
    log1p log2 nan_to_num neg positive rad2deg reciprocal relu round rsqrt sigmoid sgn sign signbit sin sinh sqrt square tan tanh
    trunc isfinite isnan logical_not
""".split()
ACTIVATIONS = """
    celu elu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu6 rrelu selu silu softplus softshrink
    softsign tanhshrink
""".split()
REDUCTIONS = "sum mean amax amin nansum std max min median argmax argmin norm all any count_nonzero".split()
ALONG = "cumsum cummax cummin softmax log_softmax logsumexp diff".split()
OF_TWO = """
    add sub mul div atan2 maximum minimum fmax fmin copysign hypot nextafter logaddexp logaddexp2 xlogy heaviside eq lt ge isclose
    logical_and logical_or logical_xor
""".split()
REMAINDERS = "fmod remainder floor_divide".split()
"""Their gradients are products with quotients, which may be out of range."""
IN_PLACE = "relu relu6 hardtanh leaky_relu hardswish hardsigmoid elu".split()
LOSSES = "mse_loss l1_loss smooth_l1_loss huber_loss".split()
PASSING = "celu elu hardshrink hardswish hardtanh relu6 selu softshrink".split()
"""Their gradient passes at NaN, which is a decision; torch's vector kernels disagree."""
F = {
    "gelu, tanh": lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    "threshold": lambda t, x: t.nn.functional.threshold(x, 0.1, 2),
    "clamp by tensors": lambda t, x: x.clamp(x.flip(0) - 1, x.flip(1)),
    "lerp by weights": lambda t, x: t.lerp(x, x.flip(0), x.flip(1).detach()),
    "clamp": lambda t, x: x.clamp(-0.5, 0.7),
    "softplus from a low threshold": lambda t, x: t.nn.functional.softplus(x.repeat(2, 1), beta=2, threshold=-1),
    "where": lambda t, x: t.where(x > 0, x, x.flip(0)),
    "lerp": lambda t, x: t.lerp(x, x.flip(0), 0.3),
    "addcmul": lambda t, x: t.addcmul(x, x.flip(0), x.flip(1), value=0.5),
    "addcdiv": lambda t, x: t.addcdiv(x, x.flip(0), x.flip(1), value=0.5),
    "prelu": lambda t, x: t.nn.functional.prelu(x, t.tensor([0.25])),
    "glu": lambda t, x: t.nn.functional.glu(x, 1),
    "normalize": lambda t, x: t.nn.functional.normalize(x, dim=1),
    "cosine_similarity": lambda t, x: t.nn.functional.cosine_similarity(x, x.flip(0), dim=1),
    "layer_norm": lambda t, x: t.nn.functional.layer_norm(x, (COLUMNS,)),
    "rms_norm": lambda t, x: t.nn.functional.rms_norm(x, (COLUMNS,)),
    "batch_norm in evaluation": lambda t, x: t.nn.functional.batch_norm(images(x), t.arange(7.0), t.arange(7.0) + 1),
    "local_response_norm": lambda t, x: t.nn.functional.local_response_norm(images(x), 3),
    "cross_entropy": lambda t, x: t.nn.functional.cross_entropy(x, classes(t), reduction="none"),
    "nll_loss": lambda t, x: t.nn.functional.nll_loss(x, classes(t), reduction="none"),
    "binary_cross_entropy_with_logits": lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(
        x, x.flip(0).clamp(0, 1), reduction="none"
    ),
    "max_pool2d": lambda t, x: t.nn.functional.max_pool2d(images(x), 3, 2, 1),
    "avg_pool2d": lambda t, x: t.nn.functional.avg_pool2d(images(x), 2),
    "adaptive_avg_pool2d": lambda t, x: t.nn.functional.adaptive_avg_pool2d(images(x), (7, 5)),
    "adaptive_max_pool2d": lambda t, x: t.nn.functional.adaptive_max_pool2d(images(x), (7, 5)),
    "interpolate, linear": lambda t, x: t.nn.functional.interpolate(images(x), scale_factor=2, mode="bilinear"),
    "pad": lambda t, x: t.nn.functional.pad(images(x), (2, 3, 1, 2), mode="reflect"),
    "unfold": lambda t, x: t.nn.functional.unfold(images(x), 3),
    "masked_fill": lambda t, x: x.masked_fill(x > 0, float("-inf")),
    "embedding": lambda t, x: t.nn.functional.embedding(t.arange(400).reshape(20, 20) % ROWS, x),
    "index_add": lambda t, x: t.zeros(50, COLUMNS).index_add(0, t.arange(ROWS) % 50, x),
    "outer": lambda t, x: t.outer(x[0], x[1]),
    "trapezoid": lambda t, x: t.trapezoid(x, dim=1),
    **{name: lambda t, x, name=name: getattr(t, name)(x) for name in OF_EACH},
    **{name: lambda t, x, name=name: getattr(t.nn.functional, name)(x) for name in ACTIVATIONS},
    **{f"{name}, rows": lambda t, x, name=name: getattr(t, name)(x, dim=1) for name in [*REDUCTIONS, *ALONG]},
    **{f"{name}, columns": lambda t, x, name=name: getattr(t, name)(x, dim=0) for name in [*REDUCTIONS, *ALONG]},
    **{f"{name} of two": lambda t, x, name=name: getattr(t, name)(x, x.flip(0).roll(3, 1)) for name in OF_TWO},
    **{name: lambda t, x, name=name: getattr(t.nn.functional, name)(x, x.flip(0), reduction="none") for name in LOSSES},
    **{f"{name} of two": lambda t, x, name=name: getattr(t, name)(x.detach(), divisors(t, x.detach())) for name in REMAINDERS},
    **{f"{name} by a number": lambda t, x, name=name: getattr(t, name)(x, -0.3) for name in REMAINDERS[:2]},
    **{
        f"{name} in place": lambda t, x, name=name: getattr(t.nn.functional, name)(x.detach().clone(), inplace=True)
        for name in IN_PLACE
    },
    **{
        f"{name} in place, recorded": lambda t, x, name=name: getattr(t.nn.functional, name)(x * 1, inplace=True)
        for name in IN_PLACE
    },
    "relu_": lambda t, x: t.nn.functional.relu_(x.detach().clone()),
    "hardtanh_": lambda t, x: t.nn.functional.hardtanh_(x.detach().clone()),
}


HALVES = {
    **{name: lambda t, x, name=name: getattr(t, name)(x) for name in "frac trunc sign sqrt exp abs".split()},
    **{name: lambda t, x, name=name: getattr(t, name)(x, x.flip(0)) for name in "maximum minimum fmax copysign fmod pow".split()},
    "clamp": lambda t, x: x.clamp(x.flip(0) - 1, x.flip(1)),
    "logit": lambda t, x: x.logit(1e-3),
    "nextafter": lambda t, x: t.nextafter(x, x.flip(0)) == x,
}


@twin
@pytest.mark.parametrize("name", HALVES)
@pytest.mark.filterwarnings("error")
def test_values_in_float16(torch, rng, name):
    return HALVES[name](torch, numbers(rng, ()).detach().half())


@twin
@pytest.mark.parametrize("special", [(), SPECIAL], ids=["plain", "special"])
@pytest.mark.parametrize("name", F)
def test_values(torch, rng, name, special):
    return F[name](torch, numbers(rng, special))


@either
@pytest.mark.parametrize("special", [(), SPECIAL], ids=["plain", "special"])
@pytest.mark.parametrize("name", F)
def test_gradients(torch, rng, name, special):
    x = numbers(rng, [number for number in special if number == number or name.split()[0] not in PASSING])
    found = F[name](torch, x)
    found = found if isinstance(found, torch.Tensor) else found[0]
    if found.requires_grad:
        found.backward(torch.ones_like(found))
    return x.grad


@pytest.mark.parametrize("name", ["rsqrt", "sigmoid", "erf", "logit"])
@twin
def test_results_of_large_tensors_keep_a_layout_without_gaps(torch, rng, name):
    flat, image = rng(600, 500).t(), rng(2, 90, 40, 30).permute(0, 2, 3, 1)
    results = [getattr(torch, name)(x.abs().clamp(0.1, 0.9)) for x in (flat, image, image[:, ::2])]
    return [(result.stride(), result) for result in results]
