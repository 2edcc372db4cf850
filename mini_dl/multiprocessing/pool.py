"""The pool of the standard library: its queues carry tensors as all others do."""

from multiprocessing.pool import Pool

__all__ = ["Pool"]
