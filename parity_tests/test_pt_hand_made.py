"""Files that nobody's `save` writes: both libraries read the same from them, or both refuse them."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

import mini_dl
from scripts.compare_files import compared

VALUES = np.arange(4, dtype="<f4").tobytes()
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(%b%bK\x00%b\x89Nt" + b"R"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def archive(pickled: bytes, *, version: bytes = b"3\n") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in {"data.pkl": b"\x80\x02" + pickled + b".", "data/0": VALUES, "version": version}.items():
            made.writestr(f"archive/{name}", content)
    return file.getvalue()


def old_format(pickled: bytes) -> bytes:
    head = b"".join([pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})])
    return head + b"\x80\x02" + pickled + b"." + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + VALUES


def storage(kind: bytes, count: int, *view: bytes) -> bytes:
    return b"(" + text("storage") + kind + text("0") + text("cpu") + b"K" + bytes([count]) + b"".join(view) + b"tQ"


FLOATS = b"ctorch\nFloatStorage\n"
FILES = {
    "a view under the key of its storage": old_format(
        TENSOR % (b"", storage(FLOATS, 4, b"(" + text("0") + b"K\x01K\x02t"), b"K\x02\x85K\x01\x85")
    ),
    "a view beyond its storage": old_format(
        TENSOR % (b"", storage(FLOATS, 4, b"(" + text("v") + b"K\x01K\x64t"), b"K\x02\x85K\x01\x85")
    ),
    "a storage without a type under another name": archive(
        b"ctorch._utils\n_rebuild_tensor_v3\n("
        + storage(b"ctorch\nUntypedStorage\n", 16)
        + b"K\x00K\x02\x85K\x01\x85\x89Nctorch\nfloat32\ntR"
    ),
    "a storage without a type": archive(
        b"ctorch._utils\n_rebuild_tensor_v3\n("
        + storage(b"ctorch.storage\nUntypedStorage\n", 16)
        + b"K\x00K\x02\x85K\x01\x85\x89Nctorch\nfloat32\ntR"
    ),
    "a list that contains itself": archive(b"]q\x00h\x00aK\x01a0]")
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_made_by_hand_is_read_alike_or_refused_by_both(name):
    what, odd = compared(FILES[name])
    assert what in ("read alike", "refused by both"), odd
    assert not odd


def test_a_copy_of_another_type_is_made_of_contents_that_come_later():
    """torch makes it of whatever was in the memory before."""
    for file, view in ((old_format, b"N"), (archive, b"")):
        tensor = TENSOR % (b"", storage(FLOATS, 4, view), b"K\x04\x85K\x01\x85")
        converted = b"ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n(" + tensor
        read = mini_dl.load(io.BytesIO(file(converted + b"ctorch\nint64\n" + text("cpu") + b"\x89tR")))
        assert read.tolist() == [0, 1, 2, 3] and read.dtype is mini_dl.int64
