"""Recording operations and running them backwards."""

from mini_dl.autograd import functional, graph, history
from mini_dl.autograd.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from mini_dl.autograd.engine import backward, grad
from mini_dl.autograd.function import Function, FunctionCtx, once_differentiable
from mini_dl.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from mini_dl.autograd.mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "FunctionCtx",
    "GradcheckError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "history",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
