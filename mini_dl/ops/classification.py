"""Losses for classes given by index."""

from __future__ import annotations

import math
import warnings

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import level_of_user
from mini_dl._dtypes import FLOATING, NARROW, Array, int64, scalar_name, uint8
from mini_dl._surface import public
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.inplace import Memo, keep_in, memo_of
from mini_dl.autograd.mode import differentiates, mode
from mini_dl.autograd.node_names import as_one
from mini_dl.autograd.primitive import linear_in, op, unary
from mini_dl.kernels.blocks import computed_in, keep, real_floating
from mini_dl.kernels.losses import cross_entropy_rows, cross_entropy_slope
from mini_dl.ops.activation import log_softmax, softmax
from mini_dl.ops.loss_reduction import checked_reduction, reduced_loss, without_gradient
from mini_dl.ops.matmul import linear
from mini_dl.ops.operands import accept, in_float32, masked
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ classes by index


@unary(input=lambda grad: _no_gradient(grad))
def _undefined(input: Array) -> Array:
    """The mean of no losses: NaN, and ignored elements get no gradient."""
    return np.full_like(input, np.nan)


@unary(input=lambda grad: _undefined(grad))
def _no_gradient(input: Array) -> Array:
    return np.zeros_like(input)


@linear_in("input")
@op(input=lambda grad, index, input_shape: _unpick(grad, index, input_shape[1]))
def _pick(input: Array, index: Array) -> Array:
    """``input[i, index[i]]`` for each row i"""
    return input[np.arange(len(index)), index]


@linear_in("values")
@op(values=lambda grad, index: _pick(grad, index))
def _unpick(values: Array, index: Array, classes: int) -> Array:
    """Rows of zeros except for ``values[i]`` at ``index[i]``"""
    out = np.zeros((len(index), classes), values.dtype)
    out[np.arange(len(index)), index] = values
    return out


_LABEL_TYPES = (int64.numpy, uint8.numpy)


class _Classes:
    """Class indices and the weight of each row: checked and flat, with ignored ones pointing to class 0."""

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
        if t.dtype not in _LABEL_TYPES:
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
        index = t.reshape(-1).astype(np.int64)  # a copy: `target` may be written before the backward pass
        self.kept: Array | None = None
        unsigned = index.view(np.uint64)  # a negative one is large
        if index.size and not unsigned[unsigned.argmax()] < classes:
            self.kept = index != ignore_index
            index = index * self.kept
            if index.min() < 0 or index.max() >= classes:
                raise IndexError(f"Target {next(i for i in index if not 0 <= i < classes)} is out of bounds.")
        elif 0 <= ignore_index < classes:
            self.kept = index != ignore_index
        self.index, self.shape = index, () if x.ndim == 1 else t.shape
        self.type = computed_in(x.dtype)
        self.weight: Array | None = None  # of each row; None if each is 1
        if weight is not None:
            self.weight = weight._array[index].astype(self.type, copy=False)
            if self.kept is not None:
                self.weight = keep(self.weight, self.kept)
        elif self.kept is not None:
            self.weight = self.kept.astype(self.type)
        self.total = float(len(index) if self.weight is None else self.weight.sum())

    def factors(self, reduction: str) -> Array:
        """The factor of the loss of each row; the mean divides by the sum of the weights."""
        if self.weight is None:
            factors = np.empty(len(self.index), self.type)
            factors.fill(1 / max(1.0, self.total) if reduction == "mean" else 1.0)
            return factors
        if reduction != "mean":
            return self.weight
        factors = self.weight * self.type.type(1 / self.total if self.total else math.inf)
        return factors if self.kept is None else keep(factors, self.kept)

    def is_empty_mean(self, reduction: str) -> bool:
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
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss[n] = -weight[target[n]] * input[n, target[n]]`` for log-probabilities; the mean divides by the sum of the weights.

    Targets equal to `ignore_index` are ignored.

    Shapes: `input` (C), (N, C) or (N, C, *), `target` (), (N) or (N, *) -> (), or the shape of `target` if `reduction` is
    "none".
    Raises: IndexError for a target that is not a class; ValueError if the batches differ; RuntimeError for other shapes and
    types.

    >>> F.nll_loss(torch.tensor([[0.2, 0.8], [0.6, 0.4]]).log(), torch.tensor([1, 0]))
    tensor(0.3670)
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    without_gradient("nll_loss_forward", weight=weight)
    if is_abstract(target) or is_abstract(weight):
        return _composed_nll(input, target, weight, ignore_index, reduction)
    real_floating(input._array, "nll_loss_out_frame")
    classes = _Classes(input, target, weight, ignore_index)
    return _nll(input, classes, reduction)


def _composed_nll(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float = 0.0
) -> Tensor:
    """The loss if labels or weights may not be read. With `smoothing`, also over all other classes."""
    dim = 0 if input.ndim == 1 else 1
    target = target if dim else target.reshape(())
    kept = target != ignore_index
    index = target * kept
    picked = masked(-input.gather(dim, index.unsqueeze(dim)).squeeze(dim), kept)
    weights = kept.to(input.dtype) if weight is None else masked(weight.take(index), kept)
    losses = picked * weights
    if smoothing:
        every = masked(-(input if weight is None else input * _by_class(weight, input.ndim)).sum(dim), kept)
        losses = losses * (1 - smoothing) + every * (smoothing / input._array.shape[dim])
    if reduction == "none":
        return losses
    return losses.sum() / weights.sum() if reduction == "mean" else losses.sum()


def _nll(input: Tensor, classes: _Classes, reduction: str) -> Tensor:
    x, (samples, *rest) = kinked(input), classes.shape or (1,)
    if rest:
        picked = x.gather(1, wrap(classes.index.reshape(samples, 1, *rest))).reshape(-1)
    else:
        picked = _pick(_rows(x), classes.index)
    losses = -picked * wrap(mode.run(classes.factors, reduction).astype(input._array.dtype, copy=False))
    if classes.kept is not None:
        losses = masked(losses, wrap(classes.kept))
    if reduction == "none":
        return losses.reshape(classes.shape)
    return _undefined(losses.sum()) if classes.is_empty_mean(reduction) else losses.sum()


def _cross_entropy_slope_of(grad: Tensor, input: Tensor, index: Array, factors: Array, memo: Memo) -> Tensor:
    """``(softmax - one_hot) * grad * factor`` row by row: from saved exponentials, or composed if it will be differentiated."""
    if memo and not differentiates():
        return _cross_entropy_slope(grad, *memo, factors, input._array.shape)
    samples, classes, *rest = input._array.shape
    one_hot = np.zeros((samples, *rest, classes), input._array.dtype)
    one_hot.reshape(-1, classes)[np.arange(len(index)), index] = 1
    scale = (grad * wrap(factors)).reshape(samples, 1, *rest)
    return (softmax(input, 1) - wrap(np.moveaxis(one_hot, -1, 1))) * scale


_cross_entropy_slope = op()(cross_entropy_slope)


@op(input=_cross_entropy_slope_of)
def _cross_entropy(input: Array, index: Array, factors: Array, kept: Array | None, reduce: bool, memo: Memo) -> Array:
    """(N, C, *) -> the loss () or (M); for the gradient, the exponentials with the sums of their rows, and the classes' places"""
    loss, *found = cross_entropy_rows(input, index, factors, kept, reduce)
    keep_in(memo, *found)
    return loss


@public("nn.functional")
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """``loss[n] = -weight[target[n]] * log(p[n, target[n]])`` with ``p[n, c] = exp(input[n, c]) / sum(exp(input[n, k]), k)`` of
    logits.

    The mean divides by the sum of the weights; targets equal to `ignore_index` are ignored. A `target` of probabilities:
    ``loss[n] = -sum(weight[c] * target[n, c] * log(p[n, c]), c)``. `label_smoothing` mixes the target with ``1 / C``.

    Shapes: `input` (C), (N, C) or (N, C, *), `target` classes (), (N) or (N, *), or probabilities of the shape of `input` -> (),
    or the shape of the classes if `reduction` is "none".
    Raises: IndexError for a target that is not a class; ValueError if the batches differ; RuntimeError for other shapes and
    types.
    Source: Szegedy et al., Rethinking the inception architecture for computer vision, 2016, section 7 (label smoothing).

    >>> F.cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor(1.3863)
    >>> F.cross_entropy(torch.tensor([[0.0, 100.0]]), torch.tensor([1]), label_smoothing=0.1)
    tensor(5.)
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    shape = input._array.shape
    dim = 0 if len(shape) == 1 else 1
    if target._array.shape == shape:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if weight is not None:
        without_gradient("nll_loss_forward", weight=weight)
    if is_abstract(target) or is_abstract(weight):
        return _composed_nll(log_softmax(input, dim), target, weight, ignore_index, reduction, label_smoothing)
    classes = _Classes(input, target, weight, ignore_index)
    if label_smoothing == 0:
        factors = mode.run(classes.factors, reduction)
        scores = input if dim else input.reshape(1, -1)
        loss = _cross_entropy(scores, classes.index, factors, classes.kept, reduction != "none", memo_of(scores))
        loss = loss.reshape(classes.shape) if reduction == "none" else loss
        if len(shape) > 2 or reduction == "none":
            as_one(loss, "NllLossBackward0" if len(shape) <= 2 else "NllLoss2DBackward0", input)
        return _undefined(loss) if classes.is_empty_mean(reduction) else loss
    logarithms = log_softmax(input, dim)
    smooth = -(logarithms if weight is None else logarithms * _by_class(weight, len(shape))).sum(dim)
    if classes.kept is not None:
        smooth = masked(smooth, wrap(classes.kept.reshape(classes.shape)))
    if reduction != "none":
        smooth = smooth.sum()
    if reduction == "mean":
        smooth = _undefined(smooth) if classes.is_empty_mean(reduction) else smooth / classes.total
    return _nll(logarithms, classes, reduction) * (1 - label_smoothing) + smooth * (label_smoothing / shape[dim])


def _by_class(weight: Tensor, ndim: int) -> Tensor:
    return weight if ndim <= 1 else weight.reshape(1, -1, *(1,) * (ndim - 2))


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, label_smoothing: float
) -> Tensor:
    shape = input._array.shape
    dim = 0 if len(shape) <= 1 else 1
    if target._array.dtype.kind not in FLOATING:
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {scalar_name(target._array.dtype)}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if not shape:
        raise ValueError("cross_entropy() expects an input with a dimension of classes, got one without dimensions")
    classes = shape[dim]
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
    """`excess` where it is positive and included, else 0, also for NaN."""
    return masked(excess, wrap((excess._array > 0) & where))


@public("nn.functional")
@by_element
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss[n] = weight[y] * sum(max(0, margin - input[n, y] + input[n, c]) ** p, c) / C`` over the classes `c` other than
    ``y = target[n]``.

    Shapes: `input` (N, C) or (C), `target` (N) or () -> (), or the shape of `target` if `reduction` is "none".
    Raises: ValueError unless `p` is 1 or 2, and for an unknown `reduction`; RuntimeError for a target that is not a class.
    Source: Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector machines, 2001.

    >>> F.multi_margin_loss(torch.tensor([[0.1, 0.2, 0.8]]), torch.tensor([2]))
    tensor(0.2333)
    """
    reduction = checked_reduction(reduction, size_average, reduce)
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
    if labels.dtype != int64.numpy:
        raise RuntimeError(f"expected scalar type Long but found {scalar_name(labels.dtype)}")
    real_floating(input._array, "multi_margin_loss_cpu_kernel")
    without_gradient("multi_margin_loss", weight=weight)
    if weight is not None and weight._array.dtype != input._array.dtype:
        want, given = scalar_name(input._array.dtype), scalar_name(weight._array.dtype)
        raise RuntimeError(f"expected scalar type {want} but found {given}")
    index = labels.reshape(-1).copy()  # `target` may be written before the backward pass
    if index.size and not (index.min() >= 0 and index.max() < classes):
        raise RuntimeError("target out of range")
    others = np.ones((count, classes), np.bool_)
    others[np.arange(count), index] = False
    excess = _positive(rows - _pick(rows, index).unsqueeze(1) + margin, others)
    losses = (excess if p == 1 else excess * excess).sum(1) / classes
    if weight is not None:
        losses = losses * wrap(weight._array[index])
    return losses.reshape(labels.shape) if reduction == "none" else reduced_loss(losses, reduction)


def _nonempty_matrix(shape: tuple[int, ...]) -> None:
    if len(shape) > 2 or (len(shape) == 1 and not shape[0]) or (len(shape) == 2 and not shape[1]):
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}")


@public("nn.functional")
@by_element
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """``loss[n] = sum(max(0, 1 - input[n, y] + input[n, c]), (y, c)) / C`` over labels `y` and classes `c` that are not labels.

    The labels of a row are those of `target` before the first -1.

    Shapes: `input` and `target` (N, C) or (C) -> (), or (N) or () if `reduction` is "none".
    Raises: RuntimeError for a `target` of another shape, type, or with a number that is not a class; ValueError for an unknown
    `reduction`.

    >>> F.multilabel_margin_loss(torch.tensor([[0.1, 0.2, 0.8]]), torch.tensor([[2, -1, 0]]))
    tensor(0.2333)
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    shape, labels = input._array.shape, target._array
    _nonempty_matrix(shape)
    if labels.shape != shape and not (len(shape) < 2 and labels.ndim < 2 and labels.size == input._array.size):
        raise RuntimeError(f"inconsistent target size: {list(labels.shape)} for input of size: {list(shape)}")
    accept("min_all", "biuf", labels)
    if labels.dtype != int64.numpy:
        raise RuntimeError(f"expected scalar type Long but found {scalar_name(labels.dtype)}")
    real_floating(input._array, "multilabel_margin_loss_forward_out_frame")
    classes = shape[-1] if shape else 1
    rows, labels = input.reshape(-1, classes), labels.reshape(-1, classes)
    if labels.size and not (labels.min() >= -1 and labels.max() < classes):
        raise RuntimeError("argument #2 'target' is out of range")
    count = len(labels)
    valid = np.logical_and.accumulate(labels >= 0, axis=1)
    times = np.zeros((count, classes), rows._array.dtype)  # how often each class occurs
    np.add.at(times, (np.nonzero(valid)[0], labels[valid]), 1)
    pairs = times[:, :, None] * (times == 0)[:, None, :]
    losses = (_positive(1 - rows.unsqueeze(2) + rows.unsqueeze(1), pairs != 0) * wrap(pairs)).sum((1, 2)) / classes
    return losses.reshape(shape[:-1]) if reduction == "none" else reduced_loss(losses, reduction)


# ------------------------------------------------------------------------------------------------ of a linear layer


def _shapes_of_logits(input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> tuple[list[int], list[int]]:
    """() or (N), and (C, *). RuntimeError if the arguments do not match."""
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
    return batch, classes


@public("nn.functional")
def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None, weight: Tensor | None = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: object | None = None,
) -> Tensor:  # fmt: skip
    """``cross_entropy(input @ linear_weight.T + linear_bias, target)``, with the arguments of `cross_entropy`.

    `options`, which tell torch how to save memory, are accepted without effect.

    Shapes: `input` (E) or (N, E), `linear_weight` (C, *, E), `linear_bias` (C, *), `target` (*) or (N, *) -> (), or the shape of
    `target`.
    Raises: IndexError for a target that is not a class; RuntimeError for shapes that do not match; ValueError for an unknown
    `reduction`.
    Source: Wijmans et al., Cut your losses in large-vocabulary language models, 2024.

    >>> F.linear_cross_entropy(torch.ones(2, 3), torch.zeros(4, 3), torch.tensor([0, 3]))
    tensor(1.3863)
    """
    batch, classes = _shapes_of_logits(input, linear_weight, linear_bias)
    shape = (*batch, *classes)
    if target._array.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if options is not None and (
        len(classes) > 1
        or reduction not in ("mean", "sum", "none")
        or label_smoothing != 0.0
        or target._array.dtype != int64.numpy
    ):
        warnings.warn(
            "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {'mean','sum','none'}, "
            "label_smoothing == 0, target.dtype == int64, out_features == ().",
            stacklevel=level_of_user(),
        )
    elif options is not None and input._array.dtype.kind not in FLOATING:
        raise ValueError(f"acc_dtype must be a floating point type, but the input is {input.dtype}")
    elif options is not None and input._array.dtype.char in NARROW:  # in chunks of float32
        settings = {"reduction": reduction, "ignore_index": ignore_index}
        return in_float32(linear_cross_entropy, input, linear_weight, target, linear_bias=linear_bias, weight=weight, **settings)
    if len(classes) > 1:
        linear_weight = linear_weight.reshape(-1, linear_weight._array.shape[-1])
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
