"""``python -m tests_distributed.world mini_dl FOLDER``: one rank of a world, which runs all cases and writes its results.
``python -m tests_distributed.world torch FOLDER SIZE``: all ranks of a world of torch.

And, for the tests, `results`: the results of all ranks of a world of this size, under one of the libraries.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIMIT = 150
"""The timeout of a world in seconds."""


def plain(value: Any) -> Any:
    """`value` with tensors as their type, shape and elements."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "detach"):
        return str(value.dtype), tuple(value.shape), value.detach().reshape(-1).tolist()
    return value


def run(library: str, folder: str) -> None:
    """Run all cases on this rank, with a barrier after each.

    At the end a rank also waits for the files that the others leave behind their last barrier: under gloo, a rank that is
    still inside a barrier fails when one that has left it closes its connections (pytorch/gloo, issue 155).
    """
    from tests_distributed.cases import CASES, TRAINING

    torch = importlib.import_module(library)
    dist = importlib.import_module(f"{library}.distributed")
    dist.init_process_group("gloo", timeout=timedelta(seconds=20))
    rank, size = dist.get_rank(), dist.get_world_size()
    found = {}
    for name, case in {**CASES, **TRAINING}.items():
        try:
            found[name] = plain(case(torch, dist, rank, size))
        except Exception as error:
            found[name] = "failed", f"{type(error).__name__}: {error}"
        Path(folder, f"{rank}.pickle").write_bytes(pickle.dumps(found))
        dist.barrier()
    Path(folder, f"{rank}.left").touch()
    while len(list(Path(folder).glob("*.left"))) < size:
        time.sleep(0.01)
    dist.destroy_process_group()


def launch(folder: str, size: int) -> None:
    """Run all ranks under torch, by what torchrun calls; forked, because each import of torch takes seconds."""
    for name in ("torch._dynamo", "torch.distributed.optim", "tests_distributed.cases"):  # what a rank would import
        importlib.import_module(name)
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    ends = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": str(os.getpid())}
    config = LaunchConfig(1, 1, size, start_method="fork", max_restarts=0, **ends)
    elastic_launch(config, run)("torch", folder)


def start(command: list[str], processes: int, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands in that many processes, as users start it."""
    from mini_dl.distributed.run import mpiexec

    started = [mpiexec(), "-n", str(processes), sys.executable, "-m", "mini_dl", *command]
    return subprocess.run(started, cwd=ROOT, env=environment(**variables), capture_output=True, text=True, timeout=LIMIT)


def environment(**variables: str) -> dict[str, str]:
    """The environment of the processes of a world: one thread each."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **variables}


def results(library: str, size: int) -> list[dict[str, Any]]:
    """Each rank's results, by case."""
    found = _results(library, size)
    assert not isinstance(found, str), found
    return found


@functools.cache
def _results(library: str, size: int) -> list[dict[str, Any]] | str:
    """The same, or the output of the world that failed."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "tests_distributed.world", library, folder]
        if library == "torch":
            whole = [sys.executable, *command, str(size)]
            done = subprocess.run(whole, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=LIMIT)
        else:
            done = start(command, size)
        if done.returncode:
            return done.stdout[-2000:] + done.stderr[-6000:]
        return [pickle.loads(Path(folder, f"{rank}.pickle").read_bytes()) for rank in range(size)]


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        launch(sys.argv[2], int(sys.argv[3]))
    else:
        run(*sys.argv[1:])
