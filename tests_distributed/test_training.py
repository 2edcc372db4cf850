"""Training over 1, 2 and 4 ranks: each rank gets torch's results, within rounding; and any number of ranks gets those of one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests_distributed.cases import TRAINING
from tests_distributed.world import results

CLOSE = 1e-9
"""In float64, after some steps of Adam."""


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Where two results differ by more than rounding error."""
    if isinstance(a, float) and isinstance(b, float):
        return [] if math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) else [f"{path}: {a} for {b}"]
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        return [found for key in a for found in differences(a[key], b[key], f"{path}.{key}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [found for i, pair in enumerate(zip(a, b)) for found in differences(*pair, f"{path}.{i}")]
    return [] if a == b else [f"{path}: {a} for {b}"]


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("name", TRAINING)
def test_every_rank_trains_as_torch_does(size: int, name: str) -> None:
    ours, theirs = results("mini_dl", size), results("torch", size)
    for rank in range(size):
        assert (theirs[rank][name] or ())[:1] != ("failed",), theirs[rank][name]
        assert not differences(ours[rank][name], theirs[rank][name])[:3], f"rank {rank} of {size}"


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_that_share_batches_train_as_one_with_all_of_them(size: int) -> None:
    name = "digits_for_three_epochs"
    one = results("mini_dl", 1)[0][name]
    for found in results("mini_dl", size):
        assert not differences(found[name], one)[:3]
