"""Forward-mode derivatives, from the formulas that exist for the backward pass.

The formula of a primitive is linear in `grad`: it is the transposed Jacobian J^T, applied to `grad`. Its own derivative in `grad`
is therefore J, which maps the tangents of the arguments to those of the results. So no primitive needs a second formula:

- of an elementwise primitive (`unary`, `binary`, or declared by `symmetric_in`) J is diagonal, and its own transpose: the formula
  applies unchanged;
- a primitive that is linear in an argument (a `view`, or declared by `linear_in`) applies itself to its tangent;
- all others go through the transpose of the transpose: u -> J^T u is recorded at zeros, and its gradient for t is J t.

This module also stores the tangents of tensors, and updates them after in-place writes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import fits
from mini_dl._dtypes import INEXACT, Array
from mini_dl.autograd import engine
from mini_dl.autograd.graph import Node
from mini_dl.autograd.inplace import overwrite
from mini_dl.autograd.memory import spread
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.places import Place, address_of, memory_of, place_of, reopened
from mini_dl.autograd.primitive import view
from mini_dl.autograd.recording import shape_of
from mini_dl.tensor import LEAF, Tensor, wrap

Tangents = list[Any]
"""The tangents of the arguments of a call, or of its results: None where there is none, a list for a list of tensors."""


def tangents_of(
    new_level: Callable[[], object], primitive: Any, args: Sequence[object], tangents: Tangents, outs: Sequence[Tensor]
) -> Tangents:
    """The tangents of the results of a call, from those of its arguments. No value has a tangent here.

    `new_level` creates a level whose tensors have their own history.
    """
    if primitive.forwards is not None and has_tangent(tangents[0]):
        return [primitive.forwards(tangents[0], outs[0], *args)] + [None] * (len(outs) - 1)
    if primitive.looks:
        if tangents[0] is None or not primitive.formulas:
            return [None] * len(outs)
        seen = primitive.call(tangents[0], *args[1:])
        return list(seen) if isinstance(seen, tuple) else [seen]
    used = [(i, formula, asks) for i, formula, asks in primitive.formulas if has_tangent(tangents[i])]
    if not used:
        return [None] * len(outs)
    if primitive.linear and is_linear_there(primitive, tangents):
        return linear_sum(primitive, args, tangents, outs)
    if all([primitive.params[i] in primitive.symmetric for i, _, _ in used]) and not any([is_complex(a) for a in (*args, *outs)]):
        return symmetric_sum(primitive, args, tangents, outs, used)
    return transposed_twice(new_level, primitive, args, tangents, outs, used)


def zeros_like(tensor: Tensor) -> Tensor:
    return wrap(np.zeros(tensor._array.shape, tensor._array.dtype))


def has_tangent(tangent: object) -> bool:
    return isinstance(tangent, Tensor) or (tangent.__class__ is list and any([has_tangent(one) for one in tangent]))


def is_complex(value: object) -> bool:
    return isinstance(value, complex) or (isinstance(value, Tensor) and value._array.dtype.kind == "c")


def formula_arguments(primitive: Any, asks: Sequence[str], args: Sequence[object], outs: Sequence[Tensor]) -> list[Any]:
    """The arguments of a formula after `grad`."""
    found: list[Any] = []
    for name in asks:
        if name == "result":
            found.append(outs[0] if len(outs) == 1 else list(outs))
        elif name in primitive.index:
            found.append(args[primitive.index[name]])
        else:
            found.append(shape_of(args[primitive.index[name[:-6]]]))
    return found


def symmetric_sum(primitive: object, args: Any, tangents: Tangents, outs: Sequence[Tensor], used: Any) -> Tangents:
    """The sum over the arguments of their formulas applied to their tangents: the tangent of the first result."""
    total, out, rest = None, outs[0], [None] * (len(outs) - 1)
    for i, formula, asks in used:
        term = formula([tangents[i], *rest] if rest else tangents[i], *formula_arguments(primitive, asks, args, outs))
        if term is not None:
            total = term if total is None else total + term
    return [None if total is None else fitted_tangent(total, out._array), *rest]


def is_linear_there(primitive: Any, tangents: Tangents) -> bool:
    """Whether the primitive is linear in all arguments that have tangents."""
    known = {name for group in primitive.linear for name in group}
    return all([primitive.params[i] in known for i, _, _ in primitive.formulas if has_tangent(tangents[i])])


def linear_sum(primitive: Any, args: Any, tangents: Tangents, outs: Sequence[Tensor]) -> Tangents:
    """The sum, over the groups of arguments in which a primitive is linear together, of the primitive applied to their
    tangents.
    """
    total: Any = None
    for group in primitive.linear:
        places = [primitive.index[name] for name in group]
        if any([has_tangent(tangents[i]) for i in places]):
            given = list(args)
            for i in places:
                added = primitive.params[i] in primitive.added
                given[i] = tangents[i] if added else tangent_or_zeros(args[i], tangents[i])
            for name in primitive.added:
                if name not in group:
                    given[primitive.index[name]] = None
            found = primitive.call(*given)
            terms = found if isinstance(found, tuple) else (found,)
            total = terms if total is None else [a + b for a, b in zip(total, terms)]
    return [t if o._array.dtype.kind in INEXACT else None for t, o in zip(total, outs)]


def tangent_or_zeros(value: object, tangent: object) -> Any:
    if tangent is None or isinstance(value, (list, tuple)):
        if isinstance(value, (list, tuple)):
            known = tangent if tangent.__class__ is list else [None] * len(value)
            return [tangent_or_zeros(v, t) for v, t in zip(value, known)]
        return zeros_like(value) if isinstance(value, Tensor) else None if value is None else 0
    return tangent


def transposed_twice(
    new_level: Callable[[], Any], primitive: Any, args: Any, tangents: Tangents, outs: Sequence[Tensor], used: Any
) -> Tangents:
    """The transpose of the transpose: the formulas, recorded as functions of a gradient of zeros, and their gradients for the
    tangents. They are recorded on a separate level, on which everything else is constant."""
    with new_level() as level:
        u = [level.lifted(zeros_like(o)) for o in outs]
        for one, out in zip(u, outs):
            one._edge = LEAF if out._array.dtype.kind in INEXACT else None
        grads = u[0] if len(outs) == 1 else [one if one._edge is LEAF else None for one in u]
        pairs: list[tuple[Any, Any]] = []
        if primitive.together:
            _, formula, asks = primitive.formulas[0]
            wanted = [has_tangent(tangents[i]) for i, _, _ in primitive.formulas]
            found = formula(grads, wanted, *formula_arguments(primitive, asks, args, outs))
            pairs = [(w, tangents[i]) for w, (i, _, _) in zip(found, primitive.formulas)]
        else:
            pairs = [(formula(grads, *formula_arguments(primitive, asks, args, outs)), tangents[i]) for i, formula, asks in used]
        rows = [(w, t) for w, t in flat_pairs(pairs) if w._level is level and w._edge is not None]
        if not rows:
            return [zeros_like(o) if o._array.dtype.kind in INEXACT else None for o in outs]
        cotangents = [fitted_tangent(t, w._array) for w, t in rows]
        level.quiet = True
        found = engine.run_backward(
            [w for w, _ in rows], cotangents, [one for one in u if one._edge is LEAF], False, False, False
        )
        given = iter(found)
        products = [next(given) if one._edge is LEAF else None for one in u]
    return [
        zeros_like(o) if p is None and o._array.dtype.kind in INEXACT else p if p is None or p._level is not level else p._value
        for p, o in zip(products, outs)
    ]


def flat_pairs(pairs: Any) -> list[tuple[Tensor, Tensor]]:
    """The pairs that have both parts, including those in lists."""
    found: list[tuple[Tensor, Tensor]] = []
    for w, t in pairs:
        if w is not None and t is not None:
            found += flat_pairs(zip(w, t)) if t.__class__ is list else [(w, t)]
    return found


# ------------------------------------------------------------------------------------------------ storage of tangents


def look_at_part(input: Array, place: Place) -> Array:
    memory = memory_of(input)
    start = address_of(input) - address_of(memory) + place.offset
    return np.ndarray(place.view.shape, place.view.dtype, memory, start, place.view.strides)


@view(input=lambda grad, place: spread(grad, place))
def part_of(input: Array, place: Place) -> Array:
    """The view's part of a tensor with the layout of its base."""
    return look_at_part(input, place)


def is_outdated(part: Tensor | None) -> bool:
    """Whether the base of this view has been given a batch since."""
    base = part._base if part is not None else None
    while part is not None and base is not None and base._level is not None:
        if base._level is part._level:
            part = part._value
        elif base._level.size is not None:
            return True
        base = base._value
    return False


def tangent_of(tensor: Tensor) -> Tensor | None:
    """The tangent of a tensor. A view without one has a part of the tangent of its base, if a write set that."""
    if tensor._tangent is None or is_outdated(tensor._tangent):
        base = tensor._base
        if base is not None and base._tangent is not None and base._level is tensor._level:
            before, mode.forward = mode.forward, False
            try:
                tensor._tangent = part_of(base._tangent, place_of(tensor._array, base._array))
            finally:
                mode.forward = before
            if tensor._level is None:
                _keep(tensor)
    return tensor._tangent


_dual: list[weakref.ref[Tensor]] = []
"""The tensors outside of all levels that have tangents: they are removed when the block of forward mode ends."""


def carry(out: Tensor, tangent: Tensor | None) -> None:
    """Set the tangent of a tensor, in its layout. Its array is read-only from then on: writes must use `put`."""
    if tangent is None:
        return
    array = tangent._array
    if tangent._level is None and (
        array.strides != out._array.strides or (tangent._tangent is None and not array.flags.writeable)
    ):
        tangent = laid_out(tangent, out._array)
    out._tangent = tangent
    if out._level is None or not out._level.forward:
        _keep(out)
    if out._level is None:
        out._array = out._array.view()
        out._array.flags.writeable = False
    edge = out._edge
    node, number = edge if edge.__class__ is tuple else (edge, None)
    if isinstance(node, Node) and node.saved_ and "result" in node.saved_:  # its saved values keep its tangent
        kept = node.saved_["result"]
        item = kept if number is None else kept[number]
        if len(item) == 4 and isinstance(item[0], Tensor):
            item[0]._tangent = tangent
        elif len(item) == 6:  # packed by the user's hook
            place, at = (node.saved_, "result") if number is None else (kept, number)
            place[at] = (*item[:5], tangent)


def with_tangent(tensor: Tensor, tangent: Tensor) -> Tensor:
    """`tensor`, with `tangent` attached. RuntimeError unless their shapes match."""
    if tangent._array.shape != tensor._array.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. "
            f"Tensor is of size {list(tensor.shape)} while the given forward gradient is of size {list(tangent.shape)}."
        )
    before, mode.forward = mode.forward, False
    try:
        carry(tensor, tangent)
    finally:
        mode.forward = before
    return tensor


def _keep(tensor: Tensor) -> None:
    _dual.append(weakref.ref(tensor))


def forget_tangents() -> None:
    """Remove the tangents of all tensors outside of levels."""
    for reference in _dual:
        tensor = reference()
        if tensor is not None and tensor._tangent is not None:
            tensor._tangent = None
            if tensor._level is None:
                tensor._array = reopened(tensor._array)
    _dual.clear()


def fitted_tangent(tangent: Tensor, array: Array) -> Tensor:
    """`tangent` broadcast or summed to the shape of `array`, in its type. A gradient is not broadcast: that is refused."""
    if tangent._array.shape != array.shape and fits(tangent._array.shape, array.shape):
        tangent = tangent.expand(array.shape)
    return engine.fitted(tangent, array.shape, array.dtype)


def empty_like(array: Array) -> Array:
    """An array of zeros with the strides of another, if that is dense."""
    made = np.zeros_like(array)
    return made if made.strides == array.strides or 0 in array.strides else np.zeros(array.shape, array.dtype)


def laid_out(tangent: Tensor, array: Array) -> Tensor:
    """A copy of `tangent` in the layout of `array`; `tangent` itself, if only its type differs, or the layout is not possible."""
    made = empty_like(array)
    if tangent._array.dtype != made.dtype or (tangent._array.strides == made.strides and tangent._array.flags.writeable):
        return tangent
    out = wrap(made)
    overwrite(out, tangent)
    return out


def renew(target: Tensor, tangent: Tensor | None) -> None:
    """Update the tangent of `target`, and that of its base, after something with this tangent (or none) was written into it."""
    old = tangent_of(target)
    if old is None:
        if tangent is None:
            return
        base = target._base
        whole = wrap(empty_like(target._array if base is None else base._array))
        if base is None:
            old = target._tangent = whole
        else:
            carry(base, whole)
            old = target._tangent = part_of(base._tangent, place_of(target._array, base._array))
    if tangent is not None and at_work.anywhere:
        at_work.widen(old if old._base is None else old._base, tangent)
        old = tangent_of(target)
        assert old is not None
    overwrite(old, wrap(np.zeros((), old._array.dtype)) if tangent is None else tangent)
