"""Writing .pt files that torch reads: a zip archive, or the older format."""

from __future__ import annotations

import codecs
import copyreg
import functools
import io
import pickle
import struct
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._device import device, layout, memory_format
from mini_dl._dtypes import Array
from mini_dl._surface import namespace
from mini_dl.autograd.graph import Handle
from mini_dl.files.pt import settings
from mini_dl.files.pt.locations import is_extended, location_tag
from mini_dl.files.pt.names import RESULTS
from mini_dl.files.pt.reading import MAGIC, PROTOCOL
from mini_dl.files.pt.rebuild import is_taken
from mini_dl.files.pt.storages import BFLOAT16, STORAGES, Memory, TypedStorage
from mini_dl.files.pt.torch_names import name_in_torch
from mini_dl.files.replacing import written_archive
from mini_dl.kernels.mersenne import Generator
from mini_dl.nn.modules.conv import _ConvNd
from mini_dl.nn.modules.module import Module
from mini_dl.nn.modules.rnn import RNNBase
from mini_dl.nn.parameter import Parameter, UninitializedTensorMixin
from mini_dl.ops import storages
from mini_dl.ops.attributes import UntypedStorage
from mini_dl.ops.creation import TensorType
from mini_dl.ops.memory import strides_of
from mini_dl.ops.pickling import has_default_state, state_of
from mini_dl.tensor import Size, Tensor, wrap


def write_pt(
    obj: object, file: object, *, name: str = "archive", protocol: int = 2, byteorder: bool = True, archive: bool = True
) -> None:
    """Write `obj` to a binary file object, which needs only ``write``; `name` is the folder in the archive.

    Without `archive`, the old format is written. Equal objects give equal files.
    """
    if settings.here.skipping and not archive:
        raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")
    pickled = io.BytesIO()
    writer = _Writer(pickled, protocol, archive)
    writer.dump(obj)
    if not archive:
        _write_old_format(pickled.getvalue(), writer.contents, file, protocol)
        return
    sink = _Sink(file)
    with written_archive(sink) as records:
        _write_record(records, sink, f"{name}/data.pkl", pickled.getvalue())
        if byteorder:
            _write_record(records, sink, f"{name}/byteorder", sys.byteorder.encode())
        for key, content in enumerate(writer.contents):
            _write_record(
                records,
                sink,
                f"{name}/data/{key}",
                bytes(content.nbytes) if settings.here.skipping else content.view(np.uint8).data,
            )
        _write_record(records, sink, f"{name}/version", b"3\n")


def write_pickle(obj: object, file: object) -> None:
    """Write a plain pickle of `obj` with torch's names; RuntimeError if it contains tensors."""
    writer = _Writer(file, 2, True)
    writer.dump(obj)
    if writer.contents:
        raise RuntimeError("a plain pickle holds no tensors: use save")


class _Sink:
    """A file written only forward, from its current position on: archive offsets count from there."""

    def __init__(self, file: Any) -> None:
        self.file, self.count = file, 0

    def write(self, content: Any) -> int:
        self.file.write(content)
        self.count += memoryview(content).nbytes
        return memoryview(content).nbytes

    def flush(self) -> None:
        getattr(self.file, "flush", int)()


def _write_record(records: zipfile.ZipFile, sink: _Sink, name: str, content: Any) -> None:
    entry = zipfile.ZipInfo(name)  # dated 1980, so that equal objects give equal files
    longer = 20 if len(content) * 1.05 > zipfile.ZIP64_LIMIT else 0  # zipfile's own extra field
    start = sink.count + 30 + len(name.encode()) + longer + 4
    padding = -start % settings.save.storage_alignment  # so that the file can be mapped
    entry.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    records.writestr(entry, content)
    if not settings.save.compute_crc32:
        entry.CRC = 0  # in the directory, which readers use: none was computed


def _write_old_format(pickled: bytes, contents: list[Array], file: Any, protocol: int) -> None:
    sizes = {"short": struct.calcsize("=h"), "int": struct.calcsize("=i"), "long": struct.calcsize("=l")}
    system = {"protocol_version": PROTOCOL, "little_endian": sys.byteorder == "little", "type_sizes": sizes}
    for part in (MAGIC, PROTOCOL, system):
        pickle.dump(part, file, protocol)
    file.write(pickled)
    order = sorted(range(len(contents)), key=str)
    pickle.dump([str(key) for key in order], file, protocol)
    for key in order:
        content = contents[key]
        file.write(len(content).to_bytes(8, "little"))
        file.write(content.astype(content.dtype.newbyteorder("<"), copy=False).view(np.uint8).data)


class _Global:
    """One of torch's names, written into a pickle without torch."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Pickles call only functions; this one is never called here."""


_global = functools.cache(_Global)


class _Storage:
    """A range of memory that tensors share: `elements` are its values from the lowest address on."""

    def __init__(self, key: int, elements: Array, owner: object, kind: _Global) -> None:
        self.key, self.elements, self.owner = key, elements, owner  # holds the owner, so that its address is not reused
        self.kind = kind


_PythonPickler: Any = pickle._Pickler  # the other pickler imports the module of each name


class _Writer(_PythonPickler):  # type: ignore[misc]
    def __init__(self, file: Any, protocol: int, archive: bool) -> None:
        super().__init__(file, protocol)
        self.archive = archive
        self.contents: list[Array] = []
        self.storages: dict[tuple[int, int], _Storage] = {}
        self.ordered: dict[int, tuple[Any, Any]] = {}  # by the id of a dictionary, which is kept alive

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _dtypes.dtype):
            obj = _global("torch", obj.name)
        elif obj is Tensor:
            obj = _global("torch", "Tensor")
        elif obj is Parameter:
            obj = _global("torch.nn.parameter", "Parameter")
        elif obj is Size or obj is device or isinstance(obj, TensorType):
            obj = _global("torch", obj.__name__)
        elif isinstance(obj, (type, types.FunctionType)):
            named = name_in_torch(obj)
            obj = obj if named is None else _global(*named)
        if type(obj) is bytes and not obj and self.proto < 3:  # the default reduction names a class that files may not name
            self.save_reduce(codecs.encode, ("", "latin1"), obj=obj)
        elif type(obj) is _Global:
            known = self.memo.get(id(obj))
            if known is not None:
                self.write(self.get(known[0]))
            else:
                self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
                self.memoize(obj)
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj: object) -> Any:
        if isinstance(obj, UntypedStorage):
            obj = self._storage_of_bytes(obj)
        if type(obj) is not _Storage:
            return None
        location = location_tag(UntypedStorage(obj.elements.view(np.uint8))) if is_extended() else "cpu"
        described = "storage", obj.kind, str(obj.key), location, obj.elements.size
        return described if self.archive else (*described, None)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor) and not isinstance(obj, UninitializedTensorMixin):
            return self._reduced(obj)
        if isinstance(obj, Module):
            return self._reduced_module(obj)
        if isinstance(obj, Handle):
            hooks, number, marks = obj.__getstate__()
            return copyreg.__newobj__, (Handle,), (self._ordered(hooks), number, tuple(map(self._ordered, marks)))  # type: ignore[attr-defined]
        if isinstance(obj, device):
            return _global("torch", "device"), (obj.type,) if obj.index is None else (obj.type, obj.index)
        if isinstance(obj, Size):
            return _global("torch", "Size"), (tuple(obj),)
        if type(obj).__module__ == RESULTS and type(obj).__name__ in namespace("return_types"):
            return _global(RESULTS, type(obj).__name__), (tuple(obj), {})
        if isinstance(obj, Generator):
            return _global("torch._C", "Generator"), (device("cpu"),), (obj.initial_seed(), None, wrap(obj.dump()))
        if isinstance(obj, layout) and not isinstance(obj, memory_format):
            return _global("torch.serialization", "_get_layout"), (repr(obj),)
        return NotImplemented

    def _reduced(self, tensor: Tensor) -> Any:
        """The function and arguments that rebuild `tensor`; those of its class if that defines its own."""
        if tensor._sparse and isinstance(tensor, Parameter):
            data = tensor.detach()
            data._is_param = False  # type: ignore[attr-defined]
            return _global("torch._utils", "_rebuild_parameter"), (data, tensor.requires_grad, OrderedDict())
        if tensor._sparse:
            return self._sparse(tensor)
        cls = type(tensor)
        if cls.__reduce_ex__ not in (Tensor.__reduce_ex__, Parameter.__reduce_ex__) or cls.__reduce__ is not Tensor.__reduce__:
            return NotImplemented
        state = readable_state(tensor)
        if cls.__reduce_ex__ is Parameter.__reduce_ex__:  # which drops the class, as torch's pickles do
            plain = wrap(tensor._array)
            plain._base, plain._counter = tensor._base, tensor._counter
            common: tuple[Any, ...] = plain, tensor._edge is not None, OrderedDict()
            rebuild = "_rebuild_parameter_with_state" if state else "_rebuild_parameter"
            return _global("torch._utils", rebuild), (*common, state) if state else common
        function, arguments = self._dense(tensor)
        if cls is Tensor and not state:
            return function, arguments
        return _global("torch._tensor", "_rebuild_from_type_v2"), (function, cls, arguments, state)

    def _sparse(self, tensor: Any) -> Any:
        size = Size(tensor.whole)
        if tensor.layout.name == "sparse_coo":
            parts: tuple[Any, ...] = tensor._indices(), tensor.detach()._values(), size, tensor.is_coalesced()
        else:
            parts = *tensor.index, tensor.detach()._values(), size
        return _global("torch._utils", "_rebuild_sparse_tensor"), (tensor.layout, parts)

    def _reduced_module(self, module: Module) -> Any:
        """The pickled state of a module, with the attributes of torch's module of this class."""
        reduced = module.__reduce_ex__(self.proto)
        if not isinstance(reduced, tuple) or len(reduced) < 3 or not isinstance(reduced[2], dict):
            return reduced
        state = dict(reduced[2])
        for name in module._NAMES_OF_HOOKS:
            if type(state.get(name)) is dict:
                state[name] = self._ordered(state[name])
        if isinstance(module, RNNBase):
            state["_flat_weights_names"], state["_flat_weights"] = module._flat_weights_names, module._flat_weights
        elif isinstance(module, _ConvNd):
            state["transposed"], state["_reversed_padding_repeated_twice"] = (
                module.transposed,
                module._reversed_padding_repeated_twice,
            )
        return *reduced[:2], state, *reduced[3:]

    def _ordered(self, hooks: object) -> Any:
        """A dictionary of hooks as in torch, ordered; the same one wherever it is needed."""
        if type(hooks) is not dict:
            return hooks
        return self.ordered.setdefault(id(hooks), (OrderedDict(hooks), hooks))[0]

    def _dense(self, tensor: Tensor) -> tuple[_Global, tuple[Any, ...]]:
        if tensor.is_leaf and tensor._hooks is not None and any(tensor._hooks.tensor.values()):
            warnings.warn("a backward hook on a tensor will not be serialized", UserWarning, stacklevel=2)
        wanted = tensor.requires_grad
        if tensor.is_meta:
            shape = tuple(tensor._array.shape)
            return _global("torch._utils", "_rebuild_meta_tensor_no_storage"), (tensor.dtype, shape, tensor.stride(), wanted)
        storage, offset, strides = self._located(tensor)
        common: tuple[Any, ...] = (storage, offset, tuple(tensor._array.shape), strides, wanted, OrderedDict())
        if tensor._array.dtype.name in STORAGES:
            return _global("torch._utils", "_rebuild_tensor_v2"), common
        return _global("torch._utils", "_rebuild_tensor_v3"), (*common, tensor.dtype)

    # ---------------------------------------------------------------------------------------- storages

    def _located(self, tensor: Tensor) -> tuple[_Storage, int, tuple[int, ...]]:
        """The storage of a tensor, and the offset of the tensor in it, in elements. A view shares the storage of its base."""
        array = tensor._array
        if array.dtype.byteorder == ">" or (array.dtype.byteorder == "<" and sys.byteorder == "big"):
            array = array.astype(array.dtype.newbyteorder("="))
        low, high, owner = _memory_of(array, tensor)
        steps = [step for n, step in zip(array.shape, array.strides) if n > 1]
        start = array.__array_interface__["data"][0]
        if array.size and ((start - low) % array.itemsize or any([step < 0 or step % array.itemsize for step in steps])):
            array = np.ascontiguousarray(array)
            low, high = np.lib.array_utils.byte_bounds(array)
            start, owner = low, array
        count = (high - low) // array.itemsize if array.size else 0
        storage = self._storage(low, count, array.dtype, owner)
        return storage, (start - low) // array.itemsize if array.size else 0, strides_of(array)

    def _storage(self, low: int, count: int, kind: np.dtype[Any], owner: object) -> _Storage:
        """The storage of this memory. RuntimeError if the file already has it with elements of another type."""
        name = STORAGES.get(kind.name)
        known = self.storages.get((low, count * kind.itemsize)) if count else None
        if known is not None:
            if known.elements.dtype != (kind if name else np.uint8):
                raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")
            return known
        elements = _bytes_at(low, count * kind.itemsize, owner).view(kind if name else np.uint8)
        typed = _global("torch", name) if name else _global("torch.storage", "UntypedStorage")
        made = _Storage(len(self.contents), elements, owner, typed)
        self.contents.append(elements)
        if count:
            self.storages[low, count * kind.itemsize] = made
        return made

    def _storage_of_bytes(self, storage: UntypedStorage) -> _Storage:
        memory = storage._bytes
        if not isinstance(storage, storages.TypedStorage):
            return self._storage(storage.data_ptr(), memory.nbytes, memory.dtype, memory)
        halves = isinstance(storage, TypedStorage) and storage._kind.name == BFLOAT16
        kind = np.dtype(np.uint16) if halves else storage.dtype.numpy
        made = self._storage(storage.data_ptr(), memory.nbytes // kind.itemsize, kind, memory)
        if halves:
            made.kind, made.elements = _global("torch", "BFloat16Storage"), made.elements.view(np.uint16)
        return made


def readable_state(tensor: Tensor) -> Any:
    """The `state_of` a tensor, without attribute names that files may not use, and with a warning for them."""
    state = state_of(tensor)
    for part in state if isinstance(state, tuple) else (state,):
        for name in [name for name in part if is_taken(name)] if has_default_state(type(tensor)) else ():
            warnings.warn(
                f"the attribute {name!r} of a tensor hides one that all tensors have, or Python's, and is not written",
                stacklevel=2,
            )
            del part[name]
    return state


def _memory_of(array: Array, tensor: Tensor) -> tuple[int, int, Any]:
    """The memory written for a tensor: its first and last address, and the owner that keeps it alive."""
    if not array.size:
        return 0, 0, array
    root = array if tensor._base is None or tensor._array is not array else tensor._base._array
    block = root
    while isinstance(block.base, np.ndarray) and not isinstance(block, Memory):
        block = block.base
    bytes_of_tensors = block.dtype == np.uint8 and block.ndim == 1 and block.flags.c_contiguous and root.dtype != np.uint8
    if not isinstance(block, Memory) and not bytes_of_tensors:
        block = root
    return *np.lib.array_utils.byte_bounds(block), block


class _Window:
    def __init__(self, address: int, nbytes: int, owner: object) -> None:
        self.__array_interface__ = {"data": (address, True), "shape": (nbytes,), "typestr": "|u1", "version": 3}
        self.owner = owner


def _bytes_at(address: int, nbytes: int, owner: object) -> Array:
    """The bytes from an address on, in memory that `owner` keeps alive."""
    return np.asarray(_Window(address, nbytes, owner)) if nbytes else np.empty(0, np.uint8)
