"""Recording operations and running them backwards."""

import mini_dl.autograd.history  # noqa: F401  attaches the methods
from mini_dl.autograd.engine import backward, grad
from mini_dl.autograd.mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]
