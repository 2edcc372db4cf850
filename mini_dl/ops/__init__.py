"""The operations, one file per section. Importing this package attaches them all to Tensor and to the public names."""

from mini_dl.ops import (
    activation,
    attention,
    comparison,
    conversion,
    distance,
    embedding,
    loss,
    matmul,
    normalization,
    pointwise,
    reduction,
    scans,
    sorting,
    views,
)

__all__ = [
    "activation",
    "attention",
    "comparison",
    "conversion",
    "distance",
    "embedding",
    "loss",
    "matmul",
    "normalization",
    "pointwise",
    "reduction",
    "scans",
    "sorting",
    "views",
]
