"""Functions that are composed of vectorized ones where NumPy has none: as exact as those, on every processor."""

from __future__ import annotations

import numpy as np
import pytest

import mini_dl as torch
from mini_dl._dtypes import Array
from mini_dl.kernels import blocks, elementary
from mini_dl.kernels.context import run
from mini_dl.kernels.elementary import COMPOSED, FEW

SPECIAL = np.array([0.0, -0.0, 1, -1, 2, -2, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-45, -1e-45, 1e-20, -1e-7], np.float32)
UNITS = {
    **dict.fromkeys("tan log1p expm1_of_negative".split(), 4),
    "log10": 2.1,
    **dict.fromkeys("sinh arcsinh arccosh arctanh fmod remainder".split(), 0.6),
}
"""Units in the last place by which results may be off: those of `log` and `tanh`, or of float64, rounded; others, by 2."""


def numbers(name: str) -> Array:
    """Of all sizes, and around 0 and 1."""
    rng = np.random.default_rng(0)
    sizes = [
        rng.uniform(-3, 3, FEW),
        np.exp(rng.uniform(-60, 88, FEW)),
        1 + np.exp(rng.uniform(-20, 3, FEW)),
        rng.uniform(-90, 90, FEW),
    ]
    x = np.concatenate([*sizes, -np.exp(rng.uniform(-60, 88, FEW)), np.repeat(SPECIAL, 9)]).astype(np.float32)
    return np.exp(-np.abs(x)) if name == "log1p_of_fraction" else np.minimum(x, 0) if name == "expm1_of_negative" else x


def operands(name: str) -> list[Array]:
    """`numbers`, and for a function of two operands the same in another order: pairs of all sizes, and all pairs of special
    values."""
    x = numbers(name)
    if COMPOSED[name].nin == 1:
        return [x]
    order = np.random.default_rng(1).permutation(x.size)
    return [np.append(x, np.repeat(SPECIAL, SPECIAL.size)), np.append(x[order], np.tile(SPECIAL, SPECIAL.size))]


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composed_function_is_that_of_numpy(name: str) -> None:
    composed, given = COMPOSED[name], operands(name)
    out, exact = run(composed, *given), run(composed.ufunc, *[a.astype(np.float64) for a in given])
    if name == "floor_divide":  # whose last digits depend on the type in NumPy: where it is exact, and for special values
        exact = run(composed.ufunc, *given).astype(np.float64)
    rounded = run(exact.astype, np.float32)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(rounded))
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(out[~finite], rounded[~finite])
    normal = finite & ~(np.abs(rounded) < 1e-37)
    if name.startswith("logaddexp"):
        normal &= np.abs(rounded) > 1  # near 0 the sum cancels, as that of NumPy does
    off = np.abs(out[normal] - exact[normal]) / np.spacing(np.abs(rounded[normal]))
    assert off.max() < UNITS.get(name, 2)
    np.testing.assert_allclose(out[finite], rounded[finite], rtol=1e-6, atol=3e-7 if name.startswith("logaddexp") else 2e-45)
    np.testing.assert_array_equal(np.signbit(out[finite]), np.signbit(rounded[finite]))


@pytest.mark.parametrize("name", COMPOSED)
def test_its_bits_depend_on_no_layout(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = COMPOSED[name]
    monkeypatch.setattr(composed, "few", FEW)
    given = [a[: 5 * FEW].reshape(5, 4, -1) for a in operands(name)]
    x, expected = given[0], run(composed, *given)
    for order in ((0, 1, 2), (2, 0, 1), (2, 1, 0)):
        turned = [a.transpose(order) for a in given]
        out, plain = run(composed, *turned), run(composed.ufunc, *turned)
        assert out.strides == plain.strides
        np.testing.assert_array_equal(out, expected.transpose(order))
        np.testing.assert_array_equal(run(composed, *[a[::2] for a in turned]), expected.transpose(order)[::2])
    for target in (
        np.empty_like(x),
        np.empty(x.shape[::-1], np.float32).T,
        np.empty((5, 4, 2 * x.shape[2]), np.float32)[:, :, ::2],
    ):
        assert run(composed, *given, out=target) is target
        np.testing.assert_array_equal(target, expected)
    for at in range(composed.nin):
        written = [a.copy() for a in given]
        run(composed, *written, out=written[at])
        np.testing.assert_array_equal(written[at], expected)
    monkeypatch.setattr(elementary, "BLOCK", 1000)
    np.testing.assert_array_equal(run(composed, *given), expected)


@pytest.mark.parametrize("name", [name for name in COMPOSED if COMPOSED[name].nin == 2])
def test_the_other_operand_may_be_a_number_or_broadcast(name: str) -> None:
    composed, x = COMPOSED[name], np.resize(numbers(name), (5, 5000))
    for other in (*SPECIAL, 0.7, -3, np.array(2.5, np.float32), x[:1], x[:, :1], x.T.copy().T):
        full = np.array(np.broadcast_to(np.asarray(other, np.float32), x.shape))
        np.testing.assert_array_equal(run(composed, x, other), run(composed, x, full))
    full = [np.array(part) for part in np.broadcast_arrays(x[:1], x[:, :1])]
    np.testing.assert_array_equal(run(composed, x[:1], x[:, :1]), run(composed, *full))
    for other in (np.float64(0.1), np.full(x.shape, 0.1)):
        assert run(composed, x, other).dtype == np.float64


@pytest.mark.parametrize("name", COMPOSED)
def test_few_numbers_and_other_types_go_to_numpy(name: str) -> None:
    composed, whole = COMPOSED[name], operands(name)
    for given in ([a[: FEW - 1] for a in whole], [a.astype(np.float64) for a in whole], [np.float32(-0.5)] * composed.nin):
        np.testing.assert_array_equal(run(composed, *given), run(composed.ufunc, *given))


NAMES = "log10 tan atan sinh cosh asinh acosh atanh expm1 log1p atan2 hypot fmod remainder floor_divide".split()


@pytest.mark.parametrize("name", NAMES)
def test_in_place_shared_and_apart_have_the_same_bits(name: str) -> None:
    x = torch.linspace(-3, 3, 1 << 18)
    other = [x.flip(0)] if name in NAMES[-5:] else []
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results += [getattr(torch, name)(x, *other), getattr(x.clone(), name + "_")(*other)]
    torch.set_num_threads(threads)
    for result in results[1:]:
        np.testing.assert_array_equal(result.numpy(), results[0].numpy())


@pytest.mark.parametrize("function", [torch.nn.functional.softplus, torch.nn.functional.logsigmoid, torch.nn.functional.elu])
def test_activations_of_many_numbers_are_those_in_double(function: object) -> None:
    x = torch.linspace(-90, 30, 2 * FEW)
    np.testing.assert_allclose(function(x).numpy(), function(x.double()).numpy(), rtol=1e-6)  # type: ignore[operator]


def test_gelu_and_its_slope_are_those_in_double() -> None:
    x = torch.linspace(-12, 12, 1 << 15)
    results = []
    for each in (x, x.double()):
        given = each.requires_grad_()
        out = torch.nn.functional.gelu(given)
        out.backward(torch.ones_like(out))
        results.append((out.detach(), given.grad))
    for found, exact, bound in zip(*results, (6e-7, 4e-7)):
        assert (found.double() - exact).abs().max() < bound


@pytest.mark.parametrize("low, high", [(-1.0, 2.0), (0.0, np.inf), (-np.inf, 1.0), (2.0, -1.0), (-np.inf, np.inf), (np.nan, 1.0)])
@pytest.mark.parametrize("count", [9, blocks.CLIPPED])
def test_limited_numbers(low: float, high: float, count: int) -> None:
    x = np.resize(np.array([-np.inf, -3, -0.0, 0.5, 1, 3, np.inf, np.nan], np.float32), count)
    expected = np.minimum(np.maximum(x, low), high)
    for out in (None, np.empty_like(x), x.copy()):
        found = blocks.limited(x, low, high, out)
        assert found.dtype == x.dtype and not np.shares_memory(found, x) and (out is None or found is out)
        np.testing.assert_array_equal(found, expected)
