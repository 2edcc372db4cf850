"""Every example in a docstring and in the README is run; the pages of the notes leave nothing out.

The code on the pages of the notes is run by `tox run -e docs`, which writes the site.
"""

from __future__ import annotations

import ast
import doctest
import functools
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from public_values import PLACES, public_values

import mini_dl
from mini_dl import textbook
from mini_dl.experiments._frame import EXPERIMENTS

ROOT = Path(__file__).resolve().parent.parent
NOTES, KOREAN = (ROOT / "docs" / folder for folder in ("notes", "ko"))
PAGES = sorted(path.stem for path in NOTES.glob("*.md"))
EXTRAS = {"mini_dl.utils.tensorboard": "tensorboard", "mini_dl.onnx": "onnx"}
"""Modules that cannot be imported, or whose examples cannot be run, without another package."""
FOUND = sorted(m.name for m in pkgutil.walk_packages(mini_dl.__path__, "mini_dl."))
MODULES = ["mini_dl", *[name for name in FOUND if importlib.util.find_spec(EXTRAS.get(name, "mini_dl")) is not None]]


OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run(tests: Sequence[doctest.DocTest]) -> doctest.TestResults:
    """The outcome of examples, in which `torch`, `nn` and `F` have their usual meaning."""
    mini_dl.set_default_dtype(mini_dl.float32)
    mini_dl.manual_seed(0)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in tests:
        test.globs.update(torch=mini_dl, nn=mini_dl.nn, F=mini_dl.nn.functional)
        runner.run(test)
    return doctest.TestResults(*runner.summarize(verbose=False)[:2])


@functools.cache
def in_modules() -> dict[str, list[doctest.DocTest]]:
    """The examples that doctest finds in each module, each only once: variants and aliases share those of the original."""
    finder, seen = doctest.DocTestFinder(exclude_empty=True), set[str]()
    return {name: _new(finder.find(importlib.import_module(name)), seen) for name in MODULES}


def of_public_names(place: str) -> list[doctest.DocTest]:
    """The examples of the public names of a place that doctest does not find, such as those of methods of Tensor."""
    seen = {_text(test) for tests in in_modules().values() for test in tests}
    docs = {name: getattr(value, "__doc__", None) for name, value in public_values(place)}
    parser = doctest.DocTestParser()
    return _new([parser.get_doctest(inspect.cleandoc(d), {}, f"{place}.{n}", None, None) for n, d in docs.items() if d], seen)


def _new(tests: list[doctest.DocTest], seen: set[str]) -> list[doctest.DocTest]:
    """The tests whose examples were not seen before; marks them as seen."""
    found = {_text(test): test for test in tests if test.examples and _text(test) not in seen}
    seen.update(found)
    return list(found.values())


def _text(test: doctest.DocTest) -> str:
    return "".join(example.source + example.want for example in test.examples)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name: str) -> None:
    outcome = run(in_modules()[name])
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} examples in {name} failed"


@pytest.mark.parametrize("place", PLACES)
def test_the_examples_of_public_names_print_what_they_say(place: str) -> None:
    outcome = run(of_public_names(place))
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} examples in {place} failed"


README = (ROOT / "README.md").read_text(encoding="utf-8")
DOORS = re.findall(r"```python\n([^`]*?)```\n\n```text\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("program, printed", DOORS, ids=[program.splitlines()[-1] for program, _ in DOORS])
def test_a_program_of_the_readme_prints_what_stands_below_it(
    program: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert capsys.readouterr().out == printed


def test_the_readme_has_a_program_for_each_of_its_three_doors() -> None:
    parts = re.split(r"^## ", README, flags=re.MULTILINE)
    doors = {part.splitlines()[0]: part for part in parts if "```text" in part}
    assert list(doors) == ["Learn", "Ship", "Check"] and len(DOORS) == 3


def test_the_op_that_the_readme_shows_is_the_source() -> None:
    (shown,) = re.findall(r"```python\n(@method.*?)```", README, re.DOTALL)
    assert shown in (ROOT / "mini_dl" / "ops" / "powers.py").read_text(encoding="utf-8")


def test_the_readme_links_to_files_by_their_names_and_shows_a_picture_that_is_there() -> None:
    """The site includes the text from another folder."""
    for name in ("README.md", "README.ko.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"(?<!!)\[[^\]]*\]\((?!README)([^)]*)\)", text) == []
        assert [(ROOT / path).is_file() for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)] == [True]


LIBRARY = sorted(path.stem for path in (KOREAN / "library").glob("*.md"))


def test_the_pages_about_use_are_there_in_korean() -> None:
    assert LIBRARY == ["programs", "shipping", "training", "transforms"]


@pytest.mark.parametrize("page", LIBRARY)
def test_a_korean_page_about_use_shows_the_code_the_commands_and_the_output_of_its_english_page(page: str) -> None:
    english, korean = read(ROOT / "docs", page), read(KOREAN / "library", page)
    for code, said in zip(directives(english, "code-cell"), directives(korean, "code-cell"), strict=True):
        assert without_words(said) == without_words(code)
    plain = [re.sub(r"```\{code-cell\}.*?^```", "", text, flags=re.DOTALL | re.MULTILINE) for text in (english, korean)]
    for pattern in (r"```(?:python|json)\n.*?```", r"^    .*$", r"^\| `[^|]*\|", r"\{literalinclude\} [./]*(\S*)", r"^#+ ()"):
        flags = re.DOTALL if "```" in pattern else re.MULTILINE
        found = [[re.sub(", (or|또는).*", "", each) for each in re.findall(pattern, text, flags)] for text in plain]
        assert found[0] == found[1]
    assert f"(ko/library/{page}.md)" in english and f"(../../{page}.md)" in korean


# The notes


def read(folder: Path, page: str) -> str:
    return (folder / f"{page}.md").read_text(encoding="utf-8")


def directives(text: str, name: str) -> list[str]:
    """The bodies of the fenced directives of that name, in their order."""
    return re.findall(r"^```\{" + name + r"\}(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def without_words(cell: str) -> str:
    """The program of a cell, without text for its reader: strings, comments, the language of a picture."""
    tree = ast.parse(re.sub(r"\A\n?(:.*\n)+", "", cell))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
            node.values.sort(key=ast.dump)  # another language may order them differently
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "show":
            del node.args[1:]
    return ast.dump(tree)


@pytest.mark.parametrize("name", textbook.__all__)
def test_a_definition_of_the_textbook_stands_on_a_page_of_the_notes(name: str) -> None:
    included = [body for page in PAGES for body in directives(read(NOTES, page), "literalinclude") if "/textbook/" in body]
    assert any(re.search(rf":pyobject: {name}$", body, re.MULTILINE) for body in included)


def test_every_experiment_is_shown_on_a_page_of_the_notes() -> None:
    cells = "\n".join(body for page in PAGES for body in directives(read(NOTES, page), "code-cell"))
    shown = re.findall(r'^show\("(\w+)"\)$', cells, re.MULTILINE)
    experiments = [path.stem for path in (ROOT / "mini_dl" / "experiments").glob("[!_]*.py")]
    assert sorted(shown) == sorted(experiments) == sorted(EXPERIMENTS)


def test_every_page_of_the_notes_has_its_korean_page() -> None:
    assert [path.stem for path in sorted(KOREAN.glob("*.md")) if path.stem != "index"] == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_korean_page_shows_what_its_english_page_shows(page: str) -> None:
    english, korean = read(NOTES, page), read(KOREAN, page)
    assert directives(english, "code-cell")
    assert directives(korean, "literalinclude") == directives(english, "literalinclude")
    for code, said in zip(directives(english, "code-cell"), directives(korean, "code-cell"), strict=True):
        assert without_words(said) == without_words(code)
    shown = [re.findall(r'^show\("(\w+)"', text, re.MULTILINE) for text in (english, korean)]
    assert shown[0] == shown[1] and korean.count('", "ko")') == len(shown[1])
    assert korean.count("<details><summary>답") == english.count("<details><summary>Answer") >= 3
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


def test_the_korean_readme_has_the_programs_the_commands_and_the_numbers_of_the_english_one() -> None:
    english, korean = README, (ROOT / "README.ko.md").read_text(encoding="utf-8")
    patterns = r"^    (python [^#\n]*[^#\s])", r"```\w+\n.*?```", r"!\[[^\]]+\](\([^)]+\))", r"\| ([\d.,]+) ", r"^##+ ()"
    for pattern in patterns:
        found = [re.findall(pattern, text, re.DOTALL | re.MULTILINE) for text in (english, korean)]
        assert found[0] == found[1] and found[0]
    names = [set(re.findall(r"`([^`\n]+)`", text)) for text in (english, korean)]
    assert names[0] == names[1] - {"docs/ko/index.md"}
