"""Joining and repeating: tensors side by side, stacked, tiled, turned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import Array, promote_numpy
from mini_dl._surface import function, public
from mini_dl.autograd.primitive import op
from mini_dl.ops.views import part
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ side by side


def _cat_gradients(grad: Tensor, tensors_shape: list[tuple[int, ...]], dim: int) -> list[Tensor]:
    out, start = [], 0
    for shape in tensors_shape:
        length = shape[dim] if shape != (0,) or grad.ndim == 1 else 0
        out.append(part(grad, dim, start, start + length))
        start += length
    return out


@op(tensors=_cat_gradients)
def _cat(tensors: list[Array], dim: int) -> Array:
    return np.concatenate(tensors, dim)


@function(out=True)
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`tensors` one after the other along dimension `dim`. RuntimeError unless the other sizes are equal.

    >>> import mini_dl as torch
    >>> torch.cat([torch.zeros(1, 2), torch.ones(2, 2)])
    tensor([[0., 0.],
            [1., 1.],
            [1., 1.]])
    """
    return _cat(list(tensors), wrap_dim(dim, tensors[0].ndim))


for _name in ("concat", "concatenate"):
    public("torch:" + _name, out=True)(cat)


@op(tensors=lambda grad, dim: list(grad.unbind(dim)))
def _stack(tensors: list[Array], dim: int) -> Array:
    return np.stack(tensors, dim)


@function(out=True)
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`tensors` of one shape along a new dimension `dim`. RuntimeError if shapes differ."""
    return _stack(list(tensors), wrap_dim(dim, tensors[0].ndim + 1))
