"""Losses of ``nn.functional``.

Each is composed of pointwise operations and reduced at the end; cross entropy over class indices is one primitive, since its
exponentials serve the loss and its gradient.
"""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._checks import broadcast_shapes
from mini_dl._dtypes import Array, scalar_name
from mini_dl._surface import namespace, public
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.mode import mode, no_grad
from mini_dl.autograd.primitive import op, unary
from mini_dl.kernels.blocks import elementwise, in_slices, keep, real_floating
from mini_dl.kernels.losses import cross_entropy_rows, ctc_paths, ctc_slopes
from mini_dl.ops.activation import _hardtanh, log_softmax, logsigmoid, softmax
from mini_dl.ops.distance import pairwise_distance
from mini_dl.ops.matmul import linear
from mini_dl.ops.pointwise import masked, where
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ reduction


def _without_gradient(name: str, **arguments: Tensor | None) -> None:
    """RuntimeError if one of the `arguments`, for which the loss has no derivative, requires grad."""
    for argument, value in arguments.items():
        if isinstance(value, Tensor) and mode.enabled and value.requires_grad:
            raise RuntimeError(
                f"The function '{name}' is not differentiable with respect to argument '{argument}'. This input cannot have "
                "requires_grad True."
            )


def _check(reduction: str, size_average: bool | None = None, reduce: bool | None = None, stacklevel: int = 3) -> str:
    """The reduction meant by these arguments, two of them deprecated. ValueError if there is no such reduction."""
    if size_average is not None or reduce is not None:
        average = size_average is None or size_average
        reduction = "none" if reduce is not None and not reduce else "mean" if average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=stacklevel
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _weighted(loss: Tensor, weight: Tensor, input: Tensor, reduction: str, weighted_mean: bool) -> Tensor:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" and weighted_mean else _reduced(loss, reduction)


def _warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to "
            "incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
        broadcast_shapes(input.shape, target.shape)


# ------------------------------------------------------------------------------------------------ regression


@public("nn.functional")
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target) ** 2``, times `weight`, reduced (the mean then by the sum of the weights).

    >>> import mini_dl as torch
    >>> torch.nn.functional.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    _warn_of_broadcasting(input, target)
    reduction = _check(reduction, size_average, reduce)
    difference = input - target
    real_floating(difference._array, "mse_cpu")
    loss = difference * difference
    return _reduced(loss, reduction) if weight is None else _weighted(loss, weight, input, reduction, True)


@public("nn.functional")
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``, times `weight`, reduced (the mean then by the sum of the weights)"""
    _warn_of_broadcasting(input, target)
    reduction = _check(reduction, size_average, reduce)
    loss = (input - target).abs()
    return _reduced(loss, reduction) if weight is None else _weighted(loss, weight, input, reduction, True)


@op(difference=lambda grad, difference, delta: grad * _hardtanh(difference, -delta, delta))
@elementwise
def _huber(difference: Array, delta: float) -> Array:
    """``difference ** 2 / 2`` up to `delta`, from there on linear: with ``m = min(|difference|, delta)``,
    ``m ** 2 / 2 + delta * (|difference| - m)``"""
    rest = np.abs(difference)
    near = np.minimum(rest, difference.dtype.type(delta))
    rest -= near
    rest *= difference.dtype.type(delta)
    near *= near
    near *= difference.dtype.type(0.5)
    near += rest
    return near


@public("nn.functional")
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d ** 2 / (2 * beta)`` where ``d = |input - target| < beta``, else ``d - beta / 2`` (Girshick, 2015)"""
    _warn_of_broadcasting(input, target)
    reduction = _check(reduction, size_average, reduce)
    difference = input - target
    if beta == 0:
        return _reduced(difference.abs(), reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    real_floating(difference._array, "smooth_l1_cpu")
    return _reduced(_huber(difference, beta) / beta, reduction)


@public("nn.functional")
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``d ** 2 / 2`` where ``d = |input - target| < delta``, else ``delta * (d - delta / 2)`` (Huber, 1964)"""
    _warn_of_broadcasting(input, target)
    if weight is None or reduction not in ("none", "mean", "sum"):
        _check(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    difference = input - target
    real_floating(difference._array, "huber_cpu")
    loss = _huber(difference, delta)
    if loss._array.dtype != input._array.dtype:
        loss = loss.to(input.dtype)
    return _reduced(loss, reduction) if weight is None else _weighted(loss, weight, input, reduction, False)


@public("nn.functional")
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``exp(input) - target * input``, without `log_input` ``input - target * log(input + eps)``; `full` adds Stirling's
    approximation of ``log(target!)`` where the target exceeds 1."""
    reduction = _check(reduction, size_average, reduce)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + masked(stirling, target > 1)
    return _reduced(loss, reduction)


@public("nn.functional")
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``(log(var) + (input - target) ** 2 / var) / 2`` with `var` at least `eps`; `full` adds ``log(2 pi) / 2``.

    ValueError if `var` has a negative element, or neither the shape of `input`, nor it without the last dimension, nor it with
    a 1.
    """
    variance = var if isinstance(var, Tensor) else wrap(np.full(input._array.shape, var, input._array.dtype))
    if (variance._array < 0).any():
        raise ValueError("var has negative entry/entries")
    shape, found = tuple(input.shape), tuple(variance.shape)
    if found != shape:
        if shape[:-1] == found:
            variance = variance.unsqueeze(-1)
        elif len(shape) != len(found) or sum([m for n, m in zip(shape, found) if n != m]) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    variance = variance.clone()
    with no_grad():
        variance.clamp_(min=eps)
    difference = input - target
    loss = 0.5 * (variance.log() + difference * difference / variance)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@public("nn.functional")
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """``target * (log(target) - input)``, with `log_target` ``exp(target) * (target - input)``; "batchmean" divides the sum by
    the first size."""
    batchmean = reduction == "batchmean" and size_average is None and reduce is None
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by "
            "the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' "
            "in the next major release.",
            stacklevel=2,
        )
    reduction = _check("sum" if batchmean else reduction, size_average, reduce)
    loss = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    loss = _reduced(loss, reduction)
    return loss / input._array.shape[0] if batchmean and input.ndim else loss


# ------------------------------------------------------------------------------------------------ binary


@op(
    input=lambda grad, input, target: _bce_slope(grad, input, target),
    target=lambda grad, input: grad * ((1 - input).log() - input.log()),
)
@elementwise
def _bce(input: Array, target: Array) -> Array:
    """Logarithms are bounded by -100, so that the loss stays finite."""
    one_less = np.maximum(np.log1p(-input), -100)
    return (target - 1) * one_less - target * np.maximum(np.log(input), -100)


def _bce_slope(grad: Tensor, input: Tensor, target: Tensor) -> Tensor:
    return grad * (input - target) / ((1 - input) * input).clamp(min=1e-12)


@public("nn.functional")
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(target * log(input) + (1 - target) * log(1 - input))`` with logarithms of at least -100, times `weight`.

    ValueError if the shapes differ, RuntimeError if an element of `input` lies outside [0, 1].
    """
    reduction = _check(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    x, t = real_floating(input._array, "binary_cross_entropy"), target._array
    if t.dtype != x.dtype:
        raise RuntimeError(f"Found dtype {scalar_name(t.dtype)} but expected {scalar_name(x.dtype)}")
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    if t.size and not (t.min() >= 0 and t.max() <= 1):
        raise RuntimeError("all elements of target should be between 0 and 1")
    _without_gradient("binary_cross_entropy", weight=weight)
    loss = _bce(input, target)
    return _reduced(loss if weight is None else loss * weight, reduction)


@public("nn.functional")
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``-(pos_weight * target * log(s) + (1 - target) * log(1 - s))`` with ``s = sigmoid(input)``, times `weight`, without
    overflow. ValueError if the shapes differ."""
    reduction = _check(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if target._array.dtype.kind not in "fc":
        raise RuntimeError(
            f"result type {scalar_name(input._array.dtype)} can't be cast to the desired output type "
            f"{scalar_name(target._array.dtype)}"
        )
    _without_gradient("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    log_sigmoid = logsigmoid(input)
    if pos_weight is not None:
        log_sigmoid = log_sigmoid * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input - log_sigmoid
    return _reduced(loss if weight is None else loss * weight, reduction)


@public("nn.functional")
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``log(1 + exp(-target * input))``; `target` takes no gradient."""
    reduction = _check(reduction, size_average, reduce)
    _without_gradient("soft_margin_loss", target=target)
    return _reduced(-logsigmoid(input * target), reduction)


@public("nn.functional")
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross entropy with logits, times `weight`, averaged over the classes (the last dimension), then reduced."""
    if size_average is not None or reduce is not None:
        reduction = _check(reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    loss = loss.sum(-1) / input._array.shape[-1]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return _reduced(loss, reduction)


# ------------------------------------------------------------------------------------------------ classes by index


@unary(input=lambda grad: _no_gradient(grad))
def _undefined(input: Array) -> Array:
    """The mean of no losses: NaN, and no gradient reaches what was ignored."""
    return np.full_like(input, np.nan)


@unary(input=lambda grad: _undefined(grad))
def _no_gradient(input: Array) -> Array:
    return np.zeros_like(input)


@op(input=lambda grad, index, input_shape: _unpick(grad, index, input_shape[1]))
def _pick(input: Array, index: Array) -> Array:
    """``input[i, index[i]]`` of each row i"""
    return input[np.arange(len(index)), index]


@op(values=lambda grad, index: _pick(grad, index))
def _unpick(values: Array, index: Array, classes: int) -> Array:
    """Rows of zeros but for ``values[i]`` at ``index[i]``"""
    out = np.zeros((len(index), classes), values.dtype)
    out[np.arange(len(index)), index] = values
    return out


class _Classes:
    """Class indices and what each row counts: checked, flat, the ignored ones pointing to class 0."""

    def __init__(self, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> None:
        x, t = input._array, target._array
        if x.ndim < 1:
            raise ValueError(f"Expected 1 or more dimensions (got {x.ndim})")
        if x.ndim == 1 and t.ndim == 1 and t.size != 1:
            raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {t.size}")
        if x.ndim != 1 and (t.ndim < 1 or x.shape[0] != t.shape[0]):
            raise ValueError(
                f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({t.shape[0] if t.ndim else 0})."
            )
        if x.ndim <= 2:
            if t.ndim > 1:
                raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        elif t.shape != (x.shape[0], *x.shape[2:]):
            raise RuntimeError(f"Expected target size {[x.shape[0], *x.shape[2:]]}, got {list(t.shape)}")
        if t.dtype.char not in "lqB":
            raise RuntimeError(f"expected target dtype to be Long or Byte, but got {scalar_name(t.dtype)}")
        classes = x.shape[0] if x.ndim == 1 else x.shape[1]
        if weight is not None:
            if weight._array.shape != (classes,):
                raise RuntimeError(
                    f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
                    f"shape: {list(weight.shape)}"
                )
            if weight._array.dtype != x.dtype:
                raise RuntimeError(f"expected scalar type {scalar_name(x.dtype)} but found {scalar_name(weight._array.dtype)}")
        index = t.reshape(-1)
        if index.dtype.char == "B":
            index = index.astype(np.int64)
        self.kept: Array | None = None
        if index.size and not (np.minimum.reduce(index) >= 0 and np.maximum.reduce(index) < classes):
            self.kept = index != ignore_index
            index = index * self.kept
            if index.min() < 0 or index.max() >= classes:
                raise IndexError(f"Target {next(i for i in index if not 0 <= i < classes)} is out of bounds.")
        elif 0 <= ignore_index < classes:
            self.kept = index != ignore_index
        self.index, self.shape = index, () if x.ndim == 1 else t.shape
        self.type = np.dtype(np.float32) if x.dtype.char == "e" else x.dtype
        self.weight: Array | None = None  # of each row; None where each counts 1
        if weight is not None:
            self.weight = weight._array[index].astype(self.type, copy=False)
            if self.kept is not None:
                self.weight = keep(self.weight, self.kept)
        elif self.kept is not None:
            self.weight = self.kept.astype(self.type)
        self.total = float(len(index) if self.weight is None else self.weight.sum())

    def factors(self, reduction: str) -> Array:
        """What the loss of each row is multiplied by; the mean is by the sum of the weights."""
        if self.weight is None:
            return np.full(len(self.index), 1 / max(1.0, self.total) if reduction == "mean" else 1.0, self.type)
        if reduction != "mean":
            return self.weight
        factors = self.weight * self.type.type(1 / self.total if self.total else math.inf)
        return factors if self.kept is None else keep(factors, self.kept)

    def mean_of_nothing(self, reduction: str) -> bool:
        return reduction == "mean" and not (len(self.index) if self.kept is None else self.kept.any())


def _rows(input: Tensor) -> Tensor:
    """(C), (N, C) or (N, C, *) as rows (N * prod(*), C)."""
    if input.ndim == 1:
        return input.reshape(1, -1)
    if input.ndim == 2:
        return input
    return input.movedim(1, -1).reshape(-1, input._array.shape[1])


@public("nn.functional")
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-weight[target] * input[target]`` of logarithms of probabilities (C), (N, C) or (N, C, *); the mean is by the sum of the
    weights, without the targets `ignore_index`. IndexError if a target is no class.
    """
    reduction = _check(reduction, size_average, reduce)
    _without_gradient("nll_loss_forward", weight=weight)
    classes = _Classes(input, target, weight, ignore_index)
    real_floating(input._array, "nll_loss_out_frame")
    return _nll(input, classes, reduction)


def _nll(input: Tensor, classes: _Classes, reduction: str) -> Tensor:
    rows = _rows(kinked(input))
    losses = -_pick(rows, classes.index) * wrap(mode.run(classes.factors, reduction).astype(input._array.dtype, copy=False))
    if classes.kept is not None:
        losses = masked(losses, wrap(classes.kept))
    if reduction == "none":
        return losses.reshape(classes.shape)
    return _undefined(losses.sum()) if classes.mean_of_nothing(reduction) else losses.sum()


def _cross_entropy_slope_of(
    grads: list[Tensor | None], input: Tensor, result: list[Tensor], index: Array, factors: Array
) -> Tensor | None:
    """``(softmax - one_hot) * grad * factor`` row by row: from the exponentials at hand, or composed to be differentiated."""
    grad = grads[0]
    if grad is None:
        return None
    if not mode.enabled:
        return _cross_entropy_slope(grad, result[1], result[2], index, factors)
    scale = (grad * wrap(factors)).reshape(-1, 1)
    one_hot = np.zeros(input._array.shape, input._array.dtype)
    one_hot[np.arange(len(index)), index] = 1
    return (softmax(input, 1) - wrap(one_hot)) * scale


@op()
def _cross_entropy_slope(grad: Array, exponentials: Array, sums: Array, index: Array, factors: Array) -> Array:
    scale = factors * grad
    out, factor = np.empty_like(exponentials), (scale / sums)[:, None]
    in_slices(lambda block: np.multiply(exponentials[block], factor[block], out[block]), *out.shape)
    out[np.arange(len(index)), index] -= scale
    return out


@op(input=_cross_entropy_slope_of)
def _cross_entropy(input: Array, index: Array, factors: Array, kept: Array | None, reduce: bool) -> tuple[Array, Array, Array]:
    """(M, C) -> the loss () or (M), and for the gradient the exponentials (M, C) with the sums of their rows (M)."""
    return cross_entropy_rows(input, index, factors, kept, reduce)


@public("nn.functional")
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``-log_softmax(input)[target]`` of logits (C), (N, C) or (N, C, *), times ``weight[target]``; the mean is by the sum of the
    weights, without the targets `ignore_index`.

    A `target` of the shape of `input` holds probabilities: ``-sum(weight * target * log_softmax(input))`` over the classes.
    `label_smoothing` mixes the target with the uniform distribution (Szegedy et al., 2016). IndexError if a target is no class.

    >>> import mini_dl as torch
    >>> torch.nn.functional.cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor(1.3863)
    """
    reduction = _check(reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    shape = input._array.shape
    dim = 0 if len(shape) == 1 else 1
    if target._array.shape == shape:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    _without_gradient("nll_loss_forward", weight=weight)
    classes = _Classes(input, target, weight, ignore_index)
    if label_smoothing == 0:
        factors = mode.run(classes.factors, reduction)
        loss = _cross_entropy(_rows(input), classes.index, factors, classes.kept, reduction != "none")[0]
        if reduction == "none":
            return loss.reshape(classes.shape)
        return _undefined(loss) if classes.mean_of_nothing(reduction) else loss
    logarithms = log_softmax(input, dim)
    smooth = -(logarithms if weight is None else logarithms * _by_class(weight, len(shape))).sum(dim)
    if classes.kept is not None:
        smooth = masked(smooth, wrap(classes.kept.reshape(classes.shape)))
    if reduction != "none":
        smooth = smooth.sum()
    if reduction == "mean":
        smooth = _undefined(smooth) if classes.mean_of_nothing(reduction) else smooth / classes.total
    return _nll(logarithms, classes, reduction) * (1 - label_smoothing) + smooth * (label_smoothing / shape[dim])


def _by_class(weight: Tensor, ndim: int) -> Tensor:
    return weight if ndim <= 1 else weight.reshape(1, -1, *(1,) * (ndim - 2))


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, label_smoothing: float
) -> Tensor:
    shape = input._array.shape
    dim = 0 if len(shape) <= 1 else 1
    if target._array.dtype.kind != "f":
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {scalar_name(target._array.dtype)}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    classes = shape[dim] if shape else 1
    if weight is not None and weight._array.shape != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes but got weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    product = log_softmax(input, dim) * target
    if weight is not None:
        product = product * _by_class(weight, len(shape))
    if reduction == "none":
        return -product.sum(dim)
    total = -product.sum()
    if reduction == "sum":
        return total
    return total / (input._array.size / classes) if input._array.size else total * math.nan


def _positive(excess: Tensor, where: Array) -> Tensor:
    """`excess` where it is positive and counts, else 0: of NaN too."""
    return masked(excess, wrap((excess._array > 0) & where))


@public("nn.functional")
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over j != target of max(0, margin - input[target] + input[j]) ** p / C``, times ``weight[target]``; (N, C) or (C)."""
    reduction = _check(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    shape, labels = input._array.shape, target._array
    _nonempty_matrix(shape)
    rows, count, classes = (
        input.reshape(-1, shape[-1] if shape else 1),
        1 if len(shape) < 2 else shape[0],
        (*shape, 1)[len(shape) > 1],
    )
    if labels.ndim > 1 or labels.size != count:
        raise RuntimeError(
            f"target tensor should be 1-D with size equal to the batch size. Expected target size [{count}], but got "
            f"{list(labels.shape)}"
        )
    if weight is not None and weight._array.size != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    if labels.dtype.char not in "lq":
        raise RuntimeError(f"expected scalar type Long but found {scalar_name(labels.dtype)}")
    _without_gradient("multi_margin_loss", weight=weight)
    index = labels.reshape(-1)
    if index.size and not (index.min() >= 0 and index.max() < classes):
        raise RuntimeError("target out of range")
    others = np.ones((count, classes), np.bool_)
    others[np.arange(count), index] = False
    excess = _positive(rows - _pick(rows, index).unsqueeze(1) + margin, others)
    losses = (excess if p == 1 else excess * excess).sum(1) / classes
    if weight is not None:
        losses = losses * wrap(weight._array[index])
    return losses.reshape(labels.shape) if reduction == "none" else _reduced(losses, reduction)


def _nonempty_matrix(shape: tuple[int, ...]) -> None:
    if len(shape) > 2 or (len(shape) == 1 and not shape[0]) or (len(shape) == 2 and not shape[1]):
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}")


@public("nn.functional")
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over labels k and classes j that are no label of max(0, 1 - input[k] + input[j]) / C``; (N, C) or (C).

    The labels of a row are those of `target`, of the same shape, before the first -1.
    """
    reduction = _check(reduction, size_average, reduce)
    shape, labels = input._array.shape, target._array
    _nonempty_matrix(shape)
    if labels.shape != shape and not (len(shape) < 2 and labels.ndim < 2 and labels.size == input._array.size):
        raise RuntimeError(f"inconsistent target size: {list(labels.shape)} for input of size: {list(shape)}")
    if labels.dtype.char not in "lq":
        raise RuntimeError(f"expected scalar type Long but found {scalar_name(labels.dtype)}")
    classes = shape[-1] if shape else 1
    rows, labels = input.reshape(-1, classes), labels.reshape(-1, classes)
    if labels.size and not (labels.min() >= -1 and labels.max() < classes):
        raise RuntimeError("argument #2 'target' is out of range")
    count = len(labels)
    valid = np.logical_and.accumulate(labels >= 0, axis=1)
    times = np.zeros((count, classes), rows._array.dtype)  # how often each class is listed
    np.add.at(times, (np.nonzero(valid)[0], labels[valid]), 1)
    pairs = times[:, :, None] * (times == 0)[:, None, :]
    losses = (_positive(1 - rows.unsqueeze(2) + rows.unsqueeze(1), pairs != 0) * wrap(pairs)).sum((1, 2)) / classes
    return losses.reshape(shape[:-1]) if reduction == "none" else _reduced(losses, reduction)


# ------------------------------------------------------------------------------------------------ pairs and triplets


@public("nn.functional")
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where `target` is 1, ``max(0, margin - input)`` where it is -1"""
    reduction = _check(reduction, size_average, reduce)
    apart, together = (margin - input).clamp(min=0), input  # chosen, not multiplied: either may be infinite
    return _reduced(where(target != 1, apart, 0.0) + where(target != -1, together, 0.0), reduction)


@public("nn.functional")
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``. RuntimeError if the numbers of dimensions differ."""
    reduction = _check(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return _reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)


@public("nn.functional")
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos(input1, input2)`` where `target` is 1, ``max(0, cos(input1, input2) - margin)`` where it is -1; (N, D) or (D)."""
    reduction = _check(reduction, size_average, reduce)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    dim = target.ndim
    norms = ((input1 * input1).sum(dim) + 1e-12) * ((input2 * input2).sum(dim) + 1e-12)
    cosine = (input1 * input2).sum(dim) / norms.sqrt()
    loss = (1 - cosine) * (target == 1) + (cosine - margin).clamp(min=0) * (target == -1)
    return _reduced(loss, reduction)


def _triplets(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return _reduced((margin + near - far).clamp(min=0), reduction)


@public("nn.functional")
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, margin + d(anchor, positive) - d(anchor, negative))`` with the p-norm distance; `swap` takes the smaller of the
    distances of the negative from the anchor and from the positive (Balntas et al., 2016)."""
    reduction = _check(reduction, size_average, reduce)
    return _triplets(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


@public("nn.functional")
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """As `triplet_margin_loss`, with any distance of two tensors."""
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplets(anchor, positive, negative, distance, margin, swap, _check(reduction))


# ------------------------------------------------------------------------------------------------ sequences


@op(
    log_probs=lambda grads, log_probs, result, extended, input_lengths, target_lengths, blank, zero_infinity: _ctc_backward(
        grads[0], log_probs, *result, extended, input_lengths, target_lengths, blank, zero_infinity
    )
)
def _ctc(
    log_probs: Array, extended: Array, input_lengths: Array, target_lengths: Array, blank: int, zero_infinity: bool
) -> tuple[Array, Array]:
    """(T, N, C), the targets with blanks between and around (N, L) -> the losses (N), and alpha (T, N, L)"""
    return ctc_paths(log_probs, extended, input_lengths, target_lengths, blank, zero_infinity)


def _no_second_derivative(grad: Tensor) -> Tensor:
    raise RuntimeError("derivative for aten::_ctc_loss_backward is not implemented")


@op(grad=lambda grad: _no_second_derivative(grad), log_probs=lambda grad: _no_second_derivative(grad))
def _ctc_backward(
    grad: Array,
    log_probs: Array,
    losses: Array,
    alpha: Array,
    extended: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
    zero_infinity: bool,
) -> Array:
    """``exp(log_probs) - occupancy``, which takes `log_probs` for a log-softmax and is the gradient of what went into that
    (Graves et al., 2006, eq. 16); beta is alpha of everything reversed."""
    return ctc_slopes(grad, log_probs, losses, alpha, extended, input_lengths, target_lengths, blank, zero_infinity)


def _lengths(lengths: Any, name: str, batch: int) -> Array:
    array = lengths._array if isinstance(lengths, Tensor) else np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    array = array.reshape(-1).astype(np.int64)
    if array.size != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    if (array < 0).any():
        raise RuntimeError(f"Expected {name} to have value at least 0, but got value {array.min()}")
    return array


@public("nn.functional")
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the logarithm of the probability of all alignments of `targets` (N, S), or all in one row, with `log_probs` (T, N, C)
    or (T, C) (Graves et al., 2006); the mean is over losses divided by the target lengths.

    `zero_infinity` gives 0 where no alignment is possible. As torch's, the gradient holds for `log_probs` from a log-softmax, and
    has no derivative.
    """
    reduction = _check(reduction)
    batched = log_probs.ndim == 3
    log_probs = log_probs if batched else log_probs.unsqueeze(1)
    times, batch, classes = log_probs._array.shape
    inputs, labels = _lengths(input_lengths, "input_lengths", batch), _lengths(target_lengths, "target_lengths", batch)
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if inputs.size and inputs.max() > times:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {times}, but got value {inputs.max()} (while checking arguments for "
            "ctc_loss_allocate_outputs)"
        )
    target = targets._array.astype(np.int64)
    longest = int(labels.max(initial=0))
    padded = np.full((batch, longest), blank, np.int64)
    if target.ndim == 1:
        starts = np.cumsum(labels) - labels
        if labels.sum() > target.size:
            raise RuntimeError(f"Expected tensor to have size {labels.sum()} at dimension 0, but got size {target.size}")
        rows = [target[start : start + length] for start, length in zip(starts, labels)]
    else:
        if target.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size {target.shape[1]} for argument #2 "
                "'targets' (while checking arguments for ctc_loss_allocate_outputs)"
            )
        rows = [row[:length] for row, length in zip(target, labels)]
    for row, labelled in zip(padded, rows):
        row[: len(labelled)] = labelled
    extended = np.full((batch, 2 * longest + 1), blank, np.int64)
    extended[:, 1::2] = padded
    losses = _ctc(log_probs, extended, inputs, labels, blank, zero_infinity)[0]
    if reduction == "mean":
        return (losses / wrap(np.maximum(labels, 1).astype(losses._array.dtype))).mean()
    return losses.sum() if reduction == "sum" else losses if batched else losses.squeeze(0)


# ------------------------------------------------------------------------------------------------ of a linear layer


@public("nn.functional")
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: object | None = None,
) -> Tensor:
    """`cross_entropy` of ``linear(input, linear_weight, linear_bias)``: (E) or (N, E), (C, *, E) -> logits (N, C, *).

    `options`, which tell torch how to save memory, are accepted and change nothing.
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    *batch, features = input._array.shape
    *classes, columns = linear_weight._array.shape
    if features != columns:
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {features} and {columns}, respectively"
        )
    if linear_bias is not None and linear_bias._array.shape != tuple(classes):
        raise RuntimeError(f"expected linear_bias shape {tuple(classes)}, got {tuple(linear_bias.shape)}")
    if len(classes) > 1 and not batch:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {features}), got unbatched input with shape {tuple(input.shape)}"
        )
    shape = (*batch, *classes)
    if target._array.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if options is not None and (
        len(classes) > 1 or reduction not in ("mean", "sum", "none") or label_smoothing != 0.0 or target._array.dtype != np.int64
    ):
        warnings.warn(
            "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {'mean','sum','none'}, "
            "label_smoothing == 0, target.dtype == int64, out_features == ().",
            stacklevel=2,
        )
    if len(classes) > 1:
        linear_weight = linear_weight.reshape(-1, features)
        linear_bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight, linear_bias).reshape(shape)
    return cross_entropy(
        logits,
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )


# ------------------------------------------------------------------------------------------------ torch.kl_div and the like


def _numbered(function: Callable[..., Tensor], parameters: str) -> Callable[..., Tensor]:
    """`function` as ``torch.f``: these `parameters` by position or name, and `reduction` 0 none, 1 mean, 2 sum; by default 0."""
    known = inspect.signature(function).parameters
    given = [known[name] for name in parameters.split() if name != "reduction"]
    position = parameters.split().index("reduction")
    number = inspect.Parameter("reduction", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=0)
    signature = inspect.Signature([*given[:position], number, *given[position:]])

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        if arguments["reduction"] not in (0, 1, 2):
            raise RuntimeError(f"{arguments['reduction']} is not a valid reduction")
        arguments["reduction"] = ("none", "mean", "sum")[arguments["reduction"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the mean of kl_div
            return function(**arguments)

    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


for _function, _parameters in {
    kl_div: "input target reduction log_target",
    poisson_nll_loss: "input target log_input full eps reduction",
    cosine_embedding_loss: "input1 input2 target margin reduction",
    margin_ranking_loss: "input1 input2 target margin reduction",
    hinge_embedding_loss: "input target margin reduction",
    triplet_margin_loss: "anchor positive negative margin p eps swap reduction",
    binary_cross_entropy_with_logits: "input target weight pos_weight reduction",
    ctc_loss: "log_probs targets input_lengths target_lengths blank reduction zero_infinity",
}.items():
    namespace("torch")[_function.__name__] = _numbered(_function, _parameters)
