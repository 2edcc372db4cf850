"""Distances between pairs of vectors."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class PairwiseDistance(Configured):
    """``out = sum(abs(x1 - x2 + eps) ** p, D) ** (1 / p)`` along the last dimension.

    Family: F.pairwise_distance

    >>> torch.nn.PairwiseDistance()(torch.zeros(2), torch.tensor([3.0, 4.0]))
    tensor(5.0000)
    """

    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False
    _shown = ()

    def _check_fields(self) -> None:
        self.norm = self.p

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Configured):
    """``out = sum(x1 * x2, D) / (max(norm(x1), eps) * max(norm(x2), eps))`` along `dim`.

    Family: F.cosine_similarity

    >>> torch.nn.CosineSimilarity(dim=0)(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]))
    tensor(0.7071)
    """

    dim: int = 1
    eps: float = 1e-8
    _shown = ()

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
