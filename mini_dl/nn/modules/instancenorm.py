"""Instance normalization: each channel of each sample separately."""

from __future__ import annotations

import warnings
from typing import Any

from mini_dl.nn import functional as F
from mini_dl.nn._types import Device, DType, StateDict
from mini_dl.nn.modules.batchnorm import _LazyNormBase, _NormBase
from mini_dl.tensor import Tensor


class _InstanceNorm(_NormBase):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Device = None, dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        unbatched = self._ranks[0]
        at = input.ndim - unbatched
        if input.shape[at] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={at} to match num_features ({self.num_features}), but got: {input.shape[at]}."
                )
            warnings.warn(
                f"input's size at dim={at} does not match num_features. You can silence this warning by not passing in "
                "num_features, which is not used because affine=False",
                stacklevel=2,
            )
        if input.ndim == unbatched:
            return self._normalize_instances(input.unsqueeze(0)).squeeze(0)
        return self._normalize_instances(input)

    def _normalize_instances(self, input: Tensor) -> Tensor:
        by_input = self.training or not self.track_running_stats
        factor = 0.0 if self.momentum is None else self.momentum
        statistics = (self.running_mean, self.running_var)
        return F.instance_norm(input, *statistics, self.weight, self.bias, by_input, factor, self.eps)

    def _load_from_state_dict(self, state_dict: StateDict, prefix: str, local_metadata: StateDict, *rest: Any) -> None:
        """State without a version may contain running statistics that this module does not use."""
        if local_metadata.get("version") is None and not self.track_running_stats:
            keys = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
            if keys:
                name, listed = type(self).__name__, " and ".join([f'"{key}"' for key in keys])
                rest[-1].append(
                    f"Unexpected running stats buffer(s) {listed} for {name} with track_running_stats=False. If state_dict is a "
                    f"checkpoint saved before 0.4.0, this may be expected because {name} does not track running stats by default "
                    "since 0.4.0. Please remove these keys from state_dict. If the running stats are actually needed, instead "
                    f"set track_running_stats=True in {name} to enable them. See the documentation of {name} for details."
                )
                for key in keys:
                    state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class InstanceNorm1d(_InstanceNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel of each sample.

    `weight` and `bias` are learned if `affine`. With `track_running_stats`, evaluation uses running statistics, as in
    batch norm.

    Family: instance norm 1d

    >>> torch.nn.InstanceNorm1d(2)(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """

    _ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel of each sample.

    `weight` and `bias` are learned if `affine`. With `track_running_stats`, evaluation uses running statistics, as in
    batch norm.

    Family: instance norm 2d

    >>> torch.nn.InstanceNorm2d(3, affine=True)(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` for each channel of each sample.

    `weight` and `bias` are learned if `affine`. With `track_running_stats`, evaluation uses running statistics, as in
    batch norm.

    Family: instance norm 3d

    >>> torch.nn.InstanceNorm3d(3)
    InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)
    """

    _ranks = (4, 5)


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """An `InstanceNorm1d` whose ``num_features = input.shape[1]`` is taken from its first input.

    Family: instance norm 1d

    >>> norm = torch.nn.LazyInstanceNorm1d()
    >>> norm(torch.ones(2, 5, 4)).shape, norm.num_features
    (torch.Size([2, 5, 4]), 5)
    """

    _ranks, cls_to_become = InstanceNorm1d._ranks, InstanceNorm1d


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """An `InstanceNorm2d` whose ``num_features = input.shape[1]`` is taken from its first input.

    Family: instance norm 2d

    >>> norm = torch.nn.LazyInstanceNorm2d()
    >>> norm(torch.ones(2, 5, 4, 4)).shape, norm.num_features
    (torch.Size([2, 5, 4, 4]), 5)
    """

    _ranks, cls_to_become = InstanceNorm2d._ranks, InstanceNorm2d


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """An `InstanceNorm3d` whose ``num_features = input.shape[1]`` is taken from its first input.

    Family: instance norm 3d

    >>> norm = torch.nn.LazyInstanceNorm3d()
    >>> norm(torch.ones(2, 5, 4, 4, 4)).shape, norm.num_features
    (torch.Size([2, 5, 4, 4, 4]), 5)
    """

    _ranks, cls_to_become = InstanceNorm3d._ranks, InstanceNorm3d
