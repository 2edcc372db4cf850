"""Translations that need more than a line: parts and indices, products, reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl.onnx.building import BOOL, INT, Builder, Term
from mini_dl.onnx.recording import Call, Value
from mini_dl.onnx.sizes import Size

END = np.iinfo(np.int64).max

# ------------------------------------------------------------------------------------------------ shapes


def exchanged(g: Builder, x: Value, first: int, second: int) -> Term:
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return g.Transpose(x, perm=order)


def squeezed(g: Builder, x: Value, dims: Any) -> Term:
    dims = [dims] if isinstance(dims, int) else list(dims)
    return g.Squeeze(x, dims) if dims else g.term(x)


def repeated(g: Builder, x: Value, repeats: Sequence[Any]) -> Term:
    extra = len(repeats) - len(x.shape)
    if not repeats:
        return g.term(x)
    lifted = g.Unsqueeze(x, list(range(extra))) if extra > 0 else x
    return g.Tile(lifted, [*[1] * -extra, *repeats])


def flipped(g: Builder, x: Value, dims: Sequence[int]) -> Term:
    n = len(dims)
    return g.Slice(x, [-1] * n, [-END] * n, list(dims), [-1] * n) if dims else g.term(x)


def rolled(g: Builder, x: Value, shifts: Sequence[int], dims: Sequence[int]) -> Term:
    shifts, dims = [[one] if isinstance(one, int) else list(one) for one in (shifts, dims)]
    term = g.term(x)
    for shift, dim in zip(g.fixed(shifts, "shift"), dims):
        size = x.shape[dim]
        shift = shift % size if isinstance(size, int) and size else shift
        if shift:
            head, tail = g.Slice(term, [-shift], [END], [dim]), g.Slice(term, [0], [-shift], [dim])
            term = g.Concat(head, tail, axis=dim)
    return term


def triangle(g: Builder, x: Value, diagonal: int, upper: int) -> Term:
    if x.dtype == BOOL:
        return g.cast(g.Trilu(g.cast(x, INT), np.int64(diagonal), upper=upper), BOOL)
    return g.Trilu(x, np.int64(diagonal), upper=upper)


def joined(g: Builder, tensors: Sequence[Value], dim: int) -> Term:
    """Vectors without elements may be among tensors of any shape."""
    kept = [x for x in tensors if x.shape != (0,)] or list(tensors)
    parts = [g.cast(x, g.dtype) for x in kept]
    return g.Concat(*parts, axis=dim) if len(parts) > 1 else parts[0]


def windows(g: Builder, x: Value, dim: int, size: int, step: int) -> Term:
    """All windows along a dimension, in a last one."""
    (length,) = g.fixed([x.shape[dim]], "size")
    places = np.arange((length - size) // step + 1)[:, None] * step + np.arange(size)
    ndim = len(x.shape)
    found = g.Gather(x, places, axis=dim)
    return g.Transpose(found, perm=[*range(dim + 1), *range(dim + 2, ndim + 1), dim + 1])


def diagonal(g: Builder, x: Value, offset: int, dim1: int, dim2: int) -> Term:
    rows, columns = g.fixed([x.shape[dim1], x.shape[dim2]], "size")
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    others = [d for d in range(len(x.shape)) if d not in (dim1, dim2)]
    lead = [x.shape[d] for d in others]
    whole = g.reshape(g.Transpose(x, perm=[*others, dim1, dim2]), [*lead, rows * columns])
    places = (np.arange(count) + max(0, -offset)) * columns + np.arange(count) + max(0, offset)
    return g.Gather(whole, places, axis=len(lead))


def ends(g: Builder, x: Value, pads: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Padding of the last dimensions in ONNX's form, for all dimensions: all sizes before, then all sizes after."""
    lead = [0] * (len(x.shape) - len(pads))
    return g.fixed([*lead, *[before for before, _ in pads], *lead, *[after for _, after in pads]], "padding")


def padded(g: Builder, x: Value, pads: Sequence[tuple[int, int]], mode: str) -> Term:
    if mode == "circular":  # not every runtime supports it
        return wrapped_around(g, x, pads)
    return cropped(g, g.Pad(x, [max(n, 0) for n in ends(g, x, pads)], None, mode={"replicate": "edge"}.get(mode, mode)), pads)


def filled(g: Builder, x: Value, pads: Sequence[tuple[int, int]], value: object) -> Term:
    return cropped(g, g.Pad(x, [max(n, 0) for n in ends(g, x, pads)], g.cast(value, g.dtype)), pads)


def cropped(g: Builder, padded: Term, pads: Sequence[tuple[int, int]]) -> Term:
    """Negative padding removes elements."""
    first = len(g.shape) - len(pads)
    crops = [(dim, -min(a, 0), min(b, 0) or END) for dim, (a, b) in enumerate(pads, first) if min(a, b) < 0]
    return g.Slice(padded, *[[crop[i] for crop in crops] for i in (1, 2, 0)]) if crops else padded


def wrapped_around(g: Builder, x: Value, pads: Sequence[tuple[int, int]]) -> Term:
    term = g.term(x)
    for dim, (before, after) in enumerate(pads, len(x.shape) - len(pads)):
        if min(before, after) < 0:
            raise g.unsupported("negative padding")
        parts = [g.Slice(term, [-before], [END], [dim])] if before else []
        parts += [term, *([g.Slice(term, [0], [after], [dim])] if after else [])]
        term = g.Concat(*parts, axis=dim) if len(parts) > 1 else term
    return term


# ------------------------------------------------------------------------------------------------ parts


def per_dimension(ndim: int, index: object) -> list[Any]:
    """An index of integers, slices, None and ..., with a full slice for every omitted dimension."""
    items = list(index) if isinstance(index, tuple) else [index]
    used = len([item for item in items if item is not None and item is not Ellipsis])
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    return [*items[:at], *[slice(None)] * (ndim - used), *items[at + 1 :]]


def part(g: Builder, x: Value, index: object) -> Term:
    """``x[index]``"""
    term, dim, slices, gone, new = g.term(x), 0, [], [], []
    position = 0
    for item in per_dimension(len(x.shape), index):
        if item is None:
            new.append(position)
            position += 1
            continue
        if isinstance(item, slice):
            if item != slice(None):
                slices.append(
                    (dim, 0 if item.start is None else item.start, END if item.stop is None else item.stop, item.step or 1)
                )
            position += 1
        else:
            stop: Any = END if item == -1 else item + 1 if isinstance(item, int) else after(item)
            slices.append((dim, item, stop, 1))
            gone.append(dim)
        dim += 1
    if slices:
        axes, starts, stops, steps = [list(some) for some in zip(*slices)]
        term = g.Slice(term, starts, stops, axes, *([steps] if set(steps) != {1} else []))
    if gone:
        term = g.Squeeze(term, gone)
    return g.Unsqueeze(term, new) if new else term


def after(size: Size) -> Size | int:
    """``size + 1``"""
    terms = dict(size.terms)
    terms[()] = terms.get((), 0) + 1
    return Size(tuple([(names, n) for names, n in terms.items() if n]))


def written_into(g: Builder, x: Value, src: Value, look: Call) -> Term:
    """`x` with `src` in place of the elements in the view that `look` made."""
    rest = list(look.args.values())[1:]
    if look.name == "_permute":
        return g.Transpose(src, perm=[int(d) for d in np.argsort(rest[0])])
    if look.name == "_transpose":
        return exchanged(g, src, *rest)
    if look.name == "_t":
        return g.Transpose(src, perm=list(range(len(x.shape)))[::-1])
    if look.name in ("slice", "select", "unsqueeze", "_select"):
        index = (*[slice(None)] * rest[0], rest[1]) if look.name == "_select" else rest[0]
        return inserted(g, x, src, index)
    if look.name in ("_view", "_squeeze", "_squeeze1", "_unsqueeze", "_alias"):
        return g.reshape(src, x.shape, src.shape)
    raise g.unsupported(f"a write through {look.spoken}")


def as_call(look: Any, x: Value, args: Sequence[Any]) -> Call:
    """The call that made a view."""
    return Call(look.op.name, "", dict(zip(look.op.params, (x, *args))), "")


def inserted(g: Builder, x: Value, src: Value, index: object) -> Term:
    """`x` with `src` at ``x[index]``: concatenated with the parts before and after, dimension by dimension."""
    items = per_dimension(len(x.shape), index)
    if None in items:
        raise g.unsupported("a write through a view with new dimensions")
    gone = [dim for dim, item in enumerate(items) if not isinstance(item, slice)]
    lifted: Term = g.Unsqueeze(src, gone) if gone else g.term(src)
    where = []
    for item, n in zip(items, x.shape):
        if isinstance(item, slice):
            if item.step not in (None, 1):
                raise g.unsupported("a write through a view with steps")
            where.append((0 if item.start is None else item.start, n if item.stop is None else item.stop, item == slice(None)))
        else:
            (place,) = g.fixed([item], "index")
            where.append((place, END if place == -1 else place + 1, False))

    def put(term: Term, dim: int) -> Term:
        if dim == len(where):
            return lifted
        start, stop, whole = where[dim]
        if whole:
            return put(term, dim + 1)
        inner = g.Slice(term, [start], [stop], [dim])
        parts = [g.Slice(term, [0], [start], [dim]), put(inner, dim + 1), g.Slice(term, [stop], [END], [dim])]
        return g.Concat(*parts, axis=dim)

    return put(g.term(x), 0)


# ------------------------------------------------------------------------------------------------ indices


def flat(g: Builder, x: object) -> Term:
    return g.Reshape(x, [-1])


def picked(g: Builder, x: Value, dim: int, index: Value) -> Term:
    if not x.shape:
        return g.Reshape(g.Gather(flat(g, x), flat(g, index), axis=0), index.shape)
    sizes = [n if d == dim else size for d, (n, size) in enumerate(zip(x.shape, index.shape))]
    if sizes != list(x.shape):  # an index may be smaller than the tensor that it indexes
        axes = [d for d, (n, size) in enumerate(zip(x.shape, sizes)) if n != size]
        return g.GatherElements(g.Slice(x, [0] * len(axes), [sizes[d] for d in axes], axes), index, axis=dim)
    return g.GatherElements(x, index, axis=dim)


def scattered(g: Builder, x: Value, dim: int, index: Value, src: Value, reduction: str) -> Term:
    values = g.cast(src, g.dtype)
    if src.shape != index.shape:
        axes = list(range(len(index.shape)))
        values = g.Slice(values, [0] * len(axes), list(index.shape), axes) if src.shape else g.Expand(values, index.shape)
    if not x.shape:
        return g.Squeeze(g.ScatterElements(flat(g, x), flat(g, index), flat(g, values), axis=0, reduction=reduction), [0])
    return g.ScatterElements(g.cast(x, g.dtype), index, values, axis=dim, reduction=reduction)


def values_at(g: Builder, x: Value, places: Value, n: int) -> Term:
    lead, tail = list(x.shape[:-n]), places.shape[-n:]
    whole = g.reshape(x, [*lead, g.count(x.shape[-n:])], x.shape)
    found = g.GatherElements(whole, g.reshape(places, [*lead, g.count(tail)], places.shape), axis=len(lead))
    return g.reshape(found, g.shape, [*lead, 0])


REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


def scattered_and_reduced(g: Builder, x: Value, dim: int, index: Value, src: Value, reduce: str, include_self: bool) -> Term:
    if reduce not in REDUCTIONS or not include_self:
        raise g.unsupported(f"reduce={reduce!r}, include_self={include_self}")
    return scattered(g, x, dim, index, src, REDUCTIONS[reduce])


def scattered_rows(g: Builder, x: Value, dim: int, index: Value, source: Value, reduction: str) -> Term:
    """Slices along a dimension, each written or added at its index."""
    if not x.shape:
        raise g.unsupported("a number")
    count = index.shape[0] if index.shape else 1
    shape = [count if d == dim else n for d, n in enumerate(x.shape)]
    places = g.Expand(g.Reshape(index, [-1 if d == dim else 1 for d in range(len(shape))]), shape)
    values = g.cast(source, g.dtype)
    values = values if source.shape == tuple(shape) else g.Expand(values, shape)
    return g.ScatterElements(g.cast(x, g.dtype), places, values, axis=dim, reduction=reduction)


def rows_summed(g: Builder, rows: Value, index: Value, count: int) -> Term:
    places = g.Expand(g.Unsqueeze(flat(g, index), [1]), [1, rows.shape[-1]])
    zeros = g.Expand(g.cast(0, g.dtype), [count, rows.shape[-1]])
    return g.ScatterElements(zeros, places, as_rows(g, rows), axis=0, reduction="add")


def indices_of(g: Builder, indices: Sequence[Value | None]) -> tuple[list[int], Term, int]:
    """The indexed dimensions, their indices stacked in a last dimension, and the rank without it."""
    dims = [d for d, one in enumerate(indices) if one is not None]
    chosen = [one for one in indices if one is not None]
    if any([one.dtype == BOOL for one in chosen]):
        raise g.unsupported("an index that is a mask")
    rank = max([len(one.shape) for one in chosen])
    if len(chosen) == 1:
        return dims, g.Unsqueeze(g.cast(chosen[0], INT), [-1]), rank
    total = g.cast(chosen[0], INT)
    for one in chosen[1:]:
        total = g.Add(total, g.cast(one, INT))
    shape = g.Shape(total)
    return dims, g.Concat(*[g.Unsqueeze(g.Expand(g.cast(one, INT), shape), [-1]) for one in chosen], axis=-1), rank


def at_indices(g: Builder, x: Value, indices: Sequence[Value | None]) -> Term:
    """``x[indices]``, where None selects a whole dimension."""
    chosen = [one for one in indices if one is not None]
    if not chosen:
        return g.term(x)
    if len(chosen) == 1 and chosen[0].dtype != BOOL:
        return g.Gather(x, chosen[0], axis=list(indices).index(chosen[0]))
    dims, places, rank = indices_of(g, indices)
    others = [d for d in range(len(x.shape)) if d not in dims]
    term = g.Transpose(x, perm=[*dims, *others]) if dims != list(range(len(dims))) else g.term(x)
    found = g.GatherND(term, places)
    if dims == list(range(dims[0], dims[0] + len(dims))) and dims[0]:  # adjacent: the result takes their place
        order = [*range(rank, rank + dims[0]), *range(rank), *range(rank + dims[0], rank + len(others))]
        found = g.Transpose(found, perm=order)
    return found


def put_at_indices(g: Builder, x: Value, indices: Sequence[Value | None], values: Value, accumulate: bool) -> Term:
    dims, places, _ = indices_of(g, indices)
    if dims != list(range(len(dims))):
        raise g.unsupported("indices after a whole dimension")
    chosen = [one for one in indices if one is not None]
    lead = np.broadcast_shapes(*[one.array.shape for one in chosen])
    if any([isinstance(n, Size) for one in chosen for n in one.shape]):
        raise g.unsupported("as many indices as depend on the sizes of the inputs")
    target = g.Expand(g.cast(values, g.dtype), [*lead, *x.shape[len(dims) :]])
    return g.ScatterND(x, places, target, reduction="add" if accumulate else "none")


def largest(g: Builder, x: Value, k: Any, dim: int, largest: bool) -> tuple[Term, Term]:
    """The `k` largest or smallest along `dim`, and their indices."""
    kind = np.dtype(np.float32) if x.dtype.kind in "b" else x.dtype
    if not x.shape:
        return g.term(x), g.array(np.array(0))
    values, places = g.TopK(g.cast(x, kind), g.size(k), axis=dim, largest=int(largest), sorted=1, outputs=2)
    return values, Term(places.name, INT)


# ------------------------------------------------------------------------------------------------ reductions


def reduced(g: Builder, operator: str, x: object, dims: Any, keepdim: bool) -> Term:
    if dims is None:
        return g.term(x)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if not dims:  # a scalar: the reduction is the identity
        return g.Abs(x) if operator in ("ReduceL1", "ReduceL2") else g.term(x)
    return g.node(operator, x, [int(d) for d in dims], keepdims=int(keepdim), noop_with_empty_axes=1)


def sums_so_far(g: Builder, x: Value, dim: int, reverse: bool) -> Term:
    return g.CumSum(g.cast(x, g.dtype), np.int64(dim), reverse=int(reverse)) if x.shape else g.cast(x, g.dtype)


def as_truth(g: Builder, x: Value) -> Term:
    return g.cast(g.cast(x, BOOL), np.dtype(np.int32))


def variance(g: Builder, x: object, dims: object, keepdim: bool, divisor: float) -> Term:
    x = g.cast(x, g.dtype)
    away = g.Sub(x, reduced(g, "ReduceMean", x, dims, True))
    return g.Div(reduced(g, "ReduceSum", g.Mul(away, away), dims, keepdim), g.cast(divisor, g.dtype))


def vector_norm(g: Builder, x: Value, ord: float, dims: object, keepdim: bool) -> Term:
    if ord in (1, 2):
        return reduced(g, f"ReduceL{int(ord)}", g.cast(x, g.dtype), dims, keepdim)
    away = g.Abs(g.cast(x, g.dtype))
    if math.isinf(ord):
        return reduced(g, "ReduceMax" if ord > 0 else "ReduceMin", away, dims, keepdim)
    if ord == 0:
        return reduced(g, "ReduceSum", g.cast(g.Greater(away, 0), g.dtype), dims, keepdim)
    return g.Pow(reduced(g, "ReduceSum", g.Pow(away, ord), dims, keepdim), 1 / ord)


def extreme(g: Builder, operator: str, x: Value, dim: int | None, keepdim: bool) -> Term:
    kind = x.dtype if x.dtype != BOOL else np.dtype(np.int32)
    term = g.cast(x, kind)
    if dim is None or not x.shape:
        found = g.node(operator, flat(g, term), axis=0, keepdims=0)
        return g.Reshape(found, [1] * len(x.shape)) if keepdim and x.shape else found
    return g.node(operator, term, axis=dim, keepdims=int(keepdim))


# ------------------------------------------------------------------------------------------------ products


def maybe_swapped(g: Builder, x: Value, swap: bool) -> Term:
    return g.swapped(g.term(x)) if swap else g.term(x)


def as_rows(g: Builder, x: Value) -> Term:
    return g.term(x) if len(x.shape) == 2 else g.Reshape(x, [-1, *g.fixed(x.shape[-1:], "size")])


def affine(g: Builder, x: Value, weight: Value, bias: Value) -> Term:
    if len(x.shape) == 2 and len(bias.shape) == 1:
        return g.Gemm(x, weight, bias, transB=1)
    return g.Add(g.MatMul(x, g.Transpose(weight, perm=[1, 0])), bias)


def weighted_sum(g: Builder, input: Value, product: Value, beta: object, alpha: object) -> Term:
    scaled = g.term(product) if alpha == 1 else g.Mul(product, g.cast(alpha, g.dtype))
    if beta == 0:
        return scaled
    added = g.cast(input, g.dtype)
    return g.Add(added if beta == 1 else g.Mul(added, g.cast(beta, g.dtype)), scaled)


def attention(
    g: Builder, query: Value, key: Value, value: Value, mask: Value | None, alive: Value | None, scale: float, causal: bool,
    memo: object,
) -> Term:  # fmt: skip
    scores = g.MatMul(g.Mul(query, scale), g.swapped(g.term(key)))
    weights = g.Softmax(scores if mask is None else g.Add(scores, g.cast(mask, query.dtype)), axis=-1)
    if alive is not None:
        weights = g.Mul(weights, g.cast(alive, query.dtype))
    return g.MatMul(weights, value)


def for_heads(g: Builder, mask: Value, shape: Sequence[Any]) -> Term:
    """A mask that broadcasts to (*, L, S) as (1 or B, L, S)."""
    rows, columns = shape[-2:]
    if all([n == 1 for n in mask.shape[:-2]]):
        return g.Unsqueeze(g.Expand(g.Reshape(mask, list(mask.shape[-2:])), [rows, columns]), [0])
    return g.reshape(g.Expand(mask, shape), g.shape)
