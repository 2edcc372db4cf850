"""Random search of the learning rate and the weight decay.

Neither number can be learned by gradient descent, and the right order of magnitude is not known in advance. So both are drawn
at random, uniformly in their logarithm, and each pair trains a network for a few epochs on few images; held-out validation
images show which pair did best (Bergstra and Bengio 2012). The learning rate matters most: too small learns nothing, too
large diverges, and only a decade or two between them does well. The weight decay matters little. The next search would be near
the best pairs.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, Images, first, images, legend, overlay, panels, pick
from mini_dl.experiments._training import INITIALIZATIONS, initialized, perceptron, train
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = None  # at too large a learning rate any difference grows
RATES, DECAYS = (-5.0, 0.5), (-8.0, -1.0)  # powers of ten
SHOWN = 6


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64, in the order drawn: learning rates, weight decays, the accuracy on the validation images after each epoch."""
    data = images(torch, True, "float64")
    data = Images(data.name, data.train_images[:500], data.train_labels[:500], data.test_images, data.test_labels)
    torch.manual_seed(0)
    drawn = torch.rand(24 if quick else 100, 2, dtype=torch.float64).tolist()
    trials = []
    for at in drawn:
        rate, decay = (10 ** (low + share * (high - low)) for share, (low, high) in zip(at, (RATES, DECAYS)))
        torch.manual_seed(1)
        model = perceptron(torch, [data.pixels, 100, 100, 100, 10]).double()
        initialized(torch, model, INITIALIZATIONS["He"])
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay)
        course = train(torch, model, optimizer, data, epochs=12 if quick else 20, batch_size=100)
        trials.append({"rate": rate, "decay": decay, "train": course["train"], "validation": course["test"]})
    return {"trials": trials}


def ranked(result: Results) -> list[int]:
    """The trials, the one with the highest accuracy after the last epoch first."""
    return sorted(range(len(result["trials"])), key=lambda trial: -result["trials"][trial]["validation"][-1])


def draw(results: Results) -> Figure:
    figure, (places, curves) = panels(1, 2, size=(12, 4.8))
    for (library, result), size, edge in zip(results.items(), (110, 22), ("none", "#1c1f23")):
        rates, decays = ([trial[key] for trial in result["trials"]] for key in ("rate", "decay"))
        reached = [trial["validation"][-1] for trial in result["trials"]]
        options = {"c": reached, "cmap": "viridis", "vmin": 0, "vmax": 1, "label": library}
        points = places.scatter(rates, decays, s=size, edgecolors=edge, linewidths=0.7, **options)
    figure.colorbar(points, ax=places, label="accuracy on the validation images")
    order = ranked(first(results))
    for trial, color in zip(order[:SHOWN], COLORS):
        rate, decay = (first(results)["trials"][trial][key] for key in ("rate", "decay"))
        overlay(curves, pick(results, "trials", trial, "validation"), f"rate {rate:.1e}, decay {decay:.0e}", color, start=0)
    places.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="weight decay")
    places.set_title("Trials" if len(results) < 2 else "Trials: large mini_dl, small torch")
    curves.set(xlabel="epoch", ylabel="accuracy on the validation images", title=f"The best {SHOWN}", ylim=(0, 1))
    legend(curves, results, loc="lower right", fontsize=8)
    return figure


def report(results: Results) -> list[str]:
    found = first(results)
    trials = [found["trials"][trial] for trial in ranked(found)]
    lines = [
        f"{place}. learning rate {trial['rate']:.1e}, weight decay {trial['decay']:.1e}: "
        f"train {trial['train'][-1]:.1%}, validation {trial['validation'][-1]:.1%}"
        for place, trial in enumerate(trials[:SHOWN], 1)
    ]
    best = trials[: len(trials) // 4]
    spread = {key: np.log10([trial[key] for trial in best]) for key in ("rate", "decay")}
    lines.append(
        f"the best {len(best)} of {len(trials)}: powers of ten of the learning rate over {np.ptp(spread['rate']):.1f} of "
        f"{RATES[1] - RATES[0]:g}, of the weight decay over {np.ptp(spread['decay']):.1f} of {DECAYS[1] - DECAYS[0]:g}"
    )
    return lines
