"""Shared by the experiments: their order, the images, figures with one library over the other, and how far the two differ."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np

import mini_dl
from mini_dl.experiments._images import read
from mini_dl.experiments._types import Axes, Part, Results, Torch
from mini_dl.files.replacing import rewrite
from mini_dl.utils.viz import COLORS as COLORS

EXPERIMENTS = (
    "gradient_field",
    "gradient_descent",
    "mini_batch_sgd",
    "gradient_check",
    "accuracy_is_no_loss",
    "saturated_sigmoid",
    "optimizers",
    "sign_rates",
    "growing_momentum",
    "activations",
    "initialization",
    "batch_norm",
    "overfitting",
    "feature_scale",
    "random_search",
    "filters",
    "plain_and_residual",
)
QUICK_IMAGES = 1500
"""The number of training images in a quick run; a quarter as many are for testing."""


def experiment(name: str) -> ModuleType:
    if name not in EXPERIMENTS:
        raise ValueError(f"there is no experiment {name!r}, but {', '.join(EXPERIMENTS)}")
    return importlib.import_module(f"mini_dl.experiments.{name}")


def results_of(name: str, quick: bool) -> Results:
    """The results of mini_dl, and of PyTorch if it is installed; cached between calls in the folder that MINI_DL_RESULTS
    names.
    """
    folder = os.environ.get("MINI_DL_RESULTS")
    kept = Path(folder, f"{name}{'-quick' * quick}.pickle") if folder else None
    if kept is not None and kept.exists():
        return cast("Results", pickle.loads(kept.read_bytes()))
    results = {library: experiment(name).run(torch, quick=quick) for library, torch in libraries().items()}
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        rewrite(kept, pickle.dumps(results))
    return results


def libraries() -> dict[str, ModuleType]:
    """The libraries by name: mini_dl, and PyTorch if it is installed."""
    found = {"mini_dl": mini_dl}
    with contextlib.suppress(ImportError):
        found["torch"] = importlib.import_module("torch")
    return found


def title(module: ModuleType) -> str:
    return str(module.__doc__).split("\n")[0].rstrip(".")


def paragraphs(module: ModuleType) -> list[str]:
    """The docstring below its title."""
    return [" ".join(part.split()) for part in str(module.__doc__).split("\n\n")[1:]]


# Images


@dataclass
class Images:
    """Tensors of the given library: images (N, 1, H, W) from 0 to 1, labels (N,)."""

    name: str
    train_images: Part
    train_labels: Part
    test_images: Part
    test_labels: Part

    @property
    def pixels(self) -> int:
        """Of one image."""
        return int(np.prod(self.train_images.shape[1:]))


def source() -> str:
    """MNIST where the environment variable MINI_DL_DATA names a folder, else the digits that come with mini_dl."""
    return "mnist" if os.environ.get("MINI_DL_DATA") else "digits"


def images(torch: Torch, quick: bool = False, dtype: str = "float32") -> Images:
    """All 10,000 test images of MNIST (or all 1,797 digits), or fewer in a quick run; every fifth is for testing."""
    name = source()
    counts = {"train": QUICK_IMAGES, "test": QUICK_IMAGES // 4} if quick else {}
    parts = read(name, None, dtype)
    tensors = {key: torch.from_numpy(array[: counts.get(key.split("_")[0])].copy()) for key, array in parts.items()}
    return Images({"mnist": "MNIST", "digits": "digits"}[name], **tensors)


def standardized(data: Images) -> Images:
    """All pixels standardized by the mean and standard deviation of the training images."""
    mean, deviation = data.train_images.mean(), data.train_images.std()
    return replace(
        data,
        train_images=(data.train_images - mean) / deviation,
        test_images=(data.test_images - mean) / deviation,
    )


GUESS = math.log(10)
"""The cross entropy of assigning each of ten digits the same probability."""


# Agreement


def numbers(result: Part) -> Iterator[Part]:
    """All numbers of a result as float64 arrays, in their order."""
    if isinstance(result, dict):
        for value in result.values():
            yield from numbers(value)
    elif isinstance(result, (list, tuple)) and not all(np.isscalar(value) for value in result):
        for value in result:
            yield from numbers(value)
    elif not isinstance(result, str):
        yield np.asarray(result, "float64")


def difference(results: Results) -> float | None:
    """The largest difference between the two libraries' numbers, relative above one; None if there is only one library."""
    if len(results) < 2:
        return None
    largest = 0.0
    for ours, theirs in zip(*[list(numbers(result)) for result in results.values()], strict=True):
        if ours.shape != theirs.shape:
            raise ValueError(f"the libraries' results have the shapes {ours.shape} and {theirs.shape}")
        differ = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
        apart = np.abs(ours[differ] - theirs[differ]) / np.maximum(1, np.abs(theirs[differ]))
        largest = max([largest, *np.where(np.isfinite(apart), apart, np.inf).flat])
    return float(largest)


def agreement(results: Results, tolerance: float | None) -> tuple[bool, str]:
    """Whether the libraries agree, and a line that says how far."""
    apart = difference(results)
    if apart is None:
        return True, f"{next(iter(results))} alone: nothing to compare"
    found = f"largest difference between {' and '.join(results)}: {apart:.1e}"
    if tolerance is None:
        return True, f"{found} (rounding grows here: not judged)"
    return apart <= tolerance, f"{found}, allowed {tolerance:.0e}"


# Figures

LINES: dict[str, Results] = {
    "mini_dl": {"lw": 3.4, "alpha": 0.45},
    "torch": {"lw": 1.3, "ls": "--"},
}


def panels(rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 4.5), **options: object) -> tuple[Part, Part]:
    """A figure (unknown to pyplot, so it need not be closed) and its axes."""
    figure = blank(size)
    axes = figure.subplots(rows, columns, **options)
    for each in np.ravel(axes):
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def mosaic(layout: str, size: tuple[float, float]) -> tuple[Part, Results]:
    """A figure and its axes by their letters in the layout, whose rows are divided by slashes."""
    figure = blank(size)
    axes = figure.subplot_mosaic(layout.replace("/", "\n"))
    for each in axes.values():
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def blank(size: tuple[float, float]) -> Part:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def first(results: Results) -> Part:
    """The result of mini_dl, or of the only library: the other's is the same except for rounding."""
    return next(iter(results.values()))


def pick(results: Results, *keys: Part) -> Results:
    """For each library, the part of its result at the given nested keys."""
    return {library: reduce(lambda part, key: part[key], keys, result) for library, result in results.items()}


def parting(curves: Results, apart: float = 1e-6) -> int | None:
    """The first step, from 1, at which the two libraries' losses differ by more than this; None if there is none."""
    if len(curves) < 2:
        return None
    ours, theirs = curves.values()
    steps = np.flatnonzero(~(np.abs(np.subtract(ours, theirs)) <= apart))
    return int(steps[0]) + 1 if len(steps) else None


def smooth(curves: Results, width: int) -> Results:
    """For each library's losses, the mean over the `width` steps that end at a step."""
    found = {}
    for library, losses in curves.items():
        means = np.convolve(losses, np.full(width, 1 / width), "valid")
        found[library] = (np.arange(width, len(losses) + 1), means)
    return found


def overlay(axes: Axes, curves: Results, label: str = "", color: str = COLORS[0], start: int = 1) -> None:
    """One curve of each library: a pair of x and y, or y alone over start, start + 1, ..."""
    for library, curve in curves.items():
        x, y = curve if isinstance(curve, tuple) else (np.arange(start, start + len(curve)), curve)
        axes.plot(x, y, color=color, **LINES[library], label=label if library == next(iter(curves)) else "")


def legend(axes: Axes, results: Results, **options: object) -> None:
    """The curves' labels, and below them which line is which library."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    gray = [Line2D([], [], color="#475569", **LINES[library]) for library in results]
    axes.legend([*handles, *gray], [*labels, *results], frameon=False, **{"fontsize": 9, **options})
