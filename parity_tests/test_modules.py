"""Each module of torch's table, in float64 and float32, in training and in evaluation."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import adapter
from parity_tests.modules import run_module
from parity_tests.settling import WIDE, settle


def entries() -> list[adapter.ModuleEntry]:
    return [entry for entry in adapter.module_entries() if entry.resolves()]


@pytest.mark.parametrize(
    ("entry", "dtype"),
    [pytest.param(entry, dtype, id=f"{entry!r}-{dtype}") for entry in entries() for dtype in WIDE if dtype in entry.dtypes],
)
def test_every_check_of_a_module(entry: adapter.ModuleEntry, dtype: str, counted: Any) -> None:
    settle(counted, "modules", repr(entry), dtype, list(run_module(entry, dtype)))


def test_missing_modules_are_listed(counted: Any) -> None:
    counted.missing["modules"] = [repr(entry) for entry in adapter.module_entries() if not entry.resolves()]
    assert len(adapter.module_entries()) >= 114
