"""Windows of an image as columns, and back."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn._types import Ints
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class Fold(Configured):
    """``out[n, c, y[l] + i * dilation, x[l] + j * dilation] += input[n, (c, i, j), l]``: columns as windows, summed where
    they overlap.

    The transpose of `unfold`, not its inverse.

    Family: F.fold

    >>> torch.nn.Fold((3, 3), 2)(torch.ones(1, 4, 4))[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """

    output_size: Ints
    kernel_size: Ints
    dilation: Ints = 1
    padding: Ints = 0
    stride: Ints = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)


class Unfold(Configured):
    """``out[n, (c, i, j), l] = input[n, c, y[l] + i * dilation, x[l] + j * dilation]``: each window of an image as a column.

    Family: F.unfold

    >>> torch.nn.Unfold(2)(torch.arange(9.0).reshape(1, 1, 3, 3))[0, :, 0]
    tensor([0., 1., 3., 4.])
    """

    kernel_size: Ints
    dilation: Ints = 1
    padding: Ints = 0
    stride: Ints = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)
