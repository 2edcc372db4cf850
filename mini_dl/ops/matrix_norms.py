"""Norms and condition numbers of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._arguments import as_number
from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import Ints, dtype
from mini_dl._surface import public
from mini_dl.ops.matrices import eye_like, matrix, square
from mini_dl.ops.reduction import checked
from mini_dl.ops.singular_values import svdvals
from mini_dl.ops.solving import _inv, singular
from mini_dl.ops.vector_norms import converted, vector_norm
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ norms


@public("linalg", out=True)
def matrix_norm(
    A: Tensor, ord: object = "fro", dim: Ints = (-2, -1), keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """A norm of matrices: ``out = sqrt(sum(abs(A[i, j]) ** 2, (i, j)))`` for "fro"

    "nuc": the sum of singular values; 2, -2: the largest, smallest of them; 1, -1, inf, -inf: the largest or smallest sum of
    absolute values of a column, a row.

    Shapes: (*, m, n) -> (*), or (*, 1, 1) if `keepdim`.
    Raises: RuntimeError for another `ord`, integers, and fewer than two dimensions.

    >>> torch.linalg.matrix_norm(torch.tensor([[3.0, 0.0], [0.0, 4.0]])), torch.linalg.matrix_norm(torch.eye(3), "nuc")
    (tensor(5.), tensor(3.))
    """
    name = "linalg.matrix_norm"
    x = matrix(name, A, floating=False)
    dims = list(dim) if isinstance(dim, (tuple, list)) else [dim]
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {', '.join(map(str, dims))}")
    first, second = (wrap_dim(d, x._array.ndim) for d in dims)
    if first == second:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    order: Any = ord if isinstance(ord, str) else as_number(ord)
    if order is NotImplemented:
        raise TypeError(f"linalg_matrix_norm(): argument 'ord' (position 2) must be Number or str, not {type_name(ord)}")
    if isinstance(order, complex):
        raise RuntimeError(f"{name}: Expected a non-complex scalar as the order of norm, but got {order}")
    if isinstance(order, str) and order not in ("fro", "nuc"):
        raise RuntimeError(f"{name}: Order {order} not supported.")
    if not isinstance(order, str) and abs(order) not in (1, 2, math.inf):
        raise RuntimeError(f"{name}: Order {order:g} not supported.")
    x = converted(name, x, dtype)
    if order == "fro":
        return vector_norm(x, 2, (first, second), keepdim)
    if order == "nuc" or abs(order) == 2:
        kept = [d for d in range(x._array.ndim) if d not in (first, second)]
        values = svdvals(x.permute(*kept, first, second))
        out = values.sum(-1) if order == "nuc" else values.amax(-1) if order > 0 else values.amin(-1)
        if keepdim:
            for d in sorted((first, second)):
                out = out.unsqueeze(d)
        return out
    if abs(order) == math.inf:
        first, second = second, first
    sums = vector_norm(x, 1, first, keepdim)
    left = second if keepdim or second < first else second - 1
    return sums.amax(left, keepdim) if order > 0 else sums.amin(left, keepdim)


@public("linalg", out=True)
def norm(A: Tensor, ord: object = None, dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """`vector_norm` over one dimension (or, without `ord`, over all), ``sum(abs(A[i]) ** ord, i) ** (1 / ord)``; `matrix_norm`
    over two.

    Family: reduction
    Raises: RuntimeError for another `ord`, integers, and a `dim` of more than two dimensions.

    >>> torch.linalg.norm(torch.tensor([3.0, 4.0])), torch.linalg.norm(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), 2)
    (tensor(5.), tensor(4.))
    """
    checked("linalg.norm", A, keepdim)
    dims = dim if dim is None or isinstance(dim, (tuple, list)) else [dim]
    if dims is not None and len(dims) not in (1, 2) and ord is not None:
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if dims is None and ord is not None and A._array.ndim not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A._array.ndim}D.")
    if ord is not None and ((dims is not None and len(dims) == 2) or (dims is None and A._array.ndim == 2)):
        return matrix_norm(A, ord, (0, 1) if dims is None else dims, keepdim, dtype=dtype)
    if isinstance(ord, str):
        return matrix_norm(A, ord, dims if dims is not None else (0,), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@public("linalg", out=True)
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number: ``out = norm(A, p) * norm(inv(A), p)``; from singular values if p is None, 2 or -2. inf if A is
    singular.

    Shapes: (*, n, n), with singular values also (*, m, n) -> (*).
    Raises: RuntimeError for another `p`, and for integers.

    >>> torch.linalg.cond(torch.tensor([[100.0, 0.0], [0.0, 2.0]]))
    tensor(50.)
    """
    matrix("linalg.cond", A, "input", floating=False)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not isinstance(p, str) and p is not None and abs(p) not in (1, 2, math.inf):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if p is None or p in (2, -2):
        if not A._array.size:
            return wrap(np.zeros(A._array.shape[:-2], np.empty(0, A._array.dtype).real.dtype))
        values = svdvals(A)
        largest, smallest = values.select(-1, 0), values.select(-1, values._array.shape[-1] - 1)
        return smallest / largest if p == -2 else largest / smallest
    square(f"linalg.cond(ord={p})", A)
    if not A._array.size:
        return wrap(np.zeros(A._array.shape[:-2], np.empty(0, A._array.dtype).real.dtype))
    info = singular(A)
    good = info == 0
    if good.all():
        return matrix_norm(A, p) * matrix_norm(_inv(A), p)
    A = A + eye_like(A, A._array.shape[-1]) * wrap(~good[..., None, None])
    return (matrix_norm(A, p) * matrix_norm(_inv(A), p)).masked_fill(wrap(~good), math.inf)
