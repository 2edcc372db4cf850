"""Recording operations and running them backwards."""

from mini_dl._listing import list_names
from mini_dl.autograd import functional as functional
from mini_dl.autograd import graph as graph
from mini_dl.autograd import history as history
from mini_dl.autograd.anomaly import (
    detect_anomaly as detect_anomaly,
)
from mini_dl.autograd.anomaly import (
    is_anomaly_enabled as is_anomaly_enabled,
)
from mini_dl.autograd.anomaly import (
    set_detect_anomaly as set_detect_anomaly,
)
from mini_dl.autograd.engine import backward as backward
from mini_dl.autograd.engine import grad as grad
from mini_dl.autograd.function import Function as Function
from mini_dl.autograd.function import FunctionCtx as FunctionCtx
from mini_dl.autograd.function import once_differentiable as once_differentiable
from mini_dl.autograd.gradcheck import GradcheckError as GradcheckError
from mini_dl.autograd.gradcheck import gradcheck as gradcheck
from mini_dl.autograd.gradcheck import gradgradcheck as gradgradcheck
from mini_dl.autograd.mode import (
    enable_grad as enable_grad,
)
from mini_dl.autograd.mode import (
    inference_mode as inference_mode,
)
from mini_dl.autograd.mode import (
    is_grad_enabled as is_grad_enabled,
)
from mini_dl.autograd.mode import (
    is_inference_mode_enabled as is_inference_mode_enabled,
)
from mini_dl.autograd.mode import (
    no_grad as no_grad,
)
from mini_dl.autograd.mode import (
    set_grad_enabled as set_grad_enabled,
)

list_names(globals(), "functional", "graph", "history")
