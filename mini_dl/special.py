"""Special functions: ``torch.special``."""

from mini_dl._surface import namespace
from mini_dl.overrides import asking

globals().update(asking(namespace("special"), __name__, "special_"))
