"""all_reduce and a training step of mini_dl on MPI against torch's gloo: processes of both on one machine, in turns.

    python scripts/compare_distributed.py [--ranks 2] [--rounds 3] [--json FILE] [--model]

`--model` extrapolates the measured all_reduce to 1,024 ranks by the two formulas of docs/scaling.md.

Each library's processes are started as users start them: by ``mpiexec``, and by torchrun. A number is the minimal time of many
calls on rank 0; the ranks synchronize before each call. The libraries take turns, `--rounds` times, and the minimum is used.
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
"""The number of measurements of each size, and the most data moved: the same on all ranks."""


def least_time(call: Callable[[], object], dist: Any, calls: int) -> float:
    """The minimal time in seconds of a call that all ranks make, on this rank."""
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


STEPS = 15


def step_times(torch: Any, dist: Any) -> dict[str, float]:
    """The step of an MLP of 1.9 million parameters with 64 samples per rank: alone, with `DistributedDataParallel`, and its
    communication.
    """
    wrapped = importlib.import_module(f"{torch.__name__}.nn.parallel").DistributedDataParallel
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    x, y = torch.randn(64, 784), torch.randint(0, 10, (64,))

    def step_of(model: Any) -> Callable[[], None]:
        optimizer = torch.optim.SGD(model.parameters(), 0.01)

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        for _ in range(3):  # buckets are rebuilt after the first
            step()
        return step

    gradients = torch.ones(sum([p.numel() for p in model.parameters()])).zero_()
    kinds = {
        "alone": step_of(model),
        "its all_reduce": lambda: dist.all_reduce(gradients),
        "DDP": step_of(wrapped(model)),
        "DDP, gradient_as_bucket_view": step_of(wrapped(model, gradient_as_bucket_view=True)),
    }
    return {name: least_time(call, dist, STEPS) for name, call in kinds.items()}


MEASURES: dict[str, Callable[[Any, Any], dict[str, float]]] = {"all_reduce": all_reduce_times, "step": step_times}
"""The measurements of all ranks of both libraries: functions of the library and its ``distributed`` that return seconds by
name.
"""


def measure(library: str) -> None:
    """One rank; rank 0 prints the results."""
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
    """The results of rank 0 of a job with that many ranks."""
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
    parser.add_argument("--model", action="store_true", help="extrapolate all_reduce to 1,024 ranks")
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
    print(f"\nstep of an MLP, 64 samples a rank\n{'':>30} {'mini_dl ms':>12} {'torch ms':>12} {'ratio':>7}")
    for name, a in found["mini_dl"]["step"].items():
        b = found["torch"]["step"][name]
        print(f"{name:>30} {a * 1e3:>12.2f} {b * 1e3:>12.2f} {a / b:>7.2f}")
    for library, times in found.items():
        parts = times["step"]["alone"] + times["step"]["its all_reduce"]
        print(f"{library}: DDP takes {times['step']['DDP'] / parts:.2f} of a step alone and its all_reduce")
    if options.model:
        model(found["mini_dl"])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        from mini_dl.files.replacing import rewrite  # not in the processes that measure torch

        rewrite(options.json, json.dumps(found, indent=1))


def model(found: dict[str, dict[str, float]]) -> None:
    """Predictions for more ranks from two measured ones, by the formulas of a ring and of a tree."""
    times = {int(size): seconds for size, seconds in found["all_reduce"].items()}
    small, large = min(times), max(times)
    per_byte = (times[large] - times[1 << 20]) / (large - (1 << 20))  # of a message; two ranks send all elements once
    latency = times[small] / 2
    sent = 4 * 1_863_690  # gradients of the MLP
    alone = found["step"]["alone"]
    fitted = f"latency {latency * 1e6:.1f} us, {1 / per_byte / 1e9:.2f} GB/s"
    print(f"\nfitted: {fitted}; calculated, for {sent / 1e6:.1f} MB of gradients")
    print(f"{'ranks':>6} {'ring ms':>9} {'tree ms':>9} {'efficiency, ring':>17} {'with overlap':>13}")
    for power in range(1, 11):
        ranks = 2**power
        ring = 2 * (ranks - 1) * (latency + sent / ranks * per_byte)
        tree = 2 * power * (latency + sent * per_byte)
        hidden = max(0.0, ring - 2 / 3 * alone)  # backward is about two thirds of a step
        print(
            f"{ranks:>6} {ring * 1e3:>9.2f} {tree * 1e3:>9.2f} {alone / (alone + ring):>17.2f} {alone / (alone + hidden):>13.2f}"
        )


if __name__ == "__main__":
    main()
