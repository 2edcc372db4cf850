"""Training from three initializations.

A network of five layers, with 100 ReLU units in each hidden one, learns to classify digits by the same stochastic gradient
descent from weights drawn with three standard deviations. With 0.01, the signal shrinks from layer to layer, and so does the
gradient in the backward pass: nothing is learned, and the loss stays at ln 10, that of a guess. With Xavier's and He's weights it
learns; He's, designed for ReLU, is faster (Glorot and Bengio 2010; He et al. 2015, section 2.2). The curves are means over twenty
steps.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, GUESS, first, images, legend, overlay, panels, pick, smooth, standardized
from mini_dl.experiments._training import INITIALIZATIONS, initialized, perceptron, train
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = 1e-6
NAMES = ("std 0.01", "Xavier", "He")
WINDOW = 20


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64, by initialization: the losses of all steps, the accuracies of all epochs."""
    data = standardized(images(torch, quick, "float64"))
    found = {}
    for name in NAMES:
        torch.manual_seed(0)
        model = perceptron(torch, [data.pixels, 100, 100, 100, 100, 10]).double()
        initialized(torch, model, INITIALIZATIONS[name])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        found[name] = train(torch, model, optimizer, data, epochs=16, batch_size=50)
    return found


def draw(results: Results) -> Figure:
    figure, (losses, accuracies) = panels(1, 2, size=(11, 4.4))
    for name, color in zip(NAMES, COLORS):
        overlay(losses, smooth(pick(results, name, "losses"), WINDOW), name, color)
        overlay(accuracies, pick(results, name, "test"), name, color, start=0)
    losses.axhline(GUESS, color="#8a929b", lw=0.8)
    losses.text(WINDOW, GUESS + 0.04, "a guess: ln 10", fontsize=9, color="#475569")
    losses.set(xlabel="step", ylabel="cross entropy", title=f"Loss, mean of {WINDOW} steps", ylim=(0, 2.6))
    accuracies.set(xlabel="epoch", ylabel="accuracy", title="Accuracy on the test images", ylim=(0, 1))
    legend(losses, results, loc="center right")
    return figure


def report(results: Results) -> list[str]:
    return [
        f"{name}: last loss {np.mean(course['losses'][-WINDOW:]):.4f}, accuracy on the test images {course['test'][-1]:.2%}"
        for name, course in first(results).items()
    ]
