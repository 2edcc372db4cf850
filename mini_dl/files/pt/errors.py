"""The errors raised for a .pt file that cannot be read."""

from __future__ import annotations

import pickle


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


class Budget:
    """How many more bytes one pickle may take beyond those in its file."""

    def __init__(self, left: int = 2**28) -> None:
        self.left = left

    def take(self, count: int, what: str) -> None:
        """RecordError if there is no budget for `count` bytes."""
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


def file_error(error: Exception, where: str, note: str = "") -> FileError:
    """`error` as an error of a file, with the position in the file before its message and `note` after it."""
    if isinstance(error, FileError):
        return type(error)(f"{where}: {error}{'' if isinstance(error, RefusedError) else note}")
    kind = FileError
    if isinstance(error, EOFError):
        kind = EndError
    elif isinstance(error, (RuntimeError, MemoryError)) and not isinstance(error, RecursionError):
        kind = RecordError
    return kind(f"{where}: {error or 'no message'} ({type(error).__name__}){note}")


class Located:
    """Add the position in the file, and what to do, to any error in this block.

    (From Python 3.13 on, a generator that raises in place of an error keeps that error and the file in a cycle.)
    """

    def __init__(self, where: str, note: str = "") -> None:
        self.where, self.note = where, note

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, BROKEN):
            raise file_error(error, self.where, self.note) from (error.__cause__ if isinstance(error, FileError) else error)
