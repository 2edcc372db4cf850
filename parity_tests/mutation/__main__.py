"""The mutation score: small changes of the code, and whether a test notices.

    python -m tox run -e mutation                          # the lines changed since `main`
    python -m tox run -e mutation mini_dl/ops --sample 50  # some mutants of files or folders
    python -m tox run -e mutation --sample 500 --seed 1    # some of all mutants that count for the score

Every mutant is run against the tests and the rows of torch's tables that may notice it, cheapest first, until one fails. They are
chosen by names, or with `--coverage` by a run of everything under coverage (kept in `.mutation/`), which is also the clean
baseline. A mutant is *killed* if a unit fails that passes without it, and *survived* if all pass; *timeout* if a unit does not
end; *undecided* if its `--budget` was spent before all had run; *no test selected* if no unit was chosen; *error* if it could
not be run. Accepted equivalents, each with a reason, are listed in ``parity_tests/mutation/accepted.toml``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parity_tests.mutation import accepted, mapping, names, running, server
from parity_tests.mutation.mutants import Mutant, mutants_of
from parity_tests.mutation.server import ROOT

SCOPE = ("ops", "nn", "optim", "autograd", "_*", "kernels", "serialization.py", "utils/data")
"""What the score speaks of, below ``mini_dl/``."""
LAST = Path(__file__).with_name("last.json")
OPEN = (running.SURVIVED, running.UNDECIDED, running.UNSELECTED, running.ERROR)


def files_of(paths: list[str]) -> list[str]:
    """The source files at or below these paths, relative to the root."""
    found: set[Path] = set()
    for path in paths:
        for place in sorted(ROOT.glob(path)) or [ROOT / path]:
            found |= set(place.rglob("*.py")) if place.is_dir() else {place}
    missing = [str(path) for path in found if not path.exists()]
    if missing:
        raise SystemExit(f"no such file: {' '.join(missing)}")
    return sorted(str(path.resolve().relative_to(ROOT)) for path in found if path.suffix == ".py")


def changed_lines(reference: str) -> dict[str, set[int]]:
    """file -> lines of the package that are new or changed since a commit, in the working tree."""
    base = git("merge-base", reference, "HEAD").strip()
    return lines_of(git("diff", "-U0", "--no-color", base, "--", "mini_dl/*.py"))


def git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {found.stderr.strip()} (--since names another commit)")
    return found.stdout


def lines_of(diff: str) -> dict[str, set[int]]:
    """file -> the lines that a diff without context adds."""
    found: dict[str, set[int]] = {}
    file = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            file = line[6:] if line.startswith("+++ b/") else ""
        elif file and (hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(file, set()).update(range(first, first + count))
    return {file: lines for file, lines in found.items() if lines}


def chosen(options: argparse.Namespace) -> list[Mutant]:
    """The mutants that the command line selects."""
    if options.again:
        return unfinished(options.json)
    if not options.paths and options.sample is None:
        changed = changed_lines(options.since)
        return [m for file in sorted(changed) for m in mutants_of(file) if changed[file] & set(range(m.lines[0], m.lines[1] + 1))]
    paths = options.paths or [f"mini_dl/{part}" for part in SCOPE]
    found = [mutant for file in files_of(paths) for mutant in mutants_of(file)]
    if options.sample is not None and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)
    return found


def unfinished(file: Path) -> list[Mutant]:
    """The mutants of the last run that no test has killed and that are not accepted, as they are in the files now."""
    rows, reasons = json.loads(file.read_text(encoding="utf-8"))["mutants"], accepted.accepted()
    wanted = {identity(row) for row in rows if row["status"] in OPEN and not accepted.reason_for(row, reasons)}
    found = [mutant for name in sorted({key[0] for key in wanted}) for mutant in mutants_of(name)]
    return [mutant for mutant in found if (*mutant.key, mutant.nth) in wanted]


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in (*accepted.KEYS, "nth"))


def row_of(result: running.Result) -> dict[str, Any]:
    """A result as a row of the file."""
    row = asdict(result)
    row.update(row.pop("mutant"), line=result.mutant.line)
    for key in ("number", "lines", "statement", "at_import"):
        del row[key]
    row["seconds"] = round(row["seconds"], 2)
    return row


# ------------------------------------------------------------------------------------------------ the report


def asked(options: argparse.Namespace) -> dict[str, Any]:
    return {"paths": options.paths, "sample": options.sample, "seed": options.seed, "since": options.since}


def report_of(rows: list[dict[str, Any]], question: dict[str, Any]) -> dict[str, Any]:
    reasons = accepted.accepted()
    for row in rows:
        row["accepted"] = accepted.reason_for(row, reasons) if row["status"] not in running.NOTICED else ""
    counted = [row for row in rows if not row["accepted"]]
    counts = Counter(row["status"] for row in counted)
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "asked": question,
        "counts": {**{status: counts[status] for status in running.STATUSES}, "equivalent": len(rows) - len(counted)},
        "score": sum(counts[status] for status in running.NOTICED) / len(counted) if counted else None,
        "mutants": sorted(rows, key=lambda row: (row["file"], row["line"], row["kind"], row["before"], row["after"], row["nth"])),
    }


def write(report: dict[str, Any], file: Path) -> None:
    """Called after each mutant, so that an interrupted run keeps its results. The library's own function is not used, since
    the parent of all mutants must not import it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    os.replace(new, file)


def last_of(report: dict[str, Any]) -> dict[str, Any]:
    """The part of a report that is kept in the repository: all but the killed mutants."""
    return {**report, "mutants": [row for row in report["mutants"] if row["status"] not in running.NOTICED]}


def summary(report: dict[str, Any]) -> str:
    counts, score = report["counts"], report["score"]
    parts = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    return f"{parts or 'no mutants'}" + (f"; score {score:.1%} of those that are not equivalent" if score is not None else "")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m parity_tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("paths", nargs="*", metavar="PATH", help="files, folders or patterns below the root")
    found.add_argument("--sample", type=int, metavar="N", help="this many, drawn with the seed")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--since", default="main", metavar="COMMIT", help="without PATH and --sample: the lines changed since")
    found.add_argument("--again", action="store_true", help="those of the last run that were not killed")
    found.add_argument("--resume", action="store_true", help="continue an interrupted run")
    found.add_argument("--first", nargs="+", default=[], metavar="TEST", help="test files, or tests, that are run early")
    found.add_argument(
        "--coverage", action="store_true", help="choose the units by a run of all tests under coverage, not by names"
    )
    found.add_argument("--partly", action="store_true", help="with --coverage: use only the units that are mapped already")
    found.add_argument("--keep", action="store_true", help="write the counts and the open mutants of the last run to last.json")
    found.add_argument("--budget", type=float, default=60.0, help="seconds of CPU time for one mutant")
    found.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    found.add_argument("--json", type=Path, default=ROOT / "report" / "mutation.json")
    return found


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if old := accepted.outdated(accepted.accepted()):
        raise SystemExit("accepted.toml: no such mutants: " + "; ".join(old))
    last = json.loads(options.json.read_text(encoding="utf-8")) if options.again or options.resume or options.keep else {}
    if options.keep:
        write(last_of({**report_of(last["mutants"], last["asked"]), "when": last["when"]}), LAST)
        return 0
    question, before = last.get("asked", asked(options)), last.get("mutants", [])
    mutants = chosen(options)
    if options.resume:
        tried = {identity(row) for row in before}
        mutants = [mutant for mutant in mutants if (*mutant.key, mutant.nth) not in tried]
    print(f"{len(mutants)} mutants", flush=True)
    if not mutants:
        return 0
    server.preload()
    selection: running.Selection = names.ByNames(options.first)
    if options.coverage:
        selection = mapping.ByCoverage(mapping.mapped(options.workers, options.partly))
    report: dict[str, Any] = {}
    began, rows = time.monotonic(), list[dict[str, Any]]()
    for result in running.Runner(selection, options.budget, options.workers).results(mutants):
        rows.append(row_of(result))
        place = f"{len(rows)} of {len(mutants)}, {time.monotonic() - began:.0f} s"
        print(f"{place}: {result.status}: {result.mutant} {result.unit} ({result.ran} of {result.selected})", flush=True)
        tried = {identity(row) for row in rows}
        report = report_of([*rows, *(row for row in before if identity(row) not in tried)], question)
        write(report, options.json)
    open_ = [row for row in report["mutants"] if row["status"] in OPEN and not row["accepted"]]
    for row in open_:
        print(f"{row['status']}: {row['file']}:{row['line']} {row['function']}: {row['before']} -> {row['after']}")
    print(summary(report))
    return int(bool(open_))


if __name__ == "__main__":
    sys.exit(main())
