"""The command: see `python -m programs --help`."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from programs.comparing import ENDS, results, verdict

FOLDER = Path(__file__).parent / "cases"


def main(arguments: list[str] | None = None) -> int:
    packages = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    made = argparse.ArgumentParser(
        prog="python -m programs", description="Run public packages under mini_dl and torch, and compare."
    )
    made.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"some of {', '.join(packages)}; all if none is given")
    made.add_argument("--match", default="*", help="only cases whose names match this pattern")
    made.add_argument("--all", action="store_true", help="include the slow cases")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the table to this file")
    options = made.parse_args(arguments)
    unknown = sorted(set(options.packages) - set(packages))
    if unknown:
        made.error(f"there are no cases of {', '.join(unknown)}; there are of {', '.join(packages)}")
    given = ["--match", options.match, *(["--all"] if options.all else [])]
    rows = [row for package in options.packages or packages for row in compared(package, given)]
    same = sum(row["verdict"] == "same" for row in rows)
    print(f"\n{same} of {len(rows)} cases are the same, of {len({row['package'] for row in rows})} packages")
    if options.json:
        import json

        from mini_dl.files.replacing import rewrite

        options.json.parent.mkdir(parents=True, exist_ok=True)
        rewrite(options.json, json.dumps(rows, indent=1) + "\n")
    return 0 if same == len(rows) else 1


def compared(package: str, given: list[str]) -> list[dict[str, Any]]:
    """Prints and returns a row for each case of a package."""
    start = time.perf_counter()
    rows, end = [], ""
    with results(package, "torch", given) as theirs, results(package, "mini_dl", given) as ours:
        for name, found in theirs:
            case, own = next(ours, ("", {}))
            if case in ENDS:
                end = f"{case}: {own['stopped']}"
            if name in ENDS:
                said = f"torch, {name}: {found['stopped']}"
            else:
                said = end or (verdict(own, found) if case == name else "not run")
            seconds = {"seconds": own.get("seconds"), "seconds of torch": found.get("seconds")}
            rows.append({"package": package, "case": name, "verdict": said, **seconds})
    same = sum(row["verdict"] == "same" for row in rows)
    version = next((metadata.version(known) for known in (package, package.replace("_", "-")) if known_package(known)), "")
    print(f"{package} {version}: {same} of {len(rows)} the same, {time.perf_counter() - start:.0f} s", flush=True)
    for said in dict.fromkeys(row["verdict"] for row in rows if row["verdict"] != "same"):
        names = [row["case"] for row in rows if row["verdict"] == said]
        print(f"  {', '.join(names)}: {said}", flush=True)
    return rows


def known_package(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
