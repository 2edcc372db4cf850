"""Optimizers that treat a parameter as a matrix: its rows and columns, or its singular values."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array, limits_of
from mini_dl.kernels.orthogonal import orthogonalized
from mini_dl.nn._types import Number, Options, Params
from mini_dl.optim.optimizer import Optimizer, descent as descent
from mini_dl.optim.updates import State, check_one_element, chosen, new_step, refuse, zeros_like
from mini_dl.tensor import Tensor


class Adafactor(Optimizer):
    """Steps relative to the size of the parameter, with the mean square of a matrix estimated from its rows and columns.

    ``w = step ** beta2_decay; rows += w * (mean of grad**2 along the rows - rows)``, columns alike
    ``square = rows @ columns / mean(rows); move = grad / sqrt(square)``
    ``param -= max(eps[1], rms(param)) * min(lr, 1 / sqrt(step)) * move / max(1, rms(move) / d)``

    State: `row_var` (*, m, 1) and `col_var` (*, 1, n) for a parameter (*, m, n), `variance` for fewer dimensions; `step`.
    Raises: ValueError for options out of range; RuntimeError for complex parameters.
    Source: Shazeer and Stern 2018.

    >>> descent(Adafactor, lr=0.1)
    [[0.8419, 1.8419], [0.7098, 1.7038]]
    """

    def __init__(
        self, params: Params, lr: Number = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        options = chosen(locals())
        check_one_element(lr)
        refuse(not lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        refuse(not beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        refuse(eps[0] is not None and not eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        refuse(not eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        refuse(not d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}")
        refuse(not weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(params, options)

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        refuse(param.dtype.kind == "c", "Adafactor does not support complex parameters", RuntimeError)
        if not state:
            parts = {"row_var": grad[..., :1], "col_var": grad[..., :1, :]} if grad.ndim > 1 else {"variance": grad}
            state.tensors.update(step=new_step(), **{name: zeros_like(part) for name, part in parts.items()})
        grad = -grad if group.maximize else grad
        step, lr, eps = state.advance(), group.lr, group.eps
        least = float(limits_of(param.dtype).eps) if eps[0] is None else eps[0]
        weight = step**group.beta2_decay
        rate = max(eps[1], _root_mean_square(param)) * min(lr, 1 / step**0.5)
        if group.weight_decay != 0:
            param *= 1 - lr * group.weight_decay
        square = grad * grad
        if grad.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows += weight * (square.mean(-1, keepdims=True) - rows)
            columns += weight * (square.mean(-2, keepdims=True) - columns)
            square = rows @ columns / np.maximum(rows.mean(-2, keepdims=True), least)
        else:
            variance = state["variance"]
            variance += weight * (square - variance)
            square = variance
        step_by = grad / np.sqrt(np.maximum(square, least * least))
        param -= rate / max(1.0, _root_mean_square(step_by) / group.d) * step_by


class Muon(Optimizer):
    """Momentum made (nearly) orthogonal, for the matrices of hidden layers.

    ``mean += (1 - momentum) * (grad - mean)``, and with `nesterov` ``mean' = grad + momentum * (mean - grad)``
    ``param -= lr * factor * orthogonal(mean')``, where `ns_steps` steps of Newton and Schulz, in bfloat16 as in torch, bring all
    singular values to about 1

    The factor is ``sqrt(max(1, m / n))``, or ``0.2 * sqrt(max(m, n))`` with "match_rms_adamw".
    State: `momentum_buffer` (m, n), as the parameter.
    Raises: ValueError for a parameter that is not a matrix or options out of range; RuntimeError for a complex one.
    Source: Jordan et al. 2024; "match_rms_adamw": Liu et al. 2025.

    >>> import mini_dl as torch
    >>> w = torch.zeros(2, 3, requires_grad=True)
    >>> w.grad = torch.tensor([[4.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> torch.optim.Muon([w], lr=0.1).step()
    >>> torch.linalg.svdvals(w.detach())
    tensor([0.0730, 0.0730])
    """

    def __init__(
        self, params: Params, lr: Number = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        options = chosen(locals())
        check_one_element(lr)
        for name, value in (("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)):
            refuse(not value >= 0.0, f"{name} should be >= 0 but is: {value}")
        for factor in ns_coefficients:
            if not isinstance(factor, (int, float, Tensor)):
                raise TypeError(f"ns_coefficients must be numbers, but got {ns_coefficients}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, options)
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim != 2:
                    raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}")

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        refuse(param.dtype.kind == "c", "Muon does not support complex parameters", RuntimeError)
        refuse(grad.ndim != 2, "Param gradient must be a 2D matrix")
        if not state:
            state.tensors["momentum_buffer"] = zeros_like(grad)
        mean = state["momentum_buffer"]
        mean[...] = _between(mean, grad, 1 - group.momentum)
        direction = _between(grad, mean, group.momentum) if group.nesterov else mean
        step = orthogonalized(direction, group.ns_coefficients, group.ns_steps, group.eps)
        rows, columns = param.shape
        if group.adjust_lr_fn == "match_rms_adamw":
            rate = group.lr * 0.2 * math.sqrt(max(rows, columns))
        else:
            rate = group.lr * math.sqrt(max(1, rows / columns))
        param *= 1 - group.lr * group.weight_decay
        param -= step.astype(param.dtype) * rate


def _between(start: Array, end: Array, weight: float) -> Array:
    """``start + weight * (end - start)``, counted from the nearer end."""
    return start + (end - start) * weight if abs(weight) < 0.5 else end - (end - start) * (1 - weight)


def _root_mean_square(array: Array) -> float:
    return float(np.linalg.norm(array)) / float(array.size**0.5)
