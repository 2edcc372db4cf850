"""The packages of mini_dl as boxes, what they import as arrows: from the sources, and from the contract in pyproject.toml."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import tomllib
from matplotlib import pyplot
from matplotlib.patches import FancyArrowPatch

ROOT = Path(__file__).resolve().parent.parent


def layers() -> list[list[str]]:
    """The packages of each layer, from the top, as import-linter's first contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return [re.findall(r"mini_dl\.(\w+)", layer) for layer in contracts[0]["layers"]]


def package_of(path: Path) -> str:
    """The first name below mini_dl of a source file."""
    return path.relative_to(ROOT / "mini_dl").with_suffix("").parts[0]


def imports(path: Path) -> set[str]:
    """The packages of mini_dl that a source file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mini_dl"):
            parts = node.module.split(".")
            found.update([parts[1]] if len(parts) > 1 else [name.name for name in node.names])
        elif isinstance(node, ast.Import):
            found.update([name.name.split(".")[1] for name in node.names if name.name.startswith("mini_dl.")])
    return found


def arrows() -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """How many files of one package import another, by (importing, imported); and the lines of each package."""
    between: Counter[tuple[str, str]] = Counter()
    lines: Counter[str] = Counter()
    known = {name for layer in layers() for name in layer}
    for path in sorted((ROOT / "mini_dl").rglob("*.py")):
        package = package_of(path)
        lines[package] += len(path.read_text(encoding="utf-8").splitlines())
        between.update([(package, other) for other in imports(path) if other != package and {package, other} <= known])
    return between, lines


def direct(between: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The arrows without those implied by a path through other packages."""
    below: dict[str, set[str]] = {}
    for level in reversed(layers()):
        for package in level:
            below[package] = {end for start, end in between if start == package}
            below[package] |= {further for end in below[package] for further in below.get(end, ())}
    return {
        (start, end): files
        for (start, end), files in between.items()
        if not any([end in below[middle] for other, middle in between if other == start and middle != end])
    }


def draw() -> Any:
    """The figure: one row per layer; an arrow means "imports", its width how many files do. Implied arrows are left out."""
    rows = layers()
    between, lines = arrows()
    place = {
        name: ((number + 0.5) / len(row), len(rows) - height)
        for height, row in enumerate(rows)
        for number, name in enumerate(row)
    }
    figure, axes = pyplot.subplots(figsize=(8, 0.7 * len(rows)))
    for (start, end), files in sorted(direct(between).items(), key=lambda item: item[1]):
        (x, y), (to_x, to_y) = place[start], place[end]
        bend = 0.0 if y - to_y <= 1 else 0.12 * (1 if x >= to_x else -1)
        axes.add_patch(
            FancyArrowPatch((x, y - 0.24), (to_x, to_y + 0.24), arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0,
                            connectionstyle=f"arc3,rad={bend}", linewidth=0.8 + files / 20, color="0.5")
        )  # fmt: skip
    for name, (x, y) in place.items():
        axes.text(x, y, f"{name}\n{lines[name]:,} lines", ha="center", va="center", fontsize=8,
                  bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.3"})  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0.4, len(rows) + 0.6))
    axes.axis("off")
    figure.tight_layout()
    return figure
