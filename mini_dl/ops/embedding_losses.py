"""Losses of pairs and triplets of vectors."""

from __future__ import annotations

from collections.abc import Callable

from mini_dl._surface import public
from mini_dl.autograd.memory import filled_in
from mini_dl.ops.choice import where
from mini_dl.ops.distance import pairwise_distance
from mini_dl.ops.loss_reduction import checked_reduction, reduced_loss
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ pairs and triplets


@public("nn.functional")
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = input if target == 1 else max(0, margin - input)`` for targets 1 and -1, reduced.

    Family: loss

    >>> F.hinge_embedding_loss(torch.tensor([0.3, 0.4]), torch.tensor([1, -1]), reduction="none")
    tensor([0.3000, 0.6000])
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    apart, together = (margin - input).clamp_min(0), input  # selected, not multiplied: either may be infinite
    return reduced_loss(where(target != 1, apart, 0.0) + where(target != -1, together, 0.0), reduction)


@public("nn.functional")
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = max(0, margin - target * (input1 - input2))``: 0 where `input1` is larger by `margin` (smaller for a `target` of
    -1).

    Shapes: `input1`, `input2` and `target` (N) -> (), or (N) if `reduction` is "none".
    Raises: RuntimeError for different numbers of dimensions or sizes that do not broadcast; ValueError for an unknown
    `reduction`.

    >>> F.margin_ranking_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0]), torch.tensor([1, 1]), reduction="none")
    tensor([0., 1.])
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced_loss(filled_in((-target * (input1 - input2) + float(margin)).clamp_min(0)), reduction)


@public("nn.functional")
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = 1 - c if target == 1 else max(0, c - margin)`` with ``c = input1 @ input2 / (norm(input1) * norm(input2))``,
    reduced.

    Shapes: `input1` and `input2` (N, D), `target` (N); or (D) and () -> (), or the shape of `target` if `reduction` is "none".
    Raises: RuntimeError if the shapes do not match; ValueError for an unknown `reduction`.

    >>> F.cosine_embedding_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]), torch.tensor([1]))
    tensor(0.2929)
    """
    reduction = checked_reduction(reduction, size_average, reduce)
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
    loss = (1 - cosine) * (target == 1) + (cosine - margin).clamp_min(0) * (target == -1)
    return reduced_loss(loss, reduction)


def _triplets(
    anchor: Tensor, positive: Tensor, negative: Tensor, distance: Callable[[Tensor, Tensor], Tensor], margin: float, swap: bool,
    reduction: str,
) -> Tensor:  # fmt: skip
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
    return reduced_loss((margin + near - far).clamp_min(0), reduction)


@public("nn.functional")
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = max(0, margin + d(anchor, positive) - d(anchor, negative))`` with the distance `d` of `pairwise_distance`,
    reduced.

    `swap`: the negative's distance is the smaller of those to the anchor and to the positive.

    Shapes: `anchor`, `positive` and `negative` (N, D) or (D) -> (), or (N) or () if `reduction` is "none".
    Raises: ValueError unless `margin` is positive, and for an unknown `reduction`; RuntimeError for different numbers of
    dimensions.
    Source: Balntas et al., Learning local feature descriptors with triplets and shallow convolutional neural networks, 2016.

    >>> anchor, near, far = torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 2.0]])
    >>> F.triplet_margin_loss(anchor, near, far)
    tensor(0.1781)
    """
    reduction = checked_reduction(reduction, size_average, reduce)
    return _triplets(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


@public("nn.functional")
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``loss = max(0, margin + d(anchor, positive) - d(anchor, negative))`` with `distance_function` as `d`, reduced.

    `swap`: the negative's distance is the smaller of those to the anchor and to the positive.

    Shapes: three tensors of one shape -> (), or that of `d` if `reduction` is "none".
    Raises: ValueError unless `margin` is positive, and for an unknown `reduction`; RuntimeError for different numbers of
    dimensions.
    Source: Balntas et al., Learning local feature descriptors with triplets and shallow convolutional neural networks, 2016.

    >>> anchor, near, far = torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 1.2]])
    >>> F.triplet_margin_with_distance_loss(anchor, near, far, distance_function=lambda x, y: (x - y).abs().sum(-1))
    tensor(0.8000)
    """
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplets(anchor, positive, negative, distance, margin, swap, checked_reduction(reduction))
