"""Op by op: does mini_dl equal torch, how accurate are both, and, optionally, how fast?

For torch's own samples of each op: the checks of the parity suite (forward, gradient, second order); the worst error of the
float32 result of each library against torch's float64 result, in units in the last place (ULP); and, with `--time`, the time as
a ratio to torch's, measured as `compare_speed.py` does. Elements more than ten binary orders of magnitude below the largest of
their result (below 1, if all are 0) are measured by the unit there.

    python scripts/compare_ops.py softmax 'nn.functional.conv*'
    python scripts/compare_ops.py --quick --html report/ops.html
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _report import AGREE, DISAGREE, fail, libraries, parser, progress, table, versions, write_json, write_page
from compare_speed import medians

QUICK = (
    "add mul div pow exp log tanh sigmoid erf where sum mean var logsumexp amax cumsum sort topk matmul addmm einsum cat "
    "gather index_select index_add reshape transpose softmax log_softmax nn.functional.relu nn.functional.gelu "
    "nn.functional.linear nn.functional.conv2d nn.functional.max_pool2d nn.functional.avg_pool2d nn.functional.batch_norm "
    "nn.functional.layer_norm nn.functional.cross_entropy nn.functional.mse_loss nn.functional.embedding nn.functional.dropout"
).split()
CHECKS = ("forward", "grad", "gradgrad")
HEADER = ["op", "dtype", "cases", "forward", "gradient", "second order", "ULP mini_dl", "ULP torch"]
LEGEND = {
    "cases": "samples of torch's table, each under every check",
    "forward, gradient, second order": "how many cases agree, or how many FAIL; - if there are none",
    "ULP": "the worst error of the float32 result against torch's float64 result, in units in the last place",
}
TIMED = {"time ratio": "our time relative to torch's for the largest sample, measured as in compare_speed.py"}


def errors_in_ulp(result: Any, exact: Any) -> float:
    """The largest |result - exact| in units in the last place of the result's type."""
    result, exact = np.asarray(result), np.asarray(exact)
    if result.dtype.kind != "f" or not result.size or result.shape != exact.shape:
        return 0.0
    with np.errstate(all="ignore"):
        size = np.abs(exact)
        finite = np.isfinite(exact) & np.isfinite(result)
        if not finite.any():
            return 0.0
        floor = (size[finite].max() or 1.0) / 1024
        unit = np.spacing(np.maximum(size, floor).astype(result.dtype)).astype(np.float64)
        return float((np.abs(result.astype(np.float64) - exact) / unit)[finite].max())


class Measure:
    """The findings for one op in one dtype."""

    def __init__(self, name: str, dtype: str) -> None:
        self.name, self.dtype = name, dtype
        self.counts = {check: Counter[str]() for check in CHECKS}
        self.ulp = {"mini_dl": 0.0, "torch": 0.0}
        self.judged = 0  # results compared with float64
        self.ratio: float | None = None
        self.failures: list[str] = []

    @property
    def cases(self) -> int:
        return sum(self.counts["forward"].values())

    def row(self, timed: bool) -> list[str]:
        verdicts = []
        for check in CHECKS:
            passed, failed = self.counts[check]["pass"], self.counts[check]["fail"]
            verdicts.append(f"{failed} FAIL" if failed else str(passed) if passed else "-")
        ulps = [f"{self.ulp[side]:.1f}" if self.judged else "-" for side in ("mini_dl", "torch")]
        ratio = ["-" if self.ratio is None else f"{self.ratio:.2f}"] if timed else []
        return [self.name, self.dtype, str(self.cases), *verdicts, *ulps, *ratio]

    def numbers(self) -> dict[str, Any]:
        checks = {check: dict(count) for check, count in self.counts.items()}
        return {"op": self.name, "dtype": self.dtype, **checks, "ulp": self.ulp, "time ratio": self.ratio}


def measure(entry: Any, dtype: str, limit: int | None, timed: bool) -> Measure:
    from parity_tests.ops import Trial, run_entry

    found = Measure(repr(entry), dtype)
    for outcome in run_entry(entry, dtype, CHECKS, limit=limit):
        found.counts[outcome.check][outcome.status] += 1
        if outcome.status == "fail":
            found.failures.append(f"{outcome.check} {outcome.number}: {outcome.why[:160]}")
    largest: tuple[int, Any] = (0, None)
    for number, sample in enumerate(entry.samples(dtype)):
        if limit is not None and number >= limit:
            break
        try:
            trial = Trial(entry.theirs, entry.ours, sample)
        except Exception:  # counted as a failure above, or refused by torch
            continue
        if dtype == "float32":
            compare_with_exact(found, trial)
        largest = max(largest, (elements(trial), trial), key=lambda pair: pair[0])
    if timed and largest[1] is not None:
        found.ratio = time_ratio(entry, largest[1])
    return found


def compare_with_exact(found: Measure, trial: Any) -> None:
    from parity_tests import bridge

    exact = trial.reference()
    if exact is None:
        return
    sides = bridge.tensors(trial.answer), bridge.tensors(trial.result), bridge.tensors(exact.result)
    found.judged += len(sides[2])
    for ours, theirs, reference in zip(*sides):
        truth = bridge.array(reference)
        found.ulp["mini_dl"] = max(found.ulp["mini_dl"], errors_in_ulp(bridge.array(ours), truth))
        found.ulp["torch"] = max(found.ulp["torch"], errors_in_ulp(bridge.array(theirs), truth))


def elements(trial: Any) -> int:
    """The sample to time: the largest of all results."""
    from parity_tests import bridge

    return sum(bridge.array(tensor).size for tensor in bridge.tensors(trial.answer))


def time_ratio(entry: Any, trial: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = medians(
            [
                lambda: entry.ours(*trial.our_args, **trial.our_kwargs),
                lambda: entry.theirs(*trial.their_args, **trial.their_kwargs),
            ],
            seconds=0,
        )
    return ours / theirs


def title_of(options: Any) -> str:
    """The title of the table: a page that says "op by op" must mention a selection."""
    chosen = (
        "A selection of ops" if options.quick else f"Ops like {', '.join(options.patterns)}" if options.patterns else "All ops"
    )
    return chosen + (f", at most {options.limit} samples of each" if options.limit else "")


def main(arguments: list[str] | None = None) -> int:
    made = parser("Compare ops with torch: checks, errors in ULP against float64, and time.")
    made.add_argument("patterns", nargs="*", metavar="PATTERN", help="globs over torch's names, such as 'softmax' or 'linalg.*'")
    made.add_argument("--dtype", nargs="+", default=["float32", "float64"], help="types of the samples")
    made.add_argument("--quick", action="store_true", help="a selection of ops, in about a minute")
    made.add_argument("--limit", type=int, help="maximal number of samples per op")
    made.add_argument("--time", action="store_true", help="also the time ratio: more than a second for each op and type")
    made.add_argument("--html", type=Path, metavar="FILE", help="write the table to this page")
    options = made.parse_args(arguments)
    _, theirs = libraries()
    if theirs is None:
        return fail("compare_ops needs torch: python -m pip install torch==2.13.0")
    from parity_tests.adapter import chosen, entries

    if options.quick:
        options.patterns = options.patterns or QUICK
        options.limit = options.limit or 12
    found = [entry for entry in chosen(entries(), options.patterns) if entry.resolves()]
    if not found:
        return fail(f"no op of mini_dl matches {options.patterns}")
    print(versions(theirs))
    measures = []
    for entry in progress(found, desc="ops"):
        measures += [measure(entry, dtype, options.limit, options.time) for dtype in options.dtype if dtype in entry.dtypes]
    rows = [m.row(options.time) for m in measures]
    header = [*HEADER, *TIMED] if options.time else HEADER
    print(table(header, rows), end="\n\n")
    failed = [m for m in measures if m.failures]
    for m in failed:
        print(f"FAIL  {m.name} {m.dtype}: {m.failures[0]}")
    cases = sum(m.cases for m in measures)
    text = f"{len(found)} ops, {cases} cases, {sum(len(m.failures) for m in failed)} failures"
    print(text)
    if options.html is not None:
        title = "mini_dl and torch, op by op"
        write_page(
            options.html,
            title,
            [
                {
                    "title": title_of(options),
                    "header": header,
                    "rows": rows,
                    "legend": {**LEGEND, **(TIMED if options.time else {})},
                }
            ],
            [(not failed, text)],
            versions(theirs),
        )
    write_json(options.json, [m.numbers() for m in measures])
    return DISAGREE if failed else AGREE


if __name__ == "__main__":
    sys.exit(main())
