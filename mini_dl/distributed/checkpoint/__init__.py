"""Sharded checkpoints, of which each process writes and reads its own part: the format of ``torch.distributed.checkpoint``.

A folder holds ``.metadata``, which lists the contents and their locations, and a file for each process. A checkpoint is replaced
atomically: new files get new names, then ``.metadata`` is replaced, then the old files are deleted.
"""

from mini_dl.distributed.checkpoint.filesystem import FileSystemReader as FileSystemReader, FileSystemWriter as FileSystemWriter
from mini_dl.distributed.checkpoint.loading import load as load, load_state_dict as load_state_dict
from mini_dl.distributed.checkpoint.metadata import (
    BytesStorageMetadata as BytesStorageMetadata,
    CheckpointException as CheckpointException,
    ChunkStorageMetadata as ChunkStorageMetadata,
    Metadata as Metadata,
    TensorStorageMetadata as TensorStorageMetadata,
)
from mini_dl.distributed.checkpoint.saving import async_save as async_save, save as save, save_state_dict as save_state_dict
