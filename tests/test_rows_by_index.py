"""Rows that an index picks: their gradients are sums over all places that picked them, in whatever order these come."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import indexing
from mini_dl.nn import functional as F
from mini_dl.ops import embedding

SUMMED_BY = {"a product or bags": (1, embedding.FEW), "additions": (1, 0), "a product": (0, embedding.FEW)}


@pytest.mark.parametrize(("rows", "length"), [(3, 6), (2, 8)])
@pytest.mark.parametrize(("longest", "few"), SUMMED_BY.values(), ids=SUMMED_BY)
def test_rows_are_summed_for_every_order_of_indices(
    longest: int, few: int, rows: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "LONG_BAG", longest * embedding.LONG_BAG)
    monkeypatch.setattr(embedding, "FEW", few)
    cotangent = torch.arange(2.0 * length).reshape(length, 2)
    for places in itertools.product(range(rows), repeat=length):
        table = torch.zeros(rows, 2, requires_grad=True)
        F.embedding(torch.tensor(places), table).backward(cotangent)
        expected = np.zeros((rows, 2), np.float32)
        np.add.at(expected, list(places), cotangent.numpy())
        assert table.grad is not None
        np.testing.assert_array_equal(table.grad.numpy(), expected)


@pytest.mark.parametrize("kind", ["f", "i8"])
@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_slices_along_any_dimension_are_added_as_one_by_one(kind: str, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_MANY", 1)
    rng = np.random.default_rng(0)
    for index in ([3, 1, 0, 2], [0, 0, 1, 1, 2, 2, 3, 3], [2, 0, 2, 3, 1], [1, 3], [0] * 12):
        shape = [4, 4, 4, 4]
        out = rng.integers(-9, 9, shape).astype(kind)
        shape[dim] = len(index)
        values = rng.integers(-9, 9, shape).astype(kind)
        expected = out.copy()
        for i, at in enumerate(index):
            np.moveaxis(expected, dim, 0)[at] += np.moveaxis(values, dim, 0)[i]
        indexing.add_along(out, dim, np.array(index), values)
        np.testing.assert_array_equal(out, expected)


def test_slices_that_are_not_added_to_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_MANY", 1)
    out, values = np.full((3, 4), -0.0), np.full((3, 3), np.inf)
    indexing.add_along(out, 1, np.array([2, 0, 3]), values)
    assert np.signbit(out[:, 1]).all() and not out[:, 1].any()


@pytest.mark.parametrize("dim", [0, 1])
def test_an_expanded_index_chooses_what_its_copy_chooses(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_MANY", 1)
    monkeypatch.setattr(indexing, "BLOCK", 0)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((4, 5, 3, 2)))
    sizes = (3, 4, 3, 2) if dim else (6, 5, 3, 2)
    thin = (3, 4, 1, 1) if dim else (6, 1, 1, 1)
    index = torch.from_numpy(rng.integers(0, x.shape[dim], thin)).expand(sizes)
    source = torch.from_numpy(rng.standard_normal(sizes))
    for call in (
        lambda i: x.gather(dim, i),
        lambda i: x.scatter_add(dim, i, source),
        lambda i: x.scatter(dim, i, source),
    ):
        np.testing.assert_allclose(call(index).numpy(), call(index.clone()).numpy(), rtol=1e-12)
    with pytest.raises(RuntimeError, match="out of bounds for dimension"):
        x.gather(dim, index + torch.full(thin, 9).expand(sizes))
    with pytest.raises(RuntimeError, match="out of bounds for dimension"):
        x.gather(dim, torch.full(thin, 9).expand(sizes))


def test_an_unfolded_gradient_meets_where_windows_do() -> None:
    rng = np.random.default_rng(0)
    for size, step in ((2, 3), (3, 3), (5, 2), (4, 1)):
        x = torch.zeros(2, 11, 3, requires_grad=True)
        windows = x.unfold(1, size, step)
        grad = rng.integers(0, 9, windows.shape).astype("f")
        windows.backward(torch.from_numpy(grad))
        expected = np.zeros((2, 11, 3), "f")
        for w in range(windows.shape[1]):
            for i in range(size):
                expected[:, w * step + i] += grad[:, w, :, i]
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), expected)
