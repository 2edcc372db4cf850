"""Indexing: reading and writing chosen elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import type_name, wrap_dim
from mini_dl._dtypes import Array, scalar_name
from mini_dl._surface import method, public, tensor_method
from mini_dl.autograd.inplace import any_needs_grad, check_writable, overwrite
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.ops.creation import from_data
from mini_dl.ops.views import _new_axes, _pick, _select, _slice, alias
from mini_dl.tensor import Tensor, version_of, wrap

Indices = list[Any]
"""One entry per dimension: None for all of it, or integers (a Tensor; in forward bodies an array) that say which."""

# ------------------------------------------------------------------------------------------------ what an index means

WHOLE = slice(None)
TOO_DEEP = "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
KINDS = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})"


def is_tuple_like(index: Any) -> bool:
    """Whether a list stands for a tuple of indices: if it is short and holds anything but numbers."""
    if isinstance(index, (tuple, Tensor, np.ndarray)) or not isinstance(index, Sequence) or isinstance(index, (str, bytes)):
        return isinstance(index, tuple)
    return len(index) < 32 and any(
        i is None or i is Ellipsis or isinstance(i, (Tensor, slice, np.ndarray, Sequence)) for i in index
    )


def parse(shape: tuple[int, ...], index: Any) -> tuple[list[Any], Indices | None]:
    """`index` into a tensor of this `shape`, in two steps: the view ``x[basic]``, then choosing by integers from what is left."""
    items = list(index) if is_tuple_like(index) else [index]
    used = 0
    for i, item in enumerate(items):
        if isinstance(item, (Tensor, np.ndarray)):
            kind = item.dtype if isinstance(item, np.ndarray) else item._array.dtype
            used += item.ndim if kind.char in "?B" else 1
        elif isinstance(item, (list, range)) or (isinstance(item, tuple) and index is not item):
            item = items[i] = wrap(from_data(list(item), None))
            if item._array.dtype.kind not in "iub":
                item._array = item._array.astype("int64")
            used += item.ndim if item._array.dtype.kind == "b" else 1
        elif item is not None and item is not Ellipsis and not isinstance(item, (bool, np.bool_)):
            used += 1
    if used > len(shape):
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)}" if shape or len(items) > 1 or not is_int(items[0]) else TOO_DEEP
        )
    basic: list[Any] = []
    chosen: Indices = []
    dim = 0  # of the tensor
    for item in items:
        if item is None:
            basic.append(None)
            chosen.append(None)
            continue
        if item is Ellipsis:
            skipped = len(shape) - used
            basic += [WHOLE] * skipped
            chosen += [None] * skipped
            dim, used = dim + skipped, len(shape)
            continue
        if isinstance(item, slice):
            basic.append(forward_slice(item))
            chosen.append(None)
            dim += 1
            continue
        if isinstance(item, (Tensor, np.ndarray)):
            array = item._array if isinstance(item, Tensor) else item
            if array.ndim == 0 and array.dtype.kind in "iu" and array.dtype.char != "B":
                item = int(array)
            elif array.dtype.char in "?B":
                if array.ndim == 0:
                    item = bool(array)
                else:
                    mask_fits(array.shape, shape, dim)
                    basic += [WHOLE] * array.ndim
                    chosen += [wrap(found) for found in array.nonzero()]
                    dim += array.ndim
                    continue
            else:
                basic.append(WHOLE)
                chosen.append(integers(item if isinstance(item, Tensor) else wrap(array)))
                dim += 1
                continue
        if isinstance(item, (bool, np.bool_)):
            basic.append(None)
            chosen.append(wrap(np.zeros(1 if item else 0, "int64")))
            continue
        if not is_int(item):
            raise TypeError("new(): invalid data type 'str'") if isinstance(item, str) else IndexError(KINDS.format(type_name(item)))
        basic.append(in_range(operator.index(item), shape, dim))
        dim += 1
    return basic, chosen if any([c is not None for c in chosen]) else None


def is_int(item: Any) -> bool:
    return hasattr(type(item), "__index__")


def in_range(index: int, shape: tuple[int, ...], dim: int) -> int:
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {shape[dim]}")
    return index


def forward_slice(item: slice) -> slice:
    if item.step is not None:
        step = operator.index(item.step)
        if step <= 0:
            raise ValueError("slice step cannot be zero" if step == 0 else "step must be greater than zero")
    return item


def mask_fits(mask: tuple[int, ...], shape: tuple[int, ...], dim: int) -> None:
    for i, n in enumerate(mask):
        if n != shape[dim + i]:
            raise IndexError(
                f"The shape of the mask {list(mask)} at index {i} does not match the shape of the indexed tensor {list(shape)} "
                f"at index {dim + i}"
            )


def integers(index: Tensor) -> Tensor:
    if index._array.dtype.char not in "ilqb":
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return index


# ------------------------------------------------------------------------------------------------ choosing by integers


def key_of(indices: Indices) -> tuple[Any, ...]:
    return tuple([WHOLE if i is None else i for i in indices])


def index_error(error: IndexError, shapes: list[tuple[int, ...]]) -> IndexError:
    """NumPy's error in torch's words."""
    text = str(error)
    if text.startswith("shape mismatch"):
        return IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes " + ", ".join(str(list(s)) for s in shapes)
        )
    return IndexError(text.replace("axis", "dimension"))


@op(input=lambda grad, indices, input_shape: _index_place(grad, indices, input_shape))
def _index(input: Array, indices: Indices) -> Array:
    try:
        return np.array(input[key_of(indices)], copy=None) if any(i is not None and i.ndim for i in indices) else np.array(
            input[key_of(indices)]
        )
    except IndexError as error:
        raise index_error(error, [i.shape for i in indices if i is not None]) from None


@op(input=lambda grad, indices: _index(grad, indices))
def _index_place(input: Array, indices: Indices, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` to which `input` was added where `indices` point: the adjoint of `_index`."""
    out = np.zeros(shape, input.dtype)
    add_at(out, indices, input)
    return out


def add_at(out: Array, indices: Indices, values: Array) -> None:
    """``out[indices] += values``, adding up where an element is pointed at several times."""
    leading = 0
    while leading < len(indices) and indices[leading] is not None:
        leading += 1
    rest = out.shape[leading:]
    if leading and all(i is None for i in indices[leading:]) and rest and out.flags.c_contiguous and out.size:
        rows = np.ravel_multi_index(
            np.broadcast_arrays(*[np.where(i < 0, i + n, i) for i, n in zip(indices[:leading], out.shape)]), out.shape[:leading]
        )
        values = np.broadcast_to(values, rows.shape + rest)
        add_rows(out.reshape(-1, *rest), rows.reshape(-1), values.reshape(-1, *rest))
    else:
        np.add.at(out, key_of(indices), values)


def add_rows(out: Array, rows: Array, values: Array) -> None:
    """``out[rows[i]] += values[i]``: assignment for the first of each row, `np.add.at`, which is slow, for the repeats only."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.empty(len(rows), bool)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    firsts = order[first]
    out[rows[firsts]] += values[firsts]
    if len(firsts) < len(rows):
        again = order[~first]
        np.add.at(out, rows[again], values[again])


@tensor_method(operators="__getitem__")
def _getitem(self: Tensor, index: Any) -> Tensor:
    """``self[index]``: a view for ints, slices, None and ...; a copy where tensors, lists or masks choose."""
    shape = self._array.shape
    if type(index) is int and shape:
        return _select(self, 0, in_range(index, shape, 0))
    basic, chosen = parse(shape, index)
    looked = look_at(self, basic)
    return looked if chosen is None else _index(looked, chosen)


def look_at(self: Tensor, basic: list[Any]) -> Tensor:
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
    return alias(self)


@tensor_method(operators="__setitem__")
def _setitem(self: Tensor, index: Any, value: Any) -> None:
    """``self[index] = value``: `value` expanded to what the index chooses."""
    basic, chosen = parse(self._array.shape, index)
    target = self if all([type(item) is slice and item == WHOLE for item in basic]) else look_at(self, basic)
    if not isinstance(value, Tensor):
        if not _dtypes.is_number(value):
            name = type_name(value) if type(value).__module__ == "builtins" else f"{type(value).__module__}.{type(value).__name__}"
            raise TypeError(f"can't assign a {name.split(' ')[0]} to a torch.{scalar_name(self._array.dtype)}Tensor")
        value = wrap(number_as(value, self._array.dtype))
    shape = value._array.shape
    leading = 0
    while leading < len(shape) and shape[leading] == 1:
        leading += 1
    if leading:
        value = value.reshape(shape[leading:])
    if chosen is None:
        overwrite(target, value if value._array.shape == target._array.shape else value.expand(target._array.shape))
    else:
        index_put_(target, chosen, value)


def number_as(number: Any, target: np.dtype[Any]) -> Array:
    """A number in type `target`. RuntimeError where it cannot be: a complex number in a real type."""
    if isinstance(number, complex) and target.kind != "c":
        if number.imag:
            raise RuntimeError(f"value cannot be converted to type {_dtypes.of_numpy(target).name} without overflow")
        number = number.real
    return _dtypes.as_type(number, target)


@op(
    input=lambda grad, indices, values, accumulate: grad if accumulate else _index_put(grad, indices, wrap(np.zeros_like(values._array)), False),
    values=lambda grad, indices: _index(grad, indices),
)
def _index_put(input: Array, indices: Indices, values: Array, accumulate: bool) -> Array:
    out = input.copy()
    put_into(out, indices, values, accumulate)
    return out


def put_into(out: Array, indices: Indices, values: Array, accumulate: bool) -> None:
    if out.dtype != values.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {scalar_name(out.dtype)} for the destination and "
            f"{scalar_name(values.dtype)} for the source."
        )
    try:
        if accumulate:
            add_at(out, indices, values)
        else:
            out[key_of(indices)] = values
    except IndexError as error:
        raise index_error(error, [i.shape for i in indices if i is not None]) from None
    except ValueError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape "
            f"{list(out[key_of(indices)].shape)}"
        ) from None


def index_put_(self: Tensor, indices: Indices, values: Tensor, accumulate: bool = False) -> Tensor:
    if mode.enabled and any_needs_grad((self, values)):
        check_writable(self)
        before = alias(self)
        overwrite(self, _index_put(self, indices, values, accumulate))
    else:
        mode.run(put_into, self._array, [None if i is None else i._array for i in indices], values._array, accumulate)
        version_of(self)[0] += 1
    return self


# ------------------------------------------------------------------------------------------------ along one dimension


def linear(shape: tuple[int, ...], dim: int, index: Array) -> Array:
    """Positions in a flat contiguous array of `shape` of the elements that `index` chooses along `dim`, the rest its own."""
    strides = np.empty(len(shape), "int64")
    step = 1
    for i in reversed(range(len(shape))):
        strides[i], step = step, step * shape[i]
    where = index * strides[dim]
    for i, n in enumerate(index.shape):
        if i != dim:
            where += (np.arange(n) * strides[i]).reshape((-1,) + (1,) * (index.ndim - 1 - i))
    return where


def checked_index(name: str, shape: tuple[int, ...], dim: int, index: Array, size_of: str = "self") -> None:
    if index.dtype.char not in "lqi":
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if not index.size:
        return
    if index.ndim != (len(shape) or 1) and (index.ndim or 1) != (len(shape) or 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {size_of} tensor")
    n = shape[dim] if shape else 1
    low, high = index.min(), index.max()
    if low < 0 or high >= n:
        raise RuntimeError(f"index {low if low < 0 else high} is out of bounds for dimension {dim} with size {n}")


@op(input=lambda grad, input_shape, dim, index: _scatter_add(wrap(np.zeros(input_shape, grad._array.dtype)), dim, index, grad))
def _gather(input: Array, dim: int, index: Array) -> Array:
    checked_index("gather", input.shape, dim, index, "input")
    if not index.size:
        return np.empty(index.shape, input.dtype)
    if not input.ndim or not index.ndim:
        return np.full(index.shape, input.reshape(-1)[index.reshape(-1)[0]], input.dtype)
    for i, (n, have) in enumerate(zip(index.shape, input.shape)):
        if i != dim and n > have:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {dim}"
            )
    return input.reshape(-1).take(linear(input.shape, dim, index))


@method(out=True)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``result[i][j] = input[index[i][j]][j]`` for `dim` 0, in any number of dimensions. RuntimeError if an index is out of range.

    >>> import mini_dl as torch
    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    return _gather(input, wrap_dim(dim, input._array.ndim), index)


@op(input=lambda grad: grad, src=lambda grad, dim, index: _gather(grad, dim, index))
def _scatter_add(input: Array, dim: int, index: Array, src: Array) -> Array:
    checked_index("scatter", input.shape, dim, index)
    out = np.array(input, order="C", copy=True)
    if index.size:
        src = src[tuple([slice(n) for n in index.shape])]
        np.add.at(out.reshape(-1), linear(input.shape, dim, index).reshape(-1), src.reshape(-1))
    return out


@method(inplace=True, out=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``result[index[i][j]][j] += src[i][j]`` for `dim` 0, in any number of dimensions. RuntimeError if an index is out of range."""
    return _scatter_add(input, wrap_dim(dim, input._array.ndim), index, src)


# ------------------------------------------------------------------------------------------------ writing everything


@tensor_method()
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write `src`, expanded and cast, into this tensor."""
    overwrite(self, src.expand(self._array.shape))
    return self


@tensor_method()
def fill_(self: Tensor, value: Any) -> Tensor:
    """Write one value everywhere."""
    return copy_(self, value if isinstance(value, Tensor) else wrap(number_as(value, self._array.dtype)))


@tensor_method()
def zero_(self: Tensor) -> Tensor:
    """Write zero everywhere."""
    return fill_(self, 0)
