"""The gradient field of f = x0² + x1².

At every point, the gradient points in the direction in which f grows fastest. Negated, it points in the direction in which f
falls fastest: here straight to the minimum at the origin, with longer arrows where f is steeper.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, panels
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = 1e-12


def f(points: Part) -> Part:
    """f at points (..., 2)."""
    return (points**2).sum(-1)


def run(torch: Torch, quick: bool = False) -> Results:
    """The gradient at each point of a grid, by backpropagation from the sum of all values."""
    ticks = torch.linspace(-2, 2, 9, dtype=torch.float64)
    points = torch.cartesian_prod(ticks, ticks).requires_grad_()
    f(points).sum().backward()
    return {"points": points.detach().numpy(), "gradients": points.grad.numpy()}


def draw(results: Results) -> Figure:
    figure, axes = panels(size=(6.4, 6))
    x, y = np.meshgrid(np.linspace(-2.2, 2.2, 101), np.linspace(-2.2, 2.2, 101))
    lines = axes.contour(x, y, f(np.stack([x, y], -1)), levels=[0.25, 1, 2, 4, 6], colors="#c7ccd1", linewidths=0.8)
    axes.clabel(lines, fontsize=8, fmt="%g")
    for (library, result), color, width in zip(results.items(), COLORS, (0.008, 0.0025)):
        points, arrows = result["points"], -result["gradients"]
        axes.quiver(*points.T, *arrows.T, angles="xy", scale=40, width=width, color=color, label=library)
    axes.plot(0, 0, "+", color="#1c1f23", ms=10)
    axes.set(xlabel="$x_0$", ylabel="$x_1$", aspect="equal", title="$-\\nabla f$, over the lines of equal $f$")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def report(results: Results) -> list[str]:
    points, gradients = first(results).values()
    return [
        f"{len(points)} gradients, all within {np.abs(gradients - 2 * points).max():.1e} of 2x; "
        f"at ({points[0, 0]:g}, {points[0, 1]:g}) it is ({gradients[0, 0]:g}, {gradients[0, 1]:g})"
    ]
