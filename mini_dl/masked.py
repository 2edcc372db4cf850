"""Reductions and normalizations of masked tensors: ``torch.masked``."""

from mini_dl._arguments import asking
from mini_dl._surface import namespace

globals().update(asking(namespace("masked"), __name__))
