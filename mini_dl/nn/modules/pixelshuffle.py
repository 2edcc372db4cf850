"""Turning channels into pixels, pixels into channels, and reordering channels."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class PixelShuffle(Configured):
    """(*, C r^2, H, W) -> (*, C, H r, W r) (Shi et al. 2016)"""

    upscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Configured):
    """(*, C, H r, W r) -> (*, C r^2, H, W)"""

    downscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(Configured):
    """(*, C, H, W) with the channels read as (groups, C / groups) and transposed (Zhang et al. 2017)."""

    groups: int

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)
