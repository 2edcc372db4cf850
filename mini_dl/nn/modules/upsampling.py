"""Resampling to another size."""

from __future__ import annotations

from typing import Any

from mini_dl.nn import functional as F
from mini_dl.nn._types import Floats, Ints
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class Upsample(Configured):
    """``out[i] = sum(w[i, j] * input[j], j)`` along each dimension, as `interpolate` computes it, to `size` or by `scale_factor`.

    Shapes: (N, C, *in) -> (N, C, *size), of one to three dimensions, or `scale_factor` times those of the input.
    Raises: ValueError unless exactly one of `size` and `scale_factor` is givenwith the right length; NotImplementedError for a
    mode of another dimension.

    >>> torch.nn.Upsample(scale_factor=2, mode="linear")(torch.tensor([[[0.0, 4.0]]]))
    tensor([[[0., 1., 3., 4.]]])
    """

    size: Ints | None = None
    scale_factor: Floats | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def _check_fields(self) -> None:
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
    """``out[n, c, i, j] = input[n, c, floor(i * H / M), floor(j * W / K)]``: `Upsample` with mode "nearest".

    Shapes: (N, C, H, W) -> (N, C, M, K), the sizes `size` or `scale_factor` times (H, W).
    Raises: ValueError unless exactly one of `size` and `scale_factor` is given.

    >>> torch.nn.UpsamplingNearest2d(scale_factor=2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(self, size: Ints | None = None, scale_factor: Floats | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """``out[i] = (1 - t) * input[j] + t * input[j + 1]`` along both dimensions, with ``j + t = i * (L - 1) / (M - 1)``, aligning
    corners.

    Shapes: (N, C, H, W) -> (N, C, *size), or `scale_factor` times (H, W).
    Raises: ValueError unless exactly one of `size` and `scale_factor` is given; NotImplementedError for other numbers of
    dimensions.

    >>> torch.nn.UpsamplingBilinear2d(size=(1, 3))(torch.tensor([[[[0.0, 4.0]]]]))
    tensor([[[[0., 2., 4.]]]])
    """

    def __init__(self, size: Ints | None = None, scale_factor: Floats | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
