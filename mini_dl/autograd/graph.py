"""The recorded graph: nodes, the edges between them, and the values saved for the backward pass."""

from __future__ import annotations

import functools
import itertools
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import type_name
from mini_dl._device import CPU, device
from mini_dl._dtypes import tensor_name
from mini_dl.autograd.mode import at_work, no_grad
from mini_dl.autograd.places import Place, place_of
from mini_dl.autograd.saving import (
    allow_mutation_on_saved_tensors as allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks as disable_saved_tensors_hooks,
    innermost_hooks,
    packing,
    save_on_cpu as save_on_cpu,
    saved_tensors_hooks as saved_tensors_hooks,
)
from mini_dl.tensor import LEAF, LEAF_VIEW, Edge, Size, Tensor, alias, version_of, wrap, written

next_seq = itertools.count(-1, -1).__next__
"""Counts down: the newest node has the smallest number and is first in a heap."""


class Node:
    """One recorded call: the targets of its gradients (`edges_`), the values its formulas need (`saved_`), and its sequence
    number (`seq_`).

    `shape_` and `dtype_` are those of the output. Names end in an underscore because the node of a user's Function is the ``ctx``
    too, on which users set attributes of any name.
    """

    __slots__ = ("__weakref__", "dtype_", "edges_", "hooks_", "inputs_", "metadata_", "op_", "saved_", "seq_", "shape_")
    op_: Any
    edges_: Any
    saved_: Any
    several_ = False
    hooks_: Hooks | None
    inputs_: list[Edge | None]
    """The edges of the arguments of the torch function that corresponds to several primitives here."""

    def __init__(self, op: object, edges: object, saved: object, array: Any) -> None:
        self.op_, self.edges_, self.saved_, self.seq_ = op, edges, saved, next_seq()
        self.shape_, self.dtype_, self.hooks_ = array.shape, array.dtype, None
        if packing:
            pack_saved(self)

    def __dir__(self) -> list[str]:
        others = [name for name in object.__dir__(self) if not name.startswith(("_saved_", "_raw_saved_"))]
        kept = [key for key in self.op_.asked if self.saved_ and key in self.saved_ and is_of_tensors(self.saved_[key])]
        raw = ["_raw_saved_" + shown_name(key) for key in kept]
        return sorted([*others, *["_saved_" + shown_name(key) for key in self.op_.asked], *raw])

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")

    # Attributes that torch shows ------------------------------------------------------------------------------

    def name(self) -> str:
        name = self.op_.grad_name
        return name if isinstance(name, str) else str(name(self))

    def __repr__(self) -> str:
        return f"<{self.name().rpartition('::')[2]} object at {hex(id(self))}>"

    @property
    def metadata(self) -> dict[Any, Any]:
        try:
            return self.metadata_
        except AttributeError:
            self.metadata_: dict[Any, Any] = {}
            return self.metadata_

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where this node sends gradients: (node, number of its output), or None if none is needed."""
        edges = self.inputs_ if hasattr(self, "inputs_") else edges_in_order(self)
        pairs = [grad_fn_and_number(edge) for edge in edges]
        return tuple([(shown(node), number) for node, number in pairs])

    def register_hook(self, hook: Callable[..., object]) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node; its result replaces the gradients of the inputs."""
        return Handle(hooks_of(self).after, hook)

    def register_prehook(self, hook: Callable[..., object]) -> Handle:
        """Call ``hook(grad_outputs)`` before this node; its result replaces them."""
        return Handle(hooks_of(self).before, hook)

    def _sequence_nr(self) -> int:
        """Larger for a node that was created later."""
        return -int(self.seq_)

    @property
    def _input_metadata(self) -> tuple[GradientMetadata, ...]:
        """The metadata of incoming gradients: one for each output."""
        if not self.several_:
            return (GradientMetadata(Size(self.shape_), _dtypes.of_numpy(self.dtype_)),)
        pairs = [pair for pair in zip(self.shape_, self.dtype_) if pair[0] is not None]
        return tuple([GradientMetadata(Size(shape), _dtypes.of_numpy(dtype)) for shape, dtype in pairs])


class GradientMetadata(NamedTuple):
    """The shape, type and device of a gradient."""

    shape: Size
    dtype: _dtypes.dtype
    device: device = CPU
    is_nested_tensor: bool = False
    is_cpp_nested_tensor: bool = False


@functools.cache
def show_saved(key: str) -> None:
    """Make nodes show the value saved under `key` as ``_saved_<torch's name>``.

    Each is a property: `__getattr__` would slow down every access to an attribute of a node, even of existing ones. If it is a
    tensor, ``_raw_saved_<torch's name>`` takes hooks for it.
    """
    name = "_saved_" + shown_name(key)
    raw_name = "_raw" + name
    if hasattr(Node, name):
        return

    def saved(node: Node) -> Any:
        if key not in node.op_.asked:
            raise AttributeError(f"{node.name()!r} object has no attribute {name!r}")
        if node.saved_ is None:
            raise RuntimeError(FREED)
        if key not in node.saved_:
            return None
        value = restore(node.saved_[key], node)
        return wrap(np.asarray(value)) if key in ("input", "other") and not isinstance(value, Tensor) else value

    def raw(node: Node) -> Any:
        if key not in node.op_.asked or (node.saved_ is not None and not is_of_tensors(node.saved_.get(key, ()))):
            raise AttributeError(f"{node.name()!r} object has no attribute {raw_name!r}")
        kept = None if node.saved_ is None else node.saved_[key]
        if type(kept) is list:
            return tuple([SavedTensor(node, key, i) for i in range(len(kept))])
        return SavedTensor(node, key)

    setattr(Node, name, property(saved))
    setattr(Node, raw_name, property(raw))


def shown_name(key: str) -> str:
    if key.endswith("_shape"):
        return shown_name(key.removesuffix("_shape")) + "_sym_sizes"
    return "self" if key == "input" else key


class SeveralNode(Node):
    """A node of several outputs: `shape_` and `dtype_` are lists, and so is the gradient that arrives."""

    __slots__ = ()
    several_ = True


class _Accumulating:
    """The op of `AccumulateGrad`."""

    grad_name = "torch::autograd::AccumulateGrad"
    asked: frozenset[str] = frozenset()


class AccumulateGrad(Node):
    """The node that represents a leaf: ``variable`` is the leaf, which keeps the hooks. Edges lead to the leaf itself."""

    __slots__ = ("variable",)
    edges_: tuple[Any, ...] = ()

    def __init__(self, variable: Tensor) -> None:
        self.variable, self.op_, self.saved_, self.seq_ = variable, _ACCUMULATING, {}, 1 - 2**64
        self.shape_, self.dtype_ = variable._array.shape, variable._array.dtype

    @property
    def hooks_(self) -> Hooks | None:
        own = self.variable._hooks
        return None if own is None else own.node

    @hooks_.setter
    def hooks_(self, hooks: Hooks | None) -> None:
        own_hooks(self.variable).node = hooks


_ACCUMULATING = _Accumulating()


def accumulator_of(leaf: Tensor) -> AccumulateGrad:
    """The node of a leaf: the same one as long as it is referenced."""
    hooks = own_hooks(leaf)
    node = None if hooks.accumulator is None else hooks.accumulator()
    if node is None:
        node = AccumulateGrad(leaf)
        hooks.accumulator = weakref.ref(node)
    return node


def own_hooks(tensor: Tensor) -> Hooks:
    if tensor._hooks is None:
        tensor._hooks = Hooks()
    hooks: Hooks = tensor._hooks
    return hooks


def flat_edges(edges: Any) -> Iterator[Edge | None]:
    """The edges of a node, including those of a list of tensors."""
    for edge in edges:
        if type(edge) is list:
            yield from edge
        else:
            yield edge


def edges_in_order(node: Node) -> list[Edge | None]:
    """The edges of a node in the order in which torch's node has them."""
    edges, order = list(flat_edges(node.edges_)), getattr(node.op_, "order", None)
    return edges if order is None else [edges[i] for i in order]


def grad_fn_and_number(edge: Edge | None) -> tuple[Any, int]:
    if edge is None:
        return None, 0
    if isinstance(edge, Tensor):
        return accumulator_of(edge), 0
    node, number = edge if type(edge) is tuple else (edge, 0)
    return (None if node.op_ is _END_OF_GRADIENTS else node), number


def shown(node: Any) -> Any:
    """The node, of a class with torch's name: programs that draw graphs read ``type(node).__name__``.

    The class is set on access, so neither recording nor a backward pass costs more. None stays None.
    """
    kind: Any = type(node)
    if kind is Node or kind is SeveralNode:
        node.__class__ = class_named(kind, node.name().rpartition("::")[2])
    return node


@functools.cache
def class_named(kind: Any, name: str) -> Any:
    return type(name, (kind,), {"__slots__": (), "__module__": kind.__module__})


class Hooks:
    """The hooks for a gradient that reaches a node: for each output (`tensor`), before the node and after it.

    Those of a leaf are called after its ``.grad`` was written; it also keeps those of its `AccumulateGrad` (`node`).
    """

    __slots__ = ("accumulator", "after", "before", "node", "retain", "tensor")

    of_leaves: ClassVar[bool] = False
    """Whether any leaf ever got a hook that runs after its ``.grad`` was written: only then are the last users determined."""

    def __init__(self) -> None:
        self.tensor: dict[int, dict[int, Callable[..., Any]]] = {}
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self.retain: dict[int, Any] = {}  # number of the output -> weak reference to the tensor that keeps its gradient
        self.node: Hooks | None = None
        self.accumulator: Any = None


def hooks_of(node: Node) -> Hooks:
    if node.hooks_ is None:
        node.hooks_ = Hooks()
    return node.hooks_


class Handle:
    """Removes the hook for which it was returned.

    `prepend`: the hook runs before those already there. `flags` are (dict, flag) pairs that belong to the hook: if the flag
    is set, the dict marks the hook.
    """

    _next_id = itertools.count().__next__

    def __init__(
        self,
        hooks: dict[int, Callable[..., object]],
        hook: Callable[..., object],
        prepend: bool = False,
        flags: Sequence[tuple[dict[int, bool], bool]] = (),
    ) -> None:
        self.hooks, self.id, self.marks = hooks, Handle._next_id(), [marks for marks, _ in flags]
        while self.id in hooks:  # of another process, from a pickle
            self.id = Handle._next_id()
        earlier = list(hooks) if prepend else []
        hooks[self.id] = hook
        for id in earlier:
            hooks[id] = hooks.pop(id)
        for marks, flag in flags:
            if flag:
                marks[self.id] = True

    def remove(self) -> None:
        self.hooks.pop(self.id, None)
        for marks in self.marks:
            marks.pop(self.id, None)

    def __getstate__(self) -> Any:
        return self.hooks, self.id, tuple(self.marks)

    def __setstate__(self, state: Any) -> None:  # as in torch
        hooks, self.id, *marks = state
        self.hooks, self.marks = {} if hooks is None else hooks, list(marks[0] or ()) if marks else []

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


# ------------------------------------------------------------------------------------------------ edges


def needs_grad(tensor: Tensor) -> bool:
    """Whether gradients flow to `tensor`, or to the tensor whose memory it shares.

    >>> x = torch.ones(1, requires_grad=True)
    >>> x.requires_grad, (2 * x).requires_grad, x.detach().requires_grad
    (True, True, False)
    """
    return tensor._edge is not None or (tensor._base is not None and tensor._base._edge is not None)


def is_end(tensor: Tensor) -> bool:
    """Whether `tensor` is not known to be the result of an operation, without checking whether its base was modified since."""
    edge = tensor._edge
    return edge is None or edge is LEAF or edge is LEAF_VIEW or isinstance(edge, Tensor)


def edge_of(tensor: Tensor) -> Edge | None:
    """The edge of `tensor`; None if it needs no gradient. A view whose memory was modified since gets a new history."""
    edge, base = tensor._edge, tensor._base
    if base is not None and (base._edge is not None or not is_end(tensor)):
        if tensor._counter[0] != tensor._stamp:  # type: ignore[index]
            edge = refreshed(tensor, place_of(tensor._array, base._array))
        elif edge is None:
            edge = Node(_END_OF_GRADIENTS, (), None, tensor._array)
    return tensor if edge is LEAF or edge is LEAF_VIEW else edge


class _EndOfGradients:
    """The op of a node at which gradients end: that of a view made without recording from a base that requires grad."""

    grad_name, runs_without = "None", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: object) -> tuple[Any, ...]:
        return ()


_END_OF_GRADIENTS = _EndOfGradients()

NO_GRAD, INFERENCE, SEVERAL, CUSTOM = "no_grad", "inference", "several", "custom"  # why a view may not be written while recording
_AMBIGUOUS = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the "
    "view and the inplace either both inside the {mode} block (if you don't want the inplace to be tracked) or both outside "
    "(if you want the inplace to be tracked)."
)
_REMEDY = {
    NO_GRAD: _AMBIGUOUS.format(mode="no_grad"),
    INFERENCE: _AMBIGUOUS.format(mode="inference_mode"),
    SEVERAL: (
        "This view is the output of a function that returns multiple views. Such functions do not allow the output views to be "
        "modified inplace. You should replace the inplace operation by an out-of-place one."
    ),
    CUSTOM: (
        "This view was created inside a custom Function (or because an input was returned as-is) and the autograd logic to "
        "handle view+inplace would override the custom backward associated with the custom Function, leading to incorrect "
        "gradients. This behavior is forbidden. You can fix this by cloning the output of the custom Function."
    ),
}


def forbidden_write(view: Tensor, written: str) -> RuntimeError:
    """The error for a write to a view, or to its base, that cannot be recorded."""
    why = view._restricted or SEVERAL
    node, number = grad_fn_and_number(None if is_end(view) else view._edge)
    if node is None or why in (NO_GRAD, INFERENCE):
        what = "A view" if node is None else f"Output {number} of {_stem(node)} is a view of a view which"
        made, when = ("inference mode", "in normal mode") if why == INFERENCE else ("no_grad mode", "with grad mode enabled")
        return RuntimeError(f"{what} was created in {made} and {written} modified inplace {when}. {_REMEDY[why]}")
    return RuntimeError(f"Output {number} of {_stem(node)} is a view and {written} modified inplace. {_REMEDY[why]}")


def _stem(node: Any) -> str:
    return re.sub("Backward[0-9]*$", "", node.name())


AS_STRIDED: Any = None
"""The op of a view's history after a write to its memory. `autograd.memory` sets it: it is a primitive, which needs edges."""


def refreshed(view: Tensor, place: Place) -> Edge:
    """The new history of a view whose memory was modified: a part of the current value of its base."""
    base, before = root_of(view), None if is_end(view) else view._edge
    if view._restricted is not None:
        raise forbidden_write(view, "its base or another view of its base has been")
    view._edge = Node(AS_STRIDED, (edge_of(base),), {"place": (place,)}, view._array)
    view._stamp = version_of(view)[0]
    move_hooks(view, before, view._edge)
    return view._edge


def move_hooks(tensor: Tensor, before: Edge | None, after: Edge) -> None:
    """`tensor` has a new history: hooks stay with the value they were registered for, but the kept gradient is the new one's."""
    if tensor._hooks is not None:
        tensor._hooks.tensor = {}
    if tensor._retains:
        node, number = grad_fn_and_number(before)
        if getattr(node, "hooks_", None) is not None:
            node.hooks_.retain.pop(number, None)
        keep_grad(tensor, after)


def keep_grad(tensor: Tensor, edge: Edge) -> None:
    """Store the gradient that reaches `edge` in ``.grad`` of `tensor`."""
    node, number = grad_fn_and_number(edge)
    hooks_of(node).retain[number] = weakref.ref(tensor)
    tensor._retains = True


def root_of(view: Tensor) -> Tensor:
    """The tensor whose memory this one shares, or itself."""
    return view if view._base is None else view._base


# ------------------------------------------------------------------------------------------------ saved values

STALE = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "[{kind} {shape}]{of} is at version {now}; expected version {expected} instead. "
    "Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
    "with torch.autograd.set_detect_anomaly(True, check_nan=False)."
)
FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
    "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True "
    "if you need to backward through the graph a second time or if you need to access saved tensors after calling backward."
)


# A saved item is a tuple whose length tells its kind, or a list of items:
#   (value,)                              anything but a tensor
#   (tensor, version)                     a tensor, with the version it had
#   (value, None, None)                   anything but a tensor, in a node that backward frees nevertheless
#   (array, counter, version, number)     output `number` of the node, without holding the output itself: that would be a cycle;
#                                         under a transform, instead of the array a tensor of the same level and tangent
# (packed, unpack, edge, result, number, tangent)  the result of the user's hook for a tensor with this edge, or for output
# `number`


def save(value: Any) -> Any:
    """The saved form of an argument."""
    if isinstance(value, Tensor):
        if value._inference:
            raise RuntimeError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
                "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it "
                "in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
            )
        version = value._counter
        return value, 0 if version is None else version[0]
    if type(value) in (list, tuple) and any([isinstance(v, Tensor) for v in value]):
        return [save(v) for v in value]
    return (value,)


def save_result(out: Tensor, number: int | None = None) -> Any:
    version = version_of(out)
    return alias(out) if at_work.anywhere else out._array, version, version[0], number


def restore(item: Any, node: Node) -> Any:
    """The value that was saved. RuntimeError if its memory was modified since."""
    if type(item) is list:
        return Results(item, node) if item and len(item[0]) == 4 else [restore(one, node) for one in item]
    kind = len(item)
    if kind == 2:
        tensor, expected = item
        version = tensor._counter
        if version is not None and version[0] != expected:
            raise_stale(tensor, version[0], expected)
        if tensor._edge is None and node.seq_ > tensor._detached:
            raise RuntimeError(
                "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_(). "
                "This is not supported, please use out-of-place `.detach()` instead"
            )
        return tensor
    if kind < 4:
        return item[0]
    if kind > 4:
        return unpacked(item, node)
    array, version, expected, number = item
    out = wrap(array) if array.__class__ is not Tensor else shadow_of(array)
    out._counter, out._edge = version, node if number is None else (node, number)
    if version[0] != expected:
        raise_stale(out, version[0], expected)
    return out


def shadow_of(tensor: Tensor) -> Tensor:
    """A tensor of the same memory, level and tangent, without its history."""
    out = alias(tensor)
    out._tangent = tensor._tangent
    return out


def is_of_tensors(item: Any) -> bool:
    return len(item[0] if type(item) is list and item else item) in (2, 4, 6)


def pack_saved(node: Node) -> None:
    """Pass the values saved by `node` to the active hooks of this thread."""
    pair = innermost_hooks()
    if pair is not None and node.saved_:
        node.saved_ = Packed({key: packed(item, node, *pair) for key, item in node.saved_.items()})


class Packed(dict[str, object]):
    """The saved items of a node, some of them packed by a user's hooks."""

    def unpacked_once(self, node: Node) -> dict[str, object]:
        """The items with what the hooks unpack: each tensor is unpacked once, however many formulas ask for it."""
        return {key: _unpacked_item(item, node) for key, item in self.items()}


def _unpacked_item(item: object, node: Node) -> object:
    if isinstance(item, list):
        return [_unpacked_item(one, node) for one in item]
    return (unpacked(item, node),) if isinstance(item, tuple) and len(item) == 6 else item


def packed(item: Any, node: Node, pack: Callable[[Tensor], object], unpack: Callable[[Any], Tensor], plain: bool = False) -> Any:
    """The item that keeps ``pack(tensor)`` in place of the tensor of `item`; `plain` gives `pack` a tensor without history."""
    if type(item) is list:
        return [packed(one, node, pack, unpack, plain) for one in item]
    kind = len(item)
    if kind not in (2, 4):
        return item
    tensor = restore(item, node)
    edge, number = (edge_of(tensor), None) if kind == 2 else (None, item[3])
    given = alias(tensor) if plain else tensor
    before = version_of(given)[0]
    with no_grad():
        held = pack(given)
    if version_of(given)[0] != before:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be modified "
            "by in-place operations as this can lead to unexpected side-effects. Please open an issue if you need to perform "
            "in-place operations on the input to a pack hook."
        )
    return held, unpack, edge, kind == 4, number, tensor._tangent


def unpacked(item: Any, node: Node) -> Tensor:
    """The tensor that the user's hook unpacks, with the history of the saved one."""
    held, unpack, edge, is_result, number, tangent = item
    tensor = unpack(held)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type_name(tensor)}")
    if is_result:
        edge = node if number is None else (node, number)
    if edge is None and not needs_grad(tensor) and tangent is None:
        return tensor
    out = alias(tensor, edge)
    out._tangent = tangent
    return out


class SavedTensor:
    """A tensor that a node keeps, as an object that takes hooks.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = x**2
    >>> y.grad_fn._raw_saved_self.register_hooks(lambda kept: 10 * kept, lambda kept: kept)
    >>> y.backward(); x.grad
    tensor(60.)
    """

    def __init__(self, node: Node, key: str, index: int | None = None) -> None:
        self._node, self._key, self._index = node, key, index

    def register_hooks(self, pack_hook: Callable[[Tensor], object], unpack_hook: Callable[[Any], Tensor]) -> None:
        """Keep ``pack_hook(tensor)`` in place of the tensor. RuntimeError if it has hooks already, is None, or was freed."""
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"register_hooks(): hooks must be callable, not {type_name(hook)}")
        node, key, index = self._node, self._key, self._index
        if node.saved_ is None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are "
                "freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through "
                "the graph a second time or if you need to access saved variables after calling backward."
            )
        place, at = (node.saved_, key) if index is None else (node.saved_[key], index)
        item = place[at]
        if len(item) == 1:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        if len(item) == 6:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is "
                "allowed at a time."
            )
        place[at] = packed(item, node, pack_hook, unpack_hook, plain=True)
        node.saved_ = Packed(node.saved_)


class Results(Sequence[Any]):
    """The outputs of a node, each checked only on access: one that no formula needs may have been modified."""

    def __init__(self, items: list[object], node: Node) -> None:
        self._items, self._node = items, node

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        items = self._items[index]
        return [restore(item, self._node) for item in items] if isinstance(index, slice) else restore(items, self._node)


def raise_stale(tensor: Tensor, now: int, expected: int) -> None:
    node, number = grad_fn_and_number(None if is_end(tensor) else tensor._edge)
    of = "" if node is None else f", which is output {number} of {re.sub(r'Backward[0-9]+$', '', node.name())},"
    raise RuntimeError(
        STALE.format(kind=tensor_name(tensor._array.dtype), shape=list(tensor._array.shape), of=of, now=now, expected=expected)
    )


# ------------------------------------------------------------------------------------------------ public functions


class GradientEdge(NamedTuple):
    """Where a gradient goes: output `output_nr` of `node`. Differentiation accepts it instead of a tensor."""

    node: Node
    output_nr: int
    ownership_token: Node | None = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge of `tensor`. RuntimeError if it does not require grad.

    >>> import mini_dl as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> torch.autograd.grad(y, torch.autograd.graph.get_gradient_edge(x))
    (tensor(6.),)
    """
    if not needs_grad(tensor):
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node, number = grad_fn_and_number(edge_of(tensor))
    return GradientEdge(shown(node), number)


def aim(target: Tensor | GradientEdge) -> Edge | None:
    """The edge to a tensor, or the edge of the user's `GradientEdge`."""
    if isinstance(target, Tensor):
        return edge_of(target)
    node = target.node
    if isinstance(node, AccumulateGrad):
        return node.variable
    return node if not node.several_ else (node, target.output_nr)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count a write to `tensor`, or to each of several, that bypassed the library."""
    for one in (tensor,) if isinstance(tensor, Tensor) else tensor:
        if not isinstance(one, Tensor):
            raise RuntimeError("increment_version expect each element of the iterable to be a tensor")
        if not one._inference:
            written(one)
