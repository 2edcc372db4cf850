"""The Adam family: running means of the gradient and of its square, or of its greatest absolute value."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.steps import add_scaled, mean_towards, square_towards, step_by_root, with_penalty
from mini_dl.nn._types import Betas, Group, Number, Options, Params, StateDict
from mini_dl.optim.optimizer import Optimizer, descent as descent
from mini_dl.optim.updates import State, check_one_element, chosen, parts_of_decay, refuse, stored, zeros_like
from mini_dl.tensor import Tensor, written


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square, both corrected for their start from zero.

    ``mean = b1 * mean + (1 - b1) * grad; square = b2 * square + (1 - b2) * grad**2``
    ``param -= lr * mean / (1 - b1**step) / (sqrt(square / (1 - b2**step)) + eps)``

    `weight_decay` adds ``weight_decay * param`` to the gradient; `amsgrad` takes the largest square so far.
    State: `exp_avg`, `exp_avg_sq`, and `max_exp_avg_sq` with `amsgrad`, in the shape of the parameter; `step`.
    Raises: ValueError for negative options, betas outside [0, 1), or a float next to a tensor in `betas`.
    Source: Kingma and Ba 2014; `amsgrad`: Reddi et al. 2018.

    >>> descent(Adam, lr=0.1)
    [[0.9, 1.9], [0.8004, 1.8002]]
    """

    def __init__(
        self, params: Params, lr: Number = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        options = chosen(locals(), "lr eps betas weight_decay", "foreach capturable differentiable fused decoupled_weight_decay")
        super().__init__(params, {**options, "betas": _checked_betas(betas, foreach, capturable)})

    def _check_before_step(self, group: Group) -> None:
        super()._check_before_step(group)
        if group["differentiable"]:
            states = [self.state.get(param) for param in group["params"] if param._grad is not None]
            if any([state and state["step"].requires_grad for state in states]):
                raise RuntimeError("`requires_grad` is not supported for `step` in differentiable mode")
            refuse(group["fused"], "Adam with fused=True does not support differentiable=True", RuntimeError)

    def update_sparse(self, param: Array, grad: Tensor, tensors: StateDict, group: Options) -> None:
        raise RuntimeError("Adam does not support sparse gradients, please consider SparseAdam instead")

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        state.begin(param, "exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * bool(group.amsgrad))
        step, (beta1, beta2) = state.number("step"), group.betas
        root = (1 - beta2**step) ** 0.5  # sqrt(square / root^2) + eps = (sqrt(square) + eps * root) / root
        rate, floor = group.lr / (1 - beta1**step) * root, group.eps * root
        penalty, keep = parts_of_decay(group.weight_decay, group.lr, group.decoupled_weight_decay)
        largest = state["max_exp_avg_sq"] if group.amsgrad else None
        for p, g, mean, square, top, t, u in state.blocks(2, param, grad, state["exp_avg"], state["exp_avg_sq"], largest):
            g = with_penalty(g, p, penalty, group.maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            square_towards(square, g, beta2, t)
            step_by_root(p, mean, square if top is None else np.maximum(top, square, out=top), floor, rate, t, keep)


def _checked_betas(betas: Betas, foreach: bool | None, capturable: bool) -> tuple[Number, ...]:
    """Betas that are both floats, or both tensors of one element, returned as 0-d tensors. ValueError for others."""
    tensors = [isinstance(beta, Tensor) for beta in betas]
    if not (all(tensors) or all([isinstance(beta, float) for beta in betas])):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor):
            refuse(foreach and not capturable, f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            refuse(beta.numel() != 1, f"Tensor betas[{i}] must be 1-element")
    return tuple([beta.squeeze() if isinstance(beta, Tensor) and beta.ndim else beta for beta in betas])


class AdamW(Adam):
    """`Adam` whose weight decay shrinks the parameter itself instead of changing the gradient.

    ``param *= 1 - lr * weight_decay``, then the step of `Adam`

    State: as of `Adam`.
    Source: Loshchilov and Hutter 2017.

    >>> descent(AdamW, lr=0.1, weight_decay=0.5)
    [[0.85, 1.8], [0.7082, 1.6104]]
    """

    def __init__(
        self, params: Params, lr: Number = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2,
        amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, **chosen(locals()), decoupled_weight_decay=True)

    def __setstate__(self, state: StateDict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class Adamax(Optimizer):
    """`Adam` with the greatest absolute gradient, which decays by b2, in place of the root of the mean square.

    ``mean = b1 * mean + (1 - b1) * grad; greatest = max(b2 * greatest, abs(grad) + eps)``
    ``param -= lr / (1 - b1**step) * mean / greatest``

    State: `exp_avg`, `exp_inf` in the shape of the parameter; `step`.
    Source: Kingma and Ba 2014, section 7.1.

    >>> descent(Adamax, lr=0.1)
    [[0.9, 1.9], [0.8052, 1.8025]]
    """

    def __init__(
        self, params: Params, lr: Number = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, chosen(locals(), "lr eps betas weight_decay"))

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        step, (beta1, beta2) = state.begin(param, "exp_avg", "exp_inf"), group.betas
        rate = group.lr / (1 - beta1**step)
        for p, g, mean, greatest, t, u in state.blocks(2, param, grad, state["exp_avg"], state["exp_inf"]):
            g = with_penalty(g, p, group.weight_decay, group.maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            greatest *= beta2
            np.abs(g, out=t)
            t += group.eps
            np.maximum(greatest, t, out=greatest)
            np.divide(mean, greatest, out=t)
            add_scaled(p, t, -rate, t)


class NAdam(Optimizer):
    """`Adam` with Nesterov momentum, which grows from step to step.

    ``m_k = b1 * (1 - 0.96 ** (k * momentum_decay) / 2)``; `mean` and `square` as in `Adam`
    ``move = (1 - m_k) * grad / (1 - m_1 * ... * m_k) + m_(k+1) * mean / (1 - m_1 * ... * m_(k+1))``
    ``param -= lr * move / (sqrt(square / (1 - b2**step)) + eps)``

    State: `exp_avg`, `exp_avg_sq` in the shape of the parameter; `step`, `mu_product`.
    Source: Dozat 2016.

    >>> descent(NAdam, lr=0.1)
    [[0.8944, 1.8944], [0.82, 1.8179]]
    """

    _tensors_of_step = "params, mu_products and state_steps"

    def __init__(
        self, params: Params, lr: Number = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = chosen(locals(), "lr eps betas weight_decay momentum_decay", "foreach capturable differentiable")
        super().__init__(params, options)

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        step, (beta1, beta2) = state.begin(param, "exp_avg", "exp_avg_sq", mu_product=1), group.betas
        now, later = [beta1 * (1.0 - 0.5 * 0.96 ** (k * group.momentum_decay)) for k in (step, step + 1)]
        product = state["mu_product"]
        product *= now
        by_grad = group.lr * (1.0 - now) / (1.0 - state.number("mu_product"))
        by_mean = group.lr * later / (1.0 - state.number("mu_product") * later)
        penalty, keep = parts_of_decay(group.weight_decay, group.lr, group.decoupled_weight_decay)
        for p, g, mean, square, t, u in state.blocks(2, param, grad, state["exp_avg"], state["exp_avg_sq"]):
            g = with_penalty(g, p, penalty, group.maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            square_towards(square, g, beta2, t)
            np.multiply(g, by_grad, out=u)
            np.multiply(mean, by_mean, out=t)
            u += t
            step_by_root(p, u, np.divide(square, 1 - beta2**step, out=t), group.eps, 1, t, keep)


class RAdam(Optimizer):
    """`Adam` that ignores the square of the gradient until its variance is known well enough.

    ``longest = 2 / (1 - b2) - 1; r = longest - 2 * step * b2**step / (1 - b2**step)``; `mean` and `square` as in `Adam`
    ``param -= lr * mean / (1 - b1**step)`` while ``r <= 5``, later with the second factor of `Adam` and
    ``sqrt((r - 4) * (r - 2) * longest / ((longest - 4) * (longest - 2) * r))``

    State: `exp_avg`, `exp_avg_sq` in the shape of the parameter; `step`.
    Source: Liu et al. 2019.

    >>> descent(RAdam, lr=0.1)
    [[0.8, 1.6], [0.6211, 1.2421]]
    """

    def __init__(
        self, params: Params, lr: Number = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = chosen(locals(), "lr eps betas weight_decay", "foreach capturable decoupled_weight_decay differentiable")
        super().__init__(params, options)

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        step, (beta1, beta2) = state.begin(param, "exp_avg", "exp_avg_sq"), group.betas
        rate, unbias = group.lr / (1 - beta1**step), 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / unbias  # the length of the simple mean that this running mean is worth
        if length > 5.0:
            rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            rate *= rectified**0.5 * unbias**0.5
        penalty, keep = parts_of_decay(group.weight_decay, group.lr, group.decoupled_weight_decay)
        for p, g, mean, square, t, u in state.blocks(2, param, grad, state["exp_avg"], state["exp_avg_sq"]):
            g = with_penalty(g, p, penalty, group.maximize, t, u)
            mean_towards(mean, g, 1 - beta1, t)
            square_towards(square, g, beta2, t)
            if length > 5.0:
                step_by_root(p, mean, square, group.eps, rate, t, keep)
            else:
                add_scaled(p, mean, -rate, t, keep)


class SparseAdam(Optimizer):
    """`Adam` that changes only the elements that a sparse gradient stores; means and parameters elsewhere stay as they are.

    ``mean += (1 - b1) * (grad - mean); square += (1 - b2) * (grad**2 - square)``
    ``param -= lr * sqrt(1 - b2**step) / (1 - b1**step) * mean / (sqrt(square) + eps)``

    State: `exp_avg`, `exp_avg_sq` in the shape of the parameter; `step`, an int.
    Raises: RuntimeError for a dense gradient; ValueError for sparse or complex parameters, and options that are not positive.
    Source: Kingma and Ba 2014.

    >>> import mini_dl as torch
    >>> table = torch.nn.Embedding(3, 1, sparse=True)
    >>> _ = torch.nn.init.zeros_(table.weight)
    >>> table(torch.tensor([1])).sum().backward()
    >>> torch.optim.SparseAdam(table.parameters(), lr=0.1).step()
    >>> table.weight.detach().flatten()
    tensor([ 0.0000, -0.1000,  0.0000])
    """

    def __init__(
        self, params: Params, lr: Number = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, maximize: bool = False
    ) -> None:
        options = chosen(locals(), "betas")
        check_one_element(lr)
        refuse(not lr > 0.0, f"Invalid learning rate: {lr}")
        refuse(not eps > 0.0, f"Invalid epsilon value: {eps}")
        super().__init__(params, options)
        placed = [([i, j], param) for i, group in enumerate(self.param_groups) for j, param in enumerate(group["params"])]
        places = [place for place, param in placed if param._sparse]
        refuse(places, f"Sparse params at indices {places}: SparseAdam requires dense parameter tensors")
        places = [place for place, param in placed if param.is_complex()]
        refuse(places, f"Complex params at indices {places}: SparseAdam does not support complex parameters")

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")

    def update_sparse(self, param: Array, grad: Tensor, tensors: StateDict, group: Options) -> None:
        if not tensors:
            tensors.update(step=0, exp_avg=zeros_like(param), exp_avg_sq=zeros_like(param))
        tensors["step"] += 1
        at, values = stored(grad, group.maximize)
        if not values.size:
            return
        (beta1, beta2), step = group.betas, tensors["step"]
        mean, square = tensors["exp_avg"]._array, tensors["exp_avg_sq"]._array
        mean[at] += (values - mean[at]) * (1 - beta1)
        square[at] += (values * values - square[at]) * (1 - beta2)
        rate = group.lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        param[at] -= rate * mean[at] / (np.sqrt(square[at]) + group.eps)
        for name in ("exp_avg", "exp_avg_sq"):
            written(tensors[name])
