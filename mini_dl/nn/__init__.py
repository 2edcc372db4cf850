"""Networks: modules and their parameters, ``functional``, ``init``, ``utils``."""

from mini_dl.nn import (
    functional as functional,
    init as init,
    modules as modules,
    parallel as parallel,
    parameter as parameter,
    utils as utils,
)
from mini_dl.nn.modules import *
from mini_dl.nn.parallel import DataParallel as DataParallel
from mini_dl.nn.parameter import (
    Buffer as Buffer,
    Parameter as Parameter,
    UninitializedBuffer as UninitializedBuffer,
    UninitializedParameter as UninitializedParameter,
)
