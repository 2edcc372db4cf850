"""The support matrix, of the report that the parity suite writes and of the page of the site: its rows, its HTML, and the file
that the site is built from.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

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
DTYPES = (
    "float64 float32 float16 bfloat16 complex128 complex64 complex32 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool"
).split()
"""The order of types on a page."""

Cells = dict[str, dict[str, list[int]]]
"""dtype -> check -> how many cases pass, fail, are known gaps, do not apply"""

# ------------------------------------------------------------------------------------------------ rows and cells


def cells_of(dtypes: dict[str, Any]) -> Cells:
    """The counts of an entry of the report, as the page has them."""
    return {
        dtype: {
            check: [cell[status] for status in STATUSES] for check, cell in sorted(checks.items(), key=lambda one: order(one[0]))
        }
        for dtype, checks in sorted(dtypes.items(), key=lambda one: place(one[0]))
    }


def order(check: str) -> tuple[int, str]:
    known = list(CHECKS)
    return (known.index(check) if check in known else len(known), check)


def place(dtype: str) -> int:
    return DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES)


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


def command_for(kind: str, name: str, target: str = "mini_dl") -> str:
    """The command that compares this op, module or optimizer of a target again."""
    if target != "mini_dl":
        return f"python -m parity_tests --target {target} '{name}'"
    return f"python -m parity_tests.sweep '{name}'" if kind == "ops" else f"python -m parity_tests.sweep --{kind} '{name}'"


# ------------------------------------------------------------------------------------------------ the page


def environment(*folders: Path) -> Any:
    """What renders templates that lie in `folders`, and ``_matrix.html``, which they include."""
    import jinja2

    loader = jinja2.FileSystemLoader([*folders, Path(__file__).parent])
    found = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader)
    found.policies["json.dumps_kwargs"] = {"sort_keys": False}
    found.globals |= {"total_of": total_of, "verdict": verdict, "shown": shown}
    return found


def variables(rows: list[dict[str, Any]], totals: dict[str, Any]) -> dict[str, Any]:
    """What ``_matrix.html`` needs: rows with a `kind`, a `name`, `cells`, and whatever else the text of a row shows."""
    sections = []
    for kind, title in KINDS.items():
        chosen = [row for row in rows if row["kind"] == kind]
        checks = sorted({check for row in chosen for checks in row["cells"].values() for check in checks}, key=order)
        if chosen:
            sections.append({"kind": kind, "title": title, "rows": chosen, "checks": checks, "totals": totals[kind]})
    checks = list(dict.fromkeys(check for section in sections for check in section["checks"]))
    dtypes = sorted({dtype for row in rows for dtype in row["cells"]}, key=place)
    data = {f"{row['kind']}/{row['name']}": {k: row[k] for k in row if k not in ("kind", "name")} for row in rows}
    return {"sections": sections, "descriptions": CHECKS, "checks": checks, "dtypes": dtypes, "data": data}


# ------------------------------------------------------------------------------------------------ the file of the site

HEAD = """# Written by scripts/write_parity_facts.py from the report of a whole run of the parity suite.
# A row: table | name | for each type the cases that agree, check by check; "+2" are two that differ as the ledger explains, with
# reasons at the end.
"""


class Release(NamedTuple):
    """Versions and day of the run; table -> name -> cells; (op, dtype, check, number, reason) of each known gap."""

    run: str
    counts: dict[str, dict[str, Cells]]
    gaps: list[tuple[str, str, str, int, str]]


def written(run: str, counts: dict[str, Any], gaps: Iterable[tuple[str, str, str, int, str]]) -> str:
    """The text of the file. ValueError for a report with failures, which is not a release."""
    lines = [f"run | {run}"]
    for kind in KINDS:
        entries = {name: cells_of(dtypes) for name, dtypes in sorted(counts[kind].items())}
        checks = sorted({check for cells in entries.values() for row in cells.values() for check in row}, key=order)
        lines.append(" | ".join(["checks", kind, *checks]))
        for name, cells in entries.items():
            texts = [f"{dtype} {compact([row.get(check) for check in checks])}" for dtype, row in cells.items()]
            if any(counts[1] for row in cells.values() for counts in row.values()):
                raise ValueError(f"{name} has failures")
            lines.append(" | ".join([kind, name, *[text for text in texts if not text.endswith(" ")]]))
    lines += [" | ".join(["gap", *map(str, gap)]) for gap in gaps]
    return HEAD + "\n".join(lines) + "\n"


def compact(row: list[list[int] | None]) -> str:
    """The cells of one type; empty where there is nothing to compare."""
    cells = ["" if c is None or not any(c[:3]) else f"{c[0]}" + (f"+{c[2]}" if c[2] else "") for c in row]
    return ",".join(cells).rstrip(",")


def read(text: str) -> Release:
    run, counts, gaps, checks = "", {kind: dict[str, Cells]() for kind in KINDS}, [], dict[str, list[str]]()
    for line in text.splitlines():
        first, *rest = line.split(" | ")
        if first == "run":
            run = rest[0]
        elif first == "checks":
            checks[rest[0]] = rest[1:]
        elif first == "gap":
            gaps.append((rest[0], rest[1], rest[2], int(rest[3]), rest[4]))
        elif first in KINDS:
            counts[first][rest[0]] = {dtype: expanded(row, checks[first]) for dtype, row in map(str.split, rest[1:])}
    return Release(run, counts, gaps)


def expanded(row: str, checks: list[str]) -> dict[str, list[int]]:
    found = {}
    for check, cell in zip(checks, row.split(",")):
        if cell:
            passed, _, known = cell.partition("+")
            found[check] = [int(passed), 0, int(known or 0), 0]
    return found
