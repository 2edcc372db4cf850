"""Numerical versus backpropagated gradients.

The gradient of a two-layer network's loss over three images, once by backpropagation and once by moving every parameter
slightly up and down and taking the difference quotient. The first takes one forward and one backward pass; the second two passes
for each of thousands of parameters. The remaining difference is the error of the difference quotient, so backpropagation is
correct.
"""

from __future__ import annotations

import numpy as np

from mini_dl.experiments._frame import COLORS, first, images, panels
from mini_dl.experiments._training import perceptron
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = 1e-9
PARAMETERS = ("W1", "b1", "W2", "b2")


def run(torch: Torch, quick: bool = False) -> Results:
    """Both gradients of each parameter."""
    from mini_dl.textbook import numerical_gradient

    data = images(torch, quick, "float64")
    inputs, labels = data.train_images[:3], data.train_labels[:3]
    torch.manual_seed(0)
    model = perceptron(torch, [data.pixels, 10 if quick else 50, 10], "Sigmoid").double()

    def loss() -> Part:
        return torch.nn.functional.cross_entropy(model(inputs), labels)

    loss().backward()
    found = {}
    with torch.no_grad():
        for name, parameter in zip(PARAMETERS, model.parameters()):
            values = parameter.detach().numpy()  # shares the parameter's memory: changing a value changes the parameter
            numerical = numerical_gradient(lambda _: loss().item(), values)
            found[name] = {"backpropagated": parameter.grad.numpy(), "numerical": numerical}
    return found


def draw(results: Results) -> Figure:
    figure, (plane, bars) = panels(1, 2, size=(10, 4.6))
    for name, color in zip(PARAMETERS, COLORS):
        gradients = first(results)[name]
        plane.plot(gradients["backpropagated"].ravel(), gradients["numerical"].ravel(), ".", ms=5, color=color, label=name)
    plane.axline((0, 0), slope=1, color="#8a929b", lw=0.8)
    plane.set(xlabel="backpropagated", ylabel="numerical", title="Each point a parameter's derivative", aspect="equal")
    plane.locator_params(nbins=6)
    plane.legend(frameon=False, fontsize=9)
    for i, (library, result) in enumerate(results.items()):
        places = np.arange(len(PARAMETERS)) + 0.36 * (i - (len(results) - 1) / 2)
        bars.bar(places, [apart(result[name]) for name in PARAMETERS], 0.34, color=COLORS[i], label=library)
    bars.set(xticks=range(len(PARAMETERS)), xticklabels=PARAMETERS, yscale="log", ylabel="mean absolute difference")
    bars.set_title("Numerical and backpropagated apart")
    bars.legend(frameon=False, fontsize=9)
    return figure


def apart(gradients: Results) -> float:
    return float(np.abs(gradients["backpropagated"] - gradients["numerical"]).mean())


def report(results: Results) -> list[str]:
    return [
        f"{library}: mean absolute difference of {', '.join(f'{name} {apart(result[name]):.1e}' for name in PARAMETERS)}"
        for library, result in results.items()
    ]
