"""Optimizers and learning rate schedules: each optimizer of a file is listed here by itself."""

from mini_dl._families import complete_docstrings as _complete_docstrings
from mini_dl._listing import list_classes, list_names
from mini_dl.optim import adagrad, adam, lbfgs, lr_scheduler, matrices, optimizer, rprop, sgd, swa_utils

list_classes(globals(), optimizer.Optimizer)
_complete_docstrings(globals(), "optimizer")
_complete_docstrings(vars(lr_scheduler), "schedule")
_complete_docstrings(vars(swa_utils), "average")
list_names(globals(), "lr_scheduler", "swa_utils")
