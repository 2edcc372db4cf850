"""The recorded graph: nodes, the edges between them, and what they keep for the way back."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mini_dl.autograd.mode import enable_grad
from mini_dl.tensor import LEAF, Edge, Tensor, version_of, wrap

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

    # What torch shows of a node ------------------------------------------------------------------------------

    def name(self) -> str:
        return str(self.op.grad_name)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self))}>"

    @property
    def metadata(self) -> dict[Any, Any]:
        try:
            return self.metadata_  # type: ignore[no-any-return]
        except AttributeError:
            self.metadata_: dict[Any, Any] = {}
            return self.metadata_

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """What this node sends gradients to: (node, number of its output), None where none is wanted."""
        return tuple([grad_fn_and_number(edge) for edge in flat_edges(self.edges)])

    def register_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node; what it returns replaces the gradients of the inputs."""
        return Handle(hooks_of(self).after, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(grad_outputs)`` before this node; what it returns replaces them."""
        return Handle(hooks_of(self).before, hook)


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
    return (AccumulateGrad(edge), 0) if isinstance(edge, Tensor) else (edge, 0)


class Hooks:
    """What was asked to happen when a gradient reaches a node: per output (`tensor`), before it and after it."""

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
    """Removes the hook it was returned for.

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


def edge_of(tensor: Tensor) -> Edge | None:
    """Where the gradient of `tensor` goes; None if it needs none. A view whose memory was written since gets a new history."""
    edge = tensor._edge
    if tensor._base is not None and edge is not LEAF and tensor._counter[0] != tensor._stamp:  # type: ignore[index]
        edge = _refresh(tensor)
    return tensor if edge is LEAF else edge


NO_GRAD, SEVERAL, CUSTOM = "no_grad", "several", "custom"  # why a view may not be written while recording
_REMEDY = {
    NO_GRAD: (
        "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the "
        "view and the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside "
        "(if you want the inplace to be tracked)."
    ),
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
    node, number = grad_fn_and_number(view._edge if view._edge is not LEAF else None)
    if node is None:
        what = f"A view was created in no_grad mode and {written} inplace with grad mode enabled."
    else:
        origin = " of a view which was created in no_grad mode" if view._restricted == NO_GRAD else ""
        what = f"Output {number} of {re.sub('Backward[0-9]*$', '', node.name())} is a view{origin} and {written} inplace."
    return RuntimeError(f"{what} {_REMEDY[view._restricted or SEVERAL]}")


def _refresh(view: Tensor) -> Edge | None:
    base = root_of(view)
    restricted = view._restricted
    if restricted is not None and (base._edge is not None or (restricted == CUSTOM and view._edge is not None)):
        raise forbidden_write(view, "its base or another view of its base has been modified")
    with enable_grad():
        view._edge = look(view._view, base)._edge
    view._stamp = version_of(view)[0]
    return view._edge


def root_of(view: Tensor) -> Tensor:
    """The tensor at the root of the views: a base that was transposed in place has itself become a view of what it was."""
    base = view._base
    while base is not None:
        view, base = base, base._base
    return view


def look(view: tuple[Any, ...] | None, base: Any) -> Tensor:
    """What a view shows of another tensor of the base's shape: `view` is (the view before or None, function, arguments)."""
    chain = []
    while view is not None:
        view, function, args = view
        chain.append((function, args))
    for function, args in reversed(chain):
        base = function(base, *args)
    return base  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ saved values

STALE = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "[torch.{kind} {shape}], which is {output}, is at version {now}; expected version {expected} instead. "
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
#   (tensor, array, version)              a tensor, with the array and the version it had
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
        return value, value._array, 0 if version is None else version[0]
    if type(value) in (list, tuple) and any([isinstance(v, Tensor) for v in value]):
        return [save(v) for v in value]
    return (value,)


def save_result(out: Tensor, number: int | None = None) -> Any:
    version = version_of(out)
    return out._array, version, version[0], number


def restore(item: Any, node: Node) -> Any:
    """The value that was saved. RuntimeError if its memory was written since."""
    if type(item) is list:
        return Results(item, node) if item and len(item[0]) == 4 else [restore(one, node) for one in item]
    kind = len(item)
    if kind == 3:
        tensor, array, expected = item
        version = tensor._counter
        if version is not None and version[0] != expected:
            raise_stale(tensor, version[0], expected)
        if tensor._array is array:
            return tensor
        out = wrap(array)
        out._edge = tensor._edge
        return out
    if kind == 1:
        return item[0]
    array, version, expected, number = item
    out = wrap(array)
    out._counter, out._edge = version, node if number is None else (node, number)
    if version[0] != expected:
        raise_stale(out, version[0], expected)
    return out


class Results(Sequence[Any]):
    """The outputs of a node, each looked at when it is asked for: one that no formula needs may have been written."""

    def __init__(self, items: list[Any], node: Node) -> None:
        self._items, self._node = items, node

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        items = self._items[index]
        return [restore(item, self._node) for item in items] if isinstance(index, slice) else restore(items, self._node)


def raise_stale(tensor: Tensor, now: int, expected: int) -> None:
    node, number = grad_fn_and_number(None if tensor._edge is LEAF else tensor._edge)
    output = f"output {number} of {node.name()}" if node is not None else "a leaf or a constant"
    kind = {"float32": "FloatTensor", "float64": "DoubleTensor", "float16": "HalfTensor", "int64": "LongTensor"}.get(
        np.dtype(tensor._array.dtype).name, f"{tensor._array.dtype.name}Tensor"
    )
    raise RuntimeError(STALE.format(kind=kind, shape=list(tensor._array.shape), output=output, now=now, expected=expected))
