"""Gradients of several arguments that one kernel computes together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mini_dl.tensor import Tensor


class Together:
    """An argument of one call of a primitive: its formulas ask it in turn, and it computes all gradients at the first question.

    For first derivatives only: gradients with a history of their own would hold the graph in a cycle.
    """

    __slots__ = ("grads", "results")
    grads: Any
    results: Sequence[Tensor | None]

    def __init__(self) -> None:
        self.grads = None

    def __call__(self, number: int, grads: Any, compute: Callable[..., Any], *args: Any, given: int = 1) -> Tensor | None:
        """Gradient `number` of ``compute(*grads[:given], *args)``; None if no gradient reaches the first `given` outputs."""
        if all([g is None for g in grads[:given]]):
            return None
        if self.grads is not grads:
            self.results = compute(*grads[:given], *args)
            self.grads = grads
        return self.results[number]
