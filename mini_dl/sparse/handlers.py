"""Functions and operators on sparse tensors: compositions of dense operations on the values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import wrap_dim
from mini_dl._dtypes import Array
from mini_dl.autograd import backwards
from mini_dl.ops.joining import cat as dense_cat
from mini_dl.sparse.tensor import BSC, BSR, COO, CSC, CSR, SparseTensor, coo, handles, like, made, refusal
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ elementwise

ZERO_TO_ZERO = (
    "abs absolute asin arcsin asinh arcsinh atan arctan atanh arctanh ceil deg2rad erf erfinv expm1 floor frac isnan isinf "
    "isneginf isposinf log1p neg negative rad2deg relu round sgn sign signbit sin sinh sqrt square tan tanh trunc conj "
    "conj_physical positive"
).split()
"""Functions that are zero at zero."""


def _of_values(name: str) -> Callable[..., SparseTensor]:
    function = getattr(Tensor, name)

    def apply(input: SparseTensor, *args: object, **kwargs: object) -> SparseTensor:
        source = input.coalesce() if input.layout is COO else input
        return like(source, function(source.kept, *args, **kwargs))

    return apply


for _name in ZERO_TO_ZERO:
    if hasattr(Tensor, _name):
        handles(_name)(_of_values(_name))
handles("__abs__")(_of_values("abs"))


@handles("neg", "negative", "__neg__")
def neg(input: SparseTensor) -> SparseTensor:
    return like(input, -input.kept)


@handles("pow", "__pow__")
def power(input: object, exponent: object) -> SparseTensor:
    if not isinstance(input, SparseTensor) or not isinstance(exponent, (int, float, complex)):
        raise RuntimeError("a sparse tensor can only be raised to a number")
    if exponent == 0:
        raise RuntimeError("pow(sparse, 0) would be dense: call to_dense() first")
    source = input.coalesce() if input.layout is COO else input
    return like(source, source.kept**exponent)


def _same_size(a: Any, b: Any, name: str) -> None:
    if tuple(a.shape) != tuple(b.shape):
        raise RuntimeError(f"{name}: expected sizes of 'self' and 'other' to match, but {list(a.shape)} != {list(b.shape)}")


@handles("add", "__add__")
def add(input: object, other: object, *, alpha: Any = 1, out: object = None) -> Tensor:
    """COO + COO, compressed + compressed of one layout, or dense + sparse."""
    if not isinstance(other, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    scaled = other.kept if isinstance(alpha, int) and alpha == 1 else other.kept * alpha
    if not isinstance(input, SparseTensor):
        if not isinstance(input, Tensor):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        _same_size(input, other, "add")
        if not len(other.places()):
            return input + scaled.sum(0)
        return input.index_put(tuple(map(wrap, other.places())), scaled.to(_dtype_of(input, scaled)), accumulate=True)
    _same_size(input, other, "add")
    if input.layout is not other.layout:
        raise RuntimeError(f"add of tensors of layouts {input.layout} and {other.layout} is not supported: convert one of them")
    if input.layout is COO and input.sparse_dim() != other.sparse_dim():
        raise RuntimeError("add: expected the same number of sparse dimensions")
    if input.layout is COO and input.index[0] is other.index[0]:
        return made(COO, input.index, input.kept + scaled, input.whole, input.merged and other.merged)
    if not input.is_plain:
        joined = add(input.elements(), other.elements(), alpha=alpha).coalesce()
        if input.batch:
            raise RuntimeError("add of batches of compressed tensors is not supported: convert them with to_sparse() first")
        return joined.to_sparse(layout=input.layout, blocksize=input.block)
    kept = dense_cat([input.kept, scaled])
    joined = coo(np.concatenate([input.places(), other.places()], 1), kept, input.whole)
    if input.layout is not COO:
        return joined.to_sparse(layout=input.layout)
    return joined.coalesce() if input.merged and other.merged else joined


def _dtype_of(input: Tensor, values: Tensor) -> Any:
    return _dtypes.promote_types(input.dtype, values.dtype)


@handles("sub", "subtract", "__sub__")
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    if not isinstance(other, SparseTensor):
        raise RuntimeError("sub(sparse, dense) is not supported. Use sub(dense, sparse) instead.")
    return add(input, other, alpha=-alpha)


def add_into(input: Any, other: SparseTensor, *, alpha: object = 1) -> Tensor:
    """``input.add_(other)``"""
    result = add(input, other, alpha=alpha)
    if not isinstance(input, SparseTensor):
        return input.copy_(result)
    return _overwritten(input, result)


handles("add_", "__iadd__")(add_into)
handles("sub_", "__isub__")(lambda input, other, *, alpha=1: add_into(input, other, alpha=-alpha))


def _overwritten(input: SparseTensor, result: Any) -> SparseTensor:
    if input.requires_grad and input.is_leaf:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    input.index, input.kept, input.merged = result.index, result.kept, result.merged
    return input


@handles("mul", "multiply", "__mul__", "__rmul__")
def mul(input: Any, other: Any) -> SparseTensor:
    """The values times a number, or the elements of a dense tensor or of another sparse one at their positions."""
    if not isinstance(input, SparseTensor):
        input, other = other, input
    if not isinstance(other, Tensor) or (not isinstance(other, SparseTensor) and not other.ndim):
        return like(input, input.kept * other)
    if not isinstance(other, SparseTensor):
        if input.layout is COO and tuple(other.shape) != tuple(input.whole):
            other = other.expand(input.whole)
        _same_size(input, other, "mul")
        return like(input, input.kept * other[tuple(map(wrap, input.places()))].reshape(input.kept.shape))
    _same_size(input, other, "mul")
    a, b = (each.coalesce() if each.layout is COO else each.to_sparse() for each in (input, other))
    common, at_a, at_b = np.intersect1d(a.flat_places(), b.flat_places(), assume_unique=True, return_indices=True)
    kept = a.kept.index_select(0, wrap(at_a)) * b.kept.index_select(0, wrap(at_b))
    index = np.stack(np.unravel_index(common, a.sparse_sizes))
    result = coo(index, kept, a.whole, input.merged and other.merged)
    return result if input.layout is COO else result.to_sparse(layout=input.layout, blocksize=input.block or None)


handles("mul_", "__imul__")(lambda input, other: _overwritten(input, mul(input, other)))


@handles("div", "divide", "true_divide", "__truediv__")
def div(input: Any, other: Any, *, rounding_mode: Any = None) -> SparseTensor:
    if isinstance(other, Tensor) and (isinstance(other, SparseTensor) or other.ndim):
        raise RuntimeError(
            f"Sparse division requires a scalar or zero-dim dense tensor divisor (got shape {list(other.shape)} for divisor)"
        )
    return like(input, input.kept.div(other, rounding_mode=rounding_mode))


handles("div_", "__itruediv__")(lambda input, other, **options: _overwritten(input, div(input, other, **options)))

# ------------------------------------------------------------------------------------------------ shapes


@handles("t")
def t(input: SparseTensor) -> SparseTensor:
    return input if input.ndim < 2 else transpose(input, 0, 1)


@handles("transpose", "swapaxes", "swapdims")
def transpose(input: SparseTensor, dim0: int, dim1: int) -> SparseTensor:
    a, b = wrap_dim(dim0, input.ndim), wrap_dim(dim1, input.ndim)
    size = list(input.whole)
    size[a], size[b] = size[b], size[a]
    if input.layout is not COO:
        n = len(input.batch)
        if a == b:
            return input
        if {a, b} != {n, n + 1}:
            raise RuntimeError(f"transpose(): only the dimensions {n} and {n + 1} of this tensor can be exchanged")
        other = {CSR: CSC, CSC: CSR, BSR: BSC, BSC: BSR}[input.layout]
        return made(other, input.index, input.kept.transpose(n + 1, n + 2) if input.block else input.kept, size, True)
    if max(a, b) >= input.sparse_dim():
        if min(a, b) < input.sparse_dim():
            raise RuntimeError("transpose(): cannot transpose a sparse dimension with a dense one")
        return coo(
            input.places(), input.kept.transpose(a - input.sparse_dim() + 1, b - input.sparse_dim() + 1), size, input.merged
        )
    index = input.places().copy()
    index[[a, b]] = index[[b, a]]
    return coo(index, input.kept, size, a == b and input.merged)


@handles("unsqueeze")
def unsqueeze(input: SparseTensor, dim: int) -> SparseTensor:
    _require_coo(input, "unsqueeze")
    at, sparse = wrap_dim(dim, input.ndim + 1), input.sparse_dim()
    size = (*input.whole[:at], 1, *input.whole[at:])
    if at > sparse:
        return coo(input.places(), input.kept.unsqueeze(at - sparse + 1), size, input.merged)
    return coo(np.insert(input.places(), at, 0, 0), input.kept, size, input.merged)


@handles("cat", "concat", "concatenate")
def cat(tensors: Sequence[Any], dim: int = 0) -> SparseTensor:
    if not all([isinstance(each, SparseTensor) and each.layout is COO for each in tensors]):
        raise RuntimeError("Concatenating sparse tensors, but a dense tensor was found")
    at, first = wrap_dim(dim, tensors[0].ndim), tensors[0]
    for each in tensors:
        if each.ndim != first.ndim or any([n != m for i, (n, m) in enumerate(zip(each.whole, first.whole)) if i != at]):
            raise RuntimeError("All tensors must have the same shape except in the concatenating dimension")
    if at >= first.sparse_dim():
        raise RuntimeError("sparse tensors are concatenated along a sparse dimension")
    starts = np.cumsum([0, *[each.whole[at] for each in tensors]])
    index = []
    for start, each in zip(starts, tensors):
        moved = each.places().copy()
        moved[at] += start
        index.append(moved)
    size = (*first.whole[:at], int(starts[-1]), *first.whole[at + 1 :])
    return coo(np.concatenate(index, 1), dense_cat([each.kept for each in tensors]), size)


@handles("stack")
def stack(tensors: Sequence[Any], dim: int = 0) -> SparseTensor:
    return cat([unsqueeze(each, dim) for each in tensors], dim)


@handles("index_select")
def index_select(input: SparseTensor, dim: int, index: Tensor) -> SparseTensor:
    _require_coo(input, "index_select")
    at, wanted = wrap_dim(dim, input.ndim), index._array.reshape(-1)
    if at >= input.sparse_dim():
        size = (*input.whole[:at], wanted.size, *input.whole[at + 1 :])
        return coo(input.places(), input.kept.index_select(at - input.sparse_dim() + 1, index), size, input.merged)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() < input.whole[at]):
        raise IndexError("index_select(): index out of range")
    here = input.places()[at]
    order = np.argsort(here, kind="stable")
    low, high = (np.searchsorted(here[order], wanted, side) for side in ("left", "right"))
    taken = order[np.concatenate([np.arange(a, b) for a, b in zip(low, high)]).astype(np.int64)] if wanted.size else order[:0]
    moved = input.places()[:, taken]
    moved[at] = np.repeat(np.arange(wanted.size), high - low)
    size = (*input.whole[:at], wanted.size, *input.whole[at + 1 :])
    return coo(moved, input.kept.index_select(0, wrap(taken)), size)


@handles("select")
def select(input: SparseTensor, dim: int, index: int) -> Tensor:
    input = input.to_sparse()
    at = wrap_dim(dim, input.ndim)
    n = input.whole[at]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.whole)} at dimension {dim}")
    if at >= input.sparse_dim():
        return coo(input.places(), input.kept.select(at - input.sparse_dim() + 1, index), _without(input.whole, at), input.merged)
    source = input.coalesce()
    taken = np.flatnonzero(source.places()[at] == index % n)
    kept = source.kept.index_select(0, wrap(taken))
    if source.sparse_dim() == 1:
        return kept.sum(0)
    return coo(np.delete(source.places()[:, taken], at, 0), kept, _without(input.whole, at), len(taken) < 2)


@handles("__getitem__")
def getitem(input: SparseTensor, index: object) -> Tensor:
    result: Any = input
    for one in index if isinstance(index, tuple) else (index,):
        if not isinstance(one, int) or isinstance(one, bool):
            raise NotImplementedError("a sparse tensor is indexed by integers only: call to_dense() first for anything else")
        result = result.select(0, one) if isinstance(result, SparseTensor) else result[one]
    return result


def _without(size: tuple[int, ...], at: int) -> tuple[int, ...]:
    return size[:at] + size[at + 1 :]


def _require_coo(input: Any, name: str) -> None:
    if input.layout is not COO:
        raise NotImplementedError(f"{name} of a tensor of layout {input.layout}: convert it with to_sparse() first")


@handles("zeros_like", "empty_like")
def zeros_like(input: SparseTensor, *, dtype: Any = None, **_: object) -> SparseTensor:
    kept = input.kept.detach()[:0].to(input.dtype if dtype is None else dtype)
    if input.layout is COO:
        return coo(input.places()[:, :0], kept, input.whole, True)
    return made(input.layout, (wrap(np.zeros_like(input.index[0]._array)), input.index[1][:0]), kept, input.whole, True)


# ------------------------------------------------------------------------------------------------ products


@handles("mm", "matmul", "__matmul__", "mv", "spmm", "dsmm", "hsmm")
def matmul(input: Any, other: Any) -> Tensor:
    """(n, m) @ (m, p), (n, m) @ (m), each sparse or dense: sparse if both are."""
    if input.ndim != 2 or other.ndim not in (1, 2):
        raise RuntimeError(f"a sparse product needs matrices, got tensors of {input.ndim} and {other.ndim} dimensions")
    if input.shape[1] != other.shape[0]:
        if other.ndim == 1:
            raise RuntimeError(f"size mismatch, got input ({input.shape[0]}x{input.shape[1]}), vec ({other.shape[0]})")
        raise RuntimeError(
            f"mm: mat1 and mat2 shapes cannot be multiplied ({input.shape[0]}x{input.shape[1]} and "
            f"{other.shape[0]}x{other.shape[1]})"
        )
    if input.dtype is not other.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {input.dtype} != {other.dtype}")
    input, other = (each.elements() if isinstance(each, SparseTensor) and each.block else each for each in (input, other))
    if not isinstance(input, SparseTensor):
        return matmul(transpose(other, 0, 1), input.t()).t()
    if isinstance(other, SparseTensor):
        return _sparse_product(input, other)
    rows, columns = input.places()
    kept = input.kept if other.ndim == 1 else input.kept.unsqueeze(1)
    terms = kept * other.index_select(0, wrap(columns))
    return terms.new_zeros((input.shape[0], *other.shape[1:])).index_add(0, wrap(rows), terms)


@handles("bmm")
def bmm(input: Any, mat2: Any) -> Tensor:
    """(b, n, m) @ (b, m, p) of a sparse COO tensor and a dense one."""
    if (
        not isinstance(input, SparseTensor)
        or isinstance(mat2, SparseTensor)
        or input.layout is not COO
        or input.sparse_dim() != 3
    ):
        raise NotImplementedError("Could not run 'aten::bmm': the first factor must be a sparse COO tensor, the second dense")
    if mat2.ndim != 3 or input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(f"bmm: sizes {list(input.shape)} and {list(mat2.shape)} cannot be multiplied")
    source = input.coalesce()
    batch, rows, columns = map(wrap, source.places())
    terms = source.kept.unsqueeze(1) * mat2[batch, columns]
    zeros = terms.new_zeros((*input.shape[:2], mat2.shape[2]))
    return zeros.index_put((batch, rows), terms, accumulate=True)


def reduced_product(input: SparseTensor, other: Tensor, reduce: str) -> Tensor:
    """The product of a matrix of compressed rows and a dense one with another reduction than the sum: 0 for rows without
    elements. Among equal terms, the first gets the gradient."""
    ends, columns = (part._array for part in input.index)
    counts = np.diff(ends)
    terms = input.kept.unsqueeze(1) * other.index_select(0, wrap(columns))
    rows, some = np.repeat(np.arange(len(counts)), counts), np.flatnonzero(counts)
    zeros = terms.new_zeros((len(counts), terms.shape[1]))
    if reduce == "mean":
        sizes = wrap(np.maximum(counts, 1).astype(terms.dtype.numpy)[:, None])
        return zeros.index_add(0, wrap(rows), terms) / sizes
    if not len(some):
        return zeros
    array = terms.detach()._array
    most = (np.maximum if reduce == "amax" else np.minimum).reduceat(array, ends[some], axis=0)
    at_row = np.searchsorted(some, rows)
    number = np.arange(len(array))[:, None]
    there = np.where((array == most[at_row]) | (array != array), number, len(array))
    places = np.minimum.reduceat(there, ends[some], axis=0)
    return zeros.index_copy(0, wrap(some), terms.gather(0, wrap(places)))


def _sparse_product(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    left, right = (each.coalesce() if each.layout is COO else each for each in (a, b))
    by_rows = right if right.layout is CSR else right.to_sparse(layout=CSR)
    ends, columns = (part._array for part in by_rows.index)
    rows, inner = left.places()
    counts = np.diff(ends)[inner]
    which = np.repeat(np.arange(len(rows)), counts)
    starts = np.cumsum(counts) - counts
    other = np.arange(len(which)) - starts[which] + ends[inner][which]
    kept = left.kept.index_select(0, wrap(which)) * by_rows.kept.index_select(0, wrap(other))
    product = coo(np.stack([rows[which], columns[other]]), kept, (a.whole[0], b.whole[1])).coalesce()
    return product if a.layout is COO else product.to_sparse(layout=a.layout)


@handles("linear")
def linear(input: Any, weight: Any, bias: object = None) -> Tensor:
    product = matmul(input, transpose(weight, 0, 1) if isinstance(weight, SparseTensor) else weight.t())
    return product if bias is None else product + bias


@handles("addmm", "sspaddmm")
def addmm(input: Any, mat1: object, mat2: object, *, beta: Any = 1, alpha: object = 1) -> Tensor:
    product = matmul(mat1, mat2)
    scaled = input if beta == 1 else input * beta
    if isinstance(product, SparseTensor):
        return add(scaled, product, alpha=alpha)
    return scaled + (product if alpha == 1 else product * alpha)


def sampled_product(input: SparseTensor, mat1: Tensor, mat2: Tensor, beta: Any, alpha: Any) -> SparseTensor:
    rows, columns = map(wrap, input.places())
    if mat1.shape[1] != mat2.shape[0] or (mat1.shape[0], mat2.shape[1]) != input.whole:
        raise RuntimeError(
            f"sampled_addmm: sizes {list(mat1.shape)} and {list(mat2.shape)} do not fit the product of size {list(input.whole)}"
        )
    product = (mat1.index_select(0, rows) * mat2.t().index_select(0, columns)).sum(1)
    return like(input, input.kept * beta + product * alpha)


# ------------------------------------------------------------------------------------------------ reductions


@handles("sum")
def sum(input: SparseTensor, dim: Any = None, keepdim: bool = False, *, dtype: object = None) -> Tensor:
    """The sum of all values; along dimensions a sparse tensor, or a dense one if no sparse dimension remains."""
    if dtype is not None:
        input = input.to(dtype)
    if dim is None:
        return input.kept.sum()
    dims = sorted({wrap_dim(d, input.ndim) for d in ((dim,) if isinstance(dim, int) else dim)})
    source = input.coalesce() if input.layout is COO else input.to_sparse()
    kept, sparse = source.kept, source.sparse_dim()
    inner = [d - sparse + 1 for d in dims if d >= sparse]
    values = kept.sum(inner, keepdim=keepdim) if inner else kept
    outer = [d for d in dims if d < sparse]
    size = [1 if keepdim and d in dims else n for d, n in enumerate(source.whole) if keepdim or d not in dims]
    if len(outer) == sparse and not keepdim:
        return values.sum(0)
    if not outer:
        return coo(source.places(), values, size, source.merged)
    index = np.delete(source.places(), outer, 0)
    if keepdim:
        index = source.places().copy()
        index[outer] = 0
    return coo(index, values, size).coalesce()


@handles("norm")
def norm(input: SparseTensor, p: Any = "fro", dim: object = None, keepdim: bool = False, dtype: object = None) -> Tensor:
    if dim is not None:
        raise NotImplementedError("norm of a sparse tensor along a dimension")
    source = input.coalesce() if input.layout is COO else input
    return source.kept.norm(2 if p == "fro" else p)


def softmax(input: SparseTensor, dim: int, *, dtype: object = None, log: bool = False) -> SparseTensor:
    """Over the stored elements; the others count as minus infinity. `dim` is sparse or dense."""
    _require_coo(input, "softmax")
    source = (input if dtype is None else input.to(dtype)).coalesce()
    at, sparse = wrap_dim(dim, source.ndim), source.sparse_dim()
    if at >= sparse:
        inner = at - sparse + 1
        return like(source, source.kept.log_softmax(inner) if log else source.kept.softmax(inner))
    others, sizes = np.delete(source.places(), at, 0), _without(source.sparse_sizes, at)
    flat = np.ravel_multi_index(tuple(others), sizes) if len(others) else np.zeros(source._nnz(), np.int64)
    _, group = np.unique(flat, return_inverse=True)
    group = group.reshape(-1)
    count = int(group.max()) + 1 if group.size else 0
    most = np.full((count, *source.kept.shape[1:]), -np.inf, source.dtype.numpy)
    np.maximum.at(most, group, source.kept.detach()._array)
    where = wrap(group)
    moved = source.kept - wrap(most)[where]
    powers = moved.exp()
    totals = powers.new_zeros(most.shape).index_add(0, where, powers)
    return like(source, moved - totals.log()[where] if log else powers / totals[where])


handles("softmax")(softmax)
handles("log_softmax")(functools.partial(softmax, log=True))


@handles("sparse_mask")
def sparse_mask(input: Any, mask: SparseTensor) -> SparseTensor:
    """The elements of a tensor at the positions of `mask`."""
    _same_size(input, mask, "sparse_mask")
    if not isinstance(input, SparseTensor):
        return like(mask, input[tuple(map(wrap, mask.places()))])
    source = input.coalesce()
    found: Array = np.searchsorted(source.flat_places(), mask.flat_places())
    found = np.minimum(found, max(source._nnz() - 1, 0))
    there = source.flat_places()[found] == mask.flat_places() if source._nnz() else np.zeros(mask._nnz(), bool)
    kept = source.kept.index_select(0, wrap(found[there]))
    zeros = kept.new_zeros((mask._nnz(), *source.kept.shape[1:]))
    return like(mask, zeros.index_add(0, wrap(np.flatnonzero(there)), kept))


@handles("backward")
def backward(
    input: Tensor,
    gradient: object = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: object = None,
) -> None:
    """A dense tensor's, whose gradient or inputs are sparse."""
    if isinstance(input, SparseTensor):
        raise refusal("backward", input.layout)
    backwards.backward(input, gradient, retain_graph, create_graph, inputs)
