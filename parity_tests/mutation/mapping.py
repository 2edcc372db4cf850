"""Which units execute which line: determined under coverage once per state of the tree, and kept in files.

Tests are run for at most `ENOUGH` seconds per file. For an entry of torch's tables only the first samples of its main type are
run, which takes a minute in all; units for lines that only other samples and types execute are chosen by the function
(`running.selected`). The same run is the clean baseline of the tests: one that fails without a mutant is never used.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import pickle
import pkgutil
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity_tests.mutation import server, units
from parity_tests.mutation.mutants import Mutant, functions_of
from parity_tests.mutation.server import CACHE, ROOT, Say

LATE = ("onnx", "tensorboard", "viz", "models", "textbook", "compat")
ROWS_TOGETHER = 60
ENOUGH = 30.0
"""Seconds of the processor for the tests of a file, under coverage; tests that come later are not asked."""
SAMPLES, ERRORS = 0.3, 0.1
"""Seconds of the processor for the samples of an entry, and for its wrong calls."""
RUNNERS = ("adapter", "bridge", "compare", "forwards", "judging", "ledger", "mapped", "modules", "ops", "optimizers")


FEW = 20
"""A line that fewer tests run is also tried with those of its function, and then of its file: what is computed once and kept
belongs to the unit that came first.
"""
ROWS = (8, 30, 100, 10**9)
FILES, OF_A_FILE = (3, 6, 12), 8
"""How many rows are tried before some tests, and of how many files how many tests before further rows."""
KINDS = {"nn": "module", "optim": "optimizer"}
"""Which of torch's tables speaks of a folder; for the others its ops."""


@dataclass
class Map:
    """`units` with their seconds; `lines[file][line]` is an integer whose bits are the units that execute the line."""

    units: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lines: dict[str, dict[int, int]] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    """How many units each group has."""

    def touching(self, file: str, lines: Iterable[int]) -> list[int]:
        """The numbers of the units that execute one of these lines, cheapest first."""
        bits, here = 0, self.lines.get(file, {})
        for line in lines:
            bits |= here.get(line, 0)
        found = [number for number, bit in enumerate(reversed(bin(bits)[2:])) if bit == "1"]
        return sorted(found, key=self.seconds.__getitem__)

    def add(self, part: dict[str, Any]) -> None:
        """The units of one process."""
        first = len(self.units)
        for unit, why, seconds in part["units"]:
            if why:
                self.failing[unit] = why
            self.units.append(unit)
            self.sizes[units.group(unit)] += 1
            self.seconds.append(seconds)
        passing = sum(1 << i for i, (_, why, _) in enumerate(part["units"]) if not why)
        for file, lines in part["lines"].items():
            mine = self.lines.setdefault(file, {})
            for line, bits in lines.items():
                mine[line] = mine.get(line, 0) | (bits & passing) << first


def mapped(workers: int, partly: bool = False) -> Map:
    """The map of this tree: the saved parts and, unless `partly`, a run of the others."""
    found, folder = Map(), CACHE / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    sources = hash_of((ROOT / "mini_dl").rglob("*.py"))
    parts = [(folder / f"{key_of(chunk, sources)}.pickle", chunk) for chunk in chunks_of()]
    began, wanted = time.monotonic(), [part for part in parts if not part[0].exists() and not partly]
    for done, trial in enumerate(server.trials(wanted, _map_part, workers), 1):
        place = f"{done} of {len(wanted)}, {time.monotonic() - began:.0f} s"
        print(f"mapped {place}: {trial.job[1][0]} {trial.ending}", flush=True)
    for file, chunk in parts:
        if file.exists():
            found.add(pickle.loads(file.read_bytes()))
        else:
            found.failing.update(dict.fromkeys(chunk, "not mapped"))
    return found


def hash_of(paths: Iterable[Path], *texts: str) -> str:
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    for text in texts:
        found.update(text.encode() + b"\0")
    return found.hexdigest()[:24]


def key_of(chunk: list[str], sources: str) -> str:
    """A key that changes with the package, the file of tests and, for rows of tables, the code that runs them."""
    if units.is_row(chunk[0]):
        return hash_of([ROOT / "parity_tests" / f"{name}.py" for name in RUNNERS], sources, *chunk)
    return hash_of([ROOT / chunk[0]], sources)


def chunks_of() -> list[list[str]]:
    """All units, in parts for one process each: the rows of some entries, or the tests of a file."""
    entries: dict[str, list[str]] = {}
    for row in units.rows():
        entries.setdefault(row.rpartition("|")[0], []).append(row)
    parts = [list(entries.values())[i : i + ROWS_TOGETHER] for i in range(0, len(entries), ROWS_TOGETHER)]
    return [[row for entry in part for row in entry] for part in parts] + [[file] for file in units.test_files()]


def _map_part(job: tuple[Path, list[str]], say: Say) -> None:
    """Run a part under coverage; write the result to a file."""
    os.environ["COVERAGE_CORE"] = "ctrace"  # the one that distinguishes units on every Python
    import coverage

    file, chunk = job
    watch = coverage.Coverage(data_file=None, include=[str(ROOT / "mini_dl" / "*")], config_file=False, messages=False)
    watch.start()
    watch.switch_context("import")
    import_everything()
    found: list[tuple[str, str | None, float]] = []

    def begins(unit: str) -> None:
        watch.switch_context(str(len(found)))
        say(begins=unit)

    def ended(unit: str, why: str | None, seconds: float) -> None:
        found.append((unit, why, seconds))

    if units.is_row(chunk[0]):
        for entry in dict.fromkeys(unit.rpartition("|")[0] for unit in chunk):
            rows = [unit for unit in chunk if unit.rpartition("|")[0] == entry]
            watch.switch_context(" ".join(str(chunk.index(row)) for row in rows))
            seconds = _begin_row(rows[0])
            found += [(row, None, seconds) for row in rows]
    else:
        watcher = units.Watcher(begins, ended)
        watcher.until = ENOUGH
        units.run(chunk, watcher, stop=False)
    watch.stop()
    from mini_dl.files.replacing import rewrite  # here, in a child: its parent must not import the library

    rewrite(file, pickle.dumps({"units": found, "lines": _lines(watch.get_data())}))


def _begin_row(row: str) -> float:
    """Run the first samples of a row, and the wrong calls of its entry; return the seconds it took."""
    from parity_tests import modules, ops, optimizers, tables

    kind, name, dtype = row.split("|")
    runners: dict[str, Any] = {"op": ops, "module": modules, "optimizer": optimizers}
    began = time.process_time()
    with contextlib.suppress(Exception):
        for _ in tables.outcomes_of(kind, name, dtype):
            if time.process_time() - began > SAMPLES:
                break
    taken = time.process_time() - began
    with contextlib.suppress(Exception):
        entry, until = tables.entry_of(kind, name), time.process_time() + ERRORS
        for error in entry.error_samples():
            with contextlib.suppress(Exception):
                runners[kind].check_refusal(entry, error)
            if time.process_time() > until:
                break
    return taken


def _lines(data: Any) -> dict[str, dict[int, int]]:
    """file -> line -> the bits of the units that executed it."""
    found: dict[str, dict[int, int]] = {}
    for path in data.measured_files():
        lines: dict[int, int] = {}
        for line, contexts in data.contexts_by_lineno(path).items():
            bits = sum(1 << int(unit) for context in set(contexts) if context != "import" for unit in context.split())
            if bits:
                lines[line] = bits
        if lines:
            found[str(Path(path).relative_to(ROOT))] = lines
    return found


def import_everything() -> None:
    """Import the package, including what it loads on first use: lines that run at import belong to no unit."""
    import mini_dl

    for module in pkgutil.walk_packages(mini_dl.__path__, "mini_dl."):
        if not any(part in module.name for part in LATE):
            try:
                importlib.import_module(module.name)
            except ImportError:
                continue
    import parity_tests.tables  # noqa: F401


# ------------------------------------------------------------------------------------------------ selection


@functools.cache
def spans(file: str) -> dict[str, tuple[int, int]]:
    return functions_of(file)


def selected(found: Map, mutant: Mutant) -> list[int]:
    """The units that may notice a mutant: rows that run its function, tests that execute its line and, if those are few, some
    run its function or file.
    """
    around, file = spans(mutant.file).get(mutant.function, (0, 0)), found.lines.get(mutant.file, {})
    own = found.touching(mutant.file, span(mutant.lines)) or found.touching(mutant.file, span(mutant.statement))
    near = found.touching(mutant.file, span(around))
    if not near and not own:
        if not mutant.at_import:
            return []
        own = found.touching(mutant.file, file)
    chosen = dict.fromkeys(own)
    chosen.update(dict.fromkeys(unit for unit in near if units.is_row(found.units[unit])))
    tests = sum(not units.is_row(found.units[unit]) for unit in chosen)
    for wider in (near, found.touching(mutant.file, file)):
        more = [unit for unit in wider if unit not in chosen and not units.is_row(found.units[unit])][: max(0, FEW - tests)]
        chosen.update(dict.fromkeys(more))
        tests += len(more)
    return list(chosen)


def span(lines: tuple[int, int]) -> range:
    return range(lines[0], lines[1] + 1)


class ByCoverage:
    """The units that execute the line or function of a mutant: rows and tests alternately, a few first, then more."""

    def __init__(self, found: Map) -> None:
        self.found = found
        self.limits = {unit: 30 + 20 * seconds for unit, seconds in zip(found.units, found.seconds)}

    def limit(self, unit: str) -> float:
        """How long a unit may run, given the time it took under coverage."""
        return self.limits[unit]

    def batches(self, mutant: Mutant, excluded: set[str]) -> list[list[str]]:
        found = self.found
        asked = [unit for unit in selected(found, mutant) if found.units[unit] not in excluded]
        rows = deque(rows_in_order(found, mutant, [unit for unit in asked if units.is_row(found.units[unit])]))
        tests = tests_in_order(found, [unit for unit in asked if not units.is_row(found.units[unit])])
        batches = []
        for size, more in zip(ROWS, tests):
            batches += [[rows.popleft() for _ in range(min(size, len(rows)))], more]
        return [[found.units[unit] for unit in batch] for batch in batches if batch]


def rows_in_order(found: Map, mutant: Mutant, rows: list[int]) -> list[int]:
    """First the entries with the function's name or in the folder's table, in their main type, cheapest first."""
    name = mutant.function.split(".")[0].strip("_").lower()
    table = next((KINDS[part] for part in mutant.file.split("/") if part in KINDS), "op")
    seen, order = Counter[str](), dict[int, tuple[bool, int, bool, float]]()
    for row in sorted(rows):  # in the order of the table, where the main type of an entry comes first
        kind, entry, _ = found.units[row].split("|")
        order[row] = not (name and name in entry.lower()), seen[entry], kind != table, found.seconds[row]
        seen[entry] += 1
    return sorted(rows, key=order.__getitem__)


def tests_in_order(found: Map, tests: list[int]) -> list[list[int]]:
    """The tests in parts, files of which many tests are used first: a file is collected as a whole."""
    files: dict[str, list[int]] = {}
    for test in sorted(tests, key=found.seconds.__getitem__):
        files.setdefault(units.group(found.units[test]), []).append(test)
    names, parts = deque(sorted(files, key=lambda name: -len(files[name]) / found.sizes[name] ** 0.5)), []
    for number in FILES:
        few = [names.popleft() for _ in range(min(number, len(names)))]
        parts.append([test for name in few for test in files[name][:OF_A_FILE]])
    tried = {test for part in parts for test in part}
    return [*parts, [test for name in files for test in files[name] if test not in tried]]
