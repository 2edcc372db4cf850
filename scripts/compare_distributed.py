"""all_reduce of mini_dl on MPI beside torch's gloo: processes of both on one machine, in turns, in one run.

    python scripts/compare_distributed.py [--ranks 2] [--rounds 3] [--json FILE]

Each library's processes are started as users start them: by ``mpiexec``, and by torchrun. A number is the least time of many
calls on rank 0; the ranks meet before each call. The libraries take turns, `--rounds` times, and the least counts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIZES = [1 << n for n in range(10, 27, 2)]
"""In bytes: 1 KB to 64 MB."""
CALLS, MOST_BYTES = 200, 1 << 30
"""How often each size is measured, and how much is moved at most: as often on all ranks."""


def least_time(call: Callable[[], object], dist: Any, calls: int) -> float:
    """The least time in seconds of a call that all ranks make, on this rank."""
    return min([_once(call, dist) for _ in range(calls)])


def _once(call: Callable[[], object], dist: Any) -> float:
    dist.barrier()
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def all_reduce_times(torch: Any, dist: Any) -> dict[str, float]:
    """By size."""
    found = {}
    for size in SIZES:
        tensor = torch.ones(size // 4)
        tensor.zero_()
        calls = max(5, min(CALLS, MOST_BYTES // size))
        found[str(size)] = least_time(lambda tensor=tensor: dist.all_reduce(tensor), dist, calls)
    return found


MEASURES: dict[str, Callable[[Any, Any], dict[str, float]]] = {"all_reduce": all_reduce_times}
"""What all ranks of both libraries measure: functions of the library and its ``distributed`` that give seconds by name."""


def measure(library: str) -> None:
    """One rank; rank 0 prints what it found."""
    torch = importlib.import_module(library)
    dist = importlib.import_module(f"{library}.distributed")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    found = {name: times(torch, dist) for name, times in MEASURES.items()}
    if dist.get_rank() == 0:
        print("FOUND", json.dumps(found), flush=True)
    dist.barrier()
    dist.destroy_process_group()


def started(library: str, ranks: int) -> dict[str, dict[str, float]]:
    """What rank 0 of a job of so many ranks found."""
    launcher = "mini_dl.distributed.run" if library == "mini_dl" else "torch.distributed.run"
    command = [sys.executable, "-m", launcher, "--standalone", f"--nproc-per-node={ranks}", __file__, "--measure", library]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if "FOUND " in line]
    if not lines:
        sys.exit(done.stdout + done.stderr)
    return json.loads(lines[0].partition("FOUND ")[2])


def least(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {name: {key: min(each[name][key] for each in rounds) for key in rounds[0][name]} for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Measure both libraries in turns, and print a table."""
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(started("mini_dl", options.ranks))
        theirs.append(started("torch", options.ranks))
    found = {"mini_dl": least(ours), "torch": least(theirs)}
    print(f"all_reduce of float32: {options.ranks} ranks, {os.cpu_count()} cores, the least of {options.rounds} rounds")
    print(f"{'bytes':>10} {'mini_dl us':>12} {'gloo us':>12} {'ratio':>7} {'mini_dl GB/s':>13}")
    for size in SIZES:
        a, b = (found[name]["all_reduce"][str(size)] for name in ("mini_dl", "torch"))
        print(f"{size:>10} {a * 1e6:>12.1f} {b * 1e6:>12.1f} {a / b:>7.2f} {size / a / 1e9:>13.2f}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
