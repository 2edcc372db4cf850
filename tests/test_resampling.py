"""Resampling by bands of its matrix is the product with the whole matrix, also beside numbers that are not finite."""

from __future__ import annotations

import numpy as np
import pytest

from mini_dl.kernels import resampling
from mini_dl.kernels.resampling import MODES, SMOOTH, Axis, resample, resample_back, smooth_axis
from tests.pieces import cut_into_pieces

KINDS = ["nearest", "nearest-exact", "linear", "bicubic", "smooth"]


def axis_of(kind: str, size: int, out: int) -> Axis:
    if kind == "smooth":
        return smooth_axis(size, out, False, None, np.float64, *SMOOTH["bicubic"])
    return MODES[kind][1](size, out, False, None, np.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("elements", [7, 1 << 16])
def test_bands_are_the_matrix(kind: str, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into_pieces(monkeypatch, elements)
    monkeypatch.setattr(resampling, "LONG", 20)
    rng = np.random.default_rng(0)
    for sizes, outs in (((9,), (23,)), ((24,), (6,)), ((7, 8), (14, 24)), ((12, 5), (5, 11)), ((4, 5, 6), (8, 5, 13))):
        axes = tuple([axis_of(kind, size, out) for size, out in zip(sizes, outs)])
        x, y = rng.standard_normal((3, 2, *sizes)), rng.standard_normal((3, 2, *outs))
        forward, back = x, y
        for i, axis in enumerate(axes):
            matrix = axis.matrix(np.float64)
            forward = np.moveaxis(np.tensordot(forward, matrix, (2 + i, 1)), -1, 2 + i)
            back = np.moveaxis(np.tensordot(back, matrix, (2 + i, 0)), -1, 2 + i)
        np.testing.assert_allclose(resample(x, axes), forward, atol=1e-12)
        np.testing.assert_allclose(resample_back(y, axes), back, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_stays_where_it_is(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into_pieces(monkeypatch, 1 << 16)
    axis = axis_of(kind, 40, 60)
    seen = axis.matrix(np.float64) != 0
    x, y = np.ones((1, 2, 40)), np.ones((1, 2, 60))
    x[0, 0, 20], y[0, 0, 30] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        forward, back = resample(x, (axis,)), resample_back(y, (axis,))
    reach = np.array([20 in places for places in axis.places])  # a weight of 0 makes infinity NaN
    assert np.isfinite(forward[0, 0, ~reach]).all() and np.isfinite(forward[0, 1]).all()
    assert not np.isfinite(forward[0, 0, seen[:, 20]]).any()
    assert np.isfinite(np.delete(back[0, 0], axis.places[30])).all() and np.isfinite(back[0, 1]).all()
    assert np.isnan(back[0, 0, seen[30]]).all()
