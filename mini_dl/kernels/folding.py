"""Blocks of images as columns, and back."""

from __future__ import annotations

import math

import numpy as np

from mini_dl._dtypes import Array, Index, Shape
from mini_dl.kernels.convolution import Geometry, fitted_window


def fold_back(input: Array, shape: Shape, kernel: Shape, geometry: Geometry) -> Array:
    """(N, C * K, L) -> `shape`, (N, C, *in): each value is added where `_unfold` reads it."""
    padded = np.zeros_like(padded_for(np.empty(shape, input.dtype), kernel, geometry))
    source = input.reshape(*shape[:2], math.prod(kernel), *geometry.out)
    for number, tap in enumerate(np.ndindex(*kernel)):
        sizes = zip(tap, geometry.dilation, geometry.stride, geometry.out)
        at: Index = (Ellipsis, *[slice(t * d, t * d + s * (o - 1) + 1, s) for t, d, s, o in sizes])
        padded[at] += source[:, :, number]
    inner: Index = (Ellipsis, *[slice(p, p + i) for p, i in zip(geometry.padding, shape[2:])])
    return np.ascontiguousarray(padded[inner])


def padded_for(input: Array, kernel: Shape, g: Geometry) -> Array:
    needed = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(g.out, g.stride, g.dilation, kernel)]
    sizes = zip(needed, g.padding, input.shape[2:])
    return fitted_window(input, g.padding, tuple([max(n, p + i) for n, p, i in sizes]))


def taps_of(padded: Array, kernel: Shape, g: Geometry) -> Array:
    """(N, C, *padded) -> (N, C, *kernel, *out), a view."""
    steps = padded.strides[2:]
    taps = [b * d for b, d in zip(steps, g.dilation)]
    moves = [b * s for b, s in zip(steps, g.stride)]
    return np.lib.stride_tricks.as_strided(padded, (*padded.shape[:2], *kernel, *g.out), (*padded.strides[:2], *taps, *moves))
