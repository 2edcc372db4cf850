"""The public functions that create sparse tensors. `mini_dl.sparse` is imported on their first use: from then
on, all operations check for sparse arguments."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from mini_dl._device import layout as layout_of, sparse_bsc, sparse_bsr, sparse_csc, sparse_csr
from mini_dl._surface import function, named, tensor_method
from mini_dl.tensor import Tensor


@functools.cache
def sparse_tensors() -> Any:
    """The module `mini_dl.sparse`."""
    return importlib.import_module("mini_dl.sparse")


@function()
def sparse_coo_tensor(
    indices: object, values: object = None, size: object = None, *, dtype: object = None, device: object = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None, is_coalesced: bool | None = None,
) -> Tensor:  # fmt: skip
    """A sparse tensor from coordinates, zero elsewhere: ``out[indices[0, k], indices[1, k]] = values[k]``; values at the same
    position add up.

    The size is as small as possible if it is not given.

    Shapes: `indices` (D, N), `values` (N, *dense) -> `size`, of D sparse dimensions and the dense ones.
    Raises: RuntimeError for parts that do not match.

    >>> torch.sparse_coo_tensor([[0, 1], [1, 0]], [5.0, 6.0], (2, 2)).to_dense()
    tensor([[0., 5.],
            [6., 0.]])
    """
    return sparse_tensors().sparse_coo_tensor(
        indices, values, size, dtype=dtype, device=device, requires_grad=requires_grad, is_coalesced=is_coalesced
    )


@function()
def sparse_compressed_tensor(
    compressed_indices: object, plain_indices: object, values: object, size: object = None, *, dtype: object = None,
    layout: layout_of | None = None, device: object = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:  # fmt: skip
    """A sparse matrix in a compressed layout: ``out[r, plain_indices[k]] = values[k]`` for rows, or the
    reverse.

    Shapes: `compressed_indices` (m + 1), `plain_indices` (N), `values` (N, *dense) -> `size`.
    Raises: RuntimeError for parts that do not match, and for another `layout`.

    >>> torch.sparse_compressed_tensor([0, 1, 1], [1], [5.0], (2, 2), layout=torch.sparse_csr).to_dense()
    tensor([[0., 5.],
            [0., 0.]])
    """
    return sparse_tensors().sparse_compressed_tensor(
        compressed_indices, plain_indices, values, size, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


@function()
def sparse_csr_tensor(
    crow_indices: object, col_indices: object, values: object, size: object = None, **options: object
) -> Tensor:
    """A sparse matrix by rows: ``out[r, col_indices[k]] = values[k]`` over ``crow_indices[r] <= k < crow_indices[r + 1]``

    Shapes: `crow_indices` (m + 1), `col_indices` (N), `values` (N, *dense) -> `size`.
    Raises: RuntimeError for parts that do not match.

    >>> torch.sparse_csr_tensor([0, 1, 2], [1, 0], [5.0, 6.0], (2, 2)).to_dense()
    tensor([[0., 5.],
            [6., 0.]])
    """
    options.setdefault("layout", sparse_csr)
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, **options)


@function()
def sparse_csc_tensor(
    ccol_indices: object, row_indices: object, values: object, size: object = None, **options: object
) -> Tensor:
    """A sparse matrix by columns: ``out[row_indices[k], c] = values[k]`` over ``ccol_indices[c] <= k < ccol_indices[c + 1]``

    Shapes: `ccol_indices` (n + 1), `row_indices` (N), `values` (N, *dense) -> `size`.
    Raises: RuntimeError for parts that do not match.

    >>> torch.sparse_csc_tensor([0, 1, 2], [1, 0], [5.0, 6.0], (2, 2)).to_dense()
    tensor([[0., 6.],
            [5., 0.]])
    """
    options.setdefault("layout", sparse_csc)
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, **options)


@function()
def sparse_bsr_tensor(
    crow_indices: object, col_indices: object, values: object, size: object = None, **options: object
) -> Tensor:
    """A sparse matrix by rows of blocks: ``block[r, col_indices[k]] = values[k]`` over
    ``crow_indices[r] <= k < crow_indices[r + 1]``

    Shapes: `crow_indices` (block rows + 1), `col_indices` (N), `values` (N, rows, columns of a block) -> `size`.
    Raises: RuntimeError for parts that do not match.

    >>> torch.sparse_bsr_tensor([0, 1], [1], [[[5.0, 6.0]]], (1, 4)).to_dense()
    tensor([[0., 0., 5., 6.]])
    """
    options.setdefault("layout", sparse_bsr)
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, **options)


@function()
def sparse_bsc_tensor(
    ccol_indices: object, row_indices: object, values: object, size: object = None, **options: object
) -> Tensor:
    """A sparse matrix by columns of blocks: ``block[row_indices[k], c] = values[k]`` over
    ``ccol_indices[c] <= k < ccol_indices[c + 1]``

    Shapes: `ccol_indices` (block columns + 1), `row_indices` (N), `values` (N, rows, columns of a block) -> `size`.
    Raises: RuntimeError for parts that do not match.

    >>> torch.sparse_bsc_tensor([0, 0, 1], [0], [[[5.0, 6.0]]], (1, 4)).to_dense()
    tensor([[0., 0., 5., 6.]])
    """
    options.setdefault("layout", sparse_bsc)
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, **options)


@function()
def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of a sparse matrix and another matrix: ``out[i, j] = sum(input[i, k] * mat2[k, j], k)``

    Shapes: (N, K), (K, M) -> (N, M).
    Raises: RuntimeError unless both are matching matrices.

    >>> torch.spmm(torch.eye(2).to_sparse(), torch.tensor([[1.0], [2.0]]))
    tensor([[1.],
            [2.]])
    """
    return sparse_tensors().mm(input, mat2)


ALL_DIMENSIONS: Any = object()
"""The marker for an omitted number in `to_sparse`: None is rejected, as in torch."""


@tensor_method()
def to_sparse(
    self: Tensor, sparse_dim: int = ALL_DIMENSIONS, *, layout: layout_of | None = None, blocksize: object = None,
    dense_dim: int | None = None,
) -> Tensor:  # fmt: skip
    """The nonzero elements as a sparse tensor, of layout COO or another: ``self[indices[:, k]] = values[k]``

    Shapes: (*in) -> the same, sparse.
    Raises: RuntimeError for a `layout` or `blocksize` that does not match the shape.

    >>> torch.tensor([0, 5]).to_sparse()
    tensor(indices=tensor([[1]]),
           values=tensor([5]),
           size=(2,), nnz=1, layout=torch.sparse_coo)
    """
    count = None if sparse_dim is ALL_DIMENSIONS else sparse_dim
    return sparse_tensors().to_sparse(self, count, layout=layout, blocksize=blocksize, dense_dim=dense_dim)


@tensor_method()
def to_sparse_coo(self: Tensor) -> Tensor:
    """The nonzero elements, with their coordinates: ``self[indices[:, k]] = values[k]``

    Shapes: (*in) -> the same, sparse.
    Raises: TypeError for an argument.

    >>> torch.tensor([0, 5]).to_sparse_coo()
    tensor(indices=tensor([[1]]),
           values=tensor([5]),
           size=(2,), nnz=1, layout=torch.sparse_coo)
    """
    return sparse_tensors().to_sparse(self)


@tensor_method()
def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """The nonzero elements by rows: ``self[r, col_indices[k]] = values[k]`` over
    ``crow_indices[r] <= k < crow_indices[r + 1]``

    Shapes: (*batch, m, n, *dense) -> the same, sparse.
    Raises: RuntimeError for fewer than two dimensions, and if batches have different numbers of elements.

    >>> torch.tensor([[0, 5], [0, 0]]).to_sparse_csr().crow_indices()
    tensor([0, 1, 1])
    """
    return sparse_tensors().to_sparse(self, layout=sparse_csr, dense_dim=dense_dim)


@tensor_method()
def to_sparse_csc(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """The nonzero elements by columns: ``self[row_indices[k], c] = values[k]`` over
    ``ccol_indices[c] <= k < ccol_indices[c + 1]``

    Shapes: (*batch, m, n, *dense) -> the same, sparse.
    Raises: RuntimeError for fewer than two dimensions, and if batches have different numbers of elements.

    >>> torch.tensor([[0, 5], [0, 0]]).to_sparse_csc().ccol_indices()
    tensor([0, 0, 1])
    """
    return sparse_tensors().to_sparse(self, layout=sparse_csc, dense_dim=dense_dim)


@tensor_method()
def to_sparse_bsr(self: Tensor, blocksize: object, dense_dim: int | None = None) -> Tensor:
    """The nonzero blocks by rows: ``block[r, col_indices[k]] = values[k]`` over
    ``crow_indices[r] <= k < crow_indices[r + 1]``

    Shapes: (*batch, m, n, *dense) -> the same, sparse, with values (nnz, *blocksize).
    Raises: RuntimeError unless `blocksize` divides m and n.

    >>> torch.eye(4).to_sparse_bsr((2, 2)).values().shape
    torch.Size([2, 2, 2])
    """
    return sparse_tensors().to_sparse(self, layout=sparse_bsr, blocksize=blocksize, dense_dim=dense_dim)


@tensor_method()
def to_sparse_bsc(self: Tensor, blocksize: object, dense_dim: int | None = None) -> Tensor:
    """The nonzero blocks by columns: ``block[row_indices[k], c] = values[k]`` over
    ``ccol_indices[c] <= k < ccol_indices[c + 1]``

    Shapes: (*batch, m, n, *dense) -> the same, sparse, with values (nnz, *blocksize).
    Raises: RuntimeError unless `blocksize` divides m and n.

    >>> torch.eye(4).to_sparse_bsc((2, 2)).values().shape
    torch.Size([2, 2, 2])
    """
    return sparse_tensors().to_sparse(self, layout=sparse_bsc, blocksize=blocksize, dense_dim=dense_dim)


@tensor_method()
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """This tensor, which is dense: ``out = self``

    Shapes: (*in) -> (*in).
    Raises: TypeError for a `dtype` that is not one.

    >>> torch.tensor([0, 5]).to_dense()
    tensor([0, 5])
    """
    return self if dtype is None else self.to(dtype)


@tensor_method()
def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The elements at the positions that a sparse tensor stores: ``out[i] = self[i]`` where `mask` has an element.

    Shapes: (*in), `mask` of the same shape -> the same, sparse.
    Raises: RuntimeError unless the shapes are equal and `mask` is sparse.

    >>> torch.tensor([3, 5]).sparse_mask(torch.tensor([0, 1]).to_sparse()).values()
    tensor([5])
    """
    return sparse_tensors().handlers.sparse_mask(self, mask)


@tensor_method()
def sparse_dim(self: Tensor) -> int:
    """The number of sparse dimensions: ``out = 0``, of a dense tensor.

    Family: attribute

    >>> torch.ones(2, 3).sparse_dim()
    0
    """
    return 0


@tensor_method()
def dense_dim(self: Tensor) -> int:
    """The number of dense dimensions: ``out = self.ndim``, of a dense tensor.

    Family: attribute

    >>> torch.ones(2, 3).dense_dim()
    2
    """
    return self.ndim


def _only_sparse(name: str, kind: str) -> None:
    def method(self: Tensor) -> Tensor:
        raise RuntimeError(f"{name} expected sparse {kind}tensor layout but got Strided")

    named(
        method,
        name,
        f"""A part of a sparse tensor, ``self.to_sparse().{name}()`` for one of that layout; this tensor is dense.

Shapes: a tensor of any shape.
Raises: RuntimeError.

>>> torch.ones(2).{name}()
Traceback (most recent call last):
    ...
RuntimeError: {name} expected sparse {kind}tensor layout but got Strided""",
    )
    tensor_method()(method)


for _name, _kind in {
    "values": "", "indices": "coordinate ", "_indices": "coordinate ", "_values": "coordinate ", "_nnz": "coordinate ",
    "is_coalesced": "coordinate ", "coalesce": "coordinate ", "crow_indices": "row compressed ",
    "col_indices": "row compressed ", "ccol_indices": "column compressed ", "row_indices": "column compressed ",
}.items():  # fmt: skip
    _only_sparse(_name, _kind)
