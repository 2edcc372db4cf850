"""Schedules that move the learning rate and the momentum in cycles, in opposite directions."""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl.nn._types import Floats, StateDict
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.schedule import LRScheduler, Rates, check_optimizer, check_strategy, course as course, per_group, set_option
from mini_dl.optim.updates import refuse


class _WithMomentum(LRScheduler):
    """A schedule that also sets the momentum, or ``betas[0]`` if that is the optimizer's name for it."""

    cycle_momentum: bool

    def _begin_momentum(
        self, optimizer: Optimizer, base_momentum: Floats, max_momentum: Floats, last_epoch: int
    ) -> tuple[list[float], list[float]]:
        """Start from the greatest momentum; return the least and the greatest of each group. ValueError if there is none."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in optimizer.defaults
        least = per_group("base_momentum", optimizer, base_momentum)
        most = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, low, high in zip(optimizer.param_groups, least, most):
                group["max_momentum"], group["base_momentum"] = high, low
            self._set_momenta(most)
        return least, most

    def _set_momenta(self, momenta: Sequence[float]) -> None:
        for group, momentum in zip(self.optimizer.param_groups, momenta):
            if self.use_beta1:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


def _phases(steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """The end of each phase, and the options of a group between which it moves."""
    phases = [(float(pct_start * steps) - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if three_phase:
        phases.append((float(2 * pct_start * steps) - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
        phases.append((steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
    else:
        phases.append((steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"))
    return [dict(zip(("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"), phase)) for phase in phases]


def _steps_in_all(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    counts: dict[str, Any] = {"total_steps": total_steps}
    if total_steps is None:
        counts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        refuse(epochs is None or steps_per_epoch is None, "You must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, count in counts.items():
        refuse(not isinstance(count, int) or count <= 0, f"Expected positive integer {name}, but got {count}")
    return math.prod(counts.values())


class OneCycleLR(_WithMomentum):
    """Up to `max_lr` and down to far below the start, once in `total_steps` steps; the momentum moves in the opposite direction.

    from ``max_lr / div_factor`` to `max_lr` in ``pct_start * total_steps`` steps, then to a `final_div_factor`-th of the start,
    each along ``end + (start - end) * (1 + cos(pi * t)) / 2`` or a line; `three_phase` comes back to the start in between

    Raises: ValueError without a number of steps, for steps beyond it, and for `cycle_momentum` without a momentum.
    Source: Smith and Topin 2017.

    >>> course(OneCycleLR, max_lr=1.0, total_steps=5, pct_start=0.6)
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: Floats, total_steps: int | None = None, epochs: int | None = None,
        steps_per_epoch: int | None = None, pct_start: float = 0.3, anneal_strategy: str = "cos", cycle_momentum: bool = True,
        base_momentum: Floats = 0.85, max_momentum: Floats = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _steps_in_all(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        check_strategy(anneal_strategy)
        self._anneal_func_type = anneal_strategy
        for group, highest in zip(optimizer.param_groups, per_group("max_lr", optimizer, max_lr)):
            if last_epoch == -1:
                first = highest / div_factor
                group.update(initial_lr=first, max_lr=highest, min_lr=first / final_div_factor)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _anneal(self, start: float, end: float, pct: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * pct) + 1)
        return (end - start) * pct + start

    def _rates(self) -> Rates:
        step = self.last_epoch
        refuse(step > self.total_steps, f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        ends = [phase["end_step"] for phase in self._schedule_phases]
        i = min(bisect_left(ends, step), len(ends) - 1)
        phase, start = self._schedule_phases[i], ends[i - 1] if i > 0 else 0.0
        pct = (step - start) / (ends[i] - start)

        def between(first: str, last: str) -> list[float]:
            return [self._anneal(group[phase[first]], group[phase[last]], pct) for group in self.optimizer.param_groups]

        if self.cycle_momentum:
            self._set_momenta(between("start_momentum", "end_momentum"))
        return [*between("start_lr", "end_lr")]


class CyclicLR(_WithMomentum):
    """Up and down between `base_lr` and `max_lr`, again and again; the momentum moves in the opposite direction.

    ``lr = base_lr + (max_lr - base_lr) * height * scale``; the height goes from 0 to 1 and back, the scale is 1,
    ``1 / 2 ** (cycle - 1)`` with `mode` "triangular2", ``gamma ** step`` with "exp_range", or that of `scale_fn`

    Raises: ValueError for an unknown mode without `scale_fn`, and for `cycle_momentum` without a momentum.
    Source: Smith 2015.

    >>> course(CyclicLR, base_lr=0.5, max_lr=1.0, step_size_up=2)
    [0.5, 0.75, 1.0, 0.75, 0.5]
    """

    made_of = ("_scale_fn_custom",)

    def __init__(
        self, optimizer: Optimizer, base_lr: Floats, max_lr: Floats, step_size_up: int = 2000, step_size_down: int | None = None,
        mode: str = "triangular", gamma: float = 1.0, scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle", cycle_momentum: bool = True, base_momentum: Floats = 0.8, max_momentum: Floats = 0.9,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("base_lr", optimizer, base_lr)
        for lr, group in zip(base_lrs, optimizer.param_groups):
            if last_epoch == -1:
                set_option(group, "lr", lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode, self.gamma = mode, gamma
        self._scale_fn_custom: Any = scale_fn
        self.scale_mode = scale_mode
        self._choose_scale()
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            momenta = self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
            self.base_momentums, self.max_momentums = momenta
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _choose_scale(self) -> None:
        """Keep the function of the mode as torch does, so that a schedule pickled whole has what torch's has."""
        if self._scale_fn_custom is None:
            of_cycle: dict[str, Any] = {"triangular": self._triangular_scale_fn, "triangular2": self._triangular2_scale_fn}
            of_iteration = functools.partial(self._exp_range_scale_fn, self.gamma)
            self._scale_fn_ref = of_cycle.get(self.mode, of_iteration)
            self.scale_mode = "cycle" if self.mode in of_cycle else "iterations"

    def scale_fn(self, x: float) -> float:
        """The height of the cycle or iteration `x`."""
        if self._scale_fn_custom is not None:
            return float(self._scale_fn_custom(x))
        if "_scale_fn_ref" not in vars(self):  # pickled by an earlier version
            self._choose_scale()
        return float(self._scale_fn_ref(x))

    @staticmethod
    def _triangular_scale_fn(x: float) -> float:
        return 1.0

    @staticmethod
    def _triangular2_scale_fn(x: float) -> float:
        return 1 / 2.0 ** (x - 1)

    @staticmethod
    def _exp_range_scale_fn(gamma: float, x: float) -> float:
        return float(gamma**x)

    def _rates(self) -> Rates:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.base_momentums, self.max_momentums)
            self._set_momenta([high - (high - low) * height * scale for low, high in limits])
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> StateDict:
        state = super().state_dict()
        state.pop("_scale_fn_ref", None)
        return state

    def load_state_dict(self, state_dict: StateDict) -> None:
        super().load_state_dict(state_dict)
        self._choose_scale()
