"""Normalization over batches, groups, layers and channels.

Two primitives. `_row_norm` works on rows (*, n) with a scale and shift per column: layer and RMS norm. `_channel_norm` works on
(N, C, L) with a scale and shift per channel: batch, instance and group norm, which differ only in which elements share
statistics.

The gradients of all arguments come from one pass; if they will be differentiated again, they are composed instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import int_list
from mini_dl._dtypes import FLOATING, HALVES, INEXACT, NARROW, Array, Ints, dtype as DType, limits_of, scalar_name
from mini_dl._surface import function, public, store
from mini_dl.autograd.inplace import Memo, is_recorded, keep_in, memo_of
from mini_dl.autograd.mode import differentiates, mode, no_grad
from mini_dl.autograd.node_names import rename
from mini_dl.autograd.primitive import op, op_together
from mini_dl.kernels import normalization as kernels
from mini_dl.kernels.blocks import computed_in, real_floating
from mini_dl.kernels.normalization import channel_norm, channel_norm_backward, evaluated, row_norm, row_norm_backward, scaled
from mini_dl.ops.operands import accept, in_float32
from mini_dl.ops.padding import constant_pad_nd
from mini_dl.tensor import Grads, Tensor, without_base, written

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""The gradients of input, weight and bias."""


def _standardized(x: Tensor, dims: tuple[int, ...], eps: float, center: bool = True) -> tuple[Tensor, Tensor]:
    """``(x - mean) / sqrt(var + eps)`` and ``1 / sqrt(var + eps)``, composed."""
    centered = x - x.mean(dims, keepdim=True) if center else x
    if center:  # the rounding error of the mean is subtracted as well: it is many deviations if the mean is large
        centered = centered - centered.mean(dims, keepdim=True)
    rstd = ((centered * centered).mean(dims, keepdim=True) + eps).rsqrt()
    return centered * rstd, rstd


def _standardized_slope(grad: Tensor, unit: Tensor, rstd: Tensor, dims: tuple[int, ...], center: bool = True) -> Tensor:
    """The gradient through `_standardized`, whose results were `unit` and `rstd`."""
    slope = grad - unit * (grad * unit).mean(dims, keepdim=True)
    return rstd * (slope - grad.mean(dims, keepdim=True) if center else slope)


def _single(x: Tensor) -> Tensor:
    """`x` in the type to compute in: the squares of half precision overflow."""
    return x.float() if x._array.dtype.char in HALVES else x


def _of_one_type(input: Tensor, *parameters: Tensor | None) -> None:
    """RuntimeError unless weights, biases and running statistics have the type of `input`, or float32 with float16."""
    own = input._array.dtype
    types = [p._array.dtype for p in parameters if p is not None]
    if all([found is own for found in types]):
        return
    if types[0] != own:
        if any([found.char != "f" for found in types]):
            raise RuntimeError(
                "mixed dtype (CPU): expect parameter to have scalar type of Float\n"
                f"The input is {scalar_name(own)}, the parameters are {', '.join(map(scalar_name, types))}."
            )
        if own.char not in HALVES:
            raise RuntimeError(
                "mixed dtype (CPU): all inputs must share same datatype.\n"
                f"The input is {scalar_name(own)}, the parameters are Float."
            )
    for found in types:
        if found != own and types[0] == own:
            raise RuntimeError(f"expected scalar type {scalar_name(own)} but found {scalar_name(found)}")


# ------------------------------------------------------------------------------------------------ rows


def _row_gradients(
    grad: Tensor, wanted: list[bool], input: Tensor, weight: Tensor | None, eps: float, center: bool, memo: Memo
) -> Gradients:
    if memo and not differentiates():
        return _row_norm_backward(grad, input, weight, *memo, center)
    input, grad, weight = _single(input), _single(grad), weight if weight is None else _single(weight)
    unit, rstd = _standardized(input, (-1,), eps, center)
    slope = grad if weight is None else grad * weight
    return (
        _standardized_slope(slope, unit, rstd, (-1,), center) if wanted[0] else None,
        _total_of_rows(grad * unit) if wanted[1] else None,
        _total_of_rows(grad) if wanted[2] else None,
    )


def _total_of_rows(x: Tensor) -> Tensor:
    """(*, n) -> (n), in runs, unlike the product with ones for the bias of a linear layer."""
    return x.sum(tuple(range(x.ndim - 1))) if x.ndim > 1 else x


@op_together(_row_gradients, "input", "weight", "bias")
def _row_norm(input: Array, weight: Array | None, bias: Array | None, eps: float, center: bool, memo: Memo) -> Array:
    """(*, n), (n), (n) -> (*, n); for the gradient, ``1 / sqrt(var + eps)`` and the mean of the M rows (2, M)"""
    out, statistics = row_norm(input, weight, bias, eps, center)
    keep_in(memo, statistics)
    return out


_row_norm_backward = op()(row_norm_backward)  # the gradients of input (*, n), weight (n) and bias (n)


def _row_checks(
    function: str, input: Tensor, normalized_shape: Ints, weight: Tensor | None, bias: Tensor | None
) -> tuple[int, ...]:
    shape = int_list(normalized_shape, f"{function}(): argument 'normalized_shape' (position 2)")
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter._array.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(parameter.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    if function == "rms_norm" and input.ndim < len(shape):
        raise ValueError(f"Input tensor must have at least {len(shape)} dimensions, but got {input.ndim}")
    if input.ndim < len(shape) or input._array.shape[-len(shape) :] != shape:
        expected = ", ".join(["*", *map(str, shape)])
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{expected}], but got input of size"
            f"{list(input.shape)}"
        )
    return shape


def _over_trailing(
    input: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float, center: bool
) -> Tensor:
    if center:
        _of_one_type(input, weight, bias)
    if len(shape) == 1:
        return _row_norm(input, weight, bias, eps, center, memo_of(input, weight, bias))
    n, whole = math.prod(shape), input._array.shape
    rows = input.reshape(math.prod(whole[: len(whole) - len(shape)]), n)
    weight, bias = (None if p is None else p.reshape(n) for p in (weight, bias))
    out = without_base(_row_norm(rows, weight, bias, eps, center, memo_of(rows, weight, bias)).reshape(whole))
    rename(out, "NativeLayerNormBackward0")
    return out


@public("nn.functional")
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` with the mean and biased variance over the last dimensions.

    Shapes: (*, *normalized_shape), `weight` and `bias` of shape `normalized_shape` -> the same.
    Raises: RuntimeError unless the shape ends with `normalized_shape`, which has at least one dimension.
    Source: Ba, Kiros and Hinton, Layer normalization, 2016, section 3.

    >>> F.layer_norm(torch.tensor([[-1.0, 1.0], [10.0, 30.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    return _over_trailing(input, _row_checks("layer_norm", input, normalized_shape, weight, bias), weight, bias, eps, True)


@public("torch:layer_norm")
def _torch_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` with the mean and biased variance over the last dimensions.

    Family: F.layer_norm

    >>> torch.layer_norm(torch.tensor([[-1.0, 1.0], [10.0, 30.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    return layer_norm(input, normalized_shape, weight, bias, eps)


@function()
def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``out = (input - mean) * rstd * weight + bias`` with ``rstd = 1 / sqrt(var + eps)``; also the mean and `rstd`.

    Shapes: (*, *normalized_shape) -> the same, and (*, 1, ...) twice.
    Raises: RuntimeError unless the shape ends with `normalized_shape`.
    Source: Ba, Kiros and Hinton, Layer normalization, 2016, section 3.

    >>> torch.native_layer_norm(torch.tensor([[10.0, 30.0]]), (2,), None, None, 1e-5)
    (tensor([[-1.,  1.]]), tensor([[20.]]), tensor([[0.1000]]))
    """
    shape = _row_checks("native_layer_norm", input, normalized_shape, weight, bias)
    out = _over_trailing(input, shape, weight, bias, eps, True)
    dtype, dims = _type_of_statistics(input, weight, bias), tuple(range(-len(shape), 0))
    with no_grad():
        x = input.detach()
        x = x.float() if x._array.dtype.char in NARROW + HALVES else x
        mean, rstd = x.mean(dims, keepdim=True), _standardized(x, dims, eps)[1]
        return out, mean.to(dtype), rstd.to(dtype)


def _type_of_statistics(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> DType:
    """Half precision computes a mean and `rstd` in single, and gives them in the type of the weight or bias, or of the input."""
    return next(tensor.dtype for tensor in (weight, bias, input) if tensor is not None)


@public("nn.functional", "torch")
def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """``out = input / sqrt(mean(input ** 2) + eps) * weight`` with the mean over the last dimensions.

    `eps` defaults to that of the dtype.

    Shapes: (*, *normalized_shape), `weight` of shape `normalized_shape` -> the same.
    Raises: RuntimeError unless the shape ends with `normalized_shape`; NotImplementedError for integers.
    Source: Zhang and Sennrich, Root mean square layer normalization, 2019, section 4.

    >>> F.rms_norm(torch.tensor([[3.0, 4.0], [5.0, 0.0]]), (2,))
    tensor([[0.8485, 1.1314],
            [1.4142, 0.0000]])
    """
    shape = _row_checks("rms_norm", input, normalized_shape, weight, None)
    dtype = input._array.dtype
    if dtype.kind not in INEXACT:
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{scalar_name(dtype)}'")
    if eps is None:
        eps = float(limits_of(computed_in(dtype)).eps)
    if dtype.kind == "c":  # the square of a complex number, not of its absolute value
        out = input * ((input * input).mean(tuple(range(-len(shape), 0)), keepdim=True) + eps).rsqrt()
        return out if weight is None else out * weight
    return _over_trailing(input, shape, weight, None, eps, False)


# ------------------------------------------------------------------------------------------------ channels


def _channel_gradients(
    grads: Grads, wanted: list[bool], input: Tensor, weight: Tensor | None, result: Sequence[Tensor], groups: int, eps: float
) -> Gradients:
    grad = grads[0]
    if grad is None:
        return None, None, None
    if not differentiates():
        return _channel_norm_backward(grad, input, weight, result[1], result[2], groups)
    given, grad, input = input._array.shape, _single(_three(grad)), _single(_three(input))
    weight = weight if weight is None else _single(weight)
    whole = input._array.shape
    shape, dims = kernels.shared(whole, groups)
    unit, rstd = _standardized(input.reshape(shape), dims, eps)
    slope = (grad if weight is None else grad * weight.reshape(-1, 1)).reshape(shape)
    return (
        _standardized_slope(slope, unit, rstd, dims).reshape(given) if wanted[0] else None,
        (grad * unit.reshape(whole)).sum((0, 2)) if wanted[1] else None,
        grad.sum((0, 2)) if wanted[2] else None,
    )


@op_together(_channel_gradients, "input", "weight", "bias")
def _channel_norm(
    input: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array, Array]:
    """(N, C, *), (C), (C) -> (N, C, *), and the mean, ``1 / sqrt(var + eps)`` and variance: (1, C), with `groups` (N, groups)"""
    return channel_norm(input, weight, bias, groups, eps)


_channel_norm_backward = op()(channel_norm_backward)  # the gradients of input (N, C, *), weight (C) and bias (C)


def _three(input: Tensor) -> Tensor:
    """(N, C, *) as (N, C, L)."""
    shape = input._array.shape
    return input if len(shape) == 3 else input.reshape(shape[0], shape[1], math.prod(shape[2:]))


@op(input=lambda grad, scale: grad * scale, scale=lambda grad, input: grad * input, shift=lambda grad: grad)
def _scaled(input: Array, scale: Array, shift: Array) -> Array:
    """``input * scale + shift``, which broadcast to the shape of `input`"""
    return scaled(input, scale, shift)


_evaluated = op()(evaluated)  # the same in evaluation, where nothing is recorded: cold calls on few numbers take 20 us each


def _check_channels(channels: int, flat: str, **parameters: Tensor | None) -> None:
    """RuntimeError unless the parameters have an element per channel, and those named in `flat` one dimension."""
    for name, parameter in parameters.items():
        if parameter is None:
            continue
        if parameter._array.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter._array.size}")
        if parameter._array.ndim != 1 and name in flat:
            raise RuntimeError(f"{name} should have 1 dimension, but it has {parameter._array.ndim}")


def _check_both(running_mean: Tensor | None, running_var: Tensor | None) -> None:
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")


def _update(running: Tensor, value: Array, momentum: float) -> None:
    """``running = (1 - momentum) * running + momentum * value``, in place"""
    array = running._array
    if array.dtype.char in NARROW:
        array[...] = array.astype(np.float32) * (1 - momentum) + momentum * value.astype(np.float32)
    else:
        kept = array if array.dtype.kind in INEXACT else array.astype(value.dtype)
        kept *= 1 - momentum
        kept += (momentum * value).astype(kept.dtype)
        if kept is not array:
            np.copyto(array, kept, casting="unsafe")
    written(running)


NOT_BATCHED = (
    "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in place, were not "
    "batched.\nIf you are using a module and do not need eval mode, please set `track_running_stats` to be False.If you are "
    "using a prebuilt module and do not need eval mode, please see the functorch website for resources on how to patch your "
    "module to work with vmap"
)


def _renew(running: Tensor, found: Tensor, momentum: float, count: float | None = None) -> None:
    """`_update` with the average of statistics (*, C); unbiased for a variance of that many elements."""
    if not is_abstract(found) and not is_abstract(running):
        array = found._array
        value = array[0] if len(array) == 1 else array.mean(0, np.float64).astype(array.dtype)
        mode.run(_update, running, value if count is None else mode.run(kernels.unbiased, value, count), momentum)
        return
    if not is_abstract(running):
        raise RuntimeError(NOT_BATCHED)
    with no_grad():
        average = found.detach().mean(0).to(running.dtype) * (momentum if count is None else momentum * count / (count - 1))
        running.mul_(1 - momentum).add_(average)


def _batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, momentum: float, eps: float,
) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """The result, and in training the mean and ``1 / sqrt(var + eps)`` of the batch, as (1, C)."""
    if training:
        _check_both(running_mean, running_var)
    if not input._array.size and input.ndim < 2:
        return input.clone(), None, None
    channels = input._array.shape[1] if input.ndim > 1 else 0
    _check_channels(
        channels, "running_mean running_var", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if input._array.dtype.kind not in FLOATING:
        raise NotImplementedError(f"\"batch_norm\" not implemented for '{scalar_name(input._array.dtype)}'")
    _of_one_type(input, weight, bias, running_mean, running_var)
    for name, kept in (("running_mean", running_mean), ("running_var", running_var)):
        if kept is not None and kept.requires_grad and mode.enabled:
            raise RuntimeError(
                f"The function 'native_batch_norm' is not differentiable with respect to argument '{name}'. This input cannot "
                "have requires_grad True."
            )
    if not input._array.size:
        out = input.clone() if weight is None else input * weight[:1].sum()
        return out if bias is None else out + bias[:1].sum(), None, None
    if not training:
        if running_mean is None or running_var is None:
            missing = "running_mean" if running_mean is None else "running_var"
            raise RuntimeError(f"{missing} must be defined in evaluation mode")
        real_floating(input._array, "batch_norm")
        if input._array.dtype.char in NARROW:
            out, _, _ = in_float32(_batch_norm, input, weight, bias, running_mean, running_var, False, momentum, eps)
            return out, None, None
        if not is_recorded(input, running_mean, running_var, weight, bias):
            return _evaluated(input, weight, bias, running_mean, running_var, eps), None, None
        scale = (running_var.detach() + eps).rsqrt()
        if weight is not None:
            scale = scale * weight
        shift = -running_mean.detach() * scale
        shape = (-1, *(1,) * (input.ndim - 2))
        out = _scaled(input, scale.reshape(shape), (shift if bias is None else shift + bias).reshape(shape))
        return out if out._array.dtype == input._array.dtype else out.to(input.dtype), None, None
    out, mean, rstd, variance = _channel_norm(input, weight, bias, 0, eps)
    if running_mean is not None:
        _renew(running_mean, mean, momentum)
    if running_var is not None:
        _renew(running_var, variance, momentum, input._array.size / max(1, channels))
    return out, mean, rstd


def _check_more_than_one(shape: Sequence[int]) -> None:
    if shape[0] * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")


@public("nn.functional")
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel.

    In `training`, with the mean and biased variance of the batch, toward which the running ones move by `momentum` (the
    variance unbiased, ``running = (1 - momentum) * running + momentum * found``); otherwise with the running ones.

    Shapes: (N, C, *), the other tensors (C) -> (N, C, *).
    Raises: ValueError for one value per channel in training; RuntimeError without running statistics in evaluation, or for other
    sizes.
    Source: Ioffe and Szegedy, Batch normalization, 2015, section 3.

    >>> F.batch_norm(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), None, None, training=True)
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """
    if training:
        _check_more_than_one(input.shape)
        if eps <= 0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    out = _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)[0]
    rename(out, "NativeBatchNormBackward0")
    return out


@public("torch:batch_norm")
def _torch_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, momentum: float, eps: float, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """``out = (input - mean) / sqrt(var + eps) * weight + bias``: ``nn.functional.batch_norm`` with the arguments in a different
    order.

    Shapes: (N, C, *), the other tensors (C) -> (N, C, *).
    Raises: RuntimeError without running statistics in evaluation, or for other sizes.
    Source: Ioffe and Szegedy, Batch normalization, 2015, section 3.

    >>> torch.batch_norm(torch.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    out = _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)[0]
    rename(out, "NativeBatchNormBackward0")
    return out


@function(out=True)
def native_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``out = (input - mean) * rstd * weight + bias`` with ``rstd = 1 / sqrt(var + eps)``; also the mean and `rstd` of the batch.

    Shapes: (N, C, *), the other tensors (C) -> (N, C, *), (C), (C).
    Raises: RuntimeError without running statistics in evaluation, or for other sizes.
    Source: Ioffe and Szegedy, Batch normalization, 2015, section 3.

    >>> torch.native_batch_norm(torch.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 1e-5)
    (tensor([[-1.0000],
            [ 1.0000]]), tensor([2.]), tensor([1.0000]))
    """
    if input.ndim < 2:
        raise IndexError(f"native_batch_norm(): expected at least 2 dimensions, but got input of shape {list(input.shape)}")
    out, mean, rstd = _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)
    if mean is None or rstd is None:
        return out, input.detach().reshape(-1)[:0].clone(), input.detach().reshape(-1)[:0].clone()
    dtype = _type_of_statistics(input, weight, bias)
    return out, mean.detach().to(dtype).reshape(-1), rstd.detach().to(dtype).reshape(-1)


@public("nn.functional")
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel of each sample.

    Without `use_input_stats`, with the running statistics, which otherwise move toward the computed ones, averaged over the
    samples.

    Shapes: (N, C, *), the other tensors (C) -> (N, C, *).
    Raises: ValueError for one element per channel with `use_input_stats`; RuntimeError for other sizes.
    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016, section 2.

    >>> F.instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    if use_input_stats and math.prod(input._array.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    return _torch_instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


EACH = "running_mean running_var weight bias"
"""The parameters of an instance norm, which torch repeats for each sample."""


@public("torch:instance_norm")
def _torch_instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """``out = (input - mean) / sqrt(var + eps) * weight + bias``: ``nn.functional.instance_norm`` with the arguments in a
    different order.

    Shapes: (N, C, *), the other tensors (C) -> (N, C, *).
    Raises: RuntimeError for parameters of another size.
    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016, section 2.

    >>> torch.instance_norm(torch.tensor([[[1.0, 3.0]]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[[-1.0000,  1.0000]]])
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        _check_channels(input._array.shape[1], EACH, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
        mean, variance = (kept.detach().to(input.dtype) for kept in (running_mean, running_var))  # any type is accepted here
        return _batch_norm(input, weight, bias, mean, variance, False, momentum, eps)[0]
    channels = input._array.shape[1]
    _check_channels(channels, EACH, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_both(running_mean, running_var)
    if input._array.dtype.kind not in FLOATING:
        raise NotImplementedError(f"\"batch_norm\" not implemented for '{scalar_name(input._array.dtype)}'")
    _of_one_type(input, weight, bias, running_var)  # a mean of any type is accepted
    out, mean, _, variance = _channel_norm(input, weight, bias, channels, eps)
    if running_mean is not None:
        _renew(running_mean, mean, momentum)
    if running_var is not None:
        _renew(running_var, variance, momentum, math.prod(input._array.shape[2:]))
    return out


@public("nn.functional")
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` with the statistics of each sample and group of channels.

    Shapes: (N, C, *), `weight` and `bias` (C) -> (N, C, *).
    Raises: RuntimeError unless `num_groups` divides C, and for fewer than two dimensions; ValueError for one value per group.
    Source: Wu and He, Group normalization, 2018, section 3.

    >>> F.group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), num_groups=2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    shape = input._array.shape
    _check_more_than_one([shape[0] * shape[1] // num_groups, num_groups, *shape[2:]])
    return _torch_group_norm(input, num_groups, weight, bias, eps)


def _check_vectors(input: Tensor, channels: int, weight: Tensor | None, bias: Tensor | None) -> None:
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter._array.shape != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(parameter.shape)} and input of shape {list(input.shape)}"
            )


def _check_groups(input: Tensor, channels: int, groups: int) -> None:
    """RuntimeError unless the channels can be divided among the groups."""
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    if channels % groups or channels < 0:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(input.shape)} and "
            f"num_groups={groups}"
        )


@public("torch:group_norm")
def _torch_group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` with the statistics of each sample and group of channels.

    Shapes: (N, C, *), `weight` and `bias` (C) -> (N, C, *).
    Raises: RuntimeError unless `num_groups` divides C.
    Source: Wu and He, Group normalization, 2018, section 3.

    >>> torch.group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    _check_groups(input, input._array.shape[1], num_groups)
    _check_vectors(input, input._array.shape[1], weight, bias)
    _of_one_type(input, weight, bias)
    return _channel_norm(input, weight, bias, num_groups, eps)[0]


@function()
def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``out = (input - mean) * rstd * weight + bias`` with ``rstd = 1 / sqrt(var + eps)``; also the mean and `rstd` of each
    group.

    Shapes: (N, C, *), sizes N, C and the rest, and groups G -> (N, C, *), (N, G), (N, G).
    Raises: RuntimeError unless `group` divides `C`.
    Source: Wu and He, Group normalization, 2018, section 3.

    >>> torch.native_group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), None, None, 1, 4, 1, 2, 1e-5)
    (tensor([[-1.0000,  1.0000, -1.0000,  1.0000]]), tensor([[ 2., 20.]]), tensor([[1.0000, 0.1000]]))
    """
    _check_groups(input, C, group)
    if N < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {N}: [{N}, {group}]")
    if HxW < 0 or N * C * HxW != input._array.size:
        raise RuntimeError(f"Expected X.numel() == N * C * HxW to be true, but got {input._array.size}, {N}, {C} and {HxW}")
    _check_vectors(input, C, weight, bias)
    _of_one_type(input, weight, bias)
    x = input.reshape(N, C, HxW)
    out, mean, rstd, _ = _channel_norm(x, weight, bias, group, eps)
    if is_recorded(mean):  # unlike the other norms, gradients flow from the statistics too
        x = x.reshape(N, group, C // group * HxW)
        mean, rstd = x.mean(2), _standardized(x, (2,), eps)[1].squeeze(2)
    return out.reshape(input._array.shape), mean, rstd


# ------------------------------------------------------------------------------------------------ others


@public("nn.functional")
def local_response_norm(input: Tensor, size: int, alpha: Any = 1e-4, beta: Any = 0.75, k: Any = 1.0) -> Tensor:
    """``out[n, c] = input[n, c] / (k + alpha * mean(input[n, j] ** 2, j)) ** beta`` over the `size` channels `j` around `c`,
    with zeros beyond.

    Shapes: (N, C, *) -> (N, C, *).
    Raises: ValueError for fewer than three dimensions.
    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012, section 3.3.

    >>> F.local_response_norm(torch.ones(1, 3, 1), size=2, alpha=1.0).flatten()
    tensor([0.7378, 0.5946, 0.5946])
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if not input._array.size:
        return input
    accept("avg_pool2d", "iuf", input._array)
    if size <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {size}")
    square = input * input
    channels = input._array.shape[1]
    total = square
    for offset in range(-(size // 2), (size - 1) // 2 + 1):  # the channel at this offset, with zeros beyond the ends
        if offset == 0:
            continue
        gap = min(abs(offset), channels)
        near = square.narrow(1, max(offset, 0) % channels, channels - gap)
        total = total + constant_pad_nd(near, [0, 0] * (input.ndim - 2) + ([gap, 0] if offset < 0 else [0, gap]))
    mean = total.div(size, rounding_mode="trunc" if input._array.dtype.kind in "iu" else None)
    return input / (mean * alpha + k) ** beta


@public("nn.functional")
def normalize(input: Tensor, p: Any = 2.0, dim: Ints | None = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """``out = input / max(norm(input, p), eps)`` along `dim`.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; RuntimeError for integers.

    >>> F.normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    result = input / input.norm(p, dim, keepdim=True).clamp(min=eps)
    return result if out is None else store(result, out)
