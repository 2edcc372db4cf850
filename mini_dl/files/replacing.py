"""Files that are replaced atomically, so that a save can never lose the old content; and opening files for reading."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import sys
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

from mini_dl._dtypes import Array

File: TypeAlias = str | os.PathLike[str] | BinaryIO

UNNAMED: int = getattr(os, "O_TMPFILE", 0)
"""The flag for a file that has no name and vanishes with its process; 0 if the system has none."""

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
"""Write errors, which do not name the file."""

PIECE = 1 << 20
"""The number of bytes read at a time."""


@contextlib.contextmanager
def replaced(f: File) -> Iterator[BinaryIO]:
    """A binary file to write to, which replaces the file `f` at the end of the block; after an error `f` is unchanged.

    It is written in the folder of `f`, flushed to disk, and put in place by ``os.replace``: a reader of `f`, even after
    a kill or a power failure, gets all of the old file or all of the new one. If several processes write at once,
    the last to finish wins. The new file has the permissions of the old one, and its owner and group if the system allows it;
    other hard links keep the old content. A symbolic link is kept, and the file it points to is replaced. The folder must be
    writable.

    Anything without content to lose (a device, a pipe, ``/dev/stdout``, an object with ``write``) is written in place.

    A killed process may leave a file ``.<16 digits>.tmp`` in the folder, which nothing reads and which may be
    deleted. If the system supports unnamed files (Linux, on most file systems), this can happen only in the last instant.
    """
    if not isinstance(f, (str, os.PathLike)):
        if not callable(getattr(f, "write", None)):
            raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
        yield f
        return
    path = os.fsdecode(f)
    target = _replaceable(path)
    if target is None:
        try:
            with _Stream(io.FileIO(path, "wb")) as stream:
                yield stream
        except OSError as error:
            if error.errno in FULL:
                error.filename = path
            raise
        return
    with _replacement(path, target) as file:
        yield file


class _Stream(io.BufferedWriter):
    """A target written from the first byte to the last. Devices claim to be seekable and are not: /dev/null stays at 0."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation("a stream has no positions")


def rewrite(f: File, content: str | bytes) -> None:
    """Write the whole content of a file at once, text as UTF-8; see `replaced`."""
    with replaced(f) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def written_archive(file: Any) -> Iterator[zipfile.ZipFile]:
    """A zip archive written into an open file. After an error it is left unfinished, and the error propagates unchanged.

    ZipFile would still write the end of the archive, and raise any error of that: a ValueError in place of an interrupt.
    """
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
    try:
        yield archive
        archive.close()
    except BaseException:
        archive.fp = None  # marks it as closed
        raise


def _replaceable(path: str) -> str | None:
    """The path of the file, with links resolved; None for anything that cannot be replaced: devices, pipes, files given
    as descriptors.

    PermissionError for a file that is write-protected: replacing it would need only a writable folder.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        os.close(os.open(path, os.O_WRONLY))
    except FileNotFoundError:
        pass
    while True:
        folder, name = os.path.split(path)
        folder = os.path.realpath(folder)  # absolute, so that it stays the same if the process changes its working directory
        if not name or folder.startswith(("/proc/", "/dev/fd")):
            return None
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            return path
        path = os.path.join(folder, os.readlink(path))


@contextlib.contextmanager
def _replacement(path: str, target: str) -> Iterator[BinaryIO]:
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")  # of fixed length: the name may have the maximal length
    file: BinaryIO | None = None
    try:
        file, named = _opened_beside(target, temporary)
        yield file
        file.flush()
        os.fsync(file.fileno())
        if not named:
            _give_name(file, temporary)
        file.close()
        os.replace(temporary, target)
    except BaseException as error:
        if file is not None:
            with contextlib.suppress(OSError):  # it tries once more to write the rest
                file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and (error.filename in (temporary, folder) or error.errno in FULL):
            error.filename = path  # the user's name
            if error.filename2 is not None:
                del error.filename2
        raise
    _flush_folder(folder)


def _opened_beside(target: str, temporary: str) -> tuple[BinaryIO, bool]:
    """A new file in the folder of `target`, with its permissions; and whether it has the name `temporary`, or none yet."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        old = None
    mode = 0o666 if old is None else 0o600  # unreadable by others until it has the permissions of the old file
    descriptor = _unnamed(os.path.dirname(target), mode)
    named = descriptor is None
    if descriptor is None:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except PermissionError as error:
            error.strerror = f"{error.strerror}; files are replaced whole, so the folder must be writable"
            raise
    file = os.fdopen(descriptor, "wb")
    if old is not None and sys.platform != "win32":
        _take_permissions(descriptor, old)
    return file, named


def _unnamed(folder: str, mode: int) -> int | None:
    """The descriptor of a new file without a name on the file system of `folder`; None if that does not support them."""
    if UNNAMED and os.path.isdir("/proc/self/fd"):  # through which it gets its name
        with contextlib.suppress(OSError):
            return os.open(folder, UNNAMED | os.O_RDWR, mode)
    return None


def _take_permissions(descriptor: int, old: os.stat_result) -> None:
    """Copy owner, group and permissions of the old file as far as the system allows; a different group gains no permissions."""
    mode = stat.S_IMODE(old.st_mode)
    new = os.fstat(descriptor)
    if new.st_gid != old.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode = mode & ~0o2070 | (mode & 0o007) << 3
    if new.st_uid != old.st_uid:
        try:
            os.fchown(descriptor, old.st_uid, -1)
        except OSError:
            mode &= ~0o4000
    os.fchmod(descriptor, mode)


def _give_name(file: BinaryIO, temporary: str) -> None:
    descriptor = file.fileno()
    try:  # src_dir_fd, ignored for an absolute path, makes Python follow the link
        os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:  # some sandboxes forbid it
        os.lseek(descriptor, 0, os.SEEK_SET)
        with (
            open(os.dup(descriptor), "rb") as content,
            open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as copy,
        ):
            _take_permissions(copy.fileno(), os.fstat(descriptor))
            shutil.copyfileobj(content, copy, PIECE)
            copy.flush()
            os.fsync(copy.fileno())


def _flush_folder(folder: str) -> None:
    """Flush the new name to disk if folders can be flushed (not on Windows, nor on some network drives)."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


# ------------------------------------------------------------------------------------------------ reading


@contextlib.contextmanager
def readable(f: File) -> Iterator[BinaryIO]:
    """A seekable binary file: the file of that name, the object itself, or, if it is not seekable, a copy of its content."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            yield _seekable(file)
    elif not callable(getattr(f, "read", None)):
        raise TypeError(f"expected a path or a binary file, got {type(f).__name__}")
    elif isinstance(f.read(0), str):
        raise TypeError("expected a file opened in binary mode, got a text file")
    else:
        yield _seekable(f)


def _seekable(file: BinaryIO) -> BinaryIO:
    return file if hasattr(file, "seekable") and file.seekable() else io.BytesIO(file.read())


def size_from_here(file: BinaryIO) -> int:
    """The number of bytes after the current position of the file."""
    here = file.tell()
    file.seek(0, os.SEEK_END)
    end = file.tell()
    file.seek(here)
    return end - here


def read_into(file: Any, array: Array) -> int:
    """Fill a one-dimensional array with the next bytes; return their number."""
    view, filled = array.view("uint8").data, 0
    while filled < len(view):
        piece = file.read(min(PIECE, len(view) - filled))
        if not piece:
            break
        view[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


def name_of(f: File) -> str:
    """The name of a file in messages."""
    if isinstance(f, (str, os.PathLike)):
        return repr(os.fsdecode(f))
    name = getattr(f, "name", None)
    return repr(name) if isinstance(name, str) else f"<{type(f).__name__}>"
