"""Depthwise convolution of few images by small kernels: each tap multiplies a plane at once, where lines are short.

In a padded copy, what a tap sees of a channel is one run of memory, which begins some positions further on than that of the tap
before. The positions between two lines are computed in vain. With a stride, positions that are a stride apart are a plane of
their own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from mini_dl._dtypes import Array, Index, Shape
from mini_dl.kernels.blocks import Scratch, number_of_pieces, split
from mini_dl.kernels.geometry import Geometry, in_phases, inner, meeting, reverse
from mini_dl.kernels.parallel import get_num_threads, share

SEEN, TOTAL, ROOM = Scratch(), Scratch(), Scratch()
COMPUTED = 1 << 18
"""Elements of the result that are computed at a time."""
FEW = 128
"""Positions of a line of all images up to which it pays."""
LARGE = 400
"""Positions of an image from which it pays."""
TAPS = 25
"""Up to how many it pays: each takes two passes."""


def suits(images: int, weight: Shape, g: Geometry) -> bool:
    """Whether the kernel is depthwise and small, the lines of all images are short, and planes are not."""
    depthwise = weight[0] == weight[1] * g.groups == g.groups > 1
    large = math.prod(g.out) >= LARGE and images * math.prod(g.out[1:]) <= FEW
    return depthwise and large and len(g.out) > 1 and math.prod(weight[2:]) <= TAPS


def suits_input(shape: Shape, weight: Shape, g: Geometry) -> bool:
    """The same for the gradient of an input of `shape`, (N, C, *in)."""
    return max(g.stride) == 1 and suits(shape[0], weight, reverse(weight[2:], shape[2:], g))


def conv(input: Array, weight: Array, bias: Array | None, g: Geometry, out: Array) -> None:
    """(N, C, *in), (C, 1, *kernel), (C) -> `out`, (N, C, *out)"""
    planes = planes_of(input.shape, weight.shape[2:], g, get_num_threads())
    factors = weight.reshape(len(weight), -1, 1).swapaxes(0, 1)  # (taps, C, 1)
    added = None if bias is None else bias.reshape(-1, *[1] * len(g.out))

    def convolve(channels: slice) -> None:
        part = out[:, channels]
        whole = TOTAL.of((*part.shape[:2], g.out[0], *planes.space[1:]), input.dtype)
        total = whole.reshape(*part.shape[:2], -1)[..., : planes.run]
        room = ROOM.of(total.shape, input.dtype)
        for number, (seen, factor) in enumerate(zip(planes.seen(input[:, channels]), factors[:, channels])):
            if number == 0:
                np.multiply(seen, factor, total)
            else:
                np.multiply(seen, factor, room)
                np.add(total, room, total)
        shown = whole[inner([slice(n) for n in g.out])]
        if added is None:
            part[...] = shown
        else:
            np.add(shown, added[channels], part)

    share(convolve, planes.pieces, planes.size)


def conv_input(output: Array, weight: Array, shape: Shape, g: Geometry) -> Array:
    """(N, C, *out), (C, 1, *kernel) -> `shape`, (N, C, *in), without a stride: the convolution with the mirrored kernel"""
    found = np.empty(shape, output.dtype)
    mirrored = np.ascontiguousarray(weight[inner([slice(None, None, -1)] * len(g.out))])
    conv(output, mirrored, None, reverse(weight.shape[2:], shape[2:], g), found)
    return found


@functools.lru_cache(1024)
def planes_of(shape: Shape, kernel: Shape, g: Geometry, threads: int) -> Planes:
    return Planes(shape, kernel, g)


class Planes:
    """Where the taps see the planes of an input of `shape`, and the channels that are computed at a time.

    `space` is the shape of a padded plane, `run` the number of positions from the first output to the last.
    """

    def __init__(self, shape: Shape, kernel: Shape, g: Geometry) -> None:
        self.space, used, self.taps = in_phases(kernel, g.stride, g.dilation, g.out)
        self.run = sum([(n - 1) * math.prod(self.space[i + 1 :]) for i, n in enumerate(g.out)]) + 1
        self.phases = [self._inside(phase, shape[2:], g) for phase in used]
        outputs = shape[0] * shape[1] * math.prod(g.out)
        self.size = outputs * len(self.taps)
        self.pieces = split(shape[1], number_of_pieces(outputs, self.size, COMPUTED, COMPUTED))

    def _inside(self, phase: tuple[int, ...], space: Shape, g: Geometry) -> tuple[Index, Index]:
        """The part of a plane inside the image, and where it comes from."""
        sides = [meeting(f - p, s, i, n) for f, p, s, i, n in zip(phase, g.padding, g.stride, space, self.space)]
        return inner([to for to, _ in sides]), inner([of for _, of in sides])

    def seen(self, part: Array) -> Iterator[Array]:
        """What each tap sees of some channels, (N, C, *in), as (N, C, run): valid until the next request."""
        planes = SEEN.of((len(self.phases), *part.shape[:2], *self.space), part.dtype)
        planes[...] = 0
        for plane, (to, of) in zip(planes, self.phases):
            plane[to] = part[of]
        runs = planes.reshape(*planes.shape[:3], -1)
        return iter([runs[number, ..., offset : offset + self.run] for number, offset in self.taps])
