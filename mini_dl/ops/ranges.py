"""Ranges, identity matrices, diagonals and triangles."""

from __future__ import annotations

import builtins
import functools
import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import index_of, level_of_user, type_name, wrap_dim
from mini_dl._dtypes import FLOATING, HALVES, INEXACT, Array, NumpyType, is_number, number_as
from mini_dl._surface import method, named
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.inplace import fresh, spares_copy
from mini_dl.autograd.primitive import op
from mini_dl.kernels.blocks import BLOCK, computed_in, cost_of, in_slices
from mini_dl.ops.factories import default_type, factory
from mini_dl.ops.parts import _diagonal
from mini_dl.ops.views import place
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ ranges


def _number(value: object) -> Any:
    """The Python number in a 0-d tensor or NumPy scalar; a number unchanged."""
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


def _real(name: str, *values: object) -> None:
    """RuntimeError if one of the numbers is complex."""
    for value in values:
        if isinstance(value, complex):
            raise RuntimeError(f"{name}(): value cannot be converted to type double without overflow: {value}")


NO_END: Any = object()
"""A marker for an omitted bound."""


def _steps(start: float, end: float, step: float) -> Any:
    """The number of steps from `start` to `end`, as a fraction. RuntimeError if there is none; OverflowError beyond 64 bits."""
    for value in (start, end, step):
        if type(value) is builtins.int and not -(2**63) <= value < 2**63:
            _dtypes.wide(value)
    if step == 0 or step != step:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0 and start > end) or (step < 0 and start < end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if type(start) is type(end) is type(step) is builtins.int and (end - start) % step == 0:
        return (end - start) // step  # exact, however large
    return (end - start) / step


def _progression(start: float, step: float, length: int, dtype: NumpyType | None) -> Array:
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        if int(step) == 0:
            return np.full(length, int(start), np.int64).astype(kind)
        return np.arange(int(start), int(start) + length * int(step), int(step)).astype(kind, copy=False)
    out = np.empty(length, kind)

    def place(numbers: Array, room: Array) -> None:
        if step != 1:
            numbers *= float(step)
        if start or step != 1:
            numbers += float(start)
        room[...] = numbers

    _count_into(out, np.dtype(np.float64), place)
    return out


@functools.cache
def _first_integers(kind: NumpyType) -> Array:
    return np.arange(BLOCK).astype(kind)


def _count_into(out: Array, kind: NumpyType, place: Callable[[Array, Array], object]) -> None:
    """``place(i, out[i])`` for the integers i below the size of `out`, in type `kind`, in blocks that may be overwritten."""

    def fill(part: slice) -> None:
        for begin in builtins.range(part.start, part.stop, BLOCK):
            room = out[begin : builtins.min(begin + BLOCK, part.stop)]
            place(np.add(_first_integers(kind)[: room.size], begin), room)

    in_slices(fill, out.size)


@factory()
def arange(start: Any = NO_END, end: Any = NO_END, step: Any = NO_END, *, dtype: NumpyType | None) -> Array:
    """Numbers from `start`, `step` apart, below `end`: ``out[i] = start + i * step``; int64 for ints, otherwise the default
    dtype.

    Shapes: -> (ceil((end - start) / step),).
    Raises: RuntimeError for a `step` of 0, or in the wrong direction.

    >>> torch.arange(2, 10, 3), torch.arange(0.0, 1.0, 0.25)
    (tensor([2, 5, 8]), tensor([0.0000, 0.2500, 0.5000, 0.7500]))
    """
    start, end, step = [
        v if isinstance(v, Tensor) and (v._array.size != 1 or needs_grad(v)) else _number(v) for v in (start, end, step)
    ]
    if end is NO_END and step is NO_END:
        start, end = 0, start
    start, step = 0 if start is NO_END else start, 1 if step is NO_END else step
    if not all([is_number(v) for v in (start, end, step)]):
        given = ", ".join([type_name(v) for v in (start, end, step) if v is not NO_END])
        raise TypeError(
            f"arange() received an invalid combination of arguments - got ({given}), but expected one of:\n"
            " * (Number end, ...)\n * (Number start, Number end, Number step = 1, ...)"
        )
    _real("arange", start, end, step)
    if dtype is None:
        whole = all([isinstance(v, builtins.int) for v in (start, end, step)])
        dtype = np.dtype("int64") if whole else _dtypes.default_numpy()
    if np.dtype(dtype) == np.int64 and step == step and int(step) == 0 != step:
        raise ValueError("step must be nonzero")
    if np.dtype(dtype) == np.int64 and all(map(math.isfinite, (start, end, step))):
        start, end, step = int(start), int(end), int(step)
    if np.dtype(dtype).kind in "bc":
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{_dtypes.scalar_name(np.dtype(dtype))}'")
    return _progression(start, step, math.ceil(_steps(start, end, step)), dtype)


@factory()
def range(start: Any, end: Any, step: Any = 1, *, dtype: NumpyType | None) -> Array:
    """Numbers from `start`, `step` apart, up to and including `end`: ``out[i] = start + i * step``; deprecated in favor of
    `arange`.

    Shapes: -> (floor((end - start) / step) + 1,).
    Raises: RuntimeError for a `step` of 0, or in the wrong direction.

    >>> import warnings; warnings.simplefilter("ignore")
    >>> torch.range(1, 3)
    tensor([1., 2., 3.])
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range "
        "builtin. Instead, use torch.arange, which produces values in [start, end).",
        stacklevel=level_of_user(),
    )
    start, end, step = _number(start), _number(end), _number(step)
    return _progression(start, step, math.floor(_steps(start, end, step)) + 1, default_type(dtype))


def _between(name: str, start: float, end: float, steps: int, dtype: NumpyType | None) -> Array:
    """`steps` numbers from `start` to `end`, counted from the nearer end; in float64 for integer types, and for real exponents,
    of which only the bounds and their distance are rounded to the type."""
    first, last = [v.ndim if isinstance(v, Tensor) else 0 for v in (start, end)]
    if first or last:
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with {first} dimension(s) and end with "
            f"{last} dimension(s)."
        )
    start, end, steps = _number(start), _number(end), _number(steps)
    whole = isinstance(steps, (builtins.int, np.integer)) and not isinstance(steps, bool)
    if not (whole and is_number(start) and is_number(end)):
        given = ", ".join([type_name(v) for v in (start, end, steps)])
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({given}), but expected one of:\n"
            " * (Tensor start, Tensor end, int steps, ...)\n * (Number start, Number end, int steps, ...)"
        )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    kind = np.dtype(dtype)
    if kind.kind != "c" and (isinstance(start, complex) or isinstance(end, complex)):
        raise RuntimeError(f"torch.{name}(): complex bounds can't be safely cast to passed dtype {kind}")
    if kind.kind == "b" and steps > 1:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")
    if name == "linspace":
        for bound in (start, end):
            number_as(bound, kind)
    real_exponents = name == "logspace" and kind.kind in FLOATING
    exact = computed_in(kind) if kind.kind in INEXACT and not real_exponents else np.dtype("float64")
    if kind.kind in "iu":
        start, end = int(start), int(end)
    rounded = kind if real_exponents else exact
    low, high = [np.asarray(bound, rounded).astype(exact) for bound in (start, end)]
    span = (high - low).astype(rounded).astype(exact)
    step = span / np.asarray(builtins.max(steps - 1, 1), exact)
    if kind.char in HALVES and not real_exponents:
        step = step.astype(kind).astype(exact)  # as torch rounds it
    out, half = np.empty(steps, exact), steps // 2

    def place(i: Array, room: Array) -> None:
        i *= step
        np.add(low, i, room)

    def place_from_end(i: Array, room: Array) -> None:
        i *= step
        np.subtract(high, i, room)

    _count_into(out[:half], exact, place)
    _count_into(out[half:][::-1], exact, place_from_end)
    if steps == 1:
        out[0] = start
    return out


def _bounds_dtype(dtype: Any, *bounds: object) -> Any:
    if dtype is not None:
        return np.dtype(dtype)
    complex_ = any([b.is_complex() if isinstance(b, Tensor) else isinstance(b, complex) for b in bounds])
    return _dtypes.get_default_dtype().to_complex().numpy if complex_ else _dtypes.default_numpy()


@factory()
def linspace(start: Any, end: Any, steps: int, *, dtype: NumpyType | None) -> Array:
    """Equally spaced numbers: ``out[i] = start + i * (end - start) / (steps - 1)``

    Shapes: -> (steps,).
    Raises: RuntimeError for a negative number of steps.

    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    kind = _bounds_dtype(dtype, start, end)
    return _between("linspace", start, end, steps, kind).astype(kind, copy=False)


@factory()
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: NumpyType | None) -> Array:
    """Powers of equally spaced exponents: ``out[i] = base ** (start + i * (end - start) / (steps - 1))``

    Shapes: -> (steps,).
    Raises: RuntimeError for a negative number of steps.

    >>> torch.logspace(0, 3, 4)
    tensor([   1.,   10.,  100., 1000.])
    """
    if not is_number(base):
        raise TypeError(f"logspace() received an invalid combination of arguments: base must be float, not {type_name(base)}")
    kind = _bounds_dtype(dtype, start, end, base)
    powers = _between("logspace", start, end, steps, kind)
    number, out = np.asarray(base, powers.dtype), np.empty(powers.shape, kind)

    def raise_part(part: slice) -> None:
        out[part] = np.power(number, powers[part])

    in_slices(raise_part, powers.size, 1, cost_of(np.power))
    return out


@factory()
def eye(n: int, m: int = NO_END, *, dtype: NumpyType | None) -> Array:
    """The identity matrix, or a part of it: ``out[i, j] = 1 if i == j else 0``

    Shapes: -> (n, m), or (n, n).
    Raises: RuntimeError for a negative size.

    >>> torch.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    m = n if m is NO_END else m
    n, m = [index_of(size, f"eye(): argument '{name}' must be int") for name, size in (("n", n), ("m", m))]
    for name, size in (("n", n), ("m", m)):
        if size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return np.eye(n, m, dtype=default_type(dtype))


def _triangle_indices(name: str) -> None:
    def make(row: int, col: int, offset: int = 0, *, dtype: NumpyType | None) -> Array:
        given = (("row", row), ("col", col), ("offset", offset))
        row, col, offset = [
            index_of(value, f"{name}(): argument '{argument}' (position {i}) must be int")
            for i, (argument, value) in enumerate(given, 1)
        ]
        for axis, size in (("row", row), ("col", col)):
            if size < 0:
                raise RuntimeError(f"{axis} must be non-negative, got{size}")
        kind = np.dtype("int64") if dtype is None else np.dtype(dtype)
        if kind not in _dtypes.INDEX_TYPES:
            raise NotImplementedError(f"\"{name}\" not implemented for '{_dtypes.scalar_name(kind)}'")
        bounds = np.clip(np.arange(row) + (offset + lower), 0, col)  # where the triangle ends, or begins, in each row
        counts = bounds if lower else col - bounds
        ends = np.cumsum(counts)
        out = np.empty((2, int(ends[-1]) if row else 0), kind)
        out[0] = np.repeat(np.arange(row), counts)
        np.subtract(np.arange(out.shape[1]), np.repeat(ends - (bounds if lower else col), counts), out[1], casting="same_kind")
        return out

    lower = name == "tril_indices"
    below, shown = "<=" if lower else ">=", "[[0, 1, 1],\n        [0, 0, 1]]" if lower else "[[0, 0, 1],\n        [0, 1, 1]]"
    doc = f"""Rows and columns of the elements that `{name[:4]}` keeps, row by row: ``out[:, k] = (i, j)`` over
    ``j - i {below} offset``

Shapes: `row` and `col` -> (2, count).
Raises: RuntimeError for a negative size; NotImplementedError for a dtype that is not int32 or int64.

>>> torch.{name}(2, 2)
tensor({shown})"""
    named(make, name, doc)
    factory(out=False)(make)


_triangle_indices("tril_indices")
_triangle_indices("triu_indices")

# ------------------------------------------------------------------------------------------------ diagonals and triangles


@method()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension on a diagonal of two new ones, zeros elsewhere: ``out[i, i + offset] = input[i]``

    Shapes: (*in, n) -> (*in, n + abs(offset), n + abs(offset)).
    Raises: RuntimeError if both new dimensions are the same.

    >>> torch.diag_embed(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    ndim = input.ndim + 1
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if not input.ndim:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    n = input._array.shape[-1] + abs(offset)
    shape = list(input._array.shape[:-1])
    for d in sorted((first, second)):
        shape.insert(d, n)
    return place(input, _diagonal, (offset, first, second), tuple(shape))


@method(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix with this vector on a diagonal, ``out[i, i + diagonal] = input[i]``, or the diagonal of this matrix.

    Shapes: (n,) -> (n, n), (m, n) -> (min(m, n),), for the main diagonal.
    Raises: RuntimeError for other numbers of dimensions.

    >>> torch.diag(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim == 2:
        return input.diagonal(diagonal).clone()
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")


@method()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements on a diagonal: ``out[i, i + offset] = input.flatten()[i]``

    Shapes: (*in), of n elements -> (n + abs(offset), n + abs(offset)).
    Raises: TypeError unless `input` is a tensor.

    >>> torch.diagflat(torch.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(input.reshape(-1), offset)


ROWS = 128
"""Rows of a matrix that are cleared together."""


@functools.lru_cache(64)
def _beside(rows: int, columns: int, diagonal: int, lower: bool) -> Array:
    """Whether elements are not in the triangle."""
    return ~np.tri(rows, columns, diagonal, dtype=bool) if lower else np.tri(rows, columns, diagonal - 1, dtype=bool)


def _clear(matrices: Array, diagonal: int, lower: bool) -> None:
    """Write zeros above the diagonal, or below it unless `lower`."""
    m, n = matrices.shape[-2:]
    for top in builtins.range(0, m, ROWS):
        end = min(top + ROWS, m)
        first, last = [min(max(row + diagonal + lower, 0), n) for row in (top, end - 1)]  # between them, a part is cleared
        if first < last:
            beside = _beside(end - top, last - first, top + diagonal - first, lower)
            np.copyto(matrices[..., top:end, first:last], False, where=beside)
        matrices[..., top:end, last if lower else 0 : n if lower else first] = 0


def _triangle(name: str, what: str, shown: str) -> Callable[..., Tensor]:
    """Publish the function; return its primitive. `shown` is what its example prints."""
    lower = name == "tril"

    def cut(input: Array, diagonal: int) -> Array:
        out = fresh(input)
        _clear(out, diagonal, lower)
        return out

    cut.__name__ = name
    primitive = op(input=lambda grad, diagonal: primitive(grad, diagonal))(cut)

    def call(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return primitive(input, operator.index(diagonal))

    below = "<=" if lower else ">="
    doc = f"""Each matrix with zeros {what} a diagonal: ``out[i, j] = input[i, j] if j - i {below} diagonal else 0``

Shapes: (*, m, n) -> (*, m, n).
Raises: RuntimeError for fewer than two dimensions.

>>> torch.{name}(torch.tensor([[1, 2], [3, 4]]))
tensor({shown})"""
    named(call, name, doc)
    method(inplace=True, out=True)(spares_copy(call))
    return primitive


_tril = _triangle("tril", "above", "[[1, 0],\n        [3, 4]]")
_triu = _triangle("triu", "below", "[[1, 2],\n        [0, 4]]")
