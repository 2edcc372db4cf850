"""Tensors that a module owns: parameters, buffers, and those whose shape is not yet known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, SupportsIndex, TypeVar

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import check_bool, nonnegative, sizes, too_large, type_name
from mini_dl._device import is_meta, require_cpu
from mini_dl._dtypes import FLOATING, INEXACT
from mini_dl._meta import meta_array
from mini_dl.autograd.recording import not_a_tensor
from mini_dl.nn._types import Device, DType
from mini_dl.ops.pickling import restore_state, state_of
from mini_dl.overrides import overrides
from mini_dl.tensor import LEAF, Tensor, disabled_torch_function, inference, is_of_torch, new, version_of, wrap, written


def empty(*shape: int, device: Device = None, dtype: DType = None) -> Tensor:
    """An uninitialized tensor, which a module creates before it draws its parameters."""
    meta = is_meta(device)
    if dtype is not None and not isinstance(dtype, _dtypes.dtype):
        raise TypeError(f"empty(): argument 'dtype' must be torch.dtype, not {type_name(dtype)}")
    size = nonnegative(sizes(shape, "empty(): argument 'size' (position 1)"))
    if meta:
        return wrap(meta_array(size, _dtypes.default_numpy() if dtype is None else dtype.numpy))
    try:
        return wrap(np.empty(size, _dtypes.default_numpy() if dtype is None else dtype.numpy))
    except (MemoryError, ValueError, OverflowError) as error:
        raise too_large("empty", size, error) from None


def _owned(kind: type[Tensor], data: Tensor | None, requires_grad: bool) -> Any:
    """A leaf of class `kind` that shares the memory of `data`."""
    if data is None:
        data = empty(0)
    if is_of_torch(type(data)):
        raise not_a_tensor(kind.__name__, "data", 1, data)
    check_bool(requires_grad, "_make_subclass(): argument 'require_grad' (position 3)")
    if requires_grad and data._array.dtype.kind not in INEXACT:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    if requires_grad and data._inference and not inference.here:
        raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
    out = new(kind)
    out._array, out._counter = data._array, version_of(data)
    if data._inference:
        out._inference = True
    out._edge, out._base = (LEAF if requires_grad else None), None
    return out


Self = TypeVar("Self", bound="Parameter")


class _Marked(type):
    """Makes ``isinstance(tensor, Parameter)`` true for tensors marked ``_is_param``, ``isinstance(tensor, Buffer)`` for those
    marked ``_is_buffer``: `_mark` is set on these two classes, not on their subclasses."""

    def __instancecheck__(cls, instance: object) -> bool:
        if super().__instancecheck__(instance):
            return True
        mark = cls.__dict__.get("_mark")
        return mark is not None and isinstance(instance, Tensor) and instance.__dict__.get(mark, False)


class Parameter(Tensor, metaclass=_Marked):
    """A tensor that a module registers as its parameter when it is assigned as an attribute: a leaf that requires grad
    by default.

    A tensor of another subclass keeps its class, and is marked instead.

    Raises: RuntimeError for a tensor of integers that is to require grad; AttributeError for anything but a tensor.

    >>> module = nn.Module()
    >>> module.scale = nn.Parameter(torch.ones(2))
    >>> list(module.named_parameters())
    [('scale', Parameter containing:
    tensor([1., 1.], requires_grad=True))]
    """

    _mark = "_is_param"
    __torch_function__ = staticmethod(disabled_torch_function)

    def __new__(cls: type[Self], data: Tensor | None = None, requires_grad: bool = True) -> Self:
        if data is None or type(data) is Tensor or isinstance(data, cls) or not overrides(data):
            return _owned(cls, data, requires_grad)
        out: Any = data.detach().requires_grad_(requires_grad)
        out._is_param = True
        return out

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = _owned(type(self), wrap(self._array.copy("K")), self._edge is not None)
        return memo[id(self)]

    def __repr__(self, **kwargs: object) -> str:
        return "Parameter containing:\n" + super().__repr__(**kwargs)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        return _rebuild_parameter, (self.data, self.requires_grad, state_of(self))


def _rebuild_parameter(data: Tensor, requires_grad: bool, state: object) -> Tensor:
    return restore_state(Parameter(data, requires_grad), state)


class Buffer(Tensor, metaclass=_Marked):
    """A tensor that a module registers as its buffer when it is assigned; saved with it if `persistent`.

    Raises: AttributeError for anything but a tensor.

    >>> net = torch.nn.Module()
    >>> net.mean = torch.nn.Buffer(torch.zeros(2))
    >>> dict(net.state_dict())
    {'mean': tensor([0., 0.])}
    """

    _mark = "_is_buffer"
    __torch_function__ = staticmethod(disabled_torch_function)
    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        out = _owned(Tensor, data, data is not None and data.requires_grad)
        out.persistent, out._is_buffer = persistent, True
        return out


class UninitializedTensorMixin(Tensor):
    """A tensor without a shape, until `materialize` gives it one. Any operation on it is a ValueError."""

    __torch_function__ = staticmethod(disabled_torch_function)
    cls_to_become: type[Tensor]
    _numpy_dtype: np.dtype[Any]

    def materialize(self, shape: Iterable[int], device: Device = None, dtype: DType = None) -> None:
        """Become an ordinary, uninitialized tensor of this shape."""
        require_cpu(device)
        array = np.empty(tuple(shape), self._numpy_dtype if dtype is None else dtype.numpy)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self.__dict__["_array"] = array

    @property
    def _array(self) -> Any:  # type: ignore[override]
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a `LazyModule` or explicitly "
            f"manipulating `torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call `forward` with a "
            "dummy batch to initialize the parameters before calling torch functions"
        )

    @property
    def data(self) -> Tensor:
        """An empty tensor of the same type: writing into it does nothing."""
        return wrap(np.empty(0, self._numpy_dtype))

    @data.setter
    def data(self, value: Tensor) -> None:
        self.materialize(value.shape, dtype=value.dtype)
        self._array[...] = value._array

    @property
    def dtype(self) -> _dtypes.dtype:
        return _dtypes.of_numpy(self._numpy_dtype)

    @property
    def shape(self) -> NoReturn:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` "
            "when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the "
            "parameters before accessing their attributes."
        )

    def is_floating_point(self) -> bool:
        return self._numpy_dtype.kind in FLOATING

    def is_complex(self) -> bool:
        return self._numpy_dtype.kind == "c"

    def to(self, *args: object, **kwargs: object) -> UninitializedTensorMixin:
        for target in (*args, *kwargs.values()):
            if isinstance(target, _dtypes.dtype):
                self._numpy_dtype = target.numpy
        return self

    def float(self) -> UninitializedTensorMixin:  # type: ignore[override]
        return self.to(_dtypes.float32)

    def double(self) -> UninitializedTensorMixin:  # type: ignore[override]
        return self.to(_dtypes.float64)

    def half(self) -> UninitializedTensorMixin:  # type: ignore[override]
        return self.to(_dtypes.float16)

    def bfloat16(self) -> UninitializedTensorMixin:  # type: ignore[override]
        return self.to(_dtypes.bfloat16)

    def share_memory_(self) -> NoReturn:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters before "
            "calling `module.share_memory()`."
        )

    def __repr__(self, **kwargs: object) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, object]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = _unshaped(type(self), self._edge is not None, None, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        return type(self), (self._edge is not None,)


def is_lazy(param: object) -> bool:
    """Whether `param` still lacks a shape."""
    return isinstance(param, UninitializedTensorMixin)


def _unshaped(kind: type[Any], requires_grad: bool, device: Device, dtype: DType) -> Any:
    require_cpu(device)
    out = new(kind)
    out._numpy_dtype = _dtypes.default_numpy() if dtype is None else dtype.numpy
    out._edge, out._base = (LEAF if requires_grad else None), None
    return out


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter of a lazy module before the first forward: `materialize` gives it a shape.

    Raises: RuntimeError if its shape is read; ValueError if it is used in an operation.

    >>> weight = torch.nn.UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> type(weight).__name__, weight.shape
    ('Parameter', torch.Size([2, 3]))
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Device = None, dtype: DType = None) -> UninitializedParameter:
        return _unshaped(cls, requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin):
    """A buffer of a lazy module before the first forward: `materialize` gives it a shape.

    Raises: RuntimeError if its shape is read; ValueError if it is used in an operation.

    >>> torch.nn.UninitializedBuffer()
    <UninitializedBuffer>
    """

    cls_to_become = Tensor
    persistent: bool

    def __new__(
        cls, requires_grad: bool = False, device: Device = None, dtype: DType = None, persistent: bool = True
    ) -> UninitializedBuffer:
        out = _unshaped(cls, requires_grad, device, dtype)
        out.persistent, out._is_buffer = persistent, True
        return out


def zero_grad_of(param: Tensor, set_to_none: bool) -> None:
    """Clear the gradient of `param`, or set it to zero and remove its history."""
    grad = param._grad
    if grad is None:
        return
    if set_to_none:
        param._grad = None
        return
    if grad.grad_fn is not None:
        grad.detach_()
    else:
        grad.requires_grad_(False)
    if grad._sparse:
        grad.zero_()
        return
    grad._array[...] = 0
    written(grad)
