"""The defaults for reading and writing .pt files; users call `mini_dl.serialization`."""

from __future__ import annotations

import mmap
import sys
import threading
from enum import Enum
from typing import Any

from mini_dl._leaving import Block

PRIVATE, SHARED = getattr(mmap, "MAP_PRIVATE", None), getattr(mmap, "MAP_SHARED", None)
"""The flags of a mapped file; Windows does not have them."""


class LoadEndianness(Enum):
    """The byte order assumed for a file that does not specify it."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class load:
    """The options for reading: the default of `mmap`; the byte order of files that do not specify it; the flags of a
    mapped file. ``calculate_storage_offsets`` is accepted, without effect."""

    mmap: bool = False
    endianness: LoadEndianness | None = None
    mmap_flags: int | None = PRIVATE
    calculate_storage_offsets: bool = False


class save:
    """The options for writing: whether each record gets a checksum, and the alignment of storages in bytes.
    ``use_pinned_memory_for_d2h`` is accepted, without effect."""

    compute_crc32: bool = True
    use_pinned_memory_for_d2h: bool = False
    storage_alignment: int = 64


class _Here(threading.local):
    skipping = False


here = _Here()
"""Whether this thread skips the contents of storages."""


def get_default_load_endianness() -> LoadEndianness | None:
    """The byte order assumed for a file that does not specify it; None: little."""
    return load.endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set it. TypeError for anything but a `LoadEndianness` or None."""
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    load.endianness = endianness


def byte_order_of_others() -> str:
    """The byte order of a file that does not specify it: "little" or "big"."""
    if load.endianness is LoadEndianness.NATIVE:
        return sys.byteorder
    return "big" if load.endianness is LoadEndianness.BIG else "little"


def get_crc32_options() -> bool:
    """Whether `save` writes a checksum with each record."""
    return save.compute_crc32


def set_crc32_options(compute_crc32: bool) -> None:
    """Set it. Other zip readers consider a file without checksums damaged; `load` reads it."""
    save.compute_crc32 = compute_crc32


def get_default_mmap_options() -> int | None:
    """``mmap.MAP_PRIVATE`` (writes to mapped tensors stay in memory) or ``mmap.MAP_SHARED`` (they change the file)."""
    return load.mmap_flags


class set_default_mmap_options:
    """Set it permanently or, as a context manager, within a block. ValueError for other flags, RuntimeError on Windows."""

    def __init__(self, flags: int) -> None:
        if PRIVATE is None:
            raise RuntimeError("Changing the default mmap options is currently not supported for Windows")
        if flags not in (PRIVATE, SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got "
                f"{flags}"
            )
        self.prev, load.mmap_flags = load.mmap_flags, flags

    def __enter__(self) -> None:
        """The flags were already set on construction."""

    def __exit__(self, *exception: object) -> None:
        load.mmap_flags = self.prev


class skip_data(Block):
    """Within a block, `save` writes zeros in place of the contents of storages, and `load` does not read them.

    Only for the zip format: RuntimeError for the old one. `materialize_fake_tensors` has no effect.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def _state(self) -> bool:
        return here.skipping

    def _change(self, before: bool) -> None:
        here.skipping = True

    def _put_back(self, before: Any) -> None:
        here.skipping = before
