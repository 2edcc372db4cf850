"""Run torch's table of operations against any library: yours.

    python -m parity_tests --target package.module            # a module with torch's names
    python -m parity_tests --target package.module:table      # a dictionary of functions of arrays, by torch's names
    python -m parity_tests --target package.module:target     # an object: see parity_tests/targets.py

Results and gradients are compared. ``--html`` writes the page that the suite writes for mini_dl. For mini_dl itself this is a
short form of the suite, which also checks second derivatives, writes in place, errors and more: ``python -m tox run -e parity``.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mini_dl.files.replacing import rewrite
from parity_tests import adapter, golden, packing, report, targets
from scripts._matrix import STATUSES

SHOWN = 3
"""How many failing cases of a check are printed."""


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
    for pattern in options.patterns:
        if not adapter.chosen(adapter.entries(), [pattern]):
            parser.error(f"torch's table has no {pattern!r}{near(pattern)}")
    for name in unknown(target):
        print(f"not in torch's table, and not compared: {name}{near(name)}")
    counts = compared(target, options.patterns, options.dtype, options.limit)
    if not counts:
        parser.error(f"{target.name} has no function of {' '.join(options.patterns)}: nothing was compared")
    total = Counter[str]()
    for dtypes in counts.values():
        for checks in dtypes.values():
            for cell in checks.values():
                total.update(cell)
    without = "" if any("grad" in checks for dtypes in counts.values() for checks in dtypes.values()) else "; no gradients"
    print(f"{target.name}: {len(counts)} entries of torch's table, {total['pass']} checks pass, {total['fail']} fail{without}")
    if options.html is not None:
        totals = {"ops": {"entries": len(counts), **total}}
        found = {"counts": {"ops": counts}, "totals": totals, "out_of_scope": {}}
        rewrite(options.html, report.page(found, library=target.name, target=options.target))
        print(options.html)
    return 1 if total["fail"] or not total["pass"] else 0


def compared(target: Any, patterns: list[str], dtypes: list[str], limit: int | None) -> dict[str, Any]:
    """op -> dtype -> check -> how many cases passed and failed, of the entries that the target has. Of what fails, a few cases of
    each check are printed.
    """
    counts: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    failed = Counter[tuple[str, str, str]]()
    for case in packing.recorded(patterns, dtypes, limit, arrays, functools.partial(has, target)):
        for check, why in golden.check(case, arrays, target).items():
            checks = counts.setdefault(case.op, {}).setdefault(case.dtype, {})
            cell = checks.setdefault(check, dict.fromkeys(STATUSES, 0))
            cell["fail" if why else "pass"] += 1
            failed[case.op, case.dtype, check] += bool(why)
            if why and failed[case.op, case.dtype, check] <= SHOWN:
                print(f"FAIL  {case}: {why}")
        arrays.clear()
    for (op, dtype, check), number in failed.items():
        if number > SHOWN:
            print(f"FAIL  {op} {dtype}, {check}: {number - SHOWN} more")
    return counts


def has(target: Any, function: str) -> bool:
    try:
        return target.function(function) is not None
    except LookupError:
        return False


def unknown(target: Any) -> list[str]:
    """The names in a table of functions that torch's table does not have."""
    known = {entry.name for entry in adapter.entries()}
    table = target.table if isinstance(target, targets.Functions) and isinstance(target.table, Mapping) else {}
    return [name for name in table if name not in known and name.removeprefix("Tensor.") not in known]


def near(name: str) -> str:
    """A hint at names of torch's table that look like this one."""
    known = {entry.name for entry in adapter.entries()}
    ends = [one for one in known if one.rpartition(".")[2] == name]  # gelu for nn.functional.gelu
    found = ends or difflib.get_close_matches(name, known, 3)
    return f"; perhaps {' or '.join(sorted(found))}?" if found else ""


if __name__ == "__main__":
    sys.exit(main())
