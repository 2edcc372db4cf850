"""Optimizers and learning rate schedules."""

from mini_dl.optim import lr_scheduler, swa_utils
from mini_dl.optim.adafactor import Adafactor
from mini_dl.optim.adagrad import Adadelta, Adagrad, RMSprop
from mini_dl.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from mini_dl.optim.lbfgs import LBFGS
from mini_dl.optim.muon import Muon
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.rprop import Rprop
from mini_dl.optim.sgd import ASGD, SGD
from mini_dl.optim.sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]
