"""The named tuples that operations return: ``torch.return_types.max``."""

from mini_dl._surface import namespace

globals().update(namespace("return_types"))
__all__ = sorted(namespace("return_types"))
