"""Adafactor: the mean square gradient of a matrix, estimated from those of its rows and columns."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array, limits_of
from mini_dl.nn._types import Number, Options, Params
from mini_dl.optim.optimizer import Optimizer, descent as descent
from mini_dl.optim.updates import State, check_one_element, chosen, new_step, refuse, zeros_like


def _root_mean_square(array: Array) -> float:
    return float(np.linalg.norm(array)) / float(array.size**0.5)


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
        if param.dtype.kind == "c":
            raise RuntimeError("Adafactor does not support complex parameters")
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
