"""Networks: modules and their parameters, ``functional``, ``init``, ``utils``."""

from mini_dl.nn import functional as functional
from mini_dl.nn import init as init
from mini_dl.nn import modules as modules
from mini_dl.nn import parameter as parameter
from mini_dl.nn import utils as utils
from mini_dl.nn.modules import *
from mini_dl.nn.parameter import (
    Buffer as Buffer,
)
from mini_dl.nn.parameter import (
    Parameter as Parameter,
)
from mini_dl.nn.parameter import (
    UninitializedBuffer as UninitializedBuffer,
)
from mini_dl.nn.parameter import (
    UninitializedParameter as UninitializedParameter,
)
