"""Stochastic gradient descent, and its average."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.optim.optimizer import (
    COMMON_OPTIONS,
    Optimizer,
    State,
    add_scaled,
    advance,
    as_default,
    blocks,
    check_at_least_zero,
    check_flags,
    check_learning_rate,
    detached,
    new_step,
    with_penalty,
    zeros_like,
)
from mini_dl.tensor import wrap


class SGD(Optimizer):
    """``param -= lr * grad``, with momentum m: ``buffer = m * buffer + (1 - dampening) * grad; param -= lr * buffer``.

    Nesterov's form steps along ``grad + m * buffer`` (Sutskever et al. 2013). The first buffer is the first gradient.

    >>> import mini_dl as torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000, 1.6000], requires_grad=True)
    """

    newer_options: ClassVar[dict[str, Any]] = {
        "nesterov": False,
        "maximize": False,
        "foreach": None,
        "differentiable": False,
        "fused": False,
    }
    foreach_is_recorded = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_flags(foreach, differentiable, fused)

    def update(
        self,
        param: Array,
        grad: Array,
        state: State,
        *,
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
        maximize: bool,
        **_: Any,
    ) -> None:
        buffer, first = None, False
        if momentum != 0:
            first = state.get("momentum_buffer") is None
            if first:
                state["momentum_buffer"] = wrap(np.empty_like(param))
            buffer = state["momentum_buffer"]._array
        part = (dampening - 1) if maximize else (1 - dampening)
        for p, g, b, t, u in blocks(2, param, grad, buffer):
            sign = -1 if maximize else 1
            if weight_decay != 0:
                t = np.multiply(p, sign * weight_decay, out=t)
                g = np.add(g, t, out=t)
            if b is not None:
                if first:
                    np.multiply(detached(g), sign, out=b)
                else:
                    add_scaled(b, g, part, u, momentum)
                if nesterov:
                    u = np.multiply(b, sign * momentum, out=u)
                    g = np.add(g, u, out=u)
                else:
                    g, sign = b, 1
            add_scaled(p, g, -sign * lr, u)


class ASGD(Optimizer):
    """Steps that shrink, and from `t0` on the average of the parameters in ``state["ax"]`` (Polyak and Juditsky 1992)."""

    newer_options = COMMON_OPTIONS
    tensors_of_step = "params, mus, etas, and state_steps"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_at_least_zero(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
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
        lambd: float,
        alpha: float,
        t0: float,
        weight_decay: float,
        foreach: bool | None,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), eta=new_step(), mu=new_step(), ax=zeros_like(param))
            state["eta"]._array[...], state["mu"]._array[...] = lr, 1
        step = advance(state)
        eta, mu = float(state["eta"]._array), float(state["mu"]._array)
        for p, g, mean, t, u in blocks(2, param, grad, state["ax"]._array):
            g = with_penalty(g, p, weight_decay, maximize, t, u)
            p *= 1 - lambd * eta
            add_scaled(p, g, -eta, t)
            t = np.subtract(p, mean, out=t)
            t *= mu
            mean += t
            if mu == 1:
                mean[...] = p
        if foreach:
            step = state["step"]._array[()]  # torch's other text computes eta in the type of the count
        state["eta"]._array[...] = as_default(lr / (1 + lambd * lr * step) ** alpha)  # also where loaded state has a wider type
        state["mu"]._array[...] = as_default(1 / max(1, step - t0))
