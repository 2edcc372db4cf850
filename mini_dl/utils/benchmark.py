"""Timing a statement: ``torch.utils.benchmark.Timer``."""

from __future__ import annotations

import contextlib
import enum
import math
import statistics
import sys
import timeit
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mini_dl.kernels.parallel import get_num_threads, set_num_threads

__all__ = ["Language", "Measurement", "TaskSpec", "Timer", "ordered_unique", "select_unit", "set_torch_threads", "timer"]

UNITS = {-3: ("ns", 1e-9), -2: ("us", 1e-6), -1: ("ms", 1e-3)}
SYSTEM, GROSS = 0.1, 0.25  # interquartile ranges that warrant a warning, as fractions of the median

timer = timeit.default_timer


class Language(enum.Enum):
    """The language of a statement. Only Python can be timed here."""

    PYTHON = 0
    CPP = 1


@dataclass(frozen=True)
class TaskSpec:
    """What is timed."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or the statement."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {self.sub_label}" if self.sub_label else "")
        return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n" + "\n".join("  " + s for s in self.stmt.splitlines())

    def setup_str(self) -> str:
        """The statement that is run first."""
        if self.setup in ("", "pass"):
            return ""
        lines = self.setup.splitlines()
        return "setup:\n" + "\n".join("  " + line for line in lines) if len(lines) > 1 else f"setup: {self.setup}"

    def summarize(self) -> str:
        """Title, description and setup."""
        parts = [self.title, self.description or "", self.setup_str()]
        return "\n".join([f"{part}\n" if "\n" in part else part for part in parts if part])


@dataclass(repr=False)
class Measurement:
    """Times of a statement, each of `number_per_run` runs, in seconds."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = field(default=None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in TaskSpec.__dataclass_fields__:
            raise AttributeError(name)
        return getattr(self.task_spec, name)

    @property
    def times(self) -> list[float]:
        """The time of one run, for each measurement."""
        return [time / self.number_per_run for time in self.raw_times]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """The interquartile range."""
        low, high = self._quartiles()
        return high - low

    def _quartiles(self) -> tuple[float, float]:
        low, high = np.quantile(self.times, [0.25, 0.75])
        return float(low), float(high)

    @property
    def significant_figures(self) -> int:
        """The number of significant digits of the median."""
        ordered = sorted(self.times)
        n = len(ordered)
        middle = ordered[n // 4 : math.ceil(3 * n / 4)]
        interval = max(1.645 * statistics.pstdev(middle) / math.sqrt(len(middle)), 25e-9)
        return min(max(math.floor(math.log10(self.median / interval)), 1), 4)

    @property
    def title(self) -> str:
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    @property
    def has_warnings(self) -> bool:
        return not self.meets_confidence()

    def meets_confidence(self, threshold: float = SYSTEM) -> bool:
        """Whether the interquartile range is below this fraction of the median."""
        return self.iqr / self.median < threshold

    def __repr__(self) -> str:
        unit, scale = select_unit(self.median)
        low, high = self._quartiles()
        n, threads = len(self.raw_times), self.task_spec.num_threads
        lines = [
            object.__repr__(self),
            self.task_spec.summarize(),
            f"  {'Median: ' if n > 1 else ''}{self.median / scale:.2f} {unit}",
        ]
        if n >= 4:
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        runs = f"{self.number_per_run} runs {'per measurement,' if n > 1 else ','}"
        lines.append(f"  {n} measurement{'s' if n > 1 else ''}, {runs} {threads} thread{'s' if threads > 1 else ''}")
        if not self.meets_confidence():
            why = (
                "could indicate system fluctuation"
                if self.meets_confidence(GROSS)
                else "suggests significant environmental influence"
            )
            lines.append(f"  WARNING: Interquartile range is {self.iqr / self.median * 100:.1f}% of the median measurement.")
            lines.append(f"           This {why}.")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One measurement of each task, with all its times."""
        groups: dict[TaskSpec, list[float]] = {}
        for one in measurements:
            groups.setdefault(one.task_spec, []).extend(one.times)
        return [Measurement(1, times, task) for task, times in groups.items()]


def select_unit(t: float) -> tuple[str, float]:
    """A suitable unit for a time, and its size in seconds."""
    return UNITS.get(int(math.log10(t) // 3), ("s", 1.0))


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """The elements without duplicates, in order."""
    return list(dict.fromkeys(elements))


@contextlib.contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Within it, kernels use that many threads."""
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


class Timer:
    """Times a statement after a warm-up, with one thread unless `num_threads` says otherwise.

    >>> import mini_dl as torch
    >>> from mini_dl.utils.benchmark import Timer
    >>> Timer("x + 1", globals={"x": torch.ones(2)}).timeit(10).number_per_run
    10
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "", timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None, label: str | None = None, sub_label: str | None = None,
        description: str | None = None, env: str | None = None, num_threads: int = 1, language: object = Language.PYTHON,
    ) -> None:  # fmt: skip
        if language not in (Language.PYTHON, "py", "python") or global_setup:
            raise NotImplementedError("mini_dl has no torch.utils.benchmark.Timer of C++ (it runs Python; see docs/coverage.md)")
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        stmt, setup = _dedented(stmt), _dedented(setup)
        self._timer = timeit.Timer(stmt, setup, timer, {"torch": sys.modules["mini_dl"], **(globals or {})})
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One measurement of `number` runs."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timer.timeit(max(number // 100, 2))
            return Measurement(number, [self._timer.timeit(number)], self._task_spec)

    def _runs_per_measurement(self, shortest: float) -> int:
        """The number of runs per measurement that makes reading the clock negligible."""
        overhead = statistics.median([self._timer.timeit(0) for _ in range(5)])
        number = 1
        while True:
            time = self._timer.timeit(number)
            if (overhead / time <= 1e-4 and time >= shortest / 1000) or time > shortest or number >= 10**8:
                return number
            number *= 10

    def _repeated(
        self, number: int, at_least: float, at_most: float, done: Callable[[list[float]], bool], callback: Any
    ) -> Measurement:
        times: list[float] = []
        with set_torch_threads(self._task_spec.num_threads):
            total = 0.0
            while total < at_least or not done(times):
                times.append(max(self._timer.timeit(number), 1e-9))
                total += times[-1]
                if callback is not None:
                    callback(number, times[-1])
                if total > at_most:
                    break
        return Measurement(number, times, self._task_spec)

    def blocked_autorange(self, callback: object = None, min_run_time: float = 0.2) -> Measurement:
        """Measurements of enough runs to make the clock negligible, for that many seconds."""
        with set_torch_threads(self._task_spec.num_threads):
            number = self._runs_per_measurement(min_run_time)
        return self._repeated(number, min_run_time, math.inf, lambda times: True, callback)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: object = None
    ) -> Measurement:
        """The same, until the interquartile range is below `threshold` of the median."""
        with set_torch_threads(self._task_spec.num_threads):
            number = self._runs_per_measurement(0.05)

        def done(times: list[float]) -> bool:
            return len(times) > 3 and Measurement(number, times, self._task_spec).meets_confidence(threshold)

        return self._repeated(number, min_run_time, max_run_time, done, callback)


def _dedented(text: str) -> str:
    """The lines without their common indentation."""
    lines = text.strip("\n").splitlines()
    margin = min([len(line) - len(line.lstrip()) for line in lines if line.strip()], default=0)
    return "\n".join([line[margin:] for line in lines]) or "pass"
