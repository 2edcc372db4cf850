"""Where the taps of a convolution's kernel meet its input."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import Array, Index, Shape


class Geometry(NamedTuple):
    """Output position o and kernel tap t meet at input position ``o * stride + t * dilation - padding``, per dimension."""

    stride: Shape
    padding: Shape  # before the first position; the padding after the last follows from `out`
    dilation: Shape
    groups: int
    out: Shape  # the spatial shape of the output


def fitted_window(input: Array, padding: Shape, needed: Shape) -> Array:
    """(N, C, *in) -> (N, C, *needed): `input` from position -padding on, with zeros outside of it."""
    space = input.shape[2:]
    if all([p <= 0 and n - p <= i for p, n, i in zip(padding, needed, space)]):
        return input[inner([slice(-p, n - p) for p, n in zip(padding, needed)])]
    out = np.zeros((*input.shape[:2], *needed), input.dtype)
    target, source = overlap(padding, needed, space)
    out[inner(target)] = input[inner(source)]
    return out


def overlap(padding: Shape, needed: Shape, space: Shape) -> tuple[list[slice], list[slice]]:
    """Where an image of shape `space`, and which part of it, lies in a window of shape `needed` that starts at -padding."""
    target = [slice(max(p, 0), max(min(n, p + i), 0)) for p, n, i in zip(padding, needed, space)]
    source = [slice(max(-p, 0), max(min(i, n - p), 0)) for p, n, i in zip(padding, needed, space)]
    return target, source


def inner(index: Any) -> Index:
    """The index that applies `index` to the last dimensions."""
    return (Ellipsis, *index)
