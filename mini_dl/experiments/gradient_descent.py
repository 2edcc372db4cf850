"""Gradient descent with three learning rates.

From (-3, 4) down f = x0² + x1² in 100 steps, by backpropagated gradients and by the numerical gradients of the textbook. With
0.1, each step leaves 0.8 of the distance to the minimum: it converges. With 1e-10 it hardly moves. With 10, each step lands
at 19 times the distance on the other side: it diverges. There the numerical gradient fails before the true one does: at 1e13,
the h of 1e-4 is lost to rounding, the difference quotient is 0, and the point stops.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, legend, overlay, panels, pick
from mini_dl.experiments._types import Figure, Part, Results, Torch
from mini_dl.experiments.gradient_field import f

TOLERANCE = 1e-9
START = (-3.0, 4.0)
RATES = (0.1, 10.0, 1e-10)
STEPS = 100
NUMERICAL = {"ls": ":", "color": "#1c1f23", "lw": 1.6}


def descend(torch: Torch, rate: float) -> Part:
    """The points (STEPS + 1, 2) of gradient descent with backpropagated gradients."""
    point = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([point], lr=rate)
    path = [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        f(point).backward()
        optimizer.step()
        path.append(tuple(point.tolist()))
    return np.array(path)


def descend_numerically(rate: float) -> Part:
    """The same by the textbook's difference quotients, in NumPy alone."""
    from mini_dl.textbook import gradient_descent

    return gradient_descent(f, np.array(START), lr=rate, step_num=STEPS, return_path=True)[1]


def run(torch: Torch, quick: bool = False) -> Results:
    return {
        "backpropagated": {rate: descend(torch, rate) for rate in RATES},
        "numerical": {rate: descend_numerically(rate) for rate in RATES},
    }


def draw(results: Results) -> Figure:
    figure, (plane, distances) = panels(1, 2, size=(11, 4.8))
    x, y = np.meshgrid(np.linspace(-4.4, 4.4, 101), np.linspace(-4.4, 4.4, 101))
    plane.contour(x, y, f(np.stack([x, y], -1)), levels=[1, 4, 9, 16, 25], colors="#c7ccd1", linewidths=0.8)
    numerical = first(results)["numerical"]
    overlay(plane, {library: tuple(path.T) for library, path in pick(results, "backpropagated", 0.1).items()})
    plane.plot(*numerical[0.1].T, ".", color=NUMERICAL["color"], ms=5, label="steps, numerical gradient")
    plane.plot(0, 0, "+", color="#1c1f23", ms=10)
    plane.set(xlabel="$x_0$", ylabel="$x_1$", aspect="equal", title="The way down with rate 0.1")
    legend(plane, results, loc="lower right")
    for rate, color in zip(RATES, COLORS):
        distances_from = {library: distance(path) for library, path in pick(results, "backpropagated", rate).items()}
        overlay(distances, distances_from, f"rate {rate:g}", color, start=0)
        distances.plot(distance(numerical[rate]), **NUMERICAL, label="numerical gradients" if rate == RATES[-1] else "")
    distances.set(
        xlabel="step", ylabel="distance from the minimum", yscale="log", ylim=(1e-11, 1e34), title="Distance after each step"
    )
    legend(distances, results)
    return figure


def distance(path: Part) -> Part:
    return np.hypot(*path.T)


def report(results: Results) -> list[str]:
    return [
        f"{kind} gradients, rate {rate:g}: from {START} to ({paths[rate][-1, 0]:.9g}, {paths[rate][-1, 1]:.9g})"
        for rate in RATES
        for kind, paths in first(results).items()
    ]
