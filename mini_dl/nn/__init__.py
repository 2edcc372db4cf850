"""Networks: modules and their parameters, ``functional``, ``init``, ``utils``."""

from mini_dl.nn import functional, init, modules, parameter, utils
from mini_dl.nn.modules import *
from mini_dl.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
