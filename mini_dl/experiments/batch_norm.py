"""Batch normalization at many initial scales.

The same network of five hidden layers of 100 ReLU units is trained from initial weights of many standard deviations, with and
without batch normalization before each ReLU (Ioffe and Szegedy 2015). Without it, only a narrow range of scales learns: the
signal vanishes below it and grows without bound above it. With it, each layer's inputs are normalized to mean 0 and variance 1,
so nearly all scales learn, the most extreme ones more slowly.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from mini_dl.experiments._frame import COLORS, first, images, legend, overlay, panels, pick
from mini_dl.experiments._training import initialized, perceptron, train
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = None  # over thousands of steps at the largest scales, any difference grows

KINDS = ("with batch norm", "without")


def scales(quick: bool) -> list[float]:
    """Standard deviations, evenly spaced in their logarithm."""
    return [float(scale) for scale in np.logspace(0, -4, 9 if quick else 16)]


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64, by kind and scale: the losses of all steps, the accuracies of all epochs."""
    data = images(torch, quick, "float64")
    found: Results = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for scale in scales(quick):
            torch.manual_seed(0)
            model = perceptron(torch, [data.pixels, *[100] * 5, 10], batch_norm=kind == KINDS[0]).double()
            initialized(torch, model, partial(normal, std=scale))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            found[kind][scale] = train(torch, model, optimizer, data, epochs=6, batch_size=100)
    return found


def normal(init: Part, weight: Part, std: float) -> Part:
    return init.normal_(weight, std=std)


def draw(results: Results) -> Figure:
    found = list(first(results)[KINDS[0]])
    side = int(np.ceil(np.sqrt(len(found))))
    figure, grid = panels(side, side, size=(10, 8), sharex=True, sharey=True)
    for axes, scale in zip(grid.flat, found):
        for kind, color in zip(KINDS, COLORS):
            overlay(axes, pick(results, kind, scale, "train"), kind, color, start=0)
        axes.set_title(f"std {scale:.2g}", fontsize=10)
        axes.set(ylim=(0, 1.02))
    for axes in grid[-1]:
        axes.set(xlabel="epoch")
    for axes in grid[:, 0]:
        axes.set(ylabel="train accuracy")
    legend(grid[0, 0], results)
    return figure


def report(results: Results) -> list[str]:
    found = first(results)
    last = {kind: {scale: course["train"][-1] for scale, course in found[kind].items()} for kind in KINDS}
    lines = [
        f"std {scale:<8.2g} train accuracy {', '.join(f'{kind} {last[kind][scale]:.1%}' for kind in KINDS)}"
        for scale in last[KINDS[0]]
    ]
    learned = {kind: sum(share > 0.5 for share in last[kind].values()) for kind in KINDS}
    return [*lines, f"above 50%: {', '.join(f'{kind} {count} of {len(lines)} scales' for kind, count in learned.items())}"]
