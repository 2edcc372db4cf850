"""Devices. Values are on the CPU; tensors on the device meta have none."""

from __future__ import annotations

import numbers
import threading
from typing import Any, NoReturn

from mini_dl._leaving import Block

KNOWN = ("cpu", "cuda", "mps", "xpu", "meta", "xla", "hpu", "mtia", "vulkan", "ipu", "lazy", "privateuseone")


def _parts(name: str, index: object) -> tuple[str, int | None]:
    """The kind and the number that the text names; the number may be given apart."""
    if index is not None:
        if not isinstance(index, int) or isinstance(index, bool):
            raise TypeError(f"device(): argument 'index' (position 2) must be int, not {_type_name(index)}")
        if index < 0:
            raise RuntimeError(f"Device index must not be negative: {index}")
        if ":" in name:
            raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {name}")
    kind, _, tail = name.partition(":")
    if kind not in KNOWN:
        raise RuntimeError(f"Expected one of {', '.join(KNOWN)} device type at start of device string: {name}")
    if tail and not tail.isdigit():
        raise RuntimeError(f"Invalid device string: '{name}'")
    return kind, int(tail) if tail else index


class device(Block):
    """Where a tensor is: the CPU, or "meta", of shapes without values.

    Raises: RuntimeError for an unknown kind of device.

    >>> torch.device("cpu"), torch.device("meta").type
    (device(type='cpu'), 'meta')
    """

    __slots__ = ("_by_hand", "index", "type")
    type: str
    index: int | None

    def __init__(self, type: object = "cpu", index: int | None = None) -> None:
        if isinstance(type, device) and index is None:
            name, number = type.type, type.index
        elif isinstance(type, str):
            name, number = _parts(type, index)
        elif isinstance(type, numbers.Integral) and not isinstance(type, bool) and index is None:
            raise RuntimeError("Cannot access accelerator device when none is available.")
        else:
            raise TypeError(f"device(): argument 'type' (position 1) must be str or torch.device, not {_type_name(type)}")
        self.type, self.index = name, number

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (str(self),)

    def _state(self) -> tuple[list[device], list[device]]:
        return creation.devices, [*creation.devices]

    def _change(self, before: object) -> device:
        """New tensors are made on this device, which must be the CPU or meta."""
        if self.type != "meta":
            require_cpu(self)
        creation.devices.append(self)
        return self

    def _put_back(self, before: tuple[list[device], list[device]]) -> None:
        devices, earlier = before
        devices[:] = earlier


class _Creation(threading.local):
    """The device on which this thread creates tensors: the last of the devices of blocks, otherwise the default one."""

    def __init__(self) -> None:
        self.devices: list[device] = []
        self.default: device | None = None

    def here(self) -> device:
        return self.devices[-1] if self.devices else self.default or CPU


creation = _Creation()
CPU, META = device("cpu"), device("meta")
DeviceLike = device | str | int | None


class layout:
    """How the elements of a tensor are stored: dense, with strides, or one of the sparse layouts.

    >>> torch.ones(1).layout, torch.eye(2).to_sparse().layout
    (torch.strided, torch.sparse_coo)
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class memory_format(layout):
    """The order of a tensor's dimensions in memory.

    >>> torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last).stride()
    (24, 1, 8, 2)
    """


def check_memory_format(name: str, value: object) -> None:
    """TypeError unless `value` is a memory format, or None."""
    if value is not None and not isinstance(value, memory_format):
        raise TypeError(f"{name}(): argument 'memory_format' must be torch.memory_format, not {_type_name(value)}")


Layout = layout | None
MemoryFormat = memory_format | None


strided, sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc = [
    layout(name) for name in ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")
]
contiguous_format, preserve_format, channels_last, channels_last_3d = [
    memory_format(name) for name in ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
]


def compiled_without(name: str) -> NoReturn:
    """The error for anything that requires a GPU."""
    raise AssertionError(f"Torch not compiled with {name} enabled")


def is_meta(where: DeviceLike) -> bool:
    """Whether a tensor is requested on the device meta, by `where` or else by the enclosing block. Errors as for
    `require_cpu`.
    """
    if where is None:
        return creation.here().type == "meta"
    if where is META or (where if isinstance(where, device) else device(where)).type == "meta":
        return True
    require_cpu(where)
    return False


def require_cpu(where: DeviceLike) -> None:
    """AssertionError for a GPU, RuntimeError for any other device, unless `where` is None or names the CPU."""
    if where is None or where is CPU:
        return
    wanted = where if isinstance(where, device) else device(where)
    if wanted.type in ("cuda", "xpu"):
        compiled_without(wanted.type.upper())
    if wanted.type != "cpu":
        raise RuntimeError(f"mini_dl computes on the CPU only: no device '{wanted}' here")


def _type_name(value: object) -> str:
    return type(value).__name__
