"""Special functions: ``torch.special``."""

from mini_dl._arguments import asking
from mini_dl._surface import namespace

globals().update(asking(namespace("special"), __name__, "special_"))
