"""Options with which torch's linear cross entropy saves memory."""

from __future__ import annotations

import dataclasses
import re

from mini_dl import _dtypes


@dataclasses.dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """Accepted by `LinearCrossEntropyLoss`, without effect here: the rows per chunk, or the rule for them, and the precision
    of sums.

    Raises: ValueError for values that torch does not accept.

    >>> torch.nn.LinearCrossEntropyOptions(batch_chunk_size=64).acc_policy
    'auto'
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: _dtypes.dtype | None = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method is not None and not re.fullmatch("auto|aspect_ratio(:0*[1-9][0-9]*)?", self.chunking_method):
            raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if self.acc_dtype not in (None, _dtypes.float16, _dtypes.float32, _dtypes.float64):
            raise ValueError(
                f"acc_dtype must be one of {{None, torch.float16, torch.float32, torch.float64}}, got {self.acc_dtype!r}"
            )
