"""Runs mutants against the units chosen for them, cheapest first; the outcome of each."""

from __future__ import annotations

import importlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from parity_tests.mutation import server, units
from parity_tests.mutation.mutants import Mutant, code_of
from parity_tests.mutation.server import Say

STATUSES = ("killed", "timeout", "survived", "undecided", "no test selected", "error")
KILLED, TIMEOUT, SURVIVED, UNDECIDED, UNSELECTED, ERROR = STATUSES
NOTICED = (KILLED, TIMEOUT)
CHILDREN = Path(__file__).with_name("children")
"""A folder whose ``sitecustomize`` plants the mutant in the processes that a test starts."""
NEAREST, NEAR, MOMENT = 2, 4, 0.4
"""How many batches come first, how many before all others, and for how many seconds of the processor a unit is tried at first."""


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
    """A mutant, or None for the clean baseline, and the units to run with their limits in seconds."""

    mutant: Mutant | None
    batches: list[list[tuple[str, float]]]
    budget: float
    excluded: set[str] = field(default_factory=set)
    alone: Result | None = None
    """What the mutant came to among other units, where the last of them is now tried alone."""


class Selection(Protocol):
    """Which units are run."""

    def batches(self, mutant: Mutant, excluded: set[str]) -> list[list[str]]:
        """Parts of the units, each of rows or of tests, in the order in which they are run."""
        ...

    def limit(self, unit: str) -> float:
        """How many seconds of CPU time a unit may take."""
        ...


def shares_of(job: Job) -> Iterator[tuple[list[str], float]]:
    """The batches of a job, each for how many seconds of a unit: those near are first tried for a moment each, then the nearest
    as a whole, and then the others likewise.
    """
    batches = [[unit for unit, _ in batch] for batch in job.batches]
    if sum(map(len, batches)) > 1:
        nearest, near, others = batches[:NEAREST], batches[NEAREST:NEAR], batches[NEAR:]
        yield from ((batch, MOMENT) for batch in nearest + near)
        yield from ((batch, float("inf")) for batch in nearest)
        yield from ((batch, MOMENT) for batch in others)
        yield from ((batch, float("inf")) for batch in near + others)
    else:
        yield from ((batch, float("inf")) for batch in batches)


# ------------------------------------------------------------------------------------------------ in a process of its own


def attempt(job: Job, say: Say) -> None:
    """Plant the mutant, import the project, and run units until one fails or the time is up."""
    server.limit(60)
    if job.mutant is not None:
        server.plant(job.mutant.file, code_of(job.mutant))
        os.environ["MUTANT"] = f"{job.mutant.file}:{job.mutant.number}"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(CHILDREN), str(server.ROOT), os.environ.get("PYTHONPATH", "")])
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

    for batch, share in shares_of(job):
        watcher = units.Watcher(begins, ended)
        watcher.share = share
        units.run(batch, watcher)
    say(survived=True, ran=ran, seconds=time.process_time())


# ------------------------------------------------------------------------------------------------ all of them


class Runner:
    """Runs mutants. A unit that kills one is run again without the mutant and, if it is a test that ran after others, alone with
    the mutant.
    """

    def __init__(self, selection: Selection, budget: float, workers: int) -> None:
        self.selection, self.budget, self.workers = selection, budget, workers
        self.sound: dict[str, bool] = {"import": True}
        self.waiting: deque[Job] = deque()
        self.held: dict[str, list[Result]] = {}

    def results(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        for mutant in mutants:
            job = self._job(mutant, set())
            if job.batches:
                self.waiting.append(job)
            else:
                yield Result(mutant, UNSELECTED)
        for trial in server.trials(self.waiting, attempt, self.workers):
            yield from self._results_from(trial)

    def _job(self, mutant: Mutant, excluded: set[str]) -> Job:
        batches = [[(unit, self.selection.limit(unit)) for unit in part] for part in self.selection.batches(mutant, excluded)]
        return Job(mutant, batches, self.budget, excluded)

    def _only(self, unit: str) -> list[list[tuple[str, float]]]:
        return [[(unit, self.selection.limit(unit))]]

    def _results_from(self, trial: server.Trial) -> Iterator[Result]:
        job: Job = trial.job
        if job.mutant is None:
            unit = job.batches[0][0][0]
            self.sound[unit] = any("survived" in message for message in trial.said)
            for result in self.held.pop(unit, []):
                yield from self._settled(result)
            return
        result = result_of(trial)
        if job.alone and result.status not in NOTICED:  # it failed because of what ran before it
            self.waiting.append(self._job(job.mutant, job.excluded))
        elif job.alone:
            yield from self._settled(replace(job.alone, seconds=job.alone.seconds + result.seconds))
        elif result.status in NOTICED and result.ran > 1 and not units.is_row(result.unit):
            without = {*job.excluded, result.unit}
            self.waiting.appendleft(Job(job.mutant, self._only(result.unit), self.budget, without, alone=result))
        else:
            yield from self._settled(result)

    def _settled(self, result: Result) -> Iterator[Result]:
        """A result whose unit is known to pass without a mutant; others are held back until that is known."""
        unit = result.unit
        if result.status not in NOTICED or self.sound.get(unit):
            yield result
        elif unit in self.sound:  # it also fails without a mutant
            unsound = {name for name, sound in self.sound.items() if not sound}
            self.waiting.append(self._job(result.mutant, unsound))
        else:
            if unit not in self.held:
                self.waiting.appendleft(Job(None, self._only(unit), 600.0))
            self.held.setdefault(unit, []).append(result)


def result_of(trial: server.Trial) -> Result:
    """The outcome of a mutant, from the messages of its process."""
    found = Result(trial.job.mutant, ERROR, selected=sum(len(batch) for batch in trial.job.batches))
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
        found.status, found.why = TIMEOUT, "does not end, unlike the unit without the mutant"
    elif trial.ending == "died" and found.unit and not found.why:
        found.status, found.why = KILLED, "the process crashed"
    return found
