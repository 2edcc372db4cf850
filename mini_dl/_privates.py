"""Private helpers of torch that packages use nevertheless."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any

import mini_dl as torch
from mini_dl import _dtypes
from mini_dl._checks import fits, wrap_dim
from mini_dl._device import CPU, device
from mini_dl.autograd.anomaly import anomaly
from mini_dl.autograd.mode import _Plain, _Switch, set_grad_enabled
from mini_dl.ops.activation import log_softmax_backward, softmax_backward
from mini_dl.ops.complex_numbers import view_as_real
from mini_dl.tensor import Tensor

_DecoratorContextManager, _NoParamDecoratorContextManager = _Switch, _Plain


def context_decorator(ctx: Any, func: Callable[..., object]) -> Callable[..., Any]:
    """`func` within a context, which is created for each call if `ctx` is a function."""

    @functools.wraps(func)
    def wrapped(*args: object, **kwargs: object) -> Any:
        with ctx() if callable(ctx) else ctx:
            return func(*args, **kwargs)

    return wrapped


def is_anomaly_check_nan_enabled() -> bool:
    """Whether each gradient is checked for NaN.

    Raises: TypeError for an argument.

    >>> torch.is_anomaly_check_nan_enabled()
    True
    """
    return anomaly.setting.check_nan


def _assert_async(input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero") -> None:
    """RuntimeError unless the only element of `input` is nonzero."""
    if not input:
        raise RuntimeError(assert_msg)


def _shape_as_tensor(input: Tensor) -> Tensor:
    """The sizes of `input` as a tensor of integers."""
    return torch.tensor(input.shape, dtype=torch.int64)


def _no_grad_uniform_(tensor: Tensor, a: float, b: float, generator: Any = None) -> Tensor:
    """``tensor.uniform_(a, b)``, not recorded."""
    with torch.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def _no_grad_normal_(tensor: Tensor, mean: float, std: float, generator: Any = None) -> Tensor:
    """``tensor.normal_(mean, std)``, not recorded."""
    with torch.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def _no_grad_fill_(tensor: Tensor, val: float) -> Tensor:
    """``tensor.fill_(val)``, not recorded."""
    with torch.no_grad():
        return tensor.fill_(val)


def _no_grad_zero_(tensor: Tensor) -> Tensor:
    """``tensor.zero_()``, not recorded."""
    with torch.no_grad():
        return tensor.zero_()


def _softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: object) -> Tensor:
    """The gradient of ``softmax`` for the gradient of its `output`."""
    return softmax_backward(grad_output, output, wrap_dim(dim, output.ndim)).to(input_dtype)


def _log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: object) -> Tensor:
    """The gradient of ``log_softmax`` for the gradient of its `output`."""
    return log_softmax_backward(grad_output, output, wrap_dim(dim, output.ndim)).to(input_dtype)


def check(b: bool, s: Callable[[], str], exc_type: type[Exception] = RuntimeError) -> None:
    """Raise with the message that `s` returns unless `b`."""
    if not b:
        raise exc_type(s())


def is_expandable_to(shape: Iterable[int], desired: Iterable[int]) -> bool:
    """Whether a tensor of the first shape can be expanded to the second."""
    return fits(tuple(shape), tuple(desired))


class OrderedSet(MutableSet[Any]):
    """A set that keeps insertion order."""

    def __init__(self, iterable: Iterable[object] = ()) -> None:
        self._dict: dict[Any, None] = dict.fromkeys(iterable)

    def __contains__(self, value: object) -> bool:
        return value in self._dict

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def add(self, value: object) -> None:
        self._dict[value] = None

    def discard(self, value: object) -> None:
        self._dict.pop(value, None)

    def __repr__(self) -> str:
        return f"OrderedSet({list(self._dict)})"


def set_module(obj: object, mod: str) -> None:
    """Mark `obj` as defined in the module `mod`."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


def get_accelerator(check: bool | None = None) -> device:
    """The CPU: there is no accelerator."""
    return CPU


class DispatchKeySet:
    """A set of dispatch keys of torch, which mini_dl does not have."""

    def __init__(self, *keys: object) -> None:
        self.keys: frozenset[Any] = frozenset(keys)

    def __or__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(*self.keys, *other.keys)

    def __and__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(*self.keys & other.keys)

    def __sub__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(*self.keys - other.keys)

    def has(self, key: object) -> bool:
        """Whether it contains a key."""
        return key in self.keys


# ------------------------------------------------------------------------------------------------ torch.optim.optimizer


def _use_grad_for_differentiable(func: Callable[..., object]) -> Callable[..., Any]:
    """A step that is recorded only if the optimizer was created with ``differentiable=True``."""

    @functools.wraps(func)
    def step(self: Any, *args: object, **kwargs: object) -> Any:
        with set_grad_enabled(self.defaults["differentiable"]):
            return func(self, *args, **kwargs)

    return step


def _get_value(x: object) -> Any:
    return x.item() if isinstance(x, Tensor) else x


def _to_scalar(x: object) -> Any:
    return x.squeeze() if isinstance(x, Tensor) and x.ndim else x


def _dispatch_sqrt(x: Any) -> Any:
    return x.sqrt() if isinstance(x, Tensor) else x**0.5


def _get_scalar_dtype(is_fused: bool | None = None) -> _dtypes.dtype:
    return _dtypes.float64 if not is_fused and _dtypes.get_default_dtype() is _dtypes.float64 else _dtypes.float32


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    return ["cuda", "xpu", "hpu", *(["xla"] if supports_xla else [])]


def _view_as_real(params: list[Any], *state_and_grads: list[object]) -> None:
    """Replace complex tensors in these lists by pairs of real numbers, which share their memory."""
    for i, param in enumerate(params):
        if param.is_complex():
            for found in (params, *state_and_grads):
                found[i] = view_as_real(found[i])
