"""Stochastic gradient descent, and its average."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.steps import add_scaled, with_penalty
from mini_dl.nn._types import Group, Number, Options, Params, StateDict
from mini_dl.optim.optimizer import Optimizer, descent as descent
from mini_dl.optim.updates import State, chosen, refuse, refuse_bools
from mini_dl.tensor import Tensor, wrap


class SGD(Optimizer):
    """Steps against the gradient, with momentum if asked for.

    ``param -= lr * grad``; with momentum m ``buffer = m * buffer + (1 - dampening) * grad; param -= lr * buffer``

    `nesterov` steps along ``grad + m * buffer``. `weight_decay` adds ``weight_decay * param`` to the gradient.
    State: `momentum_buffer` in the shape of the parameter, the gradient at first; without momentum none.
    Raises: ValueError for negative options, for `nesterov` without momentum or with dampening.
    Source: Robbins and Monro 1951; momentum: Polyak 1964; `nesterov`: Sutskever et al. 2013.

    >>> import mini_dl as torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000, 1.6000], requires_grad=True)
    """

    _newer_options: ClassVar[Group] = {"fused": False}
    _foreach_is_recorded = True

    def __init__(
        self, params: Params, lr: Number = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: Number = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        options = chosen(locals(), "lr")
        refuse_bools(lr)
        for name in ("momentum", "weight_decay"):
            refuse(options[name] < 0.0, f"Invalid {name} value: {options[name]}")
        refuse(nesterov and (momentum <= 0 or dampening != 0), "Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, options)

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        momentum, buffer = group.momentum, None
        if momentum != 0:
            if first := state.tensors.get("momentum_buffer") is None:
                state.tensors["momentum_buffer"] = wrap(np.empty_like(param))
            buffer = state["momentum_buffer"]
        part = 1.0 if momentum == 0 or first else (group.dampening - 1) if group.maximize else (1 - group.dampening)
        for p, g, b, t, u in state.blocks(2, param, grad, buffer):
            sign = -1 if group.maximize else 1
            if group.weight_decay != 0:
                np.multiply(p, sign * group.weight_decay, out=t)
                g = np.add(g, t, out=t)
            if b is not None:
                if first:
                    np.multiply(state.detached(g), sign, out=b)
                else:
                    add_scaled(b, g, part, u, momentum)
                if group.nesterov:
                    np.multiply(b, sign * momentum, out=u)
                    g = np.add(g, u, out=u)
                else:
                    g, sign = b, 1
            add_scaled(p, g, -sign * group.lr, u)

    def update_sparse(self, param: Array, grad: Tensor, tensors: StateDict, group: Options) -> None:
        grad = -grad.detach() if group.maximize else grad.detach()
        if group.weight_decay != 0:
            grad = grad.add(wrap(param), alpha=group.weight_decay)  # which is refused, as in torch
        if group.momentum != 0:
            buffer = tensors.get("momentum_buffer")
            if buffer is None:
                buffer = tensors["momentum_buffer"] = grad.clone()
            else:
                buffer.mul_(group.momentum).add_(grad, alpha=1 - group.dampening)
            grad = grad.add(buffer, alpha=group.momentum) if group.nesterov else buffer
        places = grad.places()  # type: ignore[attr-defined]  # of a sparse tensor
        np.add.at(param, tuple(places), -group.lr * grad._values()._array)


class ASGD(Optimizer):
    """Steps that shrink and, from step `t0` on, the average of the parameters they lead to.

    ``param = (1 - lambd * eta) * param - eta * grad; eta = lr / (1 + lambd * lr * step) ** alpha``
    ``ax += mu * (param - ax); mu = 1 / max(1, step - t0)``

    State: `ax`, the average, in the shape of the parameter; `step`, `eta`, `mu`.
    Source: Polyak and Juditsky 1992.

    >>> descent(ASGD, lr=0.1)
    [[0.8, 1.6], [0.64, 1.28]]
    """

    _tensors_of_step = "params, mus, etas, and state_steps"

    def __init__(
        self, params: Params, lr: Number = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, chosen(locals(), "lr weight_decay"))

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        step, lr, lambd = state.begin(param, "ax", eta=group.lr, mu=1), group.lr, group.lambd
        eta, mu = float(state["eta"]), float(state["mu"])
        if np.iscomplexobj(lambd) and param.dtype.kind != "c":
            raise RuntimeError(f"a real parameter cannot decay by lambd={lambd}")
        if group.foreach:
            step = state["step"][()]  # torch's other implementation computes eta in the type of the count
        later = lr / (1 + lambd * lr * step) ** group.alpha, 1 / max(1, step - group.t0)  # before anything is written
        for p, g, mean, t, u in state.blocks(2, param, grad, state["ax"]):
            g = with_penalty(g, p, group.weight_decay, group.maximize, t, u)
            p *= 1 - lambd * eta
            add_scaled(p, g, -eta, t)
            np.subtract(p, mean, out=t)
            t *= mu
            mean += t
            if mu == 1:
                mean[...] = p
        state.put("eta", later[0])
        state.put("mu", later[1])
