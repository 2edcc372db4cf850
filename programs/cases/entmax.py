"""entmax: sparse relatives of softmax."""

import torch
from entmax import entmax15, entmax_bisect, sparsemax
from entmax.losses import Entmax15Loss, SparsemaxLoss

from programs.case import CASES, Case


def mapped(name, call):
    def run():
        x = torch.randn(4, 6, requires_grad=True)
        y = call(x)
        y.square().sum().backward()
        return {"result": y, "gradient": x.grad}

    CASES[name] = Case(run)


mapped("sparsemax", lambda x: sparsemax(x, dim=-1))
mapped("entmax15", lambda x: entmax15(x, dim=-1))
mapped("bisect", lambda x: entmax_bisect(x, 1.3))
mapped("sparsemax_loss", lambda x: SparsemaxLoss()(x, torch.tensor([0, 1, 2, 3])))
mapped("entmax_loss", lambda x: Entmax15Loss()(x, torch.tensor([0, 1, 2, 3])))
