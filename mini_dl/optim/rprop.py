"""Resilient propagation."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.optim.optimizer import (
    COMMON_OPTIONS,
    Optimizer,
    State,
    advance,
    blocks,
    check_learning_rate,
    new_step,
    zeros_like,
)


class Rprop(Optimizer):
    """Steps by the gradient's sign: longer while it stays (by ``etas[1]``), shorter and skipped once it turns (by ``etas[0]``)
    (Riedmiller and Braun 1993).

    This is the learning rate of each parameter's own that grows while the gradient keeps its sign and shrinks when it flips: here
    it takes the place of the gradient's size, of which only the sign is used. It wants gradients of the whole data set.
    """

    newer_options = COMMON_OPTIONS

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def update(
        self,
        param: Array,
        grad: Array,
        state: State,
        *,
        lr: float,
        etas: tuple[float, float],
        step_sizes: tuple[float, float],
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), prev=zeros_like(param), step_size=zeros_like(grad))
            state["step_size"]._array[...] = lr * (1 + 1j) if param.dtype.kind == "c" else lr
        advance(state)
        shorter, longer = etas
        for p, g, before, size, t in blocks(1, param, grad, state["prev"]._array, state["step_size"]._array):
            g = -g if maximize else g
            t = np.multiply(g, before, out=t)
            turned = t < 0
            size *= 1 + (longer - 1) * (t > 0) - (1 - shorter) * turned
            np.clip(size, *step_sizes, out=size)
            before[...] = g
            before[turned] = 0
            t = np.sign(before, out=t)
            t *= size
            p -= t
