"""Plain and residual networks by depth.

A residual block adds its input to the output of its two convolutions, y = relu(F(x) + x) (He et al. 2016, section 3.1); a plain
block is the same without the sum. Both networks have the same parameters from the same seed, the same batches and the same Adam.
The setting is simple: 8 channels throughout, PyTorch's own initialization, no learning rate schedule.

Without normalization, a plain network of 20 layers does not learn at all: each layer makes the signal smaller, the output
no longer depends on the image, and the loss stays at ln 10, that of a guess. Its residual twin learns as well as a shallow
network, since the sums pass the signal on.

Batch normalization after each convolution keeps the size of the signal (so would He's larger initial weights), and 20 plain
layers learn, if slowly. At a larger depth the same happens again: 44 plain layers hardly learn, 44 residual ones do. The
curves show the training loss, so this is not overfitting; the paper calls it degradation.
"""

from __future__ import annotations

import math

import numpy as np

from mini_dl.experiments._frame import (  # fmt: skip
    COLORS,
    GUESS,
    Images,
    first,
    images,
    legend,
    overlay,
    panels,
    parting,
    pick,
    smooth,
    standardized,
)
from mini_dl.experiments._training import accuracy, epoch
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = None  # deep networks propagate a difference in the last bit until another branch of a ReLU is taken

DEPTHS = {"without": (2, 8, 20), "with": (8, 20, 44)}
ALL_DEPTHS = (2, 8, 20, 44)
KINDS = ("plain", "residual")
CHANNELS = 8
WINDOW = 10


def network(torch: Torch, depth: int, residual: bool, batch_norm: bool, side: int) -> Part:
    """A convolution, blocks of two, a linear layer: `depth` layers that learn; images are (N, 1, side, side)."""
    nn = torch.nn

    def convolution(inputs: int, stride: int = 1) -> list[Part]:
        made = nn.Conv2d(inputs, CHANNELS, 3, stride=stride, padding=1, bias=not batch_norm)
        return [made, nn.BatchNorm2d(CHANNELS)] if batch_norm else [made]

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*convolution(CHANNELS), nn.ReLU(), *convolution(CHANNELS))

        def forward(self, x: Part) -> Part:
            y = self.layers(x)
            return torch.relu(y + x if residual else y)

    stride = 2 if side > 16 else 1
    places = math.ceil(side / stride) // 2
    stem = [*convolution(1, stride), nn.ReLU(), nn.AvgPool2d(2)]
    blocks = [Block() for _ in range((depth - 2) // 2)]
    return nn.Sequential(*stem, *blocks, nn.Flatten(), nn.Linear(CHANNELS * places**2, 10))


def run(torch: Torch, quick: bool = False) -> Results:
    """By normalization, kind and depth: the loss of each step, and the accuracy on the test images at the end."""
    data = standardized(images(torch, quick, "float64"))
    count = 1024 if quick else 4096
    return {
        norm: {
            kind: {depth: train(torch, data, count, depth, kind == "residual", norm == "with") for depth in depths}
            for kind in KINDS
        }
        for norm, depths in DEPTHS.items()
    }


def train(torch: Torch, data: Images, count: int, depth: int, residual: bool, batch_norm: bool) -> Results:
    """Two passes over the first `count` images."""
    torch.manual_seed(0)
    model = network(torch, depth, residual, batch_norm, data.train_images.shape[-1]).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(2):
        losses += epoch(torch, model, optimizer, data.train_images[:count], data.train_labels[:count], 32)
    return {"losses": losses, "test": accuracy(torch, model, data.test_images, data.test_labels)}


def draw(results: Results) -> Figure:
    figure, grid = panels(2, 2, size=(11, 8), sharex=True, sharey=True)
    for axes, norm in zip(grid, DEPTHS):
        for each, kind in zip(axes, KINDS):
            for depth in DEPTHS[norm]:
                losses = smooth(pick(results, norm, kind, depth, "losses"), WINDOW)
                overlay(each, losses, f"{depth} layers", COLORS[ALL_DEPTHS.index(depth)])
            each.axhline(GUESS, color="#8a929b", lw=0.8)
            each.set(title=f"{kind}, {norm} batch normalization", ylim=(0, 2.6))
        legend(axes[1], results, loc="upper right", bbox_to_anchor=(1, 0.87))  # the colors are those of both
        axes[0].set(ylabel="cross entropy, mean of ten steps")
    for each in grid[1]:
        each.set(xlabel="step")
    grid[0, 0].text(12, GUESS + 0.05, "a guess: ln 10", fontsize=9, color="#475569")
    return figure


def report(results: Results) -> list[str]:
    lines = []
    for norm, depths in DEPTHS.items():
        for depth in depths:
            courses = {kind: first(results)[norm][kind][depth] for kind in KINDS}
            ends = [f"{kind} {np.mean(end['losses'][-WINDOW:]):.3f} and {end['test']:.1%}" for kind, end in courses.items()]
            lines.append(f"{depth} layers {norm} batch norm, last loss and test accuracy: {'; '.join(ends)}")
    for norm, depths in DEPTHS.items():
        for kind in KINDS:
            for depth in depths:
                step = parting(pick(results, norm, kind, depth, "losses"))
                if step is not None:
                    lines.append(f"{kind}, {depth} layers {norm} batch norm: the libraries' losses part (by 1e-6) at step {step}")
    return lines
