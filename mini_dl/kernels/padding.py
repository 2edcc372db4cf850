"""Padding with constants and from positions of the input, and the transpose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mini_dl._dtypes import Array, Index, Number, number_as

Pads = tuple[tuple[int, int], ...]  # for each of the last dimensions, first to last: the sizes before and after


def pad_constant(input: Array, pads: Pads, value: Number) -> Array:
    """(*, *in) -> (*, *(before + in + after))"""
    space = input.shape[input.ndim - len(pads) :]
    out = np.empty((*input.shape[: input.ndim - len(pads)], *[a + n + b for n, (a, b) in zip(space, pads)]), input.dtype)
    if any([n > 0 for pair in pads for n in pair]):
        out[...] = number_as(value, input.dtype)
    to: Index = (
        Ellipsis,
        *[slice(max(a, 0), out_n - max(b, 0)) for out_n, (a, b) in zip(out.shape[out.ndim - len(pads) :], pads)],
    )
    of: Index = (Ellipsis, *[slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(space, pads)])
    out[to] = input[of]
    return out


def pad_by_position(input: Array, pads: Pads, mode: str) -> Array:
    """Like `_pad_constant`, with the border filled from the input itself, dimension by dimension."""
    out = input
    for dim in range(len(pads)):
        axis = input.ndim - len(pads) + dim
        padded = np.empty((*out.shape[:axis], sum(pads[dim]) + out.shape[axis], *out.shape[axis + 1 :]), input.dtype)
        for to, of in _parts(out.shape[axis], pads[dim], mode, len(pads) - dim - 1):
            padded[to] = out[of]
        out = padded
    return out


def unpad_by_position(output: Array, shape: tuple[int, ...], pads: Pads, mode: str) -> Array:
    """The transpose of `_pad_by_position`: each value is added to the position it was copied from."""
    grad = output
    for dim in reversed(range(len(pads))):
        axis = output.ndim - len(pads) + dim
        found = np.zeros((*grad.shape[:axis], shape[axis], *grad.shape[axis + 1 :]), grad.dtype)
        for at, of in _parts(shape[axis], pads[dim], mode, len(pads) - dim - 1):
            part = grad[at]
            found[of] += part.sum(axis, keepdims=True) if found[of].shape[axis] != part.shape[axis] else part
        grad = found
    return grad


def _parts(size: int, pad: tuple[int, int], mode: str, after: int) -> Iterator[tuple[Index, Index]]:
    """The parts of a padded dimension, which is followed by `after` dimensions: their positions and their sources."""
    before, behind = pad
    rest = (slice(None),) * after
    low, high = max(before, 0), max(behind, 0)
    first, last = max(-before, 0), size - max(-behind, 0)
    end = low + last - first
    if low:
        of = {"reflect": slice(low, 0, -1), "replicate": slice(0, 1), "circular": slice(last - low, last)}[mode]
        yield (Ellipsis, slice(0, low), *rest), (Ellipsis, of, *rest)
    yield (Ellipsis, slice(low, end), *rest), (Ellipsis, slice(first, last), *rest)
    if high:
        mirror = slice(size - 2, size - 2 - high if size - 2 - high >= 0 else None, -1)
        of = {"reflect": mirror, "replicate": slice(size - 1, size), "circular": slice(first, first + high)}[mode]
        yield (Ellipsis, slice(end, end + high), *rest), (Ellipsis, of, *rest)
