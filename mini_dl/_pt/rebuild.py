"""Tensors from storages: what the functions do that torch's files name."""

from __future__ import annotations

import math
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _device, _dtypes
from mini_dl._device import device
from mini_dl._dtypes import Array
from mini_dl._pt.errors import FileError, RecordError, RefusedError
from mini_dl._pt.unpickler import Globals, Missing, check_keys, set_pairs
from mini_dl.nn.parameter import Parameter
from mini_dl.ops.views import UntypedStorage
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
BFLOAT16 = "bfloat16"
DENSE_LIMIT = 2**28
"""A sparse tensor may take so many bytes as a dense one."""
LARGEST = 2**62


class Memory(np.ndarray[Any, Any]):
    """The bytes of a storage that was read: what looks into it shares them, also when it is saved again."""

    awaited_by: TypedStorage | None = None  # the storage, while its contents are still to be read


def memory_of_bytes(buffer: Any, start: int = 0, size: int | None = None) -> Memory:
    """Memory over a buffer, or a part of it."""
    return Memory((len(buffer) if size is None else size,), np.uint8, buffer, start)  # over no array: those would be looked through


class StorageType:
    """``torch.FloatStorage`` and the like, as far as files name them: the type of the elements of a storage."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def dtype(self) -> _dtypes.dtype:
        return _dtypes.NAMES["float32" if self.name == BFLOAT16 else self.name]

    @property
    def itemsize(self) -> int:
        return 2 if self.name == BFLOAT16 else self.dtype.itemsize

    def __repr__(self) -> str:
        return f"StorageType(dtype={self.dtype})"


UNTYPED = StorageType("uint8")


class TypedStorage(UntypedStorage):
    """A storage as a file has it: elements of one type, which tensors share, and their version with them.

    Also what a storage that was saved by itself is read as: ``tolist()``, ``len()`` and indices are those of the elements.
    """

    def __init__(self, memory: Array, kind: StorageType) -> None:
        super().__init__(memory)
        self._kind, self._counter = kind, [0]
        self._derived: dict[Any, tuple[Array, list[int]]] = {}
        self._used_early = False

    def await_contents(self) -> None:
        """Mark the contents as still to be read."""
        if isinstance(self._bytes, Memory):
            self._bytes.awaited_by = self

    def arrived(self) -> bool:
        """Mark the contents as read. Whether something was computed from them before, which is forgotten."""
        if isinstance(self._bytes, Memory):
            self._bytes.awaited_by = None
        self._derived.clear()
        return self._used_early

    @property
    def dtype(self) -> _dtypes.dtype:
        """The type of the elements, as which the file names them."""
        return self._kind.dtype

    @property
    def elements(self) -> Array:
        """The elements, without a copy but for bfloat16."""
        size = self._kind.itemsize
        whole = self._bytes[: self._bytes.nbytes // size * size].view(np.ndarray)
        return from_bfloat16(whole.view(np.uint16)) if self._kind.name == BFLOAT16 else whole.view(self._kind.name)

    def size(self) -> int:
        """The number of elements."""
        return len(self.elements)

    __len__ = size

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        return self.elements.tolist()

    def __getitem__(self, index: Any) -> Any:
        return self.elements[index].item()

    def __repr__(self) -> str:
        return f"{self.elements}\n[TypedStorage(dtype={self.dtype}, device=cpu) of size {len(self)}]"

    def untyped(self) -> UntypedStorage:
        """The bytes of this storage."""
        return UntypedStorage(self._bytes)

    def cpu(self) -> TypedStorage:
        """This storage."""
        return self

    def memory(self, kind: str, conj: bool, neg: bool) -> tuple[Array, list[int]]:
        """Bytes, and a version, for tensors of type `kind`; of the conjugate or the negative of all elements if asked for."""
        if kind != BFLOAT16 and not conj and not neg:
            return self._bytes, self._counter
        key = kind, conj, neg
        self._used_early = getattr(self._bytes, "awaited_by", None) is not None
        if key not in self._derived:
            size = StorageType(kind).itemsize
            whole = self._bytes[: self._bytes.nbytes // size * size]
            elements = from_bfloat16(whole.view(np.uint16)) if kind == BFLOAT16 else whole.view(kind)
            elements = np.conjugate(elements) if conj else elements
            elements = np.negative(elements) if neg else elements
            self._derived[key] = memory_of_bytes(bytearray(elements.tobytes())), [0]
        return self._derived[key]


def from_bfloat16(halves: Array) -> Array:
    """bfloat16 is the upper half of a float32."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def warn_of_bfloat16(what: str) -> None:
    warnings.warn(f"{what} is read as float32: mini_dl has no type bfloat16", UserWarning, stacklevel=2)


# ------------------------------------------------------------------------------------------------ dense tensors


def rebuild_tensor(storage: Any, storage_offset: Any, size: Any, stride: Any) -> Tensor:
    return _rebuilt(_storage(storage), storage._kind.name, storage_offset, size, stride, False, None)


def rebuild_tensor_v2(
    storage: Any, storage_offset: Any, size: Any, stride: Any, requires_grad: Any, backward_hooks: Any, metadata: Any = None
) -> Tensor:
    _refuse_hooks(backward_hooks)
    return _rebuilt(_storage(storage), storage._kind.name, storage_offset, size, stride, requires_grad, metadata)


def rebuild_tensor_v3(
    storage: Any,
    storage_offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    _refuse_hooks(backward_hooks)
    if not isinstance(dtype, _dtypes.dtype):
        raise FileError(f"the type of a tensor is a dtype, not {type(dtype).__name__}")
    return _rebuilt(_storage(storage), dtype.name, storage_offset, size, stride, requires_grad, metadata)


def _storage(value: Any) -> TypedStorage:
    if not isinstance(value, TypedStorage):
        raise FileError(f"a tensor needs a storage, not {type(value).__name__}")
    return value


def _refuse_hooks(hooks: Any) -> None:
    if isinstance(hooks, dict) and hooks:
        warnings.warn("backward hooks in a file are not read", UserWarning, stacklevel=2)


def _rebuilt(storage: TypedStorage, kind: str, offset: Any, size: Any, stride: Any, requires_grad: Any, metadata: Any) -> Tensor:
    flags = metadata or {}
    if not isinstance(flags, dict) or not all([type(name) is str and type(on) is bool for name, on in flags.items()]):
        raise FileError("the metadata of a tensor are names with True or False")
    conj, neg = flags.get("conj", False), flags.get("neg", False)
    numpy_dtype = np.dtype(np.float32 if kind == BFLOAT16 else kind)
    if conj and numpy_dtype.kind != "c":
        raise RecordError(f"only a complex tensor can be a conjugate, not one of {numpy_dtype.name}")
    if kind == BFLOAT16:
        warn_of_bfloat16("a bfloat16 tensor")
    memory, counter = storage.memory(kind, conj, neg)
    tensor = wrap(_looking(memory, numpy_dtype, offset, _sizes(size), _sizes(stride)))
    tensor._counter = counter
    return set_requires_grad(tensor, requires_grad)


def set_requires_grad(tensor: Tensor, wanted: Any) -> Tensor:
    """The tensor, which from now on requires grad or not. RuntimeError if its type cannot."""
    if type(wanted) is not bool:
        raise FileError(f"requires_grad must be a bool, not {type(wanted).__name__}")
    if wanted and tensor._array.dtype.kind not in "fc":
        raise RecordError("only Tensors of floating point and complex dtype can require gradients")
    tensor._edge = LEAF if wanted else None
    return tensor


def _sizes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or not all([type(n) is int and -LARGEST < n < LARGEST for n in values]):
        raise FileError("sizes and strides are tuples of integers")
    return tuple(values)


def _looking(memory: Array, kind: np.dtype[Any], offset: Any, size: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """The array of this geometry, in elements, over `memory`, in bytes. RecordError if it does not fit."""
    if type(offset) is not int or offset < 0 or offset >= LARGEST:
        raise RecordError(f"Tensor: invalid storage offset {offset if type(offset) is int else type(offset).__name__}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    fits = len(size) == len(stride) and min((0, *size, *stride)) >= 0 and (0 in size or (last + 1) * kind.itemsize <= memory.nbytes)
    if not fits:
        raise RecordError(
            f"a tensor of size {list(size)}, stride {list(stride)} and offset {offset} does not fit its storage of "
            f"{memory.nbytes // kind.itemsize} elements"
        )
    try:
        if 0 in size:
            return np.empty(size, kind)
        strides = [step * kind.itemsize for step in stride]
        return np.ndarray(size, kind, memory, offset * kind.itemsize, strides)
    except (ValueError, OverflowError) as error:
        raise RecordError(f"a tensor of size {list(size)} and stride {list(stride)} cannot be made: {error}") from None


def rebuild_parameter(data: Any, requires_grad: Any, backward_hooks: Any) -> Parameter:
    _refuse_hooks(backward_hooks)
    return _parameter(data, requires_grad)


def rebuild_parameter_with_state(data: Any, requires_grad: Any, backward_hooks: Any, state: Any) -> Parameter:
    _refuse_hooks(backward_hooks)
    parameter = _parameter(data, requires_grad)
    set_attributes(parameter, state)
    return parameter


def _parameter(data: Any = None, requires_grad: Any = True) -> Parameter:
    if data is not None and not isinstance(data, Tensor):
        raise FileError(f"the data of a parameter are a tensor, not {type(data).__name__}")
    parameter = Parameter(None if data is None else data.detach(), False)
    set_requires_grad(parameter, requires_grad)
    return parameter


def rebuild_from_type_v2(function: Any, new_type: Any, arguments: Any, state: Any) -> Any:
    call = CALLS.get(id(function))
    if call is None or type(arguments) is not tuple:
        raise FileError("a tensor is rebuilt by one of torch's functions and a tuple of arguments")
    made = call(*arguments)
    if not isinstance(made, Tensor) or not (isinstance(new_type, type) and issubclass(new_type, Tensor)):
        raise FileError("what is rebuilt, and what it becomes, is a tensor")
    if type(made) is not new_type:
        made = made.as_subclass(new_type) if hasattr(made, "as_subclass") else _of_type(made, new_type)
    own = getattr(new_type, "__setstate__", None)
    if own is not None and own is not getattr(Tensor, "__setstate__", None):
        made.__setstate__(state)
    else:
        set_attributes(made, state)
    return made


def _of_type(tensor: Tensor, cls: type[Tensor]) -> Tensor:
    """The memory and flags of `tensor` in an object of class `cls`."""
    made: Tensor = object.__new__(cls)
    made.__dict__.update(tensor.__dict__)
    return made


def set_attributes(tensor: Tensor, state: Any) -> None:
    """Give a tensor the Python attributes in `state`, but none that its class has of its own."""
    states = state if isinstance(state, tuple) else (state,)
    if len(states) > 2 or not all([part is None or isinstance(part, dict) for part in states]):
        raise RecordError("Invalid serialized state: attributes are a dictionary, or two")
    for part in states:
        for name, value in (part or {}).items():
            if type(name) is not str or name in Tensor.__annotations__ or hasattr(Tensor, name):
                shown = repr(name) if type(name) is str else type(name).__name__
                raise FileError(f"a tensor cannot be given the attribute {shown}")
            tensor.__dict__[name] = value


# ------------------------------------------------------------------------------------------------ other tensors


def rebuild_from_cpu(data: Any, dtype: Any, device: Any, requires_grad: Any) -> Tensor:
    """A tensor that was on an accelerator without storages, and comes to the CPU."""
    if not isinstance(data, (Tensor, np.ndarray)) or not isinstance(dtype, _dtypes.dtype):
        raise FileError(f"a tensor and its type are needed, not {type(data).__name__} and {type(dtype).__name__}")
    array = data._array if isinstance(data, Tensor) else data
    _dtypes.of_numpy(array.dtype)
    return set_requires_grad(wrap(array.astype(dtype.numpy, copy=False)), requires_grad)


def rebuild_sparse_tensor(layout: Any, data: Any) -> Tensor:
    """The dense tensor of a sparse one, with a warning; none yet if its contents are still to be read."""
    if _is_early(data):
        return wrap(np.empty(0, np.float32))
    name = layout.name if isinstance(layout, _device.layout) else type(layout).__name__
    if name == "sparse_coo" and isinstance(data, tuple) and len(data) in (3, 4):
        dense = _of_coordinates(*[_array(part) for part in data[:2]], _sizes(data[2]))
    elif name in ("sparse_csr", "sparse_csc") and isinstance(data, tuple) and len(data) == 4:
        dense = _of_rows(*[_array(part) for part in data[:3]], _sizes(data[3]), name == "sparse_csc")
    else:
        raise RefusedError(f"a sparse tensor of layout {name} cannot be read: mini_dl has no sparse tensors")
    warnings.warn(f"a tensor of layout torch.{name} is read as a dense one: mini_dl has no sparse tensors", stacklevel=2)
    return wrap(dense)


def _of_coordinates(indices: Array, values: Array, size: tuple[int, ...]) -> Array:
    """indices (D, N), values (N, *rest) -> (*size of D dimensions, *rest); values at one place are summed."""
    if indices.ndim != 2 or indices.dtype.kind != "i" or values.shape != (indices.shape[1], *size[len(indices) :]):
        raise RecordError("the indices and values of a sparse tensor do not fit its size")
    if indices.size and ((indices < 0) | (indices >= np.array(size[: len(indices)]).reshape(-1, 1))).any():
        raise RecordError("an index of a sparse tensor is outside of its size")
    if min((0, *size)) < 0 or math.prod(size) * values.itemsize > DENSE_LIMIT:
        raise RecordError(
            f"a sparse tensor of size {list(size)} cannot be read: mini_dl has no sparse tensors, and as a dense one it would take "
            f"more than {DENSE_LIMIT} bytes"
        )
    dense = np.zeros(size, values.dtype)
    np.add.at(dense, tuple(indices), values)
    return dense


def _of_rows(ends: Array, places: Array, values: Array, size: tuple[int, ...], by_columns: bool) -> Array:
    """Compressed rows, or columns: those of row r are values[ends[r] : ends[r + 1]], at `places` in it."""
    count = size[1 if by_columns else 0] if len(size) == 2 else -1
    counts = np.diff(ends)
    fits = ends.shape == (count + 1,) and places.ndim == 1 and places.shape == values.shape
    if not fits or ends[0] != 0 or ends[-1] != len(places) or (counts < 0).any():
        raise RecordError("the compressed indices of a sparse tensor do not fit its size")
    compressed = np.repeat(np.arange(count), counts)
    pair = (places, compressed) if by_columns else (compressed, places)
    return _of_coordinates(np.stack(pair).astype(np.int64), values, size)


def _is_early(parts: Any) -> bool:
    waiting = [
        part._array.base.awaited_by
        for part in (parts if isinstance(parts, tuple) else ())
        if isinstance(part, Tensor) and isinstance(part._array.base, Memory)
    ]
    for storage in waiting:
        if storage is not None:
            storage._used_early = True
    return any([storage is not None for storage in waiting])


def _array(value: Any) -> Array:
    if not isinstance(value, Tensor):
        raise FileError(f"the parts of a sparse tensor are tensors, not {type(value).__name__}")
    return value._array


def rebuild_meta_tensor(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Tensor:
    raise RefusedError("a tensor on the device meta has no values, and mini_dl has no such device: save it from another device")


# ------------------------------------------------------------------------------------------------ what files name


def _layout(name: Any) -> _device.layout:
    layouts = {f"torch.{layout.name}": layout for layout in LAYOUTS}
    if type(name) is not str or name not in layouts:
        raise FileError(f"there is no layout {name if type(name) is str else type(name).__name__!r}")
    return layouts[name]


LAYOUTS = (
    _device.strided, _device.sparse_coo, _device.sparse_csr, _device.sparse_csc, _device.sparse_bsr, _device.sparse_bsc,
)  # fmt: skip
ENCODINGS = ("latin1", "latin-1", "ascii", "utf-8", "utf8")


def _encode(text: Any, encoding: Any = "utf-8") -> bytes:
    if type(text) is not str or encoding not in ENCODINGS:
        raise FileError("bytes are kept as a text and one of the encodings " + ", ".join(ENCODINGS))
    return text.encode(encoding)


def _bytearray(content: Any = b"", *encoding: Any) -> bytearray:
    if type(content) is int or (type(content) is str) != (len(encoding) == 1):
        raise FileError("a bytearray is kept by its contents, or by a text and an encoding")
    return bytearray(_encode(content, *encoding) if encoding else content)


def _device_of(where: Any, *index: Any) -> device:
    return device(where, *index)


def _set(values: Any = ()) -> set[Any]:
    members = list(values)
    check_keys(members)
    return set(members)


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    items = _flat(pairs)
    made: OrderedDict[Any, Any] = OrderedDict()
    set_pairs(made, items)
    return made


def _counter(values: Any = ()) -> Counter[Any]:
    if not isinstance(values, dict):
        members = list(values)
        check_keys(members)
        return Counter(members)
    return Counter(values)


def _flat(pairs: Any) -> list[Any]:
    """[key, value, key, value ...] of a dictionary or of pairs."""
    items: list[Any] = []
    for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
        items += [key, value]
    check_keys(items[::2])
    return items


def _size_of(values: Any = ()) -> Size:
    return Size(_sizes(values))


def _plain_tensor(*arguments: Any) -> Tensor:
    if arguments:
        raise FileError("a tensor in a file has its values from a storage")
    return wrap(np.empty(0, _dtypes.default_numpy()))


class TensorClass:
    """``torch.FloatTensor`` and the like, from which the oldest files make tensors."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def made(self, *arguments: Any) -> Tensor:
        if arguments:
            raise FileError("a tensor in a file has its values from a storage")
        return wrap(np.empty(0, self.kind))


def _build_tensor(tensor: Any, state: Any) -> None:
    """What the oldest files do to an empty tensor: give it a storage, an offset, sizes and strides."""
    if not isinstance(state, tuple) or len(state) != 4:
        raise FileError("the state of a tensor is a storage, an offset, sizes and strides")
    made = rebuild_tensor(*state)
    if made._array.dtype != tensor._array.dtype or tensor._array.size or tensor._edge is not None:
        raise RecordError(f"Could not set a tensor of {made._array.dtype} where one of {tensor._array.dtype} was expected")
    tensor._array, tensor._counter = made._array, made._counter


def _build_parameter(parameter: Any, state: Any) -> None:
    if not isinstance(state, tuple) or len(state) not in (3, 4, 5):
        raise FileError("the state of a parameter is a tuple of 3, 4 or 5 values")
    if len(state) == 4:
        _build_tensor(parameter, state)
        return
    if len(state) == 5:
        data, _, hooks, wanted, _ = state
        if not isinstance(data, Tensor):
            raise FileError(f"the data of a parameter are a tensor, not {type(data).__name__}")
        parameter._array, parameter._counter = data._array, data._counter
    else:
        wanted, _, hooks = state
    _refuse_hooks(hooks)
    set_requires_grad(parameter, wanted)


def _build_dictionary(value: Any, state: Any) -> None:
    if not isinstance(state, dict) or not all([type(name) is str for name in state]):
        raise FileError("attributes are a dictionary of names")
    value.__dict__.update(state)


NO_DTYPE = "mini_dl has no such type of elements"
NO_QUANTIZED = "mini_dl has no quantized tensors"
MISSING = {
    **{
        f"torch.{name}": NO_DTYPE
        for name in (
            "complex32", "chalf", "ComplexHalfStorage", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
            "float8_e8m0fnu", "float4_e2m1fn_x2", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
            *[f"{sign}int{bits}" for sign in ("u", "") for bits in range(1, 8)],
        )
    },
    **{
        f"torch.{name}": NO_QUANTIZED
        for name in (
            "qint8", "quint8", "qint32", "quint4x2", "quint2x4", "QInt8Storage", "QUInt8Storage", "QInt32Storage",
            "QUInt4x2Storage", "QUInt2x4Storage", "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine",
            "per_channel_symmetric", "per_channel_affine_float_qparams", "_utils._rebuild_qtensor",
        )
    },
    "torch._utils._rebuild_nested_tensor": "mini_dl has no nested tensors",
    "torch._utils._rebuild_wrapper_subclass": "mini_dl has no tensors without storage",
}  # fmt: skip

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter_with_state,
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
    "torch._utils._rebuild_sparse_tensor": rebuild_sparse_tensor,
    "torch._utils._rebuild_meta_tensor_no_storage": rebuild_meta_tensor,
    "torch._utils._rebuild_device_tensor_from_numpy": rebuild_from_cpu,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": rebuild_from_cpu,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type_v2,
    "torch.serialization._get_layout": _layout,
    "_codecs.encode": _encode,
}
CLASSES: dict[str, tuple[Any, Callable[..., Any]]] = {
    "collections.OrderedDict": (OrderedDict, _ordered),
    "collections.Counter": (Counter, _counter),
    "torch.nn.parameter.Parameter": (Parameter, _parameter),
    "torch.Size": (Size, _size_of),
    "torch.Tensor": (Tensor, _plain_tensor),
    "torch.device": (device, _device_of),
    "builtins.bytearray": (bytearray, _bytearray),
    "builtins.set": (set, _set),
    "builtins.complex": (complex, complex),
}
"""By name: the class, and what making one of it does."""
TYPES = {
    name: TensorClass(kind)
    for kind, storage in STORAGES.items()
    for base in (storage.replace("Storage", "Tensor"),)
    if not kind.startswith("complex")
    for name in (f"torch.{base}", f"torch.cuda.{base}")
}
KNOWN: dict[str, Any] = {
    **{name: Missing(name, why) for name, why in MISSING.items()},
    **FUNCTIONS,
    **{name: cls for name, (cls, _) in CLASSES.items()},
    **TYPES,
    **{
        f"{module}.{storage}": StorageType(kind)
        for kind, storage in {**STORAGES, BFLOAT16: "BFloat16Storage"}.items()
        for module in ("torch", "torch.cuda")
    },
    "torch.storage.UntypedStorage": UNTYPED,
    "torch.UntypedStorage": UNTYPED,
    **{f"torch.{name}": kind for name, kind in _dtypes.NAMES.items()},
}
"""What a file may name."""
CALLS: dict[int, Callable[..., Any]] = {
    **{id(function): function for function in FUNCTIONS.values()},
    **{id(cls): call for cls, call in CLASSES.values()},
    **{id(kind): kind.made for kind in TYPES.values()},
}
BUILDS = {Tensor: _build_tensor, Parameter: _build_parameter, OrderedDict: _build_dictionary, Counter: _build_dictionary}


class TorchGlobals(Globals):
    """What a file of torch's may name, call and make."""

    def __init__(self) -> None:
        super().__init__(KNOWN, CALLS, BUILDS)

    def named(self, module: str, name: str) -> Any:
        if (module, name) == ("torch", BFLOAT16):
            warn_of_bfloat16("the type bfloat16")
            return _dtypes.float32
        return super().named(module, name)


NAMES = TorchGlobals()
