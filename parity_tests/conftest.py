"""Collects the counts of all sweep tests, from all xdist workers, into report/parity.json, and prints the totals."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import mini_dl
from mini_dl import overrides
from mini_dl.files.replacing import rewrite
from parity_tests import ledger, report as report_page, report_parts
from scripts._matrix import STATUSES

REPORT = Path(os.environ.get("PARITY_REPORT", Path(__file__).parent.parent / "report" / "parity.json"))
WHOLE = {"ops": 600, "modules": 100, "optimizers": 10}
"""How many entries of each table a run has that belongs to the history."""


class Tally:
    """kind (ops, modules, optimizers) -> name -> dtype -> check -> count by status; and the names that did not run."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.missing: dict[str, list[str]] = {}
        self.out_of_scope: dict[str, str] = {}
        self.census: dict[str, Any] = {}

    def add(self, kind: str, outcomes: list[Any], taken: dict[str, int]) -> None:
        for outcome in outcomes:
            status = outcome.status
            if status == "fail" and outcome.check in taken:
                status = "ledgered"
            row = self.counts.setdefault(kind, {}).setdefault(outcome.entry, {}).setdefault(outcome.dtype, {})
            cell = row.setdefault(outcome.check, dict.fromkeys(STATUSES, 0))
            cell[status] += 1

    def dump(self) -> str:
        return json.dumps([self.counts, self.missing, self.out_of_scope, self.census])

    def merge(self, text: str) -> None:
        counts, missing, out_of_scope, census = json.loads(text)
        for kind, names in counts.items():
            for name, dtypes in names.items():
                for dtype, checks in dtypes.items():
                    row = self.counts.setdefault(kind, {}).setdefault(name, {}).setdefault(dtype, {})
                    for check, cell in checks.items():
                        mine = row.setdefault(check, dict.fromkeys(STATUSES, 0))
                        for status, number in cell.items():
                            mine[status] += number
        self.missing.update(missing)
        self.out_of_scope.update(out_of_scope)
        self.census.update(census)

    def totals(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind, names in self.counts.items():
            total: Counter[str] = Counter(entries=len(names))
            for dtypes in names.values():
                for checks in dtypes.values():
                    for cell in checks.values():
                        total.update(cell)
            found[kind] = dict(total)
        found["missing"] = {kind: len(names) for kind, names in self.missing.items()}
        found["out of scope"] = len(self.out_of_scope)
        found["ledger"] = {"gaps": len(ledger.gaps()), "cases": sum(gap.number for gap in ledger.gaps().values())}
        found["ledger"]["tests"] = len(ledger.known_tests())
        return found


tally = Tally()


@pytest.fixture(scope="session")
def counted() -> Tally:
    return tally


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in the ledger must fail; one that passes fails the suite, and so does an id that does not exist."""
    found: set[str] = set()
    whole = {item.path.name for item in items if not item.config.getoption("keyword")}
    for item in items:
        name = item.nodeid.split("/")[-1]
        if name in ledger.known_tests():
            found.add(name)
            item.add_marker(pytest.mark.xfail(strict=True, reason=ledger.known_tests()[name]))
    for name in set(ledger.known_tests()) - found:
        if name.split("::")[0] in whole and not any("::" in argument for argument in items[0].config.args):
            raise pytest.UsageError(f"unknown test in the ledger: {name}")


@pytest.hookimpl(optionalhook=True)  # a hook of pytest-xdist, which is not needed
def pytest_testnodedown(node: Any, error: Any) -> None:
    if "parity" in getattr(node, "workeroutput", {}):
        tally.merge(node.workeroutput["parity"])


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["parity"] = tally.dump()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not tally.counts:  # only some other test ran
        return
    totals = tally.totals()
    terminalreporter.section("parity with torch")
    for kind in tally.counts:
        total = totals[kind]
        terminalreporter.write_line(
            f"{kind}: {total['entries']} run; {total.get('pass', 0)} cases pass, {total.get('fail', 0)} fail, "
            f"{total.get('ledgered', 0)} ledgered, {total.get('n/a', 0)} not applicable"
        )
    for kind, names in tally.missing.items():
        terminalreporter.write_line(f"missing {kind} ({len(names)}): {' '.join(names)}")
    terminalreporter.write_line(f"out of scope ({len(tally.out_of_scope)}): {' '.join(tally.out_of_scope)}")
    terminalreporter.write_line(f"ledger: {totals['ledger']['gaps']} gaps, {totals['ledger']['cases']} cases")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    report = {"totals": totals, "counts": tally.counts, "missing": tally.missing, "out_of_scope": tally.out_of_scope}
    report["census"], report["gaps"] = tally.census, [asdict(gap) for gap in ledger.gaps().values()]
    rewrite(REPORT, json.dumps(report, indent=1, sort_keys=True) + "\n")
    if min((len(tally.counts.get(kind, ())) - least for kind, least in WHOLE.items())) >= 0:
        report_parts.remember(REPORT.with_name("history.json"), totals, report_page.versions("mini_dl"))
    page = REPORT.with_name("index.html")
    report_page.write(REPORT, page)
    terminalreporter.write_line(f"{page}: the support matrix")


def modes_of_this_thread() -> dict[str, Any]:
    """What a test could leave switched on for those after it."""
    return {
        "gradients": mini_dl.is_grad_enabled(),
        "inference mode": mini_dl.is_inference_mode_enabled(),
        "autocast": mini_dl.is_autocast_enabled("cpu"),
        "default type": mini_dl.get_default_dtype().name,
        "function modes": overrides.state.modes,
        "functions without arguments that answer": overrides.state.off,
    }


@pytest.fixture(autouse=True)
def no_mode_stays_behind() -> Iterator[None]:
    """Fails the test that left a mode on, and not those after it."""
    before = modes_of_this_thread()
    yield
    assert modes_of_this_thread() == before
