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
