"""Convolutions and their transposes: one class for 1, 2 and 3 dimensions, and its public subclasses."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from mini_dl.nn import functional as F, init
from mini_dl.nn.modules.lazy import LazyModuleMixin
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, UninitializedParameter, empty
from mini_dl.tensor import Tensor


def ntuple(value: Any, n: int) -> tuple[Any, ...]:
    """A number as an n-tuple, a sequence as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


class _ConvNd(Module):
    """Weight, bias and geometry of a convolution over the last `n` dimensions."""

    n: ClassVar[int]
    transposed: bool = False
    bias: Parameter | None

    def _build(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = ntuple(kernel_size, self.n), ntuple(stride, self.n)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, self.n)
        self.dilation, self.output_padding = ntuple(dilation, self.n), ntuple(output_padding, self.n)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any([s != 1 for s in self.stride]):
                raise ValueError("padding='same' is not supported for strided convolutions")
        modes = ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {set(modes)}, but got padding_mode='{padding_mode}'")
        self.padding_mode = padding_mode
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(empty(*channels, *self.kernel_size, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from U(-k, k), k = 1 / sqrt(in_channels / groups * kernel elements)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def _pads(self) -> list[int]:
        """The padding before and after each dimension, the last one first, as ``pad`` expects it."""
        pads: list[Any] = []
        for i in reversed(range(self.n)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                pads += [total // 2, total - total // 2]
            else:
                pads += [0, 0] if self.padding == "valid" else [self.padding[i]] * 2
        return pads

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * len(self.padding):
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.n:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.n:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        geometry = (kernel_size, stride, padding, dilation, 0)
        self._build(in_channels, out_channels, *geometry, groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._pads(), mode=self.padding_mode), (0,) * self.n
        conv = getattr(F, f"conv{self.n}d")
        return conv(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """(N, in_channels, L) -> (N, out_channels, L'): windows of the input times the weight, plus a bias."""

    n = 1


class Conv2d(_Conv):
    """(N, in_channels, H, W) -> (N, out_channels, H', W'): windows of the input times the weight, plus a bias.

    The weight is (out_channels, in_channels / groups, *kernel_size); `padding` may be "same" or "valid".

    >>> import mini_dl as torch
    >>> torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """

    n = 2


class Conv3d(_Conv):
    """(N, in_channels, D, H, W) -> (N, out_channels, D', H', W'): windows of the input times the weight, plus a bias."""

    n = 3


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        geometry = (kernel_size, stride, padding, dilation, output_padding)
        self._build(in_channels, out_channels, *geometry, groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for {type(self).__name__}")
        output_padding = self.output_padding if output_size is None else self._output_padding(input, output_size)
        conv_transpose = getattr(F, f"conv_transpose{self.n}d")
        return conv_transpose(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What to add at the end of each dimension to reach `output_size`. ValueError if that is impossible."""
        before = input.ndim - self.n  # dimensions before the spatial ones
        sizes = list(output_size)
        if len(sizes) == before + self.n:
            sizes = sizes[before:]
        if len(sizes) != self.n:
            raise ValueError(
                f"ConvTranspose{self.n}D: for {input.ndim}D input, output_size must have {self.n} or {before + self.n} elements "
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
    """(N, in_channels, L) -> (N, out_channels, L'): the adjoint of `Conv1d` with the weight's channels exchanged."""

    n = 1


class ConvTranspose2d(_ConvTranspose):
    """(N, in_channels, H, W) -> (N, out_channels, H', W'): the adjoint of `Conv2d` with the weight's channels exchanged."""

    n = 2


class ConvTranspose3d(_ConvTranspose):
    """(N, in_channels, D, H, W) -> (N, out_channels, D', H', W'): the adjoint of `Conv3d`."""

    n = 3


# ------------------------------------------------------------------------------------------------ lazy


class _LazyConvNd(LazyModuleMixin, _ConvNd):
    """Takes the number of input channels from the first input."""

    def _make_lazy(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        if not self.has_uninitialized_params():
            return
        if input.ndim not in (self.n + 1, self.n + 2):
            raise RuntimeError(
                f"Expected {self.n + 1}D (unbatched) or {self.n + 2}D (batched) input to {type(self).__name__}, but got input of "
                f"size: {input.shape}"
            )
        self.in_channels = input.shape[-self.n - 1]
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        channels = (self.in_channels, self.out_channels // self.groups)
        if not self.transposed:
            channels = (self.out_channels, self.in_channels // self.groups)
        self.weight.materialize((*channels, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvNd, _Conv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
        self._make_lazy(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvNd, _ConvTranspose):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        geometry = (kernel_size, stride, padding, output_padding)
        super().__init__(0, 0, *geometry, groups, False, dilation, padding_mode, device, dtype)
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` whose `in_channels` is that of its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` whose `in_channels` is that of its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` whose `in_channels` is that of its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` whose `in_channels` is that of its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` whose `in_channels` is that of its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` whose `in_channels` is that of its first input."""

    cls_to_become = ConvTranspose3d


# what torch calls the family
_ConvTransposeNd = _ConvTranspose
