"""The errors raised for a .pt file that cannot be read."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager


class FileError(pickle.UnpicklingError):
    """A .pt file that cannot be read: it is damaged, or requires something its reader does not allow.

    Where torch raises another type, the error also has that type: `RecordError` is a RuntimeError, `EndError` an EOFError.
    """


class RefusedError(FileError):
    """A file that requires something forbidden, or something this library does not have."""


class RecordError(FileError, RuntimeError):
    """An archive, a record, a storage or a tensor that does not match its description in the file."""


class ByteOrderError(RecordError, ValueError):
    """A byte order that is neither little nor big."""


class EndError(FileError, EOFError):
    """A file that ends too early."""


class CallersError(Exception):
    """Carries an exception of a caller's function, which is not the file's fault."""


class Room:
    """How many more bytes one pickle may take beyond those in its file."""

    def __init__(self, left: int = 2**28) -> None:
        self.left = left

    def take(self, count: int, what: str) -> None:
        """RecordError if there is no room for `count` bytes."""
        if count > self.left:
            raise RecordError(f"{what} would take {count} bytes that the file does not have, of {self.left} still allowed")
        self.left -= max(0, count)


BROKEN = (
    FileError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The errors that reading nonsensical contents may cause."""


def told(error: Exception, where: str, note: str = "") -> FileError:
    """`error` as an error of a file, with the position in the file before its message and `note` after it."""
    if isinstance(error, FileError):
        return type(error)(f"{where}: {error}{'' if isinstance(error, RefusedError) else note}")
    kind = FileError
    if isinstance(error, EOFError):
        kind = EndError
    elif isinstance(error, (RuntimeError, MemoryError)) and not isinstance(error, RecursionError):
        kind = RecordError
    return kind(f"{where}: {error or 'no message'} ({type(error).__name__}){note}")


@contextmanager
def located(where: str, note: str = "") -> Iterator[None]:
    """Add the position in the file, and what to do, to any error in this block."""
    try:
        yield
    except BROKEN as error:
        raise told(error, where, note) from (error.__cause__ if isinstance(error, FileError) else error)
