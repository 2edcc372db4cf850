"""Pooling beside plain searches and sums, window by window."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.nn import functional as F

Geometry = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int], bool]
GEOMETRIES: list[Geometry] = [  # kernel, stride, padding, dilation, ceil_mode
    ((2, 2), (2, 2), (0, 0), (1, 1), False),
    ((3, 3), (2, 2), (1, 1), (1, 1), False),
    ((3, 3), (1, 1), (1, 1), (1, 1), False),
    ((1, 4), (3, 1), (0, 2), (1, 1), False),
    ((2, 3), (3, 4), (1, 0), (2, 2), True),
    ((5, 2), (2, 5), (2, 1), (1, 3), False),
    ((9, 11), (9, 1), (0, 0), (1, 1), False),
]


def windows(space: tuple[int, ...], geometry: Geometry) -> tuple[list[int], list[list[int]]]:
    """For each output position, the positions that its window sees in the flattened image."""
    kernel, stride, padding, dilation, up = geometry
    out = []
    for i, k, s, p, d in zip(space, kernel, stride, padding, dilation):
        count = (i + 2 * p - d * (k - 1) - 1 + (s - 1 if up else 0)) // s + 1
        out.append(count - (up and (count - 1) * s >= i + p))
    found = []
    for position in np.ndindex(*out):
        taps = itertools.product(*[
            [o * s - p + t * d for t in range(k)] for o, k, s, p, d in zip(position, kernel, stride, padding, dilation)
        ])  # fmt: skip
        found.append([y * space[1] + x for y, x in taps if 0 <= y < space[0] and 0 <= x < space[1]])
    return out, found


def searched(image: Any, seen: list[list[int]]) -> list[int]:
    """The place of the maximum of each window: the first of equals, the last NaN."""
    places = []
    for window in seen:
        values = image[window]
        broken = np.flatnonzero(np.isnan(values))
        places.append(window[broken[-1] if len(broken) else int(values.argmax())])
    return places


def images(kind: str) -> Any:
    rng = np.random.default_rng(len(kind))
    values = rng.integers(-2, 3, (2, 3, 9, 11)).astype(np.float32)
    if kind != "ties":
        values[rng.random(values.shape) < 0.3] = {"NaN": np.nan, "-inf": -np.inf, "inf": np.inf}[kind]
    return values


@pytest.mark.parametrize("kind", ["ties", "NaN", "-inf", "inf"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_maxima_their_places_and_gradients_are_those_of_a_plain_search(geometry: Geometry, kind: str) -> None:
    kernel, stride, padding, dilation, up = geometry
    values = images(kind)
    out, seen = windows(values.shape[2:], geometry)
    flat = values.reshape(6, -1)
    places = np.array([searched(image, seen) for image in flat])
    x = torch.from_numpy(values).requires_grad_()
    y, indices = F.max_pool2d(x, kernel, stride, padding, dilation, up, return_indices=True)
    assert y.shape == (2, 3, *out)
    np.testing.assert_array_equal(indices.numpy().reshape(6, -1), places)
    np.testing.assert_array_equal(y.detach().numpy().reshape(6, -1), np.take_along_axis(flat, places, 1))
    grad = np.arange(places.size, dtype=np.float32).reshape(places.shape)
    expected = np.zeros_like(flat)
    for image, at, given in zip(expected, places, grad):
        np.add.at(image, at, given)
    F.max_pool2d(x, kernel, stride, padding, dilation, up).backward(torch.from_numpy(grad.reshape(y.shape)))
    np.testing.assert_array_equal(x.grad.numpy().reshape(6, -1), expected)
    _, back = torch.func.vjp(lambda x: F.max_pool2d(x, kernel, stride, padding, dilation, up), x.detach())  # keeps no taps
    np.testing.assert_array_equal(back(torch.from_numpy(grad.reshape(y.shape)))[0].numpy().reshape(6, -1), expected)


@pytest.mark.parametrize("geometry", [one for one in GEOMETRIES if max(one[3]) == 1 and not one[4]])
def test_means_and_their_gradients_are_plain_sums(geometry: Geometry) -> None:
    kernel, stride, padding, _, _ = geometry
    padding = min(padding[0], kernel[0] // 2), min(padding[1], kernel[1] // 2)
    values = images("ties")
    seen = windows(values.shape[2:], (kernel, stride, padding, (1, 1), False))[1]
    x = torch.from_numpy(values).requires_grad_()
    y = F.avg_pool2d(x, kernel, stride, padding, divisor_override=4)
    flat = values.reshape(6, -1)
    np.testing.assert_array_equal(y.detach().numpy().reshape(6, -1), np.stack([flat[:, window].sum(1) / 4 for window in seen], 1))
    grad = np.arange(y.numel(), dtype=np.float32).reshape(6, -1)
    expected = np.zeros_like(flat)
    for number, window in enumerate(seen):
        expected[:, window] += grad[:, number : number + 1] / 4
    y.backward(torch.from_numpy(grad.reshape(y.shape)))
    np.testing.assert_array_equal(x.grad.numpy().reshape(6, -1), expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("size", "out"), [(7, 3), (11, 4), (5, 4)])
def test_means_of_uneven_regions_know_only_their_own_numbers(size: int, out: int, value: float) -> None:
    x = np.arange(2 * size * size, dtype=np.float32).reshape(1, 2, size, size)
    x[0, 0, 0, 0] = x[0, 1, size - 1, 2] = value
    bounds = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
    expected = np.array([[[x[0, c, a:b, d:e].mean() for d, e in bounds] for a, b in bounds] for c in range(2)])
    found = F.adaptive_avg_pool2d(torch.from_numpy(x), out)[0]
    np.testing.assert_allclose(found.numpy(), expected, 1e-6)
