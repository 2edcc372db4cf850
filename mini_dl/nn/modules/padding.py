"""Padding: more elements before and after the last `n` dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mini_dl.nn import functional as F
from mini_dl.nn._types import Ints
from mini_dl.nn.modules.configured import Configured
from mini_dl.nn.modules.conv import ntuple
from mini_dl.tensor import Tensor


class _Pad(Configured):
    """`padding` is one number or (before, after) per dimension, last dimension first."""

    _space_dims: ClassVar[int]
    mode: ClassVar[str]
    padding: Ints

    def _check_fields(self) -> None:
        self.padding = ntuple(self.padding, 2 * self._space_dims)

    def _padding_amounts(self) -> tuple[int, ...]:
        """`padding` as given, or as assigned since."""
        padding: Any = self.padding
        return padding

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self._padding_amounts(), self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (self._space_dims + 1, self._space_dims + 2):
            raise ValueError(f"expected {self._space_dims + 1}D or {self._space_dims + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """``out[i] = input[(i - before) % L]``, wrapping around.

    Family: padding from the input 1d
    Raises: ValueError for other numbers of dimensions; RuntimeError for padding larger than the size.

    >>> torch.nn.CircularPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _space_dims = 1


class CircularPad2d(_CircularPad):
    """``out[i] = input[(i - before) % L]``, wrapping around, in each dimension of size L.

    Family: padding from the input 2d
    Raises: ValueError for other numbers of dimensions; RuntimeError for padding larger than the size.

    >>> torch.nn.CircularPad2d((1, 1, 0, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 1., 2., 1.],
             [4., 3., 4., 3.]]])
    """

    _space_dims = 2


class CircularPad3d(_CircularPad):
    """``out[i] = input[(i - before) % L]``, wrapping around, in each dimension of size L.

    Family: padding from the input 3d
    Raises: ValueError for other numbers of dimensions; RuntimeError for padding larger than the size.

    >>> torch.nn.CircularPad3d((1, 0, 0, 0, 0, 0))(torch.arange(2.0).reshape(1, 1, 1, 2))
    tensor([[[[1., 0., 1.]]]])
    """

    _space_dims = 3


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """``out[i] = input[abs(i - before)]`` and likewise at the end: reflection without the edge.

    Family: padding from the input 1d

    >>> torch.nn.ReflectionPad1d((0, 3))(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[1., 2., 3., 4., 3., 2., 1.]])
    """

    _space_dims = 1


class ReflectionPad2d(_ReflectionPad):
    """``out[i] = input[abs(i - before)]`` and likewise at the end: reflection without the edge, in each dimension of size
    L.

    Family: padding from the input 2d

    >>> torch.nn.ReflectionPad2d((1, 0, 1, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]])
    """

    _space_dims = 2


class ReflectionPad3d(_ReflectionPad):
    """``out[i] = input[abs(i - before)]`` and likewise at the end: reflection without the edge, in each dimension of size
    L.

    Family: padding from the input 3d

    >>> torch.nn.ReflectionPad3d((1, 1, 0, 0, 0, 0))(torch.arange(3.0).reshape(1, 1, 1, 3))
    tensor([[[[1., 0., 1., 2., 1.]]]])
    """

    _space_dims = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """``out[i] = input[min(max(i - before, 0), L - 1)]``: the edge repeated.

    Family: padding from the input 1d

    >>> torch.nn.ReplicationPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0]]
    """

    _space_dims = 1


class ReplicationPad2d(_ReplicationPad):
    """``out[i] = input[min(max(i - before, 0), L - 1)]``: the edge repeated, in each dimension of size L.

    Family: padding from the input 2d

    >>> torch.nn.ReplicationPad2d((2, 0, 0, 1))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 1., 1., 2.],
             [3., 3., 3., 4.],
             [3., 3., 3., 4.]]])
    """

    _space_dims = 2


class ReplicationPad3d(_ReplicationPad):
    """``out[i] = input[min(max(i - before, 0), L - 1)]``: the edge repeated, in each dimension of size L.

    Family: padding from the input 3d

    >>> torch.nn.ReplicationPad3d((0, 0, 0, 0, 1, 0))(torch.ones(1, 2, 2, 2)).shape
    torch.Size([1, 3, 2, 2])
    """

    _space_dims = 3


class _ConstantPad(_Pad):
    value: float

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self._padding_amounts(), "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """``out[i] = input[i - before] if 0 <= i - before < L else value``.

    `padding` is one number, or (before, after) per dimension, last dimension first; a negative one crops.

    Family: padding 1d

    >>> torch.nn.ConstantPad1d(1, 9.0)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[9., 1., 2., 3., 9.]])
    """

    _space_dims = 1


class ConstantPad2d(_ConstantPad):
    """``out[i] = input[i - before] if 0 <= i - before < L else value``, in each dimension of size L.

    `padding` is one number, or (before, after) per dimension, last dimension first; a negative one crops.

    Family: padding 2d

    >>> torch.nn.ConstantPad2d((1, 0, 0, 0), 9.0)(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[9., 1., 2.],
             [9., 3., 4.]]])
    """

    _space_dims = 2


class ConstantPad3d(_ConstantPad):
    """``out[i] = input[i - before] if 0 <= i - before < L else value``, in each dimension of size L.

    `padding` is one number, or (before, after) per dimension, last dimension first; a negative one crops.

    Family: padding 3d

    >>> torch.nn.ConstantPad3d(1, 0.5)
    ConstantPad3d(padding=(1, 1, 1, 1, 1, 1), value=0.5)
    """

    _space_dims = 3


class _ZeroPad(_ConstantPad):
    if TYPE_CHECKING:
        value: float = 0.0  # so that it need not be given

    def __init__(self, padding: Ints) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """``out[i] = input[i - before] if 0 <= i - before < L else 0``.

    `padding` is one number, or (before, after) per dimension, last dimension first; a negative one crops.

    Family: padding 1d

    >>> torch.nn.ZeroPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 1., 2., 3., 0.]])
    """

    _space_dims = 1


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """``out[i] = input[i - before] if 0 <= i - before < L else 0``, in each dimension of size L.

    `padding` is one number, or (before, after) per dimension, last dimension first; a negative one crops.

    Family: padding 2d

    >>> torch.nn.ZeroPad2d((2, 0, 0, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[0., 0., 1., 2.],
             [0., 0., 3., 4.]]])
    """

    _space_dims = 2


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """``out[i] = input[i - before] if 0 <= i - before < L else 0``, in each dimension of size L.

    `padding` is one number, or (before, after) per dimension, last dimension first; a negative one crops.

    Family: padding 3d

    >>> torch.nn.ZeroPad3d(1)(torch.ones(1, 2, 2, 2)).sum()
    tensor(8.)
    """

    _space_dims = 3


# what torch calls the family
_CircularPadNd = _CircularPad
_ConstantPadNd = _ConstantPad
_ReflectionPadNd = _ReflectionPad
_ReplicationPadNd = _ReplicationPad
