"""The page of faults found in torch: each program shows its fault under torch, but not under mini_dl."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "faults_in_torch.md"


def programs() -> dict[str, str]:
    """The program below each heading."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^### (.*?)\n(?:(?!^#).)*?^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def has_fault(program: str, library: str) -> bool:
    names: dict[str, Any] = {}
    source = program.replace("import torch\n", f"import {library} as torch\n", 1)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, str(PAGE), "exec"), names)
    return bool(names["wrong"])


@pytest.mark.parametrize("title", programs())
def test_the_fault_is_in_torch_and_not_here(title: str) -> None:
    program = programs()[title]
    assert has_fault(program, "torch"), "torch has mended it: take it off the page, out of the ledger and the decisions"
    assert not has_fault(program, "mini_dl")


def test_every_heading_has_a_program() -> None:
    headings = re.findall(r"^### (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(programs()) and len(headings) >= 10
