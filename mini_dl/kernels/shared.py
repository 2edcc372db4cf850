"""Memory shared by several processes: bytes in a memory file that usually has no name.

Without a name it is freed when the last process that holds it ends, however it ends. It is sent to another process as an open
file. With a name (strategy ``file_system``) it is sent as that name: no file has to stay open, but a killed process may leave it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import threading
import weakref
from typing import Any

import numpy as np

from mini_dl._dtypes import Array

DESCRIPTOR, FILE = "file_descriptor", "file_system"
STRATEGIES = {FILE} if sys.platform in ("darwin", "win32") else {DESCRIPTOR, FILE}
if os.path.isdir("/dev/shm"):
    FOLDER = "/dev/shm"
else:
    import tempfile

    FOLDER = tempfile.gettempdir()


class Strategy:
    current = DESCRIPTOR if DESCRIPTOR in STRATEGIES else FILE


class SharedBytes(np.ndarray[Any, Any]):
    """The bytes of shared memory. `descriptor` is its open file; or `path` is its name."""

    descriptor: int | None = None
    path: str | None = None

    def __reduce__(self) -> Any:  # outside of multiprocessing, its contents are pickled
        return np.array(self).__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.array(self).__reduce_ex__(protocol)


_known: weakref.WeakValueDictionary[Any, SharedBytes] = weakref.WeakValueDictionary()
"""By device and inode: memory that arrives a second time is the same."""
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def shared_root(array: Array) -> SharedBytes | None:
    """The shared memory of `array`; None if its memory belongs to this process alone."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, SharedBytes) and (owner.descriptor is not None or owner.path is not None):
            return owner
        owner = owner.base
    return None


def new_shared(nbytes: int) -> SharedBytes:
    """Shared memory of zeros, by the current strategy."""
    size = max(1, nbytes)  # an empty file cannot be mapped
    path, descriptor = _named() if Strategy.current == FILE else (None, _unnamed())
    try:
        os.ftruncate(descriptor, size)
        return _mapped(descriptor, size, path)
    except BaseException:
        os.close(descriptor)
        if path is not None:
            os.unlink(path)
        raise


def attach_descriptor(descriptor: int, size: int) -> SharedBytes:
    """The memory of an open file, which this function now owns."""
    return _mapped(descriptor, size, None)


def attach_path(path: str, size: int) -> SharedBytes:
    """The memory of this name."""
    return _mapped(os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0)), size, path)


def _named() -> tuple[str, int]:
    path = os.path.join(FOLDER, f"torch_{os.getpid()}_{os.urandom(6).hex()}")
    return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def _unnamed() -> int:
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.memfd_create("mini_dl", os.MFD_CLOEXEC)
    path, descriptor = _named()
    os.unlink(path)
    return descriptor


def _mapped(descriptor: int, size: int, path: str | None) -> SharedBytes:
    with _lock:
        status = os.fstat(descriptor)
        key = path or (status.st_dev, status.st_ino)
        known = _known.get(key)
        if known is not None:
            os.close(descriptor)
            return known
        made = SharedBytes((size,), np.uint8, mmap.mmap(descriptor, size))
        if path is None:
            made.descriptor = descriptor
            weakref.finalize(made, os.close, descriptor).atexit = False
        else:
            os.close(descriptor)
            made.path = path
            _hold(path, 1)
            weakref.finalize(made, _release, path, os.getpid())
        _known[key] = made
        return made


# ------------------------------------------------------------------------------------------------ names


def hold(memory: SharedBytes) -> None:
    """Keep a name until the process to which it is sent has taken the memory."""
    assert memory.path is not None
    _hold(memory.path, 1)


def taken(path: str) -> None:
    """The counterpart of `hold` in the receiving process."""
    _hold(path, -1)


def _hold(path: str, change: int) -> None:
    """Count the processes and messages that need a name, in a file next to it; remove both with the last one."""
    count_path = path + ".count"
    descriptor = os.open(count_path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _lock_file(descriptor)
        count = int(os.read(descriptor, 20) or b"0") + change
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(count).encode())
    finally:
        os.close(descriptor)  # this unlocks it
    if count <= 0:
        for name in (path, count_path):
            with contextlib.suppress(OSError):
                os.unlink(name)


def _release(path: str, process: int) -> None:
    if os.getpid() == process and os.path.exists(path):  # a forked child has the memory of its parent, not its claim
        _hold(path, -1)


def _lock_file(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)


if sys.platform != "win32":
    import fcntl
