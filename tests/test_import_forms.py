"""Every public name of torch can be imported under the proxy, in every form of the import statement."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mini_dl.standins.tables import borrowed

ROOT = Path(__file__).resolve().parent.parent
LATER = ("onnx", "func", "autograd.forward_ad")
"""Modules whose names are counted elsewhere."""


def listed(names: dict[str, list[str]]) -> dict[str, list[str]]:
    """The names of torch by module: those on the coverage page, `names`, and others that its modules have."""
    found = {path: list(given) for path, given in names.items() if path != "Tensor"}
    for path, rows in borrowed().items():
        found[path] = [*found.get(path, []), *rows]
    return {path: names for path, names in found.items() if path.partition(".")[0] not in LATER}


PROGRAM = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
wrong = []
for line in sys.stdin:
    path, *names = line.split()
    name = "torch" if path == "torch" else "torch." + path
    scope = {}
    try:
        exec(f"import {name}", scope)
        eval(name, scope)
        assert sys.modules[name] is importlib.import_module(name)
    except Exception as error:
        wrong.append(f"import {name}: {error!r}")
        continue
    for one in names:
        try:
            exec(f"from {name} import {one}", {})
        except Exception as error:
            wrong.append(f"from {name} import {one}: {error!r}")
print("\\n".join(wrong[:20]) or "all", len(wrong))
"""


def test_every_name_can_be_imported_from_its_module(names: dict[str, list[str]]) -> None:
    found = listed(names)
    text = "\n".join(f"{path} {' '.join(given)}" for path, given in found.items())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "mini_dl", "-c", PROGRAM]
    done = subprocess.run(words, input=text, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "all 0\n", done.stdout + done.stderr[-2000:]
    assert sum(map(len, found.values())) > 6000


@pytest.mark.parametrize("part", range(4))
def test_what_a_module_borrows_is_the_thing_itself_or_says_that_it_is_not_here(part: int) -> None:
    for path, rows in list(borrowed().items())[part::4]:
        for name, row in rows.items():
            home, _, there = row.value.partition(":")
            if row.kind == "->" and not home.startswith("^"):
                found: Any = importlib.import_module("mini_dl" if home == "torch" else f"mini_dl.{home}")
                assert getattr(found, there) is not None, (path, name)
            elif row.kind == "?":
                assert row.reason, (path, name)
