"""Mixed precision: `autocast` chooses the dtype in which functions compute, `GradScaler` keeps small gradients from vanishing."""

from mini_dl.amp import for_cpu as for_cpu, for_cuda as for_cuda
from mini_dl.amp.autocast_mode import (
    autocast as autocast,
    custom_bwd as custom_bwd,
    custom_fwd as custom_fwd,
    is_autocast_available as is_autocast_available,
)
from mini_dl.amp.grad_scaler import GradScaler as GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
