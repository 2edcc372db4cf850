"""Resampling to another size."""

from __future__ import annotations

from typing import Any

from mini_dl.nn import functional as F
from mini_dl.nn._types import Floats, Ints
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class Upsample(Configured):
    """``interpolate`` to `size`, or by `scale_factor`.

    >>> import mini_dl as torch
    >>> torch.nn.Upsample(scale_factor=2, mode="linear")(torch.tensor([[[0.0, 4.0]]]))
    tensor([[[0., 1., 3., 4.]]])
    """

    size: Ints | None = None
    scale_factor: Floats | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def configured(self) -> None:
        self.name = type(self).__name__
        factors: Any = self.scale_factor
        if isinstance(factors, tuple):
            self.scale_factor = tuple([float(factor) for factor in factors])
        else:
            self.scale_factor = float(factors) if factors else None

    def forward(self, input: Tensor) -> Tensor:
        again = self.recompute_scale_factor
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners, recompute_scale_factor=again)

    def extra_repr(self) -> str:
        given = "size" if self.scale_factor is None else "scale_factor"
        return f"{given}={getattr(self, given)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest".

    >>> import mini_dl as torch
    >>> torch.nn.UpsamplingNearest2d(scale_factor=2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(self, size: Ints | None = None, scale_factor: Floats | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and aligned corners.

    >>> import mini_dl as torch
    >>> torch.nn.UpsamplingBilinear2d(size=(1, 3))(torch.tensor([[[[0.0, 4.0]]]]))
    tensor([[[[0., 2., 4.]]]])
    """

    def __init__(self, size: Ints | None = None, scale_factor: Floats | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
