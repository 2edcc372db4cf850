"""Writing in place: *compute, then write*, and let the tensor take over the history of the result.

A write through a view is recorded on the base: what was looked at is replaced, the rest stays (`view_scatter`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, castable, is_number, scalar_name
from mini_dl.autograd.graph import Node, edge_of, forbidden_write, look, root_of, save_result
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.tensor import LEAF, Tensor, alias, inference, version_of, wrap


def inplace(function: Callable[..., Tensor], name: str | None = None, operator: bool = False) -> Callable[..., Tensor]:
    """``x.f_(...)`` from ``f(x, ...)``: the result is written into the memory of `x`, which is returned.

    As an `operator`, it leaves an operand that is neither tensor nor number to Python, which then tries the operator without "=".
    """
    primitive = getattr(function, "op", None)
    ufunc, spares = getattr(function, "ufunc", None), getattr(function, "spares", False)

    @functools.wraps(function)
    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if ufunc is not None and not kwargs and overwritten_by(ufunc, self, args):
            return self
        if operator and not isinstance(args[0], Tensor) and not is_number(args[0]):
            return NotImplemented
        if not (mode.enabled and (edge_of(self) is not None or any_needs_grad(args) or any_needs_grad(kwargs.values()))):
            if spares and self._array.flags.c_contiguous and self._array.flags.writeable:
                mode.spare = self._array
                try:
                    result = function(self, *args, **kwargs)
                finally:
                    mode.spare = None
                if result._array is self._array:
                    check_inference(self)
                    version_of(self)[0] += 1
                    return self
            else:
                result = function(self, *args, **kwargs)
            write(self, result)
            return self
        check_writable(self)
        edge = self._edge if self._edge is LEAF else edge_of(self)
        if primitive is None or primitive.wants_input:  # the formulas need the value from before the write
            before = wrap(self._array.copy())
            before._edge = edge
        else:
            before = wrap(self._array)
            before._edge = edge
        write(self, function(before, *args, **kwargs), primitive is not None)
        return self

    call.__name__ = call.__qualname__ = name or function.__name__ + "_"
    call.__doc__ = f"In-place version of ``{function.__name__}``."
    call.__dict__.pop("op", None)
    return call


def spares_copy(function: Any) -> Any:
    """Mark a function whose kernel writes into a `fresh` copy of its input: its in-place version then writes without the copy."""
    function.spares = True
    return function


def fresh(input: Array) -> Array:
    """A compact copy of `input`, or `input` itself where it may be written."""
    return input if input is mode.spare else np.array(input, order="C")


def written_by(ufunc: np.ufunc, primitive: Any = None) -> Callable[[Any], Any]:
    """Mark a function as what `ufunc` computes over floating point arrays: its in-place version then writes without a temporary.

    `primitive` is the one that the function ends in; that gradients do not need its `input` then spares the copy of it.
    """

    def decorate(function: Any) -> Any:
        function.ufunc = ufunc
        if primitive is not None:
            function.op = primitive.op
        return function

    return decorate


def overwritten_by(ufunc: np.ufunc, target: Tensor, args: tuple[Any, ...]) -> bool:
    """Whether ``ufunc(target, *args)`` could be, and was, written straight into `target`: nothing is recorded, types agree."""
    array = target._array
    if (
        array.dtype.kind != "f"
        or len(args) != ufunc.nin - 1
        or target._inference
        or not array.flags.writeable
        or 0 in array.strides
        or (mode.enabled and (target._edge is not None or target._base is not None))
    ):
        return False
    if not args:
        mode.run(ufunc, array, out=array)
    else:
        other = args[0]
        if isinstance(other, Tensor):
            if mode.enabled and (other._edge is not None or other._base is not None):
                return False
            other = other._array
            if other.dtype is not array.dtype:
                return False
        elif type(other) is not float and type(other) is not int:
            return False
        try:
            mode.run(ufunc, array, other, out=array)
        except (ValueError, OverflowError):  # shapes that do not broadcast: nothing was written
            return False
    version_of(target)[0] += 1
    return True


def any_needs_grad(values: Any) -> bool:
    for value in values:
        if isinstance(value, Tensor):
            if edge_of(value) is not None:
                return True
        elif type(value) in (list, tuple) and any_needs_grad(value):
            return True
    return False


def check_writable(tensor: Tensor) -> None:
    """RuntimeError if `tensor` is a leaf that requires grad, or a view of one."""
    if tensor._edge is LEAF:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if tensor._restricted is not None:
        raise forbidden_write(tensor, "is being modified")
    if root_of(tensor)._edge is LEAF:
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def write(target: Tensor, result: Tensor, own_result: bool = False) -> None:
    """Put `result` into the memory of `target`: whoever looks at it sees it, and its gradient flows to `result`.

    RuntimeError if the shape or type does not fit. `own_result`: nobody else has seen `result`, the output of one primitive.
    """
    array, new_array = target._array, result._array
    if new_array.shape != array.shape:
        try:
            fits = np.broadcast_shapes(new_array.shape, array.shape) == array.shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(new_array.shape)}")
    if new_array.dtype != array.dtype and not castable(new_array.dtype, array.dtype):
        raise RuntimeError(
            f"result type {scalar_name(new_array.dtype)} can't be cast to the desired output type {scalar_name(array.dtype)}"
        )
    overwrite(target, result, own_result)


def overwrite(target: Tensor, result: Tensor, own_result: bool = False) -> None:
    """As `write`, for a result already known to fit (or meant to be cast, as ``copy_`` does)."""
    array = target._array
    check_memory(array)
    check_inference(target)
    edge = None
    if mode.enabled:
        if result._array.shape != array.shape:
            result = result.expand(array.shape)
        if result._array.dtype != array.dtype and edge_of(result) is not None:
            result = result.to(target.dtype)
        edge = edge_of(result)
        if (
            edge is not None
            or edge_of(target) is not None
            or (target._restricted is not None and root_of(target)._edge is not None)
        ):
            check_writable(target)
    mode.run(np.copyto, array, result._array, "unsafe")
    version = version_of(target)
    version[0] += 1
    if not mode.enabled:
        return
    owner = root_of(target)
    if owner is target:
        if edge is not None or target._edge is not None:
            target._edge = edge
            if own_result:
                adopt(target, edge)
        return
    if edge is not None or owner._edge is not None:
        before = alias(owner, owner._edge)
        owner._edge = view_scatter(before, result, target._view)._edge
        target._stamp = -1  # stale: `edge_of` rebuilds it from the owner


def check_inference(target: Tensor) -> None:
    if target._inference and not inference.here:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal "
            "tensor before doing inplace update."
        )


def check_memory(array: Array) -> None:
    """RuntimeError if several elements of `array` share memory, or if it may not be written."""
    if array.size and 0 in array.strides and any([stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape)]):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if not array.flags.writeable:
        raise RuntimeError("the memory of this tensor is read-only: it came from an array that may not be written to")


def adopt(target: Tensor, edge: Any) -> None:
    """Let the node keep the memory of `target` as its result: a later write is then noticed, and the copy is freed."""
    if type(edge) is Node and "result" in edge.saved:
        edge.saved["result"] = save_result(target)


@op(
    base=lambda grad, view: _without(grad, view),
    source=lambda grad, view: look(view, grad),
)
def view_scatter(base: Any, source: Any, view: Any) -> Any:
    """`base` after `source` was written where `view` looks. The memory is written already."""
    return base


view_scatter.op.grad_name = "CopySlices"  # type: ignore[attr-defined]


def _without(grad: Tensor, view: Any) -> Tensor:
    """`grad` with zeros where `view` looks."""
    out: Tensor = grad.clone()
    seen = look(view, out)
    overwrite(seen, wrap(np.zeros_like(seen._array)))
    return out
