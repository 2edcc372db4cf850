"""Operations with a derivative of the user's own: ``autograd.Function``."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl.autograd.graph import CUSTOM, FREED, Node, SeveralNode, edge_of, restore, save, save_result
from mini_dl.autograd.inplace import check_writable
from mini_dl.autograd.mode import mode, no_grad
from mini_dl.autograd.primitive import look_into
from mini_dl.tensor import LEAF, Tensor, alias, version_of, wrap


class FunctionCtx:
    """What `forward` leaves for `backward`. Any attribute may be set on it besides."""

    _to_save: tuple[Any, ...] = ()
    _dirty: tuple[Tensor, ...] = ()
    _non_differentiable: tuple[Tensor, ...] = ()
    _materialize = True
    _node: Any = None
    needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for the way back; a later in-place write to them is then noticed."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but got a {type(tensor).__name__}")
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted for torch's sake: there is no forward-mode differentiation."""

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What ``save_for_backward`` kept. RuntimeError once the graph was freed, or if a tensor was written since."""
        if self._node is None:
            return self._to_save
        node = self._node()
        if node.saved is None:
            raise RuntimeError(FREED)
        return tuple([restore(item, node) for item in node.saved.get("tensors", ())])

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs `forward` wrote in place; each must be among the outputs."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` sees zeros (True) or None for outputs that got no gradient."""
        self._materialize = value


class Function(FunctionCtx):
    """Base of operations with their own derivative: static methods `forward(ctx, *args)` and `backward(ctx, *grads)`.

    `forward` may also take the arguments alone, with `setup_context(ctx, inputs, output)` beside it. `backward` returns one
    gradient per argument, None where there is none. Use it by ``apply``.

    >>> import mini_dl as torch
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should invoke them "
            "on the class itself. Instantiating an autograd function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`; record `backward` if any argument needs a gradient."""
        ctx = object.__new__(cls)
        tensors = [a for a in args if isinstance(a, Tensor)]
        recording = mode.enabled and any([edge_of(t) is not None for t in tensors])
        ctx.needs_input_grad = tuple([isinstance(a, Tensor) and edge_of(a) is not None for a in args])
        edges = [edge_of(a) if isinstance(a, Tensor) else None for a in args]
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        outs = result if isinstance(result, tuple) else (result,)
        outs = tuple([_output(out, tensors, ctx, recording) for out in outs])
        if recording:
            _record(ctx, edges, outs)
        return outs if isinstance(result, tuple) else outs[0]


def _output(out: Any, inputs: list[Tensor], ctx: FunctionCtx, recording: bool) -> Any:
    """An input that is returned as it came becomes another tensor over the same memory, unless it was written in place."""
    if any([out is t for t in ctx._dirty]) or not any([out is t for t in inputs]):
        return out
    differentiable = out._array.dtype.kind in "fc" and not any([out is t for t in ctx._non_differentiable])
    return as_it_came(out) if recording and differentiable else alias(out)


def as_it_came(input: Tensor) -> Tensor:
    """Another tensor over the memory of `input`, to be put behind a node of its own: it may not be written while recording."""
    out = alias(input)
    look_into(input, out)
    out._restricted = CUSTOM
    return out


def _record(ctx: FunctionCtx, edges: list[Any], outs: tuple[Any, ...]) -> None:
    recorded = [o for o in outs if isinstance(o, Tensor)]
    for tensor in ctx._dirty:
        check_writable(tensor)
        version_of(tensor)[0] += 1
    if not recorded:
        return
    made = SeveralNode if len(outs) > 1 else Node
    node = made(_UserOp(ctx), edges, {}, recorded[0]._array)
    if len(outs) > 1:
        node.shape = [o._array.shape if isinstance(o, Tensor) else None for o in outs]
        node.dtype = [o._array.dtype if isinstance(o, Tensor) else None for o in outs]
    if ctx._to_save:
        node.saved["tensors"] = [_saved(tensor, outs) for tensor in ctx._to_save]
    for number, out in enumerate(outs):
        differentiable = isinstance(out, Tensor) and out._array.dtype.kind in "fc"
        if differentiable and not any([out is t for t in ctx._non_differentiable]):
            out._edge = (node, number) if len(outs) > 1 else node
    ctx._to_save = ()


def _saved(tensor: Tensor | None, outs: tuple[Any, ...]) -> Any:
    for number, out in enumerate(outs):
        if tensor is out and tensor is not None:
            return save_result(tensor, number if len(outs) > 1 else None)
    return save(tensor)


class _UserOp:
    """Stands where an Op stands, for a class of the user's."""

    def __init__(self, ctx: Any) -> None:
        self.ctx = ctx
        self.name = type(ctx).__name__
        self.grad_name = self.name + "Backward"

    def backward(self, node: Node, grad: Any) -> list[Any]:
        ctx, cls = self.ctx, type(self.ctx)
        grads = list(grad) if node.several else [grad]
        if ctx._materialize:
            shapes = node.shape if node.several else [node.shape]
            dtypes = node.dtype if node.several else [node.dtype]
            grads = [
                wrap(np.zeros(shape, dtype)) if g is None and shape is not None else g
                for g, shape, dtype in zip(grads, shapes, dtypes)
            ]
        ctx._node = lambda: node
        method = cls.vjp if cls.backward is Function.backward else cls.backward
        try:
            found = method(ctx, *grads)
        finally:
            ctx._node = None if node.saved is None else ctx._node
        results = list(found) if isinstance(found, (tuple, list)) else [found]
        expected = len(node.edges)
        if len(results) > expected and all([r is None for r in results[expected:]]):
            results = results[:expected]
        if len(results) != expected:
            raise RuntimeError(
                f"function {self.grad_name} returned an incorrect number of gradients (expected {expected}, got {len(results)})"
            )
        for i, (result, edge) in enumerate(zip(results, node.edges)):
            if result is not None and edge is not None and not isinstance(result, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(result).__name__}) as gradient {i} of {self.grad_name}")
        return results


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For a `backward` whose own derivative is not to be had: differentiating its result is an error."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            found = backward(ctx, *grads)
        if not mode.enabled:
            return found
        needed = any([isinstance(g, Tensor) and edge_of(g) is not None for g in grads])
        if not needed:
            return found
        outs = found if isinstance(found, tuple) else (found,)
        barred = tuple([_barred(o) if isinstance(o, Tensor) else o for o in outs])
        return barred if isinstance(found, tuple) else barred[0]

    return wrapper


def _barred(tensor: Tensor) -> Tensor:
    anchor = wrap(np.zeros(()))
    anchor._edge = LEAF
    out = alias(tensor)
    out._edge = Node(_Barrier(), (edge_of(anchor),), {}, out._array)
    return out


class _Barrier:
    name, grad_name = "DelayedError", "DelayedErrorBackward"

    def backward(self, node: Node, grad: Any) -> list[Any]:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
