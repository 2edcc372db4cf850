"""Reducing gradients before a step: by their common norm, or element by element."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mini_dl._guidance import naming_keywords
from mini_dl.autograd.mode import no_grad
from mini_dl.nn._types import Tensors
from mini_dl.ops.from_data import tensor
from mini_dl.ops.joining import stack
from mini_dl.ops.vector_norms import vector_norm
from mini_dl.tensor import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def _without_recording(function: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with no_grad():
            return function(*args, **kwargs)

    return call


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [p._grad for p in _listed(parameters) if p._grad is not None]


def _norm(tensor: Tensor, norm_type: float) -> Tensor:
    """The norm of a tensor; for one sharded over several processes, the norm of the whole."""
    whole = getattr(tensor, "full_norm", None)
    return vector_norm(tensor, norm_type) if whole is None else whole(norm_type)


@_without_recording
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """``sum(abs(t) ** p, t) ** (1 / p)`` over all elements of all `tensors`, with p the `norm_type`.

    Shapes: tensors of any shapes -> ().
    Raises: RuntimeError if it is not finite and `error_if_nonfinite`.

    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    norm_type, listed = float(norm_type), _listed(tensors)
    if not listed:
        return tensor(0.0)
    total = vector_norm(stack([_norm(t, norm_type) for t in listed]), norm_type)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@_without_recording
@naming_keywords
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """``grad = grad * min(1, max_norm / (total_norm + 1e-6))``, with a norm computed before.

    Shapes: gradients of any shapes, `total_norm` ().
    Raises: TypeError for a non-iterable.

    >>> w = torch.zeros(2, requires_grad=True)
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> torch.nn.utils.clip_grads_with_norm_(w, 1.0, torch.tensor(10.0))
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for grad in _gradients(parameters):
        grad.mul_(factor)


@_without_recording
@naming_keywords
def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """``grad = grad * min(1, max_norm / (norm + 1e-6))`` with the `norm_type`-norm of all gradients as one vector, which is
    returned.

    Shapes: gradients of any shapes -> ().
    Raises: RuntimeError if the norm is not finite and `error_if_nonfinite`; TypeError for a non-iterable.
    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, section 3.2.

    >>> w = torch.zeros(2, requires_grad=True)
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> torch.nn.utils.clip_grad_norm_(w, 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    generator, parameters = isinstance(parameters, types.GeneratorType), _listed(parameters)
    if generator and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


@_without_recording
@naming_keywords
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """``grad = min(max(grad, -clip_value), clip_value)``, element by element.

    Shapes: gradients of any shapes.
    Raises: TypeError for a non-iterable.

    >>> w = torch.zeros(2, requires_grad=True)
    >>> w.grad = torch.tensor([3.0, -4.0])
    >>> torch.nn.utils.clip_grad_value_(w, 3.5)
    >>> w.grad
    tensor([ 3.0000, -3.5000])
    """
    clip_value = float(clip_value)
    for grad in _gradients(parameters):
        grad.clamp_(min=-clip_value, max=clip_value)


def clip_grad_norm(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The old name of `clip_grad_norm_`: ``grad = grad * min(1, max_norm / (norm + 1e-6))``, with a warning.

    Shapes: gradients of any shapes -> ().
    Raises: RuntimeError if the norm is not finite and `error_if_nonfinite`.

    >>> import warnings
    >>> w = torch.zeros(2, requires_grad=True)
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.nn.utils.clip_grad_norm(w, 1.0)
    tensor(5.)
    """
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
