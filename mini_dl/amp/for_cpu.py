"""``torch.cpu.amp``: older names of `torch.amp` for the CPU."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from mini_dl import _dtypes
from mini_dl.amp import autocast_mode, grad_scaler

__all__ = ["GradScaler", "autocast"]


class autocast(autocast_mode.autocast):
    """``torch.autocast("cpu", ...)``, deprecated."""

    def __init__(self, enabled: bool = True, dtype: _dtypes.dtype = _dtypes.bfloat16, cache_enabled: bool = True) -> None:
        warn("autocast", "autocast", "cpu")
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScalerOf(grad_scaler.GradScaler):
    """The older scaler of one device, with a warning."""

    on: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn("GradScaler", "GradScaler", self.on)
        super().__init__(self.on, *args, **kwargs)


class GradScaler(GradScalerOf):
    """``torch.amp.GradScaler("cpu", ...)``, deprecated."""

    on = "cpu"


def warn(name: str, newer: str, device: str) -> None:
    """Warn that an older name is deprecated."""
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. Please use `torch.amp.{newer}('{device}', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )
