"""Sparse tensors: COO, and batches of matrices with compressed rows or columns, of elements (CSR, CSC) or blocks (BSR, BSC).
Imported when the first one is created."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._families import complete_docstrings
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
from mini_dl.tensor import Tensor, wrap

__all__ = [
    "addmm", "check_sparse_tensor_invariants", "log_softmax", "mm", "sampled_addmm", "softmax", "spdiags", "spsolve", "sum",
]  # fmt: skip


def _of_type(name: str) -> Any:
    def make(*parts: object) -> Tensor:
        """A sparse tensor of this dtype from indices, values and size, or an empty one of a given size:
        ``out[indices[:, k]] = values[k]``

        Shapes: as `sparse_coo_tensor`.
        Raises: RuntimeError if the parts do not match.

        >>> torch.sparse.FloatTensor(2, 2).to_dense()
        tensor([[0., 0.],
                [0., 0.]])
        """
        dtype = _dtypes.NAMES[name]
        if parts and isinstance(parts[0], int):
            return sparse_coo_tensor(parts, dtype=dtype)
        return sparse_coo_tensor(*parts, dtype=dtype) if parts else sparse_coo_tensor((0,), dtype=dtype)

    return make


FloatTensor, DoubleTensor, HalfTensor = _of_type("float32"), _of_type("float64"), _of_type("float16")
LongTensor, IntTensor, ShortTensor = _of_type("int64"), _of_type("int32"), _of_type("int16")
CharTensor, ByteTensor = _of_type("int8"), _of_type("uint8")


def mm(mat1: Tensor, mat2: Tensor, reduce: str | None = None) -> Tensor:
    """The product of matrices, one of them or both sparse: ``out[i, j] = sum(mat1[i, k] * mat2[k, j], k)``; sparse if both are.

    Gradients have the indices of the sparse factor. `reduce` specifies how the terms of a product of compressed rows and a dense
    matrix are reduced: "sum", "mean", "amax", "amin".

    Shapes: (N, K), (K, M) -> (N, M).
    Raises: RuntimeError if the sizes do not match, and for an unknown `reduce`; NotImplementedError for `reduce` of other
    layouts.

    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.ones(2, 2))
    tensor([[1., 1.],
            [1., 1.]])
    """
    if reduce is not None:
        return _reduced(mat1, mat2, reduce)
    if not isinstance(mat1, SparseTensor) and not isinstance(mat2, SparseTensor):
        return mat1.mm(mat2)
    return handlers.matmul(mat1, mat2)


def _reduced(mat1: Tensor, mat2: Tensor, reduce: str) -> Tensor:
    if not isinstance(mat1, SparseTensor) or not mat1.is_sparse_csr or mat1.batch or isinstance(mat2, SparseTensor):
        layouts = [getattr(each, "layout", None) for each in (mat1, mat2)]
        raise NotImplementedError(
            "Could not run 'aten::_sparse_mm_reduce_impl': a product with reduce= takes a matrix of layout sparse_csr and a "
            f"dense one, got {layouts[0]} and {layouts[1]}"
        )
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"sparse_mm_reduce: reduce type of {reduce} has not been enabled.")
    return handlers.matmul(mat1, mat2) if reduce == "sum" else handlers.reduced_product(mat1, mat2, reduce)


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: object = 1.0, alpha: object = 1.0) -> Tensor:
    """A matrix and a product with a sparse factor: ``out = beta * mat + alpha * (mat1 @ mat2)``

    Shapes: `mat` (N, M), (N, K), (K, M) -> (N, M).
    Raises: RuntimeError if the sizes do not match.

    >>> torch.sparse.addmm(torch.ones(2, 1), torch.eye(2).to_sparse(), torch.tensor([[1.0], [2.0]]))
    tensor([[2.],
            [3.]])
    """
    return handlers.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sampled_addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: object = 1.0, alpha: object = 1.0, out: object = None
) -> Tensor:
    """A product computed only at the positions of a matrix of compressed rows:
    ``out[i, j] = beta * input[i, j] + alpha * (mat1 @ mat2)[i, j]``

    Shapes: `input` (N, M), (N, K), (K, M) -> (N, M).
    Raises: RuntimeError unless `input` has the layout sparse_csr; NotImplementedError with ``out=``.

    >>> torch.sparse.sampled_addmm(torch.eye(2).to_sparse_csr(), torch.ones(2, 3), torch.ones(3, 2)).to_dense()
    tensor([[4., 0.],
            [0., 4.]])
    """
    if not isinstance(input, SparseTensor) or not input.is_sparse_csr:
        raise RuntimeError(f"sampled_addmm: Expected self to have sparse_csr layout, but got {input.layout}")
    if out is not None:
        raise NotImplementedError("sampled_addmm with out=")
    return handlers.sampled_product(input, mat1, mat2, beta, alpha)


def sum(input: Tensor, dim: object = None, dtype: object = None) -> Tensor:
    """The sum of the values or, along dimensions, a tensor that is sparse unless no sparse dimension is left:
    ``out = sum(input[i], i)``

    Shapes: (*in) -> (), or (*in) without the dimensions `dim`.
    Raises: RuntimeError unless `input` is sparse.

    >>> torch.sparse.sum(torch.eye(3).to_sparse())
    tensor(3.)
    """
    if not isinstance(input, SparseTensor):
        raise RuntimeError("torch.sparse.sum expects a sparse tensor")
    return handlers.sum(input, dim, dtype=dtype)


def softmax(input: Tensor, dim: int, *, dtype: object = None) -> Tensor:
    """Softmax over the stored elements: ``out[i] = exp(input[i]) / sum(exp(input[j]), j)``; the others stay zero.

    Shapes: (*in) -> (*in), sparse.
    Raises: RuntimeError unless `input` is a sparse tensor of layout COO.

    >>> torch.sparse.softmax(torch.tensor([[1.0, 1.0, 0.0]]).to_sparse(), 1).to_dense()
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    return handlers.softmax(input, dim, dtype=dtype)  # type: ignore[arg-type]


def log_softmax(input: Tensor, dim: int, *, dtype: object = None) -> Tensor:
    """The logarithm of `softmax` over the stored elements: ``out[i] = input[i] - log(sum(exp(input[j]), j))``

    Shapes: (*in) -> (*in), sparse.
    Raises: RuntimeError unless `input` is a sparse tensor of layout COO.

    >>> torch.sparse.log_softmax(torch.tensor([[1.0, 1.0, 0.0]]).to_sparse(), 1).to_dense()
    tensor([[-0.6931, -0.6931,  0.0000]])
    """
    return handlers.softmax(input, dim, dtype=dtype, log=True)  # type: ignore[arg-type]


def spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any = None) -> Tensor:
    """A matrix with the rows of `diagonals` as its diagonals: ``out[j - offsets[k], j] = diagonals[k, j]``

    Shapes: `diagonals` (K, n), `offsets` (K) -> `shape`, sparse.
    Raises: RuntimeError unless there is one distinct offset per diagonal.

    >>> torch.sparse.spdiags(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1]), (2, 2)).to_dense()
    tensor([[0., 2.],
            [0., 0.]])
    """
    rows, columns = (int(n) for n in shape)
    table, at = diagonals.reshape(-1, diagonals.shape[-1]), offsets.reshape(-1)._array
    if len(at) != len(table):
        raise RuntimeError(f"Number of diagonals ({len(table)}) does not match the number of offsets ({len(at)})")
    if len(set(at.tolist())) != len(at):
        raise RuntimeError("Offset tensor contains duplicate values")
    places = [(d, j - k, j) for d, k in enumerate(at.tolist()) for j in range(max(k, 0), min(table.shape[1], columns, rows + k))]
    which, i, j = np.array(places, np.int64).reshape(-1, 3).T
    made_ = coo(np.stack([i, j]), table[wrap(which), wrap(j)], (rows, columns))
    return made_ if layout is None else made_.to_sparse(layout=layout)


def spsolve(input: Tensor, other: Tensor, *, left: bool = True) -> Tensor:
    """NotImplementedError, as in torch, which has no solver of sparse systems on the CPU either: ``input @ out = other``

    Shapes: (n, n), (n) -> (n).
    Raises: NotImplementedError.

    >>> torch.sparse.spsolve(torch.eye(2).to_sparse_csr(), torch.ones(2))
    Traceback (most recent call last):
        ...
    NotImplementedError: Could not run 'aten::_spsolve' ...
    """
    raise NotImplementedError(
        "Could not run 'aten::_spsolve' with arguments from the 'SparseCsrCPU' backend. This could be because the operator "
        "doesn't exist for this backend"
    )


class check_sparse_tensor_invariants:
    """Whether torch checks the indices of sparse tensors; a context manager, a decorator, and a switch. Here they are always
    checked.

    Raises: TypeError for further arguments.

    >>> with torch.sparse.check_sparse_tensor_invariants(False):
    ...     print(torch.sparse.check_sparse_tensor_invariants.is_enabled())
    False
    """

    state = False

    @staticmethod
    def is_enabled() -> bool:
        return check_sparse_tensor_invariants.state

    @staticmethod
    def enable() -> None:
        check_sparse_tensor_invariants.state = True

    @staticmethod
    def disable() -> None:
        check_sparse_tensor_invariants.state = False

    def __init__(self, enable: bool = True) -> None:
        self.wanted = enable
        self.before: bool | None = None

    def __enter__(self) -> None:
        if self.before is not None:
            raise RuntimeError("This context manager instance is already activated. Use a different context manager instance.")
        self.before, check_sparse_tensor_invariants.state = check_sparse_tensor_invariants.state, self.wanted

    def __exit__(self, *exception: object) -> None:
        assert self.before is not None
        check_sparse_tensor_invariants.state, self.before = self.before, None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: object, **kwargs: object) -> Any:
            with type(self)(self.wanted):
                return function(*args, **kwargs)

        return call


complete_docstrings(globals())
