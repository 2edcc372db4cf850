"""Copies in another order, where neighbors may compete for lines of the cache, and rows that are not the last dimension."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import softmax as rows
from mini_dl.kernels.copying import compact, copy


@pytest.mark.parametrize("kind", ["f4", "f8", "?", "c8"])
@pytest.mark.parametrize("shape", [(2048, 70), (3, 17, 2048), (2, 2048, 3, 20), (70, 1, 2048)])
def test_a_copy_is_the_same_array_in_another_order(shape: tuple[int, ...], kind: str) -> None:
    array = np.random.default_rng(0).integers(-9, 9, shape).astype(kind)
    for axes in itertools.permutations(range(len(shape))):
        for source in (array.transpose(axes), array.transpose(axes)[::-1], array.transpose(axes)[..., ::-2]):
            target = np.zeros(source.shape, kind)
            copy(target, source)
            np.testing.assert_array_equal(target, source)
            out = compact(source)
            assert out.flags.c_contiguous
            np.testing.assert_array_equal(out, source)
            turned = np.zeros(source.shape[::-1], kind).T
            copy(turned, source)
            np.testing.assert_array_equal(turned, source)


@pytest.mark.parametrize("n", [1, 7, 600])
@pytest.mark.parametrize("dim", [0, 1])
def test_rows_left_where_they_are_give_what_turned_ones_give(dim: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = [3, 5, 64]
    shape[dim] = n
    x = torch.randn(shape, dtype=torch.float64) * 30
    labels = torch.randint(shape[1], (shape[0], shape[2]))
    functions: list[Any] = [
        lambda x: torch.softmax(x, dim),
        lambda x: torch.log_softmax(x, dim),
        lambda x: torch.logsumexp(x, dim),
        lambda x: torch.nn.functional.cross_entropy(x, labels),
    ]
    found: list[list[Any]] = []
    for inner in (1, 1 << 30):
        monkeypatch.setattr(rows, "_INNER", inner)
        found.append([])
        for function in functions:
            leaf = x.clone().requires_grad_()
            out = function(leaf)
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=x.dtype).reshape(out.shape))
            assert out.is_contiguous()
            found[-1] += [out.detach().numpy(), leaf.grad.numpy()]
    for left, turned in zip(*found):
        np.testing.assert_allclose(left, turned, 1e-12, 1e-12)
