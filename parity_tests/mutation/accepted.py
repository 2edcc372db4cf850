"""The ledger of mutants that are accepted as equivalent: ``accepted.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomllib

from parity_tests.mutation.mutants import mutants_of

FILE = Path(__file__).with_name("accepted.toml")
KEYS = ("file", "function", "kind", "before", "after")


class AcceptedError(Exception):
    pass


def parse(text: str) -> dict[tuple[str, ...], str]:
    """(file, function, kind, before, after) -> reason, or with `nth` where a row is about one of several changes that read the
    same; strict about keys, reasons and duplicate rows.
    """
    table: dict[str, Any] = tomllib.loads(text)
    if set(table) - {"equivalent"}:
        raise AcceptedError(f"unknown tables: {sorted(set(table) - {'equivalent'})}")
    found: dict[tuple[str, ...], str] = {}
    for row in table.get("equivalent", []):
        if set(row) - {"nth"} != {*KEYS, "reason"}:
            raise AcceptedError(f"an equivalent has the keys {[*KEYS, 'reason']}, and may have 'nth': {row}")
        if len(row["reason"].split()) < 4:
            raise AcceptedError(f"an equivalent has a reason: {row}")
        key = tuple(row[name] for name in (*KEYS, "nth") if name in row)
        if key in found:
            raise AcceptedError(f"twice: {key}")
        found[key] = row["reason"]
    return found


def accepted() -> dict[tuple[str, ...], str]:
    return parse(FILE.read_text(encoding="utf-8"))


def reason_for(row: dict[str, Any], rows: dict[tuple[str, ...], str]) -> str:
    """Why a mutant, as it stands in a report, is accepted; "" if it is not."""
    key = tuple(row[name] for name in KEYS)
    return rows.get((*key, row["nth"])) or rows.get(key) or ""


def outdated(rows: dict[tuple[str, ...], str]) -> list[str]:
    """Rows that no longer match a mutant."""
    files = {key[0] for key in rows}
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    known = {mutant.key for mutant in mutants} | {(*mutant.key, mutant.nth) for mutant in mutants}
    return [" | ".join(map(str, key)) for key in rows if key not in known]
