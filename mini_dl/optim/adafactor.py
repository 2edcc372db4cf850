"""Adafactor: the mean square gradient of a matrix from those of its rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.optim.optimizer import Optimizer, State, advance, mean_towards, new_step, zeros_like
from mini_dl.tensor import Tensor, wrap


def _root_mean_square(array: Array) -> float:
    return float(np.linalg.norm(array)) / float(array.size**0.5)


class Adafactor(Optimizer):
    """Steps relative to the size of the parameter, clipped at `d`, scaled by ``rows @ columns / mean(rows)`` in place of the
    whole mean square (Shazeer and Stern 2018)."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        checks = (
            (lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}"),
            (beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}"),
            (eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}"),
            (eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}"),
            (d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}"),
            (weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}"),
        )
        for holds, text in checks:
            if not holds:
                raise ValueError(text)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self,
        param: Array,
        grad: Array,
        state: State,
        *,
        lr: float,
        beta2_decay: float,
        eps: tuple[float | None, float],
        d: float,
        weight_decay: float,
        maximize: bool,
        **_: Any,
    ) -> None:
        if param.dtype.kind == "c":
            raise RuntimeError("Adafactor does not support complex parameters")
        if not state:
            state["step"] = new_step()
            if grad.ndim > 1:
                state["row_var"] = wrap(np.zeros_like(grad[..., :1]))
                state["col_var"] = wrap(np.zeros_like(grad[..., :1, :]))
            else:
                state["variance"] = zeros_like(grad)
        grad = -grad if maximize else grad
        step = advance(state)
        least = float(np.finfo(param.dtype).eps) if eps[0] is None else eps[0]
        weight = step**beta2_decay
        rate = max(eps[1], _root_mean_square(param)) * min(lr, 1 / step**0.5)
        if weight_decay != 0:
            param *= 1 - lr * weight_decay
        square = grad * grad
        if grad.ndim > 1:
            rows, columns = state["row_var"]._array, state["col_var"]._array
            mean_towards(rows, square.mean(-1, keepdims=True), weight, None)
            mean_towards(columns, square.mean(-2, keepdims=True), weight, None)
            square = rows @ columns / np.maximum(rows.mean(-2, keepdims=True), least)
        else:
            variance = state["variance"]._array
            variance += weight * (square - variance)
            square = variance
        step_by = grad / np.sqrt(np.maximum(square, least * least))
        param -= rate / max(1.0, _root_mean_square(step_by) / d) * step_by
