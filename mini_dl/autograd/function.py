"""Operations with a user-defined derivative: ``autograd.Function``."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import FLOATING, INEXACT
from mini_dl.autograd.formal import aim_of
from mini_dl.autograd.graph import (
    CUSTOM,
    FREED,
    SEVERAL,
    Node,
    SavedTensor,
    edge_of,
    is_end,
    needs_grad,
    next_seq,
    pack_saved,
    restore,
    save,
    save_result,
)
from mini_dl.autograd.inplace import check_writable, rebase
from mini_dl.autograd.mode import at_work, mode, no_grad
from mini_dl.autograd.primitive import look_into
from mini_dl.autograd.saving import packing
from mini_dl.tensor import LEAF, Tensor, alias, version_of, wrap, written


class FunctionCtx:
    """The data that `forward` saves for `backward`. Other attributes may be set on it as well."""

    to_save: Any = None
    saved_for_forward: Any = None
    dirty_tensors: Any = None
    non_differentiable: Any = None
    materialize_grads = True
    kept_for_forward: Any = None
    runs_forward = False  # `jvp` is running

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for the backward; a later in-place write to them is then detected."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`, which finds them among ``ctx.saved_tensors``."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Declare which inputs `forward` modified in place; each must be among the outputs."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Declare which outputs have no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` sees zeros (True) or None for outputs that got no gradient."""
        if not isinstance(value, bool):
            raise TypeError(f"set_materialize_grads() takes a bool, not {type_name(value)}")
        self.materialize_grads = value


class _Applied:
    """Replaces the Op for all user-defined classes: the node itself has the formulas."""

    runs_without = True
    asked: frozenset[str] = frozenset()

    def backward(self, node: BackwardCFunction, grads: Sequence[object]) -> list[Any]:
        if node.materialize_grads:
            grads = [
                wrap(np.zeros(shape, dtype)) if g is None and shape is not None else g
                for g, shape, dtype in zip(grads, node.shape_, node.dtype_)
            ]
        return node.gradients_(node.apply(*grads))


class BackwardCFunction(Node, FunctionCtx):
    """The node of one call of a Function: also the `ctx` that `forward` and `backward` see. Each Function has a subclass."""

    _forward_cls: ClassVar[Any] = None
    several_ = True  # edges to it name the output even if there is only one
    op_ = _Applied()
    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self, args: Sequence[object]) -> None:
        self.is_variable_input = [isinstance(a, Tensor) for a in args]
        edges = [edge_of(a) if isinstance(a, Tensor) else None for a in args]
        self.needs_input_grad = tuple([isinstance(a, Tensor) and needs_grad(a) for a in args])
        self.edges_ = [edge for edge, tensor in zip(edges, self.is_variable_input) if tensor]
        self.saved_, self.seq_, self.hooks_ = {"tensors": []}, 0, None
        self.shape_, self.dtype_ = [], []

    def start_(self, outs: Sequence[object]) -> None:
        """Make this the newest node, with `outs` as outputs."""
        self.seq_ = next_seq()
        places = [(o._array.shape, o._array.dtype) if isinstance(o, Tensor) else (None, None) for o in outs]
        self.shape_, self.dtype_ = [shape for shape, _ in places], [dtype for _, dtype in places]

    def name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<torch.autograd.function.{self.name()} object at {hex(id(self))}>"

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors saved by ``save_for_backward`` or, in `jvp`, by ``save_for_forward``. RuntimeError once the graph is freed,
        or if a tensor was modified since."""
        if self.runs_forward:
            return self.kept_for_forward or ()
        if self.saved_ is None:
            raise RuntimeError(FREED)
        return tuple([restore(item, self) for item in self.saved_["tensors"]])

    @property
    def _raw_saved_tensors(self) -> tuple[SavedTensor, ...]:
        if self.saved_ is None:
            raise RuntimeError(FREED)
        return tuple([SavedTensor(self, "tensors", i) for i in range(len(self.saved_["tensors"]))])

    def apply(self, *grads: object) -> Any:
        """The result of the user's `backward` for the gradients of the outputs."""
        cls = self._forward_cls
        if cls.backward is not Function.backward and cls.vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of "
                "them."
            )
        return (cls.backward if cls.vjp is Function.vjp else cls.vjp)(self, *grads)

    def gradients_(self, found: object) -> list[Any]:
        """The gradients of the tensors among the inputs. RuntimeError if `found` does not match them."""
        results = found if isinstance(found, tuple) else (found,)
        expected = len(self.is_variable_input)
        if all([r is None for r in results[expected:]]):
            results = results[:expected]
        if len(results) != expected:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {expected}, got {len(results)})"
            )
        grads = []
        for i, (result, is_tensor) in enumerate(zip(results, self.is_variable_input)):
            if result is not None and not is_tensor:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position {i + 1}, but the corresponding "
                    "forward input was not a Variable"
                )
            if result is not None and not isinstance(result, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(result).__name__})")
            if is_tensor:
                grads.append(result)
        for i, (grad, edge) in enumerate(zip(grads, self.edges_)):
            if grad is not None and edge is not None:
                check_gradient(self, i, grad, *aim_of(edge))
        return grads


def check_gradient(node: Node, index: int, grad: Tensor, shape: tuple[int, ...], dtype: Any) -> None:
    """RuntimeError unless `grad` is what `shape` broadcasts to (it is then summed), and of a type that can be cast to `dtype`."""
    given, kind = tuple(grad.shape), grad.dtype.numpy.kind  # it may be sparse
    fits = len(given) >= len(shape) and all([n in (1, m) for n, m in zip(shape[::-1], given[::-1])])
    if not fits:
        raise RuntimeError(
            f"Function {node.name()} returned an invalid gradient at index {index} - got {list(given)} but expected shape "
            f"compatible with {list(shape)}"
        )
    if kind not in FLOATING and (kind == "c") != (dtype.kind == "c"):
        raise RuntimeError(
            f"Function {node.name()} returned an invalid gradient at index {index} - got {grad.dtype}, which cannot be cast to "
            f"{dtype.name}"
        )


class FunctionMeta(type):
    """Gives each Function a class of nodes with its name."""

    def __init__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, object]) -> None:
        super().__init__(name, bases, attributes)
        cls._backward_cls = type(name + "Backward", (BackwardCFunction,), {"_forward_cls": cls})


class Function(FunctionCtx, metaclass=FunctionMeta):
    """Base of operations with their own derivative: static methods `forward(ctx, *args)` and `backward(ctx, *grads)`.

    `forward` may also take only the arguments if there is a `setup_context(ctx, inputs, output)`. `backward` (or its alias
    `vjp`) returns one gradient per argument, or None: ``out[j] = sum(grads[i] * diff(outputs[i], args[j]), i)``;
    `jvp(ctx, *tangents)` one tangent per output, for forward mode. Call it with `apply`.

    Shapes: gradients have the shapes of the arguments, or broadcast to them.
    Raises: RuntimeError for another number of gradients, or if one is instantiated and called.

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

    _backward_cls: ClassVar[Any]
    generate_vmap_rule = False
    """Whether ``vmap`` may call the methods on a batch: they must not read values, nor have effects."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should invoke them "
            "on the class itself. Instantiating an autograd function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with "
            "static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: object, inputs: tuple[Any, ...], output: object) -> Any:
        raise NotImplementedError("setup_context is not implemented.")

    if TYPE_CHECKING:  # methods of subclasses take as many gradients as there are results

        @staticmethod
        def backward(*args: Any, **kwargs: Any) -> Any: ...

    else:

        @staticmethod
        def backward(ctx: object, *grad_outputs: Any) -> Any:
            raise NotImplementedError(
                "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
                "backward mode AD."
            )

    vjp = backward

    @staticmethod
    def jvp(ctx: object, *grad_inputs: object) -> Any:
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: object, in_dims: tuple[int | None, ...], *args: object) -> Any:
        """The method for ``vmap``, called with ``info.batch_size`` and ``info.randomness``, the batch dimension of each
        argument (None if it has none), and the arguments. It returns the output and its batch dimension."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: object, **kwargs: object) -> Any:
        """Run `forward`; record `backward` if any argument needs a gradient."""
        apart = cls.setup_context is not Function.setup_context
        if apart or kwargs:
            args = _positional(cls.forward, args, kwargs, apart)
        if at_work.anywhere:
            answer = at_work.apply(cls, args)
            if answer is not NotImplemented:
                return answer
        return cls._run(args, apart)[1]

    @classmethod
    def _run(cls, args: tuple[object, ...], apart: bool) -> tuple[Any, Any]:
        """The context of a call, and its result."""
        ctx = cls._backward_cls(args)
        recording = mode.enabled and any(ctx.needs_input_grad)
        with no_grad():
            result = cls.forward(*args) if apart else cls.forward(ctx, *args)
            if apart:
                cls.setup_context(ctx, args, result)
        outs = result if isinstance(result, tuple) else (result,)
        outs = record_outputs(ctx, [a for a in args if isinstance(a, Tensor)], outs, recording, apart)
        return ctx, outs if isinstance(result, tuple) else outs[0]


def _positional(
    forward: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object], apart: bool
) -> tuple[Any, ...]:
    """All arguments by position, as gradients are counted. With `apart`, `forward` has no ctx, and defaults are filled in."""
    signature = inspect.signature(forward)
    bound = signature.bind(*args, **kwargs) if apart else signature.bind(None, *args, **kwargs)
    if apart:
        bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"forward() got an unexpected keyword argument {next(iter(bound.kwargs))!r}")
    return bound.args if apart else bound.args[1:]


# ------------------------------------------------------------------------------------------------ outputs


def is_among(tensor: object, tensors: Sequence[object]) -> bool:
    return any([tensor is t for t in tensors])


def record_outputs(ctx: Any, inputs: list[Tensor], outs: tuple[object, ...], recording: bool, apart: bool) -> tuple[Any, ...]:
    """The outputs as the caller sees them: each has the node `ctx` as its history, if anything is recorded."""
    to_save, ctx.to_save = ctx.to_save or (), None
    fixed, ctx.non_differentiable = ctx.non_differentiable or (), None
    dirty, ctx.dirty_tensors = ctx.dirty_tensors or (), None
    kept = (*to_save, *(ctx.saved_for_forward or ())) if apart else ()
    ctx.kept_for_forward, ctx.saved_for_forward = ctx.saved_for_forward, None
    if recording:
        _check_tensors(to_save, TypeError, "save_for_backward can only save variables, but argument {i} is of type {kind}")
    _check_tensors(fixed, RuntimeError, "mark_non_differentiable only accepts variable arguments, but got {kind}")
    _check_tensors(dirty, RuntimeError, "mark_dirty can only accept variables, but argument {i} is of type {kind}")
    for tensor in dirty:
        written(tensor)
    if recording:
        ctx.start_(outs)
    made = []
    for number, out in enumerate(outs):
        if isinstance(out, Tensor):
            differentiable = recording and out._array.dtype.kind in INEXACT and not is_among(out, fixed)
            edge = (ctx, number) if differentiable else None
            out = _output(out, edge, is_among(out, inputs), is_among(out, dirty), is_among(out, kept), len(outs))
        made.append(out)
    if recording and sum([differentiates(ctx, out) for out in made]) > 1:
        for out in made:
            if isinstance(out, Tensor) and out._base is not None:
                out._restricted = SEVERAL
    for tensor in dirty:
        if not is_among(tensor, outs):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
                "modified inplace must all be outputs of the Function."
            )
    if recording:
        ctx.saved_["tensors"] = [_saved(ctx, tensor) for tensor in to_save]
        if packing:
            pack_saved(ctx)
    return tuple(made)


def _check_tensors(tensors: Sequence[object], error: type[Exception], message: str) -> None:
    for i, tensor in enumerate(tensors):
        if tensor is not None and not isinstance(tensor, Tensor):
            raise error(message.format(i=i, kind=type_name(tensor)))


def differentiates(ctx: object, out: object) -> bool:
    """Whether the gradient of `out` goes to the node `ctx`."""
    return isinstance(out, Tensor) and type(out._edge) is tuple and out._edge[0] is ctx


def _saved(ctx: object, tensor: Tensor | None) -> Any:
    """The saved form of a tensor; for an output, not the output itself, which references its node: that would be a cycle."""
    if tensor is None or not differentiates(ctx, tensor):
        return save(tensor)
    edge: Any = tensor._edge
    return save_result(tensor, edge[1])


def _output(out: Tensor, edge: object, is_input: bool, is_dirty: bool, is_kept: bool, count: int) -> Tensor:
    """`out` with its gradient going to `edge`, None if it has none. An input returned unchanged becomes another tensor with
    the same memory, unless it was modified."""
    if edge is None:
        if needs_grad(out) and is_input:
            return alias(out)
        if needs_grad(out):
            if out._base is None:
                out._edge = None
        elif is_input and not is_dirty:
            return returned_as_is(out, is_kept)
    elif is_dirty:
        _transplant(out, edge, is_input, count)
    else:
        if is_input:
            out = returned_as_is(out, is_kept)
        out._edge = edge
        out._stamp = version_of(out)[0]
    if out._base is not None and not (is_input and is_dirty):
        out._restricted = CUSTOM
    return out


def returned_as_is(input: Tensor, is_kept: bool = False) -> Tensor:
    """Another tensor with the memory of `input`, for its own node: it may not be written while recording."""
    if is_kept:
        raise RuntimeError(
            "A input that has been returned as-is as output is being saved for backward. This is not supported if you override "
            "setup_context. You should return and save a view of the input instead, e.g. with x.view_as(x) or setup ctx inside "
            "the forward function itself."
        )
    out = alias(input)
    look_into(input, out)
    out._restricted = CUSTOM
    return out


def _transplant(out: Tensor, edge: object, is_input: bool, count: int) -> None:
    """Set `edge` as the edge of a tensor that was written in place, and of the base of a view."""
    if is_end(out) and needs_grad(out):
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    if not is_input:
        warnings.warn(
            "Only input Tensors should be given to ctx.mark_dirty(). If a Tensor is not an input, there is no need to pass it to "
            "mark_dirty().",
            stacklevel=5,
        )
    if out._base is not None and count > 1:
        raise RuntimeError(
            "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than "
            "one Tensor. This is not supported by the current autograd engine. You should either make sure the input is not a "
            "view (using .clone() for example) or make your Function only return one Tensor (potentially splitting it into two "
            "Functions: one doing the inplace that returns a single Tensor and a second one that does the other operations)."
        )
    out._grad = None
    if out._base is not None:
        check_writable(out)
    rebase(out, edge)


# ------------------------------------------------------------------------------------------------ once


def once_differentiable(backward: Callable[..., object]) -> Callable[..., Any]:
    """For a `backward` that cannot be differentiated itself: differentiating its result is an error."""

    @functools.wraps(backward)
    def wrapper(ctx: object, *grads: object) -> Any:
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
    name, grad_name, runs_without = "Error", "torch::autograd::Error", True
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: object) -> list[Any]:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
