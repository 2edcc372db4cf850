"""Calling primitives on a batch: the level of `vmap`, and its batching rules.

A tensor at this level represents an arbitrary element of its physical tensor, whose first dimension is the batch; its own
array is an `AbstractArray`. A rule gets a `Call` with the physical arguments, and computes the physical result, with the batch
in front, by calls on the level below, which are recorded as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mini_dl._abstract import AbstractArray
from mini_dl.autograd.custom import apply_on_batch
from mini_dl.autograd.inplace import overwrite
from mini_dl.autograd.recording import look_into
from mini_dl.autograd.transforms import Level, copied, widen, wrap_at
from mini_dl.tensor import Tensor, ndarray, wrap

# ------------------------------------------------------------------------------------------------ a call on a batch


class Call:
    """A call of a primitive on a batch of `size`: `args` are physical, and `batched` says which of them have the batch in front
    (a list for an argument that is a list)."""

    __slots__ = ("args", "batched", "primitive", "size")

    def __init__(self, primitive: Any, args: list[Any], batched: list[Any], size: int) -> None:
        self.primitive, self.args, self.batched, self.size = primitive, args, batched, size

    def run(self, *args: object) -> Any:
        """The primitive's result for physical arguments."""
        if not hasattr(self.primitive, "operators"):
            return self.primitive.call(*args)
        forward, reflected = self.primitive.operators  # which also take numbers
        return forward(*args) if isinstance(args[0], Tensor) else reflected(args[1], args[0])

    def ndim(self, i: int) -> int:
        """The rank of one element of argument `i`."""
        return int(self.args[i]._array.ndim) - bool(self.batched[i])

    def front(self, i: int) -> Any:
        """Argument `i` with the batch in front, the same for all elements if it has none. Non-tensors are unchanged."""
        return fronted(self.args[i], self.batched[i], self.size)

    def of(self, name: str) -> Any:
        """The argument of that name."""
        return self.args[self.primitive.index[name]]


def fronted(value: Any, batched: object, size: int) -> Any:
    """A tensor, or those in a list, with the batch in front."""
    if isinstance(value, Tensor):
        return value if batched else value.expand(size, *value._array.shape)
    if type(batched) is list:
        return [fronted(one, has, size) for one, has in zip(value, batched)]
    return value


class Same(NamedTuple):
    """A result of a rule that is the same for all elements, without the batch dimension."""

    value: Any


Rule = Callable[[Call], Any]
ELEMENTWISE, LOOP = "elementwise", "loop"
RULES: dict[Any, Rule] = {}
"""The rule of each primitive; those shared by `unary` and `binary` ones, and by those without a rule. Set by the ops."""


def rule_for(*calls: Any) -> Callable[[Rule], Rule]:
    """Make a function the rule of these primitives."""

    def register(rule: Rule) -> Rule:
        for call in calls:
            RULES[call.op] = rule
        return rule

    return register


def on_batch(primitive: Any, args: list[Any], batched: list[object], size: int) -> Any:
    """The physical result of a call, with the batch in front: by the primitive's rule, or by a loop."""
    rule = RULES.get(primitive)
    if rule is None:
        rule = RULES[ELEMENTWISE if primitive.unary or hasattr(primitive, "promote") else LOOP]
    return rule(Call(primitive, [wrap(a) if a.__class__ is ndarray else a for a in args], batched, size))


# ------------------------------------------------------------------------------------------------ the level

WRITTEN = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that has "
    "more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped over in a vmap. "
    "Please try to use out-of-place operators instead of inplace arithmetic. If said operator is being called inside the "
    "PyTorch framework, please file a bug report instead."
)
ESCAPED = (
    "Either your tensor may have escaped from inside a function being vmapped and this is a user error (see "
    "https://pytorch.org/functorch/stable/ux_limitations.html), or there is an internal functorch error in `gen_vmap_plumbing` "
    "Please file an issue if it looks like the latter"
)


class Batched(Level):
    """The level of one `vmap` over a batch of `size`; `randomness` is "error", "different" or "same"."""

    size: int

    def __init__(self, size: int, randomness: str = "error") -> None:
        self.size, self.randomness = size, randomness

    def after(self) -> None:
        raise RuntimeError(ESCAPED)

    def shown(self, value: Tensor, batch_dim: int | None) -> Any:
        array = value._array
        return AbstractArray(array.shape[1:], array.dtype, array.strides[1:], getattr(array, "memory", array))

    def run(self, primitive: Any, args: tuple[Any, ...]) -> Any:
        batched = [self._has(a) for a in args]
        physical = [self._physical(a) for a in args]
        with self.beneath():
            found = on_batch(primitive, physical, batched, self.size)
        if found.__class__ is tuple:
            return tuple([one.value if one.__class__ is Same else wrap_at(self, one, 0) for one in found])
        out = wrap_at(self, found, 0)
        if primitive.looks and found._base is not None:
            look_into(args[0], out)
        return out

    def apply(self, function: object, args: tuple[Any, ...]) -> Any:
        return apply_on_batch(self, function, args)

    def _has(self, value: object) -> Any:
        """Whether an argument is a tensor of this level; for a list, the results for its elements, if any of them is."""
        if isinstance(value, Tensor):
            return value._level is self
        if value.__class__ is list or value.__class__ is tuple:
            found = [self._has(one) for one in value]
            return found if any(found) else False
        return False

    def _physical(self, value: object) -> Any:
        if isinstance(value, Tensor):
            return value._value if value._level is self else value
        if (value.__class__ is list or value.__class__ is tuple) and self._has(value):
            return [self._physical(one) for one in value]
        return value

    def lifted(self, tensor: Tensor) -> Tensor:
        if tensor._level is self:
            return tensor
        return wrap_at(self, tensor.expand(self.size, *tensor._array.shape), 0)

    def adopt(self, target: Tensor) -> None:
        raise RuntimeError(WRITTEN)

    def widen(self, target: Tensor) -> None:
        """Give each element of the batch a copy of its own, in the same layout."""
        value, array = copied(target), target._array
        order = sorted(range(array.ndim), key=lambda d: -array.strides[d])
        made = np.zeros((self.size, *[array.shape[d] for d in order]), array.dtype)
        with self.beneath():
            room = wrap(made.transpose(0, *[1 + order.index(d) for d in range(array.ndim)]))
            widen(room, value)
            overwrite(room, value)
        target._level, target._value, target._batch_dim = self, room, 0
        target._edge = target._tangent = None
        target._array = self.shown(room, 0)

    def put(self, target: Tensor, result: Tensor) -> None:
        value, source = target._value, result._value
        assert value is not None and source is not None
        with self.beneath():
            missing = value._array.ndim - source._array.ndim
            if missing > 0:
                source = source.reshape(self.size, *(1,) * missing, *source._array.shape[1:])
            overwrite(value, source)
