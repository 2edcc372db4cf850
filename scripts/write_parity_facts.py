"""Write docs/parity.txt: what was compared with torch, by op, module and optimizer, for the entries of the reference.

python scripts/write_parity_facts.py [report/parity.json]     # written by a whole run of `tox run -e parity`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mini_dl.files.replacing import rewrite

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "parity.txt"
HEAD = """# Written by scripts/write_parity_facts.py from the report of a whole run of the parity suite against torch 2.13.0.
# name | samples | dtypes | checks | comparisons that agree | comparisons with a difference that parity_tests/ledger.toml explains
"""


def facts(by_dtype: dict[str, Any]) -> tuple[int, str, str, int, int]:
    """The number of samples, the dtypes, the checks that applied, and the numbers of comparisons that agree, or differ as
    explained.
    """
    cells = [(dtype, check, cell) for dtype, checks in by_dtype.items() for check, cell in checks.items()]
    ran = [(dtype, check, cell) for dtype, check, cell in cells if cell["pass"] + cell["ledgered"]]
    samples = max([cell["pass"] + cell["ledgered"] for _, check, cell in ran if check in ("forward", "trajectory")], default=0)
    dtypes, checks = dict.fromkeys(dtype for dtype, _, _ in ran), dict.fromkeys(check for _, check, _ in ran)
    agree, explained = (sum(cell[status] for _, _, cell in ran) for status in ("pass", "ledgered"))
    return samples, " ".join(dtypes), " ".join(check.replace(" ", "_") for check in checks), agree, explained


def main(source: Path) -> None:
    counts = json.loads(source.read_text(encoding="utf-8"))["counts"]
    rows = [(name, *facts(one)) for kind in ("ops", "modules", "optimizers") for name, one in counts[kind].items()]
    lines = [" | ".join(map(str, row)) for row in sorted(rows) if row[4]]
    rewrite(TARGET, HEAD + "\n".join(lines) + "\n")
    print(f"{TARGET.relative_to(ROOT)}: {len(lines)} names, {sum(row[4] for row in rows)} comparisons")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "report" / "parity.json")
