"""Learning rate schedules: call ``scheduler.step()`` after ``optimizer.step()``.

The examples show the learning rates of the first epochs, from 1 on.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsFloat, TypeAlias

from mini_dl.nn._types import StateDict
from mini_dl.optim.cycles import CyclicLR as CyclicLR, OneCycleLR as OneCycleLR
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.schedule import (
    EPOCH_DEPRECATION_WARNING as EPOCH_DEPRECATION_WARNING,
    LRScheduler as LRScheduler,
    Rates,
    _LRScheduler as _LRScheduler,
    check_optimizer,
    course as course,
    options_of,
    per_group,
    set_option,
)
from mini_dl.optim.updates import refuse

ByEpoch: TypeAlias = Callable[[int], Any]
"""The user's function of the epoch."""

# ------------------------------------------------------------------------------------------------ by the user's function


class LambdaLR(LRScheduler):
    """A function of the epoch times the initial learning rate.

    ``lr = initial_lr * lr_lambda(epoch)``; `lr_lambda` is a function, or a list of one for each group

    Raises: ValueError for another number of functions.

    >>> course(LambdaLR, lambda epoch: 1 / (1 + epoch))
    [1.0, 0.5, 0.3333, 0.25, 0.2]
    """

    made_of = ("lr_lambdas",)

    def __init__(self, optimizer: Optimizer, lr_lambda: ByEpoch | Sequence[ByEpoch], last_epoch: int = -1) -> None:
        self.lr_lambdas = per_group("lr_lambdas", optimizer, lr_lambda, "Expected {groups} lr_lambdas, but got {given}")
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> Rates:
        return [base * function(self.last_epoch) for function, base in zip(self.lr_lambdas, self.base_lrs)]


class MultiplicativeLR(LambdaLR):
    """A function of the epoch times the learning rate before.

    ``lr *= lr_lambda(epoch)``; `lr_lambda` is a function, or a list of one for each group

    Raises: TypeError for a `lr_lambda` that cannot be called; ValueError for another number of functions.

    >>> course(MultiplicativeLR, lambda epoch: 0.5 if epoch < 3 else 1)
    [1.0, 0.5, 0.25, 0.25, 0.25]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: ByEpoch | Sequence[ByEpoch], last_epoch: int = -1) -> None:
        for function in lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]:
            refuse(not callable(function), f"lr_lambda should be a function, but got {type(function).__name__}", TypeError)
        super().__init__(optimizer, lr_lambda, last_epoch)

    def _rates(self) -> Rates:
        if self._is_initial:
            return options_of(self.optimizer, "lr")
        pairs = zip(self.lr_lambdas, self.optimizer.param_groups)
        return [group["lr"] * function(self.last_epoch) for function, group in pairs]


class LambdaOption(LambdaLR):
    """``group[key] = function(epoch)`` for any option of the groups; `function` is one or one for each group. Not in torch.

    Momentum that grows while the steps get smaller (Hinton's advice: from 0.5 to 0.99):

    >>> import mini_dl as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.5)
    >>> growing = torch.optim.lr_scheduler.LambdaOption(
    ...     optimizer, "momentum", lambda epoch: min(0.99, 0.5 + 0.049 * epoch))
    >>> for epoch in range(10):
    ...     optimizer.step()
    ...     growing.step()
    >>> optimizer.param_groups[0]["momentum"]
    0.99

    KeyError for an option that a group lacks.
    """

    def __init__(self, optimizer: Optimizer, key: str, function: ByEpoch | Sequence[ByEpoch], last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        if any([key not in group for group in optimizer.param_groups]):
            raise KeyError(f"{type(optimizer).__name__} has no option {key!r}")
        self.key = key
        super().__init__(optimizer, function, last_epoch)

    def _rates(self) -> Rates:
        for function, group in zip(self.lr_lambdas, self.optimizer.param_groups):
            set_option(group, self.key, function(self.last_epoch))
        return options_of(self.optimizer, "lr")


# ------------------------------------------------------------------------------------------------ by a factor


class _ByFactor(LRScheduler):
    """A schedule that multiplies: a subclass defines both factors, relative to the last learning rate and to the initial one."""

    def _ratio(self, epoch: int) -> float:
        """The learning rate of `epoch` over that of the epoch before."""
        raise NotImplementedError

    def _factor(self, epoch: int) -> float:
        """The learning rate of `epoch` over the initial one: the closed form."""
        raise NotImplementedError

    def _rates(self) -> Rates:
        ratio = self._ratio(self.last_epoch)
        return [group["lr"] * ratio for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> Rates:
        return [base * self._factor(self.last_epoch) for base in self.base_lrs]


class StepLR(_ByFactor):
    """A factor every `step_size` epochs.

    ``lr = initial_lr * gamma ** (epoch // step_size)``

    >>> course(StepLR, step_size=2)
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _ratio(self, epoch: int) -> float:
        return self.gamma if epoch != 0 and epoch % self.step_size == 0 else 1

    def _factor(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(_ByFactor):
    """A factor at each of the epochs `milestones`; one that is listed twice counts twice.

    ``lr = initial_lr * gamma ** (number of milestones up to epoch)``

    >>> course(MultiStepLR, milestones=[1, 3])
    [1.0, 0.1, 0.1, 0.01, 0.01]
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _ratio(self, epoch: int) -> float:
        return self.gamma ** self.milestones[epoch] if epoch in self.milestones else 1

    def _factor(self, epoch: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch)


class ConstantLR(_ByFactor):
    """A constant fraction of the initial learning rate for `total_iters` epochs, then all of it.

    ``lr = initial_lr * (factor if epoch < total_iters else 1)``

    Raises: ValueError unless 0 <= factor <= 1.

    >>> course(ConstantLR, factor=0.5, total_iters=3)
    [0.5, 0.5, 0.5, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        refuse(factor > 1.0 or factor < 0, "Constant multiplicative factor expected to be between 0 and 1.")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _ratio(self, epoch: int) -> float:
        if epoch == 0:
            return self.factor
        return 1.0 / self.factor if epoch == self.total_iters else 1

    def _factor(self, epoch: int) -> float:
        return self.factor + (epoch >= self.total_iters) * (1 - self.factor)


class LinearLR(_ByFactor):
    """A straight line between two fractions of the initial learning rate, often as a warm-up.

    ``lr = initial_lr * (start_factor + (end_factor - start_factor) * min(epoch / total_iters, 1))``

    Raises: ValueError for a `start_factor` outside (0, 1] or an `end_factor` outside [0, 1].
    Source: as a warm-up, Goyal et al. 2017.

    >>> course(LinearLR, start_factor=0.25, total_iters=3)
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
        refuse(end_factor > 1.0 or end_factor < 0, "Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _ratio(self, epoch: int) -> float:
        if epoch == 0:
            return self.start_factor
        if self._is_initial or epoch > self.total_iters:
            return 1
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (epoch - 1) * rise)

    def _factor(self, epoch: int) -> float:
        rise = (self.end_factor - self.start_factor) * min(self.total_iters, epoch)
        return self.start_factor + rise / self.total_iters


class ExponentialLR(_ByFactor):
    """A factor every epoch.

    ``lr = initial_lr * gamma**epoch``

    >>> course(ExponentialLR, gamma=0.5)
    [1.0, 0.5, 0.25, 0.125, 0.0625]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _ratio(self, epoch: int) -> float:
        return 1 if self._is_initial else self.gamma

    def _factor(self, epoch: int) -> float:
        return self.gamma**epoch


class PolynomialLR(_ByFactor):
    """A power of the remaining fraction of `total_iters` epochs.

    ``lr = initial_lr * (1 - min(epoch / total_iters, 1)) ** power``

    Source: Liu et al. 2015 (ParseNet), section 3.2.

    >>> course(PolynomialLR, total_iters=4, power=2.0)
    [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _ratio(self, epoch: int) -> float:
        if self._is_initial or epoch > self.total_iters:
            return 1
        return ((1.0 - epoch / self.total_iters) / (1.0 - (epoch - 1) / self.total_iters)) ** self.power

    def _factor(self, epoch: int) -> float:
        return (1.0 - min(self.total_iters, epoch) / self.total_iters) ** self.power


# ------------------------------------------------------------------------------------------------ by a cosine


class _Cosine(LRScheduler):
    eta_min: float

    def _at(self, angle: float) -> Rates:
        """On the cosine from the initial learning rates (angle 0) to `eta_min` (pi)."""
        low, factor = self.eta_min, 1 + math.cos(angle)
        return [low + (base - low) * factor / 2 for base in self.base_lrs]


class CosineAnnealingLR(_Cosine):
    """Half a cosine from the initial learning rate to `eta_min` in `T_max` epochs, and back in as many.

    ``lr = eta_min + (initial_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2``

    Source: Loshchilov and Hutter 2016, without its restarts.

    >>> course(CosineAnnealingLR, T_max=4, epochs=8)
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.1464, 0.5, 0.8536]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> Rates:
        """The closed form, chained: each rate from the one before, so that other schedules may change it too."""
        epoch, period, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return options_of(self.optimizer, "lr")
        if self._step_count == 1 and epoch > 0:
            return self._get_closed_form_lr()
        if (epoch - 1 - period) % (2 * period) == 0:  # the previous rate was eta_min: no ratio leads away from it
            rise = 1 - math.cos(math.pi / period)
            pairs = zip(self.base_lrs, self.optimizer.param_groups)
            return [group["lr"] + (base - low) * rise / 2 for base, group in pairs]
        ratio = (1 + math.cos(math.pi * epoch / period)) / (1 + math.cos(math.pi * (epoch - 1) / period))
        return [ratio * (group["lr"] - low) + low for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> Rates:
        return self._at(math.pi * self.last_epoch / self.T_max)


class CosineAnnealingWarmRestarts(_Cosine):
    """Half a cosine from the initial learning rate to `eta_min`, again and again, each time `T_mult` times as long.

    ``lr = eta_min + (initial_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2``; `T_cur` counts from the last restart, and the
    next one comes after `T_i` epochs: `T_0` at first

    Raises: ValueError unless `T_0` and `T_mult` are positive ints, and for a negative epoch.
    Source: Loshchilov and Hutter 2016.

    >>> course(CosineAnnealingWarmRestarts, T_0=2)
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    T_i: float
    T_cur: float

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        refuse(T_0 <= 0 or not isinstance(T_0, int), f"Expected positive integer T_0, but got {T_0}")
        refuse(T_mult < 1 or not isinstance(T_mult, int), f"Expected integer T_mult >= 1, but got {T_mult}")
        refuse(not isinstance(eta_min, (float, int)), f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min, self.T_cur = T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> Rates:
        return self._at(math.pi * self.T_cur / self.T_i)

    def step(self, epoch: float | None = None) -> None:
        """Set the learning rates of the next epoch; `epoch` may be a fraction."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._locate(epoch)
        self.last_epoch = math.floor(epoch)
        self._write(self.get_lr)

    def _locate(self, epoch: float) -> None:
        """Set the period that contains `epoch`, and the position in it."""
        refuse(epoch < 0, f"Expected non-negative epoch, but got {epoch}")
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n


# ------------------------------------------------------------------------------------------------ by the metric


class ReduceLROnPlateau(LRScheduler):
    """A factor when the metric given to ``step(metric)`` has not improved for more than `patience` epochs.

    ``lr = max(lr * factor, min_lr)``; better is ``metric < best * (1 - threshold)``, or ``metric < best - threshold`` with "abs"

    After a reduction, `cooldown` epochs do not count. With ``mode="max"`` greater is better, likewise.
    Raises: ValueError unless the factor is below 1, for an unknown mode, and for a number of `min_lr` other than that of groups.

    >>> import mini_dl as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (0.5, 0.5, 0.5):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        threshold_mode: str = "rel", cooldown: int = 0, min_lr: float | Sequence[float] = 0, eps: float = 1e-8,
    ) -> None:  # fmt: skip
        refuse(factor >= 1.0, "Factor should be < 1.0.")
        check_optimizer(optimizer)
        self.factor, self.optimizer = factor, optimizer
        self.default_min_lr: Any = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = per_group("min_lrs", optimizer, min_lr, "expected {groups} min_lrs, got {given}")
        self.patience, self.cooldown, self.eps = patience, cooldown, eps
        self.last_epoch = 0
        self._last_lr = options_of(optimizer, "lr")
        self._init_is_better(mode, threshold, threshold_mode)
        self._reset()

    def _reset(self) -> None:
        self.best, self.cooldown_counter, self.num_bad_epochs = self.mode_worse, 0, 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Record the metric of this epoch, and lower the learning rates if it has not improved for too long."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr(self.last_epoch)
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = options_of(self.optimizer, "lr")

    def _reduce_lr(self, epoch: int) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when `ReduceLROnPlateau` was "
                    f"initialized ({len(self.min_lrs)}), usually due to a new param group being added to the optimizer. Please "
                    "modify the `min_lrs` field to match the length of the `optimizer` param groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs):
            before = float(group["lr"])
            lr = max(before * self.factor, least)
            if before - lr > self.eps:
                set_option(group, "lr", lr)

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def _is_better(self, a: float, best: float) -> bool:
        margin = -self.threshold if self.mode == "min" else self.threshold
        goal = best * (margin + 1.0) if self.threshold_mode == "rel" else best + margin
        return a < goal if self.mode == "min" else a > goal

    def _init_is_better(self, mode: str, threshold: float, threshold_mode: str) -> None:
        refuse(mode not in ("min", "max"), "mode " + mode + " is unknown!")
        refuse(threshold_mode not in ("rel", "abs"), "threshold mode " + threshold_mode + " is unknown!")
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode

    def load_state_dict(self, state_dict: StateDict) -> None:
        super().load_state_dict(state_dict)
        self._init_is_better(self.mode, self.threshold, self.threshold_mode)


# ------------------------------------------------------------------------------------------------ schedules of schedules


class _Composed(LRScheduler):
    made_of = ("_schedulers",)
    _schedulers: Sequence[LRScheduler]

    def _check_schedulers(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be specified "
                    f"when calling `step`, but got one at index {i} in the given schedulers sequence."
                )
            if optimizer != scheduler.optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i} has {scheduler.optimizer}, which is different from "
                    f"{type(optimizer).__name__}."
                )


class SequentialLR(_Composed):
    """Schedules in sequence; the next one takes over at each of the epochs `milestones`.

    ``lr = schedulers[i](epoch - milestones[i - 1])`` with i the number of milestones up to the epoch

    Raises: ValueError unless there is one more schedule than milestones, and for schedules of another optimizer.

    >>> course(lambda optimizer: SequentialLR(optimizer, [ConstantLR(optimizer, 0.5, 9), ExponentialLR(optimizer, 0.9)], [2]))
    [0.5, 0.5, 1.0, 0.9, 0.81]
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1) -> None:
        refuse(len(schedulers) < 1, f"{type(self).__name__} expects at least one scheduler, but got no scheduler.")
        self._check_schedulers(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, "
                f"but got number of schedulers {len(schedulers)} and the number of milestones to be equal to {len(milestones)}"
            )
        self._schedulers, self._milestones = schedulers, milestones
        self.last_epoch, self.optimizer = last_epoch + 1, optimizer
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: LRScheduler | None = None) -> None:
        """Undo the first step that each schedule took when it was created."""
        scheduler = self if sched is None else sched
        if isinstance(scheduler, _Composed):
            for one in scheduler._schedulers:
                self.recursive_undo(one)
        elif hasattr(scheduler, "last_epoch"):
            scheduler.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Set the learning rates of the next epoch."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composed):
    """All schedules at once, each changing what the previous one set.

    ``lr = initial_lr * (product of the factors of all schedules)``, for schedules that multiply

    Raises: ValueError without a schedule, and for schedules of another optimizer.

    >>> course(lambda optimizer: ChainedScheduler([ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.9)]))
    [0.5, 0.45, 0.81, 0.729, 0.6561]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        refuse(len(schedulers) < 1, f"{type(self).__name__} expects at least one scheduler to be chained, but got no scheduler.")
        optimizer = optimizer or schedulers[0].optimizer
        self._check_schedulers(optimizer, schedulers)
        self._schedulers, self.optimizer = schedulers, optimizer
        self._last_lr = options_of(optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Step every schedule."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = options_of(self.optimizer, "lr")
