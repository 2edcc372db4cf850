"""The backward pass: newest node first.

All consumers of a node were recorded after it, so its gradient is complete when its turn comes: no graph search, no recursion.
Leaves wait until all nodes have run, except those with a hook that runs once ``.grad`` is written: they are finished after the
last node that uses them, so such a hook can run, and gradients can be sent to other processes, during the backward pass.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from mini_dl._checks import check_fits, fits
from mini_dl._dtypes import Array
from mini_dl.autograd.anomaly import anomaly
from mini_dl.autograd.former import known_as
from mini_dl.autograd.graph import (
    GradientEdge,
    Hooks,
    Node,
    aim,
    edge_of,
    edges_in_order,
    flat_edges,
    grad_fn_and_number,
)
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.overlaps import has_same_order, is_dense
from mini_dl.kernels.copying import compact
from mini_dl.tensor import LEAF, Tensor, inference, typename, version_of, wrap


def run_backward(
    tensors: Sequence[Tensor | GradientEdge],
    gradients: Sequence[Tensor],
    inputs: Sequence[Tensor | GradientEdge] | None,
    retain_graph: bool,
    create_graph: bool,
    accumulate: bool,
) -> list[Tensor | None]:
    """Send `gradients` back from `tensors`. With `accumulate`, add them to ``.grad`` of the leaves reached (only of
    `inputs`, if given); without, return the gradient that reaches each of `inputs`, or None."""
    run = Run(tensors, inputs)
    before, outer = mode.enabled, mode.run_under_way
    try:
        mode.enabled, mode.run_under_way = create_graph and not (inference.anywhere and inference.here), run
        for root, gradient in zip(run.roots, gradients):
            run.send(root, gradient)
        if len(tensors) == 1 and not run.pending:  # nothing requested is behind it: torch runs the hooks of a single root
            run_hooks_of_root(run.roots[0], gradients[0])
        gradients, gradient = (), None  # type: ignore[assignment]  # what nobody else holds may be given away
        run_nodes(run, retain_graph, create_graph, accumulate)
        finish_leaves(run, run.leaves, create_graph, accumulate)
        for callback in run.callbacks:
            callback()
    finally:
        mode.enabled, mode.run_under_way = before, outer
    return run.results


class Run:
    """The state of one run: the pending gradients, by target."""

    __slots__ = (
        "__weakref__", "callbacks", "everything", "last_users", "leaf_positions", "leaves", "needed", "owned", "pending", "queue",
        "results", "roots", "wanted",
    )  # fmt: skip

    def __init__(self, tensors: Sequence[Tensor | GradientEdge], inputs: Sequence[Tensor | GradientEdge] | None) -> None:
        self.roots = [aim(tensor) for tensor in tensors]
        self.pending: dict[Any, Any] = {}  # node -> gradient (of several outputs: list), leaf -> gradient
        self.leaves: list[Tensor] = []
        self.owned: set[Any] = set()  # targets in `pending` whose gradient was summed here: nobody else sees it before its turn
        self.queue: list[tuple[int, Node]] = []
        self.wanted: dict[Any, Any] = {}  # node -> {output number: positions in inputs}
        self.results: list[Tensor | None] = [None] * len(inputs or ())
        self.leaf_positions: dict[int, list[int]] = {}
        self.everything = inputs is None
        self.needed: set[Node] = set()
        self.callbacks: list[Callable[[], object]] = []  # callbacks for the end of the run
        self.last_users = last_users(self.roots) if Hooks.of_leaves else {}
        if inputs is not None:
            for position, tensor in enumerate(inputs):
                edge = aim(tensor)
                if isinstance(edge, Tensor):
                    self.leaf_positions.setdefault(id(edge), []).append(position)
                else:
                    node, number = grad_fn_and_number(edge)
                    self.wanted.setdefault(node, {}).setdefault(number, []).append(position)
            self.needed = nodes_towards(self.roots, self.wanted, self.leaf_positions)

    def send(self, edge: Any, grad: Any, source: Node | None = None) -> None:
        """Add `grad`, sent by `source`, to the pending gradient at `edge`, if it is needed."""
        pending = self.pending
        if grad.__class__ is not Tensor and grad._sparse:
            self.send_sparse(edge, grad)
            return
        if type(edge) is Node or isinstance(edge, Node):  # nodes that were inspected have their own classes
            if not self.everything and edge not in self.needed:
                return
            array = grad._array
            if array.shape != edge.shape_ or array.dtype is not edge.dtype_:
                grad = fitted(grad, edge.shape_, edge.dtype_)
            if edge in pending:
                pending[edge] = total(pending[edge], grad, self.owned, edge)
            else:
                pending[edge] = grad
                heappush(self.queue, (edge.seq_, edge))
            return
        elif type(edge) is tuple:
            edge, number = edge
            if not self.everything and edge not in self.needed:
                return
        else:  # a leaf
            if not self.everything and id(edge) not in self.leaf_positions:
                return
            array = edge._array
            if edge._former is not None:
                shape, dtype = known_as(edge, source)
                if not self.everything and dtype != array.dtype:
                    return  # a leaf of another type is not found in an older graph
                grad = fitted(grad, shape, dtype)
            elif grad._array.shape != array.shape or grad._array.dtype is not array.dtype:
                grad = fitted(grad, array.shape, array.dtype)
            if edge in pending:
                pending[edge] = total(pending[edge], grad, self.owned, edge)
            else:
                pending[edge] = grad
                self.leaves.append(edge)
            return
        grad = fitted(grad, edge.shape_[number], edge.dtype_[number])
        slots = pending.get(edge)
        if slots is None:
            slots = pending[edge] = [None] * len(edge.shape_)
            heappush(self.queue, (edge.seq_, edge))
        slots[number] = grad if slots[number] is None else total(slots[number], grad, self.owned, (edge, number))

    def send_sparse(self, edge: object, grad: Any) -> None:
        """A leaf gets the sparse tensor; any other target its dense form."""
        if not isinstance(edge, Tensor):
            self.send(edge, grad.to_dense())
        elif self.everything or id(edge) in self.leaf_positions:
            if edge in self.pending:
                self.pending[edge] = total(self.pending[edge], grad, self.owned, edge)
            else:
                self.pending[edge] = grad
                self.leaves.append(edge)

    def send_list(self, edges: Sequence[Any], grads: Sequence[object], source: Node) -> None:
        """As `send`, for the tensors of a list argument."""
        for edge, grad in zip(edges, grads):
            if edge is not None and grad is not None:
                self.send(edge, grad, source)
            else:
                self.send_none(edge)

    def send_none(self, edge: Any) -> None:
        """Notify `edge` that no gradient comes: its hooks and the user's own operations still run."""
        for one in edge if type(edge) is list else (edge,):
            target = one[0] if type(one) is tuple else one
            if target is None or target in self.pending:
                continue
            if not self.everything and target not in self.needed and id(target) not in self.leaf_positions:
                continue
            if not isinstance(target, Tensor):
                self.pending[target] = [None] * len(target.shape_) if target.several_ else None
                heappush(self.queue, (target.seq_, target))
            elif target._hooks is not None:
                self.pending[target] = None
                self.leaves.append(target)

    def reaches(self, edge: object) -> bool:
        """Whether a gradient, or notice that there is none, reaches `edge` in this run."""
        target = edge[0] if type(edge) is tuple else edge
        if self.everything:
            nodes, leaves = nodes_behind(self.roots)
            return target in nodes or id(target) in leaves
        return target in self.needed or id(target) in self.leaf_positions

    def note_results(self, node: Node, grad: Any) -> None:
        """Keep the gradient of a requested node."""
        for number, positions in self.wanted[node].items():
            for position in positions:
                self.results[position] = grad[number] if node.several_ else grad


def queue_callback(callback: Callable[[], object]) -> None:
    """Call `callback` at the end of the current run. RuntimeError outside of a run."""
    if mode.run_under_way is None:
        raise RuntimeError("Final callbacks can only be installed during backward pass.")
    mode.run_under_way.callbacks.append(callback)


def run_nodes(run: Run, retain_graph: bool, create_graph: bool, accumulate: bool) -> None:
    """Process pending nodes, newest first, and send the gradients that their formulas compute."""
    pending, queue, owned, wanted, everything = run.pending, run.queue, run.owned, run.wanted, run.everything
    send, send_none, last_users = run.send, run.send_none, run.last_users
    watching = anomaly.setting.on and anomaly.setting.check_nan
    while queue:
        node = heappop(queue)[1]
        grad = pending.pop(node)
        if wanted and node in wanted:
            last = not accumulate and not leads_on(node, run.needed, run.leaf_positions)
            if last and node.hooks_ is not None:
                grad = run_hooks_of_tensors(node, grad)
            run.note_results(node, grad)
            if last:
                continue
        if node.hooks_ is not None:
            grad = run_hooks_before(node, grad)
        if (grad is None or grad.__class__ is list) and all_none(grad) and not node.op_.runs_without:
            sent = [None] * len(node.edges_)
        else:
            sent = node.op_.backward(node, grad)
        if watching:
            refuse_nan(node, sent)
        if node.hooks_ is not None and node.hooks_.after:
            sent = run_hooks_after(node, sent, grad)
        del grad
        if not retain_graph and node.saved_:
            for item in node.saved_.values():
                if len(item) > 1 or type(item) is list:  # a tensor, or a list of them: a second backward must fail
                    node.saved_ = None
                    break
        for edge, g in zip(node.edges_, sent):
            if g is not None and edge is not None:
                if everything and type(edge) is Node and g.__class__ is Tensor:  # `send`, unrolled: most edges are of this kind
                    array = g._array
                    if array.shape != edge.shape_ or array.dtype is not edge.dtype_:
                        g = fitted(g, edge.shape_, edge.dtype_)
                    if edge in pending:
                        pending[edge] = total(pending[edge], g, owned, edge)
                    else:
                        pending[edge] = g
                        heappush(queue, (edge.seq_, edge))
                elif type(edge) is list:
                    run.send_list(edge, g, node)
                else:
                    send(edge, g, node)
            elif edge is not None:
                send_none(edge)
        del sent
        g = None
        if last_users and node in last_users:
            finish_leaves(run, last_users[node], create_graph, accumulate)


def finish_leaves(run: Run, leaves: Sequence[Tensor], create_graph: bool, accumulate: bool) -> None:
    """Set the gradients of `leaves`, once these are complete; finished leaves are skipped."""
    for leaf in leaves:
        if leaf not in run.pending:
            continue
        grad = run.pending.pop(leaf)
        if leaf._hooks is not None:
            grad = run_tensor_hooks(leaf._hooks.tensor.get(0, {}), grad)
        if not accumulate:
            for position in run.leaf_positions.get(id(leaf), ()):
                run.results[position] = grad
        if accumulate:
            own = None if leaf._hooks is None else leaf._hooks.node
            if own is not None:
                (grad,) = run_prehooks(own, [grad])
            came = grad if own is not None and own.after else None
            if grad is not None and (leaf._edge is LEAF or accumulates(leaf)):
                box = [grad]
                del grad
                add_to_grad(leaf, box, create_graph)
            if leaf._hooks is not None:  # even if the leaf no longer requires grad
                run_post_accumulate_hooks(leaf)
            if own is not None:
                for hook in list(own.after.values()):
                    if (changed := hook((), (came,))) is not None:
                        checked_replacements(changed, (), hook)


def last_users(roots: Sequence[Any]) -> dict[Node, list[Tensor]]:
    """The leaves with hooks that run once ``.grad`` is written, by the node behind `roots` that uses them last: the oldest."""
    oldest: dict[Tensor, Node] = {}
    for node in nodes_behind(roots)[0]:
        for edge in edges_in_order(node):
            if not isinstance(edge, Tensor) or edge._hooks is None or not edge._hooks.after:
                continue
            if edge not in oldest or node.seq_ > oldest[edge].seq_:
                oldest[edge] = node
    found: dict[Node, list[Tensor]] = {}
    for leaf, node in oldest.items():
        found.setdefault(node, []).append(leaf)
    return found


def nodes_behind(roots: Sequence[Any]) -> tuple[set[Node], set[int]]:
    """The nodes that can be reached from edges, and the ids of the leaves."""
    nodes: set[Node] = set()
    leaves: set[int] = set()
    stack = list(roots)
    while stack:
        edge = stack.pop()
        if isinstance(edge, Tensor):
            leaves.add(id(edge))
            continue
        node = edge[0] if type(edge) is tuple else edge
        if node is not None and node not in nodes:
            nodes.add(node)
            stack += flat_edges(node.edges_)
    return nodes, leaves


def nodes_towards(roots: Sequence[object], wanted: dict[object, object], leaves: dict[int, list[int]]) -> set[Node]:
    """The nodes through which gradients reach the targets. Edges lead from newer to older: one pass by age suffices."""
    needed: set[Node] = set()
    for node in sorted(nodes_behind(roots)[0], key=lambda n: -n.seq_):
        if node in wanted or leads_on(node, needed, leaves):
            needed.add(node)
    return needed


def leads_on(node: Node, needed: set[Node], leaves: dict[int, list[int]]) -> bool:
    for edge in flat_edges(node.edges_):
        if isinstance(edge, Tensor):
            if id(edge) in leaves:
                return True
        elif edge is not None and (edge[0] if type(edge) is tuple else edge) in needed:
            return True
    return False


# ------------------------------------------------------------------------------------------------ gradients


def fitted(grad: Tensor, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """`grad` summed to `shape` (the transpose of broadcasting) and cast to `dtype` (of a real tensor: its real part)."""
    array = grad._array
    if array.shape != shape:
        extra = array.ndim - len(shape)
        ones = [i + extra for i, n in enumerate(shape) if n == 1 and array.shape[i + extra] != 1] if extra >= 0 else []
        dims = (*range(extra), *ones)
        if not shape:
            grad = grad.sum()
        elif not fits(shape, array.shape):
            raise RuntimeError(
                f"an invalid gradient was returned - got {list(array.shape)} but expected shape compatible with {list(shape)}"
            )
        else:
            grad = grad.sum(dims, keepdim=True)
            if extra:
                grad = grad.reshape(shape)
    if grad._array.dtype is not dtype and grad._array.dtype != dtype:
        if grad._array.dtype.kind == "c" and dtype.kind != "c":
            grad = grad.real
        grad = grad.to(wrap(np.empty((), dtype)).dtype)
    return grad


def all_none(grads: Sequence[Any] | None) -> bool:
    """Whether no gradient arrived: at a node of one output, or at any of several."""
    return grads is None or all([grad is None for grad in grads])


def total(first: Tensor | None, second: Tensor, owned: set[object], place: object) -> Tensor:
    """The sum of two gradients, in place if the first is itself a sum made here."""
    if first is not None and (first._sparse or second._sparse):
        owned.discard(place)
        return second + first if first._sparse and not second._sparse else first + second
    if place in owned:
        mode.run(np.add, first._array, second._array, first._array)  # type: ignore[union-attr]
        first._counter[0] += 1  # type: ignore[index,union-attr]
        return first  # type: ignore[return-value]
    if first is None:
        return second
    if mode.enabled or at_work.anywhere:
        return first + second
    array = mode.run(np.add, first._array, second._array)
    owned.add(place)
    out = wrap(array)
    # torch adds to the first in place, if nobody else holds it and its elements do not share memory
    own = first is not second and first._base is None and (0 not in first._array.strides or first._array.size < 2)
    out._counter = [version_of(first)[0] + 1 if own else 0]
    return out


def accumulates(leaf: Tensor) -> bool:
    """Whether a former leaf still requires its gradient. RuntimeError if it has a history by now."""
    edge = edge_of(leaf)
    if edge is not None and edge is not leaf and grad_fn_and_number(edge)[0] is not None:
        raise RuntimeError("leaf variable has been moved into the graph interior")
    return edge is not None


def add_to_grad(leaf: Tensor, box: list[Tensor], create_graph: bool) -> None:
    """``leaf.grad += box.pop()``. The first gradient becomes ``.grad`` without a copy, if nobody else can see it or its
    memory.
    """
    held = leaf._grad
    if leaf._former is not None and box[0]._array.shape != leaf._array.shape:
        fit_to_former(leaf, box)
    if box[0]._sparse or (held is not None and held._sparse):
        _add_sparse(leaf, box.pop(), create_graph)
    elif create_graph:
        leaf._grad = held + box.pop() if held is not None else _counted(box.pop().clone(), is_dense(leaf._array))
    elif at_work.anywhere:  # there may be a tangent
        leaf._grad = _counted(box.pop().clone(), is_dense(leaf._array)) if held is None else held.add_(box.pop())
    elif held is not None:
        held.add_(box.pop())
    elif (
        box[0]._edge is None and holders(box) == _ALONE and owns_memory(box[0]._array) and box[0]._array.flags.writeable
        and (leaf._array.flags.c_contiguous or has_same_order(box[0]._array, leaf._array))
    ):  # fmt: skip
        leaf._grad = box.pop()
    else:
        alone, grad, dense = sys.getrefcount(box[0]) == _ALONE[0], box.pop(), is_dense(leaf._array)
        alike = has_same_order(grad._array, leaf._array) if dense else grad._array.flags.c_contiguous
        array = _in_order_of(leaf._array, grad._array) if dense else compact(grad._array)
        leaf._grad = _counted(wrap(array), version_of(grad)[0] if alone and alike else dense)


def _in_order_of(array: Array, grad: Array) -> Array:
    """A copy of `grad` with the layout of `array`."""
    if array.flags.c_contiguous or grad.__class__ is not np.ndarray:
        return compact(grad)
    out = np.empty_like(array, grad.dtype)
    np.copyto(out, grad)
    return out


def fit_to_former(leaf: Tensor, box: list[Tensor]) -> None:
    """Fit a gradient of the former shape of `leaf` to the existing ``.grad``, or to the leaf if there is none, unless its
    layout is that of the leaf. RuntimeError if it cannot be expanded."""
    array = leaf._array if leaf._array.ndim else leaf._array.reshape(1)  # a single value counts as laid out like a vector
    if leaf._grad is not None:
        sizes = f"grad.sizes() = {list(box[0].shape)}, param.sizes() = {list(leaf._array.shape)}"
        warnings.warn(f"grad and param do not obey the gradient layout contract: {sizes}", UserWarning, stacklevel=2)
    elif box[0].ndim > array.ndim or not has_same_order(box[0]._array, array):
        check_fits(leaf._array.shape, box[0]._array.shape)
        box[0] = box[0].expand(leaf._array.shape)


def _counted(made: Tensor, writes: int) -> Tensor:
    """`made`, with a version: torch counts copies into memory with the layout of a dense leaf."""
    made._counter = [int(writes)]
    return made


def _add_sparse(leaf: Tensor, grad: Tensor, create_graph: bool) -> None:
    """`add_to_grad` if either gradient is sparse: dense plus sparse is dense, and in place."""
    held = leaf._grad
    if not create_graph:
        grad = grad.detach()
    if held is None:
        leaf._grad = grad if grad._values()._array.base is None else grad.clone()  # which may belong to the caller
    elif held._sparse:
        leaf._grad = held + grad if grad._sparse else grad + held
    elif create_graph:
        leaf._grad = held + grad
    else:
        held.add_(grad)


def holders(box: list[Tensor]) -> tuple[int, int]:
    """The reference counts of the tensor in the box and of its array, including those of this call."""
    return sys.getrefcount(box[0]), sys.getrefcount(box[0]._array)


def owns_memory(array: Array) -> bool:
    """Whether nobody else sees the memory of `array`: it owns it, or is all of an array that it alone holds, in another shape."""
    owner = array.base
    if type(owner) is not np.ndarray:
        return owner is None
    whole = owner.flags.owndata and owner.nbytes == array.nbytes and array.flags.c_contiguous
    del owner
    return whole and holders_of_owner(array) == _ONE


def holders_of_owner(array: Array) -> int:
    return sys.getrefcount(array.base)


_ONE = holders_of_owner(np.empty(1)[:])
_ALONE = holders([wrap(np.empty(1))])


def refuse_nan(node: Node, sent: Sequence[object]) -> None:
    for i, g in enumerate(sent):
        if isinstance(g, Tensor) and np.isnan(g._values()._array if g._sparse else g._array).any():
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")


# ------------------------------------------------------------------------------------------------ hooks


def run_hooks_of_tensors(node: Node, grad: Any) -> Any:
    """The hooks of the outputs, then those of tensors that keep their gradient."""
    hooks = node.hooks_
    assert hooks is not None
    grads = list(grad) if node.several_ else [grad]
    for number, registered in hooks.tensor.items():
        grads[number] = run_tensor_hooks(registered, grads[number])
    for number, reference in hooks.retain.items():
        tensor = reference()
        if tensor is not None and grads[number] is not None:
            kept = grads[number].clone() if mode.enabled or at_work.anywhere else wrap(grads[number]._array.copy())
            tensor._grad = kept if tensor._grad is None else tensor._grad + kept
    return grads if node.several_ else grads[0]


def run_hooks_of_root(edge: object, grad: Tensor) -> None:
    if isinstance(edge, Tensor):
        if edge._hooks is not None:
            run_tensor_hooks(edge._hooks.tensor.get(0, {}), grad)
        return
    node, number = grad_fn_and_number(edge)
    if node is not None and node.hooks_ is not None:
        run_hooks_of_tensors(node, [grad if i == number else None for i in range(len(node.shape_))] if node.several_ else grad)


def run_hooks_before(node: Node, grad: Any) -> Any:
    """The hooks of the outputs, then the node's own."""
    grad = run_hooks_of_tensors(node, grad)
    assert node.hooks_ is not None
    grads = run_prehooks(node.hooks_, list(grad) if node.several_ else [grad])
    return grads if node.several_ else grads[0]


def run_prehooks(hooks: Hooks, grads: list[object]) -> list[Any]:
    for hook in list(hooks.before.values()):
        changed = hook(tuple(grads))
        if changed is not None:
            grads = checked_replacements(changed, grads, hook)
    return grads


def run_tensor_hooks(hooks: dict[int, Any], grad: Tensor | None) -> Tensor | None:
    for hook in list(hooks.values()):
        changed = hook(grad)
        if changed is not None:
            grad = checked_replacement(changed, grad, hook)
    return grad


def run_hooks_after(node: Node, sent: list[Any], grad: Any) -> list[Any]:
    assert node.hooks_ is not None
    flat: list[Any] = []
    for edge, g in zip(node.edges_, sent):
        flat.extend(g if type(edge) is list and g is not None else [g])
    for hook in list(node.hooks_.after.values()):
        changed = hook(tuple(flat), tuple(grad) if node.several_ else (grad,))
        if changed is not None:
            flat = checked_replacements(changed, flat, hook)
    out, at = [], 0
    for edge, g in zip(node.edges_, sent):
        if type(edge) is list and g is not None:
            out.append(flat[at : at + len(edge)])
            at += len(edge)
        else:
            out.append(flat[at])
            at += 1
    return out


def run_post_accumulate_hooks(leaf: Tensor) -> None:
    for hook in list(leaf._hooks.after.values()):
        changed = hook(leaf)
        if changed is not None:
            checked_replacement(changed, leaf, hook)
            if changed is not leaf:
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def checked_replacements(changed: object, grads: Sequence[Any], hook: object) -> list[Any]:
    """The gradients that the hook of a node returned instead of `grads`. TypeError or RuntimeError if they do not match."""
    if not isinstance(changed, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(changed).__name__}'")
    if len(changed) != len(grads):
        raise RuntimeError(
            f"hook '{name_of(hook)}' has returned an incorrect number of values (got {len(changed)}, but expected {len(grads)})"
        )
    return [None if c is None else checked_replacement(c, g, hook) for c, g in zip(changed, grads)]


def checked_replacement(changed: object, grad: Tensor | None, hook: object) -> Tensor:
    if grad is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if not isinstance(changed, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(changed).__name__}'")
    if changed._sparse != grad._sparse or changed.dtype != grad.dtype:
        raise RuntimeError(f"hook '{name_of(hook)}' has changed the type of value (was {typename(grad)} got {typename(changed)})")
    if changed.shape != grad.shape:
        raise RuntimeError(f"hook '{name_of(hook)}' has changed the size of value: {list(grad.shape)} to {list(changed.shape)}")
    return changed


def name_of(hook: object) -> str:
    name = getattr(hook, "__name__", None)
    return name if isinstance(name, str) else "<unknown>"
