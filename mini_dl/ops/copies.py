"""Copies with a part replaced, and copying versions of the views."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import broadcast_shapes, int_list, spread_out, type_name, wrap_dim
from mini_dl._device import DeviceLike, contiguous_format
from mini_dl._dtypes import Array, dtype as DType
from mini_dl._families import with_preface
from mini_dl._surface import CASTING, check_out, function, method, named, public, store, tensor_method
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.inplace import check_memory, copy_into
from mini_dl.autograd.primitive import linear_in, not_a_tensor, op, recorded_as
from mini_dl.autograd.single import as_it_is
from mini_dl.ops.arithmetic import underivable
from mini_dl.ops.complex_numbers import view_as_complex, view_as_real
from mini_dl.ops.memory import _as_strided, as_strided, strided_place
from mini_dl.ops.parts import (
    _diagonal,
    _select,
    _slice,
    diagonal,
    part,
    select,
    span,
    split_method,
    split_with_sizes,
    unbind,
    unfold,
)
from mini_dl.ops.views import _expand, alias, expand_to, permute, squeeze, t, tensor_view, transpose, unsqueeze, view_
from mini_dl.tensor import Size, Tensor, without_base, wrap

# ------------------------------------------------------------------------------------------------ copies with a part replaced


@linear_in("input src")
@op(
    input=lambda grad, src_shape, look, args: replaced(grad, wrap(np.zeros(src_shape, grad._array.dtype)), look, args),
    src=lambda grad, look, args: look(grad.contiguous(), *args),
)
@as_it_is
def replaced(input: Array, src: Array, look: Callable[..., Any], args: tuple[Any, ...]) -> Array:
    """A copy of `input` with `src` in place of the view ``look(_, *args)``."""
    out = np.array(input, order="C")
    look.op.forward(out, *args)[...] = src  # type: ignore[attr-defined]
    return out


def _replace(input: Tensor, src: Tensor, seen: Tensor, look: Callable[..., object], args: tuple[object, ...]) -> Tensor:
    if src._array.shape != seen._array.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src._array.shape)}, slice size = {list(seen._array.shape)}"
        )
    return replaced(input, src.to(input.dtype), look, args)


@method()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with one slice replaced: ``out[i] = src if i == index else input[i]`` along `dim`

    Shapes: `input` (*in), `src` (*in) without `dim` -> (*in).
    Raises: RuntimeError if the shape of `src` does not match; IndexError for an `index` out of range.

    >>> torch.select_scatter(torch.zeros(2, 2), torch.tensor([1.0, 2.0]), 0, 1)
    tensor([[0., 0.],
            [1., 2.]])
    """
    seen, dim = select(input, dim, index), wrap_dim(dim, input._array.ndim)
    return _replace(input, src, seen, _select, (dim, index % input._array.shape[dim]))


@method(out=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with a part along `dim` replaced: ``out[start + step * i] = src[i]``

    Shapes: `input` (*in), `src` the shape of the part -> (*in).
    Raises: RuntimeError if the shape of `src` does not match, or unless `step` is positive.

    >>> torch.slice_scatter(torch.zeros(4), torch.tensor([1.0, 2.0]), start=1, end=3)
    tensor([0., 1., 2., 0.])
    """
    if step <= 0:
        raise RuntimeError(f"slice step must be positive, but got {step}")
    index = (slice(None),) * wrap_dim(dim, input._array.ndim) + (slice(start, end, step),)
    return _replace(input, src, _slice(input, index), _slice, (index,))


@method()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with a diagonal replaced: ``out[i, i + offset] = src[i]``

    Shapes: `input` (*in), `src` the shape of ``input.diagonal(offset, dim1, dim2)`` -> (*in).
    Raises: RuntimeError if the shape of `src` does not match.

    >>> torch.diagonal_scatter(torch.zeros(2, 2), torch.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    ndim = input._array.ndim
    seen = diagonal(input, offset, dim1, dim2)
    return _replace(input, src, seen, _diagonal, (offset, wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)))


@method()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of `input` with the elements at strided positions replaced: ``out.as_strided(size, stride, storage_offset) = src``

    Shapes: `input` (*in), `src` of shape `size` -> (*in).
    Raises: RuntimeError if the shape of `src` does not match, or if a position is outside the memory of `input`.

    >>> torch.as_strided_scatter(torch.zeros(2, 2), torch.tensor([1.0, 2.0]), (2,), (3,))
    tensor([[1., 0.],
            [0., 2.]])
    """
    compact = input.clone(memory_format=None) if input._array.flags.c_contiguous else input.contiguous()
    seen = as_strided(compact, size, stride, storage_offset)
    where = tuple(size), tuple(stride), storage_offset or 0
    return _replace(compact, src, seen, _as_strided, (*where, strided_place(compact._array, *where)))


# ------------------------------------------------------------------------------------------------ several at once


@function()
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All tensors expanded, as views, to the shape they broadcast to: ``out[k] = tensors[k].expand(broadcast_shapes(...))``

    Shapes: (*in_k) for each -> (*out) for each, where sizes of 1 become those of the others.
    Raises: RuntimeError if the shapes do not broadcast.

    >>> torch.broadcast_tensors(torch.tensor([1, 2]), torch.tensor([[10], [20]]))
    (tensor([[1, 2],
            [1, 2]]), tensor([[10, 10],
            [20, 20]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for i, one in enumerate(tensors):
        if not isinstance(one, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type_name(one)}")
    shape = broadcast_shapes(*[one._array.shape for one in tensors])
    return tuple([one if one._array.shape == shape else _expand(one, shape) for one in tensors])


@public("torch:broadcast_shapes")
def _broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes broadcast to: ``out[d] = max(shape[d], shape)``, aligned at the last dimension.

    Shapes: sequences of sizes -> a `Size`.
    Raises: RuntimeError if they do not broadcast.

    >>> torch.broadcast_shapes((3, 1), (4,), (2, 1, 1))
    torch.Size([2, 3, 4])
    """
    for s in shapes:
        if not isinstance(s, (int, tuple, list)):
            refusal = TypeError if isinstance(s, str) else RuntimeError
            raise refusal(f"Input shapes should be of type ints, a tuple of ints, or a list of ints, got {s}")
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    for shape in given:
        for n in shape:
            if n < 0:
                raise ValueError(f"Attempting to broadcast a dimension with negative length: {shape}")
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


# ------------------------------------------------------------------------------------------------ as copies


@method(out=True)
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A copy of a part along `dim`: ``out[i] = input[start + i]`` for ``0 <= i < length``

    Shapes: (*in) -> (*in) with size `length` at `dim`.
    Raises: RuntimeError if the part is not within `input`; IndexError for a dimension that it lacks.

    >>> torch.narrow_copy(torch.tensor([1, 2, 3, 4]), 0, 1, 2)
    tensor([2, 3])
    """
    shape = input._array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if dim >= len(shape):
        raise RuntimeError(f"narrow_copy: expected dim {dim} to be one of the {len(shape)} dimensions")
    dim = wrap_dim(dim, len(shape))
    return part(input, dim, *span(shape[dim], start, length)).clone(memory_format=contiguous_format)


def _copying(function: Callable[..., Any], name: str, several: bool = False) -> None:
    """Publish ``torch.f_copy``: the view, or `several` views, copied to new memory."""

    def one(*args: object, **kwargs: object) -> Any:
        return function(*args, **kwargs).clone(memory_format=contiguous_format)

    def many(*args: object, out: object = None, **kwargs: object) -> Any:
        copies = tuple([part.clone(memory_format=contiguous_format) for part in function(*args, **kwargs)])
        if out is None:
            return copies
        check_out(name, copies, out)
        store(copies, out, name in CASTING)
        return None

    call = functools.wraps(function)(many if several else one)
    named(
        call,
        name,
        with_preface(f"`{name.removesuffix('_copy')}`, as a copy.", (function.__doc__ or "").replace("; a view.", ".")),
    )
    public("torch", out=not several)(call)


for _function in (alias, as_strided, diagonal, permute, select, squeeze, t, transpose, unsqueeze, unfold):
    _copying(_function, _function.__name__ + "_copy")
for _function in (split_method, split_with_sizes, unbind):
    _copying(_function, _function.__name__ + "_copy", several=True)


def expand_into(input: Tensor, size: Sequence[int]) -> Tensor:
    """The elements repeated along dimensions of size 1: ``out[i, j] = input[0, j]``

    Shapes: (*in) -> `size`, in which -1 keeps a size.
    Raises: RuntimeError if a size other than 1 would change.

    >>> torch.expand_copy(torch.tensor([[1], [2]]), (2, 2))
    tensor([[1, 1],
            [2, 2]])
    """
    return expand_to(input, int_list(size, "expand_copy(): argument 'size' (position 2)"))


def view_of(input: Tensor, *shape: object, size: object = None, dtype: DType | None = None) -> Tensor:
    """The elements in the same order in another shape: ``out.flatten() = input.flatten()``, or the same bytes as another dtype.

    Shapes: (*in) -> `size`, of which one may be -1.
    Raises: RuntimeError if the number of elements differs or the memory does not allow it.

    >>> torch.view_copy(torch.arange(4), (2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    if not isinstance(input, Tensor):
        raise not_a_tensor("view_copy", "input", 1, input)
    given = [one for one in (*shape, size, dtype) if one is not None]
    if len(given) != 1:
        raise TypeError(f"view_copy() takes one size or one dtype, not {len(given)} of them")
    if isinstance(given[0], DType):
        return tensor_view(input, dtype=given[0])
    # a copy is made anyway
    return tensor_view(input.contiguous(), int_list(given[0], "view_copy(): argument 'size' (position 2)"))


_copying(expand_into, "expand_copy")
_copying(view_of, "view_copy")


@function(out=True)
@recorded_as("torch::autograd::NotImplemented")
@op(input=lambda grad: underivable("detach_copy"))
def detach_copy(input: Array) -> Array:
    """A copy, ``out = input``, that is recorded, but whose gradient raises.

    Family: elementwise

    >>> torch.detach_copy(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return np.array(input, order="C")


@function(out=True)
def view_as_real_copy(input: Tensor) -> Tensor:
    """A copy of `view_as_real`: ``input = out[..., 0] + i * out[..., 1]``

    Shapes: (*in) complex -> (*in, 2) real.
    Raises: RuntimeError for a real tensor.

    >>> torch.view_as_real_copy(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    return view_as_real(input).clone()


@function(out=True)
def view_as_complex_copy(input: Tensor) -> Tensor:
    """A copy of `view_as_complex`: ``out = input[..., 0] + i * input[..., 1]``

    Shapes: (*in, 2) real -> (*in) complex.
    Raises: RuntimeError unless the last dimension has size 2.

    >>> torch.view_as_complex_copy(torch.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    return view_as_complex(input).clone()


@function(out=True)
def slice_copy(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """A copy of the elements from `start` to `end` along `dim`, `step` apart: ``out[i] = input[start + step * i]``

    Shapes: (*in) -> (*in) with size ``ceil((end - start) / step)`` at `dim`.
    Raises: RuntimeError unless `step` is positive; IndexError for a dimension that `input` lacks.

    >>> torch.slice_copy(torch.arange(6), 0, 1, 6, 2)
    tensor([1, 3, 5])
    """
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _slice(input, (slice(None),) * wrap_dim(dim, input.ndim) + (slice(start, end, step),)).clone()


@tensor_method()
@spread_out
def sum_to_size(self: Tensor, size: tuple[int, ...]) -> Tensor:
    """Summed over the dimensions in which a tensor of this `size` expands to this one: ``out[i] = sum(self[j, i], j)``

    Shapes: (*in) -> `size`.
    Raises: RuntimeError if `size` cannot expand to the shape of this tensor.

    >>> torch.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = self._array.shape
    extra = len(shape) - len(size)
    if extra < 0 or any([n not in (1, m) for n, m in zip(size, shape[extra:])]):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(shape)}}}.")
    if not size:
        return self.sum()
    dims = [*range(extra), *[i + extra for i, n in enumerate(size) if n != shape[i + extra]]]
    return without_base(view_(self.sum(dims, keepdim=True), size)) if dims else self


@tensor_method()
def is_pinned(self: Tensor, device: DeviceLike = None) -> bool:
    """Whether the memory is pinned, which it never is: ``out = False``

    Family: attribute

    >>> torch.ones(2).is_pinned()
    False
    """
    return False


@tensor_method()
def pin_memory(self: Tensor, device: DeviceLike = None) -> Tensor:
    """RuntimeError: without a GPU there is no pinned memory, and no ``out = self`` in it.

    Shapes: a tensor of any shape.
    Raises: RuntimeError.

    >>> torch.ones(2).pin_memory()
    Traceback (most recent call last):
        ...
    RuntimeError: Cannot access accelerator device when none is available.
    """
    raise RuntimeError("Cannot access accelerator device when none is available.")


@tensor_method()
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """A Python function applied to each element in place: ``self = callable(self)``; slow, and not recorded.

    Shapes: (*in) -> (*in), element by element.
    Raises: RuntimeError for a tensor that requires grad; TypeError if the function does not return a number.

    >>> torch.tensor([1.0, 2.0]).apply_(lambda x: 10 * x)
    tensor([10., 20.])
    """
    if needs_grad(self):
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    return _filled_with(self, [callable(x) for x in self._array.reshape(-1).tolist()])


@tensor_method()
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """A Python function of two numbers applied to each element in place: ``self = callable(self, tensor)``; slow, and not
    recorded.

    Shapes: (*in), and `tensor`, which is expanded to it -> (*in).
    Raises: RuntimeError for a tensor that requires grad, and if the shapes do not match.

    >>> torch.tensor([1.0, 2.0]).map_(torch.tensor([3.0, 4.0]), lambda x, y: x * y)
    tensor([3., 8.])
    """
    if needs_grad(self) or needs_grad(tensor):
        raise RuntimeError("Can't call map_() on Variable that requires grad. Use var.detach().map_() instead.")
    pairs = zip(self._array.reshape(-1).tolist(), np.broadcast_to(tensor._array, self._array.shape).reshape(-1).tolist())
    return _filled_with(self, [callable(x, y) for x, y in pairs])


def _filled_with(self: Tensor, numbers: list[Any]) -> Tensor:
    """`self` with these elements: a write that autograd does not count, as torch's."""
    check_memory(self._array)
    copy_into(self._array, np.array(numbers, self._array.dtype).reshape(self.shape))
    return self
