"""Losses of ``nn.functional``.

Each is composed of pointwise operations and reduced at the end; cross entropy over class indices is one primitive, since
the loss and its gradient share exponentials.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import broadcast_shapes, level_of_user, type_name
from mini_dl._dtypes import FLOATING, INEXACT, NARROW, Array, is_number, of_numpy, result_numpy, scalar_name
from mini_dl._importing import wraps
from mini_dl._signatures import LateSignature
from mini_dl._surface import namespace, public
from mini_dl.autograd.inplace import check_cast
from mini_dl.autograd.mode import mode, no_grad
from mini_dl.autograd.primitive import linear_in, op, symmetric_in
from mini_dl.kernels.blocks import elementwise, in_single, limited, real_floating, slow_elementwise
from mini_dl.kernels.elementary import fastest
from mini_dl.kernels.losses import sum_of_squares_then_lines
from mini_dl.kernels.sums import Dims, add_up, add_up_squares, count, reduced
from mini_dl.ops.activation import _sigmoid_slope, log_of_sigmoid, logsigmoid
from mini_dl.ops.ctc import ctc_loss
from mini_dl.ops.embedding_losses import cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, triplet_margin_loss
from mini_dl.ops.loss_reduction import _warn_of_broadcasting, _weighted, checked_reduction, reduced_loss, without_gradient
from mini_dl.ops.operands import in_float32, masked
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ regression


def _difference(name: str, input: Tensor, target: Tensor) -> Tensor:
    """``input - target`` in the promoted type, with masks as 0 and 1. NotImplementedError unless that is floating point."""
    x, t = input._array, target._array
    if "b" in x.dtype.kind + t.dtype.kind:
        common = of_numpy(real_floating(np.empty(0, result_numpy(x, t)), name).dtype)
        input, target = input.to(common), target.to(common)
    difference = input - target
    real_floating(difference._array, name)
    return difference


@op(input=lambda grad, input, dims, keepdim, mean: input * (_for_each(grad, input, dims, keepdim, mean) * 2))
@in_single
def _reduced_squares(input: Array, dims: Dims, keepdim: bool, mean: bool) -> Array:
    """The sum of the squares of real numbers over `dims`, or their mean"""
    return add_up_squares(input, dims, keepdim) / input.dtype.type(count(input.shape, dims) if mean else 1)


def _for_each(grad: Tensor, input: Tensor, dims: Dims, keepdim: bool, mean: bool) -> Tensor:
    """What one unit of the gradient of a sum or a mean is for each element."""
    shape = input._array.shape
    grad = grad / count(shape, dims) if mean else grad
    return grad if keepdim or len(dims) == len(shape) else grad.reshape(reduced(shape, dims, True))


def _reduced(primitive: Callable[..., Tensor], difference: Tensor, reduction: str, *args: object) -> Tensor:
    """A loss of `difference`, by a primitive that reduces it."""
    return primitive(difference, tuple(range(difference.ndim)), False, reduction == "mean", *args)


@public("nn.functional")
def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``loss = (input - target) ** 2``, reduced to the mean, the sum, or not at all.

    With `weight`, multiplied by it; the mean then divides by the sum of the weights.

    Family: loss

    >>> F.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    _warn_of_broadcasting(input, target)
    reduction = checked_reduction(reduction, size_average, reduce)
    difference = _difference("mse_cpu", input, target)
    if reduction != "none" and weight is None:
        return _reduced(_reduced_squares, difference, reduction)
    loss = difference.square()
    return loss if weight is None else _weighted(loss, weight, input, reduction, True)


@public("nn.functional")
def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``loss = abs(input - target)``, reduced to the mean, the sum, or not at all.

    With `weight`, multiplied by it; the mean then divides by the sum of the weights.

    Family: loss

    >>> F.l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    tensor(1.5000)
    """
    _warn_of_broadcasting(input, target)
    reduction = checked_reduction(reduction, size_average, reduce)
    loss = (input - target).abs()
    return reduced_loss(loss, reduction) if weight is None else _weighted(loss, weight, input, reduction, True)


@op(difference=lambda grad, difference, delta: masked(grad, difference.abs() < delta))
def _limited(difference: Array, delta: float) -> Array:
    """The slope of `_huber`; its own at NaN is 0."""
    return _within(difference, delta)


@elementwise
def _within(difference: Array, delta: float, out: Array | None = None) -> Array:
    limit = difference.dtype.type(delta)
    return limited(difference, -limit, limit, out)


@symmetric_in("difference")
@op(difference=lambda grad, difference, delta: grad * _limited(difference, delta))
def _huber(difference: Array, delta: float) -> Array:
    """``difference ** 2 / 2`` up to `delta`, then linear: with ``m = min(|difference|, delta)`` it is
    ``m * (|difference| - m / 2)``"""
    return _square_then_linear(difference, delta)


@elementwise
def _square_then_linear(difference: Array, delta: float, out: Array | None = None) -> Array:
    size = np.absolute(difference)
    near = limited(size, -math.inf, size.dtype.type(delta))
    y = np.asarray(np.multiply(near, near.dtype.type(0.5), out))
    np.subtract(size, y, y)
    return np.multiply(y, near, y)


@op(input=lambda grad, input, dims, keepdim, mean, delta: _limited(input, delta) * _for_each(grad, input, dims, keepdim, mean))
@in_single
def _reduced_huber(input: Array, dims: Dims, keepdim: bool, mean: bool, delta: float) -> Array:
    """The sum of `_huber` over `dims`, or its mean"""
    if len(dims) < input.ndim:  # of each in a batch
        total = add_up(_square_then_linear(input, delta), dims, keepdim)
    else:
        total = sum_of_squares_then_lines(input.reshape(-1), delta).reshape(reduced(input.shape, dims, keepdim))
    return total / input.dtype.type(count(input.shape, dims) if mean else 1)


@public("nn.functional")
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """``loss = d ** 2 / (2 * beta) if d < beta else d - beta / 2`` with ``d = abs(input - target)``, reduced.

    Shapes: `input` and `target` (*in) -> (), or (*in) if `reduction` is "none".
    Raises: RuntimeError if `beta` is negative or the shapes do not broadcast; ValueError for an unknown `reduction`.
    Source: Girshick, Fast R-CNN, 2015, section 2.3.

    >>> F.smooth_l1_loss(torch.zeros(2), torch.tensor([1.0, 5.0]), beta=4.0, reduction="none")
    tensor([0.1250, 3.0000])
    """
    _warn_of_broadcasting(input, target)
    reduction = checked_reduction(reduction, size_average, reduce)
    if beta == 0:
        return reduced_loss((input - target).abs(), reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    difference = _difference("smooth_l1_cpu", input, target)
    if reduction == "none":
        loss = _huber(difference, beta)
    else:
        loss = _reduced(_reduced_huber, difference, reduction, beta)
    return loss if beta == 1 else loss / beta


@public("nn.functional")
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``loss = d ** 2 / 2 if d < delta else delta * (d - delta / 2)`` with ``d = abs(input - target)``, times `weight`, reduced.

    Shapes: `input` and `target` (*in) -> (), or (*in) if `reduction` is "none".
    Raises: RuntimeError unless `delta` is positive, and if the shapes do not broadcast; ValueError for an unknown `reduction`.
    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> F.huber_loss(torch.zeros(2), torch.tensor([1.0, 5.0]), delta=2.0, reduction="none")
    tensor([0.5000, 8.0000])
    """
    _warn_of_broadcasting(input, target)
    if weight is None or reduction not in ("none", "mean", "sum"):
        checked_reduction(reduction)
    if not delta > 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    difference = _difference("huber_cpu", input, target)
    check_cast(difference._array.dtype, input._array.dtype)
    if reduction != "none" and weight is None and difference._array.dtype == input._array.dtype:
        return _reduced(_reduced_huber, difference, reduction, delta)
    loss = _huber(difference, delta)
    if loss._array.dtype != input._array.dtype:
        loss = loss.to(input.dtype)
    return reduced_loss(loss, reduction) if weight is None else _weighted(loss, weight, input, reduction, False)


@public("nn.functional")
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = exp(input) - target * input``, without `log_input` ``input - target * log(input + eps)``, reduced.

    `full` adds ``target * log(target) - target + log(2 * pi * target) / 2``, near ``log(factorial(target))``, where
    ``target > 1``.

    Family: loss

    >>> F.poisson_nll_loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]), reduction="none")
    tensor([ 1.0000, -0.2817])
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + masked(stirling, target > 1)
    return reduced_loss(loss, reduction)


@public("nn.functional")
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """``loss = (log(v) + (input - target) ** 2 / v) / 2`` with ``v = max(var, eps)``, reduced; `full` adds ``log(2 * pi) / 2``.

    `v` takes the gradient of `var` also below `eps`.

    Shapes: `input` and `target` (*, K), `var` (*, K), (*, 1), (*) or a number -> (), or (*, K) if `reduction` is "none".
    Raises: ValueError for a negative `var` or one of another shape, and for an unknown `reduction`.
    Source: Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994.

    >>> F.gaussian_nll_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]), var=torch.tensor([1.0, 4.0]), reduction="none")
    tensor([0.0000, 1.8181])
    """
    if not isinstance(var, Tensor) and not is_number(var):
        raise TypeError(f"gaussian_nll_loss(): argument 'var' (position 3) must be Tensor or float, not {type_name(var)}")
    variance = var if isinstance(var, Tensor) else wrap(np.full(input._array.shape, var, input._array.dtype))
    if not is_abstract(variance) and (variance._array < 0).any():
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
    return reduced_loss(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@public("nn.functional")
def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:  # fmt: skip
    """``loss = target * (log(target) - input)`` for log-probabilities `input`; with `log_target`
    ``exp(target) * (target - input)``.

    "batchmean" divides the sum by the batch size: the divergence per sample; "mean" divides by the number of elements.

    Shapes: `input` and `target` (*in) -> (), or (*in) if `reduction` is "none".
    Raises: RuntimeError if the shapes do not broadcast, and for integers; ValueError for an unknown `reduction`.
    Source: Kullback and Leibler, On information and sufficiency, 1951.

    >>> F.kl_div(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]), reduction="batchmean")
    tensor(0.1308)
    """
    batchmean = reduction == "batchmean" and size_average is None and reduce is None
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by "
            "the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' "
            "in the next major release.",
            stacklevel=level_of_user(),
        )
    reduction = checked_reduction("sum" if batchmean else reduction, size_average, reduce)
    if target._array.dtype.kind not in INEXACT or input._array.dtype.kind not in INEXACT:
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if "c" in target._array.dtype.kind + input._array.dtype.kind:
        raise RuntimeError("kl_div: Complex inputs not supported.")
    loss = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    loss = reduced_loss(loss, reduction)
    return loss / input._array.shape[0] if batchmean and input.ndim else loss


# ------------------------------------------------------------------------------------------------ binary

_log1p = fastest("log1p")


_LEAST = 1e-12


@linear_in("upstream")
@op(
    upstream=lambda grad, input, target: grad * (input - target) / _spread(input),
    input=lambda grad, upstream, input, target: (
        grad * upstream * (input * input - 2 * input * target + target) / _spread(input).square()
    ),
    target=lambda grad, upstream, input: -grad * upstream / ((1 - input) * input).clamp(min=_LEAST),
)
@elementwise
def _bce_slope(upstream: Array, input: Array, target: Array) -> Array:
    return upstream * (input - target) / np.maximum((1 - input) * input, _LEAST)


def _spread(input: Tensor) -> Tensor:
    return (input + _LEAST) * (1 - input + _LEAST)


@symmetric_in("input", "target")
@op(
    input=lambda grad, input, target: _bce_slope(grad, input, target),
    target=lambda grad, input: grad * ((1 - input).log() - input.log()),
)
@slow_elementwise
def _bce(input: Array, target: Array) -> Array:
    """Logarithms are bounded by -100, so that the loss stays finite."""
    one_less = np.maximum(_log1p(-input), -100)
    return (target - 1) * one_less - target * np.maximum(np.log(input), -100)


@public("nn.functional")
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = -(target * log(input) + (1 - target) * log(1 - input))`` for probabilities, times `weight`, reduced.

    Logarithms are at least -100, so that the loss is finite at 0 and 1.

    Shapes: `input` and `target` (*in) -> (), or (*in) if `reduction` is "none".
    Raises: ValueError if the shapes differ, and for an unknown `reduction`; RuntimeError for elements outside [0, 1].

    >>> F.binary_cross_entropy(torch.tensor([0.9, 0.0]), torch.tensor([1.0, 1.0]), reduction="none")
    tensor([  0.1054, 100.0000])
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    x, t = real_floating(input._array, "binary_cross_entropy"), target._array
    if t.dtype != x.dtype:
        raise RuntimeError(f"Found dtype {scalar_name(t.dtype)} but expected {scalar_name(x.dtype)}")
    if x.size and not is_abstract(x) and not (x.min() >= 0 and x.max() <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    if t.size and not is_abstract(t) and not (t.min() >= 0 and t.max() <= 1):
        raise RuntimeError("all elements of target should be between 0 and 1")
    without_gradient("binary_cross_entropy", weight=weight)
    loss = _bce(input, target)
    return reduced_loss(loss if weight is None else loss * weight, reduction)


@linear_in("upstream")
@op(
    upstream=lambda grad, input, target: _bce_of_logits_slope(grad, input, target),
    input=lambda grad, upstream, input: grad * upstream * _sigmoid_slope(input.sigmoid()),
    target=lambda grad, upstream: -grad * upstream,
)
def _bce_of_logits_slope(upstream: Array, input: Array, target: Array) -> Array:
    """``upstream * ((1 - target) - sigmoid(-input))``"""
    return _times_logits_slope(upstream, input, target)


@slow_elementwise
def _times_logits_slope(upstream: Array, input: Array, target: Array, out: Array | None = None) -> Array:
    s = np.asarray(np.exp(input, out))
    s += s.dtype.type(1)
    np.reciprocal(s, s)
    np.subtract(1 - target, s, s)
    s *= upstream
    return s


@symmetric_in("input", "target")
@op(
    input=lambda grad, input, target: _bce_of_logits_slope(grad, input, target),
    target=lambda grad, input: -grad * input,
)
def _bce_of_logits(input: Array, target: Array) -> Array:
    """``(1 - target) * input - log(sigmoid(input))``"""
    return _logits_loss(input, target)


@slow_elementwise
def _logits_loss(input: Array, target: Array, out: Array | None = None) -> Array:
    logarithm = np.asarray(log_of_sigmoid(input, out))
    loss = np.asarray(1 - target)
    loss *= input
    return np.subtract(loss, logarithm, logarithm)


@public("nn.functional")
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``loss = -(pos_weight * target * log(s) + (1 - target) * log(1 - s))`` with ``s = 1 / (1 + exp(-input))``, times `weight`,
    reduced.

    Computed from ``log(s)`` without overflow; `pos_weight` compensates for rare positives.

    Shapes: `input` and `target` (*in), the weights broadcast -> (), or (*in) if `reduction` is "none".
    Raises: ValueError if the shapes differ, and for an unknown `reduction`; RuntimeError for a `target` of integers.

    >>> F.binary_cross_entropy_with_logits(torch.tensor([2.0, -1000.0]), torch.tensor([1.0, 1.0]), reduction="none")
    tensor([1.2693e-01, 1.0000e+03])
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if target._array.dtype.kind not in INEXACT:
        raise RuntimeError(
            f"result type {scalar_name(input._array.dtype)} can't be cast to the desired output type "
            f"{scalar_name(target._array.dtype)}"
        )
    if target._array.dtype.kind == "c" and mode.enabled and input.requires_grad:
        raise RuntimeError("binary_cross_entropy_with_logits does not support automatic differentiation of a complex loss")
    without_gradient("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    if input._array.dtype.char in NARROW and target._array.dtype.char in NARROW:
        return in_float32(binary_cross_entropy_with_logits, input, target, weight, None, None, reduction, pos_weight)
    if pos_weight is None and input._array.dtype == target._array.dtype and input._array.dtype.kind in FLOATING:
        loss = _bce_of_logits(input, target)
    else:
        log_sigmoid = logsigmoid(input)
        if pos_weight is not None:
            log_sigmoid = log_sigmoid * ((pos_weight - 1) * target + 1)
        loss = (1 - target) * input - log_sigmoid
    loss = loss if weight is None else loss * weight
    return reduced_loss(loss if loss._array.dtype == target._array.dtype else loss.to(target.dtype), reduction)


@public("nn.functional")
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """``loss = log(1 + exp(-target * input))`` for targets 1 and -1, reduced; `target` gets no gradient.

    Shapes: `input` (*in), `target` broadcast to it -> (), or (*in) if `reduction` is "none".
    Raises: RuntimeError if `target` does not broadcast to the shape of `input`; ValueError for an unknown `reduction`.

    >>> F.soft_margin_loss(torch.tensor([2.0, -1.0]), torch.tensor([1.0, 1.0]), reduction="none")
    tensor([0.1269, 1.3133])
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    without_gradient("soft_margin_loss", target=target)
    x, common = input._array, broadcast_shapes(input._array.shape, target._array.shape)
    if x.dtype.kind == "b":
        raise RuntimeError("Negation, the `-` operator, on a bool tensor is not supported.")
    check_cast(np.dtype(np.float32), x.dtype)
    check_cast(target._array.dtype, x.dtype)
    if common != x.shape:
        raise RuntimeError(f"output with shape {list(x.shape)} doesn't match the broadcast shape {list(common)}")
    margin = input * target
    return reduced_loss(-logsigmoid(margin if margin._array.dtype == x.dtype else margin.to(input.dtype)), reduction)


@public("nn.functional")
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss[n] = -sum(target[n, c] * log(s[n, c]) + (1 - target[n, c]) * log(1 - s[n, c]), c) / C`` with
    ``s = 1 / (1 + exp(-input))``.

    Each term is multiplied by `weight`; the losses of the samples are reduced.

    Shapes: `input` and `target` (*, C), `weight` (C) -> (), or (*) if `reduction` is "none".
    Raises: RuntimeError if the shapes do not broadcast; ValueError for an unknown `reduction`.

    >>> F.multilabel_soft_margin_loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(0.2201)
    """
    if size_average is not None or reduce is not None:
        reduction = checked_reduction(reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    loss = loss.sum(-1) / input._array.shape[-1]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduced_loss(loss, reduction)


# ------------------------------------------------------------------------------------------------ torch.kl_div and similar


def _numbered(function: Callable[..., Tensor], parameters: str) -> Callable[..., Tensor]:
    """`function` as ``torch.f``: these `parameters` by position or name, and `reduction` 0 none, 1 mean, 2 sum; by default 0."""

    def work_out() -> inspect.Signature:
        known = inspect.signature(function).parameters
        given = [known[name] for name in parameters.split() if name != "reduction"]
        position = parameters.split().index("reduction")
        number = inspect.Parameter("reduction", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=0)
        return inspect.Signature([*given[:position], number, *given[position:]])

    signature = LateSignature(work_out)

    @wraps(function)
    def call(*args: object, **kwargs: object) -> Tensor:
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
