"""Creating tensors: from data, from a value, from a rule."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl import _device, _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._arguments import loosely_parsed, single
from mini_dl._checks import int_list, nonnegative, sizes, spread_out, too_large, type_name
from mini_dl._device import (
    DeviceLike,
    Layout,
    MemoryFormat,
    channels_last,
    channels_last_3d,
    check_memory_format,
    contiguous_format,
    is_meta,
    require_cpu,
)
from mini_dl._dtypes import Array, NumpyType, TypeLike, buffer_of, dtype as DType, is_number, number_as, number_cast
from mini_dl._families import with_family, with_preface
from mini_dl._meta import meta_array
from mini_dl._surface import named, namespace, tensor_method
from mini_dl.autograd.draws import in_batches
from mini_dl.autograd.primitive import number_of
from mini_dl.ops.attributes import UntypedStorage
from mini_dl.ops.factories import (
    check_options,
    default_type,
    empty_of_format,
    empty_with_channels_last,
    factory,
    finished,
    numpy_of,
    valued_like,
)
from mini_dl.ops.from_data import from_data, tensor
from mini_dl.tensor import Operand, Size, Tensor, in_class, wrap

# ------------------------------------------------------------------------------------------------ one value


def _filled(shape: tuple[int, ...], value: Operand | None, dtype: NumpyType | None) -> Array:
    value = number_of("full", "fill_value", value)
    return np.full(shape, (number_cast if math.prod(shape) == 1 else number_as)(value, np.dtype(dtype)), dtype)


def _nonnegative(name: str, size: tuple[int, ...]) -> tuple[int, ...]:
    if any([n < 0 for n in size]):
        raise RuntimeError(f"{name}: Dimension size must be non-negative.")
    return size


@factory()
@spread_out
def zeros(size: tuple[int, ...], *, dtype: NumpyType | None) -> Array:
    """``out[i] = 0``

    Family: factory

    >>> torch.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return np.zeros(_nonnegative("zeros", size), default_type(dtype))


@factory()
@spread_out
def ones(size: tuple[int, ...], *, dtype: NumpyType | None) -> Array:
    """``out[i] = 1``

    Family: factory

    >>> torch.ones(2, 3, dtype=torch.int64)
    tensor([[1, 1, 1],
            [1, 1, 1]])
    """
    return np.ones(_nonnegative("ones", size), default_type(dtype))


@factory()
@spread_out
def empty(size: tuple[int, ...], *, dtype: NumpyType | None, memory_format: MemoryFormat = None) -> Array:
    """An uninitialized tensor, in the order of `memory_format`: ``out[i]`` is arbitrary.

    Family: factory

    >>> torch.empty(2, 3).shape
    torch.Size([2, 3])
    """
    size = nonnegative(size)
    if memory_format is None or memory_format is contiguous_format:
        return np.empty(size, default_type(dtype))
    check_memory_format("empty", memory_format)
    if memory_format is not channels_last and memory_format is not channels_last_3d:
        raise RuntimeError(f"unsupported memory format {memory_format}")
    return empty_with_channels_last(tuple(size), default_type(dtype), memory_format)


@factory()
def full(size: Sequence[int], fill_value: Operand, *, dtype: NumpyType | None) -> Array:
    """One value everywhere: ``out[i] = fill_value``; the dtype is that of the value unless it is given.

    Family: factory

    >>> torch.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type_name(size)}")
    if dtype is None:
        dtype = _dtypes.dtype_of_number(number_of("full", "fill_value", fill_value))
        dtype = np.dtype(np.int64) if dtype == np.uint64 else dtype
    return _filled(nonnegative(sizes(size)), fill_value, dtype)


@factory(out=False)
def scalar_tensor(s: Operand, *, dtype: NumpyType | None) -> Array:
    """A number as a 0-d tensor of the default dtype: ``out = s``

    Shapes: a number -> ().
    Raises: TypeError for anything but a number.

    >>> torch.scalar_tensor(3)
    tensor(3.)
    """
    return _filled((), s, default_type(dtype))


@factory(out=False)
def empty_strided(size: Sequence[int], stride: Sequence[int], *, dtype: NumpyType | None) -> Array:
    """An uninitialized tensor whose neighbors are `stride` elements apart in memory: ``out[i, j]`` at
    ``i * stride[0] + j * stride[1]``

    Shapes: `size` and `stride`, of one length -> `size`.
    Raises: RuntimeError for negative sizes or strides, and for different lengths.

    >>> torch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    shape = nonnegative(int_list(size, "empty_strided(): argument 'size' (position 1)"))
    strides = int_list(stride, "empty_strided(): argument 'stride' (position 2)")
    if len(shape) != len(strides):
        raise RuntimeError(f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})")
    if any([s < 0 for s in strides]):
        raise RuntimeError(f"empty_strided: Negative strides are not supported at the moment, got strides: {list(strides)}")
    kind = np.dtype(default_type(dtype))
    count = 0 if 0 in shape else 1 + builtins.sum([(n - 1) * s for n, s in zip(shape, strides)])
    return np.ndarray(shape, kind, buffer_of(np.empty(count, kind)), 0, [s * kind.itemsize for s in strides])


@factory(out=False)
def empty_permuted(size: Sequence[int], physical_layout: Sequence[int], *, dtype: NumpyType | None) -> Array:
    """An uninitialized tensor whose dimensions are in memory in the order `physical_layout`, from the outermost: ``out[i, j]``

    Shapes: `size` -> `size`.
    Raises: RuntimeError unless `physical_layout` names each dimension once.

    >>> torch.empty_permuted((2, 3, 4), (0, 2, 1)).stride()
    (12, 1, 3)
    """
    shape, order = nonnegative(tuple(size)), sizes((tuple(physical_layout),), "empty_permuted(): argument 'physical_layout'")
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
    return np.empty([shape[d] for d in order], default_type(dtype)).transpose(np.argsort(order))


# ------------------------------------------------------------------------------------------------ like another tensor


def _filled_like(
    name: str, input: object, fill_value: Operand | None, dtype: TypeLike, device: DeviceLike, requires_grad: bool,
    memory_format: MemoryFormat,
) -> Tensor:  # fmt: skip
    """A tensor of the shape, type and memory order of `input`, with this value everywhere, or uninitialized."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    check_memory_format(name, memory_format)
    if is_abstract(input):
        return in_batches(
            input, lambda physical, lead: _filled_like(name, physical, fill_value, dtype, None, requires_grad, memory_format)
        )
    kind = numpy_of(dtype, input._array.dtype)
    base = meta_array(input._array.shape, kind) if is_meta(device) else valued_like(input._array, device)
    array = empty_of_format(base, kind, memory_format)
    if fill_value is not None:
        array[...] = (number_cast if array.size == 1 else number_as)(fill_value, np.dtype(kind))
    return finished(array, requires_grad)


def _published_like(make: Callable[..., Tensor], name: str, formula: str, example: str) -> Callable[..., Tensor]:
    doc = f"A tensor of the shape, dtype and memory order of `input`: ``{formula}\n\nFamily: like\n\n>>> torch.{name}{example}"
    call = namespace("torch")[name] = loosely_parsed(named(make, name, with_family(doc)))
    return call


def _like(name: str, fill: Operand | None, formula: str, example: str) -> Callable[..., Tensor]:
    """Publish ``torch.f_like(input)``: a tensor like `input`, of the value `fill`."""

    def make(
        input: Tensor, *, dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None, pin_memory: bool = False,
        requires_grad: bool = False, memory_format: MemoryFormat = None,
    ) -> Tensor:  # fmt: skip
        if layout is not None or pin_memory is not False or requires_grad is not False:
            check_options(name, layout, pin_memory, requires_grad)
        return _filled_like(name, input, fill, dtype, device, requires_grad, memory_format)

    return _published_like(make, name, formula, example)


def _full_like(
    input: Tensor, fill_value: Operand, *, dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: MemoryFormat = None,
) -> Tensor:  # fmt: skip
    check_options("full_like", layout, pin_memory, requires_grad)
    number = single(fill_value, "biufVc") if isinstance(fill_value, Tensor) else fill_value
    if not is_number(number):
        raise TypeError(f"full_like(): argument 'fill_value' (position 2) must be Number, not {type_name(fill_value)}")
    return _filled_like("full_like", input, number, dtype, device, requires_grad, memory_format)


zeros_like = _like("zeros_like", 0, "out[i] = 0``", "(torch.tensor([1.5, 2.5]))\ntensor([0., 0.])")
ones_like = _like("ones_like", 1, "out[i] = 1``", "(torch.tensor([1.5, 2.5]))\ntensor([1., 1.])")
empty_like = _like("empty_like", None, "out[i]`` is arbitrary.", "(torch.tensor([1.5, 2.5])).shape\ntorch.Size([2])")
full_like = _published_like(_full_like, "full_like", "out[i] = fill_value``", "(torch.tensor([1.5, 2.5]), 7)\ntensor([7., 7.])")


def _longer(lead: tuple[int, ...], args: tuple[object, ...]) -> tuple[Any, ...]:
    """The arguments of a factory, preceded by these sizes."""
    if args and isinstance(args[0], (tuple, list)):
        return ((*lead, *args[0]), *args[1:])
    return (*lead, *args)


def _new(function: Callable[..., Tensor]) -> None:
    """Publish ``x.new_f(...)``: ``torch.f(...)`` in the type of `x`."""

    def make(self: Tensor, *args: object, dtype: TypeLike = None, **kwargs: object) -> Tensor:
        kwargs.setdefault("device", self.device)
        if is_abstract(self) and function is not empty_strided:
            return in_batches(
                self,
                lambda physical, lead: function(*_longer(lead, args), dtype=self.dtype if dtype is None else dtype, **kwargs),
            )
        return function(*args, dtype=self.dtype if dtype is None else dtype, **kwargs)

    name = "new_" + function.__name__
    sentence = f"``torch.{function.__name__}(...)`` in the dtype of this tensor, on its device."
    arguments = {"new_full": "(2,), 7", "new_empty_strided": "(2,), (1,)"}.get(name, "2")
    named(
        make, name, with_preface(f"{sentence}\n\n>>> torch.tensor([1]).{name}({arguments}).dtype\ntorch.int64", function.__doc__)
    )
    setattr(Tensor, make.__name__, make)


for _function in (zeros, ones, empty, full, empty_strided):
    _new(_function)


@tensor_method()
def new_tensor(
    self: Tensor, data: object, *, dtype: TypeLike = None, device: DeviceLike = None, requires_grad: bool = False,
    layout: Layout = None,
) -> Tensor:  # fmt: skip
    """A copy of `data` in the dtype of this tensor: ``out = data``

    Shapes: nested sequences, an array, or a number -> a tensor of that shape.
    Raises: ValueError for sequences of unequal lengths; TypeError for anything but a number.

    >>> torch.zeros(2, dtype=torch.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=torch.float64)
    """
    return tensor(data, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


# ------------------------------------------------------------------------------------------------ legacy constructors


def _legacy(cls: object, args: tuple[object, ...], dtype: NumpyType) -> Array:
    """``Tensor(2, 3)``: uninitialized; ``Tensor([2, 3])``: these values; ``Tensor()``: nothing."""
    if len(args) == 1 and not isinstance(args[0], Size):
        (data,) = args
        if isinstance(data, Tensor):
            if data._array.dtype != dtype:
                raise TypeError(f"expected {_dtypes.of_numpy(dtype)} (got {data.dtype})")
            return data._array
        if isinstance(data, UntypedStorage):
            return data._bytes[: data.nbytes() // dtype.itemsize * dtype.itemsize].view(np.ndarray).view(dtype)
        if isinstance(data, (builtins.float, complex, np.inexact, np.bool_)) or data is None:
            raise TypeError(f"new(): data must be a sequence (got {type_name(data)})")
        if not isinstance(data, (builtins.int, np.integer)):
            return from_data(data, dtype)
    try:
        return np.empty(nonnegative(sizes(args)) if args else 0, dtype)
    except (ValueError, MemoryError) as error:
        raise too_large("new", args, error) from None


def _constructor(cls: Any, *args: object, device: DeviceLike = None) -> Any:
    require_cpu(device)
    if len(args) == 1 and isinstance(args[0], Tensor):
        return in_class(cls, args[0][...])  # of any type, and with its history
    made = object.__new__(cls)
    made._array = _legacy(cls, args, _dtypes.default_numpy())
    return made


setattr(Tensor, "__new__", _constructor)  # noqa: B010


class TensorType(type):
    """The class of ``torch.FloatTensor`` and similar: they create tensors of one type as ``Tensor`` does, and support
    isinstance.
    """

    dtype: DType

    def __call__(cls, *args: Any, device: DeviceLike = None) -> Tensor:
        return wrap(_legacy(Tensor, args, cls.dtype.numpy))

    def __instancecheck__(cls, value: object) -> builtins.bool:
        return isinstance(value, Tensor) and value.dtype is cls.dtype


def tensor_type(dtype: DType) -> TensorType:
    """The legacy class of the tensors of a type."""
    facts = {"dtype": dtype, "layout": _device.strided, "is_cuda": False, "is_sparse": False}
    about = {"__module__": "torch", "__doc__": f"Tensors of type {dtype}.", "__slots__": ()}
    return TensorType(_dtypes.scalar_name_of(dtype.name) + "Tensor", (), {**facts, **about})


TENSOR_TYPES: dict[str, TensorType] = {}
"""By name."""

for _dtype in _dtypes.ALL:
    if _dtype.name not in ("uint16", "uint32", "uint64", "complex64", "complex128"):
        _type = tensor_type(_dtype)
        TENSOR_TYPES[_type.__name__] = namespace("torch")[_type.__name__] = _type


@tensor_method()
def new(self: Tensor, *args: object, device: DeviceLike = None) -> Tensor:
    """``Tensor(...)`` of the type of this tensor: from sizes, uninitialized, or from a sequence of numbers.

    Shapes: sizes (*out) -> (*out); a sequence -> its shape.
    Raises: TypeError for anything but sizes or numbers.

    >>> torch.tensor([1]).new([1, 2])
    tensor([1, 2])
    """
    return wrap(_legacy(Tensor, args, self._array.dtype))


def _type_of(self: Tensor, dtype: TypeLike = None, non_blocking: bool = False) -> Any:
    """The name of the type of this tensor, or this tensor in another type: ``out = cast(self, dtype)``

    Family: attribute
    Raises: ValueError for an unknown type.

    >>> torch.tensor([1.5]).type(), torch.tensor([1.5]).type(torch.int64)
    ('torch.FloatTensor', tensor([1]))
    """
    if dtype is None:
        return f"torch.{_dtypes.scalar_name(self._array.dtype)}Tensor"
    if getattr(dtype, "__module__", dtype) == "torch.cuda" or str(dtype).startswith("torch.cuda."):
        raise RuntimeError("Cannot initialize CUDA without ATen_cuda library: there is no GPU here")
    if isinstance(dtype, str):
        if (name := dtype.removeprefix("torch.")) not in TENSOR_TYPES:
            raise ValueError(f"invalid type: {dtype!r}")
        dtype = TENSOR_TYPES[name].dtype
    if dtype is Tensor:
        dtype = _dtypes.get_default_dtype()
    if not isinstance(dtype, (DType, TensorType)):
        if isinstance(dtype, type):
            raise ValueError(f"invalid type: {dtype.__name__!r}")
        raise TypeError("dtype must be a type, str, or dtype object")
    target: Any = dtype.dtype if isinstance(dtype, TensorType) else dtype
    return self.to(target)


_type_of.__name__ = "type"
tensor_method()(_type_of)
for _name in (
    "layout", "strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc",
    "memory_format", "contiguous_format", "preserve_format", "channels_last", "channels_last_3d",
):  # fmt: skip
    namespace("torch")[_name] = getattr(_device, _name)
