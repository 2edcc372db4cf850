"""Residual networks for small images, and their plain twins: the 6n + 2 layers of section 4.2 of He et al. (2015)."""

from __future__ import annotations

from functools import partial
from typing import Any

from mini_dl import Tensor, nn
from mini_dl.models.resnet import BasicBlock, Norm, conv3x3, initialize, projection


class PlainBlock(BasicBlock):
    """A `BasicBlock` without its shortcut: y = relu(F(x))."""

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x))


class PaddedShortcut(nn.Module):
    """Every `stride`-th pixel, and zeros for the new channels: a shortcut without parameters (section 3.3, option A).

    (N, C, H, W) -> (N, C + extra, H / stride, W / stride).

    >>> import mini_dl as torch
    >>> from mini_dl.models import PaddedShortcut
    >>> PaddedShortcut(extra=1, stride=2)(torch.arange(9.0).reshape(1, 1, 3, 3))
    tensor([[[[0., 2.],
              [6., 8.]],
    <BLANKLINE>
             [[0., 0.],
              [0., 0.]]]])
    """

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))

    def extra_repr(self) -> str:
        return f"extra={self.extra}, stride={self.stride}"


class CifarResNet(nn.Module):
    """6n + 2 layers: a 3 x 3 convolution, three stages of n blocks (16, 32, 64 channels), the mean of all pixels, a linear layer.

    (N, in_channels, H, W) -> (N, num_classes); height and width are halved twice.

    - residual: with shortcuts; the plain twin (False) has the same parameters and none.
    - shortcut: "A", zeros for new channels, as in the paper, or "B", projections. ValueError if it is neither.
    - norm_layer: a factory that takes the number of channels, `BatchNorm2d` if None. ``nn.Identity`` omits the normalization.

    Names are those of `ResNet`, and so are the initial values.

    >>> import mini_dl as torch
    >>> from mini_dl.models import CifarResNet
    >>> model = CifarResNet(1, in_channels=1)
    >>> model(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    >>> plain = CifarResNet(1, residual=False, in_channels=1)
    >>> list(plain.state_dict()) == list(model.state_dict())
    True
    """

    def __init__(
        self,
        n: int,
        residual: bool = True,
        shortcut: str = "A",
        num_classes: int = 10,
        in_channels: int = 3,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if shortcut not in ("A", "B"):
            raise ValueError(f"shortcut should be 'A' or 'B', got {shortcut!r}")
        if n < 1:
            raise ValueError(f"n should be at least 1, got {n}")
        norm = norm_layer or nn.BatchNorm2d
        block = partial(BasicBlock if residual else PlainBlock, norm_layer=norm)
        self.conv1 = conv3x3(in_channels, 16)
        self.bn1 = norm(16)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(*[block(16, 16) for _ in range(n)])
        for i, planes in ((2, 32), (3, 64)):
            before, change = planes // 2, None
            if residual:
                change = PaddedShortcut(planes - before, 2) if shortcut == "A" else projection(before, planes, 2, norm)
            first = block(before, planes, 2, change)
            self.add_module(f"layer{i}", nn.Sequential(first, *[block(planes, planes) for _ in range(1, n)]))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(64, num_classes)
        initialize(self.modules())

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def cifar_resnet(n: int, residual: bool = True, **options: Any) -> CifarResNet:
    """The network of 6n + 2 layers, or its plain twin; `options` are those of `CifarResNet`.

    >>> from mini_dl.models import cifar_resnet
    >>> residual, plain = cifar_resnet(3), cifar_resnet(3, residual=False)
    >>> [sum(p.numel() for p in model.parameters()) for model in (residual, plain)]
    [269722, 269722]
    """
    return CifarResNet(n, residual, **options)


def resnet20(**options: Any) -> CifarResNet:
    """n = 3: 20 layers, 0.27 million parameters. See `cifar_resnet`."""
    return CifarResNet(3, **options)


def resnet32(**options: Any) -> CifarResNet:
    """n = 5: 32 layers, 0.46 million parameters. See `cifar_resnet`."""
    return CifarResNet(5, **options)


def resnet44(**options: Any) -> CifarResNet:
    """n = 7: 44 layers, 0.66 million parameters. See `cifar_resnet`."""
    return CifarResNet(7, **options)


def resnet56(**options: Any) -> CifarResNet:
    """n = 9: 56 layers, 0.85 million parameters. See `cifar_resnet`."""
    return CifarResNet(9, **options)


def resnet110(**options: Any) -> CifarResNet:
    """n = 18: 110 layers, 1.7 million parameters. See `cifar_resnet`."""
    return CifarResNet(18, **options)
