"""Helpers shared by kernels: branch-free selection by masks, half precision computed in single, blocks that stay in the cache.

Knows NumPy arrays only. ``np.where`` on data-dependent masks costs 4 ns an element, the bit tricks here 0.2 to 0.5.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import fits
from mini_dl._dtypes import FLOATING, HALVES, Array, Function, NumpyType, scalar_name
from mini_dl._importing import wraps
from mini_dl.kernels.context import here
from mini_dl.kernels.halves import cast, narrow, pays, widen
from mini_dl.kernels.parallel import ENOUGH, Piece, get_num_threads, share, share_calls, worth_sharing

BLOCK = 65536
"""Elements per array in one pass of a blocked kernel: a few such arrays fit the second-level cache."""
LONGEST = 8 * BLOCK
"""The same when threads share the work: handing over the interpreter at each call costs more than the cache saves."""
LONGEST_RUN = 4 * BLOCK
"""The same for elementwise kernels: they have no short calls, for each row, between the long ones."""


SLOW = 3
"""How many passes over memory a kernel counts for that has one of the functions that NumPy takes long for, like `exp`."""


def in_slices(work: Callable[[slice], object], count: int, each: int = 1, cost: int = 1) -> None:
    """``work(slice)`` for `slices` of ``range(count)``, items of `each` elements, shared if there are many; fewer suffice if
    the work costs more."""
    if count * each and is_one_block(count * each):
        work(slice(0, count))
    else:
        share(work, slices(count, each, cost), count * each * cost)


def is_one_block(size: int) -> bool:
    """Whether so many elements are not divided."""
    return size <= BLOCK


def slices(count: int, each: int = 1, cost: int = 1) -> list[slice]:
    """``range(count)``, items of `each` elements, in slices to `share`: fewer and longer ones if threads share them."""
    size = count * each
    if count and is_one_block(size):
        return [slice(0, count)]
    return split(count, number_of_pieces(size, size * cost, BLOCK, LONGEST if each > 1 else LONGEST_RUN))


def number_of_pieces(size: int, work: int, block: int, longest: int) -> int:
    """The number of pieces for `size` elements that cost as much as one pass over `work` elements: pieces of `block` elements,
    or, if threads share the work, the smallest multiple of the number of threads with pieces of at most `longest`."""
    if not worth_sharing(work):
        return -(-size // block)
    threads = get_num_threads()
    return -(-size // (longest * threads)) * threads


def split(count: int, number: int, ahead: int = 0) -> list[slice]:
    """``range(count)`` in at most `number` slices, which differ by at most one, but the first has some `ahead` more."""
    number = min(count, max(1, number))
    rest = count - min(ahead, count // (2 * number) if number else 0)
    ends = [count - rest + i * rest // number for i in range(1, number + 1)]
    return [slice(start, end) for start, end in zip([0, *ends], ends)]


parts = functools.lru_cache(1024)(split)
"""`split`, for lists that are only read."""


BITS: dict[int, NumpyType] = {1: np.dtype(np.int8), 2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def keep(values: Array, mask: Array, out: Array | None = None) -> Array:
    """`values` where `mask` is not 0, else +0, even if the value is infinite or NaN. Same shapes. The result is a new array, or
    `out`, which may be `values`."""
    if values.dtype.kind == "c":
        return np.where(mask != 0, values, values.dtype.type(0))
    bits = BITS[values.itemsize]
    if values.size <= LONGEST_RUN or not (values.flags.c_contiguous and mask.flags.c_contiguous):
        flags = mask if mask.dtype.kind == "b" else mask != 0
        if out is values:
            kept = out.view(bits)
            kept *= flags.astype(bits)
            return out
        out = np.empty_like(mask, values.dtype) if out is None else out
        kept = out.view(bits)
        np.copyto(kept, flags)
        kept *= values.view(bits)
        return out
    out = np.empty(values.shape, values.dtype) if out is None else out
    flat, source, flat_mask = out.reshape(-1), values.reshape(-1), mask.reshape(-1)
    in_slices(lambda block: keep(source[block], flat_mask[block], flat[block]), flat.size)
    return out


SOME = 4096
"""Elements from which `choose` takes less time than ``np.where``."""


def choose(mask: Array, yes: Array, no: Array, out: Array | None = None) -> Array:
    """`yes` where `mask`, else `no`: arrays of one type. All three broadcast. A new array, or `out`, which may be `yes`."""
    bits = BITS.get(yes.itemsize)
    if bits is None or mask.size < SOME:
        found = np.where(mask, yes, no)
        if out is None:
            return found
        np.copyto(out, found)
        return out
    if (
        out is None
        and mask.size > LONGEST_RUN
        and all([a.shape == mask.shape and a.flags.c_contiguous for a in (mask, yes, no) if a.ndim])
    ):
        return _chosen(mask, yes, no)
    a, b = yes.view(bits), no.view(bits)
    wide = mask.astype(bits)  # NumPy would convert it through its buffer, which takes longer
    mixed = np.bitwise_xor(a, b, out=None if out is None else out.view(bits))
    mixed = np.multiply(mixed, wide, out=mixed if mixed.shape == wide.shape else None if mixed.ndim else wide)
    np.bitwise_xor(mixed, b, out=mixed)
    return mixed.view(yes.dtype) if out is None else out


def _chosen(mask: Array, yes: Array, no: Array) -> Array:
    """`choose`, in blocks: contiguous arrays of one shape, or numbers."""
    out = np.empty(mask.shape, yes.dtype)
    flat, bits = out.reshape(-1).view(BITS[yes.itemsize]), BITS[yes.itemsize]
    flags, a, b = mask.reshape(-1), *[x.view(bits).reshape(-1) if x.ndim else x.view(bits) for x in (yes, no)]

    def choose_block(block: slice) -> None:
        part, other = flat[block], b[block] if b.ndim else b
        np.bitwise_xor(a[block] if a.ndim else a, other, out=part)
        np.multiply(part, flags[block].astype(bits), out=part)
        np.bitwise_xor(part, other, out=part)

    in_slices(choose_block, flat.size)
    return out


def in_single(kernel: Function) -> Function:
    """`kernel`, which computes float16 in float32: if its first argument is float16, the others are too, except indices."""

    @wraps(kernel)
    def run(*args: Any) -> Any:
        if args[0].dtype.char not in HALVES:
            return kernel(*args)
        return cast(kernel(*[as_single(a) if isinstance(a, np.ndarray) else a for a in args]), args[0].dtype)

    return run


def as_single(array: Array) -> Array:
    """`array`, but float32 for float16 and bfloat16."""
    return cast(array, _SINGLE) if array.dtype.char in HALVES else array


def computed_in(dtype: NumpyType) -> NumpyType:
    """The type in which numbers of type `dtype` are computed: float32 for float16 and bfloat16."""
    return _SINGLE if dtype.char in HALVES else dtype


_SINGLE = np.dtype(np.float32)


def elementwise(kernel: Callable[..., Array]) -> Callable[..., Array]:
    """A kernel over arrays of one floating type and numbers: float16 is computed in float32, large arrays in blocks.

    If it has a parameter `out`, it may write its result there.
    """
    return _in_blocks(kernel, 1)


def slow_elementwise(kernel: Callable[..., Array]) -> Callable[..., Array]:
    """The same for a kernel that is `SLOW`."""
    return _in_blocks(kernel, SLOW)


def _in_blocks(kernel: Callable[..., Array], cost: int) -> Callable[..., Array]:
    if hasattr(kernel, "op"):
        raise TypeError(
            f"{kernel.__name__}: `elementwise` must stand below the decorator that makes the primitive: it takes arrays"
        )

    writes = "out" in kernel.__code__.co_varnames[: kernel.__code__.co_argcount]

    @wraps(kernel)
    def run(*args: Any) -> Any:
        first = args[0]
        if first.dtype.char in HALVES:
            return cast(run(*[cast(a, _SINGLE) if isinstance(a, np.ndarray) else a for a in args]), first.dtype)
        whole = first.size <= 2 * BLOCK and not worth_sharing(first.size * cost)
        if whole or any([isinstance(a, np.ndarray) and a.ndim and a.shape != first.shape for a in args]):
            return kernel(*args)
        out = np.empty_like(first) if all([_is_laid_like(a, first) for a in args]) else np.empty(first.shape, first.dtype)
        axes = sorted(range(out.ndim), key=lambda axis: -out.strides[axis])  # in the order of memory
        flat = [a.transpose(axes).reshape(-1) if isinstance(a, np.ndarray) and a.ndim else a for a in args]
        flat_out = out.transpose(axes).reshape(-1)

        def run_block(block: slice) -> None:
            given = [a[block] if isinstance(a, np.ndarray) and a.ndim else a for a in flat]
            room = flat_out[block]
            found = kernel(*given, out=room) if writes else kernel(*given)
            if found is not room:
                room[...] = found

        in_slices(run_block, first.size, 1, cost)
        return out

    return run


def _is_laid_like(operand: object, first: Array) -> bool:
    """Whether an operand of the same shape is a number, or has the same layout in memory."""
    return not isinstance(operand, np.ndarray) or not operand.ndim or operand.strides == first.strides


COSTS = {
    **dict.fromkeys("exp exp2 log log2 log10 sin cos expm1 cbrt".split(), 6),
    **dict.fromkeys("tanh cosh arcsin arccos arctan arctan2 power hypot remainder fmod floor_divide".split(), 12),
    **dict.fromkeys("logaddexp logaddexp2 nextafter".split(), 12),
    "sqrt": 2,
}
"""Into how many passes over memory the work of a ufunc translates: for each number, NumPy needs 0.15 ns to add, 1.3 for `exp`."""


def cost_of(ufunc: Function) -> int:
    return getattr(ufunc, "cost", None) or COSTS.get(getattr(ufunc, "__name__", ""), 1)


def large_for(ufunc: Function) -> int:
    """The number of elements from which threads share a single ufunc, if they can."""
    return ENOUGH // cost_of(ufunc)


LARGE, LEAST_LARGE = ENOUGH, ENOUGH // max(COSTS.values())
"""The same for those that cost one pass, and for those that cost most."""


def _maximum(a: Array, b: Array, out: Array) -> None:
    np.maximum(a, b, out=out)


def _minimum(a: Array, b: Array, out: Array) -> None:
    np.minimum(a, b, out=out)


_WITH_ROOM: dict[Function, Function] = {np.maximum: _maximum, np.minimum: _minimum}
"""What NumPy warns of if it is told by position where to write."""


def in_pieces(ufunc: Function, *operands: Any, out: Array | None = None) -> Array | None:
    """``ufunc(*operands)``, in pieces that threads share, or along a long row; None, with nothing done, if neither pays.

    The first operand is a large array of floating point numbers and has the shape and the type of the result. Any function of
    elements that writes to its last argument counts as a ufunc.
    """
    first = operands[0]
    kind, shape = first.dtype, first.shape
    if kind.char == "e":
        return _in_single(ufunc, operands) if out is None and pays(ufunc, first) and first.flags.c_contiguous else None
    work = first.size * cost_of(ufunc)
    shared = worth_sharing(work)
    if not (shared or getattr(operands[-1], "shape", shape) != shape) or kind.char not in "fd":
        return None
    if not any(first.strides):  # one number, expanded
        operands = (first[(0,) * len(shape)], *operands[1:])
        first = next((a for a in operands if type(a) is np.ndarray and a.shape == shape), first)
    whole = first.flags.c_contiguous
    if not (whole or (shared and _in_order(first))):
        return None
    if out is not None and (out.dtype is not kind or out.shape != shape or not out.flags.c_contiguous):
        return None
    if out is not None:  # pieces are written while others wait to be read
        operands = tuple([_beside(out, operand) if type(operand) is np.ndarray else operand for operand in operands])
    apart: list[Array] = []
    for other in operands:
        if type(other) is np.ndarray:
            if other.dtype is not kind or not (other.shape == shape or fits(other.shape, shape)):
                return None
            if not whole and other.shape == shape and not _in_order(other):  # the result might have its order
                return None
            if other.ndim and not (other.shape == shape and other.flags.c_contiguous):
                apart.append(other)
        elif type(other) not in (float, int, kind.type):
            return None
    row = _long_row(apart[0], shape) if whole and len(apart) == 1 else None
    if row is None and not shared:
        return None
    result = np.empty(shape, kind) if out is None else out
    views = [*operands, result]
    if row is not None:
        views = [row if view is apart[0] else _in_rows(view, row.size) for view in views]
    elif not apart and len(shape) > 1:  # one vector of all numbers
        views = [_in_rows(view, 0) for view in views]
    if not shared:
        _WITH_ROOM.get(ufunc, ufunc)(*views)
        return result
    rows, ndim = len(views[-1]), views[-1].ndim
    divided = [type(view) is np.ndarray and view.ndim == ndim and len(view) == rows for view in views]
    pieces = parts(rows, number_of_pieces(first.size, work, BLOCK, LONGEST))
    calls = [tuple([view[piece] if part else view for view, part in zip(views, divided)]) for piece in pieces]
    share_calls(_WITH_ROOM.get(ufunc, ufunc), calls)
    return result


def _in_order(array: Array) -> bool:
    """Whether an array may have gaps, but lies in memory in the order of its dimensions."""
    strides = [step for step, n in zip(array.strides, array.shape) if n > 1]
    return all([step >= after > 0 for step, after in zip(strides, [*strides[1:], array.itemsize])])


def _beside(out: Array, operand: Array) -> Array:
    """`operand`, or a copy if it is a part of `out`, or the same numbers in other places."""
    if operand is out or not np.may_share_memory(operand, out):
        return operand
    is_same = operand.shape == out.shape and operand.strides == out.strides and operand.ctypes.data == out.ctypes.data
    return operand if is_same else operand.copy()


def _in_single(ufunc: Function, operands: Sequence[Array]) -> Array | None:
    """`in_pieces` for float16, whose results are rounded once: of vectors of float32, which NumPy computes faster."""
    first, vectors = operands[0], []
    for operand in operands:
        if not isinstance(operand, np.ndarray) or (operand.ndim and operand.dtype is not first.dtype):
            return None
        if operand.ndim and not (operand.shape == first.shape and operand.flags.c_contiguous):
            return None
        vectors.append(operand.reshape(-1) if operand.ndim else operand.view(np.ndarray).astype(_SINGLE))
    out, compute_single = np.empty(first.shape, first.dtype), _WITH_ROOM.get(ufunc, ufunc)
    flat = out.reshape(-1)

    def compute(block: slice) -> None:
        *room, result = np.empty((len(vectors) + 1, flat[block].size), _SINGLE)  # some read operands after they write
        for vector, wide in zip(vectors, room):
            if vector.ndim:
                widen(vector[block], wide)
        compute_single(*[wide if vector.ndim else vector for vector, wide in zip(vectors, room)], result)
        narrow(result, flat[block])

    in_slices(compute, first.size)
    return out


def _in_rows(operand: object, length: int) -> object:
    """A contiguous array in rows of this length, or (0) as one; numbers stay numbers."""
    if not isinstance(operand, np.ndarray) or not operand.ndim:
        return operand
    return operand.reshape(-1, length) if length else operand.reshape(-1)


SHORT, LONG, VERY_SHORT = 256, 4096, 160
"""The length of rows up to which NumPy takes 0.3 to 0.6 ns for each number, for one along a long row 0.16; that length; and the
length of rows that take longer still."""


def _long_row(row: Array, shape: tuple[int, ...]) -> Array | None:
    """What `row` adds to the neighbors in memory of an array of this shape, again and again, along a row that is not short;
    None if that does not pay."""
    whole = math.prod(shape)
    sizes = (*(1,) * (len(shape) - row.ndim), *row.shape)
    first = next((i for i, n in enumerate(sizes) if n > 1), len(sizes))
    last = next((i for i in range(len(sizes), 0, -1) if sizes[i - 1] > 1), 0)
    length = math.prod(shape[first:])
    if math.prod(shape[last:] if last < len(shape) else shape[first:]) > SHORT or 8 * length > whole:
        return None
    times = run_of(whole // length, max(1, LONG // length))
    return np.broadcast_to(row.reshape(sizes[first:]), (times, *shape[first:])).reshape(-1)


SEVERAL = 8192
"""Elements from which adding several rows at a time repays its calls."""


def add_row(out: Array, row: Array) -> Array:
    """``out += row`` of (..., n) and (n): several rows at a time, if they are so short that it pays between two threads, too."""
    length = len(row)
    if out.size < SEVERAL or length > VERY_SHORT or not out.flags.c_contiguous:
        return np.add(out, row, out)
    rows = np.empty((run_of(out.size // length, max(1, LONG // length)), length), out.dtype)
    rows[...] = row
    long = out.reshape(-1, rows.size)
    np.add(long, rows.reshape(-1), long)
    return out


@functools.lru_cache(1024)
def run_of(n: int, longest: int) -> int:
    """The largest divisor of `n` up to `longest`."""
    return next(run for run in range(min(n, longest), 0, -1) if n % run == 0)


def spread(ufunc: Function, *operands: Any, out: Array | None = None) -> Any:
    """``ufunc(*operands, out=out)``, by `in_pieces` if that pays."""
    first = operands[0]
    result = in_pieces(ufunc, *operands, out=out) if type(first) is np.ndarray and first.size >= LEAST_LARGE else None
    return ufunc(*operands, out=out) if result is None else result


CLIPPED = 1 << 11
"""Elements from which the method `clip`, whose loop is vectorized for numbers, makes up for its slower call. `np.clip` calls it,
and takes twice as long to do so."""


def limited(x: Array, low: float | Array | np.generic, high: float | Array | np.generic, out: Array | None = None) -> Array:
    """``minimum(maximum(x, low), high)`` of a real array and numbers, which may be infinite: a new array, or `out`."""
    if x.size >= LARGE and x.dtype.char in "fd":
        return spread(np.ndarray.clip, x, low, high, out=out)
    if (x.size >= CLIPPED and x.dtype.char in "fd") or x.dtype == np.int64:
        return x.clip(low, high, out)
    if low == -math.inf:
        return np.minimum(x, high, out=out)
    y = np.maximum(x, low, out=out)
    return y if high == math.inf else np.minimum(y, high, out=y if y.ndim else None)


def real_floating(array: Array, kernel_name: str) -> Array:
    """`array` if it is real floating point; torch's NotImplementedError otherwise."""
    if array.dtype.kind not in FLOATING:
        raise NotImplementedError(f"\"{kernel_name}\" not implemented for '{scalar_name(array.dtype)}'")
    return array


def sigmoid_of(x: Array, out: Array | None = None) -> Array:
    """``1 / (1 + exp(-x))`` of a real floating array."""
    y = one_and_exp_of_negative(x, out)
    return np.reciprocal(y, y) if y.ndim else np.reciprocal(y)


def one_and_exp_of_negative(x: Array, out: Array | None = None) -> Array:
    """``1 + exp(-x)`` of a real floating array."""
    y = np.negative(x, out)
    if not y.ndim:
        return np.exp(y) + y.dtype.type(1)
    return np.add(np.exp(y, y), _ONE[y.dtype.char], y)


_ONE = {char: np.ones((), char) for char in "efdFD"}
"""Arrays: a number would be converted at each call."""


KEPT_BY_ALLOCATOR = 31 * 2**20
"""The size in bytes of a block whose release raises glibc's threshold to its maximum."""


def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MB of freed memory, which it would otherwise return to the system after each step and fault in
    again.

    Freeing a large untouched block immediately raises its threshold. On other systems, this does nothing.
    """
    np.empty(KEPT_BY_ALLOCATOR, np.uint8)


keep_freed_memory()

LINE = 64
"""Bytes of a line of the cache, and of a vector register: writing three unaligned arrays takes twice as long."""
SMALLEST_SCRATCH, LARGEST_SCRATCH = 2**16, 2**23
"""Bytes between which scratch memory is kept for the next call: less is at hand in the allocator sooner."""


class Scratch:
    """Scratch memory for one purpose, a piece for each thread and each depth at which kernels interrupt each other: a fresh
    page costs more than filling it."""

    def of(self, shape: tuple[int, ...], dtype: NumpyType) -> Array:
        """An uninitialized array, valid until the next request: never to be returned."""
        size = math.prod(shape) * dtype.itemsize
        if not SMALLEST_SCRATCH < size <= LARGEST_SCRATCH:
            return np.empty(shape, dtype)
        buffer = here.buffers.get(self)
        if buffer is None or buffer.size < size:
            whole = np.empty(size + LINE, np.uint8)
            buffer = here.buffers[self] = whole[-whole.ctypes.data % LINE :]
        return buffer[:size].view(dtype).reshape(shape)


def total_of(term: Callable[[Piece], Array], pieces: Sequence[Piece], size: int) -> Array:
    """The sum of ``term(piece)``, new arrays, over shared pieces, in an order that depends only on the number of threads."""
    totals: list[Any] = [None] * min(get_num_threads() if worth_sharing(size) else 1, len(pieces))

    def add_up(number: int) -> None:
        for piece in pieces[number :: len(totals)]:
            new = term(piece)
            totals[number] = new if totals[number] is None else np.add(totals[number], new, out=new)

    share(add_up, range(len(totals)), size)
    return functools.reduce(lambda total, other: spread(np.add, total, other, out=total), totals)


def check_finite(array: Array) -> None:
    """FloatingPointError if a number of a contiguous array is infinite or NaN, or the sum of their squares is: one pass, in the
    cache, and one call, because threads meet between calls."""
    flat = array.reshape(-1)
    if not np.isfinite(flat @ flat):
        raise FloatingPointError


@functools.lru_cache(64)
def ones(n: int, dtype: NumpyType) -> Array:
    """Ones, to sum rows and columns by matrix products: 2 to 6 times faster than ``add.reduce``. Read only."""
    return np.ones(n, dtype)
