"""Averages of a network's parameters over the course of training (Izmailov et al. 2018)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, TypeAlias

from mini_dl.autograd.mode import no_grad
from mini_dl.nn._types import Device, Floats
from mini_dl.nn.modules.batchnorm import _BatchNorm
from mini_dl.nn.modules.module import Module
from mini_dl.ops.foreach import _group_tensors_by_device_and_dtype
from mini_dl.ops.from_data import tensor
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.schedule import LRScheduler, Rates, check_strategy, course as course, per_group
from mini_dl.optim.updates import refuse
from mini_dl.tensor import Tensor

Tensors: TypeAlias = list[Tensor]
Count: TypeAlias = Tensor | int
Average: TypeAlias = Callable[[Tensor, Tensor, Count], Tensor]
Averages: TypeAlias = Callable[[Tensors, Tensors, Count], None]

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """``average = decay * average + (1 - decay) * current`` in place, for lists of tensors. ValueError unless 0 <= decay <= 1.

    >>> average = tensor([1.0])
    >>> get_ema_multi_avg_fn(0.9)([average], [tensor([2.0])], 1)
    >>> average
    tensor([1.1000])
    """
    return _in_place(get_ema_avg_fn(decay), lambda num_averaged: 1 - decay)


def get_swa_multi_avg_fn() -> Averages:
    """``average += (current - average) / (number averaged so far + 1)`` in place, for lists of tensors.
    RuntimeError for tensors of integers.

    >>> average = tensor([1.0])
    >>> get_swa_multi_avg_fn()([average], [tensor([4.0])], 2)
    >>> average
    tensor([2.])
    """

    def refused(average: Tensor, current: Tensor, num_averaged: Count) -> Tensor:
        raise RuntimeError("Integer division with addcdiv is no longer supported")

    return _in_place(refused, lambda num_averaged: float(1 / (num_averaged + 1)))


def _in_place(of_integers: Average, weight: Callable[[Count], float]) -> Averages:
    """A function that moves each average by the `weight` of the current tensor towards it; `of_integers` averages integers."""

    @no_grad()
    def update(averages: Tensors, currents: Tensors, num_averaged: Count) -> None:
        for average, current in zip(averages, currents):
            if average.is_floating_point() or average.is_complex():
                average.lerp_(current, weight(num_averaged))
            else:
                average.copy_(of_integers(average, current, num_averaged))

    return update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * average + (1 - decay) * current`` of two tensors. ValueError unless 0 <= decay <= 1.

    >>> get_ema_avg_fn(0.9)(tensor(1.0), tensor(2.0), 1)
    tensor(1.1000)
    """
    refuse(decay < 0.0 or decay > 1.0, f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")
    return no_grad()(lambda average, current, num_averaged: decay * average + (1 - decay) * current)


def get_swa_avg_fn() -> Average:
    """``average + (current - average) / (number averaged so far + 1)`` of two tensors.

    >>> get_swa_avg_fn()(tensor(1.0), tensor(4.0), 2)
    tensor(2.)
    """
    return no_grad()(lambda average, current, num_averaged: average + (current - average) / (num_averaged + 1))


class AveragedModel(Module):
    """A copy of `model` whose parameters are averages of those passed to `update_parameters`.

    `avg_fn` gives the new average of one tensor, `multi_avg_fn` changes lists of equal type in place; both get the number
    averaged before. Without them, all have equal weight. Buffers are copied, or averaged too with `use_buffers`.
    AssertionError for both functions.

    >>> import mini_dl as torch
    >>> model = torch.nn.Linear(1, 1)
    >>> average = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = torch.nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.item()
    3.0
    """

    n_averaged: Tensor

    def __init__(
        self, model: Module, device: Device = None, avg_fn: Average | None = None, multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Include the parameters of `model` in the averages; the first ones are copied."""
        averages, currents = self._tensors(self.module), self._tensors(model)
        if self.n_averaged == 0:
            for average, current in zip(averages, currents):
                average.copy_(current)
        elif self.multi_avg_fn is not None:
            for (ours, theirs), _ in _group_tensors_by_device_and_dtype([averages, currents]).values():
                self.multi_avg_fn(ours, theirs, self.n_averaged)
        else:
            avg_fn = self.avg_fn or get_swa_avg_fn()
            for average, current in zip(averages, currents):
                average.copy_(avg_fn(average, current, self.n_averaged))
        if not self.use_buffers:
            for average, current in zip(self.module.buffers(), model.buffers()):
                average.detach().copy_(current.detach())
        self.n_averaged += 1

    def _tensors(self, module: Module) -> Tensors:
        buffers = module.buffers() if self.use_buffers else ()
        return [tensor.detach() for tensor in itertools.chain(module.parameters(), buffers)]


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Device = None) -> None:
    """Recompute the running statistics of all batch norms in `model` as means over the batches of `loader`.

    A batch is a tensor, or a list or tuple whose first element `model` is called with.

    >>> import mini_dl as torch
    >>> norm = torch.nn.BatchNorm1d(1)
    >>> torch.optim.swa_utils.update_bn([torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [7.0]])], norm)
    >>> norm.running_mean
    tensor([4.])
    """
    momenta = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not momenta:
        return
    was_training = model.training
    model.train()
    for norm in momenta:
        norm.reset_running_stats()
        norm.momentum = None  # all batches have equal weight
    for batch in loader:
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(inputs if device is None else inputs.to(device))
    for norm, momentum in momenta.items():
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the learning rate of each group to `swa_lr` in `anneal_epochs` epochs, and constant from there.

    ``lr = (1 - a) * initial_lr + a * swa_lr``; with t the fraction of the epochs a is t, or ``(1 - cos(pi * t)) / 2`` with "cos"

    Raises: ValueError for another strategy, or a number of epochs that is negative or not an int.
    Source: Izmailov et al. 2018.

    >>> course(SWALR, 0.2, anneal_epochs=4, anneal_strategy="linear")
    [1.0, 0.8, 0.6, 0.4, 0.2]
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: Floats, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:
        for group, lr in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        check_strategy(anneal_strategy)
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """The weight of `swa_lr` at the fraction `t` of the way."""
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def _rates(self) -> Rates:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = [self.anneal_func(max(0, min(1, count / max(1, self.anneal_epochs)))) for count in (step - 1, step)]
        lrs = []
        for group in self.optimizer.param_groups:
            lr, goal = group["lr"], group["swa_lr"]
            start = goal if before == 1 else (lr - before * goal) / (1 - before)
            lrs.append(goal * now + start * (1 - now))
        return lrs
