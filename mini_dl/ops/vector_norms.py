"""Norms of vectors, along dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._arguments import as_number
from mini_dl._checks import type_name, wrap_dims
from mini_dl._dtypes import INEXACT, Array, Ints, dtype, given_type, promote_numpy, scalar_name
from mini_dl._surface import public
from mini_dl.autograd.primitive import op
from mini_dl.kernels.blocks import as_single
from mini_dl.kernels.sums import Dims, add_up, add_up_squares, count, reduce, reduced
from mini_dl.ops.reduction import checked, shares
from mini_dl.tensor import Tensor


def magnitude(x: Array) -> Array:
    """``|x|``, half precision in single."""
    return np.abs(as_single(x))


def _norm_gradient(grad: Tensor, input: Tensor, result: Tensor, ord: float, dims: Dims, keepdim: bool) -> Tensor | None:
    """None for a count; 0 where the norm is 0 (a subgradient), also where the formula would give 0 / 0."""
    if not keepdim:
        whole = reduced(input._array.shape, dims, True)
        norm, grad = result.reshape(whole), grad.reshape(whole)
    else:
        norm = result
    if ord == 0:
        return None
    if ord == 1:
        return input.sgn() * grad
    if ord == 2:
        return grad * (input / norm).masked_fill(norm == 0, 0)
    size = input.abs()
    if math.isinf(ord):
        return input.sgn() * grad * shares(size, result, dims, keepdim)
    if ord < 1:
        return input.sgn() * (size ** (ord - 1)).masked_fill(input == 0, 0) * grad * norm ** (1 - ord)
    scale = (grad / norm ** (ord - 1)).masked_fill(norm == 0, 0)
    return (input.sgn() * size ** (ord - 1) if ord < 2 else input * size ** (ord - 2)) * scale


@op(input=lambda grad, input, result, ord, dims, keepdim: _norm_gradient(grad, input, result, ord, dims, keepdim))
def _vector_norm(input: Array, ord: float, dims: Dims, keepdim: bool) -> Array:
    if ord != 0 and count(input.shape, dims) == 1:  # powers may leave the range of the type
        out = magnitude(input).reshape(reduced(input.shape, dims, keepdim))
    elif ord == 2 and input.dtype.kind != "c":
        x = as_single(input)
        out = np.sqrt(add_up_squares(x, dims, keepdim))
    else:
        x = magnitude(input)
        if math.isinf(ord):
            out = reduce(np.maximum if ord > 0 else np.minimum, x, dims, keepdim, **({} if x.size else {"initial": 0}))
        elif ord == 0:
            out = add_up((x != 0).astype(x.dtype), dims, keepdim)
        elif ord == 1:
            out = add_up(x, dims, keepdim)
        else:
            out = add_up(x**ord, dims, keepdim) ** (1 / ord)
    return np.asarray(out, np.empty(0, input.dtype).real.dtype)


def converted(name: str, x: Tensor, target: dtype | None) -> Tensor:
    """`x` in the requested type, which may not narrow it or switch between real and complex."""
    kind = x._array.dtype
    if kind.kind not in INEXACT:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {scalar_name(kind)}")
    if target is None:
        return x
    asked = given_type(target, f"{name}(): argument 'dtype'").numpy
    if asked.kind not in INEXACT:
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {scalar_name(asked)}")
    if (asked.kind == "c") != (kind.kind == "c"):
        want, given = ("complex", "complex") if kind.kind == "c" else ("real", "real")
        raise RuntimeError(f"{name}: dtype should be {want} for {given} inputs, but got {scalar_name(asked)}")
    if promote_numpy(asked, kind) != asked:
        raise RuntimeError(
            f"{name}: the dtype of the input ({scalar_name(kind)}) should be convertible without narrowing to the specified "
            f"dtype ({scalar_name(asked)})"
        )
    return x.to(target)


@public("linalg", out=True)
def vector_norm(x: Tensor, ord: Any = 2, dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The p-norm of vectors: ``out = sum(abs(x[i]) ** ord, i) ** (1 / ord)``

    The largest absolute value for inf, the smallest for -inf, the number of nonzero elements for 0.

    Family: reduction
    Raises: RuntimeError for an infinite or negative `ord` over an empty dimension, and for integers.

    >>> torch.linalg.vector_norm(torch.tensor([3.0, -4.0])), torch.linalg.vector_norm(torch.tensor([3.0, -4.0]), 1)
    (tensor(5.), tensor(7.))
    """
    checked("linalg.vector_norm", x, keepdim)
    given, ord = ord, as_number(ord)
    if isinstance(ord, complex):
        raise RuntimeError(f"linalg.vector_norm: Expected a non-complex scalar as the order of norm, but got {ord}")
    if ord is NotImplemented:
        raise TypeError(f"linalg_vector_norm(): argument 'ord' (position 2) must be Number, not {type_name(given)}")
    x = converted("linalg.vector_norm", x, dtype)
    shape = x._array.shape
    dims = wrap_dims(dim, len(shape))
    if (ord < 0 or ord == math.inf) and not x._array.size:
        for d in dims if dim is not None and dim != () and dim != [] else ():
            if shape[d] == 0:
                raise RuntimeError(
                    f"linalg.vector_norm cannot compute the {ord} norm on the dimension {d}because this dimension is empty and "
                    "the operation does not have an identity"
                )
        if dim is None or dim == () or dim == []:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not have an "
                "identity"
            )
    return _vector_norm(x, float(ord), dims, keepdim)
