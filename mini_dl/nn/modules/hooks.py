"""Full backward hooks: identity nodes around a module, where its gradients can be seen and replaced."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl.autograd.function import as_it_came
from mini_dl.autograd.graph import Node, SeveralNode, edge_of
from mini_dl.autograd.mode import mode
from mini_dl.tensor import Tensor, alias, wrap

Hook = Callable[..., Any]


class _Identity:
    """The operation of the nodes that pass gradients on; missing gradients become zeros."""

    name, grad_name, runs_without = "backward_hook", "BackwardHookFunctionBackward", True
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grads: Any) -> list[Any]:
        expected = zip(grads, node.shape, node.dtype)
        return [wrap(np.zeros(shape, dtype)) if grad is None else grad for grad, shape, dtype in expected]


def through_identity(tensors: Sequence[Tensor]) -> tuple[Node, list[Tensor]]:
    """The same tensors behind one new node."""
    node = SeveralNode(_Identity(), [edge_of(t) for t in tensors], {}, tensors[0]._array)
    node.shape, node.dtype = [t._array.shape for t in tensors], [t._array.dtype for t in tensors]
    outs = [alias(t) if edge is None else as_it_came(t) for t, edge in zip(tensors, node.edges)]
    for i, (out, edge) in enumerate(zip(outs, node.edges)):
        if edge is not None:
            out._edge = (node, i)
    return node, outs


class BackwardHook:
    """The full backward hooks of one call of `module`: `user_pre_hooks` see the gradients of its outputs, `user_hooks` also
    those of its inputs."""

    def __init__(self, module: Any, user_hooks: Sequence[Hook], user_pre_hooks: Sequence[Hook]) -> None:
        self.module, self.user_hooks, self.user_pre_hooks = module, user_hooks, user_pre_hooks
        self.grad_outputs: Any = None
        self.inputs: tuple[int, list[int] | None] = (0, None)  # how many values there are, and which are tensors

    def setup_input_hook(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        args, node, at = _behind_node(args)
        self.inputs = (len(args), at)
        if node is not None:
            node.register_hook(self.after_inputs)
        return args

    def setup_output_hook(self, result: Any) -> Any:
        outs, node, at = _behind_node(result if isinstance(result, tuple) else (result,))
        n = len(outs)  # the hook must not hold the outputs, which hold the node
        if node is not None:
            node.register_hook(lambda _, grads: self.before_outputs(grads, n, at))
        return outs if isinstance(result, tuple) else outs[0]

    def before_outputs(self, grads: Any, n: int, at: Any) -> tuple[Any, ...]:
        self.grad_outputs = _spread(at, grads, n)
        for hook in self.user_pre_hooks:
            changed = hook(self.module, self.grad_outputs)
            if changed is None:
                continue
            changed = _as_tuple(changed)
            if len(changed) != n:
                raise RuntimeError(
                    f"Backward pre hook returned an invalid number of grad_output, got {len(changed)}, but expected {n}"
                )
            self.grad_outputs = changed
        passed_on = tuple([self.grad_outputs[i] for i in at])
        if self.inputs[1] is None:
            self.run_without_inputs()
        return passed_on

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

    def after_inputs(self, grads: Any, _: Any) -> tuple[Any, ...] | None:
        if self.grad_outputs is None:  # the gradient came from elsewhere, not through the outputs
            return None
        n, at = self.inputs
        grad_inputs = _spread(at, grads, n)
        for hook in self.user_hooks:
            changed = hook(self.module, grad_inputs, self.grad_outputs)
            if changed is None:
                continue
            changed = _as_tuple(changed)
            if len(changed) != n:
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(changed)}, but expected {n}"
                )
            grad_inputs = changed
        self.grad_outputs = None
        return tuple([grad_inputs[i] for i in at or ()])


def _behind_node(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], Node | None, list[int] | None]:
    """`values` with its tensors behind a node, the node, and their positions; no node if nothing needs a gradient."""
    at = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not mode.enabled or all([edge_of(values[i]) is None for i in at]):
        return values, None, None
    node, outs = through_identity([values[i] for i in at])
    replaced = list(values)
    for i, out in zip(at, outs):
        replaced[i] = out
    return tuple(replaced) if type(values) is tuple else type(values)(*replaced), node, at


def _spread(at: Any, grads: Any, n: int) -> tuple[Any, ...]:
    spread: list[Any] = [None] * n
    for i, grad in zip(at, grads):
        spread[i] = grad
    return tuple(spread)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
