"""The public names with which sparse tensors are made. `mini_dl.sparse` is imported by their first use: once it is there, all
operations look whether they were given a sparse tensor."""

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
    """The tensor of this size with the `values` (N, *dense) at `indices` (D, N), and zeros elsewhere. Values of one place add up.

    The size is as small as possible if it is not given. RuntimeError for parts that do not fit.

    >>> import mini_dl as torch
    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
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
    """A matrix of layout sparse_csr or sparse_csc from its compressed indices, the others, and its values."""
    return sparse_tensors().sparse_compressed_tensor(
        compressed_indices, plain_indices, values, size, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


@function()
def sparse_csr_tensor(
    crow_indices: object, col_indices: object, values: object, size: object = None, **options: object
) -> Tensor:
    """A matrix by rows: row r has ``values[crow[r]:crow[r + 1]]`` in the columns ``col_indices[crow[r]:crow[r + 1]]``."""
    options.setdefault("layout", sparse_csr)
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, **options)


@function()
def sparse_csc_tensor(
    ccol_indices: object, row_indices: object, values: object, size: object = None, **options: object
) -> Tensor:
    """A matrix by columns; see `sparse_csr_tensor`."""
    options.setdefault("layout", sparse_csc)
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, **options)


@function()
def sparse_bsr_tensor(crow_indices: Any, col_indices: Any, values: Any, size: Any = None, **options: Any) -> Tensor:
    """A matrix by rows of blocks, values (nnz, block rows, block columns); see `sparse_csr_tensor`."""
    options.setdefault("layout", sparse_bsr)
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, **options)


@function()
def sparse_bsc_tensor(ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, **options: Any) -> Tensor:
    """A matrix by columns of blocks; see `sparse_bsr_tensor`."""
    options.setdefault("layout", sparse_bsc)
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, **options)


@function()
def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of a sparse matrix and another matrix."""
    return sparse_tensors().mm(input, mat2)


ALL_DIMENSIONS: Any = object()
"""What `to_sparse` takes for no number: None is refused, as by torch."""


@tensor_method()
def to_sparse(
    self: Tensor, sparse_dim: int = ALL_DIMENSIONS, *, layout: layout_of | None = None, blocksize: object = None,
    dense_dim: int | None = None,
) -> Tensor:  # fmt: skip
    """The elements that are not zero as a sparse tensor: of layout COO, or of another `layout`."""
    count = None if sparse_dim is ALL_DIMENSIONS else sparse_dim
    return sparse_tensors().to_sparse(self, count, layout=layout, blocksize=blocksize, dense_dim=dense_dim)


@tensor_method()
def to_sparse_coo(self: Tensor) -> Tensor:
    """See `to_sparse`."""
    return sparse_tensors().to_sparse(self)


@tensor_method()
def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """See `to_sparse`."""
    return sparse_tensors().to_sparse(self, layout=sparse_csr, dense_dim=dense_dim)


@tensor_method()
def to_sparse_csc(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """See `to_sparse`."""
    return sparse_tensors().to_sparse(self, layout=sparse_csc, dense_dim=dense_dim)


@tensor_method()
def to_sparse_bsr(self: Tensor, blocksize: Any, dense_dim: int | None = None) -> Tensor:
    """The blocks of this size that are not zero, by rows; see `to_sparse`."""
    return sparse_tensors().to_sparse(self, layout=sparse_bsr, blocksize=blocksize, dense_dim=dense_dim)


@tensor_method()
def to_sparse_bsc(self: Tensor, blocksize: Any, dense_dim: int | None = None) -> Tensor:
    """The blocks of this size that are not zero, by columns; see `to_sparse`."""
    return sparse_tensors().to_sparse(self, layout=sparse_bsc, blocksize=blocksize, dense_dim=dense_dim)


@tensor_method()
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """This tensor, which is dense."""
    return self if dtype is None else self.to(dtype)


@tensor_method()
def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The elements at the places that the sparse tensor `mask` stores."""
    return sparse_tensors().handlers.sparse_mask(self, mask)


@tensor_method()
def sparse_dim(self: Tensor) -> int:
    """The number of sparse dimensions: 0."""
    return 0


@tensor_method()
def dense_dim(self: Tensor) -> int:
    """The number of dense dimensions."""
    return self.ndim


def _only_sparse(name: str, kind: str) -> None:
    def method(self: Tensor) -> Tensor:
        raise RuntimeError(f"{name} expected sparse {kind}tensor layout but got Strided")

    named(method, name, f"""A part of a sparse tensor, ``self.to_sparse().{name}()`` for one of that layout; this tensor is dense.

Shapes: a tensor of any shape.
Raises: RuntimeError.

>>> torch.ones(2).{name}()
Traceback (most recent call last):
    ...
RuntimeError: {name} expected sparse {kind}tensor layout but got Strided""")
    tensor_method()(method)


for _name, _kind in {
    "values": "", "indices": "coordinate ", "_indices": "coordinate ", "_values": "coordinate ", "_nnz": "coordinate ",
    "is_coalesced": "coordinate ", "coalesce": "coordinate ", "crow_indices": "row compressed ",
    "col_indices": "row compressed ", "ccol_indices": "column compressed ", "row_indices": "column compressed ",
}.items():  # fmt: skip
    _only_sparse(_name, _kind)
