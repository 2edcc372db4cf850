"""Learning by mini-batches.

A network of two layers, with 50 hidden units, learns to classify digits by stochastic gradient descent: each step follows the
gradient of the loss of a few images drawn at random. The loss fluctuates, since each step sees different images, but its trend is
downward. After every epoch, the accuracy is measured on the training images and on unseen images. While the two curves stay
close, the network generalizes to unseen images; a gap between them is overfitting.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, images, legend, overlay, panels, pick
from mini_dl.experiments._training import perceptron, train
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = 1e-9


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64: the losses of all steps and the accuracies of all epochs."""
    data = images(torch, dtype="float64")
    torch.manual_seed(0)
    model = perceptron(torch, [data.pixels, 50, 10]).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    return train(torch, model, optimizer, data, epochs=8 if quick else 16, batch_size=50)


def draw(results: Results) -> Figure:
    figure, (loss, accuracy) = panels(1, 2, size=(11, 4.4))
    overlay(loss, pick(results, "losses"))
    loss.set(xlabel="step", ylabel="cross entropy of the batch", title="Loss of each step", ylim=(0, None))
    legend(loss, results)
    for part, color in zip(("train", "test"), COLORS[1:]):
        overlay(accuracy, pick(results, part), f"{part} images", color, start=0)
    accuracy.set(xlabel="epoch", ylabel="accuracy", title="Accuracy after each epoch", ylim=(0, 1))
    legend(accuracy, results, loc="lower right")
    return figure


def report(results: Results) -> list[str]:
    course = first(results)
    steps = len(course["losses"]) // (len(course["train"]) - 1)
    start, end = np.mean(course["losses"][:steps]), np.mean(course["losses"][-steps:])
    return [
        f"mean loss {start:.4f} in the first epoch, {end:.4f} in the last",
        f"accuracy {course['train'][-1]:.2%} of the images trained on, {course['test'][-1]:.2%} of the test images",
    ]
