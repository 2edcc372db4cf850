"""The report shows what the JSON says, and hangs together."""

from __future__ import annotations

import copy
import html.parser
import json
from pathlib import Path
from typing import Any

import pytest

from parity_tests import ops, report
from parity_tests.report import CHECKS, STATUSES


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


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(report.page(REPORT))


def test_a_cell_sums_all_types_and_shows_the_worst(page: Page) -> None:
    assert page.cells["ops/exp"][:2] == [("good", "6"), ("bad", "5, 1 fail")]
    assert page.cells["ops/special.bessel_j0"][0] == ("gap", "8, 1 known")
    assert page.cells["modules/nn.Linear"] == [("good", "1,200")]


def test_the_matrix_is_that_of_the_json(page: Page) -> None:
    data = json.loads(page.data)
    for kind, names in REPORT["counts"].items():
        for name, dtypes in names.items():
            cells = data[f"{kind}/{name}"]["cells"]
            again = {dtype: {check: dict(zip(STATUSES, c)) for check, c in checks.items()} for dtype, checks in cells.items()}
            assert again == dtypes
    assert set(page.cells) == set(data)


def test_links_lead_somewhere_and_nothing_comes_from_the_network(page: Page) -> None:
    known = {"#" + name for name in (*page.ids, *json.loads(page.data))}
    assert page.links and set(page.links) <= known
    assert page.outside == []


def test_a_row_has_its_gaps_and_its_text(page: Page) -> None:
    data = json.loads(page.data)
    assert {gap["check"] for gap in data["ops/special.bessel_j0"]["gaps"]} >= {"forward", "out"}
    (text, *_) = data["ops/exp"]["texts"]
    assert text["where"].startswith("mini_dl/ops/powers.py:") and "np.exp(floating(input))" in text["text"]
    assert any("class Adam" in text["text"] for text in data["optimizers/optim.Adam"]["texts"])


def test_the_command_to_run_again_is_that_of_the_library(page: Page) -> None:
    data = json.loads(page.data)
    assert data["ops/exp"]["again"] == "python -m parity_tests.sweep 'exp'"
    assert data["optimizers/optim.Adam"]["again"] == "python -m parity_tests.sweep --optimizers 'optim.Adam'"
    other = json.loads(Page(report.page(REPORT, library="mine", target="package.module:target")).data)
    assert other["ops/exp"]["again"] == "python -m parity_tests --target package.module:target 'exp'"
    assert other["ops/exp"]["texts"] == other["ops/special.bessel_j0"]["gaps"] == []


def test_every_check_of_operations_is_explained() -> None:
    assert set(ops.CHECKS) <= set(CHECKS)


def test_texts_cannot_break_out_of_the_page() -> None:
    evil = copy.deepcopy(REPORT)
    evil["out_of_scope"] = {"</script><b>": "<i>"}
    evil["counts"]["modules"]["nn.</script>"] = evil["counts"]["modules"].pop("nn.Linear")
    text = report.page(evil)
    assert "</script><b>" not in text and text.count("</script>") == 2


def test_the_command_writes_the_page_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "parity.json", tmp_path / "report" / "index.html"
    source.write_text(json.dumps(REPORT))
    target.parent.mkdir()
    (target.parent / "ops.html").touch()
    report.main(["--json", str(source), "--html", str(target), "--errors", str(tmp_path / "none.json")])
    assert target.read_text().rstrip().endswith("</html>") and str(target) in capsys.readouterr().out
    assert '<p>Other pages: <a href="ops.html">operations</a></p>' in target.read_text()
    with pytest.raises(SystemExit):
        report.main(["--json", str(tmp_path / "missing.json")])
