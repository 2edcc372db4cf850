"""Draw the picture of the README: the losses of one network under both libraries, one curve on top of the other.

    python scripts/draw_losses.py docs/_static/losses.svg

It trains like `compare_training.py`, and needs torch.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _report import AGREE, fail, libraries
from compare_training import divergence, parsed, start, train

from mini_dl.experiments._images import read
from mini_dl.files.replacing import replaced

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 740, 40, 252
STYLE = "font-family='system-ui, sans-serif' font-size='13' fill='#3f4650'"


def points(losses: Sequence[float], low: float, high: float) -> str:
    """A curve of the losses by step, on a logarithmic axis from 10**low to 10**high."""
    placed = []
    for step, loss in enumerate(losses):
        x = LEFT + (RIGHT - LEFT) * step / max(1, len(losses) - 1)
        y = BOTTOM - (BOTTOM - TOP) * (math.log10(loss) - low) / (high - low)
        placed.append(f"{x:.1f},{y:.1f}")
    return " ".join(placed)


def drawn(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The picture as SVG."""
    logs = np.log10([*ours, *theirs])
    low, high = float(logs.min()), float(logs.max())
    apart = max(divergence(list(ours), list(theirs)))
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>",
        "<title>The losses of one network under mini_dl and under PyTorch</title>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' rx='8' fill='#ffffff'/>",
    ]
    for power in range(math.ceil(low), math.floor(high) + 1):
        y = BOTTOM - (BOTTOM - TOP) * (power - low) / (high - low)
        lines.append(f"<line x1='{LEFT}' x2='{RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e3e6ea'/>")
        lines.append(f"<text x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end' {STYLE}>{10.0**power:g}</text>")
    lines += [
        f"<polyline points='{points(ours, low, high)}' fill='none' stroke='#f2a65a' stroke-width='5' stroke-linejoin='round'/>",
        f"<polyline points='{points(theirs, low, high)}' fill='none' stroke='#1d4ed8' stroke-width='1.3'/>",
        f"<line x1='{LEFT}' x2='{LEFT + 34}' y1='22' y2='22' stroke='#f2a65a' stroke-width='5'/>",
        f"<text x='{LEFT + 42}' y='26' {STYLE}>mini_dl</text>",
        f"<line x1='{LEFT + 116}' x2='{LEFT + 150}' y1='22' y2='22' stroke='#1d4ed8' stroke-width='1.3'/>",
        f"<text x='{LEFT + 158}' y='26' {STYLE}>PyTorch</text>",
        f"<text x='{RIGHT}' y='26' text-anchor='end' {STYLE}>at most {apart:.0e} apart, relative</text>",
        f"<text x='{LEFT}' y='{BOTTOM + 34}' {STYLE}>cross entropy of steps 1 to {len(ours)}</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Draw the losses of one network under both libraries.")
    made.add_argument("picture", type=Path, help="the SVG file to write")
    picture = made.parse_args(arguments).picture
    ours, theirs = libraries()
    if theirs is None:
        return fail("draw_losses needs torch: python -m pip install torch==2.13.0")
    options = parsed([])
    data = read(options.data, options.root, options.dtype)
    runs = [start("mini_dl", ours, data, options), start("torch", theirs, data, options)]
    train(runs, options.epochs)
    with replaced(picture) as file:
        file.write(drawn(runs[0].losses, runs[1].losses).encode())
    print(f"{len(runs[0].losses)} steps, at most {max(divergence(runs[0].losses, runs[1].losses)):.0e} apart; wrote {picture}")
    return AGREE


if __name__ == "__main__":
    sys.exit(main())
