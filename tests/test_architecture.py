"""Rules for the package itself: what it imports, and what it does not touch."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_optim import ALGORITHMS

import mini_dl as torch
from mini_dl._surface import NAMESPACES

ROOT = Path(__file__).parent.parent
LINES_OF_A_FILE = 700
LINES_OF_A_FUNCTION = 60
FOLDERS = "mini_dl", "scripts", "parity_tests"
TABLES = {"mini_dl/kernels/special_tables.py"}
ANY, ANY_IN_THE_CORE = 3119, 1122
"""How often the package, and its core, may use `Any`, which checks nothing."""
CORE = "autograd", "kernels", "nn", "ops", "optim"
LONGER: dict[str, int] = {}  # files and functions over the budget, with their sizes, which can only fall

UNLISTED = {"Configured", "LazyLayer", "LazyModuleMixin", "NonDynamicallyQuantizableLinear", "Scaled", "Weighted"}
"""The modules that are bases of others, or that torch does not list either."""
UNLIKE_OTHERS = {"Adafactor", "LBFGS", "Muon", "Optimizer", "SparseAdam"}
"""The optimizers to which the common tests of `ALGORITHMS` do not apply."""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_it_imports_numpy_and_the_standard_library_only() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import mini_dl\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    found = [name for name in eval(run(code)) if "cython" not in name]  # what numpy.random was compiled with
    assert found == ["mini_dl", "numpy"]


def test_numpys_error_settings_buffer_and_random_state_stay_as_they_were() -> None:
    np.random.seed(3)
    before = np.geterr(), np.getbufsize(), np.random.get_state()[1].tolist()
    torch.manual_seed(0)
    x = torch.randn(100)
    (x / 0).exp().sum()
    assert (np.geterr(), np.getbufsize(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("before", ["", "gc.disable()", "gc.freeze()"])
def test_the_garbage_collector_is_left_as_it_was(before: str) -> None:
    code = (
        f"import gc\n{before}\n"
        "was, frozen = gc.isenabled(), gc.get_freeze_count()\n"
        "import mini_dl\n"
        "print(gc.isenabled() == was, (gc.get_freeze_count() > 0) == (frozen > 0))"
    )
    assert run(code).split() == ["True", "True"]


def test_an_import_looks_for_garbage_only_before_and_after_its_work() -> None:
    code = (
        "import gc, numpy\n"
        "gc.collect()\n"
        "ran = []\n"
        "gc.callbacks.append(lambda phase, info: ran.append(info))\n"
        "import mini_dl\n"
        "print(len(ran))"
    )
    assert int(run(code)) < 6  # by default about 150 times, a quarter of the time


def test_every_public_name_can_be_reached_from_the_package() -> None:
    missing = [name for name in NAMESPACES["torch"] if not hasattr(torch, name)]
    assert missing == []


def docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return (first.end_lineno or 0) - first.lineno + 1
    return 0


def sizes_of_functions(node: ast.AST, outer: str = "") -> Iterator[tuple[str, int]]:
    """The name and the lines of each function in `node`, without its docstring and decorators."""
    for child in ast.iter_child_nodes(node):
        inside = outer
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = f"{outer}{child.name}."
            yield f"{outer}{child.name}", (child.end_lineno or 0) - child.lineno + 1 - docstring_lines(child)
        elif isinstance(child, ast.ClassDef):
            inside = f"{outer}{child.name}."
        yield from sizes_of_functions(child, inside)


def over_the_budget() -> dict[str, int]:
    over = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if name in TABLES or path.name.startswith("test_"):
                continue
            text = path.read_text(encoding="utf-8")
            if len(text.splitlines()) > LINES_OF_A_FILE:
                over[name] = len(text.splitlines())
            for function, lines in sizes_of_functions(ast.parse(text)):
                if lines > LINES_OF_A_FUNCTION:
                    over[f"{name}: {function}"] = lines
    return over


def test_files_and_functions_keep_to_the_budget_and_exceptions_only_fall() -> None:
    over = over_the_budget()
    grown = {name: lines for name, lines in over.items() if lines > LONGER.get(name, 0)}
    assert not grown, f"over {LINES_OF_A_FILE} lines a file or {LINES_OF_A_FUNCTION} a function; find the parts: {grown}"
    shrunk = {name: over.get(name, "gone") for name, lines in LONGER.items() if over.get(name, 0) < lines}
    assert not shrunk, f"smaller than its entry in LONGER; write the new size there: {shrunk}"


def test_types_say_something() -> None:
    counts: dict[str, int] = {}
    for path in (ROOT / "mini_dl").rglob("*.py"):
        folder = path.relative_to(ROOT / "mini_dl").parts[0]
        counts[folder] = counts.get(folder, 0) + len(re.findall(r"\bAny\b", path.read_text(encoding="utf-8")))
    assert sum(counts.values()) <= ANY, "give the new arguments types: `object` where anything is accepted"
    core = {folder: counts[folder] for folder in CORE}
    assert sum(core.values()) <= ANY_IN_THE_CORE, f"in the core too: {core}"


def test_the_size_of_a_function_leaves_out_its_docstring_and_its_decorators() -> None:
    lines = ["class A:", "    @property", "    def f(self):", '        """One.', "", '        Two."""']
    lines += ["        def g():", "            return 1", "        return g"]
    assert dict(sizes_of_functions(ast.parse("\n".join(lines)))) == {"A.f": 4, "A.f.g": 2}


# ------------------------------------------------------------------------------------------------ listings


def declared(package: str, base: type) -> dict[str, str]:
    """Public subclasses of `base` by name, with the file that declares them, of all files of a package."""
    folder = importlib.import_module(package)
    found = {}
    for file in [info.name for info in pkgutil.iter_modules(folder.__path__)]:
        module = importlib.import_module(f"{package}.{file}")
        for name, value in vars(module).items():
            if name[0] != "_" and isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
                found[name] = f"{package.replace('.', '/')}/{file}.py"
    return found


def unlisted(found: dict[str, str], where: Any) -> dict[str, str]:
    """Those of them that are not in `where`, or not in its ``__all__``."""
    return {
        name: file for name, file in found.items() if not hasattr(where, name) or name not in getattr(where, "__all__", [name])
    }


def test_every_module_is_listed() -> None:
    found = declared("mini_dl.nn.modules", torch.nn.Module)
    for where in (torch.nn.modules, torch.nn):
        missing = {name: file for name, file in unlisted(found, where).items() if name not in UNLISTED}
        assert not missing, f"import their files in mini_dl/nn/modules/__init__.py: {missing}"
    assert found.keys() >= UNLISTED


def test_every_optimizer_is_listed_and_tested() -> None:
    found = declared("mini_dl.optim", torch.optim.Optimizer)
    missing = unlisted(found, torch.optim)
    assert not missing, f"import their files in mini_dl/optim/__init__.py: {missing}"
    untested = set(found) - {cls.__name__ for cls, _ in ALGORITHMS} - UNLIKE_OTHERS
    assert not untested, f"the tests in tests/test_optim.py cannot make these without arguments: {untested}"


def test_every_scheduler_is_listed() -> None:
    found = declared("mini_dl.optim", torch.optim.lr_scheduler.LRScheduler)
    missing = {name: file for name, file in unlisted(found, torch.optim.lr_scheduler).items() if name != "SWALR"}
    assert not missing, f"import these in mini_dl/optim/lr_scheduler.py: {missing}"
    assert "SWALR" in torch.optim.swa_utils.__all__


def test_a_class_that_is_not_listed_is_found() -> None:
    class Forgotten(torch.nn.Module):
        pass

    Forgotten.__module__ = "mini_dl.nn.modules.linear"
    file = importlib.import_module("mini_dl.nn.modules.linear")
    file.Forgotten = Forgotten  # type: ignore[attr-defined]
    try:
        assert unlisted(declared("mini_dl.nn.modules", torch.nn.Module), torch.nn)["Forgotten"] == "mini_dl/nn/modules/linear.py"
    finally:
        del file.Forgotten  # type: ignore[attr-defined]
