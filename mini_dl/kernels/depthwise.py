"""Depthwise convolution: an image is cut into phases, in which each tap of the kernel sees one run of memory.

Position r of phase q is the image's position ``r * stride + q - padding``, zero outside. Several images of a channel are stored
one after the other, so tap t, in phase ``t * dilation % stride``, sees all outputs from ``t * dilation // stride`` on: they are
sums of multiples of long runs. The gaps between the lines are not copied out.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from mini_dl._dtypes import Array, Index, NumpyType, Shape
from mini_dl.kernels import blocks
from mini_dl.kernels.blas import adder
from mini_dl.kernels.blocks import Scratch, number_of_pieces, split
from mini_dl.kernels.parallel import share

LONG_RUN = 2048
"""Numbers from which adding a multiple of a run takes longer than calling BLAS for it."""
IMAGE, FOUND, TERM = Scratch(), Scratch(), Scratch()


class Geometry(NamedTuple):
    """Output position o and kernel tap t meet at input position ``o * stride + t * dilation - padding``, per dimension."""

    stride: Shape
    padding: Shape  # before the first position; the padding after the last follows from `out`
    dilation: Shape
    groups: int
    out: Shape  # the spatial shape of the output


class Phases:
    """The locations of the elements that the taps of a kernel read, in an image of shape `space`."""

    def __init__(self, space: Shape, kernel: Shape, g: Geometry) -> None:
        at = [[divmod(t * d, s) for t in range(k)] for k, d, s in zip(kernel, g.dilation, g.stride)]  # offset, phase
        self.rows = tuple([o + (k - 1) * d // s for o, k, d, s in zip(g.out, kernel, g.dilation, g.stride)])
        steps = [math.prod(self.rows[i + 1 :]) for i in range(len(self.rows))]
        phases = sorted(set(itertools.product(*[[phase for _, phase in each] for each in at])))
        self.taps = [
            (phases.index(tuple([phase for _, phase in tap])), sum([offset * step for (offset, _), step in zip(tap, steps)]))
            for tap in itertools.product(*at)
        ]
        self.places: list[tuple[Index, Index]] = []
        for phase in phases:
            pairs = [_place(q - p, s, r, n) for q, p, s, r, n in zip(phase, g.padding, g.stride, self.rows, space)]
            self.places.append(((..., *[to for to, _ in pairs]), (..., *[source for _, source in pairs])))
        self.pitch = math.prod(self.rows)
        self.beyond = self.pitch - 1 - sum([(o - 1) * step for o, step in zip(g.out, steps)])
        self.valid: Index = (Ellipsis, *[slice(0, o) for o in g.out])

    def length(self, images: int) -> int:
        """The length of the run of outputs of a number of images, including gaps."""
        return images * self.pitch - self.beyond

    def image(self, channels: int, images: int, dtype: NumpyType) -> Array:
        """Zeros: (phase, C, n * pitch)"""
        found = IMAGE.of((len(self.places), channels, images * self.pitch), dtype)
        found[...] = 0
        return found

    def parts(self, image: Array, of: Array) -> list[tuple[Array, Array]]:
        """The pairs of corresponding parts in an image of phases and in `of`, (n, C, *in)."""
        shape = (*image.shape[1:2], len(of), *self.rows)
        of = of.swapaxes(0, 1)
        return [(phase.reshape(shape)[to], of[source]) for phase, (to, source) in zip(image, self.places)]

    def cut(self, input: Array) -> Array:
        """(n, C, *in) -> (phase, C, n * pitch)"""
        image = self.image(input.shape[1], len(input), input.dtype)
        for target, source in self.parts(image, input):
            np.copyto(target, source)
        return image

    def outputs(self, memory: Scratch, channels: int, images: int, dtype: NumpyType) -> tuple[Array, Array]:
        """Memory for the runs of the outputs, (O, length), and the outputs within it, (O, n, *out)."""
        whole = memory.of((channels, images * self.pitch), dtype)
        return whole[:, : self.length(images)], whole.reshape(channels, images, *self.rows)[self.valid]

    def spread(self, output: Array) -> Array:
        """(n, O, *out) -> (O, length), zeros between."""
        found, shown = self.outputs(FOUND, output.shape[1], len(output), output.dtype)
        found[...] = 0
        shown[...] = output.swapaxes(0, 1)
        return found


@functools.lru_cache(1024)
def phases_of(space: Shape, kernel: Shape, g: Geometry) -> Phases:
    return Phases(space, kernel, g)


def _place(shift: int, stride: int, rows: int, size: int) -> tuple[slice, slice]:
    """The positions r of a phase for which ``r * stride + shift`` lies within `size`, and these positions."""
    first = max(0, -(shift // stride))
    start = first * stride + shift
    count = max(0, min(rows - first, len(range(start, size, stride))))
    return slice(first, first + count), slice(start, start + stride * count, stride)


class Depthwise:
    """A convolution in which each output channel sees one input channel: ``weight`` is (C, O/C, K)."""

    def __init__(self, shape: Shape, kernel: Shape, g: Geometry) -> None:
        self.shape, self.phases = shape, phases_of(shape[2:], kernel, g)
        n, c = shape[:2]
        self.size = n * c * self.phases.pitch * len(self.phases.taps)
        block = 2 * blocks.BLOCK
        number = number_of_pieces(n * c * self.phases.pitch, self.size, block, block)
        self.images = split(n, -(-number // c))
        self.pieces = [(i, channels) for i in range(len(self.images)) for channels in split(c, number)]

    def taps(self, image: Array, length: int) -> list[Array]:
        return [image[p, :, at : at + length] for p, at in self.phases.taps]

    def conv(self, input: Array, weight: Array, out: Array) -> None:
        """`out` is (N, C, O/C, *out)"""

        def convolve(piece: tuple[int, slice]) -> None:
            images, channels = self.images[piece[0]], piece[1]
            part = input[images, channels]
            image = self.phases.cut(part)
            for k in range(weight.shape[1]):
                total, shown = self.phases.outputs(FOUND, image.shape[1], len(part), out.dtype)
                seen = self.taps(image, total.shape[1])
                np.multiply(seen[0], weight[channels, k, :1], total)
                _add_multiples([total] * (len(seen) - 1), seen[1:], weight[channels, k, 1:])
                out[images, channels, k] = shown.swapaxes(0, 1)

        share(convolve, self.pieces, self.size)

    def conv_input(self, output: Array, weight: Array) -> Array:
        to_input = np.zeros(self.shape, output.dtype)

        def add_back(piece: tuple[int, slice]) -> None:
            images, channels = self.images[piece[0]], piece[1]
            target = to_input[images, channels]
            image = self.phases.image(target.shape[1], len(target), output.dtype)
            for k in range(weight.shape[1]):
                spread = self.phases.spread(output[images, channels, k])
                _add_multiples(self.taps(image, spread.shape[1]), [spread] * weight.shape[2], weight[channels, k])
            for phase, part in self.phases.parts(image, target):
                np.copyto(part, phase)

        share(add_back, self.pieces, self.size)
        return to_input

    def conv_weight(self, input: Array, output: Array) -> Array:
        """(N, C, *in), (N, C, O/C, *out) -> (C, O/C, K)"""
        found = np.empty((len(self.images), *output.shape[1:3], len(self.phases.taps)), output.dtype)

        def products(piece: tuple[int, slice]) -> None:
            images, channels = self.images[piece[0]], piece[1]
            image = self.phases.cut(input[images, channels])
            if image.dtype.kind == "c":
                image = image.conj()  # vecdot will do it again
            for k in range(output.shape[2]):
                spread = self.phases.spread(output[images, channels, k])
                for tap, run in enumerate(self.taps(image, spread.shape[1])):
                    np.vecdot(run, spread, out=found[piece[0], channels, k, tap])

        share(products, self.pieces, self.size)
        return found.sum(0)


def _add_multiples(targets: list[Array], sources: list[Array], factors: Array) -> None:
    """``targets[k] += factors[:, k] * sources[k]``, for each tap k; targets and sources are (C, length)."""
    if not targets:
        return
    length = targets[0].shape[1]
    add = adder(factors.dtype) if length >= LONG_RUN and factors.all() else None  # BLAS skips 0, and with it NaN
    if add is None:
        term = TERM.of(targets[0].shape, factors.dtype)
        for k, (target, source) in enumerate(zip(targets, sources)):
            np.multiply(source, factors[:, k : k + 1], term)
            target += term
        return
    places = [(t.ctypes.data, t.strides[0], s.ctypes.data, s.strides[0]) for t, s in zip(targets, sources)]
    for channel, multiples in enumerate(factors.tolist()):
        for multiple, (target_at, target_step, source_at, source_step) in zip(multiples, places):
            add(length, multiple, source_at + channel * source_step, 1, target_at + channel * target_step, 1)
