"""The units that can notice a mutant, each run by itself: rows of torch's tables, examples of a module, tests by their ids.

A row is named ``op|add|float64``, examples ``examples|mini_dl.ops.sorting``. A test is named as pytest does:
``tests/test_init.py::test_xavier``.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parity_tests.mutation import server

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = {"test_sweep.py", "test_modules.py", "test_optimizers.py"}
"""Files that run torch's tables, whose rows are units of their own."""
ABOUT_OTHER_THINGS = {
    "test_architecture.py", "test_blinding.py", "test_book.py", "test_census.py", "test_commands.py",
    "test_examples.py", "test_fuzz_files.py", "test_import_walk.py", "test_imports.py", "test_instruments.py", "test_mutation.py",
    "test_packaging.py", "test_passing_through.py", "test_programs.py", "test_report.py", "test_runner.py", "test_shipping.py",
    "test_targets.py", "test_viz.py",
}  # fmt: skip
"""Files about the repository, about the tests, or that run in processes of their own, where a mutant is not planted."""

OPTIONS = ("-o", "addopts=--strict-markers", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:xdist", "--assert=plain")


def test_files() -> list[str]:
    found = [path for folder in ("parity_tests", "tests") for path in sorted((ROOT / folder).glob("test_*.py"))]
    found.sort(key=lambda path: "twins" not in path.name)
    return [str(path.relative_to(ROOT)) for path in found if path.name not in ROWS | ABOUT_OTHER_THINGS]


def rows() -> list[str]:
    """The rows of torch's tables; for each entry, those of its main type first."""
    for trial in server.trials([None], _list_rows, 1):
        if found := trial.said[0].get("rows"):
            return list(found)
        raise RuntimeError(f"torch's tables could not be read: {trial.said}")
    return []


def _list_rows(_: None, say: server.Say) -> None:
    from parity_tests import tables

    say(rows=["|".join(row) for row in tables.rows()])


def is_row(unit: str) -> bool:
    return "|" in unit and "::" not in unit


EXAMPLES = "examples"


def complaint_about_examples(module: str) -> str | None:
    """The first failure among the examples of a module, as `tests/test_docs.py` runs them."""
    import mini_dl

    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    mini_dl.set_default_dtype(mini_dl.float32)
    mini_dl.manual_seed(0)
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module)):
        test.globs.update(torch=mini_dl, nn=mini_dl.nn, F=mini_dl.nn.functional)
        runner.run(test, out=lambda _: None)
        if runner.failures:
            return f"the example of {test.name}"
    return None


def group(unit: str) -> str:
    """The group of similar units that a unit belongs to: the rows of a table, the tests of a file."""
    return unit.split("|")[0] if is_row(unit) else unit.split("::")[0]


def function_of(item: Any) -> str:
    """The test without its parameters."""
    return str(item.nodeid).partition("[")[0]


class Watcher:
    """A plugin of pytest that reports when each test begins and whether it failed."""

    def __init__(self, begins: Callable[[str], None], ended: Callable[[str, str | None, float], None]) -> None:
        self.begins, self.ended = begins, ended
        self.until = float("inf")
        """After so many seconds of the processor, no further test is begun."""
        self.share = float("inf")
        """After so many seconds of the processor, no further parameters of a test are tried."""
        self.spent = Counter[str]()
        self.why: str | None = None
        self.running = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> Any:
        self.why, self.running, began = None, item.nodeid, time.process_time()
        self.begins(item.nodeid)
        try:
            return (yield)
        finally:
            self.ended(item.nodeid, self.why, time.process_time() - began)
            self.spent[function_of(item)] += time.process_time() - began
            if time.process_time() > self.until:
                item.session.shouldstop = "the time is over"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> None:
        if self.spent[function_of(item)] > self.share:
            pytest.skip("its share of the time is over")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and self.why is None:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.why = f"{report.when}: {crash.message if crash else report.longrepr}"[:300]

    def pytest_internalerror(self, excrepr: Any) -> None:
        """A test broke pytest itself, which stops: as in the suite, that is noticed."""
        if self.running:
            self.ended(self.running, f"pytest stopped: {excrepr}"[-300:], 0.0)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.ended(str(report.nodeid), f"collection: {report.longrepr}"[:300], 0.0)


@contextlib.contextmanager
def _at_root() -> Iterator[None]:
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        yield
    finally:
        os.chdir(before)


def run_tests(tests: list[str], watcher: Watcher, stop: bool) -> int:
    """Run tests by their ids, or files of tests; the watcher gets the results; returns pytest's status, 5 if nothing ran."""
    import hypothesis

    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    with _at_root():
        status = int(pytest.main([*OPTIONS, *(["-x"] * stop), *tests], plugins=[watcher]))
    if status not in (0, 1, 5):
        raise RuntimeError(f"pytest ended with {status}")
    return status


def run(names: list[str], watcher: Watcher, stop: bool = True) -> None:
    """Run rows or tests, and report each to the watcher. If it has a share, rows run for that long."""
    if not is_row(names[0]):
        run_tests(names, watcher, stop)
        return
    from parity_tests import tables

    for unit in names:
        watcher.begins(unit)
        began = time.process_time()
        try:
            row, share = unit.split("|"), watcher.share
            if row[0] == EXAMPLES:
                why = complaint_about_examples(row[1])
            else:
                why = tables.complaint_at_a_glance(*row, share) if share < float("inf") else tables.complaint(*row)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        watcher.ended(unit, why, time.process_time() - began)
