"""Shared by the comparison scripts: finding torch, tables on the terminal, one HTML page, exit codes."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # mini_dl and parity_tests of this checkout

from mini_dl.experiments._images import read
from mini_dl.files.replacing import rewrite

AGREE, DISAGREE, BAD_CALL = 0, 1, 2

PAGES = {
    "index.html": "parity with torch",
    "training.html": "one network, both libraries",
    "ops.html": "operations",
    "optimizers.html": "optimizers",
    "book/index.html": "the notes' experiments",
}
"""The pages of a report folder, which link to each other."""


def libraries() -> tuple[ModuleType, ModuleType | None]:
    """mini_dl, and torch if it is installed."""
    ours = importlib.import_module("mini_dl")
    try:
        return ours, importlib.import_module("torch")
    except ImportError:
        return ours, None


def versions(theirs: ModuleType | None) -> str:
    found = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    if theirs is not None:
        found.append(f"torch {theirs.__version__} with {theirs.get_num_threads()} threads")
    return ", ".join(found)


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Columns aligned, the first to the left."""
    cells = [header, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def write_page(
    path: Path,
    title: str,
    sections: list[dict[str, Any]],
    verdicts: list[tuple[bool, str]],
    footer: str,
    contents: bool = False,
) -> None:
    """One HTML page, optionally with a table of contents; images are separate files unless their URLs contain them."""
    import jinja2

    text = Path(__file__).with_name("_report.html").read_text(encoding="utf-8")
    lines = [{"good": good, "text": text} for good, text in verdicts]
    page = (
        jinja2.Environment(autoescape=True)
        .from_string(text)
        .render(title=title, sections=sections, verdicts=lines, footer=footer, contents=contents, others=other_pages(path))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    rewrite(path, page)


def other_pages(path: Path) -> list[tuple[str, str]]:
    """The other pages of the folder: their links, and what they show."""
    folder = path.parent.parent if path.parent.name == "book" else path.parent
    up = "../" if folder != path.parent else ""
    return [(up + page, name) for page, name in PAGES.items() if (folder / page).exists() and folder / page != path]


def write_json(path: Path | None, content: Any) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rewrite(path, json.dumps(content, indent=1) + "\n")


def progress(items: Any, **options: Any) -> Any:
    """A progress bar if tqdm is installed and the output is a terminal; otherwise just the items."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, file=sys.stderr, disable=None, leave=False, **options)


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of every script."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--seed", type=int, default=0, help="seed of both libraries")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    return made


def image_parser(description: str, dtype: str) -> argparse.ArgumentParser:
    """Adds the arguments of scripts that train on images: which ones, where they are, and the type of all numbers."""
    made = parser(description)
    made.add_argument("--data", choices=("digits", "mnist"), default="digits", help="digits are shipped with mini_dl")
    made.add_argument("--root", type=Path, help="folder of the MNIST files; default: the environment variable MINI_DL_DATA")
    made.add_argument("--dtype", choices=("float32", "float64"), default=dtype, help="type of all numbers")
    made.add_argument("--report", type=Path, default=Path("report"), help="folder for the page and the plots")
    made.add_argument("--no-report", action="store_true", help="numbers only")
    return made


def brought_up_to_date(path: Path, text: str, check: bool, command: str) -> int:
    """Write `text` to a generated file; if `check`, only report whether it differs."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return AGREE
    if check:
        print(f"{path.name} is out of date; run {command}")
        return DISAGREE
    rewrite(path, text)
    return AGREE


def fail(message: str) -> int:
    """Report an invalid call."""
    print(message, file=sys.stderr)
    return BAD_CALL


def images_of(options: argparse.Namespace) -> dict[str, Any]:
    """The images that a script's options request; if they cannot be read, the script says why and exits."""
    try:
        return read(options.data, options.root, options.dtype)
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(fail(str(error))) from None
