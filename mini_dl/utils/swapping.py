"""Two tensors that exchange what they are."""

from __future__ import annotations

import copyreg
import gc
import weakref

from mini_dl.autograd.former import poison
from mini_dl.autograd.graph import Node
from mini_dl.tensor import Tensor


def swap_tensors(t1: Tensor, t2: Tensor) -> None:
    """Exchange the contents of two tensors: class, values, history, gradient, hooks and attributes. Each remains the same object.

    Raises: RuntimeError for a tensor with weak references or views, or that a graph has kept, for classes with other slots, and
    in the backward pass of a graph that was made from one of them before.

    >>> x, y = torch.ones(2), torch.zeros(3)
    >>> torch.utils.swap_tensors(x, y)
    >>> x
    tensor([0., 0., 0.])
    """
    both = (("t1", t1), ("t2", t2))
    for name, tensor in both:
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    if _slots(t1) != _slots(t2):
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    for name, tensor in both:
        if not isinstance(tensor, Tensor):
            raise AttributeError(f"swap_tensors(): argument '{name}' must be Tensor, not {type(tensor).__name__}")
        if any([_is_held_by(one, tensor) for one in gc.get_referrers(tensor)]):
            raise RuntimeError(f"Cannot swap {name}: it has a view, or a graph has kept it")
    values = [{slot: getattr(tensor, slot) for slot in _slots(tensor) if hasattr(tensor, slot)} for _, tensor in both]
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    for (_, tensor), given in zip(both, values[::-1]):
        for slot in _slots(tensor):
            if slot in given:
                setattr(tensor, slot, given[slot])
            elif hasattr(tensor, slot):
                delattr(tensor, slot)
        poison(tensor)


def _slots(tensor: object) -> set[str]:
    return set(copyreg._slotnames(type(tensor)))  # type: ignore[attr-defined]


def _is_held_by(one: object, tensor: Tensor) -> bool:
    """Whether `one`, which refers to `tensor`, is a view of it, or a graph's note of its value and version."""
    if isinstance(one, Tensor):
        return one._base is tensor
    if isinstance(one, dict):
        return one.get("_base") is tensor
    if type(one) is not tuple or len(one) != 2 or one[0] is not tensor or type(one[1]) is not int:
        return False
    kept = [owner for owner in gc.get_referrers(one) if type(owner) is dict]
    return any([isinstance(node, Node) for owner in kept for node in gc.get_referrers(owner)])
