"""Conversion between sharded checkpoints and files of ``torch.save``, in one process."""

from __future__ import annotations

import itertools
import os
from typing import Any

from mini_dl.distributed.checkpoint.filesystem import FileSystemReader
from mini_dl.distributed.checkpoint.loading import load
from mini_dl.distributed.checkpoint.metadata import TensorStorageMetadata
from mini_dl.distributed.checkpoint.saving import save
from mini_dl.ops.creation import empty
from mini_dl.serialization import load as load_file, save as save_file

Path = str | os.PathLike[str]


def dcp_to_torch_save(dcp_checkpoint_dir: Path, torch_save_path: Path) -> None:
    """Write the contents of a folder, with whole tensors, to one .pt file."""
    metadata = FileSystemReader(dcp_checkpoint_dir).read_metadata()
    whole: dict[str, Any] = {}
    for name, described in metadata.state_dict_metadata.items():
        value = empty(described.size, dtype=described.properties.dtype) if isinstance(described, TensorStorageMetadata) else None
        _place(whole, metadata.planner_data[name], value)
    load(whole, checkpoint_id=dcp_checkpoint_dir, no_dist=True)
    save_file(whole, torch_save_path)


def torch_save_to_dcp(torch_save_path: Path, dcp_checkpoint_dir: Path) -> None:
    """Write the contents of a .pt file to a folder."""
    save(load_file(torch_save_path), checkpoint_id=dcp_checkpoint_dir, no_dist=True)


def _place(container: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put `value` at `path`; missing dicts and lists are created."""
    for key, following in itertools.pairwise(path):
        made: Any = [] if isinstance(following, int) else {}
        if isinstance(container, list):
            if len(container) <= key:
                container.append(made)
            container = container[key]
        else:
            container = container.setdefault(key, made)
    if isinstance(container, list):
        container.append(value)
    else:
        container[path[-1]] = value
