"""The rounding error of fast convolutions: how far they are from exact sums, in units of the deviation of the results.

Other points, or more of them to a tile, give a convolution too, but with a larger error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
import mini_dl.nn.functional as F
from mini_dl.kernels import winograd

BOUNDS = {(3, 1): 8e-6, (2, 1): 6e-6, (4, 2): 8e-6, (5, 2): 1.4e-5, (6, 2): 1.4e-5}
"""The greatest error by size of the kernel and stride: one and a half times what is found. Plain sums have some 3e-6."""


@pytest.fixture(autouse=True)
def forms_made_anew() -> Iterator[None]:
    winograd.form_of.cache_clear()
    yield
    winograd.form_of.cache_clear()


def errors(size: int, stride: int, monkeypatch: pytest.MonkeyPatch, space: tuple[int, int] = (32, 32)) -> list[float]:
    """The greatest errors of the output and of both gradients in float32, computed in tiles, against plain sums in float64."""
    rng, out = np.random.default_rng(size), [(n + 2 - size) // stride + 1 for n in space]
    shapes = (2, 32, *space), (40, 32, size, size), (2, 40, *out)
    numbers = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def results(dtype: Any) -> list[np.ndarray]:
        x, weight, grad = (torch.from_numpy(array.astype(dtype)).requires_grad_() for array in numbers)
        out: Any = F.conv2d(x, weight, None, stride, 1)
        out.backward(grad.detach())
        return [found.detach().numpy().astype(np.float64) for found in (out, x.grad, weight.grad)]

    monkeypatch.setattr(winograd.strips, "has_long_lines", lambda *args: False)  # these are faster for some of the sizes
    in_tiles = results(np.float32)
    assert winograd.form_of.cache_info().misses, "this size is not computed in tiles"
    monkeypatch.setattr(winograd, "suits", lambda *args, **options: False)
    return [float(np.abs(ours - exact).max() / exact.std()) for ours, exact in zip(in_tiles, results(np.float64))]


@pytest.mark.parametrize(("size", "stride"), BOUNDS)
def test_tiles_keep_the_error_of_float32_small(size: int, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(errors(size, stride, monkeypatch)) < BOUNDS[size, stride]


@pytest.mark.parametrize("space", [(44, 20), (20, 44), (33, 18)])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (4, 2)])
def test_images_need_not_be_square(size: int, stride: int, space: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(errors(size, stride, monkeypatch, space)) < 2 * BOUNDS[size, stride]


def test_points_that_lie_badly_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(winograd.POINTS, 3, (0, 1, -1, 2, -2))
    assert max(errors(3, 1, monkeypatch)) > BOUNDS[3, 1]
