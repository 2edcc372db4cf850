"""Elementwise kernels in pieces that threads share: for all kinds of operands and targets, the numbers of one call of NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl._dtypes import Array
from mini_dl.kernels import blocks, halves
from tests.pieces import cut_into_pieces

SPECIAL = (np.inf, -np.inf, np.nan, 0.0, -0.0)
SHAPES = ((24,), (6, 8), (2, 3, 8), (4, 1, 6), (1, 5, 1, 7), (3, 40))


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    before = torch.get_num_threads()
    cut_into_pieces(monkeypatch, 5)
    for name, value in (("LEAST_LARGE", 1), ("LARGE", 1), ("CLIPPED", 1), ("SOME", 1), ("LONG", 16)):
        monkeypatch.setattr(blocks, name, value)
    monkeypatch.setattr(halves, "MANY", 1)
    monkeypatch.setattr(halves, "_PAYS", True)
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    x = rng.standard_normal(shape).astype(kind)
    x.reshape(-1)[rng.integers(0, x.size, 2)] = rng.choice(SPECIAL, 2)
    return x


def operands(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> list[Any]:
    """What can stand beside an array of this shape: arrays of its shape in two orders, arrays with fewer dimensions or sizes of
    1, and numbers."""
    thin = [tuple([n if kept >> i & 1 else 1 for i, n in enumerate(shape)]) for kept in range(2 ** len(shape))]
    found: list[Any] = [numbers(rng, size, kind) for size in [shape, *thin]]
    found += [numbers(rng, shape[::-1], kind).T, numbers(rng, shape[1:], kind), numbers(rng, (), kind)]
    return [*found, found[0].dtype.type(0.75), 1.5, 2]


def assert_same(found: Any, expected: Any, signed: bool = True) -> None:
    """`signed`: zeros, too; which of them is the larger one is left to the processor."""
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if signed:
        np.testing.assert_array_equal(np.signbit(found[expected == 0]), np.signbit(expected[expected == 0]))


@pytest.mark.parametrize("kind", ["f", "d", "e"])
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.copysign], ids=lambda ufunc: ufunc.__name__)
def test_a_ufunc_in_pieces_is_the_ufunc(ufunc: np.ufunc, kind: str, threads: int) -> None:
    rng, signed = np.random.default_rng(0), ufunc not in (np.maximum, np.minimum)
    with np.errstate(all="ignore"):
        for shape in SHAPES:
            for other in operands(rng, shape, kind):
                x = numbers(rng, shape, kind)
                expected = ufunc(x, other)
                if expected.dtype == x.dtype:
                    assert_same(blocks.spread(ufunc, x, other), expected, signed)
                    apart = np.empty_like(x)
                    assert blocks.spread(ufunc, x, other, out=apart) is apart
                    assert_same(apart, expected, signed)
                    assert blocks.spread(ufunc, x, other, out=x) is x
                    assert_same(x, expected, signed)


@pytest.mark.parametrize("kind", ["f", "d"])
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.copysign], ids=lambda ufunc: ufunc.__name__)
def test_a_ufunc_of_views_in_pieces_has_the_layout_of_the_ufunc(ufunc: np.ufunc, kind: str, threads: int) -> None:
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for shape in SHAPES:
            wide = numbers(rng, (*shape[:-1], 2 * shape[-1] + 3), kind)
            views = [wide[..., 1 : shape[-1] + 1], wide[..., 1:-2:2], wide[..., shape[-1] :: -1][..., : shape[-1]]]
            views += [np.broadcast_to(numbers(rng, (), kind), shape), numbers(rng, shape[::-1], kind).T]
            for x in views:
                for other in [*views, *operands(rng, shape, kind)]:
                    expected, found = ufunc(x, other), blocks.spread(ufunc, x, other)
                    if expected.dtype == x.dtype:
                        assert_same(found, expected)
                        assert found.strides == expected.strides


@pytest.mark.parametrize("kind", ["f", "d", "e"])
def test_a_ufunc_of_one_operand_and_limits_in_pieces(kind: str, threads: int) -> None:
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        x = numbers(rng, shape, kind)
        assert_same(blocks.spread(np.negative, x), np.negative(x))
        assert_same(blocks.spread(np.negative, x.T), np.negative(x.T))
        for low, high in ((-0.5, 0.5), (-np.inf, 0.25), (0.25, np.inf), (0.5, -0.5)):
            found = blocks.limited(x, x.dtype.type(low), x.dtype.type(high))
            assert_same(found, np.minimum(np.maximum(x, low), high).astype(kind), False)


def test_an_operand_that_lies_in_the_target_is_read_first(threads: int) -> None:
    rng = np.random.default_rng(2)
    for shift in (-7, -1, 0, 1, 7):
        base = rng.standard_normal(100)
        x, out = base[20:80], base[20 + shift : 80 + shift]
        expected = x + 1
        blocks.spread(np.add, x, 1.0, out=out)
        assert_same(out, expected)
        square = rng.standard_normal((8, 8))
        expected = square + square.T
        blocks.spread(np.add, square, square.T, out=square)
        assert_same(square, expected)


@pytest.mark.parametrize("kind", ["f", "d", "e"])
def test_a_choice_in_pieces_is_that_of_where(kind: str, threads: int) -> None:
    rng = np.random.default_rng(3)
    for shape in SHAPES:
        mask = rng.random(shape) < 0.5
        pairs = [operands(rng, shape, kind)[:-2], operands(rng, shape, kind)[-4::-1]]
        for yes, no in zip(*[[np.asarray(x) for x in each if np.shape(x) in (shape, ())] for each in pairs]):
            assert_same(blocks.choose(mask, yes, no), np.where(mask, yes, no))
            assert_same(blocks.choose(mask, no, yes), np.where(mask, no, yes))
        x = numbers(rng, shape, kind)
        for flags in (mask, mask.astype(kind), mask.T):
            if flags.shape == shape:
                assert_same(blocks.keep(x, flags), np.where(flags != 0, x, x.dtype.type(0)))


@pytest.mark.parametrize("decorate", [blocks.elementwise, blocks.slow_elementwise])
def test_a_kernel_of_elements_runs_in_pieces(decorate: Callable[..., Any], threads: int) -> None:
    seen = list[int]()

    @decorate
    def scaled(x: Array, y: Any, scale: float) -> Array:
        seen.append(x.size)
        return x * y + scale

    rng = np.random.default_rng(4)
    with np.errstate(all="ignore"):
        for shape in SHAPES:
            x = numbers(rng, shape, "f")
            for other in operands(rng, shape, "f"):
                assert_same(scaled(x, other, 0.5), x * other + np.float32(0.5))
            turned = numbers(rng, shape[::-1], "f").T
            assert_same(scaled(turned, turned, 0.5), turned * turned + np.float32(0.5))
    assert min(seen) < 8


@pytest.mark.parametrize("shape", [(24, 6), (23, 6), (2, 3, 8), (1, 7), (5, 40), (0, 3)])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_row_is_added_to_each_row(shape: tuple[int, ...], ordered: bool, threads: int) -> None:
    rng = np.random.default_rng(4)
    x, row = rng.standard_normal(shape).astype("f"), rng.standard_normal(shape[-1]).astype("f")
    out = x.copy() if ordered else x.swapaxes(0, -1).copy().swapaxes(0, -1)
    assert blocks.add_row(out, row) is out
    np.testing.assert_array_equal(out, x + row)


@pytest.mark.parametrize("other", [(48,), (24, 48), (1, 48), (40, 1, 48)])
def test_short_rows_that_broadcast_are_those_of_numpy(other: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    x, row = (rng.standard_normal(shape).astype("f") for shape in ((40, 24, 48), other))
    a, b = torch.from_numpy(x), torch.from_numpy(row)
    np.testing.assert_array_equal((a * b).numpy(), x * row)
    np.testing.assert_array_equal((a - b).numpy(), x - row)
    np.testing.assert_array_equal((b / a).numpy(), row / x)
