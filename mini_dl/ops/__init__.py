"""The operations, one file per section. Importing this package attaches them all to Tensor and to the public names."""

from mini_dl.ops import (  # noqa: F401
    matmul,
    pointwise,
    reduction,
    scans,
    sorting,
    views,
)
