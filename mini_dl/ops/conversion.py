"""Copies, casts and conversions: to other types, NumPy arrays, Python numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import NO_STORAGE, is_abstract
from mini_dl._checks import check_bool, type_name, warn_once, without_imaginary_parts
from mini_dl._device import (
    DeviceLike,
    MemoryFormat,
    channels_last,
    channels_last_3d,
    check_memory_format,
    compiled_without,
    contiguous_format,
    device,
    is_meta,
    preserve_format,
)
from mini_dl._dtypes import (
    FLOATING,
    INEXACT,
    NARROW,
    PYTHON_TYPES,
    Array,
    Number,
    NumpyType,
    TypeLike,
    dtype,
    of_numpy,
    result_numpy,
)  # fmt: skip
from mini_dl._layout import converted, copied, empty_in_order
from mini_dl._meta import NO_DATA, NO_ITEM, is_meta_array, meta_array
from mini_dl._surface import function, method, named, public, tensor_method
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.mode import mode
from mini_dl.autograd.node_names import rename
from mini_dl.autograd.primitive import linear_in, op, recorded_as
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels import halves
from mini_dl.kernels.blocks import LARGE
from mini_dl.kernels.copying import compact, copy
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ copies and casts


@recorded_as("CloneBackward0")
@linear_in("input")
@op(input=lambda grad: grad)
@as_it_is
def _copy(input: Array, order: Any) -> Array:
    if order in (None, preserve_format):
        if input.size < LARGE or input.__class__ is not np.ndarray:
            return copied(input)
        out = empty_in_order(input, input.dtype)
        copy(out, input)
        return out
    if order is contiguous_format:
        return compact(input)
    if input.ndim != _CHANNELS_LAST_NDIM[order]:
        raise RuntimeError(f"required rank {_CHANNELS_LAST_NDIM[order]} tensor to use {order.name} format")
    return np.moveaxis(compact(np.moveaxis(input, 1, -1)), -1, 1)


_CHANNELS_LAST_NDIM = {channels_last: 4, channels_last_3d: 5}


@method()
def clone(input: Tensor, *, memory_format: MemoryFormat = None) -> Tensor:
    """A copy, through which gradients flow: ``out = input``

    Shapes: (*in) -> (*in), in the order of `memory_format`.
    Raises: RuntimeError for a `memory_format` that needs other dimensions.

    >>> x = torch.tensor([1.0, 2.0])
    >>> y = x.clone(); y[0] = 9
    >>> x, y
    (tensor([1., 2.]), tensor([9., 2.]))
    """
    return _copy(input, memory_format)


@tensor_method()
def contiguous(self: Tensor, *, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """This tensor, or a copy that is contiguous in memory: ``out = self``

    Shapes: (*in) -> (*in).
    Raises: RuntimeError for a `memory_format` that needs other dimensions.

    >>> torch.ones(2, 3).t().contiguous().stride()
    (2, 1)
    """
    return self if is_contiguous(self, memory_format=memory_format) else _copy(self, memory_format)


@tensor_method()
def is_contiguous(self: Tensor, *, memory_format: MemoryFormat = contiguous_format) -> bool:
    """Whether the elements are contiguous in memory: ``self.stride()[d] = prod(self.shape[e], e)`` over ``e > d``

    Family: attribute

    >>> torch.ones(2, 3).is_contiguous(), torch.ones(2, 3).t().is_contiguous()
    (True, False)
    """
    array = self._array
    if is_meta_array(array):
        return memory_format not in _CHANNELS_LAST_NDIM
    if memory_format in _CHANNELS_LAST_NDIM:
        return array.ndim == _CHANNELS_LAST_NDIM[memory_format] and bool(np.moveaxis(array, 1, -1).flags.c_contiguous)
    return bool(array.flags.c_contiguous)


@linear_in("input")
@op(input=lambda grad: grad)  # the engine casts back
def _cast(input: Array, target: NumpyType) -> Array:
    if input.dtype.kind == "c" and target.kind not in "cb":
        input = input.real
    if input.dtype.kind in FLOATING and target.kind in "iu" and target.itemsize < 8:
        return converted(input, np.int64).astype(target)  # wraps around, like the conversion of a large number in C
    if input.dtype.char + target.char in ("ef", "fe") and input.flags.forc:
        return halves.cast(input, target)
    return converted(input, target)


def cast(input: Tensor, target: NumpyType) -> Tensor:
    """`input` itself if it has type `target`, else a copy of that type."""
    if input._array.dtype == target:
        return input
    if input._array.dtype.kind == "c" and target.kind not in "cb":
        without_imaginary_parts(input._array, target)
    has_history = target.kind in INEXACT or is_abstract(input)  # integers have none
    return _cast(input if has_history else wrap(input._array), target)


@tensor_method()
def to(self: Tensor, *args: object, **kwargs: object) -> Tensor:
    """This tensor in another dtype, ``to(dtype)``, ``to(device, dtype)`` or ``to(other)``; itself if it has that dtype, unless
    `copy`.

    Keywords: `device`, `dtype`, `non_blocking`, `copy`, `memory_format`.

    Shapes: (*in) -> (*in).
    Raises: RuntimeError for an unavailable device; TypeError for other arguments.

    >>> torch.tensor([1.7, -1.7]).to(torch.int64)
    tensor([ 1, -1])
    """
    where, target, _, copy, order = arguments_of_to(*args, **kwargs)
    if where is not None and (meta := is_meta(where)) != is_meta_array(self._array):
        self = _moved(self, meta)
    return _converted(self, self._array.dtype if target is None else target.numpy, copy, order)


def _converted(self: Tensor, target: NumpyType, copy: bool | None, order: object) -> Tensor:
    if self._array.dtype == target and not copy and order in (None, preserve_format, _suggested(self)):
        return self
    out: Tensor = cast(self, target)
    if out is self or not (order in (None, preserve_format) or is_contiguous(out, memory_format=order)):
        out = _copy(out, order)
        rename(out, "ToCopyBackward0")
    return out


def _suggested(tensor: Tensor) -> Any:
    """The memory format of a tensor: contiguous unless it has the strides of another format."""
    for order in _CHANNELS_LAST_NDIM:
        if is_contiguous(tensor, memory_format=order) and not is_contiguous(tensor):
            return order
    return contiguous_format


@linear_in("input")
@op(input=lambda grad, input: _moved(grad, is_meta_array(input._array)))
def _moved(input: Array, meta: bool) -> Array:
    """`input` without values; NotImplementedError if they are requested but missing."""
    if not meta:
        raise NotImplementedError(NO_DATA)
    return meta_array(input.shape, input.dtype)


def arguments_of_to(*args: object, **kwargs: object) -> tuple[DeviceLike, dtype | None, bool, bool | None, Any]:
    """The device, the type, the flags `non_blocking` and `copy` and the memory format that the arguments of ``to`` request,
    for a tensor or a module; None if unspecified. TypeError for incompatible arguments."""
    first = args[0] if args else kwargs.get("tensor")
    if isinstance(first, Tensor):
        names: tuple[str, ...] = ("tensor", "non_blocking", "copy")
    elif isinstance(first, dtype) or (isinstance(first, type) and first in PYTHON_TYPES):
        names = ("dtype", "non_blocking", "copy")
    else:
        names = ("device", "dtype", "non_blocking", "copy")
    if len(args) > len(names):
        raise TypeError(f"to() received an invalid combination of arguments - got ({', '.join(map(type_name, args))})")
    given: dict[str, Any] = dict(zip(names, args))
    for name, value in kwargs.items():
        if name in given or name not in ("device", "dtype", "tensor", "non_blocking", "copy", "memory_format"):
            raise TypeError(f"to() received an invalid combination of arguments - got {name!r}")
        given[name] = value
    where, target, like = given.get("device"), given.get("dtype"), given.get("tensor")
    if isinstance(target, type):
        target = PYTHON_TYPES.get(target, target)
    if isinstance(where, int) and not isinstance(where, bool):
        raise RuntimeError(f"Cannot access accelerator device {where} when none is available.")
    if where is not None and not isinstance(where, (device, str)):
        raise TypeError(f"to() received an invalid combination of arguments - got ({type_name(where)})")
    if target is not None and not isinstance(target, dtype):
        raise TypeError(f"to(): argument 'dtype' must be torch.dtype, not {type_name(target)}")
    for flag in ("non_blocking", "copy"):
        check_bool(given.get(flag, False), f"to(): argument '{flag}'")
    order = given.get("memory_format")
    check_memory_format("to", order)
    if like is not None:
        where, target = like.device, like.dtype
    return where, target, given.get("non_blocking", False), given.get("copy"), order


def arguments_of_module_to(*args: object, **kwargs: object) -> tuple[device | None, dtype | None, bool, Any]:
    """What the arguments of ``Module.to`` request, as `arguments_of_to` except `copy`: RuntimeError if that is given."""
    where, target, non_blocking, copy, order = arguments_of_to(*args, **kwargs)
    if copy is not None:
        raise RuntimeError(".to() does not accept copy argument")
    return device(where) if isinstance(where, (str, int)) else where, target, non_blocking, order


def _shorthand(name: str, target: dtype) -> None:
    def convert(self: Tensor, *, memory_format: MemoryFormat = None) -> Tensor:
        return _converted(self, target.numpy, False, memory_format)

    real = "[0.0000, 1.5000]"
    values = {"bool": "[False,  True]", "float": real, "bfloat": real, "complex": "[0.0000+0.j, 1.5000+0.j]"}
    shown = values.get(target.name.rstrip("0123456789"), "[0, 1]")
    said = "" if target.name in ("bool", "int64", "float32", "complex64") else f", dtype=torch.{target.name}"
    doc = f"""This tensor as {target.name}, itself if it already is: ``out = self.to(torch.{target.name})``

Shapes: (*in) -> (*in).
Raises: TypeError for a `memory_format` other than torch's.

>>> torch.tensor([0.0, 1.5]).{name}()
tensor({shown}{said})"""
    named(convert, name, doc)
    tensor_method()(convert)


for _name, _type in {**_dtypes.NAMES, "char": _dtypes.int8, "byte": _dtypes.uint8}.items():
    if _name in ("bool", "byte", "char", "short", "int", "long", "half", "bfloat16", "float", "double", "cfloat", "cdouble"):
        _shorthand(_name, _type)


@tensor_method()
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of another: ``out = self.to(other.dtype)``

    Shapes: (*in), `other` any -> (*in).
    Raises: TypeError unless `other` is a tensor.

    >>> torch.tensor([1, 2]).type_as(torch.ones(1))
    tensor([1., 2.])
    """
    return cast(self, other._array.dtype)


@tensor_method()
def cuda(self: Tensor, device: DeviceLike = None, non_blocking: bool = False, memory_format: MemoryFormat = None) -> Tensor:
    """AssertionError: there is no GPU here, and no ``out = self`` on it.

    Shapes: a tensor of any shape.
    Raises: AssertionError.

    >>> torch.ones(2).cuda()
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled
    """
    compiled_without("CUDA")


@tensor_method()
def cpu(self: Tensor, *, memory_format: MemoryFormat = None) -> Tensor:
    """This tensor, if it is on the CPU: ``out = self``

    Shapes: (*in) -> (*in).
    Raises: NotImplementedError for one without values, on the device "meta".

    >>> torch.tensor([1.0]).cpu()
    tensor([1.])
    """
    return _moved(self, False) if is_meta_array(self._array) else self


# ------------------------------------------------------------------------------------------------ types


@method()
def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating point numbers: ``out = input.dtype in (float16, bfloat16, float32, float64)``

    Family: attribute

    >>> torch.is_floating_point(torch.ones(2)), torch.is_floating_point(torch.tensor([1]))
    (True, False)
    """
    return input._array.dtype.kind in FLOATING


@method()
def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers: ``out = input.dtype in (complex64, complex128)``

    Family: attribute

    >>> torch.is_complex(torch.tensor([1j])), torch.is_complex(torch.ones(2))
    (True, False)
    """
    return input._array.dtype.kind == "c"


@method()
def is_signed(input: Tensor) -> bool:
    """Whether the elements can be negative: ``out = input.dtype not in (bool, uint8, uint16, uint32, uint64)``

    Family: attribute

    >>> torch.is_signed(torch.tensor([1])), torch.is_signed(torch.tensor([True]))
    (True, False)
    """
    return input._array.dtype.kind in "ifVc"


@tensor_method()
def element_size(self: Tensor) -> int:
    """Bytes per element: ``self.nbytes = self.numel() * out``

    Family: attribute

    >>> torch.ones(2).element_size()
    4
    """
    return self._array.itemsize


@function()
def result_type(tensor1: Tensor | Number, tensor2: Tensor | Number) -> dtype:
    """The dtype of an operation on the two: ``out = (tensor1 + tensor2).dtype``; those with dimensions have priority over 0-d
    ones and numbers.

    Shapes: any two tensors or numbers -> a dtype.
    Raises: TypeError for anything else.

    >>> torch.result_type(torch.tensor([1, 2]), 1.5), torch.result_type(torch.ones(2), torch.tensor(1, dtype=torch.float64))
    (torch.float32, torch.float32)
    """
    return of_numpy(result_numpy(*[v._array if isinstance(v, Tensor) else v for v in (tensor1, tensor2)]))


# ------------------------------------------------------------------------------------------------ NumPy and Python


@public("Tensor:numpy")
def _numpy(self: Tensor, *, force: bool = False) -> Array:
    """The array of this tensor, sharing its memory: ``out[i] = self[i]``

    Shapes: (*in) -> an array (*in).
    Raises: RuntimeError if it requires grad, unless `force` or gradients are off; TypeError for bfloat16, which NumPy lacks.

    >>> torch.tensor([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    if is_abstract(self):
        raise RuntimeError(NO_STORAGE)
    if mode.formula:
        raise TypeError(
            f"{mode.formula}: its formula asks for the array of a tensor, as NumPy's functions do, and would have no derivative; "
            "formulas compute with tensors: input.exp(), not np.exp(input)"
        )
    if mode.enabled and needs_grad(self) and not force:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if is_meta_array(self._array):
        raise TypeError(
            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )
    if self._array.dtype.char in NARROW:
        raise TypeError("Got unsupported ScalarType BFloat16")
    return self._array


@tensor_method()
def __array__(self: Tensor, dtype: TypeLike = None, copy: bool | None = None) -> Array:
    array = _numpy(self)
    return (
        array.copy()
        if copy and (dtype is None or array.dtype == dtype)
        else array
        if dtype is None
        else array.astype(dtype, copy=False)
    )


@tensor_method()
def item(self: Tensor) -> Any:
    """The one element as a Python number: ``out = self.flatten()[0]``

    Shapes: one element, of any number of dimensions -> a number.
    Raises: RuntimeError if there is not exactly one.

    >>> torch.tensor([[2.5]]).item()
    2.5
    """
    array = self._array
    if array.size != 1:
        raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
    _check_values(array)
    return array.item()


@tensor_method()
def tolist(self: Tensor) -> Any:
    """The elements as nested lists of Python numbers, ``out[i][j] = self[i, j]``; a number for a 0-d tensor.

    Family: attribute

    >>> torch.tensor([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    if is_meta_array(self._array):
        raise NotImplementedError(NO_DATA)
    return self._array.tolist()


@tensor_method()
def __bool__(self: Tensor) -> bool:
    if is_abstract(self):
        return bool(self._array)
    return is_nonzero(self)


def _check_values(array: Array) -> None:
    if is_meta_array(array):
        raise RuntimeError(NO_ITEM)


def _only_element(self: Tensor) -> Any:
    if self._array.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    _check_values(self._array)
    return self._array.item()


def _real_element(self: Tensor, name: str) -> Any:
    value = _only_element(self)
    if isinstance(value, complex):
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {name} without overflow")
        return value.real
    return value


@tensor_method()
def __int__(self: Tensor) -> int:
    return int(_real_element(self, "int64_t"))


def _warn_of_lost_history(self: Tensor) -> None:
    if mode.enabled and needs_grad(self):
        warn_once(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
            "Consider using tensor.detach() first.",
        )


@tensor_method()
def __float__(self: Tensor) -> float:
    _warn_of_lost_history(self)
    return float(_real_element(self, "double"))


@tensor_method()
def __complex__(self: Tensor) -> complex:
    _warn_of_lost_history(self)
    return complex(_only_element(self))


@tensor_method()
def __index__(self: Tensor) -> int:
    array = self._array
    if array.dtype.kind not in "biu" or array.size != 1:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    _check_values(array)
    return int(array.item())


# ------------------------------------------------------------------------------------------------ predicates


@method()
def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not 0: ``out = input.item() != 0``

    Shapes: one element, of any number of dimensions -> a bool.
    Raises: RuntimeError if there is not exactly one.

    >>> torch.is_nonzero(torch.tensor([0.0])), torch.is_nonzero(torch.tensor(2))
    (False, True)
    """
    if input._array.size != 1:
        raise RuntimeError(
            "Boolean value of Tensor with more than one value is ambiguous"
            if input._array.size
            else "Boolean value of Tensor with no values is ambiguous"
        )
    _check_values(input._array)
    return bool(input._array.item())


@function()
def is_tensor(obj: object) -> bool:
    """Whether an object is a tensor: ``out = isinstance(obj, Tensor)``

    Shapes: any object -> a bool.
    Raises: TypeError unless there is one argument.

    >>> torch.is_tensor(torch.ones(1)), torch.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


def _publish_false_flag(name: str, what: str) -> None:
    """Publish ``is_{name}`` and ``resolve_{name}``."""

    ends = "Shapes: a tensor of any shape.\nRaises: TypeError unless `input` is a tensor.\n\n"
    ends += f">>> torch.{{}}_{name}(torch.tensor([1]))\n{{}}"

    def is_marked(input: Tensor) -> bool:
        return False

    def resolved(input: Tensor) -> Tensor:
        return input

    for call, verb, value, shown in ((is_marked, "is", "False", "False"), (resolved, "resolve", "input", "tensor([1])")):
        sentence = f"``out = {value}``: {what} are computed immediately, not flagged."
        method()(named(call, f"{verb}_{name}", f"{sentence}\n\n{ends.format(verb, shown)}"))


_publish_false_flag("conj", "conjugates")
_publish_false_flag("neg", "negatives")
