"""Filling with a value, or with another tensor."""

from __future__ import annotations

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import broadcast_shapes, without_imaginary_parts
from mini_dl._dtypes import INEXACT, Array
from mini_dl._layout import empty_in_order, on_the_way
from mini_dl._surface import function, method, tensor_method
from mini_dl.autograd.inplace import check_memory, copy_into, count_write, inplace, is_recorded
from mini_dl.autograd.mode import at_work
from mini_dl.autograd.overlaps import check_operands
from mini_dl.autograd.primitive import linear_in, not_a_tensor, number_of, op
from mini_dl.ops.gathering import one_value, zeros_as
from mini_dl.tensor import Operand, Tensor, wrap

# ------------------------------------------------------------------------------------------------ whole tensors


@linear_in("input src")
@op(input=lambda grad: zeros_as(grad, grad._array.shape), src=lambda grad: grad)
def _copied(input: Array, src: Array) -> Array:
    out = np.empty(input.shape, input.dtype)
    np.copyto(out, on_the_way(without_imaginary_parts(src, out.dtype), out.dtype), casting="unsafe")
    return out


_copied.op.grad_name = "torch::autograd::CopyBackwards"  # type: ignore[attr-defined]
_recorded_copy_ = inplace(_copied, "copy_")


@tensor_method()
def copy_(self: Tensor, src: object, non_blocking: bool = False) -> Tensor:
    """Another tensor's elements written into this one, expanded and cast: ``self[i] = src[i]``

    Shapes: `src` broadcasts to the shape of this tensor, which is returned.
    Raises: RuntimeError if it does not, and for a leaf that requires grad.

    >>> torch.zeros(2, 2, dtype=torch.int64).copy_(torch.tensor([1.9, 2.1]))
    tensor([[1, 2],
            [1, 2]])
    """
    if not isinstance(src, Tensor):
        if not _dtypes.is_number(src):
            raise not_a_tensor("copy_", "other", 1, src)
        kind = np.dtype(np.float64) if isinstance(src, float) else _dtypes.dtype_of_number(src)
        src = wrap(_dtypes.as_type(src, kind))
    shape, theirs = self._array.shape, src._array.shape
    if theirs != shape:
        common = broadcast_shapes(shape, theirs)
        if common != shape:
            raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(common)}")
    if is_recorded(self, src) and self._array.dtype.kind in INEXACT:
        if not at_work.anywhere:  # whose tensors show read-only arrays
            check_memory(self._array)
        return _recorded_copy_(self, src)
    check_memory(self._array)
    check_operands(self, (src,))
    copy_into(self._array, src._array)
    count_write(self)
    return self


@linear_in("input value")
@op(input=lambda grad, input_shape: zeros_as(grad, input_shape), value=lambda grad: grad.sum())
def _fill(input: Array, value: Array) -> Array:
    out = empty_in_order(input, input.dtype)
    out[...] = value
    return out


_recorded_fill_ = inplace(_fill, "fill_")


@linear_in("input")
@op(input=lambda grad, input_shape: zeros_as(grad, input_shape))
def zero(input: Array) -> Array:
    """Zeros like `input`."""
    return np.zeros(input.shape, input.dtype)


_recorded_zero_ = inplace(zero, "zero_")


def _fill_memory(self: Tensor, value: object) -> Tensor:
    # overlapping elements are fine here: all of them get the same value
    if not self._array.flags.writeable:
        check_memory(self._array)
    self._array[...] = value
    count_write(self)
    return self


@function()
def fill(input: Tensor, value: Operand) -> Tensor:
    """A tensor like `input` with one value everywhere: ``out[i] = value``

    Shapes: `input` (*in), `value` a number or () -> (*in).
    Raises: RuntimeError for a `value` with dimensions.

    >>> torch.fill(torch.zeros(3), 2.5)
    tensor([2.5000, 2.5000, 2.5000])
    """
    return _fill(input, one_value("fill", input, value, cast=True, fills=True))


@method()
def fill_(input: Tensor, value: Operand) -> Tensor:
    """One value written everywhere: ``self[i] = value``

    Family: fill

    >>> torch.zeros(3).fill_(2.5)
    tensor([2.5000, 2.5000, 2.5000])
    """
    value = one_value("fill_", input, value, cast=True, fills=True)
    return _recorded_fill_(input, value) if is_recorded(input, value) else _fill_memory(input, value._array)


@method()
def zero_(input: Tensor) -> Tensor:
    """Zero written everywhere: ``self[i] = 0``

    Family: fill

    >>> torch.ones(3).zero_()
    tensor([0., 0., 0.])
    """
    return _recorded_zero_(input) if is_recorded(input) else _fill_memory(input, 0)


@tensor_method()
def fill_diagonal_(self: Tensor, fill_value: Operand, wrap: bool = False) -> Tensor:
    """The main diagonal filled with one value: ``self[i, i] = fill_value``; with `wrap`, again below each square of a tall
    matrix.

    Shapes: (m, n), or more dimensions of one size -> the same tensor.
    Raises: RuntimeError for fewer than two dimensions, and for more than two of different sizes.

    >>> torch.zeros(2, 3).fill_diagonal_(5)
    tensor([[5., 0., 0.],
            [0., 5., 0.]])
    """
    fill_value = number_of("fill_diagonal_", "fill_value", fill_value)
    shape = self._array.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    for start in range(0, shape[0], shape[1] + 1) if wrap and len(shape) == 2 else (0,):
        count = min([shape[0] - start, *shape[1:]])
        if len(shape) == 2:
            self[start : start + count].diagonal().fill_(fill_value)
        else:
            step = sum(self.stride())
            self.as_strided((count,), (step,), self.storage_offset()).fill_(fill_value)
    return self
