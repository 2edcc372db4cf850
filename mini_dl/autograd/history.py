"""What a Tensor shows of its history: ``requires_grad``, ``grad``, ``grad_fn``, ``backward``, ``detach``, hooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl._checks import type_name
from mini_dl._dtypes import INEXACT
from mini_dl._meta import is_hollow
from mini_dl._unseen import is_unseen
from mini_dl.autograd import backwards
from mini_dl.autograd.former import given_array
from mini_dl.autograd.graph import (
    Handle,
    Hooks,
    edge_of,
    grad_fn_and_number,
    hooks_of,
    is_end,
    keep_grad,
    needs_grad,
    next_seq,
    own_hooks,
    shown,
)
from mini_dl.autograd.mode import at_work, mode
from mini_dl.tensor import COUNTED, LEAF, LEAF_VIEW, Tensor, alias, inference, version_of

NOT_WITHIN = (
    "You are attempting to call Tensor.{call} inside of a function being transformed by a functorch transform. This is "
    "unsupported, please attempt to use the functorch transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call {name}() "
    "outside of a function being transformed instead."
)


def _set_requires_grad(self: Tensor, flag: bool) -> None:
    if not isinstance(flag, bool):
        raise RuntimeError("requires_grad must be a bool")
    if not is_end(self):
        if flag:
            return
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
            "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
        )
    if flag and self._array.dtype.kind not in INEXACT:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if flag and self._inference and not inference.here:
        raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
    if not flag and self._edge is not None:
        self._former = self._former or []  # graphs may know it as a leaf
    self._edge = (LEAF if self._base is None else LEAF_VIEW) if flag else None


def _assign_requires_grad(self: Tensor, flag: bool) -> None:
    if not is_end(self) and flag is True:
        raise RuntimeError("you can only change requires_grad flags of leaf variables.")
    _set_requires_grad(self, flag)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Ask for (or give up) the gradient of a leaf. RuntimeError if it is not a leaf, or not floating point."""
    if mode.stack:
        raise RuntimeError(
            NOT_WITHIN.format(call="requires_grad_() (or perhaps using torch.autograd.functional.* APIs)", name="requires_grad_")
        )
    if not isinstance(requires_grad, bool):
        raise TypeError(f"requires_grad_(): argument 'requires_grad' (position 1) must be bool, not {type_name(requires_grad)}")
    _set_requires_grad(self, requires_grad)
    return self


def _get_grad(self: Tensor) -> Tensor | None:
    """The gradient accumulated so far; None before the first backward."""
    if self._grad is None and not is_end(self) and not self._retains:
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
            "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
            "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
            "the leaf Tensor instead.",
            UserWarning,
            stacklevel=2,
        )
    return self._grad


def _set_grad(self: Tensor, grad: Tensor | None) -> None:
    if grad is not None:
        if not isinstance(grad, Tensor):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(grad)}")
        if grad is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if grad._array.dtype != self._array.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{grad.dtype}' to a tensor with grad_dtype '{self.dtype}'. The "
                "gradient must match the tensor's grad_dtype (defaults to the tensor's dtype)."
            )
        if grad._array.shape != self._array.shape:
            raise RuntimeError(f"assigned grad has data of a different size: expected {list(self.shape)}, got {list(grad.shape)}")
        if is_hollow(grad._array) != is_hollow(self._array):
            raise RuntimeError(
                f"attempting to assign a gradient with device type '{grad.device}' to a tensor with device type '{self.device}'. "
                "The gradient and the tensor must be on the same device."
            )
    self._grad = grad


def _grad_fn(self: Tensor) -> Any:
    """The node that computed this tensor; None for a leaf."""
    edge = edge_of(self)
    return None if isinstance(edge, Tensor) else shown(grad_fn_and_number(edge)[0])


def _is_leaf(self: Tensor) -> bool:
    """Whether no operation made this tensor."""
    return is_end(self) if self._base is None else _grad_fn(self) is None


def _output_nr(self: Tensor) -> int:
    return grad_fn_and_number(None if is_end(self) else self._edge)[1]


def _get_data(self: Tensor) -> Tensor:
    """The same memory without its history and its version: autograd does not notice writes to it."""
    if self._level is not None:
        if is_unseen(self):
            raise RuntimeError("accessing `data` under vmap transform is not allowed")
        return at_work.detached(self)
    out = detach(self)
    out._counter = None
    return out


def _set_data(self: Tensor, data: Tensor) -> None:
    if not isinstance(data, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type_name(data)}")
    if needs_grad(self) and data._array.dtype.kind not in INEXACT:
        raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
    given_array(self, data._array)
    if data._inference and not self._inference:
        self._inference = COUNTED


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of this tensor to ``.grad`` of each leaf it was computed from; `gradient` weighs its elements.

    RuntimeError if it needs no gradient, if it is not a scalar and `gradient` is missing, or if the graph was already freed.

    >>> import mini_dl as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    backwards.backward(self, gradient, retain_graph, create_graph, inputs)


def detach(self: Tensor) -> Tensor:
    """The same memory without history."""
    if self._level is not None:
        return at_work.detached(self)
    out = alias(self)
    if self._inference:
        out._inference, out._counter = inference.here or COUNTED, None
    elif inference.anywhere:
        out._inference = False
    return out


def detach_(self: Tensor) -> Tensor:
    """Forget the history. RuntimeError on a view, whose history is its base's."""
    if inference.here:
        return self
    if self._base is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    if not is_end(self):
        self._detached = next_seq()
    elif self._edge is not None:
        self._former = self._former or []  # graphs may know it as a leaf
    self._edge = self._tangent = None
    if self._value is not None:
        self._value = self._value.detach()
    return self


def retain_grad(self: Tensor) -> None:
    """Keep ``.grad`` for this non-leaf tensor."""
    if mode.stack:
        raise RuntimeError(NOT_WITHIN.format(call="retain_grad()", name="retain_grad"))
    if not needs_grad(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if not is_end(self) and not self._retains:
        keep_grad(self, edge_of(self))


def _version(self: Tensor) -> int:
    """The number of writes to this memory so far."""
    if self._inference is True:
        raise RuntimeError("Inference tensors do not track version counter.")
    return version_of(self)[0]


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """Call ``hook(grad)`` when the gradient of this tensor is complete; a tensor it returns replaces it.

    RuntimeError if this tensor needs no gradient. Returns a handle with ``remove()``.
    """
    if not needs_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    own = own_hooks(self).tensor
    if 0 not in own:  # one dict for the tensor and its node: hooks added to it later belong to the present value
        node, number = (None, 0) if _is_leaf(self) else grad_fn_and_number(edge_of(self))
        own[0] = {} if node is None else hooks_of(node).tensor.setdefault(number, {})
    return Handle(own[0], hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Handle:
    """Call ``hook(leaf)`` after a gradient is added to ``.grad`` of this leaf."""
    if not needs_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if _grad_fn(self) is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    Hooks.of_leaves = True
    return Handle(own_hooks(self).after, hook)


def _attach() -> None:
    methods = (
        backward,
        detach,
        detach_,
        retain_grad,
        register_hook,
        register_post_accumulate_grad_hook,
        requires_grad_,
    )
    for method in methods:
        setattr(Tensor, method.__name__, method)
    properties: dict[str, tuple[Any, ...]] = {
        "requires_grad": (needs_grad, _assign_requires_grad),
        "grad": (_get_grad, _set_grad, lambda self: _set_grad(self, None)),
        "grad_fn": (_grad_fn,),
        "is_leaf": (_is_leaf,),
        "data": (_get_data, _set_data),
        "output_nr": (_output_nr,),
        "retains_grad": (lambda self: self._retains,),
        "_version": (_version,),
    }
    for name, accessors in properties.items():
        setattr(Tensor, name, property(*accessors))
    setattr(Tensor, "_is_view", lambda self: self._base is not None)  # noqa: B010
    setattr(Tensor, "is_inference", lambda self: bool(self._inference))  # noqa: B010


_attach()
