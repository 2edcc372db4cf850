"""One word for one thing: what the source says in one way, and where it may say so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mini_dl

ROOT = Path(mini_dl.__file__).parent


def sources() -> Iterator[tuple[str, str]]:
    """(path below the package, text) of every file."""
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_no_function_is_looked_up_by_its_public_name_where_an_import_can_stand():
    found = []
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            called = node.value if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) else None
            named = isinstance(called, ast.Call) and getattr(called.func, "id", "") == "namespace"
            if named and isinstance(node.slice, (ast.Constant, ast.JoinedStr)):
                found.append(f"{path}:{node.lineno}")
    assert not found
