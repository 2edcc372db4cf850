"""Helpers of torch that programs and libraries use: flattened tensors, errors of workers, sums of lists."""

from __future__ import annotations

import sys
import traceback
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NoReturn

from mini_dl._device import device as _device
from mini_dl.ops.joining import cat
from mini_dl.tensor import Tensor


def _flatten_dense_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """The elements of all tensors, of the same type, flattened into one vector."""
    return cat([tensor.contiguous().view(-1) for tensor in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Views of the vector `flat` with the shapes of `tensors`."""
    found, start = [], 0
    for tensor in tensors:
        found.append(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()
    return tuple(found)


def _reorder_tensors_as(tensors: Iterable[Tensor], ordered_tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """`tensors`, grouped by type, in the order in which the types come in `ordered_tensors`."""
    groups = defaultdict(list)
    for tensor in tensors:
        groups[tensor.type()].append(tensor)
    rows = {kind: iter(group) for kind, group in groups.items()}
    return tuple([next(rows[tensor.type()]) for tensor in ordered_tensors])


def _take_tensors(tensors: Iterable[Tensor], size_limit: int) -> Iterable[list[Tensor]]:
    """`tensors` in lists of one type and at most about `size_limit` bytes."""
    rows: dict[str, tuple[list[Tensor], int]] = {}
    for tensor in tensors:
        kind, size = tensor.type(), tensor.numel() * tensor.element_size()
        row, filled = rows.get(kind, ([], 0))
        if filled and filled + size > size_limit:
            yield row
            row, filled = [], 0
        rows[kind] = ([*row, tensor], filled + size)
    for row, _ in rows.values():
        yield row


def _get_device_index(device: object, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a device; -1 for the CPU if `allow_cpu`. ValueError for one without a number, or if there is none."""
    if isinstance(device, str):
        device = _device(device)
    if isinstance(device, int):
        return device
    if isinstance(device, _device):
        if device.type == "cpu" and not allow_cpu:
            raise ValueError(f"Expected a non cpu device, but got: {device}")
        if device.type == "cpu":
            return -1
        if device.index is not None:
            return device.index
    raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")


class ExceptionWrapper:
    """An exception with its traceback as text, for a thread or process to send to the one waiting for it."""

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        kind, error, trace = exc_info or sys.exc_info()
        self.exc_type: Any = kind
        self.where = where
        self.exc_msg = "".join(traceback.format_exception(kind, error, trace if isinstance(trace, TracebackType) else None))

    def reraise(self) -> NoReturn:
        """Raise it again, with its traceback in the message."""
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            raise KeyError(_Plain(message))
        if getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)
        try:
            error = self.exc_type(message)
        except Exception:  # it takes other arguments
            raise RuntimeError(message) from None
        raise error


class _Plain(str):
    """A string whose repr is itself: the message of a KeyError."""

    def __repr__(self) -> str:
        return str(self)


KeyErrorMessage = _Plain


def _handle_complex(tensor: Tensor) -> Tensor:
    """`tensor`, with complex numbers as pairs of real ones."""
    return tensor.view(tensor.dtype.to_real()) if tensor.is_complex() else tensor


def classproperty(function: object) -> Any:
    """A property of a class."""
    return _ClassProperty(function)


class _ClassProperty:
    def __init__(self, function: Any) -> None:
        self.function = function

    def __get__(self, _: object, owner: object = None) -> Any:
        return self.function.__get__(None, owner)() if hasattr(self.function, "__func__") else self.function(owner)
