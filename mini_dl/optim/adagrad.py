"""Steps scaled by the past gradients of each element: the sum of their squares, or a running mean."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.steps import add_scaled, mean_towards, square_towards, step_by_root, with_penalty
from mini_dl.nn._types import Group, Number, Options, Params, StateDict
from mini_dl.optim.optimizer import Optimizer, descent as descent
from mini_dl.optim.updates import State, chosen, new_step, refuse, stored
from mini_dl.tensor import Tensor, wrap, written


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squares of the gradient so far.

    ``sum += grad**2; param -= lr / (1 + (step - 1) * lr_decay) * grad / (sqrt(sum) + eps)``

    State: `sum` in the shape of the parameter, `initial_accumulator_value` at first; `step`.
    Raises: ValueError for negative options; RuntimeError for a sparse gradient with `weight_decay`.
    Source: Duchi et al. 2011.

    >>> descent(Adagrad, lr=0.5)
    [[0.5, 1.5], [0.2764, 1.2]]
    """

    def __init__(
        self, params: Params, lr: Number = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        checks, last = "lr lr_decay weight_decay initial_accumulator_value eps", "weight_decay initial_accumulator_value"
        super().__init__(params, chosen(locals(), checks, last + " foreach maximize differentiable fused"))
        for group in self.param_groups:  # torch too creates the sums at once
            for param in group["params"]:
                _begin(param._array, State(self.state[param]), initial_accumulator_value)

    def _check_before_step(self, group: Group) -> None:
        super()._check_before_step(group)
        if group["differentiable"] and group["fused"]:
            raise RuntimeError("adagrad with fused=True does not support differentiable=True")

    def _rate(self, param: Array, state: State, group: Options) -> float:
        """The learning rate of this step, which is counted."""
        if not state:
            _begin(param, state, group.initial_accumulator_value)
        return group.lr / (1 + (state.advance() - 1) * group.lr_decay)

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        rate = self._rate(param, state, group)
        for p, g, total, t, u in state.blocks(2, param, grad, state["sum"]):
            g = with_penalty(g, p, group.weight_decay, group.maximize, t, u)
            total += np.multiply(g, g, out=t)
            step_by_root(p, g, total, group.eps, rate, t)

    def update_sparse(self, param: Array, grad: Tensor, tensors: StateDict, group: Options) -> None:
        refuse(group.weight_decay != 0, "weight_decay option is not compatible with sparse gradients", RuntimeError)
        rate = self._rate(param, State(tensors), group)
        at, values = stored(grad, group.maximize)
        total = tensors["sum"]._array
        total[at] += values * values
        param[at] -= rate * values / (np.sqrt(total[at]) + group.eps)
        written(tensors["sum"])


def _begin(param: Array, state: State, value: float) -> None:
    start = complex(value, value) if param.dtype.kind == "c" else value
    state.tensors.update(step=new_step(), sum=wrap(np.full_like(param, start)))


class Adadelta(Optimizer):
    """Steps as large as the past steps, relative to the past gradients: `lr` only scales them.

    ``squares = rho * squares + (1 - rho) * grad**2; delta = grad * sqrt(deltas + eps) / sqrt(squares + eps)``
    ``deltas = rho * deltas + (1 - rho) * delta**2; param -= lr * delta``

    State: `square_avg`, `acc_delta` in the shape of the parameter; `step`.
    Source: Zeiler 2012.

    >>> descent(Adadelta, steps=3)
    [[0.9968, 1.9968], [0.9936, 1.9936], [0.9903, 1.9903]]
    """

    def __init__(
        self, params: Params, lr: Number = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        refuse(not 0.0 <= rho <= 1.0, f"Invalid rho value: {rho}")
        super().__init__(params, chosen(locals(), "lr eps weight_decay", "capturable foreach differentiable"))

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        state.begin(param, "square_avg", "acc_delta")
        for p, g, square, deltas, t, u, v in state.blocks(3, param, grad, state["square_avg"], state["acc_delta"]):
            g = with_penalty(g, p, group.weight_decay, group.maximize, t, u)
            square_towards(square, g, group.rho, t)
            np.add(square, group.eps, out=t)
            np.sqrt(t, out=t)
            np.add(deltas, group.eps, out=v)
            np.sqrt(v, out=v)
            v /= t
            v *= g
            square_towards(deltas, v, group.rho, t)
            add_scaled(p, v, -group.lr, v)


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of the squares of the gradient.

    ``square = alpha * square + (1 - alpha) * grad**2; param -= lr * grad / (sqrt(square) + eps)``

    `centered` subtracts the square of the mean gradient from `square`; `momentum` accumulates the steps.
    State: `square_avg`, `grad_avg` if centered, `momentum_buffer` with momentum, in the shape of the parameter; `step`.
    Source: Tieleman and Hinton 2012; centered: Graves 2013.

    >>> descent(RMSprop, lr=0.1, centered=True)
    [[-0.005, 0.995], [0.0001, 0.5437]]
    """

    _newer_options: ClassVar[Group] = {"momentum": 0}

    def __init__(
        self, params: Params, lr: Number = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        last = "alpha eps centered weight_decay capturable foreach maximize differentiable"
        super().__init__(params, chosen(locals(), "lr eps momentum weight_decay alpha", last))

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        state.begin(param, "square_avg", *["momentum_buffer"] * bool(group.momentum > 0), *["grad_avg"] * bool(group.centered))
        means = state["grad_avg"] if group.centered else None
        buffers = state["momentum_buffer"] if group.momentum > 0 else None
        for p, g, square, mean, buffer, t, u in state.blocks(2, param, grad, state["square_avg"], means, buffers):
            g = with_penalty(g, p, group.weight_decay, group.maximize, t, u)
            square_towards(square, g, group.alpha, t)
            if mean is None:
                np.sqrt(square, out=t)
            else:
                mean_towards(mean, g, 1 - group.alpha, t)
                np.multiply(mean, mean, out=t)
                np.subtract(square, t, out=t)
                np.sqrt(t, out=t)
            t += group.eps
            np.divide(g, t, out=t)
            if buffer is not None:
                add_scaled(buffer, t, 1, None, group.momentum)
            add_scaled(p, t if buffer is None else buffer, -group.lr, t)
