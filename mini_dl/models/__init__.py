"""Networks: those of the learning notes, and ResNets with torchvision's parameter names.

``import mini_dl`` does not import them; ``from mini_dl import models`` does.
"""

from mini_dl.models.cifar import (
    CifarResNet as CifarResNet,
)
from mini_dl.models.cifar import (
    PaddedShortcut as PaddedShortcut,
)
from mini_dl.models.cifar import (
    PlainBlock as PlainBlock,
)
from mini_dl.models.cifar import (
    cifar_resnet as cifar_resnet,
)
from mini_dl.models.cifar import (
    resnet20 as resnet20,
)
from mini_dl.models.cifar import (
    resnet32 as resnet32,
)
from mini_dl.models.cifar import (
    resnet44 as resnet44,
)
from mini_dl.models.cifar import (
    resnet56 as resnet56,
)
from mini_dl.models.cifar import (
    resnet110 as resnet110,
)
from mini_dl.models.convnet import ConvNet as ConvNet
from mini_dl.models.convnet import LeNet as LeNet
from mini_dl.models.convnet import SimpleConvNet as SimpleConvNet
from mini_dl.models.mlp import (
    MultiLayerNet as MultiLayerNet,
)
from mini_dl.models.mlp import (
    SimpleNet as SimpleNet,
)
from mini_dl.models.mlp import (
    TwoLayerNet as TwoLayerNet,
)
from mini_dl.models.mlp import (
    fill_weights as fill_weights,
)
from mini_dl.models.resnet import (
    BasicBlock as BasicBlock,
)
from mini_dl.models.resnet import (
    Bottleneck as Bottleneck,
)
from mini_dl.models.resnet import (
    ResNet as ResNet,
)
from mini_dl.models.resnet import (
    resnet18 as resnet18,
)
from mini_dl.models.resnet import (
    resnet34 as resnet34,
)
from mini_dl.models.resnet import (
    resnet50 as resnet50,
)
from mini_dl.models.resnet import (
    resnet101 as resnet101,
)
from mini_dl.models.resnet import (
    resnet152 as resnet152,
)
