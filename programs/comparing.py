"""Starts the worker under both libraries and reports where the numbers differ."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from subprocess import PIPE
from typing import IO, Any

import numpy as np

DOUBLE, SINGLE = 1e-7, 2e-3
"""The largest difference between two arrays, relative to the largest number of the second: for float64, and where float32 is
used.
"""


ENDS = "import", "died"
"""What stands for the name of a case when a worker could not import the package, or died."""


@contextlib.contextmanager
def results(package: str, library: str, arguments: list[str]) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
    """The worker's results, case by case: they come through a pipe, since those of a large package fill memory and disk."""
    start = ["-m", "mini_dl"] if library == "mini_dl" else []
    call = [sys.executable, *start, "-m", "programs.worker", package, *arguments]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as errors, subprocess.Popen(call, env=quiet, stdout=PIPE, stderr=errors) as worker:
        try:
            yield read(worker, errors)
        finally:
            worker.kill()


def read(worker: subprocess.Popen[bytes], errors: IO[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the worker writes; the end of its error output if it dies."""
    assert worker.stdout is not None
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(worker.stdout)
    if worker.wait():
        errors.seek(0)
        yield "died", {"stopped": errors.read().decode(errors="replace")[-1500:]}


def difference(ours: Any, theirs: Any, limit: float, where: str = "") -> str | None:
    """The first place where the results differ, and how; None if they agree."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if list(ours) != list(theirs):
            return f"{where}: keys {sorted(set(ours) ^ set(theirs))[:4]} in one only, or in another order"
        pairs = [(ours[key], theirs[key], limit, f"{where}.{key}" if where else key) for key in theirs]
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(ours) != len(theirs):
            return f"{where}: {len(ours)} for {len(theirs)}"
        pairs = [(a, b, limit, f"{where}[{index}]") for index, (a, b) in enumerate(zip(ours, theirs))]
    else:
        return apart(ours, theirs, limit, where)
    return next((found for pair in pairs if (found := difference(*pair))), None)


def apart(ours: Any, theirs: Any, limit: float, where: str) -> str | None:
    """How two arrays or plain values differ."""
    if isinstance(theirs, (bool, str, type(None))) or isinstance(ours, (bool, str, type(None))):
        return None if ours == theirs and type(ours) is type(theirs) else f"{where}: {ours!r} for {theirs!r}"
    a, b = np.asarray(ours), np.asarray(theirs)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{where}: {a.dtype}{list(a.shape)} for {b.dtype}{list(b.shape)}"
    if a.dtype.kind not in "fc":
        return None if np.array_equal(a, b) else f"{where}: {np.count_nonzero(a != b)} of {a.size} differ"
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
        return f"{where}: infinite or NaN in one only"
    worst = float(np.abs(a[finite] - b[finite]).max(initial=0.0))
    scale = float(np.abs(b[finite]).max(initial=0.0))
    limit = limit if a.dtype in (np.dtype("d"), np.dtype("D")) else SINGLE
    return None if worst <= limit * max(scale, 1e-3) else f"{where}: {worst:.1e} apart, largest {scale:.1e}"


def verdict(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """ "same", or what is wrong with a case."""
    if "stopped" in theirs:
        return "same" if "stopped" in ours else f"torch stopped: {theirs['stopped']}"
    if "stopped" in ours:
        return f"stopped: {ours['stopped']}"
    return difference(ours["results"], theirs["results"], SINGLE if theirs["single"] else DOUBLE) or "same"
