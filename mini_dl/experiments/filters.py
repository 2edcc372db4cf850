"""The filters of the first convolution, before and after training.

A small convolutional network (convolution, ReLU, pooling, two linear layers) learns to classify digits. Its first filters start
as noise, with independent weights. After training neighboring weights are alike: the filters have become edges and blobs, light
on one side and dark on the other. Below them is the response of each to one digit: it responds where the image has its edge.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import first, images, panels
from mini_dl.experiments._training import accuracy, epoch
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = 1e-6
COUNT, SIZE = 12, 5


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64: the filters (COUNT, SIZE, SIZE), an image and their responses to it, accuracies on the test images."""
    data = images(torch, quick, "float64")
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, COUNT, SIZE, padding=SIZE // 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(COUNT * data.pixels // 4, 50),
        nn.ReLU(),
        nn.Linear(50, 10),
    ).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    weight = model[0].weight
    found: Results = {"image": data.test_images[0, 0].numpy()}
    for when in ("before", "after"):
        with torch.no_grad():
            answers = model[0](data.test_images[:1])[0]
        share = accuracy(torch, model, data.test_images, data.test_labels)
        found[when] = {"filters": weight.detach()[:, 0].numpy().copy(), "answers": answers.numpy(), "accuracy": share}
        if when == "before":
            for _ in range(5):
                epoch(torch, model, optimizer, data.train_images, data.train_labels, 50)
    return found


def roughness(filters: Part) -> float:
    """The mean squared difference of neighboring weights over their variance: 2 if they are independent, less if smooth."""
    across, down = np.diff(filters, axis=-1), np.diff(filters, axis=-2)
    spread = ((filters - filters.mean((-2, -1), keepdims=True)) ** 2).mean()
    return float((np.mean(across**2) + np.mean(down**2)) / 2 / spread)


def draw(results: Results) -> Figure:
    rows = [("before", "filters", "before"), *[("after", "filters", f"after,\n{library}") for library in results]]
    sides = [first(results), *results.values()]
    figure, grid = panels(len(rows) + 1, COUNT, size=(12, 1.25 * len(rows) + 1.6))
    for line, found, (when, what, name) in zip(grid, sides, rows):
        for axes, each in zip(line, found[when][what]):
            reach = np.abs(each).max()
            axes.imshow(each, cmap="gray", vmin=-reach, vmax=reach)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axes, each in zip(grid[-1], first(results)["after"]["answers"]):
        axes.imshow(np.maximum(each, 0), cmap="gray_r")
    grid[-1, 0].set_ylabel("relu of\nthe answer", rotation=0, ha="right", va="center")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
    return figure


def report(results: Results) -> list[str]:
    return [
        f"{when}: accuracy on the test images {found['accuracy']:.1%}; neighboring weights differ by "
        f"{roughness(found['filters']):.2f} of the variance (noise: 2)"
        for when, found in ((when, first(results)[when]) for when in ("before", "after"))
    ]
