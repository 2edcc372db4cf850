"""Runs torch's own samples of each op through torch and through mini_dl, and compares.

    python -m parity_tests.sweep [PATTERN ...] [--dtype float64 float32] [--check forward grad ...] [--json FILE] [-v] [-x]
    python -m parity_tests.sweep --reference [PATTERN ...] [--limit N]        # what torch's table has beyond its samples

A PATTERN is a glob over names of torch's table (``add``, ``nn.functional.*loss``, ``linalg.*``).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from mini_dl.files.replacing import rewrite
from parity_tests import adapter
from parity_tests.judging import FAIL, PASS, SKIP, Outcome
from parity_tests.modules import run_module
from parity_tests.ops import CHECKS, run_entry, run_references
from parity_tests.optimizers import run_optimizer


@dataclass
class Report:
    outcomes: list[Outcome] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    out_of_scope: dict[str, str] = field(default_factory=dict)

    def count(self, status: str) -> int:
        return sum(o.status == status for o in self.outcomes)


def table(args: argparse.Namespace) -> list[Any]:
    """The entries of torch's table that the command selects."""
    if args.modules:
        return adapter.chosen(adapter.module_entries(), args.patterns)
    if args.optimizers:
        return adapter.chosen(adapter.optimizer_entries(), args.patterns)
    return adapter.chosen(adapter.entries(), args.patterns)


def run(args: argparse.Namespace, entry: Any, dtype: str) -> Iterator[Outcome]:
    if args.modules:
        yield from run_module(entry, dtype)
    elif args.optimizers:
        yield from run_optimizer(entry, dtype)
    elif args.reference:
        yield from run_references(entry, dtype, args.limit)
    else:
        try:
            yield from run_entry(entry, dtype, args.check, args.sample, args.limit)
        except Exception as error:
            yield Outcome(repr(entry), dtype, "samples", -1, SKIP, f"{type(error).__name__}: {error}")


def sweep(args: argparse.Namespace) -> Report:
    report = Report()
    for entry in table(args):
        if not entry.resolves():
            if entry.out_of_scope:
                report.out_of_scope[repr(entry)] = entry.out_of_scope
            else:
                report.missing[repr(entry)] = "missing"
            continue
        began, found = time.perf_counter(), list[Outcome]()
        failed = False
        for outcome in (outcome for dtype in args.dtype for outcome in run(args, entry, dtype)):
            found.append(outcome)
            failed |= outcome.status == FAIL
            if args.stop and failed:
                break
        report.outcomes += found
        show(found, repr(entry), time.perf_counter() - began, args.verbose)
        if args.stop and failed:
            break
    return report


def show(outcomes: list[Outcome], name: str, seconds: float, verbose: bool) -> None:
    counts = Counter(o.status for o in outcomes)
    mark = "FAIL" if counts[FAIL] else "ok" if counts[PASS] else "none"
    print(f"{mark:4} {name:50} {counts[PASS]:5} pass {counts[FAIL]:5} fail {counts[SKIP]:5} n/a {seconds:6.1f}s", flush=True)
    seen = set()
    for outcome in outcomes:
        if verbose and outcome.status == SKIP:
            print(f"       n/a {outcome.dtype} {outcome.check} {outcome.place}: {outcome.why}")
        key = outcome.dtype, outcome.check
        if outcome.status != FAIL or key in seen:
            continue
        seen.add(key)
        total = sum(o.status == FAIL and (o.dtype, o.check) == key for o in outcomes)
        ran = sum(o.status != SKIP and (o.dtype, o.check) == key for o in outcomes)
        print(f"     {outcome.dtype} {outcome.check}: {total} of {ran}, first {outcome.place}: {outcome.why[:400]}")
        kind = outcome.check, outcome.why[:30]
        if kind not in seen:
            seen.add(kind)
            print("\n".join("         " + line for line in outcome.script.splitlines()))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--dtype", nargs="+", default=["float64", "float32"])
    parser.add_argument("--check", nargs="+", default=list(CHECKS), choices=CHECKS)
    parser.add_argument("--sample", type=int, help="only this sample")
    parser.add_argument("--limit", type=int, help="only the first samples")
    parser.add_argument("--modules", action="store_true", help="torch's table of modules instead of ops")
    parser.add_argument("--optimizers", action="store_true", help="torch's table of optimizers instead of ops")
    parser.add_argument(
        "--reference", action="store_true", help="torch's reference inputs (of each op as many as --limit, or all)"
    )
    parser.add_argument("--json", help="where to write all outcomes")
    parser.add_argument("-v", "--verbose", action="store_true", help="also why samples were not applicable")
    parser.add_argument("-x", "--stop", action="store_true", help="stop at the first failure")
    args = parser.parse_args(argv)
    report = sweep(args)
    if report.missing:
        print(f"missing ({len(report.missing)}): {' '.join(report.missing)}")
    if report.out_of_scope:
        print(f"out of scope ({len(report.out_of_scope)}): {' '.join(report.out_of_scope)}")
    bad = {o.entry for o in report.outcomes if o.status == FAIL}
    ran = {o.entry for o in report.outcomes}
    print(
        f"{len(ran)} entries run, {len(bad)} with failures; {report.count(PASS)} pass, {report.count(FAIL)} fail, "
        f"{report.count(SKIP)} not applicable; {len(report.missing)} entries missing, {len(report.out_of_scope)} out of scope"
    )
    if args.json:
        rewrite(args.json, json.dumps(asdict(report), indent=1))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
