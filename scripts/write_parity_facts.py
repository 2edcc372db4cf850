"""Write docs/parity.txt: what was compared with torch, for the support matrix of the site and the entries of its reference.

python scripts/write_parity_facts.py [report/parity.json]             # written by a whole run of `tox run -e parity`
python scripts/write_parity_facts.py --check [report/parity.json]     # ends with 1 if docs/parity.txt says something else
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from _matrix import written
from _report import brought_up_to_date

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "parity.txt"


def text_of(source: Path) -> str:
    """What the file says after the run that left this report, with its history beside it."""
    report = json.loads(source.read_text(encoding="utf-8"))
    last = json.loads(source.with_name("history.json").read_text(encoding="utf-8"))[-1]
    gaps = [(gap["op"], gap["dtype"], gap["check"], gap["number"], gap["reason"]) for gap in report["gaps"]]
    return written(f"{last['versions']}; {last['when'].partition('T')[0]}", report["counts"], gaps)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", default=ROOT / "report" / "parity.json", help="the report in JSON")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if the file is out of date")
    options = parser.parse_args(arguments)
    return brought_up_to_date(TARGET, text_of(options.source), options.check, "python scripts/write_parity_facts.py")


if __name__ == "__main__":
    sys.exit(main())
