"""Starts the worker under both libraries and reports where the numbers differ."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

DOUBLE, SINGLE = 1e-7, 2e-3
"""The largest difference between two arrays, relative to the largest number of the second: for float64, and where float32 is
used.
"""


def results(package: str, library: str, arguments: list[str]) -> dict[str, Any]:
    """The worker's results by case; has "import" if the package could not be imported, "died" if the worker died."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "numbers"
        start = ["-m", "mini_dl"] if library == "mini_dl" else []
        call = [sys.executable, *start, "-m", "programs.worker", package, str(file), *arguments]
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(call, env=os.environ | quiet, capture_output=True, text=True)
        found = dict(read(file)) if file.exists() else {}
    if done.returncode:
        found["died"] = done.stderr[-1500:]
    return found


def read(file: Path) -> Iterator[tuple[str, Any]]:
    """What the worker wrote before it stopped."""
    with file.open("rb") as stream, contextlib.suppress(EOFError):
        yield from pickle.load(stream).items()
        while True:
            yield pickle.load(stream)


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


def verdict(ours: dict[str, Any] | None, theirs: dict[str, Any]) -> str:
    """ "same", or what is wrong with a case."""
    if "stopped" in theirs:
        return "same" if ours and "stopped" in ours else f"torch stopped: {theirs['stopped']}"
    if ours is None:
        return "not run"
    if "stopped" in ours:
        return f"stopped: {ours['stopped']}"
    return difference(ours["results"], theirs["results"], SINGLE if theirs["single"] else DOUBLE) or "same"
