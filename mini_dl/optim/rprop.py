"""Resilient propagation."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.nn._types import Number, Options, Params
from mini_dl.optim.optimizer import Optimizer, descent as descent
from mini_dl.optim.updates import State, chosen, refuse


class Rprop(Optimizer):
    """Steps by the sign of the gradient alone: each element has a step size of its own, which grows while the sign stays.

    ``size *= etas[1]`` where the sign is that of the gradient before, ``etas[0]`` where it has turned, within `step_sizes`
    ``param -= size * sign(grad)``, but not where the sign has turned

    It needs gradients over the whole data set: those of mini-batches change sign by chance.
    State: `prev`, the gradient before, and `step_size`, in the shape of the parameter; `step`.
    Raises: ValueError for a negative `lr`, or unless 0 < etas[0] < 1 < etas[1].
    Source: Riedmiller and Braun 1993.

    >>> descent(Rprop, lr=0.1, steps=3)
    [[0.9, 1.9], [0.78, 1.78], [0.636, 1.636]]
    """

    def __init__(
        self, params: Params, lr: Number = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = chosen(locals(), "lr", "foreach maximize differentiable capturable")
        refuse(not 0.0 < etas[0] < 1.0 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, options)

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        smallest, largest = group.step_sizes
        refuse(smallest is None and largest is None, "at least one of step_sizes must not be None", RuntimeError)
        first = not state
        state.begin(param, "prev", "step_size")
        if first:
            state["step_size"][...] = group.lr * (1 + 1j) if param.dtype.kind == "c" else group.lr
        shorter, longer = group.etas
        for p, g, before, size, t in state.blocks(1, param, grad, state["prev"], state["step_size"]):
            g = -g if group.maximize else g
            np.multiply(g, before, out=t)
            turned = t < 0
            size *= 1 + (longer - 1) * (t > 0) - (1 - shorter) * turned
            np.clip(size, smallest, largest, out=size)
            before[...] = g
            before[turned] = 0
            np.sign(before, out=t)
            t[t != t] = 0  # torch's sign of NaN
            t *= size
            p -= t
