"""Optimizers of torch's table under both libraries: 20 steps from one start, the state afterwards, bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from parity_tests import bridge, compare
from parity_tests.adapter import OptimizerEntry, OptimizerError
from parity_tests.judging import SKIP, Outcome, TorchRaised, call, check_error, judged

STEPS = 20
TOLERANCES = {"float64": (1e-9, 1e-9), "float32": (1e-5, 1e-5)}
SHAPES = ((3, 4), (5, 2), (4,), (), (2, 3, 2))


class Course:
    """One optimizer of one library with parameters, and a loss whose gradient never vanishes."""

    def __init__(self, library: Any, cls: Any, dtype: str, kwargs: dict[str, Any], closure: bool) -> None:
        rng = np.random.default_rng(3)
        self.library, self.closure = library, closure
        shapes = [s for s in SHAPES if len(s) == 2] if cls.__name__ == "Muon" else SHAPES
        self.dtype = getattr(library, dtype)
        arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        self.params = [self.tensor(a).requires_grad_() for a in arrays]
        self.targets = [self.tensor(np.asarray(rng.standard_normal(shape), dtype)) for shape in shapes]
        self.weights = [self.tensor(np.asarray(rng.uniform(0.3, 2.0, shape), dtype)) for shape in shapes]
        self.optimizer = call(cls, self.params, **kwargs)

    def tensor(self, values: Any) -> Any:
        found = torch.from_numpy(np.array(values))
        return found if self.library is torch else bridge.to_mini(found)

    def loss(self) -> Any:
        total = 0.0
        for p, target, weight in zip(self.params, self.targets, self.weights):
            distance = p - target
            total = total + (weight * distance * distance).sum()
        return total

    def step(self, number: int) -> Any:
        if self.closure:

            def closure() -> Any:
                self.optimizer.zero_grad()
                loss = self.loss()
                loss.backward()
                return loss

            return self.optimizer.step(closure)
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        if number % 5 == 3:
            self.params[0].grad = None  # an unused parameter
        self.optimizer.step()
        return loss


def trajectory(entry: OptimizerEntry, dtype: str, kwargs: dict[str, Any]) -> str | None:
    closure = entry.needs_closure
    try:
        theirs = Course(torch, entry.theirs, dtype, bridge.copy(kwargs), closure)
        losses = []
        path = []
        for number in range(STEPS):
            losses.append(call(theirs.step, number).detach())
            path.append([p.detach().clone() for p in theirs.params])
    except Exception as error:
        raise TorchRaised(f"{type(error).__name__}: {error}") from None
    ours = Course(bridge.mini_dl, entry.ours, dtype, bridge.to_mini(kwargs), closure)
    for number in range(STEPS):
        loss = call(ours.step, number)
        if why := compare.same(loss.detach(), losses[number], None, TOLERANCES[dtype], f"step {number}, loss", grads=False):
            return why
        for i, (a, b) in enumerate(zip(ours.params, path[number])):
            if why := compare.same(a, b, None, TOLERANCES[dtype], f"step {number}, parameter {i}", grads=False):
                return why
    mine, expected = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
    return same_state(mine, expected, TOLERANCES[dtype])


def same_state(mine: Any, expected: Any, tolerance: Any) -> str | None:
    if list(mine) != list(expected):
        return f"state_dict has {list(mine)} instead of {list(expected)}"
    for number, (a, b) in enumerate(zip(mine["param_groups"], expected["param_groups"])):
        if list(a) != list(b):
            return f"param_groups[{number}] has {list(a)} instead of {list(b)}"
        if why := compare.same(a, b, None, tolerance, f"param_groups[{number}]"):
            return why
    if len(mine["param_groups"]) != len(expected["param_groups"]) or list(mine["state"]) != list(expected["state"]):
        return f"state of {list(mine['state'])} instead of {list(expected['state'])}"
    for i in expected["state"]:
        if set(mine["state"][i]) != set(expected["state"][i]):
            return f"state[{i}] has {sorted(mine['state'][i])} instead of {sorted(expected['state'][i])}"
        for key, value in expected["state"][i].items():
            if why := compare.same(mine["state"][i][key], value, None, tolerance, f"state[{i}][{key!r}]", grads=False):
                return why
    return None


def run_optimizer(entry: OptimizerEntry, dtype: str) -> Iterator[Outcome]:
    if entry.sparse:
        yield Outcome(repr(entry), dtype, "trajectory", 0, SKIP, "sparse gradients")
    else:
        for number, kwargs in enumerate(entry.settings()):
            yield judged_setting(entry, dtype, "trajectory", number, partial(trajectory, entry, dtype, kwargs))
    if dtype == "float32":
        for number, error in enumerate(entry.error_samples()):
            yield judged_setting(entry, dtype, "error", number, partial(check_refusal, entry, error))


def judged_setting(entry: OptimizerEntry, dtype: str, check: str, number: int, run: Callable[[], str | None]) -> Outcome:
    again = f"# python -m parity_tests.sweep --optimizers '{entry!r}' --dtype {dtype}   (setting {number})"
    return judged(Outcome(repr(entry), dtype, check, number), run, lambda: again)


def check_refusal(entry: OptimizerEntry, error: OptimizerError) -> str | None:
    def build_and_step(cls: Any, convert: Any) -> None:
        known: dict[Any, Any] = {}
        params, kwargs = convert((error.params, error.kwargs), known)
        for original in bridge.tensors(error.params):
            convert(original, known).grad = convert(original.grad)
        with warnings.catch_warnings():
            warnings.simplefilter("error" if issubclass(error.exception, Warning) else "ignore")
            optimizer = cls(params, **kwargs)
            if not error.in_constructor:
                optimizer.step()

    theirs, ours = partial(build_and_step, entry.theirs, bridge.copy), partial(build_and_step, entry.ours, bridge.to_mini)
    return check_error(error.exception, error.pattern, theirs, ours)
