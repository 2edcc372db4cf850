"""Products of several matrices, and sums of products over chosen dimensions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from mini_dl._checks import deprecated, wrap_dim
from mini_dl._dtypes import dtype as DType, scalar_name
from mini_dl._surface import function, public
from mini_dl.ops.joining import cat, stack
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


@public("nn.functional")
def grouped_mm(
    mat_a: Tensor, mat_b: Tensor, *, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: DType | None = None
) -> Tensor:
    """``out[g] = mat_a[g] @ mat_b[g]`` for groups of different lengths, which lie side by side in an operand with two dimensions;
    `offs` holds the end of each. What lies beyond the last one is 0.

    Shapes: (M, K), (G, K, N) -> (M, N); (M, K), (K, N) -> (G, M, N); (G, M, K), (K, N) -> (M, N); (G, M, K), (G, K, N) ->
    (G, M, N).
    Raises: RuntimeError for other sizes or types, for a `bias`, and unless `offs` are given for two dimensions only.

    >>> rows, experts = torch.ones(3, 2), torch.stack([torch.eye(2), 2 * torch.eye(2)])
    >>> F.grouped_mm(rows, experts, offs=torch.tensor([1, 3], dtype=torch.int32))
    tensor([[1., 1.],
            [2., 2.],
            [2., 2.]])
    """
    _check_groups(mat_a, mat_b, offs, bias, out_dtype)
    if offs is None:
        return mat_a @ mat_b
    ends = offs.tolist()
    groups = [slice(start, end) for start, end in zip([0, *ends], ends)]
    if mat_b.ndim == 3:
        return _padded([mat_a[rows] @ b for rows, b in zip(groups, mat_b)], len(mat_a), 0)
    if mat_a.ndim == 3:
        return _padded([a @ mat_b[:, columns] for a, columns in zip(mat_a, groups)], mat_b.shape[1], 1)
    return stack([mat_a[:, inner] @ mat_b[inner] for inner in groups])


def _padded(parts: list[Tensor], size: int, dim: int) -> Tensor:
    """The parts side by side, and zeros up to this size."""
    out = cat(parts, dim)
    rest = list(out.shape)
    rest[dim] = size - rest[dim]
    return cat([out, out.new_zeros(rest)], dim) if rest[dim] else out


def _check_groups(a: Tensor, b: Tensor, offs: Tensor | None, bias: Tensor | None, out_dtype: DType | None) -> None:
    for name, one in (("mat_a", a), ("mat_b", b)):
        if one.ndim not in (2, 3):
            raise RuntimeError(f"{name} has to be 2 or 3d")
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError("contraction dimension of mat_a and mat_b must match")
    if a.ndim == b.ndim == 3 and len(a) != len(b):
        raise RuntimeError("batched dimension has to match")
    for name, one in (("mat_a", a), ("mat_b", b)):
        if one._array.dtype.char not in "feE":
            raise RuntimeError(f"Expected {name} to be Float32, BFloat16 or Float16 matrix, got {scalar_name(one._array.dtype)}")
    if (offs is None) != (a.ndim == b.ndim == 3):
        raise RuntimeError("Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d")
    if offs is not None:
        if offs.ndim != 1:
            raise RuntimeError("offs has to be 1D")
        if offs._array.dtype.char != "i":
            raise RuntimeError("Offsets have to be int32")
        if any([one.ndim == 3 and len(one) != len(offs) for one in (a, b)]):
            raise RuntimeError("matrix batch sizes have to match")
    if out_dtype is not None and out_dtype is not a.dtype:
        raise RuntimeError("Grouped gemm output dtype must match `mat_a` dtype")
    if bias is not None:
        raise RuntimeError("Bias not supported yet")
