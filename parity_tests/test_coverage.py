"""The list of torch's names that the coverage page counts by is that of the installed torch."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def test_the_names_on_file_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    script = importlib.import_module("write_coverage")
    version, names = script.read_names(script.NAMES.read_text(encoding="utf-8"))
    assert torch.__version__.partition("+")[0] == version
    found = script.names_of(torch)
    assert list(names) == list(found)
    assert {path: sorted(set(found[path]) ^ set(names[path])) for path in found} == {path: [] for path in found}
