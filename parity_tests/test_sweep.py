"""Each op of torch's table, in float64 and float32: forward, gradient, second order, in-place, out=, methods, bad input."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import adapter, ledger
from parity_tests.ops import CHECKS, run_entry
from parity_tests.settling import WIDE, settle

IN_ONE_TYPE = ("fwgrad_bwgrad", "vmap", "vmap_grad")
"""Checks of how derivatives and batches are put together, which float64 settles: ``parity_tests.sweep`` runs them in any type."""
OTHERS = ("int64", "bool", "complex64", "uint8", "int32", "float16", "complex128")


def entries() -> list[adapter.Entry]:
    return [entry for entry in adapter.entries() if entry.resolves()]


def main_dtypes(entry: adapter.Entry) -> list[str]:
    """float64 and float32, or else the first type the op is defined for."""
    found = [dtype for dtype in WIDE if dtype in entry.dtypes]
    return found or [dtype for dtype in OTHERS if dtype in entry.dtypes][:1]


def other_dtypes(entry: adapter.Entry) -> list[str]:
    return [dtype for dtype in OTHERS[:3] if dtype in entry.dtypes and dtype not in main_dtypes(entry)]


@pytest.mark.parametrize(
    ("entry", "dtype"),
    [pytest.param(entry, dtype, id=f"{entry!r}-{dtype}") for entry in entries() for dtype in main_dtypes(entry)],
)
def test_every_check_of_an_op(entry: adapter.Entry, dtype: str, counted: Any) -> None:
    checks = [check for check in CHECKS if check not in IN_ONE_TYPE or dtype != "float32" or "float64" not in entry.dtypes]
    settle(counted, "ops", repr(entry), dtype, list(run_entry(entry, dtype, checks)))


@pytest.mark.parametrize(
    ("entry", "dtype"),
    [pytest.param(entry, dtype, id=f"{entry!r}-{dtype}") for entry in entries() for dtype in other_dtypes(entry)],
)
def test_other_dtypes_of_an_op(entry: adapter.Entry, dtype: str, counted: Any) -> None:
    checks = ("forward", "grad") if dtype in entry.gradient_dtypes else ("forward",)
    settle(counted, "ops", repr(entry), dtype, list(run_entry(entry, dtype, checks)))


def test_what_does_not_run_is_listed(counted: Any) -> None:
    """Every entry of torch's table runs, is missing by name, or is out of scope for a reason."""
    absent = [entry for entry in adapter.entries() if not entry.resolves()]
    counted.missing["ops"] = [repr(entry) for entry in absent if not entry.out_of_scope]
    counted.out_of_scope.update({repr(entry): entry.out_of_scope for entry in absent if entry.out_of_scope})
    assert len(entries()) + len(absent) == len(adapter.entries()) >= 700


def test_the_ledger_speaks_of_ops_that_run() -> None:
    checks = {*CHECKS, "error message"}
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
