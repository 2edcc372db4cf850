"""Small .pt files that would take much memory or time: their requests beyond their own bytes are counted."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile

import pytest

import mini_dl as torch
from mini_dl.serialization import FileError


def named(path: str) -> bytes:
    module, _, name = path.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    digits = pickle.encode_long(value)
    return b"\x8a" + bytes([len(digits)]) + digits


def group(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def storage(kind: str) -> bytes:
    return group(text("storage"), named(f"torch.{kind}Storage"), text(kind), text("cpu"), b"K\x06") + b"Q"


def tensor(kind: str, size: list[int], stride: list[int]) -> bytes:
    parts = storage(kind), b"K\x00", group(*map(number, size)), group(*map(number, stride))
    return named("torch._utils._rebuild_tensor") + group(*parts) + b"R"


def sparse(layout: str, *parts: bytes) -> bytes:
    made = named("torch.serialization._get_layout") + text(f"torch.sparse_{layout}") + b"\x85R"
    return named("torch._utils._rebuild_sparse_tensor") + group(made, group(*parts)) + b"R"


ORDERED = named("collections.OrderedDict") + b")R"
NAMES = b"}(" + b"".join(text(f"a{k}") + b"N" for k in range(3000)) + b"uq\x00"
ONE = tensor("Float", [1], [1])
META = (
    named("torch._utils._rebuild_meta_tensor_no_storage")
    + group(named("torch.uint8"), group(number(2**40)), group(b"K\x01"), b"\x89")
    + b"R"
)
MANY = tensor("Float", [2**40], [0])
BOMBS = {
    "a tensor of another type": named("torch._utils._rebuild_device_tensor_from_cpu_tensor")
    + group(tensor("Float", [2**28], [0]), named("torch.float64"), text("cpu"), b"\x89")
    + b"R",
    "a tensor of another type, in a class": named("torch._tensor._rebuild_from_type_v2")
    + group(
        named("torch._utils._rebuild_device_tensor_from_cpu_tensor"),
        named("torch.Tensor"),
        group(tensor("Float", [2**28], [0]), named("torch.float64"), text("cpu"), b"\x89"),
        b"}",
    )
    + b"R",
    "indices of one element": sparse("coo", tensor("Long", [1, 2**28], [0, 0]), tensor("Float", [2**28], [0]), group(b"K\x04")),
    "rows of one element": sparse(
        "csr", tensor("Long", [2**28], [0]), tensor("Long", [1], [1]), ONE, group(number(2**28 - 1), b"K\x01")
    ),
    "attributes given over and over": NAMES + (ORDERED + b"h\x00b") * 2000,
    "states given over and over": NAMES
    + (
        named("torch._tensor._rebuild_from_type_v2")
        + group(
            named("torch._utils._rebuild_tensor"),
            named("torch.Tensor"),
            group(storage("Float"), b"K\x00", group(b"K\x01"), group(b"K\x01")),
            group(b"h\x00", b"}"),
        )
        + b"R"
    )
    * 300,
}  # fmt: skip


def file_of(pickled: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + pickled + b".")
        for name, content in {"version": b"3\n", "data/Float": bytes(24), "data/Long": bytes(48)}.items():
            archive.writestr(f"a/{name}", content)
    file.seek(0)
    return file


CONTAINERS = {
    f"{made} of {what}": named(path) + group(value) + b"R"
    for made, path in {
        "a set": "builtins.set",
        "a dictionary": "collections.OrderedDict",
        "a count": "collections.Counter",
        "bytes": "builtins.bytearray",
    }.items()
    for what, value in {"one element": MANY, "no values": META, "a number": tensor("Long", [], [])}.items()
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_made_of_containers_and_not_of_tensors(name: str) -> None:
    with pytest.raises(FileError, match=r"container|a bytearray is kept by its contents"):
        torch.load(file_of(CONTAINERS[name]))


def test_values_do_not_come_from_a_tensor_without_values() -> None:
    parts = META, named("torch.uint8"), text("cpu"), b"\x89"
    with pytest.raises(FileError, match="Cannot copy out of meta tensor"):
        torch.load(file_of(named("torch._utils._rebuild_device_tensor_from_cpu_tensor") + group(*parts) + b"R"))


@pytest.mark.filterwarnings("ignore:a tensor of layout")
@pytest.mark.parametrize("name", BOMBS)
def test_what_a_file_asks_for_beyond_its_bytes_is_bounded(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"take .* bytes that the file does not have|repeatedly"):
            torch.load(file_of(BOMBS[name]))
        assert tracemalloc.get_traced_memory()[1] < 2**29
    finally:
        tracemalloc.stop()


def test_sparse_tensors_are_read_as_such_however_large_they_would_be() -> None:
    found = torch.load(
        file_of(b"](" + sparse("coo", tensor("Long", [1, 5], [0, 0]), tensor("Float", [5], [0]), group(b"K\x04")) * 3 + b"e")
    )
    assert [each.to_dense().tolist() for each in found] == [[0, 0, 0, 0]] * 3
    large = b"](" + sparse("coo", tensor("Long", [1, 1], [1, 1]), ONE, group(number(2**31 - 1))) * 40 + b"e"
    assert {tuple(each.shape) for each in torch.load(file_of(large))} == {(2**31 - 1,)}


def test_sparse_tensors_are_not_made_of_tensors_without_values() -> None:
    parts = sparse("coo", tensor("Long", [1, 1], [1, 1]), ONE, group(b"K\x04"))
    with pytest.raises(FileError, match="cannot be on the device meta"):
        torch.load(file_of(parts), map_location="meta")
