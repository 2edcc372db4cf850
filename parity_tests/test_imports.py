"""Code shared by tests is in separate modules: no test imports another test, and none imports inside a function of ours."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent


def imported(tree: ast.AST) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_no_module_of_the_suite_imports_a_test() -> None:
    wrong = {}
    for path in sorted(HERE.glob("*.py")):
        tests = {name for name in imported(ast.parse(path.read_text())) if name.startswith("parity_tests.test_")}
        if tests:
            wrong[path.name] = sorted(tests)
    assert not wrong, f"move what they share into a module of its own: {wrong}"


def test_parts_of_the_suite_are_imported_at_the_top_of_a_file() -> None:
    inside = [
        f"{path.name}:{node.lineno}"
        for path in sorted(HERE.glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, (ast.FunctionDef, ast.Lambda))
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("parity_tests")
    ]
    assert not inside
