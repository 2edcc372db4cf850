"""The operations, one file per section. Importing this package attaches them all to Tensor and to the public names."""

from mini_dl.ops import matmul, pointwise, reduction, views

__all__ = ["matmul", "pointwise", "reduction", "views"]
