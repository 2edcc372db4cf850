"""Six optimizers on a bowl, and on images.

The bowl f(x, y) = x²/20 + y² is steep in y and flat in x, so the gradient rarely points to the minimum. SGD zigzags
across the valley. Momentum remembers its direction and keeps moving, Nesterov's looks ahead along it. AdaGrad and RMSProp
give each direction its own rate, smaller where gradients have been large; Adam does both. Then all six train one network on
images of digits, from the same parameters and with the same batches. Which is best depends on the task and on the learning rates,
which are set in this module: the figure shows how they behave, not which one wins.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, Images, first, images, legend, mosaic, overlay, pick, smooth
from mini_dl.experiments._training import perceptron, train
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = 1e-9
START = (-7.0, 2.0)
# name: class, options on the bowl, options in training
OPTIMIZERS: dict[str, tuple[str, Results, Results]] = {
    "SGD": ("SGD", {"lr": 0.95}, {"lr": 0.5}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}, {"lr": 0.05, "momentum": 0.9}),
    "Nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "AdaGrad": ("Adagrad", {"lr": 1.5}, {"lr": 0.05}),
    "RMSProp": ("RMSprop", {"lr": 0.3, "alpha": 0.9}, {"lr": 0.002}),
    "Adam": ("Adam", {"lr": 0.3}, {"lr": 0.005}),
}


def bowl(x: Part, y: Part) -> Part:
    return x**2 / 20 + y**2


def descend(torch: Torch, name: str, dtype: str, steps: int) -> Part:
    """The positions on the bowl (steps + 1, 2), START first."""
    kind, options, _ = OPTIMIZERS[name]
    place = torch.tensor(START, dtype=getattr(torch, dtype), requires_grad=True)
    optimizer = getattr(torch.optim, kind)([place], **options)
    path = [START]
    for _ in range(steps):
        optimizer.zero_grad()
        bowl(place[0], place[1]).backward()
        optimizer.step()
        path.append(tuple(place.tolist()))
    return np.array(path)


def learn(torch: Torch, name: str, data: Images, seed: int, epochs: int, batch_size: int) -> dict[str, list[float]]:
    """Losses and accuracies of training a network in the dtype of the images.

    It is smooth on purpose. At the kink of a ReLU, a difference in the last bit can select the other branch,
    after which two correct libraries diverge in float32.
    """
    kind, _, options = OPTIMIZERS[name]
    torch.manual_seed(seed)
    model = perceptron(torch, [data.pixels, 128, 10], "SiLU").to(data.train_images.dtype)
    optimizer = getattr(torch.optim, kind)(model.parameters(), **options)
    return train(torch, model, optimizer, data, epochs, batch_size)


def run(torch: Torch, quick: bool = False) -> Results:
    data = images(torch, quick, "float64")
    return {
        name: {"path": descend(torch, name, "float64", 30), **learn(torch, name, data, seed=0, epochs=5, batch_size=50)}
        for name in OPTIMIZERS
    }


def draw(results: Results) -> Figure:
    figure, axes = mosaic("aabbcc/ddeeff/yyyzzz", size=(11, 9))
    x, y = np.meshgrid(np.linspace(-8, 8, 161), np.linspace(-3.2, 3.2, 129))
    for name, place, color in zip(OPTIMIZERS, "abcdef", COLORS):
        axes[place].contour(x, y, bowl(x, y), levels=np.arange(1, 11) ** 2 / 12, colors="#c7ccd1", linewidths=0.7)
        axes[place].plot(*first(results)[name]["path"].T, ".", color=color, ms=5)
        overlay(axes[place], {library: tuple(path.T) for library, path in pick(results, name, "path").items()}, color=color)
        axes[place].plot(0, 0, "+", color="#1c1f23", ms=9)
        axes[place].set_title(name, fontsize=11)
        losses = pick(results, name, "losses")
        overlay(axes["y"], smooth(losses, width=max(1, len(first(losses)) // 20)), name, color)
        overlay(axes["z"], {library: accuracies[1:] for library, accuracies in pick(results, name, "test").items()}, name, color)
    axes["y"].set(xlabel="step", ylabel="cross entropy, running mean", yscale="log")
    axes["z"].set(xlabel="epoch", ylabel="accuracy of the test images")
    axes["z"].locator_params(axis="x", integer=True)
    legend(axes["z"], results, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def report(results: Results) -> list[str]:
    lines = []
    for name, course in first(results).items():
        (x, y), losses = course["path"][-1], course["losses"]
        epoch = len(losses) // (len(course["test"]) - 1)
        lines.append(
            f"{name}: after {len(course['path']) - 1} steps on the bowl at ({x:.3f}, {y:.3f}); "
            f"mean loss of the last epoch {np.mean(losses[-epoch:]):.4f}, accuracy of the test images {course['test'][-1]:.2%}"
        )
    return lines
