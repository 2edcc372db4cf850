"""Each op of torch's table: in float64 and float32 every check, in all other types results and gradients."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import adapter, ledger
from parity_tests.ops import CHECKS, REFERENCE_CHECKS
from parity_tests.settling import WIDE, settle
from parity_tests.tables import entries, main_dtypes, other_dtypes, outcomes_in


@pytest.mark.parametrize(
    ("entry", "dtype"),
    [pytest.param(entry, dtype, id=f"{entry!r}-{dtype}") for entry in entries() for dtype in main_dtypes(entry)],
)
def test_every_check_of_an_op(entry: adapter.Entry, dtype: str, counted: Any) -> None:
    settle(counted, "ops", repr(entry), dtype, list(outcomes_in(entry, dtype)))


@pytest.mark.parametrize(
    ("entry", "dtype"),
    [pytest.param(entry, dtype, id=f"{entry!r}-{dtype}") for entry in entries() for dtype in other_dtypes(entry)],
)
def test_other_dtypes_of_an_op(entry: adapter.Entry, dtype: str, counted: Any) -> None:
    settle(counted, "ops", repr(entry), dtype, list(outcomes_in(entry, dtype)))


def test_what_does_not_run_is_listed(counted: Any) -> None:
    """Every entry of torch's table runs, is missing by name, or is out of scope for a reason."""
    absent = [entry for entry in adapter.entries() if not entry.resolves()]
    counted.missing["ops"] = [repr(entry) for entry in absent if not entry.out_of_scope]
    counted.out_of_scope.update({repr(entry): entry.out_of_scope for entry in absent if entry.out_of_scope})
    assert len(entries()) + len(absent) == len(adapter.entries()) >= 700


def test_the_ledger_speaks_of_ops_that_run() -> None:
    checks = {*CHECKS, *REFERENCE_CHECKS, "error message"}
    known: dict[str, set[tuple[str, str]]] = {}
    for entry in entries():
        dtypes = main_dtypes(entry) + other_dtypes(entry)
        known[repr(entry)] = {(dtype, check) for dtype in dtypes for check in checks}
    for entry in adapter.module_entries():
        if entry.resolves():
            parts = ("construct", "forward", "grad", "gradgrad", "buffers", "error", "error message")
            known[repr(entry)] = {(dtype, part) for dtype in WIDE for part in parts}
    for entry in adapter.optimizer_entries():
        if entry.resolves():
            known[repr(entry)] = {(dtype, part) for dtype in WIDE for part in ("trajectory", "error", "error message")}
    assert not ledger.unknown(known)
