"""The profiler: each kernel that a thread runs, with its time, its position among named ranges, and its memory.

A profile replaces the function that runs kernels in this thread with a timed one; outside a profile,
there is no overhead.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mini_dl._aten import NAMES, operator_named
from mini_dl.autograd.mode import mode
from mini_dl.files.replacing import rewrite
from mini_dl.kernels.context import run_by
from mini_dl.tensor import Tensor

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "Interval", "profile", "record_function"]


class Interval(NamedTuple):
    """A range of time, in microseconds."""

    start: float
    end: float

    def elapsed_us(self) -> float:
        """Its length."""
        return self.end - self.start


def time_text(microseconds: float) -> str:
    """A time in seconds, milliseconds or microseconds, with three digits."""
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.3f}s"
    return f"{microseconds / 1e3:.3f}ms" if microseconds >= 1e3 else f"{microseconds:.3f}us"


def memory_text(size: int) -> str:
    """A size in gigabytes, megabytes, kilobytes or bytes."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if abs(size) >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size} B"


def _text_of(name: str) -> property:
    """The property that formats the time of this name as a string."""
    return property(lambda self: time_text(getattr(self, name)))


class _Times:
    """The base class of events and averages. Times of other devices are 0."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time = device_time_total = self_device_time_total = device_memory_usage = self_device_memory_usage = 0
    cuda_time = cuda_time_total = self_cuda_time_total = flops = 0

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / self.count if self.count else 0.0

    cpu_time_str, cpu_time_total_str = _text_of("cpu_time"), _text_of("cpu_time_total")
    self_cpu_time_total_str = _text_of("self_cpu_time_total")


@dataclass(eq=False)
class FunctionEvent(_Times):
    """One kernel, or one named range."""

    id: int
    name: str
    thread: int
    time_range: Interval
    input_shapes: list[Any] = field(default_factory=list)
    cpu_memory_usage: int = 0
    cpu_parent: FunctionEvent | None = None
    cpu_children: list[FunctionEvent] = field(default_factory=list)
    is_user_annotation: bool = False
    count = 1
    is_async = is_remote = False

    @property
    def key(self) -> str:
        return self.name

    @property
    def cpu_time_total(self) -> float:  # type: ignore[override]
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        return self.cpu_time_total - sum([child.cpu_time_total for child in self.cpu_children])

    @property
    def self_cpu_memory_usage(self) -> int:
        return self.cpu_memory_usage - sum([child.cpu_memory_usage for child in self.cpu_children])

    def __repr__(self) -> str:
        start, end = self.time_range
        return (
            f"<FunctionEvent id={self.id} name={self.name} cpu_time={self.cpu_time_str} start_us={start:.3f} end_us={end:.3f} "
            f"cpu_children={[child.id for child in self.cpu_children]} thread={self.thread} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage}>"
        )


class FunctionEventAvg(_Times):
    """The average of the events of one name."""

    def __init__(self, key: str = "") -> None:
        self.key, self.count, self.cpu_time_total, self.self_cpu_time_total = key, 0, 0.0, 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0
        self.input_shapes: Any = ""

    def add(self, event: Any) -> FunctionEventAvg:
        """Add an event, or other averages."""
        self.count += event.count
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total
        self.cpu_memory_usage += event.cpu_memory_usage
        self.self_cpu_memory_usage += event.self_cpu_memory_usage
        return self

    __iadd__ = add

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} cpu_time={self.cpu_time_str} "
            f"input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage}>"
        )


class EventList(list[Any]):
    """Events, or their averages, as a table or a trace."""

    def __init__(self, *args: object, profile_memory: bool = False, with_shapes: bool = False, **kwargs: object) -> None:
        super().__init__(*args)
        self._profile_memory, self._with_shapes = profile_memory, with_shapes

    @property
    def self_cpu_time_total(self) -> float:
        return sum([event.self_cpu_time_total for event in self])

    def key_averages(self, group_by_input_shape: bool = False, *args: object, **kwargs: object) -> EventList:
        """The averages of the events of one name, or of one name and input shapes."""
        found: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = str(event.input_shapes) if group_by_input_shape else ""
            average = found.setdefault((event.key, shapes), FunctionEventAvg(event.key))
            average.input_shapes = event.input_shapes if group_by_input_shape else ""
            average.add(event)
        return EventList(found.values(), profile_memory=self._profile_memory, with_shapes=group_by_input_shape)

    def total_average(self) -> FunctionEventAvg:
        """The average of all."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75, max_name_column_width: int = 55,
        max_shapes_column_width: int = 80, header: str | None = None, top_level_events_only: bool = False,
    ) -> str:  # fmt: skip
        """The events with their times, sorted by "cpu_time_total", "self_cpu_time_total", "count" ... if requested."""
        events = list(self)
        if sort_by is not None:
            events.sort(key=lambda event: getattr(event, sort_by), reverse=True)
        if top_level_events_only:
            events = [event for event in events if getattr(event, "cpu_parent", None) is None]
        names = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
        names += ["CPU Mem", "Self CPU Mem"] if self._profile_memory else []
        names += ["# of Calls", *(["Input Shapes"] if self._with_shapes else [])]
        whole = self.self_cpu_time_total or 1.0
        rows = [self._row(event, whole, max_name_column_width) for event in events[: row_limit if row_limit > 0 else None]]
        widths = [max([len(name), 12, *[len(row[i]) for row in rows]]) for i, name in enumerate(names)]
        line = "  ".join("-" * width for width in widths) + "  "
        lines = [line, "  ".join(name.rjust(width) for name, width in zip(names, widths)) + "  ", line]
        lines += ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) + "  " for row in rows]
        title = [] if header is None else ["=" * len(line), header]
        return "\n".join([*title, *lines, line, f"Self CPU time total: {time_text(self.self_cpu_time_total)}", ""])

    def _row(self, event: Any, whole: float, width: int) -> list[str]:
        name = event.key if len(event.key) <= width else event.key[: width - 3] + "..."
        cells = [name, f"{100 * event.self_cpu_time_total / whole:.2f}%", event.self_cpu_time_total_str]
        cells += [f"{100 * event.cpu_time_total / whole:.2f}%", event.cpu_time_total_str, event.cpu_time_str]
        if self._profile_memory:
            cells += [memory_text(event.cpu_memory_usage), memory_text(event.self_cpu_memory_usage)]
        return [*cells, str(event.count), *([str(event.input_shapes)] if self._with_shapes else [])]

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as a trace for Chrome's viewer."""
        events = [
            {
                "ph": "X", "cat": "user_annotation" if event.is_user_annotation else "cpu_op", "name": event.name,
                "pid": os.getpid(), "tid": event.thread, "ts": event.time_range.start, "dur": event.cpu_time_total,
                "args": {"Input Dims": event.input_shapes},
            }
            for event in self
        ]  # fmt: skip
        rewrite(path, json.dumps({"schemaVersion": 1, "displayTimeUnit": "ms", "traceEvents": events}))


# ------------------------------------------------------------------------------------------------ measuring


class _Open(threading.local):
    recorders: tuple[Recorder, ...] = ()


_open = _Open()


class Recorder:
    """The events of this thread since it was started."""

    def __init__(self, record_shapes: bool, profile_memory: bool) -> None:
        self.events: list[FunctionEvent] = []
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.parents: list[FunctionEvent] = []
        self.began = time.perf_counter_ns()

    def now(self) -> float:
        return (time.perf_counter_ns() - self.began) / 1e3

    def open(self, name: str, shapes: list[Any], annotation: bool = False) -> FunctionEvent:
        event = FunctionEvent(len(self.events) + 1, name, threading.get_native_id(), Interval(self.now(), 0.0), shapes)
        event.is_user_annotation = annotation
        if self.parents:
            event.cpu_parent = self.parents[-1]
            event.cpu_parent.cpu_children.append(event)
        self.events.append(event)
        self.parents.append(event)
        return event

    def close(self, event: FunctionEvent, memory: int = 0) -> None:
        event.time_range = Interval(event.time_range.start, self.now())
        event.cpu_memory_usage += memory
        while self.parents and self.parents.pop() is not event:
            pass
        if self.parents:
            self.parents[-1].cpu_memory_usage += event.cpu_memory_usage

    def start(self) -> None:
        """Measure the kernels of this thread from now on."""
        self.enter = mode.enter
        mode.enter = functools.partial(_timed, self, self.enter)
        _open.recorders = (*_open.recorders, self)

    def stop(self) -> None:
        """Measure no longer."""
        mode.enter = self.enter
        _open.recorders = tuple([one for one in _open.recorders if one is not self])
        for event in list(self.parents):
            self.close(event)


def _timed(
    recorder: Recorder, enter: Callable[..., object], kernel: Callable[..., object], *args: object, **kwargs: object
) -> Any:
    shapes = [list(value.shape) if isinstance(value, np.ndarray) else [] for value in args] if recorder.record_shapes else []
    event = recorder.open(name_of(kernel), shapes)
    result = None
    try:
        result = run_by(enter, kernel, *args, **kwargs)
    finally:
        recorder.close(event, _bytes(result) if recorder.profile_memory else 0)
    return result


def name_of(kernel: Callable[..., object]) -> str:
    """``aten::add`` if torch has an operator for the kernel, else ``mini_dl::`` and the name."""
    primitive = getattr(kernel, "__name__", "kernel")
    name, _ = operator_named(primitive)
    return f"aten::{name}" if primitive in NAMES or hasattr(Tensor, name) else f"mini_dl::{name}"


def _bytes(result: object) -> int:
    if isinstance(result, tuple):
        return sum(map(_bytes, result))
    return result.nbytes if isinstance(result, np.ndarray) and result.base is None else 0


class record_function:
    """A named range in the active profiles; also a decorator.

    >>> import mini_dl as torch
    >>> with torch.profiler.profile() as prof:
    ...     with torch.profiler.record_function("my range"):
    ...         _ = torch.ones(3) + 1
    >>> [event.key for event in prof.key_averages()]
    ['my range', 'aten::add']
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._events: list[tuple[Recorder, FunctionEvent]] = []

    def __enter__(self) -> record_function:
        self._events = [(recorder, recorder.open(self.name, [], True)) for recorder in _open.recorders]
        return self

    def __exit__(self, *exception: object) -> None:
        for recorder, event in self._events:
            if event in recorder.parents:
                recorder.close(event)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: object, **kwargs: object) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return wrapped


class profile:
    """A profile of the kernels that this thread runs within the block.

    >>> import mini_dl as torch
    >>> with torch.autograd.profiler.profile() as prof:
    ...     _ = torch.ones(3).exp()
    >>> prof.key_averages()[0].key
    'aten::exp'
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None, record_shapes: bool = False,
        with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False, with_modules: bool = False,
        use_kineto: bool = False, use_cpu: bool = True, experimental_config: object = None, acc_events: bool = False,
        custom_trace_id_callback: object = None, post_processing_timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        self.enabled, self.entered = enabled, False
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self._recorder: Recorder | None = None
        self.function_events: EventList | None = None

    def __enter__(self) -> profile | None:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self.entered = True
        self._recorder = Recorder(self.record_shapes, self.profile_memory)
        self._recorder.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._recorder is None:
            return
        self._recorder.stop()
        self.function_events = EventList(
            self._recorder.events, profile_memory=self.profile_memory, with_shapes=self.record_shapes
        )

    def _events(self) -> EventList:
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def key_averages(self, group_by_input_shape: bool = False, *args: object, **kwargs: object) -> EventList:
        """The averages by name."""
        return self._events().key_averages(group_by_input_shape)

    def table(self, *args: Any, **kwargs: Any) -> str:
        """The events as a table."""
        return self._events().table(*args, **kwargs)

    def total_average(self) -> FunctionEventAvg:
        """All events together."""
        return self._events().total_average()

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as a trace for Chrome's viewer."""
        self._events().export_chrome_trace(path)

    @property
    def self_cpu_time_total(self) -> float:
        return self._events().self_cpu_time_total

    def __iter__(self) -> Iterator[Any]:
        return iter(self._events())

    def __str__(self) -> str:
        return "<unfinished torch.autograd.profile>" if self.function_events is None else str(self.function_events)

    __repr__ = __str__
