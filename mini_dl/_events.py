"""Streams and events of the CPU: all work is done when the call returns, so there is nothing to wait for."""

from __future__ import annotations

from typing import Any

from mini_dl._device import CPU, device, require_cpu


class Stream:
    """The queue of work on a device. The CPU has one, which is always finished.

    >>> import mini_dl as torch
    >>> torch.Stream("cpu").query()
    True
    """

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        require_cpu(device)
        self.device, self.stream_id = CPU, 0

    def query(self) -> bool:
        """True: the work has finished."""
        return True

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def wait_event(self, event: object) -> None:
        """Nothing to wait for."""

    def wait_stream(self, stream: object) -> None:
        """Nothing to wait for."""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __repr__(self) -> str:
        return "torch.Stream device_type=cpu, device_index=-1, stream_id=0"


class Event:
    """A point in the work on a device. The CPU does not support them: only its state can be queried."""

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        require_cpu(device)
        self.device, self.event_id, self._timed = CPU, 0, enable_timing

    def query(self) -> bool:
        """True: nothing to wait for."""
        return True

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def record(self, stream: object = None) -> None:
        """RuntimeError, as in torch."""
        raise RuntimeError("cpu backend doesn't support events.")

    def wait(self, stream: object = None) -> None:
        """Nothing to wait for."""

    def elapsed_time(self, end_event: Event) -> float:
        """ValueError or RuntimeError, as in torch: there are no times."""
        if not (self._timed and end_event._timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        raise RuntimeError("cpu backend doesn't support events.")

    def __repr__(self) -> str:
        return "torch.Event device_type=cpu, device_index=-1, event_flag=0, event_id=0"


class CPUStream:
    """``torch.cpu.Stream``: accepted."""

    def __init__(self, priority: int = -1) -> None:
        pass

    def wait_stream(self, stream: object) -> None:
        """Nothing to wait for."""

    def record_event(self) -> None:
        """Nothing to wait for."""

    def wait_event(self, event: object) -> None:
        """Nothing to wait for."""


class CPUEvent:
    """``torch.cpu.Event``: accepted."""

    def query(self) -> bool:
        """True"""
        return True

    def record(self, stream: object = None) -> None:
        """Nothing is recorded."""

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def wait(self, stream: object = None) -> None:
        """Nothing to wait for."""


_stream = CPUStream()


def current_cpu_stream(device: object = None) -> CPUStream:
    """The stream of the CPU."""
    return _stream


class Where:
    """A context that selects a device: only none, number -1, is allowed."""

    error: type[Exception] = RuntimeError
    message = "PyTorch was compiled without CUDA support"

    def __init__(self, device: object) -> None:
        self.idx = _index(device)

    def __enter__(self) -> None:
        if self.idx >= 0:
            raise self.error(self.message)

    def __exit__(self, *exception: object) -> None:
        pass


def _index(where: object) -> int:
    if where is None:
        return -1
    if isinstance(where, int):
        return where
    found = device(where)
    return -1 if found.type == "cpu" or found.index is None else found.index


class device_of(Where):
    """The device of a tensor, which is the CPU."""

    def __init__(self, obj: object) -> None:
        super().__init__(None)


class XPUWhere(Where):
    """The same for Intel's devices."""

    error, message = NotImplementedError, "PyTorch was compiled without XPU support"
