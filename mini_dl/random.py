"""The default stream of random numbers: its seed, its state, and how to preserve it."""

from mini_dl._surface import namespace

globals().update(namespace("random"))
