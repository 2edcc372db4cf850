"""The parts of the report besides the matrix: the history of runs, the mutation score, and the last times of optional runs."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

from mini_dl.files.replacing import rewrite

ROOT = Path(__file__).resolve().parent.parent
LAST_MUTATION = ROOT / "parity_tests" / "mutation" / "last.json"
KEPT = 200
"""The number of runs in the history."""
BY_OPTION = {
    "accuracy.json": ("errors in units in the last place, and who is right", "python -m parity_tests.accuracy"),
    "mutation.json": ("the mutation score", "python -m tox run -e mutation -- --sample 500"),
    "parity-newest/parity.json": ("the tables under the newest torch and NumPy", "python -m tox run -e parity-newest"),
    "parity-numpy20/parity.json": ("the tables under NumPy 2.0", "python -m tox run -e parity-numpy20"),
    "references.json": (
        "all of torch's reference inputs",
        "python -m parity_tests.sweep --reference --json report/references.json",
    ),
    "programs.json": ("programs from the registry", "python -m tox run -e programs"),
}
"""The optional runs: the output file, a description, and the command."""


def read(file: Path) -> Any:
    """The content of a JSON file; None if there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def by_option(folder: Path) -> list[dict[str, str]]:
    """The optional runs, with the time of the last run or "not here yet"."""
    rows = []
    for name, (what, command) in BY_OPTION.items():
        file = folder / name
        written = datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.timezone.utc) if file.exists() else None
        rows.append({"what": what, "command": command, "when": f"{written:%Y-%m-%d %H:%M} UTC" if written else "not here yet"})
    return rows


# ------------------------------------------------------------------------------------------------ history


def commit() -> str:
    """The short name of the commit, "" outside of a repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def remember(file: Path, totals: dict[str, Any], versions: str) -> None:
    """Add a complete run to the history."""
    runs = read(file) or []
    counts = {kind: totals[kind] for kind in ("ops", "modules", "optimizers")}
    runs.append({"when": now(), "commit": commit(), "versions": versions, **counts})
    rewrite(file, json.dumps(runs[-KEPT:], indent=1) + "\n")


def line_of(runs: list[dict[str, Any]], width: int = 640, height: int = 120) -> dict[str, Any] | None:
    """The history as points of a line: the cases that agree in each run, and the ends of the scale. None below two runs."""
    if len(runs) < 2:
        return None
    agreed = [sum(run[kind].get("pass", 0) for kind in ("ops", "modules", "optimizers")) for run in runs]
    low, high = min(agreed), max(agreed)
    step, scale = (width - 10) / (len(runs) - 1), (height - 20) / ((high - low) or 1)
    points = [(5 + i * step, height - 10 - (number - low) * scale) for i, number in enumerate(agreed)]
    return {
        "width": width, "height": height, "low": low, "high": high,
        "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        "marks": [{"x": round(x, 1), "y": round(y, 1), "run": run, "agreed": n} for (x, y), run, n in zip(points, runs, agreed)],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ mutants


def mutation(file: Path) -> dict[str, Any] | None:
    """The counts of the last mutation run, here or of those that are kept, the mutants that no test kills, and those that are
    accepted with a reason.
    """
    report = read(file) or read(LAST_MUTATION)
    if report is None:
        return None
    rows = report["mutants"]
    open_ = [row for row in rows if row["status"] not in ("killed", "timeout") and not row["accepted"]]
    score = "" if report["score"] is None else f"{report['score']:.1%}"
    when = report["when"].replace("T", " ").partition("+")[0]
    tried, asked = sum(report["counts"].values()), report["asked"].get("sample")
    left = f"{tried} of a sample of {asked} so far" if asked and tried < asked else ""
    return {
        **report,
        "score": score,
        "when": when,
        "left": left,
        "open": open_,
        "accepted": [row for row in rows if row["accepted"]],
    }
