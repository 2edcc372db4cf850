"""Linear algebra: NumPy's factorizations, with our own derivatives.

The last two dimensions are the matrix, those before them a batch. Formulas consist of products, solves and factorizations,
which have derivatives themselves; ``A.H`` is the conjugate transpose.

Formulas of the factorizations: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); for complex matrices, derived from it by requiring that the loss does not depend on the phase.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import type_name, warn_once, wrap_dim
from mini_dl._dtypes import INEXACT, NARROW, c_name, scalar_name
from mini_dl._surface import function, method, public
from mini_dl.autograd.elements import by_element
from mini_dl.ops.contractions import chain
from mini_dl.ops.joining import cat, checked
from mini_dl.ops.matrices import diagonal, eye_like, square, tied
from mini_dl.ops.operands import accept, in_float32
from mini_dl.ops.solving import _inverse, _solve, inv, solve
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ products


@public("linalg", "torch", "Tensor", out=True)
def matrix_power(A: Tensor, n: int) -> Tensor:
    """The product of `n` equal matrices, by squaring: ``out = A @ A @ ... @ A``; of the inverse for negative `n`.

    Shapes: (*, m, m) -> (*, m, m).
    Raises: RuntimeError for matrices that are not square; LinAlgError for a negative power of a singular one.

    >>> torch.linalg.matrix_power(torch.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type_name(n)}")
    square("linalg.matrix_power", A, floating=n < 0)
    if n == 0:
        return tied(eye_like(A, A._array.shape[-1]).expand(A._array.shape), A)
    if n < 0:
        A, n = inv(A), -n
    out: Tensor | None = None
    while True:
        if n & 1:
            out = A if out is None else out @ A
        n >>= 1
        if not n:
            assert out is not None
            return out.clone() if out is A else out
        A = A @ A


@public("linalg", out=True)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices in the cheapest order: ``out = tensors[0] @ tensors[1] @ ... @ tensors[n - 1]``

    Shapes: (a, b), (b, c), ..., (y, z) -> (a, z); the first and the last may be vectors.
    Raises: RuntimeError for fewer than two, and if the sizes do not match.

    >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 1), torch.ones(1, 2)])
    tensor([[3., 3.],
            [3., 3.]])
    """
    n = len(tensors)
    tensors = checked("linalg_multi_dot", tensors) if n else []
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    row, column = tensors[0]._array.ndim == 1, tensors[-1]._array.ndim == 1
    for i, t in enumerate(tensors):
        ndim = t._array.ndim
        if i in (0, n - 1) and ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {'first' if i == 0 else 'last'} tensor must be 1D or 2D but got {ndim}D")
        if 0 < i < n - 1 and ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {ndim}D")
        if t._array.dtype != tensors[0]._array.dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {c_name(tensors[0]._array.dtype)} "
                f"and tensor {i} {c_name(t._array.dtype)}"
            )
    given = [list(t._array.shape) for t in tensors]
    if row:
        tensors[0] = tensors[0].unsqueeze(0)
    if column:
        tensors[-1] = tensors[-1].unsqueeze(-1)
    for i in range(n - 1):
        a, b = tensors[i]._array.shape, tensors[i + 1]._array.shape
        if a[1] != b[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {given[i]} and {given[i + 1]} cannot be multiplied"
            )
    out = chain(tensors)
    if row:
        out = out.squeeze(0)
    return out.squeeze(-1) if column else out


@public("linalg:diagonal")
def _linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonal of the matrices in `dim1` and `dim2`: ``out[..., i] = A[..., i, i + offset]``

    Shapes: (*, m, n) -> (*, min(m, n - offset)); a view.
    Raises: RuntimeError if both dimensions are the same; IndexError for one that `A` lacks.

    >>> torch.linalg.diagonal(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return A.diagonal(offset, dim1, dim2)


@public("linalg", out=True)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner product of vectors along `dim`: ``out = sum(conj(x[i]) * y[i], i)``

    Shapes: `x` and `y` are broadcast, and `dim` is removed.
    Raises: RuntimeError if the shapes do not broadcast.

    >>> torch.linalg.vecdot(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    if x._array.dtype.kind not in INEXACT:
        raise RuntimeError(f"linalg.vecdot: Expected a floating point or complex tensor. Got {scalar_name(x._array.dtype)}")
    if x._array.dtype != y._array.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {scalar_name(x._array.dtype)} and y of "
            f"type {scalar_name(y._array.dtype)} instead"
        )
    return ((x.conj() if x.is_complex() else x) * y).sum(dim)


@method()
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix: ``out = sum(input[i, i], i)``

    Shapes: (m, n) -> ().
    Raises: RuntimeError unless `input` is a matrix.

    >>> torch.trace(torch.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input._array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._array.ndim}")
    accept("trace", "iufc", input._array)
    return diagonal(input).sum()


def _cross_product(input: Tensor, other: Tensor, dim: int) -> Tensor:
    forward, back = wrap(np.array([1, 2, 0])), wrap(np.array([2, 0, 1]))
    return input.index_select(dim, forward) * other.index_select(dim, back) - input.index_select(dim, back) * other.index_select(
        dim, forward
    )


@public("linalg:cross", out=True)
def _linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of length 3 along `dim`: ``out[0] = input[1] * other[2] - input[2] * other[1]``, and
    cyclically.

    Shapes: `input` and `other` are broadcast, with size 3 at `dim`.
    Raises: RuntimeError unless both have size 3 there.

    >>> torch.linalg.cross(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    a, b = input._array, other._array
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    at = wrap_dim(dim, a.ndim)
    if a.shape[at] != 3 or b.shape[at] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[at]} and {b.shape[at]}")
    if a.dtype.kind == "b":
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(a.dtype)} but found {scalar_name(b.dtype)}")
    return _cross_product(input, other, at - a.ndim)


@method(out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of length 3: ``out[0] = input[1] * other[2] - input[2] * other[1]``, and cyclically.

    They are along `dim`, by default the first dimension of size 3.

    Family: linalg.cross

    >>> torch.cross(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), dim=0)
    tensor([0., 0., 1.])
    """
    if dim is None:
        warn_once(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or simply "
            "use torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in a future "
            "release.",
        )
        dim = next((i for i, n in enumerate(input._array.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return _linalg_cross(input, other, dim=dim)


@public("linalg:vander")
def _linalg_vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers along a new last dimension: ``out[..., i, k] = x[..., i] ** k``

    Shapes: (*, n) -> (*, n, N), where N defaults to n.
    Raises: RuntimeError unless N is greater than 1, and for a 0-d tensor.

    >>> torch.linalg.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    n = N if N is not None else x._array.shape[-1] if x._array.ndim else 0
    if n <= 1:
        raise RuntimeError("N must be greater than 1.")
    if x._array.dtype.kind == "b":
        raise RuntimeError("linalg.vander supports floating point, complex, and integer tensors, but got Bool")
    return _powers(x if x._array.ndim else x.reshape(1), n)


def _powers(x: Tensor, n: int) -> Tensor:
    column = x.unsqueeze(-1)
    one = wrap(np.ones(column._array.shape, column._array.dtype if column._array.dtype.kind in INEXACT else np.int64))
    if n == 0:
        return one.narrow(-1, 0, 0)
    if n == 1:
        return one
    return cat([one, column.expand(*x._array.shape, n - 1).cumprod(-1)], -1)


@function()
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector as columns, the highest first unless `increasing`: ``out[i, k] = x[i] ** (N - 1 - k)``

    Shapes: (n,) -> (n, N), where N defaults to n.
    Raises: RuntimeError unless `x` is a vector and N is nonnegative.

    >>> torch.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x._array.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x._array.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    out = _powers(x, n)
    return out if increasing else out.flip(-1)


@public("linalg", out=True)
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of a tensor as a map between its dimensions before and from `ind`: ``tensordot(out, A, ind) = I``

    Shapes: (*a, *b), the products of both equal, with `ind` dimensions in a -> (*b, *a).
    Raises: RuntimeError unless `ind` is positive and the products are equal; LinAlgError if there is no inverse.

    >>> torch.linalg.tensorinv(torch.eye(4).reshape(4, 2, 2), ind=1).shape
    torch.Size([2, 2, 4])
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = A._array.shape
    if ind > len(shape):
        raise RuntimeError(f"Expected 'ind' to be at most the number of dimensions, but got {ind} for shape {list(shape)}")
    rows, columns = math.prod(shape[ind:]), math.prod(shape[:ind])
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {rows} != {columns}"
        )
    return _inverse("linalg.tensorinv", A.reshape(columns, rows)).reshape(*shape[ind:], *shape[:ind])


@public("linalg", out=True)
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """The solution of a linear system of tensors: ``tensordot(A, out, out.ndim) = B``; `dims` of A are moved to the end first.

    Shapes: `A` (*b, *x), `B` (*b) -> (*x), the products of both equal.
    Raises: RuntimeError unless the products are equal; LinAlgError if there is no solution.

    >>> torch.linalg.tensorsolve(torch.eye(4).reshape(2, 2, 4), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 2., 3., 4.])
    """
    if dims is not None:
        moved = [wrap_dim(d, A._array.ndim) for d in dims]
        A = A.permute(*[d for d in range(A._array.ndim) if d not in moved], *moved)
    shape = A._array.shape[B._array.ndim :]
    rows, columns = B._array.size, math.prod(shape)
    if A._array.size != rows * columns or rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {columns} != {rows}"
        )
    return solve(A.reshape(rows, columns), B.reshape(-1)).reshape(*shape)


@public("linalg", "torch", "Tensor")
@by_element
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices: ``out = sum(matrix_power(A, k) / factorial(k), k)``

    By the rational approximation of order 13 of A scaled to norm 1, then squared.

    Shapes: (*, n, n) -> (*, n, n).
    Raises: RuntimeError for matrices that are not square, and for integers.
    Source: Higham, The scaling and squaring method for the matrix exponential revisited, 2005.

    >>> torch.linalg.matrix_exp(torch.tensor([[0.0, torch.pi], [-torch.pi, 0.0]])).round(decimals=4)
    tensor([[-1., -0.],
            [ 0., -1.]])
    """
    if isinstance(A, Tensor) and A._array.dtype.char in NARROW:
        return in_float32(matrix_exp, A)
    square("linalg.matrix_exp", A)
    n = A._array.shape[-1]
    if not A._array.size:
        return A.clone()
    single = A._array.dtype.char in "fF"
    target = A.dtype
    if single:
        A = A.to(_dtypes.float64 if target.is_floating_point else _dtypes.complex128)
    largest = float(np.abs(A._array).sum(-2).max())
    times = max(0, math.ceil(math.log2(largest))) if largest > 1 and math.isfinite(largest) else 0
    A = A / 2.0**times
    b = [64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
         33522128640, 1323241920, 40840800, 960960, 16380, 182, 1]  # fmt: skip
    c = [x / b[0] for x in b]
    one = eye_like(A, n)
    A2 = A @ A
    A4 = A2 @ A2
    A6 = A4 @ A2
    odd = A @ (A6 @ (A6 * c[13] + A4 * c[11] + A2 * c[9]) + A6 * c[7] + A4 * c[5] + A2 * c[3] + one * c[1])
    even = A6 @ (A6 * c[12] + A4 * c[10] + A2 * c[8]) + A6 * c[6] + A4 * c[4] + A2 * c[2] + one
    out = _solve(even - odd, even + odd)
    for _ in range(times):
        out = out @ out
    return out.to(target) if single else out
