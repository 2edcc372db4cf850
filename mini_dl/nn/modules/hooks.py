"""Full backward hooks: identity nodes around a module, where hooks see and replace its gradients."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mini_dl.autograd.function import returned_as_is
from mini_dl.autograd.graph import Node, SeveralNode, edge_of
from mini_dl.autograd.mode import at_work, mode
from mini_dl.nn._types import Args, Hook
from mini_dl.tensor import Tensor, alias, wrap

if TYPE_CHECKING:
    from mini_dl.nn.modules.module import Module

Grads: TypeAlias = tuple[Tensor | None, ...]
Positions: TypeAlias = list[int] | None
"""Which values are tensors; None if none of them needs a gradient."""


class _Identity:
    """The operation of the nodes that pass gradients on; missing gradients become zeros."""

    name, grad_name, runs_without = "backward_hook", "BackwardHookFunctionBackward", True
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grads: Sequence[Tensor | None]) -> list[Tensor]:
        expected = zip(grads, node.shape_, node.dtype_)
        return [wrap(np.zeros(shape, dtype)) if grad is None else grad for grad, shape, dtype in expected]


def through_identity(tensors: Sequence[Tensor]) -> tuple[Node, list[Tensor]]:
    """The same tensors behind one new node."""
    node = SeveralNode(_Identity(), [edge_of(t) for t in tensors], {}, tensors[0]._array)
    node.shape_, node.dtype_ = [t._array.shape for t in tensors], [t._array.dtype for t in tensors]
    outs = [alias(t) if edge is None else returned_as_is(t) for t, edge in zip(tensors, node.edges_)]
    if at_work.anywhere:
        for tensor, out in zip(tensors, outs):
            at_work.passed_on(tensor, out)
    for i, (out, edge) in enumerate(zip(outs, node.edges_)):
        if edge is not None:
            out._edge = (node, i)
    return node, outs


class BackwardHook:
    """The full backward hooks of one call of `module`: `user_pre_hooks` see the gradients of its outputs, `user_hooks` also
    those of its inputs."""

    def __init__(self, module: Module, user_hooks: Sequence[Hook], user_pre_hooks: Sequence[Hook]) -> None:
        self.module, self.user_hooks, self.user_pre_hooks = module, user_hooks, user_pre_hooks
        self.grad_outputs: Grads | None = None
        self.inputs: tuple[int, Positions] = (0, None)  # the number of values, and which are tensors

    def setup_input_hook(self, args: Args) -> Args:
        args, node, at = _behind_node(args)
        self.inputs = (len(args), at)
        if node is not None:
            node.register_hook(self.after_inputs)
        return args

    def setup_output_hook(self, result: object) -> Any:
        outs, node, at = _behind_node(result if isinstance(result, tuple) else (result,))
        n = len(outs)  # the hook must not hold the outputs, which hold the node
        if node is not None:
            node.register_hook(lambda _, grads: self.before_outputs(grads, n, at))
        return outs if isinstance(result, tuple) else outs[0]

    def before_outputs(self, grads: Grads, n: int, at: Positions) -> Grads:
        self.grad_outputs = _spread(at, grads, n)
        for hook in self.user_pre_hooks:
            changed = hook(self.module, self.grad_outputs)
            self.grad_outputs = _replaced(self.grad_outputs, changed, "Backward pre hook", "grad_output")
        grads = self.grad_outputs  # what follows forgets them
        if self.inputs[1] is None:
            self.run_without_inputs()
        return tuple([grads[i] for i in at or ()])

    def run_without_inputs(self) -> None:
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require "
            "gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module."
            "register_full_backward_hook for more details.",
            stacklevel=6,
        )
        for hook in self.user_hooks:
            changed = hook(self.module, (None,) * self.inputs[0], self.grad_outputs)
            if changed is not None and not (isinstance(changed, tuple) and all([g is None for g in changed])):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for all "
                    "gradients."
                )
        self.grad_outputs = None

    def after_inputs(self, grads: Grads, _: Grads) -> Grads | None:
        if self.grad_outputs is None:  # the gradient came from elsewhere, not through the outputs
            return None
        n, at = self.inputs
        grad_inputs = _spread(at, grads, n)
        for hook in self.user_hooks:
            changed = hook(self.module, grad_inputs, self.grad_outputs)
            grad_inputs = _replaced(grad_inputs, changed, "Backward hook", "grad_input")
        self.grad_outputs = None
        return tuple([grad_inputs[i] for i in at or ()])


def _replaced(grads: Grads, changed: Grads | None, hook: str, what: str) -> Grads:
    """The gradients that a hook returned to replace `grads`, None to keep them. RuntimeError for a wrong number of them."""
    if changed is None:
        return grads
    if len(changed) != len(grads):
        raise RuntimeError(f"{hook} returned an invalid number of {what}, got {len(changed)}, but expected {len(grads)}")
    return changed  # as it is: a tensor that was returned by itself is its rows


def _behind_node(values: Args) -> tuple[Args, Node | None, Positions]:
    """`values` with its tensors behind a node, the node, and their positions; no node if nothing needs a gradient."""
    at = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not mode.enabled or all([edge_of(values[i]) is None for i in at]):
        return values, None, None
    node, outs = through_identity([values[i] for i in at])
    replaced = list(values)
    for i, out in zip(at, outs):
        replaced[i] = out
    return tuple(replaced) if type(values) is tuple else type(values)(*replaced), node, at


def _spread(at: Positions, grads: Grads, n: int) -> Grads:
    spread: list[Tensor | None] = [None] * n
    for i, grad in zip(at or (), grads):
        spread[i] = grad
    return tuple(spread)
