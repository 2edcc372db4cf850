"""The report one can look at: ``report/index.html``, made from ``report/parity.json``.

    python -m parity_tests.report [--json report/parity.json] [--html report/index.html]

One page, which needs no network: totals, a support matrix (op x check, for all types or one of them) that can be searched and
sorted, and for each op what ran, its known gaps with reasons and the command that shows them again, and its text in mini_dl.
The suite writes it at the end of a whole run. What other commands left next to the JSON is shown too: the errors of both
libraries with their histograms (``accuracy.json``), the mutation score (``mutation.json``), past runs (``history.json``).
The JSON is described in ``docs/report_schema.json``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import platform
import types
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mini_dl
from mini_dl.files.replacing import rewrite
from parity_tests import adapter, bridge, ledger
from parity_tests.report_parts import by_option, line_of, mutation, read
from scripts._report import other_pages

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = Path(__file__).with_name("report.html")
STATUSES = ("pass", "fail", "ledgered", "n/a")
KINDS = {"ops": "Operations", "modules": "Modules", "optimizers": "Optimizers"}
CHECKS = {
    "forward": "the result: values, type, shape, memory shared with the arguments",
    "grad": "gradients of random directions",
    "gradgrad": "gradients of those gradients",
    "forward_ad": "tangents of random directions, in place too",
    "fwgrad_bwgrad": "tangents of gradients",
    "vmap": "over a batch",
    "vmap_grad": "gradients over a batch",
    "inplace": "the method with an underscore: what it writes, and its gradients",
    "out": "written into tensors that are given",
    "method": "the method of Tensor",
    "noncontiguous": "arguments with gaps in their memory",
    "error": "wrong arguments: the exception and its words",
    "reference forward": "results of torch's reference inputs: broadcasts, strides, extreme values; a slice of them",
    "reference grad": "gradients of those",
}
"""What the checks of operations are; those of modules and optimizers are named after what is compared."""

Cells = dict[str, dict[str, list[int]]]
"""dtype -> check -> how many cases pass, fail, are known gaps, do not apply"""


# ------------------------------------------------------------------------------------------------ what the page shows


def rows_of(counts: dict[str, Any], errors: dict[str, Any], target: str) -> Iterator[dict[str, Any]]:
    """A row for each op, module and optimizer of a target: its counts and, if that is mini_dl, its known gaps and text."""
    own = target == "mini_dl"
    for kind in KINDS:
        for name, dtypes in sorted(counts.get(kind, {}).items()):
            cells = {
                dtype: {check: [cell[status] for status in STATUSES] for check, cell in sorted(checks.items())}
                for dtype, checks in sorted(dtypes.items())
            }
            gaps = [
                {"dtype": gap.dtype, "check": gap.check, "number": gap.number, "reason": gap.reason}
                for gap in ledger.gaps().values()
                if own and gap.op == name
            ]
            texts = texts_of(kind, name) if own else []
            yield {"kind": kind, "name": name, "cells": cells, "gaps": gaps, "again": command_for(kind, name, target),
                   "texts": texts, "errors": errors.get(name, {})}  # fmt: skip


def command_for(kind: str, name: str, target: str) -> str:
    """The command that compares this op, module or optimizer of a target again."""
    if target != "mini_dl":
        return f"python -m parity_tests --target {target} '{name}'"
    return f"python -m parity_tests.sweep '{name}'" if kind == "ops" else f"python -m parity_tests.sweep --{kind} '{name}'"


def total_of(cells: Cells) -> dict[str, list[int]]:
    """check -> counts over all types."""
    found: dict[str, list[int]] = {}
    for checks in cells.values():
        for check, counts in checks.items():
            found[check] = [a + b for a, b in zip(found.get(check, [0] * len(STATUSES)), counts)]
    return found


def verdict(counts: list[int] | None) -> str:
    """The class of a cell: what is worst in it."""
    if counts is None or not any(counts[:3]):
        return "none"
    return "bad" if counts[1] else "gap" if counts[2] else "good"


def shown(counts: list[int] | None) -> str:
    """The text of a cell."""
    if counts is None or not any(counts[:3]):
        return "·"
    passed, failed, known, _ = counts
    parts = [f"{passed:,}"] + [f"{failed:,} fail"] * bool(failed) + [f"{known:,} known"] * bool(known)
    return ", ".join(parts)


# ------------------------------------------------------------------------------------------------ its text in mini_dl


def texts_of(kind: str, name: str) -> list[dict[str, str]]:
    """The source of what was tested: the public function or class, and the primitives that it calls, with their formulas."""
    try:
        target = entries()[name].ours if kind == "ops" else bridge.lookup(name)
    except Exception:  # a table may combine functions
        return []
    found, wanted = [], [target]
    for one in wanted:
        body = inspect.unwrap(one) if callable(one) else one
        if not isinstance(body, (types.FunctionType, type)) or not body.__module__.startswith("mini_dl"):
            continue
        try:
            lines, first = inspect.getsourcelines(body)
        except (OSError, TypeError):
            continue
        where = Path(inspect.getsourcefile(body) or "").relative_to(ROOT)
        text = {"where": f"{where}:{first}", "text": "".join(lines) if len(lines) <= 120 else "".join(lines[:120]) + "...\n"}
        if text not in found:
            found.append(text)
        if isinstance(body, types.FunctionType) and len(wanted) == 1:
            names = [body.__globals__.get(called) for called in body.__code__.co_names]
            wanted += [called for called in names if hasattr(called, "op")]
    return found


@cache
def entries() -> dict[str, adapter.Entry]:
    return {repr(entry): entry for entry in adapter.entries()}


# ------------------------------------------------------------------------------------------------ the page


def page(
    report: dict[str, Any],
    errors: dict[str, Any] | None = None,
    others: Sequence[tuple[str, str]] = (),
    library: str = "mini_dl",
    target: str = "mini_dl",
    folder: Path | None = None,
) -> str:
    """The HTML of the report on a library, which commands find as `target`, with links to `others`: pages and their titles;
    `folder` has what other commands left.
    """
    import jinja2

    rows = list(rows_of(report["counts"], (errors or {}).get("ops", {}), target))
    sections = []
    for kind, title in KINDS.items():
        chosen = [row for row in rows if row["kind"] == kind]
        checks = sorted({check for row in chosen for checks in row["cells"].values() for check in checks}, key=order)
        if chosen:
            sections.append({"kind": kind, "title": title, "rows": chosen, "checks": checks, "totals": report["totals"][kind]})
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        sections=sections, report=report, descriptions=CHECKS, total_of=total_of, verdict=verdict, shown=shown,
        others=others, library=library, versions=versions(library), dtypes=sorted({d for row in rows for d in row["cells"]}),
        bounds=(errors or {}).get("bounds", []), line=line_of(read(folder / "history.json") or []) if folder else None,
        mutation=mutation(folder / "mutation.json") if folder else None, by_option=by_option(folder) if folder else [],
        data={f"{row['kind']}/{row['name']}": {k: row[k] for k in row if k not in ("kind", "name")} for row in rows},
    )  # fmt: skip


def order(check: str) -> tuple[int, str]:
    known = list(CHECKS)
    return (known.index(check) if check in known else len(known), check)


def versions(library: str) -> str:
    name = f"mini_dl {mini_dl.__version__}" if library == "mini_dl" else library
    return (
        f"{name}, torch {torch.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}"
    )


def write(json_file: Path, html_file: Path) -> None:
    """Write the page for a report in JSON and what lies next to it; FileNotFoundError if there is none."""
    report = json.loads(json_file.read_text(encoding="utf-8"))
    folder = json_file.parent
    html_file.parent.mkdir(parents=True, exist_ok=True)
    rewrite(html_file, page(report, read(folder / "accuracy.json"), other_pages(html_file), folder=folder))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.report", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--json", type=Path, default=ROOT / "report" / "parity.json", help="what the suite wrote")
    parser.add_argument("--html", type=Path, default=ROOT / "report" / "index.html", help="the page to write")
    options = parser.parse_args(arguments)
    if not options.json.exists():
        parser.error(f"there is no {options.json}; `python -m tox run -e parity` writes it")
    write(options.json, options.html)
    print(options.html)


if __name__ == "__main__":
    main()
