"""Symmetric indefinite systems: ``A = P @ L @ D @ L.H @ P.T``, D of blocks of size 1 and 2.

J. Bunch, L. Kaufman, "Some stable methods for calculating inertia and solving symmetric linear systems" (1977), in LAPACK's
packing: L and D share the lower triangle; a positive pivot p means that this row was exchanged with row p; two equal negative
ones mark a block of 2.
"""

from __future__ import annotations

from mini_dl._dtypes import scalar_name
from mini_dl._surface import NamedTensors, public, return_type
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.mode import mode
from mini_dl.kernels import linalg as linalg_kernel
from mini_dl.kernels.linalg import first_failure
from mini_dl.ops.matrices import LinAlgError, matrix, square
from mini_dl.tensor import Tensor, wrap

_LDL, _LDLEx = return_type("linalg_ldl_factor", "LD pivots"), return_type("linalg_ldl_factor_ex", "LD pivots info")


@public("linalg", out=True)
@by_element
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> NamedTensors:
    """`ldl_factor` without an error: ``A = L @ D @ L.T``, and `info`, the order of the first zero pivot, 0 if there is none.

    Shapes: (*, n, n) -> (*, n, n), (*, n), (*).
    Raises: RuntimeError only if `check_errors`, and for matrices that are not square.

    >>> torch.linalg.ldl_factor_ex(torch.tensor([[2.0, 0.0], [4.0, 3.0]]))
    torch.return_types.linalg_ldl_factor_ex(
    LD=tensor([[ 3.0000,  0.0000],
            [ 1.3333, -3.3333]]),
    pivots=tensor([2, 2], dtype=torch.int32),
    info=tensor(0, dtype=torch.int32))
    """
    square("torch.linalg.ldl_factor_ex", A)
    LD, pivots, info = mode.run(linalg_kernel.factors, A._array, hermitian)
    if check_errors and info.any():
        batch, order = first_failure(info)
        raise LinAlgError(f"torch.linalg.ldl_factor_ex: {batch}D[{order},{order}] is zero: the matrix is singular.")
    return _LDLEx(wrap(LD), wrap(pivots), wrap(info))


@public("linalg", out=True)
@by_element
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> NamedTensors:
    """A symmetric (or `hermitian`) matrix as a product, in one matrix and the row exchanges: ``A = L @ D @ L.T``

    Only the lower triangle is read.

    Shapes: (*, n, n) -> (*, n, n), (*, n).
    Raises: RuntimeError if a pivot is zero, and for matrices that are not square.

    >>> torch.linalg.ldl_factor(torch.tensor([[2.0, 0.0], [4.0, 3.0]]))
    torch.return_types.linalg_ldl_factor(
    LD=tensor([[ 3.0000,  0.0000],
            [ 1.3333, -3.3333]]),
    pivots=tensor([2, 2], dtype=torch.int32))
    """
    square("torch.linalg.ldl_factor", A)
    LD, pivots, _ = mode.run(linalg_kernel.factors, A._array, hermitian)
    return _LDL(wrap(LD), wrap(pivots))


@public("linalg", out=True)
@by_element
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """The solution of a linear system from the result of `ldl_factor`: ``A @ out = B``

    Family: factors

    >>> LD, pivots = torch.linalg.ldl_factor(torch.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> torch.linalg.ldl_solve(LD, pivots, torch.tensor([[8.0], [7.0]]))
    tensor([[1.2500],
            [1.5000]])
    """
    name = "torch.linalg.ldl_solve"
    square(name, LD, "LD")
    if B._array.ndim < 2:
        raise RuntimeError(f"{name}: Expected B to have at least 2 dimensions, but it has {B._array.ndim} dimensions instead")
    matrix(name, B, "B")
    if pivots._array.shape != LD._array.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots._array.shape)} instead"
        )
    if pivots._array.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {scalar_name(pivots._array.dtype)}")
    if LD._array.dtype != B._array.dtype:
        raise RuntimeError(
            f"{name}: LD dtype {scalar_name(LD._array.dtype)} does not match b dtype {scalar_name(B._array.dtype)}"
        )
    if LD._array.shape[-1] != B._array.shape[-2]:
        n, (r, c) = LD._array.shape[-1], B._array.shape[-2:]
        raise RuntimeError(f"{name}: Incompatible shapes of LD and B ({n}x{n} and {r}x{c})")
    return wrap(mode.run(linalg_kernel.solutions, LD._array, pivots._array, B._array, hermitian))
