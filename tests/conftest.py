"""Fixtures shared by several test files."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import mini_dl

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"

mini_dl.set_warn_always(True)  # otherwise some warnings come once in a process, and the order of the tests would matter


@pytest.fixture(scope="session")
def names() -> dict[str, list[str]]:
    """The public names of torch by module, those that the page of coverage counts."""
    with pytest.MonkeyPatch.context() as patch:  # which also removes what the script puts there
        patch.syspath_prepend(str(SCRIPTS))
        script = importlib.import_module("write_coverage")
    _, found = script.read_names(script.NAMES.read_text(encoding="utf-8"))
    return dict(found)
