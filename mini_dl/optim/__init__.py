"""Optimizers and learning rate schedules."""

from mini_dl._families import tell as _tell
from mini_dl._listing import list_names
from mini_dl.optim import lr_scheduler as lr_scheduler, swa_utils as swa_utils
from mini_dl.optim.adagrad import Adadelta as Adadelta, Adagrad as Adagrad, RMSprop as RMSprop
from mini_dl.optim.adam import (
    Adam as Adam,
    Adamax as Adamax,
    AdamW as AdamW,
    NAdam as NAdam,
    RAdam as RAdam,
    SparseAdam as SparseAdam,
)
from mini_dl.optim.lbfgs import LBFGS as LBFGS
from mini_dl.optim.matrices import Adafactor as Adafactor, Muon as Muon
from mini_dl.optim.optimizer import Optimizer as Optimizer
from mini_dl.optim.rprop import Rprop as Rprop
from mini_dl.optim.sgd import ASGD as ASGD, SGD as SGD

_tell(globals(), "optimizer")
_tell(vars(lr_scheduler), "schedule")
_tell(vars(swa_utils), "average")
list_names(globals(), "lr_scheduler", "swa_utils")
