"""Every example in a docstring and in the README is run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import mini_dl

ROOT = Path(__file__).resolve().parent.parent
MODULES = ["mini_dl", *sorted(m.name for m in pkgutil.walk_packages(mini_dl.__path__, "mini_dl."))]


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
