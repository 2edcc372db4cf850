"""The parts of torch's tables that the suite runs: entries, types and checks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from parity_tests import adapter, ledger
from parity_tests.judging import FAIL, SKIP, Outcome
from parity_tests.modules import run_module
from parity_tests.ops import CHECKS, run_entry
from parity_tests.optimizers import run_optimizer
from parity_tests.settling import WIDE

IN_ONE_TYPE = ("fwgrad_bwgrad", "vmap", "vmap_grad")
"""Checks of how derivatives and batches are composed, for which float64 suffices; ``parity_tests.sweep`` uses any type."""
WHOLE = ("int64", "bool", "complex64")
PARTLY = tuple("float16 bfloat16 complex128 uint8 int32 int16 int8 uint16 uint32 uint64".split())
OTHERS = WHOLE + PARTLY
"""The types in which results, gradients and writes alone are compared: of all samples, or of the first ones."""
SAMPLES = {"grid_sampler_3d": 1}
MOST = 40
"""Of how many samples in the types that run partly: only a few entries have more, some of them a thousand."""


def entries() -> list[adapter.Entry]:
    return [entry for entry in adapter.entries() if entry.resolves()]


def main_dtypes(entry: adapter.Entry) -> list[str]:
    """float64 and float32, or else the first type the op is defined for."""
    found = [dtype for dtype in WIDE if dtype in entry.dtypes]
    return found or [dtype for dtype in OTHERS if dtype in entry.dtypes][:1]


def other_dtypes(entry: adapter.Entry) -> list[str]:
    return [dtype for dtype in OTHERS if dtype in entry.dtypes and dtype not in main_dtypes(entry)]


def checks_in(entry: adapter.Entry, dtype: str) -> tuple[str, ...]:
    """The checks of an entry in a type."""
    if dtype in main_dtypes(entry):
        return tuple(check for check in CHECKS if check not in IN_ONE_TYPE or dtype != "float32" or "float64" not in entry.dtypes)
    return ("forward", "grad", "inplace", "out") if dtype in entry.gradient_dtypes else ("forward", "inplace", "out")


def outcomes_in(entry: adapter.Entry, dtype: str, limit: int | None = None) -> Iterator[Outcome]:
    """What comes of an entry in a type."""
    if limit is None and dtype in PARTLY and dtype not in main_dtypes(entry):
        limit = SAMPLES.get(entry.name, MOST)
    return run_entry(entry, dtype, checks_in(entry, dtype), limit=limit)


# ------------------------------------------------------------------------------------------------ rows by name


def rows() -> Iterator[tuple[str, str, str]]:
    """(kind, name, dtype) of everything that the suite runs from the three tables."""
    for entry in entries():
        yield from (("op", repr(entry), dtype) for dtype in main_dtypes(entry) + other_dtypes(entry))
    for module in adapter.module_entries():
        if module.resolves():
            yield from (("module", repr(module), dtype) for dtype in WIDE if dtype in module.dtypes)
    for optimizer in adapter.optimizer_entries():
        if optimizer.resolves():
            yield from (("optimizer", repr(optimizer), dtype) for dtype in WIDE if not optimizer.sparse or dtype == "float32")


def entry_of(kind: str, name: str) -> Any:
    table: list[Any] = {"op": adapter.entries, "module": adapter.module_entries, "optimizer": adapter.optimizer_entries}[kind]()
    return next(entry for entry in table if repr(entry) == name)


def outcomes_of(kind: str, name: str, dtype: str, limit: int | None = None) -> Iterator[Outcome]:
    entry = entry_of(kind, name)
    if kind == "op":
        return outcomes_in(entry, dtype, limit)
    return iter(run_module(entry, dtype) if kind == "module" else run_optimizer(entry, dtype))


def complaint(kind: str, name: str, dtype: str) -> str | None:
    """The first failure of a row that the ledger does not accept, as soon as it occurs; None if there is none."""
    failures: dict[str, list[Outcome]] = {}
    ran, executed = set(), 0
    for outcome in outcomes_of(kind, name, dtype):
        ran.add(outcome.check)
        executed += outcome.status != SKIP
        if outcome.status == FAIL:
            if (name, dtype, outcome.check) not in ledger.gaps():
                return f"{outcome.check} {outcome.place}: {outcome.why}"
            failures.setdefault(outcome.check, []).append(outcome)
    complaints, _ = ledger.judge(name, dtype, failures, ran)
    if not executed:
        complaints.append("not one case was executed")
    return complaints[0] if complaints else None


def complaint_at_a_glance(kind: str, name: str, dtype: str, seconds: float) -> str | None:
    """The first failure among the first samples of a row, if one comes in so many seconds of the processor."""
    until = time.process_time() + seconds
    for outcome in outcomes_of(kind, name, dtype, limit=2):
        if outcome.status == FAIL and (name, dtype, outcome.check) not in ledger.gaps():
            return f"{outcome.check} {outcome.place}: {outcome.why}"
        if time.process_time() > until:
            break
    return None
