"""Checks of the comparison disabled one at a time: each with a planted fault that only it can detect.

Each function that decides whether two libraries differ returns a reason, or None. If it always
returns None, a planted fault must pass; otherwise a broken check would go unnoticed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from parity_tests import judging, modules, ops, optimizers

DECIDING = ("compare", "judging", "ops", "modules", "optimizers", "forwards", "mapped", "variations", "twin")
"""The modules whose functions decide."""


def passes(*args: Any, **kwargs: Any) -> None:
    return None


@contextlib.contextmanager
def function(path: str) -> Iterator[None]:
    """The function or method at a path below parity_tests finds no difference, wherever it was imported by its name."""
    name, original = path.rpartition(".")[2], found(path)
    with contextlib.ExitStack() as stack:
        for place in {path, *(f"{module}.{name}" for module in DECIDING)}:
            if found(place) is original:
                stack.enter_context(mock.patch(f"parity_tests.{place}", passes))
        yield


def found(path: str) -> Any:
    """The object at a path below parity_tests; None if there is none."""
    module, *names = path.split(".")
    return functools.reduce(
        lambda here, name: getattr(here, name, None), names, importlib.import_module(f"parity_tests.{module}")
    )


@contextlib.contextmanager
def column(module: Any, judged: str, check: str) -> Iterator[None]:
    """One column of a table always passes."""
    original = getattr(module, judged)

    def blind(*args: Any, **kwargs: Any) -> Any:
        outcome = original(*args, **kwargs)
        if outcome.check == check and outcome.status == judging.FAIL:
            outcome.status, outcome.why = judging.PASS, ""
        return outcome

    with mock.patch.object(module, judged, blind):
        yield


@contextlib.contextmanager
def without_none() -> Iterator[None]:
    """Whether a gradient is None is not compared."""
    original = judging.same_gradients

    def filled(ours: Any, theirs: Any, *rest: Any) -> str | None:
        kept = [(a, b) for a, b in zip(ours, theirs) if a is not None and b is not None]
        return original([a for a, _ in kept], [b for _, b in kept], *rest)

    with mock.patch.object(judging, "same_gradients", filled):
        yield


@contextlib.contextmanager
def without_argument_check() -> Iterator[None]:
    """Changes of a call to its arguments are not checked."""
    original = ops.Trial.forward

    def forward(self: Any, *args: Any) -> str | None:
        with mock.patch("parity_tests.compare.tensor", passes):
            after = original(self, *args)
        why = original(self, *args)
        return None if why and after is None and why.startswith("argument ") else why

    with mock.patch.object(ops.Trial, "forward", forward):
        yield


def of_table(module: Any, judged: str, prefix: str) -> dict[str, Callable[[], Any]]:
    return {f"{prefix}: {check}": lambda check=check: column(module, judged, check) for check in module.CHECKS}  # type: ignore[misc]


COLUMNS = {
    **of_table(ops, "judged", "operations"),
    **of_table(modules, "judged_module", "modules"),
    "optimizers: trajectory": lambda: column(optimizers, "judged_setting", "trajectory"),
    "optimizers: error": lambda: column(optimizers, "judged_setting", "error"),
}
"""Every column of the support matrix."""


def deciding_functions() -> list[str]:
    """The functions and methods that return why two results differ, ``module.name``, by their annotation."""
    paths = []
    for module in DECIDING:
        tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8"))
        owners = [("", tree.body)] + [(f"{node.name}.", node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
        for owner, body in owners:
            functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.returns is not None]
            paths += [f"{module}.{owner}{f.name}" for f in functions if f.returns and ast.unparse(f.returns) == "str | None"]
    return paths
