"""Dictionaries of tensors as .safetensors: the length of a JSON header, the header, the values, all little-endian.

Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO, NoReturn

import numpy as np

from mini_dl._dtypes import bfloat16, from_bfloat16, has_bfloat16
from mini_dl.files.npz import arrays_of, is_unicode, native
from mini_dl.files.replacing import File, name_of, read_into, readable, replaced, size_from_here
from mini_dl.tensor import Tensor, wrap

TYPES = {
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
SMALL_FLOATS = ("F8_", "F6_", "F4")
LONGEST_HEADER = 100_000_000
"""The format's own limit."""
METADATA = "__metadata__"
MOST_DIMENSIONS = 64
"""NumPy's limit."""


def save_safetensors(tensors: Mapping[str, Tensor], f: File, metadata: Mapping[str, str] | None = None) -> None:
    """Write a dictionary of tensors, and `metadata`, as .safetensors.

    The file is replaced atomically. TypeError for a type that the format lacks, for a value that is not a tensor,
    and for metadata that are not strings; ValueError for a key that is not Unicode or is ``__metadata__``; all before writing.
    """
    arrays = arrays_of(tensors)
    codes = {**{name: code for code, name in TYPES.items()}, "uint16": "U16", "bfloat16": "BF16"}
    header: dict[str, Any] = {METADATA: _checked(metadata)} if metadata else {}
    start = 0
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # to align all
    for name in names:
        array = arrays[name]
        if name == METADATA:
            raise ValueError(f"a tensor cannot have the name {METADATA}: there the format keeps its metadata")
        if array.dtype.name not in codes:
            raise TypeError(f"{name}: .safetensors has no type for {tensors[name].dtype}")
        end = start + array.nbytes
        header[name] = {"dtype": codes[array.dtype.name], "shape": list(array.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        raise ValueError(f"the names and shapes take {len(text)} bytes, and the format allows {LONGEST_HEADER}")
    with replaced(f) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            array = arrays[name]
            file.write(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes())


def _checked(metadata: Mapping[str, str]) -> dict[str, str]:
    for item in metadata.items():
        if not all([isinstance(text, str) for text in item]):
            raise TypeError(f"metadata are strings by strings, got {item[0]!r}: {item[1]!r}")
        if not all(map(is_unicode, item)):
            raise ValueError(f"metadata {item[0]!r}: {item[1]!r} have half a surrogate pair, which UTF-8 cannot hold")
    return dict(metadata)


# ------------------------------------------------------------------------------------------------ reading


def load_safetensors(f: File) -> dict[str, Tensor]:
    """Read a dictionary of tensors from a .safetensors file.

    Without the package for it (``mini_dl[bfloat16]``), bfloat16 becomes float32, with a warning.

    ValueError, naming the file and the tensor, if the file is truncated, its header is not the JSON that the format requires,
    types are unknown here, or the tensors do not fill the rest of the file consecutively.
    """
    where = name_of(f)
    with readable(f) as file:
        header, size = _header(file, where)
        entries = [_Entry(name, entry, where) for name, entry in header.items() if name != METADATA]
        read = {entry.name: _read(file, entry, where) for entry in _in_order(entries, size, where)}
    halves = [entry.name for entry in entries if entry.code == "BF16"]
    if halves and not has_bfloat16():
        warnings.warn(
            f"{where}: bfloat16 is read as float32: {', '.join(halves[:5])}{', ...' * (len(halves) > 5)}",
            UserWarning,
            stacklevel=2,
        )
    return {entry.name: read[entry.name] for entry in entries}


def _header(file: BinaryIO, where: str) -> tuple[dict[str, Any], int]:
    """The content of the header, and the number of bytes that follow it; the file is then positioned there."""
    size = size_from_here(file)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 + length:
        raise ValueError(
            f"{where}: truncated .safetensors file: expected a header of {length} bytes, found {size} bytes in all; "
            "copy or save it again"
        )
    if length > LONGEST_HEADER:
        raise ValueError(
            f"{where}: not a .safetensors file: a header of {length} bytes, where the format allows {LONGEST_HEADER}"
        )
    content = file.read(length)
    try:
        if content[:1] != b"{":
            raise ValueError(f"it begins with {content[:1]!r}, not with '{{'")
        header = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{where}: not a .safetensors file, or damaged: the header is not the JSON it should be ({error})"
        ) from None
    metadata = header.get(METADATA, {})
    if not isinstance(metadata, dict) or not all([isinstance(text, str) for text in metadata.values()]):
        raise ValueError(f"{where}: {METADATA} should be strings by strings, got {metadata!r:.80}")
    return header, size - 8 - length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} occurs twice")
        if not is_unicode(key):
            raise ValueError(f"the key {key!r} has half a surrogate pair")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _Entry:
    """A tensor as the header describes it. ValueError unless it describes one that can be read."""

    def __init__(self, name: str, entry: object, where: str) -> None:
        place = f"{where}: {name}"
        if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
            raise ValueError(f"{place}: expected dtype, shape and data_offsets, found {entry!r:.80}; the file is damaged")
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if isinstance(code, str) and code.startswith(SMALL_FLOATS):
            raise ValueError(f"{place}: NumPy has no type for {code}; where the file was made, save the tensor as F16 or F32")
        if not isinstance(code, str) or code not in TYPES:
            raise ValueError(f"{place}: the type {code!r:.80} cannot be read; the format has {', '.join(TYPES)}")
        if not _are_sizes(shape) or len(shape) > MOST_DIMENSIONS:
            raise ValueError(f"{place}: the shape should be at most {MOST_DIMENSIONS} sizes, got {shape!r:.80}")
        if not _are_sizes(offsets) or len(offsets) != 2:
            raise ValueError(f"{place}: data_offsets should be where the values begin and end, got {offsets!r:.80}")
        self.name, self.code, self.shape, self.kind = name, code, tuple(shape), np.dtype(TYPES[code])
        self.begin, self.end = offsets
        self.nbytes = math.prod(self.shape) * self.kind.itemsize


def _are_sizes(given: object) -> bool:
    return isinstance(given, list) and all([type(n) is int and 0 <= n < 2**63 for n in given])


def _in_order(entries: list[_Entry], size: int, where: str) -> list[_Entry]:
    """In file order. ValueError unless each begins where the previous one ends, and the last ends with the file."""
    ordered = sorted(entries, key=lambda entry: (entry.begin, entry.end))
    reached = 0
    for entry in ordered:
        if entry.end > size or entry.end - entry.begin != entry.nbytes:
            raise ValueError(
                f"{where}: {entry.name}: expected {entry.nbytes} bytes for the shape {list(entry.shape)}, found "
                f"{entry.end - entry.begin} bytes at {entry.begin} of {size}; the file is cut off or damaged"
            )
        if entry.begin != reached:
            raise ValueError(
                f"{where}: {entry.name}: begins at byte {entry.begin}, but the previous tensor ends at {reached}; "
                "the format allows neither gaps nor overlaps"
            )
        reached = entry.end
    if reached != size:
        raise ValueError(f"{where}: the tensors take {reached} bytes, but {size} follow the header; the file is damaged")
    return ordered


def _read(file: BinaryIO, entry: _Entry, where: str) -> Tensor:
    values = np.empty(math.prod(entry.shape), entry.kind.newbyteorder("<"))
    if read_into(file, values) != entry.nbytes:
        raise ValueError(f"{where}: {entry.name}: the file ended within its {entry.nbytes} bytes")
    values = native(values).reshape(entry.shape)
    if entry.code == "BF16":
        values = values.view(bfloat16.numpy) if has_bfloat16() else from_bfloat16(values)
    return wrap(values)
