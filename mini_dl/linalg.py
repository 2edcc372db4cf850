"""Linear algebra: ``torch.linalg``."""

from mini_dl._arguments import asking
from mini_dl._surface import namespace
from mini_dl.ops.matrices import LinAlgError as LinAlgError

globals().update(asking(namespace("linalg"), __name__, "linalg_"))
