"""Indexing: reading and writing chosen elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._checks import broadcast_shapes, type_name
from mini_dl._dtypes import Array, NumpyType, scalar_name
from mini_dl._surface import method, public, tensor_method
from mini_dl.autograd.inplace import (
    check_memory,
    check_writable,
    count_write,
    is_recorded,
    overwrite,
)
from mini_dl.autograd.memory import filled_in
from mini_dl.autograd.mode import mode
from mini_dl.autograd.overlaps import check_operands
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.indexing import (
    WHOLE,
    Indices,
    add_at,
    chosen_along,
    empty_selection,
    fill_where,
    index_error,
    key_of,
    put_into,
)
from mini_dl.ops.filling import copy_
from mini_dl.ops.gathering import assigned, zeros_as
from mini_dl.ops.index_expressions import BY_MASK, forward_slice, in_range, integers, mask_fits, parse, takes_all
from mini_dl.ops.parts import _new_axes, _pick, _select, _slice
from mini_dl.ops.views import _alias
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ choosing by integers


@linear_in("input")
@op(input=lambda grad, indices, input_shape: filled_in(_index_place(grad, indices, input_shape)))
def _index(input: Array, indices: Indices) -> Array:
    try:
        out = chosen_along(input, indices)
        if out is None:
            out = input[key_of(indices)]
    except IndexError as error:
        shape = None if "broadcast" in str(error) else empty_selection(input.shape, indices)
        if shape is not None:
            return np.empty(shape, input.dtype)
        raise index_error(error, [i.shape for i in indices if i is not None]) from None
    # NumPy puts the selected dimensions first in memory; here memory has the order of the result
    return out if out.flags.c_contiguous and any([i is not None and i.ndim for i in indices]) else np.array(out, order="C")


@linear_in("input")
@op(input=lambda grad, indices: _index(grad, indices))
def _index_place(input: Array, indices: Indices, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `input` added at `indices`: the adjoint of `_index`."""
    out = np.zeros(shape, input.dtype)
    add_at(out, indices, input)
    return out


@tensor_method(operators="__getitem__")
def _getitem(self: Tensor, index: object) -> Tensor:
    """``self[index]``: a view for ints, slices, None and ...; a copy for tensors, lists and masks."""
    shape = self._array.shape
    if type(index) is int and shape:
        return _select(self, 0, in_range(index, shape, 0))
    if type(index) is slice and shape:  # a single slice is always recorded as such; full slices among several are not
        return _slice(self, (index if index.step is None else forward_slice(index), Ellipsis))
    items = index if type(index) is tuple else (index,)
    if plain(items, shape):
        return look_at(self, items)
    basic, chosen = parse(shape, index)
    looked = look_at(self, basic)
    return looked if chosen is None else _index(looked, chosen)


def plain(items: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether all are ints in range and slices without a step, the common case that needs no parsing."""
    if len(items) > len(shape):
        return False
    for item, n in zip(items, shape):
        if type(item) is int:
            if not -n <= item < n:
                return False
        elif type(item) is not slice or item.step is not None or (not item.start and item != WHOLE and takes_all(item, n)):
            return False
    return True


def look_at(self: Tensor, basic: Sequence[Any]) -> Tensor:
    """The view ``self[basic]``, recorded under the name of its last step."""
    if len(basic) == 1 and type(basic[0]) is int:
        return _select(self, 0, basic[0])
    index = (*basic, Ellipsis)
    for item in reversed(basic):
        if item is None:
            return _new_axes(self, index)
        if type(item) is int:
            return _pick(self, index)
        if item != WHOLE:
            return _slice(self, index)
    return _alias(self)


def _is_mask_of(index: object, input: Tensor) -> TypeGuard[Tensor]:
    """Whether `index` is a mask of the elements of `input`, and both show memory."""
    if not isinstance(index, Tensor) or index._array.dtype.char != "?":
        return False
    return index._array.shape == input._array.shape and index._array.__class__ is input._array.__class__ is np.ndarray


@tensor_method(operators="__setitem__")
def _setitem(self: Tensor, index: object, value: object) -> None:
    """``self[index] = value``: `value` expands to the selection."""
    if index is False:
        return
    kind = type_of_mask(index) if not isinstance(value, Tensor) or value._array.size == 1 else None
    if kind is not None and kind.char == "B":
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype unsigned char")
    if kind is not None and _is_mask_of(index, self) and _dtypes.is_number(value) and not is_recorded(self, index):
        check_memory(self._array)
        mode.run(fill_where, self._array, index._array, assigned(value, self._array.dtype))
        count_write(self)
        return
    basic, chosen = parse(self._array.shape, index)
    if chosen is None and not isinstance(value, Tensor) and _dtypes.is_number(value) and not is_recorded(self):
        key = (*basic, ...)
        seen = self._array[key]
        check_memory(seen)
        seen[...] = assigned(value, seen.dtype)
        count_write(self)
        return
    target = self if all([type(item) is slice and item == WHOLE for item in basic]) else look_at(self, basic)
    if not isinstance(value, Tensor):
        if not _dtypes.is_number(value):
            name = (
                type_name(value) if type(value).__module__ == "builtins" else f"{type(value).__module__}.{type(value).__name__}"
            )
            raise TypeError(f"can't assign a {name.split(' ')[0]} to a torch.{scalar_name(self._array.dtype)}Tensor")
        value = wrap(assigned(value, self._array.dtype))
    shape, leading = value._array.shape, 0
    while leading < len(shape) and shape[leading] == 1:
        leading += 1
    if leading and shape != target._array.shape:
        value = value.reshape(shape[leading:])
    if kind is not None:
        if value._array.dtype.kind == "c" and self._array.dtype.kind != "c" and not isinstance(index, bool):
            _dtypes.number_as(value._array.item(), self._array.dtype)  # no imaginary part is lost
        value = value.to(self.dtype)
    fills = kind is not None and value._array.size == 1 and self._array.ndim > 0
    if (fills or isinstance(index, bool)) and np.may_share_memory(value._array, self._array):
        value = value.clone()  # torch fills or copies here, which may overlap
    if chosen is None:
        copy_(target, value if value._array.shape == target._array.shape else value.expand(target._array.shape))
    else:
        _index_put_(target, chosen, value, False)


def type_of_mask(index: object) -> NumpyType | None:
    """The type of the mask in an index that is a single mask, else None: a mask may cast one value."""
    found = []
    for item in index if isinstance(index, tuple) else [index]:
        if isinstance(item, (Tensor, np.ndarray)):
            array = item._array if isinstance(item, Tensor) else item
            if array.ndim or array.dtype.char in "?B":
                found.append(array.dtype if array.ndim else np.dtype(object))
        elif isinstance(item, (bool, np.bool_, list, range)):
            found.append(np.asarray(item).dtype if item is index or not isinstance(item, bool) else np.dtype(object))
    return found[0] if len(found) == 1 and found[0].char in "?B" else None


@linear_in("input values")
@op(
    input=lambda grad, indices, values_shape, accumulate: (
        grad if accumulate else _index_put(grad, indices, zeros_as(grad, values_shape), False)
    ),
    values=lambda grad, indices: _index(grad, indices),
)
@as_it_is
def _index_put(input: Array, indices: Indices, values: Array, accumulate: bool) -> Array:
    out = input.copy()
    put_into(out, indices, values, accumulate)
    return out


def _index_put_(self: Tensor, indices: Indices, values: Tensor, accumulate: bool) -> Tensor:
    if is_recorded(self, values):
        if mode.enabled:
            check_writable(self)
        check_operands(self, (values, indices), True)
        overwrite(self, _index_put(self, indices, values, accumulate))
    else:
        check_memory(self._array)
        check_operands(self, (values, indices), True)
        mode.run(put_into, self._array, [None if i is None else i._array for i in indices], values._array, accumulate)
        count_write(self)
    return self


def _indices_of(input: Tensor, indices: object) -> Indices:
    """The indices of ``index_put``: integers unchanged, masks as the indices where they are true."""
    if isinstance(indices, Tensor) or not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put(): argument 'indices' must be tuple of Tensors, not {type_name(indices)}")
    shape, chosen, dim = input._array.shape, [], 0
    for at, item in enumerate(indices):
        found: list[Any]
        if not isinstance(item, Tensor):
            raise TypeError(f"expected Tensor as element {at} in argument 0, but got {type_name(item)}")
        if item._array.dtype.char in "?B":
            if dim + item.ndim > len(shape):
                raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {dim + item.ndim})")
            mask_fits(item._array.shape, shape, dim)
            if is_abstract(item):
                raise RuntimeError(BY_MASK)
            found = [wrap(f) for f in np.atleast_1d(item._array).nonzero()]
        else:
            found = [integers(item)]
        chosen += found
        dim += len(found)
    if len(chosen) > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {len(chosen)})")
    return chosen


def _indices_for(input: Tensor, indices: object, values: Tensor) -> Indices:
    """The same, after a check that `values` do not have more dimensions than the selection."""
    places = _indices_of(input, indices)
    shape = broadcast_shapes(*[place._array.shape for place in places]) + input._array.shape[len(places) :]
    if values._array.ndim > len(shape):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values._array.shape)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}"
        )
    return places


@method()
def index_put(input: Tensor, indices: object, values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` after ``input[indices] = values``, or ``+=``, adding up repeats, where `accumulate`.

    Shapes: `input` (*in), `values` broadcast to ``input[indices]`` -> (*in).
    Raises: RuntimeError if `values` do not broadcast, or have another dtype; IndexError if an index is out of range.

    >>> torch.zeros(2, 2).index_put((torch.tensor([0, 1]), torch.tensor([1, 0])), torch.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [6., 0.]])
    """
    return _index_put(input, _indices_for(input, indices, values), values, accumulate)


@method()
def index_put_(input: Tensor, indices: object, values: Tensor, accumulate: bool = False) -> Tensor:
    """`index_put`, in place: ``self[indices] = values``, or ``+=``, adding up repeats, where `accumulate`.

    Shapes: `self` (*in), `values` broadcast to ``self[indices]`` -> (*in).
    Raises: RuntimeError if `values` do not broadcast, or have another dtype; IndexError if an index is out of range.

    >>> torch.zeros(3).index_put_((torch.tensor([1, 1]),), torch.tensor([5.0, 6.0]), accumulate=True)
    tensor([ 0., 11.,  0.])
    """
    return _index_put_(input, _indices_for(input, indices, values), values, accumulate)


# ------------------------------------------------------------------------------------------------ as a sequence


@public("Tensor:__iter__")
def _iter(self: Tensor) -> Any:
    """The parts along the first dimension. TypeError for a 0-d tensor."""
    if not self._array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


@public("Tensor:__contains__")
def _contains(self: Tensor, element: object) -> bool:
    """Whether any element equals `element`."""
    if isinstance(element, (Tensor, int, float, complex)):
        return bool((self == element).any().item())
    raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")


@public("Tensor:__reversed__")
def _reversed(self: Tensor) -> Tensor:
    return self.flip(0) if self._array.ndim else self


@public("Tensor:__delitem__")
def _delitem(self: Tensor, index: object) -> None:
    raise TypeError("Tensor does not support deleting items")
