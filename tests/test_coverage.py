"""The page that says what of torch is here is up to date, and gives a reason for each module that is not."""

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
    modules = script.place(script.mini_dl, "nn")
    assert len(names["nn"]) == 163
    assert [n for n in names["nn"] if not hasattr(modules, n) and script.reason("nn", n) == script.LATER] == []
    assert [n for n in script.MODULES if hasattr(modules, n)] == []
