"""Triangles of matrices beside their definition, element by element, up to and beyond the rows that are cleared together."""

from __future__ import annotations

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.ops.ranges import ROWS


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 5), (0, 3), (3, 0), (ROWS, ROWS + 1), (2, 2 * ROWS + 3, ROWS + 2), (ROWS + 1, 2 * ROWS)]
)
def test_triangles_are_what_the_formula_says(shape: tuple[int, ...]) -> None:
    x = np.full(shape, np.nan, np.float32)
    above = np.arange(shape[-1]) - np.arange(shape[-2])[:, None]
    for diagonal in (0, 1, -1, 4, -4, ROWS - 1, ROWS, -ROWS, -ROWS - 1, 5 * ROWS, -5 * ROWS):
        for name, kept in (("tril", above <= diagonal), ("triu", above >= diagonal)):
            expected = np.where(kept, x, np.float32(0))
            for given in (x, np.swapaxes(np.swapaxes(x, -1, -2).copy(), -1, -2)):
                tensor = torch.from_numpy(given.copy(order="K"))
                np.testing.assert_array_equal(getattr(tensor, name)(diagonal).numpy(), expected)
                np.testing.assert_array_equal(tensor.numpy(), x)
                assert getattr(tensor, name + "_")(diagonal) is tensor
                np.testing.assert_array_equal(tensor.numpy(), expected)


@pytest.mark.parametrize("offset", [-6, -4, -1, 0, 1, 3, 7])
@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (1, 1), (4, 4), (3, 6), (6, 3)])
def test_indices_of_triangles_are_those_that_a_mask_keeps(rows: int, columns: int, offset: int) -> None:
    for name, cut in (("tril_indices", np.tril), ("triu_indices", np.triu)):
        kept = np.stack(cut(np.ones((rows, columns), bool), offset).nonzero())
        found = getattr(torch, name)(rows, columns, offset)
        assert found.dtype is torch.int64
        np.testing.assert_array_equal(found.numpy(), kept)
