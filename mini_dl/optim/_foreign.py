"""What optimizers of other libraries take from ``torch.optim.optimizer``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from mini_dl import _dtypes
from mini_dl.autograd.mode import is_grad_enabled, set_grad_enabled
from mini_dl.ops.complex_numbers import view_as_real
from mini_dl.tensor import Tensor

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]

_params_doc = "params: tensors, (name, tensor) pairs, or dictionaries that define groups"
_foreach_doc = "foreach: accepted; it selects nothing on the CPU"
_fused_doc = "fused: accepted; it selects nothing on the CPU"
_capturable_doc = "capturable: whether a step may be captured in a graph of a GPU"
_differentiable_doc = "differentiable: whether the step is recorded"
_maximize_doc = "maximize: whether to climb"


def _use_grad_for_differentiable(func: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is recorded only if the optimizer was made with ``differentiable=True``."""

    @functools.wraps(func)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = is_grad_enabled()
        set_grad_enabled(self.defaults["differentiable"])
        try:
            return func(self, *args, **kwargs)
        finally:
            set_grad_enabled(before)

    return step


def _get_value(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor) else x


def _to_scalar(x: Any) -> Any:
    return x.squeeze() if isinstance(x, Tensor) and x.ndim else x


def _stack_if_compiling(x: Any) -> Any:
    return x


def _dispatch_sqrt(x: Any) -> Any:
    return x.sqrt() if isinstance(x, Tensor) else x**0.5


def _get_scalar_dtype(is_fused: bool | None = None) -> _dtypes.dtype:
    return _dtypes.float64 if not is_fused and _dtypes.get_default_dtype() is _dtypes.float64 else _dtypes.float32


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    return ["cuda", "xpu", "hpu", *(["xla"] if supports_xla else [])]


def _default_to_fused_or_foreach(params: list[Tensor], differentiable: bool, use_fused: bool = False) -> tuple[bool, bool]:
    return False, False


def _view_as_real(params: list[Any], *state_and_grads: list[Any]) -> None:
    """Replace complex tensors in these lists by pairs of real numbers, which share their memory."""
    for i, param in enumerate(params):
        if param.is_complex():
            for found in (params, *state_and_grads):
                found[i] = view_as_real(found[i])


def _disable_dynamo_if_unsupported(single_tensor_fn: Any = None) -> Callable[[Any], Any]:
    """A decorator that changes nothing."""
    return lambda func: func
