"""Distances and similarities of vectors."""

from __future__ import annotations

import numpy as np

from mini_dl._checks import broadcast_shapes, wrap_dim
from mini_dl._surface import public
from mini_dl.tensor import Tensor


@public("nn.functional", "torch")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension"""
    return (x1 - x2 + eps).norm(p, -1, keepdim)


@public("nn.functional", "torch")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 . x2 / (max(|x1|, eps) * max(|x2|, eps))`` along `dim`"""
    shape = broadcast_shapes(x1._array.shape, x2._array.shape)
    if x1._array.dtype.kind not in "fc" and x2._array.dtype.kind not in "fc":
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {np.result_type(x1._array)}")
    at = wrap_dim(dim, len(shape)) - len(shape)

    def unit(x: Tensor) -> Tensor:
        x = x.expand(shape)
        norm = (x * x.conj()).real.sum(at, keepdim=True).sqrt() if x._array.dtype.kind == "c" else _norm(x, at)
        return x / norm

    def _norm(x: Tensor, dim: int) -> Tensor:
        norm = x.norm(2, dim, True)
        return norm.clamp(min=eps)

    return (unit(x1) * unit(x2)).sum(at)
