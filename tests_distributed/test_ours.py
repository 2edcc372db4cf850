"""Features that torch's gloo lacks: other types, disagreeing ranks, timeouts, a second start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests_distributed import ours
from tests_distributed.world import start

CHECKS = [name for name in vars(ours) if name.startswith("check_")]


@pytest.mark.parametrize("size", [2, 3])
def test_all_checks_hold_on_every_rank(size: int, tmp_path: Path) -> None:
    done = start(["-m", "tests_distributed.ours", str(tmp_path)], size)
    assert done.returncode == 0, done.stderr[-4000:]
    for rank in range(size):
        assert (tmp_path / f"{rank}.txt").read_text(encoding="utf-8").split() == CHECKS
