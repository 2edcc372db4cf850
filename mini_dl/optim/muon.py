"""Muon: the momentum of a matrix, made orthogonal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.updates import BLOCK, State, check_one_element, chosen, zeros_like


class Muon(Optimizer):
    """Momentum whose direction is made (nearly) orthogonal by the iteration of Newton and Schulz (Jordan et al. 2024).

    For the matrices of hidden layers. ``mean += (1 - momentum) * (grad - mean)``; the step is `mean`, or with `nesterov` the
    point at `momentum` between `grad` and it, with all its singular values brought to about 1: that is computed in bfloat16, as
    in torch.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        options = chosen(locals())
        check_one_element(lr)
        for name, value in (("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)):
            if not value >= 0.0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, options)
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim != 2:
                    raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}")

    def update(self, param: Array, grad: Array, state: State, group: Any) -> None:
        if param.dtype.kind == "c":
            raise RuntimeError("Muon does not support complex parameters")
        if grad.ndim != 2:
            raise ValueError("Param gradient must be a 2D matrix")
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


def orthogonalized(matrix: Array, coefficients: tuple[float, float, float], steps: int, eps: float) -> Array:
    """`matrix` with its singular values s near 1, by `steps` times ``s = a * s + b * s**3 + c * s**5``; (m, n) as float32.

    Every intermediate result is rounded to bfloat16. ValueError for 100 or more steps, or coefficients that are not three.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = _bfloat16(matrix)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    norm = _bfloat16(np.sqrt(np.square(x).sum(keepdims=True)))
    x = _bfloat16(x / np.maximum(norm, _bfloat16(np.array(eps))))
    for _ in range(steps):
        gram = _bfloat16(x @ x.T)
        x = _sum(a, x, 1, _sum(b, gram, c, gram @ gram) @ x)
    return x.T if tall else x


def _between(start: Array, end: Array, weight: float) -> Array:
    """``start + weight * (end - start)``, counted from the nearer end."""
    return start + (end - start) * weight if abs(weight) < 0.5 else end - (end - start) * (1 - weight)


def _sum(a: float, x: Array, c: float, y: Array) -> Array:
    """``a * x + c * y`` rounded once: in float64 nothing is lost before. A few rows at a time, to stay in the cache."""
    first, second = np.float64(np.float32(a)), np.float64(np.float32(c))
    out = np.empty(x.shape, np.float32)
    rows = max(1, BLOCK // 2 // max(1, x.shape[1]))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        out[part] = _bfloat16(first * x[part] + second * y[part])
    return out


def _bfloat16(values: Array) -> Array:
    """The nearest numbers with eight significant bits (ties to even), as float32."""
    bits = np.array(values, np.float32, order="C").view(np.uint32)
    up = bits >> 16
    up &= 1
    up += 0x7FFF
    bits += up
    bits &= 0xFFFF0000
    return bits.view(np.float32)
