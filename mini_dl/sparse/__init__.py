"""Sparse tensors: COO, and matrices with compressed rows (CSR) or columns (CSC). Imported when the first one is made."""

from __future__ import annotations

from typing import Any

from mini_dl import _dtypes
from mini_dl.sparse import handlers
from mini_dl.sparse.making import (
    check_compressed as check_compressed,
    check_coordinates as check_coordinates,
    rows_of as rows_of,
    sparse_compressed_tensor as sparse_compressed_tensor,
    sparse_coo_tensor as sparse_coo_tensor,
    to_sparse as to_sparse,
)
from mini_dl.sparse.tensor import SparseTensor as SparseTensor, coo as coo, made as made
from mini_dl.tensor import Tensor

__all__ = ["addmm", "log_softmax", "mm", "sampled_addmm", "softmax", "sum"]


def _of_type(name: str) -> Any:
    def make(*parts: object) -> Tensor:
        """A sparse tensor of this type from indices, values and size, or of this size and empty."""
        dtype = _dtypes.NAMES[name]
        if parts and isinstance(parts[0], int):
            return sparse_coo_tensor(parts, dtype=dtype)
        return sparse_coo_tensor(*parts, dtype=dtype) if parts else sparse_coo_tensor((0,), dtype=dtype)

    return make


FloatTensor, DoubleTensor, HalfTensor = _of_type("float32"), _of_type("float64"), _of_type("float16")
LongTensor, IntTensor, ShortTensor = _of_type("int64"), _of_type("int32"), _of_type("int16")
CharTensor, ByteTensor = _of_type("int8"), _of_type("uint8")


def mm(mat1: Tensor, mat2: Tensor, reduce: str | None = None) -> Tensor:
    """The product of matrices, one of them or both sparse; sparse if both are. Gradients have the places of a sparse factor.

    >>> import mini_dl as torch
    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.ones(2, 2))
    tensor([[1., 1.],
            [1., 1.]])
    """
    if reduce not in (None, "sum"):
        raise NotImplementedError(f"torch.sparse.mm with reduce={reduce!r}")
    if not isinstance(mat1, SparseTensor) and not isinstance(mat2, SparseTensor):
        return mat1.mm(mat2)
    return handlers.matmul(mat1, mat2)


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: object = 1.0, alpha: object = 1.0) -> Tensor:
    """``beta * mat + alpha * (mat1 @ mat2)`` with a sparse `mat1`."""
    return handlers.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sampled_addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: object = 1.0, alpha: object = 1.0, out: object = None
) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` at the places of `input`, a matrix of compressed rows, and nothing else."""
    if not isinstance(input, SparseTensor) or not input.is_sparse_csr:
        raise RuntimeError(f"sampled_addmm: Expected self to have sparse_csr layout, but got {input.layout}")
    if out is not None:
        raise NotImplementedError("sampled_addmm with out=")
    return handlers.sampled_product(input, mat1, mat2, beta, alpha)


def sum(input: Tensor, dim: object = None, dtype: object = None) -> Tensor:
    """The sum of the values or, along dimensions, a tensor that is sparse unless no sparse dimension is left."""
    if not isinstance(input, SparseTensor):
        raise RuntimeError("torch.sparse.sum expects a sparse tensor")
    return handlers.sum(input, dim, dtype=dtype)


def softmax(input: Tensor, dim: int, *, dtype: object = None) -> Tensor:
    """Softmax over the elements that are stored: the others count as minus infinity, and stay zero."""
    return handlers.softmax(input, dim, dtype=dtype)  # type: ignore[arg-type]


def log_softmax(input: Tensor, dim: int, *, dtype: object = None) -> Tensor:
    """The logarithm of `softmax` where elements are stored."""
    return handlers.softmax(input, dim, dtype=dtype, log=True)  # type: ignore[arg-type]
