"""Activations per layer, for each initialization.

1,000 inputs from N(0, 1) pass through five layers of 100 units. With weights of standard deviation 1, sigmoid and tanh saturate:
their outputs pile up at the ends, where the gradient vanishes, and those of ReLU grow sevenfold with every layer. With 0.01, the
outputs of a layer are nearly the same, so its units do the work of one, and tanh and ReLU vanish. Xavier's 1/sqrt(n) nearly
preserves the spread of tanh. He's sqrt(2/n) preserves that of ReLU, which sets half of its inputs to 0.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import first, panels
from mini_dl.experiments._training import INITIALIZATIONS
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = 1e-9
ACTIVATIONS = ("Sigmoid", "Tanh", "ReLU")
LAYERS, UNITS, INPUTS = 5, 100, 1000
BINS = 30


def run(torch: Torch, quick: bool = False) -> Results:
    """For each layer, the histogram and standard deviation of its outputs, by activation and initialization."""
    return {kind: {name: layers(torch, kind, name) for name in INITIALIZATIONS} for kind in ACTIVATIONS}


def layers(torch: Torch, activation: str, initialization: str) -> list[Results]:
    """The same inputs each time, and the same random numbers for each initialization."""
    torch.manual_seed(0)
    outputs = torch.randn(INPUTS, UNITS, dtype=torch.float64)
    found = []
    for _ in range(LAYERS):
        weight = INITIALIZATIONS[initialization](torch.nn.init, torch.empty(UNITS, UNITS, dtype=torch.float64))
        outputs = getattr(torch.nn, activation)()(torch.nn.functional.linear(outputs, weight))
        array = outputs.numpy()
        low, high = {"Sigmoid": (0, 1), "Tanh": (-1, 1)}.get(activation, (0, array.max()))
        counts, edges = np.histogram(array, BINS, (low, high))
        found.append({"counts": counts, "edges": edges, "std": array.std()})
    return found


def draw(results: Results) -> Figure:
    rows = [(kind, name) for kind in ACTIVATIONS for name in INITIALIZATIONS]
    figure, grid = panels(len(rows), LAYERS, size=(11, 1.25 * len(rows)))
    for line, (kind, name) in zip(grid, rows):
        for i, axes in enumerate(line):
            for library, result in results.items():
                layer = result[kind][name][i]
                share = layer["counts"] / layer["counts"].sum()
                axes.stairs(share, layer["edges"], **STEPS[library], label=library)
            low, high = layer["edges"][[0, -1]]
            axes.set(yticks=[], ylim=(0, 1.45 * share.max()), xticks=[low, high], xticklabels=[f"{low:.2g}", f"{high:.2g}"])
            axes.text(1, 0.95, f"std {layer['std']:.2g}", transform=axes.transAxes, ha="right", va="top", fontsize=8)
            axes.tick_params(labelsize=8)
        line[0].set_ylabel(f"{kind}\n{name}", rotation=0, ha="right", va="center", fontsize=9)
    for i, axes in enumerate(grid[0]):
        axes.set_title(f"layer {i + 1}", fontsize=10)
    grid[0, 0].legend(frameon=False, fontsize=7, loc="upper left")
    return figure


STEPS: dict[str, Results] = {
    "mini_dl": {"color": "#c2410c", "alpha": 0.45, "fill": True},
    "torch": {"color": "#1d4ed8", "lw": 0.9},
}


def report(results: Results) -> list[str]:
    lines = []
    for kind, networks in first(results).items():
        for name, network in networks.items():
            spreads = ", ".join(f"{layer['std']:.2g}" for layer in network)
            lines.append(f"{kind}, {name}: standard deviations of the layers {spreads}")
    return lines
