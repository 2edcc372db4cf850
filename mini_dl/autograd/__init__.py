"""Recording operations and running the backward pass."""

from typing import TYPE_CHECKING as _TYPE_CHECKING, Any as _Any

from mini_dl._listing import list_names
from mini_dl.autograd import functional as functional, graph as graph, history as history, variable as variable
from mini_dl.autograd.anomaly import (
    detect_anomaly as detect_anomaly,
    is_anomaly_enabled as is_anomaly_enabled,
    set_detect_anomaly as set_detect_anomaly,
)
from mini_dl.autograd.backwards import backward as backward, grad as grad
from mini_dl.autograd.function import Function as Function, FunctionCtx as FunctionCtx, once_differentiable as once_differentiable
from mini_dl.autograd.gradcheck import GradcheckError as GradcheckError, gradcheck as gradcheck, gradgradcheck as gradgradcheck
from mini_dl.autograd.graph import SavedTensor as SavedTensor
from mini_dl.autograd.mode import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    is_inference_mode_enabled as is_inference_mode_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from mini_dl.autograd.variable import Variable as Variable

if _TYPE_CHECKING:
    profiler: _Any  # created on first access

list_names(globals(), "functional", "graph", "history", "variable")
