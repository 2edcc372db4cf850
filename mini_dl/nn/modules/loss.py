"""Losses: the discrepancy of `input` and `target`, per element ("none"), or their "mean" or "sum"."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mini_dl.nn import functional as F
from mini_dl.nn._types import Device, DType
from mini_dl.nn.modules.configured import Configured
from mini_dl.nn.modules.distance import PairwiseDistance
from mini_dl.nn.modules.linear import Linear
from mini_dl.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions
from mini_dl.nn.modules.module import Module
from mini_dl.tensor import Tensor

Lengths: TypeAlias = Tensor | Sequence[int]


def reduction_of(size_average: bool | None, reduce: bool | None) -> str:
    """The reduction meant by the two deprecated arguments."""
    averaged, reduced = size_average is None or size_average, reduce is None or reduce
    reduction = "none" if not reduced else "mean" if averaged else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", UserWarning, stacklevel=5
    )
    return reduction


class _Reduced(Configured):
    _shown = ()
    _buffers_among_fields = ("weight", "pos_weight")

    def _check_fields(self) -> None:
        size_average, reduce = self.__dict__.pop("size_average", None), self.__dict__.pop("reduce", None)
        if size_average is not None or reduce is not None:
            self.__dict__["reduction"] = reduction_of(size_average, reduce)


class _Loss(_Reduced):
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


if TYPE_CHECKING:
    _OwnOrder: TypeAlias = _Reduced  # for type checkers, fields of a base come first, even if annotated again

    class _WeightedOwnOrder(_Reduced):
        weight: Tensor | None = None

else:
    _OwnOrder = _Loss


class _WeightedLoss(_OwnOrder):
    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


if not TYPE_CHECKING:
    _WeightedOwnOrder = _WeightedLoss


class L1Loss(_Loss):
    """``loss = abs(input - target)``, reduced to the mean, the sum, or not at all.

    Family: loss

    >>> torch.nn.L1Loss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    tensor(1.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """``loss = (input - target) ** 2``, reduced to the mean, the sum, or not at all.

    Family: loss

    >>> torch.nn.MSELoss(reduction="none")(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    tensor([0., 9.])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """``loss = d ** 2 / (2 * beta) if d < beta else d - beta / 2`` with ``d = abs(input - target)``, reduced.

    Family: F.smooth_l1_loss

    >>> torch.nn.SmoothL1Loss(beta=4.0)(torch.zeros(2), torch.tensor([1.0, 5.0]))
    tensor(1.5625)
    """

    beta: float = 1.0

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Configured):
    """``loss = d ** 2 / 2 if d < delta else delta * (d - delta / 2)`` with ``d = abs(input - target)``, reduced.

    Shapes: `input` and `target` (*in) -> (), or (*in) if `reduction` is "none".
    Raises: TypeError unless `delta` is a number, RuntimeError unless it is positive; RuntimeError if the shapes do not
    broadcast.
    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> torch.nn.HuberLoss(delta=2.0)(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    tensor(2.)
    """

    reduction: str = "mean"
    delta: float = 1.0
    _shown = ()

    def _check_fields(self) -> None:
        if not isinstance(self.delta, (float, int)):
            raise TypeError(f"delta must be a float or int, got: {type(self.delta)}")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class _ClassLoss(_WeightedOwnOrder):
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"


class NLLLoss(_ClassLoss):
    """``loss[n] = -weight[target[n]] * input[n, target[n]]`` for log-probabilities; the mean divides by the sum of the weights.

    Targets equal to `ignore_index` are ignored.

    Family: F.nll_loss

    >>> torch.nn.NLLLoss()(torch.tensor([[0.2, 0.8], [0.6, 0.4]]).log(), torch.tensor([1, 0]))
    tensor(0.3670)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_ClassLoss):
    """``loss[n] = -weight[target[n]] * log(p[n, target[n]])`` with ``p[n, c] = exp(input[n, c]) / sum(exp(input[n, k]), k)`` of
    logits.

    The mean divides by the sum of the weights; targets equal to `ignore_index` are ignored. A `target` of probabilities:
    ``loss[n] = -sum(weight[c] * target[n, c] * log(p[n, c]), c)``. `label_smoothing` mixes the target with ``1 / C``.

    Family: F.cross_entropy

    >>> loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    >>> loss(torch.tensor([[0.0, 100.0]]), torch.tensor([1]))
    tensor(5.)
    """

    label_smoothing: float = 0.0

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(Module):
    """``cross_entropy(input @ W.T + b, target)``: a `Linear` with weight W and bias b, and a `CrossEntropyLoss`, in one.

    `options`, which tell torch how to save memory, are accepted without effect.

    Shapes: `input` (N, in_features), `target` (N, *out_features) -> (), or the shape of `target` if `reduction` is "none".
    Raises: RuntimeError for a `weight` that is not (num_classes), or a smoothing outside [0, 1]; IndexError for a target that is
    not a class.

    >>> torch.nn.LinearCrossEntropyLoss(8, 10)(torch.ones(4, 8), torch.tensor([0, 1, 2, 3])).shape
    torch.Size([])
    """

    def __init__(
        self, in_features: int, num_classes: int, *, out_features: tuple[int, ...] = (), bias: bool = False,
        device: Device = None, dtype: DType = None, reduction: str = "mean", weight: Tensor | None = None,
        ignore_index: int | None = None, label_smoothing: float = 0.0, options: LinearCrossEntropyOptions | None = None,
    ) -> None:  # fmt: skip
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if label_smoothing < 0 or label_smoothing > 1.0:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction, self.num_classes, self.out_features = reduction, num_classes, out_features
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        rows = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, rows, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape, linear = (self.num_classes, *self.out_features), self.linear
        return F.linear_cross_entropy(
            input,
            linear.weight.reshape(*shape, linear.in_features),
            target,
            linear_bias=None if linear.bias is None else linear.bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )


class PoissonNLLLoss(_OwnOrder):
    """``loss = exp(input) - target * input``, without `log_input` ``input - target * log(input + eps)``, reduced.

    `full` adds ``target * log(target) - target + log(2 * pi * target) / 2``, near ``log(factorial(target))``, where
    ``target > 1``.

    Family: loss

    >>> torch.nn.PoissonNLLLoss()(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]))
    tensor(0.3591)
    """

    log_input: bool = True
    full: bool = False
    size_average: bool | None = None
    eps: float = 1e-8
    reduce: bool | None = None
    reduction: str = "mean"

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(Configured):
    """``loss = (log(v) + (input - target) ** 2 / v) / 2`` with ``v = max(var, eps)``, reduced; `full` adds ``log(2 * pi) / 2``.

    `v` takes the gradient of `var` also below `eps`.

    Family: F.gaussian_nll_loss

    >>> torch.nn.GaussianNLLLoss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]), var=torch.tensor([1.0, 4.0]))
    tensor(0.9091)
    """

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"
    _shown = ()
    _keyword_only = True

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class KLDivLoss(_Loss):
    """``loss = target * (log(target) - input)`` for log-probabilities `input`; with `log_target`
    ``exp(target) * (target - input)``.

    "batchmean" divides the sum by the batch size: the divergence per sample; "mean" divides by the number of elements.

    Family: F.kl_div

    >>> torch.nn.KLDivLoss(reduction="batchmean")(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]))
    tensor(0.1308)
    """

    log_target: bool = False

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_WeightedLoss):
    """``loss = -(target * log(input) + (1 - target) * log(1 - input))`` for probabilities, times `weight`, reduced.

    Logarithms are at least -100, so that the loss is finite at 0 and 1.

    Family: F.binary_cross_entropy

    >>> torch.nn.BCELoss()(torch.tensor([0.9, 0.2]), torch.tensor([1.0, 0.0]))
    tensor(0.1643)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """``loss = -(pos_weight * target * log(s) + (1 - target) * log(1 - s))`` with ``s = 1 / (1 + exp(-input))``, times `weight`,
    reduced.

    Computed from ``log(s)`` without overflow; `pos_weight` compensates for rare positives.

    Family: F.binary_cross_entropy_with_logits

    >>> torch.nn.BCEWithLogitsLoss()(torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.0]))
    tensor(0.2201)
    """

    pos_weight: Tensor | None = None

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class _MarginLoss(_OwnOrder):
    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class HingeEmbeddingLoss(_OwnOrder):
    """``loss = input if target == 1 else max(0, margin - input)`` for targets 1 and -1, reduced.

    Family: loss

    >>> torch.nn.HingeEmbeddingLoss()(torch.tensor([0.3, 0.4]), torch.tensor([1, -1]))
    tensor(0.4500)
    """

    margin: float = 1.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """``loss[n] = sum(max(0, 1 - input[n, y] + input[n, c]), (y, c)) / C`` over labels `y` and classes `c` that are not labels.

    The labels of a row are those of `target` before the first -1.

    Family: F.multilabel_margin_loss

    >>> torch.nn.MultiLabelMarginLoss()(torch.tensor([[0.1, 0.2, 0.8]]), torch.tensor([[2, -1, 0]]))
    tensor(0.2333)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """``loss = log(1 + exp(-target * input))`` for targets 1 and -1, reduced; `target` gets no gradient.

    Family: F.soft_margin_loss

    >>> torch.nn.SoftMarginLoss()(torch.tensor([2.0, -1.0]), torch.tensor([1.0, -1.0]))
    tensor(0.2201)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """``loss[n] = -sum(target[n, c] * log(s[n, c]) + (1 - target[n, c]) * log(1 - s[n, c]), c) / C`` with
    ``s = 1 / (1 + exp(-input))``.

    Each term is multiplied by `weight`; the losses of the samples are reduced.

    Family: F.multilabel_soft_margin_loss

    >>> torch.nn.MultiLabelSoftMarginLoss()(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(0.2201)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """``loss = 1 - c if target == 1 else max(0, c - margin)`` with ``c = input1 @ input2 / (norm(input1) * norm(input2))``,
    reduced.

    Family: F.cosine_embedding_loss

    >>> x = torch.tensor([[1.0, 0.0]])
    >>> torch.nn.CosineEmbeddingLoss()(x, torch.tensor([[1.0, 1.0]]), torch.tensor([1]))
    tensor(0.2929)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_MarginLoss):
    """``loss = max(0, margin - target * (input1 - input2))``: 0 where `input1` is larger by `margin` (smaller for a `target` of
    -1).

    Family: F.margin_ranking_loss

    >>> first, second = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0])
    >>> torch.nn.MarginRankingLoss(margin=0.1)(first, second, torch.tensor([1, 1]))
    tensor(0.5500)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(_OwnOrder):
    """``loss[n] = weight[y] * sum(max(0, margin - input[n, y] + input[n, c]) ** p, c) / C`` over the classes `c` other than
    ``y = target[n]``.

    Family: F.multi_margin_loss

    >>> torch.nn.MultiMarginLoss()(torch.tensor([[0.1, 0.2, 0.8]]), torch.tensor([2]))
    tensor(0.2333)
    """

    p: int = 1
    margin: float = 1.0
    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def _check_fields(self) -> None:
        super()._check_fields()
        if self.p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {self.weight.ndim}D instead")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction)


class TripletMarginLoss(_OwnOrder):
    """``loss = max(0, margin + d(anchor, positive) - d(anchor, negative))`` with the distance `d` of `PairwiseDistance`, reduced.

    `swap`: the negative's distance is the smaller of those to the anchor and to the positive.

    Family: F.triplet_margin_loss

    >>> anchor, near, far = torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 2.0]])
    >>> nn.TripletMarginLoss()(anchor, near, far)
    tensor(0.1781)
    """

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def _check_fields(self) -> None:
        super()._check_fields()
        if self.margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {self.margin} instead")

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        far: dict[str, Any] = {"margin": self.margin, "p": self.p, "eps": self.eps, "swap": self.swap}
        return F.triplet_margin_loss(anchor, positive, negative, reduction=self.reduction, **far)


class TripletMarginWithDistanceLoss(Configured):
    """``loss = max(0, margin + d(anchor, positive) - d(anchor, negative))`` with `distance_function` as `d`, reduced.

    `swap`: the negative's distance is the smaller of those to the anchor and to the positive.

    Family: F.triplet_margin_with_distance_loss

    >>> city_block = lambda x, y: (x - y).abs().sum(-1)
    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=city_block)
    >>> loss(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 1.2]]))
    tensor(0.8000)
    """

    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"
    _shown = ()
    _keyword_only = True

    def _check_fields(self) -> None:
        if self.margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {self.margin} instead")
        if self.distance_function is None:
            del self.distance_function
            self.distance_function = PairwiseDistance()

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        far: dict[str, Any] = {"margin": self.margin, "swap": self.swap, "distance_function": self.distance_function}
        return F.triplet_margin_with_distance_loss(anchor, positive, negative, reduction=self.reduction, **far)


class CTCLoss(Configured):
    """``loss[n] = -log(sum(prod(exp(log_probs[t, n, a[t]]), t), a))`` over all paths `a` that give the n-th target once blanks
    and repetitions are removed; the mean is over losses divided by the target lengths.

    `zero_infinity` gives 0 where no path is long enough.

    Family: F.ctc_loss

    >>> log_probs = torch.full((4, 1, 3), 1 / 3).log()  # 4 steps, 1 sequence, blank and two labels
    >>> torch.nn.CTCLoss()(log_probs, torch.tensor([[1, 2]]), (4,), (2,))
    tensor(0.8432)
    """

    blank: int = 0
    reduction: str = "mean"
    zero_infinity: bool = False
    _shown = ()

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths) -> Tensor:
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity)


class NLLLoss2d(NLLLoss):
    """The old name of `NLLLoss`: ``loss[n] = -weight[target[n]] * input[n, target[n]]``, with a warning.

    Shapes: `input` (N, C, H, W), `target` (N, H, W) -> (), or the shape of `target` if `reduction` is "none".
    Raises: IndexError for a target that is not a class; ValueError if the batches differ.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     loss = nn.NLLLoss2d()
    >>> isinstance(loss, nn.NLLLoss)
    True
    """

    def _check_fields(self) -> None:
        warnings.warn(
            "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement and see "
            "https://pytorch.org/docs/main/nn.html#torch.nn.NLLLoss for more details.",
            FutureWarning,
            stacklevel=3,
        )
        super()._check_fields()
