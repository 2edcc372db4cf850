"""Special functions: ``torch.special``."""

from mini_dl._surface import namespace

globals().update(namespace("special"))
