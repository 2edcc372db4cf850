"""The IDX format of MNIST: a magic number with type and rank, the sizes, the values, all big-endian.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from mini_dl._dtypes import Array

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str], md5: str | None = None) -> Array:
    """The array in an IDX file, which may be gzipped (detected by its first bytes, not by its name).

    `md5` is the checksum that the file, as stored, must have. ValueError if the file is not IDX, if it is truncated or too long
    (with the sizes expected and found), or if its checksum differs.
    """
    path = Path(path)
    stored = path.read_bytes()
    array = _parse(_unzipped(stored, path), path)
    if md5 is not None and (found := hashlib.md5(stored, usedforsecurity=False).hexdigest()) != md5:
        raise ValueError(f"{path}: the md5 checksum is {found}, expected {md5}: the file is corrupt, or another one")
    return array


def _unzipped(stored: bytes, path: Path) -> bytes:
    if stored[:2] != b"\x1f\x8b":
        return stored
    try:
        return gzip.decompress(stored)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: truncated or corrupt gzip file of {len(stored)} bytes: {error}") from None


def _parse(content: bytes, path: Path) -> Array:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(f"{path}: not an IDX file: it begins with {content[:4]!r}")
    kind, rank = np.dtype(TYPES[content[2]]), content[3]
    header = 4 + 4 * rank
    if len(content) < header:
        raise ValueError(f"{path}: truncated: expected a header of {header} bytes, found {len(content)} bytes")
    shape = struct.unpack(f">{rank}I", content[4:header])
    expected = header + math.prod(shape) * kind.itemsize
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise ValueError(f"{path}: {state}: expected {expected} bytes for the shape {list(shape)}, found {len(content)} bytes")
    return np.frombuffer(content, kind, offset=header).reshape(shape).astype(kind.newbyteorder("="))
