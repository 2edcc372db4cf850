"""Pooling: one value for each window of the last `n` dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from mini_dl.nn import functional as F
from mini_dl.nn._types import Floats, Ints
from mini_dl.nn.modules.configured import Configured
from mini_dl.nn.modules.conv import ntuple
from mini_dl.tensor import Tensor

Pooled: TypeAlias = Any
"""The maxima; with `return_indices`, a tuple of maxima and indices: a union would force callers to check which."""


class _Pool(Configured):
    """`operation` is the name of the function without its number of dimensions."""

    _space_dims: ClassVar[int]
    _operation: ClassVar[str]

    def _pool(self, *args: object, **kwargs: object) -> Any:
        return getattr(F, f"{self._operation}{self._space_dims}d")(*args, **kwargs)


class _Windows(_Pool):
    """`stride` defaults to the window size."""

    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0

    def _check_fields(self) -> None:
        if self.__dict__["stride"] is None:
            self.__dict__["stride"] = self.kernel_size

    def _sizes_to_spread(self) -> None:
        """Set the window's size, stride and padding for each dimension."""
        for name in ("kernel_size", "stride", "padding"):
            setattr(self, name, ntuple(getattr(self, name), self._space_dims))


# ------------------------------------------------------------------------------------------------ maximum


class _MaxPool(_Windows):
    _operation = "max_pool"
    dilation: Ints = 1
    return_indices: bool = False
    ceil_mode: bool = False
    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def forward(self, input: Tensor) -> Pooled:
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return self._pool(input, *window, ceil_mode=self.ceil_mode, return_indices=self.return_indices)


class MaxPool1d(_MaxPool):
    """``out[n, c, i] = max(input[n, c, i * stride - padding + k * dilation], k)`` over the positions `k` of a window.

    `stride` defaults to the window size. With `return_indices`, also their indices in the flattened
    image.

    Family: max pooling 1d

    >>> torch.nn.MaxPool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[3., 4.]])
    """

    _space_dims = 1


class MaxPool2d(_MaxPool):
    """``out[n, c, i] = max(input[n, c, i * stride - padding + k * dilation], k)`` over the positions `k` of a window.

    `stride` defaults to the window size. With `return_indices`, also their indices in the flattened
    image.

    Family: max pooling 2d

    >>> torch.nn.MaxPool2d(2)
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """

    _space_dims = 2


class MaxPool3d(_MaxPool):
    """``out[n, c, i] = max(input[n, c, i * stride - padding + k * dilation], k)`` over the positions `k` of a window.

    `stride` defaults to the window size. With `return_indices`, also their indices in the flattened
    image.

    Family: max pooling 3d

    >>> torch.nn.MaxPool3d(2, stride=1)(torch.ones(1, 3, 3, 3)).shape
    torch.Size([1, 2, 2, 2])
    """

    _space_dims = 3


class _MaxUnpool(_Windows):
    _operation = "max_unpool"

    def _check_fields(self) -> None:
        super()._check_fields()
        self._sizes_to_spread()

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return self._pool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """``out[n, c, indices[n, c, i]] = input[n, c, i]``, else 0: the maxima of `MaxPool1d` at their positions.

    Family: unpooling 1d

    >>> pool, unpool = torch.nn.MaxPool1d(2, return_indices=True), torch.nn.MaxUnpool1d(2)
    >>> unpool(*pool(torch.tensor([[1.0, 3.0, 2.0, 4.0]])))
    tensor([[0., 3., 0., 4.]])
    """

    _space_dims = 1


class MaxUnpool2d(_MaxUnpool):
    """``out[n, c, indices[n, c, i]] = input[n, c, i]``, else 0: the maxima of `MaxPool2d` at their positions.

    Family: unpooling 2d

    >>> values, places = torch.tensor([[[5.0]]]), torch.tensor([[[3]]])
    >>> torch.nn.MaxUnpool2d(2)(values, places)
    tensor([[[0., 0.],
             [0., 5.]]])
    """

    _space_dims = 2


class MaxUnpool3d(_MaxUnpool):
    """``out[n, c, indices[n, c, i]] = input[n, c, i]``, else 0: the maxima of `MaxPool3d` at their positions.

    Family: unpooling 3d

    >>> values, places = torch.ones(1, 1, 2, 1, 1), torch.tensor([1, 10]).reshape(1, 1, 2, 1, 1)
    >>> torch.nn.MaxUnpool3d(2)(values, places).shape
    torch.Size([1, 1, 4, 2, 2])
    """

    _space_dims = 3


# ------------------------------------------------------------------------------------------------ mean and norms


class _AvgPool(_Windows):
    _operation = "avg_pool"
    ceil_mode: bool = False
    count_include_pad: bool = True
    _shown = ("kernel_size", "stride", "padding")


class AvgPool1d(_AvgPool):
    """``out[n, c, i] = sum(input[n, c, i * stride - padding + k], k) / K`` over windows of `K` elements.

    `stride` defaults to the window size. Zero padding is included unless `count_include_pad` is False.

    Family: mean pooling 1d

    >>> torch.nn.AvgPool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[2., 3.]])
    """

    _space_dims = 1

    def _check_fields(self) -> None:
        super()._check_fields()
        self._sizes_to_spread()

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _AvgPoolWithDivisor(_AvgPool):
    divisor_override: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        counted = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        return self._pool(input, self.kernel_size, self.stride, self.padding, *counted)


class AvgPool2d(_AvgPoolWithDivisor):
    """``out[n, c, i] = sum(input[n, c, i * stride - padding + k], k) / K`` over windows of `K` elements.

    `stride` defaults to the window size. Zero padding is included unless `count_include_pad` is False;
    `divisor_override` replaces `K`.

    Family: mean pooling 2d

    >>> torch.nn.AvgPool2d(2, stride=1)(torch.arange(6.0).reshape(1, 2, 3))
    tensor([[[2., 3.]]])
    """

    _space_dims = 2


class AvgPool3d(_AvgPoolWithDivisor):
    """``out[n, c, i] = sum(input[n, c, i * stride - padding + k], k) / K`` over windows of `K` elements.

    `stride` defaults to the window size. Zero padding is included unless `count_include_pad` is False;
    `divisor_override` replaces `K`.

    Family: mean pooling 3d

    >>> torch.nn.AvgPool3d(2)(torch.ones(1, 4, 4, 6)).shape
    torch.Size([1, 2, 2, 3])
    """

    _space_dims = 3


class _LPPool(_Pool):  # the function itself takes the kernel's size for a `stride` of None
    _operation = "lp_pool"
    norm_type: float
    kernel_size: Ints
    stride: Ints | None = None
    ceil_mode: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """``out[n, c, i] = sum(input[n, c, i * stride + k] ** norm_type, k) ** (1 / norm_type)`` over windows.

    `stride` defaults to the window size.

    Family: power pooling 1d

    >>> torch.nn.LPPool1d(2, kernel_size=2)(torch.tensor([[3.0, 4.0, 0.0, 1.0]]))
    tensor([[5., 1.]])
    """

    _space_dims = 1


class LPPool2d(_LPPool):
    """``out[n, c, i] = sum(input[n, c, i * stride + k] ** norm_type, k) ** (1 / norm_type)`` over windows.

    `stride` defaults to the window size.

    Family: power pooling 2d

    >>> torch.nn.LPPool2d(1, 2)(torch.ones(1, 2, 2))
    tensor([[[4.]]])
    """

    _space_dims = 2


class LPPool3d(_LPPool):
    """``out[n, c, i] = sum(input[n, c, i * stride + k] ** norm_type, k) ** (1 / norm_type)`` over windows.

    `stride` defaults to the window size.

    Family: power pooling 3d

    >>> torch.nn.LPPool3d(2, 2)(torch.ones(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 2, 2, 2])
    """

    _space_dims = 3


# ------------------------------------------------------------------------------------------------ to a given size


class _ToSize(Configured):
    _space_dims: ClassVar[int]
    _operation: ClassVar[str]
    output_size: int | Sequence[int | None] | None
    _shown = ("output_size",)

    def forward(self, input: Tensor) -> Pooled:
        return getattr(F, f"{self._operation}{self._space_dims}d")(input, self.output_size)


class _AdaptiveAvgPool(_ToSize):
    _operation = "adaptive_avg_pool"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """``out[n, c, i] = mean(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size.

    Family: adaptive pooling 1d

    >>> torch.nn.AdaptiveAvgPool1d(2)(torch.tensor([[1.0, 3.0, 5.0]]))
    tensor([[2., 4.]])
    """

    _space_dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """``out[n, c, i] = mean(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size, in each dimension; None keeps a size.

    Family: adaptive pooling 2d

    >>> torch.nn.AdaptiveAvgPool2d((1, None))(torch.ones(8, 5, 7)).shape
    torch.Size([8, 1, 7])
    """

    _space_dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """``out[n, c, i] = mean(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size, in each dimension; None keeps a size.

    Family: adaptive pooling 3d

    >>> torch.nn.AdaptiveAvgPool3d(1)(torch.arange(8.0).reshape(1, 2, 2, 2)).item()
    3.5
    """

    _space_dims = 3


class _AdaptiveMaxPool(_ToSize):
    _operation = "adaptive_max_pool"
    return_indices: bool = False

    def forward(self, input: Tensor) -> Pooled:
        return getattr(F, f"{self._operation}{self._space_dims}d")(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """``out[n, c, i] = max(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size. With `return_indices`, also their indices.

    Family: adaptive pooling 1d

    >>> torch.nn.AdaptiveMaxPool1d(1)(torch.tensor([[1.0, 9.0, 2.0], [3.0, 4.0, 5.0]])).flatten()
    tensor([9., 5.])
    """

    _space_dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """``out[n, c, i] = max(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size, in each dimension; None keeps a size. With `return_indices`, also
    their indices.

    Family: adaptive pooling 2d

    >>> pool = torch.nn.AdaptiveMaxPool2d(1, return_indices=True)
    >>> pool(torch.tensor([[[1.0, 2.0], [7.0, 4.0]]]))
    (tensor([[[7.]]]), tensor([[[2]]]))
    """

    _space_dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """``out[n, c, i] = max(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size, in each dimension; None keeps a size. With `return_indices`, also
    their indices.

    Family: adaptive pooling 3d

    >>> torch.nn.AdaptiveMaxPool3d((1, 2, 3))(torch.ones(8, 4, 4, 6)).shape
    torch.Size([8, 1, 2, 3])
    """

    _space_dims = 3


class _FractionalMaxPool(Configured):
    _space_dims: ClassVar[int]
    kernel_size: Ints
    output_size: Ints | None = None
    output_ratio: Floats | None = None
    return_indices: bool = False
    _random_samples: Tensor | None = None
    _shown = ()
    _buffers_among_fields = ("_random_samples",)

    def _check_fields(self) -> None:
        counts = isinstance(self.kernel_size, (int, tuple, list))
        self.kernel_size, name = ntuple(self.kernel_size, self._space_dims), type(self).__name__
        if self._space_dims == 3 and counts and not all([size > 0 for size in self.kernel_size]):
            raise ValueError(f"kernel_size must be greater than 0, but got {self.kernel_size}")
        if self.output_size is None and self.output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if self.output_size is not None and self.output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        self.output_size = None if self.output_size is None else ntuple(self.output_size, self._space_dims)
        if isinstance(self.output_ratio, Tensor) and self.output_ratio.ndim:
            raise ValueError(f"output_ratio must be between 0 and 1 (got {self.output_ratio})")
        self.output_ratio = None if self.output_ratio is None else ntuple(self.output_ratio, self._space_dims)
        if self.output_ratio is not None and not all([0 < ratio < 1 for ratio in self.output_ratio]):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {self.output_ratio})")

    def forward(self, input: Tensor) -> Pooled:
        pool, size = getattr(F, f"fractional_max_pool{self._space_dims}d"), (self.output_size, self.output_ratio)
        return pool(input, self.kernel_size, *size, self.return_indices, _random_samples=self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """``out[n, c, i] = max(input[n, c, a[i] + k], k)`` over windows at random positions `a`, which increase by the ratio of the
    sizes.

    Family: fractional pooling 2d

    >>> torch.nn.FractionalMaxPool2d(2, output_ratio=0.5)(torch.ones(1, 8, 10)).shape
    torch.Size([1, 4, 5])
    """

    _space_dims = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """``out[n, c, i] = max(input[n, c, a[i] + k], k)`` over windows at random positions `a`, which increase by the ratio of the
    sizes.

    Family: fractional pooling 3d

    >>> torch.nn.FractionalMaxPool3d(2, output_size=3)(torch.ones(1, 1, 8, 8, 8)).shape
    torch.Size([1, 1, 3, 3, 3])
    """

    _space_dims = 3


# what torch calls the family
_MaxPoolNd = _MaxPool
_MaxUnpoolNd = _MaxUnpool
_AvgPoolNd = _AvgPool
_LPPoolNd = _LPPool
_AdaptiveMaxPoolNd = _AdaptiveMaxPool
_AdaptiveAvgPoolNd = _AdaptiveAvgPool
