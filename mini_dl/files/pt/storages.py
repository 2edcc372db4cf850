"""Storages: the memory of a file's tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._dtypes import INSTALL_BFLOAT16, Array, from_bfloat16, has_bfloat16
from mini_dl.ops import storages
from mini_dl.ops.attributes import UntypedStorage

BFLOAT16 = "bfloat16"
STORAGES = {**storages.NAMES, BFLOAT16: "BFloat16Storage"}
"""By the name of the type; uint16, uint32 and uint64 have untyped storages, of bytes."""


class Memory(np.ndarray[Any, Any]):
    """The bytes of a storage that was read: its tensors share them, also when they are saved again."""

    awaited_by: TypedStorage | None = None  # the storage, while its contents have not been read


def memory_of_bytes(buffer: Any, start: int = 0, size: int | None = None) -> Memory:
    """Memory over a buffer, or a part of it."""
    # the buffer is not an array: that would replace the Memory as the base of its views
    return Memory((len(buffer) if size is None else size,), np.uint8, buffer, start)


class StorageType:
    """``torch.FloatStorage`` and similar names in files: the element type of a storage."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def dtype(self) -> _dtypes.dtype:
        return _dtypes.float32 if self.name == BFLOAT16 and not has_bfloat16() else _dtypes.NAMES[self.name]

    @property
    def itemsize(self) -> int:
        return 2 if self.name == BFLOAT16 else self.dtype.itemsize

    def __repr__(self) -> str:
        return f"StorageType(dtype={self.dtype})"


UNTYPED = StorageType("uint8")


class TypedStorage(storages.TypedStorage):
    """A storage in a file: elements of one type, which tensors share together with their version.

    A storage saved by itself is read as one.
    """

    def __init__(self, memory: Array, kind: StorageType) -> None:
        super().__init__(wrap_storage=UntypedStorage(memory), dtype=kind.dtype)
        self._kind, self._counter = kind, [1]
        self._derived: dict[Any, tuple[Array, list[int]]] = {}
        self._used_early = False
        self.is_meta = False  # its tensors are meta tensors

    def await_contents(self) -> None:
        """Mark the contents as not yet read."""
        if isinstance(self._bytes, Memory):
            self._bytes.awaited_by = self

    def arrived(self) -> bool:
        """Mark the contents as read; return whether something was computed from them before, and reset that flag."""
        if isinstance(self._bytes, Memory):
            self._bytes.awaited_by = None
        self._derived.clear()
        return self._used_early

    @property
    def _elements(self) -> Array:
        """The elements, without a copy except for bfloat16 if its package is missing."""
        size = self._kind.itemsize
        whole = self._bytes[: self._bytes.nbytes // size * size].view(np.ndarray)
        return _elements_of(whole, self._kind)

    def memory(self, kind: str, conj: bool, neg: bool) -> tuple[Array, list[int]]:
        """Bytes, and a version, for tensors of type `kind`; conjugated or negated if requested."""
        if (kind != BFLOAT16 or has_bfloat16()) and not conj and not neg:
            return self._bytes, self._counter
        key = kind, conj, neg
        self._used_early = getattr(self._bytes, "awaited_by", None) is not None
        if key not in self._derived:
            size = StorageType(kind).itemsize
            elements = _elements_of(self._bytes[: self._bytes.nbytes // size * size], StorageType(kind))
            elements = np.conjugate(elements) if conj else elements
            elements = np.negative(elements) if neg else elements
            self._derived[key] = memory_of_bytes(bytearray(elements.tobytes())), [1]
        return self._derived[key]


def _elements_of(whole: Array, kind: StorageType) -> Array:
    numpy_dtype = kind.dtype.numpy
    return from_bfloat16(whole.view(np.uint16)) if numpy_dtype.itemsize != kind.itemsize else whole.view(numpy_dtype)


def warn_of_bfloat16(what: str) -> None:
    """Warn that the type is read as float32, if its package is missing."""
    if not has_bfloat16():
        warnings.warn(f"{what} is read as float32: {INSTALL_BFLOAT16}", UserWarning, stacklevel=3)
