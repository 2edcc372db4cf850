"""Rows that an index picks: their gradients are sums over all places that picked them, in whatever order these come."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import mini_dl as torch
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
