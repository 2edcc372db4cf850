"""Joining and repeating: concatenating, stacking, tiling, rotating."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import index_of, nonnegative, spread_out, type_name, warn_once, wrap_dim
from mini_dl._device import contiguous_format
from mini_dl._dtypes import INDEX_TYPES, Array, Ints, default_numpy, promote_numpy, scalar_name
from mini_dl._layout import copied
from mini_dl._surface import function, method, named, public, tensor_method
from mini_dl.autograd.elements import one_by_one
from mini_dl.autograd.primitive import linear_in, not_a_tensor, op
from mini_dl.kernels.blocks import LARGE
from mini_dl.kernels.copying import copy
from mini_dl.ops.parts import part, select
from mini_dl.tensor import Tensor, without_base, wrap

# ------------------------------------------------------------------------------------------------ joining


def _cat_gradients(grad: Tensor, tensors_shape: list[tuple[int, ...]], dim: int) -> list[Tensor]:
    out, start = [], 0
    for shape in tensors_shape:
        if shape == (0,):
            out.append(wrap(np.zeros(0, grad._array.dtype)))
            continue
        out.append(part(grad, dim, start, start + shape[dim]))
        start += shape[dim]
    return out


@linear_in("tensors")
@op(tensors=_cat_gradients)
def _cat(tensors: list[Array], dim: int) -> Array:
    # empty vectors may be mixed with tensors of any shape
    kept = [t for t in tensors if t.shape != (0,)] or tensors
    many = sum([t.size for t in kept]) >= LARGE
    out = None if not many and all([t.flags.c_contiguous for t in kept]) else _joined(kept, dim, _common_type(tensors))
    if out is None:
        return np.concatenate(kept, dim, dtype=_common_type(tensors))
    if not many:  # NumPy would give the result the layout of the parts
        return np.concatenate(kept, dim, out, casting="unsafe")
    ends = [*itertools.accumulate([t.shape[dim] for t in kept])]
    _copy_all(np.split(out, ends[:-1], dim), kept)
    return out


def _copy_all(targets: Sequence[Array], arrays: Sequence[Array]) -> None:
    """Copy arrays, each shared among threads, to parts of one that is large."""
    for target, array in zip(targets, arrays):
        copy(target, array.astype(target.dtype, copy=False))


def _joined(arrays: list[Array], dim: int, dtype: Any) -> Array | None:
    """Compact memory for the joined arrays; None if all are channels-last images, as the result then is too."""
    shape = [*arrays[0].shape]
    if len(shape) in (4, 5) and all([np.moveaxis(a, 1, -1).flags.c_contiguous for a in arrays]):
        return None
    shape[dim] = sum([a.shape[dim] for a in arrays])
    return np.empty(shape, dtype)


def _common_type(arrays: list[Array]) -> Any:
    first = arrays[0].dtype
    for a in arrays:
        if a.dtype is not first:
            return functools.reduce(promote_numpy, [a.dtype for a in arrays])
    return first


def checked(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors, of which there must be at least one. TypeError unless they are a sequence of tensors."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type_name(tensors)}")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type_name(t)}")
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return list(tensors)


@public("torch", "torch:concat", "torch:concatenate", out=True)
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors concatenated along `dim`: ``out[n_0 + i] = tensors[1][i]``

    Shapes: (*in) for each, of one size except at `dim` -> (*in) with the sum of the sizes at `dim`.
    Raises: RuntimeError unless the other sizes are equal; IndexError for a dimension that they lack.

    >>> torch.cat([torch.tensor([[1, 2]]), torch.tensor([[3, 4], [5, 6]])])
    tensor([[1, 2],
            [3, 4],
            [5, 6]])
    """
    if isinstance(tensors, (tuple, list)) and not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    parts = checked("cat", tensors)
    shapes = [t._array.shape for t in parts]
    for i, shape in enumerate(shapes):
        if not shape:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    first = next((shape for shape in shapes if shape != (0,)), shapes[0]) if shapes[0] == (0,) else shapes[0]
    dim = wrap_dim(dim, len(first))
    for i, shape in enumerate(shapes):
        if shape == first or shape == (0,):
            continue
        if len(shape) != len(first):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
        for at, (expected, n) in enumerate(zip(first, shape)):
            if at != dim and n != expected:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {expected} but got size {n} for "
                    f"tensor number {i} in the list."
                )
    return _cat(parts, dim)


@linear_in("tensors")
@op(tensors=lambda grad, dim: [select(grad, dim, i) for i in range(grad._array.shape[dim])])
def _stack(tensors: list[Array], dim: int) -> Array:
    first, dtype = tensors[0], _common_type(tensors)
    out = np.empty((*first.shape[:dim], len(tensors), *first.shape[dim:]), dtype)
    if out.size < LARGE:
        return np.stack(tensors, dim, out, casting="unsafe")
    _copy_all(np.moveaxis(out, dim, 0), tensors)  # type: ignore[arg-type]
    return out


@function(out=True)
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new dimension: ``out[k, i] = tensors[k][i]`` for `dim` 0

    Shapes: n tensors (*in) -> (*in) with n inserted at `dim`.
    Raises: RuntimeError if shapes differ, and for no tensors; IndexError for a `dim` beyond the number of dimensions.

    >>> torch.stack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    parts = checked("stack", tensors)
    shape = parts[0]._array.shape
    dim = wrap_dim(dim, len(shape) + 1)
    for i, t in enumerate(parts):
        if t._array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(t._array.shape)} at "
                f"entry {i}"
            )
    return _stack(parts, dim)


def _atleast(n: int) -> Any:
    def at_least(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return _with_more_dims(tensors[0], n)
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            tensors = tuple(tensors[0])
        return tuple([_with_more_dims(t, n) for t in checked(at_least.__name__, tensors)]) if tensors else ()

    added, shown = (("[0]", "[1]"), ("[0]", "[1, 1]"), ("[0, :, 0]", "[1, 1, 1]"))[n - 1]
    doc = f"""Each tensor with at least {n} dimension{"s" * (n > 1)}, with those of size 1 added: ``input = out{added}``

Shapes: (*in) -> (*in), or {("(1)", "(1, n) or (1, 1)", "(m, n, 1), (1, n, 1) or (1, 1, 1)")[n - 1]}; several tensors -> a tuple.
Raises: TypeError for anything but a tensor.

>>> torch.atleast_{n}d(torch.tensor(5)).shape
torch.Size({shown})"""
    named(at_least, f"atleast_{n}d", doc)
    return function()(at_least)


def _with_more_dims(input: Tensor, n: int) -> Tensor:
    ndim = input._array.ndim
    if ndim >= n:
        return input
    if not ndim:
        return input.reshape((1,) * n)
    if n == 3 and ndim == 2:
        return input.unsqueeze(-1)
    return input.unsqueeze(0) if n == 2 else input.unsqueeze(0).unsqueeze(-1)


atleast_1d, atleast_2d, atleast_3d = _atleast(1), _atleast(2), _atleast(3)


@function(out=True)
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the second dimension, vectors along the first: ``out = cat(tensors, 1)``

    Shapes: (m, n_k, *in) for each -> (m, sum of n_k, *in); vectors (n_k,) -> (sum of n_k,).
    Raises: RuntimeError unless the other sizes are equal.

    >>> torch.hstack([torch.tensor([[1], [2]]), torch.tensor([[3], [4]])])
    tensor([[1, 3],
            [2, 4]])
    """
    parts = [_with_more_dims(t, 1) for t in checked("hstack", tensors)]
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@public("torch", "torch:row_stack", out=True)
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the first dimension, vectors as rows: ``out = cat(tensors, 0)``

    Shapes: (m_k, *in) for each -> (sum of m_k, *in); K vectors (n,) -> (K, n).
    Raises: RuntimeError unless the other sizes are equal.

    >>> torch.vstack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([_with_more_dims(t, 2) for t in checked("vstack", tensors)], 0)


@function(out=True)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the third dimension: ``out = cat(tensors, 2)``

    Shapes: (m, n, d_k, *in) for each -> (m, n, sum of d_k, *in); a missing third dimension has size 1.
    Raises: RuntimeError unless the other sizes are equal.

    >>> torch.dstack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([_with_more_dims(t, 3) for t in checked("dstack", tensors)], 2)


@function(out=True)
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined as columns, vectors and numbers as single ones: ``out[:, k] = tensors[k]``

    Shapes: vectors (m,) or (m, n_k, *in) for each -> (m, sum of n_k, *in).
    Raises: RuntimeError unless the other sizes are equal.

    >>> torch.column_stack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return hstack([t.reshape(t._array.size, 1) if t.ndim <= 1 else t for t in checked("column_stack", tensors)])


@function()
def block_diag(*tensors: Tensor) -> Tensor:
    """The given matrices along the diagonal, zeros elsewhere; vectors are rows: ``out[m_1 + i, n_1 + j] = tensors[1][i, j]``

    Shapes: (m_k, n_k) for each -> (sum of m_k, sum of n_k).
    Raises: RuntimeError for more than two dimensions.

    >>> torch.block_diag(torch.tensor([[1, 2]]), torch.tensor([[3], [4]]))
    tensor([[1, 2, 0],
            [0, 0, 3],
            [0, 0, 4]])
    """
    blocks = []
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise not_a_tensor("block_diag", "tensors", i + 1, t)
        if t.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.ndim} dimensions"
            )
        blocks.append(_with_more_dims(t, 2))
    if not blocks:
        return wrap(np.empty((1, 0), default_numpy()))
    width = sum([b.shape[1] for b in blocks])
    target = functools.reduce(promote_numpy, [b._array.dtype for b in blocks])
    rows, at = [], 0
    for block in blocks:
        height, n = block.shape
        before, after = [wrap(np.zeros((height, m), target)) for m in (at, width - at - n)]
        rows.append(cat([before, block, after], 1))
        at += n
    return cat(rows, 0)


# ------------------------------------------------------------------------------------------------ repeating


@tensor_method()
@spread_out
def repeat(self: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """Copies of the tensor side by side, `repeats` of them along each dimension: ``out[i] = self[i % n]``

    Shapes: (*in) -> each size times its number; additional dimensions come first.
    Raises: RuntimeError for fewer repeats than dimensions, and for negative ones.

    >>> torch.tensor([1, 2]).repeat(2, 3)
    tensor([[1, 2, 1, 2, 1, 2],
            [1, 2, 1, 2, 1, 2]])
    """
    shape = self._array.shape
    if len(repeats) < len(shape):
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    shape = (1,) * (len(repeats) - len(shape)) + shape
    nonnegative(tuple([n * m for n, m in zip(repeats, shape)]))
    return _repeat(self, repeats)


def _repeat_gradient(grad: Tensor, input_shape: tuple[int, ...], repeats: tuple[int, ...]) -> Tensor:
    shape = (1,) * (len(repeats) - len(input_shape)) + input_shape
    apart = grad.reshape([n for pair in zip(repeats, shape) for n in pair])
    return apart.sum(tuple(range(0, 2 * len(repeats), 2))) if repeats else grad


@linear_in("input")
@op(input=_repeat_gradient)
def _repeat(input: Array, repeats: tuple[int, ...]) -> Array:
    return np.asarray(np.tile(input, repeats), order="C") if repeats else input.copy()


@method()
@spread_out
def tile(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """`repeat`, but if there are fewer repeats than dimensions, they apply to the last ones: ``out[i] = input[i % n]``

    Shapes: (*in) -> each size times its number.
    Raises: RuntimeError for negative repeats.

    >>> torch.tile(torch.tensor([[1, 2], [3, 4]]), (2,))
    tensor([[1, 2, 1, 2],
            [3, 4, 3, 4]])
    """
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


def repeat_interleave(
    input: Tensor, repeats: Tensor | int | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element, along `dim` or of the flattened tensor, several times in a row: ``out[k * repeats + j] = input[k]``

    With one argument: the indices that repeat accordingly.

    Shapes: (*in) -> (*in) with the sum of the repeats at `dim`, or that sum alone; `repeats` a number or one for each
    element.
    Raises: RuntimeError if counts are negative or do not match.

    >>> torch.repeat_interleave(torch.tensor([10, 20]), torch.tensor([1, 3]))
    tensor([10, 20, 20, 20])
    """
    if not isinstance(repeats, Tensor) and (repeats is not None or dim is not None):
        repeats = index_of(repeats, "repeat_interleave(): argument 'repeats' must be Tensor or int")
    if is_abstract(input if repeats is None else repeats):
        return one_by_one(repeat_interleave, (input, repeats, dim), {"output_size": output_size})
    if repeats is None:
        counts = input._array
        if counts.dtype not in INDEX_TYPES:
            raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{scalar_name(counts.dtype)}'")
        if counts.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        return wrap(_repeated(len(counts), counts, output_size).astype(counts.dtype))
    if dim is None:
        input, dim = input.flatten(), 0
    dim = wrap_dim(dim, input.ndim)
    n = input._array.shape[dim] if input.ndim else 1
    counts = repeats._array if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.dtype not in INDEX_TYPES:
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{scalar_name(counts.dtype)}'")
    if counts.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if counts.size != 1 and len(counts) != n:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {len(counts)} and "
            f"input.size({dim}) = {n}"
        )
    if counts.size and counts.min() < 0:
        raise RuntimeError("Repeats must be non-negative" if n != 1 else "repeats can not be negative")
    chosen = _repeated(n, np.broadcast_to(counts.reshape(-1), n) if counts.size == 1 else counts, output_size)
    return input.index_select(dim, wrap(chosen))


def _repeated(n: int, counts: Array, output_size: int | None) -> Array:
    if counts.size and counts.min() < 0:
        raise RuntimeError("Repeats must be non-negative" if n != 1 else "repeats can not be negative")
    chosen = np.repeat(np.arange(n), counts)
    if output_size is not None and output_size != len(chosen):
        raise RuntimeError("allocated size does not match required size")
    return chosen


method()(repeat_interleave)

# ------------------------------------------------------------------------------------------------ rotating


@linear_in("input")
@op(input=lambda grad, shifts, dims: _roll(grad, tuple([-s for s in shifts]), dims))
def _roll(input: Array, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Array:
    return np.asarray(np.roll(input, shifts, dims), order="C")


@method()
def roll(input: Tensor, shifts: Ints, dims: Ints | None = None) -> Tensor:
    """The elements shifted along `dims`, wrapping around at the ends; without `dims`, as if flattened:
    ``out[i] = input[(i - shifts) % n]``

    Shapes: (*in) -> (*in).
    Raises: RuntimeError unless there are as many `shifts` as `dims`; IndexError for a dimension that `input` lacks.

    >>> torch.roll(torch.tensor([1, 2, 3, 4]), 1)
    tensor([4, 1, 2, 3])
    """
    moves = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    along = () if dims is None else tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if not moves:
        raise RuntimeError("`shifts` required")
    if not along and len(moves) == 1:
        return _roll(input.reshape(-1), moves, (0,)).reshape(input.shape)
    if not input.ndim and along:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    if len(moves) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(along)}")
    return _roll(input, moves, tuple([wrap_dim(d, input.ndim) for d in along]))


@linear_in("input")
@op(input=lambda grad, dims: _flip(grad, dims))
def _flip(input: Array, dims: tuple[int, ...]) -> Array:
    return copied(np.flip(input, dims))


@method()
@spread_out
def flip(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A copy with the order of the elements along `dims` reversed: ``out[i] = input[n - 1 - i]``

    Shapes: (*in) -> (*in).
    Raises: RuntimeError for a dimension that is named twice; IndexError for one that `input` lacks.

    >>> torch.flip(torch.tensor([[1, 2], [3, 4]]), (0, 1))
    tensor([[4, 3],
            [2, 1]])
    """
    along = tuple([wrap_dim(d, input.ndim) for d in dims])
    for i, d in enumerate(along):
        if d in along[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return _flip(input, along if input.ndim else ())


@method()
def fliplr(input: Tensor) -> Tensor:
    """Left and right exchanged: ``out[i, j] = input[i, n - 1 - j]``

    Shapes: (m, n, *in) -> (m, n, *in).
    Raises: RuntimeError for fewer than two dimensions.

    >>> torch.fliplr(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    return _flip_along(input, 1)


@method()
def flipud(input: Tensor) -> Tensor:
    """Top and bottom exchanged: ``out[i, j] = input[m - 1 - i, j]``

    Shapes: (m, *in) -> (m, *in).
    Raises: RuntimeError for a 0-d tensor.

    >>> torch.flipud(torch.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    return _flip_along(input, 0)


def _flip_along(input: Tensor, dim: int) -> Tensor:
    if input.ndim <= dim:
        raise RuntimeError(f"Input must be >= {dim + 1}-d.")
    return flip(input, dim)


@method()
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotated `k` times by 90 degrees in the plane of `dims`, from the first toward the second:
    ``out[i, j] = input[j, n - 1 - i]``

    Shapes: (m, n) in the plane -> (n, m) for odd `k`, else (m, n).
    Raises: RuntimeError unless `dims` are two different ones; IndexError for one that `input` lacks.

    >>> torch.rot90(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = (wrap_dim(d, input.ndim) for d in dims)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    turns = k % 4
    if turns == 0:
        return input.clone(memory_format=contiguous_format)
    if turns == 2:
        return flip(input, first, second)
    return flip(input, second if turns == 1 else first).transpose(first, second)


@method(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product, `other` times each element of `input`: ``out[i * p + k, j * q + l] = input[i, j] * other[k, l]``

    Shapes: (m, n), (p, q) -> (m * p, n * q); a missing dimension has size 1.
    Raises: TypeError unless both are tensors.

    >>> torch.kron(torch.eye(2), torch.tensor([[1.0, 2.0]]))
    tensor([[1., 2., 0., 0.],
            [0., 0., 1., 2.]])
    """
    ndim = max(input.ndim, other.ndim)
    a, b = [(1,) * (ndim - t.ndim) + tuple(t.shape) for t in (input, other)]
    left = input.reshape([n for m in a for n in (m, 1)])
    right = other.reshape([n for m in b for n in (1, m)])
    return without_base((left * right).reshape([n * m for n, m in zip(a, b)]))


# ------------------------------------------------------------------------------------------------ combinations


@function()
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: ``out[k][i_1, ..., i_n] = tensors[k][i_k]``; with `indexing` "xy", the first two dimensions are
    exchanged.

    Shapes: n vectors (m_k,) -> n views (m_1, ..., m_n).
    Raises: RuntimeError for another `indexing` than "ij" and "xy", for matrices, and for different dtypes.

    >>> torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4, 5]), indexing="ij")
    (tensor([[1, 1, 1],
            [2, 2, 2]]), tensor([[3, 4, 5],
            [3, 4, 5]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    checked("meshgrid", tensors)
    for t in tensors:
        if t.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}")
        if t._array.dtype != tensors[0]._array.dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    if indexing is None:
        warn_once(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
        )
    elif not isinstance(indexing, str):
        raise TypeError(f"meshgrid(): argument 'indexing' must be str, not {type_name(indexing)}")
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    shape = tuple([t._array.size for t in tensors])
    swap = indexing == "xy" and len(tensors) > 1
    grids = [t.reshape((-1,) + (1,) * (len(shape) - 1 - i)).expand(shape) for i, t in enumerate(tensors)]
    return tuple([g.transpose(0, 1) if swap else g for g in grids])


@function()
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All tuples with one element of each vector, as rows: ``out[i * n + j] = (tensors[0][i], tensors[1][j])``

    Shapes: K vectors (n_k,) -> (product of n_k, K); a single vector unchanged.
    Raises: RuntimeError for matrices.

    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for t in checked("cartesian_prod", tensors):
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([g.flatten() for g in meshgrid(*tensors, indexing="ij")], 1)


@function()
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of `r` elements of a vector, in order, as rows: ``out[k] = (input[i], input[j])`` over ``i < j``, or
    ``i <= j``.

    Shapes: (n,) -> (binomial(n, r), r); `with_replacement`, (binomial(n + r - 1, r), r).
    Raises: RuntimeError for a negative `r`, and unless `input` is a vector.

    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(np.empty(0, input._array.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input._array.size), r)), "int64").reshape(-1, r)
    return input[wrap(rows)]
