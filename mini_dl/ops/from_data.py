"""Tensors from data: numbers, sequences, arrays, other tensors."""

from __future__ import annotations

import builtins
import functools
import operator
import warnings
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import level_of_user, warn_once, without_imaginary_parts
from mini_dl._device import DeviceLike, is_meta, require_cpu
from mini_dl._dtypes import FLOATING, INEXACT, Array, NumpyType, TypeLike
from mini_dl._layout import converted, on_the_way
from mini_dl._meta import meta_array
from mini_dl._surface import function
from mini_dl.autograd.history import requires_grad_
from mini_dl.autograd.mode import mode
from mini_dl.ops.attributes import UntypedStorage
from mini_dl.ops.factories import default_type, finished, numpy_of
from mini_dl.tensor import Tensor, is_of_torch, wrap

# ------------------------------------------------------------------------------------------------ from data


@function()
def tensor(
    data: object, *, dtype: TypeLike = None, device: DeviceLike = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of the data: ``out[i, j] = data[i][j]``

    `data` is a number, an array, or nested sequences. Python floats become the default dtype, ints int64.

    Shapes: nested sequences, an array, or a number -> a tensor of that shape.
    Raises: ValueError if sequences of one level differ in length; TypeError for anything but a number.

    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> torch.tensor(1.5, requires_grad=True)
    tensor(1.5000, requires_grad=True)
    """
    meta = is_meta(device)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=level_of_user(),
        )
    array = from_data(data, numpy_of(dtype))
    return finished(meta_array(array.shape, array.dtype) if meta else array, requires_grad)


TEXT = "too many dimensions 'str'"
_KINDS = {builtins.bool: 0, builtins.int: 1, builtins.float: 2, complex: 3}


def from_data(data: object, target: NumpyType | None) -> Array:
    """A new array with the values of `data`, of type `target`, or else of the type that holds them all."""
    if isinstance(data, Tensor):
        wanted = target or data._array.dtype
        return converted(without_imaginary_parts(data._array, wanted), wanted)
    if isinstance(data, np.ndarray):
        array = checked_array(data)
        return mode.run(np.array, array if target is None else on_the_way(array, target), target)
    if is_of_torch(type(data)):
        raise TypeError("a tensor of torch is not converted; use from_dlpack(), which shares its memory")
    try:
        shape, leaves = _leaves(data)
    except (TypeError, ValueError) as error:
        if target is None and TEXT not in str(error):
            _check_typed(data)  # torch determines a type first
        raise
    kinds = set(map(type, leaves))
    plain = kinds <= _KINDS.keys()
    if not plain and target is not None:
        leaves = [_converted(leaf, target.kind) for leaf in leaves]
        plain = True
        kinds = set(map(type, leaves))
    if plain:
        rank = builtins.max([_KINDS[kind] for kind in kinds], default=2)
        found = [np.dtype("bool"), np.dtype("int64"), _dtypes.default_numpy(), _dtypes.get_default_dtype().to_complex().numpy][
            rank
        ]
    else:
        _check_typed(leaves)
        found = functools.reduce(_dtypes.promote_numpy, [_dtype_of_leaf(leaf) for leaf in leaves])
        leaves = [_converted(leaf, found.kind) for leaf in leaves]
    target = found if target is None else target
    if found.kind == "c" and target.kind not in "cb":
        raise TypeError("must be real number, not complex")
    # ints go through int64, or uint64 if requested; floating types go through float64, as in torch
    through = {"i": "uint64" if target == np.uint64 else "int64", "f": "float64", "c": "complex128"}.get(found.kind, found)
    try:
        array = np.array(leaves, "float64" if found.kind == "i" and target.kind in INEXACT else through).reshape(shape)
    except OverflowError:
        if target.kind in INEXACT or target == np.uint64:
            raise
        if target.kind in "iu":
            raise ValueError("Overflow when unpacking long long") from None
        array = np.array([builtins.bool(leaf) for leaf in leaves]).reshape(shape)
    if target.kind in "iu" and found.kind != "b":
        limits = np.iinfo(target)
        low = -limits.max if target.kind == "u" and array.dtype.kind in "iu" else limits.min  # negative ints may wrap around
        if array.size and not (array.min() >= low and array.max() <= limits.max):
            raise RuntimeError(f"value cannot be converted to type {target.name} without overflow")
        if array.dtype.kind in FLOATING:
            array = mode.run(array.astype, np.int64)
    return mode.run(on_the_way(array, target).astype, target)


def _is_sequence(value: object) -> builtins.bool:
    if isinstance(value, (list, tuple)):
        return True
    if isinstance(value, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(value).__name__}'")
    return hasattr(type(value), "__getitem__") and not isinstance(value, (Tensor, dict, np.generic))


def _leaves(data: Any) -> tuple[tuple[builtins.int, ...], list[Any]]:
    """The shape of nested sequences, and their elements in order. The first of each level determines the shape; ValueError if
    another differs in length, TypeError if it is not a sequence."""
    shape: list[builtins.int] = []
    first = data
    while _is_sequence(first):
        shape.append(len(first))
        if len(shape) > 64:
            raise ValueError(f"too many dimensions '{type(first).__name__}'")
        if not shape[-1]:
            break
        first = first[0]
        if isinstance(first, str):
            raise ValueError(TEXT)
    if 0 in shape:
        return tuple(shape), []
    level: list[Any] = [data]
    for dim, n in enumerate(shape):
        below: list[Any] = []
        for item in level:
            row = item if isinstance(item, (list, tuple)) else _listed(item)
            if len(row) != n:
                raise ValueError(f"expected sequence of length {n} at dim {dim} (got {len(row)})")
            below += row
        level = below
    return tuple(shape), level


def _listed(sequence: Any) -> list[Any]:
    try:
        return list(sequence)
    except TypeError:
        raise TypeError("not a sequence") from None


def _check_typed(data: object) -> None:
    """TypeError for text, RuntimeError for anything else that has no tensor type, at any depth of nested sequences."""
    level: list[Any] = [data]
    while level:
        for value in level:
            if type(value) not in _TYPED and not (
                isinstance(value, (Tensor, np.ndarray, np.generic)) or _dtypes.is_number(value) or _is_sequence(value)
            ):
                raise RuntimeError(f"Could not infer dtype of {type(value).__name__}")
        level = [one for item in level if _is_sequence(item) and not isinstance(item, np.ndarray) for one in item]


_TYPED = {*_KINDS, list, tuple}


def _converted(leaf: Any, kind: str) -> Any:
    """`leaf` as a number of a type of this kind, by Python's own conversions: only a Python float becomes an integer."""
    if type(leaf) in _KINDS:
        return leaf
    if isinstance(leaf, (str, bytes)):
        raise TypeError(f"must be a number, not {type(leaf).__name__}")
    if kind in "iu":
        return builtins.int(leaf) if isinstance(leaf, builtins.float) else operator.index(leaf)
    if kind in FLOATING:
        return builtins.float(leaf)
    if kind == "b":
        return builtins.bool(leaf if isinstance(leaf, (builtins.float, np.bool_)) else operator.index(leaf))
    return complex(leaf)


def _dtype_of_leaf(leaf: object) -> NumpyType:
    if isinstance(leaf, Tensor):
        return leaf._array.dtype
    if isinstance(leaf, (np.generic, np.ndarray)):
        return _dtypes.of_numpy(leaf.dtype).numpy
    if isinstance(leaf, (list, tuple)):
        return functools.reduce(_dtypes.promote_numpy, [_dtype_of_leaf(one) for one in leaf], np.dtype("bool"))
    return _dtypes.dtype_of_number(leaf)


def _class_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def checked_array(array: Array) -> Array:
    """`array` if a tensor can share its memory. TypeError for the type, ValueError for the byte order or negative strides."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_class_name(array)})")
    if _dtypes.of_numpy(array.dtype) is _dtypes.bfloat16:
        raise _dtypes.no_tensor_of(array.dtype)
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is currently "
            "not supported."
        )
    if array.size and any([stride < 0 for stride in array.strides]):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently "
            "supported. (You can probably work around this by making a copy of your array  with array.copy().) "
        )
    return array


def over_array(array: object) -> Tensor:
    """A tensor sharing the memory of a NumPy array. Warns if the memory is read-only."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_class_name(array)})")
    checked_array(array)
    if not array.flags.writeable:
        warn_once(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to "
            "this tensor will result in undefined behavior. You may want to copy the array to protect its data or make it "
            "writable before converting it to a tensor.",
        )
    return wrap(array.view(np.ndarray))


@function()
def as_tensor(data: object, dtype: TypeLike = None, device: DeviceLike = None) -> Tensor:
    """`data` as a tensor, ``out = data``, without a copy if possible: for a tensor or an array of the requested dtype.

    Shapes: nested sequences, an array, a tensor, or a number -> a tensor of that shape.
    Raises: ValueError for sequences of unequal lengths; TypeError for anything but a number.

    >>> a = torch.tensor([1.0, 2.0])
    >>> torch.as_tensor(a) is a, torch.as_tensor([1, 2], dtype=torch.float32)
    (True, tensor([1., 2.]))
    """
    if isinstance(data, Tensor):
        return data.to(device=data.device if device is None else device, dtype=data.dtype if dtype is None else dtype)
    if is_meta(device):
        return tensor(data, dtype=dtype, device="meta")
    if isinstance(data, np.ndarray):
        made = over_array(data)
        return made if dtype is None else made.to(_dtypes.of_numpy(numpy_of(dtype)))
    return tensor(data, dtype=dtype)


@function()
def asarray(
    obj: Any, *, dtype: TypeLike = None, device: DeviceLike = None, copy: builtins.bool | None = None,
    requires_grad: builtins.bool | None = None,
) -> Tensor:  # fmt: skip
    r"""`obj` as a tensor, ``out = obj``, sharing its memory if possible, always (`copy` False), or never (`copy`
    True).

    `obj` is a tensor, an array, a buffer, a number or a sequence. A tensor keeps its history; `requires_grad` False detaches
    it.

    Shapes: nested sequences, an array, a tensor, or a number -> a tensor of that shape.
    Raises: ValueError, or for a scalar of NumPy RuntimeError, if sharing is requested and impossible.

    >>> torch.asarray([1, 2]), torch.asarray(b"\x01\x02", dtype=torch.uint8)
    (tensor([1, 2]), tensor([1, 2], dtype=torch.uint8))
    """
    require_cpu(device)
    wanted = numpy_of(dtype)
    if requires_grad is None:
        requires_grad = isinstance(obj, Tensor) and obj.requires_grad
        if requires_grad:
            warn_once(
                "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. Pass "
                "requires_grad=False explicitly to get the old behavior and silence this warning.",
            )
    if isinstance(obj, (Tensor, np.ndarray)) or hasattr(obj, "__dlpack__"):
        shared = obj if isinstance(obj, Tensor) else over_array(obj if isinstance(obj, np.ndarray) else np.from_dlpack(obj))
    elif isinstance(obj, np.generic):
        if copy is False:
            raise RuntimeError("can't alias NumPy scalars. Either remove copy=False or transform it in a ndarray.")
        shared = wrap(checked_array(np.array(obj)))
    elif isinstance(obj, UntypedStorage):
        shared = wrap(obj._bytes.view(np.ndarray).view(default_type(wanted)))
    elif _has_buffer(obj):
        shared = wrap(np.frombuffer(obj, default_type(wanted)))
    else:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return finished(from_data(obj, wanted), requires_grad)
    have = shared._array.dtype
    if wanted is not None and wanted != have:
        if copy is False:
            raise ValueError(
                f"can't alias tensor with dtype '{_dtypes.scalar_name(have)}' into dtype '{_dtypes.scalar_name(wanted)}'."
            )
        shared = shared.to(_dtypes.of_numpy(wanted))
    elif copy:
        shared = shared.clone()
    if not requires_grad:
        return requires_grad_(shared, False) if shared.is_leaf else shared.detach()
    return shared if shared.requires_grad else requires_grad_(shared)


def _has_buffer(value: Any) -> builtins.bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True
