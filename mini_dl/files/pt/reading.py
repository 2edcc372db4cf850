"""Reading .pt files: torch's zip archives, and its format from before them."""

from __future__ import annotations

import importlib
import io
import mmap
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._device import device, require_cpu
from mini_dl._surface import namespace
from mini_dl.files.pt.archive import Archive, fill, is_archive
from mini_dl.files.pt.errors import BROKEN, ByteOrderError, CallersError, EndError, FileError, RecordError, located, told
from mini_dl.files.pt.names import KNOWN, NAMES, RESULTS, named_result
from mini_dl.files.pt.storages import Memory, StorageType, TypedStorage, memory_of_bytes
from mini_dl.files.pt.unpickler import Unpickler
from mini_dl.kernels.mersenne import Generator
from mini_dl.ops.attributes import UntypedStorage

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The number with which a file of the old format begins."""
DEVICES = ("cuda", "mps", "xpu", "hpu", "mtia", "xla", "privateuseone")
"""Storages that lived there come to the CPU."""
ADVICE = (
    ". If it should be a whole .pt file, copy or write it again; what is of another kind is read by other functions, and any "
    "pickle by weights_only=False: only if you trust whoever wrote it, for it can run any code"
)
"""What to do about a file that cannot be understood."""


def read_pt(
    file: Any,
    map_location: Any = None,
    *,
    pickle_module: Any = None,
    path: str | None = None,
    mapped: bool = False,
    **options: Any,
) -> Any:
    """The object in a .pt file, read from the current position of `file`.

    Without `pickle_module`, only weights and what was allowed are read. `path` is the name of the file, to be shown and, with
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
        made = told(error, name, ADVICE if pickle_module is None else "")
        if pickle_module is None and not isinstance(made, (RecordError, EndError)):
            made = type(made)(f"Weights only load failed. {made}")
        raise made from error.__cause__ if isinstance(error, FileError) else error


class _Reader:
    def __init__(self, map_location: Any, pickle_module: Any, options: dict[str, Any]) -> None:
        self.place, self.pickle_module = _restoring(map_location), pickle_module
        self.options = {"encoding": "utf-8", **options}
        self.stored: dict[Any, TypedStorage] = {}
        self.parts: dict[Any, TypedStorage] = {}  # of storages of the old format, by keys of their own

    def unpickled(self, where: str, file: Any, persistent: Callable[[Any], Any], length: int) -> Any:
        if self.pickle_module is None:
            with located(where):
                return Unpickler(file, NAMES, persistent, length, self.options["encoding"]).load()
        reader = _any_unpickler(self.pickle_module)(file, **self.options)
        reader.persistent_load = persistent
        return reader.load()

    # ---------------------------------------------------------------------------------------- zip archives

    def of_archive(self, archive: Archive, mapped: str | None) -> Any:
        if "constants.pkl" in archive:
            raise RecordError("Cannot use ``weights_only=True`` with TorchScript archives: they hold programs, not only weights")
        order = archive.read("byteorder").decode("utf-8", "replace") if "byteorder" in archive else "little"
        if order not in ("little", "big"):
            raise ByteOrderError(f"record byteorder: Unknown endianness type: {order[:20]!r}")
        for record, kind in {".data/serialization_id": str, ".format_version": bytes, ".storage_alignment": int}.items():
            if record in archive:
                content = archive.read(record)
                with located(f"record {record}"):
                    kind(content if kind is bytes else content.decode("utf-8"))
        whole = None if mapped is None else _mapped(mapped)

        def storage(described: Any) -> TypedStorage:
            kind, key, location, count = _described(described, 4)
            if key not in self.stored:
                record, size = f"data/{key}", count * kind.itemsize
                if archive.length(record) != size:
                    raise RecordError(
                        f"record {record}: record size ({archive.length(record)} bytes) does not match expected size "
                        f"({size} bytes: {count} elements of {kind.itemsize})"
                    )
                if whole is None:
                    content = Memory((size,), np.uint8)
                    archive.read_into(record, content)
                else:
                    content = memory_of_bytes(whole, archive.place(record), size)
                if order != sys.byteorder and kind.itemsize > 1:
                    content.view(np.uint16 if kind.itemsize == 2 else kind.dtype.numpy).byteswap(inplace=True)
                self.stored[key] = self.place(TypedStorage(content, kind), location)
            return self.stored[key]

        pickled = archive.read("data.pkl")
        return self.unpickled("record data.pkl", io.BytesIO(pickled), storage, len(pickled))

    # ---------------------------------------------------------------------------------------- the old format

    def of_old_format(self, file: Any) -> Any:
        begin = file.tell()
        head = file.read(512)
        if self.pickle_module is None and head and head[:1] != pickle.PROTO:
            raise FileError("not a .pt file: neither a zip archive nor a pickle")
        if head[257:262] == b"ustar":
            raise RecordError("Cannot use files saved in the legacy .tar format: load them with torch and save them again")
        file.seek(0, 2)
        left = [file.tell() - begin]
        file.seek(begin)

        def refused(described: Any) -> Any:
            raise FileError("unsupported persistent id encountered")

        def storage(described: Any) -> Any:
            if self.pickle_module is not None and described[0] == "module":
                return described[1]  # a class, before its source
            kind, key, location, count, view = _described(described, 5)
            if key not in self.stored:
                left[0] -= count * kind.itemsize
                if left[0] < 0:
                    raise RecordError(f"storage {key} has {count} elements, more than the file has room for")
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
            end = file.tell()  # what was computed from storages before they had contents is recomputed
            file.seek(start)
            result = self.unpickled("its pickle", io.BytesIO(file.read(length)), storage, length)
            file.seek(end)
        return result

    def _part(self, storage: TypedStorage, view: Any) -> TypedStorage:
        """A stretch of a storage that the file knows as a storage of its own."""
        if type(view) is not tuple or len(view) != 3 or not all([type(n) is int and n >= 0 for n in view[1:]]):
            raise FileError("a view of a storage is a tuple of a key, an offset and a size")
        key, offset, count = view
        if key not in self.parts:
            step = storage._kind.itemsize
            part = TypedStorage(storage._bytes[offset * step : (offset + count) * step], storage._kind)
            part._counter = storage._counter
            part.await_contents()
            self.parts[key] = part
        return self.parts[key]

    def _fill(self, file: Any, key: Any) -> None:
        storage = self.stored[key]
        head = file.read(8)
        if len(head) < 8:
            raise EndError(f"storage {key} is missing: the file ends early")
        count, size = int.from_bytes(head, "little", signed=True), storage._bytes.nbytes
        if count * storage._kind.itemsize != size:
            raise RecordError(f"storage {key} has wrong byte size: expected {size} got {count * storage._kind.itemsize}")
        with located(f"storage {key}"):
            fill(file, storage._bytes.data)
        if sys.byteorder == "big" and storage._kind.itemsize > 1:
            storage._bytes.view(np.uint16 if storage._kind.itemsize == 2 else storage.dtype.numpy).byteswap(inplace=True)


def _described(described: Any, count: int) -> list[Any]:
    """The checked parts of a storage's description: its type, key, location, number of elements, and view."""
    if type(described) is not tuple or not described or _text(described[0]) != "storage":
        raise FileError(f"Only persistent_load of storage is allowed, but got {type(described)}")
    if len(described) != count + 1:
        raise FileError(f"a storage is described by {count + 1} values, not by {len(described)}")
    kind, key, location, elements, *view = described[1:]
    if not isinstance(kind, StorageType) or type(key) not in (str, int, bytes) or type(elements) is not int or elements < 0:
        raise FileError("a storage is described by its type, key, location and number of elements")
    location = _text(location)
    if type(location) is not str:
        raise FileError(f"the location of a storage is a text, not {type(location).__name__}")
    return [kind, key, location, elements, *view]


def _text(value: Any) -> Any:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _mapped(path: str) -> mmap.mmap:
    """The file as memory; writes to the memory do not reach the file."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


# ------------------------------------------------------------------------------------------------ where storages go


def _restoring(map_location: Any) -> Callable[[TypedStorage, str], TypedStorage]:
    """A function that moves a storage as `map_location` says: None, a device, its name, a dictionary of names, or a function."""
    if map_location is None:
        return _restored
    if isinstance(map_location, dict):

        def mapped(storage: TypedStorage, location: str) -> TypedStorage:
            if location not in map_location:
                return _restored(storage, location)
            _require_cpu(str(_text(map_location[location])))
            return storage

        return mapped
    if isinstance(map_location, (str, bytes, device)):
        target = str(_text(map_location))
        _require_cpu(target)
        return lambda storage, location: _restored(storage, target)
    if not callable(map_location):
        raise TypeError(f"map_location is a device, a dictionary or a function, not {type(map_location).__name__}")

    def called(storage: TypedStorage, location: str) -> TypedStorage:
        try:
            result = map_location(storage, location)
            if result is not None and not isinstance(result, UntypedStorage):
                raise TypeError(f"map_location must return None or a storage, not {type(result).__name__}")
        except Exception as error:
            raise CallersError from error
        if result is None:
            return _restored(storage, location)
        return result if isinstance(result, TypedStorage) else TypedStorage(result._bytes, storage._kind)

    return called


def _require_cpu(location: str) -> None:
    """RuntimeError for any device but the CPU."""
    try:
        require_cpu(location)
    except AssertionError:
        raise RuntimeError(
            f"Attempting to deserialize object on {location}, but torch.cuda.is_available() is False. Please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        ) from None


def _restored(storage: TypedStorage, location: Any) -> TypedStorage:
    place = str(location)
    if place != "cpu" and place.partition(":")[0] not in DEVICES:
        raise RecordError(f"don't know how to restore data location of a storage (tagged with {place[:40]})")
    return storage


# ------------------------------------------------------------------------------------------------ any pickle


def _any_unpickler(pickle_module: Any) -> Any:
    """The unpickler of `pickle_module`, for which torch's names mean those of this library."""

    class AnyUnpickler(pickle_module.Unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            path = f"{module}.{name}"
            known = KNOWN.get(path)
            if module.startswith("torch") and known is not None:
                return NAMES.named(module, name)
            if "Storage" in name and f"torch.{name}" in KNOWN:
                return KNOWN[f"torch.{name}"]
            if module == RESULTS:
                return named_result(namespace("return_types")[name])
            if path == "torch._C.Generator":
                return Generator
            if module == "torch.tensor":
                module = "torch._tensor"
            if module != "torch" and not module.startswith("torch."):
                return super().find_class(module, name)
            here = "mini_dl" + module[5:]
            try:
                return super().find_class(here, name)
            except (ImportError, AttributeError):
                part = importlib.import_module(".".join(here.split(".")[:2]))  # some classes live in another file of the part
                if not hasattr(part, name):
                    raise
                return getattr(part, name)

    return AnyUnpickler
