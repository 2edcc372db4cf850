"""Reductions and scans of arrays so large, or so long, that they take another way than small ones."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import parallel
from mini_dl.kernels.indexing import add_rows

Array = np.ndarray[Any, Any]


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    before = torch.get_num_threads()
    monkeypatch.setattr(parallel, "ENOUGH", 1)
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def normal(*shape: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def test_up_to_four_numbers_are_summed_from_left_to_right() -> None:
    x = normal(50, 4)
    for n in range(1, 5):
        wanted = [functools.reduce(operator.add, row[:n]) for row in x]
        assert [torch.from_numpy(row[:n]).sum().item() for row in x] == wanted


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("n", [300, 2000, 8192, 20000, 65537, 10**6])
def test_the_sum_of_equal_numbers_is_their_number_times_one(n: int, rows: int, threads: int) -> None:
    x = np.full((rows, n), 0.1, np.float32)
    found = torch.from_numpy(x).sum(1).numpy()
    assert np.abs(found / (n * np.float64(x[0, 0])) - 1).max() < (3e-7 if rows == 1 else 2e-6)


@pytest.mark.parametrize("shape", [(1, 8193), (3, 9001), (200, 67), (1, 100003), (5, 2, 4999)])
def test_products_of_long_rows_have_all_their_numbers(shape: tuple[int, ...], threads: int) -> None:
    x = (1 + 0.01 * normal(*shape)).astype(np.float32)
    for dim in (None, len(shape) - 1):
        found = torch.from_numpy(x).prod() if dim is None else torch.from_numpy(x).prod(dim)
        np.testing.assert_allclose(found.numpy(), x.prod(dim, np.float64), rtol=1e-4)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 2, 3)])
@pytest.mark.parametrize("shape", [(3, 8, 16, 16), (4, 6, 1, 256), (2, 4, 64, 3), (2, 2, 33, 65), (2, 2, 2, 2048)])
def test_parts_of_an_array_are_summed_as_numbers_of_double_precision(
    shape: tuple[int, ...], order: tuple[int, ...], threads: int
) -> None:
    whole = normal(*[2 * n for n in shape])
    for cut in itertools.product([False, True], repeat=4):
        part = whole[tuple([slice(n, None) if cut_here else slice(None) for cut_here, n in zip(cut, shape)])].transpose(order)
        x, wide = torch.from_numpy(part), part.astype(np.float64)
        for count in range(1, 5):
            for dims in itertools.combinations(range(4), count):
                bound = 1e-6 * np.abs(wide).sum(dims)
                assert (np.abs(x.sum(dims).numpy() - wide.sum(dims)) <= bound).all()


@pytest.mark.parametrize("shape", [(5, 64), (3, 1001), (4, 37, 130), (20000,)])
@pytest.mark.parametrize("dim", [0, -1])
def test_running_sums_of_float32_are_those_of_float64(shape: tuple[int, ...], dim: int, threads: int) -> None:
    x = normal(*shape)
    wanted = np.cumsum(x, dim, np.float64)
    assert np.array_equal(torch.from_numpy(x).cumsum(dim).numpy(), wanted.astype(np.float32))


def test_running_sums_cancel_without_a_trace() -> None:
    x = np.zeros((2, 512), np.float32)
    x[:, 7:11] = [1e8, 1, -1e8, 1]
    assert torch.from_numpy(x).cumsum(1).numpy()[:, -1].tolist() == [2, 2]


def test_running_sums_are_infinite_only_from_an_infinite_number_on(threads: int) -> None:
    x = normal(6, 200)
    x[1, 50], x[2, 100], x[3, [5, 100]] = np.inf, np.nan, [np.inf, -np.inf]
    with np.errstate(invalid="ignore"):
        wanted = np.cumsum(x, 1, np.float64).astype(np.float32)
    assert np.array_equal(torch.from_numpy(x).cumsum(1).numpy(), wanted, equal_nan=True)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(9, 300), (2, 3, 4, 5), (3, 5000)])
def test_extremes_are_numbers_of_the_row_or_nan(kind: str, shape: tuple[int, ...], threads: int) -> None:
    x = normal(*shape, dtype=kind)
    x.flat[3] = np.nan
    for dims in (-1, (-2, -1), 0):
        for name, ufunc in (("amax", np.maximum), ("amin", np.minimum)):
            found = getattr(torch.from_numpy(x), name)(dims).numpy()
            assert np.array_equal(found, ufunc.reduce(x, dims), equal_nan=True)


@pytest.mark.parametrize("kind", ["uint8", "int32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(9, 300), (2, 30, 4, 5), (300, 1), (16, 20)])
def test_extremes_of_integers_and_bools(kind: str, shape: tuple[int, ...], threads: int) -> None:
    x = (normal(*shape) * 60).astype(kind)
    for dims in (-1, (-2, -1), 0, tuple(range(len(shape)))):
        for name, ufunc in (("amax", np.maximum), ("amin", np.minimum)):
            found = getattr(torch.from_numpy(x), name)(dims, keepdim=True).numpy()
            assert found.dtype == x.dtype and np.array_equal(found, ufunc.reduce(x, dims, keepdims=True))


@pytest.mark.parametrize("moved", [0, -3e4, 3e4])
def test_the_logarithm_of_a_sum_of_exponentials_of_any_size(moved: float, threads: int) -> None:
    x = normal(40, 333, dtype="float64") + moved
    wanted = np.log(np.exp(x - moved).sum(1)) + moved
    assert np.allclose(torch.from_numpy(x).logsumexp(1).numpy(), wanted, rtol=1e-13)


def test_the_logarithm_of_a_sum_of_exponentials_with_infinities() -> None:
    x = normal(4, 100)
    x[0], x[1, 3], x[2, 5] = -np.inf, np.inf, np.nan
    found = torch.from_numpy(x).logsumexp(1).numpy()
    assert found[:2].tolist() == [-np.inf, np.inf] and np.isnan(found[2])
    assert np.isclose(found[3], np.log(np.exp(x[3]).sum()))


@pytest.mark.parametrize("shape", [(300, 1000), (3, 9001), (2, 600, 70)])
def test_sums_are_as_exact_as_pairwise_ones(shape: tuple[int, ...], threads: int) -> None:
    x = normal(*shape)
    for dims in (-1, 0, None):
        wanted = x.sum(dims, np.float64)
        size = np.abs(x).sum(dims, np.float64)
        assert (np.abs(torch.from_numpy(x).sum(dims).numpy() - wanted) <= 1e-6 * size).all()


@pytest.mark.parametrize("shape", [(8, 6, 700), (40, 30, 5, 4), (4000, 9)])
def test_batch_norm_in_evaluation_scales_and_shifts_each_channel(shape: tuple[int, ...], threads: int) -> None:
    x, (mean, weight, bias) = normal(*shape), normal(3, shape[1])
    variance = np.square(normal(shape[1])) + 1
    arrays = [torch.from_numpy(a) for a in (x, mean, variance, weight, bias)]
    leaves = [arrays[i].requires_grad_() for i in (0, 3, 4)]
    out = torch.nn.functional.batch_norm(*arrays)
    out.backward(torch.ones_like(out))
    wide = (-1, *(1,) * (len(shape) - 2))
    scale = (1 / np.sqrt(variance.astype(np.float64) + 1e-5)).reshape(wide)
    unit = (x - mean.reshape(wide)) * scale
    assert np.allclose(out.detach().numpy(), unit * weight.reshape(wide) + bias.reshape(wide), rtol=1e-5, atol=1e-5)
    others = tuple([i for i in range(len(shape)) if i != 1])
    wanted = [np.broadcast_to(scale * weight.reshape(wide), shape), unit.sum(others), np.full(shape[1], x[:, 0].size)]
    for leaf, gradient in zip(leaves, wanted):
        assert leaf.grad is not None and np.allclose(leaf.grad.numpy(), gradient, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("rows", [50, 70000])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("used", [1, 3, 49])
def test_rows_are_added_in_the_order_of_their_indices(rows: int, zeros: bool, used: int) -> None:
    index = np.random.default_rng(used).integers(0, used, 60) * ((rows - 1) // used)
    values = normal(60, 4)
    out = np.zeros((rows, 4), np.float32) if zeros else normal(rows, 4)
    wanted = out.copy()
    np.add.at(wanted, index, values)
    add_rows(out, index, values, zeros)
    assert np.allclose(out, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(20, 70), (2000,), (3, 4, 130)])
def test_running_totals_of_long_rows(dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    near_1 = (1 + 0.01 * normal(*shape)).astype(dtype) if dtype is not np.int64 else np.full(shape, 3)
    wide = np.int64 if dtype is np.int64 else np.float64
    products = torch.from_numpy(near_1).cumprod(-1).numpy()
    assert np.allclose(products, np.cumprod(near_1, -1, dtype=wide), rtol=1e-5)
    numbers = (normal(*shape) * 1e6).astype(dtype) + np.array(2**53 if dtype is np.int64 else 0, dtype)
    sums = torch.from_numpy(numbers).cumsum(-1).numpy()
    assert np.allclose(sums, np.cumsum(numbers, -1, dtype=wide), rtol=1e-5, atol=0 if dtype is np.int64 else 1e3)
    if dtype is np.int64:
        assert np.array_equal(sums, np.cumsum(numbers, -1))


@pytest.mark.parametrize("center", [True, False])
def test_norms_of_long_rows(center: bool) -> None:
    x, weight, upstream = (normal(*shape).astype(np.float64) for shape in ((3, 3000), (3000,), (3, 3000)))
    leaves = [torch.from_numpy(array).requires_grad_() for array in (x, weight)]
    norm = torch.nn.functional.layer_norm if center else torch.nn.functional.rms_norm
    out = norm(leaves[0], (3000,), leaves[1], eps=1e-5)
    out.backward(torch.from_numpy(upstream))
    apart = x - x.mean(1, keepdims=True) * center
    scale = 1 / np.sqrt((apart**2).mean(1, keepdims=True) + 1e-5)
    unit, slope = apart * scale, upstream * weight
    inner = slope - slope.mean(1, keepdims=True) * center - unit * (slope * unit).mean(1, keepdims=True)
    wanted = [unit * weight, scale * inner, (upstream * unit).sum(0)]
    for found, numbers in zip([out.detach(), *[leaf.grad for leaf in leaves]], wanted):
        assert found is not None and np.allclose(found.numpy(), numbers, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("extremes", [False, True])
def test_few_elements_of_long_rows_come_in_the_order_of_a_stable_sort(kind: str, extremes: bool) -> None:
    x = np.random.default_rng(0).integers(0, 60, (3, 70, 80)).astype(kind)
    if extremes and kind[0] == "f":
        for step, value in ((7, np.nan), (11, -np.inf), (13, np.inf)):
            x.reshape(-1)[::step] = value
    elif extremes:
        x[:, 5:] = 0
    for dim, k, largest in itertools.product((0, 1, 2), (1, 3), (True, False)):
        values, indices = torch.from_numpy(x).topk(k, dim, largest)
        order = np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim) if largest else np.argsort(x, dim, kind="stable")
        order = x.shape[dim] - 1 - order if largest else order
        order = np.take(order, range(k), dim)
        np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, order, dim))
        np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), dim), values.numpy())
        if not extremes:
            np.testing.assert_array_equal(indices.numpy(), order)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("missing", [True, False])
def test_places_of_extremes_among_more_rows_than_a_byte_counts(largest: bool, missing: bool) -> None:
    x = np.random.default_rng(8).standard_normal((700, 2100)).astype(np.float32)
    x[:, 5] = 1
    if missing:
        x[600:, 6] = np.nan
    found = (torch.argmax if largest else torch.argmin)(torch.from_numpy(x), 0)
    np.testing.assert_array_equal(found.numpy(), (np.argmax if largest else np.argmin)(x, 0))
