"""Function transforms: levels, and the dispatch of primitive calls to them.

A transform runs a function on tensors of its own `Level`. Such a tensor represents a tensor of the level below (`_value`):
a `Lifted` one has the same numbers, but its own history and tangents, which lower levels do not see.

Once any transform has been used in the process, a call of a primitive goes to `take` first. The innermost
level among its arguments handles it: it repeats the call on the values, one level down, and wraps the results. So levels
nest in any order without knowing each other: a level only receives and makes calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, is_number
from mini_dl._leaving import Block
from mini_dl.autograd.function import Function, record_outputs
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.inplace import any_needs_grad, check_memory, overwrite
from mini_dl.autograd.mode import at_work, mode, no_grad
from mini_dl.autograd.places import reopened
from mini_dl.autograd.recording import look_for_transforms, look_into
from mini_dl.autograd.tangents import carry, has_tangent, renew, tangent_of, tangents_of, with_tangent
from mini_dl.tensor import Tensor, births, new, version_of, wrap, wrap_within


def open_level(key: object) -> None:
    """Note that a level is open, until `close_level`. Once there has been one, all calls check."""
    at_work.anywhere.add(key)
    if not _Using.begun:
        at_work.__dict__.update(
            take=take,
            apply=apply,
            involves=involves,
            put=put,
            alike=alike,
            widen=widen,
            detached=detached,
            has_tangents=has_tangents,
            passed_on=passed_on,
        )
        births.level_here = lambda: mode.stack[-1] if mode.stack else None
        wrap.__code__ = wrap_within.__code__
        look_for_transforms()
        _Using.begun = True


def close_level(key: object) -> None:
    at_work.anywhere.discard(key)


class _Using:
    begun = False


class Level(Block):
    """One active transform: within ``with level:`` it is the innermost of this thread."""

    records = False
    """Whether it has its own grad mode, which does not affect lower levels."""
    forward = False
    """The same for forward mode."""
    quiet = False
    """Whether recording is off only because it is not needed; if the program had turned it off, that would affect lower
    levels.
    """
    size: int | None = None
    """The size of the batch, if it is one of `vmap`."""
    at = -1
    below: tuple[Level, ...] = ()
    enabled_before = forward_before = True

    def _state(self) -> tuple[Any, ...]:
        own = self.at, self.below, self.enabled_before, self.forward_before  # those of an outer block of this level
        return mode.stack, mode.enabled, mode.forward, own, object()

    def _change(self, before: tuple[Any, ...]) -> Any:
        open_level(before[-1])
        self.at, self.below = len(mode.stack), mode.stack
        self.enabled_before, self.forward_before = mode.enabled, mode.forward
        mode.stack = (*mode.stack, self)
        if self.records:
            mode.enabled = True
        if self.forward:
            mode.forward = True
        return self

    def _put_back(self, before: tuple[Any, ...]) -> None:
        mode.stack, mode.enabled, mode.forward, own, key = before
        self.at, self.below, self.enabled_before, self.forward_before = own
        close_level(key)

    def beneath(self) -> _Beneath:
        """A block on the level below, in the modes of that level."""
        enabled, forward = mode.enabled, mode.forward
        for level in reversed(mode.stack[self.at :]):
            if level.records:
                enabled = level.enabled_before and (enabled or level.quiet)
            if level.forward:
                forward = level.forward_before
        return _Beneath(self.below, enabled, forward)

    def after(self) -> None:
        """Called when a tensor of this level is used after the level has exited."""

    def shown(self, value: Tensor, batch_dim: int | None) -> Array:
        """The array of a tensor of this level."""
        raise NotImplementedError

    def run(self, primitive: object, args: tuple[object, ...]) -> Any:
        """The result of a call with arguments of this level."""
        raise NotImplementedError

    def apply(self, function: object, args: tuple[object, ...]) -> Any:
        """The result of a call of an ``autograd.Function`` with arguments of this level."""
        raise NotImplementedError

    def put(self, target: Tensor, result: Tensor) -> None:
        """Write `result` into the memory of `target`, both of this level."""
        raise NotImplementedError

    def adopt(self, target: Tensor) -> None:
        """Lift a tensor of the level below to this level, because one of this level will be written into it."""
        raise NotImplementedError

    def widen(self, target: Tensor) -> None:
        """`adopt`, for a tangent."""
        self.adopt(target)

    def lifted(self, tensor: Tensor) -> Tensor:
        """A tensor as one of this level: a constant, if it is of one below."""
        return tensor if tensor._level is self else wrap_at(self, tensor)


class _Beneath:
    __slots__ = ("before", "within")

    def __init__(self, *within: Any) -> None:
        self.within = within

    def __enter__(self) -> None:
        self.before = mode.stack, mode.enabled, mode.forward
        mode.stack, mode.enabled, mode.forward = self.within

    def __exit__(self, *exception: object) -> None:
        mode.stack, mode.enabled, mode.forward = self.before


def wrap_at(level: Level, value: Tensor, batch_dim: int | None = None) -> Tensor:
    """The tensor of `level` that represents `value`, without history."""
    out: Tensor = new(Tensor)
    out._array = level.shown(value, batch_dim)
    out._edge = out._base = None
    out._level, out._value, out._batch_dim = level, value, batch_dim
    return out


def unwrap(level: Level, tensor: object) -> Any:
    """The tensor of the level below that a tensor of `level` represents; anything else unchanged."""
    return tensor._value if isinstance(tensor, Tensor) and tensor._level is level else tensor


# ------------------------------------------------------------------------------------------------ calls


def mapped(convert: Callable[[Tensor], object], args: Any) -> list[Any]:
    """The arguments of a call, with `convert` applied to the tensors, including those in lists."""
    return [convert(a) if isinstance(a, Tensor) else mapped(convert, a) if has_tensors(a) else a for a in args]


def has_tensors(value: object) -> bool:
    return (value.__class__ is list or value.__class__ is tuple) and any([isinstance(v, Tensor) for v in value])


def tangents_in(args: Any, level: Level | None) -> list[Any]:
    """The tangents of the arguments of a call that are tensors of this level, None for all others."""
    return [
        (tangent_of(a) if a._level is level else None)
        if isinstance(a, Tensor)
        else tangents_in(a, level)
        if has_tensors(a)
        else None
        for a in args
    ]


def seen_in(values: Any, stack: tuple[Level, ...]) -> tuple[Level | None, bool, bool]:
    """The innermost level among tensors, and whether any has a tangent or is of a level that has exited."""
    innermost, dual, dead = None, False, False
    for value in values:
        if isinstance(value, Tensor):
            base = value._base
            if base is not None and base._level is not value._level and base._level is not None:
                base._level.adopt(value)
            level = value._level
            if level is None:
                dual = dual or value._tangent is not None or (base is not None and base._tangent is not None)
            elif level not in stack:
                dead = True
            elif innermost is None or level.at > innermost.at:
                innermost = level
        elif value.__class__ is list or value.__class__ is tuple:
            level, also, too = seen_in(value, stack)
            dual, dead = dual or also, dead or too
            if level is not None and (innermost is None or level.at > innermost.at):
                innermost = level
    return innermost, dual, dead


def revived(tensor: Tensor) -> Tensor:
    """A tensor, without the levels that have exited."""
    while tensor._level is not None and tensor._level not in mode.stack:
        tensor._level.after()
        tensor = tensor._value  # type: ignore[assignment]
    return tensor


def take(primitive: Any, args: tuple[object, ...]) -> Any:
    """The result of a call, NotImplemented if no transform affects its arguments."""
    stack = mode.stack
    level, dual, dead = seen_in(args, stack)
    if dead:
        return primitive.call(*mapped(revived, args))
    if level is not None:
        if not is_fit(primitive, args):
            return NotImplemented
        if level is stack[-1]:
            return level.run(primitive, args)
        with stack[level.at + 1].beneath():
            found = level.run(primitive, args)
        for out in found if isinstance(found, tuple) else (found,):
            if isinstance(out, Tensor):
                out._born = stack[-1]
        return found
    if stack and (dual or at_work.involves is not involves or any_needs_grad(args)):
        beneath = stack[0].beneath()
        if beneath.within[1] is not mode.enabled or beneath.within[2] is not mode.forward:
            with beneath:
                return primitive.call(*args)
    if dual and mode.forward and is_fit(primitive, args):
        return run_dual(primitive, args)
    return NotImplemented


def is_fit(primitive: object, args: tuple[object, ...]) -> bool:
    """Whether a call can be repeated: an operator leaves a foreign operand to Python."""
    return not hasattr(primitive, "promote") or all([isinstance(a, Tensor) or is_number(a) for a in args])


def run_dual(primitive: Any, args: tuple[object, ...]) -> Any:
    """A call outside of all levels, with tangents: as usual, and then the tangents of its results."""
    mode.forward = False
    try:
        found = primitive.call(*args)
        outs = found if isinstance(found, tuple) else (found,)
        tangents = tangents_of(Lifted, primitive, args, tangents_in(args, None), outs)
    finally:
        mode.forward = True
    for out, tangent in zip(outs, tangents):
        carry(out, tangent)
    return found


CAPTURED = (
    "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call in-place operation (aten::copy_) "
    "that would mutate a captured Tensor. This is not supported; please rewrite the function being transformed to explicitly "
    "accept the mutated Tensor(s) as inputs."
)


class Lifted(Level):
    """A level whose tensors have their own history: that of ``grad`` and ``vjp``; with `forward`, that of ``jvp``, whose
    tensors have tangents: tensors of the level below."""

    def __init__(self, forward: bool = False) -> None:
        self.records, self.forward = not forward, forward

    def shown(self, value: Tensor, batch_dim: int | None) -> Array:
        array = value._array.view()
        array.flags.writeable = False
        return array

    def run(self, primitive: Any, args: tuple[Any, ...]) -> Any:
        values = mapped(lambda a: a._value if a._level is self else a, args)
        with self.beneath():
            found = primitive.call(*values)
        several = isinstance(found, tuple)
        computed = found if several else (found,)
        recorded = mode.enabled and bool(primitive.formulas) and self.any_history(args)
        own = tangents_in(args, self) if mode.forward else []
        dual = has_tangent(own)
        if not (recorded or dual or primitive.looks):
            for value in computed:
                value._born = self
            return found
        outs = tuple([wrap_at(self, value) for value in computed])
        if recorded:
            primitive.record(tuple(mapped(self.lifted, args)), outs)
        if primitive.looks and computed[0]._base is not None:
            look_into(args[0], outs[0])
        if dual:
            if self.forward:
                with self.beneath():
                    tangents = tangents_of(Lifted, primitive, values, own, computed)
            else:
                tangents = without_forward(tangents_of, Lifted, primitive, args, own, outs)
            for out, tangent in zip(outs, tangents):
                carry(out, tangent)
        return outs if several else outs[0]

    def apply(self, function: Any, args: tuple[object, ...]) -> Any:
        values = mapped(lambda a: a._value if a._level is self else a, args)
        with self.beneath():
            found = function.apply(*values)
        inputs = mapped(self.lifted, args)
        known = {id(value): own for value, own in zip(values, inputs) if isinstance(value, Tensor)}

        def own(one: object) -> Any:
            return known.get(id(one)) or wrap_at(self, one) if isinstance(one, Tensor) else one

        several = isinstance(found, tuple)
        outs = tuple([own(one) for one in (found if several else (found,))])
        ctx = function._backward_cls(tuple(inputs))
        with no_grad():
            function.setup_context(ctx, tuple(inputs), outs if several else outs[0])
        recording = mode.enabled and any(ctx.needs_input_grad)
        outs = record_outputs(ctx, [a for a in inputs if isinstance(a, Tensor)], outs, recording, True)
        if mode.forward and has_tangent(own_tangents := tangents_in(args, self)):
            for out, product in zip(outs, products_of(ctx, args, own_tangents, outs)):
                if product is not None and isinstance(out, Tensor):
                    with_tangent(out, unwrap(self, product) if self.forward else product)
        return outs if several else outs[0]

    def any_history(self, args: Any) -> bool:
        """Whether gradients flow to a tensor of this level."""
        for a in args:
            if isinstance(a, Tensor):
                if a._level is self and needs_grad(a):
                    return True
            elif (a.__class__ is list or a.__class__ is tuple) and self.any_history(a):
                return True
        return False

    def adopt(self, target: Tensor) -> None:
        base, born = target._base, target._born
        if base is not None and base._level is not self:
            self.adopt(base)
        if base is None and (born is None or born.at < self.at or born not in mode.stack):
            raise RuntimeError(CAPTURED)
        target._value = value = copied(target)
        value._born = self.below[-1] if self.below else None
        if base is not None:
            value._base = base._value
        target._level, target._edge, target._tangent = self, None, None
        target._array = self.shown(target._value, None)
        target._counter = None
        if base is not None:  # it has no history here yet: that of its base is used
            target._counter, target._stamp = version_of(base), -1

    def put(self, target: Tensor, result: Tensor) -> None:
        tangent = tangent_of(result) if mode.forward else None
        with self.beneath():
            overwrite(target._value, result._value)  # type: ignore[arg-type]
            if self.forward:
                renew(target, tangent)
        if not self.forward and mode.forward:
            without_forward(renew, target, tangent)


def copied(tensor: Tensor) -> Tensor:
    """The same tensor as another object."""
    out: Tensor = new(Tensor)
    out.__dict__.update(tensor.__dict__)
    return out


def without_forward(function: Callable[..., object], *args: object) -> Any:
    before, mode.forward = mode.forward, False
    try:
        return function(*args)
    finally:
        mode.forward = before


# ------------------------------------------------------------------------------------------------ other checks


def involves(values: object) -> bool:
    """Whether a transform affects one of these arguments."""
    level, dual, dead = seen_in(values, mode.stack)
    return level is not None or dual or dead


def passed_on(tensor: Tensor, out: Tensor) -> None:
    """Copy the tangent to another tensor with the same memory."""
    if mode.forward:
        carry(out, tangent_of(tensor))


def has_tangents(values: object) -> bool:
    """Whether one of these arguments has a tangent."""
    return mode.forward and seen_in(values, mode.stack)[1]


def alike(target: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
    """The target and the source of a write, both on the innermost level."""
    level = seen_in((target, result), mode.stack)[0]
    if level is None:
        return target, result
    if target._level is not level:
        level.adopt(target)
    return target, level.lifted(result)


def widen(tensor: Tensor, source: Tensor) -> None:
    """Give a tangent the batches of another, on all levels: unlike a tensor of the program, it may be written to from them."""
    level = seen_in((tensor, source), mode.stack)[0]
    if level is not None:
        if tensor._level is not level:
            level.widen(tensor)
        with level.beneath():
            widen(tensor._value, unwrap(level, source))  # type: ignore[arg-type]
        tensor._array = level.shown(tensor._value, tensor._batch_dim)  # type: ignore[arg-type]


def put(target: Tensor, result: Tensor) -> bool:
    """Write into the memory of a tensor if a transform is active on it, or write the tangent too; return whether this applied."""
    level = target._level
    if level is not None and level in mode.stack:
        level.put(target, result)
        return True
    tangent = tangent_of(result) if mode.forward else None
    old = tangent_of(target)
    if tangent is None and old is None:
        return False
    array = target._array if old is None else reopened(target._array)
    check_memory(array)
    mode.run(np.copyto, array, result._array, "unsafe")
    if mode.forward:
        without_forward(renew, target, tangent)
        carry(target, target._tangent)
    return True


def detached(tensor: Tensor) -> Tensor:
    """A tensor of a level without history, there and on all levels below."""
    return wrap_at(tensor._level, tensor._value.detach(), tensor._batch_dim)  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------ the user's own operations


def apply(function: Any, args: tuple[Any, ...]) -> Any:
    """The result of a call of an ``autograd.Function``, NotImplemented if no transform affects its arguments."""
    level, dual, dead = seen_in(args, mode.stack)
    if dead:
        return function.apply(*mapped(revived, args))
    if level is not None:
        if function.setup_context is Function.setup_context:
            raise RuntimeError(
                "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must override "
                "the setup_context staticmethod. For more details, please see "
                "https://pytorch.org/docs/main/notes/extending.func.html"
            )
        if level is mode.stack[-1]:
            return level.apply(function, args)
        with mode.stack[level.at + 1].beneath():
            return level.apply(function, args)
    if not (dual and mode.forward):
        return NotImplemented
    tangents = tangents_in(args, None)
    ctx, result = without_forward(function._run, args, function.setup_context is not Function.setup_context)
    outs = result if isinstance(result, tuple) else (result,)
    for out, product in zip(outs, products_of(ctx, args, tangents, outs)):
        if product is not None and isinstance(out, Tensor):
            with_tangent(out, product)
    return result


def products_of(ctx: Any, args: Any, tangents: Any, outs: Any) -> Any:
    """The result of the user's `jvp` for the tangents of the arguments. RuntimeError if it does not match the outputs."""
    given = [
        wrap(np.zeros(a._array.shape, a._array.dtype)) if t is None and isinstance(a, Tensor) and ctx.materialize_grads else t
        for a, t in zip(args, tangents)
    ]
    ctx.runs_forward = True
    try:
        found = without_forward(ctx._forward_cls.jvp, ctx, *given)
    finally:
        ctx.runs_forward = False
    products = found if isinstance(found, tuple) else (found,)
    if len(products) != len(outs):
        raise RuntimeError(
            f"Function's jvp returned an invalid number of forward gradients (expected {len(outs)} but got {len(products)})"
        )
    for i, (out, product) in enumerate(zip(outs, products)):
        if product is not None and not isinstance(product, Tensor):
            raise RuntimeError(f"expected Variable or None (got {type(product).__name__}) for grad output {i}.")
        inputs = [t for a, t in zip(args, given) if a is out]
        if inputs and product is not None and all([product is not t for t in inputs]):
            raise RuntimeError(
                "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is modifying an "
                "input inplace, then the jvp function must modify the corresponding gradient inplace."
            )
        if not inputs and isinstance(out, Tensor) and out._base is not None and product is not None and product._base is None:
            raise RuntimeError(
                "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view."
            )
    return products
