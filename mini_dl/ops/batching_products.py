"""Batching rules for products: each operand keeps its own batch, so that a batch times one matrix stays one product.

A convolution treats a batch of inputs as more images, a batch of weights as more output channels, and a batch of both as groups.
"""

from __future__ import annotations

import math
from typing import Any

from mini_dl.autograd.batching import Call, fronted, rule_for
from mini_dl.kernels.convolution import Geometry
from mini_dl.ops.batching import ranked
from mini_dl.ops.convolution import channel_sums, conv, conv_input, conv_weight
from mini_dl.ops.matmul import _affine, _batched, _dot, _paired, _rows, _sum_of_rows
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ matrices


def _as_rows(tensor: Tensor, batched: bool) -> Tensor:
    """All leading dimensions of an element as one: (R, K), or (B, R, K)."""
    shape = tensor._array.shape
    lead = shape[:1] if batched else ()
    return tensor.reshape(*lead, math.prod(shape[len(lead) : -1]), shape[-1])


def _times(call: Call, input: Tensor, weight: Tensor, flip: bool, has: tuple[bool, bool]) -> Tensor:
    """`_rows` of a batch: (B, *, K), (K, M) is one product; with one weight per element there are many."""
    if not has[1]:
        return _rows(input, weight, flip)
    shape = input._array.shape[1:] if has[0] else input._array.shape
    rows = _as_rows(input, has[0])
    product: Tensor = _batched(rows, weight, False, flip)
    return product.reshape(call.size, *shape[:-1], product._array.shape[-1])


@rule_for(_rows)
def _rows_on_batch(call: Call) -> Tensor:
    input, weight, flip = call.args
    return _times(call, input, weight, flip, (call.batched[0], call.batched[1]))


@rule_for(_affine)
def _affine_on_batch(call: Call) -> Tensor:
    input, weight, bias = call.args
    has_input, has_weight, has_bias = call.batched
    if not has_weight and not has_bias:
        return _affine(input, weight, bias)
    product = _times(call, input, weight, True, (has_input, has_weight))
    if bias is None:
        return product
    return product + ranked(bias, has_bias, product._array.ndim - (has_input or has_weight))


@rule_for(_paired)
def _paired_on_batch(call: Call) -> Tensor:
    (input, other), (first, second) = call.args, call.batched
    a, b = _as_rows(input, first), _as_rows(other, second)
    if a._array.shape[-2] == 1:
        return a.transpose(-1, -2) * b
    return _batched(a, b, True, False)


@rule_for(_dot)
def _dot_on_batch(call: Call) -> Tensor:
    (input, other), (first, second) = call.args, call.batched
    if first and second:
        return _batched(input.unsqueeze(1), other.unsqueeze(2), False, False).reshape(call.size)
    rows, vector = (input, other) if first else (other, input)
    return _rows(rows, vector.unsqueeze(1), False).squeeze(1)


@rule_for(_sum_of_rows)
def _sum_of_rows_on_batch(call: Call) -> Tensor:
    return _as_rows(call.args[0], True).sum(1)


# ------------------------------------------------------------------------------------------------ convolution


def merged(tensor: Tensor, dim: int) -> Tensor:
    """The leading batch merged into dimension `dim` of an element, whose size it multiplies: (B, N, C) -> (N, B * C)."""
    shape = tensor._array.shape[1:]
    moved = tensor.movedim(0, dim) if dim else tensor
    return moved.reshape(*shape[:dim], tensor._array.shape[0] * shape[dim], *shape[dim + 1 :])


def parted(tensor: Tensor, dim: int, size: int) -> Tensor:
    """The inverse of `merged`: (N, B * C) -> (B, N, C)."""
    shape = tensor._array.shape
    apart = tensor.reshape(*shape[:dim], size, shape[dim] // size if size else 0, *shape[dim + 1 :])
    return apart.movedim(dim, 0) if dim else apart


def _grouped(geometry: Geometry, size: int) -> Geometry:
    """The geometry with that many times the groups."""
    return geometry._replace(groups=geometry.groups * size)


def _with_bias(out: Tensor, bias: Tensor | None, batched: bool) -> Tensor:
    """(B, N, O, *) with a bias (O), or (B, O)."""
    if bias is None:
        return out
    return out + beside_images(bias, batched, out._array.ndim - 3)


def beside_images(parameter: Tensor, batched: bool, n: int) -> Tensor:
    """A weight or bias (C), or (B, C), to go with (B, N, C, *) of n dimensions."""
    space = (1,) * n
    return parameter.reshape(len(parameter), 1, -1, *space) if batched else parameter.reshape(-1, *space)


def _times_more(shape: Any, dim: int, size: int) -> Any:
    """`shape` with dimension `dim` multiplied by `size`."""
    return (*shape[:dim], shape[dim] * size, *shape[dim + 1 :])


@rule_for(conv)
def _conv_on_batch(call: Call) -> Tensor:
    input, weight, bias, geometry = call.args
    has_input, has_weight, has_bias, _ = call.batched
    size = call.size
    if not has_weight:
        if has_input and not has_bias:
            return parted(conv(merged(input, 0), weight, bias, geometry), 0, size)
        out = conv(merged(input, 0) if has_input else input, weight, None, geometry)
        return _with_bias(parted(out, 0, size) if has_input else out.unsqueeze(0), bias, has_bias)
    if not has_input and geometry.groups == 1:
        out = conv(input, merged(weight, 0), None, geometry)
    else:
        out = conv(merged(call.front(0), 1), merged(weight, 0), None, _grouped(geometry, size))
    return _with_bias(parted(out, 1, size), bias, has_bias)


@rule_for(conv_input)
def _conv_input_on_batch(call: Call) -> Tensor:
    output, weight, shape, geometry = call.args
    has_output, has_weight, _, _ = call.batched
    if not has_weight:
        return parted(conv_input(merged(output, 0), weight, _times_more(shape, 0, call.size), geometry), 0, call.size)
    wide = _times_more(shape, 1, call.size)
    if not has_output and geometry.groups == 1:
        return parted(conv_input(output, merged(weight, 1), wide, geometry), 1, call.size)
    return parted(conv_input(merged(call.front(0), 1), merged(weight, 0), wide, _grouped(geometry, call.size)), 1, call.size)


@rule_for(conv_weight)
def _conv_weight_on_batch(call: Call) -> Tensor:
    input, output, shape, geometry = call.args
    has_input, has_output, _, _ = call.batched
    size = call.size
    if geometry.groups == 1 and not has_input:
        return parted(conv_weight(input, merged(output, 1), _times_more(shape, 0, size), geometry), 0, size)
    if geometry.groups == 1 and not has_output:
        return parted(conv_weight(merged(input, 1), output, _times_more(shape, 1, size), geometry), 1, size)
    grouped = _grouped(geometry, size)
    found = conv_weight(merged(call.front(0), 1), merged(call.front(1), 1), _times_more(shape, 0, size), grouped)
    return parted(found, 0, size)


@rule_for(channel_sums)
def _channel_sums_on_batch(call: Call) -> Tensor:
    return parted(channel_sums(merged(call.args[0], 1)), 0, call.size)


# ------------------------------------------------------------------------------------------------ the batch as more images


def folded(call: Call, *numbers: int) -> list[Any]:
    """The arguments, with the batch merged into the first dimension of those tensors; the others must not be batched."""
    args = list(call.args)
    for i in numbers:
        if isinstance(args[i], Tensor):  # rather than None
            args[i] = merged(fronted(args[i], call.batched[i], call.size), 0)
    return args


def unfolded(call: Call, found: Any) -> Any:
    """Results of a call on merged arguments, with the batch split off again."""
    if isinstance(found, tuple):
        return tuple([parted(one, 0, call.size) for one in found])
    return parted(found, 0, call.size)
