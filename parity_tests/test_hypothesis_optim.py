"""Random problems, random options, random groups: the paths of an optimizer under both libraries are equal in float64.

A path counts as long as it is stable: torch's own path from a start shifted by 1e-12 must stay within a thousand times that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from parity_tests import bridge
from parity_tests.searching import FEW

STEPS = 12
NUDGE, STABLE, EQUAL = 1e-12, 1e-9, 1e-9

# ------------------------------------------------------------------------------------------------ problems: start and loss


def quadratic(rng: np.random.Generator) -> tuple[list[Any], Callable[..., Any]]:
    n = int(rng.integers(1, 6))
    root, goal = rng.standard_normal((n, n)), rng.standard_normal(n)
    matrix = root @ root.T / n + 0.1 * np.eye(n)

    def loss(params: list[Any], constant: Callable[[Any], Any]) -> Any:
        away = params[0] - constant(goal)
        return away @ constant(matrix) @ away + (params[1] ** 2).sum()

    return [rng.standard_normal(n), rng.standard_normal((2, 2))], loss


def rosenbrock(rng: np.random.Generator) -> tuple[list[Any], Callable[..., Any]]:
    def loss(params: list[Any], constant: Callable[[Any], Any]) -> Any:
        x, y = params
        return ((1 - x) ** 2 + 10 * (y - x**2) ** 2).sum()

    return [rng.uniform(-1.5, 1.5, 3), rng.uniform(-1, 2, 3)], loss


def network(rng: np.random.Generator) -> tuple[list[Any], Callable[..., Any]]:
    n, width = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    inputs, goals = rng.standard_normal((7, n)), rng.standard_normal((7, 2))

    def loss(params: list[Any], constant: Callable[[Any], Any]) -> Any:
        w1, b1, w2, b2 = params
        return (((constant(inputs) @ w1 + b1).tanh() @ w2 + b2 - constant(goals)) ** 2).mean()

    return [rng.standard_normal(shape) for shape in ((n, width), (width,), (width, 2), ())], loss


PROBLEMS = [quadratic, rosenbrock, network]

# ------------------------------------------------------------------------------------------------ options within their ranges

FLAG = st.booleans()
RATE, SLOW = st.floats(1e-4, 0.1), st.floats(1e-4, 0.02)
DECAY = st.just(0.0) | st.floats(1e-4, 0.3)
BETAS = st.tuples(st.floats(0.0, 0.95), st.floats(0.5, 0.9999))
EPS = st.floats(1e-10, 1e-2)
COMMON = {"weight_decay": DECAY, "maximize": FLAG}
ADAM = {"betas": BETAS, "eps": EPS, **COMMON}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "SGD": {"lr": SLOW, "momentum": st.floats(0.1, 0.95), "dampening": st.floats(0, 0.9), **COMMON},
    "SGD, Nesterov": {"lr": SLOW, "momentum": st.floats(0.1, 0.95), "nesterov": st.just(True), **COMMON},
    "Adam": {"amsgrad": FLAG, "decoupled_weight_decay": FLAG, **ADAM},
    "AdamW": {"amsgrad": FLAG, **ADAM},
    "Adamax": ADAM,
    "NAdam": {"momentum_decay": st.floats(0, 0.1), "decoupled_weight_decay": FLAG, **ADAM},
    "RAdam": {"decoupled_weight_decay": FLAG, **ADAM},
    "Adagrad": {"lr_decay": st.floats(0, 0.5), "initial_accumulator_value": st.floats(0, 1), "eps": EPS, **COMMON},
    "Adadelta": {"rho": st.floats(0, 1), "eps": st.floats(1e-7, 1e-2), **COMMON},
    "RMSprop": {"alpha": st.floats(0.3, 0.999), "eps": EPS, "momentum": st.floats(0, 0.9), "centered": FLAG, **COMMON},
    "Rprop": {"etas": st.tuples(st.floats(0.2, 0.9), st.floats(1.05, 2)), "maximize": FLAG},
    "ASGD": {"lr": SLOW, "lambd": st.floats(0, 0.1), "alpha": st.floats(0.3, 1), "t0": st.floats(0, 8), **COMMON},
    "Adafactor": {"beta2_decay": st.floats(-1.5, 0), "d": st.floats(1, 3), **COMMON},
    "LBFGS": {
        "max_iter": st.integers(1, 4),
        "history_size": st.integers(1, 5),
        "line_search_fn": st.sampled_from([None, "strong_wolfe"]),
    },
}  # Muon rounds to bfloat16: its path is only stable up to that


class Path:
    """The parameters after each step under one library, or the exception that ended it."""

    def __init__(
        self, library: Any, name: str, problem: Any, groups: list[int], each: list[dict[str, Any]], nudge: float = 0
    ) -> None:
        def constant(values: Any) -> Any:
            return library.from_numpy(np.array(values))

        start, loss = problem
        params = [constant(np.asarray(values) * (1 + nudge)).requires_grad_() for values in start]
        made: Any = [{"params": [], **options} for options in each]
        for param, number in zip(params, groups):
            made[number]["params"].append(param)
        made = [group for group in made if group["params"]]
        optimizer = getattr(library.optim, name)(params if name == "LBFGS" else made, **(each[0] if name == "LBFGS" else {}))

        def closure() -> Any:
            optimizer.zero_grad()
            value = loss(params, constant)
            value.backward()
            return value

        self.points: list[Any] = []
        for _ in range(STEPS):
            optimizer.step(closure)
            self.points.append([np.array(p.detach().numpy()) for p in params])


def distances(first: Path, second: Path) -> list[float]:
    """Per step, the largest difference relative to the size of the parameters; infinite if they are not finite."""
    found = []
    for a, b in zip(first.points, second.points):
        apart = max(float(np.abs(x - y).max() / max(1.0, np.abs(y).max())) for x, y in zip(a, b))
        found.append(apart if np.isfinite(apart) else np.inf)
    return found


COUNTS: dict[str, list[int]] = {}


@pytest.mark.parametrize("name", OPTIONS)
@FEW
@given(data=st.data())
def test_paths_are_equal_while_they_are_stable(name: str, data: st.DataObject) -> None:
    problem = data.draw(st.sampled_from(PROBLEMS))(np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))))
    each = [data.draw(st.fixed_dictionaries({"lr": RATE, **OPTIONS[name]})) for _ in range(2)]
    if name.endswith("Nesterov"):
        each = [{**options, "dampening": 0.0} for options in each]
    groups = data.draw(st.lists(st.integers(0, 1), min_size=len(problem[0]), max_size=len(problem[0])))
    kind = name.partition(",")[0]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Path(torch, kind, problem, groups, each)
        nudged = Path(torch, kind, problem, groups, each, NUDGE)
        ours = Path(bridge.mini_dl, kind, problem, groups, each)
        gaps = list(zip(distances(ours, theirs), distances(nudged, theirs)))
    counted = COUNTS.setdefault(name, [0, 0])
    counted[1] += STEPS
    for number, (apart, moved) in enumerate(gaps):
        if moved > STABLE:
            break
        counted[0] += 1
        assert apart <= EQUAL, f"step {number}: {apart:.1e} apart; moved by {NUDGE} torch itself is {moved:.1e} apart"


def test_most_steps_were_compared() -> None:
    """Otherwise the test above would be meaningless."""
    for name, (compared, met) in COUNTS.items():
        assert compared >= 0.8 * met and compared >= 300, f"{name}: {compared} of {met}"
