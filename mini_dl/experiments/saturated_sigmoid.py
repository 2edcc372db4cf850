"""A saturated sigmoid learns slowly by squared error, immediately by cross entropy.

One neuron a = sigmoid(w x + b) should output 0 for x = 1. From a usual start (w = 0.6, b = 0.9: the output is 0.82), both losses
get it there. From a saturated start (w = b = 2: the output is 0.98), it is badly wrong, yet by squared error it hardly moves at
first: its gradient (a - y) sigmoid'(z) x has the slope of the sigmoid as a factor, which is near 0 where the neuron is
saturated. In the gradient of the cross entropy the slope cancels: the worse the output, the larger (a - y) x.
"""

from __future__ import annotations

from mini_dl.experiments._frame import COLORS, first, legend, overlay, panels, pick
from mini_dl.experiments._types import Figure, Results, Torch

TOLERANCE = 1e-12
STARTS = {"usual": (0.6, 0.9), "saturated": (2.0, 2.0)}
LOSSES = ("squared error", "cross entropy")
RATE, STEPS = 0.15, 400
LEARNED = 0.2
"""An output below this counts as learned."""


def learn(torch: Torch, loss: str, start: tuple[float, float]) -> dict[str, list[float]]:
    """The output before each step, and the derivative of the loss with respect to w."""
    w, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in start)
    x, y = 1.0, torch.zeros((), dtype=torch.float64)
    optimizer = torch.optim.SGD([w, b], lr=RATE)
    course: dict[str, list[float]] = {"answers": [], "gradients": []}
    for _ in range(STEPS):
        a = torch.sigmoid(w * x + b)
        cost = (a - y) ** 2 / 2 if loss == "squared error" else torch.nn.functional.binary_cross_entropy(a, y)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        course["answers"].append(a.item())
        course["gradients"].append(w.grad.item())
    return course


def run(torch: Torch, quick: bool = False) -> Results:
    return {loss: {start: learn(torch, loss, values) for start, values in STARTS.items()} for loss in LOSSES}


def draw(results: Results) -> Figure:
    figure, grid = panels(2, 2, size=(10, 6.4), sharex=True, sharey="row")
    for (answers, gradients), loss in zip(grid.T, LOSSES):
        for start, color in zip(STARTS, COLORS):
            overlay(answers, pick(results, loss, start, "answers"), f"{start} start", color)
            overlay(gradients, pick(results, loss, start, "gradients"), f"{start} start", color)
        answers.axhline(LEARNED, color="#c7ccd1", lw=1)
        answers.set(title=loss, ylabel="answer (wanted: 0)", ylim=(0, 1))
        gradients.set(xlabel="step", ylabel="derivative by w", ylim=(0, 1))
        answers.label_outer()
        gradients.label_outer()
    legend(grid[0, 1], results)
    return figure


def report(results: Results) -> list[str]:
    return [
        f"{loss}, {start} start: answer {course['answers'][0]:.4f}, derivative {course['gradients'][0]:.4f}; "
        f"below {LEARNED} after {steps(course)} steps"
        for loss, courses in first(results).items()
        for start, course in courses.items()
    ]


def steps(course: dict[str, list[float]]) -> int:
    """The number of steps until the output is learned; all if it is not."""
    return next((step for step, answer in enumerate(course["answers"]) if answer < LEARNED), STEPS)
