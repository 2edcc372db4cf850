"""The report shows the contents of the JSON, and is consistent."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from parity_tests import accuracy, ops, report, report_parts
from parity_tests.report_cases import REPORT, Page
from scripts._matrix import CHECKS, STATUSES


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
    assert "</script><b>" not in text and text.count("</script>") == 3


def test_the_command_writes_the_page_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "parity.json", tmp_path / "report" / "index.html"
    source.write_text(json.dumps(REPORT))
    target.parent.mkdir()
    (target.parent / "ops.html").touch()
    report.main(["--json", str(source), "--html", str(target)])
    assert target.read_text().rstrip().endswith("</html>") and str(target) in capsys.readouterr().out
    assert '<p>Other pages: <a href="ops.html">operations</a></p>' in target.read_text()
    with pytest.raises(SystemExit):
        report.main(["--json", str(tmp_path / "missing.json")])


# ------------------------------------------------------------------------------------------------ output of other commands

SIDE = {"worst": 1.5, "counts": [4, 3, 2, 1, 0, 0, 0, 0]}
MUTANT = {
    "file": "mini_dl/tensor.py", "line": 3, "function": "f", "kind": "sign", "before": "-x", "after": "x", "nth": 0, "unit": "",
    "status": "survived", "accepted": "", "ran": 3, "selected": 3, "seconds": 1.0, "why": "",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the output of the suite and other commands."""
    (tmp_path / "parity.json").write_text(json.dumps(REPORT))
    errors = {"float32": {"mini_dl": SIDE, "torch": SIDE, "ratio": 0.9}}
    (tmp_path / "accuracy.json").write_text(json.dumps({"when": "", "bounds": accuracy.BOUNDS, "ops": {"exp": errors}}))
    counts, asked = {"killed": 1, "survived": 1}, {"seed": 1, "sample": 9}
    found = {"when": "2026-01-01T00:00:00+00:00", "asked": asked, "counts": counts, "score": 0.5}
    rows = [
        MUTANT,
        {**MUTANT, "status": "killed", "before": "killed_one"},
        {**MUTANT, "before": "even", "accepted": "x is zero there"},
    ]
    (tmp_path / "mutation.json").write_text(json.dumps({**found, "mutants": rows}))
    return tmp_path


def test_what_other_commands_measured_is_shown(folder: Path) -> None:
    for number in (3, 5):
        totals = {kind: {"pass": number} for kind in ("ops", "modules", "optimizers")}
        report_parts.remember(folder / "history.json", totals, "versions")
    report.main(["--json", str(folder / "parity.json"), "--html", str(folder / "index.html")])
    text = (folder / "index.html").read_text()
    data = json.loads(Page(text).data)
    assert data["ops/exp"]["errors"]["float32"]["torch"] == SIDE and data["ops/special.bessel_j0"]["errors"] == {}
    assert "2 of a sample of 9 so far" in text
    assert "50.0%" in text and "killed_one" not in text and "x is zero there" in text and "mini_dl/tensor.py:3" in text
    assert '<polyline points="5.0,110.0 635.0,10.0"' in text and "9 agree" in text and "15 agree" in text
    assert text.count("not here yet") == 4  # of what runs by option: two versions, reference inputs, programs


def test_a_first_run_has_no_line_and_of_the_mutants_the_last_run_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parity.json").write_text(json.dumps(REPORT))
    report.main(["--json", str(tmp_path / "parity.json"), "--html", str(tmp_path / "index.html")])
    text = (tmp_path / "index.html").read_text()
    assert "<polyline" not in text and 'id="mutants"' in text and text.count("not here yet") == 6
    monkeypatch.setattr(report_parts, "LAST_MUTATION", tmp_path / "last.json")
    report.main(["--json", str(tmp_path / "parity.json"), "--html", str(tmp_path / "index.html")])
    assert 'id="mutants"' not in (tmp_path / "index.html").read_text()


def test_errors_are_counted_in_units_in_the_last_place() -> None:
    one = accuracy.np.float32(1)
    exact = accuracy.np.array([1.0, 1.0, 1.0 + 2**-25, 2.0])
    result = accuracy.np.array([one, accuracy.np.nextafter(one, one * 2), one, accuracy.np.inf], accuracy.np.float32)
    assert accuracy.ulps(result, exact).tolist() == [0.0, 1.0, 0.25, accuracy.np.inf]
    errors = accuracy.Errors()
    errors.add(result, exact)
    assert errors.row()["counts"] == [1, 1, 1, 0, 0, 0, 0, 1] and errors.row()["worst"] == 1e300


def test_mpmath_says_that_torch_is_off_and_mini_dl_is_not() -> None:
    ((name, errors),) = accuracy.measure(["special.bessel_j0"], 2)
    assert errors["float64"]["torch"]["worst"] > 1e6 > 100 > errors["float64"]["mini_dl"]["worst"], name


# ------------------------------------------------------------------------------------------------ the schema


def mismatches(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> list[str]:
    """Why a value does not fit a schema: as much of JSON Schema as ours uses."""
    if "$ref" in schema:
        return mismatches(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    kinds = {"object": dict, "array": list, "string": str, "integer": int}
    if not isinstance(value, kinds[schema["type"]]):
        return [f"{where}: {type(value).__name__} instead of {schema['type']}"]
    if schema["type"] == "array":
        return [why for i, item in enumerate(value) for why in mismatches(item, schema["items"], root, f"{where}[{i}]")]
    if schema["type"] != "object":
        return [f"{where}: {value}"] if schema.get("minimum", value) > value else []
    found = [f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
        if inner is False:
            found.append(f"{where} has {name}")
        elif isinstance(inner, dict) and inner.get("type", "$ref" in inner):
            found += mismatches(item, inner, root, f"{where}/{name}")
    return found


def test_the_report_fits_its_schema() -> None:
    schema = json.loads((report.ROOT / "docs" / "report_schema.json").read_text())
    assert mismatches(REPORT, schema, schema) == []
    wrong = copy.deepcopy(REPORT)
    wrong["counts"]["ops"]["exp"]["int64"]["forward"]["pass"] = -1
    wrong["more"] = 1
    del wrong["census"]
    assert len(mismatches(wrong, schema, schema)) == 3
    assert set(schema["$defs"]["cell"]["properties"]) == set(STATUSES)
