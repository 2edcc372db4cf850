"""Planting a fault, and checking that the suite detects it."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from parity_tests import adapter, faults, faults_by_check, ledger
from parity_tests.judging import FAIL, PASS, Outcome
from parity_tests.modules import run_module
from parity_tests.ops import run_entry
from parity_tests.optimizers import run_optimizer

FAULTS = [*faults.FAULTS, *faults_by_check.FAULTS]


def check_caught(fault: faults.Fault) -> None:
    """AssertionError unless the test that must detect the fault passes before, fails while it is planted, and passes after."""
    assert failures(fault.caught_by) == [], "the test must pass before the fault is planted"
    with fault.plant():
        noticed = failures(fault.caught_by)
    assert noticed, f"nothing noticed {fault.what}"
    assert failures(fault.caught_by) == [], "the fault must be gone"


def fresh(name: str) -> adapter.Entry:
    """An entry that looks up its function again."""
    return adapter.Entry(next(entry.info for entry in adapter.entries() if repr(entry) == name))


def failures(caught_by: tuple[Any, ...]) -> list[str]:
    """The failures in the test that must detect a fault."""
    kind, name = caught_by[:2]
    outcomes: list[Outcome] = []
    if kind == "op":
        for dtype in ("float64", "float32"):
            if dtype in fresh(name).dtypes:
                outcomes += run_entry(fresh(name), dtype, caught_by[2], limit=60)
    elif kind == "module":
        entry = next(e for e in adapter.module_entries() if e.name == name)
        checks = caught_by[2] if len(caught_by) > 2 else ("construct", "forward")
        outcomes += run_module(entry, "float32" if "error" in checks else "float64", checks)
    elif kind == "optimizer":
        entry = next(e for e in adapter.optimizer_entries() if e.name == name)
        outcomes += run_optimizer(entry, "float32")
    else:
        test = getattr(importlib.import_module(f"parity_tests.test_twins_{name}"), caught_by[2])
        try:
            test(**caught_by[3])
        except pytest.fail.Exception as failure:
            return [str(failure)]
        return []
    assert any(o.status == PASS for o in outcomes) or any(o.status == FAIL for o in outcomes), "nothing ran"
    known = {(gap.op, gap.dtype, gap.check) for gap in ledger.gaps().values()}
    return [o.why for o in outcomes if o.status == FAIL and (o.entry, o.dtype, o.check) not in known]
