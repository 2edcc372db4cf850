"""Linear algebra: ``torch.linalg``."""

from mini_dl._surface import namespace
from mini_dl.ops.linalg import LinAlgError as LinAlgError

globals().update(namespace("linalg"))
