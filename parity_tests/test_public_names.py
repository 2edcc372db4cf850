"""The list of names that `dir` shows is torch's, of this version."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import mini_dl

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module("write_public_names")
    sys.modules.pop("write_public_names", None)


def test_the_names_of_each_module_are_those_that_torch_has(script: Any) -> None:
    for line in Path(script.PUBLIC).read_text(encoding="utf-8").splitlines():
        place, _, names = line.partition(": ")
        theirs = None if line.startswith(("#", "*")) else script.counterpart(place)
        if theirs is not None:
            listed = {*dir(theirs), *getattr(theirs, "__all__", ())}
            assert [name for name in names.split() if name not in listed] == [], place


def test_all_of_the_package_lists_what_torch_lists() -> None:
    assert set(mini_dl.__all__) <= set(torch.__all__)
    assert [name for name in torch.__all__ if name not in mini_dl.__all__ and hasattr(mini_dl, name)] == []
