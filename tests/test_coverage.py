"""The coverage page is up to date, and gives a reason for each absent module."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("write_coverage")


def test_the_page_is_what_the_script_would_write(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = script.main(["--check"])
    assert outcome == 0, capsys.readouterr().out


def test_each_of_the_163_modules_is_here_or_has_a_reason(script: Any) -> None:
    _, names = script.read_names(script.NAMES.read_text(encoding="utf-8"))
    assert len(names["nn"]) == 163
    answers = {name: script.answer("nn", name) for name in names["nn"]}
    assert [name for name, (kind, why) in answers.items() if kind != script.HERE and why == script.LATER] == []


def test_members_of_tensor_that_are_not_here_have_a_reason(script: Any) -> None:
    _, names = script.read_names(script.NAMES.read_text(encoding="utf-8"))
    answers = {name: script.answer("Tensor", name) for name in names["Tensor"]}
    assert [name for name, (kind, why) in answers.items() if kind != script.HERE and why == script.LATER] == []


def test_many_names_of_one_module_are_counted_and_few_are_listed(script: Any) -> None:
    assert script.listed(["a", "b"]) == "`a` `b`"
    assert script.listed(["a"] * (script.FOLDED + 1)) == f"{script.FOLDED + 1} names"
