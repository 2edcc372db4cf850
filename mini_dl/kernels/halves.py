"""float16 to float32 and back, by bits: NumPy converts number by number on processors whose baseline has no such instruction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.introspect import opt_func_info

from mini_dl._dtypes import Array, NumpyType
from mini_dl.kernels.parallel import get_num_threads, share, worth_sharing

MANY = 1 << 15
"""Numbers from which the calls take less than NumPy's loop."""
BLOCK = 1 << 16
SINGLE, _HALF, _BITS, _SHORT = np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int32), np.dtype(np.int16)
_SHIFT, _HALF_WAY, _LAST, _SIGN_SHIFT, _SIGN = [np.array(n, _BITS) for n in (13, 0xFFF, 1, 16, 0x8000)]
_KEPT = np.array(-0x70002000, _BITS)
"""All bits but those between the sign and the exponent of a shifted float16, and those behind its last."""
_UP, _DOWN, _INFINITE, _SMALLEST, _LARGEST = [np.array(x, SINGLE) for x in (2.0**112, 2.0**-112, 2**16, 2.0**-14, 65520)]
"""The ratio of the smallest numbers of both types, where exponents begin; bounds of what float16 has with all its digits."""


def is_vectorized(ufunc: np.ufunc) -> bool:
    """Whether NumPy has a loop in float32 for the instructions of this processor."""
    loops = opt_func_info(func_name=f"^{ufunc.__name__}$", signature="^float32").get(ufunc.__name__, {})
    return not loops.get("f" * (ufunc.nin + 1), {"current": "baseline"})["current"].startswith("baseline")


_PAYS = is_vectorized(np.exp)  # where its baseline is old


def widen(x: Array, out: Array) -> None:
    """The float16 vector in float32. The smallest exponents of both types mean the same, but for a factor."""
    bits = out.view(_BITS)
    np.copyto(bits, x.view(_SHORT))
    np.left_shift(bits, _SHIFT, bits)
    np.bitwise_and(bits, _KEPT, bits)
    np.multiply(out, _UP, out)
    if not (out.max() < _INFINITE and out.min() > -_INFINITE):
        at = np.flatnonzero(np.absolute(out) >= _INFINITE)
        out[at] = x.take(at)


def narrow(x: Array, out: Array) -> None:
    """The float32 vector in float16, rounded to even: half of a last digit is added, or a bit less. Those that lose other digits
    than all, or are out of range, are left to NumPy."""
    bits, size_bits = np.empty((2, x.size), _BITS)
    size = np.absolute(x, size_bits.view(SINGLE))
    odd = np.less(size, _SMALLEST)
    odd &= size_bits != 0
    if not size.max() < _LARGEST:
        odd |= ~(size < _LARGEST)
    np.right_shift(x.view(_BITS), _SHIFT, bits)
    np.bitwise_and(bits, _LAST, bits)
    np.add(bits, _HALF_WAY, bits)
    np.add(bits, size_bits, bits)
    scaled = bits.view(SINGLE)
    np.multiply(scaled, _DOWN, scaled)
    np.right_shift(bits, _SHIFT, bits)
    np.right_shift(x.view(_BITS), _SIGN_SHIFT, size_bits)
    np.bitwise_and(size_bits, _SIGN, size_bits)
    np.bitwise_or(bits, size_bits, bits)
    at = np.flatnonzero(odd)
    np.copyto(out.view(_SHORT), bits, casting="unsafe")
    out[at] = x.take(at)


def cast(array: Array, dtype: NumpyType) -> Array:
    """``array.astype(dtype, copy=False)``"""
    convert = _CONVERSIONS.get((array.dtype, dtype))
    if not _PAYS or convert is None or array.size < MANY or not array.flags.forc or type(array) is not np.ndarray:
        return array.astype(dtype, copy=False)
    out = np.empty_like(array, dtype)
    flat, flat_out = array.ravel("K"), out.ravel("K")
    pieces = -(-array.size // BLOCK)
    if worth_sharing(array.size):  # fewer, and as many for each thread
        pieces = -(-pieces // (4 * get_num_threads())) * get_num_threads()
    step = -(-array.size // pieces)

    def convert_block(start: int) -> None:
        convert(flat[start : start + step], flat_out[start : start + step])

    share(convert_block, range(0, array.size, step), array.size)
    return out


_CONVERSIONS: dict[tuple[NumpyType, NumpyType], Callable[[Array, Array], None]] = {
    (_HALF, SINGLE): widen,
    (SINGLE, _HALF): narrow,
}


_OF_BITS = (np.negative, np.absolute, np.nextafter)
"""Two change one bit, and what is next is not the same in float32."""


def pays(ufunc: object, array: Array) -> bool:
    """Whether a ufunc of a compact float16 array is computed in float32, by blocks."""
    return _PAYS and array.size >= MANY and ufunc not in _OF_BITS
