"""Normalization of each sample: over its features, its groups of channels, its neighboring channels."""

from __future__ import annotations

from numbers import Integral

from mini_dl.nn import functional as F, init
from mini_dl.nn._types import Device, DType, Ints, Shape
from mini_dl.nn.modules.configured import Configured
from mini_dl.nn.modules.module import Module
from mini_dl.nn.modules.weighted import Scaled
from mini_dl.nn.parameter import Parameter, empty
from mini_dl.tensor import Tensor


class _ResponseNorm(Configured):
    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LocalResponseNorm(_ResponseNorm):
    """``out[n, c] = input[n, c] / (k + alpha * mean(input[n, j] ** 2, j)) ** beta`` over the `size` channels `j` around `c`,
    with zeros beyond.

    Family: F.local_response_norm

    >>> torch.nn.LocalResponseNorm(2, alpha=1.0)(torch.ones(1, 3, 2))[0, :, 0]
    tensor([0.7378, 0.5946, 0.5946])
    """


class CrossMapLRN2d(_ResponseNorm):
    """``out[n, c] = input[n, c] / (k + alpha * mean(input[n, j] ** 2, j)) ** beta``: `LocalResponseNorm` of images, under its
    former name.

    Shapes: (N, C, H, W) -> (N, C, H, W).
    Raises: ValueError for fewer than three dimensions.
    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012, section 3.3.

    >>> torch.nn.CrossMapLRN2d(2)
    CrossMapLRN2d(2, alpha=0.0001, beta=0.75, k=1)
    """

    k: float = 1


def _shape(normalized_shape: Ints) -> Shape:
    if isinstance(normalized_shape, (int, Integral)):
        return (normalized_shape,)
    return tuple(normalized_shape)


class LayerNorm(Scaled):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` with the mean and biased variance over the last dimensions.

    Family: F.layer_norm

    >>> torch.nn.LayerNorm(2)(torch.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    def __init__(
        self, normalized_shape: Ints, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = _shape(normalized_shape), eps, elementwise_affine
        weight = self.normalized_shape if elementwise_affine else None
        self._make_weight_and_bias(weight, weight if bias else None, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, *self._weight_and_bias(), self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class GroupNorm(Scaled):
    """``out = (input - mean) / sqrt(var + eps) * weight + bias`` with the statistics of each sample and group of channels.

    Shapes: (N, num_channels, *) -> the same.
    Raises: ValueError unless `num_groups` divides `num_channels`; RuntimeError for another number of channels.
    Source: Wu and He, Group normalization, 2018, section 3.

    >>> torch.nn.GroupNorm(2, 4)(torch.tensor([[1.0, 3.0, 10.0, 30.0]])).detach()
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Device = None,
        dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        weight = (num_channels,) if affine else None
        self._make_weight_and_bias(weight, weight if bias else None, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """``out = input / sqrt(mean(input ** 2) + eps) * weight`` with the mean over the last dimensions.

    `eps` defaults to that of the dtype.

    Family: F.rms_norm

    >>> norm = torch.nn.RMSNorm(2, elementwise_affine=False)
    >>> norm(torch.tensor([[3.0, 4.0], [5.0, 0.0]]))
    tensor([[0.8485, 1.1314],
            [1.4142, 0.0000]])
    """

    def __init__(
        self, normalized_shape: Ints, eps: float | None = None, elementwise_affine: bool = True, device: Device = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = _shape(normalized_shape), eps, elementwise_affine
        weight = Parameter(empty(*self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
