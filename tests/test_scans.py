"""Running totals and extremes beside plain loops, few and many side by side; distinct integers beside Python's sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels.sorting import SIDE_BY_SIDE

SHAPES = [(1,), (17,), (3, SIDE_BY_SIDE + 1), (SIDE_BY_SIDE, 5), (2, 9, 3), (40, 2, SIDE_BY_SIDE), (3, 3001)]


def place_so_far(row: Any, largest: bool) -> list[int]:
    """The last of equals; NaN is both largest and smallest."""
    found, place = [], 0
    for k, value in enumerate(row):
        if value != value or (value >= row[place] if largest else value <= row[place]):
            place = k
        found.append(place)
    return found


@pytest.mark.parametrize("kind", ["integers", "ties", "NaN"])
@pytest.mark.parametrize("shape", SHAPES)
def test_running_extremes_are_those_of_a_plain_search(shape: tuple[int, ...], kind: str) -> None:
    rng = np.random.default_rng(3)
    x: Any = rng.integers(-2, 3, shape)
    if kind != "integers":
        x = x.astype(np.float32)
    if kind == "NaN":
        x[rng.random(shape) < 0.05] = np.nan
    for dim in range(len(shape)):
        for name in ("cummax", "cummin"):
            places = np.apply_along_axis(place_so_far, dim, x, name == "cummax")
            values, indices = getattr(torch.from_numpy(x), name)(dim)
            np.testing.assert_array_equal(indices.numpy(), places)
            np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, places, dim))


def test_running_totals_of_many_rows_continue_from_block_to_block() -> None:
    x = np.random.default_rng(4).integers(-3, 4, (700, 2, 300)).astype(np.float32)
    np.testing.assert_array_equal(torch.from_numpy(x).cumsum(0).numpy(), np.cumsum(x, 0))
    np.testing.assert_array_equal(torch.from_numpy(np.sign(x)).cumprod(0).numpy(), np.cumprod(np.sign(x), 0))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_distinct_integers(size: int, dtype: type) -> None:
    x = np.random.default_rng(5).integers(0, 50, size).astype(dtype)
    values = torch.unique(torch.from_numpy(x))
    again, inverse, counts = torch.unique(torch.from_numpy(x), return_inverse=True, return_counts=True)
    assert values.tolist() == again.tolist() == sorted(set(x.tolist()))
    assert values.numpy().dtype == again.numpy().dtype == dtype
    np.testing.assert_array_equal(values.numpy()[inverse.numpy()], x)
    assert counts.tolist() == [x.tolist().count(value) for value in values.tolist()]


@pytest.mark.parametrize("shape", [(3, 3001), (130, 64), (2, 40, 67)])
@pytest.mark.parametrize("size", [1e-38, 1.0, 1e37])
def test_running_products_beyond_all_bounds_are_those_of_one_number_after_the_other(size: float, shape: tuple[int, ...]) -> None:
    with np.errstate(all="ignore"):
        x = (np.random.default_rng(6).standard_normal(shape) * size).astype(np.float32)
        x[0, ..., 5] = 0
        expected = np.multiply.accumulate(x.astype(np.float64), -1).astype(np.float32)
    np.testing.assert_allclose(torch.from_numpy(x).cumprod(-1).numpy(), expected, 1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_products_after_a_zero_are_zero_however_large_the_factors(dtype: torch.dtype) -> None:
    x = torch.full((50, 100), 1e200, dtype=dtype)
    x[:, 0] = 0
    assert torch.cumprod(x, 1).eq(0).all()


def test_products_of_factors_that_together_are_too_small_for_their_type_are_taken_in_turn() -> None:
    x = np.ones((50, 100))
    x[:, 0], x[:, 8:16] = 1e200, 1e-45
    np.testing.assert_allclose(torch.from_numpy(x).cumprod(1).numpy(), np.multiply.accumulate(x, 1))


def numbers_of_any_kind(dtype: str, shape: tuple[int, ...]) -> Any:
    """With many equal ones; floating point numbers with both zeros, NaNs of both signs and infinities."""
    rng = np.random.default_rng(7)
    x = rng.integers(-40, 40, shape).astype(dtype)
    if x.dtype.kind == "f":
        for value in (0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf):
            x[rng.random(shape) < 0.05] = value
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(5000,), (130, 64), (2, 3, 1100), (33, 9, 33)])
def test_sorting_is_stable(shape: tuple[int, ...], dtype: str) -> None:
    x = numbers_of_any_kind(dtype, shape)
    for dim, n in enumerate(shape):
        rising = np.argsort(x, dim, kind="stable")
        falling = n - 1 - np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)
        for descending, expected in ((False, rising), (True, falling)):
            values, indices = torch.from_numpy(x).sort(dim, descending)
            np.testing.assert_array_equal(indices.numpy(), expected)
            np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, expected, dim))
        if dtype != "bool":
            for largest, expected in ((False, rising), (True, falling)):
                values, _ = torch.from_numpy(x).topk(min(n, 9), dim, largest)
                ordered = np.take_along_axis(x, expected, dim)
                np.testing.assert_array_equal(values.numpy(), np.take(ordered, range(min(n, 9)), dim))
            third = torch.from_numpy(x).kthvalue(min(n, 3), dim).values
            np.testing.assert_array_equal(third.numpy(), np.take(np.take_along_axis(x, rising, dim), min(n, 3) - 1, dim))


def test_integers_too_far_apart_for_an_index_beside_them_are_sorted() -> None:
    x = np.random.default_rng(8).integers(-(2**63), 2**63 - 1, (70, 100))
    np.testing.assert_array_equal(torch.from_numpy(x).argsort(1).numpy(), np.argsort(x, 1, kind="stable"))
    assert torch.from_numpy(x // 2**13).argsort(0).tolist() == np.argsort(x // 2**13, 0, kind="stable").tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int32, np.uint32, np.uint8])
@pytest.mark.parametrize("end", ["min", "max"])
def test_integers_near_the_end_of_their_type_are_sorted(end: str, dtype: type[np.integer[Any]]) -> None:
    near = np.random.default_rng(9).integers(0, 9, (70, 100)).astype(dtype)
    x = near + np.iinfo(dtype).min if end == "min" else np.iinfo(dtype).max - near
    np.testing.assert_array_equal(torch.from_numpy(x).argsort(1).numpy(), np.argsort(x, 1, kind="stable"))
