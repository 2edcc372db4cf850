"""Evaluating the outcomes of a test of one of torch's tables."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import ledger
from parity_tests.judging import FAIL, PASS, SKIP, Outcome

WIDE = ("float64", "float32")


def settle(counted: Any, kind: str, name: str, dtype: str, outcomes: list[Outcome]) -> None:
    """Count the outcomes of one op; fail for those that the ledger does not accept."""
    failures: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status == FAIL:
            failures.setdefault(outcome.check, []).append(outcome)
    complaints, taken = ledger.judge(name, dtype, failures, {outcome.check for outcome in outcomes})
    counted.add(kind, outcomes, taken)
    if complaints:
        pytest.fail(f"{name} {dtype}\n" + "\n".join(complaints), pytrace=False)
    executed = sum(outcome.status != SKIP for outcome in outcomes)
    assert executed, f"{name} {dtype}: not one case was executed: {sorted({outcome.why for outcome in outcomes})[:5]}"
    assert executed == sum(outcome.status == PASS for outcome in outcomes) + sum(taken.values())
