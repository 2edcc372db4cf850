"""Indexing: reading and writing chosen elements."""

from __future__ import annotations

import functools
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import broadcast_shapes, type_name, wrap_dim
from mini_dl._dtypes import Array, c_name, number_as, scalar_name
from mini_dl._surface import function, method, public, tensor_method, with_out
from mini_dl.autograd.inplace import (
    any_needs_grad,
    check_inference,
    check_memory,
    check_writable,
    fresh,
    inplace,
    overwrite,
    spares_copy,
)
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels.blocks import choose
from mini_dl.kernels.indexing import (
    WHOLE,
    Indices,
    add_at,
    add_rows,
    chooses_nothing,
    corner,
    flat_index,
    index_error,
    key_of,
    positions,
    put_into,
    reduce_at,
    rows_of,
)
from mini_dl.ops.creation import from_data
from mini_dl.ops.views import _alias, _new_axes, _pick, _select, _slice, place
from mini_dl.tensor import Tensor, version_of, wrap

# ------------------------------------------------------------------------------------------------ what an index means


TOO_DEEP = (
    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a "
    "number"
)
KINDS = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})"


def is_tuple_like(index: Any) -> bool:
    """Whether a list stands for a tuple of indices: if it is short and holds anything but numbers."""
    if isinstance(index, (tuple, Tensor, np.ndarray)) or not isinstance(index, Sequence):
        return isinstance(index, tuple)
    kinds = (Tensor, slice, np.ndarray, Sequence)
    found = len(index) < 32 and any([i is None or i is Ellipsis or isinstance(i, kinds) for i in index])
    if found:
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; use "
            "x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], "
            "which "
            "will result either in an error or a different result",
            stacklevel=4,
        )
    return found


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
        if not shape and items[0] is index and is_int(index) and not isinstance(index, Tensor):
            n = operator.index(index)
            raise IndexError(f"index {n} is out of bounds for dimension 0 with size 0" if n else TOO_DEEP)
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
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
                if array.dtype.char == "B":
                    warnings.warn(
                        "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.", stacklevel=3
                    )
                if array.ndim == 0:
                    item = bool(array)
                else:
                    mask_fits(array.shape, shape, dim)
                    basic += [WHOLE] * array.ndim
                    chosen += [wrap(found) for found in array.nonzero()]
                    dim += array.ndim
                    continue
            else:
                if isinstance(item, Tensor) and array.dtype.kind in "iu" and array.dtype.char not in "ilq":
                    raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
                basic.append(WHOLE)
                chosen.append(integers(item if isinstance(item, Tensor) else wrap(array)))
                dim += 1
                continue
        if isinstance(item, bool):
            basic.append(None)
            chosen.append(wrap(np.zeros(1 if item else 0, "int64")))
            continue
        if not is_int(item):
            raise (
                TypeError("new(): invalid data type 'str'")
                if isinstance(item, str)
                else IndexError(KINDS.format(type_name(item)))
            )
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


@op(input=lambda grad, indices, input_shape: _index_place(grad, indices, input_shape))
def _index(input: Array, indices: Indices) -> Array:
    try:
        out = input[key_of(indices)]
    except IndexError as error:
        shape = None if "broadcast" in str(error) else chooses_nothing(input.shape, indices)
        if shape is not None:
            return np.empty(shape, input.dtype)
        raise index_error(error, [i.shape for i in indices if i is not None]) from None
    # NumPy puts what was chosen first in memory; here memory is in the order of the result
    return out if out.flags.c_contiguous and any([i is not None and i.ndim for i in indices]) else np.array(out, order="C")


@op(input=lambda grad, indices: _index(grad, indices))
def _index_place(input: Array, indices: Indices, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` to which `input` was added where `indices` point: the adjoint of `_index`."""
    out = np.zeros(shape, input.dtype)
    add_at(out, indices, input)
    return out


@tensor_method(operators="__getitem__")
def _getitem(self: Tensor, index: Any) -> Tensor:
    """``self[index]``: a view for ints, slices, None and ...; a copy where tensors, lists or masks choose."""
    shape = self._array.shape
    if type(index) is int and shape:
        return _select(self, 0, in_range(index, shape, 0))
    items = index if type(index) is tuple else (index,)
    if plain(items, shape):
        return look_at(self, items)
    basic, chosen = parse(shape, index)
    looked = look_at(self, basic)
    return looked if chosen is None else _index(looked, chosen)


def plain(items: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether all are ints in range and slices without a step, as most are: there is nothing to parse."""
    if len(items) > len(shape):
        return False
    for item, n in zip(items, shape):
        if type(item) is int:
            if not -n <= item < n:
                return False
        elif type(item) is not slice or item.step is not None:
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


@tensor_method(operators="__setitem__")
def _setitem(self: Tensor, index: Any, value: Any) -> None:
    """``self[index] = value``: `value` expanded to what the index chooses."""
    if index is False:
        return
    kind = type_of_mask(index) if not isinstance(value, Tensor) or value._array.size == 1 else None
    if kind is not None and kind.char == "B":
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype unsigned char")
    basic, chosen = parse(self._array.shape, index)
    if chosen is None and not isinstance(value, Tensor) and _dtypes.is_number(value) and not needs_recording(self):
        key = (*basic, ...)
        seen = self._array[key]
        check_inference(self)
        check_memory(seen)
        seen[...] = assigned(value, seen.dtype)
        version_of(self)[0] += 1
        return
    target = self if all([type(item) is slice and item == WHOLE for item in basic]) else look_at(self, basic)
    if not isinstance(value, Tensor):
        if not _dtypes.is_number(value):
            name = (
                type_name(value) if type(value).__module__ == "builtins" else f"{type(value).__module__}.{type(value).__name__}"
            )
            raise TypeError(f"can't assign a {name.split(' ')[0]} to a torch.{scalar_name(self._array.dtype)}Tensor")
        value = wrap(assigned(value, self._array.dtype))
    shape = value._array.shape
    leading = 0
    while leading < len(shape) and shape[leading] == 1:
        leading += 1
    if leading:
        value = value.reshape(shape[leading:])
    if kind is not None:
        value = value.to(self.dtype)
    if chosen is None:
        copy_(target, value if value._array.shape == target._array.shape else value.expand(target._array.shape))
    else:
        _index_put_(target, chosen, value, False)


def type_of_mask(index: Any) -> np.dtype[Any] | None:
    """The type of the mask in an index that has one and nothing else that chooses, else None: a mask may cast one value."""
    found = []
    for item in index if isinstance(index, tuple) else [index]:
        if isinstance(item, (Tensor, np.ndarray)):
            array = item._array if isinstance(item, Tensor) else item
            if array.ndim or array.dtype.char in "?B":
                found.append(array.dtype if array.ndim else np.dtype(object))
        elif isinstance(item, (bool, np.bool_, list, range)):
            found.append(np.asarray(item).dtype if item is index or not isinstance(item, bool) else np.dtype(object))
    return found[0] if len(found) == 1 and found[0].char in "?B" else None


@op(
    input=lambda grad, indices, values, accumulate: (
        grad if accumulate else _index_put(grad, indices, wrap(np.zeros_like(values._array)), False)
    ),
    values=lambda grad, indices: _index(grad, indices),
)
def _index_put(input: Array, indices: Indices, values: Array, accumulate: bool) -> Array:
    out = input.copy()
    put_into(out, indices, values, accumulate)
    return out


def _index_put_(self: Tensor, indices: Indices, values: Tensor, accumulate: bool) -> Tensor:
    if needs_recording(self, values):
        check_writable(self)
        overwrite(self, _index_put(self, indices, values, accumulate))
    else:
        check_inference(self)
        check_memory(self._array)
        mode.run(put_into, self._array, [None if i is None else i._array for i in indices], values._array, accumulate)
        version_of(self)[0] += 1
    return self


def _indices_of(input: Tensor, indices: Any) -> Indices:
    """The indices of ``index_put``: integers as they are, masks as where they hold."""
    if isinstance(indices, Tensor) or not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put(): argument 'indices' must be tuple of Tensors, not {type_name(indices)}")
    shape, chosen, dim = input._array.shape, [], 0
    for item in indices:
        found: list[Any]
        if item is None:
            found = [None]
        elif item._array.dtype.char in "?B":
            if dim + item.ndim > len(shape):
                raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {dim + item.ndim})")
            mask_fits(item._array.shape, shape, dim)
            found = [wrap(f) for f in np.atleast_1d(item._array).nonzero()]
        else:
            found = [integers(item)]
        chosen += found
        dim += len(found)
    if len(chosen) > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {len(chosen)})")
    return chosen


@method()
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` after ``input[indices] = values``, or ``+=``, adding up repeats, where `accumulate`."""
    return _index_put(input, _indices_of(input, indices), values, accumulate)


@public("torch", "Tensor")
def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """In-place version of ``index_put``."""
    return _index_put_(input, _indices_of(input, indices), values, accumulate)


# ------------------------------------------------------------------------------------------------ an index per element


def compact(input: Array) -> tuple[Array, Array]:
    """A contiguous copy, and its elements in one dimension."""
    out = fresh(input)
    return out, out.reshape(-1)


def zeros_as(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    return wrap(np.zeros(shape, grad._array.dtype))


@op(input=lambda grad, input_shape, dim, index: _scatter_add(zeros_as(grad, input_shape), dim, index, grad))
def _gather(input: Array, dim: int, index: Array) -> Array:
    return input.reshape(-1).take(positions("gather", input, dim, index))


@tensor_method()
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``result[i][j] = input[index[i][j]][j]`` for `dim` 0, for any number of dimensions. RuntimeError out of range.

    >>> import mini_dl as torch
    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    return _gather(input, wrap_dim(dim, input._array.ndim), index)


@functools.wraps(gather)
def _gather_into(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    if out is not None and out._array.dtype != input._array.dtype:
        wanted, got = [c_name(t._array.dtype) for t in (input, out)]
        raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {got} instead")
    return _gather_apart(input, dim, index, sparse_grad=sparse_grad, out=out)


_gather_apart = with_out(gather, "apart")
_gather_into.__signature__ = _gather_apart.__signature__  # type: ignore[attr-defined]
public("torch")(_gather_into)


def same_type(name: str, input: Tensor, src: Tensor, what: str = "src") -> None:
    if input._array.dtype != src._array.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to {what}.dtype")


@op(input=lambda grad: grad, src=lambda grad, dim, index: _gather(grad, dim, index))
def _scatter_add(input: Array, dim: int, index: Array, src: Array) -> Array:
    where = positions("scatter_add", input, dim, index, src)
    out, flat = compact(input)
    np.add.at(flat, where.reshape(-1), corner(src, index))
    return out


@method(inplace=True, out=True)
@spares_copy
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``result[index[i][j]][j] += src[i][j]`` for `dim` 0, for any number of dimensions. RuntimeError out of range."""
    same_type("scatter", input, src)
    return _scatter_add(input, wrap_dim(dim, input._array.ndim), index, src)


@op(
    input=lambda grad, dim, index: _scatter(
        grad, dim, index, wrap(np.broadcast_to(np.zeros((), grad._array.dtype), index.shape))
    ),
    src=lambda grad, dim, index: _gather(grad, dim, index),
)
def _scatter(input: Array, dim: int, index: Array, src: Array) -> Array:
    where = positions("scatter", input, dim, index, src)
    out, flat = compact(input)
    flat[where.reshape(-1)] = corner(src, index)
    return out


@method(inplace=True, out=True)
@spares_copy
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """``result[index[i][j]][j] = src[i][j]`` for `dim` 0, in any number of dimensions; `src` may be a number.

    `reduce` "add" or "multiply" combines instead. RuntimeError if an index is out of range or shapes do not fit.
    """
    src = value if src is None else src
    if not isinstance(src, Tensor):
        if not _dtypes.is_number(src):
            raise TypeError(f"scatter(): argument 'src' must be Tensor or a number, not {type_name(src)}")
        src = wrap(np.broadcast_to(number_as(src, input._array.dtype), index._array.shape))
    same_type("scatter", input, src)
    dim = wrap_dim(dim, input._array.ndim)
    if reduce is None:
        return _scatter(input, dim, index, src)
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if mode.enabled and any_needs_grad((input, src)) and reduce == "multiply":
        raise RuntimeError("scatter: reduce='multiply' has no derivative; scatter_reduce has one")
    return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")


# ------------------------------------------------------------------------------------------------ combining what meets


def checked_reduce(name: str, reduce: str, choices: Sequence[str]) -> None:
    if reduce not in choices:
        raise RuntimeError(f"{name}: reduce argument must be either {', '.join(choices[:-1])} or {choices[-1]}, got {reduce}.")


def reduced_gradients(name: str) -> dict[str, Any]:
    """The gradients of ``scatter_reduce`` and ``index_reduce``, which differ in how elements are picked and put."""
    by_element = name == "scatter_reduce"

    def pick(values: Tensor, dim: int, index: Tensor) -> Tensor:
        return values.gather(dim, index) if by_element else values.index_select(dim, index)

    def add(values: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        return values.scatter_add(dim, index, source) if by_element else values.index_add(dim, index, source)

    def combine(values: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, include_self: bool) -> Tensor:
        return (_scatter_reduce if by_element else _index_reduce)(values, dim, index, source, reduce, include_self)

    def cut(src: Tensor, index: Tensor) -> Tensor:
        return src[tuple([slice(n) for n in index.shape])] if by_element and src.ndim else src

    def counts(grad: Tensor, dim: int, index: Tensor, src: Tensor, include_self: bool) -> Tensor:
        start = wrap(np.full(grad.shape, include_self, grad._array.dtype))
        return add(start, dim, index, wrap(np.ones(src.shape, grad._array.dtype))).clamp(min=1)

    def ties(input: Tensor, result: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
        """How many share the extreme value."""
        return add((input == result).to(src.dtype), dim, index, (src == pick(result, dim, index)).to(src.dtype))

    def of_input(
        grad: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool, result: Tensor
    ) -> Tensor:
        src = cut(src, index)
        out = grad
        if reduce == "prod":
            filled = input.masked_fill(input == 0, 1)
            out = grad * combine(filled, dim, index, src, reduce, include_self) / filled
        elif reduce == "mean":
            out = grad / counts(grad, dim, index, src, include_self)
        elif reduce != "sum":
            out = (input == result) * (grad / ties(input, result, dim, index, src))
        if include_self:
            return out
        return out.scatter(dim, index, 0) if by_element else out.index_fill(dim, index, 0)

    def of_src(
        grad: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool, result: Tensor
    ) -> Tensor:
        whole, src = src.shape, cut(src, index)
        if reduce == "sum":
            out = pick(grad, dim, index)
        elif reduce == "mean":
            out = pick(grad / counts(grad, dim, index, src, include_self), dim, index)
        elif reduce == "prod":
            zero = src == 0
            zeros = pick(add(wrap(np.zeros(input.shape, src._array.dtype)), dim, index, zero.to(src.dtype)), dim, index)
            alone = zero & (zeros == 1)
            others = combine(input, dim, index, src.masked_fill(alone, 1), reduce, include_self)
            out = pick(grad * result, dim, index) / src.masked_fill(zero, 1)
            out = pick(grad * others, dim, index).where(alone, out)
        else:
            out = (src == pick(result, dim, index)) * pick(grad / ties(input, result, dim, index, src), dim, index)
        if out.shape == whole:
            return out
        return place(out, _slice, (tuple([slice(n) for n in out.shape]),), tuple(whole))

    return {"input": of_input, "src": of_src}


@op(**reduced_gradients("scatter_reduce"))
def _scatter_reduce(input: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool) -> Array:
    where = positions("scatter_reduce", input, dim, index, src)
    out, flat = compact(input)
    reduce_at(flat, where.reshape(-1), corner(src, index), reduce, include_self)
    return out


@method(inplace=True, out=True)
@spares_copy
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As ``scatter``, but what meets in one place is combined: "sum", "prod", "mean", "amax" or "amin".

    Without `include_self`, what was there before takes no part.
    """
    checked_reduce("scatter_reduce", reduce, ("sum", "prod", "mean", "amax", "amin"))
    same_type("scatter", input, src)
    return _scatter_reduce(input, wrap_dim(dim, input._array.ndim), index, src, reduce, include_self)


# ------------------------------------------------------------------------------------------------ along one dimension


def checked_rows(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None) -> int:
    """`dim` from the front. RuntimeError or IndexError unless `index` is a vector in range that fits `source`."""
    dim = wrap_dim(dim, input._array.ndim)
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' (position 3) must be Tensor, not {type_name(index)}")
    positions = index._array
    if positions.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector"
            + (
                f", but got dim: {positions.ndim} with type: {scalar_name(positions.dtype)} and size: {list(positions.shape)}"
                if name == "index_add"
                else ""
            )
        )
    if positions.dtype.char not in ("lq" if name in ("index_copy", "index_fill") else "lqi"):
        raise (IndexError if name == "index_fill" else RuntimeError)(
            f"{name}(): Expected dtype int32/int64 for index but got: {scalar_name(positions.dtype)}"
        )
    if source is not None:
        (check_copied if name == "index_copy" else check_added)(name + "_", input, dim, positions.size, source)
    check_in_range(name, input, dim, positions)
    return dim


def check_added(name: str, input: Tensor, dim: int, count: int, source: Tensor) -> None:
    mine, theirs = input._array.shape, source._array.shape
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"{name}(): self ({scalar_name(input._array.dtype)}) and source ({scalar_name(source._array.dtype)}) must have the "
            "same scalar type"
        )
    if dim and dim >= len(theirs):
        raise RuntimeError(f"{name}(): Indexing dim {dim} is out of bounds of the source tensor with dim {len(theirs)}")
    if count != (theirs[dim] if theirs else 1):
        if not theirs:
            raise IndexError("Dimension specified as 0 but tensor has no dimensions")
        raise RuntimeError(
            f"{name}(): Number of indices ({count}) should be equal to source.size(dim): ({theirs[dim]}), for dim: {dim}"
        )
    if mine and theirs:
        same = without_dim(mine, dim) == without_dim(theirs, dim)
    else:
        same = mine == theirs
    if not same:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(mine)} source.shape = {list(theirs)}"
        )


def check_copied(name: str, input: Tensor, dim: int, count: int, source: Tensor) -> None:
    mine, theirs = input._array.shape, source._array.shape
    if not theirs and count != 1:
        raise IndexError(f"{name}(): When source is scalar, index should have one element (got {count})")
    if mine and theirs and len(mine) != len(theirs):
        raise IndexError(
            f"{name}(): When source and destination are not scalars, their dimensionality must match. Source dimensionality "
            f"({len(theirs)}), destination dimensionality ({len(mine)})"
        )
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got (self) {scalar_name(input._array.dtype)} and "
            f"(source) {scalar_name(source._array.dtype)}"
        )
    if without_dim(mine, dim) != without_dim(theirs, dim):
        raise RuntimeError(
            f"{name}(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{list(without_dim(mine, dim))} at dimension {dim} and source slice shape: {list(without_dim(theirs, dim))} at "
            f"dimension 0."
        )
    if theirs and count != theirs[dim]:
        raise IndexError(f"{name}(): Number of indices ({count}) should be equal to source.size(dim) ({theirs[dim]})")


def without_dim(shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return shape[:dim] + shape[dim + 1 :]


def check_in_range(name: str, input: Tensor, dim: int, positions: Array) -> None:
    shape = input._array.shape
    n = shape[dim] if shape else 1
    if not positions.size or (name == "index_add" and len(shape) > 1 and not input._array.size):
        return
    high = positions.max()
    if high < n and positions.min() >= 0:
        return
    bad = f"index {high if high >= n else positions.min()} is out of bounds for dimension {dim} with size {n}"
    if name == "index_copy":
        raise IndexError(f"index_copy_(): {bad}")
    if name == "index_add" and dim in (0, len(shape) - 1) and len(shape) > 1 and positions.dtype.itemsize == 8:
        raise RuntimeError(bad)
    raise (RuntimeError if name == "index_reduce" else IndexError)("index out of range in self")


@op(input=lambda grad, input_shape, dim, index: _index_add(zeros_as(grad, input_shape), dim, index, grad))
def _index_select(input: Array, dim: int, index: Array) -> Array:
    if not input.ndim:
        return input.copy()
    return input.take(index.reshape(-1), dim)


@method(out="apart")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The parts of `input` at the places `index`, a vector, along `dim`. IndexError if one is out of range."""
    dim = checked_rows("index_select", input, dim, index)
    if not input._array.ndim and index._array.size != 1:
        raise IndexError("index_select(): Index to scalar can have only 1 value, got " + f"{index._array.size} value(s)")
    return _index_select(input, dim, index)


@op(input=lambda grad: grad, source=lambda grad, dim, index: _index_select(grad, dim, index))
def _index_add(input: Array, dim: int, index: Array, source: Array) -> Array:
    out = fresh(input)
    if out.size:
        add_rows(rows_of(out, dim), index.reshape(-1), rows_of(source, dim))
    return out


@method(inplace=True, out=True)
@spares_copy
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """``result[index[i]] += alpha * source[i]`` along `dim`, adding up repeats."""
    dim = checked_rows("index_add", input, dim, index, source)
    return _index_add(input, dim, index, source if alpha == 1 else source * alpha)


@op(
    input=lambda grad, dim, index: _index_fill(grad, dim, index, zeros_as(grad, ())),
    source=lambda grad, dim, index: _index_select(grad, dim, index),
)
def _index_copy(input: Array, dim: int, index: Array, source: Array) -> Array:
    out = fresh(input)
    rows_of(out, dim)[index.reshape(-1)] = rows_of(source, dim)
    return out


@method(inplace=True, out=True)
@spares_copy
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``result[index[i]] = source[i]`` along `dim`."""
    return _index_copy(input, checked_rows("index_copy", input, dim, index, source), index, source)


@op(
    input=lambda grad, dim, index: _index_fill(grad, dim, index, zeros_as(grad, ())),
    value=lambda grad, dim, index: _index_select(grad, dim, wrap(np.unique(index._array))).sum(),
)
def _index_fill(input: Array, dim: int, index: Array, value: Array) -> Array:
    out = fresh(input)
    rows_of(out, dim)[index.reshape(-1)] = value
    return out


def assigned(number: Any, target: np.dtype[Any]) -> Array:
    """A number to be written by an index in type `target`. ValueError for an int that int64 does not hold."""
    if type(number) is int and not -(2**63) <= number < 2**63:
        raise ValueError(f"Overflow when unpacking long long: {number.bit_length()} bits")
    return number_as(number, target)


def one_value(name: str, input: Tensor, value: Any, cast: bool = False) -> Tensor:
    """`value`, a number or a 0-d tensor, as a 0-d tensor of the type of `input`. RuntimeError where it does not fit, unless
    `cast`, for a tensor."""
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise RuntimeError(
                f"{name} only supports a 0-dimensional value tensor, but got tensor with {value._array.ndim} dimension(s)."
            )
        if not cast:
            number_as(value._array.item(), input._array.dtype)
        return value.to(input.dtype)
    if not _dtypes.is_number(value):
        raise TypeError(f"{name}(): argument 'value' must be Number, not {type_name(value)}")
    return wrap(number_as(value, input._array.dtype))


@method(inplace=True)
@spares_copy
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """``result[index[i]] = value`` along `dim`."""
    number = value._array if isinstance(value, Tensor) else value
    if np.iscomplexobj(number) and input._array.dtype.kind != "c":
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    return _index_fill(input, checked_rows("index_fill", input, dim, index), index, one_value("index_fill_", input, value))


@op(**reduced_gradients("index_reduce"))
def _index_reduce(input: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool) -> Array:
    out = fresh(input)
    reduce_at(rows_of(out, dim), index.reshape(-1), rows_of(src, dim), reduce, include_self)
    return out


@method(inplace=True, out=True)
@spares_copy
def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As ``index_add``, but combining by "prod", "mean", "amax" or "amin"."""
    checked_reduce("index_reduce", reduce, ("prod", "mean", "amax", "amin"))
    dim = checked_rows("index_reduce", input, dim, index, source)
    return _index_reduce(input, dim, index, source, reduce, include_self)


# ------------------------------------------------------------------------------------------------ in one dimension


@op(input=lambda grad, input_shape, index: _put(zeros_as(grad, input_shape), index, grad, True))
def _take(input: Array, index: Array) -> Array:
    return input.reshape(-1)[flat_index(index, input.size)].reshape(index.shape)


@method(out="apart")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these places of the flattened `input`, in the shape of `index`. IndexError if one is out of range."""
    if index._array.dtype.char not in "lq":
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {scalar_name(index._array.dtype)}")
    return _take(input, index)


@op(
    input=lambda grad, index, source, accumulate: grad if accumulate else _put(grad, index, zeros_as(grad, source.shape), False),
    source=lambda grad, index, source_shape: _take(grad, index).reshape(source_shape),
)
def _put(input: Array, index: Array, source: Array, accumulate: bool) -> Array:
    where = flat_index(index, input.size)
    out, flat = compact(input)
    if accumulate:
        np.add.at(flat, where, source.reshape(-1))
    else:
        flat[where] = source.reshape(-1)
    return out


@method(inplace=True)
@spares_copy
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `source` written (or added) at these places of its flattened elements."""
    if index._array.dtype.char not in "lq":
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {scalar_name(index._array.dtype)}")
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_name(input._array.dtype)} and source.dtype = {scalar_name(source._array.dtype)}"
        )
    if source._array.size != index._array.size:
        raise RuntimeError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._array.size}, "
            f"index.numel() = {index._array.size}"
        )
    return _put(input, index, source, accumulate)


@method(out=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather`` with both broadcast against each other; without `dim`, along the flattened `input`."""
    if indices._array.dtype.char not in "lqi":
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {scalar_name(indices._array.dtype)}")
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    if input._array.ndim != indices._array.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._array.ndim} dimensions for input, and {indices._array.ndim} dimensions for indices"
        )
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim] if input._array.ndim else 1
    indices = wrap(np.where(indices._array < 0, indices._array + n, indices._array))
    ours, theirs = list(input._array.shape), list(indices._array.shape)
    if ours:
        ours[dim] = theirs[dim] = 1
    common = broadcast_shapes(ours, theirs)
    if not common:
        return gather(input, 0, indices)
    before, after = common[:dim], common[dim + 1 :]
    return gather(
        input.expand(*before, input._array.shape[dim], *after), dim, indices.expand(*before, indices._array.shape[dim], *after)
    )


# ------------------------------------------------------------------------------------------------ by mask


def checked_mask(name: str, mask: Tensor) -> Tensor:
    if mask._array.dtype.kind != "b":
        raise RuntimeError(
            f"{name}: expected BoolTensor for mask"
            if name == "masked_select"
            else f"{name} only supports boolean masks, but got mask with dtype {_dtypes.of_numpy(mask._array.dtype)}"
        )
    return mask


def _fill_mask(grad: Tensor, mask: Tensor) -> Tensor:
    return _masked_fill(grad, mask, zeros_as(grad, ()))


@op(input=_fill_mask, value=lambda grad, mask: (grad * mask).sum())
def _masked_fill(input: Array, mask: Array, value: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    if input.dtype.kind != "c":
        return choose(np.broadcast_to(mask, shape), np.broadcast_to(value, shape), np.broadcast_to(input, shape))
    out = np.array(np.broadcast_to(input, shape))
    np.copyto(out, value, where=mask)
    return out


@method(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where `mask` holds, else `input`. RuntimeError unless `mask` is of bools."""
    return _masked_fill(input, checked_mask("masked_fill", mask), one_value("masked_fill_", input, value))


@op(input=lambda grad, input_shape, mask: _masked_scatter(zeros_as(grad, broadcast_shapes(input_shape, mask.shape)), mask, grad))
def _masked_select(input: Array, mask: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    return np.broadcast_to(input, shape)[np.broadcast_to(mask, shape)]


@method(out="apart")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where `mask` holds, in one dimension."""
    return _masked_select(input, checked_mask("masked_select", mask))


def _selected_gradient(grad: Tensor, mask: Tensor, source_shape: tuple[int, ...]) -> Tensor:
    found = _masked_select(grad, mask)
    size = 1
    for n in source_shape:
        size *= n
    return place(found, _slice, ((slice(found.numel()),),), (size,)).reshape(source_shape)


@op(input=_fill_mask, source=_selected_gradient)
def _masked_scatter(input: Array, mask: Array, source: Array) -> Array:
    shape = broadcast_shapes(input.shape, mask.shape)
    out = np.array(np.broadcast_to(input, shape))
    mask = np.broadcast_to(mask, shape)
    count = int(mask.sum())
    if count > source.size:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but the mask selects more than source has".replace(
                "expected self and source to have same dtypes but the mask", f"the mask with {count} true elements"
            )
            + f": {source.size}"
        )
    out[mask] = source.reshape(-1)[:count]
    return out


@method(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements where `mask` holds replaced, in order, by those of `source`."""
    if not isinstance(source, Tensor):
        raise TypeError(f"masked_scatter(): argument 'source' (position 2) must be Tensor, not {type_name(source)}")
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{scalar_name(input._array.dtype)} and {scalar_name(source._array.dtype)}"
        )
    return _masked_scatter(input, checked_mask("masked_scatter_", mask), source)


# ------------------------------------------------------------------------------------------------ where something holds


def _nonzero(array: Array) -> Array:
    return np.stack(array.nonzero(), 1) if array.ndim else np.zeros((int(bool(array)), 0), "int64")


@method(out=True)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero, (count, ndim); as one tensor per dimension where `as_tuple`."""
    if as_tuple:
        return tuple([wrap(found) for found in mode.run(np.ndarray.nonzero, np.atleast_1d(input._array))])
    return wrap(mode.run(_nonzero, input._array))


@method()
def argwhere(input: Tensor) -> Tensor:
    """``input.nonzero()``"""
    return wrap(mode.run(_nonzero, input._array))


@method(out=True)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """``input.nonzero()`` cut or filled to `size` rows."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = mode.run(_nonzero, input._array)
    rows = np.full((size, found.shape[1]), fill_value, "int64")
    rows[: len(found)] = found[:size]
    return wrap(rows)


@function(out=True)
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each of `elements` is among `test_elements`."""
    ours, theirs = [v._array if isinstance(v, Tensor) else np.asarray(v) for v in (elements, test_elements)]
    return wrap(np.isin(ours, theirs, invert=invert))


@function()
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, one tensor per dimension of `shape`, of places in a flattened tensor."""
    if not isinstance(indices, Tensor) or indices._array.dtype.kind not in "iu":
        raise ValueError(
            "expected 'indices' to be integer dtype, but got "
            f"{indices.dtype if isinstance(indices, Tensor) else type_name(indices)}"
        )
    sizes = tuple([operator.index(n) for n in (shape if isinstance(shape, (tuple, list)) else [shape])])
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    rest, found = indices._array.astype(np.int64), []
    for n in reversed(sizes):
        found.append(wrap(rest % n))
        rest = rest // n
    return tuple(found[::-1])


@public("nn.functional")
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """``(*) -> (*, num_classes)``: 1 at the place of each element, else 0. -1 takes the largest element plus one."""
    array = input._array
    if array.dtype.char not in "lq":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not array.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.zeros((*array.shape, num_classes), "int64"))
    if array.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif array.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap((array[..., None] == np.arange(num_classes)).astype("int64"))


# ------------------------------------------------------------------------------------------------ writing everything


@op(input=lambda grad: zeros_as(grad, grad._array.shape), src=lambda grad: grad)
def _copied(input: Array, src: Array) -> Array:
    out = np.empty(input.shape, input.dtype)
    np.copyto(out, src, casting="unsafe")
    return out


_recorded_copy_ = inplace(_copied, "copy_")


@tensor_method()
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write `src`, expanded and cast, into this tensor. RuntimeError if its shape does not fit."""
    if not isinstance(src, Tensor):
        if not _dtypes.is_number(src):
            raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type_name(src)}")
        kind = np.dtype(np.float64) if isinstance(src, float) else _dtypes.dtype_of_number(src)
        src = wrap(_dtypes.as_type(src, kind))
    shape, theirs = self._array.shape, src._array.shape
    if theirs != shape:
        common = broadcast_shapes(shape, theirs)
        if common != shape:
            raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(common)}")
    if needs_recording(self, src) and self._array.dtype.kind in "fc":
        check_memory(self._array)
        return _recorded_copy_(self, src)
    check_inference(self)
    check_memory(self._array)
    mode.run(np.copyto, self._array, src._array, "unsafe")
    version_of(self)[0] += 1
    return self


@op(input=lambda grad, input_shape: zeros_as(grad, input_shape), value=lambda grad: grad.sum())
def _fill(input: Array, value: Array) -> Array:
    return np.full(input.shape, value, input.dtype)


_recorded_fill_ = inplace(_fill, "fill_")


@op(input=lambda grad, input_shape: zeros_as(grad, input_shape))
def zero(input: Array) -> Array:
    """Zeros like `input`."""
    return np.zeros(input.shape, input.dtype)


_recorded_zero_ = inplace(zero, "zero_")


def _fill_memory(self: Tensor, value: Any) -> Tensor:
    # that elements may share memory is no matter here, as all get one value
    check_inference(self)
    if not self._array.flags.writeable:
        check_memory(self._array)
    self._array[...] = value
    version_of(self)[0] += 1
    return self


@public("torch")
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` that has `value`, a number or a 0-d tensor, everywhere."""
    return _fill(input, one_value("fill", input, value))


@public("torch", "Tensor")
def fill_(input: Tensor, value: Any) -> Tensor:
    """Write one value everywhere."""
    value = one_value("fill_", input, value, cast=True)
    return _recorded_fill_(input, value) if needs_recording(input, value) else _fill_memory(input, value._array)


@public("torch", "Tensor")
def zero_(input: Tensor) -> Tensor:
    """Write zero everywhere."""
    return _recorded_zero_(input) if needs_recording(input) else _fill_memory(input, 0)


def needs_recording(*tensors: Tensor) -> bool:
    return mode.enabled and any_needs_grad(tensors)


@tensor_method()
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write one value on the main diagonal; of a tall matrix again after each square where `wrap`."""
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


# ------------------------------------------------------------------------------------------------ as a sequence


def _iter(self: Tensor) -> Any:
    """The parts along the first dimension. TypeError for a 0-d tensor."""
    if not self._array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def _contains(self: Tensor, element: Any) -> bool:
    """Whether any element equals `element`."""
    if isinstance(element, (Tensor, int, float, complex)):
        return bool((self == element).any().item())
    raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")


def _reversed(self: Tensor) -> Tensor:
    return self.flip(0) if self._array.ndim else self


def _delitem(self: Tensor, index: Any) -> None:
    raise TypeError("Tensor does not support deleting items")


for _name, _function in {
    "__iter__": _iter, "__contains__": _contains, "__reversed__": _reversed, "__delitem__": _delitem,
}.items():  # fmt: skip
    setattr(Tensor, _name, _function)
