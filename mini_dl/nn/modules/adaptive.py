"""Softmax over many classes, most of them rare: rare classes are in clusters with smaller projections (Grave et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mini_dl.nn import functional as F
from mini_dl.nn._types import Device, DType
from mini_dl.nn.modules.container import ModuleList, Sequential
from mini_dl.nn.modules.linear import Linear
from mini_dl.nn.modules.module import Module
from mini_dl.ops.joining import cat
from mini_dl.tensor import Tensor, wrap


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """``output[n] = log(head[n, cluster]) + log(tail[n, target[n]])``, and ``loss = -mean(output)``: a softmax over many classes
    in clusters.

    Classes below ``cutoffs[0]`` are in the head; cluster i holds those up to ``cutoffs[i + 1]`` and has
    ``in_features // div_value ** (i + 1)`` hidden features.

    Shapes: `input_` (N, in_features), `target_` (N) -> output (N), loss (); also without N.
    Raises: ValueError unless the cutoffs rise from above 0 to below `n_classes`; RuntimeError for a target that is not a class.
    Source: Grave et al., Efficient softmax approximation for GPUs, 2017, section 4.

    >>> loss = torch.nn.AdaptiveLogSoftmaxWithLoss(32, 100, cutoffs=[10, 50])
    >>> loss.log_prob(torch.ones(3, 32)).shape
    torch.Size([3, 100])
    >>> loss(torch.ones(3, 32), torch.tensor([0, 20, 99])).output.shape
    torch.Size([3])
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0, head_bias: bool = False,
        device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        if len(cutoffs) == 0:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        rising = all([a < b for a, b in pairwise(cutoffs)])
        if not rising or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1 or any([int(c) != c for c in cutoffs]):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
                "between 1 and n_classes-1"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden, size = int(in_features // div_value ** (i + 1)), self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, hidden, bias=False, device=device, dtype=dtype),
                    Linear(hidden, size, bias=False, device=device, dtype=dtype),
                )
            )

    def reset_parameters(self) -> None:
        """Redraw all parameters."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        if target_.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target_.ndim == 1 and input_.shape[0] != target_.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input_.ndim != target_.ndim + 1:
            n = target_.ndim
            raise RuntimeError(f"{n}D target tensor expects {n + 1}D input tensors, but found inputs with size {input_.shape}")
        batched = target_.ndim > 0
        input, classes = input_ if batched else input_.unsqueeze(0), np.atleast_1d(target_._array)
        if classes.size and not (classes.min() >= 0 and classes.max() < self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{classes.min()}, {classes.max()}] "
                "were found. "
            )
        cluster = np.searchsorted(self.cutoffs, classes, side="right") - 1  # -1: in the head
        in_head = wrap(np.where(cluster < 0, classes, self.shortlist_size + cluster)[:, None])
        output = F.log_softmax(self.head(input), dim=1).gather(1, in_head).squeeze(1)
        for i in range(self.n_clusters):
            rows = wrap(np.flatnonzero(cluster == i))
            if rows._array.size:
                within = wrap(classes[rows._array][:, None] - self.cutoffs[i])
                chosen = F.log_softmax(self.tail[i](input.index_select(0, rows)), dim=1).gather(1, within)
                output = output.index_add(0, rows, chosen.squeeze(1))
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes: (N, in_features) -> (N, n_classes)"""
        head = F.log_softmax(self.head(input), dim=1)
        clusters = [
            F.log_softmax(tail(input), dim=1) + head[:, self.shortlist_size + i].unsqueeze(1) for i, tail in enumerate(self.tail)
        ]
        return cat([head[:, : self.shortlist_size], *clusters], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class, (N); the head determines whether a cluster is searched."""
        best = self.head(input).argmax(1)
        rows = np.flatnonzero(best._array >= self.shortlist_size)
        if rows.size:
            best._array[rows] = self.log_prob(input.index_select(0, wrap(rows))).argmax(1)._array
        return best
