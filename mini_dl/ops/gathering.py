"""Gathering, scattering and combining: an index per element, or along one dimension."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._checks import broadcast_shapes, type_name, wrap_dim
from mini_dl._dtypes import INDEX_TYPES, Array, NumpyType, c_name, int64, number_as, number_cast, scalar_name
from mini_dl._surface import method, public, tensor_method, with_out
from mini_dl.autograd.elements import by_element
from mini_dl.autograd.inplace import any_needs_grad, fresh, spares_copy
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.kernels.indexing import (
    add_along,
    add_rows,
    corner,
    flat_index,
    gathered,
    positions,
    reduce_at,
    rows_of,
    taken,
    whole_rows,
)
from mini_dl.ops.parts import _slice
from mini_dl.ops.views import place
from mini_dl.tensor import Operand, Tensor, wrap

# ------------------------------------------------------------------------------------------------ an index per element


def compact(input: Array) -> tuple[Array, Array]:
    """A contiguous copy, and the same flattened."""
    out = fresh(input)
    return out, out.reshape(-1)


def zeros_as(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    return wrap(np.zeros(shape, grad._array.dtype))


@linear_in("input")
@op(input=lambda grad, input_shape, dim, index: _scatter_add(zeros_as(grad, input_shape), dim, index, grad))
def _gather(input: Array, dim: int, index: Array) -> Array:
    return gathered(input, dim, index)


@tensor_method()
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements that `index` names along `dim`: ``out[i, j] = input[index[i, j], j]`` for `dim` 0

    Shapes: `input` (*in), `index` no larger except at `dim` -> the shape of `index`.
    Raises: RuntimeError if an index is out of range or the shapes do not match.

    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    return _gather(input, wrap_dim(dim, input._array.ndim), index)


@functools.wraps(gather)
def _gather_into(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    if out is not None and not isinstance(out, Tensor):
        raise TypeError(f"gather(): argument 'out' must be Tensor, not {type_name(out)}")
    if out is not None and out._array.dtype != input._array.dtype:
        wanted, got = [c_name(t._array.dtype) for t in (input, out)]
        raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {got} instead")
    return _gather_with_out(input, dim, index, sparse_grad=sparse_grad, out=out)


_gather_with_out = with_out(gather)
_gather_into.__signature__ = _gather_with_out.__signature__  # type: ignore[attr-defined]
public("torch")(_gather_into)


def source_for(index: Tensor, src: Tensor) -> Tensor:
    """`src` with as many dimensions as `index`, where one of them has none: it counts as a vector."""
    if index._array.ndim == 1 and not src._array.ndim:
        return src.reshape(1)
    return src[0] if not index._array.ndim and src._array.ndim == 1 and src._array.size else src


def same_type(name: str, input: Tensor, src: Tensor, what: str = "src") -> None:
    if input._array.dtype != src._array.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to {what}.dtype")


@linear_in("input src")
@op(input=lambda grad: grad, src=lambda grad, dim, index: _gather(grad, dim, index))
def _scatter_add(input: Array, dim: int, index: Array, src: Array) -> Array:
    if (found := whole_rows("scatter_add", input, dim, index, src)) is not None:
        rows, width = found
        out, flat = compact(input)
        add_rows(flat.reshape(-1, width), rows, src.reshape(-1, width))
        return out
    where = positions("scatter_add", input, dim, index, src)
    out, flat = compact(input)
    np.add.at(flat, where.reshape(-1), corner(src, index))
    return out


@method(inplace=True, out=True)
@spares_copy
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`src` added at the positions that `index` gives along `dim`, repeats adding up: ``out[index[i, j], j] += src[i, j]`` for
    `dim` 0

    Shapes: `input` (*in), `index` no larger except at `dim`, `src` at least the shape of `index` -> (*in).
    Raises: RuntimeError if an index is out of range or shapes do not match.

    >>> torch.zeros(3).scatter_add(0, torch.tensor([0, 2, 2]), torch.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 5.])
    """
    same_type("scatter", input, src)
    return _scatter_add(input, wrap_dim(dim, input._array.ndim), index, source_for(index, src))


@linear_in("input src")
@op(
    input=lambda grad, dim, index: _scatter(
        grad, dim, index, wrap(np.broadcast_to(np.zeros((), grad._array.dtype), index.shape))
    ),
    src=lambda grad, dim, index: _gather(grad, dim, index),
)
def _scatter(input: Array, dim: int, index: Array, src: Array) -> Array:
    if (found := whole_rows("scatter", input, dim, index, src)) is not None:
        rows, width = found
        out, flat = compact(input)
        flat.reshape(-1, width)[rows] = src.reshape(-1, width)
        return out
    where = positions("scatter", input, dim, index, src)
    out, flat = compact(input)
    flat[where.reshape(-1)] = corner(src, index)
    return out


@method(inplace=True, out=True)
@spares_copy
def scatter(
    input: Tensor, dim: int, index: Tensor, src: object = None, *, value: Operand | None = None, reduce: str | None = None
) -> Tensor:
    """`src`, which may be a number, written to the positions that `index` gives along `dim`: ``out[index[i, j], j] = src[i, j]``
    for `dim` 0

    `reduce` "add" or "multiply" combines it with the previous value instead.

    Family: torch.scatter_add

    >>> torch.zeros(2, 3).scatter(0, torch.tensor([[0, 1, 1]]), torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 0., 0.],
            [0., 2., 3.]])
    """
    if src is not None and value is not None:
        raise TypeError("scatter() received an invalid combination of arguments: both a source and a value")
    src = value if src is None else src
    if not isinstance(src, Tensor):
        if not _dtypes.is_number(src):
            raise TypeError(f"scatter(): argument 'src' must be Tensor or a number, not {type_name(src)}")
        src = wrap(np.broadcast_to(number_as(src, input._array.dtype), index._array.shape))
    same_type("scatter", input, src)
    dim = wrap_dim(dim, input._array.ndim)
    if reduce is None:
        return _scatter(input, dim, index, source_for(index, src))
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if mode.enabled and any_needs_grad((input, src)) and reduce == "multiply":
        raise RuntimeError("scatter: reduce='multiply' has no derivative; scatter_reduce has one")
    return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")


# ------------------------------------------------------------------------------------------------ reductions


def checked_reduce(name: str, reduce: str, choices: Sequence[str]) -> None:
    if reduce not in choices:
        raise RuntimeError(f"{name}: reduce argument must be either {', '.join(choices[:-1])} or {choices[-1]}, got {reduce}.")


class _Reduced:
    """The gradients of ``scatter_reduce`` and ``index_reduce``, which differ in how elements are read and written."""

    def __init__(self, name: str) -> None:
        self.by_element = name == "scatter_reduce"

    def pick(self, values: Tensor, dim: int, index: Tensor) -> Tensor:
        return values.gather(dim, index) if self.by_element else values.index_select(dim, index)

    def add(self, values: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        return values.scatter_add(dim, index, source) if self.by_element else values.index_add(dim, index, source)

    def combine(self, values: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, include_self: bool) -> Tensor:
        return (_scatter_reduce if self.by_element else _index_reduce)(values, dim, index, source, reduce, include_self)

    def cut(self, src: Tensor, index: Tensor) -> Tensor:
        return src[tuple([slice(n) for n in index.shape])] if self.by_element and src.ndim else src

    def counts(self, grad: Tensor, dim: int, index: Tensor, src: Tensor, include_self: bool) -> Tensor:
        start = wrap(np.full(grad.shape, include_self, grad._array.dtype))
        return self.add(start, dim, index, wrap(np.ones(src.shape, grad._array.dtype))).clamp(min=1)

    def ties(self, input: Tensor, result: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
        """The number of elements that share the extreme value."""
        mine = (src == self.pick(result, dim, index)).to(src.dtype)
        return self.add((input == result).to(src.dtype), dim, index, mine)

    def of_input(
        self, grad: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool, result: Tensor
    ) -> Tensor:
        src = self.cut(src, index)
        out = grad
        if reduce == "prod":
            filled = input.masked_fill(input == 0, 1)
            out = grad * self.combine(filled, dim, index, src, reduce, include_self) / filled
        elif reduce == "mean":
            out = grad / self.counts(grad, dim, index, src, include_self)
        elif reduce != "sum":
            out = (input == result) * (grad / self.ties(input, result, dim, index, src))
        if include_self:
            return out
        return out.scatter(dim, index, 0) if self.by_element else out.index_fill(dim, index, 0)

    def of_src(
        self, grad: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool, result: Tensor
    ) -> Tensor:
        whole, src = src.shape, self.cut(src, index)
        if reduce == "sum":
            out = self.pick(grad, dim, index)
        elif reduce == "mean":
            out = self.pick(grad / self.counts(grad, dim, index, src, include_self), dim, index)
        elif reduce == "prod":
            out = self.of_factors(grad, input, dim, index, src, include_self, result)
        else:
            share = grad / self.ties(input, result, dim, index, src)
            out = (src == self.pick(result, dim, index)) * self.pick(share, dim, index)
        if out.shape == whole:
            return out
        return place(out, _slice, (tuple([slice(n) for n in out.shape]),), tuple(whole))

    def of_factors(
        self, grad: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor, include_self: bool, result: Tensor
    ) -> Tensor:
        """``grad * result / src``; where `src` is the only 0 of its product, `grad` times the product of the others."""
        zero = src == 0
        none = wrap(np.zeros(input.shape, src._array.dtype))
        zeros = self.pick(self.add(none, dim, index, zero.to(src.dtype)), dim, index)
        alone = zero & (zeros == 1)
        others = self.combine(input, dim, index, src.masked_fill(alone, 1), "prod", include_self)
        out = self.pick(grad * result, dim, index) / src.masked_fill(zero, 1)
        return self.pick(grad * others, dim, index).where(alone, out)


def reduced_gradients(name: str) -> dict[str, Any]:
    reduced = _Reduced(name)
    return {
        "input": lambda grad, input, dim, index, src, reduce, include_self, result: reduced.of_input(
            grad, input, dim, index, src, reduce, include_self, result
        ),
        "src": lambda grad, input, dim, index, src, reduce, include_self, result: reduced.of_src(
            grad, input, dim, index, src, reduce, include_self, result
        ),
    }


@op(**reduced_gradients("scatter_reduce"))
def _scatter_reduce(input: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool) -> Array:
    where = positions("scatter_reduce", input, dim, index, src)
    out, flat = compact(input)
    reduce_at(flat, where.reshape(-1), corner(src, index), reduce, include_self)
    return out


@method(inplace=True, out=True)
@spares_copy
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As `scatter`, with values for one element combined by `reduce`:
    ``out[index[i, j], j] = reduce(out[index[i, j], j], src[i, j])``

    `reduce` is "sum", "prod", "mean", "amax" or "amin". Without `include_self`, the previous value is excluded.

    Shapes: `input` (*in), `index` no larger except at `dim`, `src` at least the shape of `index` -> (*in).
    Raises: RuntimeError if an index is out of range, shapes do not match, or `reduce` is unknown.

    >>> torch.zeros(2).scatter_reduce(0, torch.tensor([0, 1, 1]), torch.tensor([5.0, 2.0, 4.0]), "mean", include_self=False)
    tensor([5., 3.])
    """
    checked_reduce("scatter_reduce", reduce, ("sum", "prod", "mean", "amax", "amin"))
    same_type("scatter", input, src)
    return _scatter_reduce(input, wrap_dim(dim, input._array.ndim), index, source_for(index, src), reduce, include_self)


# ------------------------------------------------------------------------------------------------ along one dimension


def checked_rows(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None) -> int:
    """`dim` counted from the front. RuntimeError or IndexError unless `index` is a vector in range that fits `source`."""
    dim = wrap_dim(dim, input._array.ndim)
    positions = index._array
    if positions.ndim > 1:
        raise (RuntimeError if name == "index_fill" else IndexError)(
            f"{name}(): Index is supposed to be a vector"
            + (
                f", but got dim: {positions.ndim} with type: {scalar_name(positions.dtype)} and size: {list(positions.shape)}"
                if name == "index_add"
                else ""
            )
        )
    if name == "index_copy" and source is not None:
        check_ranks(input, positions.size, source)
    if positions.dtype not in (INDEX_TYPES[:1] if name in ("index_copy", "index_fill") else INDEX_TYPES):
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


def check_ranks(input: Tensor, count: int, source: Tensor) -> None:
    mine, theirs = input._array.ndim, source._array.ndim
    if not theirs and count != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {count})")
    if mine and theirs and mine != theirs:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source dimensionality "
            f"({theirs}), destination dimensionality ({mine})"
        )


def check_copied(name: str, input: Tensor, dim: int, count: int, source: Tensor) -> None:
    mine, theirs = input._array.shape, source._array.shape
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
    if not positions.size or (name == "index_add" and len(shape) > 1 and not input._array.size) or is_abstract(positions):
        return
    if name == "index_fill" and not input._array.size:
        if 0 not in without_dim(shape, dim):
            raise RuntimeError(f"index_fill_(): no element to fill at {positions.tolist()} of a dimension of size 0")
        return
    low, high = positions.min(), positions.max()
    if high < n and low >= (-n if name == "index_fill" else 0):
        return
    bad = f"index {high if high >= n else low} is out of bounds for dimension {dim} with size {n}"
    if name in ("index_copy", "index_fill"):
        raise IndexError(f"index_copy_(): {bad}" if name == "index_copy" else bad)
    if name == "index_add" and dim in (0, len(shape) - 1) and len(shape) > 1 and positions.dtype.itemsize == 8:
        raise RuntimeError(bad)
    raise IndexError("index out of range in self")


@linear_in("input")
@op(input=lambda grad, input_shape, dim, index: _index_add(zeros_as(grad, input_shape), dim, index, grad))
def _index_select(input: Array, dim: int, index: Array) -> Array:
    if not input.ndim:
        return input.copy()
    return taken(input, index.reshape(-1), dim)


@method(out=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices at these indices along `dim`: ``out[i] = input[index[i]]`` for `dim` 0

    Shapes: `input` (*in), `index` (n,) -> (*in) with size n at `dim`.
    Raises: IndexError if an index is out of range, or unless `index` is a vector of integers.

    >>> torch.index_select(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([1, 0, 1]))
    tensor([[2, 1, 2],
            [4, 3, 4]])
    """
    if isinstance(input, Tensor) and isinstance(index, Tensor) and not input._array.ndim and index._array.size != 1:
        raise RuntimeError("index_select(): Index to scalar can have only 1 value, got " + f"{index._array.size} value(s)")
    dim = checked_rows("index_select", input, dim, index)
    return _index_select(input, dim, index)


@linear_in("input source")
@op(input=lambda grad: grad, source=lambda grad, dim, index, source: _source_gradient(grad, dim, index, source))
def _index_add(input: Array, dim: int, index: Array, source: Array) -> Array:
    out = fresh(input)
    if out.size:
        target = out if out.ndim else out.reshape(1)
        add_along(target, dim, index.reshape(-1), source.reshape(*target.shape[:dim], -1, *target.shape[dim + 1 :]))
    return out


@method(inplace=True, out=True)
@spares_copy
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Slices added at these indices along `dim`, repeats adding up: ``out[index[i]] += alpha * source[i]`` for `dim` 0

    Shapes: `input` (*in), `index` (n,), `source` (*in) with size n at `dim` -> (*in).
    Raises: RuntimeError if the shapes do not match; IndexError if an index is out of range.

    >>> torch.zeros(3).index_add(0, torch.tensor([0, 2, 2]), torch.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 5.])
    """
    dim = checked_rows("index_add", input, dim, index, source)
    return _index_add(input, dim, index, source if alpha == 1 else source * alpha)


def _source_gradient(grad: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """The rows of a gradient that came from `source`: a view, like torch's, which expands them to its shape."""
    rows: Tensor = _index_select(grad, dim, index)
    return rows.expand_as(source) if source._array.ndim else rows


@by_element
def _sum_where_filled(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    positions = index._array % (grad._array.shape or (1,))[dim]
    found: Tensor = _index_select(grad, dim, wrap(np.unique(positions))).sum()
    return found


def _kept_gradient(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    """The gradient of what other rows replaced: 0 at these rows."""
    kept: Tensor = _index_fill(grad, dim, index, zeros_as(grad, ()))
    return kept


@linear_in("input source")
@op(input=_kept_gradient, source=_source_gradient)
def _index_copy(input: Array, dim: int, index: Array, source: Array) -> Array:
    out = fresh(input)
    rows_of(out, dim)[index.reshape(-1)] = rows_of(source, dim)
    return out


@method(inplace=True, out=True)
@spares_copy
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Slices written at these indices along `dim`: ``out[index[i]] = source[i]`` for `dim` 0

    Shapes: `input` (*in), `index` (n,), `source` (*in) with size n at `dim` -> (*in).
    Raises: RuntimeError if the shapes or dtypes do not match; IndexError if an index is out of range.

    >>> torch.zeros(3).index_copy(0, torch.tensor([2, 0]), torch.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    return _index_copy(input, checked_rows("index_copy", input, dim, index, source), index, source)


@linear_in("input value")
@op(input=_kept_gradient, value=lambda grad, dim, index: _sum_where_filled(grad, dim, index))
def _index_fill(input: Array, dim: int, index: Array, value: Array) -> Array:
    out = fresh(input)
    if out.size:
        rows_of(out, dim)[index.reshape(-1)] = value
    return out


def assigned(number: object, target: NumpyType) -> Array:
    """A number to be written by an index, in type `target`. ValueError for an int that int64 cannot hold."""
    if type(number) is int and not -(2**63) <= number < 2**63:
        raise ValueError(f"Overflow when unpacking long long: {number.bit_length()} bits")
    return number_cast(number, target)


def one_value(name: str, input: Tensor, value: Operand, cast: bool = False, fills: bool = False) -> Tensor:
    """`value`, a number or a 0-d tensor, as a 0-d tensor of the type of `input`. RuntimeError if out of range, unless
    it is a tensor and `cast`; a number that `fills` a tensor of one element may become infinite in float16 and bfloat16."""
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise RuntimeError(
                f"{name} only supports a 0-dimensional value tensor, but got tensor with {value._array.ndim} dimension(s)."
            )
        if not cast and not is_abstract(value):
            number_as(value._array.item(), input._array.dtype)
        return value.to(input.dtype)
    if not _dtypes.is_number(value):
        raise TypeError(f"{name}(): argument 'value' must be Number, not {type_name(value)}")
    return wrap((number_cast if fills and input._array.size == 1 else number_as)(value, input._array.dtype))


@method(inplace=True)
@spares_copy
def index_fill(input: Tensor, dim: int, index: Tensor, value: Operand) -> Tensor:
    """One value written at these indices along `dim`: ``out[index[i]] = value`` for `dim` 0

    Shapes: `input` (*in), `index` (n,), `value` a number or () -> (*in).
    Raises: IndexError if an index is out of range; RuntimeError for a `value` with dimensions.

    >>> torch.zeros(3).index_fill(0, torch.tensor([0, 2]), 7)
    tensor([7., 0., 7.])
    """
    kind = (
        value._array.dtype.kind
        if isinstance(value, Tensor)
        else _dtypes.dtype_of_number(value).kind
        if _dtypes.is_number(value)
        else ""
    )
    if kind == "c" and input._array.dtype.kind != "c":
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    filling = one_value("index_fill_", input, value)
    return _index_fill(input, checked_rows("index_fill", input, dim, index), index, filling)


@op(**reduced_gradients("index_reduce"))
def _index_reduce(input: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool) -> Array:
    out = fresh(input)
    reduce_at(rows_of(out, dim), index.reshape(-1), rows_of(src, dim), reduce, include_self)
    return out


@method(inplace=True, out=True)
@spares_copy
def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """Slices combined by `reduce` at these indices along `dim`: ``out[index[i]] = reduce(out[index[i]], source[i])`` for `dim` 0

    `reduce` is "prod", "mean", "amax" or "amin". Without `include_self`, the previous value is excluded.

    Shapes: `input` (*in), `index` (n,), `source` (*in) with size n at `dim` -> (*in).
    Raises: RuntimeError if the shapes do not match, or `reduce` is unknown; IndexError if an index is out of range.

    >>> torch.ones(2).index_reduce(0, torch.tensor([0, 1, 1]), torch.tensor([5.0, 2.0, 4.0]), "prod")
    tensor([5., 8.])
    """
    checked_reduce("index_reduce", reduce, ("prod", "mean", "amax", "amin"))
    dim = checked_rows("index_reduce", input, dim, index, source)
    return _index_reduce(input, dim, index, source, reduce, include_self)


# ------------------------------------------------------------------------------------------------ in one dimension


@linear_in("input")
@op(input=lambda grad, input_shape, index: _put(zeros_as(grad, input_shape), index, grad, True))
def _take(input: Array, index: Array) -> Array:
    return input.reshape(-1)[flat_index(index, input.size)].reshape(index.shape)


@method(out=True)
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these positions of the flattened input: ``out[i, j] = input.flatten()[index[i, j]]``

    Shapes: `input` (*in), `index` (*out) -> (*out).
    Raises: IndexError if an index is out of range; RuntimeError unless `index` is int64.

    >>> torch.take(torch.tensor([[10, 20], [30, 40]]), torch.tensor([0, 3]))
    tensor([10, 40])
    """
    if index._array.dtype != int64.numpy:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {scalar_name(index._array.dtype)}")
    return _take(input, index)


@linear_in("input source")
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
    """Values written, or with `accumulate` added, at these positions of the flattened input:
    ``out.flatten()[index[i]] = source[i]``

    Shapes: `input` (*in), `index` and `source` with as many elements -> (*in).
    Raises: IndexError if an index is out of range; RuntimeError for different dtypes or numbers of elements.

    >>> torch.zeros(2, 2).put(torch.tensor([0, 3]), torch.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    if index._array.dtype != int64.numpy:
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {scalar_name(index._array.dtype)}")
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_name(input._array.dtype)} and source.dtype = {scalar_name(source._array.dtype)}"
        )
    if source._array.size != index._array.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._array.size}, "
            f"index.numel() = {index._array.size}"
        )
    return _put(input, index, source, accumulate)


@method(out=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with both broadcast: ``out[i, j] = input[indices[i, j], j]`` for `dim` 0; without `dim`, along the flattened
    `input`.

    Shapes: `input` and `indices` are broadcast but for `dim` -> the shape of `indices`.
    Raises: RuntimeError if the shapes do not broadcast, if an index is out of range, or unless `indices` is int64.

    >>> x = torch.tensor([[30, 10, 20]])
    >>> torch.take_along_dim(x, x.argsort(), 1)
    tensor([[10, 20, 30]])
    """
    if indices._array.dtype not in INDEX_TYPES:
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {scalar_name(indices._array.dtype)}")
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    if input._array.ndim != indices._array.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._array.ndim} dimensions for input, and {indices._array.ndim} dimensions for indices"
        )
    if not input._array.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, input._array.ndim)
    n = input._array.shape[dim]
    if is_abstract(indices):
        indices = indices + (indices < 0) * n
    else:
        indices = wrap(np.where(indices._array < 0, indices._array + n, indices._array))
    ours, theirs = list(input._array.shape), list(indices._array.shape)
    ours[dim] = theirs[dim] = 1
    common = broadcast_shapes(ours, theirs)
    before, after = common[:dim], common[dim + 1 :]
    return gather(
        input.expand(*before, input._array.shape[dim], *after), dim, indices.expand(*before, indices._array.shape[dim], *after)
    )
