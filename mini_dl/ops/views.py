"""Views: other shapes over the same memory. A write to either side reaches the other, and so do gradients."""

from __future__ import annotations

import functools
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import (
    also_named,
    broadcast_shapes,
    infer_size,
    nonnegative,
    sizes,
    spread_out,
    type_name,
    wrap_dim,
    wrap_dims,
)
from mini_dl._device import CPU, device, strided
from mini_dl._dtypes import Array, of_numpy, scalar_name
from mini_dl._dtypes import dtype as DType
from mini_dl._surface import function, method, namespace, public, store, tensor_method
from mini_dl.autograd.graph import INFERENCE, NO_GRAD, SEVERAL, Node, edge_of, needs_grad
from mini_dl.autograd.inplace import any_needs_grad, check_inference, check_writable, rebase
from mini_dl.autograd.memory import spread
from mini_dl.autograd.mode import mode
from mini_dl.autograd.places import Layout, Place, layout_of, memory_of, offset_of, resized
from mini_dl.autograd.primitive import look_into, op, view
from mini_dl.tensor import Size, Tensor, inference, version_of, wrap

# ------------------------------------------------------------------------------------------------ what a view leaves out


@op(input=lambda grad, look, args: look(grad, *args))
def place(input: Array, look: Callable[..., Any], args: tuple[Any, ...], shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `input` where the view ``look(_, *args)`` looks: the adjoint of views that leave elements out."""
    out = np.zeros(shape, input.dtype)
    look.op.forward(out, *args)[...] = input  # type: ignore[attr-defined]
    return out


# ------------------------------------------------------------------------------------------------ another shape


@view(input=lambda grad: grad)  # the engine sums back to the input's shape
def _expand(input: Array, shape: tuple[int, ...]) -> Array:
    # what np.broadcast_to does, but writable: a part of the result without repeated elements may be written to
    if not input.flags.writeable:
        return np.broadcast_to(input, shape)
    if input.flags.c_contiguous and input.size:
        new = len(shape) - input.ndim
        steps = [step if n > 1 else 0 for n, step in zip(input.shape, input.strides)]
        return np.ndarray(shape, input.dtype, input, 0, (*(0,) * new, *steps))
    flags = ["multi_index", "refs_ok", "zerosize_ok", "reduce_ok"]
    return np.nditer((input,), flags, ["readwrite"], itershape=shape, order="C").itviews[0]  # type: ignore[call-overload]


@tensor_method()
@spread_out
def expand(self: Tensor, size: tuple[int, ...], *, implicit: bool = False) -> Tensor:
    """The same elements repeated along dimensions of size 1, without copying. -1 keeps a size.

    RuntimeError if another size is to be changed.
    """
    return expand_to(self, size)


def expand_to(self: Tensor, size: tuple[int, ...]) -> Tensor:
    shape = self._array.shape
    new = len(size) - len(shape)
    if new < 0:
        raise RuntimeError(
            f"expand(torch.{scalar_name(self._array.dtype)}Tensor{{{list(shape)}}}, size={list(size)}): the number of sizes "
            f"provided ({len(size)}) must be greater or "
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
@spread_out
def broadcast_to(input: Tensor, size: tuple[int, ...]) -> Tensor:
    """``input.expand(size)``"""
    return expand_to(input, size)


@view(input=lambda grad, input_shape: grad.reshape(input_shape))
def _view(input: Array, shape: tuple[int, ...]) -> Array:
    return input.reshape(shape)


@op(input=lambda grad, input_shape: grad.reshape(input_shape))
def unsafe_view(input: Array, shape: tuple[int, ...]) -> Array:
    """Another shape of an intermediate result that nobody else sees: no view."""
    return input.reshape(shape)


@method()
@spread_out
def reshape(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The elements in the same order in another shape, of which one size may be -1; a view where the memory allows it.

    RuntimeError if the number of elements differs.

    >>> import mini_dl as torch
    >>> torch.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return _view(input, infer_size(shape, input._array.size))


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
    """All elements in one dimension, next to each other in memory."""
    return reshape(input.contiguous(), -1)


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
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input "
            "tensor"
            if "is invalid for input" in str(error)
            else str(error)
        ) from None
    return view_(input, (*shape[:dim], *inner, *shape[dim + 1 :]))


def view_(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`input` in another shape over the same memory. RuntimeError if that needs a copy."""
    out = _view(input, shape)
    if out._base is None and input._array.size and not (input._inference and np.may_share_memory(out._array, input._array)):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


@tensor_method()
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """``self.view(other.shape)``"""
    return view_(self, infer_size(other._array.shape, self._array.size))


@view()
def _view_type(input: Array, target: np.dtype[Any]) -> Array:
    return input.view(target)


def _view_as_type(input: Tensor, target: DType) -> Tensor:
    """The same bytes read as another type; the last dimension shrinks or grows with the size of the elements."""
    array, wanted = input._array, target.numpy
    if array.itemsize == wanted.itemsize:
        return _view_type(input, wanted)
    names = f"to view {scalar_name(array.dtype)} as {scalar_name(wanted)} (different element sizes)"
    if not array.ndim:
        raise RuntimeError(f"self.dim() cannot be 0 {names}")
    if array.itemsize < wanted.itemsize and array.shape[-1] * array.itemsize % wanted.itemsize:
        ratio = wanted.itemsize // array.itemsize
        raise RuntimeError(f"self.size(-1) must be divisible by {ratio} {names}, but got {array.shape[-1]}")
    if array.strides[-1] != array.itemsize and array.shape[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {names}, but got {array.strides[-1] // array.itemsize}")
    return _view_type(input, wanted)


def _tensor_view(self: Tensor, *shape: Any, size: Any = (), dtype: DType | None = None) -> Tensor:
    """The same elements in another shape, or the same bytes as another type, over the same memory.

    RuntimeError if the number of elements differs or the memory does not allow it: then use ``reshape``.
    """
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], DType)):
        return _view_as_type(self, dtype or shape[0])
    return _view_as_shape(self, *(shape or size))


@spread_out
def _view_as_shape(self: Tensor, size: tuple[int, ...]) -> Tensor:
    return view_(self, infer_size(size, self._array.size))


_tensor_view.__name__ = "view"
tensor_method()(_tensor_view)


# ------------------------------------------------------------------------------------------------ dimensions in another order


@view(input=lambda grad, dims: _permute(grad, tuple(np.argsort(dims).tolist())))
def _permute(input: Array, dims: tuple[int, ...]) -> Array:
    return input.transpose(dims)


@method()
@spread_out
def permute(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The dimensions in another order. RuntimeError unless `dims` names each once."""
    ndim = input._array.ndim
    if len(dims) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    order = tuple([wrap_dim(d, ndim) for d in dims])
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
    return _transpose(input, dim0, dim1) if ndim else _alias(input)


@method()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """``input.transpose(axis0, axis1)``"""
    return transpose(input, axis0, axis1)


@method()
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """``input.transpose(dim0, dim1)``"""
    return transpose(input, dim0, dim1)


@public("torch", "Tensor", "torch:moveaxis", "Tensor:moveaxis")
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions `source` moved to the places `destination`, the others in order around them."""
    ndim = input._array.ndim
    sources, targets = [list(d) if isinstance(d, (tuple, list)) else [d] for d in (source, destination)]
    if len(sources) != len(targets):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({sources} dims) should contain the same number of dims as "
            f"destination ({targets} dims)"
        )
    source_dims, target_dims = [wrap_dim(d, ndim) for d in sources], [wrap_dim(d, ndim) for d in targets]
    for name, given, dims in (("source", sources, source_dims), ("destination", targets, target_dims)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({given})")
    if not ndim:
        return _alias(input)
    order = [d for d in range(ndim) if d not in source_dims]
    for target, d in sorted(zip(target_dims, source_dims)):
        order.insert(target, d)
    return _permute(input, tuple(order))


@view(input=lambda grad: grad)
def _alias(input: Array) -> Array:
    return input.view()


def alias(input: Tensor) -> Tensor:
    """Another tensor over the same memory, with the same history."""
    return _alias(input)


@view(input=lambda grad: _t(grad))
def _t(input: Array) -> Array:
    return input.T


@method()
def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or number as it is. RuntimeError with more dimensions."""
    if input._array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._array.ndim}D")
    return _t(input)


def _reversed_dims(self: Tensor) -> Tensor:
    """All dimensions in reverse order."""
    ndim = self._array.ndim
    if ndim not in (0, 2):
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an "
            "error "
            "in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
            stacklevel=2,
        )
    return _permute(self, tuple(range(ndim))[::-1])


def _matrices(input: Tensor, name: str) -> int:
    ndim = input._array.ndim
    if ndim == 1:
        raise RuntimeError(f"{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return ndim


def _mT(self: Tensor) -> Tensor:
    """Matrices transposed, in a batch each."""
    return transpose(self, -2, -1) if _matrices(self, "tensor.mT") else _alias(self)


def _mH(self: Tensor) -> Tensor:
    """Matrices transposed and conjugated, in a batch each."""
    return adjoint(self) if _matrices(self, "tensor.mH") else _alias(self)


def _H(self: Tensor) -> Tensor:
    """A matrix transposed and conjugated."""
    ndim = self._array.ndim
    if ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor."
            + (" For batches of matrices, consider using tensor.mH" if ndim > 2 else "")
        )
    return adjoint(self) if ndim else _alias(self)


@method()
def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed and conjugated. RuntimeError for a vector."""
    ndim = input._array.ndim
    if ndim == 1:
        raise RuntimeError("tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return (transpose(input, -2, -1) if ndim else _alias(input)).conj()


for _name, _property in {"T": _reversed_dims, "mT": _mT, "mH": _mH, "H": _H}.items():
    setattr(Tensor, _name, property(_property))


# ------------------------------------------------------------------------------------------------ dimensions of size 1


@view(input=lambda grad, input_shape: grad.reshape(input_shape))
def _squeeze(input: Array, dims: tuple[int, ...]) -> Array:
    return input.squeeze(dims)


@view(input=lambda grad, input_shape: grad.reshape(input_shape))
def _squeeze1(input: Array, dims: tuple[int, ...]) -> Array:
    return input.squeeze(dims)


_squeeze1.op.grad_name = "SqueezeBackward1"  # type: ignore[attr-defined]  # torch's name where dimensions are given


@method()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without dimensions of size 1: all, or those of `dim`."""
    shape = input._array.shape
    dims = () if isinstance(dim, (tuple, list)) and not dim else wrap_dims(dim, len(shape))
    return (_squeeze if dim is None else _squeeze1)(input, tuple([d for d in dims if shape[d] == 1]))


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
    return made  # type: ignore[no-any-return]


_slice, _pick, _new_axes, _unbind_one, _split_one, _split_with_sizes_one = map(
    _looking, ("slice", "select", "unsqueeze", "unbind", "split", "split_with_sizes")
)


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
    if isinstance(start, Tensor) and (start.ndim or start._array.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    dim, start = wrap_dim(dim, len(shape)), operator.index(start)
    return part(input, dim, *_span(shape[dim], start, length))


def _span(n: int, start: int, length: int) -> tuple[int, int]:
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n or length < 0:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return start, start + length


def part(input: Tensor, dim: int, start: int, stop: int, look: Callable[..., Tensor] = _slice) -> Tensor:
    """Elements `start` to `stop` along `dim`."""
    return look(input, (slice(None),) * dim + (slice(start, stop),))


def together(views: list[Tensor]) -> tuple[Tensor, ...]:
    """Views that one call made: while recording, none of them may be written."""
    for out in views:
        if out._base is not None and out._restricted not in (NO_GRAD, INFERENCE):
            out._restricted = SEVERAL
    return tuple(views)


@method()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The parts along dimension `dim`, which disappears."""
    if not input._array.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, input._array.ndim)
    before = (slice(None),) * dim
    return together([_unbind_one(input, (*before, i, ...)) for i in range(input._array.shape[dim])])


def _lengths(input: Tensor, lengths: list[int], dim: int) -> list[Tensor]:
    out, start = [], 0
    for length in lengths:
        out.append(part(input, dim, start, start + length, _split_with_sizes_one))
        start += length
    return out


@method()
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `split_size` elements along `dim`, or of the given sizes.

    >>> import mini_dl as torch
    >>> torch.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    return together(_split(tensor, split_size_or_sections, dim))


def _split_method(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """``torch.split(self, split_size, dim)``"""
    return split(self, split_size, dim)


_split_method.__name__ = "split"
tensor_method()(_split_method)


def _split(input: Tensor, split_size: int, dim: int) -> list[Tensor]:
    if not input._array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim, size = wrap_dim(dim, input._array.ndim), operator.index(split_size)
    n = input._array.shape[dim]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    return [part(input, dim, start, min(n, start + size), _split_one) for start in (range(0, n, size) if n else [0])]


@method()
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the given sizes along `dim`. RuntimeError unless they add up."""
    if not input._array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    lengths = [operator.index(s) for s in split_sizes]
    if any([length < 0 for length in lengths]):
        raise RuntimeError(f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={lengths}")
    if sum(lengths) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), "
            f"but got split_sizes={lengths}"
        )
    return together(_lengths(input, lengths, dim))


@method()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size along `dim`, but for the last."""
    if not input._array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = wrap_dim(dim, input._array.ndim)
    size = -(-input._array.shape[dim] // chunks)
    return split(input, size, dim) if size else split_with_sizes(input, [0] * chunks, dim)


@function()
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As ``split``, but the parts may be written."""
    return tuple(_split(input, split_size, dim))


@function()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As ``chunk``, but the parts may be written."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = -(-input._array.shape[wrap_dim(dim, input._array.ndim)] // chunks)
    return unsafe_split(input, size, dim) if size else unsafe_split_with_sizes(input, [0] * chunks, dim)


@function()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """As ``split_with_sizes``, but the parts may be written."""
    return tuple(_lengths(input, list(split_sizes), wrap_dim(dim, input._array.ndim)))


for _unsafe in (unsafe_split, unsafe_chunk, unsafe_split_with_sizes):
    setattr(Tensor, _unsafe.__name__, namespace("torch")[_unsafe.__name__])


@method()
@also_named("sections", "indices", "tensor_indices_or_sections", "indices_or_sections")
def tensor_split(input: Tensor, sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views between the given indices along `dim`, or so many of nearly equal size."""
    if not input._array.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    if isinstance(sections, Tensor):
        array = sections._array
        if array.dtype != np.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, but got " + scalar_name(array.dtype)
            )
        if array.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
                f"got a tensor with {array.ndim} dims"
            )
        sections = array.tolist()
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    if isinstance(sections, (tuple, list)):
        bounds = [0, *[operator.index(i) for i in sections], n]
    else:
        sections = operator.index(sections)
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        size, more = divmod(n, sections)
        bounds = [i * size + min(i, more) for i in range(sections + 1)]
    return tuple([part(input, dim, start, stop) for start, stop in zip(bounds[:-1], [*bounds[1:-1], n])])


def _splitter(name: str, dim: int, least: int) -> None:
    """Publish ``hsplit``, ``vsplit`` or ``dsplit``: ``tensor_split`` along one dimension, into equal parts only."""

    def split_along(input: Tensor, sections: Any) -> tuple[Tensor, ...]:
        ndim, along = input._array.ndim, 0 if dim == 1 and input._array.ndim == 1 else dim
        if ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {ndim} dimensions!"
            )
        if isinstance(sections, int):
            n = input._array.shape[along]
            if sections <= 0 or n % sections:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {along}, but the size of the dimension {n} is not "
                    "divisible "
                    f"by the split_size {sections}!"
                )
        elif not isinstance(sections, (tuple, list)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, {type_name(sections)}), "
                "but expected one of:\n * (Tensor input, int sections)\n * (Tensor input, tuple of ints indices)"
            )
        return tensor_split(input, sections, along)

    split_along.__name__ = split_along.__qualname__ = name
    split_along.__doc__ = f"Views of equal size along dimension {dim}, or between the given indices."
    method()(also_named("sections", "indices", "indices_or_sections")(split_along))


_splitter("hsplit", 1, 1)
_splitter("vsplit", 0, 2)
_splitter("dsplit", 2, 3)


@view(input=lambda grad, input_shape, offset, dim1, dim2: place(grad, _diagonal, (offset, dim1, dim2), input_shape))
def _diagonal(input: Array, offset: int, dim1: int, dim2: int) -> Array:
    out = input.diagonal(offset, dim1, dim2)
    if input.flags.writeable:
        out.flags.writeable = True
    return out


@method()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements ``[i, i + offset]`` of dimensions `dim1` and `dim2`, as a new last dimension."""
    first, second = wrap_dim(dim1, input._array.ndim), wrap_dim(dim2, input._array.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = input._array.shape[first], input._array.shape[second]
    return _diagonal(input, max(-rows, min(columns, offset)), first, second)


@op(input=lambda grad, dim, size, step: _unfold(grad, dim, size, step))
def _unfold_place(input: Array, dim: int, size: int, step: int, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` to which each window of `input` was added in its place: the adjoint of `_unfold`."""
    out = np.zeros(shape, input.dtype)
    if not shape:
        return input.sum(-1).reshape(()) if size else out
    windows = input.shape[dim]
    by_window = np.moveaxis(out, dim, 0)
    values = np.moveaxis(input, dim, 0)
    for i in range(size):
        by_window[i : i + (windows - 1) * step + 1 : step] += values[..., i]
    return out


@view(input=lambda grad, input_shape, dim, size, step: _unfold_place(grad, dim, size, step, input_shape))
def _unfold(input: Array, dim: int, size: int, step: int) -> Array:
    if not input.ndim:
        return np.lib.stride_tricks.as_strided(input, (size,), (input.itemsize,))
    windows = (input.shape[dim] - size) // step + 1
    shape = (*input.shape[:dim], windows, *input.shape[dim + 1 :], size)
    strides = list(input.strides)
    strides.append(strides[dim])
    strides[dim] *= step
    return np.lib.stride_tricks.as_strided(input, shape, strides)


@public("Tensor:unfold")
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements, `step` apart, along a dimension; each window is laid along a new last one.

    RuntimeError if a window is larger than the dimension.
    """
    dim = wrap_dim(dimension, self._array.ndim)
    n = self._array.shape[dim] if self._array.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return _unfold(self, dim, size, step)


# ------------------------------------------------------------------------------------------------ memory by itself


def strides_of(array: Array) -> tuple[int, ...]:
    """The distance of neighbours in each dimension, in elements; where there are none, what it would be in a compact tensor."""
    strides, step = [], 1
    compact = array.flags.c_contiguous and array.size > 0
    for n, stride in zip(reversed(array.shape), reversed(array.strides)):
        if not compact and (stride or (n > 1 and array.size)):
            step = stride // array.itemsize
        strides.append(step)
        step *= max(n, 1)
    return tuple(strides[::-1])


@view(input=lambda grad, place: spread(grad, place))
def _as_strided(input: Array, size: tuple[int, ...], stride: tuple[int, ...], offset: int, place: Place) -> Array:
    step = input.itemsize
    return np.ndarray(size, input.dtype, memory_of(input), offset * step, [s * step for s in stride])


@method()
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """The memory of `input` read with other sizes and strides. RuntimeError where it ends before.

    Gradients count elements of memory, as torch's do.
    """
    array = input._array
    offset = offset_of(array) if storage_offset is None else storage_offset
    sizes_, strides = tuple([operator.index(n) for n in size]), tuple([operator.index(n) for n in stride])
    if len(sizes_) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any([s < 0 for s in strides]):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}")
    needed = (1 + offset + sum([(n - 1) * s for n, s in zip(sizes_, strides)])) * array.itemsize if 0 not in sizes_ else 0
    held = memory_of(array).nbytes
    if needed > held:
        raise RuntimeError(
            f"setStorage: sizes {list(sizes_)}, strides {list(strides)}, storage offset {offset}, and itemsize {array.itemsize} "
            f"requiring a storage size of {needed} are out of bounds for storage of size {held}"
        )
    out = _as_strided(input, sizes_, strides, offset, _strided_place(array, sizes_, strides, offset))
    if out._base is None:  # another part of the same memory
        look_into(input, out)
    return out


def _strided_place(array: Array, sizes: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Place:
    view = Layout(sizes, tuple([s * array.itemsize for s in strides]), array.dtype)
    return Place(layout_of(array), view, (offset - offset_of(array)) * array.itemsize)


# ------------------------------------------------------------------------------------------------ copies with a part replaced


@op(
    input=lambda grad, src_shape, look, args: replaced(grad, wrap(np.zeros(src_shape, grad._array.dtype)), look, args),
    src=lambda grad, look, args: look(grad, *args),
)
def replaced(input: Array, src: Array, look: Callable[..., Any], args: tuple[Any, ...]) -> Array:
    """A copy of `input` with `src` where the view ``look(_, *args)`` looks."""
    out = np.array(input, order="C")
    look.op.forward(out, *args)[...] = src  # type: ignore[attr-defined]
    return out


def _replace(input: Tensor, src: Tensor, seen: Tensor, look: Callable[..., Any], args: tuple[Any, ...]) -> Tensor:
    if src._array.shape != seen._array.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src._array.shape)}, slice size = {list(seen._array.shape)}"
        )
    return replaced(input, src.to(input.dtype), look, args)


@method(out=True)
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` in place of ``input.select(dim, index)``."""
    seen, dim = select(input, dim, index), wrap_dim(dim, input._array.ndim)
    return _replace(input, src, seen, _select, (dim, index % input._array.shape[dim]))


@method(out=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` in place of its part from `start` to `end` along `dim`."""
    index = (slice(None),) * wrap_dim(dim, input._array.ndim) + (slice(start, end, step),)
    return _replace(input, src, _slice(input, index), _slice, (index,))


@method(out=True)
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` in place of ``input.diagonal(offset, dim1, dim2)``."""
    ndim = input._array.ndim
    seen = diagonal(input, offset, dim1, dim2)
    return _replace(input, src, seen, _diagonal, (offset, wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)))


@method(out=True)
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of `input` with `src` in place of ``input.as_strided(size, stride, storage_offset)``."""
    compact = input.clone(memory_format=None) if input._array.flags.c_contiguous else input.contiguous()
    seen = as_strided(compact, size, stride, storage_offset)
    where = tuple(size), tuple(stride), storage_offset or 0
    return _replace(compact, src, seen, _as_strided, (*where, _strided_place(compact._array, *where)))


# ------------------------------------------------------------------------------------------------ several at once


@function()
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All tensors expanded to the shape they broadcast to."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type_name(t)}")
    shape = broadcast_shapes(*[t._array.shape for t in tensors])
    return tuple([t if t._array.shape == shape else _expand(t, shape) for t in tensors])


@public("torch:broadcast_shapes")
def _broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes broadcast to. RuntimeError if they do not."""
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    for shape in given:
        for n in shape:
            if n < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({n}): ({n})")
    result: tuple[int, ...] = ()
    for i, shape in enumerate(given):
        for ours, theirs in zip(result[::-1], shape[::-1]):
            if ours != theirs and 1 not in (ours, theirs):
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape. "
                    f"Mismatching argument at index {i} had {shape}; but expected shape should be broadcastable to {list(result)}"
                )
        result = broadcast_shapes(result, shape)
    return Size(result)


# ------------------------------------------------------------------------------------------------ changing a tensor itself


def _becoming(function: Callable[..., Tensor], name: str) -> None:
    """Publish ``x.f_(...)``, after which `x` itself looks at its memory as ``x.f(...)`` does."""

    @functools.wraps(function)
    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        recorded = mode.enabled and needs_grad(self)
        if recorded:
            check_writable(self)
        check_inference(self)
        out = function(self, *args, **kwargs)
        self._array = out._array
        version_of(self)[0] += 1
        if recorded:
            self._edge, self._stamp = out._edge, version_of(self)[0]
        return self

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"In-place version of ``{function.__name__}``: the memory stays, the shape changes."
    setattr(Tensor, name, call)


for _function in (squeeze, unsqueeze, t, transpose, swapaxes):
    _becoming(vars(Tensor)[_function.__name__], _function.__name__ + "_")
_becoming(swapdims, "swapdims_")
_becoming(as_strided, "as_strided_")
namespace("torch")["as_strided_"] = getattr(Tensor, "as_strided_")  # noqa: B009


class _NotImplemented:
    """The op of a tensor that was given other memory while gradients flowed to it."""

    grad_name, runs_without = "NotImplemented", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: Any) -> Any:
        raise RuntimeError("derivative for set_ is not implemented")


@tensor_method()
def set_(self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
    """Look at the memory of `source` from now on, with these sizes and strides; at none without it.

    RuntimeError if it is a leaf that requires grad; it cannot be differentiated.
    """
    taken = [self, source] if isinstance(source, Tensor) else [self]
    recorded = mode.enabled and any_needs_grad(taken)
    if recorded:
        check_writable(self)
    check_inference(self)
    edges = [edge_of(tensor) for tensor in taken] if recorded else []
    self._array = _memory_as(self._array.dtype, source, storage_offset, size, stride)
    version_of(self)[0] += 1
    if recorded:
        rebase(self, Node(_NotImplemented(), edges, None, self._array))
    return self


def _memory_as(dtype: np.dtype[Any], source: Any, storage_offset: int, size: Any, stride: Any) -> Array:
    if source is None:
        return np.empty(0, dtype)
    if isinstance(source, Tensor) and size is None:
        if source._array.dtype != dtype:
            raise RuntimeError(f"Could not set tensor of type {source.dtype} to a tensor of type {of_numpy(dtype)}")
        return source._array.view()
    memory = memory_of(source._array) if isinstance(source, Tensor) else source._bytes
    step = dtype.itemsize
    shape = (memory.nbytes // step - storage_offset,) if size is None else sizes((size,))
    strides = None if stride is None else [s * step for s in stride]
    return np.ndarray(shape, dtype, memory, storage_offset * step, strides)


@tensor_method()
@spread_out
def resize_(self: Tensor, size: tuple[int, ...], *, memory_format: Any = None) -> Tensor:
    """Take another shape: the first elements in memory stay, new ones are not initialised. RuntimeError if it requires grad."""
    shape = nonnegative(size)
    if needs_grad(self) and not inference.here:
        raise RuntimeError("cannot resize variables that require grad")
    if shape != self._array.shape:
        check_inference(self)
        self._array = resized(self._array, shape)
        version_of(self)[0] += 1
    return self


@public("torch", "Tensor")
def resize_as_(self: Tensor, the_template: Tensor, memory_format: Any = None) -> Tensor:
    """``self.resize_(the_template.shape)``"""
    return resize_(self, the_template._array.shape)


# ------------------------------------------------------------------------------------------------ what a tensor is


@tensor_method()
def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or its entry `dim`."""
    if dim is None:
        return Size(self._array.shape)
    if not self._array.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return self._array.shape[wrap_dim(dim, self._array.ndim)]


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


@tensor_method()
def stride(self: Tensor, dim: int | None = None) -> Any:
    """How many elements apart neighbours lie in memory, in each dimension or in `dim`."""
    strides = strides_of(self._array)
    if dim is None:
        return strides
    if not strides:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return strides[wrap_dim(dim, len(strides))]


@tensor_method()
def storage_offset(self: Tensor) -> int:
    """How many elements of its memory lie before the first of this tensor."""
    return offset_of(self._array)


@tensor_method()
def data_ptr(self: Tensor) -> int:
    """The address of the first element."""
    return self._array.__array_interface__["data"][0] if self._array.size else 0


@tensor_method()
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both look at the same memory in the same way."""
    a, b = self._array, tensor._array
    return bool(a.__array_interface__["data"] == b.__array_interface__["data"] and a.shape == b.shape and a.strides == b.strides)


@method()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return input._array.shape == other._array.shape


@method()
def get_device(input: Tensor) -> int:
    """-1: the CPU."""
    return -1


for _name in ("detach", "detach_", "is_inference"):
    namespace("torch")[_name] = getattr(Tensor, _name)


@function()
def get_default_device() -> device:
    """Where tensors are made."""
    return CPU


_FACTS = {
    "layout": strided, "is_cpu": True, "is_cuda": False, "is_mps": False, "is_xpu": False, "is_meta": False,
    "is_sparse": False, "is_sparse_csr": False, "is_quantized": False, "is_mkldnn": False, "is_nested": False,
}  # fmt: skip
for _name, _fact in _FACTS.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, _fact)


class UntypedStorage:
    """The memory of a tensor as bytes; views of one tensor share it."""

    def __init__(self, memory: Array) -> None:
        self._bytes = memory

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._bytes.__array_interface__["data"][0] if self._bytes.size else 0

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._bytes.nbytes

    size = __len__ = nbytes

    def tolist(self) -> list[int]:
        """The bytes as ints."""
        return self._bytes.tolist()

    def __getitem__(self, index: int) -> int:
        return int(self._bytes[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and (self.data_ptr(), self.nbytes()) == (other.data_ptr(), other.nbytes())

    def __hash__(self) -> int:
        return hash((self.data_ptr(), self.nbytes()))


namespace("torch")["UntypedStorage"] = UntypedStorage


@tensor_method()
def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory of this tensor."""
    return UntypedStorage(memory_of(self._array))


# ------------------------------------------------------------------------------------------------ as copies


@method(out=True)
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A copy of ``input.narrow(dim, start, length)``."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if dim >= len(shape):
        raise RuntimeError(f"narrow_copy: expected dim {dim} to be one of the {len(shape)} dimensions")
    dim = wrap_dim(dim, len(shape))
    return part(input, dim, *_span(shape[dim], start, length)).clone()


def _copying(function: Callable[..., Any], name: str, several: bool = False) -> None:
    """Publish ``torch.f_copy``: the view, or `several` views, with memory of its own."""

    def one(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs).clone()

    def many(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        copies = tuple([part.clone() for part in function(*args, **kwargs)])
        return copies if out is None else store(copies, out) and None

    call = functools.wraps(function)(many if several else one)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"A copy of ``{function.__name__}``."
    public("torch", out=not several)(call)


for _function in (alias, as_strided, diagonal, permute, select, squeeze, t, transpose, unsqueeze, unfold):
    _copying(_function, _function.__name__ + "_copy")
for _function in (_split_method, split_with_sizes, unbind):
    _copying(_function, _function.__name__ + "_copy", several=True)
_copying(expand_to, "expand_copy")
_copying(_tensor_view, "view_copy")
_copying(lambda input: input.detach(), "detach_copy")


@public("torch", out=True)
def view_as_real_copy(input: Tensor) -> Tensor:
    """A copy of ``view_as_real``."""
    return namespace("torch")["view_as_real"](input).clone()  # type: ignore[no-any-return]


@public("torch", out=True)
def view_as_complex_copy(input: Tensor) -> Tensor:
    """A copy of ``view_as_complex``."""
    return namespace("torch")["view_as_complex"](input).clone()  # type: ignore[no-any-return]


@public("torch", out=True)
def slice_copy(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """A copy of the elements from `start` to `end` along `dim`, `step` apart."""
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _slice(input, (slice(None),) * wrap_dim(dim, input.ndim) + (slice(start, end, step),)).clone()


@tensor_method()
@spread_out
def sum_to_size(self: Tensor, size: tuple[int, ...]) -> Tensor:
    """Summed along the dimensions in which a tensor of this `size` is expanded to this one. RuntimeError if it cannot be."""
    shape = self._array.shape
    extra = len(shape) - len(size)
    if extra < 0 or any([n not in (1, m) for n, m in zip(size, shape[extra:])]):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(shape)}}}.")
    if not size:
        return self.sum()
    dims = [*range(extra), *[i + extra for i, n in enumerate(size) if n != shape[i + extra]]]
    return view_(self.sum(dims, keepdim=True), size) if dims else self


@tensor_method()
def share_memory_(self: Tensor) -> Tensor:
    """This tensor: memory is shared between threads as it is."""
    return self


@tensor_method()
def is_shared(self: Tensor) -> bool:
    """Whether other processes share this memory: no."""
    return False


@tensor_method()
def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is locked: no."""
    return False


@tensor_method()
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """RuntimeError: without a GPU there is no pinned memory."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


@tensor_method()
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """``callable(x)`` written in place of each element x. Slow, and not recorded."""
    if needs_grad(self):
        raise TypeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    return self.copy_(
        wrap(np.array([callable(x) for x in self._array.reshape(-1).tolist()], self._array.dtype).reshape(self.shape))
    )


@tensor_method()
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """``callable(x, y)`` written in place of each element x, y being that of `tensor`. Slow, and not recorded."""
    if needs_grad(self) or needs_grad(tensor):
        raise TypeError("Can't call map_() on Variable that requires grad. Use var.detach().map_() instead.")
    pairs = zip(self._array.reshape(-1).tolist(), np.broadcast_to(tensor._array, self._array.shape).reshape(-1).tolist())
    return self.copy_(wrap(np.array([callable(x, y) for x, y in pairs], self._array.dtype).reshape(self.shape)))
