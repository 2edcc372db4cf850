"""How fast is mini_dl compared with torch? Both do the same work in one run, in turn; ratios of medians (below 1, mini_dl is
faster).

    python scripts/compare_speed.py
    python scripts/compare_speed.py 'dispatch*' 'training*' --threads 1 --seconds 3
    python scripts/compare_speed.py --curves

Without patterns, the 89 cases of the table and five whole programs run, in about five minutes; `--all` adds the rest. For each
group it prints the geometric mean of the ratios, the project's goal, and both libraries' times relative to the
machine's minimum (`_speed_floors.py`). With --strict, the script exits with 1 if a group misses its goal.
"""

from __future__ import annotations

import fnmatch
import gc
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _report import AGREE, DISAGREE, fail, libraries, parser, progress, table, versions, write_json
from _speed_cases import CASES, Work
from _speed_floors import Machine
from _speed_programs import training_step as training_step  # with the programs, the table is complete

TABLE = {
    "dispatch": 0.9,
    "elementwise, small": 0.8,
    "elementwise, big": 1.2,
    "reductions": 0.8,
    "matmul, linear": 1.1,
    "conv2d both ways": 1.2,
    "conv2d forward": 1.2,
    "pooling": 0.6,
    "batch norm, embedding": 1.2,
    "LSTM, attention": 1.0,
    "optimizers": 0.7,
    "training steps": 1.0,
    "inference": 1.0,
}
"""The groups in the overall mean, and their goals."""
GOALS = {**TABLE, "programs": 1.0, "func": 1.5}


def group_of(name: str) -> str:
    return name.split(":")[0]


# ------------------------------------------------------------------------------------------------ measuring


TURN = 0.03
"""Seconds of each of the three parts of a turn: rest, warm-up, measured work. The threads of OpenMP and
OpenBLAS spin for up to 26 ms after the last call: in the other library's turn they would occupy a core."""


def medians(works: list[Work], seconds: float) -> list[float]:
    """Seconds per call of each workload: medians over samples of at least a millisecond, in turns, for about `seconds` in
    total.
    """
    counts = []
    for work in works:
        work()
        began = time.perf_counter()
        work()
        once = max(time.perf_counter() - began, 1e-7)
        counts.append(max(1, int(1e-3 / once)))
    samples: list[list[float]] = [[] for _ in works]
    gc.collect()
    gc.disable()  # as in timeit: one library must not pay for the other's garbage
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < 5:
        for work, count, taken in zip(works, counts, samples):
            time.sleep(TURN)
            sampled_for(TURN, work, count)
            taken += sampled_for(TURN, work, count)
    gc.enable()
    return [statistics.median(taken) for taken in samples]


def sampled_for(seconds: float, work: Work, count: int) -> list[float]:
    """Seconds per call in samples of `count` calls each: one, or as many as start in that time."""
    samples, end = [], time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(count):
            work()
        samples.append((time.perf_counter() - began) / count)
    return samples


def restart_on(threads: int) -> None:
    """Restart the program if the libraries do not have that many threads: OpenBLAS reads the number when NumPy loads."""
    count = str(threads)
    if os.environ.get("OPENBLAS_NUM_THREADS") != count:
        os.environ.update(OPENBLAS_NUM_THREADS=count, OMP_NUM_THREADS=count)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def in_a_new_process(code: str) -> float:
    """The number that `code` prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the second import of a module uses the bytecode of the first
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


IMPORT = "import numpy, time; began = time.perf_counter(); import {name}; print(time.perf_counter() - began)"
MEMORY = """
import pathlib, sys
sys.path.insert(0, {scripts!r})
import {name} as torch
from compare_speed import CASES
def peak():  # MB; a process of its own starts at its own memory here, getrusage would start at its parent's
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before = peak()
work = CASES[{case!r}](torch)
for _ in range(5): work()
print(peak() - before)
"""
WITH_PEAKS = ("training steps: ResNet-18", "training steps: char-GPT", "training steps: the CNN")


def processes(names: list[str]) -> list[list[str]]:
    """Rows that need a fresh process: import time and peak memory."""
    scripts = str(Path(__file__).resolve().parent)
    imports = [statistics.median(in_a_new_process(IMPORT.format(name=name)) for _ in range(5)) for name in names]
    rows = [["import, after numpy", *[f"{1e3 * seconds:.0f} ms" for seconds in imports], ratio_of(*imports)]]
    if Path("/proc/self/status").exists():
        for case in [case for case in CASES if case.startswith(WITH_PEAKS)]:
            peaks = [in_a_new_process(MEMORY.format(name=name, scripts=scripts, case=case)) for name in names]
            rows.append([f"peak memory above import, {case}", *[f"{peak:.0f} MB" for peak in peaks], ratio_of(*peaks)])
    return rows


def ratio_of(own: float, other: float) -> str:
    return f"{own / other:.2f}"


# ------------------------------------------------------------------------------------------------ the tables


def groups(numbers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Geometric means over the rows of each group, and over the whole table."""
    found = []
    members: dict[str, list[dict[str, Any]]] = {}
    for row in numbers:
        members.setdefault(group_of(row["case"]), []).append(row)
    whole = [row for row in numbers if group_of(row["case"]) in TABLE]
    for group, rows in [*members.items(), *([("all of the table", whole)] if whole else [])]:
        above = [[row[name] / row["floor"] for row in rows if row["floor"]] for name in ("mini_dl", "torch")]
        means = [None if group == "dispatch" else statistics.geometric_mean(each) for each in above]
        ratio = statistics.geometric_mean([row["ratio"] for row in rows])
        goal = 1.0 if rows is whole else GOALS.get(group)
        found.append(
            {"group": group, "cases": len(rows), "ratio": ratio, "goal": goal, "faster": sum([row["ratio"] <= 1 for row in rows])}
            | {"mini_dl by floor": means[0], "torch by floor": means[1]}
        )
    return found


def shown_groups(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{row['group']} ({row['cases']})",
            f"{row['ratio']:.2f}",
            "" if row["goal"] is None else f"{row['goal']:.1f}",
            row["faster"],
        ]
        + ["" if row[name] is None else f"{row[name]:.1f}" for name in ("mini_dl by floor", "torch by floor")]
        for row in found
    ]
    return table(["group", "ratio", "goal", "at or below 1", "mini_dl / floor", "torch / floor"], rows)


def chosen(patterns: list[str], everything: bool) -> list[str]:
    """The cases that match a pattern, or by default those of the table and the programs; in the order of the table."""
    order = [*GOALS, *{group_of(name): None for name in CASES if group_of(name) not in GOALS}]
    names = sorted(CASES, key=lambda name: order.index(group_of(name)))
    if patterns:
        return [name for name in names if any(fnmatch.fnmatchcase(name, f"*{p}*") for p in patterns)]
    return [name for name in names if everything or group_of(name) in {*TABLE, "programs"}]


def main(arguments: list[str] | None = None) -> int:
    made = parser("Time mini_dl against torch, in one run.")
    made.add_argument("patterns", nargs="*", metavar="PATTERN", help="globs over the names of the cases, such as '*norm*'")
    made.add_argument("--all", action="store_true", help="also the cases that are not in the table")
    made.add_argument("--seconds", type=float, default=1.5, help="how long to measure each case")
    made.add_argument("--threads", type=int, help="threads of both libraries; default: their own defaults")
    made.add_argument("--list", action="store_true", help="print the names of the cases")
    made.add_argument("--curves", action="store_true", help="instead, plot how cost grows, in the report folder")
    made.add_argument("--report", type=Path, default=Path("report"), help="folder for the curves")
    made.add_argument("--strict", action="store_true", help="exit with 1 if a group's ratio is above its goal")
    options = made.parse_args(arguments)
    names = chosen(options.patterns, options.all)
    if options.list:
        print("\n".join(names))
        return AGREE
    if not names:
        return fail(f"no case matches {options.patterns}; --list --all shows them")
    if options.threads is not None:
        restart_on(options.threads)
    ours, theirs = libraries()
    if theirs is None:
        return fail("compare_speed needs torch: python -m pip install torch==2.13.0")
    print(versions(theirs))
    if options.curves:
        from _speed_curves import draw

        write_json(options.json, draw(ours, theirs, options.report, options.seconds, medians))
        return AGREE
    machine = Machine((ours, theirs))
    print(machine)
    rows, numbers = [], []
    for name in progress(names, desc="cases"):
        own, other = medians([CASES[name](ours), CASES[name](theirs)], options.seconds)
        floor = machine.floor(theirs, name, CASES[name])
        rows.append([name, *[f"{1e6 * seconds:.1f}" for seconds in (own, other, floor)], ratio_of(own, other)])
        numbers.append({"case": name, "mini_dl": own, "torch": other, "floor": floor, "ratio": own / other})
    print(table(["case", "mini_dl us", "torch us", "floor us", "ratio"], rows))
    found = groups(numbers)
    print("\n" + shown_groups(found))
    fresh = [] if options.patterns else processes(["mini_dl", "torch"])
    if fresh:
        print("\n" + table(["in a new process", "mini_dl", "torch", "ratio"], fresh))
    write_json(options.json, {"cases": numbers, "groups": found, "processes": fresh, "machine": vars(machine)})
    missed = [row["group"] for row in found if row["goal"] is not None and row["ratio"] > row["goal"]]
    return DISAGREE if missed and options.strict else AGREE


if __name__ == "__main__":
    sys.exit(main())
