"""Optimizers and learning rate schedules."""

from mini_dl._listing import list_names
from mini_dl.optim import lr_scheduler as lr_scheduler
from mini_dl.optim import swa_utils as swa_utils
from mini_dl.optim.adafactor import Adafactor as Adafactor
from mini_dl.optim.adagrad import Adadelta as Adadelta
from mini_dl.optim.adagrad import Adagrad as Adagrad
from mini_dl.optim.adagrad import RMSprop as RMSprop
from mini_dl.optim.adam import Adam as Adam
from mini_dl.optim.adam import Adamax as Adamax
from mini_dl.optim.adam import AdamW as AdamW
from mini_dl.optim.adam import NAdam as NAdam
from mini_dl.optim.adam import RAdam as RAdam
from mini_dl.optim.lbfgs import LBFGS as LBFGS
from mini_dl.optim.muon import Muon as Muon
from mini_dl.optim.optimizer import Optimizer as Optimizer
from mini_dl.optim.rprop import Rprop as Rprop
from mini_dl.optim.sgd import ASGD as ASGD
from mini_dl.optim.sgd import SGD as SGD
from mini_dl.optim.sparse_adam import SparseAdam as SparseAdam

list_names(globals(), "lr_scheduler", "swa_utils")
