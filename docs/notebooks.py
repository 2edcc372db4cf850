"""The pages as notebooks: each page of the notes, and each that is a program from top to bottom, can be downloaded as one.

A notebook needs mini_dl and NumPy; it draws where matplotlib is installed.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(?P<head>[^\n`]*)\n(?P<body>.*?)^```$\n?", re.DOTALL | re.MULTILINE)
NEEDS = "needs mini_dl; for pictures: pip install 'mini-dl[viz]'"
OURS = "mini-dl"
"""The tag of a cell that uses what PyTorch does not have. All others run under both."""


SITE = {"architecture", "distributions"}
"""Pages that draw with helpers of the site."""


@dataclass
class Cell:
    """Text, as Markdown, or code."""

    kind: str
    source: str
    tags: list[str] = field(default_factory=list)
    folded: bool = False


def cells(page: Path) -> list[Cell]:
    """The page in the order in which it is read and run."""
    text = re.sub(r"\A---\n.*?\n---\n", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: list[Cell] = []
    folded, start = False, 0
    for fence in FENCE.finditer(text):
        head = fence["head"].strip()
        runs = head in ("{code-cell}", "python")
        if not runs and not head.startswith(("{literalinclude}", "{note}")):
            continue
        before = text[start : fence.start()]
        _add(found, _plain(before))
        folded = folded if "details>" not in before else before.rindex("<details") > before.rfind("</details")
        start = fence.end()
        if runs:
            tags = re.findall(r"[\w-]+", found_tags[1]) if (found_tags := re.match(r":tags: \[(.*)\]\n", fence["body"])) else []
            found.append(Cell("code", re.sub(r"\A(:.*\n)+\n?", "", fence["body"]).strip("\n"), tags, folded))
        elif head.startswith("{note}"):
            _add(found, "\n".join(f"> {line}" for line in fence["body"].strip().splitlines()))
        else:
            file = page.parent / head.removeprefix("{literalinclude}").strip()
            _add(found, f"```python\n{_definition(file, fence['body'])}\n```")
    _add(found, _plain(text[start:]))
    return found


def _add(found: list[Cell], markdown: str) -> None:
    """One text cell for everything between two code cells."""
    if not markdown.strip():
        return
    if found and found[-1].kind == "markdown":
        found[-1].source += f"\n\n{markdown.strip()}"
    else:
        found.append(Cell("markdown", markdown.strip()))


def _plain(text: str) -> str:
    """Without the link to the other language; an answer unfolded, as a fold cannot span cells; links lead to other notebooks."""
    text = re.sub(r"^\[(한국어|English)\]\(.*\)\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"<details><summary>(.*?)</summary>", r"**\1**", text).replace("</details>", "")
    return re.sub(r"\]\((\w+)\.md\)", r"](\1.ipynb)", text)


def _definition(file: Path, options: str) -> str:
    """The source of the function or class that a `literalinclude` names."""
    (name,) = re.findall(r":pyobject: (\w+)", options)
    source = file.read_text(encoding="utf-8")
    node = [node for node in ast.parse(source).body if getattr(node, "name", None) == name][-1]  # those before it are overloads
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def notebook(page: Path) -> dict[str, Any]:
    """In version 4.5 of Jupyter's format."""
    written = [Cell("markdown", f"*{NEEDS}*"), *cells(page)]
    return {
        "cells": [_written(cell, i) for i, cell in enumerate(written)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _written(cell: Cell, number: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": hashlib.sha256(f"{number} {cell.source}".encode()).hexdigest()[:8],
        "cell_type": cell.kind,
        "metadata": {"jupyter": {"source_hidden": True}} if cell.folded else {},
        "source": cell.source.splitlines(keepends=True),
    }
    return made if cell.kind == "markdown" else {**made, "execution_count": None, "outputs": []}


def pages(docs: Path) -> list[Path]:
    """The pages offered as notebooks: those that anyone with the package can run from top to bottom."""
    return [
        page
        for folder in ("notes", "ko", ".", "ko/library")
        for page in sorted((docs / folder).glob("*.md"))
        if page.stem not in SITE and "{code-cell}" in page.read_text(encoding="utf-8")
    ]


def write(docs: Path, folder: Path) -> None:
    for page in pages(docs):
        file = folder / page.relative_to(docs).with_suffix(".ipynb")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(notebook(page), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def run(page: Path, library: str = "mini_dl", skip: re.Pattern[str] | None = None) -> list[tuple[str, str]]:
    """The code of each cell and its output, in its own namespace.

    If `library` is "torch", it is run under PyTorch, and cells that need mini_dl are left out; so are those that `skip` matches.
    The value of a final expression is printed as by Python's prompt.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for cell in cells(page):
        if cell.kind != "code" or (library == "torch" and OURS in cell.tags) or (skip and skip.search(cell.source)):
            continue
        source = cell.source if library == "mini_dl" else cell.source.replace("import mini_dl as torch", "import torch")
        tree = ast.parse(source)
        value = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(tree, page.name, "exec"), names)
            shown = eval(compile(value, page.name, "eval"), names) if value is not None else None
            if shown is not None:
                print(repr(shown))
        printed.append((cell.source, out.getvalue()))
    return printed
