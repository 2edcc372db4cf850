"""Gradients of several arguments that one kernel computes together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini_dl.tensor import Tensor


class Together:
    """An argument of one call of a primitive: its formulas ask it in turn, and it computes all gradients at the first question.

    For first derivatives only: gradients with a history of their own would hold the graph in a cycle.
    """

    __slots__ = ("grads", "results")

    def __init__(self) -> None:
        self.grads: Any = None
        self.results: dict[int, Tensor | None] = {}  # those not asked for yet

    def __call__(self, number: int, grads: Any, compute: Callable[..., Any], *args: Any, given: int = 1) -> Tensor | None:
        """Gradient `number` of ``compute(*grads[:given], *args)``, or of ``compute(grads, *args)`` where there is one output; None if
        no gradient reaches the first `given` outputs."""
        reached = grads[:given] if isinstance(grads, list) else [grads]
        if all([g is None for g in reached]):
            return None
        if self.grads is not grads or number not in self.results:
            self.results = dict(enumerate(compute(*reached, *args)))
            self.grads = grads
        return self.results.pop(number)
