"""Each page of the notes is a program that a learner can type along, and a notebook: with NumPy, and no PyTorch.

Pictures are drawn if matplotlib is installed; long experiments are run only by the comparison with PyTorch.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import mini_dl
from mini_dl.experiments import _frame as frame, same, show
from mini_dl.experiments._korean import EXACT, PAIRS, translated
from mini_dl.utils import viz

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import notebooks  # noqa: E402

PAGES = notebooks.pages(ROOT / "docs")
ENGLISH = [page for page in PAGES if page.parent.name in ("notes", "docs")]
LONG = re.compile(
    r'^show\("(batch_norm|plain_and_residual|overfitting|initialization|random_search)"|answers that differ', re.MULTILINE
)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No PyTorch, and default settings."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delenv("MINI_DL_DATA", raising=False)
    monkeypatch.delenv("MINI_DL_RESULTS", raising=False)
    mini_dl.set_default_dtype(mini_dl.float32)


def test_there_are_thirteen_pages_in_two_languages() -> None:
    assert [page.parent.name for page in PAGES] == ["notes"] * 11 + ["ko"] * 11 + ["docs"] * 2 + ["library"] * 2


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_a_page_runs_from_top_to_bottom_with_numpy_only(page: Path) -> None:
    printed = notebooks.run(page, skip=LONG)
    assert printed[0][0].splitlines()[2] == "import mini_dl as torch"
    assert sum(bool(out) for _, out in printed) >= 0.8 * len(printed) - 1, "a cell should show what it found"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_a_notebook_has_the_code_of_its_page_and_nothing_of_the_site(page: Path) -> None:
    made = json.loads(json.dumps(notebooks.notebook(page)))
    code = ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]
    text = "\n".join("".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "markdown")
    assert code == [cell.source for cell in notebooks.cells(page) if cell.kind == "code"]
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
    assert not re.search(r"\{code-cell\}|\{literalinclude\}|:pyobject:|:tags:|<details|\]\(\w+\.md\)", text + "".join(code))
    assert text.count("```python\n") == page.read_text(encoding="utf-8").count("```{literalinclude}")


def test_an_answer_is_folded_in_a_notebook_and_what_follows_is_not() -> None:
    made = notebooks.notebook(ROOT / "docs" / "notes" / "tensors.md")["cells"]
    folded = ["jupyter" in cell["metadata"] for cell in made if cell["cell_type"] == "code"]
    assert folded == sorted(folded) and sum(folded) == 4


def test_the_definition_of_a_page_is_the_source_of_the_textbook() -> None:
    text = notebooks.cells(ROOT / "docs" / "notes" / "losses.md")[2].source
    assert "def sigmoid(x: Array) -> Array:" in text and "return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))" in text


def test_the_training_loop_learns_and_its_momentum_grows() -> None:
    printed = [out for _, out in notebooks.run(ROOT / "docs" / "training.md")]
    assert float(re.findall(r"training ([\d.]+)%", printed[1])[-1]) > 95
    assert "0.990\n" in printed and "tensor(23)\n" in printed


# The helpers


def test_an_experiment_runs_without_pytorch_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show("gradient_field")
    assert "mini_dl alone: nothing to compare" in capsys.readouterr().out
    show("gradient_field", "ko")
    assert "mini_dl만 실행" in capsys.readouterr().out


def test_an_experiment_without_matplotlib_prints_and_has_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mini_dl.utils.viz.find_spec", lambda name: None)
    assert show("gradient_field") is None
    assert viz.curves({"loss": [1.0, 0.5]}) is viz.outlines({}) is None
    assert capsys.readouterr().out.count("no picture: matplotlib is not installed") == 3


def test_results_are_kept_where_they_are_asked_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINI_DL_RESULTS", str(tmp_path))
    first = frame.results_of("gradient_field", quick=True)
    monkeypatch.setattr(frame, "libraries", lambda: pytest.fail("it was run again"))
    again = frame.results_of("gradient_field", quick=True)
    assert (again["mini_dl"]["gradients"] == first["mini_dl"]["gradients"]).all()


def test_an_unknown_experiment_is_answered_with_all_names() -> None:
    with pytest.raises(ValueError, match=r"no experiment 'gradient_feild', but gradient_field, "):
        show("gradient_feild")


def test_same_refuses_what_differs() -> None:
    with pytest.raises(AssertionError, match="sum"):
        same(sum=(mini_dl.tensor(1.0), 1.1))


def test_a_line_is_translated_by_the_longest_phrase_that_fits_its_gaps_too() -> None:
    assert translated("mean loss 2.1 in the first epoch, 0.2 in the last") == "평균 손실: 첫 에폭 2.1, 마지막 에폭 0.2"
    assert translated("both positive\nsteepest / flattest curvature: 16.2") == "둘 다 양수\n최대 곡률 / 최소 곡률: 16.2"
    assert translated("0 to 255, rate 0.001") == "0~255, 학습률 0.001"
    assert translated("Adam") == "Adam"


def test_a_phrase_has_as_many_gaps_in_korean_and_no_english_word() -> None:
    names = {"mini_dl", "torch", "ReLU", "ln", "nabla", "x", "y", "w", "f", "W", "b", "e"}
    for english, korean in PAIRS:
        assert len(re.findall(r"\{\d?\}", korean)) == english.count("{}")
        assert set(re.findall(r"[A-Za-z_]+", korean)) <= names, korean
    assert len(EXACT) > 60


def figures() -> Any:
    pytest.importorskip("matplotlib")
    from matplotlib.text import Text

    for name in ("gradient_descent", "optimizers", "sign_rates", "feature_scale"):
        module = frame.experiment(name)
        results = frame.results_of(name, quick=True)
        figure = module.draw(results)
        figure.draw_without_rendering()
        yield name, [text.get_text() for text in figure.findobj(Text)] + module.report(results)


def test_what_figures_and_reports_say_has_its_korean_words() -> None:
    names = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "Adam", "Rprop", "delta", "bar", "mini", "dl", "mathdefault", "times"}
    for name, texts in figures():
        for text in texts:
            assert set(re.findall(r"[A-Za-z]{2,}", translated(text))) <= names, (name, text)
