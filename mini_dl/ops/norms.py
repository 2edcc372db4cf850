"""Norms outside ``linalg``: of vectors or of matrices, depending on the arguments."""

from __future__ import annotations

from mini_dl._checks import deprecated, listed, wrap_dim
from mini_dl._dtypes import HALVES, INEXACT, Ints, dtype, float32, is_number, scalar_name
from mini_dl._surface import function, method, public, requires_grad
from mini_dl.autograd.mode import differentiates
from mini_dl.ops.choice import where
from mini_dl.ops.matrix_norms import matrix_norm
from mini_dl.ops.reduction import checked
from mini_dl.ops.vector_norms import vector_norm
from mini_dl.tensor import Tensor


@function(out=True)
def norm(
    input: Tensor, p: float | str | None = "fro", dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The vector norm of order `p`: ``out = sum(abs(input[i]) ** p, i) ** (1 / p)``; with ``p="nuc"`` the sum of the singular
    values.

    Family: reduction

    >>> torch.norm(torch.tensor([3.0, 4.0])), torch.norm(torch.tensor([3.0, 4.0]), torch.inf)
    (tensor(5.), tensor(4.))
    """
    checked("norm", input, keepdim)
    if not isinstance(p, str) or (p == "fro" and (dim is None or len(listed(dim)) <= 2)):
        return vector_norm(input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype)
    dims = list(range(input._array.ndim)) if dim is None else listed(dim)
    return matrix_norm(input, p, dims, keepdim, dtype=dtype)


@public("Tensor:norm")
def _tensor_norm(
    self: Tensor, p: float | str | None = "fro", dim: Ints | None = None, keepdim: bool = False, dtype: dtype | None = None
) -> Tensor:
    """``torch.norm(self, p, dim, keepdim)``, the vector norm of order `p`.

    Family: reduction

    >>> torch.tensor([[3.0, 4.0], [6.0, 8.0]]).norm(dim=1)
    tensor([ 5., 10.])
    """
    return norm(self, p, dim, keepdim, dtype=dtype)


@function(out=True)
@deprecated("at::frobenius_norm", "`linalg.vector_norm(A, 2., dim, keepdim)`")
def frobenius_norm(input: Tensor, dim: Ints, keepdim: bool = False) -> Tensor:
    """``out = sqrt(sum(abs(input[i]) ** 2, i))`` over one dimension, two, or all with ``dim=()``.

    Family: reduction

    >>> torch.frobenius_norm(torch.tensor([[3.0, 4.0]]), ())
    tensor(5.)
    """
    dims = listed(dim)
    if len(dims) > 2:
        raise RuntimeError(f"Expected at most 2 dimensions, but got {len(dims)} dimensions instead.")
    if input._array.dtype.kind not in INEXACT:
        raise RuntimeError(
            f"norm(): input dtype should be either floating point or complex. Got {scalar_name(input._array.dtype)} instead."
        )
    return vector_norm(input, 2, dims, keepdim)


@function(out=True)
@deprecated("at::nuclear_norm", "`linalg.matrix_norm(A, 'nuc', dim, keepdim)`")
def nuclear_norm(input: Tensor, dim: Ints = (-2, -1), keepdim: bool = False) -> Tensor:
    """The sum of the singular values of the matrices in two dimensions: ``out = sum(s[i], i)``

    Family: reduction
    Raises: RuntimeError unless two dimensions are named, for integers, and for float16.

    >>> torch.nuclear_norm(torch.diag(torch.tensor([3.0, -4.0])))
    tensor(7.)
    """
    if isinstance(dim, bool):  # torch's other overload: nuclear_norm(input, keepdim)
        keepdim, dim = dim, (-2, -1)
    return matrix_norm(input, "nuc", dim, keepdim)


@function()
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm of each slice along `dim`: ``out[i] = sum(abs(v[i, j]) ** pow, j) ** (1 / pow)``; with ``dim=-1`` that of the
    whole tensor.

    Shapes: (*in) -> the size at `dim`, the other dimensions of size 1.
    Raises: RuntimeError for integers; IndexError for a dimension that `v` lacks.

    >>> torch.norm_except_dim(torch.tensor([[3.0, 4.0], [6.0, 8.0]]))
    tensor([[ 5.],
            [10.]])
    """
    if isinstance(pow, float):
        raise TypeError("norm_except_dim(): argument 'pow' (position 2) must be int, not float")
    if dim == -1:
        return norm(v, pow)
    if not v.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, v.ndim)
    shape = [n if d == dim else 1 for d, n in enumerate(v.shape)]
    return norm(v.transpose(0, dim).reshape(v.shape[dim], -1), pow, 1).reshape(shape)


@method()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The vector norm of a difference: ``out = sum(abs(input[i] - other[i]) ** p, i) ** (1 / p)``

    Shapes: `input` and `other` are broadcast -> ().
    Raises: RuntimeError if the shapes do not broadcast, and for integers.

    >>> torch.dist(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    apart = input - other
    if apart._array.dtype.kind not in INEXACT:
        raise RuntimeError(
            f"norm(): input dtype should be either floating point or complex. Got {scalar_name(apart._array.dtype)} instead."
        )
    return vector_norm(apart, p)


@method(inplace=True, out=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along `dim` scaled down where its norm is larger:
    ``out[i] = input[i] * min(1, maxnorm / (norm(input[i], p) + 1e-7))``

    Shapes: (*in) -> (*in), of two dimensions or more.
    Raises: RuntimeError unless `p` is positive, `maxnorm` is nonnegative, and there are two dimensions.

    >>> torch.renorm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    x = checked("renorm", input)
    if not is_number(p) or isinstance(p, complex):
        raise RuntimeError("renorm: p must be real-valued")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    ndim = x._array.ndim
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    dim = wrap_dim(dim, ndim)
    others = tuple([d for d in range(ndim) if d != dim])
    kind = float32 if x._array.dtype.char in HALVES else None
    large, length = x, vector_norm(x.detach(), p, others, True, dtype=kind)
    small = ~(length > maxnorm)  # or NaN: unchanged, also by the gradient
    if requires_grad(x) and differentiates():
        large = x.masked_fill(small, 1)
        length = vector_norm(large, p, others, True, dtype=kind)
    return where(small, x, large * (maxnorm / (length + 1e-7)).to(x.dtype)).contiguous()
