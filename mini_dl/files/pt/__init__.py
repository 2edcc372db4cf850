"""torch's .pt files.

A .pt file is a zip archive: ``data.pkl`` pickles the object, tensors as (storage, offset, size, stride); ``data/<key>`` holds
the bytes of a storage, which several tensors may share. This library and torch read each other's files.
"""

from mini_dl.files.pt import settings
from mini_dl.files.pt.archive import Archive, is_archive
from mini_dl.files.pt.errors import FileError
from mini_dl.files.pt.locations import default_restore_location, location_tag, register_package
from mini_dl.files.pt.names import KNOWN, NAMES, RESULTS, named_result
from mini_dl.files.pt.reading import read_pt
from mini_dl.files.pt.storages import StorageType, TypedStorage
from mini_dl.files.pt.torch_names import paths_of
from mini_dl.files.pt.unpickler import globals_named
from mini_dl.files.pt.writing import write_pt

__all__ = [
    "KNOWN",
    "NAMES",
    "RESULTS",
    "Archive",
    "FileError",
    "StorageType",
    "TypedStorage",
    "default_restore_location",
    "globals_named",
    "is_archive",
    "location_tag",
    "named_result",
    "paths_of",
    "read_pt",
    "register_package",
    "settings",
    "write_pt",
]
