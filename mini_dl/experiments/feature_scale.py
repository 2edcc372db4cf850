"""The scale of features, features that are all positive, and standardizing.

Above: a linear unit without bias distinguishes sixes from sevens by two features of an image, the ink in its upper and in its
lower half. Its squared error is a bowl over the two weights. Gradient descent starts as far from the minimum along the bowl's
steep axis as along its flat one, and uses the optimal learning rate, 2 / (largest + smallest curvature). If one feature is five
times as large as the other, the bowl is a narrow valley, and the path zigzags. The same happens if both are positive: each
image's gradient is the error times the features, so it moves all weights up or all of them down, while the minimum requires one
up and one down. Standardized features make a much rounder bowl, and a few steps suffice.

Below: the same error per step; and a network of two layers on all pixels, with its loss after two epochs for many learning rates.
On pixels from 0 to 255, even the best rate does badly. Standardized images (all pixels minus their mean, over their standard
deviation) reach a lower loss than those from 0 to 1.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, GUESS, Images, first, images, legend, overlay, panels, pick, smooth, standardized
from mini_dl.experiments._training import epoch, perceptron
from mini_dl.experiments._types import Axes, Figure, Part, Results, Torch

TOLERANCE = 1e-3  # at too large a learning rate any difference grows
CASES = ("one feature 5 times as large", "both positive", "standardized")
PIXELS = ("0 to 255", "0 to 1", "standardized")
SIX, SEVEN = 6, 7
STEPS = 30
WINDOW = 15


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64: the descents by kind of features, the losses by kind of pixels and learning rate; more rates unless quick."""
    data = images(torch, True, "float64")
    features, targets = halves(torch, data)
    whitened = (features - features.mean(0)) / features.std(0)
    kinds = zip(CASES, (whitened * torch.tensor([1.0, 5.0], dtype=torch.float64), features, whitened))
    scaled = standardized(data).train_images
    inputs = zip(PIXELS, (255 * data.train_images, data.train_images, scaled))
    rates = np.logspace(-6, 0.5, 14 if quick else 27).tolist()
    return {
        "descents": {name: descent(torch, kind, targets) for name, kind in kinds},
        "networks": {name: {rate: losses(torch, pixels, data.train_labels, rate) for rate in rates} for name, pixels in inputs},
    }


def halves(torch: Torch, data: Images) -> tuple[Part, Part]:
    """For the sixes and sevens: the mean pixel of the upper and of the lower half; 1 for a six, -1 for a seven."""
    chosen = (data.train_labels == SIX) | (data.train_labels == SEVEN)
    pixels, labels = data.train_images[chosen][:, 0], data.train_labels[chosen]
    upper, lower = pixels.chunk(2, 1)
    ones = torch.ones(len(labels), dtype=torch.float64)
    return torch.stack([upper.mean((1, 2)), lower.mean((1, 2))], 1), torch.where(labels == SIX, ones, -ones)


def descent(torch: Torch, features: Part, targets: Part) -> Results:
    """The bowl f(w) = mean((features w - targets)^2) / 2, and the path down."""
    curvature = features.t() @ features / len(features)
    lowest = torch.linalg.solve(curvature, features.t() @ targets / len(features))
    curvatures, axes = torch.linalg.eigh(curvature)
    axes = axes * axes[1].sign()  # the sign of an eigenvector depends on the library
    weights = (lowest + axes.sum(1) * lowest.norm()).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=2 / float(curvatures.sum()))
    path, errors = [weights.tolist()], []
    for _ in range(STEPS):
        error = (features @ weights - targets).square().mean() / 2
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        path.append(weights.tolist())
        errors.append(error.item())
    least = (features @ lowest - targets).square().mean().item() / 2
    return {
        "path": np.array(path),
        "errors above the least": np.array(errors) - least,
        "lowest": lowest.numpy(),
        "curvature": curvature.numpy(),
        "condition": float(curvatures[1] / curvatures[0]),
        "same sign": (features.prod(1) > 0).double().mean().item(),
    }


def losses(torch: Torch, inputs: Part, labels: Part, rate: float) -> list[float]:
    """The losses of all steps of two epochs."""
    torch.manual_seed(0)
    model = perceptron(torch, [inputs[0].numel(), 50, 10]).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    return [loss for _ in range(2) for loss in epoch(torch, model, optimizer, inputs, labels, 50)]


def draw(results: Results) -> Figure:
    figure, (above, below) = panels(2, 3, size=(12, 8.4))
    for axes, name, color in zip(above, CASES, COLORS):
        bowl(axes, pick(results, "descents", name), color)
        condition = first(results)["descents"][name]["condition"]
        axes.set(title=f"{name}\nsteepest / flattest curvature: {condition:.1f}", xlabel="weight of the upper half")
    above[0].set(ylabel="weight of the lower half")
    above[0].legend(frameon=False, fontsize=8, loc="lower right")
    errors, rates, curves = below
    for name, color in zip(CASES, COLORS):
        overlay(errors, pick(results, "descents", name, "errors above the least"), name, color)
    errors.set(
        title="Error of the linear unit", xlabel="step", ylabel="squared error above the least", yscale="log", ylim=(1e-6, 1e4)
    )
    for name, color in zip(PIXELS, COLORS[3:]):
        found = pick(results, "networks", name)
        overlay(rates, {library: (list(by), [last(by[rate]) for rate in by]) for library, by in found.items()}, name, color)
        best = best_rate(first(results)["networks"][name])
        label = f"{name}, rate {best:.2g}"
        overlay(curves, smooth(pick(results, "networks", name, best), WINDOW), label, color)
    rates.set(title="Network: loss after two epochs", xlabel="learning rate", ylabel="cross entropy", xscale="log", ylim=(0, 4))
    curves.set(
        title="Network: each with its best rate", xlabel="step", ylabel=f"cross entropy, mean of {WINDOW} steps", ylim=(0, 4)
    )
    for axes in (rates, curves):
        axes.axhline(GUESS, color="#8a929b", lw=0.8)
    for axes in below:
        legend(axes, results, fontsize=8)
    return figure


def bowl(axes: Axes, descents: Results, color: str) -> None:
    """Lines of equal error around the minimum, and the path."""
    found = next(iter(descents.values()))
    center, reach = found["lowest"], 1.15 * np.abs(found["path"] - found["lowest"]).max()
    x, y = np.meshgrid(*[np.linspace(middle - reach, middle + reach, 121) for middle in center])
    away = np.stack([x, y], -1) - center
    height = np.einsum("...i,ij,...j", away, found["curvature"], away)
    axes.contour(
        x, y, height, levels=height.max() * np.array([0.002, 0.01, 0.03, 0.08, 0.2, 0.4]), colors="#c7ccd1", linewidths=0.8
    )
    styles: tuple[Results, ...] = {"lw": 1.8, "alpha": 0.45}, {"lw": 0.7, "ls": "--"}
    for (library, each), style in zip(descents.items(), styles):
        axes.plot(*each["path"].T, color=color, label=library, **style)
    axes.plot(*found["path"][0], "o", color=color, ms=6)
    axes.plot(*center, "+", color="#1c1f23", ms=10)
    axes.set(aspect="equal")


def last(course: list[float]) -> float:
    """The mean of the last losses; NaN if it diverged."""
    return float(np.mean(course[-WINDOW:]))


def best_rate(by_rate: dict[float, list[float]]) -> float:
    return min(by_rate, key=lambda rate: np.nan_to_num(last(by_rate[rate]), nan=np.inf))


def report(results: Results) -> list[str]:
    found = first(results)
    lines = []
    for name, each in found["descents"].items():
        errors = each["errors above the least"]
        lines.append(
            f"{name}: curvatures {each['condition']:.1f} to 1; error above the least {errors[0]:.3g} at first, "
            f"{errors[20]:.1e} after 20 steps; {each['same sign']:.0%} of the images move both weights the same way"
        )
    for name, by_rate in found["networks"].items():
        best = best_rate(by_rate)
        lines.append(f"pixels {name}: lowest loss {last(by_rate[best]):.3f}, with learning rate {best:.2g}")
    return lines
