"""Affine maps of the last dimension."""

from __future__ import annotations

import math

from mini_dl.nn import functional as F, init
from mini_dl.nn._types import Device, DType
from mini_dl.nn.modules.lazy import LazyLayer
from mini_dl.nn.modules.module import Module
from mini_dl.nn.modules.weighted import Weighted
from mini_dl.nn.parameter import Parameter
from mini_dl.tensor import Tensor

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear"]


class Identity(Module):
    """``out = input``; any arguments are accepted and ignored.

    Shapes: (*) -> (*).
    Raises: TypeError unless one argument is passed when it is called.

    >>> torch.nn.Identity()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Weighted):
    """``out = input @ weight.T + bias``

    The weight (out_features, in_features) and the bias are initially drawn from U(-b, b), ``b = 1 / sqrt(in_features)``.

    Shapes: (*, in_features) -> (*, out_features).
    Raises: RuntimeError for an input with another number of features.

    >>> layer = nn.Linear(3, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(torch.ones(5, 3)).shape
    torch.Size([5, 2])
    """

    weight: Parameter

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self._make_weight_and_bias((out_features, in_features), (out_features,) if bias else None, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, *self._weight_and_bias())

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Weighted):
    """``out[n, o] = sum(input1[n, i] * weight[o, i, j] * input2[n, j], (i, j)) + bias[o]``

    The weight (out_features, in1_features, in2_features) and the bias are initially drawn from U(-b, b),
    ``b = 1 / sqrt(in1_features)``.

    Shapes: `input1` (*, in1_features), `input2` (*, in2_features) -> (*, out_features).
    Raises: ValueError unless `in1_features` is positive; RuntimeError if the sizes do not match.

    >>> torch.nn.Bilinear(2, 3, 4)(torch.ones(5, 2), torch.ones(5, 3)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Device = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self._make_weight_and_bias((out_features, in1_features, in2_features), (out_features,) if bias else None, device, dtype)

    def reset_parameters(self) -> None:
        """Redraw weight and bias."""
        if self.in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={self.in1_features})")
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(LazyLayer, Linear):
    """``out = input @ weight.T + bias``: a `Linear` whose `in_features` is the last size of its first input.

    Shapes: (*, in_features) -> (*, out_features).
    Raises: RuntimeError for a later input with another number of features; AssertionError if a loaded weight has another number
    of inputs.

    >>> layer = torch.nn.LazyLinear(2)
    >>> _ = layer(torch.ones(5, 3))
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    """

    cls_to_become, _inferred = Linear, "in_features"

    def __init__(self, out_features: int, bias: bool = True, device: Device = None, dtype: DType = None) -> None:
        super().__init__(0, 0, False)
        self._make_lazy(True, bias, device, dtype)
        self.out_features = out_features

    def initialize_parameters(self, input: Tensor) -> None:
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))  # type: ignore[attr-defined]
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from self.weight: "
                    f"{self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear` under the name of attention's output projection."""
