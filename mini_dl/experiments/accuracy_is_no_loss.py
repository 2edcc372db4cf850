"""Why accuracy cannot be the loss.

One weight of a trained network is varied, all others are fixed. The accuracy over some images is a staircase: it jumps where an
image's prediction changes and is constant everywhere else, so its derivative is 0 and gives no direction. The cross
entropy changes smoothly with every change of the weight; its derivative gives the direction of descent everywhere.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, images, legend, overlay, panels
from mini_dl.experiments._training import perceptron, train
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = 1e-9
IMAGES = 100
"""The number of images for the accuracy and the loss."""


def run(torch: Torch, quick: bool = False) -> Results:
    """At each value of the weight: accuracy, loss and the derivative of the loss with respect to the weight."""
    data = images(torch, quick, "float64")
    torch.manual_seed(0)
    model = perceptron(torch, [data.pixels, 20, 10]).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    train(torch, model, optimizer, data, epochs=5, batch_size=50)
    inputs, labels = data.test_images[:IMAGES], data.test_labels[:IMAGES]
    weight = model[-1].weight
    row, column = divmod(int(weight.argmax()), weight.shape[1])
    trained = weight[row, column].item()
    values = trained + np.linspace(-3, 3, 601 if quick else 2401)
    course: Results = {"values": values, "accuracies": [], "losses": [], "derivatives": [], "trained": trained}
    for value in values:
        with torch.no_grad():
            weight[row, column] = value
        outputs = model(inputs)
        loss = torch.nn.functional.cross_entropy(outputs, labels)
        model.zero_grad()
        loss.backward()
        course["accuracies"].append((outputs.argmax(1) == labels).double().mean().item())
        course["losses"].append(loss.item())
        course["derivatives"].append(weight.grad[row, column].item())
    return {key: np.array(value) for key, value in course.items()}


def draw(results: Results) -> Figure:
    figure, grid = panels(2, 2, size=(10, 6), sharex="col")
    for (high, low), width in zip(grid.T, (3, 0.5)):
        trained = first(results)["trained"]
        near = np.abs(first(results)["values"] - trained) <= width + 1e-9
        for axes, key, color in ((high, "accuracies", COLORS[0]), (low, "losses", COLORS[1])):
            curves = {library: (result["values"][near], result[key][near]) for library, result in results.items()}
            overlay(axes, curves, color=color)
            axes.axvline(trained, color="#8a929b", lw=1, ls=":")
        low.set(xlabel="value of the weight (dotted: as trained)")
    grid[0, 0].set(ylabel=f"accuracy of {IMAGES} images", title="The whole range")
    grid[0, 1].set(title="Nearer")
    grid[1, 0].set(ylabel="cross entropy")
    legend(grid[1, 1], results)
    return figure


def report(results: Results) -> list[str]:
    course = first(results)
    accuracies, derivatives = course["accuracies"], np.abs(course["derivatives"])
    level = (np.diff(accuracies) == 0).mean()
    return [
        f"of {len(accuracies)} values of one weight, accuracy is the same as at the value before for {level:.0%}: "
        f"{len(np.unique(accuracies))} different values between {accuracies.min():.1%} and {accuracies.max():.1%}",
        f"the loss has a derivative everywhere: its size lies between {derivatives.min():.1e} and {derivatives.max():.1e}",
    ]
