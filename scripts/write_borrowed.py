"""Write mini_dl/standins/borrowed.txt: names that torch's modules have because they import or use them, and where they are here.

python scripts/write_borrowed.py
python scripts/write_borrowed.py --check     # exits with 1 if the file is out of date

Needs torch, in an environment like tox's ``parity``: some names depend on what else is installed, such as tabulate.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import io
import os
import sys
import textwrap
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from _report import brought_up_to_date
from write_coverage import public_modules

from mini_dl.compat.homes import HOMES
from mini_dl.standins import borrowed, find, tables

HEAD = """# Names that modules of torch have beside their own: where they are, what they are, or that they are not here.
# Written by scripts/write_borrowed.py.
"""
ELSEWHERE = ("onnx",)
"""Modules described elsewhere."""


def names_of(module: ModuleType) -> list[str]:
    """The public names of a module whose values are torch's own: neither of the standard library, nor modules."""
    found = []
    for name, value in sorted(vars(module).items()):
        home = getattr(value, "__module__", module.__name__)
        if not name.startswith("_") and not isinstance(value, ModuleType) and str(home or "torch").startswith("torch"):
            found.append(name)
    return found


def home_of(value: Any) -> str | None:
    """``module:name`` of the object at the same place in both libraries, None if there is none."""
    place, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(place, str) or not isinstance(name, str) or place.partition(".")[0] != "torch":
        return None
    if getattr(sys.modules.get(place), name, None) is not value:
        return None
    rest = place.partition(".")[2]
    for path in (rest, HOMES.get(rest, ("", ""))[0]) if rest else ("",):
        with contextlib.suppress(ImportError, AttributeError):
            find_in(path, name)
            return f"{path or 'torch'}:{name}"
    return None


def find_in(path: str, name: str) -> Any:
    return getattr(importlib.import_module(f"mini_dl.{path}" if path else "mini_dl"), name)


def literal(value: Any) -> str | None:
    """A short value as text."""
    text = repr(value)
    plain = value is None or isinstance(value, (bool, int, float, str, tuple))
    is_a_place = isinstance(value, str) and os.path.isabs(value) and value != "/"  # machine-specific; a single slash is a sign
    if not plain or len(text) >= 60 or "\n" in text or " : " in text or is_a_place:
        return None
    with contextlib.suppress(ValueError, SyntaxError):
        ast.literal_eval(text)
        return text
    return None


def rows_of(module: ModuleType) -> list[str]:
    place = module.__name__.partition(".")[2]
    found: dict[str, list[str]] = defaultdict(list)
    values, absent = [], []
    for name in names_of(module):
        with contextlib.suppress(AttributeError, ImportError, NotImplementedError):
            here = f"mini_dl.{place}".rstrip(".")
            find(here, name) if here not in sys.modules else find_in(place, name)
            continue
        value = vars(module)[name]
        home, text = home_of(value), literal(value)
        if home is not None:
            path, _, there = home.partition(":")
            found[path].append(name if there == name else f"{name}={there}")
        elif text is not None:
            values.append(f"{name} : {text}")
        elif repr(value) in ("nan", "inf"):
            found["^math"].append(name)
        else:
            absent.append(name)
    lines = [textwrap.fill(" ".join(names), 130, initial_indent=f"{path}: ") for path, names in sorted(found.items())]
    return [*lines, *values, *([textwrap.fill(" ".join(absent), 130, initial_indent="?: ")] if absent else [])]


@contextlib.contextmanager
def without_borrowed() -> Iterator[None]:
    """Disable names from the table that is being written."""
    path = tables.BORROWED
    tables.BORROWED = ""
    borrowed.cache_clear()
    try:
        yield
    finally:
        tables.BORROWED = path
        borrowed.cache_clear()


def text_of(modules: dict[str, ModuleType]) -> str:
    """The file for these modules of torch."""
    text = HEAD
    for name, module in sorted(modules.items()):
        place = name.partition(".")[2]
        if place.partition(".")[0] in ELSEWHERE:
            continue
        with contextlib.suppress(ImportError):
            importlib.import_module(f"mini_dl.{place}" if place else "mini_dl")
        rows = rows_of(module)
        if rows:
            text += "\n" + "\n".join([f"[{place or 'torch'}]", *rows]) + "\n"
    return text


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Write the names that torch's modules have besides their own.")
    made.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is out of date")
    options = made.parse_args(arguments)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), without_borrowed():
        warnings.simplefilter("ignore")
        torch = importlib.import_module("torch")
        text = text_of({"torch": torch, **public_modules(torch)})
    return brought_up_to_date(Path(tables.BORROWED), text, options.check, "python scripts/write_borrowed.py")


if __name__ == "__main__":
    sys.exit(main())
