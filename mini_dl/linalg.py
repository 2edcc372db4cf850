"""Linear algebra: ``torch.linalg``."""

from mini_dl._surface import namespace
from mini_dl.ops.matrices import LinAlgError as LinAlgError
from mini_dl.overrides import asking

globals().update(asking(namespace("linalg"), __name__, "linalg_"))
