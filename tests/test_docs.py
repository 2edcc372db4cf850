"""Every example in a docstring and in the README is run; the pages of the notes leave nothing out.

The code on the pages of the notes is run by `tox run -e docs`, which writes the site.
"""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import mini_dl
from mini_dl import textbook

ROOT = Path(__file__).resolve().parent.parent
NOTES, KOREAN = (ROOT / "docs" / folder for folder in ("notes", "ko"))
PAGES = sorted(path.stem for path in NOTES.glob("*.md"))
EXTRAS = {"mini_dl.utils.tensorboard": "tensorboard"}
"""Modules that cannot be imported without another package."""
FOUND = sorted(m.name for m in pkgutil.walk_packages(mini_dl.__path__, "mini_dl."))
MODULES = ["mini_dl", *[name for name in FOUND if importlib.util.find_spec(EXTRAS.get(name, "mini_dl")) is not None]]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    mini_dl.set_default_dtype(mini_dl.float32)
    mini_dl.manual_seed(0)
    outcome = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} examples in {name} failed"


def test_enough_examples_are_found_to_be_worth_the_name() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(bool(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert found >= 30


def test_the_first_program_of_the_readme_runs_and_learns() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(import mini_dl.*?)```", text, re.DOTALL)[0]
    names: dict[str, object] = {}
    exec(program, names)
    assert names["loss"].item() < 2.3


def test_the_training_loop_of_the_docs_runs_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mini_dl.manual_seed(0)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "training.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert names["accuracy"] > 0.9
    assert names["optimizer"].param_groups[0]["momentum"] == pytest.approx(0.99)
    assert names["average"].n_averaged == len(names["batches"])


# The notes


def read(folder: Path, page: str) -> str:
    return (folder / f"{page}.md").read_text(encoding="utf-8")


def directives(text: str, name: str) -> list[str]:
    """The bodies of the fenced directives of that name, in their order."""
    return re.findall(r"^```\{" + name + r"\}(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", textbook.__all__)
def test_a_definition_of_the_textbook_stands_on_a_page_of_the_notes(name: str) -> None:
    included = [body for page in PAGES for body in directives(read(NOTES, page), "literalinclude") if "/textbook/" in body]
    assert any(re.search(rf":pyobject: {name}$", body, re.MULTILINE) for body in included)


def test_every_experiment_is_shown_on_a_page_of_the_notes() -> None:
    cells = "\n".join(body for page in PAGES for body in directives(read(NOTES, page), "code-cell"))
    shown = re.findall(r'^show\("(\w+)"\)$', cells, re.MULTILINE)
    experiments = [path.stem for path in (ROOT / "scripts" / "book").glob("[!_]*.py")]
    assert experiments and sorted(shown) == sorted(experiments)


def test_every_page_of_the_notes_has_its_korean_page() -> None:
    assert [path.stem for path in sorted(KOREAN.glob("*.md")) if path.stem != "index"] == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_korean_page_shows_what_its_english_page_shows(page: str) -> None:
    english, korean = read(NOTES, page), read(KOREAN, page)
    assert directives(english, "code-cell")
    for name in ("code-cell", "literalinclude"):
        assert directives(korean, name) == directives(english, name)
    assert len(re.findall(r"^##+ ", korean, re.MULTILINE)) == len(re.findall(r"^##+ ", english, re.MULTILINE))
    assert re.search("[가-힣]", korean)
    assert f"(../ko/{page}.md)" in english and f"(../notes/{page}.md)" in korean


@pytest.mark.parametrize(
    "contents, pattern",
    [(ROOT / "docs" / "index.md", r"\(notes/(\w+)\.md\)"), (KOREAN / "index.md", r"^\d+\. \[.*\]\((\w+)\.md\)")],
)
def test_the_contents_lead_to_every_page_of_the_notes(contents: Path, pattern: str) -> None:
    links = re.findall(pattern, contents.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(links) == PAGES


def test_the_korean_readme_has_the_program_and_the_commands_of_the_english_one() -> None:
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    commands = [re.findall(r"^    (python [^#\n]*[^#\s])", text, re.MULTILINE) for text in (english, korean)]
    assert sorted(commands[0]) == sorted(commands[1])
    assert re.findall(r"```python\n.*?```", english, re.DOTALL) == re.findall(r"```python\n.*?```", korean, re.DOTALL)
