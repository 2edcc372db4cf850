"""Who is right, and how far off the other is: both libraries against exact results, op by op.

    python -m parity_tests.accuracy [PATTERN ...] [--limit 6] [--json report/accuracy.json]

float32 results are held against torch's own in float64; float64 results of functions of one number against mpmath with 40 digits.
Errors are in units in the last place of the exact result; an element more than ten binary orders below the largest of its result
is measured by the unit there. Times are the best of a few calls of each library on the largest sample: a hint, not a measurement.
The report shows what this writes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mini_dl.files.replacing import rewrite
from parity_tests import adapter, bridge
from parity_tests.judging import call
from parity_tests.ops import Trial
from parity_tests.report_parts import now

ROOT = Path(__file__).resolve().parent.parent
BOUNDS = (0.0, 0.5, 1.0, 2.0, 4.0, 16.0, 256.0)
"""The upper ends of the classes of the histogram; one more class has all that is beyond."""
DIGITS = 40
ELEMENTS = 60
"""Of how many elements of a sample mpmath computes the exact result."""
REPEATS = 5

EXACT: dict[str, str] = {
    "acos": "acos", "acosh": "acosh", "asin": "asin", "asinh": "asinh", "atan": "atan", "atanh": "atanh", "cos": "cos",
    "cosh": "cosh", "sin": "sin", "sinh": "sinh", "tan": "tan", "tanh": "tanh", "exp": "exp", "expm1": "expm1", "log": "log",
    "log10": "log10", "sqrt": "sqrt", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "loggamma",
    "digamma": "digamma",
    "special.bessel_j0": "j0", "special.bessel_j1": "j1", "special.airy_ai": "airyai",
}  # fmt: skip
"""Operations of one number, and the functions of mpmath."""
MADE: dict[str, Callable[[Any, Any], Any]] = {
    "special.bessel_y0": lambda mp, x: mp.bessely(0, x),
    "special.bessel_y1": lambda mp, x: mp.bessely(1, x),
    "special.modified_bessel_i0": lambda mp, x: mp.besseli(0, x),
    "special.modified_bessel_i1": lambda mp, x: mp.besseli(1, x),
    "special.modified_bessel_k0": lambda mp, x: mp.besselk(0, x),
    "special.modified_bessel_k1": lambda mp, x: mp.besselk(1, x),
    "i0": lambda mp, x: mp.besseli(0, x),
    "special.i1": lambda mp, x: mp.besseli(1, x),
    "special.i0e": lambda mp, x: mp.besseli(0, x) * mp.exp(-abs(x)),
    "special.i1e": lambda mp, x: mp.besseli(1, x) * mp.exp(-abs(x)),
    "special.erfcx": lambda mp, x: mp.erfc(x) * mp.exp(x * x),
    "special.ndtr": lambda mp, x: mp.ncdf(x),
    "special.log_ndtr": lambda mp, x: mp.log(mp.ncdf(x)),
    "special.entr": lambda mp, x: -x * mp.log(x),
    "sigmoid": lambda mp, x: 1 / (1 + mp.exp(-x)),
    "log1p": lambda mp, x: mp.log(1 + x),
    "log2": lambda mp, x: mp.log(x, 2),
    "exp2": lambda mp, x: mp.mpf(2) ** x,
    "rsqrt": lambda mp, x: 1 / mp.sqrt(x),
    "sinc": lambda mp, x: mp.sincpi(x),
    "nn.functional.softplus": lambda mp, x: mp.log(1 + mp.exp(x)),
    "nn.functional.gelu": lambda mp, x: x * mp.ncdf(x),
    "nn.functional.silu": lambda mp, x: x / (1 + mp.exp(-x)),
}


def ulps(result: Any, exact: Any) -> Any:
    """|result - exact| of each element in units in the last place of the result's type; infinite where only `exact` is finite."""
    result, exact = np.asarray(result), np.asarray(exact)
    if result.dtype.kind != "f" or not result.size or result.shape != exact.shape:
        return np.zeros(0)
    with np.errstate(all="ignore"):
        size = np.abs(exact)
        finite = np.isfinite(exact) & np.isfinite(result)
        apart = np.isfinite(exact) & ~np.isfinite(result) & (size < np.finfo(result.dtype).max)
        if not finite.any():
            return np.full(int(apart.sum()), np.inf)
        floor = (size[finite].max() or 1.0) / 1024
        unit = np.spacing(np.maximum(size, floor)[finite].astype(result.dtype)).astype(np.float64)
        errors = np.abs(result[finite].astype(np.float64) - exact[finite]) / unit
        return np.concatenate([errors, np.full(int(apart.sum()), np.inf)])


class Errors:
    """The errors of one library."""

    def __init__(self) -> None:
        self.worst, self.counts = 0.0, np.zeros(len(BOUNDS) + 1, np.int64)

    def add(self, result: Any, exact: Any) -> None:
        errors = ulps(result, exact)
        if errors.size:
            self.worst = max(self.worst, float(errors.max()))
            self.counts += np.bincount(np.searchsorted(BOUNDS, errors), minlength=len(self.counts))

    def row(self) -> dict[str, Any]:
        return {"worst": float(f"{min(self.worst, 1e300):.3g}"), "counts": [int(n) for n in self.counts]}


def measured(entry: adapter.Entry, dtype: str, limit: int) -> dict[str, Any] | None:
    """The errors of both libraries in the first samples of an entry, and the time as a ratio; None if nothing can be judged."""
    sides, largest = {"mini_dl": Errors(), "torch": Errors()}, None
    for number, sample in enumerate(entry.samples(dtype)):
        if number >= limit:
            break
        try:
            trial = Trial(entry.theirs, entry.ours, sample)
            exact = exact_of(entry, trial, dtype)
        except Exception:  # the suite tells why
            continue
        if exact is None:
            continue
        for name, found in (("mini_dl", trial.answer), ("torch", trial.result)):
            for tensor, reference in zip(bridge.tensors(found), exact):
                result = bridge.array(tensor)
                if dtype == "float32" and result.dtype == np.float64:
                    continue  # as exact as what it would be held against
                sides[name].add(
                    result.reshape(-1)[: len(reference)] if reference.ndim == 1 and result.ndim != 1 else result, reference
                )
        size = sum(t.numel() for t in bridge.tensors(trial.their_args))
        if largest is None or size > largest[0]:
            largest = size, trial
    if largest is None or not sides["torch"].counts.any():
        return None
    return {name: side.row() for name, side in sides.items()} | {"ratio": ratio_of(entry, largest[1])}


def exact_of(entry: adapter.Entry, trial: Trial, dtype: str) -> list[Any] | None:
    """The exact results of a call."""
    if dtype != "float64":
        reference = trial.reference()
        return None if reference is None else [bridge.array(tensor) for tensor in bridge.tensors(reference.result)]
    if trial.sample.args or trial.sample.kwargs:
        return None  # another function
    x = bridge.array(trial.sample.input).reshape(-1)[:ELEMENTS]
    return [np.array([exact_number(entry.name, float(number)) for number in x])]


def exact_number(name: str, x: float) -> float:
    """The function of mpmath at x, rounded once; NaN where it is complex or has a pole."""
    import mpmath

    with mpmath.workdps(DIGITS):
        try:
            found = MADE[name](mpmath, mpmath.mpf(x)) if name in MADE else getattr(mpmath, EXACT[name])(mpmath.mpf(x))
            return float(found) if isinstance(found, mpmath.mpf) else float("nan")
        except (ValueError, ZeroDivisionError, OverflowError, mpmath.libmp.ComplexResult):
            return float("nan")


def ratio_of(entry: adapter.Entry, trial: Trial) -> float | None:
    best = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function, args, kwargs in (
            (entry.ours, trial.our_args, trial.our_kwargs),
            (entry.theirs, trial.their_args, trial.their_kwargs),
        ):
            spent = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                try:
                    call(function, *args, **kwargs)
                except Exception:  # a call that changes what it was given
                    return None
                spent.append(time.perf_counter() - began)
            best.append(min(spent))
    return float(f"{best[0] / best[1]:.3g}")


def measure(patterns: list[str], limit: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(op, dtype -> errors) of the entries that can be judged."""
    for entry in adapter.chosen(adapter.entries(), patterns):
        if not entry.resolves() or entry.undetermined or entry.has_free_signs:
            continue
        judged = {"float32": "float32" in entry.dtypes, "float64": entry.name in EXACT or entry.name in MADE}
        found = {dtype: errors for dtype, can in judged.items() if can and (errors := measured(entry, dtype, limit)) is not None}
        if found:
            yield repr(entry), found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m parity_tests.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--limit", type=int, default=6, help="so many samples of each operation")
    parser.add_argument("--json", type=Path, default=ROOT / "report" / "accuracy.json")
    options = parser.parse_args(arguments)
    found = {}
    for name, errors in measure(options.patterns, options.limit):
        found[name] = errors
        worst = "   ".join(f"{d}: {e['mini_dl']['worst']:.3g} ULP, torch {e['torch']['worst']:.3g}" for d, e in errors.items())
        print(f"{name:44} {worst}", flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    rewrite(options.json, json.dumps({"when": now(), "bounds": BOUNDS, "ops": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
