"""Hooks that wait for the gradients of several tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl.autograd.graph import Handle, edge_of, needs_grad
from mini_dl.autograd.mode import mode as mode_here
from mini_dl.tensor import Tensor


class _Handles(Handle):
    """Removes several hooks at once."""

    def __init__(self, handles: Sequence[Handle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[[Any], object], *, mode: str = "all") -> Handle:
    """Call ``fn(gradients)`` in each backward once the gradients of all `tensors` are known, None for those that get none; or,
    with the mode "any", ``fn(gradient)`` with the first of them. It does not wait for tensors that the backward does not reach.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    seen: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()  # run -> gradients, how many come, came
    if mode == "any":

        def first(grad: Tensor) -> None:
            if current_run() not in seen:
                seen[current_run()] = []
                fn(grad)

        return _Handles([tensor.register_hook(first) for tensor in tensors if needs_grad(tensor)])
    edges = [edge_of(tensor) for tensor in tensors]
    if None in edges:
        raise AssertionError("Expected gradient function to be set")
    ends = [weakref.ref(edge[0] if type(edge) is tuple else edge) for edge in edges]  # they hold the hooks: no cycle

    def waits_for(run: Any) -> int:
        """The number of gradients that will arrive in this run."""
        alive = [end for ref in ends if (end := ref()) is not None]
        return sum([run.reaches(end) for end in alive])

    def hook_of(number: int) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            run = current_run()
            if run not in seen:
                seen[run] = [[None] * len(ends), waits_for(run), 0]
            found = seen[run]
            found[0][number] = grad
            found[2] += 1
            if found[2] == found[1]:
                del seen[run]
                fn(found[0])

        return hook

    return _Handles([tensor.register_hook(hook_of(number)) for number, tensor in enumerate(tensors)])


def current_run() -> Any:
    """The current backward pass of this thread."""
    if mode_here.run_under_way is None:
        raise AssertionError("expected this hook to be called inside a backward call")
    return mode_here.run_under_way
