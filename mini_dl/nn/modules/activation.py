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
    """``out = input if input > threshold else value``

    Family: F.threshold

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
    """``out = max(input, 0)``

    Family: F.relu

    >>> torch.nn.ReLU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)


class RReLU(Configured):
    """``out = input if input > 0 else a * input`` with `a` drawn from U(lower, upper) for each element.

    Unless `training`, `a` is ``(lower + upper) / 2``.

    Family: F.rrelu

    >>> torch.nn.RReLU().eval()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """

    lower: float = 1.0 / 8
    upper: float = 1.0 / 3
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Hardtanh(Configured):
    """``out = min(max(input, min_val), max_val)``

    Shapes: (*) -> (*).
    Raises: AssertionError unless `min_val` is below `max_val`; RuntimeError for bool tensors.
    Source: Collobert, Large scale machine learning, 2004.

    >>> torch.nn.Hardtanh(-2.0, 2.0)(torch.tensor([-3.0, 1.0, 3.0]))
    tensor([-2.,  1.,  2.])
    """

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False
    min_value: float | None = None
    max_value: float | None = None
    _shown: ClassVar[tuple[str, ...] | None] = ("min_val", "max_val", "inplace")

    def _check_fields(self) -> None:
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
    """``out = min(max(input, 0), 6)``

    Family: F.relu6

    >>> torch.nn.ReLU6()(torch.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """

    _shown = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Sigmoid(Configured):
    """``out = 1 / (1 + exp(-input))``

    Shapes: (*) -> (*).
    Raises: TypeError if `input` is not a tensor.

    >>> torch.nn.Sigmoid()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.2689, 0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        return sigmoid(input)


class Tanh(Configured):
    """``out = (exp(input) - exp(-input)) / (exp(input) + exp(-input))``

    Shapes: (*) -> (*).
    Raises: TypeError if `input` is not a tensor.

    >>> torch.nn.Tanh()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7616,  0.0000,  0.9640])
    """

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)


class Hardsigmoid(_InPlace):
    """``out = min(max(input + 3, 0), 6) / 6``: a piecewise linear `sigmoid`.

    Family: F.hardsigmoid

    >>> torch.nn.Hardsigmoid()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3333, 0.5000, 0.8333])
    """

    _shown = ()

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """``out = input * min(max(input + 3, 0), 6) / 6``

    Family: F.hardswish

    >>> torch.nn.Hardswish()(torch.tensor([-4.0, -1.0, 2.0, 4.0]))
    tensor([-0.0000, -0.3333,  1.6667,  4.0000])
    """

    _shown = ()

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class SiLU(_InPlace):
    """``out = input / (1 + exp(-input))``, that is ``input * sigmoid(input)``; also called swish.

    Family: F.silu

    >>> torch.nn.SiLU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, inplace=self.inplace)


class Mish(_InPlace):
    """``out = input * tanh(log(1 + exp(input)))``

    Family: F.mish

    >>> torch.nn.Mish()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, inplace=self.inplace)


class ELU(Configured):
    """``out = input if input > 0 else alpha * (exp(input) - 1)``

    Family: F.elu

    >>> torch.nn.ELU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """

    alpha: float = 1.0
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(Configured):
    """``out = max(input, 0) + min(0, alpha * (exp(input / alpha) - 1))``: an `ELU` whose slope is continuous for every `alpha`.

    Family: F.celu

    >>> torch.nn.CELU(alpha=2.0)(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7869,  0.0000,  2.0000])
    """

    alpha: float = 1.0
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """``out = scale * (input if input > 0 else alpha * (exp(input) - 1))`` with `scale` 1.0507 and `alpha` 1.6733.

    With these constants normal inputs of mean 0 and variance 1 give outputs of mean 0 and variance 1.

    Family: F.selu

    >>> torch.nn.SELU()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class GLU(Configured):
    """``out = a * sigmoid(b)`` with the halves `a` and `b` of `input` along `dim`.

    Family: F.glu

    >>> torch.nn.GLU()(torch.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    dim: int = -1

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class GELU(Configured):
    """``out = input * Phi(input)`` with the normal distribution function ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``.

    `approximate` "tanh": ``out = input / 2 * (1 + tanh(sqrt(2 / pi) * (input + 0.044715 * input ** 3)))``.

    Family: F.gelu

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
    """``out = input if abs(input) > lambd else 0``

    Family: F.hardshrink

    >>> torch.nn.Hardshrink()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """``out = sign(input) * max(abs(input) - lambd, 0)``: toward 0 by `lambd`, but not past it.

    Family: F.softshrink

    >>> torch.nn.Softshrink()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class LeakyReLU(Configured):
    """``out = input if input > 0 else negative_slope * input``

    Family: F.leaky_relu

    >>> torch.nn.LeakyReLU(0.1)(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1000,  0.0000,  2.0000])
    """

    negative_slope: float = 1e-2
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class LogSigmoid(Configured):
    """``out = log(1 / (1 + exp(-input)))``, without overflow.

    Family: F.logsigmoid

    >>> torch.nn.LogSigmoid()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.3133, -0.6931, -0.1269])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softplus(Configured):
    """``out = log(1 + exp(beta * input)) / beta``; `input` itself where ``beta * input > threshold``.

    Family: F.softplus

    >>> torch.nn.Softplus()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3133, 0.6931, 2.1269])
    """

    beta: float = 1.0
    threshold: float = 20.0

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Configured):
    """``out = input / (1 + abs(input))``

    Family: F.softsign

    >>> torch.nn.Softsign()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Tanhshrink(Configured):
    """``out = input - tanh(input)``

    Family: F.tanhshrink

    >>> torch.nn.Tanhshrink()(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class PReLU(Module):
    """``out[n, c] = input[n, c] if input[n, c] > 0 else weight[c] * input[n, c]`` with learned slopes, initially `init`.

    One slope for all channels, or one per channel if `num_parameters` is their number.

    Shapes: (N, C, *) -> (N, C, *).
    Raises: RuntimeError if `num_parameters` is neither 1 nor the number of channels.
    Source: He et al., Delving deep into rectifiers, 2015, section 2.1.

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
    """``out[i] = exp(-input[i]) / sum(exp(-input[j]), j)`` along `dim`, as `softmax` of the negated input.

    Family: F.softmin

    >>> torch.nn.Softmin(dim=0)(torch.tensor([0.0, 1.0, 2.0]))
    tensor([0.6652, 0.2447, 0.0900])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax(_AlongDim):
    """``out[i] = exp(input[i]) / sum(exp(input[j]), j)`` along `dim`.

    Without `dim` it warns, and uses dimension 0 of tensors with 0, 1 or 3 dimensions, otherwise 1.

    Family: F.softmax

    >>> torch.nn.Softmax(dim=0)(torch.tensor([0.0, 1.0, 2.0]))
    tensor([0.0900, 0.2447, 0.6652])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """``out[i] = input[i] - log(sum(exp(input[j]), j))`` along `dim`.

    Without `dim` it warns, and uses dimension 0 of tensors with 0, 1 or 3 dimensions, otherwise 1.

    Family: F.log_softmax

    >>> torch.nn.LogSoftmax(dim=0)(torch.tensor([0.0, 1.0, 2.0]))
    tensor([-2.4076, -1.4076, -0.4076])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Configured):
    """``out[n, c, y, x] = exp(input[n, c, y, x]) / sum(exp(input[n, k, y, x]), k)``: `Softmax` over the channels of each pixel.

    Shapes: (N, C, H, W) -> (N, C, H, W), also without N.
    Raises: ValueError for other numbers of dimensions.

    >>> torch.nn.Softmax2d()(torch.zeros(1, 4, 2, 2))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3, _stacklevel=5)
