"""Saving and loading: torch's .pt files, and dictionaries of tensors as .npz and .safetensors."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from mini_dl._device import require_cpu
from mini_dl._dtypes import Array
from mini_dl._pt import (
    KNOWN,
    NAMES,
    Archive,
    FileError,
    StorageType,
    TypedStorage,
    from_bfloat16,
    globals_named,
    is_archive,
    read_pt,
    write_pt,
)
from mini_dl._surface import public
from mini_dl.tensor import Tensor, wrap

__all__ = [
    "FileError",
    "StorageType",
    "TypedStorage",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "load_npz",
    "load_safetensors",
    "safe_globals",
    "save",
    "save_npz",
    "save_safetensors",
]

File = str | os.PathLike[str] | BinaryIO

# ------------------------------------------------------------------------------------------------ .pt


@public("torch")
def save(
    obj: Any,
    f: File,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write `obj`, tensors and all, to a .pt file that torch can read. Tensors that look into one memory still do when loaded.

    RuntimeError for tensors that see one memory as different types. AttributeError if `f` is neither a name nor has ``write``.
    """
    is_path = isinstance(f, (str, os.PathLike))
    if not is_path and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    name = os.path.splitext(os.path.basename(os.fspath(f)))[0] if isinstance(f, (str, os.PathLike)) else ""
    with _opened(f, "wb") as file:
        write_pt(
            obj,
            file,
            name=name or "archive",
            protocol=pickle_protocol,
            byteorder=not _disable_byteorder_record,
            archive=_use_new_zipfile_serialization,
        )


@public("torch")
def load(
    f: File,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save`, or torch, wrote to a .pt file. All tensors come to the CPU, wherever they were.

    Unless `weights_only` is False, or a `pickle_module` is given, a file may name nothing but tensors, their types and plain
    containers (`add_safe_globals` adds names): a pickle can run any code, so trust whoever wrote a file before you allow more.
    `mmap` reads the tensors of a file, given by its name, when they are looked at. `encoding` is that of byte strings of
    Python 2. bfloat16 becomes float32 and sparse tensors become dense, with a warning.

    FileError, an UnpicklingError, for a name that is not allowed and for every file that is damaged or something else. Where
    torch raises a RuntimeError or an EOFError for such a file, it is one of these as well.
    """
    if weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if weights_only and pickle_load_args:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    path = os.fspath(f) if isinstance(f, (str, os.PathLike)) else None
    if path is not None and path.endswith(".safetensors"):
        if isinstance(map_location, dict) or callable(map_location):
            raise RuntimeError("Loading safetensors file with a dict or callable map_location is not supported")
        require_cpu(map_location)
        return load_safetensors(path)
    if mmap and path is None:
        raise ValueError("f must be a file path in order to use the mmap argument")
    with _readable(f) as file:
        module = None if weights_only else pickle_module or pickle
        return read_pt(file, map_location, pickle_module=module, path=path, mapped=bool(mmap), **pickle_load_args)


def _readable(f: Any) -> Any:
    """The file, opened or left as it is. The error that it has itself if it is not seekable."""
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
    return _opened(f, "rb")


_safe: dict[Any, dict[str, Any]] = {}
"""By what was allowed: under which names."""


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let files name these functions and classes, or, as pairs (object, name), these objects under that name.

    What belongs to this library is allowed under torch's name too. ValueError, TypeError for a pair that is none.
    """
    for item in safe_globals:
        if not isinstance(item, tuple):
            path = f"{item.__module__}.{item.__qualname__}"
            paths = {path, path.replace("mini_dl.", "torch.", 1) if path.startswith("mini_dl.") else path}
            _safe[item] = dict.fromkeys(paths, item)
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
    """Forget what was added."""
    _safe.clear()
    _allow()


class safe_globals:
    """Let files name these within a block."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        add_safe_globals(self.safe_globals)

    def __exit__(self, *error: object) -> None:
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


# ------------------------------------------------------------------------------------------------ .npz and .safetensors


def save_npz(tensors: Mapping[str, Tensor], f: File) -> None:
    """Write a dictionary of tensors, such as a ``state_dict``, as NumPy's .npz."""
    arrays: dict[str, Any] = {name: tensor._array for name, tensor in tensors.items()}
    np.savez(f, **arrays)


def load_npz(f: File) -> dict[str, Tensor]:
    """Read a dictionary of tensors from an .npz file. Nothing pickled is read."""
    with np.load(f, allow_pickle=False) as arrays:
        return {name: wrap(arrays[name]) for name in arrays.files}


SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "uint16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def save_safetensors(tensors: Mapping[str, Tensor], f: File, metadata: Mapping[str, str] | None = None) -> None:
    """Write a dictionary of tensors as .safetensors: the length of a JSON header, the header, the values, all little-endian.

    Source: https://github.com/huggingface/safetensors, section "Format". TypeError for a type the format lacks.
    """
    codes = {name: code for code, name in SAFETENSORS.items() if code != "BF16"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    contents, start = [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1]._array.itemsize, item[0])):  # so that all are aligned
        array = tensor._array
        if array.dtype.name not in codes:
            raise TypeError(f"{name}: .safetensors has no type for {tensor.dtype}")
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": codes[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [start, start + len(content)],
        }
        contents.append(content)
        start += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with _opened(f, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for content in contents:
            file.write(content)


def load_safetensors(f: File) -> dict[str, Tensor]:
    """Read a dictionary of tensors from a .safetensors file; bfloat16 becomes float32.

    ValueError if the file is truncated or its header does not fit its contents.
    """
    with _opened(f, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or len(content) < 8 + length:
        raise ValueError(f"truncated .safetensors file: expected a header of {length} bytes, found {len(content)} bytes in all")
    header = json.loads(content[8 : 8 + length])
    return {name: wrap(_part(name, entry, content, 8 + length)) for name, entry in header.items() if name != "__metadata__"}


def _part(name: str, entry: Any, content: bytes, start: int) -> Array:
    code, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if code not in SAFETENSORS:
        raise ValueError(f"{name}: the type {code} cannot be read")
    kind = np.dtype(SAFETENSORS[code])
    if not 0 <= begin <= end <= len(content) - start or end - begin != math.prod(shape) * kind.itemsize:
        raise ValueError(
            f"{name}: expected {math.prod(shape) * kind.itemsize} bytes for the shape {list(shape)}, found {end - begin} bytes "
            f"at {begin} of {len(content) - start}"
        )
    values = np.frombuffer(content[start + begin : start + end], kind.newbyteorder("<")).astype(kind).reshape(shape)
    return from_bfloat16(values) if code == "BF16" else values


def _opened(f: Any, how: str) -> Any:
    """The file itself, left open, or the file of that name, closed at the end."""
    opener: Callable[..., Any] = open
    return opener(f, how) if isinstance(f, (str, os.PathLike)) else contextlib.nullcontext(f)
