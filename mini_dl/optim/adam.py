"""Adam and its kin: running means of the gradient and of its square, or of its greatest absolute value."""

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
    check_betas,
    check_flags,
    check_learning_rate,
    mean_towards,
    new_step,
    number,
    square_towards,
    with_penalty,
    zeros_like,
)
from mini_dl.tensor import Tensor, wrap


def check_beta_tensors(betas: tuple[Any, Any], foreach: bool | None, capturable: bool) -> None:
    """ValueError unless both are floats, or both tensors of one element."""
    tensors = [isinstance(beta, Tensor) for beta in betas]
    if not (all(tensors) or all([isinstance(beta, float) for beta in betas])):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor):
            if foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")


def parts_of_decay(weight_decay: Any, lr: Any, decoupled: bool) -> tuple[Any, Any]:
    """The factor of the penalty in the gradient, 0 if the decay is `decoupled` from it; and the part of the parameter that a step
    then keeps, ``1 - lr * weight_decay``, None if all."""
    if not decoupled:
        return weight_decay, None
    return 0, None if weight_decay == 0 else 1 - lr * weight_decay


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
        check_at_least_zero(eps=eps)
        check_betas(betas)
        check_at_least_zero(weight_decay=weight_decay)
        check_beta_tensors(betas, foreach, capturable)
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

    def _check_before_step(self, group: dict[str, Any]) -> None:
        super()._check_before_step(group)
        if group["differentiable"]:
            states = [self.state.get(param) for param in group["params"] if param._grad is not None]
            if any([state and state["step"].requires_grad for state in states]):
                raise RuntimeError("`requires_grad` is not supported for `step` in differentiable mode")
            if group["fused"]:
                raise RuntimeError("Adam with fused=True does not support differentiable=True")

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
        advance(state)
        step = number(state["step"]._array)
        beta1, beta2 = betas
        root = (1 - beta2**step) ** 0.5  # sqrt(square / root^2) + eps = (sqrt(square) + eps * root) / root
        rate, floor = lr / (1 - beta1**step) * root, eps * root
        largest = state["max_exp_avg_sq"]._array if amsgrad else None
        arrays = blocks(2, param, grad, state["exp_avg"]._array, state["exp_avg_sq"]._array, largest)
        penalty, keep = parts_of_decay(weight_decay, lr, decoupled_weight_decay)
        for p, g, mean, square, top, t, u in arrays:
            g = with_penalty(g, p, penalty, maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            square_towards(square, g, beta2, t)
            if top is not None:
                square = np.maximum(top, square, out=top)
            t = np.sqrt(square, out=t)
            t += floor
            t = np.divide(mean, t, out=t)
            add_scaled(p, t, -rate, t, keep)


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


class Adamax(Optimizer):
    """`Adam` with the greatest absolute gradient, decaying by b2, for the root of the mean square (Kingma and Ba 2014)."""

    newer_options = COMMON_OPTIONS

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_at_least_zero(eps=eps)
        check_betas(betas)
        check_at_least_zero(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
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
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), exp_avg=zeros_like(param), exp_inf=zeros_like(param))
        step = advance(state)
        beta1, beta2 = betas
        rate = lr / (1 - beta1**step)
        for p, g, mean, greatest, t, u in blocks(2, param, grad, state["exp_avg"]._array, state["exp_inf"]._array):
            g = with_penalty(g, p, weight_decay, maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            greatest *= beta2
            t = np.abs(g, out=t)
            t += eps
            np.maximum(greatest, t, out=greatest)
            t = np.divide(mean, greatest, out=t)
            add_scaled(p, t, -rate, t)


class NAdam(Optimizer):
    """`Adam` with Nesterov momentum (Dozat 2016)."""

    newer_options: ClassVar[dict[str, Any]] = {**COMMON_OPTIONS, "decoupled_weight_decay": False}
    tensors_of_step = "params, mu_products and state_steps"

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_at_least_zero(eps=eps)
        check_betas(betas)
        check_at_least_zero(weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
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
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        momentum_decay: float,
        decoupled_weight_decay: bool,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            one = wrap(np.ones_like(new_step()._array))
            state.update(step=new_step(), mu_product=one, exp_avg=zeros_like(param), exp_avg_sq=zeros_like(param))
        step = advance(state)
        beta1, beta2 = betas
        now, later = [beta1 * (1.0 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (step, step + 1)]
        product = state["mu_product"]._array
        product *= now
        by_grad = lr * (1.0 - now) / (1.0 - number(product))
        by_mean = lr * later / (1.0 - number(product) * later)
        penalty, keep = parts_of_decay(weight_decay, lr, decoupled_weight_decay)
        for p, g, mean, square, t, u in blocks(2, param, grad, state["exp_avg"]._array, state["exp_avg_sq"]._array):
            g = with_penalty(g, p, penalty, maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            square_towards(square, g, beta2, t)
            root = np.divide(square, 1 - beta2**step, out=t)
            np.sqrt(root, out=root)
            root += eps
            u = np.multiply(g, by_grad, out=u)
            add_scaled(u, mean, by_mean, None)
            u /= root
            add_scaled(p, u, -1, u, keep)


class RAdam(Optimizer):
    """`Adam` that does without the square until its variance is known well enough (Liu et al. 2019)."""

    newer_options: ClassVar[dict[str, Any]] = {**COMMON_OPTIONS, "decoupled_weight_decay": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_at_least_zero(eps=eps)
        check_betas(betas)
        check_at_least_zero(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
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
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        decoupled_weight_decay: bool,
        maximize: bool,
        **_: Any,
    ) -> None:
        if not state:
            state.update(step=new_step(), exp_avg=zeros_like(param), exp_avg_sq=zeros_like(param))
        step = advance(state)
        beta1, beta2 = betas
        rate, unbias = lr / (1 - beta1**step), 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / unbias  # of the simple mean that this running one is worth
        if length > 5.0:
            rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            rate *= rectified**0.5 * unbias**0.5
        penalty, keep = parts_of_decay(weight_decay, lr, decoupled_weight_decay)
        for p, g, mean, square, t, u in blocks(2, param, grad, state["exp_avg"]._array, state["exp_avg_sq"]._array):
            g = with_penalty(g, p, penalty, maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            square_towards(square, g, beta2, t)
            if length > 5.0:
                t = np.sqrt(square, out=t)
                t += eps
                t = np.divide(mean, t, out=t)
                add_scaled(p, t, -rate, t, keep)
            else:
                add_scaled(p, mean, -rate, t, keep)
