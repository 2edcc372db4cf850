"""Steps scaled by what each element's gradients were: their sum of squares, or a running mean."""

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
    blocks,
    check_at_least_zero,
    check_flags,
    check_learning_rate,
    mean_towards,
    new_step,
    square_towards,
    with_penalty,
    zeros_like,
)
from mini_dl.tensor import wrap


class Adagrad(Optimizer):
    """``sum += grad**2; param -= lr / (1 + (step - 1) * lr_decay) * grad / (sqrt(sum) + eps)`` (Duchi et al. 2011)"""

    newer_options: ClassVar[dict[str, Any]] = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check_at_least_zero(
            lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value, eps=eps
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_flags(foreach, differentiable, fused)
        for group in self.param_groups:  # torch too begins the sums at once
            for param in group["params"]:
                self._begin(param._array, self.state[param], initial_accumulator_value)

    def _begin(self, param: Array, state: State, value: float) -> None:
        start = complex(value, value) if param.dtype.kind == "c" else value
        state.update(step=new_step(), sum=wrap(np.full_like(param, start)))

    def _check_before_step(self, group: dict[str, Any]) -> None:
        super()._check_before_step(group)
        if group["differentiable"] and group["fused"]:
            raise RuntimeError("adagrad with fused=True does not support differentiable=True")

    def update(
        self,
        param: Array,
        grad: Array,
        state: State,
        *,
        lr: float,
        lr_decay: float,
        eps: float,
        weight_decay: float,
        initial_accumulator_value: float,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            self._begin(param, state, initial_accumulator_value)
        rate = lr / (1 + (advance(state) - 1) * lr_decay)
        for p, g, total, t, u in blocks(2, param, grad, state["sum"]._array):
            g = with_penalty(g, p, weight_decay, maximize, t, u)
            total += np.multiply(g, g, out=t)
            t = np.sqrt(total, out=t)
            t += eps
            t = np.divide(g, t, out=t)
            add_scaled(p, t, -rate, t)


class Adadelta(Optimizer):
    """``delta = grad * sqrt(deltas + eps) / sqrt(squares + eps)`` with running means of both squares (Zeiler 2012)."""

    newer_options = COMMON_OPTIONS

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_at_least_zero(eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def update(
        self,
        param: Array,
        grad: Array,
        state: State,
        *,
        lr: float,
        rho: float,
        eps: float,
        weight_decay: float,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), square_avg=zeros_like(param), acc_delta=zeros_like(param))
        advance(state)
        for p, g, square, deltas, t, u, v in blocks(3, param, grad, state["square_avg"]._array, state["acc_delta"]._array):
            g = with_penalty(g, p, weight_decay, maximize, t, u)
            square_towards(square, g, rho, t)
            t = np.add(square, eps, out=t)
            np.sqrt(t, out=t)
            delta = np.add(deltas, eps, out=v)
            np.sqrt(delta, out=delta)
            delta /= t
            delta *= g
            square_towards(deltas, delta, rho, t)
            add_scaled(p, delta, -lr, delta)


class RMSprop(Optimizer):
    """``square = alpha * square + (1 - alpha) * grad**2; param -= lr * grad / (sqrt(square) + eps)`` (Tieleman and Hinton 2012)

    `centered` subtracts the square of the mean gradient; `momentum` accumulates the steps.
    """

    newer_options: ClassVar[dict[str, Any]] = {**COMMON_OPTIONS, "momentum": 0, "centered": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_at_least_zero(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def update(
        self,
        param: Array,
        grad: Array,
        state: State,
        *,
        lr: float,
        alpha: float,
        eps: float,
        weight_decay: float,
        momentum: float,
        centered: bool,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), square_avg=zeros_like(param))
            if momentum > 0:
                state["momentum_buffer"] = zeros_like(param)
            if centered:
                state["grad_avg"] = zeros_like(param)
        advance(state)
        means = state["grad_avg"]._array if centered else None
        buffers = state["momentum_buffer"]._array if momentum > 0 else None
        for p, g, square, mean, buffer, t, u in blocks(2, param, grad, state["square_avg"]._array, means, buffers):
            g = with_penalty(g, p, weight_decay, maximize, t, u)
            square_towards(square, g, alpha, t)
            if mean is None:
                t = np.sqrt(square, out=t)
            else:
                mean_towards(mean, g, 1 - alpha, t)
                t = np.multiply(mean, mean, out=t)
                np.subtract(square, t, out=t)
                np.sqrt(t, out=t)
            t += eps
            step = np.divide(g, t, out=t)
            if buffer is not None:
                add_scaled(buffer, step, 1, None, momentum)
                step = buffer
            add_scaled(p, step, -lr, t)
