"""Writing a checkpoint: assignment of pieces to ranks, and atomicity."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from mini_dl.distributed.checkpoint.filesystem import SUFFIX, FileSystemWriter
from mini_dl.distributed.checkpoint.metadata import (
    VERSION,
    BytesStorageMetadata,
    CheckpointException,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
    _StorageInfo,
)
from mini_dl.distributed.checkpoint.nesting import flattened
from mini_dl.distributed.groups import ProcessGroup, get_rank, get_world_size, is_initialized
from mini_dl.distributed.mpi import is_available
from mini_dl.distributed.objects import all_gather_object
from mini_dl.distributed.sharding import DTensor
from mini_dl.files.pt.writing import write_pt
from mini_dl.tensor import Size, Tensor
from mini_dl.utils._pytree import tree_map


class Piece(NamedTuple):
    """A unit that one process could write: an object, a tensor, or some rows of one."""

    name: str
    bytes: int
    offsets: tuple[int, ...] | None = None
    sizes: tuple[int, ...] = ()
    size: tuple[int, ...] = ()
    dtype: Any = None


def storage_of(name: str, kind: Callable[[Any], Any], given: Any, folder: str | os.PathLike[str] | None, planner: object) -> Any:
    """What writes or reads a checkpoint: what is given, or else files in `folder`."""
    if planner is not None:
        raise NotImplementedError("mini_dl's checkpoints have no planners")
    if given is None and folder is None:
        raise ValueError(f"Checkpoint needs a checkpoint_id (a folder) or a {name}")
    storage = given or kind(folder)
    storage.reset(folder)
    return storage


def save(
    state_dict: dict[str, Any], *, checkpoint_id: str | os.PathLike[str] | None = None, storage_writer: object = None,
    planner: object = None, process_group: ProcessGroup | None = None, no_dist: bool = False, use_collectives: bool = True,
) -> Metadata:  # fmt: skip
    """Write `state_dict`, of which each process has a part, to the folder `checkpoint_id`; all processes must call this.

    Of a `DTensor` each process writes its rows; values that all processes have are divided among them. Objects with
    ``state_dict`` are saved by it. Whatever happens, the folder holds all of the previous checkpoint or all of this one.

    CheckpointException in all processes if one of them fails. ValueError without a destination.
    """
    writer = storage_of("storage_writer", FileSystemWriter, storage_writer, checkpoint_id, planner)
    ranks = _Ranks(process_group, no_dist)
    asked = {key: value.state_dict() if is_stateful(value) else value for key, value in state_dict.items()}
    values, paths = flattened(asked)
    number = ranks.together("write", lambda: writer.prepare() if ranks.rank == 0 else 0)[0]
    pieces = ranks.together("write", lambda: [_piece(name, value) for name, value in values.items()])
    owners = _owners(pieces)
    mine = [piece for piece in pieces[ranks.rank] if owners.get((piece.name, piece.offsets)) == ranks.rank]
    file = f"__{ranks.rank}_{number}{SUFFIX}"
    try:
        written = ranks.together("write", lambda: _write(writer, file, mine, values))
        files = {f"__{rank}_{number}{SUFFIX}" for rank, places in enumerate(written) if places}
        metadata = _metadata(pieces, paths, written, writer.path)
        ranks.together("write", lambda: writer.finish(metadata, files) if ranks.rank == 0 else None)
    except BaseException:
        writer.discard({file})
        raise
    return metadata


def save_state_dict(
    state_dict: dict[str, Any], storage_writer: object, process_group: ProcessGroup | None = None,
    coordinator_rank: int = 0, no_dist: bool = False, planner: object = None,
) -> Metadata:  # fmt: skip
    """`save` under its old name."""
    return save(state_dict, storage_writer=storage_writer, process_group=process_group, no_dist=no_dist, planner=planner)


def async_save(state_dict: dict[str, Any], *, checkpoint_id: Any = None, **options: Any) -> Future[Any]:
    """`save` the current values; return a future of its completion.

    It is written before this returns, unless this process is alone: then a thread writes a copy.
    """
    if options.get("no_dist") or not is_initialized():
        asked = {key: value.state_dict() if is_stateful(value) else value for key, value in state_dict.items()}
        copy = tree_map(lambda value: value.detach().clone() if isinstance(value, Tensor) else value, asked)
        pool = ThreadPoolExecutor(1)
        future = pool.submit(save, copy, checkpoint_id=checkpoint_id, **options)
        pool.shutdown(wait=False)
        return future
    done: Future[Any] = Future()
    done.set_result(save(state_dict, checkpoint_id=checkpoint_id, **options))
    return done


def is_stateful(value: object) -> bool:
    """Whether an object has ``state_dict`` and ``load_state_dict``."""
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


class _Ranks:
    """The processes that write or read together."""

    def __init__(self, group: ProcessGroup | None, alone: bool) -> None:
        self.several = not alone and is_available() and is_initialized()
        self.group, self.rank = group, get_rank(group) if self.several else 0

    def together(self, doing: str, step: Any) -> list[Any]:
        """The result of `step` on each rank. CheckpointException on all ranks if it fails on one."""
        error: Exception | None = None
        result = None
        try:
            result = step()
        except Exception as raised:
            error = raised
        found: list[Any] = [(result, error)]
        if self.several:
            found = [None] * get_world_size(self.group)
            all_gather_object(found, (result, error), group=self.group)
        failures = {rank: failed for rank, (_, failed) in enumerate(found) if failed is not None}
        if failures:
            raise CheckpointException(f"could not {doing} the checkpoint", failures) from error
        return [result for result, _ in found]


def _piece(name: str, value: object) -> Piece:
    if isinstance(value, DTensor):
        rows = value.rows
        return Piece(name, value.numel() * value.element_size(), rows.offsets, rows.local_size, rows.size, value.dtype)
    if isinstance(value, Tensor):
        size = tuple(value.shape)
        return Piece(name, value.numel() * value.element_size(), (0,) * len(size), size, size, value.dtype)
    return Piece(name, 0)


def _owners(pieces: list[list[Piece]]) -> dict[tuple[str, tuple[int, ...] | None], int]:
    """Which rank writes each piece: of those that have it, the one with the fewest bytes so far. Rank 0 writes objects
    other than tensors. Empty row ranges are not written."""
    holders: dict[tuple[str, tuple[int, ...] | None], list[int]] = {}
    bytes_of: dict[tuple[str, tuple[int, ...] | None], int] = {}
    for rank, own in enumerate(pieces):
        for piece in own:
            if piece.sizes != piece.size and 0 in piece.sizes:
                continue
            holders.setdefault((piece.name, piece.offsets), []).append(rank)
            bytes_of[piece.name, piece.offsets] = piece.bytes
    load = [0] * len(pieces)
    owners = {}
    for key, ranks in holders.items():
        owner = ranks[0] if key[1] is None else min(ranks, key=lambda rank: (load[rank], rank))
        owners[key] = owner
        load[owner] += bytes_of[key]
    return owners


def _write(writer: Any, file: str, mine: list[Piece], values: dict[str, Any]) -> list[tuple[Piece, tuple[str, int, int]]]:
    """Write this process's pieces to one file; return the location of each."""
    places, contents, at = [], [], 0
    for piece in mine:
        value = values[piece.name]
        if isinstance(value, DTensor):
            value = value.to_local()
        buffer = io.BytesIO()
        write_pt(value.detach().contiguous() if isinstance(value, Tensor) else value, buffer)
        contents.append(buffer.getbuffer())
        places.append((piece, (file, at, len(contents[-1]))))
        at += len(contents[-1])
    if places:
        writer.write(file, contents)
    return places


def _metadata(pieces: list[list[Piece]], paths: dict[str, Any], written: list[Any], folder: str) -> Metadata:
    described: dict[str, Any] = {}
    stored: dict[Any, _StorageInfo] = {}
    for places in written:
        for piece, (file, at, length) in places:
            if piece.offsets is None:
                described[piece.name] = BytesStorageMetadata()
                stored[MetadataIndex(piece.name)] = _StorageInfo(file, at, length)
                continue
            properties = TensorProperties(dtype=piece.dtype)
            one = described.setdefault(piece.name, TensorStorageMetadata(properties, Size(piece.size), []))
            stored[MetadataIndex(piece.name, piece.offsets, len(one.chunks))] = _StorageInfo(file, at, length)
            one.chunks.append(ChunkStorageMetadata(Size(piece.offsets), Size(piece.sizes)))
    return Metadata(described, paths, stored, StorageMeta(folder, str(uuid.uuid4())), VERSION)
