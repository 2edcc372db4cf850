"""Views: other shapes over the same memory. A write to either side reaches the other, and so do gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import infer_size, sizes, wrap_dim, wrap_dims
from mini_dl._dtypes import Array
from mini_dl._surface import function, method, tensor_method
from mini_dl.autograd.primitive import op, view
from mini_dl.tensor import Size, Tensor

# ------------------------------------------------------------------------------------------------ what a view leaves out


@op(input=lambda grad, look, args: look(grad, *args))
def place(input: Array, look: Callable[..., Any], args: tuple[Any, ...], shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `input` where the view ``look(_, *args)`` looks: the adjoint of views that leave elements out."""
    out = np.zeros(shape, input.dtype)
    look.__wrapped__(out, *args)[...] = input  # type: ignore[attr-defined]
    return out


# ------------------------------------------------------------------------------------------------ another shape


@view(input=lambda grad: grad)  # the engine sums back to the input's shape
def _expand(input: Array, shape: tuple[int, ...]) -> Array:
    # what np.broadcast_to does, but writable: a part of the result without repeated elements may be written to
    if not input.flags.writeable:
        return np.broadcast_to(input, shape)
    flags = ["multi_index", "refs_ok", "zerosize_ok", "reduce_ok"]
    return np.nditer((input,), flags, ["readwrite"], itershape=shape, order="C").itviews[0]  # type: ignore[arg-type]


@tensor_method()
def expand(self: Tensor, *size: Any, implicit: bool = False) -> Tensor:
    """The same elements repeated along dimensions of size 1, without copying. -1 keeps a size.

    RuntimeError if another size is to be changed.
    """
    return expand_to(self, sizes(size))


def expand_to(self: Tensor, size: tuple[int, ...]) -> Tensor:
    shape = self._array.shape
    new = len(size) - len(shape)
    if new < 0:
        raise RuntimeError(
            f"expand({self.dtype}{list(shape)}, size={list(size)}): the number of sizes provided ({len(size)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(shape)})"
        )
    target = []
    for i, n in enumerate(size):
        if n == -1 and i < new:
            raise RuntimeError(f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}")
        if n < -1:
            raise RuntimeError(f"expand: size {n} is negative; sizes: {list(size)}")
        old = 1 if i < new else shape[i - new]
        if n == -1:
            n = old
        elif old not in (1, n):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at non-singleton dimension {i}.  "
                f"Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
        target.append(n)
    return _expand(self, tuple(target))


@tensor_method()
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.expand(other.shape)``"""
    return expand_to(self, other._array.shape)


@method()
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """``input.expand(size)``"""
    return expand_to(input, sizes(size))


@view(input=lambda grad, input_shape: grad.reshape(input_shape))
def _view(input: Array, shape: tuple[int, ...]) -> Array:
    return input.reshape(shape)


@method()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements in the same order in another shape, of which one size may be -1; a view where the memory allows it.

    RuntimeError if the number of elements differs.

    >>> import mini_dl as torch
    >>> torch.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return _view(input, infer_size(sizes(shape), input._array.size))


@tensor_method()
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.reshape(other.shape)``"""
    return reshape(self, other._array.shape)


@method()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` made one."""
    shape = input._array.shape
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return _view(input, (1,))
    if start == end:
        return input
    size = 1
    for n in shape[start : end + 1]:
        size *= n
    return _view(input, (*shape[:start], size, *shape[end + 1 :]))


@method()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1)


@method()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` made several of these `sizes`, of which one may be -1. RuntimeError if the product differs."""
    shape = input._array.shape
    dim = wrap_dim(dim, len(shape))
    sizes = tuple([operator.index(n) for n in sizes])
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        inner = infer_size(sizes, shape[dim])
    except RuntimeError as error:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input tensor"
            if "is invalid for input" in str(error)
            else str(error)
        ) from None
    return view_(input, (*shape[:dim], *inner, *shape[dim + 1 :]))


def view_(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`input` in another shape over the same memory. RuntimeError if that needs a copy."""
    out = _view(input, shape)
    if out._base is None and input._array.size:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


@tensor_method()
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.view(other.shape)``"""
    return view_(self, infer_size(other._array.shape, self._array.size))


@tensor_method()
def _tensor_view(self: Tensor, *shape: Any, dtype: Any = None) -> Tensor:
    return view_(self, infer_size(sizes(shape), self._array.size))


setattr(Tensor, "view", _tensor_view)  # noqa: B010
# ------------------------------------------------------------------------------------------------ dimensions in another order


@view(input=lambda grad, dims: _permute(grad, tuple(np.argsort(dims).tolist())))
def _permute(input: Array, dims: tuple[int, ...]) -> Array:
    return input.transpose(dims)


@method()
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order. RuntimeError unless `dims` names each once."""
    order, ndim = sizes(dims), input._array.ndim
    if len(order) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(order)}".replace("(sparse_coo)", "")
        )
    order = tuple([wrap_dim(d, ndim) for d in order])
    if len(set(order)) != ndim:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _permute(input, order)


@view(input=lambda grad, dim0, dim1: _transpose(grad, dim0, dim1))
def _transpose(input: Array, dim0: int, dim1: int) -> Array:
    return input.swapaxes(dim0, dim1)


@method()
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Dimensions `dim0` and `dim1` exchanged."""
    ndim = input._array.ndim
    dim0, dim1 = wrap_dim(dim0, ndim), wrap_dim(dim1, ndim)
    return _transpose(input, dim0, dim1) if ndim else alias(input)


@view(input=lambda grad: grad)
def alias(input: Array) -> Array:
    return input.view()


@view(input=lambda grad: _t(grad))
def _t(input: Array) -> Array:
    return input.T


@method()
def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or number as it is. RuntimeError with more dimensions."""
    if input._array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._array.ndim}D")
    return _t(input)


setattr(Tensor, "T", property(lambda self: _permute(self, tuple(range(self._array.ndim))[::-1])))  # noqa: B010
setattr(Tensor, "mT", property(lambda self: transpose(self, -2, -1)))  # noqa: B010
# ------------------------------------------------------------------------------------------------ dimensions of size 1


@view(input=lambda grad, input_shape: grad.reshape(input_shape))
def _squeeze(input: Array, dims: tuple[int, ...]) -> Array:
    return input.squeeze(dims)


@method()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without dimensions of size 1: all, or those of `dim`."""
    shape = input._array.shape
    if dim is None:
        dims: Any = range(len(shape))
    else:
        dims = wrap_dims(dim, len(shape)) if dim != () else ()
    return _squeeze(input, tuple([d for d in dims if shape[d] == 1]))


@view(input=lambda grad, dim: _squeeze(grad, (dim,)))
def _unsqueeze(input: Array, dim: int) -> Array:
    return input.reshape(*input.shape[:dim], 1, *input.shape[dim:])


@method()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 inserted before `dim`."""
    return _unsqueeze(input, wrap_dim(dim, input._array.ndim + 1))


# ------------------------------------------------------------------------------------------------ parts


@view(input=lambda grad, input_shape, dim, index: place(grad, _select, (dim, index), input_shape))
def _select(input: Array, dim: int, index: int) -> Array:
    return input[(slice(None),) * dim + (index, ...)]


def _looking(name: str) -> Callable[..., Tensor]:
    """``input[index]`` for an index of ints, slices, None and ..., recorded under `name`."""

    def look(input: Array, index: tuple[Any, ...]) -> Array:
        return input[index]

    look.__name__ = name
    made = view(input=lambda grad, input_shape, index: place(grad, made, (index,), input_shape))(look)
    return made


_slice, _pick, _new_axes = _looking("slice"), _looking("select"), _looking("unsqueeze")


@method()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The part at `index` of dimension `dim`, which disappears. IndexError out of range."""
    shape = input._array.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, len(shape))
    index = operator.index(index)
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {dim}")
    return _select(input, dim, index % shape[dim])


@method()
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Elements `start` to `start + length` of dimension `dim`. RuntimeError or IndexError out of range."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    dim, start = wrap_dim(dim, len(shape)), operator.index(start)
    n = shape[dim]
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return part(input, dim, start, start + length)


def part(input: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    return _slice(input, (slice(None),) * dim + (slice(start, stop, step),))


@method()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The parts along dimension `dim`, which disappears."""
    if not input._array.ndim:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, input._array.ndim)
    return tuple([_select(input, dim, i) for i in range(input._array.shape[dim])])


@method()
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `split_size` elements along `dim`, or of the given sizes."""
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    if not tensor._array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim, size = wrap_dim(dim, tensor._array.ndim), operator.index(split_size_or_sections)
    n = tensor._array.shape[dim]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    starts = range(0, n, size) if n else [0]
    return tuple([part(tensor, dim, start, min(n, start + size)) for start in starts])


@method()
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the given sizes along `dim`. RuntimeError unless they add up."""
    if not input._array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    lengths = [operator.index(s) for s in split_sizes]
    if any(s < 0 for s in lengths):
        raise RuntimeError(f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={lengths}")
    if sum(lengths) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), "
            f"but got split_sizes={lengths}"
        )
    out, start = [], 0
    for length in lengths:
        out.append(part(input, dim, start, start + length))
        start += length
    return tuple(out)


@method()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size along `dim`, but for the last."""
    if not input._array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    size = -(-n // chunks)
    if size == 0:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, size, dim)


# ------------------------------------------------------------------------------------------------ what a tensor is


@tensor_method()
def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or its entry `dim`."""
    if dim is None:
        return Size(self._array.shape)
    return self._array.shape[wrap_dim(dim, self._array.ndim)] if self._array.ndim else Size()[dim]


@method()
def numel(input: Tensor) -> int:
    """The number of elements."""
    return input._array.size


@tensor_method()
def dim(self: Tensor) -> int:
    """The number of dimensions."""
    return self._array.ndim


for _name, _function in {"nelement": numel, "ndimension": dim}.items():
    setattr(Tensor, _name, _function)
