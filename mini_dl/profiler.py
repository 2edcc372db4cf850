"""``torch.profiler``: profiles of the kernels that run here, step by step if a schedule says so."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from mini_dl._profiling import EventList, profile as one_profile, record_function as record_function

__all__ = [
    "DeviceType", "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerAction(Enum):
    """What is done in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class ProfilerActivity(Enum):
    """What is measured. There is the CPU; the others are accepted and add nothing."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class DeviceType(Enum):
    """Where an event took place."""

    CPU = 0
    CUDA = 1


def kineto_available() -> bool:
    """False: profiles are taken here, without torch's library for them."""
    return False


def supported_activities() -> set[ProfilerActivity]:
    """The CPU."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """A function of the number of the step: skip, then wait, warm up and record, `repeat` times or (0) forever."""
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError("Invalid profiler schedule arguments")
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait != 0:
            step += wait
        if repeat > 0 and step / length >= repeat:
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False) -> Callable[[Any], None]:
    """A function for ``on_trace_ready``: it writes each trace into a folder."""

    def handler(prof: Any) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        prof.export_chrome_trace(os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json"))

    return handler


def _always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


class profile:
    """The kernels that this thread runs within it, in all steps or those that `schedule` chooses; `step` ends a step.

    >>> import mini_dl as torch
    >>> with torch.profiler.profile(record_shapes=True) as prof:
    ...     _ = torch.ones(2, 3).exp()
    >>> prof.events()[0].input_shapes
    [[2, 3]]
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None, schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False, experimental_config: object = None,
        execution_trace_observer: object = None, acc_events: bool = False, use_cuda: bool | None = None,
        custom_trace_id_callback: object = None, post_processing_timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        self.schedule, self.on_trace_ready = schedule or _always, on_trace_ready
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self._in_steps = schedule is not None
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.profiler: one_profile | None = None
        self._step: record_function | None = None

    def _begin(self) -> None:
        if self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE) and not self._running():
            self.profiler = one_profile(record_shapes=self.record_shapes, profile_memory=self.profile_memory)
            self.profiler.__enter__()
        if self._in_steps:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _running(self) -> bool:
        return self.profiler is not None and self.profiler.function_events is None

    def _end(self, save: bool) -> None:
        if self._step is not None:
            self._step.__exit__(None, None, None)
            self._step = None
        if save and self._running() and self.profiler is not None:
            self.profiler.__exit__(None, None, None)
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def start(self) -> None:
        """Begin, as by ``with``."""
        self._begin()

    def stop(self) -> None:
        """End, as by leaving the block."""
        self._end(self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE))

    def step(self) -> None:
        """End a step, and begin the next one."""
        self.step_num += 1
        self._end(self.current_action is ProfilerAction.RECORD_AND_SAVE)
        self.current_action = self.schedule(self.step_num)
        self._begin()

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _finished(self) -> one_profile:
        if self.profiler is None:
            raise AssertionError("Profiler must be initialized before getting events")
        return self.profiler

    def events(self) -> EventList:
        """All events, in the order in which they began."""
        return self._finished()._events()

    def key_averages(self, group_by_input_shape: bool = False, *args: object, **kwargs: object) -> EventList:
        """The averages by name: ``print(prof.key_averages().table(sort_by="cpu_time_total"))``."""
        return self._finished().key_averages(group_by_input_shape)

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as a trace for Chrome's viewer."""
        self._finished().export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """NotImplementedError: no stacks are kept."""
        raise NotImplementedError("mini_dl has no torch.profiler.profile.export_stacks (none are kept; see docs/coverage.md)")

    def add_metadata(self, key: str, value: str) -> None:
        """Accepted."""

    def add_metadata_json(self, key: str, value: str) -> None:
        """Accepted."""

    def toggle_collection_dynamic(self, enable: bool, activities: Iterable[ProfilerActivity]) -> None:
        """Accepted."""
