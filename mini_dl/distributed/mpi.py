"""MPI, through mpi4py: importing it, and passing it the memory of tensors."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mini_dl._dtypes import HALVES, Array, NumpyType, buffer_of
from mini_dl.distributed.reducing import RedOpType, check_reduces
from mini_dl.tensor import Tensor, written

INSTALL = "torch.distributed needs mpi4py and an MPI library: pip install 'mini_dl[mpi]' mpich"


def is_available() -> bool:
    """Whether mpi4py is installed."""
    return importlib.util.find_spec("mpi4py") is not None


@functools.cache
def mpi() -> Any:
    """The module ``mpi4py.MPI``, whose first import initializes MPI. ImportError, with what to install, if there is none."""
    try:
        import mpi4py

        mpi4py.rc.finalize = False  # the default would, also in forked children, which breaks the job
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # without the package; without an MPI library
        raise ImportError(f"{INSTALL} ({error})") from error
    atexit.register(_finalize, MPI, os.getpid())
    return MPI


def _finalize(MPI: Any, process: int) -> None:
    if os.getpid() == process and not MPI.Is_finalized():
        MPI.Finalize()


Comm: TypeAlias = Any
"""A communicator of mpi4py, which may not be installed."""
Request: TypeAlias = Any
"""A pending MPI operation."""
Message: TypeAlias = list[Any]
"""Memory and its element type, as mpi4py expects them."""
Back = Callable[[], None]
"""Called once the data have arrived."""


def memory_of(tensor: Tensor) -> Array:
    """The elements of a tensor as a flat array for reading: a view if contiguous, else a copy."""
    return np.ascontiguousarray(buffer_of(tensor._array)).reshape(-1)


def memory_for(tensor: Tensor, filled: bool = True) -> tuple[Array, Back]:
    """Flat memory of a tensor for writing, and a function that copies it back, which does nothing if contiguous.

    Without `filled`, a copy need not be initialized with the elements.
    """
    array = buffer_of(tensor._array)
    if array.flags.c_contiguous:
        return array.reshape(-1), lambda: written(tensor)
    row = np.ascontiguousarray(array).reshape(-1) if filled else np.empty(array.size, array.dtype)

    def back() -> None:
        array[...] = row.reshape(array.shape)
        written(tensor)

    return row, back


def as_bytes(row: Array) -> Message:
    """A flat array as a message of bytes."""
    return [row.view(np.uint8), mpi().BYTE]


PIECE = 1 << 22
"""The size in bytes of the pieces of larger reductions: MPI then reuses its memory instead of allocating it for each call, and
one piece is summed while another is in transit."""


def pieces_of(row: Array) -> list[Array]:
    """A flat array in pieces: equally many on all ranks if all arrays have the same size and type."""
    size = PIECE // row.itemsize
    return [row[i : i + size] for i in range(0, max(row.size, 1), size)]


class Together:
    """Requests treated as one."""

    def __init__(self, requests: list[Request]) -> None:
        self.requests = requests

    def Test(self) -> bool:
        """Whether all of them are complete."""
        return bool(mpi().Request.Testall(self.requests))


# ------------------------------------------------------------------------------------------------ reductions

LOGICAL = {"SUM": "LOR", "MAX": "LOR", "BOR": "LOR", "PRODUCT": "LAND", "MIN": "LAND", "BAND": "LAND", "BXOR": "LXOR"}
"""The reductions of bools."""
UFUNC: dict[str, np.ufunc] = {"SUM": np.add, "PRODUCT": np.multiply, "MIN": np.minimum, "MAX": np.maximum}


def reduction(op: RedOpType, tensor: Tensor, *rows: Array) -> tuple[list[Message], Request]:
    """The flat arrays with the type of `tensor` as messages that can be reduced, and MPI's operation.

    RuntimeError for reductions that gloo does not have.
    """
    MPI, kind = mpi(), tensor._array.dtype
    check_reduces(op, kind)
    op = RedOpType.SUM if op is RedOpType.AVG else op  # finally divided by the number of ranks
    if kind.char in HALVES:
        return [[row.view(np.uint16), MPI.UINT16_T] for row in rows], _of_halves(op.name, kind)
    if kind.kind == "b":
        return [[row, MPI.C_BOOL] for row in rows], getattr(MPI, LOGICAL[op.name])
    if kind.kind == "c":  # two real numbers
        kind = np.dtype(f"f{kind.itemsize // 2}")
        rows = tuple([row.view(kind) for row in rows])
    code = MPI.Datatype.fromcode(kind.char)
    return [[row, code] for row in rows], getattr(MPI, "PROD" if op.name == "PRODUCT" else op.name)


@functools.cache
def _of_halves(name: str, kind: NumpyType) -> Request:
    """The reduction of 16-bit floating point numbers, which MPI does not support."""

    def reduce(given: Any, kept: Any, datatype: object) -> None:
        a, b = (np.frombuffer(each, np.uint16).view(kind) for each in (given, kept))
        UFUNC[name](a, b, out=b)

    return mpi().Op.Create(reduce, commute=True)
