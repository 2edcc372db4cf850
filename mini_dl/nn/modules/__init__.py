"""The modules, one file per family."""

from mini_dl.nn.modules.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from mini_dl.nn.modules.linear import Bilinear, Identity, LazyLinear, Linear
from mini_dl.nn.modules.module import Module
