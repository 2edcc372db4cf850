"""Run torch's table of operations against any library: yours.

    python -m parity_tests --target package.module            # a module with torch's names
    python -m parity_tests --target package.module:table      # a dictionary of functions of arrays, by torch's names
    python -m parity_tests --target package.module:target     # an object: see parity_tests/targets.py

Results and gradients are compared. ``--html`` writes the page that the suite writes for mini_dl. For mini_dl itself this is a
short form of the suite, which also checks second derivatives, in-place writes, errors and more: ``python -m tox run -e parity``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mini_dl.files.replacing import rewrite
from parity_tests import golden, packing, report, targets
from scripts._matrix import STATUSES


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m parity_tests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patterns", nargs="*", default=["*"], help="entries of torch's table, such as softmax or 'linalg.*'")
    parser.add_argument("--target", required=True, help="package.module, or package.module:attribute")
    parser.add_argument("--dtype", nargs="+", default=["float32", "float64"], help="types of the samples")
    parser.add_argument("--limit", type=int, help="so many samples of each entry and type")
    parser.add_argument("--html", type=Path, help="where to write the page")
    options = parser.parse_args(arguments)
    try:
        target = targets.found(options.target)
    except (ImportError, AttributeError, TypeError) as error:
        parser.error(str(error))
    counts = compared(target, options.patterns, options.dtype, options.limit)
    total = Counter[str]()
    for dtypes in counts.values():
        for checks in dtypes.values():
            for cell in checks.values():
                total.update(cell)
    print(f"{target.name}: {len(counts)} entries of torch's table, {total['pass']} checks pass, {total['fail']} fail")
    if options.html is not None:
        totals = {"ops": {"entries": len(counts), **total}}
        found = {"counts": {"ops": counts}, "totals": totals, "out_of_scope": {}}
        rewrite(options.html, report.page(found, library=target.name, target=options.target))
        print(options.html)
    return 1 if total["fail"] or not total["pass"] else 0


def compared(target: Any, patterns: list[str], dtypes: list[str], limit: int | None) -> dict[str, Any]:
    """op -> dtype -> check -> the numbers of cases that passed and failed, for the entries of the target. Failures are
    printed.
    """
    counts: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for case in packing.recorded(patterns, dtypes, limit, arrays):
        verdicts: dict[str, str | None] = {}
        with contextlib.suppress(LookupError):
            verdicts = golden.check(case, arrays, target)
        for check, why in verdicts.items():
            checks = counts.setdefault(case.op, {}).setdefault(case.dtype, {})
            cell = checks.setdefault(check, dict.fromkeys(STATUSES, 0))
            cell["fail" if why else "pass"] += 1
            if why:
                print(f"FAIL  {case}: {why}")
        arrays.clear()
    return counts


if __name__ == "__main__":
    sys.exit(main())
