"""A small report as JSON, and a page of it as its readers see it: links, texts and rows."""

from __future__ import annotations

import html.parser
from typing import Any

from scripts._matrix import STATUSES


def cell(*counts: int) -> dict[str, int]:
    return dict(zip(STATUSES, counts))


REPORT: dict[str, Any] = {
    "counts": {
        "ops": {
            "exp": {
                "float32": {"forward": cell(3, 0, 0, 1), "grad": cell(2, 1, 0, 0)},
                "float64": {"forward": cell(3, 0, 0, 1), "grad": cell(3, 0, 0, 0)},
                "int64": {"forward": cell(0, 0, 0, 2)},
            },
            "special.bessel_j0": {"float64": {"forward": cell(8, 0, 1, 0), "out": cell(9, 0, 1, 0)}},
        },
        "modules": {"nn.Linear": {"float32": {"forward": cell(1200, 0, 0, 0)}}},
        "optimizers": {"optim.Adam": {"float64": {"steps": cell(5, 0, 0, 0)}}},
    },
    "totals": {
        "ops": {"entries": 2, "pass": 28, "fail": 1, "ledgered": 2, "n/a": 4},
        "modules": {"entries": 1, "pass": 1200},
        "optimizers": {"entries": 1, "pass": 5},
    },
    "missing": {},
    "out_of_scope": {"jiterator": "CUDA"},
    "census": {},
    "gaps": [{"op": "special.bessel_j0", "dtype": "float64", "check": "out", "number": 1, "reason": "torch is off"}],
}


class Page(html.parser.HTMLParser):
    """The ids, links and cells of a page, and its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.cells: dict[str, list[tuple[str, str]]] = {}
        self.row, self.open, self.data, self.outside = "", "", "", list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.open = "data" if given.get("id") == "data" else tag
        self.ids |= {str(given["id"])} if "id" in given else set()
        self.links += [str(given["href"])] if "href" in given else []
        self.outside += [str(given[name]) for name in ("src", "href") if "//" in str(given.get(name))]
        if tag == "tr":
            self.row = str(given.get("data-key", ""))
        if tag == "td" and self.row:
            self.cells.setdefault(self.row, []).append((str(given.get("class")), ""))

    def handle_data(self, text: str) -> None:
        if self.open == "data":
            self.data += text
        elif self.open == "td" and self.row and text.strip():
            kind, before = self.cells[self.row][-1]
            self.cells[self.row][-1] = kind, before + text.strip()

    def handle_endtag(self, tag: str) -> None:
        self.open = ""
