"""Comparing results, and creating tensors for tests: ``torch.testing``."""

from mini_dl.testing.comparison import assert_allclose as assert_allclose, assert_close as assert_close
from mini_dl.testing.creation import make_tensor as make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
