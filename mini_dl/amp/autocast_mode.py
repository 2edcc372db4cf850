"""``torch.autocast``: functions compute in a narrower dtype where that is safe, and in float32 elsewhere."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import bfloat16, dtype as DType, float16, float64
from mini_dl._leaving import Block
from mini_dl.amp.casting import AVAILABLE, dtype_for, kind_of, state, supported, turn
from mini_dl.tensor import Tensor

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]

SMALL = (bfloat16, float16)

# ------------------------------------------------------------------------------------------------ the state of the thread


def is_autocast_available(device_type: str) -> bool:
    """Whether torch has autocast for this kind of device. Here, it computes on the CPU only.

    Raises: TypeError unless it is a str; RuntimeError for an unknown kind.

    >>> torch.amp.is_autocast_available("cpu")
    True
    """
    return kind_of(device_type) in AVAILABLE


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for this kind of device, in this thread.

    Raises: RuntimeError for an unknown kind of device.

    >>> torch.is_autocast_enabled("cpu")
    False
    """
    return state.on.get(supported(device_type), False)


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Turn autocast on or off for this kind of device, in this thread; `autocast` does it for a block.

    Raises: RuntimeError for an unknown kind of device.

    >>> torch.set_autocast_enabled("cpu", False)
    >>> torch.is_autocast_enabled("cpu")
    False
    """
    kind, on = ("cuda", device_type) if isinstance(device_type, bool) else (device_type, enabled)
    turn(supported(kind), bool(on))


def get_autocast_dtype(device_type: str) -> DType:
    """The type that autocast uses for this kind of device.

    Raises: RuntimeError for an unknown kind of device.

    >>> torch.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    kind = kind_of(device_type)
    if kind not in AVAILABLE:
        raise RuntimeError("unsupported scalarType")
    return dtype_for(kind)


def set_autocast_dtype(device_type: str, dtype: DType) -> None:
    """Set the type that autocast uses for this kind of device, in this thread.

    Raises: TypeError unless it is a dtype; RuntimeError for an unknown kind of device.

    >>> torch.set_autocast_dtype("cpu", torch.bfloat16)
    """
    if not isinstance(dtype, DType):
        raise TypeError(f"set_autocast_dtype(): argument 'dtype' (position 2) must be torch.dtype, not {type_name(dtype)}")
    state.dtypes[supported(device_type)] = dtype


def is_autocast_cache_enabled() -> bool:
    """Whether the casts of parameters are kept until the outermost block ends.

    Raises: TypeError for an argument.

    >>> torch.is_autocast_cache_enabled()
    True
    """
    return state.keeps


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Set whether the casts of parameters are kept until the outermost block ends.

    Raises: TypeError unless `enabled` is given.

    >>> torch.set_autocast_cache_enabled(True)
    """
    state.keeps = bool(enabled)


def clear_autocast_cache() -> None:
    """Clear the cached casts of parameters.

    Raises: TypeError for an argument.

    >>> torch.clear_autocast_cache()
    """
    state.casts.clear()


def autocast_increment_nesting() -> int:
    """Increment the count of blocks; return it.

    Raises: TypeError for an argument.

    >>> torch.autocast_increment_nesting(), torch.autocast_decrement_nesting()
    (1, 0)
    """
    state.nesting += 1
    return state.nesting


def autocast_decrement_nesting() -> int:
    """Decrement the count of blocks; return it. At 0, the casts of parameters should be cleared.

    Raises: TypeError for an argument.

    >>> torch.autocast_increment_nesting(), torch.autocast_decrement_nesting()
    (1, 0)
    """
    state.nesting -= 1
    return state.nesting


def _older(name: str, newer: str, call: Callable[..., object]) -> Callable[..., Any]:
    def function(*args: object) -> Any:
        warnings.warn(f"torch.{name} is deprecated. Please use torch.{newer} instead.", DeprecationWarning, stacklevel=2)
        return call(*args)

    function.__name__ = function.__qualname__ = name.partition("(")[0]
    function.__doc__ = f"``torch.{newer}``, deprecated."
    return function


is_autocast_cpu_enabled, is_autocast_ipu_enabled, is_autocast_xla_enabled = [
    _older(f"is_autocast_{kind}_enabled()", f"is_autocast_enabled('{kind}')", functools.partial(is_autocast_enabled, kind))
    for kind in ("cpu", "ipu", "xla")
]
set_autocast_cpu_enabled, set_autocast_ipu_enabled, set_autocast_xla_enabled = [
    _older(
        f"set_autocast_{kind}_enabled(enabled)", f"set_autocast_enabled('{kind}', enabled)",
        functools.partial(set_autocast_enabled, kind),
    )
    for kind in ("cpu", "ipu", "xla")
]  # fmt: skip
get_autocast_cpu_dtype, get_autocast_gpu_dtype, get_autocast_ipu_dtype, get_autocast_xla_dtype = [
    _older(f"get_autocast_{name}_dtype()", f"get_autocast_dtype('{kind}')", functools.partial(get_autocast_dtype, kind))
    for name, kind in (("cpu", "cpu"), ("gpu", "cuda"), ("ipu", "ipu"), ("xla", "xla"))
]
set_autocast_cpu_dtype, set_autocast_gpu_dtype, set_autocast_ipu_dtype, set_autocast_xla_dtype = [
    _older(
        f"set_autocast_{name}_dtype(dtype)", f"set_autocast_dtype('{kind}', dtype)", functools.partial(set_autocast_dtype, kind)
    )
    for name, kind in (("cpu", "cpu"), ("gpu", "cuda"), ("ipu", "ipu"), ("xla", "xla"))
]

# ------------------------------------------------------------------------------------------------ the block


def autocast_decorator(autocast_instance: autocast, func: Callable[..., object]) -> Callable[..., Any]:
    """`func`, run within the block."""

    @functools.wraps(func)
    def decorate_autocast(*args: object, **kwargs: object) -> Any:
        with autocast_instance:
            return func(*args, **kwargs)

    return decorate_autocast


class autocast(Block):
    """A context manager or decorator in which matrix products and convolutions compute in `dtype`, and functions that would lose
    too much precision in float32.

    `dtype` is bfloat16 (the default on the CPU) or float16; for any other dtype, and for a GPU, it warns and stays off.
    With `cache_enabled`, parameters are cast once for the outermost block.

    Raises: ValueError unless `device_type` is a str; RuntimeError for an unknown kind of device.
    Source: Micikevicius et al., Mixed precision training, 2018, section 3.

    >>> x = torch.ones(2, 2)
    >>> with torch.autocast("cpu", dtype=torch.float16):
    ...     (x @ x).dtype, (x + x).dtype
    (torch.float16, torch.float32)
    """

    def __init__(
        self, device_type: str, dtype: DType | None = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self.device = device_type
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self._cache_enabled = state.keeps if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda":
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        elif enabled and self.fast_dtype not in SMALL:
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled

    def _state(self) -> tuple[bool, DType, bool, int]:
        self.prev_cache_enabled = state.keeps
        self.prev = is_autocast_enabled(self.device)
        self.prev_fastdtype = get_autocast_dtype(self.device)
        return self.prev, self.prev_fastdtype, self.prev_cache_enabled, state.nesting

    def _change(self, before: object) -> autocast:
        if self._enabled and self.fast_dtype is bfloat16 and self.device == "cpu":
            bfloat16.numpy  # noqa: B018 - says at once if its package is missing
        turn(supported(self.device), self._enabled)
        set_autocast_dtype(self.device, self.fast_dtype)
        autocast_increment_nesting()
        state.keeps = self._cache_enabled
        return self

    def _put_back(self, before: tuple[bool, DType, bool, int]) -> None:
        on, dtype, keeps, nesting = before
        state.nesting = max(0, min(nesting, state.nesting - 1))  # never too high: a cast that stays would become outdated
        if state.nesting == 0:
            clear_autocast_cache()
        turn(supported(self.device), on)
        set_autocast_dtype(self.device, dtype)
        state.keeps = keeps

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. "
                "Did you mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n        output = model(input)"
            )
        return autocast_decorator(self, func)


# ------------------------------------------------------------------------------------------------ functions with a backward


def _cast(value: object, device_type: str, dtype: DType) -> Any:
    """`value` with the floating point tensors in it, except float64, in type `dtype`."""
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.device.type == device_type and value.dtype is not float64
        return value.to(dtype) if fits else value
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, Iterable):
        items = (_cast(one, device_type, dtype) for one in value)
        return type(value)(items) if isinstance(value, (list, tuple)) else items
    return value


def _checked(device_type: object) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(fwd: Callable[..., object] | None = None, *, device_type: str, cast_inputs: DType | None = None) -> Any:
    """A decorator for ``forward`` of an ``autograd.Function``: it remembers whether autocast was on, for `custom_bwd`.

    With `cast_inputs`, if autocast is on, floating point arguments are cast to that type and autocast is off within.

    Raises: ValueError unless `device_type` is a str.

    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    ...     def forward(ctx, input):
    ...         return 2 * input
    ...     @staticmethod
    ...     @torch.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, grad):
    ...         return 2 * grad
    >>> with torch.autocast("cpu"):
    ...     Double.apply(torch.ones(2, dtype=torch.bfloat16))
    tensor([2., 2.])
    """
    _checked(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorate_fwd(*args: Any, **kwargs: object) -> Any:
        context, on = args[0], is_autocast_enabled(device_type)
        context._dtype = get_autocast_dtype(device_type)
        context._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorate_fwd


def custom_bwd(bwd: Callable[..., object] | None = None, *, device_type: str) -> Any:
    """A decorator for ``backward`` of an ``autograd.Function`` with `custom_fwd`: it runs with autocast as ``forward`` did.

    Raises: ValueError unless `device_type` is a str.

    >>> class Product(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, a, b):
    ...         ctx.save_for_backward(a, b)
    ...         return a @ b
    ...     @staticmethod
    ...     @torch.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, grad):
    ...         a, b = ctx.saved_tensors
    ...         return grad @ b.T, a.T @ grad
    >>> a = torch.eye(2, requires_grad=True)
    >>> with torch.autocast("cpu"):
    ...     out = Product.apply(a, torch.ones(2, 2))
    >>> out.sum().backward()
    >>> out.dtype, a.grad.dtype
    (torch.bfloat16, torch.float32)
    """
    _checked(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorate_bwd(*args: Any, **kwargs: object) -> Any:
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return decorate_bwd
