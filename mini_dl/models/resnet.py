"""Residual networks for images of about 224 x 224: ResNet-18, -34, -50, -101 and -152.

He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385. Names, order and
initial values of the parameters are torchvision's, so their state dicts are interchangeable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from mini_dl import Tensor, nn

Norm = Callable[[int], nn.Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps height and width at stride 1; no bias, since a normalization follows."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A linear map of the channels at each pixel, without bias."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class Block(nn.Module):
    """y = relu(F(x) + x): the stacked layers learn the residual F, which is added to the input (section 3.1, equation 1).

    `downsample` maps x to the shape of F(x) where they differ, W_s of equation 2. A subclass defines F as `residual`.
    """

    expansion: ClassVar[int] = 1
    """Channels of the output per plane."""
    downsample: nn.Module | None

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say what its residual is")

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + (x if self.downsample is None else self.downsample(x)))


class BasicBlock(Block):
    """Two 3 x 3 convolutions: F = bn2(conv2(relu(bn1(conv1(x))))), for ResNet-18 and -34 (figure 5, left).

    (N, inplanes, H, W) -> (N, planes, H / stride, W / stride). ValueError for groups or another width than 64,
    NotImplementedError for dilation, as in torchvision.

    >>> import mini_dl as torch
    >>> from mini_dl.models import BasicBlock
    >>> BasicBlock(8, 8)(torch.ones(1, 8, 5, 5)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError(f"BasicBlock only supports groups=1 and base_width=64, got groups={groups}, base_width={base_width}")
        if dilation > 1:
            raise NotImplementedError(f"Dilation > 1 not supported in BasicBlock, got {dilation}")
        norm = norm_layer or nn.BatchNorm2d
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU()
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def residual(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Bottleneck(Block):
    """1 x 1 to few channels, 3 x 3 on these, 1 x 1 to four times as many: for ResNet-50 and deeper (figure 5, right).

    (N, inplanes, H, W) -> (N, 4 planes, H / stride, W / stride). As in torchvision the 3 x 3 convolution has the stride; in the
    paper the first 1 x 1 convolution has it. The 3 x 3 convolution is ``planes * base_width / 64 * groups`` wide: ResNeXt
    (Xie et al. 2017) has 32 groups of 4.

    >>> import mini_dl as torch
    >>> from mini_dl.models import Bottleneck
    >>> Bottleneck(16, 4)(torch.ones(1, 16, 5, 5)).shape
    torch.Size([1, 16, 5, 5])
    """

    expansion = 4

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample
        self.stride = stride

    def residual(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))


def projection(inplanes: int, outplanes: int, stride: int, norm: Norm) -> nn.Sequential:
    """The shortcut between different shapes: a 1 x 1 convolution and a normalization (section 3.3, option B)."""
    return nn.Sequential(conv1x1(inplanes, outplanes, stride), norm(outplanes))


def initialize(modules: Iterable[nn.Module]) -> None:
    """Weights of convolutions from N(0, 2 / fan_out) (https://arxiv.org/abs/1502.01852, section 2.2); identity norms."""
    for module in modules:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


class ResNet(nn.Module):
    """A convolution and a pooling by 2 each, four stages of residual blocks, the mean of all pixels, a linear layer (table 1).

    (N, 3, H, W) -> (N, num_classes). `layers` are the numbers of blocks per stage; a stage has twice the channels of the
    previous one and half its height and width.

    - zero_init_residual: the last normalization of each block starts at 0, so that each block starts as the identity
      (Goyal et al. 2017, section 5.1).
    - groups, width_per_group: of the 3 x 3 convolutions of `Bottleneck`. 32 groups of width 4 make ResNet-50 ResNeXt-50.
    - replace_stride_with_dilation: for each of the last three stages, whether it dilates instead of halving height and width.
      ValueError unless there are three.
    - norm_layer: a factory that takes the number of channels, `BatchNorm2d` if None.

    >>> import mini_dl as torch
    >>> from mini_dl.models import BasicBlock, ResNet
    >>> model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        dilate = (False, False, False) if replace_stride_with_dilation is None else tuple(replace_stride_with_dilation)
        if len(dilate) != 3:
            raise ValueError(f"replace_stride_with_dilation should be None or a 3-element tuple, got {dilate}")
        norm = norm_layer or nn.BatchNorm2d
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

        channels, dilation = 64, 1
        for i, (planes, blocks, dilated) in enumerate(zip((64, 128, 256, 512), layers, (False, *dilate))):
            stride, before = 1 if i == 0 else 2, dilation
            if dilated:
                stride, dilation = 1, dilation * stride
            outputs = planes * block.expansion
            same = stride == 1 and channels == outputs
            shortcut = None if same else projection(channels, outputs, stride, norm)
            first = block(channels, planes, stride, shortcut, groups, width_per_group, before, norm)
            rest = [block(outputs, planes, 1, None, groups, width_per_group, dilation, norm) for _ in range(1, blocks)]
            self.add_module(f"layer{i + 1}", nn.Sequential(first, *rest))
            channels = outputs

        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)

        initialize(self.modules())
        if zero_init_residual:
            for module in self.modules():
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2 if isinstance(module, BasicBlock) else None
                if last is not None and last.weight is not None:
                    nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _resnet(block: type[BasicBlock] | type[Bottleneck], layers: Sequence[int], weights: None, options: dict[str, Any]) -> ResNet:
    if weights is not None:
        raise ValueError(
            f"mini_dl downloads no weights, got weights={weights!r}; from a file: model.load_state_dict(torch.load(file))"
        )
    return ResNet(block, layers, **options)


def resnet18(*, weights: None = None, **options: object) -> ResNet:
    """ResNet-18: two basic blocks per stage, 11,689,512 parameters. `options` are those of `ResNet`.

    mini_dl downloads nothing: `weights` is there for programs written for torchvision and may only be None, else ValueError. Its
    checkpoints are read from their files, ``model.load_state_dict(torch.load(file))``.

    >>> from mini_dl.models import resnet18
    >>> sum(p.numel() for p in resnet18().parameters())
    11689512
    """
    return _resnet(BasicBlock, (2, 2, 2, 2), weights, options)


def resnet34(*, weights: None = None, **options: object) -> ResNet:
    """ResNet-34: 3, 4, 6 and 3 basic blocks, 21,797,672 parameters. See `resnet18`."""
    return _resnet(BasicBlock, (3, 4, 6, 3), weights, options)


def resnet50(*, weights: None = None, **options: object) -> ResNet:
    """ResNet-50: 3, 4, 6 and 3 bottlenecks, 25,557,032 parameters. See `resnet18`."""
    return _resnet(Bottleneck, (3, 4, 6, 3), weights, options)


def resnet101(*, weights: None = None, **options: object) -> ResNet:
    """ResNet-101: 3, 4, 23 and 3 bottlenecks, 44,549,160 parameters. See `resnet18`."""
    return _resnet(Bottleneck, (3, 4, 23, 3), weights, options)


def resnet152(*, weights: None = None, **options: object) -> ResNet:
    """ResNet-152: 3, 8, 36 and 3 bottlenecks, 60,192,808 parameters. See `resnet18`."""
    return _resnet(Bottleneck, (3, 8, 36, 3), weights, options)
