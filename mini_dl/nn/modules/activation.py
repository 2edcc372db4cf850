"""Elementwise nonlinearities, and the softmax family."""

from __future__ import annotations

import warnings
from typing import ClassVar

from mini_dl.nn import functional as F, init
from mini_dl.nn._types import Device, DType
from mini_dl.nn.modules.configured import Configured
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, empty
from mini_dl.ops.powers import sigmoid
from mini_dl.ops.trigonometry import tanh
from mini_dl.tensor import Tensor


class Threshold(Configured):
    """``input if input > threshold else value``

    >>> import mini_dl as torch
    >>> torch.nn.Threshold(0.5, 9.0)(torch.tensor([0.2, 0.5, 0.7]))
    tensor([9.0000, 9.0000, 0.7000])
    """

    threshold: float
    value: float
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class _InPlace(Configured):
    inplace: bool = False


class ReLU(_InPlace):
    """``max(0, input)``

    >>> import mini_dl as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)


class RReLU(Configured):
    """A leaky ReLU whose slope is drawn from U(lower, upper) in training and is their mean otherwise (Xu et al. 2015).

    >>> import mini_dl as torch
    >>> torch.nn.RReLU().eval()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """

    lower: float = 1.0 / 8
    upper: float = 1.0 / 3
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Hardtanh(Configured):
    """`input` clipped to [min_val, max_val]. AssertionError unless `min_val` is below `max_val`.

    >>> import mini_dl as torch
    >>> torch.nn.Hardtanh(-2.0, 2.0)(torch.tensor([-3.0, 1.0, 3.0]))
    tensor([-2.,  1.,  2.])
    """

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False
    min_value: float | None = None
    max_value: float | None = None
    shown: ClassVar[tuple[str, ...] | None] = ("min_val", "max_val", "inplace")

    def configured(self) -> None:
        for old, new in (("min_value", "min_val"), ("max_value", "max_val")):
            value = self.__dict__.pop(old, None)
            if value is not None:
                warnings.warn(f"keyword argument `{old}` is deprecated and renamed to `{new}`", FutureWarning, stacklevel=3)
                setattr(self, new, value)
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """`input` clipped to [0, 6].

    >>> import mini_dl as torch
    >>> torch.nn.ReLU6()(torch.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """

    shown = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Sigmoid(Configured):
    """``1 / (1 + exp(-input))``

    >>> import mini_dl as torch
    >>> torch.nn.Sigmoid()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.2689, 0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        return sigmoid(input)


class Tanh(Configured):
    """``tanh(input)``

    >>> import mini_dl as torch
    >>> torch.nn.Tanh()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7616,  0.0000,  0.9640])
    """

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)


class Hardsigmoid(_InPlace):
    """``relu6(input + 3) / 6``

    >>> import mini_dl as torch
    >>> torch.nn.Hardsigmoid()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3333, 0.5000, 0.8333])
    """

    shown = ()

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """``input * relu6(input + 3) / 6`` (Howard et al. 2019)

    >>> import mini_dl as torch
    >>> torch.nn.Hardswish()(torch.tensor([-4.0, -1.0, 2.0, 4.0]))
    tensor([-0.0000, -0.3333,  1.6667,  4.0000])
    """

    shown = ()

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class SiLU(_InPlace):
    """``input * sigmoid(input)``

    >>> import mini_dl as torch
    >>> torch.nn.SiLU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, inplace=self.inplace)


class Mish(_InPlace):
    """``input * tanh(softplus(input))`` (Misra 2019)

    >>> import mini_dl as torch
    >>> torch.nn.Mish()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, inplace=self.inplace)


class ELU(Configured):
    """``input if input > 0 else alpha * (exp(input) - 1)`` (Clevert et al. 2015)

    >>> import mini_dl as torch
    >>> torch.nn.ELU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """

    alpha: float = 1.0
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(Configured):
    """``max(0, input) + min(0, alpha * (exp(input / alpha) - 1))`` (Barron 2017)

    >>> import mini_dl as torch
    >>> torch.nn.CELU(alpha=2.0)(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7869,  0.0000,  2.0000])
    """

    alpha: float = 1.0
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """A scaled ELU that keeps mean 0 and variance 1 (Klambauer et al. 2017).

    >>> import mini_dl as torch
    >>> torch.nn.SELU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class GLU(Configured):
    """``a * sigmoid(b)`` for the halves a, b of `input` along `dim`.

    >>> import mini_dl as torch
    >>> torch.nn.GLU()(torch.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    dim: int = -1

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class GELU(Configured):
    """``input * Phi(input)``, Phi the normal distribution function, exact or by tanh (Hendrycks and Gimpel 2016).

    >>> import mini_dl as torch
    >>> torch.nn.GELU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    """

    approximate: str = "none"

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class _Shrink(Configured):
    lambd: float = 0.5

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """`input` where its absolute value exceeds `lambd`, else 0.

    >>> import mini_dl as torch
    >>> torch.nn.Hardshrink()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """`input` moved towards 0 by `lambd`, at most to 0.

    >>> import mini_dl as torch
    >>> torch.nn.Softshrink()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class LeakyReLU(Configured):
    """``input if input > 0 else negative_slope * input``

    >>> import mini_dl as torch
    >>> torch.nn.LeakyReLU(0.1)(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1000,  0.0000,  2.0000])
    """

    negative_slope: float = 1e-2
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class LogSigmoid(Configured):
    """``log(sigmoid(input))``

    >>> import mini_dl as torch
    >>> torch.nn.LogSigmoid()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.3133, -0.6931, -0.1269])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softplus(Configured):
    """``log(1 + exp(beta * input)) / beta``; the input itself where ``beta * input > threshold``.

    >>> import mini_dl as torch
    >>> torch.nn.Softplus()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3133, 0.6931, 2.1269])
    """

    beta: float = 1.0
    threshold: float = 20.0

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Configured):
    """``input / (1 + |input|)``

    >>> import mini_dl as torch
    >>> torch.nn.Softsign()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Tanhshrink(Configured):
    """``input - tanh(input)``

    >>> import mini_dl as torch
    >>> torch.nn.Tanhshrink()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class PReLU(Module):
    """``input if input > 0 else weight * input`` with a learned slope, one for all or one per channel (He et al. 2015).

    >>> import mini_dl as torch
    >>> torch.nn.PReLU()(torch.tensor([-1.0, 0.0, 2.0])).detach()
    tensor([-0.2500,  0.0000,  2.0000])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slope to its initial value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class _AlongDim(Configured):
    dim: int | None = None


class Softmin(_AlongDim):
    """``softmax(-input)``

    >>> import mini_dl as torch
    >>> torch.nn.Softmin(dim=0)(torch.tensor([0.0, 1.0, 2.0]))
    tensor([0.6652, 0.2447, 0.0900])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax(_AlongDim):
    """``exp(input) / sum(exp(input))`` along `dim`.

    >>> import mini_dl as torch
    >>> torch.nn.Softmax(dim=0)(torch.tensor([0.0, 1.0, 2.0]))
    tensor([0.0900, 0.2447, 0.6652])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """``log(softmax(input))`` along `dim`.

    >>> import mini_dl as torch
    >>> torch.nn.LogSoftmax(dim=0)(torch.tensor([0.0, 1.0, 2.0]))
    tensor([-2.4076, -1.4076, -0.4076])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Configured):
    """Softmax over the channels of (N, C, H, W) or (C, H, W). ValueError for other numbers of dimensions.

    >>> import mini_dl as torch
    >>> torch.nn.Softmax2d()(torch.zeros(1, 4, 2, 2))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3, _stacklevel=5)
