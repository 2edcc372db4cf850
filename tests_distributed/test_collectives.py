"""Every case at 1, 2, 3 and 4 ranks: each rank finds what torch's gloo finds, by value."""

from __future__ import annotations

import pytest

from tests_distributed.cases import CASES
from tests_distributed.world import results


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CASES)
def test_every_rank_finds_what_torch_finds(size: int, name: str) -> None:
    ours, theirs = results("mini_dl", size), results("torch", size)
    for rank in range(size):
        assert ours[rank][name] == theirs[rank][name], f"rank {rank} of {size}"
        assert theirs[rank][name][:1] != ("failed",) if isinstance(theirs[rank][name], tuple) else True, theirs[rank][name]
