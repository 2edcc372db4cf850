"""The methods of convolution agree with each other."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from mini_dl.kernels import convolution, lines, parallel
from mini_dl.kernels.copying import CONFLICT, turn
from mini_dl.kernels.geometry import Geometry


@pytest.fixture
def only_columns(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for method in (convolution.by_lines, convolution.winograd):
        monkeypatch.setattr(method, "suits", lambda *args, **options: False)
    yield monkeypatch
    lines.lines_of.cache_clear()


def cases(count: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Geometry]]:
    """Shapes of inputs and weights, and geometries in one to three dimensions."""
    pick = random.Random(0)
    while count:
        n, groups, inputs = pick.choice([1, 2, 2, 3]), pick.choice([1, 2, 3]), pick.choice([1, 2, 5])
        kernel, stride, dilation = ([pick.randint(1, most) for _ in range(n)] for most in (4, 3, 3))
        padding, space = [pick.randint(0, 3) for _ in range(n)], [pick.randint(3, 11) for _ in range(n)]
        sizes = zip(space, padding, dilation, kernel, stride)
        out = tuple([(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, p, d, k, s in sizes])
        if min(out) > 0:
            outputs = pick.choice([1, 2, 3, 9, 12, 70])
            g = Geometry(tuple(stride), tuple(padding), tuple(dilation), groups, out)
            yield (pick.choice([1, 2, 5]), groups * inputs, *space), (groups * outputs, inputs, *kernel), g
            count -= 1


@pytest.mark.parametrize("size", [1, 200, lines.SEEN_IN_CACHE])
def test_lines_agree_with_columns(size: int, only_columns: pytest.MonkeyPatch) -> None:
    only_columns.setattr(lines, "SEEN_IN_CACHE", size)
    only_columns.setattr(parallel, "ENOUGH", 1)
    numbers = np.random.default_rng(0)
    for input, weight, g in cases(60):
        lines.lines_of.cache_clear()
        x, w, bias = (numbers.standard_normal(shape) for shape in (input, weight, weight[:1]))
        out = convolution.conv(x, w, bias, g)
        found, cotangent = np.empty_like(out), numbers.standard_normal(out.shape)
        lines.conv(x, w, bias, g, found)
        pairs = [
            (found, out),
            (lines.conv_input(cotangent, w, input, g), convolution.conv_input(cotangent, w, input, g)),
            (lines.conv_weight(x, cotangent, weight, g), convolution.conv_weight(x, cotangent, weight, g)),
        ]
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-11, err_msg=f"{input} {weight} {g}")


@pytest.mark.parametrize("space", [(32, 32), (16, 32), (512,), (7, 5), (8, 4, 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_are_turned_whether_or_not_channels_are_in_conflict(space: tuple[int, ...], dtype: type) -> None:
    images = np.random.default_rng(0).standard_normal((3, 20, *space)).astype(dtype)
    assert (images.strides[1] % CONFLICT == 0) == (space != (7, 5))
    for part in (images, images[1:, :, 1:], images[..., :-1], images[:, 2:18]):
        found = np.full((len(part), *part.shape[2:], part.shape[1]), np.nan, dtype)
        turn(found, np.moveaxis(part, 1, -1))
        np.testing.assert_array_equal(np.moveaxis(found, -1, 1), part)
