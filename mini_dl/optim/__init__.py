"""Optimizers and learning rate schedules: each optimizer of a file is listed here by itself."""

from mini_dl._families import tell as _tell
from mini_dl._listing import list_classes, list_names
from mini_dl.optim import adagrad, adam, lbfgs, lr_scheduler, matrices, optimizer, rprop, sgd, swa_utils

list_classes(globals(), apart="_recorded cycles lr_scheduler schedule swa_utils updates")
_tell(globals(), "optimizer")
_tell(vars(lr_scheduler), "schedule")
_tell(vars(swa_utils), "average")
list_names(globals(), "lr_scheduler", "swa_utils")
