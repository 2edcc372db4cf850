"""The pool of the standard library: its queues carry tensors like all others."""

from multiprocessing.pool import Pool

__all__ = ["Pool"]
