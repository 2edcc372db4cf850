"""Parts of a tensor: slices, splits, chunks, diagonals."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import also_named, index_of, int_list, sizes, type_name, wrap_dim
from mini_dl._dtypes import Array, int64, scalar_name
from mini_dl._meta import refuse_meta
from mini_dl._surface import function, method, named, public, tensor_method
from mini_dl.autograd.graph import INFERENCE, NO_GRAD, SEVERAL
from mini_dl.autograd.primitive import linear_in, look_into, op, view
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.copying import copy
from mini_dl.kernels.indexing import WHOLE
from mini_dl.ops.views import _alias, place
from mini_dl.tensor import Tensor, inference

# ------------------------------------------------------------------------------------------------ parts


@view(input=lambda grad, input_shape, dim, index: place(grad, _select, (dim, index), input_shape))
def _select(input: Array, dim: int, index: int) -> Array:
    return input[(slice(None),) * dim + (index, ...)]


def _indexed_view(name: str) -> Callable[..., Tensor]:
    """``input[index]`` for an index of ints, slices, None and ..., recorded under `name`."""

    def look(input: Array, index: tuple[Any, ...]) -> Array:
        found = input[index]
        if isinstance(found, np.ndarray):
            return found
        place = (*index, Ellipsis)  # not a number, but its memory address
        return input[place]

    def gradient(grad: Tensor, input_shape: tuple[int, ...], index: tuple[object, ...]) -> Tensor:
        steps = [item for item in index if item is not Ellipsis and item != WHOLE]
        if not steps or steps[0] is not None:
            return place(grad, made, (index,), input_shape)
        grad = _pick(grad, tuple([0 if item is None else WHOLE for item in index if item is None or type(item) is slice]))
        rest = tuple([item for item in index if item is not None])
        if any([item is not None for item in steps]):
            grad = place(grad, made, (rest,), input_shape)
        return _alias(grad)  # torch removes the first new dimension by a view

    look.__name__ = name
    made = view(input=gradient)(look)
    return made


_slice, _pick, _new_axes = map(_indexed_view, ("slice", "select", "unsqueeze"))


@linear_in("pieces")
@op(pieces=lambda grad, indices: [grad[index] for index in indices])
@as_it_is
def _put_together(pieces: list[Array | None], indices: list[Any], shape: tuple[int, ...]) -> Array:
    """The `pieces` at `indices`, zeros where one is None: the adjoint of taking several parts."""
    given = [piece for piece in pieces if piece is not None]
    whole = sum([piece.size for piece in given]) == math.prod(shape)  # then no element is in none or in two of them
    out = (np.empty if whole else np.zeros)(shape, given[0].dtype)
    for index, piece in zip(indices, pieces):
        if piece is not None:
            out[index] = piece
    return out


def _indexed_views(name: str) -> Callable[..., tuple[Tensor, ...]]:
    """``[input[index] for index in indices]``, recorded together under `name`: views, none of which may be modified while
    recording, or (`apart`) tensors of their own."""

    def look(input: Array, indices: list[Any]) -> tuple[Array, ...]:
        return tuple([input[index] for index in indices])

    def gradient(grads: object, input_shape: tuple[int, ...], indices: list[object]) -> Tensor:
        return _put_together(grads if type(grads) is list else [grads], indices, input_shape)

    look.__name__ = name
    made = linear_in("input")(op(input=gradient)(as_it_is(look)))
    made.op.looks = True  # type: ignore[attr-defined]

    def parts(input: Tensor, indices: list[object], apart: bool = False) -> tuple[Tensor, ...]:
        views: tuple[Tensor, ...] = made(input, indices) if indices else ()
        for out in views:
            if not apart:
                look_into(input, out)
                if out._restricted not in (NO_GRAD, INFERENCE):
                    out._restricted = SEVERAL
        return views

    parts.op = made.op  # type: ignore[attr-defined]
    return parts


_unbind_parts, _split_parts, _split_with_sizes_parts = map(_indexed_views, ("unbind", "split", "split_with_sizes"))


@method()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One slice of dimension `dim`, which is removed: ``out[i] = input[index, i]`` for `dim` 0

    Shapes: (*in) -> (*in) without `dim`; a view.
    Raises: IndexError for an index out of range, and for a dimension that `input` lacks.

    >>> torch.select(torch.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
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
    """Elements from `start` along `dim`, a view: ``out[i] = input[start + i]`` for ``0 <= i < length``

    Shapes: (*in) -> (*in) with size `length` at `dim`.
    Raises: RuntimeError or IndexError if the part is not within `input`.

    >>> torch.narrow(torch.tensor([10, 20, 30, 40]), 0, 1, 2)
    tensor([20, 30])
    """
    shape = input._array.shape
    if isinstance(start, bool):
        raise TypeError("narrow() received an invalid combination of arguments: start must be Tensor or int, not bool")
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if isinstance(start, Tensor) and (start.ndim or start._array.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    dim, start = wrap_dim(dim, len(shape)), operator.index(start)
    return part(input, dim, *span(shape[dim], start, length))


def span(n: int, start: int, length: int) -> tuple[int, int]:
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n or length < 0:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return start, start + length


def part(input: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Elements `start` to `stop` along `dim`."""
    return _slice(input, (WHOLE,) * dim + (slice(start, stop),))


@method()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, which is removed: ``out[k] = input[k]`` for `dim` 0

    Shapes: (*in) -> as many views as its size at `dim`, without it.
    Raises: IndexError for a dimension that `input` lacks.

    >>> torch.unbind(torch.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    if not input._array.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, input._array.ndim)
    before = (WHOLE,) * dim
    return _unbind_parts(input, [(*before, i, ...) for i in range(input._array.shape[dim])])


def _of_lengths(lengths: list[int], dim: int) -> list[Any]:
    """The indices of parts of these lengths along `dim`."""
    out, start = [], 0
    for length in lengths:
        out.append((WHOLE,) * dim + (slice(start, start + length),))
        start += length
    return out


@function()
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `split_size` elements along `dim`, or of the given sizes: ``out[k] = tensor[k * s:(k + 1) * s]``

    Shapes: (*in) -> parts of it, of which the last may be smaller.
    Raises: RuntimeError for a negative size, and unless given sizes add up to that of `dim`.

    >>> torch.split(torch.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    return _split_parts(tensor, _of_size(tensor, split_size_or_sections, dim))


def split_method(self: Tensor, split_size: object, dim: int = 0) -> tuple[Tensor, ...]:
    """``torch.split(self, split_size, dim)``: views of at most `split_size` elements along `dim`, or of the given sizes.

    Family: torch.split

    >>> torch.arange(5).split([1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    return split(self, split_size, dim)


split_method.__name__ = "split"
tensor_method()(split_method)


def _of_size(input: Tensor, split_size: int, dim: int) -> list[Any]:
    """The indices of parts of `split_size` elements along `dim`."""
    if not input._array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if isinstance(split_size, Tensor):  # torch's Python passes it on as a number
        split_size = int(split_size.item())
    dim, size = wrap_dim(dim, input._array.ndim), index_of(split_size, "split(): argument 'split_size' must be int")
    n = input._array.shape[dim]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    return _of_lengths([min(size, n - start) for start in (range(0, n, size) if n else [0])], dim)


@method()
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the given sizes along `dim`: ``out[k] = input[s_k:s_k + split_sizes[k]]``

    Shapes: (*in) -> (*in) with each of the sizes at `dim`.
    Raises: RuntimeError unless the sizes add up to that of `dim`.

    >>> torch.split_with_sizes(torch.arange(5), (1, 4))
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    if not input._array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    lengths = list(int_list(split_sizes, "split_with_sizes(): argument 'split_sizes' (position 2)"))
    if any([length < 0 for length in lengths]):
        raise RuntimeError(f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={lengths}")
    if sum(lengths) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), "
            f"but got split_sizes={lengths}"
        )
    return _split_with_sizes_parts(input, _of_lengths(lengths, dim))


@method()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views along `dim`, of equal size except the last: ``out[k] = input[k * s:(k + 1) * s]``,
    ``s = ceil(n / chunks)``

    Shapes: (*in) -> parts of it along `dim`.
    Raises: RuntimeError unless `chunks` is positive.

    >>> torch.chunk(torch.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if not input._array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = wrap_dim(dim, input._array.ndim)
    size = -(-input._array.shape[dim] // chunks)
    return split(input, size, dim) if size else split_with_sizes(input, [0] * chunks, dim)


def _modifiable(parts: Callable[..., tuple[Tensor, ...]], input: Tensor, *args: object) -> tuple[Tensor, ...]:
    """Parts that may be modified: tensors of their own, or, in inference mode, views that count their own writes."""
    if not (inference.anywhere and inference.here):
        return parts(input, *args, apart=True)
    views = parts(input, *args)
    for part in views:
        part._counter = [0]
    return views


@method()
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` whose parts may be modified: ``out[k] = input[k * s:(k + 1) * s]`` of `s` elements each.

    Shapes: (*in) -> parts of it, of which the last may be smaller.
    Raises: RuntimeError for a negative size.

    >>> torch.unsafe_split(torch.arange(5), 3)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    return _modifiable(_split_parts, input, _of_size(input, split_size, dim))


@method()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk` whose parts may be modified: ``out[k] = input[k * s:(k + 1) * s]``, ``s = ceil(n / chunks)``

    Family: torch.chunk

    >>> torch.unsafe_chunk(torch.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    if not input._array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    size = -(-input._array.shape[wrap_dim(dim, input._array.ndim)] // chunks)
    return unsafe_split(input, size, dim) if size else unsafe_split_with_sizes(input, [0] * chunks, dim)


@method()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes` whose parts may be modified: ``out[k] = input[s_k:s_k + split_sizes[k]]``

    Family: torch.split_with_sizes

    >>> torch.unsafe_split_with_sizes(torch.arange(5), (1, 4))
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    return _modifiable(_split_with_sizes_parts, input, _of_lengths(list(split_sizes), wrap_dim(dim, input._array.ndim)))


@method()
@also_named("sections", "indices", "tensor_indices_or_sections", "indices_or_sections")
def tensor_split(input: Tensor, sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views between the given indices along `dim`, ``out[k] = input[sections[k - 1]:sections[k]]``, or that many of nearly
    equal size.

    Shapes: (*in) -> parts of it along `dim`.
    Raises: RuntimeError unless the number of sections is positive; IndexError for a dimension that `input` lacks.

    >>> torch.tensor_split(torch.arange(5), (1, 3))
    (tensor([0]), tensor([1, 2]), tensor([3, 4]))
    """
    if not input._array.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    if isinstance(sections, Tensor):
        refuse_meta("tensor_split", sections)
        array = sections._array
        if array.dtype != int64.numpy:
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
        bounds = [0, *sizes((sections,), "tensor_split(): argument 'indices' (position 2)"), n]
    else:
        sections = index_of(sections, "tensor_split(): argument 'sections' (position 2) must be int")
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        size, more = divmod(n, sections)
        bounds = [i * size + min(i, more) for i in range(sections + 1)]
    return tuple([part(input, dim, start, stop) for start, stop in zip(bounds[:-1], [*bounds[1:-1], n])])


def _splitter(name: str, dim: int, least: int) -> None:
    """Publish ``hsplit``, ``vsplit`` or ``dsplit``: ``tensor_split`` along one dimension, into equal parts only."""

    def split_along(input: Tensor, sections: object) -> tuple[Tensor, ...]:
        ndim, along = input._array.ndim, 0 if dim == 1 and input._array.ndim == 1 else dim
        if ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {ndim} dimensions!"
            )
        if isinstance(sections, (int, np.integer)) and not isinstance(sections, bool):
            n = input._array.shape[along]
            if sections <= 0 or n % sections:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {along}, but the size of the dimension {n} is not "
                    f"divisible by the split_size {sections}!"
                )
        if isinstance(sections, bool) or not isinstance(sections, (int, np.integer, tuple, list)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, {type_name(sections)}), "
                "but expected one of:\n * (Tensor input, int sections)\n * (Tensor input, tuple of ints indices)"
            )
        return tensor_split(input, sections, along)

    before = ":, " * dim
    along_0 = ", of a vector along 0" * (name == "hsplit")
    doc = f"""That many views of equal size along dimension {dim}, or between indices:
``out[k] = input[{before}sections[k - 1]:sections[k]]``

Shapes: (*in), of {least} dimension{"s" * (least > 1)} or more -> parts of it along dimension {dim}{along_0}.
Raises: RuntimeError if the size is not divisible by the number of sections, and for fewer dimensions.

>>> [part.shape[{dim}] for part in torch.{name}(torch.zeros(4, 4, 4), (1, 3))]
[1, 2, 1]"""
    named(split_along, name, doc)
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
    """The diagonal of two dimensions, as a new last dimension: ``out[i] = input[i, i + offset]``

    Shapes: (m, n, *in) -> (*in, min(m, n - offset)); a view.
    Raises: RuntimeError if both dimensions are the same; IndexError for one that `input` lacks.

    >>> torch.diagonal(torch.tensor([[1, 2], [3, 4]])), torch.diagonal(torch.tensor([[1, 2], [3, 4]]), 1)
    (tensor([1, 4]), tensor([2]))
    """
    first, second = wrap_dim(dim1, input._array.ndim), wrap_dim(dim2, input._array.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = input._array.shape[first], input._array.shape[second]
    return _diagonal(input, max(-rows, min(columns, offset)), first, second)


@linear_in("input")
@op(input=lambda grad, dim, size, step: _unfold(grad, dim, size, step))
def unfold_place(input: Array, dim: int, size: int, step: int, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with each window of `input` added at its position: the adjoint of `_unfold`."""
    out = np.zeros(shape, input.dtype)
    if not shape:
        return input.sum(-1).reshape(()) if size else out
    for start in range(0, size, step):  # parts of the windows that do not meet each other
        part = input[..., start : start + step]
        rest = np.moveaxis(np.moveaxis(out, dim, 0)[start:], 0, dim)
        target = np.moveaxis(np.moveaxis(_windows(rest, dim, part.shape[-1], step), dim, 0)[: input.shape[dim]], 0, dim)
        np.add(target, part, out=target) if start else copy(target, part)
    return out


@view(input=lambda grad, input_shape, dim, size, step: unfold_place(grad, dim, size, step, input_shape))
def _unfold(input: Array, dim: int, size: int, step: int) -> Array:
    if not input.ndim:
        return np.lib.stride_tricks.as_strided(input, (size,), (input.itemsize,))
    return _windows(input, dim, size, step)


def _windows(input: Array, dim: int, size: int, step: int) -> Array:
    """A view of the windows along `dim`, whose elements are in the last dimension."""
    windows = (input.shape[dim] - size) // step + 1
    shape = (*input.shape[:dim], windows, *input.shape[dim + 1 :], size)
    strides = list(input.strides)
    strides.append(strides[dim])
    strides[dim] *= step
    return np.lib.stride_tricks.as_strided(input, shape, strides)


@public("Tensor:unfold")
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements, `step` apart, along a dimension: ``out[w, j] = self[w * step + j]``

    Shapes: (*in) with n at `dimension` -> (*in) with (n - size) // step + 1 there, and `size` at the end; a view.
    Raises: RuntimeError if a window is larger than the dimension.

    >>> torch.arange(6).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
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
