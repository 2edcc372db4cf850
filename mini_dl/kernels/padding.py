"""Padding with constants and from positions of the input, and the transpose."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

from mini_dl._dtypes import Array, Index, Number, number_as
from mini_dl.kernels.blocks import in_single, in_slices
from mini_dl.kernels.copying import reshaped

Pads = tuple[tuple[int, int], ...]  # for each of the last dimensions, first to last: the sizes before and after


def pad_constant(input: Array, pads: Pads, value: Number) -> Array:
    """(*, *in) -> (*, *(before + in + after))"""
    source, out, target = _images(input, pads)
    (at, seen, _), *border = _plan(source.shape[1:], pads, "replicate")
    fill = number_as(value, input.dtype) if border else None

    def pad(part: slice) -> None:
        if fill is not None:
            target[part] = fill
        np.copyto(target[part][at], source[part][seen])

    in_slices(pad, len(target), math.prod(target.shape[1:]))
    return out


def pad_by_position(input: Array, pads: Pads, mode: str) -> Array:
    """Like `pad_constant`, with the border filled from the input itself."""
    source, out, target = _images(input, pads)
    plan = _plan(source.shape[1:], pads, mode)

    def pad(part: slice) -> None:
        to, of = target[part], source[part]
        for at, seen, _ in plan:
            np.copyto(to[at], of[seen])

    in_slices(pad, len(target), math.prod(target.shape[1:]))
    return out


@in_single
def unpad_by_position(output: Array, shape: tuple[int, ...], pads: Pads, mode: str) -> Array:
    """The transpose of `pad_by_position`: each value is added to the position it was copied from."""
    source, out, target = _images(output, tuple([(-a, -b) for a, b in pads]))
    plan = _plan(target.shape[1:], pads, mode)
    if any([n < 0 for pair in pads for n in pair]):
        target.fill(0)

    def add(part: slice) -> None:
        to, of = target[part], source[part]
        (middle, seen, _), *border = plan
        np.copyto(to[seen], of[middle])
        for at, seen, summed in border:
            goal, values = to[seen], of[at]
            np.add(goal, values.sum(summed, keepdims=True) if summed else values, out=goal)

    in_slices(add, len(target), math.prod(source.shape[1:]))
    return out


def _images(input: Array, pads: Pads) -> tuple[Array, Array, Array]:
    """The input as images that are padded one by one, and the result, not yet filled, as it is and as images."""
    first = input.ndim - len(pads)
    outer, space = input.shape[:first], input.shape[first:]
    wide = [a + n + b for n, (a, b) in zip(space, pads)]
    out = np.empty((*outer, *wide), input.dtype)
    images = math.prod(outer)
    return reshaped(input, (images, *space)), out, out.reshape(images, *wide)


@functools.lru_cache(256)
def _plan(space: tuple[int, ...], pads: Pads, mode: str) -> list[tuple[Index, Index, tuple[int, ...]]]:
    """The parts of padded images, the middle first: their positions, their sources, and along which axes many have one source."""
    plan = []
    for parts in itertools.product(*[_parts(size, pad, mode) for size, pad in zip(space, pads)]):
        at: Index = (Ellipsis, *[part[0] for part in parts])
        of: Index = (Ellipsis, *[part[1] for part in parts])
        plan.append((at, of, tuple([axis for axis, part in enumerate(parts, -len(pads)) if part[2]])))
    return plan


def _parts(size: int, pad: tuple[int, int], mode: str) -> list[tuple[slice, slice, bool]]:
    """The parts of a padded dimension, the middle first: their positions, their sources, and whether that is one for many."""
    before, behind = pad
    low, high = max(before, 0), max(behind, 0)
    first, last = max(-before, 0), size - max(-behind, 0)
    end = low + last - first
    parts = [(slice(low, end), slice(first, last), False)]
    if low:
        of = {"reflect": slice(low, 0, -1), "replicate": slice(0, 1), "circular": slice(last - low, last)}[mode]
        parts.append((slice(0, low), of, len(range(size)[of]) != low))
    if high:
        mirror = slice(size - 2, size - 2 - high if size - 2 - high >= 0 else None, -1)
        of = {"reflect": mirror, "replicate": slice(size - 1, size), "circular": slice(first, first + high)}[mode]
        parts.append((slice(end, end + high), of, len(range(size)[of]) != high))
    return parts
