"""Saving and loading: torch's .pt files, and dictionaries of tensors as .npz and .safetensors."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import warnings
from typing import Any

from mini_dl._device import require_cpu
from mini_dl._leaving import Block
from mini_dl._surface import function
from mini_dl.files.npz import load_npz, save_npz
from mini_dl.files.pt import (
    KNOWN,
    NAMES,
    RESULTS,
    Archive,
    FileError,
    StorageType,
    TypedStorage,
    default_restore_location,
    globals_named,
    is_archive,
    location_tag,
    named_result,
    paths_of,
    read_pt,
    register_package,
    settings,
    write_pt,
)
from mini_dl.files.pt.settings import (
    LoadEndianness,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from mini_dl.files.replacing import File, replaced
from mini_dl.files.safetensors import load_safetensors, save_safetensors

__all__ = [
    "FileError",
    "LoadEndianness",
    "StorageType",
    "TypedStorage",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "load_npz",
    "load_safetensors",
    "location_tag",
    "register_package",
    "safe_globals",
    "save",
    "save_npz",
    "save_safetensors",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]

# ------------------------------------------------------------------------------------------------ .pt


@function()
def save(
    obj: object,
    f: File,
    pickle_module: object = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write `obj`, with its tensors, to a .pt file that torch can read. Tensors that share memory still do when loaded.

    A file is replaced atomically: after an error, a full disk or a kill, the old one still exists.

    Raises: RuntimeError for tensors that view the same memory as different types; AttributeError if `f` is not a name and has no
    ``write``.

    >>> import io
    >>> file = io.BytesIO()
    >>> torch.save({"weight": torch.ones(2)}, file)
    >>> _ = file.seek(0); torch.load(file)
    {'weight': tensor([1., 1.])}
    """
    name = os.path.splitext(os.path.basename(os.fsdecode(f)))[0] if isinstance(f, (str, os.PathLike)) else ""
    with replaced(f) as file:
        write_pt(
            obj,
            file,
            name=name if name and name.isascii() else "archive",  # as in torch: not every file name can name records
            protocol=pickle_protocol,
            byteorder=not _disable_byteorder_record,
            archive=_use_new_zipfile_serialization,
        )


@function()
def load(
    f: File,
    map_location: Any = None,
    pickle_module: object = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: object,
) -> Any:
    """Read a .pt file written by `save` or torch. All tensors are placed on the CPU.

    Unless `weights_only` is False, or a `pickle_module` is given, a file may only name tensors, their types and plain
    containers (`add_safe_globals` adds names): a pickle can run any code, so allow more only if you trust the source of
    the file. `mmap` reads the tensors of a file, given by its name, when they are accessed. `encoding` is for Python 2's byte
    strings. Without its package, bfloat16 becomes float32, with a warning.

    Raises: FileError, an UnpicklingError, for a name that is not allowed and for any file that is damaged or in another format.
    If torch raises a RuntimeError or an EOFError for such a file, it is one of these as well.

    >>> import io
    >>> file = io.BytesIO()
    >>> torch.save([torch.ones(2), "notes"], file)
    >>> _ = file.seek(0); torch.load(file)
    [tensor([1., 1.]), 'notes']
    """
    weights_only = _weights_only(weights_only, pickle_module)
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if weights_only and pickle_load_args:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    for name in pickle_load_args if weights_only else ():
        if name != "encoding":
            raise TypeError(f"load() got an unexpected keyword argument {name!r}")
    path = os.fspath(f) if isinstance(f, (str, os.PathLike)) else None
    if path is not None and path.endswith(".safetensors"):
        if isinstance(map_location, dict) or callable(map_location):
            raise RuntimeError("Loading safetensors file with a dict or callable map_location is not supported")
        require_cpu(map_location)
        return load_safetensors(path)
    mmap = settings.load.mmap if mmap is None else mmap
    if mmap and path is None:
        raise ValueError("f must be a file path in order to use the mmap argument")
    with _readable(f) as file:
        module = None if weights_only else pickle_module or pickle
        return read_pt(file, map_location, pickle_module=module, path=path, mapped=bool(mmap), **pickle_load_args)


def _weights_only(asked: bool | None, pickle_module: object) -> bool:
    """The setting of the call, or of the environment, for users of other people's programs, as in torch."""
    always, never = (
        os.environ.get(f"TORCH_FORCE_{name}", "0").lower() in ("1", "y", "yes", "true")
        for name in ("WEIGHTS_ONLY_LOAD", "NO_WEIGHTS_ONLY_LOAD")
    )
    if always and never:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` should be set, but both were set."
        )
    if always:
        return True
    if asked is None and never:
        warnings.warn(
            "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the `weights_only` argument was not "
            "explicitly passed to `torch.load`, forcing weights_only=False.",
            stacklevel=3,
        )
        return False
    return pickle_module is None if asked is None else asked


def _readable(f: Any) -> Any:
    """The file, opened if necessary. If it is not seekable, its own error is raised."""
    if not isinstance(f, (str, os.PathLike)):
        try:
            f.seek(f.tell())
        except (io.UnsupportedOperation, AttributeError) as error:
            if "seek" not in str(error) and "tell" not in str(error):
                raise
            raise type(error)(
                f"{error}. You can only torch.load from a file that is seekable. Please pre-load the data into a buffer like "
                "io.BytesIO and try to load from it instead."
            ) from None
        return contextlib.nullcontext(f)
    return open(f, "rb")


_safe: dict[Any, dict[str, Any]] = {}
"""For each allowed object, the names under which it is allowed."""


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let files name these functions and classes or, as pairs (object, name), these objects under that name.

    Objects of this library are allowed under torch's name too. ValueError or TypeError for a malformed pair.
    """
    for item in safe_globals:
        if not isinstance(item, tuple):
            is_result = item.__module__ == RESULTS
            _safe[item] = dict.fromkeys(paths_of(item), named_result(item) if is_result else item)
            continue
        if len(item) != 2:
            raise ValueError(
                f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: {len(item)}"
            )
        if type(item[1]) is not str:
            raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(item[1])}")
        _safe[item] = {item[1]: item[0]}
    _allow()


def _allow() -> None:
    NAMES.allowed = {path: value for paths in _safe.values() for path, value in paths.items()}


def get_safe_globals() -> list[Any]:
    """What was added."""
    return list(_safe)


def clear_safe_globals() -> None:
    """Remove all added names."""
    _safe.clear()
    _allow()


class safe_globals(Block):
    """Allow these names within a block."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.safe_globals = safe_globals

    def _state(self) -> None:
        """On exit, its names are no longer allowed, even if they were before, as in torch."""

    def _change(self, before: None) -> None:
        add_safe_globals(self.safe_globals)

    def _put_back(self, before: None) -> None:
        for item in self.safe_globals:
            _safe.pop(item, None)
        _allow()


def get_unsafe_globals_in_checkpoint(f: File) -> list[str]:
    """The names in a .pt file that `load` does not allow, found without reading the objects.

    ValueError if it is not a zip archive that `save` or torch wrote.
    """
    with _readable(f) as file:
        if not is_archive(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        archive = Archive(file)
        if "constants.pkl" in archive:
            raise ValueError("Expected input to be a checkpoint returned by torch.save but got a torchscript checkpoint")
        return sorted(globals_named(io.BytesIO(archive.read("data.pkl"))) - set(KNOWN) - set(NAMES.allowed))
