"""Functions of the OpenBLAS bundled with NumPy that NumPy does not expose. With another BLAS, the functions here do nothing."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any, NamedTuple

import numpy as np

from mini_dl._dtypes import Array, Function


class _Functions(NamedTuple):
    get_threads: Function
    set_threads: Function
    sums: dict[str, tuple[Any, Any]]  # by type: y += a x, and y = a x + b y
    matrices: dict[str, tuple[Function, Function]]  # by type: triangular systems, and the LU factorization
    core: str  # for which processor its kernels are


class _State:
    single = False  # whether BLAS is known to use one thread


def limit_threads(threads: int) -> int:
    """Set the number of BLAS threads; return the previous number, or 0 if BLAS cannot be reached."""
    found = functions()
    if found is None:
        return 0
    before = int(found.get_threads())
    if before != threads:
        found.set_threads(threads)
    _State.single = threads == 1
    return before


@functools.cache
def reads_in_place() -> bool:
    """Whether BLAS multiplies small matrices as they lie, which OpenBLAS does with AVX-512. Otherwise it copies both first."""
    found = functions()
    return found is not None and found.core in ("SkylakeX", "Cooperlake", "SapphireRapids")


def add_scaled(a: float, x: Array, b: float, y: Array) -> bool:
    """``y = a * x + b * y`` in one pass over memory, where NumPy makes three. Returns False, having done nothing, if it cannot.

    It works on contiguous writable float32 or float64 arrays of one shape, while BLAS uses one thread: waking others takes
    longer.
    """
    found = functions()
    if found is None or not _State.single or y.dtype.char not in found.sums:
        return False
    if x.dtype is not y.dtype or x.shape != y.shape or a == 0 or b == 0:  # BLAS skips the multiplication by 0, and with it NaN
        return False
    if not (x.flags.carray and y.flags.carray and y.size):
        return False
    add, mix = found.sums[y.dtype.char]
    first, second = (ctypes.byref(ctypes.c_char.from_buffer(array)) for array in (x, y))  # type: ignore[arg-type]
    if b == 1:
        add(y.size, float(a), first, 1, second, 1)
    else:
        mix(y.size, float(a), first, 1, float(b), second, 1)
    return True


def substitute(A: Array, X: Array, upper: bool, unit: bool) -> bool:
    """Replace X by the solution of ``A @ out = X``, A triangular. Returns False, having done nothing, if it cannot.

    It works on matrices of one type whose rows or columns are contiguous.
    """
    found = functions()
    if found is None or A.dtype is not X.dtype or X.dtype.char not in found.matrices:
        return False
    one = np.ones((), X.dtype)
    by_rows, transposed = X.flags.c_contiguous, A.flags.c_contiguous  # Fortran reads these as their transposes
    sizes = [ctypes.byref(ctypes.c_int64(size)) for size in (*(X.shape[::-1] if by_rows else X.shape), len(A))]
    found.matrices[X.dtype.char][0](
        b"R" if by_rows else b"L",
        b"U" if upper != transposed else b"L",
        b"N" if by_rows == transposed else b"T",
        b"U" if unit else b"N",
        *sizes[:2],
        one.ctypes.data,
        A.ctypes.data,
        sizes[2],
        X.ctypes.data,
        sizes[0],
    )
    return True


def factor(A: Array) -> tuple[Array, Array, int] | None:
    """(LU in one matrix, row exchanges counted from 1, order of the first zero pivot or 0), or None if it cannot."""
    found = functions()
    if found is None or A.dtype.char not in found.matrices:
        return None
    LU, pivots, info = np.array(A, order="F"), np.empty(min(A.shape), np.int64), ctypes.c_int64()
    rows, columns = (ctypes.byref(ctypes.c_int64(size)) for size in A.shape)
    found.matrices[A.dtype.char][1](rows, columns, LU.ctypes.data, rows, pivots.ctypes.data, ctypes.byref(info))
    return LU, pivots, info.value


@functools.cache
def functions() -> _Functions | None:
    """The functions of OpenBLAS, or None if this NumPy uses another BLAS."""
    package = os.path.dirname(np.__file__)
    folders = [folder for folder in (f"{package}.libs", os.path.join(package, ".dylibs")) if os.path.isdir(folder)]
    libraries = [os.path.join(folder, name) for folder in folders for name in os.listdir(folder) if "openblas" in name]
    sums = {}
    matrices: dict[str, tuple[Function, Function]] = {}
    try:
        library = ctypes.CDLL(libraries[0])
        for char, letter, number in (("f", "s", ctypes.c_float), ("d", "d", ctypes.c_double)):
            add, mix = (library[f"scipy_cblas_{letter}{name}64_"] for name in ("axpy", "axpby"))
            vector = (ctypes.c_void_p, ctypes.c_int64)
            add.argtypes = (ctypes.c_int64, number, *vector, *vector)
            mix.argtypes = (ctypes.c_int64, number, *vector, number, *vector)
            add.restype = mix.restype = None
            sums[char] = add, mix
        for char, letter in zip("fdFD", "sdcz", strict=True):
            solve, factors = (library[f"scipy_{letter}{name}_64_"] for name in ("trsm", "getrf"))
            solve.argtypes, factors.argtypes = (*[ctypes.c_char_p] * 4, *[ctypes.c_void_p] * 7), (ctypes.c_void_p,) * 6
            solve.restype = factors.restype = None
            matrices[char] = solve, factors
        core = library.scipy_openblas_get_corename64_
        core.restype = ctypes.c_char_p
        threads = library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
        found = _Functions(*threads, sums, matrices, core().decode())
    except (IndexError, OSError, AttributeError):
        return None
    _State.single = int(found.get_threads()) == 1
    return found
