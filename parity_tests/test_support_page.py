"""The page of the support matrix on the site, and the file that it is built from, say what the report says."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parity_tests.report_cases import REPORT, Page, cell
from scripts import _matrix
from scripts._matrix import STATUSES

ROOT = Path(__file__).resolve().parent.parent
HISTORY = [{"when": "2026-01-02T03:04:05+00:00", "versions": "mini_dl 0, torch 2.13.0"}]


@pytest.fixture(scope="module")
def support() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("support")
    sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "scripts"))
    yield importlib.import_module("write_parity_facts")
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A report without failures, and its history."""
    report = json.loads(json.dumps(REPORT))
    report["counts"]["ops"]["exp"]["float32"]["grad"] = cell(2, 0, 3, 0)
    (tmp_path / "parity.json").write_text(json.dumps(report))
    (tmp_path / "history.json").write_text(json.dumps(HISTORY))
    return tmp_path / "parity.json"


def comparable(counts: dict[str, Any]) -> dict[str, Any]:
    """The cells of a report in which something was compared."""
    return {
        kind: {
            name: {
                dtype: left
                for dtype, checks in dtypes.items()
                if (left := {check: {**c, "n/a": 0} for check, c in checks.items() if c["pass"] + c["ledgered"]})
            }
            for name, dtypes in names.items()
        }
        for kind, names in counts.items()
    }


def as_report(counts: dict[str, Any]) -> dict[str, Any]:
    """Cells of four numbers as the report has them."""
    return {
        kind: {
            name: {dtype: {check: dict(zip(STATUSES, c)) for check, c in checks.items()} for dtype, checks in cells.items()}
            for name, cells in names.items()
        }
        for kind, names in counts.items()
    }


def test_the_file_and_the_page_agree_with_the_json(support: Any, script: Any, source: Path) -> None:
    counts = json.loads(source.read_text())["counts"]
    release = _matrix.read(script.text_of(source))
    assert as_report(release.counts) == comparable(counts)
    assert release.run == "mini_dl 0, torch 2.13.0; 2026-01-02"
    assert release.gaps == [("special.bessel_j0", "float64", "out", 1, "torch is off")]
    page = Page(support.html(release))
    data = json.loads(page.data)
    shown: dict[str, Any] = {kind: {} for kind in counts}
    for key, row in data.items():
        kind, _, name = key.partition("/")
        shown[kind][name] = row["cells"]
    assert as_report(shown) == comparable(counts)
    assert page.cells["ops/exp"] == [("good", "6"), ("gap", "5, 3 known"), ("none", "·")]
    assert data["ops/special.bessel_j0"]["gaps"] == [{"dtype": "float64", "check": "out", "number": 1, "reason": "torch is off"}]


def test_the_page_of_the_release_has_every_row_of_the_file_and_no_failure(support: Any) -> None:
    release = _matrix.read((ROOT / "docs" / "parity.txt").read_text(encoding="utf-8"))
    page = Page(support.html(release))
    assert set(page.cells) == {f"{kind}/{name}" for kind, names in release.counts.items() for name in names}
    assert len(release.counts["ops"]) > 600 and len(release.counts["modules"]) > 100
    assert not any(kind == "bad" for cells in page.cells.values() for kind, _ in cells)
    assert {op for op, *_ in release.gaps} <= {name for names in release.counts.values() for name in names}
    assert set(page.links) <= {"#" + name for name in (*page.ids, *json.loads(page.data))} and page.outside == []


def test_rows_lead_to_the_entries_of_the_reference(support: Any) -> None:
    reference = importlib.import_module("reference")
    entries = {one.dotted: SimpleNamespace(docname="reference/page", node_id=one.dotted) for one in reference.everything_listed()}
    domain = SimpleNamespace(objects=entries)
    app = SimpleNamespace(env=SimpleNamespace(get_domain=lambda name: domain))
    release = _matrix.read((ROOT / "docs" / "parity.txt").read_text(encoding="utf-8"))
    rows = support.rows_of(release, support.links(app, lambda docname: f"{docname}.html"))
    links = {row["name"]: row["link"] for row in rows}
    assert links["softmax:with_dtype"] == "reference/page.html#mini_dl.softmax" and links["nn.Linear"].endswith(
        "#mini_dl.nn.Linear"
    )
    without = [name for name, link in links.items() if not link]
    assert all(link.partition("#")[2] in entries for link in links.values() if link) and len(without) < 60, without


def test_a_report_with_failures_is_not_a_release(script: Any, source: Path) -> None:
    report = json.loads(source.read_text())
    report["counts"]["ops"]["exp"]["float32"]["grad"]["fail"] = 1
    source.write_text(json.dumps(report))
    with pytest.raises(ValueError, match="exp has failures"):
        script.text_of(source)


def test_the_command_writes_the_file_and_says_when_it_is_out_of_date(
    script: Any, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = source.with_name("parity.txt")
    monkeypatch.setattr(script, "TARGET", target)
    assert script.main(["--check", str(source)]) == 1 and "write_parity_facts.py" in capsys.readouterr().out
    assert script.main([str(source)]) == 0 and script.main(["--check", str(source)]) == 0
    assert target.read_text().startswith("# Written by scripts/write_parity_facts.py")
