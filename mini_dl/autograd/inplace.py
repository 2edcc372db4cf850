"""Writing in place: *compute, then write*, and give the tensor the history of the result.

A write through a view is recorded on the base: the viewed part is replaced, the rest is unchanged (`copy_slices`).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeAlias

import numpy as np

from mini_dl._checks import check_fits, without_imaginary_parts
from mini_dl._dtypes import INEXACT, Array, Function, NumpyType, castable, int64, is_number, result_numpy, scalar_name
from mini_dl._families import with_preface
from mini_dl._importing import wraps
from mini_dl._layout import on_the_way
from mini_dl._meta import is_meta_array
from mini_dl.autograd.forwards import is_shared
from mini_dl.autograd.graph import (
    Node,
    edge_of,
    forbidden_write,
    grad_fn_and_number,
    is_end,
    move_hooks,
    needs_grad,
    refreshed,
    root_of,
    save_result,
)
from mini_dl.autograd.memory import as_strided, compared, copy_slices
from mini_dl.autograd.mode import at_work, mode, no_grad
from mini_dl.autograd.node_names import IN_PLACE as IN_PLACE_NAMES, rename, title
from mini_dl.autograd.overlaps import (
    BEFORE_VALUE,
    NO_OVERLAP,
    UNCHECKED,
    any_overlaps_illegally,
    check_operands,
    overlaps_illegally,
    shared_memory,
)
from mini_dl.autograd.places import place_of
from mini_dl.autograd.saving import packing
from mini_dl.kernels.blocks import BLOCK, LEAST_LARGE, large_for, spread
from mini_dl.kernels.context import is_refusal, run_nested
from mini_dl.kernels.copying import copy
from mini_dl.kernels.elementary import Elementwise
from mini_dl.tensor import Edge, Tensor, inference, wrap, written

IN_PLACE = "`{}`, in place: the result is written into the tensor, which is returned."
may_share = np.may_share_memory
APART, NOT_ASKED = NO_OVERLAP - {"addr"}, UNCHECKED | {"addmm", "ldexp"}


def inplace(function: Callable[..., Tensor], name: str | None = None, operator: bool = False) -> Callable[..., Tensor]:
    """``x.f_(...)`` from ``f(x, ...)``: the result is written into the memory of `x`, which is returned.

    As an `operator`, it returns NotImplemented for an operand that is not a tensor or a number; Python then tries the operator
    without "=".
    """
    primitive = getattr(function, "op", None)
    ufunc, step, spares = [getattr(function, name, None) for name in ("ufunc", "step", "spares")]
    apart, asked = function.__name__ in APART, function.__name__ not in NOT_ASKED
    own_history = function.__name__ in COMPARISONS or function.__name__.lstrip("_") in IN_PLACE_NAMES
    compared_with = BEFORE_VALUE.get(function.__name__)

    @wraps(function)
    def call(self: Tensor, *args: object, **kwargs: object) -> Tensor:
        if (ufunc and not kwargs and overwritten_by(ufunc, self, args)) or (step and step(self, args, kwargs)):
            return self
        if operator and not isinstance(args[0], Tensor) and not is_number(args[0]):
            return NotImplemented
        if at_work.anywhere and at_work.involves((self, *args, *kwargs.values())):
            if mode.enabled and needs_grad(self):
                check_writable(self)
            write(self, function(self.clone(), *args, **kwargs))
            return self
        try:
            recorded = mode.enabled and (needs_grad(self) or any_needs_grad(args) or any_needs_grad(kwargs.values()))
            if recorded:
                check_writable(self)
            met = asked and (args or kwargs) and any_overlaps_illegally(self, (*args, *kwargs.values())[:compared_with], apart)
            if not recorded:
                if spares and not met and self._array.flags.c_contiguous and self._array.flags.writeable:
                    before, mode.spare = mode.spare, self._array.view()  # an array that interrupting operations cannot access
                    spare = mode.spare
                    try:
                        result = function(wrap(spare), *args, **kwargs)
                    finally:
                        mode.spare = before
                    if result._array is spare:
                        count_write(self)
                        return self
                else:
                    result = function(self, *args, **kwargs)
                if met:
                    raise shared_memory()
                write(self, result)
                return self
            edge = edge_of(self) if self._base is None else edge_before(self)
            needs_copy = primitive is None or primitive.wants_input  # the formulas need the old value
            before = wrap(self._array.copy() if needs_copy else self._array)
            before._edge = edge
            result = function(before, *args, **kwargs)
            if met:
                raise shared_memory()
            if own_history:
                result = _with_own_history(function.__name__, self, result, (before, *args, *kwargs.values()))
            write(self, result, primitive is not None or not any([result is value for value in args]))
            return self
        except NotImplementedError:  # of the type
            _check_before_type(function, self, args, kwargs, apart if asked else None)
            raise

    call = no_grad()(call) if function.__name__.startswith("logical_") else call  # the history stays, as in torch
    call.__name__ = call.__qualname__ = name = name or function.__name__ + "_"
    call.__doc__ = with_preface(IN_PLACE.format(name[:-1]), function.__doc__)
    call.__dict__.pop("op", None)
    return call


def _check_before_type(
    function: Function, target: Tensor, args: tuple[object, ...], kwargs: dict[str, object], apart: bool | None
) -> None:
    """What torch checks before it refuses a type: shapes, memory, overlaps (`apart` None: not these), and the promoted type."""
    check_broadcast(target, args)
    check_memory(target._array)
    if apart is not None:
        check_operands(target, args, apart)
    check_operand_types(function, target, (target, *args, *kwargs.values()))


def _with_own_history(name: str, target: Tensor, result: Tensor, operands: tuple[object, ...]) -> Tensor:
    """The result, whose node has a name of its own in place; that of a comparison in the type of `target`, with a history that
    gives zeros."""
    if name not in COMPARISONS:
        rename(result, IN_PLACE_NAMES[name.lstrip("_")])
        return result
    if target._array.dtype.kind not in INEXACT:
        return result
    out = compared(wrap(result._array.astype(target._array.dtype)), *operands)
    rename(out, title(name, int(isinstance(operands[1], Tensor))))
    return out


def spares_copy(function: Any) -> Function:
    """Mark a function whose kernel writes into a `fresh` copy of its input: the in-place version then needs no copy."""
    function.spares = True
    return function


def fresh(input: Array) -> Array:
    """A compact copy of `input`, or `input` itself if it may be modified."""
    return input if input is mode.spare else np.array(input, order="C")


def room_of(input: Array) -> Array | None:
    """`input` as room for a result of its shape and type, if it may be modified."""
    return input if input is mode.spare else None


def written_by(ufunc: Elementwise, primitive: Any = None, entirely: bool = False) -> Callable[[Function], Function]:
    """Mark a function that is `ufunc` on floating point arrays, or on all (`entirely`): threads share it, and its version in
    place needs no temporary.

    `primitive` is the last one that the function calls; if gradients do not need its `input`, it is not copied.
    """

    def decorate(function: Any) -> Function:
        function.ufunc = ufunc
        if primitive is not None:
            function.op = primitive.op
        if hasattr(function, "op"):
            is_shared(function.op, ufunc, entirely)
        return function

    return decorate


def moved_by(ufunc: np.ufunc, change: Callable[..., Array], others: int, number: str) -> Callable[[Function], Function]:
    """Mark a function that is ``ufunc(input, change(*arrays, number))``, of so many `others`: where nothing is recorded, and
    types and shapes agree, its version in place computes the change alone."""

    def step(target: Tensor, args: tuple[Tensor, ...], kwargs: dict[str, float]) -> bool:
        array, factor = target._array, kwargs.get(number, 1)
        if len(args) != others or (others == 1 and not kwargs) or len(kwargs) > (number in kwargs):
            return False
        if type(factor) not in (int, float) or not -6e4 < factor < 6e4:
            return False
        if (
            array.dtype.char not in "fd"
            or target._sparse
            or at_work.anywhere
            or (mode.enabled and any_needs_grad((target, *args)))
        ):
            return False
        for other in args:
            if not isinstance(other, Tensor) or other._sparse or other._array.__class__ is not np.ndarray:
                return False
            if other._array.dtype is not array.dtype or other._array.shape != array.shape:
                return False
        if any_overlaps_illegally(target, args, False):
            return False
        found = mode.run(change, *[other._array for other in args], factor)
        return overwritten_by(ufunc, target, (wrap(found),))

    def decorate(function: Function) -> Function:
        function.step = step  # type: ignore[attr-defined]
        return function

    return decorate


EXACT = {np.add, np.subtract, np.multiply}
"""The functions of integers that give integers."""


def overwritten_by(ufunc: Elementwise, target: Tensor, args: tuple[object, ...]) -> bool:
    """Whether ``ufunc(target, *args)`` could be, and was, written straight into `target`: nothing is recorded, types agree."""
    array, recording, other = target._array, mode.enabled, None
    flags, counts = array.flags, array.dtype.char not in "fd"
    if (
        # half precision is rounded once, after the ufunc and a number; in other types of integers, numbers may not fit
        (counts and (array.dtype != int64.numpy or ufunc not in EXACT))
        or len(args) != ufunc.nin - 1
        or target._inference
        or not flags.writeable
        or not (flags.forc or 0 not in array.strides)  # `strides` makes a tuple each time
        or (recording and (target._edge is not None or (target._base is not None and needs_grad(target))))
    ):
        return False
    if args:
        other = args[0]
        if isinstance(other, Tensor):
            if at_work.anywhere:
                return False
            if recording and (other._edge is not None or (other._base is not None and needs_grad(other))):
                return False
            tensor, other = other, other._array
            if (
                (array.base is not None or other.base is not None)
                and may_share(array, other)
                and overlaps_illegally(target, tensor)
            ):
                return False
            if other.dtype is not array.dtype:
                return False
        elif (type(other) is not int and (counts or type(other) is not float)) or not -6e4 < other < 6e4:
            return False  # also numbers that may be out of range, which the function checks
    try:
        if array.size >= LEAST_LARGE and array.size >= large_for(ufunc):
            mode.run(spread, ufunc, *_operands(array, other), out=array)
        elif args:
            mode.enter(ufunc, array, other, out=array)
        else:
            mode.enter(ufunc, array, out=array)
    except (ValueError, OverflowError):  # shapes that do not broadcast: nothing was written
        return False
    except RuntimeError as error:
        if not is_refusal(error):
            raise
        run_nested(ufunc, *_operands(array, other), out=array)
    counter = target._counter
    if counter is None:
        written(target)
    else:  # the same, unrolled
        counter[0] += 1
    return True


def _operands(array: Array, other: object) -> tuple[object, ...]:
    return (array,) if other is None else (array, other)


def is_recorded(*values: object) -> bool:
    """Whether computations with these arguments are recorded, or a transform is active on them."""
    if mode.enabled and any_needs_grad(values):
        return True
    return bool(at_work.anywhere) and at_work.involves(values)


Memo: TypeAlias = list[Any] | None
"""Where a forward keeps what its gradient needs besides arguments and result."""


def memo_of(*values: object) -> Memo:
    """An empty list for a call with these arguments; None if it shall keep nothing: it is not recorded, or a transform is active,
    whose tensors are not those that the forward sees."""
    return [] if mode.enabled and not at_work.anywhere and any_needs_grad(values) else None


def keep_in(memo: Memo, *arrays: Array) -> None:
    """Keep arrays for the gradient, where there is a memo: as tensors if the hooks of saved tensors shall see them."""
    if memo is not None:
        memo += map(wrap, arrays) if packing else arrays


def recalled(memo: Memo) -> list[Any]:
    """What a forward kept, for its gradient: nothing if a transform is active by now, whose tensors have other shapes."""
    return [] if memo is None or at_work.anywhere else memo


def any_needs_grad(values: Any) -> bool:
    for value in values:
        if isinstance(value, Tensor):
            if needs_grad(value):
                return True
        elif type(value) in (list, tuple) and any_needs_grad(value):
            return True
    return False


def check_writable(tensor: Tensor) -> None:
    """RuntimeError if a write to `tensor` cannot be recorded: a leaf that requires grad, a view of one, or some other views."""
    base = tensor._base
    if base is not None:
        if tensor._restricted is not None:
            raise forbidden_write(tensor, "is being")
        if is_end(base) and needs_grad(tensor):
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    if is_end(tensor) and needs_grad(tensor):
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")


def edge_before(view: Tensor) -> Edge | None:
    """The edge for the gradient of the value that a recorded write through `view` replaces: to the base, bypassing hooks of
    views.
    """
    edge, base = edge_of(view), root_of(view)
    node, last = grad_fn_and_number(edge)[0], grad_fn_and_number(edge_of(base))[0]
    while isinstance(node, Node) and node is not last:
        if node.hooks_ is not None:
            place = place_of(view._array, base._array)
            return Node(as_strided.op, (edge_of(base),), {"place": (place,)}, view._array)  # type: ignore[attr-defined]
        node = grad_fn_and_number(node.edges_[0])[0] if len(node.edges_) == 1 else None
    return edge


def write(target: Tensor, result: Tensor, own_result: bool = False) -> None:
    """Write `result` into the memory of `target`: all views see it, and the gradient flows to `result`.

    RuntimeError if the shape or type does not match. `own_result`: `result` was computed for this write.
    """
    array, new_array = target._array, result._array
    if new_array.shape != array.shape:
        check_fits(array.shape, new_array.shape)
    if new_array.dtype != array.dtype:
        check_cast(new_array.dtype, array.dtype)
    overwrite(target, result, own_result)


def check_broadcast(target: Tensor, args: tuple[object, ...]) -> None:
    """RuntimeError if the tensors among `args` broadcast with `target`, but not to its shape."""
    try:
        shape = np.broadcast_shapes(target._array.shape, *[t._array.shape for t in args if isinstance(t, Tensor)])
    except ValueError:
        return
    check_fits(target._array.shape, shape)


COMPARISONS = frozenset("eq ne lt le gt ge".split())
ORDERING = frozenset("lt le gt ge less less_equal greater greater_equal".split())
OPERANDS = frozenset("other exponent".split())
"""The parameters with which a tensor is combined, even if they are numbers."""


def check_operand_types(function: Function, target: Tensor, values: tuple[object, ...]) -> None:
    """RuntimeError if the promoted type of the operands, that of the result, cannot be cast to that of `target`."""
    name, operands = function.__name__, [value for value in values if isinstance(value, Tensor) or is_number(value)]
    arrays = [value._array for value in operands if isinstance(value, Tensor)]
    if name == "lerp":
        arrays = arrays[:2]  # the weight does not count
        operands = [*arrays]
    if name in ORDERING or (name == "clamp" and arrays[0].dtype.kind == "c"):
        return
    if len(arrays) == len(operands) and (len(arrays) == 2 or name == "clamp"):
        check_cast(result_numpy(*arrays), target._array.dtype)
    elif len(operands) == 2 and [*signature(function).parameters][1] in OPERANDS:
        number = next(value for value in operands if not isinstance(value, Tensor))
        check_cast(result_numpy(arrays[0], number), target._array.dtype)


def check_cast(source: NumpyType, target: NumpyType) -> None:
    """RuntimeError if a result of one type may not be written into memory of the other."""
    if not castable(source, target):
        raise RuntimeError(f"result type {scalar_name(source)} can't be cast to the desired output type {scalar_name(target)}")


def overwrite(target: Tensor, result: Tensor, own_result: bool = False) -> None:
    """Like `write`, for a result known to match (or to be cast, as ``copy_`` does)."""
    if at_work.anywhere:
        target, result = at_work.alike(target, result)
    array = target._array
    recorded = mode.enabled and array.dtype.kind in INEXACT and (needs_grad(result) or needs_grad(target))
    if recorded:
        check_writable(target)
        if result._array.shape != array.shape:
            result = result.expand(array.shape)
        if result._array.dtype != array.dtype and needs_grad(result):
            result = result.to(target.dtype)
    edge = edge_of(result) if recorded else None
    if not (at_work.anywhere and at_work.put(target, result)):
        check_memory(array)
        copy_into(array, result._array)
    count_write(target)
    if recorded:
        rebase(target, edge)
        if own_result:
            adopt(target, edge)


def copy_into(target: Array, source: Array) -> None:
    """Cast `source` into memory. UserWarning where imaginary parts are lost."""
    alike = target.dtype == source.dtype and target.shape == source.shape and target.__class__ is source.__class__ is np.ndarray
    if target.size >= BLOCK and alike and not may_share(target, source):
        mode.run(copy, target, source)
        return
    mode.run(np.copyto, target, on_the_way(without_imaginary_parts(source, target.dtype), target.dtype), "unsafe")


def rebase(target: Tensor, edge: Edge | None) -> None:
    """Give `target`, whose memory was modified, the history `edge`; for a view, record the write on its base."""
    base = target._base
    if base is None:
        before, target._edge = None if is_end(target) else target._edge, edge
        if edge is not None:
            move_hooks(target, before, edge)
        return
    before, place = None if is_end(base) else base._edge, place_of(target._array, base._array)
    saved = {"place": (place, None, None)}
    base._edge = Node(copy_slices.op, (edge_of(base), edge), saved, base._array)  # type: ignore[attr-defined]
    if needs_grad(target):
        move_hooks(base, before, base._edge)
    refreshed(target, place)


def count_write(target: Tensor) -> None:
    """Count a write. RuntimeError for inference tensors outside of inference mode: after the write, as in torch."""
    if target._inference is True and not inference.here:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal "
            "tensor before doing inplace update."
        )
    written(target)


def check_memory(array: Array) -> None:
    """RuntimeError if several elements of `array` share memory, or if it may not be written."""
    if is_meta_array(array):
        return
    if array.size and 0 in array.strides and any([stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape)]):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if not array.flags.writeable:
        raise RuntimeError("the memory of this tensor is read-only: it came from an array that may not be written to")


def adopt(target: Tensor, edge: Edge | None) -> None:
    """Let the node keep the memory of `target` as its result: a later write is then detected, and the copy is freed."""
    if isinstance(edge, Node) and "result" in edge.saved_ and len(edge.saved_["result"]) == 4:  # not packed by the user's hook
        edge.saved_["result"] = save_result(target)
