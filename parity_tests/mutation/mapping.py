"""Which units touch which line: found once per state of the tree by running every unit under coverage, and kept in a file.

The same run is the clean baseline: a unit that fails without a mutant is never asked.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import pkgutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity_tests.mutation import server, units
from parity_tests.mutation.server import CACHE, ROOT, Say

LATE = ("onnx", "tensorboard", "viz", "models", "textbook", "compat")
ROWS_TOGETHER = 24
RUNNERS = ("adapter", "bridge", "compare", "forwards", "judging", "ledger", "mapped", "modules", "ops", "optimizers")


@dataclass
class Map:
    """`units` with their seconds; `lines[file][line]` is a number whose bits are the units that run the line."""

    units: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lines: dict[str, dict[int, int]] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)

    def touching(self, file: str, lines: Iterable[int]) -> list[int]:
        """The numbers of the units that run one of these lines, cheapest first."""
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
            self.seconds.append(seconds)
        passing = sum(1 << i for i, (_, why, _) in enumerate(part["units"]) if not why)
        for file, lines in part["lines"].items():
            mine = self.lines.setdefault(file, {})
            for line, bits in lines.items():
                mine[line] = mine.get(line, 0) | (bits & passing) << first


def mapped(workers: int, partly: bool = False) -> Map:
    """The map of this tree: parts that are on file for this state of the sources, and, unless `partly`, a run of the others."""
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
    """Changes with the package, with the file of tests, and for rows of tables with what runs them."""
    if units.is_row(chunk[0]):
        return hash_of([ROOT / "parity_tests" / f"{name}.py" for name in RUNNERS], sources, *chunk)
    return hash_of([ROOT / chunk[0]], sources)


def chunks_of() -> list[list[str]]:
    """All units, in parts that one process runs: some rows, or the tests of a file."""
    rows: list[str] = []
    for trial in server.trials([None], _list_rows, 1):
        rows = trial.said[0].get("rows", [])
        if not rows:
            raise RuntimeError(f"torch's tables could not be read: {trial.said}")
    return [rows[i : i + ROWS_TOGETHER] for i in range(0, len(rows), ROWS_TOGETHER)] + [[file] for file in units.test_files()]


def _list_rows(_: None, say: Say) -> None:
    from parity_tests import tables

    say(rows=["|".join(row) for row in tables.rows()])


def _map_part(job: tuple[Path, list[str]], say: Say) -> None:
    """Run a part under coverage; what is found is left in a file."""
    os.environ["COVERAGE_CORE"] = "ctrace"  # the one that tells units apart on every Python
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
        for unit in chunk:
            begins(unit)
            began = time.process_time()
            try:
                why = units.run_row(unit)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            ended(unit, why, time.process_time() - began)
    else:
        units.run_tests(chunk, units.Watcher(begins, ended), stop=False)
    watch.stop()
    from mini_dl.files.replacing import rewrite  # here, in a child: its parent must not have the library

    rewrite(file, pickle.dumps({"units": found, "lines": _lines(watch.get_data())}))


def _lines(data: Any) -> dict[str, dict[int, int]]:
    """file -> line -> the bits of the units that ran it."""
    found: dict[str, dict[int, int]] = {}
    for path in data.measured_files():
        lines: dict[int, int] = {}
        for line, contexts in data.contexts_by_lineno(path).items():
            bits = sum(1 << int(context) for context in set(contexts) if context.isdigit())
            if bits:
                lines[line] = bits
        if lines:
            found[str(Path(path).relative_to(ROOT))] = lines
    return found


def import_everything() -> None:
    """Import the package, also what it leaves for later: what runs at import belongs to no unit."""
    import mini_dl

    for module in pkgutil.walk_packages(mini_dl.__path__, "mini_dl."):
        if not any(part in module.name for part in LATE):
            try:
                importlib.import_module(module.name)
            except ImportError:
                continue
    import parity_tests.tables  # noqa: F401
