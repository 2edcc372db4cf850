"""Reductions and normalizations of masked tensors: ``torch.masked``."""

from mini_dl._surface import namespace

globals().update(namespace("masked"))
