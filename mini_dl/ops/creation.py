"""Making tensors: from data, from a value, from a rule."""

from __future__ import annotations

import builtins
import functools
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np

from mini_dl import _device, _dtypes
from mini_dl._arguments import loosely_parsed
from mini_dl._checks import nonnegative, sizes, spread_out, too_large, type_name, wrap_dim
from mini_dl._device import channels_last, channels_last_3d, contiguous_format, require_cpu, strided
from mini_dl._dtypes import Array, number_as
from mini_dl._dtypes import dtype as DType
from mini_dl._surface import function, method, namespace, store, tensor_method
from mini_dl.autograd.history import requires_grad_
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import number_of, op
from mini_dl.ops.views import _diagonal, place
from mini_dl.tensor import Size, Tensor, wrap

# ------------------------------------------------------------------------------------------------ the keywords they share

_PYTHON_TYPES = {builtins.bool: _dtypes.bool, builtins.int: _dtypes.int64, builtins.float: _dtypes.float64}


def numpy_of(dtype: Any, default: Any = None) -> Any:
    """The NumPy dtype that the argument `dtype` asks for, or `default` where it is None. TypeError if it is no type."""
    if dtype is None:
        return default
    if isinstance(dtype, DType):
        return dtype.numpy
    if dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype].numpy
    raise TypeError(f"argument 'dtype' must be torch.dtype, not {type_name(dtype)}")


def finished(array: Array, requires_grad: bool = False, out: Tensor | None = None) -> Tensor:
    made = wrap(array)
    if out is not None:
        made = store(made, out)
    if requires_grad and made._array.dtype.kind not in "fc":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return requires_grad_(made) if requires_grad else made


def factory(*, out: bool = True, place: str = "torch") -> Callable[[Callable[..., Array]], Callable[..., Tensor]]:
    """Publish ``torch.f`` from a function that makes an array and takes the NumPy dtype wanted (None: its own choice).

    Adds the keywords that all such functions of torch have.
    """

    def decorate(make: Callable[..., Array]) -> Callable[..., Tensor]:
        @functools.wraps(make)
        def call(
            *args: Any,
            out: Any = None,
            dtype: Any = None,
            layout: Any = None,
            device: Any = None,
            pin_memory: Any = False,
            requires_grad: bool = False,
            **kwargs: Any,
        ) -> Tensor:
            require_cpu(device)
            if layout is not None and layout is not strided:
                raise RuntimeError(f"mini_dl has dense tensors only: no layout {layout} here")
            wanted = numpy_of(dtype, None if out is None else out._array.dtype)
            if out is not None and wanted != out._array.dtype:
                raise RuntimeError(
                    f"dtype {_dtypes.scalar_name(wanted)} does not match dtype of out parameter "
                    f"({_dtypes.scalar_name(out._array.dtype)})"
                )
            if requires_grad is not True and requires_grad is not False:
                raise TypeError(f"{make.__name__}(): argument 'requires_grad' must be bool, not {type_name(requires_grad)}")
            try:
                array = mode.run(functools.partial(make, *args, dtype=wanted, **kwargs))
            except (MemoryError, ValueError, OverflowError) as error:
                raise too_large(make.__name__, args, error) from None
            return finished(array, requires_grad, out)

        keyword = inspect.Parameter.KEYWORD_ONLY
        own = [p for p in inspect.signature(make).parameters.values() if p.name != "dtype"]
        shared = {"dtype": None, "layout": None, "device": None, "pin_memory": False, "requires_grad": False}
        if out:
            shared = {"out": None, **shared}
        added = [inspect.Parameter(name, keyword, default=value) for name, value in shared.items()]
        call.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        namespace(place)[make.__name__] = call
        return call

    return decorate


# ------------------------------------------------------------------------------------------------ from data


@function()
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A tensor with a copy of `data`: a number, an array, or nested sequences.

    Python floats become the default dtype, ints int64. ValueError if sequences of one level differ in length.

    >>> import mini_dl as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    require_cpu(device)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=2,
        )
    array = from_data(data, numpy_of(dtype))
    return finished(array, requires_grad)


_KINDS = {builtins.bool: 0, builtins.int: 1, builtins.float: 2, complex: 3}


def from_data(data: Any, target: np.dtype[Any] | None) -> Array:
    """A new array with the values of `data`, of type `target`, or else of the type that holds them all."""
    if isinstance(data, Tensor):
        return data._array.astype(target or data._array.dtype)
    if isinstance(data, np.ndarray):
        return mode.run(np.array, checked_array(data), target)
    try:
        shape, leaves = _leaves(data)
    except (TypeError, ValueError):
        if target is None:
            _check_typed(data)  # torch looks for a type first
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
    # ints go through int64, or uint64 where that is wanted; what becomes floating goes through float64, as in torch
    through = {"i": "uint64" if target.char in "QL" else "int64", "f": "float64", "c": "complex128"}.get(found.kind, found)
    try:
        array = np.array(leaves, "float64" if found.kind == "i" and target.kind in "fc" else through).reshape(shape)
    except OverflowError:
        if target.kind in "fc" or target.char in "QL":
            raise
        if target.kind in "iu":
            raise ValueError("Overflow when unpacking long long") from None
        array = np.array([builtins.bool(leaf) for leaf in leaves]).reshape(shape)
    if target.kind in "iu" and found.kind != "b":
        limits = np.iinfo(target)
        low = -limits.max if target.kind == "u" and array.dtype.kind in "iu" else limits.min  # negative ints may wrap around
        if array.size and not (array.min() >= low and array.max() <= limits.max):
            raise RuntimeError(f"value cannot be converted to type {target.name} without overflow")
        if array.dtype.kind == "f":
            array = mode.run(array.astype, np.int64)
    return mode.run(array.astype, target)


def _is_sequence(value: Any) -> builtins.bool:
    if isinstance(value, (list, tuple)):
        return True
    if isinstance(value, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(value).__name__}'")
    return hasattr(type(value), "__getitem__") and not isinstance(value, (Tensor, dict, np.generic))


def _leaves(data: Any) -> tuple[tuple[builtins.int, ...], list[Any]]:
    """The shape of nested sequences, and what stands in them, in order. The first of each level tells the shape; ValueError if
    another differs in length, TypeError if it is no sequence."""
    shape: list[builtins.int] = []
    first = data
    while _is_sequence(first):
        shape.append(len(first))
        if len(shape) > 64:
            raise ValueError(f"too many dimensions '{type(first).__name__}'")
        if not shape[-1]:
            break
        first = first[0]
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


def _check_typed(data: Any) -> None:
    """TypeError for text, RuntimeError for what else has no type as a tensor; both wherever it stands in nested sequences."""
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
    """The number that `leaf` is in a type of this kind, by Python's own conversions: only a Python float becomes an integer."""
    if type(leaf) in _KINDS:
        return leaf
    if isinstance(leaf, (str, bytes)):
        raise TypeError(f"must be a number, not {type(leaf).__name__}")
    if kind in "iu":
        return builtins.int(leaf) if isinstance(leaf, builtins.float) else operator.index(leaf)
    if kind == "f":
        return builtins.float(leaf)
    if kind == "b":
        return builtins.bool(leaf if isinstance(leaf, (builtins.float, np.bool_)) else operator.index(leaf))
    return complex(leaf)


def _dtype_of_leaf(leaf: Any) -> np.dtype[Any]:
    if isinstance(leaf, Tensor):
        return leaf._array.dtype
    if isinstance(leaf, (np.generic, np.ndarray)):
        return _dtypes.of_numpy(leaf.dtype).numpy
    if isinstance(leaf, (list, tuple)):
        return functools.reduce(_dtypes.promote_numpy, [_dtype_of_leaf(one) for one in leaf], np.dtype("bool"))
    return _dtypes.dtype_of_number(leaf)


def _class_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def checked_array(array: Array) -> Array:
    """`array` if a tensor can have its memory. TypeError for a type, ValueError for a byte order or negative strides."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_class_name(array)})")
    _dtypes.of_numpy(array.dtype)
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


def over_array(array: Any) -> Tensor:
    """A tensor over the memory of a NumPy array. Warns of memory that may not be written."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_class_name(array)})")
    checked_array(array)
    if not array.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to "
            "this "
            "tensor will result in undefined behavior. You may want to copy the array to protect its data or make it writable "
            "before converting it to a tensor.",
            stacklevel=3,
        )
    return wrap(array.view(np.ndarray))


@function()
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where that can be: of a tensor or an array of the wanted type."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        made = over_array(data)
        return made if dtype is None else made.to(_dtypes.of_numpy(numpy_of(dtype)))
    return tensor(data, dtype=dtype)


@function()
def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: builtins.bool | None = None,
    requires_grad: builtins.bool | None = None,
) -> Tensor:
    """`obj` as a tensor that shares its memory where that can be, or must (`copy` False), or must not (`copy` True).

    `obj` is a tensor, an array, a buffer, a number or a sequence. A tensor keeps its history; `requires_grad` False cuts it off.
    ValueError where sharing is asked for and impossible.
    """
    require_cpu(device)
    wanted = numpy_of(dtype)
    if requires_grad is None:
        requires_grad = isinstance(obj, Tensor) and obj.requires_grad
        if requires_grad:
            warnings.warn(
                "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. Pass "
                "requires_grad=False explicitly to get the old behavior and silence this warning.",
                stacklevel=2,
            )
    if isinstance(obj, (Tensor, np.ndarray)) or hasattr(obj, "__dlpack__"):
        shared = obj if isinstance(obj, Tensor) else over_array(obj if isinstance(obj, np.ndarray) else np.from_dlpack(obj))
    elif isinstance(obj, np.generic):
        shared = wrap(checked_array(np.array(obj)))
    elif _has_buffer(obj):
        shared = wrap(np.frombuffer(obj, _default(wanted)))
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


# ------------------------------------------------------------------------------------------------ one value


def _default(dtype: Any) -> Any:
    return _dtypes.default_numpy() if dtype is None else dtype


def _filled(shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
    value = number_of("full", "fill_value", value)
    return np.full(shape, number_as(value, np.dtype(dtype)), dtype)


def _nonnegative(name: str, size: tuple[int, ...]) -> tuple[int, ...]:
    if any([n < 0 for n in size]):
        raise RuntimeError(f"{name}: Dimension size must be non-negative.")
    return size


@factory()
@spread_out
def zeros(size: tuple[int, ...], *, dtype: Any) -> Array:
    """Zeros of this shape."""
    return np.zeros(_nonnegative("zeros", size), _default(dtype))


@factory()
@spread_out
def ones(size: tuple[int, ...], *, dtype: Any) -> Array:
    """Ones of this shape."""
    return np.ones(_nonnegative("ones", size), _default(dtype))


@factory()
@spread_out
def empty(size: tuple[int, ...], *, dtype: Any, memory_format: Any = None) -> Array:
    """A tensor of this shape, in the order of `memory_format`, whose values are whatever the memory held."""
    size = nonnegative(size)
    if memory_format is None or memory_format is contiguous_format:
        return np.empty(size, _default(dtype))
    if memory_format is not channels_last and memory_format is not channels_last_3d:
        if not isinstance(memory_format, type(contiguous_format)):
            raise TypeError(f"empty(): argument 'memory_format' must be torch.memory_format, not {type_name(memory_format)}")
        raise RuntimeError(f"unsupported memory format {memory_format}")
    rank = 4 if memory_format is channels_last else 5
    if len(size) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {memory_format.name} format")
    return np.moveaxis(np.empty((size[0], *size[2:], size[1]), _default(dtype)), -1, 1)


@factory()
def full(size: Sequence[int], fill_value: Any, *, dtype: Any) -> Array:
    """`fill_value` in this shape; its type is that of the value.

    >>> import mini_dl as torch
    >>> torch.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type_name(size)}")
    if dtype is None:
        kind = fill_value._array.dtype if isinstance(fill_value, Tensor) else None
        dtype = _dtypes.dtype_of_number(number_of("full", "fill_value", fill_value)) if kind is None else kind
        dtype = np.dtype(np.int64) if dtype == np.uint64 and kind is None else dtype
    return _filled(nonnegative(sizes(size)), fill_value, dtype)


@factory(out=False)
def scalar_tensor(s: Any, *, dtype: Any) -> Array:
    """A 0-d tensor of the default dtype with this value."""
    return _filled((), s, _default(dtype))


@factory(out=False)
def empty_strided(size: Sequence[int], stride: Sequence[int], *, dtype: Any) -> Array:
    """An uninitialised tensor of this shape whose neighbours lie `stride` elements apart in memory."""
    shape, strides = nonnegative(sizes((tuple(size),))), sizes((tuple(stride),))
    if len(shape) != len(strides):
        raise RuntimeError(f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})")
    if any([s < 0 for s in strides]):
        raise RuntimeError(f"empty_strided: Negative strides are not supported at the moment, got strides: {list(strides)}")
    kind = np.dtype(_default(dtype))
    count = 0 if 0 in shape else 1 + builtins.sum([(n - 1) * s for n, s in zip(shape, strides)])
    return np.ndarray(shape, kind, np.empty(count, kind), 0, [s * kind.itemsize for s in strides])


@factory(out=False)
def empty_permuted(size: Sequence[int], physical_layout: Sequence[int], *, dtype: Any) -> Array:
    """An uninitialised tensor of this shape whose dimensions lie in memory in the order `physical_layout`."""
    shape, order = nonnegative(tuple(size)), tuple(physical_layout)
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; "
            f"i.e. len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for d in order:
        if not 0 <= d < len(shape):
            raise RuntimeError(f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {d})")
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    return np.empty([shape[d] for d in order], _default(dtype)).transpose(np.argsort(order))


# ------------------------------------------------------------------------------------------------ like another


def _like(name: str, fill: Any) -> None:
    """Publish ``torch.f_like(input)``: a tensor of the shape, type and memory order of `input`, of the value `fill`."""

    def make(
        input: Tensor,
        *value: Any,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: Any = None,
        fill_value: Any = fill,
    ) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        require_cpu(device)
        kind = numpy_of(dtype, input._array.dtype)
        array = np.empty_like(input._array, kind, order="C" if memory_format is contiguous_format else "K")
        if value:
            (fill_value,) = value
        if fill_value is not None:
            number = fill_value._array.item() if isinstance(fill_value, Tensor) else fill_value
            array[...] = number_as(number, np.dtype(kind))
        return finished(array, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of the shape and type of `input`{'' if fill is None else f', all {fill}'}."
    parameters = dict(inspect.signature(make).parameters)
    at = {
        "fill_value": parameters.pop("fill_value").replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD, default=inspect._empty)
    }
    parameters.pop("value")
    first = {"input": parameters.pop("input")}
    given = {**first, **at, **parameters} if name == "full_like" else {**first, **parameters}
    make.__signature__ = inspect.Signature(list(given.values()))  # type: ignore[attr-defined]
    namespace("torch")[name] = loosely_parsed(make)


_like("zeros_like", 0)
_like("ones_like", 1)
_like("empty_like", None)
_like("full_like", None)


def _new(name: str) -> None:
    """Publish ``x.new_f(...)``: ``torch.f(...)`` in the type of `x`."""
    torch_function = namespace("torch")[name]

    def make(self: Tensor, *args: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        return torch_function(*args, dtype=self.dtype if dtype is None else dtype, **kwargs)

    make.__name__ = make.__qualname__ = "new_" + name
    make.__doc__ = f"``torch.{name}(...)`` in the type of this tensor."
    setattr(Tensor, make.__name__, make)


for _name in ("zeros", "ones", "empty", "full", "empty_strided"):
    _new(_name)


@tensor_method()
def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None
) -> Tensor:
    """``torch.tensor(data)`` in the type of this tensor."""
    return tensor(data, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


# ------------------------------------------------------------------------------------------------ ranges


def _number(value: Any) -> Any:
    """The Python number in a 0-d tensor or NumPy scalar; a number as it is."""
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


def _steps(start: Any, end: Any, step: Any) -> Any:
    """How many steps lead from `start` to `end`, as a fraction. RuntimeError if none ever do."""
    if step == 0 or step != step:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0 and start > end) or (step < 0 and start < end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if type(start) is type(end) is type(step) is builtins.int and (end - start) % step == 0:
        return (end - start) // step  # exact, however large
    return (end - start) / step


def _progression(start: Any, step: Any, length: int, dtype: Any) -> Array:
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        return np.arange(int(start), int(start) + length * int(step), int(step)).astype(kind, copy=False)
    return (np.arange(length) * float(step) + float(start)).astype(kind)


@factory()
def arange(start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any) -> Array:
    """``start, start + step, ...`` below `end`: of ints int64, otherwise the default dtype.

    >>> import mini_dl as torch
    >>> torch.arange(1, 2, 0.25)
    tensor([1.0000, 1.2500, 1.5000, 1.7500])
    """
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = 0, start
    if dtype is None:
        whole = all([isinstance(v, builtins.int) for v in (start, end, step)])
        dtype = np.dtype("int64") if whole else _dtypes.default_numpy()
    if np.dtype(dtype).kind in "iu" and step == step and int(step) == 0 != step:
        raise ValueError("step must be nonzero")
    if np.dtype(dtype) == np.int64 and all(map(math.isfinite, (start, end, step))):
        start, end, step = int(start), int(end), int(step)
    if np.dtype(dtype).kind in "bc":
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{_dtypes.scalar_name(np.dtype(dtype))}'")
    return _progression(start, step, math.ceil(_steps(start, end, step)), dtype)


@factory()
def range(start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any) -> Array:
    """``start, start + step, ...`` up to and including `end`. Deprecated in favour of ``arange``."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range "
        "builtin. Instead, use torch.arange, which produces values in [start, end).",
        stacklevel=3,
    )
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = 0, start
    return _progression(start, step, math.floor(_steps(start, end, step)) + 1, _default(dtype))


def _between(name: str, start: Any, end: Any, steps: int, dtype: Any) -> Array:
    """`steps` numbers from `start` to `end`, counted from the nearer end; in float64 for integer types."""
    first, last = [v.ndim if isinstance(v, Tensor) else 0 for v in (start, end)]
    if first or last:
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with {first} dimension(s) and end with "
            f"{last} "
            "dimension(s)."
        )
    start, end = _number(start), _number(end)
    if not isinstance(steps, (builtins.int, np.integer)):
        given = ", ".join([type_name(v) for v in (start, end, steps)])
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({given}), but expected one of:\n"
            " * (Tensor start, Tensor end, int steps, ...)\n * (Number start, Number end, int steps, ...)"
        )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    kind = np.dtype(dtype)
    exact = kind if kind.kind in "fc" and kind.char != "e" else np.dtype("float32" if kind.char == "e" else "float64")
    if kind.kind in "iu":
        start, end = int(start), int(end)
    low, high = np.asarray(start, exact), np.asarray(end, exact)
    i = np.arange(steps).astype(exact)
    step = (high - low) / np.asarray(builtins.max(steps - 1, 1), exact)
    out = low + step * i
    half = steps // 2
    out[half:] = high - step * (steps - 1 - i[half:])
    if steps == 1:
        out[0] = low
    return out


def _bounds_dtype(dtype: Any, *bounds: Any) -> Any:
    if dtype is not None:
        return np.dtype(dtype)
    complex_ = any([b.is_complex() if isinstance(b, Tensor) else isinstance(b, complex) for b in bounds])
    return _dtypes.get_default_dtype().to_complex().numpy if complex_ else _dtypes.default_numpy()


@factory()
def linspace(start: Any, end: Any, steps: int, *, dtype: Any) -> Array:
    """`steps` numbers in equal distance from `start` to `end`."""
    kind = _bounds_dtype(dtype, start, end)
    return _between("linspace", start, end, steps, kind).astype(kind)


@factory()
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any) -> Array:
    """``base ** x`` for `steps` numbers x in equal distance from `start` to `end`."""
    kind = _bounds_dtype(dtype, start, end, base)
    powers = _between("logspace", start, end, steps, kind)
    return np.power(np.asarray(base, powers.dtype), powers).astype(kind)


@factory()
def eye(n: int, m: int | None = None, *, dtype: Any) -> Array:
    """(n, m) with ones on the main diagonal and zeros elsewhere."""
    for name, size in (("n", n), ("m", m)):
        if size is not None and size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return np.eye(n, m, dtype=_default(dtype))


def _triangle_indices(name: str, mask: Callable[..., Any]) -> None:
    def make(row: int, col: int, offset: int = 0, *, dtype: Any) -> Array:
        for axis, size in (("row", row), ("col", col)):
            if size < 0:
                raise RuntimeError(f"{axis} must be non-negative, got{size}")
        kind = np.dtype("int64") if dtype is None else np.dtype(dtype)
        if kind.char not in "ilq":
            raise NotImplementedError(f"\"{name}\" not implemented for '{_dtypes.scalar_name(kind)}'")
        return np.stack(mask(np.ones((row, col), np.bool_), offset).nonzero()).astype(kind)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"(2, count): rows and columns of the elements that ``{name[:4]}`` keeps of a (row, col) matrix."
    factory(out=False)(make)


_triangle_indices("tril_indices", np.tril)
_triangle_indices("triu_indices", np.triu)

# ------------------------------------------------------------------------------------------------ diagonals and triangles


@method()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension of `input` on the diagonal of the new dimensions `dim1` and `dim2`."""
    ndim = input.ndim + 1
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if not input.ndim:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    n = input._array.shape[-1] + abs(offset)
    shape = list(input._array.shape[:-1])
    for d in sorted((first, second)):
        shape.insert(d, n)
    return place(input, _diagonal, (offset, first, second), tuple(shape))


@method(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix with this vector on a diagonal, or the diagonal of this matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim == 2:
        return input.diagonal(diagonal).clone()
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")


@method()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of `input` on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


def _triangle(name: str, kernel: Callable[..., Array], what: str) -> None:
    def cut(input: Array, diagonal: int) -> Array:
        return kernel(input, diagonal)

    cut.__name__ = name
    primitive = op(input=lambda grad, diagonal: primitive(grad, diagonal))(cut)

    def call(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return primitive(input, operator.index(diagonal))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`input` with zeros {what} the diagonal, of each matrix of a batch."
    method(inplace=True, out=True)(call)


_triangle("tril", np.tril, "above")
_triangle("triu", np.triu, "below")


@function()
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element of a vector, as rows: x^(N-1) ... x, 1, or the other way round."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x._array.size if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    kind = np.result_type(x._array.dtype, np.int64) if x._array.dtype.kind in "bui" else x._array.dtype
    powers = np.arange(n)
    return x.to(_dtypes.of_numpy(np.dtype(kind))).unsqueeze(1) ** wrap(powers if increasing else powers[::-1].copy())


# ------------------------------------------------------------------------------------------------ the old constructors


def _legacy(cls: Any, args: tuple[Any, ...], dtype: np.dtype[Any]) -> Array:
    """``Tensor(2, 3)``: uninitialised; ``Tensor([2, 3])``: these values; ``Tensor()``: nothing."""
    if len(args) == 1 and not isinstance(args[0], Size):
        (data,) = args
        if isinstance(data, Tensor):
            if data._array.dtype != dtype:
                raise TypeError(f"expected {_dtypes.of_numpy(dtype)} (got {data.dtype})")
            return data._array
        if isinstance(data, (builtins.float, complex)) or data is None:
            raise TypeError(f"new(): data must be a sequence (got {type_name(data)})")
        if not isinstance(data, (builtins.int, np.integer)):
            return from_data(data, dtype)
    return np.empty(sizes(args) if args else 0, dtype)


def _constructor(cls: Any, *args: Any, device: Any = None) -> Any:
    require_cpu(device)
    made = object.__new__(cls)
    made._array = _legacy(cls, args, _dtypes.default_numpy())
    return made


setattr(Tensor, "__new__", _constructor)  # noqa: B010


class TensorType:
    """``torch.FloatTensor`` and the like: makes tensors of one type as ``Tensor`` does, and knows its instances."""

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype
        self.__name__ = _dtypes.scalar_name(dtype.numpy) + "Tensor"

    def __call__(self, *args: Any, device: Any = None) -> Tensor:
        return wrap(_legacy(Tensor, args, self.dtype.numpy))

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 - for an object that is no class

    __ror__ = __or__

    def __instancecheck__(self, value: object) -> builtins.bool:
        return isinstance(value, Tensor) and value.dtype is self.dtype

    def __repr__(self) -> str:
        return f"<class 'torch.{self.__name__}'>"


for _dtype in _dtypes.ALL:
    if _dtype.name not in ("uint16", "uint32", "uint64", "complex64", "complex128"):
        _type = TensorType(_dtype)
        namespace("torch")[_type.__name__] = _type


@tensor_method()
def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """``Tensor(...)`` in the type of this tensor."""
    return wrap(_legacy(Tensor, args, self._array.dtype))


def _type_of(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the type of this tensor, or this tensor in another type."""
    if dtype is None:
        return f"torch.{_dtypes.scalar_name(self._array.dtype)}Tensor"
    if isinstance(dtype, str):
        dtype = namespace("torch")[dtype.removeprefix("torch.")]
    return self.to(dtype.dtype if isinstance(dtype, TensorType) else dtype)


_type_of.__name__ = "type"
tensor_method()(_type_of)


for _name in (
    "layout", "strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc",
    "memory_format", "contiguous_format", "preserve_format", "channels_last", "channels_last_3d",
):  # fmt: skip
    namespace("torch")[_name] = getattr(_device, _name)
