"""What the comparison scripts share: finding torch, tables on the terminal, one HTML page, exit codes."""

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

from mini_dl.files.replacing import rewrite

AGREE, DISAGREE, BAD_CALL = 0, 1, 2

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
 body { color: #1c1f23; background: #fff }
 h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
 table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
 th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #d9dde2 }
 th:first-child, td:first-child { text-align: left }
 th { font-weight: 600; border-bottom: 2px solid #8a929b }
 img { max-width: 100%; height: auto; border: 1px solid #d9dde2 }
 .verdict { padding: .6rem 1rem; border-left: 5px solid #2a7d4f; background: #eef7f1 }
 .bad { border-color: #b3261e; background: #fceeed }
 footer { margin-top: 3rem; color: #5b646e; font-size: .85rem }
 figure { margin: 1rem 0 } figcaption { color: #5b646e; font-size: .9rem }
</style>
<h1>{{ title }}</h1>
{% for line in verdicts %}<p class="verdict{% if not line.good %} bad{% endif %}">{{ line.text }}</p>{% endfor %}
{% if contents %}<ol>{% for section in sections %}
<li><a href="#{{ section.id }}">{{ section.title }}</a></li>{% endfor %}</ol>{% endif %}
{% for section in sections %}<h2{% if section.id %} id="{{ section.id }}"{% endif %}>{{ section.title }}</h2>
{% for text in section.paragraphs %}<p>{{ text }}</p>{% endfor %}
{% if section.image %}<figure><img src="{{ section.image }}" alt="{{ section.caption }}">
<figcaption>{{ section.caption }}</figcaption></figure>{% endif %}
{% if section.lines %}<ul>{% for line in section.lines %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
{% if section.rows %}<table>
<thead><tr>{% for head in section.header %}<th>{{ head }}</th>{% endfor %}</tr></thead><tbody>
{% for row in section.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>{% endif %}
{% endfor %}
<footer>{{ footer }}</footer>
</html>
"""


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

    template = jinja2.Environment(autoescape=True).from_string(PAGE)
    lines = [{"good": good, "text": text} for good, text in verdicts]
    page = template.render(title=title, sections=sections, verdicts=lines, footer=footer, contents=contents)
    path.parent.mkdir(parents=True, exist_ok=True)
    rewrite(path, page)


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
    """The arguments that every script takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--seed", type=int, default=0, help="seed of both libraries")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    return made


def image_parser(description: str, dtype: str) -> argparse.ArgumentParser:
    """With the arguments of scripts that train on images: which, where they are, and the type of all numbers."""
    made = parser(description)
    made.add_argument("--data", choices=("digits", "mnist"), default="digits", help="digits are shipped with mini_dl")
    made.add_argument("--root", type=Path, help="folder of the MNIST files; default: the environment variable MINI_DL_DATA")
    made.add_argument("--dtype", choices=("float32", "float64"), default=dtype, help="type of all numbers")
    made.add_argument("--report", type=Path, default=Path("report"), help="folder for the page and the plots")
    made.add_argument("--no-report", action="store_true", help="numbers only")
    return made


def brought_up_to_date(path: Path, text: str, check: bool, command: str) -> int:
    """Make `text` the content of a generated file; if `check`, only say whether it is."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return AGREE
    if check:
        print(f"{path.name} is out of date; run {command}")
        return DISAGREE
    rewrite(path, text)
    return AGREE


def fail(message: str) -> int:
    """Report what is wrong with the call."""
    print(message, file=sys.stderr)
    return BAD_CALL
