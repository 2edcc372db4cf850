"""Each optimizer of torch's table: 20 steps in float64 (1e-9) and float32 (1e-5), the state afterwards, bad input."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import adapter
from parity_tests.optimizers import run_optimizer
from parity_tests.settling import WIDE, settle


def entries() -> list[adapter.OptimizerEntry]:
    return [entry for entry in adapter.optimizer_entries() if entry.resolves()]


@pytest.mark.parametrize(
    ("entry", "dtype"),
    [
        pytest.param(entry, dtype, id=f"{entry!r}-{dtype}")
        for entry in entries()
        for dtype in WIDE
        if not entry.sparse or dtype == "float32"
    ],
)
def test_every_setting_of_an_optimizer(entry: adapter.OptimizerEntry, dtype: str, counted: Any) -> None:
    settle(counted, "optimizers", repr(entry), dtype, list(run_optimizer(entry, dtype)))


def test_missing_optimizers_are_listed(counted: Any) -> None:
    counted.missing["optimizers"] = [repr(entry) for entry in adapter.optimizer_entries() if not entry.resolves()]
    assert len(adapter.optimizer_entries()) >= 15
