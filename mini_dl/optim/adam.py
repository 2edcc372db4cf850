"""Adam and its variant with decoupled weight decay."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.optim.optimizer import (
    Optimizer,
    State,
    advance,
    blocks,
    check_flags,
    check_learning_rate,
    new_step,
    zeros_like,
)
from mini_dl.tensor import Tensor


def check_betas(betas: tuple[Any, Any], foreach: bool | None, capturable: bool) -> None:
    """ValueError unless both are floats, or both tensors of one element, from [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    tensors = [isinstance(beta, Tensor) for beta in betas]
    if not (all(tensors) or all([isinstance(beta, float) for beta in betas])):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor):
            if foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square (Kingma and Ba 2014).

    ``mean = b1 * mean + (1 - b1) * grad``, ``square = b2 * square + (1 - b2) * grad**2``, both divided by ``1 - b**step``;
    ``param -= lr * mean / (sqrt(square) + eps)``. `amsgrad` takes the largest square so far (Reddi et al. 2018).
    """

    newer_options: ClassVar[dict[str, Any]] = {
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "fused": None,
    }

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_learning_rate(lr)
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas, foreach, capturable)
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "betas": tuple([beta.squeeze() if isinstance(beta, Tensor) and beta.ndim else beta for beta in betas]),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
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
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        amsgrad: bool,
        maximize: bool,
        decoupled_weight_decay: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), exp_avg=zeros_like(param), exp_avg_sq=zeros_like(param))
            if amsgrad:
                state["max_exp_avg_sq"] = zeros_like(param)
        step = advance(state)
        beta1, beta2 = betas
        root = (1 - beta2**step) ** 0.5  # sqrt(square / root^2) + eps = (sqrt(square) + eps * root) / root
        rate, floor = lr / (1 - beta1**step) * root, eps * root
        largest = state["max_exp_avg_sq"]._array if amsgrad else None
        arrays = blocks(2, param, grad, state["exp_avg"]._array, state["exp_avg_sq"]._array, largest)
        for p, g, mean, square, top, t, u in arrays:
            if maximize:
                g = np.negative(g, out=u)
            if weight_decay != 0:
                if decoupled_weight_decay:
                    p *= 1 - lr * weight_decay
                else:
                    g = np.add(g, np.multiply(p, weight_decay, out=t), out=u)
            t = np.subtract(g, mean, out=t)
            t *= 1 - beta1
            mean += t
            square *= beta2
            t = np.multiply(g, g, out=t)
            t *= 1 - beta2
            square += t
            if top is not None:
                square = np.maximum(top, square, out=top)
            t = np.sqrt(square, out=t)
            t += floor
            t = np.divide(mean, t, out=t)
            t *= rate
            p -= t


class AdamW(Adam):
    """`Adam` whose weight decay shrinks the parameter itself: ``param *= 1 - lr * weight_decay`` (Loshchilov and Hutter 2017)."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
