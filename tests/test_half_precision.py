"""float16 is computed in float32."""

from __future__ import annotations

import numpy as np
import pytest

import mini_dl as torch
from mini_dl._dtypes import Array
from mini_dl.kernels import halves
from mini_dl.kernels.context import run


def test_the_mean_of_more_numbers_than_half_precision_can_count() -> None:
    """65,504 is the largest float16; the number of elements would be infinite in it, and the mean 0."""
    x = torch.ones(70_000, dtype=torch.float16, requires_grad=True)
    mean = x.mean()
    assert mean.dtype is torch.float16 and float(mean) == 1


def test_variance_and_deviation_of_many_numbers_in_half_precision() -> None:
    x = torch.tensor([1.0, -1.0], dtype=torch.float16).repeat(40_000)
    assert float(x.var(correction=0)) == 1 and float(x.std(correction=0)) == 1


def patterns(rng: np.random.Generator) -> list[Array]:
    """float32 of all kinds: any bits, sizes around those of float16, and numbers halfway between two of float16."""
    any_bits = rng.integers(0, 2**32, halves.MANY, np.uint32)
    sizes = rng.standard_normal(halves.MANY) * np.exp(rng.uniform(-22, 14, halves.MANY))
    ties = (sizes.astype(np.float32).view(np.int32) & -0x1000).view(np.float32)
    zeros = np.resize(np.array([0, -0.0, np.inf, -np.inf, np.nan, 65519, -65520, 6e-8, 3e-8, -2e-8], np.float32), halves.MANY)
    ones = np.ones(halves.MANY, np.float32)
    endless = [np.append(ones[1:], np.float32(x)) for x in (np.inf, -np.inf, np.nan)]
    return [any_bits.view(np.float32), sizes.astype(np.float32), ties, zeros, ones, *endless]


def assert_same_bits(found: Array, expected: Array) -> None:
    unknown = np.isnan(expected)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(np.isnan(found), unknown)
    bits = np.dtype(f"i{expected.itemsize}")
    np.testing.assert_array_equal(found.view(bits)[~unknown], expected.view(bits)[~unknown])


def test_conversions_by_bits_are_those_of_numpy() -> None:
    half = np.arange(65536, dtype=np.uint16).view(np.float16)
    first_infinity = half[:31745]
    for x in (half, half[:31744], first_infinity, -first_infinity):  # with infinities and NaN, without, and with one alone
        out = np.empty(x.shape, np.float32)
        run(halves.widen, x, out)
        assert_same_bits(out, x.astype(np.float32))
    for x in patterns(np.random.default_rng(0)):
        out = np.empty(x.shape, np.float16)
        run(halves.narrow, x, out)
        assert_same_bits(out, run(x.astype, np.float16))


def test_many_numbers_are_converted_in_their_order() -> None:
    whole = np.concatenate(patterns(np.random.default_rng(1)))[: 3 * 200 * 250].reshape(3, 200, 250)
    half = run(whole.astype, np.float16)
    for x, target in ((whole, np.dtype(np.float16)), (half, np.dtype(np.float32))):
        for turned in (x, x.transpose(2, 0, 1), x.T, x[:, ::2], np.broadcast_to(x[:1], x.shape)):
            found, expected = run(halves.cast, turned, target), run(turned.astype, target)
            assert found.strides == expected.strides
            assert_same_bits(found, expected)
        assert halves.cast(x, x.dtype) is x


@pytest.mark.parametrize("threads", [1, 2])
def test_many_numbers_are_computed_as_few_are(threads: int) -> None:
    x, y = [torch.from_numpy(run(a.astype, np.float16)) for a in patterns(np.random.default_rng(2))[1:3]]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for function in (
            torch.add,
            torch.mul,
            torch.div,
            torch.sub,
            lambda a, b: a * 0.3,
            lambda a, b: a.sqrt(),
            lambda a, b: -a,
        ):
            many = function(x.repeat(9), y.repeat(9)).numpy()
            few = [function(a, b).numpy() for a, b in zip(x.split(1000), y.split(1000))]
            assert_same_bits(many, np.tile(np.concatenate(few), 9))
            assert_same_bits(function(x.reshape(128, -1), y.reshape(128, -1)).numpy().reshape(-1), np.concatenate(few))
    finally:
        torch.set_num_threads(before)
