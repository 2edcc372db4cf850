"""Networks: those of the learning notes, and ResNets with torchvision's parameter names.

``import mini_dl`` does not import them; ``from mini_dl import models`` does.
"""

from mini_dl.models.cifar import (
    CifarResNet as CifarResNet,
    PaddedShortcut as PaddedShortcut,
    PlainBlock as PlainBlock,
    cifar_resnet as cifar_resnet,
    resnet20 as resnet20,
    resnet32 as resnet32,
    resnet44 as resnet44,
    resnet56 as resnet56,
    resnet110 as resnet110,
)
from mini_dl.models.convnet import ConvNet as ConvNet, LeNet as LeNet, SimpleConvNet as SimpleConvNet
from mini_dl.models.mlp import (
    MultiLayerNet as MultiLayerNet,
    SimpleNet as SimpleNet,
    TwoLayerNet as TwoLayerNet,
    fill_weights as fill_weights,
)
from mini_dl.models.resnet import (
    BasicBlock as BasicBlock,
    Bottleneck as Bottleneck,
    ResNet as ResNet,
    resnet18 as resnet18,
    resnet34 as resnet34,
    resnet50 as resnet50,
    resnet101 as resnet101,
    resnet152 as resnet152,
)
