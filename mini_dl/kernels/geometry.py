"""Where the taps of a convolution's kernel meet its input."""

from __future__ import annotations

import math
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


def meeting(first: int, stride: int, size: int, count: int) -> tuple[slice, slice]:
    """Of `count` positions, the first one at `first`, the next ones a stride apart, those that lie in an input of this size; and
    where."""
    start = min(count, max(0, -(first // stride)))
    stop = max(start, min(count, (size - 1 - first) // stride + 1))
    inside = slice(start * stride + first, (stop - 1) * stride + first + 1, stride) if stop > start else slice(0)
    return slice(start, stop), inside


def in_phases(
    kernel: Shape, stride: Shape, dilation: Shape, out: Shape
) -> tuple[Shape, list[tuple[int, ...]], list[tuple[int, int]]]:
    """Taps that see an input in phases: of the positions of each, which are a stride apart, a tap sees a run.

    Returns the shape of a phase, in which an output position and a tap meet at the sum of two offsets, the first positions of
    the phases, and for each tap the number of its phase and its offset.
    """
    space = tuple([n + d * (k - 1) // s for n, d, k, s in zip(out, dilation, kernel, stride)])
    steps = [math.prod(space[i + 1 :]) for i in range(len(space))]
    at = [[divmod(t * d, s) for t, d, s in zip(tap, dilation, stride)] for tap in np.ndindex(*kernel)]
    phases = [tuple([phase for _, phase in tap]) for tap in at]
    used = list(dict.fromkeys(phases))
    offsets = [sum([offset * step for (offset, _), step in zip(tap, steps)]) for tap in at]
    return space, used, [(used.index(phase), offset) for phase, offset in zip(phases, offsets)]


def reverse(kernel: Shape, space: Shape, g: Geometry) -> Geometry:
    """The geometry, without a stride, of the convolution of an output with the mirrored kernel, to the shape `space`."""
    padding = tuple([d * (k - 1) - p for d, k, p in zip(g.dilation, kernel, g.padding)])
    return Geometry(g.stride, padding, g.dilation, g.groups, space)


def inner(index: Any) -> Index:
    """The index that applies `index` to the last dimensions."""
    return (Ellipsis, *index)
