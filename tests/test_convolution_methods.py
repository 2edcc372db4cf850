"""The methods of convolution agree with each other."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mini_dl.kernels import bands, convolution, lines, parallel, planes, strips
from mini_dl.kernels.copying import CONFLICT, turn
from mini_dl.kernels.geometry import Geometry


@pytest.fixture
def only_columns(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for method in (bands, lines, planes, strips, convolution.winograd):
        monkeypatch.setattr(method, "suits", lambda *args, **options: False)
    monkeypatch.setattr(strips, "suits_weight", lambda *args: False)
    yield monkeypatch
    for prepared in (lines.lines_of, strips.strips_of, bands.bands_of, planes.planes_of):
        prepared.cache_clear()


def check(method: Any, input: tuple[int, ...], weight: tuple[int, ...], g: Geometry, numbers: np.random.Generator) -> None:
    """The result and the gradients of a method are those of columns."""
    x, w, bias = (numbers.standard_normal(shape) for shape in (input, weight, weight[:1]))
    out = convolution.conv(x, w, bias, g)
    found, cotangent = np.empty_like(out), numbers.standard_normal(out.shape)
    method.conv(x, w, bias, g, found)
    pairs = [(found, out)]
    if method not in (strips, planes) or max(g.stride) == 1:
        pairs.append((method.conv_input(cotangent, w, input, g), convolution.conv_input(cotangent, w, input, g)))
        if method is not planes:
            pairs.append((method.conv_weight(x, cotangent, weight, g), convolution.conv_weight(x, cotangent, weight, g)))
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11, err_msg=f"{input} {weight} {g}")


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
        check(lines, input, weight, g, numbers)


@pytest.mark.parametrize("size", [1, 500, strips.COPIED])
def test_strips_agree_with_columns(size: int, only_columns: pytest.MonkeyPatch) -> None:
    only_columns.setattr(strips, "COPIED", size)
    only_columns.setattr(parallel, "ENOUGH", 1)
    numbers = np.random.default_rng(0)
    found = [case for case in cases(1200) if len(case[2].out) > 1 and case[2].dilation[0] == 1]
    assert len([g for _, _, g in found if max(g.stride) == 1]) > 10
    for input, weight, g in found:
        strips.strips_of.cache_clear()
        check(strips, input, weight, g, numbers)


@pytest.mark.parametrize("size", [1, bands.IN_CACHE])
@pytest.mark.parametrize("small", [0, bands.SMALL])
@pytest.mark.parametrize("width", [1, bands.WIDTH])
def test_bands_agree_with_columns(size: int, small: int, width: int, only_columns: pytest.MonkeyPatch) -> None:
    only_columns.setattr(parallel, "ENOUGH", 1)
    for name, value in (("IN_CACHE", size), ("SMALL", small), ("WIDTH", width)):
        only_columns.setattr(bands, name, value)
    bands.bands_of.cache_clear()
    numbers = np.random.default_rng(0)
    for (n, c, *space), (_, _, *kernel), g in cases(40):
        check(bands, (n, c, *space), (c, 1, *kernel), g._replace(groups=c), numbers)


@pytest.mark.parametrize("size", [1, 100, planes.COMPUTED])
def test_planes_agree_with_columns(size: int, only_columns: pytest.MonkeyPatch) -> None:
    only_columns.setattr(parallel, "ENOUGH", 1)
    only_columns.setattr(planes, "COMPUTED", size)
    planes.planes_of.cache_clear()
    numbers = np.random.default_rng(0)
    found = [case for case in cases(200) if len(case[2].out) > 1]
    assert len([g for _, _, g in found if max(g.stride) == 1]) > 3
    for (n, c, *space), (_, _, *kernel), g in found:
        check(planes, (n, c, *space), (c, 1, *kernel), g._replace(groups=c), numbers)


def test_outputs_that_are_apart_send_to_the_places_of_their_own(only_columns: pytest.MonkeyPatch) -> None:
    only_columns.setattr(convolution, "COLUMNS_IN_CACHE", 64)
    only_columns.setattr(parallel, "ENOUGH", 1)
    numbers, are_apart = np.random.default_rng(0), convolution.are_apart
    found = []
    for input, weight, g in cases(300):
        spans = [d * (k - 1) for k, d in zip(weight[2:], g.dilation)]
        stride = tuple([max(s, span + 1) for s, span in zip(g.stride, spans)])
        out = tuple([(i - span - 1) // s + 1 for i, span, s in zip(input[2:], spans, stride)])
        g = g._replace(stride=stride, padding=(0,) * len(out), out=out)
        if min(out) > 0 and max(out) > 1 and max(weight[2:]) > 1 and are_apart(input, weight[2:], g):
            found.append((input, weight, g))
    assert len(found) > 50 and max([len(g.out) for _, _, g in found]) == 3
    for input, weight, g in found:
        cotangent, w = numbers.standard_normal((input[0], weight[0], *g.out)), numbers.standard_normal(weight)
        only_columns.setattr(convolution, "are_apart", are_apart)
        apart = convolution.conv_input(cotangent, w, input, g)
        only_columns.setattr(convolution, "are_apart", lambda *args: False)
        expected = convolution.conv_input(cotangent, w, input, g)
        np.testing.assert_allclose(apart, expected, rtol=0, atol=1e-11, err_msg=f"{input} {weight} {g}")


def test_dimensions_with_one_output_position() -> None:
    numbers = np.random.default_rng(0)
    found = [case for case in cases(400) if 1 in case[2].out]
    assert any([max(g.out) == 1 for _, _, g in found]) and any([max(g.out) > 1 for _, _, g in found])
    for input, weight, g in found:
        x, w, bias = (numbers.standard_normal(shape) for shape in (input, weight, weight[:1]))
        cotangent = numbers.standard_normal((len(x), len(w), *g.out))
        out, to_x, to_w = np.zeros(cotangent.shape) + bias.reshape(-1, *[1] * len(g.out)), np.zeros_like(x), np.zeros_like(w)
        inputs, outputs = weight[1], len(w) // g.groups
        for group, tap, at in itertools.product(range(g.groups), np.ndindex(*weight[2:]), np.ndindex(*g.out)):
            place = tuple([o * s + t * d - p for o, s, t, d, p in zip(at, g.stride, tap, g.dilation, g.padding)])
            if all([0 <= i < n for i, n in zip(place, input[2:])]):
                to, of = slice(group * outputs, (group + 1) * outputs), slice(group * inputs, (group + 1) * inputs)
                from_x, to_out, by_w = (slice(None), of, *place), (slice(None), to, *at), (to, slice(None), *tap)
                out[to_out] += x[from_x] @ w[by_w].T
                to_x[from_x] += cotangent[to_out] @ w[by_w]
                to_w[by_w] += cotangent[to_out].T @ x[from_x]
        pairs = [
            (convolution.conv(x, w, bias, g), out),
            (convolution.conv_input(cotangent, w, input, g), to_x),
            (convolution.conv_weight(x, cotangent, weight, g), to_w),
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
