"""The ledger of known gaps: each failing check that is accepted for now, with its number of cases and the reason.

It is strict. A gap with fewer (or more) failing cases than listed fails the suite; so does an unknown op, dtype, check or
key. The count can only decrease.

Gaps of one reason may stand together, ``[[gaps]]`` with a line ``"op | dtype | check | number"`` for each.

A row may name the versions of torch or NumPy to which it applies, ``torch = ">=2.14"`` or ``numpy = "<2.2"``; under others it is
ignored. So may it name the instructions that torch uses on a processor, ``processor = "AVX2"`` or ``"not AVX2"``: they round in
other orders, and torch lacks some functions where it lacks some instructions. Two rows of one op, dtype and check must not apply
to the same run.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
import torch

FILE = Path(__file__).with_name("ledger.toml")
TABLES = {"gap", "gaps", "test"}
KEYS = {"op", "dtype", "check", "number", "reason"}
VERSIONS = {"torch": torch.__version__, "numpy": np.__version__}
PROCESSOR = torch.backends.cpu.get_cpu_capability()
COMPARISONS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "<": operator.lt, ">": operator.gt}


@dataclass(frozen=True)
class Gap:
    op: str
    dtype: str
    check: str
    number: int
    reason: str


class LedgerError(Exception):
    pass


def parts(version: str) -> tuple[int, ...]:
    """``"2.13.0+cpu"`` -> ``(2, 13)``"""
    return tuple([int(number) for number in re.findall(r"\d+", version)[:2]])


def holds(condition: str, version: str) -> bool:
    """Whether a version meets conditions such as ``">=2.14,<2.16"``; only its first two numbers count."""
    for one in condition.split(","):
        found = re.fullmatch(r"\s*(>=|<=|==|<|>)\s*(\d+\.\d+)\s*", one)
        if found is None:
            raise LedgerError(f"not a condition on a version: {one!r}")
        if not COMPARISONS[found[1]](parts(version), parts(found[2])):
            return False
    return True


def applies(row: dict[str, Any]) -> bool:
    """Whether a row applies to the installed versions, on this processor; its conditions are removed from it."""
    *negated, processor = row.pop("processor", PROCESSOR).rsplit(" ", 1)
    if negated not in ([], ["not"]):
        raise LedgerError(f"not a condition on a processor: {' '.join(negated)} {processor}")
    held = [holds(row.pop(name), version) for name, version in VERSIONS.items() if name in row]
    return (processor == PROCESSOR) != bool(negated) and all(held)


def rows_of(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of gaps that stand together."""
    shared = {key: value for key, value in group.items() if key != "cells"}
    for cell in group.get("cells", []):
        op, dtype, check, number = cell.split(" | ") if cell.count(" | ") == 3 else (None,) * 4
        if op is None or not number.isdigit():
            raise LedgerError(f"not a gap, 'op | dtype | check | number': {cell!r}")
        yield {"op": op, "dtype": dtype, "check": check, "number": int(number), **shared}


def parse(text: str) -> dict[tuple[str, str, str], Gap]:
    table = tomllib.loads(text)
    if set(table) - TABLES:
        raise LedgerError(f"unknown tables in the ledger: {sorted(set(table) - TABLES)}")
    found: dict[tuple[str, str, str], Gap] = {}
    for row in [*table.get("gap", []), *[row for group in table.get("gaps", []) for row in rows_of(group)]]:
        if not applies(row):
            continue
        if set(row) != KEYS:
            raise LedgerError(f"a gap has the keys {sorted(KEYS)}, not {sorted(row)}: {row}")
        if not isinstance(row["number"], int) or row["number"] < 1:
            raise LedgerError(f"a gap has at least one case: {row}")
        if len(row["reason"].split()) < 3:
            raise LedgerError(f"a gap has a reason: {row}")
        key = row["op"], row["dtype"], row["check"]
        if key in found:
            raise LedgerError(f"twice in the ledger: {key}")
        found[key] = Gap(**row)
    return found


@functools.cache
def gaps() -> dict[tuple[str, str, str], Gap]:
    return parse(FILE.read_text())


@functools.cache
def known_tests() -> dict[str, str]:
    """Other tests that are known to fail, ``file.py::name[parameters]``, with the reason: they must fail."""
    rows = [row for row in tomllib.loads(FILE.read_text()).get("test", []) if applies(row)]
    for row in rows:
        if set(row) != {"id", "reason"} or len(row["reason"].split()) < 3:
            raise LedgerError(f"a test in the ledger has an id and a reason: {row}")
    if len({row["id"] for row in rows}) != len(rows):
        raise LedgerError("a test is twice in the ledger")
    return {row["id"]: row["reason"] for row in rows}


def unknown(known: dict[str, set[tuple[str, str]]]) -> list[str]:
    """Gaps that are not in `known` (from op to pairs of dtype and check)."""
    return [
        f"{gap.op}, {gap.dtype}, {gap.check}" for gap in gaps().values() if (gap.dtype, gap.check) not in known.get(gap.op, set())
    ]


def judge(op: str, dtype: str, failures: dict[str, list[Any]], ran: set[str]) -> tuple[list[str], dict[str, int]]:
    """The unexpected failures of one op and dtype by check, and the number that the ledger accepts for each check."""
    complaints, taken = [], {}
    for check in sorted(ran | set(failures)):
        count, gap = len(failures.get(check, [])), gaps().get((op, dtype, check))
        if gap is None:
            if count:
                first = failures[check][0]
                complaints.append(f"{check}: {count} fail, first {first.place}: {first.why}\n{first.script}")
        elif count != gap.number:
            verb = "passes now: strike it from the ledger" if not count else f"has {count} failing cases"
            complaints.append(f"{check}: the ledger says {gap.number} cases fail ({gap.reason}); it {verb}")
        else:
            taken[check] = count
    return complaints, taken
