"""Saving and loading: torch's .pt files, and dictionaries of tensors as .npz and .safetensors.

A .pt file is a zip archive: ``data.pkl`` pickles the object, tensors as (storage, offset, size, stride); ``data/<key>`` holds
the bytes of a storage, which several tensors may share. Files go both ways between this library and torch.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from mini_dl import _dtypes
from mini_dl._device import device, require_cpu
from mini_dl._dtypes import Array
from mini_dl._files import File, replaced, written_archive
from mini_dl._npz import load_npz as load_npz
from mini_dl._npz import save_npz as save_npz
from mini_dl._safetensors import load_safetensors as load_safetensors
from mini_dl._safetensors import save_safetensors as save_safetensors
from mini_dl._surface import public
from mini_dl.nn.parameter import Buffer, Parameter
from mini_dl.tensor import LEAF, Size, Tensor, wrap

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
}
"""By the name of the type; uint16, uint32 and uint64 have untyped storages, of bytes."""

# ------------------------------------------------------------------------------------------------ .pt: writing


@public("torch")
def save(
    obj: Any,
    f: File,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write `obj`, tensors and all, to a .pt file that torch can read. Tensors that look into one memory still do when loaded.

    A file is replaced whole or not at all: after an error, a full disk or a kill the old one is there.

    ValueError for torch's old format, which is not a zip archive.
    """
    if not _use_new_zipfile_serialization:
        raise ValueError("only torch's zip format can be written")
    pickled = io.BytesIO()
    writer = _Writer(pickled, pickle_protocol)
    writer.dump(obj)
    name = os.path.splitext(os.path.basename(os.fspath(f)))[0] if isinstance(f, (str, os.PathLike)) else "archive"
    with replaced(f) as file, written_archive(file) as archive:
        archive.writestr(_entry(name, "data.pkl"), pickled.getvalue())
        if not _disable_byteorder_record:
            archive.writestr(_entry(name, "byteorder"), sys.byteorder)
        for key, content in enumerate(writer.contents):
            archive.writestr(_entry(name, f"data/{key}"), content.tobytes())
        archive.writestr(_entry(name, "version"), "3\n")


def _entry(name: str, record: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{name or 'archive'}/{record}")  # dated 1980, so that equal objects make equal files


class _Global:
    """A name of torch's, written into a pickle without torch."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Pickles call functions only; this one is never called here."""


_global = functools.cache(_Global)


class _Storage:
    """A stretch of memory that tensors look into: `elements` are its values from the lowest address on."""

    def __init__(self, key: int, elements: Array, owner: Array) -> None:
        self.key, self.elements, self.owner = key, elements, owner  # the owner is held: its address must stay its own

    def persistent_id(self) -> tuple[Any, ...]:
        kind = STORAGES.get(self.elements.dtype.name)
        if kind is None:
            return "storage", _global("torch.storage", "UntypedStorage"), str(self.key), "cpu", self.elements.nbytes
        return "storage", _global("torch", kind), str(self.key), "cpu", self.elements.size


_PythonPickler: Any = pickle._Pickler  # type: ignore[attr-defined]  # the other looks each name up by importing its module


class _Writer(_PythonPickler):  # type: ignore[misc]
    def __init__(self, file: BinaryIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.contents: list[Array] = []
        self.storages: dict[Any, _Storage] = {}

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _dtypes.dtype):
            obj = _global("torch", obj.name)
        if type(obj) is _Global:
            known = self.memo.get(id(obj))
            if known is not None:
                self.write(self.get(known[0]))
            else:
                self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
                self.memoize(obj)
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj: Any) -> Any:
        return obj.persistent_id() if type(obj) is _Storage else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Parameter) and type(obj) is Parameter:
            plain = wrap(obj._array)
            plain._counter, plain._edge = obj._counter, obj._edge
            return _global("torch._utils", "_rebuild_parameter"), (plain, obj._edge is not None, OrderedDict())
        if type(obj) in (Tensor, Buffer):
            return self._tensor(obj)
        if isinstance(obj, device):
            return _global("torch", "device"), (obj.type,) if obj.index is None else (obj.type, obj.index)
        if isinstance(obj, Size):
            return _global("torch", "Size"), (tuple(obj),)
        return NotImplemented

    def _tensor(self, tensor: Tensor) -> Any:
        storage, offset, strides = self._located(tensor)
        wanted = tensor._edge is not None
        common: tuple[Any, ...] = (storage, offset, tuple(tensor._array.shape), strides, wanted, OrderedDict())
        if tensor._array.dtype.name in STORAGES:
            return _global("torch._utils", "_rebuild_tensor_v2"), common
        return _global("torch._utils", "_rebuild_tensor_v3"), (*common, tensor.dtype)

    def _located(self, tensor: Tensor) -> tuple[_Storage, int, tuple[int, ...]]:
        """The storage of a tensor, and where in it the tensor looks, in elements. A view shares that of its base."""
        array = tensor._array
        root = array if tensor._base is None else tensor._base._array
        steps = (*array.strides, *root.strides)
        if root.dtype != array.dtype or any([step < 0 or step % array.itemsize for step in steps]):
            array = root = np.ascontiguousarray(array)
        low, high = np.lib.array_utils.byte_bounds(root)
        count = (high - low) // root.itemsize if root.size else 0
        place = (low, count, root.dtype.name)
        storage = self.storages.get(place) if count else None
        if storage is None:
            elements = np.lib.stride_tricks.as_strided(root, (count,), (root.itemsize,))
            storage = _Storage(len(self.contents), elements, root)
            self.contents.append(elements)
            self.storages[place] = storage
        offset = (array.__array_interface__["data"][0] - low) // array.itemsize if array.size else 0
        return storage, offset, tuple([stride // array.itemsize for stride in array.strides])


# ------------------------------------------------------------------------------------------------ .pt: reading


@public("torch")
def load(
    f: File, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = None, mmap: bool | None = None
) -> Any:
    """Read what `save`, or torch, wrote to a .pt file. All tensors come to the CPU, wherever they were.

    Unless `weights_only` is False, a file may name nothing but tensors, their types and plain containers (`add_safe_globals` adds
    names): a pickle can run any code, so trust whoever wrote a file before you allow more. bfloat16 becomes float32. `mmap` is
    accepted and has no effect.

    UnpicklingError for a name that is not allowed; RuntimeError for a file that is no zip archive or lacks a record.
    """
    if map_location is not None and isinstance(map_location, (str, device)):
        require_cpu(map_location)
    source: Any = os.fspath(f) if isinstance(f, (str, os.PathLike)) else f
    try:
        archive = zipfile.ZipFile(source)
    except zipfile.BadZipFile as error:
        raise RuntimeError(f"not a .pt file in torch's zip format: {error}") from None
    with archive:
        records = {name.partition("/")[2]: name for name in archive.namelist()}
        if "data.pkl" not in records:
            raise RuntimeError(f"not a .pt file: it has no record data.pkl, only {sorted(records)}")
        reader = _Reader(archive, records, weights_only is not False)
        try:
            return reader.load()
        except pickle.UnpicklingError as error:
            if weights_only is False:
                raise
            raise pickle.UnpicklingError(
                f"Weights only load failed. {error} Only if you trust whoever wrote the file, pass weights_only=False, or allow "
                "the name with mini_dl.serialization.add_safe_globals."
            ) from None


class _Stored:
    """A storage as read: its elements, and the version counter that tensors over one memory share."""

    def __init__(self, elements: Array) -> None:
        self.elements, self.counter = elements, [0]


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, records: dict[str, str], restricted: bool) -> None:
        super().__init__(io.BytesIO(archive.read(records["data.pkl"])), encoding="utf-8")
        self.archive, self.records, self.restricted = archive, records, restricted
        big = "byteorder" in records and archive.read(records["byteorder"]) == b"big"
        self.swapped = big != (sys.byteorder == "big")
        self.stored: dict[str, _Stored] = {}

    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if path in ALLOWED:
            return ALLOWED[path]
        if path in _safe:
            return _safe[path]
        if self.restricted:
            raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {path} was not an allowed global by default.")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> _Stored:
        kind, storage, key = pid[:3]
        if kind != "storage" or not isinstance(storage, str):
            raise pickle.UnpicklingError(f"unknown persistent id {pid!r}")
        if key not in self.stored:
            record = self.records.get(f"data/{key}")
            if record is None:
                raise RuntimeError(f"the file lacks the record data/{key}")
            self.stored[key] = _Stored(_elements(self.archive.read(record), storage, self.swapped))
        return self.stored[key]


def _elements(content: bytes, kind: str, swapped: bool) -> Array:
    """The values of a storage, in memory of its own."""
    name = "uint16" if kind == "bfloat16" else kind
    elements = np.frombuffer(bytearray(content), name)
    if swapped and elements.itemsize > 1:
        elements = elements.byteswap()
    return _dtypes.from_bfloat16(elements) if kind == "bfloat16" else elements


def _rebuild_tensor_v2(
    storage: _Stored, offset: int, size: Any, stride: Any, requires_grad: bool = False, hooks: Any = None, metadata: Any = None
) -> Tensor:
    return _rebuilt(storage, storage.elements, offset, size, stride, requires_grad)


def _rebuild_tensor_v3(
    storage: _Stored, offset: int, size: Any, stride: Any, requires_grad: bool, hooks: Any, dtype: Any, metadata: Any = None
) -> Tensor:
    if not isinstance(dtype, _dtypes.dtype):
        raise pickle.UnpicklingError(f"tensors of type {dtype} cannot be read")
    return _rebuilt(storage, storage.elements.view(dtype.numpy), offset, size, stride, requires_grad)


def _rebuilt(storage: _Stored, elements: Array, offset: int, size: Any, stride: Any, requires_grad: bool) -> Tensor:
    size, stride = tuple(size), tuple(stride)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    fits = len(size) == len(stride) and min((offset, *size, *stride)) >= 0 and (0 in size or last < len(elements))
    if not fits:
        raise RuntimeError(
            f"a tensor of size {list(size)}, stride {list(stride)} and offset {offset} does not fit its storage of "
            f"{len(elements)} elements"
        )
    if 0 in size:
        array = np.empty(size, elements.dtype)
    else:
        bytes_ = [step * elements.itemsize for step in stride]
        array = np.lib.stride_tricks.as_strided(elements[offset:], size, bytes_)
    tensor = wrap(array)
    tensor._counter = storage.counter
    tensor._edge = LEAF if requires_grad else None
    return tensor


def _rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any = None) -> Parameter:
    return Parameter(data.detach(), requires_grad)


ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "_codecs.encode": lambda text, encoding: text.encode(encoding),
    "builtins.bytearray": bytearray,
    "builtins.set": set,
    "builtins.complex": complex,
    "__builtin__.bytearray": bytearray,
    "__builtin__.set": set,
    "__builtin__.complex": complex,
    "torch.Size": Size,
    "torch.device": device,
    "torch.nn.parameter.Parameter": Parameter,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch.BFloat16Storage": "bfloat16",
    "torch.storage.UntypedStorage": "uint8",
    **{f"torch.{storage}": name for name, storage in STORAGES.items()},
    **{f"torch.{name}": kind for name, kind in _dtypes.NAMES.items()},
}
"""What a file may name: functions, classes and, for storages, the type of their elements."""

_safe: dict[str, Any] = {}


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let files name these functions and classes, or, as pairs (object, name), these objects under that name."""
    for item in safe_globals:
        value, path = item if isinstance(item, tuple) else (item, f"{item.__module__}.{item.__qualname__}")
        _safe[path] = value


def get_safe_globals() -> list[Any]:
    """What was added."""
    return list(_safe.values())


def clear_safe_globals() -> None:
    """Forget what was added."""
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """Let files name these within a block."""
    before = dict(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)
