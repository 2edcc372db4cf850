"""Mutants against the units that touch them, cheapest first; what became of each."""

from __future__ import annotations

import functools
import importlib
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from parity_tests.mutation import server, units
from parity_tests.mutation.mapping import Map
from parity_tests.mutation.mutants import Mutant, code_of, functions_of
from parity_tests.mutation.server import Say

STATUSES = ("killed", "timeout", "survived", "undecided", "no test selected", "error")
KILLED, TIMEOUT, SURVIVED, UNDECIDED, UNSELECTED, ERROR = STATUSES
NOTICED = (KILLED, TIMEOUT)
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
class Result:
    mutant: Mutant
    status: str
    unit: str = ""
    why: str = ""
    ran: int = 0
    selected: int = 0
    seconds: float = 0.0


@dataclass
class Job:
    """A mutant, or none for the clean baseline, and the units to be tried with their limits in seconds."""

    mutant: Mutant | None
    batches: list[list[tuple[str, float]]]
    budget: float
    excluded: set[str] = field(default_factory=set)
    alone: bool = False


# ------------------------------------------------------------------------------------------------ selection


@functools.cache
def spans(file: str) -> dict[str, tuple[int, int]]:
    return functions_of(file)


def selected(found: Map, mutant: Mutant) -> list[int]:
    """The units that may notice a mutant: rows that run its function, tests that run its line, and if these are few, some that
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


def batches_of(found: Map, mutant: Mutant, chosen: list[int], excluded: set[str]) -> list[list[tuple[str, float]]]:
    """Rows and tests by turns: a few first, then more."""
    asked = [unit for unit in chosen if found.units[unit] not in excluded]
    rows = deque(rows_in_order(found, mutant, [unit for unit in asked if units.is_row(found.units[unit])]))
    tests = tests_in_order(found, [unit for unit in asked if not units.is_row(found.units[unit])])
    batches = []
    for size, more in zip(ROWS, tests):
        batches += [[rows.popleft() for _ in range(min(size, len(rows)))], more]
    return [[(found.units[unit], limit_of(found.seconds[unit])) for unit in batch] for batch in batches if batch]


def limit_of(seconds: float) -> float:
    """How long a unit may run that took so long under coverage."""
    return 30 + 20 * seconds


def rows_in_order(found: Map, mutant: Mutant, rows: list[int]) -> list[int]:
    """First the entries that have the function's name or are of the folder's table, in their main type, the cheapest first."""
    name = mutant.function.split(".")[0].strip("_").lower()
    table = next((KINDS[part] for part in mutant.file.split("/") if part in KINDS), "op")
    seen, order = Counter[str](), dict[int, tuple[bool, int, bool, float]]()
    for row in sorted(rows):  # in the order of the table, where the main type of an entry comes first
        kind, entry, _ = found.units[row].split("|")
        order[row] = not (name and name in entry.lower()), seen[entry], kind != table, found.seconds[row]
        seen[entry] += 1
    return sorted(rows, key=order.__getitem__)


def tests_in_order(found: Map, tests: list[int]) -> list[list[int]]:
    """Parts of the tests. First come files of which many tests are asked: a file is collected as a whole."""
    files: dict[str, list[int]] = {}
    for test in sorted(tests, key=found.seconds.__getitem__):
        files.setdefault(units.group(found.units[test]), []).append(test)
    names, parts = deque(sorted(files, key=lambda name: -len(files[name]) / found.sizes[name] ** 0.5)), []
    for number in FILES:
        few = [names.popleft() for _ in range(min(number, len(names)))]
        parts.append([test for name in few for test in files[name][:OF_A_FILE]])
    tried = {test for part in parts for test in part}
    return [*parts, [test for name in files for test in files[name] if test not in tried]]


# ------------------------------------------------------------------------------------------------ in a process of its own


def attempt(job: Job, say: Say) -> None:
    """Plant the mutant, import the project, and run units until one fails or the time is over."""
    server.limit(60)
    if job.mutant is not None:
        server.plant(job.mutant.file, code_of(job.mutant))
    say(begins="import")
    try:
        importlib.import_module("mini_dl")
        if job.mutant is not None:
            importlib.import_module(job.mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
        importlib.import_module("parity_tests.tables")
    except BaseException as error:
        say(killed="import", why=f"{type(error).__name__}: {error}"[:300])
        return
    if job.mutant is not None and not server.planted:
        raise RuntimeError("the changed file was not loaded")
    limits = {unit: seconds for batch in job.batches for unit, seconds in batch}
    ran = 0

    def begins(unit: str) -> None:
        if time.process_time() > job.budget:
            say(over=True, ran=ran, seconds=time.process_time(), done=True)
            os._exit(0)
        say(begins=unit)
        server.limit(limits.get(unit, 60.0))

    def ended(unit: str, why: str | None, _: float) -> None:
        nonlocal ran
        ran += 1
        if why:
            say(killed=unit, why=why[:300], ran=ran, seconds=time.process_time(), done=True)
            os._exit(0)

    for batch in job.batches:
        units.run([unit for unit, _ in batch], units.Watcher(begins, ended))
    say(survived=True, ran=ran, seconds=time.process_time())


# ------------------------------------------------------------------------------------------------ all of them


class Runner:
    """Runs mutants. What kills is checked once more without a mutant and, if it is a test that came after others, with the
    mutant alone.
    """

    def __init__(self, found: Map, budget: float, workers: int) -> None:
        self.found, self.budget, self.workers = found, budget, workers
        self.limits = {unit: limit_of(seconds) for unit, seconds in zip(found.units, found.seconds)}
        self.sound: dict[str, bool] = {"import": True}
        self.waiting: deque[Job] = deque()
        self.held: dict[str, list[Result]] = {}
        self.chosen: dict[Mutant, list[int]] = {}

    def results(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        for mutant in mutants:
            self.chosen[mutant] = selected(self.found, mutant)
            if self.chosen[mutant]:
                self.waiting.append(self._job(mutant, set()))
            else:
                yield Result(mutant, UNSELECTED)
        for trial in server.trials(self.waiting, attempt, self.workers):
            yield from self._heard(trial)

    def _job(self, mutant: Mutant, excluded: set[str]) -> Job:
        return Job(mutant, batches_of(self.found, mutant, self.chosen[mutant], excluded), self.budget, excluded)

    def _heard(self, trial: server.Trial) -> Iterator[Result]:
        job: Job = trial.job
        if job.mutant is None:
            unit = job.batches[0][0][0]
            self.sound[unit] = any("survived" in message for message in trial.said)
            for result in self.held.pop(unit, []):
                yield from self._settled(result)
            return
        result = result_of(trial, len(self.chosen[job.mutant]))
        if job.alone and result.status not in NOTICED:  # it failed for what ran before it
            self.waiting.append(self._job(job.mutant, job.excluded))
        elif result.status in NOTICED and not job.alone and result.ran > 1 and not units.is_row(result.unit):
            without = {*job.excluded, result.unit}
            self.waiting.appendleft(
                Job(job.mutant, [[(result.unit, self.limits[result.unit])]], self.budget, without, alone=True)
            )
        else:
            yield from self._settled(result)

    def _settled(self, result: Result) -> Iterator[Result]:
        """A result whose unit is known to pass without a mutant; others are held back until it is known."""
        unit = result.unit
        if result.status not in NOTICED or self.sound.get(unit):
            yield result
        elif unit in self.sound:  # it fails without a mutant, too
            unsound = {name for name, sound in self.sound.items() if not sound}
            self.waiting.append(self._job(result.mutant, unsound))
        else:
            if unit not in self.held:
                self.waiting.appendleft(Job(None, [[(unit, self.limits[unit])]], 600.0))
            self.held.setdefault(unit, []).append(result)


def result_of(trial: server.Trial, chosen: int) -> Result:
    """What became of a mutant, from what its process said."""
    found = Result(trial.job.mutant, ERROR, selected=chosen)
    for message in trial.said:
        found.ran, found.seconds = message.get("ran", found.ran), message.get("seconds", found.seconds)
        if "begins" in message:
            found.unit = message["begins"]
        if "killed" in message:
            found.status, found.unit, found.why = KILLED, message["killed"], message["why"]
        elif "survived" in message:
            found.status, found.unit = SURVIVED, ""
        elif "over" in message:
            found.status, found.unit = UNDECIDED, ""
        elif "error" in message:
            found.why = message["error"]
    if trial.ending == "timeout":
        found.status, found.why = TIMEOUT, "runs on where the unit ends without the mutant"
    elif trial.ending == "died" and found.unit and not found.why:
        found.status, found.why = KILLED, "the process crashed"
    return found
