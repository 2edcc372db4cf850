"""Checks of the arguments of linear algebra."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import HALVES, INEXACT, Array, scalar_name
from mini_dl.autograd.primitive import op
from mini_dl.tensor import Tensor, wrap


class _LinAlgError(RuntimeError):
    """A matrix does not have what was requested: an inverse, a Cholesky factor, ..."""


LinAlgError = _LinAlgError

# ------------------------------------------------------------------------------------------------ arguments


KERNELS = {
    "cholesky": "cholesky_cpu", "cholesky_inverse": "cholesky_inverse_out_cpu", "linalg.eigh": "linalg_eigh_cpu",
    "linalg.eigvalsh": "linalg_eigh_cpu", "linalg.lu": "lu_cpu", "linalg.solve_triangular": "triangular_solve_cpu",
    "torch.geqrf": "geqrf_cpu", "torch.linalg.lu_factor_ex": "lu_cpu",
}  # fmt: skip
"""The names in torch's errors where only the kernel checks the type."""


def matrix(name: str, A: Tensor, label: str = "A", floating: bool = True) -> Tensor:
    """`A`, after checking that it is a batch of matrices that NumPy can factor."""
    if A._array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {label} must have at least 2 dimensions.")
    if floating:
        kind = A._array.dtype
        if kind.kind not in INEXACT:
            if name in KERNELS:
                raise NotImplementedError(f"\"{KERNELS[name]}\" not implemented for '{scalar_name(kind)}'")
            raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {scalar_name(kind)}")
        if kind.char in HALVES:
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {scalar_name(kind)}")
    return A


def square(name: str, A: Tensor, label: str = "A", floating: bool = True) -> Tensor:
    """`A`, after checking that it is a batch of square matrices."""
    rows, columns = matrix(name, A, label, floating)._array.shape[-2:]
    if rows != columns:
        raise RuntimeError(f"{name}: {label} must be batches of square matrices, but they are {rows} by {columns} matrices")
    return A


def H(A: Tensor) -> Tensor:
    """The conjugate transpose."""
    At = A.transpose(-2, -1)
    return At.conj() if A._array.dtype.kind == "c" else At


def eye_like(A: Tensor, n: int) -> Tensor:
    return wrap(np.eye(n, dtype=A._array.dtype))


def diagonal(A: Tensor) -> Tensor:
    return A.diagonal(dim1=-2, dim2=-1)


@op(source=lambda grad, source_shape: wrap(np.zeros(source_shape)))
def tied(result: Array, source: Array) -> Array:
    """`result`, which in torch requires grad if `source` does, although it does not depend on it."""
    return result.copy()


@op(source=lambda grad, source_shape: (grad.sum() * 0).expand(source_shape))
def tied_to_empty(result: Array, source: Array) -> Array:
    """Like `tied`, where torch still computes the gradient of the empty `source`."""
    return result.copy()


@op(result=lambda grad: grad, source=lambda grad: None)
def tied_without_gradient(result: Array, source: Array) -> Array:
    """Like `tied`, where torch then returns no gradient instead of zeros."""
    return result.copy()
