"""Convolutions and their transposes: one class for 1, 2 and 3 dimensions, and its public subclasses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, TypeVar

from mini_dl.nn import functional as F
from mini_dl.nn._types import Device, DType, Ints, Shape
from mini_dl.nn.modules.configured import deviations
from mini_dl.nn.modules.lazy import LazyLayer
from mini_dl.nn.modules.utils import _pair as _pair, _single as _single, _triple as _triple  # programs look here for them
from mini_dl.nn.modules.weighted import Weighted
from mini_dl.nn.parameter import Parameter
from mini_dl.tensor import Tensor

Number = TypeVar("Number")


def ntuple(value: Number | Sequence[Number], n: int) -> tuple[Number, ...]:
    """A number as an n-tuple, a sequence as a tuple. TypeError for a 0-d tensor, which Python considers iterable."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * n


class _ConvNd(Weighted):
    """Weight, bias and geometry of a convolution over the last `n` dimensions."""

    _space_dims: ClassVar[int]
    transposed: bool = False
    weight: Parameter
    bias: Parameter | None

    def _set_up_convolution(
        self, in_channels: int, out_channels: int, kernel_size: Ints, stride: Ints, padding: str | Ints, dilation: Ints,
        output_padding: Ints, groups: int, bias: bool, padding_mode: str, device: Device, dtype: DType,
    ) -> None:  # fmt: skip
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = ntuple(kernel_size, self._space_dims), ntuple(stride, self._space_dims)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, self._space_dims)
        self.dilation, self.output_padding = ntuple(dilation, self._space_dims), ntuple(output_padding, self._space_dims)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any([s != 1 for s in self.stride]):
                raise ValueError("padding='same' is not supported for strided convolutions")
        modes = ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {set(modes)}, but got padding_mode='{padding_mode}'")
        self.padding_mode = padding_mode
        self._make_weight_and_bias(self._shape_of_weight(), (out_channels,) if bias else None, device, dtype)

    def _shape_of_weight(self) -> Shape:
        outer, inner = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        return (outer, inner // self.groups, *self.kernel_size)

    @property
    def _reversed_padding_repeated_twice(self) -> Sequence[int]:
        """The padding before and after each dimension, last dimension first, as ``pad`` expects it; also for derived classes."""
        pads: list[int] = []
        for i in reversed(range(self._space_dims)):
            if isinstance(self.padding, str):
                total = self.dilation[i] * (self.kernel_size[i] - 1) if self.padding == "same" else 0
                pads += [total // 2, total - total // 2]
            else:
                pads += [self.padding[i]] * 2
        return pads if isinstance(self.padding, str) else tuple(pads)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        zeros, ones = (0,) * self._space_dims, (1,) * self._space_dims
        text += deviations(self, padding=zeros, dilation=ones, output_padding=zeros, groups=1)
        text += ", bias=False" if self.bias is None else ""
        return text + deviations(self, padding_mode="zeros")


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: str | Ints = 0,
        dilation: Ints = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Device = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        geometry = (kernel_size, stride, padding, dilation, 0)
        self._set_up_convolution(in_channels, out_channels, *geometry, groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, *self._weight_and_bias())

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode), (0,) * self._space_dims
        conv = getattr(F, f"conv{self._space_dims}d")
        return conv(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """``out[n, o, i] = bias[o] + sum(weight[o, c, k] * input[n, c, i * stride - padding + k * dilation], (c, k))``

    `weight` (out_channels, in_channels / groups, K) and `bias` are initially drawn from U(-b, b), ``b = 1 / sqrt(fan_in)``.
    `padding` may be "valid" (none) or "same"; `padding_mode` is "zeros", "reflect", "replicate" or "circular".

    Family: convolution layer 1d

    >>> torch.nn.Conv1d(3, 8, kernel_size=5)(torch.ones(2, 3, 20)).shape
    torch.Size([2, 8, 16])
    """

    _space_dims = 1


class Conv2d(_Conv):
    """``out[n, o, i] = bias[o] + sum(weight[o, c, k] * input[n, c, i * stride - padding + k * dilation], (c, k))``

    `weight` (out_channels, in_channels / groups, K1, K2) and `bias` are initially drawn from U(-b, b), ``b = 1 / sqrt(fan_in)``.
    `padding` may be "valid" (none) or "same"; `padding_mode` is "zeros", "reflect", "replicate" or "circular".

    Family: convolution layer 2d

    >>> torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """

    _space_dims = 2


class Conv3d(_Conv):
    """``out[n, o, i] = bias[o] + sum(weight[o, c, k] * input[n, c, i * stride - padding + k * dilation], (c, k))``

    `weight` (out_channels, in_channels / groups, K1, K2, K3) and `bias` are initially drawn from U(-b, b),
    ``b = 1 / sqrt(fan_in)``. `padding` may be "valid" (none) or "same"; `padding_mode` is "zeros", "reflect",
    "replicate" or "circular".

    Family: convolution layer 3d

    >>> torch.nn.Conv3d(1, 4, 3, stride=2)(torch.ones(2, 1, 9, 9, 9)).shape
    torch.Size([2, 4, 4, 4, 4])
    """

    _space_dims = 3


class _ConvTranspose(_ConvNd):
    transposed = True
    padding: Shape

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: Ints = 0,
        output_padding: Ints = 0, groups: int = 1, bias: bool = True, dilation: Ints = 1, padding_mode: str = "zeros",
        device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        geometry = (kernel_size, stride, padding, dilation, output_padding)
        self._set_up_convolution(in_channels, out_channels, *geometry, groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for {type(self).__name__}")
        output_padding = self.output_padding if output_size is None else self._output_padding(input, output_size)
        conv_transpose = getattr(F, f"conv_transpose{self._space_dims}d")
        return conv_transpose(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The padding at the end of each dimension needed to reach `output_size`. ValueError if that is impossible."""
        n = self._space_dims
        before = input.ndim - n  # dimensions before the spatial ones
        sizes = list(output_size)
        if len(sizes) == before + n:
            sizes = sizes[before:]
        if len(sizes) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.ndim}D input, output_size must have {n} or {before + n} elements "
                f"(got {len(sizes)})"
            )
        geometry = zip(input.shape[before:], self.kernel_size, self.stride, self.padding, self.dilation)
        least = [(n - 1) * stride - 2 * pad + dilation * (k - 1) + 1 for n, k, stride, pad, dilation in geometry]
        most = [size + stride - 1 for size, stride in zip(least, self.stride)]
        if any([not low <= size <= high for low, size, high in zip(least, sizes, most)]):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} (for an input of "
                f"{input.shape[2:]})"
            )
        return tuple([size - low for size, low in zip(sizes, least)])


class ConvTranspose1d(_ConvTranspose):
    """``out[n, o, j] = bias[o] + sum(weight[c, o, k] * input[n, c, i], (c, k))`` over the kernel positions `k` that reach `j`,
    ``j = i * stride - padding + k * dilation``: the transpose of a convolution.

    `output_padding` extends the result at the end, as does an `output_size` passed with the input.

    Family: transposed convolution layer 1d

    >>> torch.nn.ConvTranspose1d(8, 3, 5)(torch.ones(2, 8, 16)).shape
    torch.Size([2, 3, 20])
    """

    _space_dims = 1


class ConvTranspose2d(_ConvTranspose):
    """``out[n, o, j] = bias[o] + sum(weight[c, o, k] * input[n, c, i], (c, k))`` over the kernel positions `k` that reach `j`,
    ``j = i * stride - padding + k * dilation``: the transpose of a convolution.

    `output_padding` extends the result at the end, as does an `output_size` passed with the input.

    Family: transposed convolution layer 2d

    >>> up = torch.nn.ConvTranspose2d(8, 3, 3, stride=2)
    >>> up(torch.ones(2, 8, 4, 4)).shape
    torch.Size([2, 3, 9, 9])
    >>> up(torch.ones(2, 8, 4, 4), output_size=(10, 10)).shape
    torch.Size([2, 3, 10, 10])
    """

    _space_dims = 2


class ConvTranspose3d(_ConvTranspose):
    """``out[n, o, j] = bias[o] + sum(weight[c, o, k] * input[n, c, i], (c, k))`` over the kernel positions `k` that reach `j`,
    ``j = i * stride - padding + k * dilation``: the transpose of a convolution.

    `output_padding` extends the result at the end, as does an `output_size` passed with the input.

    Family: transposed convolution layer 3d

    >>> torch.nn.ConvTranspose3d(4, 1, 3)(torch.ones(2, 4, 2, 2, 2)).shape
    torch.Size([2, 1, 4, 4, 4])
    """

    _space_dims = 3


# ------------------------------------------------------------------------------------------------ lazy


class _LazyConvNd(LazyLayer, _ConvNd):
    """Takes the number of input channels from the first input."""

    _inferred = "in_channels"

    def initialize_parameters(self, input: Tensor, *args: object, **kwargs: object) -> None:
        if not self.has_uninitialized_params():
            return
        n = self._space_dims
        if input.ndim not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of "
                f"size: {input.shape}"
            )
        self.in_channels = input.shape[-n - 1]
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        self.weight.materialize(self._shape_of_weight())  # type: ignore[attr-defined]
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))  # type: ignore[attr-defined]
        self.reset_parameters()


class _LazyConv(_LazyConvNd, _Conv):
    def __init__(
        self, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: str | Ints = 0, dilation: Ints = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
        self.out_channels = out_channels
        self._make_lazy(True, bias, device, dtype)


class _LazyConvTranspose(_LazyConvNd, _ConvTranspose):
    def __init__(
        self, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: Ints = 0, output_padding: Ints = 0,
        groups: int = 1, bias: bool = True, dilation: Ints = 1, padding_mode: str = "zeros", device: Device = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        geometry = (kernel_size, stride, padding, output_padding)
        super().__init__(0, 0, *geometry, groups, False, dilation, padding_mode, device, dtype)
        self.out_channels = out_channels
        self._make_lazy(True, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` whose ``in_channels = input.shape[-2]`` is taken from its first input.

    Family: convolution layer 1d

    >>> conv = torch.nn.LazyConv1d(8, 3)
    >>> conv(torch.ones(2, 3, 9)).shape
    torch.Size([2, 8, 7])
    >>> conv
    Conv1d(3, 8, kernel_size=(3,), stride=(1,))
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` whose ``in_channels = input.shape[-3]`` is taken from its first input.

    Family: convolution layer 2d

    >>> conv = torch.nn.LazyConv2d(8, 3)
    >>> conv(torch.ones(2, 3, 9, 9)).shape
    torch.Size([2, 8, 7, 7])
    >>> conv
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` whose ``in_channels = input.shape[-4]`` is taken from its first input.

    Family: convolution layer 3d

    >>> conv = torch.nn.LazyConv3d(8, 3)
    >>> conv(torch.ones(2, 3, 9, 9, 9)).shape
    torch.Size([2, 8, 7, 7, 7])
    >>> conv
    Conv3d(3, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1))
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` whose ``in_channels = input.shape[-2]`` is taken from its first input.

    Family: transposed convolution layer 1d

    >>> torch.nn.LazyConvTranspose1d(8, 3)(torch.ones(2, 3, 9)).shape
    torch.Size([2, 8, 11])
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` whose ``in_channels = input.shape[-3]`` is taken from its first input.

    Family: transposed convolution layer 2d

    >>> torch.nn.LazyConvTranspose2d(8, 3)(torch.ones(2, 3, 9, 9)).shape
    torch.Size([2, 8, 11, 11])
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` whose ``in_channels = input.shape[-4]`` is taken from its first input.

    Family: transposed convolution layer 3d

    >>> torch.nn.LazyConvTranspose3d(8, 3)(torch.ones(2, 3, 9, 9, 9)).shape
    torch.Size([2, 8, 11, 11, 11])
    """

    cls_to_become = ConvTranspose3d


# what torch calls the family
_ConvTransposeNd = _ConvTranspose
