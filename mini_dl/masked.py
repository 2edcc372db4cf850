"""Reductions and normalizations of masked tensors: ``torch.masked``."""

from mini_dl._surface import namespace
from mini_dl.overrides import asking

globals().update(asking(namespace("masked"), __name__))
