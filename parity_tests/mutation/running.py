"""Mutants against the units that touch them, cheapest first; what became of each."""

from __future__ import annotations

import functools
import importlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from parity_tests.mutation import server, units
from parity_tests.mutation.mapping import Map
from parity_tests.mutation.mutants import Mutant, code_of, functions_of
from parity_tests.mutation.server import Say

STATUSES = ("killed", "timeout", "survived", "undecided", "no test selected", "error")
KILLED, TIMEOUT, SURVIVED, UNDECIDED, UNSELECTED, ERROR = STATUSES
FEW = 20
"""A line that fewer units touch is also tried with those of its function, and then of its file: what is computed once and kept
belongs to the unit that came first.
"""
SIZES = (12, 30, 40, 120, 200, 400)
"""How many units are tried before others: of rows, then of tests, then of rows again."""


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
    """The units that may notice a mutant: those that run its line, and if they are few, some that run its function or file."""
    first, last = mutant.lines
    own = found.touching(mutant.file, range(first, last + 1))
    own = own or found.touching(mutant.file, range(mutant.statement[0], mutant.statement[1] + 1))
    if not own and not mutant.at_import:
        return []
    chosen = dict.fromkeys(own)
    first, last = spans(mutant.file).get(mutant.function, (0, 0))
    for wider in (range(first, last + 1), found.lines.get(mutant.file, {})):
        room = FEW - len(chosen) if own else None
        if room is None or room > 0:
            chosen.update(dict.fromkeys([unit for unit in found.touching(mutant.file, wider) if unit not in chosen][:room]))
        if chosen and not own:
            break
    return list(chosen)


def batches_of(found: Map, chosen: list[int], excluded: set[str]) -> list[list[tuple[str, float]]]:
    """Rows and tests by turns, each cheapest first and from all groups; a few first, then more."""
    rows = [u for u in chosen if units.is_row(found.units[u]) and found.units[u] not in excluded]
    tests = [u for u in chosen if not units.is_row(found.units[u]) and found.units[u] not in excluded]
    queues, batches = [deque(by_turns(found, rows)), deque(by_turns(found, tests))], []
    for turn, size in enumerate([*SIZES, 10**9, 10**9]):
        queue = queues[turn % 2]
        batch = [queue.popleft() for _ in range(min(size, len(queue)))]
        if turn % 2:
            batch.sort(key=lambda u: units.group(found.units[u]))  # a file is collected once
        if batch:
            batches.append([(found.units[u], 20 + 20 * found.seconds[u]) for u in batch])
    return batches


def by_turns(found: Map, chosen: list[int]) -> list[int]:
    """One unit of each group, then the next of each: what is alike is not tried first."""
    groups: dict[str, list[int]] = {}
    for unit in sorted(chosen, key=found.seconds.__getitem__):
        groups.setdefault(units.group(found.units[unit]), []).append(unit)
    place = {unit: i for members in groups.values() for i, unit in enumerate(members)}
    return sorted(chosen, key=lambda unit: (place[unit], found.seconds[unit]))


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
        names = [unit for unit, _ in batch]
        if not units.is_row(names[0]):
            units.run_tests(names, units.Watcher(begins, ended), stop=True)
            continue
        for unit in names:
            begins(unit)
            try:
                why = units.run_row(unit)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            ended(unit, why, 0.0)
    say(survived=True, ran=ran, seconds=time.process_time())


# ------------------------------------------------------------------------------------------------ all of them


class Runner:
    """Runs mutants. The map is the clean baseline; a test that kills is checked once more without a mutant and, if it came
    after others, with the mutant alone.
    """

    def __init__(self, found: Map, budget: float, workers: int) -> None:
        self.found, self.budget, self.workers = found, budget, workers
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
        return Job(mutant, batches_of(self.found, self.chosen[mutant], excluded), self.budget, excluded)

    def _heard(self, trial: server.Trial) -> Iterator[Result]:
        job: Job = trial.job
        if job.mutant is None:
            unit = job.batches[0][0][0]
            self.sound[unit] = "survived" in trial.said[-2 if trial.ending == "done" else -1]
            for result in self.held.pop(unit, []):
                yield from self._settled(result)
            return
        result = result_of(trial, len(self.chosen[job.mutant]))
        if job.alone and result.status != KILLED:  # it failed for what ran before it
            self.waiting.append(self._job(job.mutant, job.excluded))
        elif result.status == KILLED and not job.alone and result.ran > 1 and not units.is_row(result.unit):
            without = {*job.excluded, result.unit}
            self.waiting.appendleft(Job(job.mutant, [[(result.unit, 120.0)]], self.budget, without, alone=True))
        else:
            yield from self._settled(result)

    def _settled(self, result: Result) -> Iterator[Result]:
        """A result whose unit is known to pass without a mutant; others are held back until it is known."""
        unit = result.unit
        if result.status != KILLED or units.is_row(unit) or self.sound.get(unit):
            yield result
        elif unit in self.sound:  # it fails without a mutant, too
            unsound = {name for name, sound in self.sound.items() if not sound}
            self.waiting.append(self._job(result.mutant, unsound))
        else:
            if unit not in self.held:
                self.waiting.appendleft(Job(None, [[(unit, 120.0)]], 600.0))
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
