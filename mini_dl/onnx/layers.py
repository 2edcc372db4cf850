"""Translations of convolution, pooling, resampling, normalization and recurrence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, Array
from mini_dl.kernels.convolution import Geometry
from mini_dl.kernels.pooling import Regions, Windows
from mini_dl.onnx.building import INT, Builder, Term
from mini_dl.onnx.recording import Value
from mini_dl.onnx.sizes import Size

# ------------------------------------------------------------------------------------------------ convolution


def pads_of(g: Builder, space: Sequence[Any], kernel: Sequence[int], at: Geometry | Windows) -> list[int]:
    """The padding before and after: the same on both sides if that gives the size of the result."""
    before = g.fixed(at.padding, "padding")
    after = []
    for n, k, s, p, d, out in zip(space, kernel, at.stride, before, at.dilation, at.out):
        if isinstance(n, Size) or isinstance(out, Size) or (n + 2 * p - d * (k - 1) - 1) // s + 1 == out:
            after.append(p)
        else:
            after.append(max(0, (out - 1) * s + d * (k - 1) + 1 - n - p))
    return [*before, *after]


def convolution(g: Builder, x: Value, weight: Value, bias: Value | None, at: Geometry) -> Term:
    kernel = g.fixed(weight.shape[2:], "kernel")
    pads = pads_of(g, x.shape[2:], kernel, at)
    shared = {"kernel_shape": kernel, "strides": list(at.stride), "dilations": list(at.dilation), "group": at.groups}
    return g.Conv(x, weight, bias, pads=pads, **shared)


def transposed_convolution(g: Builder, x: Value, weight: Value, shape: Sequence[Any], at: Geometry) -> Term:
    kernel = g.fixed(weight.shape[2:], "kernel")
    extra = []
    for n, k, s, p, d, out in zip(x.array.shape[2:], kernel, at.stride, at.padding, at.dilation, g.out.array.shape[2:]):
        extra.append(out - ((n - 1) * s - 2 * p + d * (k - 1) + 1))
    if any([n < 0 for n in extra]):
        raise g.unsupported("a result that is smaller than its input covers")
    shared = {"kernel_shape": kernel, "strides": list(at.stride), "dilations": list(at.dilation), "group": at.groups}
    if all([n < s for n, s in zip(extra, at.stride)]):
        return g.ConvTranspose(x, weight, pads=[*at.padding] * 2, output_padding=extra if any(extra) else None, **shared)
    # more than ONNX supports: less is cropped at the end, and elements that the kernel does not reach are zeros
    found = g.ConvTranspose(x, weight, pads=[*at.padding, *[max(0, p - n) for p, n in zip(at.padding, extra)]], **shared)
    beyond = [max(0, n - p) for p, n in zip(at.padding, extra)]
    return g.Pad(found, [0] * (len(kernel) + 4) + beyond) if any(beyond) else found


def taps(channels: int, kernel: Sequence[int], x: Value) -> Array:
    """The weight that copies each element of a window, of each of the `channels`, to its own channel."""
    count = math.prod(kernel)
    return np.tile(np.eye(count, dtype=x.dtype).reshape(count, 1, *kernel), (channels, 1, *[1] * len(kernel)))


def columns(g: Builder, x: Value, kernel: Sequence[int], at: Geometry) -> Term:
    (channels,) = g.fixed(x.shape[1:2], "number of channels")
    found = g.Conv(
        x, taps(channels, kernel, x), pads=pads_of(g, x.shape[2:], kernel, at), strides=list(at.stride),
        dilations=list(at.dilation), group=channels, kernel_shape=list(kernel),
    )  # fmt: skip
    return g.reshape(found, g.shape, x.shape[:1])


def columns_back(g: Builder, x: Value, shape: Sequence[Any], kernel: Sequence[int], at: Geometry) -> Term:
    channels, *space = g.fixed(shape[1:], "size")
    image = g.reshape(x, [x.shape[0], channels * math.prod(kernel), *at.out], x.shape[:1])
    pads = pads_of(g, space, kernel, at)
    sizes = zip(space, kernel, at.stride, at.dilation, at.out, pads, pads[len(space) :])
    extra = [n - ((out - 1) * s + d * (k - 1) + 1 - p - q) for n, k, s, d, out, p, q in sizes]
    return g.ConvTranspose(
        image, taps(channels, kernel, x), pads=pads, strides=list(at.stride), dilations=list(at.dilation), group=channels,
        kernel_shape=list(kernel), output_padding=extra if any(extra) else None,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ pooling


def batched(g: Builder, x: Value, n: int) -> Term:
    """`x` with a batch dimension, which may be missing."""
    return g.Unsqueeze(x, [0]) if len(x.shape) == n + 1 else g.term(x)


def unbatched(g: Builder, found: Term, x: Value, n: int) -> Term:
    return g.Squeeze(found, [0]) if len(x.shape) == n + 1 else found


def max_pool(g: Builder, x: Value, windows: Windows, places: bool = False) -> tuple[Term, Term]:
    n = len(windows.kernel)
    image = batched(g, x, n)
    if x.dtype.kind not in FLOATING:
        image = g.cast(image, np.dtype(np.float32))
    kernel, pads = list(windows.kernel), pads_of(g, x.shape[-n:], windows.kernel, windows)
    if any([pad >= k for pad, k in zip(pads[n:], kernel)]) and not places:  # more than runtimes support
        image = g.Pad(image, [0, 0, *pads[:n], 0, 0, *pads[n:]], g.cast(-np.inf, image.dtype))
        pads = [0] * (2 * n)
    shared = {"kernel_shape": kernel, "strides": list(windows.stride), "dilations": list(windows.dilation), "pads": pads}
    if not places:
        values = unbatched(g, g.MaxPool(image, **shared), x, n)
        return g.cast(values, x.dtype), values
    values, found = g.MaxPool(image, outputs=2, **shared)
    inside = g.Mod(Term(found.name, INT), np.int64(g.count(x.shape[-n:])))  # they are indices into the whole batch
    return values, unbatched(g, inside, x, n)


def regular(region: Regions) -> tuple[int, int, int] | None:
    """(kernel, stride, padding) if the regions are evenly spaced windows that end within the input or the padding."""
    seen = matrix_of(region)
    first, last = seen.argmax(1), region.size - seen[:, ::-1].argmax(1)
    kernel = int(seen.sum(1).max())
    inner = [i for i in range(region.out) if first[i] > 0 or last[i] - first[i] == kernel]
    if not inner:
        return None
    starts = {i: int(first[i]) for i in inner}
    steps = {starts[j] - starts[i] for i, j in itertools.pairwise(inner)}
    stride = steps.pop() if len(steps) == 1 else kernel
    padding = inner[0] * stride - starts[inner[0]]
    for i in range(region.out):
        start = i * stride - padding
        if (first[i], last[i]) != (max(start, 0), min(start + kernel, region.size)):
            return None
    return (kernel, stride, padding) if not steps and padding >= 0 and stride > 0 else None


def matrix_of(region: Regions) -> Array:
    """(out, size): a mask of the elements in each region."""
    seen = np.zeros((region.out, region.size))
    for which, place in region.taps:
        seen[np.arange(region.out)[which], np.arange(region.size)[place]] = 1
    return seen


def mean_pool(g: Builder, x: Value, regions: Sequence[Regions], divisor: Any) -> Term:
    divisor = divisor.array if isinstance(divisor, Value) else divisor
    found = [regular(region) for region in regions]
    n = len(regions)
    if all(found):
        kernel, stride, padding = [list(some) for some in zip(*[one for one in found if one])]
        after = [max(0, (r.out - 1) * s + k - r.size - p) for r, k, s, p in zip(regions, kernel, stride, padding)]
        shared = {"kernel_shape": kernel, "strides": stride, "pads": [*padding, *after]}
        counts = np.array(1)
        for region in regions:
            counts = np.multiply.outer(counts, region.counts)
        number = not isinstance(divisor, np.ndarray)
        if not number and np.array_equal(divisor, counts):
            return unbatched(g, g.AveragePool(batched(g, x, n), count_include_pad=0, **shared), x, n)
        if number and all([p + a <= 2 * p for p, a in zip(padding, after)]):
            whole = math.prod(kernel)
            mean = unbatched(g, g.AveragePool(batched(g, x, n), count_include_pad=int(any(padding)), **shared), x, n)
            return mean if divisor == whole else g.Mul(mean, whole / divisor)
    sums = along_axes(g, x, [(matrix_of(region), None) for region in regions])
    return g.Div(sums, g.term(np.asarray(divisor, x.dtype)))


def along_axes(g: Builder, x: Value, axes: Sequence[tuple[Array | None, Array | None]]) -> Term:
    """Each of the last dimensions multiplied by a matrix (out, in), or with elements gathered at positions."""
    ndim = len(x.shape)
    term = g.term(x)
    for dim, (matrix, places) in enumerate(axes, ndim - len(axes)):
        if places is not None:
            term = g.Gather(term, places, axis=dim)
        elif matrix is not None:
            order = list(range(ndim))
            order[dim], order[-1] = order[-1], order[dim]
            turned = g.Transpose(term, perm=order) if dim != ndim - 1 else term
            product = g.MatMul(turned, matrix.T.astype(x.dtype))
            term = g.Transpose(product, perm=order) if dim != ndim - 1 else product
    return term


def unpooled(g: Builder, x: Value, places: Value, out: Sequence[Any], n: int) -> Term:
    lead = list(x.shape[:-n])
    count, whole = g.count(x.shape[-n:]), g.count(out)
    zeros = g.Expand(g.cast(0, x.dtype), [*lead, whole])
    at, values = (g.reshape(one, [*lead, count], x.shape) for one in (places, x))
    return g.reshape(g.ScatterElements(zeros, at, values, axis=len(lead)), g.shape, [*lead, 0])


def resampled(g: Builder, x: Value, axes: Sequence[Any]) -> Term:
    listed: list[tuple[Array | None, Array | None]] = []
    for axis in axes:
        nearest = axis.weights is None and axis.places.shape[1] == 1
        listed.append((None, axis.places[:, 0].astype(np.int64)) if nearest else (axis.matrix(x.dtype), None))
    return along_axes(g, x, listed)


# ------------------------------------------------------------------------------------------------ normalization


def batch_norm(g: Builder, x: Value, eps: float, weight: Value | None, bias: Value | None, mean: Value, variance: Value) -> Term:
    channels = mean.array.shape
    scale = g.term(np.ones(channels, x.dtype)) if weight is None else g.term(weight)
    shift = g.term(np.zeros(channels, x.dtype)) if bias is None else g.term(bias)
    return g.BatchNormalization(x, scale, shift, mean, variance, epsilon=float(eps))


def row_norm(g: Builder, x: Value, weight: Value | None, bias: Value | None, eps: float, center: bool, memo: object) -> Term:
    if center:
        scale = g.term(np.ones(x.array.shape[-1:], x.dtype)) if weight is None else g.term(weight)
        return g.LayerNormalization(x, scale, bias, axis=-1, epsilon=float(eps))
    square = g.ReduceMean(g.Mul(x, x), [-1], keepdims=1)
    out = g.Div(x, g.Sqrt(g.Add(square, eps)))
    return out if weight is None else g.Mul(out, weight)


def channel_norm(g: Builder, x: Value, weight: Value | None, bias: Value | None, groups: int, eps: float) -> Term:
    whole = g.term(x) if not groups else g.Reshape(x, [0, groups, -1])
    space = [*range(2, len(x.shape))]
    dims = [0, *space] if not groups else [2]
    away = g.Sub(whole, g.ReduceMean(whole, dims, keepdims=1))
    unit = g.Div(away, g.Sqrt(g.Add(g.ReduceMean(g.Mul(away, away), dims, keepdims=1), eps)))
    if groups:
        unit = g.reshape(unit, x.shape, x.shape[:1])
    scale, shift = (p if p is None or not space else g.Unsqueeze(p, [d - 1 for d in space]) for p in (weight, bias))
    if scale is not None:
        unit = g.Mul(unit, scale)
    return unit if shift is None else g.Add(unit, shift)


# ------------------------------------------------------------------------------------------------ recurrence


def in_order(g: Builder, x: Value, order: Sequence[int]) -> Term:
    """The gates of a weight or bias in ONNX's order."""
    parts = g.Split(x, axis=0, num_outputs=len(order), outputs=len(order))
    return g.Concat(*[parts[i] for i in order], axis=0)


def of_gates(g: Builder, gates: Value, order: Sequence[int]) -> tuple[Term, Term, Term | None]:
    """The input, weight and bias that the gates were computed from; otherwise the gates, a unit weight, and no bias."""
    call = gates.call
    if call is not None and call.name in ("_affine", "_rows") and call.args.get("flip", True):
        bias = call.args.get("bias")
        weight = in_order(g, call.args["weight"], order)
        return g.term(call.args["input"]), weight, None if bias is None else in_order(g, bias, order)
    width = gates.array.shape[-1]
    places = np.concatenate([np.split(np.arange(width), len(order))[i] for i in order])
    return g.term(gates), g.term(np.eye(width, dtype=gates.dtype)[places]), None


def lstm(g: Builder, gates: Value, hidden: Value, cell: Value, weight: Value, reverse: bool) -> tuple[Term, Term]:
    order = (0, 3, 1, 2)  # i f g o -> i o f c
    x, w, b = of_gates(g, gates, order)
    size = weight.array.shape[1]
    both = None if b is None else g.Unsqueeze(g.Concat(b, np.zeros(4 * size, gates.dtype), axis=0), [0])
    out, _, last = g.LSTM(
        x, g.Unsqueeze(w, [0]), g.Unsqueeze(in_order(g, weight, order), [0]), both, None, g.Unsqueeze(hidden, [0]),
        g.Unsqueeze(cell, [0]), hidden_size=size, direction="reverse" if reverse else "forward", outputs=3,
    )  # fmt: skip
    return g.Squeeze(out, [1]), g.Squeeze(last, [0])


def gru(g: Builder, gates: Value, hidden: Value, weight: Value, bias: Value | None, reverse: bool) -> Term:
    order = (1, 0, 2)  # r z n -> z r h
    x, w, b = of_gates(g, gates, order)
    size = weight.array.shape[1]
    nothing = g.term(np.zeros(3 * size, gates.dtype))
    recurrent = nothing if bias is None else in_order(g, bias, order)
    both = g.Unsqueeze(g.Concat(nothing if b is None else b, recurrent, axis=0), [0])
    out, _ = g.GRU(
        x, g.Unsqueeze(w, [0]), g.Unsqueeze(in_order(g, weight, order), [0]), both, None, g.Unsqueeze(hidden, [0]),
        hidden_size=size, direction="reverse" if reverse else "forward", linear_before_reset=1, outputs=2,
    )  # fmt: skip
    return g.Squeeze(out, [1])
