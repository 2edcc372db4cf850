"""Products of several matrices, and sums of products over chosen dimensions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from mini_dl._checks import deprecated, wrap_dim
from mini_dl._surface import function
from mini_dl.ops.matmul import _rows, mm
from mini_dl.tensor import Tensor


def chain(matrices: Sequence[Tensor]) -> Tensor:
    """The product of matrices in the order that takes the fewest multiplications (Cormen et al., section 15.2)."""
    n = len(matrices)
    sizes = [matrices[0].shape[0], *[m.shape[1] for m in matrices]]
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return _product(matrices, split, 0, n - 1)


def _product(matrices: Sequence[Tensor], split: list[list[int]], i: int, j: int) -> Tensor:
    """The product of the matrices from `i` to `j`, split where `split` says."""
    if i == j:
        return matrices[i]
    k = split[i][j]
    return mm(_product(matrices, split, i, k), _product(matrices, split, k + 1, j))


@function(out=True)
@deprecated("torch.chain_matmul", "`torch.linalg.multi_dot`, which takes a list,")
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices in the cheapest order, deprecated for `linalg.multi_dot`:
    ``out = matrices[0] @ matrices[1] @ ...``

    Shapes: (a, b), (b, c), ..., (y, z) -> (a, z).
    Raises: RuntimeError unless all are matching matrices.

    >>> import warnings; warnings.simplefilter("ignore")
    >>> torch.chain_matmul(torch.ones(2, 3), torch.ones(3, 1), torch.ones(1, 2))
    tensor([[3., 3.],
            [3., 3.]])
    """
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for i, (a, b) in enumerate(itertools.pairwise(matrices)):
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(a.shape)} and {list(b.shape)} cannot be multiplied"
            )
    return matrices[0].clone() if len(matrices) == 1 else chain(matrices)


@function(out=True)
def tensordot(a: Tensor, b: Tensor, dims: object = 2) -> Tensor:
    """The sum of products over `dims`, the last of `a` with the first of `b`, or two lists of them:
    ``out[i, j] = sum(a[i, k] * b[k, j], k)``

    Shapes: (*a, *k), (*k, *b) -> (*a, *b).
    Raises: RuntimeError unless the sizes that are summed over are equal.

    >>> torch.tensordot(torch.ones(2, 3, 4), torch.ones(3, 4, 5), 2).shape
    torch.Size([2, 5])
    >>> torch.tensordot(torch.tensor([1, 2]), torch.tensor([[1, 10]]), ([0], [1]))
    tensor([21])
    """
    if isinstance(dims, Tensor):
        listed = dims.tolist()
        dims = listed if isinstance(listed, list) and len(listed) > 1 else int(dims.item())
    if isinstance(dims, (list, tuple)):
        if len(dims) != 2:
            raise ValueError(f"tensordot expects dims to be an int or two lists of dims, but got dims={dims}")
        first, second = dims
        for given in dims:
            if not isinstance(given, (list, tuple)):
                raise TypeError(f"tensordot(): argument 'dims' must be two lists of ints, but one is {type(given).__name__}")
            for at, d in enumerate(given):
                if isinstance(d, bool) or not isinstance(d, (int, np.integer)):
                    raise TypeError(
                        f"tensordot(): argument 'dims' must be two lists of ints, but found element of type "
                        f"{type(d).__name__} at pos {at}"
                    )
    elif not isinstance(dims, (int, np.integer)):
        raise RuntimeError(f"tensordot expects dims to be an int or two lists of ints, but got dims={dims}")
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        first, second = list(range(-dims, 0)), list(range(dims))
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    if a._array.dtype != b._array.dtype:
        raise RuntimeError("both inputs should have same dtype")
    dims_a, dims_b = [], []
    for i, (d, e) in enumerate(zip(first, second)):
        da, db = wrap_dim(d, a.ndim), wrap_dim(e, b.ndim)
        dims_a.append(da)
        dims_b.append(db)
        n, m = a.shape[da], b.shape[db]
        if n == m:
            continue
        if n != 1 and m != 1:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {first[i]} "
                f"and second has size {m} in dim {second[i]}"
            )
        if n == 1:  # which expands
            b = b.sum(db, keepdim=True, dtype=b.dtype)
        else:
            a = a.sum(da, keepdim=True, dtype=a.dtype)
    kept_a = [d for d in range(a.ndim) if d not in dims_a]
    kept_b = [d for d in range(b.ndim) if d not in dims_b]
    shape = [a.shape[d] for d in kept_a] + [b.shape[d] for d in kept_b]
    k = math.prod([a.shape[d] for d in dims_a])
    left = a.permute(kept_a + dims_a).reshape(math.prod([a.shape[d] for d in kept_a]), k)
    right = b.permute(dims_b + kept_b).reshape(k, math.prod([b.shape[d] for d in kept_b]))
    return (mm(left, right) if math.prod(shape) != 1 else _rows(left, right, False)).reshape(shape)
