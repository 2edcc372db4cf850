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
from scripts._matrix import KINDS, cells_of, command_for, environment, variables
from scripts._report import other_pages

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = Path(__file__).with_name("report.html")

# ------------------------------------------------------------------------------------------------ what the page shows


def rows_of(counts: dict[str, Any], errors: dict[str, Any], target: str) -> Iterator[dict[str, Any]]:
    """A row for each op, module and optimizer of a target: its counts and, if that is mini_dl, its known gaps and text."""
    own = target == "mini_dl"
    for kind in KINDS:
        for name, dtypes in sorted(counts.get(kind, {}).items()):
            gaps = [
                {"dtype": gap.dtype, "check": gap.check, "number": gap.number, "reason": gap.reason}
                for gap in ledger.gaps().values()
                if own and gap.op == name
            ]
            texts = texts_of(kind, name) if own else []
            yield {"kind": kind, "name": name, "cells": cells_of(dtypes), "gaps": gaps,
                   "again": command_for(kind, name, target), "texts": texts, "errors": errors.get(name, {})}  # fmt: skip


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
    rows = list(rows_of(report["counts"], (errors or {}).get("ops", {}), target))
    return environment(TEMPLATE.parent).get_template(TEMPLATE.name).render(
        **variables(rows, report["totals"]), report=report, others=others, library=library, versions=versions(library),
        bounds=(errors or {}).get("bounds", []), line=line_of(read(folder / "history.json") or []) if folder else None,
        mutation=mutation(folder / "mutation.json") if folder else None, by_option=by_option(folder) if folder else [],
    )  # fmt: skip


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
