"""The history of a Tensor: ``requires_grad``, ``grad``, ``grad_fn``, ``backward``, ``detach``, hooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl._abstract import is_abstract
from mini_dl._checks import check_bool, type_name
from mini_dl._dtypes import INEXACT
from mini_dl._families import with_family
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
from mini_dl.autograd.places import reopened
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
        self._former = self._former or []  # graphs may reference it as a leaf
    self._edge = (LEAF if self._base is None else LEAF_VIEW) if flag else None


def _assign_requires_grad(self: Tensor, flag: bool) -> None:
    if not is_end(self) and flag is True:
        raise RuntimeError("you can only change requires_grad flags of leaf variables.")
    _set_requires_grad(self, flag)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Enable or disable the gradient of a leaf: ``self.requires_grad = requires_grad``

    Family: attribute
    Raises: RuntimeError if it is not a leaf, or not floating point or complex.

    >>> torch.ones(2).requires_grad_()
    tensor([1., 1.], requires_grad=True)
    """
    if mode.stack:
        raise RuntimeError(
            NOT_WITHIN.format(call="requires_grad_() (or perhaps using torch.autograd.functional.* APIs)", name="requires_grad_")
        )
    check_bool(requires_grad, "requires_grad_(): argument 'requires_grad' (position 1)")
    _set_requires_grad(self, requires_grad)
    return self


def _get_grad(self: Tensor) -> Tensor | None:
    """The gradient accumulated so far; None before the first backward.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> (x**2).backward(); x.grad
    tensor([6.])
    """
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
        if grad.dtype != self.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{grad.dtype}' to a tensor with grad_dtype '{self.dtype}'. The "
                "gradient must match the tensor's grad_dtype (defaults to the tensor's dtype)."
            )
        if grad.shape != self.shape:
            raise RuntimeError(f"assigned grad has data of a different size: expected {list(self.shape)}, got {list(grad.shape)}")
        if grad.is_meta != self.is_meta:
            raise RuntimeError(
                f"attempting to assign a gradient with device type '{grad.device}' to a tensor with device type '{self.device}'. "
                "The gradient and the tensor must be on the same device."
            )
    self._grad = grad


def _grad_fn(self: Tensor) -> Any:
    """The node that computed this tensor; None for a leaf.

    >>> (2 * torch.ones(1, requires_grad=True)).grad_fn.name()
    'MulBackward0'
    """
    edge = edge_of(self)
    return None if isinstance(edge, Tensor) else shown(grad_fn_and_number(edge)[0])


def _is_leaf(self: Tensor) -> bool:
    """Whether this tensor is not the result of an operation.

    >>> x = torch.ones(1, requires_grad=True)
    >>> x.is_leaf, (2 * x).is_leaf
    (True, False)
    """
    return is_end(self) if self._base is None else _grad_fn(self) is None


def _output_nr(self: Tensor) -> int:
    """The index of this tensor among the results of its node.

    >>> x = torch.ones(2, requires_grad=True)
    >>> [part.output_nr for part in x.unbind()]
    [0, 1]
    """
    return grad_fn_and_number(None if is_end(self) else self._edge)[1]


def _get_data(self: Tensor) -> Tensor:
    """The same memory without its history and its version: autograd does not notice writes to it.

    >>> x = torch.ones(1, requires_grad=True)
    >>> x.data.requires_grad
    False
    """
    if self._level is not None:
        if is_abstract(self):
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
    if bool(data._inference) != bool(self._inference):
        self._inference = COUNTED if data._inference else False


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """The gradient of this tensor added to ``.grad`` of each leaf: ``x.grad += sum(gradient[i] * diff(self[i], x), i)``

    `gradient` weights it, and may be omitted for one element. The graph is freed unless `retain_graph`; with `create_graph`
    the gradients can be differentiated too. `inputs` are the leaves to reach, by default all.

    Shapes: (*in), `gradient` of the same shape.
    Raises: RuntimeError without `gradient` for more than one element, if nothing requires grad, or if the graph is freed.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x**2).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    backwards.backward(self, gradient, retain_graph, create_graph, inputs)


def detach(self: Tensor) -> Tensor:
    """The same memory without history: ``out = input``

    Shapes: (*in) -> (*in); a view.
    Raises: TypeError unless `input` is a tensor.

    >>> x = torch.ones(2, requires_grad=True)
    >>> (2 * x).detach().requires_grad
    False
    """
    if self._level is not None:
        return at_work.detached(self)
    out = alias(self)
    if self._tangent is not None:
        out._array = reopened(out._array)
    if self._inference:
        out._inference, out._counter = inference.here or COUNTED, None
    elif inference.anywhere:
        out._inference = False
    return out


def detach_(self: Tensor) -> Tensor:
    """Remove the history in place: ``out = self``

    Shapes: (*in) -> (*in).
    Raises: RuntimeError on a view, whose history is that of its base.

    >>> (2 * torch.ones(2, requires_grad=True)).detach_().requires_grad
    False
    """
    if inference.here:
        return self
    if self._base is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    if not is_end(self):
        self._detached = next_seq()
    elif self._edge is not None:
        self._former = self._former or []  # graphs may reference it as a leaf
    self._edge = self._tangent = None
    if self._value is not None:
        self._value = self._value.detach()
    return self


def retain_grad(self: Tensor) -> None:
    """Keep the gradient of a non-leaf tensor too: ``self.grad += diff(out, self)`` in the next backward.

    Family: attribute
    Raises: RuntimeError if it does not require grad.

    >>> x = torch.ones(1, requires_grad=True)
    >>> y = 2 * x; y.retain_grad(); (3 * y).backward()
    >>> y.grad
    tensor([3.])
    """
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
    """A function called when the gradient of this tensor is complete: ``grad = hook(grad)``, unless it returns None.

    Family: attribute
    Raises: RuntimeError if the tensor does not require grad.

    >>> x = torch.ones(1, requires_grad=True)
    >>> handle = x.register_hook(lambda grad: 10 * grad)
    >>> (3 * x).backward()
    >>> x.grad
    tensor([30.])
    """
    if not needs_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    own = own_hooks(self).tensor
    if 0 not in own:  # one dict for the tensor and its node: hooks added to it later belong to the current value
        node, number = (None, 0) if _is_leaf(self) else grad_fn_and_number(edge_of(self))
        own[0] = {} if node is None else hooks_of(node).tensor.setdefault(number, {})
    return Handle(own[0], hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Handle:
    """A function called after a gradient is added to ``.grad`` of this leaf: ``hook(self)``

    Family: attribute
    Raises: RuntimeError unless this tensor is a leaf that requires grad.

    >>> x = torch.ones(1, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda leaf: print("grad", leaf.grad))
    >>> (3 * x).backward()
    grad tensor([3.])
    """
    if not needs_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if _grad_fn(self) is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    Hooks.of_leaves = True
    return Handle(own_hooks(self).after, hook)


def is_inference(self: Tensor) -> bool:
    """Whether this tensor was created in `inference_mode`, ``out = False`` for others: it has no history, ever.

    Family: attribute

    >>> with torch.inference_mode():
    ...     x = torch.ones(1)
    >>> x.is_inference()
    True
    """
    return bool(self._inference)


def _retains_grad(self: Tensor) -> bool:
    """Whether this tensor, which is not a leaf, keeps its gradient.

    >>> x = 2 * torch.ones(1, requires_grad=True)
    >>> x.retain_grad(); x.retains_grad
    True
    """
    return self._retains


def _attach() -> None:
    methods = (
        backward,
        detach,
        detach_,
        retain_grad,
        register_hook,
        register_post_accumulate_grad_hook,
        requires_grad_,
        is_inference,
    )
    for method in methods:
        method.__doc__ = with_family(method.__doc__)
        setattr(Tensor, method.__name__, method)
    properties: dict[str, tuple[Any, ...]] = {
        "requires_grad": (needs_grad, _assign_requires_grad),
        "grad": (_get_grad, _set_grad, lambda self: _set_grad(self, None)),
        "grad_fn": (_grad_fn,),
        "is_leaf": (_is_leaf,),
        "data": (_get_data, _set_data),
        "output_nr": (_output_nr,),
        "retains_grad": (_retains_grad,),
        "_version": (_version,),
    }
    for name, accessors in properties.items():
        setattr(Tensor, name, property(*accessors))
    setattr(Tensor, "_is_view", lambda self: self._base is not None)  # noqa: B010


_attach()
