"""Reduction of losses: none, mean or sum, and the deprecated flags."""

from __future__ import annotations

import warnings

from mini_dl._checks import broadcast_shapes, level_of_user
from mini_dl.autograd.mode import mode
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ reduction


def without_gradient(name: str, **arguments: Tensor | None) -> None:
    """RuntimeError if one of the `arguments`, for which the loss has no derivative, requires grad."""
    for argument, value in arguments.items():
        if isinstance(value, Tensor) and mode.enabled and value.requires_grad:
            raise RuntimeError(
                f"The function '{name}' is not differentiable with respect to argument '{argument}'. This input cannot have "
                "requires_grad True."
            )


def checked_reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction meant by these arguments, two of them deprecated. ValueError if there is no such reduction."""
    if size_average is not None or reduce is not None:
        average = size_average is None or size_average
        reduction = "none" if reduce is not None and not reduce else "mean" if average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=level_of_user(),
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced_loss(loss: Tensor, reduction: str) -> Tensor:
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _weighted(loss: Tensor, weight: Tensor, input: Tensor, reduction: str, weighted_mean: bool) -> Tensor:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" and weighted_mean else reduced_loss(loss, reduction)


def _warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to "
            "incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=level_of_user(),
        )
        broadcast_shapes(input.shape, target.shape)
