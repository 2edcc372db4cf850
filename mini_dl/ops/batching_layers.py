"""Batching rules for whole layers: more images, rows or samples, with per-element parameters handled separately."""

from __future__ import annotations

from typing import Any

from mini_dl.autograd.batching import Call, Same, rule_for
from mini_dl.ops.attention import _attention
from mini_dl.ops.batching import loop, loop_with_warning, ranked
from mini_dl.ops.batching_products import beside_images, folded, merged, parted, unfolded
from mini_dl.ops.classification import _cross_entropy
from mini_dl.ops.convolution import _gradient_of_empty
from mini_dl.ops.ctc import _ctc, _ctc_backward
from mini_dl.ops.folding import _fold, _unfold
from mini_dl.ops.normalization import _channel_norm, _row_norm
from mini_dl.ops.parts import unfold_place
from mini_dl.ops.recurrent import _gru_steps, _gru_steps_backward, _lstm_steps, _lstm_steps_backward
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ rows


@rule_for(_row_norm)
def _row_norm_on_batch(call: Call) -> Any:
    """(B, *, n): more rows; per-element weights or biases are applied after."""
    _, weight, bias, eps, center, _ = call.args
    rows = call.front(0)
    if not call.batched[1] and not call.batched[2]:
        return _row_norm(rows, weight, bias, eps, center, None)
    out = _row_norm(rows, None, None, eps, center, None)
    if weight is not None:
        out = out * ranked(weight, call.batched[1], rows.ndim - 1)
    return out if bias is None else out + ranked(bias, call.batched[2], rows.ndim - 1)


# ------------------------------------------------------------------------------------------------ channels


def _per_channel(tensor: Tensor | None, batched: bool, call: Call) -> Tensor | None:
    """A weight or bias (C), for the channels of all elements: (B * C)."""
    if tensor is None:
        return None
    return (tensor if batched else tensor.expand(call.size, len(tensor))).reshape(-1)


@rule_for(_channel_norm)
def _channel_norm_on_batch(call: Call) -> Any:
    """(B, N, C, *): the channels of all elements side by side, (N, B * C, *), which have separate statistics."""
    input, weight, bias, groups, eps = call.args
    if not call.batched[0]:  # whose statistics are the same for all
        out, *rest = _channel_norm(input, None, None, groups, eps)
        space = input.ndim - 2
        if weight is not None:
            out = out * beside_images(weight, call.batched[1], space)
        if bias is not None:
            out = out + beside_images(bias, call.batched[2], space)
        return out, *[Same(one) for one in rest]
    input = merged(call.front(0), 1)
    weight, bias = (_per_channel(p, has, call) for p, has in ((weight, call.batched[1]), (bias, call.batched[2])))
    found = _channel_norm(input, weight, bias, groups * call.size, eps)
    return tuple([parted(one, 1, call.size) for one in found])


# ------------------------------------------------------------------------------------------------ losses, attention, windows


@rule_for(_cross_entropy)
def _cross_entropy_on_batch(call: Call) -> Any:
    reduce = call.args[4]
    input, index, factors, kept, *_ = folded(call, 0, 1, 2, 3)
    losses = unfolded(call, _cross_entropy(input, index, factors, kept, False, None))
    return losses.sum(1) if reduce else losses


@rule_for(_attention)
def _attention_on_batch(call: Call) -> Any:
    heads = call.front(0)._array.shape[1]
    for i in (3, 4):  # masks, which may be one for all heads, and are the same for each element
        if (mask := call.args[i]) is not None:
            call.args[i] = mask.expand(heads, *mask._array.shape[1:])
    *given, _ = folded(call, 0, 1, 2, 3, 4)
    return unfolded(call, _attention(*given, None))


@rule_for(_unfold)
def _unfold_on_batch(call: Call) -> Any:
    return unfolded(call, _unfold(*folded(call, 0)))


@rule_for(_fold)
def _fold_on_batch(call: Call) -> Any:
    input, shape, kernel, geometry = folded(call, 0)
    return unfolded(call, _fold(input, (shape[0] * call.size, *shape[1:]), kernel, geometry))


@rule_for(unfold_place)
def _unfold_place_on_batch(call: Call) -> Any:
    input, dim, size, step, shape = call.args
    if not shape:
        return input.sum(1)
    return unfold_place(input, dim + 1, size, step, (call.size, *shape))


@rule_for(_gradient_of_empty)
def _gradient_of_empty_on_batch(call: Call) -> Any:
    return call.run(call.front(0), call.front(1), (call.size, *call.args[2]))


# ------------------------------------------------------------------------------------------------ one by one

rule_for(_ctc, _ctc_backward)(loop_with_warning)
rule_for(_lstm_steps, _lstm_steps_backward, _gru_steps, _gru_steps_backward)(loop)
