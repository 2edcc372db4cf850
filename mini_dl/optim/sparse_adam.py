"""Adam for sparse gradients."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.nn._types import Betas, Number, Options, Params, StateDict
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.updates import State, check_one_element, chosen, refuse, stored
from mini_dl.tensor import Tensor, wrap, written


class SparseAdam(Optimizer):
    """`Adam` that changes only the elements that a sparse gradient stores; means and parameters elsewhere stay as they are.

    ``mean += (1 - b1) * (grad - mean); square += (1 - b2) * (grad**2 - square)``
    ``param -= lr * sqrt(1 - b2**step) / (1 - b1**step) * mean / (sqrt(square) + eps)``

    State: `exp_avg`, `exp_avg_sq` in the shape of the parameter; `step`, an int.
    Raises: RuntimeError for a dense gradient; ValueError for complex parameters and options that are not positive.
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
        places = [[i, j] for i, g in enumerate(self.param_groups) for j, p in enumerate(g["params"]) if p.is_complex()]
        refuse(places, f"Complex params at indices {places}: SparseAdam does not support complex parameters")

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")

    def update_sparse(self, param: Array, grad: Tensor, tensors: StateDict, group: Options) -> None:
        if not tensors:
            tensors.update(step=0, exp_avg=wrap(np.zeros_like(param)), exp_avg_sq=wrap(np.zeros_like(param)))
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
