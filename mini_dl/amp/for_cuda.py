"""``torch.cuda.amp``: older names of `torch.amp` for a GPU, where it stays off."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from mini_dl import _dtypes
from mini_dl.amp import autocast_mode
from mini_dl.amp.for_cpu import GradScalerOf, warn

__all__ = ["GradScaler", "amp_definitely_not_available", "autocast", "custom_bwd", "custom_fwd"]


class autocast(autocast_mode.autocast):
    """``torch.autocast("cuda", ...)``, deprecated."""

    def __init__(self, enabled: bool = True, dtype: _dtypes.dtype = _dtypes.float16, cache_enabled: bool = True) -> None:
        warn("autocast", "autocast", "cuda")
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(GradScalerOf):
    """``torch.amp.GradScaler("cuda", ...)``, deprecated."""

    on = "cuda"


def _warn_of(name: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}(args..., device_type='cuda')` instead.",
        FutureWarning,
        stacklevel=3,
    )


def custom_fwd(fwd: Callable[..., object] | None = None, *, cast_inputs: _dtypes.dtype | None = None) -> Any:
    """``torch.amp.custom_fwd(..., device_type="cuda")``, deprecated."""
    _warn_of("custom_fwd")
    return autocast_mode.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable[..., object]) -> Any:
    """``torch.amp.custom_bwd(..., device_type="cuda")``, deprecated."""
    _warn_of("custom_bwd")
    return autocast_mode.custom_bwd(bwd, device_type="cuda")


def amp_definitely_not_available() -> bool:
    """True: there is no GPU."""
    return True
