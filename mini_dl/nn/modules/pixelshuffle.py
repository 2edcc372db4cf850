"""Turning channels into pixels, pixels into channels, and reordering channels."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class PixelShuffle(Configured):
    """(*, C r^2, H, W) -> (*, C, H r, W r) (Shi et al. 2016)

    >>> import mini_dl as torch
    >>> torch.nn.PixelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1, 1))
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """

    upscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Configured):
    """(*, C, H r, W r) -> (*, C r^2, H, W)

    >>> import mini_dl as torch
    >>> torch.nn.PixelUnshuffle(2)(torch.ones(1, 3, 4, 6)).shape
    torch.Size([1, 12, 2, 3])
    """

    downscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(Configured):
    """(*, C, H, W) with the channels read as (groups, C / groups) and transposed (Zhang et al. 2017).

    >>> import mini_dl as torch
    >>> torch.nn.ChannelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    groups: int

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)
