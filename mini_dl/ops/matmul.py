"""Matrix products.

Three primitives are closed under differentiation: `_rows` multiplies the rows (*, K) by one matrix, `_paired` adds up the outer
products of two sets of rows, `_batched` multiplies stacks of matrices. Vectors are rows without leading dimensions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._checks import broadcast_shapes
from mini_dl._dtypes import (
    FLOATING,
    HALVES,
    NARROW,
    Array,
    Number,
    NumpyType,
    c_name,
    number_as,
    of_numpy,
    promote_numpy,
    scalar_name,
)
from mini_dl._surface import method, public
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.memory import filled_in
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.blocks import as_single, computed_in, ones
from mini_dl.kernels.products import gemm
from mini_dl.ops.operands import accept
from mini_dl.ops.views import _alias, unsafe_view
from mini_dl.overrides import ask_operator, overrides
from mini_dl.tensor import Tensor


def _checked(name: str, dtype: NumpyType) -> None:
    """NotImplementedError for types without products."""
    if dtype.char in "?HILQ":
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(dtype)}'")


def conj(tensor: Tensor) -> Tensor:
    return tensor.conj() if tensor._array.dtype.kind == "c" else tensor


# ------------------------------------------------------------------------------------------------ primitives


@linear_in("input", "weight")
@op(
    input=lambda grad, weight, flip: _rows(grad, conj(weight), not flip),
    weight=lambda grad, input, flip: _paired(grad, conj(input)) if flip else _paired(conj(input), grad),
)
@as_it_is
def _rows(input: Array, weight: Array, flip: bool) -> Array:
    """(*, K), (K, M) -> (*, M): one product over all leading dimensions. With `flip` the weight is (M, K)."""
    return _rows_kernel(input, weight.T if flip else weight)


def _rows_kernel(input: Array, weight: Array, bias: Array | None = None) -> Array:
    shape = input.shape
    if shape[-1] != weight.shape[0]:
        rows, (k, m) = math.prod(shape[:-1]), weight.shape
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{shape[-1]} and {k}x{m})")
    if input.dtype is not weight.dtype and input.dtype != weight.dtype:
        names = c_name(input.dtype), c_name(weight.dtype)
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {names[0]} != {names[1]}")
    if input.dtype.char in "?HILQ":
        _checked("addmm_impl_cpu_", input.dtype)
    if len(shape) == 2:
        return gemm(input, weight, bias)
    return gemm(input.reshape(math.prod(shape[:-1]), shape[-1]), weight, bias).reshape(*shape[:-1], weight.shape[1])


@linear_in("input", "other")
@op(
    input=lambda grad, other: _rows(conj(other), grad, True),
    other=lambda grad, input: _rows(conj(input), grad, False),
)
@as_it_is
def _paired(input: Array, other: Array) -> Array:
    """(*, A), (*, B) -> (A, B): the sum over all leading dimensions of the outer products of rows."""
    rows = math.prod(input.shape[:-1])
    if rows == 1:
        return np.multiply(input.reshape(input.shape[-1], 1), other.reshape(other.shape[-1]))
    return gemm(input.reshape(rows, input.shape[-1]).T, other.reshape(rows, other.shape[-1]))


@linear_in("input", "other")
@op(
    input=lambda grad, other, flip, flop: (
        _batched(conj(other), grad, flop, True) if flip else _batched(grad, conj(other), False, not flop)
    ),
    other=lambda grad, input, flip, flop: (
        _batched(grad, conj(input), True, flip) if flop else _batched(conj(input), grad, not flip, False)
    ),
)
@as_it_is
def _batched(input: Array, other: Array, flip: bool, flop: bool) -> Array:
    """(*, N, K), (*, K, M) -> (*, N, M), broadcasting the leading dimensions. `flip` and `flop` transpose the operands first."""
    return gemm(input.swapaxes(-1, -2) if flip else input, other.swapaxes(-1, -2) if flop else other)


@linear_in("input", "other")
@op(input=lambda grad, other: grad * conj(other), other=lambda grad, input: grad * conj(input))
@as_it_is
def _dot(input: Array, other: Array) -> Array:
    """(K), (K) -> ()"""
    if input.dtype.char in HALVES:
        return np.dot(input.astype(np.float32), other.astype(np.float32)).astype(input.dtype)
    return np.dot(input, other)


@linear_in("input product")
@op(
    input=lambda grad, beta: grad if beta == 1 else grad * beta.conjugate(),
    product=lambda grad, alpha: grad if alpha == 1 else grad * alpha.conjugate(),
)
def _weighted_sum(input: Array, product: Array, beta: Number, alpha: Number) -> Array:
    """``beta * input + alpha * product``; if `beta` is 0, the values of `input` are ignored."""
    dtype = product.dtype
    wide = computed_in(dtype)  # the numbers may be out of the range of float16
    if wide is not dtype and not alpha == beta == 1:
        input, product = as_single(input), as_single(product)
    if alpha != 1:
        product = product * number_as(alpha, wide)[()]
    elif beta == 0:
        return product.astype(dtype)
    if beta == 0:
        return product.astype(dtype, copy=False)
    if beta != 1:
        input = input * number_as(beta, wide)[()]
    return np.add(input, product, dtype=product.dtype).astype(dtype, copy=False)


def _check_fit(dtype: NumpyType, *numbers: Number) -> None:
    """RuntimeError for a number out of the range of a half type in which torch's kernel, unlike ours, takes it."""
    if dtype.char in HALVES:
        for number in numbers:
            number_as(number, dtype)


@linear_in("input")
@op(input=lambda grad, input_shape: grad.expand(input_shape))
def _sum_of_rows(input: Array) -> Array:
    """(*, M) -> (M)"""
    rows = input.reshape(math.prod(input.shape[:-1]), input.shape[-1])
    return ones(len(rows), rows.dtype) @ rows if rows.dtype.char in "fd" and rows.size else np.add.reduce(rows, axis=0)


# ------------------------------------------------------------------------------------------------ matmul and its parts


@method("linalg", out=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product: ``out[i, j] = sum(input[i, k] * other[k, j], k)``

    Leading dimensions broadcast, a vector is a row on the left and a column on the right.

    Shapes: (K), (K) -> (); (N, K), (K) -> (N); (K), (K, M) -> (M); (*, N, K), (*, K, M) -> (*, N, M).
    Raises: RuntimeError if the inner sizes or the dtypes differ.

    >>> torch.matmul(torch.tensor([[1, 2], [3, 4]]), torch.tensor([10, 1]))
    tensor([12, 34])
    """
    n, m = input._array.ndim, other._array.ndim
    if m == 2 and n:
        product = _rows(input, other, False)
        return product if n > 1 else filled_in(product)  # torch removes the row's dimension in place
    if n == 0 or m == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {n}D and {m}D")
    if m == 1:
        if n == 1:
            return dot(input, other)
        if n == 2:
            return mv(input, other)
        *lead, k = input.shape
        return unsafe_view(mv(input.reshape(math.prod(lead), k), other), tuple(lead))
    if n == 1:
        product = _stacks(input.reshape(1, len(input)), other)
        return unsafe_view(product, (*product.shape[:-2], product.shape[-1]))
    return _as_folded(_stacks(input, other), input, other)


def _as_folded(product: Tensor, input: Tensor, other: Tensor) -> Tensor:
    """`product`, which torch computes transposed for one matrix that requires grad times several: if transposing it
    back needs no copy, it is a view."""
    one = input.ndim == 2 or (input.ndim == other.ndim == 3 and len(input) == 1 != len(other))
    rows, columns = product._array.shape[-2:]
    flat = rows == 1 or columns == 1 or not product._array.size
    return _alias(product) if one and flat and needs_grad(input) else product


def _stacks(input: Tensor, other: Tensor) -> Tensor:
    """`_batched` after torch's checks."""
    a, b = input._array, other._array
    if a.shape[:-2] != b.shape[:-2]:
        broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        batch = math.prod(broadcast_shapes(a.shape[:-2], b.shape[:-2]))
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{batch}, {a.shape[-1]}] but got: [{batch}, {b.shape[-2]}]."
        )
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(a.dtype)} but found {scalar_name(b.dtype)}")
    _checked("bmm", a.dtype)
    return _batched(input, other, False, False)


@method(out=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: ``out[i, j] = sum(input[i, k] * mat2[k, j], k)``

    Shapes: (N, K), (K, M) -> (N, M).
    Raises: RuntimeError unless both are matching matrices of one dtype.

    >>> torch.mm(torch.tensor([[1, 2]]), torch.tensor([[3], [4]]))
    tensor([[11]])
    """
    if input._array.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if mat2._array.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    return _rows(input, mat2, False)


@method(out=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two stacks of matrices: ``out[b] = input[b] @ mat2[b]``

    Shapes: (B, N, K), (B, K, M) -> (B, N, M).
    Raises: RuntimeError unless both are matching stacks of matrices.

    >>> torch.bmm(torch.ones(2, 1, 3), torch.ones(2, 3, 1))
    tensor([[[3.]],
    <BLANKLINE>
            [[3.]]])
    """
    _check_batches(input, mat2)
    accept("bmm", "iufc", input._array)
    return _stacks(input, mat2)


def _check_batches(batch1: Tensor, batch2: Tensor) -> None:
    for name, tensor in (("batch1", batch1), ("batch2", batch2)):
        if tensor.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    expected, found = [batch1.shape[0], batch1.shape[2]], list(batch2.shape[:2])
    if expected != found:
        raise RuntimeError(f"Expected size for first two dimensions of batch2 tensor to be: {expected} but got: {found}.")


@method(out=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector: ``out[i] = sum(input[i, k] * vec[k], k)``

    Shapes: (N, K), (K) -> (N).
    Raises: RuntimeError unless they are a matching matrix and vector.

    >>> torch.mv(torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 10]))
    tensor([21, 43])
    """
    a, v = input._array, vec._array
    if a.ndim != 2 or v.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {a.ndim}, {v.ndim}")
    if a.shape[1] != v.shape[0]:
        raise RuntimeError(f"size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), vec ({v.shape[0]})")
    if a.dtype != v.dtype:
        found = scalar_name(v.dtype), scalar_name(a.dtype), scalar_name(v.dtype)
        raise RuntimeError("addmv input tensors must have the same dtype, but got {}, {}, and {}".format(*found))
    _checked("addmv_impl_cpu", a.dtype)
    return _rows(vec, input, True)


@method(out=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The product of two vectors: ``out = sum(input[k] * tensor[k], k)``

    Shapes: (K), (K) -> ().
    Raises: RuntimeError unless both are vectors of one length and dtype.

    >>> torch.dot(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    a, b = input._array, tensor._array
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {scalar_name(a.dtype)} and {scalar_name(b.dtype)}"
        )
    if a.size != b.size:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a.size}] and src [{b.size}] to have the same number of elements, "
            f"but got {a.size} and {b.size} elements respectively"
        )
    _checked("dot", a.dtype)
    return _dot(input, tensor)


@method(out=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors: ``out = sum(conj(input[k]) * other[k], k)``

    Shapes: (K), (K) -> ().
    Raises: RuntimeError unless both are vectors of one length and dtype.

    >>> torch.vdot(torch.tensor([1j, 2.0]), torch.tensor([1j, 3.0]))
    tensor(7.+0.j)
    """
    return dot(conj(input), other)


@method(out=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The products of all rows of `input` with all rows of `other`: ``out[i, j] = sum(input[i, k] * other[j, k], k)``

    Shapes: (*, K), (+, K) -> (*, +); of a number, the product.
    Raises: RuntimeError unless the last sizes are equal.

    >>> torch.inner(torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 10]))
    tensor([21, 43])
    """
    a, b = input._array, other._array
    if a.ndim == 0 or b.ndim == 0:
        return input * other
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(a.shape)} and {list(b.shape)}"
        )
    if a.dtype != b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if a.ndim == 1 and b.ndim == 1:
        return dot(input, other)
    lead, k = b.shape[:-1], b.shape[-1]
    return linear(input, other.reshape(math.prod(lead), k)).reshape(*a.shape[:-1], *lead)


@public("torch", "torch:ger", "Tensor", "Tensor:ger", out=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of two vectors: ``out[i, j] = input[i] * vec2[j]``

    Shapes: (N), (M) -> (N, M).
    Raises: RuntimeError unless both are vectors.

    >>> torch.outer(torch.tensor([1, 2]), torch.tensor([3, 4, 5]))
    tensor([[ 3,  4,  5],
            [ 6,  8, 10]])
    """
    for name, vector in (("self", input), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {vector.ndim}-D")
    if input._array.dtype.kind in FLOATING and input._array.dtype == vec2._array.dtype:
        return _paired(input, vec2)
    return input.reshape(len(input), 1) * vec2


@public("Tensor:__matmul__")
def _matmul_operator(self: Tensor, other: object) -> Any:
    if isinstance(other, Tensor):
        return matmul(self, other)
    return ask_operator("__matmul__", self, other) if overrides(other) else NotImplemented


@public("Tensor:__rmatmul__")
def _rmatmul_operator(self: Tensor, other: object) -> Any:
    if isinstance(other, Tensor):
        return matmul(other, self)
    return ask_operator("__rmatmul__", self, other) if overrides(other) else NotImplemented


# ------------------------------------------------------------------------------------------------ sums with products


def _check_expands(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    """RuntimeError unless `shape` expands to `target`."""
    offset = len(target) - len(shape)
    if offset < 0:
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(shape)}}}, size={list(target)}): the number of sizes provided ({len(target)}) "
            f"must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    for i, n in enumerate(shape, offset):
        if n not in (1, target[i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({target[i]}) must match the existing size ({n}) at non-singleton dimension "
                f"{i}.  Target sizes: {list(target)}.  Tensor sizes: {list(shape)}"
            )


@method(inplace=True, out=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """A matrix and a product of two: ``out = beta * input + alpha * (mat1 @ mat2)``

    Shapes: `input`, which expands to (N, M), (N, K), (K, M) -> (N, M).
    Raises: RuntimeError unless both are matching matrices, and the dtypes are equal.

    >>> torch.addmm(torch.tensor([100, 200]), torch.tensor([[1, 2]]), torch.tensor([[3, 4], [5, 6]]))
    tensor([[113, 216]])
    """
    if mat1.ndim != 2 or mat2.ndim != 2:
        bad, name = (mat1, "mat1") if mat1.ndim != 2 else (mat2, "mat2")
        raise RuntimeError(f"{name} must be a matrix, got {bad.ndim}-D tensor")
    _same_type(input, mat2)
    product = _rows(mat1, mat2, False)
    _check_expands(input._array.shape, product._array.shape)
    return _weighted_sum(input, product, beta, alpha)


def _same_type(input: Tensor, mat2: Tensor) -> None:
    a, b = input._array.dtype, mat2._array.dtype
    if a != b:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {scalar_name(a)} and {scalar_name(b)}")


@method(inplace=True, out=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """A vector and a product: ``out = beta * input + alpha * (mat @ vec)``

    Shapes: `input`, which expands to (N), (N, K), (K) -> (N).
    Raises: RuntimeError unless they are a matching matrix and vector, and the dtypes are equal.

    >>> torch.addmv(torch.tensor([100, 200]), torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 10]), beta=2)
    tensor([221, 443])
    """
    a, m, v = input._array, mat._array, vec._array
    if a.ndim > 1 or m.ndim != 2 or v.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {a.ndim}, {m.ndim}, {v.ndim}")
    size = a.size if a.ndim else 1
    if m.shape[1] != v.shape[0] or size not in (1, m.shape[0]):
        raise RuntimeError(f"size mismatch, got input ({size}), mat ({m.shape[0]}x{m.shape[1]}), vec ({v.shape[0]})")
    if not a.dtype == m.dtype == v.dtype:
        found = [scalar_name(x.dtype) for x in (a, m, v)]
        raise RuntimeError("addmv input tensors must have the same dtype, but got {}, {}, and {}".format(*found))
    _checked("addmv_impl_cpu", a.dtype)
    if m.size:
        _check_fit(a.dtype, beta, alpha)
    return _weighted_sum(input, _rows(vec, mat, True), beta, alpha)


@method(inplace=True, out=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """A matrix and an outer product: ``out = beta * input + alpha * outer(vec1, vec2)``

    Shapes: `input`, which expands to (N, M), (N), (M) -> (N, M).
    Raises: RuntimeError unless both are vectors.

    >>> torch.addr(torch.zeros(2, 2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    for name, vector in (("vec1", vec1), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {vector.ndim}-D")
    product = outer(vec1, vec2)
    _check_expands(input._array.shape, product._array.shape)
    dtype = promote_numpy(input._array.dtype, product._array.dtype)
    for name, number in (("beta", beta), ("alpha", alpha)):
        if dtype.kind in "iu" and isinstance(number, float):
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
        if dtype.kind != "b" and isinstance(number, bool):
            raise RuntimeError(f"Boolean {name} only supported for Boolean results.")
    _check_fit(dtype, beta, alpha)
    input, product = (one if one._array.dtype == dtype else one.to(of_numpy(dtype)) for one in (input, product))
    return _weighted_sum(input, product, beta, alpha)


@method(inplace=True, out=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """A matrix and the sum of products: ``out = beta * input + alpha * sum(batch1[i] @ batch2[i], i)``

    Shapes: `input`, which expands to (N, M), (B, N, K), (B, K, M) -> (N, M).
    Raises: RuntimeError unless both are matching stacks of matrices.

    >>> torch.addbmm(torch.zeros(1, 1), torch.ones(4, 1, 3), torch.ones(4, 3, 1))
    tensor([[12.]])
    """
    for name, tensor in (("batch1", batch1), ("batch2", batch2)):
        if tensor.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    (b, n, k), (b2, k2, m) = batch1.shape, batch2.shape
    if b != b2:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {b} and {b2}")
    if k != k2:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({n}x{k} and {k2}x{m})")
    _check_expands(input._array.shape, (n, m))
    _same_type(input, batch2)
    product = _rows(batch1.transpose(0, 1).reshape(n, b * k), batch2.reshape(b * k, m), False)
    return _weighted_sum(input, product, beta, alpha)


@method(inplace=True, out=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """Matrices and products of two stacks: ``out[i] = beta * input[i] + alpha * (batch1[i] @ batch2[i])``

    Shapes: `input`, which expands to (B, N, M), (B, N, K), (B, K, M) -> (B, N, M).
    Raises: RuntimeError unless both are matching stacks of matrices.

    >>> torch.baddbmm(torch.ones(2, 1, 1), torch.ones(2, 1, 3), torch.ones(2, 3, 1))
    tensor([[[4.]],
    <BLANKLINE>
            [[4.]]])
    """
    _check_batches(batch1, batch2)
    _check_expands(input._array.shape, (*batch1.shape[:2], batch2.shape[2]))
    found = [c_name(t._array.dtype) for t in (input, batch1, batch2)]
    if len(set(found)) > 1:
        raise RuntimeError("Input dtypes must be the same, got: input {}, batch1: {}, batch2: {}".format(*found))
    return _weighted_sum(input, _stacks(batch1, batch2), beta, alpha)


# ------------------------------------------------------------------------------------------------ linear layers


@linear_in("input bias", "weight", added="bias")
@op(
    input=lambda grad, weight: _rows(grad, conj(weight), False),
    weight=lambda grad, input: _paired(grad, conj(input)),
    bias=lambda grad, bias_shape: _sum_of_rows(grad) if bias_shape == grad._array.shape[-1:] else grad,
)
@as_it_is
def _affine(input: Array, weight: Array, bias: Array | None) -> Array:
    """(*, K), (M, K), (M) -> (*, M)"""
    if bias is None:
        return _rows_kernel(input, weight.T)
    if bias.dtype is not weight.dtype and bias.dtype != weight.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {scalar_name(bias.dtype)} and {scalar_name(weight.dtype)}"
        )
    kind = input.dtype
    if kind.char in NARROW and weight.dtype == kind:  # rounded once
        input, weight, bias = as_single(input), as_single(weight), as_single(bias)
    if bias.shape == weight.shape[:1]:
        out = _rows_kernel(input, weight.T, bias)
    else:
        out = _rows_kernel(input, weight.T)
        if out.ndim == 2 or bias.ndim == 1:
            _check_expands(bias.shape, (math.prod(out.shape[:-1]), *out.shape[-1:]))
        elif (common := broadcast_shapes(out.shape, bias.shape)) != out.shape:
            raise RuntimeError(f"output with shape {list(out.shape)} doesn't match the broadcast shape {list(common)}")
        out = np.add(out, bias, out=out)
    return out.astype(kind) if kind.char in NARROW else out


def _is_vector(bias: Array) -> bool:
    """Whether it has one dimension, apart from those of size 1: then torch adds it to the matrix of all rows."""
    return sum([n != 1 for n in bias.shape]) == 1


@public("nn.functional", out=True)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``out = input @ weight.T + bias``

    Shapes: `input` (*, K), `weight` (M, K) or (K), `bias` (M) or () -> (*, M) or (*).
    Raises: RuntimeError if the sizes do not match.

    >>> F.linear(torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.tensor([[1.0, 2.0]]), torch.tensor([0.5]))
    tensor([[3.5000],
            [2.5000]])
    """
    rank = weight._array.ndim
    if rank == 2 and input._array.ndim:
        if bias is None:
            return _rows(input, weight, True)
        if bias._array.ndim > 1 and input._array.ndim != 2 and _is_vector(bias._array):
            *rows, n = input.shape
            return _affine(input.reshape(math.prod(rows), n), weight, bias).reshape(*rows, len(weight))
        return _affine(input, weight, bias)
    if rank > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    if bias is not None:
        raise RuntimeError(f"mat2 must be a matrix, got {rank}-D tensor")
    return matmul(input, weight)


@public("nn.functional", "torch")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``out[n, o] = sum(input1[n, i] * weight[o, i, j] * input2[n, j], (i, j)) + bias[o]``

    Shapes: `input1` (*, I), `input2` (*, J), `weight` (O, I, J), `bias` (O) -> (*, O).
    Raises: RuntimeError if the sizes or types do not match.

    >>> F.bilinear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]), torch.eye(2).unsqueeze(0))
    tensor([[11.]])
    """
    types = [one._array.dtype for one in (input1, input2, weight, bias) if one is not None]
    if any([found != types[0] for found in types]):
        raise RuntimeError(f"All tensors must have the same dtype, got {', '.join([scalar_name(found) for found in types])}")
    if input1.ndim != input2.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    for i, (n, m) in enumerate(zip(input1.shape[:-1], input2.shape[:-1])):
        if n != m:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {i}: got {n} and {m}")
    if weight.ndim != 3:
        raise RuntimeError(f"bilinear(): weight must have 3 dimensions, but its shape is {list(weight.shape)}")
    o, i, j = weight.shape
    for name, tensor, size in (("input1", input1, i), ("input2", input2, j)):
        if tensor.shape[-1] != size:
            raise RuntimeError(f"bilinear(): {name} size does not match weight size: got {tensor.shape[-1]} but expected {size}")
    if bias is not None and bias.shape[0] != o:
        raise RuntimeError(f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {o}")
    lead = input1.shape[:-1]
    halfway = _rows(input1, weight.transpose(0, 1).reshape(i, o * j), False).reshape(*lead, o, j)  # (*, O, J)
    out: Tensor = _stacks(halfway, input2.reshape(*lead, j, 1)).reshape(*lead, o)
    return out if bias is None else out + bias
