"""Momentum that grows.

In the first epochs, the gradients keep changing direction, and a long memory of them would push the weights around. Later
they agree, and a long memory keeps moving along the valley. So momentum starts at 0.5 and grows to 0.99 (Sutskever et al. 2013).
For comparison, the same network with a constant momentum. The schedule does better than either of its end values. On such
an easy task, a constant momentum of 0.9 does even better: the schedule was designed for networks that are hard to train.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, images, legend, overlay, panels, pick, smooth
from mini_dl.experiments._training import accuracy, epoch, perceptron
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = 1e-7
EPOCHS, RATE = 12, 0.05
MOMENTA = {"0.5": (0.5, 0.5), "0.9": (0.9, 0.9), "0.99": (0.99, 0.99), "0.5 to 0.99": (0.5, 0.99)}


def run(torch: Torch, quick: bool = False) -> Results:
    """The losses of all steps, the momentum of each epoch, and the accuracy of the test images after it."""
    data, courses = images(torch, quick, "float64"), {}
    for name, (low, high) in MOMENTA.items():
        torch.manual_seed(0)
        model = perceptron(torch, [data.pixels, 100, 10], "Tanh").double()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=low)
        course: Results = {"losses": [], "momentum": [], "test": []}
        for number in range(EPOCHS):
            momentum = low + (high - low) * number / (EPOCHS - 1)
            optimizer.param_groups[0]["momentum"] = momentum
            course["losses"] += epoch(torch, model, optimizer, data.train_images, data.train_labels, 50)
            course["momentum"].append(momentum)
            course["test"].append(accuracy(torch, model, data.test_images, data.test_labels))
        courses[name] = course
    return courses


def draw(results: Results) -> Figure:
    figure, (momenta, losses) = panels(1, 2, size=(11, 4.2))
    for name, color in zip(MOMENTA, COLORS):
        overlay(momenta, pick(results, name, "momentum"), name, color)
        course = pick(results, name, "losses")
        overlay(losses, smooth(course, width=max(1, len(first(course)) // 20)), name, color)
    momenta.set(xlabel="epoch", ylabel="momentum")
    losses.set(xlabel="step", ylabel="cross entropy, running mean", yscale="log")
    legend(losses, results)
    return figure


def report(results: Results) -> list[str]:
    lines = []
    for name, course in first(results).items():
        losses = course["losses"]
        steps = len(losses) // EPOCHS
        begun, ended = np.mean(losses[:steps]), np.mean(losses[-steps:])
        lines.append(
            f"momentum {name}: mean loss of the first epoch {begun:.3f}, of the last {ended:.4f}; "
            f"accuracy of the test images {course['test'][-1]:.2%}"
        )
    return lines
