from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._checks import wrap_dims
from mini_dl._dtypes import Array
from mini_dl._surface import method
from mini_dl.autograd.primitive import op
from mini_dl.tensor import Tensor


@op(input=lambda grad, input_shape, dims, keepdim: spread(grad, input_shape, dims, keepdim))
def _sum(input: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
    return np.sum(input, axis=dims, keepdims=keepdim)


@method(out=True)
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    return _sum(input, wrap_dims(dim, input.ndim), keepdim)


def spread(grad: Tensor, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """The gradient of a reduction over `dims`, given back its dimensions and expanded to the `shape` it came from."""
    if not keepdim and len(dims) < len(shape):
        grad = grad.reshape([1 if i in dims else n for i, n in enumerate(shape)])
    return grad.expand(shape)
