"""The files of a checkpoint, and how the next one replaces them."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any

from mini_dl.distributed.checkpoint.metadata import Metadata, _StorageInfo as _StorageInfo, read_metadata, write_metadata
from mini_dl.files.replacing import replaced

SUFFIX = ".distcp"
METADATA = ".metadata"


class FileSystemWriter:
    """Writes to the folder `path`, which is created if needed. ``overwrite=False`` refuses a folder with a checkpoint."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        single_file_per_rank: bool = True,
        sync_files: bool = True,
        thread_count: int = 1,
        per_thread_copy_ahead: int = 10_000_000,
        cache_staged_state_dict: bool = False,
        overwrite: bool = True,
        **options: object,
    ) -> None:
        self.path, self.overwrite = os.fspath(path), overwrite

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Switch to another folder."""
        self.path = self.path if checkpoint_id is None else os.fspath(checkpoint_id)

    def prepare(self) -> int:
        """Create the folder. Return an unused number for the file names of the next checkpoint."""
        os.makedirs(self.path, exist_ok=True)
        if not self.overwrite and os.path.exists(os.path.join(self.path, METADATA)):
            raise RuntimeError(f"Checkpoint already exists and self.overwrite=False: {self.path}")
        return 1 + max([_number(name) for name in os.listdir(self.path)], default=-1)

    def write(self, name: str, content: Any) -> None:
        """Write one file atomically."""
        with replaced(os.path.join(self.path, name)) as file:
            for part in content:
                file.write(part)

    def finish(self, metadata: Metadata, kept: set[str]) -> None:
        """Make `metadata` the contents of the folder, then delete the files of the previous checkpoint."""
        with replaced(os.path.join(self.path, METADATA)) as file:
            write_metadata(metadata, file)
        self.discard({name for name in os.listdir(self.path) if name.endswith(SUFFIX)} - kept)

    def discard(self, names: set[str]) -> None:
        """Delete files."""
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.path, name))


class FileSystemReader:
    """Reads from the folder `path`."""

    def __init__(self, path: str | os.PathLike[str], **options: object) -> None:
        self.path = os.fspath(path)

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Switch to another folder."""
        self.path = self.path if checkpoint_id is None else os.fspath(checkpoint_id)

    def read_metadata(self) -> Metadata:
        """The contents of the folder. FileNotFoundError if it has no checkpoint."""
        with open(os.path.join(self.path, METADATA), "rb") as file:
            return read_metadata(file)

    def read(self, name: str, offset: int, length: int) -> io.BytesIO:
        """Some bytes of one file. EOFError if it has fewer."""
        with open(os.path.join(self.path, name), "rb") as file:
            file.seek(offset)
            content = file.read(length)
        if len(content) < length:
            raise EOFError(f"{os.path.join(self.path, name)} has {len(content)} of the {length} bytes that begin at {offset}")
        return io.BytesIO(content)


def _number(name: str) -> int:
    """The number of the checkpoint in the name of a file ``__rank_number.distcp``, -1 for other names."""
    parts = name.removesuffix(SUFFIX).split("_")
    return int(parts[-1]) if name.endswith(SUFFIX) and parts[-1].isdigit() else -1
