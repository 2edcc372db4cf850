"""Convolutional networks for small images: convolutions with pooling, then affine layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mini_dl import nn
from mini_dl.models.mlp import Rule, fill_weights


class ConvNet(nn.Sequential):
    """For each convolution: it, ReLU, the maximum of 2 x 2; then affine layers with ReLU between.

    (N, *input_shape) -> (N, output_size), scores; `input_shape` is (channels, height, width), a convolution (filters, their side,
    padding, stride). `weight_init`: see `fill_weights`. ValueError where the image is too small for the filters and poolings.

    >>> import mini_dl as torch
    >>> from mini_dl.models import ConvNet
    >>> model = ConvNet((1, 8, 8), [(4, 3, 1, 1), (8, 3, 1, 1)], [16], 10)
    >>> model(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, input_shape: Sequence[int], convolutions: Sequence[tuple[int, int, int, int]], hidden_sizes: Sequence[int],
        output_size: int, weight_init: Rule = "he",
    ) -> None:  # fmt: skip
        super().__init__()
        channels, height, width = input_shape
        for i, (filters, side, padding, stride) in enumerate(convolutions, 1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, filters, side, stride, padding))
            self.add_module(f"relu{i}", nn.ReLU())
            self.add_module(f"pool{i}", nn.MaxPool2d(2))
            channels = filters
            height, width = (((n + 2 * padding - side) // stride + 1) // 2 for n in (height, width))
            if height < 1 or width < 1:
                raise ValueError(f"nothing is left of an image of {tuple(input_shape)} after pooling {i}")
        self.add_module("flatten", nn.Flatten())
        sizes = [channels * height * width, *hidden_sizes]
        for i, (inputs, outputs) in enumerate(pairwise(sizes), 1):
            self.add_module(f"affine{i}", nn.Linear(inputs, outputs))
            self.add_module(f"relu{len(convolutions) + i}", nn.ReLU())
        self.add_module(f"affine{len(sizes)}", nn.Linear(sizes[-1], output_size))
        fill_weights(self, weight_init)


class SimpleConvNet(ConvNet):
    """Convolution, ReLU, the maximum of 2 x 2, affine, ReLU, affine. (N, *input_shape) -> (N, output_size), scores.

    >>> import mini_dl as torch
    >>> from mini_dl.models import SimpleConvNet
    >>> model = SimpleConvNet()
    >>> {name: tuple(p.shape) for name, p in model.named_parameters() if p.ndim > 1}
    {'conv1.weight': (30, 1, 5, 5), 'affine1.weight': (100, 4320), 'affine2.weight': (10, 100)}
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 28, 28),
        filters: int = 30,
        kernel_size: int = 5,
        padding: int = 0,
        stride: int = 1,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init: Rule = 0.01,
    ) -> None:
        super().__init__(input_shape, [(filters, kernel_size, padding, stride)], [hidden_size], output_size, weight_init)


class LeNet(ConvNet):
    """LeNet-5 as it is written today: ReLU and maxima where it had sigmoids and trained means, and all maps connected.

    (N, in_channels, side, side) -> (N, num_classes), scores. The first convolution pads by 2, as the digits of 28 x 28 pixels
    were framed to 32 x 32. ValueError for sides below 12.

    Source: LeCun, Bottou, Bengio and Haffner (1998), Gradient-Based Learning Applied to Document Recognition, section II.B.

    >>> from mini_dl.models import LeNet
    >>> sum(p.numel() for p in LeNet().parameters())
    61706
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, side: int = 28, weight_init: Rule = "he") -> None:
        super().__init__((in_channels, side, side), [(6, 5, 2, 1), (16, 5, 0, 1)], [120, 84], num_classes, weight_init)
