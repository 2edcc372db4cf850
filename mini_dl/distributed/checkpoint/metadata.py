"""The metadata of a checkpoint: names, types, sizes, and the location of each piece."""

from __future__ import annotations

import enum
import os
import pathlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mini_dl._device import contiguous_format, strided
from mini_dl._dtypes import dtype as DType, float32
from mini_dl.files.pt.names import NAMES
from mini_dl.files.pt.writing import write_pickle
from mini_dl.tensor import Size

VERSION = "1.0.0"


class CheckpointException(BaseException):
    """Errors while processes wrote or read a checkpoint; `failures` are the errors by rank."""

    def __init__(self, msg: str, failures: dict[int, BaseException]) -> None:
        super().__init__(msg, failures)
        self.message, self.failures = msg, failures

    def __str__(self) -> str:
        lines = [f"rank {rank}: {type(error).__name__}: {error}" for rank, error in sorted(self.failures.items())]
        return "\n".join([f"{self.message}, ranks {sorted(self.failures)}", *lines])


@dataclass
class ChunkStorageMetadata:
    """A piece of a tensor: its offsets and sizes."""

    offsets: Size
    sizes: Size


class _MEM_FORMAT_ENCODING(enum.Enum):
    TORCH_CONTIGUOUS_FORMAT = 0
    TORCH_CHANNELS_LAST = 1
    TORCH_PRESERVE_FORMAT = 2


@dataclass
class TensorProperties:
    """The type of a tensor."""

    dtype: DType = float32
    layout: Any = strided
    requires_grad: bool = False
    memory_format: Any = contiguous_format
    pin_memory: bool = False

    def __getstate__(self) -> tuple[Any, ...]:
        return self.dtype, self.layout, self.requires_grad, _MEM_FORMAT_ENCODING.TORCH_CONTIGUOUS_FORMAT, self.pin_memory

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype, self.layout, self.requires_grad, _, self.pin_memory = state
        self.memory_format = contiguous_format


@dataclass
class TensorStorageMetadata:
    """A tensor of shape `size`, in pieces."""

    properties: TensorProperties
    size: Size
    chunks: list[ChunkStorageMetadata]


@dataclass
class BytesStorageMetadata:
    """An object that is not a tensor."""


@dataclass
class StorageMeta:
    """The location of a checkpoint."""

    checkpoint_id: Any = None
    save_id: str | None = None
    load_id: str | None = None
    modules: list[str] = field(default_factory=list)


@dataclass
class Metadata:
    """The whole contents: `state_dict_metadata` by name, `planner_data` the path to each in the nested dict, `storage_data` the
    location of each piece."""

    state_dict_metadata: dict[str, TensorStorageMetadata | BytesStorageMetadata]
    planner_data: Any = None
    storage_data: Any = None
    storage_meta: StorageMeta | None = None
    version: str | None = None


@dataclass(frozen=True)
class MetadataIndex:
    """The name of a piece: its tensor's name and its offsets."""

    fqn: str
    offset: Size | None = None
    index: int | None = field(hash=False, compare=False, default=None)

    def __init__(self, fqn: str, offset: Sequence[int] | None = None, index: int | None = None) -> None:
        object.__setattr__(self, "fqn", fqn)
        object.__setattr__(self, "index", index)
        object.__setattr__(self, "offset", None if offset is None else Size(offset))


@dataclass
class _StorageInfo:
    """The bytes ``offset:offset + length`` of a file."""

    relative_path: str
    offset: int
    length: int
    transform_descriptors: Sequence[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if value is not None}


_StorageInfo.__module__ = "mini_dl.distributed.checkpoint.filesystem"

MADE_HERE = {
    f"torch.distributed.checkpoint.{'filesystem' if kind is _StorageInfo else 'metadata'}.{kind.__name__}": kind
    for kind in (
        ChunkStorageMetadata,
        _MEM_FORMAT_ENCODING,
        TensorProperties,
        TensorStorageMetadata,
        BytesStorageMetadata,
        StorageMeta,
        Metadata,
        MetadataIndex,
        _StorageInfo,
    )
}


class _Reader(pickle.Unpickler):
    """Reads the classes above, torch's types, and paths; nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if path in MADE_HERE:
            return MADE_HERE[path]
        if module.split(".")[0] == "pathlib":
            return pathlib.PurePosixPath if "Posix" in name else pathlib.PureWindowsPath
        return NAMES.named(module, name)


def read_metadata(file: BinaryIO) -> Metadata:
    """The contents of ``.metadata``. UnpicklingError for anything else."""
    found = _Reader(file).load()
    if not isinstance(found, Metadata):
        raise pickle.UnpicklingError(
            f"{os.fspath(getattr(file, 'name', '.metadata'))} does not hold the metadata of a checkpoint"
        )
    return found


def write_metadata(metadata: Metadata, file: BinaryIO) -> None:
    """Write `metadata` so that torch reads it."""
    write_pickle(metadata, file)
