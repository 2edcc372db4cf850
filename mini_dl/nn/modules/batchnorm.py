"""Batch normalization, and what it shares with instance normalization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from mini_dl import _dtypes
from mini_dl.nn import functional as F, init
from mini_dl.nn._types import Device, DType, StateDict
from mini_dl.nn.modules.lazy import LazyLayer
from mini_dl.nn.modules.module import Module
from mini_dl.nn.modules.weighted import Scaled
from mini_dl.nn.parameter import UninitializedBuffer, empty
from mini_dl.tensor import Tensor


class _NormBase(Scaled):
    """Scale and shift of each feature, and running means of its mean and variance."""

    _version = 2
    _ranks: ClassVar[tuple[int, ...]]
    """The allowed numbers of input dimensions."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Device = None, dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, empty(num_features, device=device, dtype=dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", empty(device=device, dtype=_dtypes.int64) if track_running_stats else None)
        weight = (num_features,) if affine else None
        self._make_weight_and_bias(weight, weight if bias else None, device, dtype)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.constant_(self.num_batches_tracked, 0)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, and the initial running statistics."""
        self.reset_running_stats()
        if self.affine:
            super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self._ranks:
            expected = " or ".join([f"{n}D" for n in self._ranks])
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict: StateDict, prefix: str, local_metadata: StateDict, *rest: Any) -> None:
        """State of version 1 has no batch count: keep the current one."""
        key = prefix + "num_batches_tracked"
        if (local_metadata.get("version") or 0) < 2 and self.track_running_stats and key not in state_dict:
            state_dict[key] = self.num_batches_tracked.detach().clone()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class _BatchNorm(_NormBase):
    def _momentum_of_step(self) -> float:
        """The weight of the next batch in the running statistics; increments the batch count."""
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean over all batches
                factor = 1.0 / float(self.num_batches_tracked)
        return factor

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        factor = self._momentum_of_step()
        keep = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if keep else (None, None)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        return F.batch_norm(input, mean, var, *self._weight_and_bias(), by_batch, factor, self.eps)


class BatchNorm1d(_BatchNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel, `weight` and `bias` learned if `affine`.

    Training uses the mean and biased variance of the batch, and moves running ones toward them by `momentum` (without
    `momentum`, they are the mean over all batches); evaluation uses the running ones if `track_running_stats`.

    Family: batch norm 1d

    >>> torch.nn.BatchNorm1d(2)(torch.tensor([[1.0, 10.0], [3.0, 30.0]])).detach()
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel, `weight` and `bias` learned if `affine`.

    Training uses the mean and biased variance of the batch, and moves running ones toward them by `momentum` (without
    `momentum`, they are the mean over all batches); evaluation uses the running ones if `track_running_stats`.

    Family: batch norm 2d

    >>> norm = torch.nn.BatchNorm2d(3)
    >>> norm(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    >>> norm.running_mean
    tensor([0.1000, 0.1000, 0.1000])
    """

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel, `weight` and `bias` learned if `affine`.

    Training uses the mean and biased variance of the batch, and moves running ones toward them by `momentum` (without
    `momentum`, they are the mean over all batches); evaluation uses the running ones if `track_running_stats`.

    Family: batch norm 3d

    >>> torch.nn.BatchNorm3d(3)(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _ranks = (5,)


over_processes: Callable[[Any, Tensor], Tensor | None] | None = None
"""Normalizes a batch spread over several processes; set when ``torch.distributed`` is used."""


class SyncBatchNorm(_BatchNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias``: over the samples of all processes of `process_group`.

    With one process, over its batch.

    Shapes: (N, C, *) -> (N, C, *).
    Raises: ValueError for fewer than two dimensions, or no channels.
    Source: Ioffe and Szegedy, Batch normalization, 2015, section 3.

    >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(4))
    >>> torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)
    Sequential(
      (0): SyncBatchNorm(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    )
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, process_group: object = None, device: Device = None, dtype: DType = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")
        if input.shape[1] == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    def forward(self, input: Tensor) -> Tensor:
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        if over_processes is None or not by_batch:
            return super().forward(input)
        self._check_input_dim(input)
        output = over_processes(self, input)
        return super().forward(input) if output is None else output

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: object = None) -> Module:
        """`module` with every batch norm in it replaced by one of this class with the same tensors."""
        converted = module
        if isinstance(module, _BatchNorm):
            options = (module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
            converted = cls(*options, process_group, bias=module.bias is not None)
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(converted, name, getattr(module, name))
            converted.training = module.training
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted


# ------------------------------------------------------------------------------------------------ lazy


class _LazyNormBase(LazyLayer, _NormBase):
    """Takes the number of features from the first input."""

    _inferred = "num_features"

    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Device = None, dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine, self.track_running_stats = affine, track_running_stats
        self._make_lazy(affine, affine and bias, device, dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = init.constant_(empty(device=device, dtype=_dtypes.int64), 0)

    def initialize_parameters(self, input: Tensor) -> None:
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
                if tensor is not None:
                    tensor.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm1d` whose ``num_features = input.shape[1]`` is taken from its first input.

    Family: batch norm 1d

    >>> norm = nn.LazyBatchNorm1d()
    >>> norm(torch.ones(2, 5, 4)).shape, norm.num_features
    (torch.Size([2, 5, 4]), 5)
    """

    _ranks, cls_to_become = BatchNorm1d._ranks, BatchNorm1d


class LazyBatchNorm2d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm2d` whose ``num_features = input.shape[1]`` is taken from its first input.

    Family: batch norm 2d

    >>> norm = nn.LazyBatchNorm2d()
    >>> norm(torch.ones(2, 5, 4, 4)).shape, norm.num_features
    (torch.Size([2, 5, 4, 4]), 5)
    """

    _ranks, cls_to_become = BatchNorm2d._ranks, BatchNorm2d


class LazyBatchNorm3d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm3d` whose ``num_features = input.shape[1]`` is taken from its first input.

    Family: batch norm 3d

    >>> norm = nn.LazyBatchNorm3d()
    >>> norm(torch.ones(2, 5, 4, 4, 4)).shape, norm.num_features
    (torch.Size([2, 5, 4, 4, 4]), 5)
    """

    _ranks, cls_to_become = BatchNorm3d._ranks, BatchNorm3d
