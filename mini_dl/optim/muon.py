"""Muon: the momentum of a matrix, made orthogonal."""

from __future__ import annotations

import math

from mini_dl._dtypes import Array
from mini_dl.kernels.orthogonal import orthogonalized
from mini_dl.nn._types import Number, Options, Params
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.updates import State, check_one_element, chosen, refuse, zeros_like
from mini_dl.tensor import Tensor


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
        if param.dtype.kind == "c":
            raise RuntimeError("Muon does not support complex parameters")
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
