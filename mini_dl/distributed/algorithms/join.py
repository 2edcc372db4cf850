"""Training with inputs that run out sooner in some processes than in others.

A finished process stays and shadows the collectives of the others, as each participant's hook defines, until all are finished.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, NamedTuple

from mini_dl._device import device as Device
from mini_dl.distributed.collectives import all_reduce
from mini_dl.distributed.groups import get_rank
from mini_dl.ops.creation import ones, zeros

__all__ = ["Join", "JoinHook", "Joinable"]

MANY_STEPS = 1000


class JoinHook:
    """What a process does for one participant once its own inputs have run out."""

    def main_hook(self) -> None:
        """Shadow the collectives of one step of the others."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called once, when all processes are finished; `is_last_joiner`: whether this one was among the last."""


class _JoinConfig(NamedTuple):
    enable: bool
    throw_on_early_termination: bool
    is_first_joinable: bool


class Joinable(ABC):
    """A participant in `Join`: a subclass calls ``Joinable.__init__`` and defines the three members below."""

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self._join_config = _JoinConfig(enable=False, throw_on_early_termination=False, is_first_joinable=False)

    @abstractmethod
    def join_hook(self, **kwargs: object) -> JoinHook:
        """The hook of this participant; `kwargs` are those given to `Join`."""

    @property
    @abstractmethod
    def join_device(self) -> Device:
        """The device of the tensors with which processes signal that they continue."""

    @property
    @abstractmethod
    def join_process_group(self) -> Any:
        """The group of the processes."""


class Join:
    """``with Join([model, optimizer]):`` around the steps lets each process take as many as it has inputs.

    Before each step, the processes count those that continue. With `throw_on_early_termination`, all raise RuntimeError as soon
    as one is finished. `kwargs` are passed to the hooks. ValueError without participants, and if their groups differ.
    """

    def __init__(
        self, joinables: list[Joinable], enable: bool = True, throw_on_early_termination: bool = False, **kwargs: object
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        self._joinables = joinables
        self._join_hooks = [joinable.join_hook(**kwargs) for joinable in joinables]
        self._enable, self._throw_on_early_termination = enable, throw_on_early_termination
        for i, joinable in enumerate(joinables):
            joinable._join_config = _JoinConfig(enable, throw_on_early_termination, is_first_joinable=i == 0)
        self._process_group, self._device = joinables[0].join_process_group, joinables[0].join_device
        if any([joinable.join_process_group != self._process_group for joinable in joinables]):
            raise ValueError("Using join context manager with multiple process groups")
        self._rank = get_rank(self._process_group)

    def __enter__(self) -> None:
        pass

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        if not self._enable or type:
            return
        steps = 0
        while self._others_continue():
            if self._throw_on_early_termination:
                all_reduce(ones(1, device=self._device), group=self._process_group)
                raise RuntimeError(f"Rank {self._rank} exhausted all inputs.")
            if steps == MANY_STEPS:
                warnings.warn(
                    f"Detected uneven input skew of greater than {MANY_STEPS}: rank {self._rank} has that many fewer inputs than "
                    "others, which wait for it in each step.",
                    stacklevel=2,
                )
            for hook in self._join_hooks:
                hook.main_hook()
            steps += 1
        for hook in self._join_hooks:
            hook.post_hook(steps == 0)

    def _others_continue(self) -> bool:
        count = zeros(1, device=self._device)
        all_reduce(count, group=self._process_group)
        return bool(count.item())

    @staticmethod
    def notify_join_context(joinable: Joinable) -> Any:
        """Tell the finished processes that this one begins a step.

        Only the first of several participants does it. Returns the pending sum, or None; RuntimeError if one is finished
        and `throw_on_early_termination` was given.
        """
        if not hasattr(joinable, "_join_config"):
            raise AssertionError(f"Check that the {type(joinable)} constructor calls the ``Joinable`` constructor")
        config = joinable._join_config
        if not (config.is_first_joinable and config.enable):
            return None
        device, group = joinable.join_device, joinable.join_process_group
        work = all_reduce(ones(1, device=device), group=group, async_op=True)
        if config.throw_on_early_termination:
            someone_is_through = zeros(1, device=device)
            all_reduce(someone_is_through, group=group)
            if someone_is_through.item():
                raise RuntimeError("Detected at least one rank that exhausted inputs. Throwing across all ranks.")
        return work
