"""Networks: those of the learning notes, and ResNets with torchvision's parameter names.

``import mini_dl`` does not import them; ``from mini_dl import models`` does.
"""

from mini_dl.models.cifar import (
    CifarResNet,
    PaddedShortcut,
    PlainBlock,
    cifar_resnet,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)
from mini_dl.models.convnet import ConvNet, LeNet, SimpleConvNet
from mini_dl.models.mlp import MultiLayerNet, SimpleNet, TwoLayerNet, fill_weights
from mini_dl.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "CifarResNet",
    "ConvNet",
    "LeNet",
    "MultiLayerNet",
    "PaddedShortcut",
    "PlainBlock",
    "ResNet",
    "SimpleConvNet",
    "SimpleNet",
    "TwoLayerNet",
    "cifar_resnet",
    "fill_weights",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
]
