"""Dictionaries of tensors as .npz: a zip archive of NumPy's .npy files, one for each tensor.

Sources: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and APPNOTE.TXT of PKWARE. They are written and
read here because ``np.savez`` confuses the names of tensors with its own arguments and ``np.load`` trusts the sizes in a file.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import math
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from mini_dl._dtypes import NARROW, Array, of_numpy
from mini_dl._meta import NO_DATA
from mini_dl.files.replacing import File, name_of, read_into, readable, replaced, size_from_here, written_archive
from mini_dl.tensor import Tensor, wrap

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
"""NumPy's limit too: a longer header is an attack on Python's parser rather than an array."""
LONGEST_NAME = 65_535
DEFLATE_AT_MOST = 1032
"""The most bytes that one compressed byte can expand to."""


def save_npz(tensors: Mapping[str, Tensor], f: File) -> None:
    """Write a dictionary of tensors, such as a ``state_dict``, as NumPy's .npz; the suffix is added to a path that lacks it.

    The file is replaced atomically. TypeError for a value that is not a tensor and ValueError for a key that the
    format cannot hold (with a NUL, with half a surrogate pair, longer than 65,531 bytes), before anything is written.
    """
    arrays = {_record_of(key): array for key, array in arrays_of(tensors).items()}
    for key, tensor in tensors.items():
        if tensor._array.dtype.char in NARROW:
            raise TypeError(f"{key!r}: .npz has no type for torch.bfloat16; save it as .safetensors, or as float32")
    with replaced(_with_ending(f)) as file, written_archive(file) as archive:
        for record, array in arrays.items():
            info = zipfile.ZipInfo()  # dated 1980, so that equal tensors make equal files
            info.filename = record
            with archive.open(info, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def arrays_of(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """The arrays of a dictionary of tensors. TypeError if it is something else, ValueError for a key that is not Unicode."""
    if not isinstance(tensors, Mapping):
        hint = ": save its state_dict()" if hasattr(tensors, "state_dict") else ""
        raise TypeError(f"expected a dictionary of tensors, got {type(tensors).__name__}{hint}")
    arrays = {}
    for key, tensor in tensors.items():
        if not isinstance(key, str):
            raise TypeError(f"keys must be strings, got {key!r} of type {type(key).__name__}")
        if isinstance(tensor, Tensor) and tensor._sparse:
            raise NotImplementedError(f"{key!r}: a sparse tensor; save its to_dense(), or a .pt file")
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{key!r}: expected a Tensor, got {type(tensor).__name__}")
        if not is_unicode(key):
            raise ValueError(f"the key {key!r} has half a surrogate pair, which UTF-8 cannot hold; rename it")
        if tensor.is_meta:
            raise NotImplementedError(f"{key!r}: {NO_DATA}")
        arrays[key] = tensor._array
    return arrays


def is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: Python's strings may contain halves of surrogate pairs."""
    return text.isascii() or re.search("[\ud800-\udfff]", text) is None


def _record_of(key: str) -> str:
    record = key + ".npy"
    if "\0" in key:
        raise ValueError(f"the key {key!r} has a NUL, where zip archives end a name; rename it")
    if len(record.encode()) > LONGEST_NAME:
        raise ValueError(f"the key {key[:40]!r}... is longer than the {LONGEST_NAME - 4} bytes that zip archives allow")
    return record


def _with_ending(f: File) -> File:
    """Add the suffix as ``np.savez`` does, except to a device or a pipe."""
    if not isinstance(f, (str, os.PathLike)):
        return f
    path = os.fsdecode(f)
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            return path
    return path if path.endswith(".npz") else path + ".npz"


# ------------------------------------------------------------------------------------------------ reading


def load_npz(f: File) -> dict[str, Tensor]:
    """Read a dictionary of tensors from an .npz file. Nothing pickled is read; values are converted to this machine's byte order.

    ValueError, naming the file and the record, if the file is damaged or of another kind, has two records with the same name, or
    holds what a tensor cannot: dates, strings, objects, records, long doubles.
    """
    where = name_of(f)
    with readable(f) as file:
        if file.read(len(MAGIC)) == MAGIC:
            raise ValueError(f"{where}: a single array (.npy), not an .npz file; read it with torch.from_numpy(numpy.load(...))")
        file.seek(0)
        left = size_from_here(file)
        with _as_value_error(f"{where}: not an .npz file, or cut off or damaged; copy or save it again"):
            archive = zipfile.ZipFile(file)
        tensors: dict[str, Tensor] = {}
        for info in archive.infolist():
            place = f"{where}, record {info.orig_filename!r}"
            left -= max(info.compress_size, 0)
            _check_record(info, place, left)
            key = info.orig_filename.removesuffix(".npy")
            if key in tensors:
                raise ValueError(f"{place}: there are two records for the key {key!r}, which is ambiguous")
            with _as_value_error(f"{place}: damaged; copy or save the file again"), archive.open(info) as part:
                tensors[key] = wrap(_read_array(part, info.file_size, place))
        return tensors


@contextlib.contextmanager
def _as_value_error(message: str) -> Any:
    """Replace any error that a bad file causes with one that says what is wrong. Disk errors are passed on."""
    try:
        yield
    except _Malformed as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # zipfile raises a dozen types, some by accident
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
            raise
        raise ValueError(f"{message} ({type(error).__name__}: {error})") from None


class _Malformed(Exception):
    """What is wrong, in our own words."""


def _check_record(info: zipfile.ZipInfo, place: str, left: int) -> None:
    """ValueError for anything that cannot be an array: `left` is what remains of the file after this record."""
    if "\0" in info.orig_filename:
        raise ValueError(f"{place}: the name has a NUL")
    if info.flag_bits & 1:
        raise ValueError(f"{place}: encrypted; save it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{place}: compressed by method {info.compress_type}; save it with numpy.savez or savez_compressed")
    most = info.compress_size * (DEFLATE_AT_MOST if info.compress_type else 1)
    if left < 0 or not 0 <= info.file_size <= most:
        raise ValueError(
            f"{place}: {info.compress_size} bytes that should become {info.file_size} are more than the file can hold; it is "
            "damaged or made to use up the memory"
        )


def _read_array(part: Any, size: int, place: str) -> Array:
    """The array in a record of `size` bytes, in its own memory."""
    head = part.read(8)
    version = tuple(head[6:8])
    if head[:6] != MAGIC or version not in ((1, 0), (2, 0), (3, 0)):
        raise _Malformed(f"{place}: not an array in NumPy's .npy format; an .npz file holds nothing else")
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(part.read(width), "little")
    if length > min(size - 8 - width, LONGEST_HEADER):
        raise _Malformed(f"{place}: a header of {length} bytes in a record of {size}")
    kind, shape, fortran = _parsed(part.read(length), place)
    expected = math.prod(shape) * kind.itemsize
    found = size - 8 - width - length
    if expected != found:
        raise _Malformed(f"{place}: expected {expected} bytes for the shape {list(shape)} of {kind.name}, found {found}")
    array = np.empty(math.prod(shape), kind)
    read = read_into(part, array)
    if read != expected or part.read(1):
        raise _Malformed(f"{place}: expected {expected} bytes for the shape {list(shape)}, found {read}; the file is cut off")
    array = native(array)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _parsed(header: bytes, place: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Type, shape and whether the first index runs fastest."""
    try:
        text = re.sub(r"(?<=\d)L\b", "", header.decode("latin1"))  # Python 2 wrote 3L
        entries = ast.literal_eval(text.strip(" \n"))
        described, shape, fortran = entries["descr"], entries["shape"], entries["fortran_order"]
        kind = np.lib.format.descr_to_dtype(described)
    except Exception as error:  # parsing at most LONGEST_HEADER bytes: SyntaxError, RecursionError, MemoryError, TypeError ...
        raise _Malformed(f"{place}: the header cannot be read ({type(error).__name__}: {error}); the file is damaged") from None
    try:
        of_numpy(kind)
    except TypeError:
        raise _Malformed(
            f"{place}: values of type {described!r} have no meaning as a tensor; save them as numbers or bool"
        ) from None
    good = isinstance(shape, tuple) and len(entries) == 3 and isinstance(fortran, bool)
    if not good or not all([type(n) is int and n >= 0 for n in shape]):
        raise _Malformed(f"{place}: a header that says shape {shape!r} and fortran_order {fortran!r}; the file is damaged")
    return kind, shape, fortran


def native(array: Array) -> Array:
    """Values just read, converted in place to this machine's byte order; for bool, every byte other than 0 is True."""
    if array.dtype.kind == "b":
        np.minimum(array.view("uint8"), 1, out=array.view("uint8"))
    elif not array.dtype.isnative:
        array = array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    return array
