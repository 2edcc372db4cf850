"""Distances and similarities of vectors."""

from __future__ import annotations

import numpy as np

from mini_dl._checks import broadcast_shapes, wrap_dim
from mini_dl._dtypes import FLOATING, promote_numpy, scalar_name
from mini_dl._surface import function, public
from mini_dl.autograd.mode import no_grad
from mini_dl.autograd.primitive import unary
from mini_dl.ops.operands import masked
from mini_dl.tensor import Tensor, wrap


@public("nn.functional", "torch")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """``out = sum(abs(x1 - x2 + eps) ** p, D) ** (1 / p)`` along the last dimension.

    Shapes: `x1` and `x2` (*, D), broadcast -> (*), or (*, 1) if `keepdim`.
    Raises: RuntimeError if the shapes do not broadcast.

    >>> F.pairwise_distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim)


@public("nn.functional", "torch")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``out = sum(x1 * x2, D) / (max(norm(x1), eps) * max(norm(x2), eps))`` along `dim`.

    Shapes: `x1` and `x2` (*, D, *), broadcast -> (*, *).
    Raises: RuntimeError if the shapes do not broadcast, or neither is floating point; IndexError if there is no dimension `dim`.

    >>> F.cosine_similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    kinds = x1._array.dtype.kind, x2._array.dtype.kind
    if "c" in kinds or (kinds[0] not in FLOATING and kinds[1] not in FLOATING):
        common = promote_numpy(x1._array.dtype, x2._array.dtype)
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {scalar_name(common)}")
    if not eps >= 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps:g}")
    shape = broadcast_shapes(x1._array.shape, x2._array.shape)
    at = wrap_dim(dim, len(shape))

    def unit(x: Tensor) -> Tensor:
        x = x.expand(shape)
        if x._array.dtype.kind not in FLOATING:
            x = x.to((x1 if x1._array.dtype.kind in FLOATING else x2).dtype)
        norm = x.norm(2, at, True)
        with no_grad():
            missing = (-norm + eps).clamp(min=0)  # the bound does not contribute to the gradient
        return x / (norm + missing)

    return (unit(x1) * unit(x2)).sum(at)


# ------------------------------------------------------------------------------------------------ all pairs


@unary(input=lambda grad, result: masked(grad / (result * 2), result))
def _root(input: np.ndarray) -> np.ndarray:
    """``sqrt(max(input, 0))``, whose gradient at 0 is 0"""
    return np.sqrt(np.maximum(input, 0))


@function()
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """``out[i, j] = sum(abs(x1[i] - x2[j]) ** p, M) ** (1 / p)`` for each row `i` of `x1` and `j` of `x2`.

    For many rows and ``p = 2`` a matrix product is used unless `compute_mode` forbids it.

    Shapes: `x1` (*, P, M), `x2` (*, R, M), broadcast -> (*, P, R).
    Raises: RuntimeError for rows of different sizes, a negative `p`, or integers; ValueError for an unknown `compute_mode`.

    >>> torch.cdist(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([[5.],
            [4.]])
    """
    if x1._array.dtype != x2._array.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(x1._array.dtype)} but found {scalar_name(x2._array.dtype)}")
    for name, x in (("X1", x1), ("X2", x2)):
        if x._array.dtype.kind not in FLOATING:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {scalar_name(x._array.dtype)}")
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    columns, others = x1._array.shape[-1], x2._array.shape[-1]
    if columns != others:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {columns} X2: {others}")
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if not p >= 0:
        raise RuntimeError("cdist only supports non-negative p values")
    many = max(x1._array.shape[-2], x2._array.shape[-2]) > 25
    if p == 2 and columns and many and compute_mode != modes[2]:
        squares = (x1 * x1).sum(-1, keepdim=True) + (x2 * x2).sum(-1).unsqueeze(-2)
        return _root(squares - 2 * (x1 @ x2.transpose(-1, -2)))
    return _length(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


@public("nn.functional", "torch")
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """``out[k] = sum(abs(input[i] - input[j]) ** p, M) ** (1 / p)`` for the k-th of the pairs of rows ``i < j``.

    Shapes: (N, M) -> (N (N - 1) / 2).
    Raises: RuntimeError for a negative `p`, other numbers of dimensions, or integers.

    >>> F.pdist(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if input._array.dtype.kind not in FLOATING:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if not p >= 0:
        raise RuntimeError("pdist only supports non-negative p values")
    i, j = np.triu_indices(input._array.shape[0], 1)
    return _length(input.index_select(0, wrap(i)) - input.index_select(0, wrap(j)), p)


def _length(difference: Tensor, p: float) -> Tensor:
    """The p-norm along the last dimension; a count (`p` = 0) has a zero gradient here, but none in ``norm``."""
    norm: Tensor = difference.norm(p, -1)
    if p:
        return norm
    return norm + masked(difference, wrap(np.zeros(difference._array.shape, bool))).sum(-1)
