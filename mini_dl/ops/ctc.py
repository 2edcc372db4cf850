"""Connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_dl._checks import int_list
from mini_dl._dtypes import Array
from mini_dl._surface import public
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.primitive import op
from mini_dl.kernels.losses import ctc_paths, ctc_slopes
from mini_dl.ops.arithmetic import underivable
from mini_dl.ops.loss_reduction import checked_reduction
from mini_dl.tensor import Tensor, wrap

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


@op(grad=lambda grad: underivable("_ctc_loss_backward"), log_probs=lambda grad: underivable("_ctc_loss_backward"))
def _ctc_backward(
    grad: Array, log_probs: Array, losses: Array, alpha: Array, extended: Array, input_lengths: Array, target_lengths: Array,
    blank: int, zero_infinity: bool,
) -> Array:  # fmt: skip
    """``exp(log_probs) - occupancy``, which assumes that `log_probs` is a log-softmax and is the gradient of its input
    (Graves et al., 2006, eq. 16); beta is alpha of the reversed problem."""
    return ctc_slopes(grad, log_probs, losses, alpha, extended, input_lengths, target_lengths, blank, zero_infinity)


def _lengths(lengths: Tensor | Sequence[int], name: str, batch: int) -> Array:
    if not isinstance(lengths, Tensor):
        int_list(lengths, f"ctc_loss(): argument '{name}'")
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
@by_element
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Tensor | Sequence[int], target_lengths: Tensor | Sequence[int],
    blank: int = 0, reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """``loss[n] = -log(sum(prod(exp(log_probs[t, n, a[t]]), t), a))`` over all paths `a` that give the n-th target once blanks
    and repetitions are removed; the mean is over losses divided by the target lengths.

    `zero_infinity` gives 0 where no path is long enough. As in torch, the gradient is valid for `log_probs` from a log-softmax,
    and has no derivative.

    Shapes: `log_probs` (T, N, C) or (T, C), `targets` (N, S) or all in one row, lengths (N) -> (), or (N) if `reduction` is
    "none".
    Raises: RuntimeError for a `blank` that is not a class, or lengths that do not fit; ValueError for an unknown `reduction`.
    Source: Graves et al., Connectionist temporal classification, 2006, section 4.

    >>> log_probs = torch.full((4, 1, 3), 1 / 3).log()  # 4 steps, 1 sequence, blank and two labels
    >>> F.ctc_loss(log_probs, torch.tensor([[1, 2]]), (4,), (2,))
    tensor(0.8432)
    """
    reduction = checked_reduction(reduction)
    batched = log_probs.ndim == 3
    log_probs = log_probs if batched else log_probs.unsqueeze(1)
    if log_probs.ndim != 3:
        raise RuntimeError(f"Expected 3-dimensional tensor, but got {log_probs.ndim}-dimensional tensor for 'log_probs'")
    if targets.ndim not in (1, 2):
        raise RuntimeError(f"Expected 1 to 2 dimensions, but got {targets.ndim}-dimensional tensor for argument #2 'targets'")
    if isinstance(input_lengths, Tensor) is not isinstance(target_lengths, Tensor):
        raise TypeError("ctc_loss(): arguments 'input_lengths' and 'target_lengths' must both be Tensors or both tuples of ints")
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
    for row, labeled in zip(padded, rows):
        row[: len(labeled)] = labeled
    extended = np.full((batch, 2 * longest + 1), blank, np.int64)
    extended[:, 1::2] = padded
    losses = _ctc(log_probs, extended, inputs, labels, blank, zero_infinity)[0]
    if reduction == "mean":
        return (losses / wrap(np.maximum(labels, 1).astype(losses._array.dtype))).mean()
    return losses.sum() if reduction == "sum" else losses if batched else losses.squeeze(0)
