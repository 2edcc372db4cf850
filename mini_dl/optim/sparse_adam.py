"""Adam for sparse gradients, which mini_dl does not have."""

from __future__ import annotations

from mini_dl._dtypes import Array
from mini_dl.nn._types import Betas, Number, Options, Params
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.updates import State, check_one_element, chosen


class SparseAdam(Optimizer):
    """Adam that changes only the elements that a sparse gradient contains.

    There is no sparse layout here, so every gradient is dense, and `step` raises torch's RuntimeError for dense gradients.
    ValueError for complex parameters.

    >>> import mini_dl as torch
    >>> torch.optim.SparseAdam([torch.zeros(2)], lr=0.1).defaults["betas"]
    (0.9, 0.999)
    """

    def __init__(
        self, params: Params, lr: Number = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, maximize: bool = False
    ) -> None:
        options = chosen(locals(), "betas")
        check_one_element(lr)
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        super().__init__(params, options)
        places = [[i, j] for i, g in enumerate(self.param_groups) for j, p in enumerate(g["params"]) if p.is_complex()]
        if places:
            raise ValueError(f"Complex params at indices {places}: SparseAdam does not support complex parameters")

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
