"""Learning rates that follow the signs of the gradients.

The bowl f(x, y) = x²/20 + y² is steep in y and flat in x. A single learning rate must suit the steep direction, and is then
far too small for the flat one. Delta-bar-delta (Jacobs 1988) gives each coordinate its own rate: it grows as long as the
gradient keeps its sign, and shrinks by a factor when the sign changes. Rprop (Riedmiller and Braun 1993) goes further: its step
does not depend on the size of the gradient at all, only on its sign.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, legend, mosaic, overlay, pick
from mini_dl.experiments._types import Figure, Results, Torch
from mini_dl.experiments.optimizers import START, bowl

TOLERANCE = 1e-12
STEPS = 40
KINDS = ("one rate for both", "delta-bar-delta", "Rprop")
FIRST, KAPPA, PHI, THETA = 0.3, 0.2, 0.5, 0.7


def descend(torch: Torch, kind: str) -> Results:
    """The positions (STEPS + 1, 2), and the factor of each coordinate's step: its rate, or for Rprop its step."""
    place = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    rate, mean = torch.full_like(place, FIRST), torch.zeros_like(place)
    rprop = torch.optim.Rprop([place], lr=FIRST)
    path, rates = [START], [tuple(rate.tolist())]
    for _ in range(STEPS):
        rprop.zero_grad()
        bowl(place[0], place[1]).backward()
        if kind == "Rprop":
            rprop.step()
            rate = rprop.state[place]["step_size"]
        else:
            if kind == "delta-bar-delta":
                agree = torch.sign(place.grad * mean)
                rate = torch.where(agree > 0, rate + KAPPA, torch.where(agree < 0, rate * PHI, rate))
                mean = THETA * mean + (1 - THETA) * place.grad
            with torch.no_grad():
                place -= rate * place.grad
        path.append(tuple(place.tolist()))
        rates.append(tuple(rate.tolist()))
    return {"path": np.array(path), "rates": np.array(rates)}


def run(torch: Torch, quick: bool = False) -> Results:
    return {kind: descend(torch, kind) for kind in KINDS}


def draw(results: Results) -> Figure:
    figure, axes = mosaic("abc/xyz", size=(11, 6))
    x, y = np.meshgrid(np.linspace(-8, 8, 161), np.linspace(-3.2, 3.2, 129))
    for kind, place, below, color in zip(KINDS, "abc", "xyz", COLORS):
        axes[place].contour(x, y, bowl(x, y), levels=np.arange(1, 11) ** 2 / 12, colors="#c7ccd1", linewidths=0.7)
        axes[place].plot(*first(results)[kind]["path"].T, ".", color=color, ms=5)
        overlay(axes[place], {library: tuple(path.T) for library, path in pick(results, kind, "path").items()}, color=color)
        axes[place].plot(0, 0, "+", color="#1c1f23", ms=9)
        axes[place].set_title(kind, fontsize=11)
        for column, name, shade in zip((0, 1), ("x, flat", "y, steep"), ("#1d4ed8", "#be185d")):
            rates = {library: rate[:, column] for library, rate in pick(results, kind, "rates").items()}
            overlay(axes[below], rates, name, shade, start=0)
        axes[below].set(xlabel="step", yscale="log", ylabel="length of a step" if kind == "Rprop" else "learning rate")
    legend(axes["x"], results)
    return figure


def report(results: Results) -> list[str]:
    lines = []
    for kind, course in first(results).items():
        (x, y), (flat, steep) = course["path"][-1], course["rates"][-1]
        lines.append(f"{kind}: after {STEPS} steps at ({x:.4f}, {y:.4f}); at last {flat:.3g} for x and {steep:.3g} for y")
    return lines
