"""Padding with constants and from positions of the input, and the transpose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from mini_dl._dtypes import Array, Index, Number, number_as
from mini_dl.kernels.blocks import in_slices
from mini_dl.kernels.copying import reshaped

Pads = tuple[tuple[int, int], ...]  # for each of the last dimensions, first to last: the sizes before and after


def pad_constant(input: Array, pads: Pads, value: Number) -> Array:
    """(*, *in) -> (*, *(before + in + after))"""
    source, out, target = _images(input, pads)
    fill = number_as(value, input.dtype) if any([n > 0 for pair in pads for n in pair]) else None
    space, wide = source.shape[1:], target.shape[1:]
    to: Index = (slice(None), *[slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(wide, pads)])
    of: Index = (slice(None), *[slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(space, pads)])

    def pad(part: slice) -> None:
        if fill is not None:
            target[part] = fill
        np.copyto(target[part][to], source[part][of])

    in_slices(pad, len(target), math.prod(wide))
    return out


def pad_by_position(input: Array, pads: Pads, mode: str) -> Array:
    """Like `pad_constant`, with the border filled from the input itself."""
    source, out, target = _images(input, pads)
    in_slices(lambda part: _fill(target[part], source[part], pads, mode), len(target), math.prod(target.shape[1:]))
    return out


def _fill(target: Array, source: Array, pads: Pads, mode: str) -> None:
    if not pads:
        np.copyto(target, source)
        return
    for to, of in _parts(source.shape[-len(pads)], pads[0], mode, len(pads) - 1):
        _fill(target[to], source[of], pads[1:], mode)


def unpad_by_position(output: Array, shape: tuple[int, ...], pads: Pads, mode: str) -> Array:
    """The transpose of `pad_by_position`: each value is added to the position it was copied from."""
    source, out, target = _images(output, tuple([(-a, -b) for a, b in pads]))
    if any([n < 0 for pair in pads for n in pair]):
        target.fill(0)
    in_slices(lambda part: _add(target[part], source[part], pads, mode, np.copyto), len(target), math.prod(source.shape[1:]))
    return out


def _add(target: Array, source: Array, pads: Pads, mode: str, combine: Callable[[Array, Array], object]) -> None:
    """`combine` is what to do with the values from the middle, which come first: copy, or add."""
    if not pads:
        combine(target, source)
        return
    for at, of in _parts(target.shape[-len(pads)], pads[0], mode, len(pads) - 1):
        part, to = source[at], target[of]
        if part.shape[-len(pads)] != to.shape[-len(pads)]:
            part = part.sum(-len(pads), keepdims=True)
        _add(to, part, pads[1:], mode, combine)
        combine = _add_to


def _add_to(target: Array, source: Array) -> None:
    np.add(target, source, out=target)


def _images(input: Array, pads: Pads) -> tuple[Array, Array, Array]:
    """The input as images that are padded one by one, and the result, not yet filled, as it is and as images."""
    first = input.ndim - len(pads)
    outer, space = input.shape[:first], input.shape[first:]
    wide = [a + n + b for n, (a, b) in zip(space, pads)]
    out = np.empty((*outer, *wide), input.dtype)
    images = math.prod(outer)
    return reshaped(input, (images, *space)), out, out.reshape(images, *wide)


def _parts(size: int, pad: tuple[int, int], mode: str, after: int) -> Iterator[tuple[Index, Index]]:
    """The parts of a padded dimension, which is followed by `after` dimensions: their positions and their sources; the middle
    comes first."""
    before, behind = pad
    rest = (slice(None),) * after
    low, high = max(before, 0), max(behind, 0)
    first, last = max(-before, 0), size - max(-behind, 0)
    end = low + last - first
    yield (Ellipsis, slice(low, end), *rest), (Ellipsis, slice(first, last), *rest)
    if low:
        of = {"reflect": slice(low, 0, -1), "replicate": slice(0, 1), "circular": slice(last - low, last)}[mode]
        yield (Ellipsis, slice(0, low), *rest), (Ellipsis, of, *rest)
    if high:
        mirror = slice(size - 2, size - 2 - high if size - 2 - high >= 0 else None, -1)
        of = {"reflect": mirror, "replicate": slice(size - 1, size), "circular": slice(first, first + high)}[mode]
        yield (Ellipsis, slice(end, end + high), *rest), (Ellipsis, of, *rest)
