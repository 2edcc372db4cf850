"""The recorded graph: nodes, the edges between them, and what they keep for the backward pass."""

from __future__ import annotations

import itertools
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import tensor_name
from mini_dl.autograd.mode import no_grad
from mini_dl.autograd.places import Place, place_of
from mini_dl.tensor import LEAF, LEAF_VIEW, Edge, Tensor, typename, version_of, wrap, written

next_seq = itertools.count(-1, -1).__next__
"""Counts down: the newest node has the smallest number and comes first from a heap."""


class Node:
    """One recorded call: where its gradient goes (`edges`), what its formulas need (`saved`), and when it happened (`seq`).

    `shape` and `dtype` are those of the output.
    """

    __slots__ = ("__weakref__", "dtype", "edges", "hooks", "metadata_", "op", "saved", "seq", "shape")
    op: Any
    edges: Any
    saved: Any
    several = False
    hooks: Hooks | None

    def __init__(self, op: Any, edges: Any, saved: Any, array: Any) -> None:
        self.op, self.edges, self.saved, self.seq = op, edges, saved, next_seq()
        self.shape, self.dtype, self.hooks = array.shape, array.dtype, None

    def __dir__(self) -> list[str]:
        others = [name for name in object.__dir__(self) if not name.startswith("_saved_")]
        return sorted([*others, *["_saved_" + shown_name(key) for key in self.op.asked]])

    # What torch shows of a node ------------------------------------------------------------------------------

    def name(self) -> str:
        return str(self.op.grad_name)

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
        """Where this node sends gradients: (node, number of its output), or None where none is needed."""
        return tuple([grad_fn_and_number(edge) for edge in flat_edges(self.edges)])

    def register_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node; what it returns replaces the gradients of the inputs."""
        return Handle(hooks_of(self).after, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(grad_outputs)`` before this node; what it returns replaces them."""
        return Handle(hooks_of(self).before, hook)


def show_saved(key: str) -> None:
    """Let nodes show what they keep under `key` as ``_saved_<torch's name>``.

    Each is a property: `__getattr__` would slow down every access to an attribute of a node, even of existing ones.
    """
    name = "_saved_" + shown_name(key)

    def saved(node: Node) -> Any:
        if key not in node.op.asked:
            raise AttributeError(f"{node.name()!r} object has no attribute {name!r}")
        if node.saved is None:
            raise RuntimeError(FREED)
        if key not in node.saved:
            return None
        value = restore(node.saved[key], node)
        return wrap(np.asarray(value)) if key in ("input", "other") and not isinstance(value, Tensor) else value

    if not hasattr(Node, name):
        setattr(Node, name, property(saved))


def shown_name(key: str) -> str:
    if key.endswith("_shape"):
        return shown_name(key.removesuffix("_shape")) + "_sym_sizes"
    return "self" if key == "input" else key


class SeveralNode(Node):
    """A node of several outputs: `shape` and `dtype` are lists, and so is the gradient that arrives."""

    __slots__ = ()
    several = True


class AccumulateGrad:
    """How a leaf appears among the nodes: ``variable`` is the leaf."""

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable
        self.next_functions: tuple[Any, ...] = ()

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {hex(id(self))}>"


def flat_edges(edges: Any) -> Iterator[Edge | None]:
    """The edges of a node, those of a list of tensors among them."""
    for edge in edges:
        if type(edge) is list:
            yield from edge
        else:
            yield edge


def grad_fn_and_number(edge: Edge | None) -> tuple[Any, int]:
    if edge is None:
        return None, 0
    if type(edge) is tuple:
        return edge
    if isinstance(edge, Tensor):
        return AccumulateGrad(edge), 0
    return (None if edge.op is _NOWHERE else edge), 0


class Hooks:
    """What is to happen when a gradient reaches a node: for each output (`tensor`), before the node and after it."""

    __slots__ = ("after", "before", "retain", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, dict[int, Callable[..., Any]]] = {}
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self.retain: dict[int, Any] = {}  # number of the output -> weak reference to the tensor that keeps its gradient


def hooks_of(node: Node) -> Hooks:
    if node.hooks is None:
        node.hooks = Hooks()
    return node.hooks


class Handle:
    """Removes the hook for which it was returned.

    `prepend`: the hook runs before those already there. `flags` are (dict, flag) pairs that go with the hook: where the flag is
    set, the dict marks the hook.
    """

    _next_id = itertools.count().__next__

    def __init__(
        self,
        hooks: dict[int, Callable[..., Any]],
        hook: Callable[..., Any],
        prepend: bool = False,
        flags: Sequence[tuple[dict[int, bool], bool]] = (),
    ) -> None:
        self.hooks, self.id, self.marks = hooks, Handle._next_id(), [marks for marks, _ in flags]
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

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


# ------------------------------------------------------------------------------------------------ edges


def needs_grad(tensor: Tensor) -> bool:
    """Whether gradients flow to `tensor`, or to the tensor whose memory it looks into."""
    return tensor._edge is not None or (tensor._base is not None and tensor._base._edge is not None)


def is_end(tensor: Tensor) -> bool:
    """Whether no operation is known to have made `tensor`, without checking whether its base was modified since."""
    edge = tensor._edge
    return edge is None or edge is LEAF or edge is LEAF_VIEW


def edge_of(tensor: Tensor) -> Edge | None:
    """Where the gradient of `tensor` goes; None if it needs none. A view whose memory was modified since gets a new history."""
    edge, base = tensor._edge, tensor._base
    if base is not None and (base._edge is not None or not is_end(tensor)):
        if tensor._counter[0] != tensor._stamp:  # type: ignore[index]
            edge = refreshed(tensor, place_of(tensor._array, base._array))
        elif edge is None:
            edge = Node(_NOWHERE, (), None, tensor._array)
    return tensor if edge is LEAF or edge is LEAF_VIEW else edge


class _Nowhere:
    """The op of a node at which gradients end: that of a view made without recording from a base that requires grad."""

    grad_name, runs_without = "None", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: Any) -> tuple[Any, ...]:
        return ()


_NOWHERE = _Nowhere()

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
"""The op of a view's history after a write to its memory. `autograd.memory` sets it: it is a primitive, and those need edges."""


def refreshed(view: Tensor, place: Place) -> Edge:
    """The new history of a view whose memory was modified: it shows a part of what its base is now."""
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
        if getattr(node, "hooks", None) is not None:
            node.hooks.retain.pop(number, None)
        keep_grad(tensor, after)


def keep_grad(tensor: Tensor, edge: Edge) -> None:
    """Make the gradient that reaches `edge` the ``.grad`` of `tensor`."""
    node, number = grad_fn_and_number(edge)
    hooks_of(node).retain[number] = weakref.ref(tensor)
    tensor._retains = True


def root_of(view: Tensor) -> Tensor:
    """The tensor whose memory this one looks into, or itself."""
    return view if view._base is None else view._base


# ------------------------------------------------------------------------------------------------ saved values

STALE = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "[{kind} {shape}], which is {output}, is at version {now}; expected version {expected} instead. "
    "Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
    "with torch.autograd.set_detect_anomaly(True)."
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
#   (array, counter, version, number)     output `number` of the node, without holding the output itself: that would be a cycle


def save(value: Any) -> Any:
    """What to keep of an argument."""
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
    return out._array, version, version[0], number


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
        if tensor._edge is None and node.seq > tensor._detached:
            raise RuntimeError(
                "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_(). "
                "This is not supported, please use out-of-place `.detach()` instead"
            )
        return tensor
    if kind < 4:
        return item[0]
    if kind == 5:
        return unpacked(item, node)
    array, version, expected, number = item
    out = wrap(array)
    out._counter, out._edge = version, node if number is None else (node, number)
    if version[0] != expected:
        raise_stale(out, version[0], expected)
    return out


class Results(Sequence[Any]):
    """The outputs of a node, each checked only when it is requested: one that no formula needs may have been modified."""

    def __init__(self, items: list[Any], node: Node) -> None:
        self._items, self._node = items, node

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        items = self._items[index]
        return [restore(item, self._node) for item in items] if isinstance(index, slice) else restore(items, self._node)


def raise_stale(tensor: Tensor, now: int, expected: int) -> None:
    node, number = grad_fn_and_number(None if is_end(tensor) else tensor._edge)
    output = f"output {number} of {node.name()}" if node is not None else "a leaf or a constant"
    raise RuntimeError(
        STALE.format(
            kind=tensor_name(tensor._array.dtype), shape=list(tensor._array.shape), output=output, now=now, expected=expected
        )
    )


# ------------------------------------------------------------------------------------------------ hooks for what is saved


class _SavedHooks(threading.local):
    def __init__(self) -> None:
        self.pairs: list[tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = []
        self.refusal: str | None = None


_saved_hooks = _SavedHooks()
_active = 0  # blocks with hooks, in all threads: without any, nodes know nothing of them
_lock = threading.Lock()
_plain_init = Node.__init__


def _packing_init(self: Node, op: Any, edges: Any, saved: Any, array: Any) -> None:
    if _saved_hooks.pairs and saved:
        saved = {name: packed(item) if type(item) in (tuple, list) else item for name, item in saved.items()}
    _plain_init(self, op, edges, saved, array)


def packed(item: Any) -> Any:
    """What to keep in place of `item`, which `save` or `save_result` made: what the hooks in force make of its tensor."""
    if not _saved_hooks.pairs:
        return item
    if type(item) is list:
        return [packed(one) for one in item]
    if len(item) == 2:
        tensor = item[0]
        edge: Any = edge_of(tensor)
    elif len(item) == 4:
        tensor, edge = wrap(item[0]), (_saved_hooks, item[3])  # a result: its edge is the node that is being made
    else:
        return item
    pack, unpack = _saved_hooks.pairs[-1]
    version = version_of(tensor)
    before = version[0]
    with no_grad():
        made = pack(tensor)
    if version[0] != before:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not be "
            "modified by in-place operations as this can lead to unexpected side-effects."
        )
    return made, unpack, edge, None, None  # of a length that nothing else has


def unpacked(item: Any, node: Node) -> Tensor:
    """The tensor of which hooks kept something else, with the history that it had."""
    made, unpack, edge, _, _ = item
    with no_grad():
        value = unpack(made)
    if not isinstance(value, Tensor):
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {typename(value)}")
    out = wrap(value._array)
    out._counter = version_of(value)
    if type(edge) is tuple and edge[0] is _saved_hooks:
        edge = node if edge[1] is None else (node, edge[1])
    out._edge = edge
    return out


class saved_tensors_hooks:
    """Within it, ``pack_hook(tensor)`` is kept of each tensor that is saved for backward, and ``unpack_hook`` of that is used.

    >>> import mini_dl as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda x: x.detach().numpy(), torch.from_numpy):
    ...     y = (x**2).sum()
    >>> torch.autograd.grad(y, x)
    (tensor([2., 4.]),)

    Blocks may be nested: the innermost counts. Which tensors an operation saves is its own affair, and not always as in torch.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        global _active
        if _saved_hooks.refusal is not None:
            raise RuntimeError(_saved_hooks.refusal)
        _saved_hooks.pairs.append((self.pack_hook, self.unpack_hook))
        with _lock:
            _active += 1
            Node.__init__ = _packing_init  # type: ignore[method-assign]

    def __exit__(self, *exception: object) -> None:
        global _active
        _saved_hooks.pairs.pop()
        with _lock:
            _active -= 1
            if not _active:
                Node.__init__ = _plain_init  # type: ignore[method-assign]


class save_on_cpu(saved_tensors_hooks):
    """Within it, saved tensors wait on the CPU, where they are anyway."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda tensor: tensor.detach(), lambda tensor: tensor)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):
    """Within it, tensors that were saved for backward may be modified in place: copies are kept of them."""

    def __init__(self) -> None:
        super().__init__(lambda tensor: tensor.detach().clone(), lambda tensor: tensor)  # type: ignore[attr-defined]


class disable_saved_tensors_hooks:
    """Within it, to enter `saved_tensors_hooks` is a RuntimeError with this message; so is it, where some are in force."""

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        if _saved_hooks.pairs:
            raise RuntimeError(self.error_message)
        self.before, _saved_hooks.refusal = _saved_hooks.refusal, self.error_message

    def __exit__(self, *exception: object) -> None:
        _saved_hooks.refusal = self.before


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: a node, and the number of its output."""

    node: Any
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` goes. RuntimeError if it needs none."""
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(*grad_fn_and_number(edge))


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count a change of the memory of a tensor, or of each of several, that only the caller knows of."""
    for one in (tensor,) if isinstance(tensor, Tensor) else tensor:
        written(one)
