"""Reading a checkpoint: each process reads what it needs, however it was sharded when written."""

from __future__ import annotations

import os
from typing import Any

from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.checkpoint.filesystem import FileSystemReader
from mini_dl.distributed.checkpoint.metadata import Metadata, MetadataIndex, TensorStorageMetadata
from mini_dl.distributed.checkpoint.nesting import flattened, put
from mini_dl.distributed.checkpoint.saving import _Ranks, is_stateful, storage_of
from mini_dl.distributed.groups import ProcessGroup
from mini_dl.distributed.sharding import DTensor
from mini_dl.files.pt.reading import read_pt
from mini_dl.tensor import Tensor


def load(
    state_dict: dict[str, Any], *, checkpoint_id: str | os.PathLike[str] | None = None, storage_reader: object = None,
    planner: object = None, process_group: ProcessGroup | None = None, no_dist: bool = False,
) -> None:  # fmt: skip
    """Fill `state_dict` from the folder `checkpoint_id`: tensors in place, other objects replaced by those written.

    The number of processes may differ from that which wrote it: of a `DTensor`, each process reads its own rows. Objects with
    ``load_state_dict`` are given their state. Other objects are read as by ``torch.load(weights_only=True)``.

    CheckpointException in all processes if a name is missing (RuntimeError inside), a shape differs (ValueError), or a
    file cannot be read.
    """
    reader = storage_of("storage_reader", FileSystemReader, storage_reader, checkpoint_id, planner)
    asked = {key: value.state_dict() if is_stateful(value) else value for key, value in state_dict.items()}
    _Ranks(process_group, no_dist).together("read", lambda: _fill(asked, reader))
    for key, value in state_dict.items():
        if is_stateful(value):
            value.load_state_dict(asked[key])
        else:
            state_dict[key] = asked[key]


def load_state_dict(
    state_dict: dict[str, Any], storage_reader: object, process_group: ProcessGroup | None = None,
    coordinator_rank: int = 0, no_dist: bool = False, planner: object = None,
) -> None:  # fmt: skip
    """`load` under its old name."""
    load(state_dict, storage_reader=storage_reader, process_group=process_group, no_dist=no_dist, planner=planner)


@no_grad()
def _fill(state_dict: dict[str, Any], reader: Any) -> None:
    metadata: Metadata = reader.read_metadata()
    values, paths = flattened(state_dict)
    _check(values, metadata)
    for name, value in values.items():
        described = metadata.state_dict_metadata[name]
        if isinstance(described, TensorStorageMetadata):
            for chunk in described.chunks:
                _copy_overlap(name, value, chunk, reader, metadata)
        else:
            put(state_dict, paths[name], _read(reader, metadata, MetadataIndex(name)))


def _check(values: dict[str, Any], metadata: Metadata) -> None:
    """RuntimeError for a missing name, ValueError for another shape, before anything is written."""
    for name, value in values.items():
        described = metadata.state_dict_metadata.get(name)
        if described is None:
            raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
        if isinstance(described, TensorStorageMetadata) != isinstance(value, Tensor):
            raise ValueError(
                f"{name} is {'' if isinstance(described, TensorStorageMetadata) else 'not '}a tensor in the checkpoint"
            )
        if isinstance(described, TensorStorageMetadata):
            size = value.rows.size if isinstance(value, DTensor) else tuple(value.shape)
            if tuple(described.size) != size:
                raise ValueError(f"Size mismatch between saved {tuple(described.size)} and current: {size} for {name}")


def _copy_overlap(name: str, value: Tensor, chunk: Any, reader: Any, metadata: Metadata) -> None:
    """Copy the intersection of a piece in a file and the local elements."""
    here = value.rows.offsets if isinstance(value, DTensor) else (0,) * value.ndim
    source, target = [], []
    for dim, (start, size) in enumerate(zip(chunk.offsets, chunk.sizes)):
        begin, end = max(start, here[dim]), min(start + size, here[dim] + value.shape[dim])
        if begin >= end:
            return
        source.append(slice(begin - start, end - start))
        target.append(slice(begin - here[dim], end - here[dim]))
    piece = _read(reader, metadata, MetadataIndex(name, chunk.offsets))
    local = value.to_local() if isinstance(value, DTensor) else value.detach()
    local[tuple(target)].copy_(piece[tuple(source)])


def _read(reader: Any, metadata: Metadata, index: MetadataIndex) -> Any:
    info = metadata.storage_data[index]
    return read_pt(reader.read(info.relative_path, info.offset, info.length), "cpu", path=info.relative_path)
