"""Drawings of distributions: the density as a curve, samples as a histogram or as points; torch must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot

import mini_dl
from mini_dl.experiments import _frame as frame

pyplot.switch_backend("module://matplotlib_inline.backend_inline")

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])  # of the triangle as which the simplex is drawn
Make = Callable[[Any], Any]
"""The distribution of a library."""


def drawn_by_both(make: Make, n: int) -> list[Any]:
    """`n` samples of mini_dl and of torch. AssertionError if they differ."""
    drawn = []
    for library in (mini_dl, torch):
        library.manual_seed(0)
        drawn.append(make(library).sample((n,)).numpy())
    np.testing.assert_allclose(*drawn, rtol=1e-4, atol=1e-5)
    return drawn


def both(make: Make, values: Any, n: int) -> tuple[Any, Any]:
    """The density at `values`, and `n` samples, of mini_dl. AssertionError if torch's differ."""
    found = []
    for library in (mini_dl, torch):
        library.manual_seed(0)
        distribution = make(library)
        distribution._validate_args = False
        density = distribution.log_prob(library.tensor(values, dtype=library.float32)).exp()
        found.append((density.detach().numpy(), distribution.sample((n,)).numpy()))
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    return found[0]


def curves(low: float, high: float, makes: dict[str, Make]) -> Any:
    """Densities between `low` and `high`, each with a histogram of 4000 samples."""
    figure, axes = frame.panels(size=(7, 2.8))
    x = np.linspace(low, high, 401)[1:-1]
    highest = 0.0
    for color, (label, make) in zip(frame.COLORS, makes.items()):
        density, samples = both(make, x, 4000)
        inside = samples[(samples > low) & (samples < high)]
        weight = 60 / (high - low) / len(samples)
        axes.hist(inside, 60, (low, high), weights=np.full(len(inside), weight), color=color, alpha=0.25)
        axes.plot(x, density, color=color, label=label)
        highest = max(highest, float(np.quantile(density[np.isfinite(density)], 0.97)))
    axes.set(xlim=(low, high), ylim=(0, 1.35 * highest), xlabel="x", ylabel="density")
    axes.legend()
    return figure


def bars(high: int, makes: dict[str, Make]) -> Any:
    """Probabilities of 0, 1, ..., `high` as points, and how often they occurred in 4000 samples as bars."""
    figure, axes = frame.panels(size=(7, 2.8))
    k = np.arange(high + 1.0)
    for i, (color, (label, make)) in enumerate(zip(frame.COLORS, makes.items())):
        chance, samples = both(make, k, 4000)
        shift = (i - (len(makes) - 1) / 2) * 0.8 / len(makes)
        often = [float(np.mean(samples == value)) for value in k]
        axes.bar(k + shift, often, 0.8 / len(makes), color=color, alpha=0.35)
        axes.plot(k + shift, chance, "o", color=color, label=label)
    axes.set(xlabel="k", ylabel="probability", xticks=k if high < 21 else k[::5])
    axes.legend()
    return figure


def plane(make: Make, reach: float = 4.0) -> Any:
    """The density over the plane, and 500 samples."""
    figure, axes = frame.panels(size=(4.2, 3.6))
    x, y = np.meshgrid(np.linspace(-reach, reach, 121), np.linspace(-reach, reach, 121))
    density, samples = both(make, np.stack([x, y], -1), 500)
    axes.contourf(x, y, density, 12, cmap="Blues")
    axes.plot(*samples.T, ".", color="black", markersize=2)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    return figure


def triangle(makes: dict[str, Make]) -> Any:
    """The simplex of three coordinates as a triangle: the density, and 400 samples."""
    figure, row = frame.panels(1, len(makes), (3.2 * len(makes), 3), squeeze=False)
    shares = [(a, b, 60 - a - b) for a in range(1, 60) for b in range(1, 60 - a)]
    points = np.array(shares) / 60
    for axes, (label, make) in zip(row[0], makes.items()):
        density, samples = both(make, points, 400)
        density = np.minimum(density, np.quantile(density, 0.98))
        axes.tricontourf(*(points @ CORNERS).T, density, 12, cmap="Blues")
        axes.plot(*(samples @ CORNERS).T, ".", color="black", markersize=2)
        axes.plot(*CORNERS[[0, 1, 2, 0]].T, color="gray", linewidth=1)
        axes.set(title=label, aspect="equal")
        axes.axis("off")
    return figure


def classes(make: Make, title: str) -> Any:
    """The mean of 2000 samples of a vector, next to `probs`."""
    figure, axes = frame.panels(size=(7, 2.4))
    mean = drawn_by_both(make, 2000)[0].mean(0)
    expected = make(mini_dl).mean.numpy()
    k = np.arange(len(expected))
    axes.bar(k, mean, 0.6, color=frame.COLORS[0], alpha=0.35, label="mean of samples")
    axes.plot(k, expected, "o", color=frame.COLORS[0], label="mean")
    axes.set(title=title, xticks=k)
    axes.legend()
    return figure


def ellipses(make: Make, title: str) -> Any:
    """Twenty positive definite 2 x 2 matrices, each as the ellipse of its quadratic form, and their mean in black."""
    figure, axes = frame.panels(size=(4, 3.6))
    drawn = drawn_by_both(make, 20)
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    faint, bold = {"color": frame.COLORS[0], "alpha": 0.4}, {"color": "black"}
    for matrix, style in [*((matrix, faint) for matrix in drawn[0]), (drawn[0].mean(0), bold)]:
        axes.plot(*(np.linalg.cholesky(matrix) @ circle), **style)
    axes.set(title=title, aspect="equal")
    return figure


def correlations(makes: dict[str, Make]) -> Any:
    """The correlation in 4000 Cholesky factors of 2 x 2 correlation matrices, as a histogram."""
    figure, axes = frame.panels(size=(7, 2.8))
    for color, (label, make) in zip(frame.COLORS, makes.items()):
        axes.hist(drawn_by_both(make, 4000)[0][:, 1, 0], 60, (-1, 1), density=True, color=color, alpha=0.35, label=label)
    axes.set(xlabel="correlation", ylabel="density")
    axes.legend()
    return figure
