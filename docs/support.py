"""The page of the support matrix, made from ``parity.txt`` when the site is built: the matrix of the parity suite's report, with
links to the entries of the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts._matrix import STATUSES, Release, command_for, environment, read, variables

DOCS = Path(__file__).resolve().parent
PAGE = "support"
MARK = "<!-- the matrix -->"
TEMPLATE = """<div class="parity"><style>{% include "_matrix.css" %}</style>
<p class="soft">{{ run }}</p>
{% include "_matrix.html" %}</div>"""


def rows_of(release: Release, link: Callable[[str], str]) -> list[dict[str, Any]]:
    """A row for each op, module and optimizer; `link` gives the address of a name's entry, or ""."""
    rows = []
    for kind, entries in release.counts.items():
        for name, cells in entries.items():
            gaps = [
                {"dtype": dtype, "check": check, "number": number, "reason": reason}
                for op, dtype, check, number, reason in release.gaps
                if op == name
            ]
            rows.append({"kind": kind, "name": name, "cells": cells, "again": command_for(kind, name), "gaps": gaps,
                         "link": link(name.partition(":")[0])})  # fmt: skip
    return rows


def totals_of(release: Release) -> dict[str, dict[str, int]]:
    found = {}
    for kind, entries in release.counts.items():
        total: Counter[str] = Counter(entries=len(entries))
        for cells in entries.values():
            for checks in cells.values():
                for counts in checks.values():
                    total.update(dict(zip(STATUSES, counts)))
        found[kind] = dict(total)
    return found


def html(release: Release, link: Callable[[str], str] = lambda name: "") -> str:
    """The matrix, to stand in a page."""
    template = environment().from_string(TEMPLATE)
    return str(template.render(**variables(rows_of(release, link), totals_of(release)), run=release.run))


def links(app: Any, pathto: Callable[[str], str]) -> Callable[[str], str]:
    """What finds the entry of a name of torch's tables in the reference."""
    objects = app.env.get_domain("py").objects

    def link(name: str) -> str:
        for dotted in (f"mini_dl.{name}", f"mini_dl.Tensor.{name}"):
            if dotted in objects:
                return f"{pathto(objects[dotted].docname)}#{objects[dotted].node_id}"
        return ""

    return link


def fill_in(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename == PAGE:
        release = read((DOCS / "parity.txt").read_text(encoding="utf-8"))
        context["body"] = context["body"].replace(MARK, html(release, links(app, context["pathto"])))


def setup(app: Any) -> dict[str, bool]:
    app.connect("html-page-context", fill_in)
    return {"parallel_read_safe": True}
