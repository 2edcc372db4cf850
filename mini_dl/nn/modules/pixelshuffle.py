"""Turning channels into pixels, pixels into channels, and reordering channels."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class PixelShuffle(Configured):
    """``out[c, y * r + i, x * r + j] = input[c * r ** 2 + i * r + j, y, x]`` with r the `upscale_factor`: channels become pixels.

    Family: F.pixel_shuffle

    >>> torch.nn.PixelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1, 1))
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """

    upscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Configured):
    """``out[c * r ** 2 + i * r + j, y, x] = input[c, y * r + i, x * r + j]`` with r the `downscale_factor`: pixels become
    channels.

    Family: F.pixel_unshuffle

    >>> torch.nn.PixelUnshuffle(2)(torch.ones(1, 3, 4, 6)).shape
    torch.Size([1, 12, 2, 3])
    """

    downscale_factor: int

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(Configured):
    """``out[n, i * groups + g] = input[n, g * C / groups + i]``: the channels as a matrix of `groups` rows, transposed.

    Family: F.channel_shuffle

    >>> torch.nn.ChannelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    groups: int

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)
