"""Tensors from storages: the functions that torch's files name."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from mini_dl import _device, _dtypes
from mini_dl._dtypes import INEXACT, Array
from mini_dl._meta import NO_DATA, is_meta_array, meta_array
from mini_dl.files.pt.errors import Budget, FileError, RecordError, RefusedError
from mini_dl.files.pt.storages import BFLOAT16, Memory, StorageType, TypedStorage, warn_of_bfloat16
from mini_dl.nn.parameter import Parameter
from mini_dl.ops.sparse import sparse_tensors
from mini_dl.tensor import LEAF, Tensor, wrap

LARGEST = 2**62

# ------------------------------------------------------------------------------------------------ dense tensors


def rebuild_tensor(storage: Any, storage_offset: object, size: object, stride: object) -> Tensor:
    return _rebuilt(_storage(storage), storage._kind.name, storage_offset, size, stride, False, None)


def rebuild_tensor_v2(
    storage: Any,
    storage_offset: object,
    size: object,
    stride: object,
    requires_grad: object,
    backward_hooks: object,
    metadata: object = None,
) -> Tensor:
    skip_hooks(backward_hooks)
    return _rebuilt(_storage(storage), storage._kind.name, storage_offset, size, stride, requires_grad, metadata)


def rebuild_tensor_v3(
    storage: object,
    storage_offset: object,
    size: object,
    stride: object,
    requires_grad: object,
    backward_hooks: object,
    dtype: object,
    metadata: object = None,
) -> Tensor:
    skip_hooks(backward_hooks)
    if not isinstance(dtype, _dtypes.dtype):
        raise FileError(f"the type of a tensor is a dtype, not {type(dtype).__name__}")
    return _rebuilt(_storage(storage), dtype.name, storage_offset, size, stride, requires_grad, metadata)


def _storage(value: object) -> TypedStorage:
    if not isinstance(value, TypedStorage):
        raise FileError(f"a tensor needs a storage, not {type(value).__name__}")
    return value


def skip_hooks(hooks: object) -> None:
    if isinstance(hooks, dict) and hooks:
        warnings.warn("backward hooks in a file are not read", UserWarning, stacklevel=2)


def _rebuilt(
    storage: TypedStorage, kind: str, offset: object, size: object, stride: object, requires_grad: object, metadata: object
) -> Tensor:
    flags = metadata or {}
    if not isinstance(flags, dict) or not all([type(name) is str and on is True for name, on in flags.items()]):
        raise FileError("the metadata of a tensor are the names of flags that are set, each with True")
    conj, neg = "conj" in flags, "neg" in flags
    numpy_dtype = StorageType(kind).dtype.numpy
    if conj and numpy_dtype.kind != "c":
        raise RecordError(f"only a complex tensor can be a conjugate, not one of {numpy_dtype.name}")
    if kind == BFLOAT16:
        warn_of_bfloat16("a bfloat16 tensor")
    if storage.is_meta:
        return set_requires_grad(wrap(meta_array(checked_sizes(size), numpy_dtype)), requires_grad)
    memory, counter = storage.memory(kind, conj, neg)
    tensor = wrap(_strided_array(memory, numpy_dtype, offset, checked_sizes(size), checked_sizes(stride)))
    tensor._counter = counter
    return set_requires_grad(tensor, requires_grad)


def set_requires_grad(tensor: Tensor, wanted: object) -> Tensor:
    """The tensor, with `requires_grad` set. RuntimeError if its type cannot require grad."""
    if type(wanted) is not bool:
        raise FileError(f"requires_grad must be a bool, not {type(wanted).__name__}")
    if wanted and tensor._array.dtype.kind not in INEXACT:
        raise RecordError("only Tensors of floating point and complex dtype can require gradients")
    tensor._edge = LEAF if wanted else None
    return tensor


def checked_sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or not all([type(n) is int and -LARGEST < n < LARGEST for n in values]):
        raise FileError("sizes and strides are tuples of integers")
    return tuple(values)


def _strided_array(memory: Array, kind: np.dtype[Any], offset: object, size: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """The array of this geometry, in elements, over `memory`, in bytes. RecordError if it does not fit."""
    if type(offset) is not int or offset < 0 or offset >= LARGEST:
        raise RecordError(f"Tensor: invalid storage offset {offset if type(offset) is int else type(offset).__name__}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    fits = (
        len(size) == len(stride) and min((0, *size, *stride)) >= 0 and (0 in size or (last + 1) * kind.itemsize <= memory.nbytes)
    )
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


def rebuild_parameter(data: object, requires_grad: object, backward_hooks: object) -> Parameter:
    skip_hooks(backward_hooks)
    return make_parameter(data, requires_grad)


def rebuild_parameter_with_state(data: object, requires_grad: object, backward_hooks: object, state: object) -> Parameter:
    skip_hooks(backward_hooks)
    parameter = make_parameter(data, requires_grad)
    set_attributes(parameter, state)
    return parameter


def make_parameter(data: object = None, requires_grad: Any = True) -> Parameter:
    if data is not None and not isinstance(data, Tensor):
        raise FileError(f"the data of a parameter are a tensor, not {type(data).__name__}")
    if data is not None and data._sparse:  # its values require grad
        set_requires_grad(data._values().detach(), requires_grad)
        return Parameter(data.detach(), requires_grad)
    parameter = Parameter(None if data is None else data.detach(), False)
    set_requires_grad(parameter, requires_grad)
    return parameter


def is_special(name: str) -> bool:
    """Whether Python or NumPy may look up this name: an ``__array_interface__`` can expose any memory."""
    return name.startswith("__") and name.endswith("__")


def is_taken(name: str) -> bool:
    """Whether a tensor in a file cannot have an attribute of this name."""
    return hasattr(Tensor, name) or is_special(name)


def set_attributes(tensor: Tensor, state: object) -> None:
    """Give a tensor the Python attributes in `state`, except any that its class already has or with a special meaning."""
    states = state if isinstance(state, tuple) else (state,)
    if len(states) > 2 or not all([part is None or isinstance(part, dict) for part in states]):
        raise RecordError("Invalid serialized state: attributes are a dictionary, or two")
    for part in states:
        for name, value in (part or {}).items():
            if type(name) is not str or name in Tensor.__annotations__ or is_taken(name):
                shown = repr(name) if type(name) is str else type(name).__name__
                raise FileError(f"a tensor cannot be given the attribute {shown}")
            setattr(tensor, name, value)  # it may have a slot


# ------------------------------------------------------------------------------------------------ other tensors


def rebuild_from_cpu(
    data: object, dtype: object, device: object, requires_grad: object, *, budget: Budget | None = None
) -> Tensor:
    """A tensor from an accelerator without storages, loaded onto the CPU."""
    if not isinstance(data, (Tensor, np.ndarray)) or not isinstance(dtype, _dtypes.dtype):
        raise FileError(f"a tensor and its type are needed, not {type(data).__name__} and {type(dtype).__name__}")
    array = data._array if isinstance(data, Tensor) else data
    _dtypes.of_numpy(array.dtype)
    if is_meta_array(array):
        raise RecordError(NO_DATA)
    if array.dtype != dtype.numpy and _is_early((data,)):
        return set_requires_grad(wrap(np.empty(0, dtype.numpy)), requires_grad)
    if budget is not None and array.dtype != dtype.numpy:
        budget.take(array.size * dtype.itemsize, "a tensor of another type")
    return set_requires_grad(wrap(array.astype(dtype.numpy, copy=False)), requires_grad)


def rebuild_sparse_tensor(layout: object, data: object, *, budget: Budget | None = None) -> Tensor:
    """A sparse tensor from its checked parts; a placeholder if their contents have not been read yet."""
    if _is_early(data):
        return wrap(np.empty(0, np.float32))
    budget = budget or Budget()
    for part in data if isinstance(data, tuple) else ():
        if isinstance(part, Tensor) and not part._sparse:
            budget.take(part._array.nbytes - getattr(part._array.base, "nbytes", 0), "a part of a sparse tensor")
    sparse = sparse_tensors()
    name = layout.name if isinstance(layout, _device.layout) else type(layout).__name__
    if name == "sparse_coo" and isinstance(data, tuple) and len(data) in (3, 4):
        places, kept, size = *_parts(data[:2]), checked_sizes(data[2])
        merged = data[3] if len(data) == 4 else False
        if places._array.ndim != 2 or not kept.ndim or places._array.shape[1] != len(kept) or type(merged) is not bool:
            raise RecordError("the indices and values of a sparse tensor do not match")
        _check_size(size)
        sparse.check_coordinates(places._array, tuple(kept.shape), size)
        if merged and len(kept) > 1 and not _is_sorted(places._array, size):
            raise RecordError("a sparse tensor is marked as coalesced, but its indices are not in order")
        return sparse.coo(places, kept, size, merged)
    if name in ("sparse_csr", "sparse_csc") and isinstance(data, tuple) and len(data) == 4:
        (ends, places, kept), size = _parts(data[:3]), checked_sizes(data[3])
        _check_size(size)
        sparse.check_compressed(ends._array, places._array, tuple(kept.shape), size, layout)
        return sparse.made(layout, (ends, places), kept, size, True)
    raise RefusedError(f"a sparse tensor of layout {name} cannot be read: mini_dl has sparse_coo, sparse_csr and sparse_csc")


def _parts(values: tuple[Any, ...]) -> list[Tensor]:
    """The parts of a sparse tensor: all but the last are integers."""
    for number, value in enumerate(values):
        if not isinstance(value, Tensor) or value._sparse:
            raise FileError(f"the parts of a sparse tensor are tensors, not {type(value).__name__}")
        if is_meta_array(value._array):
            raise RecordError("a sparse tensor cannot be on the device meta: its places are values")
        if number < len(values) - 1 and value._array.dtype.kind != "i":
            raise RecordError("the indices of a sparse tensor are integers")
    return list(values)


def _check_size(size: tuple[int, ...]) -> None:
    if min((0, *size)) < 0 or math.prod(size) >= LARGEST * 2:
        raise RecordError(f"a sparse tensor cannot have the size {list(size)}")


def _is_sorted(places: Array, size: tuple[int, ...]) -> bool:
    flat = np.ravel_multi_index(tuple(places), size[: len(places)]) if len(places) else np.arange(places.shape[1])
    return bool((np.diff(flat) > 0).all())


def _is_early(parts: object) -> bool:
    waiting = [
        part._array.base.awaited_by
        for part in (parts if isinstance(parts, tuple) else ())
        if isinstance(part, Tensor) and not part._sparse and isinstance(part._array.base, Memory)
    ]
    for storage in waiting:
        if storage is not None:
            storage._used_early = True
    return any([storage is not None for storage in waiting])


def rebuild_meta_tensor(dtype: object, size: object, stride: object, requires_grad: object) -> Tensor:
    if not isinstance(dtype, _dtypes.dtype):
        raise FileError("the type of a tensor is one of torch's")
    return set_requires_grad(wrap(meta_array(checked_sizes(size), dtype.numpy)), requires_grad)
