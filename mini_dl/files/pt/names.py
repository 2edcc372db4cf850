"""What a .pt file may name, and what calling, constructing and building it mean."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _device, _dtypes
from mini_dl._device import device
from mini_dl._surface import namespace
from mini_dl.files.pt import rebuild
from mini_dl.files.pt.errors import Budget, FileError, RecordError
from mini_dl.files.pt.rebuild import (
    checked_sizes,
    is_special,
    make_parameter,
    rebuild_tensor,
    set_attributes,
    set_requires_grad,
    skip_hooks,
)
from mini_dl.files.pt.storages import BFLOAT16, STORAGES, UNTYPED, StorageType, warn_of_bfloat16
from mini_dl.files.pt.unpickler import Globals, Missing, check_keys, set_pairs
from mini_dl.nn.parameter import Parameter
from mini_dl.ops.creation import TensorType
from mini_dl.tensor import Size, Tensor, in_class, wrap


def rebuild_from_type_v2(
    function: object, new_type: object, arguments: object, state: object, *, budget: Budget | None = None
) -> Any:
    call = CALLS.get(id(function))
    if call is None or type(arguments) is not tuple:
        raise FileError("a tensor is rebuilt by one of torch's functions and a tuple of arguments")
    made = call(*arguments, **({"budget": budget} if function in GROWING else {}))
    if not isinstance(made, Tensor) or not (isinstance(new_type, type) and issubclass(new_type, Tensor)):
        raise FileError("what is rebuilt, and what it becomes, is a tensor")
    made = in_class(new_type, made)  # a leaf: a view of one could not be trained
    own = getattr(new_type, "__setstate__", None)
    if own is not None and own is not getattr(Tensor, "__setstate__", None):
        made.__setstate__(state)
    else:
        set_attributes(made, state)
    return made


RESULTS = "torch.return_types"
"""The modules where torch has the classes of named results."""


def named_result(kind: Any) -> Callable[..., Any]:
    """A function that constructs a result of this class as torch's does: from its values, and a dictionary that stays empty."""

    def made(values: Any, _: object = None) -> Any:
        return kind(*values)

    return made


def _layout(name: object) -> _device.layout:
    layouts = {f"torch.{layout.name}": layout for layout in LAYOUTS}
    if type(name) is not str or name not in layouts:
        raise FileError(f"there is no layout {name if type(name) is str else type(name).__name__!r}")
    return layouts[name]


LAYOUTS = (
    _device.strided, _device.sparse_coo, _device.sparse_csr, _device.sparse_csc, _device.sparse_bsr, _device.sparse_bsc,
)  # fmt: skip
ENCODINGS = ("latin1", "latin-1", "ascii", "utf-8", "utf8")


def _encode(text: object, encoding: object = "utf-8") -> bytes:
    if type(text) is not str or encoding not in ENCODINGS:
        raise FileError("bytes are kept as a text and one of the encodings " + ", ".join(ENCODINGS))
    return text.encode(encoding)


def _bytearray(content: Any = b"", *encoding: object) -> bytearray:
    if type(content) not in (str, bytes, bytearray, list, tuple) or (type(content) is str) != (len(encoding) == 1):
        raise FileError("a bytearray is kept by its contents, or by a text and an encoding")
    return bytearray(_encode(content, *encoding) if encoding else content)


def _device_of(where: object, *index: Any) -> device:
    return device(where, *index)


def _listed(values: object) -> list[Any]:
    """The items of a container; a tensor may have unboundedly many, at one place in memory."""
    if not isinstance(values, (list, tuple, dict, set, str, bytes, bytearray)):
        raise FileError(f"a container is made of the values in another, not in an object of {type(values).__name__}")
    return list(values)


def _set(values: object = ()) -> set[Any]:
    members = _listed(values)
    check_keys(members)
    return set(members)


def _ordered(pairs: object = ()) -> OrderedDict[Any, Any]:
    items = _flat(pairs)
    made: OrderedDict[Any, Any] = OrderedDict()
    set_pairs(made, items)
    return made


def _counter(values: object = ()) -> Counter[Any]:
    if not isinstance(values, dict):
        members = _listed(values)
        check_keys(members)
        return Counter(members)
    return Counter(values)


def _flat(pairs: object) -> list[Any]:
    """[key, value, key, value ...] from a dictionary or from pairs."""
    items: list[Any] = []
    for key, value in pairs.items() if isinstance(pairs, dict) else map(_listed, _listed(pairs)):
        items += [key, value]
    check_keys(items[::2])
    return items


def _size_of(values: object = ()) -> Size:
    return Size(checked_sizes(values))


def _empty(kind: _dtypes.dtype) -> Callable[..., Tensor]:
    """The function that creates the empty tensors of type `kind` to which the oldest files then give a storage."""

    def made(*arguments: object) -> Tensor:
        if arguments:
            raise FileError("a tensor in a file has its values from a storage")
        return wrap(np.empty(0, kind.numpy))

    return made


def _build_tensor(tensor: Any, state: object) -> None:
    """What the oldest files do to an empty tensor: give it a storage, an offset, sizes and strides."""
    if not isinstance(state, tuple) or len(state) != 4:
        raise FileError("the state of a tensor is a storage, an offset, sizes and strides")
    made = rebuild_tensor(*state)
    if made._array.dtype != tensor._array.dtype or tensor._array.size or tensor._edge is not None:
        raise RecordError(f"Could not set a tensor of {made._array.dtype} where one of {tensor._array.dtype} was expected")
    tensor._array, tensor._counter = made._array, made._counter


def _build_parameter(parameter: Any, state: object) -> None:
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
    skip_hooks(hooks)
    set_requires_grad(parameter, wanted)


def _build_dictionary(value: object, state: object) -> None:
    if not isinstance(state, dict) or not all([type(name) is str and not is_special(name) for name in state]):
        raise FileError("attributes are a dictionary of names without a special meaning")
    value.__dict__.update(state)


NO_DTYPE = "mini_dl has no such type of elements"
NO_QUANTIZED = "mini_dl has no quantized tensors"
TENSOR_TYPES = [kind for kind in namespace("torch").values() if isinstance(kind, TensorType)]
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
    "torch._utils._rebuild_parameter": rebuild.rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild.rebuild_parameter_with_state,
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild.rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild.rebuild_tensor_v3,
    "torch._utils._rebuild_sparse_tensor": rebuild.rebuild_sparse_tensor,
    "torch._utils._rebuild_meta_tensor_no_storage": rebuild.rebuild_meta_tensor,
    "torch._utils._rebuild_device_tensor_from_numpy": rebuild.rebuild_from_cpu,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": rebuild.rebuild_from_cpu,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type_v2,
    "torch.serialization._get_layout": _layout,
    "_codecs.encode": _encode,
}
CLASSES: dict[str, tuple[Any, Callable[..., Any]]] = {
    "collections.OrderedDict": (OrderedDict, _ordered),
    "collections.Counter": (Counter, _counter),
    "torch.nn.parameter.Parameter": (Parameter, make_parameter),
    "torch.Size": (Size, _size_of),
    "torch.Tensor": (Tensor, _empty(_dtypes.float32)),
    "torch.device": (device, _device_of),
    "builtins.bytearray": (bytearray, _bytearray),
    "builtins.set": (set, _set),
    "builtins.complex": (complex, complex),
}
"""By name: the class, and the function that creates an instance."""
TYPES = {f"{module}.{kind.__name__}": kind for kind in TENSOR_TYPES for module in ("torch", "torch.cuda")}
KNOWN: dict[str, Any] = {
    **{name: Missing(name, why) for name, why in MISSING.items()},
    **FUNCTIONS,
    **{name: cls for name, (cls, _) in CLASSES.items()},
    **TYPES,
    **{f"{module}.{storage}": StorageType(kind) for kind, storage in STORAGES.items() for module in ("torch", "torch.cuda")},
    "torch.storage.UntypedStorage": UNTYPED,
    **{f"torch.{name}": kind for name, kind in _dtypes.NAMES.items()},
}
"""What a file may name."""
CALLS: dict[int, Callable[..., Any]] = {
    **{id(function): function for function in FUNCTIONS.values()},
    **{id(cls): call for cls, call in CLASSES.values()},
    **{id(kind): _empty(kind.dtype) for kind in TYPES.values()},
}
GROWING = (rebuild.rebuild_sparse_tensor, rebuild.rebuild_from_cpu, rebuild_from_type_v2)
"""Functions that may take more memory than the storages of the file do."""
BUILDS = {Tensor: _build_tensor, Parameter: _build_parameter, OrderedDict: _build_dictionary, Counter: _build_dictionary}


class TorchGlobals(Globals):
    """What a file written by torch may name, call and make."""

    def __init__(self) -> None:
        super().__init__(KNOWN, CALLS, BUILDS, GROWING)

    def named(self, module: str, name: str) -> Any:
        if (module, name) == ("torch", BFLOAT16):
            warn_of_bfloat16("the type bfloat16")
            return StorageType(BFLOAT16).dtype
        return super().named(module, name)


NAMES = TorchGlobals()
