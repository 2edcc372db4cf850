"""Padding: more elements before and after the last `n` dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mini_dl.nn import functional as F
from mini_dl.nn._types import Ints
from mini_dl.nn.modules.configured import Configured
from mini_dl.nn.modules.conv import ntuple
from mini_dl.tensor import Tensor


class _Pad(Configured):
    """`padding` is one number or (before, after) for each dimension, the last one first."""

    n: ClassVar[int]
    mode: ClassVar[str]
    padding: Ints

    def configured(self) -> None:
        self.padding = ntuple(self.padding, 2 * self.n)

    def _amounts(self) -> tuple[int, ...]:
        """`padding` as given, or as it was assigned since."""
        padding: Any = self.padding
        return padding

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self._amounts(), self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (self.n + 1, self.n + 2):
            raise ValueError(f"expected {self.n + 1}D or {self.n + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """Padding with elements from the opposite end of (N, C, L). ValueError for other numbers of dimensions.

    >>> import mini_dl as torch
    >>> torch.nn.CircularPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    n = 1


class CircularPad2d(_CircularPad):
    """Padding with elements from the opposite end of (N, C, H, W).

    >>> import mini_dl as torch
    >>> torch.nn.CircularPad2d((1, 1, 0, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 1., 2., 1.],
             [4., 3., 4., 3.]]])
    """

    n = 2


class CircularPad3d(_CircularPad):
    """Padding with elements from the opposite end of (N, C, D, H, W).

    >>> import mini_dl as torch
    >>> torch.nn.CircularPad3d((1, 0, 0, 0, 0, 0))(torch.arange(2.0).reshape(1, 1, 1, 2))
    tensor([[[[1., 0., 1.]]]])
    """

    n = 3


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """Padding with the mirror image of (N, C, L), without the edge.

    >>> import mini_dl as torch
    >>> torch.nn.ReflectionPad1d((0, 3))(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[1., 2., 3., 4., 3., 2., 1.]])
    """

    n = 1


class ReflectionPad2d(_ReflectionPad):
    """Padding with the mirror image of (N, C, H, W), without the edge.

    >>> import mini_dl as torch
    >>> torch.nn.ReflectionPad2d((1, 0, 1, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]])
    """

    n = 2


class ReflectionPad3d(_ReflectionPad):
    """Padding with the mirror image of (N, C, D, H, W), without the edge.

    >>> import mini_dl as torch
    >>> torch.nn.ReflectionPad3d((1, 1, 0, 0, 0, 0))(torch.arange(3.0).reshape(1, 1, 1, 3))
    tensor([[[[1., 0., 1., 2., 1.]]]])
    """

    n = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """Padding with the edge of (N, C, L).

    >>> import mini_dl as torch
    >>> torch.nn.ReplicationPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0]]
    """

    n = 1


class ReplicationPad2d(_ReplicationPad):
    """Padding with the edge of (N, C, H, W).

    >>> import mini_dl as torch
    >>> torch.nn.ReplicationPad2d((2, 0, 0, 1))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 1., 1., 2.],
             [3., 3., 3., 4.],
             [3., 3., 3., 4.]]])
    """

    n = 2


class ReplicationPad3d(_ReplicationPad):
    """Padding with the edge of (N, C, D, H, W).

    >>> import mini_dl as torch
    >>> torch.nn.ReplicationPad3d((0, 0, 0, 0, 1, 0))(torch.ones(1, 2, 2, 2)).shape
    torch.Size([1, 3, 2, 2])
    """

    n = 3


class _ConstantPad(_Pad):
    value: float

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self._amounts(), "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Padding of (N, C, L) with `value`.

    >>> import mini_dl as torch
    >>> torch.nn.ConstantPad1d(1, 9.0)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[9., 1., 2., 3., 9.]])
    """

    n = 1


class ConstantPad2d(_ConstantPad):
    """Padding of (N, C, H, W) with `value`.

    >>> import mini_dl as torch
    >>> torch.nn.ConstantPad2d((1, 0, 0, 0), 9.0)(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[9., 1., 2.],
             [9., 3., 4.]]])
    """

    n = 2


class ConstantPad3d(_ConstantPad):
    """Padding of (N, C, D, H, W) with `value`.

    >>> import mini_dl as torch
    >>> torch.nn.ConstantPad3d(1, 0.5)
    ConstantPad3d(padding=(1, 1, 1, 1, 1, 1), value=0.5)
    """

    n = 3


class _ZeroPad(_ConstantPad):
    if TYPE_CHECKING:
        value: float = 0.0  # so that it need not be given

    def __init__(self, padding: Ints) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Padding of (N, C, L) with zeros.

    >>> import mini_dl as torch
    >>> torch.nn.ZeroPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 1., 2., 3., 0.]])
    """

    n = 1


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Padding of (N, C, H, W) with zeros.

    >>> import mini_dl as torch
    >>> torch.nn.ZeroPad2d((2, 0, 0, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[0., 0., 1., 2.],
             [0., 0., 3., 4.]]])
    """

    n = 2


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Padding of (N, C, D, H, W) with zeros.

    >>> import mini_dl as torch
    >>> torch.nn.ZeroPad3d(1)(torch.ones(1, 2, 2, 2)).sum()
    tensor(8.)
    """

    n = 3


# what torch calls the family
_CircularPadNd = _CircularPad
_ConstantPadNd = _ConstantPad
_ReflectionPadNd = _ReflectionPad
_ReplicationPadNd = _ReplicationPad
