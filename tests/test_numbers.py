"""Python numbers and integers of several types in one operation; moments far from zero; gradients at edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mini_dl as torch


def test_integers_of_two_types_are_divided_as_the_numbers_they_are():
    quotient = torch.tensor([1, 200], dtype=torch.uint8) / torch.tensor(-1, dtype=torch.int8)
    assert quotient.tolist() == [-1.0, -200.0]
    assert torch.atan2(torch.tensor([1], dtype=torch.uint8), torch.tensor(-1, dtype=torch.int8)).item() > 2.3


def test_products_are_computed_in_the_type_of_the_result():
    big = torch.tensor(2**31 - 1, dtype=torch.int32)
    assert torch.addcmul(torch.zeros(1), big, big).item() == pytest.approx(float((2**31 - 1) ** 2))
    assert torch.add(torch.zeros(1, dtype=torch.int64), big, alpha=2).tolist() == [2**32 - 2]


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.int64, torch.float32, torch.complex64])
def test_ints_beyond_64_bits_are_refused_and_change_nothing(number, dtype):
    x = torch.ones(2, dtype=dtype)
    for operation in (x.__add__, x.__radd__, x.__mul__, x.__lt__, x.add_, x.mul_, x.eq):
        with pytest.raises(OverflowError):
            operation(number)
    assert x.tolist() == torch.ones(2, dtype=dtype).tolist()


TOO_LARGE = [(torch.int8, 128), (torch.uint8, -256), (torch.float16, 1e5), (torch.float32, 1e39), (torch.float32, 1j)]


@pytest.mark.parametrize(("dtype", "value"), TOO_LARGE)
def test_values_that_do_not_fit_are_refused(dtype, value):
    x = torch.zeros(2, dtype=dtype)
    for action in (lambda: torch.full((2,), value, dtype=dtype), lambda: x.fill_(value), lambda: x.masked_fill(x == 0, value)):
        with pytest.raises(RuntimeError, match="without overflow"):
            action()


def test_large_ints_become_floats_but_no_ints():
    assert torch.tensor(2**63, dtype=torch.float32).item() == 2.0**63
    with pytest.raises(ValueError, match="Overflow"):
        torch.tensor([2**63])


@pytest.mark.parametrize("shape", [(4, 3), (64, 8, 7, 7), (16, 2, 80, 80)])
def test_norms_of_values_far_from_zero_have_mean_zero(shape):
    x = torch.from_numpy((np.random.default_rng(0).standard_normal(shape) * 0.01 + 1e4).astype(np.float32))
    double = x.double()
    mean, deviation = double.mean((0, *range(2, x.ndim)), keepdim=True), double.std((0, *range(2, x.ndim)), False, keepdim=True)
    exact = (double - mean) / (deviation**2 + 1e-5).sqrt()
    assert (torch.nn.functional.batch_norm(x, None, None, training=True).double() - exact).abs().max().item() < 1e-3
    assert abs(x.var(0, False).double() / double.var(0, False) - 1).max().item() < 1e-5


def test_norms_refuse_mixed_types_before_anything_changes():
    norm = torch.nn.BatchNorm1d(3)
    with pytest.raises(RuntimeError, match="mixed dtype"):
        norm(torch.ones(2, 3, dtype=torch.float64))
    assert norm.running_mean.tolist() == [0.0] * 3
    for refused in (torch.nn.LayerNorm(3), torch.nn.GroupNorm(1, 3), torch.nn.InstanceNorm1d(3, affine=True)):
        with pytest.raises(RuntimeError, match="mixed dtype"):
            refused(torch.ones(2, 3, 3, dtype=torch.float64))


def gradient(function, *values):
    x = torch.tensor(values, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


def test_gradients_at_the_edges():
    assert gradient(torch.prod, 0.0, 0.0, math.nan) == [0.0, 0.0, 0.0]
    assert all(map(math.isnan, gradient(torch.amax, math.nan, 1.0, 2.0)))
    assert gradient(torch.acosh, -math.inf) == [0.0]
    assert gradient(torch.logit, -0.0) == [math.inf]
    assert gradient(torch.digamma, math.inf) == [0.0]
    assert gradient(lambda x: torch.xlogy(x, 2.0), 0.0) == [pytest.approx(math.log(2))]
    assert gradient(lambda x: torch.logcumsumexp(x, 0), 0.0, math.inf)[0] == 1.0


def test_losses_choose_and_do_not_multiply_by_zero():
    loss = torch.nn.functional.hinge_embedding_loss(
        torch.tensor([-math.inf, math.inf]), torch.tensor([-1.0, -1.0]), reduction="none"
    )
    assert loss.tolist() == [math.inf, 0.0]
    with pytest.raises(RuntimeError, match="not differentiable with respect to argument 'target'"):
        torch.nn.functional.soft_margin_loss(torch.ones(2), torch.ones(2, requires_grad=True))


@pytest.mark.parametrize("shape", [(), (7,), (300, 400)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_silu_is_the_same_whether_its_divisor_is_kept_or_not(shape, dtype):
    torch.manual_seed(0)
    x = (4 * torch.randn(shape)).to(dtype)
    kept = torch.nn.functional.silu(x.clone().requires_grad_())
    assert torch.equal(torch.nn.functional.silu(x), kept)
    assert torch.equal(torch.nn.functional.silu(x.clone(), inplace=True), kept)


@pytest.mark.parametrize("values", [[1e38, 2.4e38, 3e38], [-3e38, 0.5, 3e38], [-3e38, 3e38, 3e38]])
def test_every_number_is_in_a_part_of_a_range_that_its_type_cannot_hold(values):
    counts = torch.histc(torch.tensor(values), 4).tolist()
    exact = np.histogram(np.array(values), 4)[0].tolist()
    assert counts == exact
