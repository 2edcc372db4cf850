"""Written by scripts/write_stubs.py from the signatures. Do not edit."""

# mypy: disable-error-code="misc,override,overload-overlap,overload-cannot-match,assignment"

from mini_dl.optim import (
    lr_scheduler as lr_scheduler, swa_utils as swa_utils
)
from mini_dl.optim.adagrad import (
    Adadelta as Adadelta, Adagrad as Adagrad, RMSprop as RMSprop
)
from mini_dl.optim.adam import (
    Adam as Adam, AdamW as AdamW, Adamax as Adamax, NAdam as NAdam, RAdam as RAdam, SparseAdam as SparseAdam
)
from mini_dl.optim.lbfgs import (
    LBFGS as LBFGS
)
from mini_dl.optim.matrices import (
    Adafactor as Adafactor, Muon as Muon
)
from mini_dl.optim.optimizer import (
    Optimizer as Optimizer
)
from mini_dl.optim.rprop import (
    Rprop as Rprop
)
from mini_dl.optim.sgd import (
    ASGD as ASGD, SGD as SGD
)
