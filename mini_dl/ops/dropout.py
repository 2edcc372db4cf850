"""Dropout and its kin: a random factor for each element or each channel, while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._generator import default_generator
from mini_dl._surface import public
from mini_dl.autograd.mode import mode
from mini_dl.ops.random import bernoulli_draw, drawn
from mini_dl.tensor import Tensor, wrap


@public("nn.functional")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While training: zero each element with probability `p` and scale the others by 1 / (1 - p).

    ValueError unless 0 <= p <= 1. Source: Hinton et al. (2012), https://arxiv.org/abs/1207.0580.
    """
    return _dropped(input, check_probability(p), training, inplace)


def check_probability(p: float) -> float:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def _dropped(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    if p == 0 or not training or not input._array.size:
        return input
    if p == 1:
        return _times(input, wrap(np.zeros((), input._array.dtype)), inplace)
    keep = _keep(input._array, p)
    keep /= 1 - p
    return _times(input, wrap(keep), inplace)


def _keep(like: Any, p: float) -> Any:
    return mode.run(drawn, like, default_generator, bernoulli_draw(like.dtype, 1 - p))


def _times(input: Tensor, factor: Tensor, inplace: bool) -> Tensor:
    return input.mul_(factor) if inplace else input * factor
