"""Sparse tensors from their parts, and from dense tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import nonnegative
from mini_dl._device import require_cpu
from mini_dl._dtypes import Array
from mini_dl.ops.from_data import tensor as dense_tensor
from mini_dl.sparse.tensor import BLOCKS, BY_ROWS, COO, PARTS, SparseTensor, checked_block, coo, made
from mini_dl.tensor import Tensor, wrap


def _index(values: object, what: str) -> Array:
    array = values._array if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise RuntimeError(f"{what} must be an int64 or int32 tensor, got {array.dtype.name}")
    return np.array(array, np.int64)


def _values(values: object, dtype: Any) -> Tensor:
    given = values if isinstance(values, Tensor) else dense_tensor(values)
    return given if dtype is None else given.to(dtype)


def sparse_coo_tensor(
    indices: Any, values: object = None, size: Any = None, *, dtype: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False, check_invariants: bool | None = None, is_coalesced: bool | None = None,
) -> SparseTensor:  # fmt: skip
    """The tensor of the elements `values` (N, *dense) at `indices` (D, N); without values, an empty tensor of this size."""
    require_cpu(device)
    if values is None:
        whole = tuple(size if size is not None else indices)
        kept = wrap(np.empty(0, _dtypes.default_numpy() if dtype is None else dtype.numpy))
        return _leaf(coo(np.zeros((len(whole), 0)), kept, nonnegative(whole), True), requires_grad)
    places, given = _index(indices, "indices"), _values(values, dtype)
    if places.ndim == 1 and not places.size:
        places = places.reshape(0, given.shape[0] if given.ndim else 1)
    if places.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(places.shape)}")
    if given.requires_grad and not requires_grad:
        given = given.view(given.shape)  # the sparse tensor is not the leaf
    if not given.ndim:
        given = given.expand(places.shape[1])
    if given.shape[0] != places.shape[1]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {places.shape[1]}, nnz from values: "
            f"{given.shape[0]}"
        )
    if size is None:
        if places.size and places.min() < 0:
            raise RuntimeError(f"found negative index {places.min()}")
        sizes = tuple([int(n) + 1 for n in places.max(1)]) if places.shape[1] else (0,) * len(places)
        whole = (*sizes, *given.shape[1:])
    else:
        whole = tuple(size)
        check_coordinates(places, tuple(given.shape), whole)
    return _leaf(coo(places, given, nonnegative(whole), bool(is_coalesced) or places.shape[1] < 2), requires_grad)


def check_coordinates(places: Array, shape: tuple[int, ...], whole: tuple[int, ...]) -> None:
    """RuntimeError unless indices and values match the size."""
    count = len(places)
    if len(whole) != count + len(shape) - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({count}) + dense_dim ({len(shape) - 1}), but got {len(whole)}"
        )
    if tuple(whole[count:]) != shape[1:]:
        raise RuntimeError(f"values has incorrect size, expected {[shape[0], *whole[count:]]}, got {list(shape)}")
    for dim, row in enumerate(places):
        if row.size and row.min() < 0:
            raise RuntimeError(f"found negative index {row.min()} for dim {dim}")
        if row.size and row.max() >= whole[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {whole[dim]} but found index {row.max()}"
            )


def _leaf(tensor: SparseTensor, requires_grad: bool) -> SparseTensor:
    """The tensor, a leaf if it requires grad."""
    if requires_grad:
        tensor.kept = tensor.kept.detach().clone().requires_grad_()
    return tensor


def sparse_compressed_tensor(
    compressed_indices: object, plain_indices: object, values: object, size: Any = None, *, dtype: object = None,
    layout: object = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> SparseTensor:  # fmt: skip
    """A matrix of compressed rows (`layout` sparse_csr) or columns (sparse_csc): row r has values[ends[r] : ends[r + 1]]. The
    values of sparse_bsr and sparse_bsc are blocks. Leading dimensions of all three are those of a batch."""
    require_cpu(device)
    if layout not in PARTS:
        raise RuntimeError(f"sparse_compressed_tensor expected sparse compressed tensor layout but got {layout}")
    ends, others, given = (
        _index(compressed_indices, PARTS[layout][0]),
        _index(plain_indices, PARTS[layout][1]),
        _values(values, dtype),
    )
    batch = ends.shape[:-1]
    block = tuple(given.shape[len(batch) + 1 : len(batch) + 3]) if layout in BLOCKS else (1, 1)
    if len(block) != 2:
        raise RuntimeError(f"values of layout {layout} are blocks, so that they have at least {len(batch) + 3} dimensions")
    if size is None:
        first, second = max(ends.shape[-1] - 1, 0), int(others.max()) + 1 if others.size else 0
        pair = (first, second) if layout in BY_ROWS else (second, first)
        dense = tuple(given.shape[len(batch) + (3 if layout in BLOCKS else 1) :])
        size = (*batch, pair[0] * block[0], pair[1] * block[1], *dense)
    whole = tuple(size)
    check_compressed(ends, others, tuple(given.shape), whole, layout)
    if given.requires_grad and not requires_grad:
        given = given.view(given.shape)
    return _leaf(made(layout, (wrap(ends), wrap(others)), given, nonnegative(whole), True), requires_grad)


def check_compressed(ends: Array, others: Array, shape: tuple[int, ...], whole: tuple[int, ...], layout: Any) -> None:
    """RuntimeError unless the parts of compressed matrices match each other and the size."""
    first, second = PARTS[layout]
    batch, n = ends.shape[:-1], max(ends.ndim - 1, 0)
    if not ends.ndim or others.shape[:-1] != batch or shape[:n] != batch or whole[:n] != batch or len(whole) < n + 2:
        raise RuntimeError(
            f"{first}, {second}, values and size must have the same leading dimensions, those of a batch; got shapes "
            f"{list(ends.shape)}, {list(others.shape)}, {list(shape)} and {list(whole)}"
        )
    block = shape[n + 1 : n + 3] if layout in BLOCKS else (1, 1)
    if len(shape) < n + 1 + 2 * (layout in BLOCKS) or any([size % one for size, one in zip(whole[n:], block)]):
        raise RuntimeError(f"values of shape {list(shape)} are not whole blocks of a tensor of size {list(whole)}")
    if shape[n + 1 + 2 * (layout in BLOCKS) :] != whole[n + 2 :]:
        raise RuntimeError(f"values of shape {list(shape)} do not fit the dense dimensions of size {list(whole)}")
    sizes = (whole[n] // max(block[0], 1), whole[n + 1] // max(block[1], 1))
    rows, columns = sizes if layout in BY_ROWS else sizes[::-1]
    if ends.shape[-1] != rows + 1:
        raise RuntimeError(
            f"{first}.shape[-1] must be the number of compressed dimensions plus one, {rows + 1}; got {ends.shape[-1]}"
        )
    if shape[: n + 1] != others.shape:
        raise RuntimeError(f"number of values ({shape[n]}) and of {second} ({others.shape[-1]}) must be equal")
    for one, other in zip(ends.reshape(-1, rows + 1), others.reshape(-1, others.shape[-1])):
        _check_rows(one, other, columns, first, second)


def _check_rows(ends: Array, others: Array, columns: int, first: str, second: str) -> None:
    counts = np.diff(ends)
    if ends[0] != 0 or ends[-1] != len(others) or (counts < 0).any():
        raise RuntimeError(f"`{first}` must rise from 0 to nnz, the number of values, which is {len(others)}")
    if others.size and not (others.min() >= 0 and others.max() < columns):
        raise RuntimeError(f"`0 <= {second} < {columns}` is not satisfied")
    flat = np.repeat(np.arange(len(counts)), counts) * columns + others
    if (np.diff(flat) <= 0).any():
        raise RuntimeError(f"`{second}` must be sorted and distinct along each of the compressed dimensions")


def compressed_dense(input: Tensor, layout: object, blocksize: object, dense_dim: int | None) -> SparseTensor:
    """The nonzero elements, or blocks, of the matrices of a batch: (*batch, rows, columns, *dense)."""
    dense = dense_dim or 0
    n = input.ndim - 2 - dense
    if n < 0:
        raise RuntimeError(f"a tensor of {input.ndim} dimensions, {dense} of them dense, has no matrices to compress")
    batch, sizes, inner = (tuple(input.shape[a:b]) for a, b in ((0, n), (n, n + 2), (n + 2, input.ndim)))
    if not math.prod(batch):
        name = str(layout).rpartition(".sparse_")[2]
        raise RuntimeError(f"to_sparse_{name}: Expected product of batch dimensions to be non-zero.")
    block = checked_block(blocksize, sizes, layout) if layout in BLOCKS else (1, 1)
    count = (sizes[0] // block[0], sizes[1] // block[1])
    parts = input.reshape(math.prod(batch), count[0], block[0], count[1], block[1], *inner).transpose(2, 3)
    if layout not in BY_ROWS:
        parts = parts.transpose(1, 2)
    there = parts._array != 0
    there = there.any(tuple(range(3, there.ndim)))
    per_matrix = there.sum((1, 2))
    if len(set(per_matrix.tolist())) > 1:
        raise RuntimeError("Expect the same number of specified elements per batch.")
    nnz = int(per_matrix[0]) if len(per_matrix) else 0
    where = np.nonzero(there)
    ends = np.concatenate([np.zeros((len(there), 1), np.int64), there.sum(2).cumsum(1)], 1)
    kept = parts[tuple(map(wrap, where))].reshape(*batch, nnz, *(block if layout in BLOCKS else ()), *inner)
    index = wrap(ends.reshape(*batch, ends.shape[1])), wrap(where[2].reshape(*batch, nnz).astype(np.int64))
    return made(layout, index, kept, tuple(input.shape), True)


def to_sparse(
    input: Tensor, sparse_dim: int | None = None, *, layout: object = None, blocksize: object = None, dense_dim: int | None = None
) -> SparseTensor:
    """The nonzero elements of a dense tensor; with `sparse_dim`, the slices that have such elements."""
    if layout is not None and layout is not COO:
        if layout not in PARTS:
            raise RuntimeError(f"to_sparse: {layout} is not a layout of sparse tensors")
        return compressed_dense(input, layout, blocksize, dense_dim)
    count = input.ndim if sparse_dim is None else sparse_dim
    if not 0 <= count <= input.ndim or (count == 0 and input.ndim):
        raise RuntimeError(f"sparse_dim must be between 1 and {input.ndim}, got {count}")
    array = input._array
    there = array != 0
    if count < input.ndim:
        there = there.any(tuple(range(count, input.ndim)))
    if not input.ndim:
        kept = input.reshape(1)[: int(there)]
        return coo(np.zeros((0, len(kept))), kept, (), True)
    index = np.stack(np.nonzero(there))
    return coo(index, input[tuple(map(wrap, index))], input.shape, True)


def rows_of(grad: Tensor, index: Array, size: Sequence[int]) -> SparseTensor:
    """The gradient of a table of this size whose rows `index` were looked up: a row of `grad` for each."""
    return coo(index.reshape(1, -1), grad.reshape(-1, *size[1:]), size, index.size < 2)
