"""Reading .pt files: torch's zip archives, and its older format."""

from __future__ import annotations

import io
import mmap
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._surface import namespace
from mini_dl.files.pt import settings
from mini_dl.files.pt.archive import Archive, fill, is_archive
from mini_dl.files.pt.errors import BROKEN, ByteOrderError, CallersError, EndError, FileError, Located, RecordError, file_error
from mini_dl.files.pt.locations import restoring, text_of
from mini_dl.files.pt.names import KNOWN, NAMES, RESULTS, named_result
from mini_dl.files.pt.storages import Memory, StorageType, TypedStorage, memory_of_bytes
from mini_dl.files.pt.torch_names import found_here
from mini_dl.files.pt.unpickler import Unpickler
from mini_dl.kernels.mersenne import Generator

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The magic number of a file in the old format."""
ADVICE = (
    ". If it should be a whole .pt file, copy or write it again; a .npz or .safetensors file is read by "
    "`torch.serialization.load_npz` or `load_safetensors`, and any pickle by weights_only=False: only if you trust whoever wrote "
    "it, for it can run any code"
)
"""What to do about a file that cannot be understood."""


def read_pt(
    file: object,
    map_location: object = None,
    *,
    pickle_module: object = None,
    path: str | None = None,
    mapped: bool = False,
    **options: object,
) -> Any:
    """The object in a .pt file, read from the current position of `file`.

    Without `pickle_module`, only weights and allowed names are read. `path` is the name of the file, to be shown and, with
    `mapped`, mapped into memory; `options` go to the unpickler. A FileError, which may also be a RuntimeError or EOFError, says
    where the file is wrong.
    """
    reader = _Reader(map_location, pickle_module, options)
    name = path or str(getattr(file, "name", None) or f"a {type(file).__name__}")
    try:
        if is_archive(file):
            return reader.of_archive(Archive(file), path if mapped else None)
        if mapped:
            raise RecordError("mmap can only be used with files in the zip format that torch.save writes")
        return reader.of_old_format(file)
    except CallersError as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None
    except BROKEN as error:
        if pickle_module is not None and not isinstance(error, FileError):
            raise
        raise _refusal(error, name, pickle_module is None) from error.__cause__ if isinstance(error, FileError) else error


def _refusal(error: Exception, name: str, weights_only: bool) -> FileError:
    """`error` as an error of the file. (A variable of the frame that raises it would keep the file in a cycle.)"""
    made = file_error(error, name, ADVICE if weights_only else "")
    if weights_only and not isinstance(made, (RecordError, EndError)):
        made = type(made)(f"Weights only load failed. {made}")
    return made


class _Reader:
    def __init__(self, map_location: object, pickle_module: object, options: dict[str, Any]) -> None:
        self.place, self.pickle_module = restoring(map_location), pickle_module
        self.options = {"encoding": "utf-8", **options}
        self.stored: dict[Any, TypedStorage] = {}
        self.parts: dict[Any, TypedStorage] = {}  # of storages of the old format, by their own keys

    def unpickled(self, where: str, file: object, persistent: Callable[[Any], Any], length: int) -> Any:
        if self.pickle_module is None:
            with Located(where):
                return Unpickler(file, NAMES, persistent, length, self.options["encoding"]).load()
        kind = AnyUnpickler if self.pickle_module is pickle else _any_unpickler(self.pickle_module)
        reader = kind(file, **self.options)
        reader.persistent_load = persistent
        return reader.load()

    # ---------------------------------------------------------------------------------------- zip archives

    def of_archive(self, archive: Archive, mapped: str | None) -> Any:
        if "constants.pkl" in archive:
            raise RecordError(
                "Cannot use ``weights_only=True`` with TorchScript archives, and mini_dl cannot run the programs they hold: load "
                "it with torch.jit.load in torch and save its state_dict"
            )
        known = "byteorder" in archive
        order = archive.read("byteorder").decode("utf-8", "replace") if known else settings.byte_order_of_others()
        if order not in ("little", "big"):
            raise ByteOrderError(f"record byteorder: Unknown endianness type: {order[:20]!r}")
        for record, kind in {".data/serialization_id": str, ".format_version": bytes, ".storage_alignment": int}.items():
            if record in archive:
                content = archive.read(record)
                with Located(f"record {record}"):
                    kind(content if kind is bytes else content.decode("utf-8"))
        whole = None if mapped is None else _mapped(mapped)

        def storage(described: object) -> TypedStorage:
            kind, key, location, count = _described(described, 4)
            if key not in self.stored:
                record, size = f"data/{key}", count * kind.itemsize
                if archive.length(record) != size:
                    raise RecordError(
                        f"record {record}: record size ({archive.length(record)} bytes) does not match expected size "
                        f"({size} bytes: {count} elements of {kind.itemsize})"
                    )
                if settings.here.skipping:
                    content = memory_of_bytes(bytearray(size))
                elif whole is None:
                    content = Memory((size,), np.uint8)
                    archive.read_into(record, content)
                else:
                    content = memory_of_bytes(whole, archive.place(record), size)
                    if _is_shared():
                        archive.drop_checksum(record, whole)
                if order != sys.byteorder and kind.itemsize > 1:
                    content.view(np.uint16 if kind.itemsize == 2 else kind.dtype.numpy).byteswap(inplace=True)
                self.stored[key] = self.place(TypedStorage(content, kind), location)
            return self.stored[key]

        pickled = archive.read("data.pkl")
        return self.unpickled("record data.pkl", io.BytesIO(pickled), storage, len(pickled))

    # ---------------------------------------------------------------------------------------- the old format

    def of_old_format(self, file: Any) -> Any:
        if settings.here.skipping:
            raise RecordError("Cannot use skip_data with the old format: torch.save it with _use_new_zipfile_serialization=True")
        begin = file.tell()
        head = file.read(512)
        if self.pickle_module is None and head and head[:1] != pickle.PROTO:
            raise FileError("not a .pt file: neither a zip archive nor a pickle")
        if head[257:262] == b"ustar":
            raise RecordError("Cannot use files saved in the legacy .tar format: load them with torch and save them again")
        file.seek(0, 2)
        left = [file.tell() - begin]
        file.seek(begin)

        def refused(described: object) -> Any:
            raise FileError("unsupported persistent id encountered")

        def storage(described: Any) -> Any:
            if self.pickle_module is not None and described[0] == "module":
                return described[1]  # a class, before its source
            kind, key, location, count, view = _described(described, 5)
            if key not in self.stored:
                left[0] -= count * kind.itemsize
                if left[0] < 0:
                    raise RecordError(f"storage {key} has {count} elements, more than the file has budget for")
                self.stored[key] = self.place(TypedStorage(memory_of_bytes(bytearray(count * kind.itemsize)), kind), location)
                self.stored[key].await_contents()
            return self.stored[key] if view is None else self._part(self.stored[key], view)

        if self.unpickled("its head", file, refused, 100) != MAGIC:
            raise RecordError("Invalid magic number; corrupt file?")
        version = self.unpickled("its head", file, refused, 100)
        if version != PROTOCOL:
            raise RecordError(f"Invalid protocol version: {version if type(version) is int else type(version).__name__}")
        self.unpickled("its head", file, refused, 1000)
        start = file.tell()
        result = self.unpickled("its pickle", file, storage, left[0])
        length = file.tell() - start
        keys = self.unpickled("its list of storages", file, refused, left[0])
        if type(keys) is not list or not all([type(key) in (str, bytes, int) and key in self.stored for key in keys]):
            raise FileError("its list of storages does not list those that its pickle names")
        for key in self.stored:
            if key not in keys and self.stored[key].nbytes():
                raise RecordError(f"storage {key} is not among those whose contents the file has")
        for key in keys:
            self._fill(file, key)
        if any([storage.arrived() for storage in (*self.stored.values(), *self.parts.values())]):
            end = file.tell()  # recompute what was computed from storages before they had contents
            file.seek(start)
            result = self.unpickled("its pickle", io.BytesIO(file.read(length)), storage, length)
            file.seek(end)
        return result

    def _part(self, storage: TypedStorage, view: object) -> TypedStorage:
        """A section of a storage that the file treats as a separate storage."""
        if type(view) is not tuple or len(view) != 3 or not all([type(n) is int and n >= 0 for n in view[1:]]):
            raise FileError("a view of a storage is a tuple of a key, an offset and a size")
        key, offset, count = view
        if key in self.stored:  # as in torch, which has one table of both
            return self.stored[key]
        if key not in self.parts:
            step = storage._kind.itemsize
            part = TypedStorage(storage._bytes[offset * step : (offset + count) * step], storage._kind)
            part._counter = storage._counter
            part.await_contents()
            self.parts[key] = part
        return self.parts[key]

    def _fill(self, file: Any, key: object) -> None:
        storage = self.stored[key]
        head = file.read(8)
        if len(head) < 8:
            raise EndError(f"storage {key} is missing: the file ends early")
        count, size = int.from_bytes(head, "little", signed=True), storage._bytes.nbytes
        if count * storage._kind.itemsize != size:
            raise RecordError(f"storage {key} has wrong byte size: expected {size} got {count * storage._kind.itemsize}")
        with Located(f"storage {key}"):
            fill(file, storage._bytes.data)
        if sys.byteorder == "big" and storage._kind.itemsize > 1:
            storage._bytes.view(np.uint16 if storage._kind.itemsize == 2 else storage.dtype.numpy).byteswap(inplace=True)


def _described(described: object, count: int) -> list[Any]:
    """The checked parts of a storage's description: its type, key, location, number of elements, and view."""
    if type(described) is not tuple or not described or text_of(described[0]) != "storage":
        raise FileError(f"Only persistent_load of storage is allowed, but got {type(described)}")
    if len(described) != count + 1:
        raise FileError(f"a storage is described by {count + 1} values, not by {len(described)}")
    kind, key, location, elements, *view = described[1:]
    if not isinstance(kind, StorageType) or type(key) not in (str, int, bytes) or type(elements) is not int or elements < 0:
        raise FileError("a storage is described by its type, key, location and number of elements")
    location = text_of(location)
    if type(location) is not str:
        raise FileError(f"the location of a storage is a text, not {type(location).__name__}")
    return [kind, key, location, elements, *view]


def _is_shared() -> bool:
    return settings.SHARED is not None and settings.load.mmap_flags == settings.SHARED


def _mapped(path: str) -> mmap.mmap:
    """The file as memory; writes to the memory reach the file only if MAP_SHARED is set."""
    shared = _is_shared()
    with open(path, "r+b" if shared else "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)


# ------------------------------------------------------------------------------------------------ any pickle


def _any_unpickler(pickle_module: Any) -> Any:
    """The unpickler of `pickle_module`, with torch's names mapped to those of this library."""

    class AnyUnpickler(pickle_module.Unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            if module == "torch.tensor":  # its name before torch 1.7
                module = "torch._tensor"
            if module.startswith("torch") and f"{module}.{name}" in KNOWN:
                return NAMES.named(module, name)
            if "Storage" in name and f"torch.{name}" in KNOWN:
                return KNOWN[f"torch.{name}"]
            if module == RESULTS:
                return named_result(namespace("return_types")[name])
            if (module, name) == ("torch._C", "Generator"):
                return Generator
            if module != "torch" and not module.startswith("torch."):
                return super().find_class(module, name)
            return found_here(module, name)

    return AnyUnpickler


AnyUnpickler = _any_unpickler(pickle)
"""That of the standard library, created once: classes are reference cycles."""
