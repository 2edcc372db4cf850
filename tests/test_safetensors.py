"""Dictionaries of tensors as .safetensors: the format's rules, when written and when read."""

from __future__ import annotations

import io
import json
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import _dtypes
from mini_dl.serialization import load_safetensors, save_safetensors


def of(header: Any, content: bytes = b"", length: int | None = None) -> io.BytesIO:
    """A file with that header: text, or a value converted to JSON."""
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else json.dumps(header)).encode()
    return io.BytesIO((len(text) if length is None else length).to_bytes(8, "little") + text + content)


def entry(kind: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": offsets}


def written(tensors: Any, metadata: Any = None) -> bytes:
    file = io.BytesIO()
    save_safetensors(tensors, file, metadata)
    return file.getvalue()


def header_of(content: bytes) -> Any:
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


# ------------------------------------------------------------------------------------------------ written


@pytest.mark.parametrize("kind", [kind for kind in _dtypes.ALL if kind is not torch.complex128], ids=str)
def test_every_type_and_layout_comes_back_bit_for_bit(kind: Any) -> None:
    x = torch.arange(24).to(kind).reshape(2, 3, 4)
    tensors = {"c": x, "f": x.permute(2, 1, 0), "step": x[:, ::2, 1:3], "0-d": x[1, 1, 1], "empty": x[:, :0]}
    tensors["wide"] = x[:1, :1, :1].expand(2, 2, 2)
    loaded = load_safetensors(io.BytesIO(written(tensors)))
    for name, tensor in tensors.items():
        assert loaded[name].dtype is kind and loaded[name].shape == tensor.shape and loaded[name].tolist() == tensor.tolist()


def test_the_header_is_aligned_and_the_tensors_fill_the_rest_without_gaps() -> None:
    tensors = {
        "a": torch.ones(3, dtype=torch.int8),
        "b" * 11: torch.ones(5),
        "é": torch.ones(2, dtype=torch.float64),
        "": torch.ones(0),
    }
    content = written(tensors, {"format": "pt", "é": "ü"})
    length = int.from_bytes(content[:8], "little")
    header = header_of(content)
    assert length % 8 == 0 and content[8:9] == b"{" and header.pop("__metadata__") == {"format": "pt", "é": "ü"}
    places = sorted(tuple(described["data_offsets"]) for described in header.values())
    assert [begin for begin, _ in places] == [0, *[end for _, end in places[:-1]]] and places[-1][1] == len(content) - 8 - length
    assert all(described["data_offsets"][0] % tensors[name].element_size() == 0 for name, described in header.items())
    assert written(tensors) == written(dict(reversed(tensors.items())))
    assert {name: t.tolist() for name, t in load_safetensors(io.BytesIO(content)).items()} == {
        name: t.tolist() for name, t in tensors.items()
    }


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", "a\0b", "a\nb", '"', "\\", "é", "\U0001f600", "metadata", "x" * 100_000])
def test_every_name_comes_back(name: str) -> None:
    assert load_safetensors(io.BytesIO(written({name: torch.ones(1), "other": torch.zeros(2)})))[name].tolist() == [1]


@pytest.mark.parametrize(
    "tensors, metadata, error, message",
    [
        ({"__metadata__": torch.ones(1)}, None, ValueError, "a tensor cannot have the name __metadata__"),
        ({"\udfff": torch.ones(1)}, None, ValueError, "half a surrogate pair"),
        ({1: torch.ones(1)}, None, TypeError, "keys must be strings, got 1"),
        ({"x": np.ones(1)}, None, TypeError, "'x': expected a Tensor, got ndarray"),
        ({"x": torch.ones(1, dtype=torch.complex128)}, None, TypeError, "x: .safetensors has no type for torch.complex128"),
        ({"x": torch.ones(1)}, {"epoch": 3}, TypeError, "metadata are strings by strings, got 'epoch': 3"),
        ({"x": torch.ones(1)}, {3: "epoch"}, TypeError, "metadata are strings by strings, got 3: 'epoch'"),
        ({"x": torch.ones(1)}, {"a": "\ud800"}, ValueError, "half a surrogate pair"),
        ({"x" * 10**8: torch.ones(1)}, None, ValueError, "the format allows 100000000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_format_cannot_hold_is_refused_before_anything_is_written(
    tensors: Any, metadata: Any, error: type[Exception], message: str
) -> None:
    file = io.BytesIO()
    with pytest.raises(error, match=re.escape(message)):
        save_safetensors({"first": torch.ones(2), **tensors} if "x" in tensors else tensors, file, metadata)
    assert file.getvalue() == b""


# ------------------------------------------------------------------------------------------------ read


def test_bfloat16_is_read_as_float32_and_said_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.warns(UserWarning, match="<BytesIO>: bfloat16 is read as float32: x"):
        x = load_safetensors(of({"x": entry("BF16", (3,), (0, 6))}, np.array([0x3F80, 0xC000, 0x7FC0], "<u2").tobytes()))["x"]
    assert x.dtype is torch.float32 and x[:2].tolist() == [1, -2] and x[2].isnan()


def test_a_bool_is_true_or_false_whatever_its_byte() -> None:
    x = load_safetensors(of({"x": entry("BOOL", (4,), (0, 4))}, bytes([0, 1, 2, 255])))["x"]
    assert x.tolist() == [False, True, True, True] and x._array.view("uint8").max() == 1


def test_tensors_come_in_the_order_of_the_header_wherever_their_values_are() -> None:
    file = of(
        {"b": entry(offsets=(8, 16)), "a": entry(offsets=(0, 8)), "e": entry(shape=(0,), offsets=(8, 8))},
        np.arange(4, dtype="<f4").tobytes(),
    )
    assert [(name, t.tolist()) for name, t in load_safetensors(file).items()] == [("b", [2, 3]), ("a", [0, 1]), ("e", [])]
    assert load_safetensors(of("{}")) == {} and load_safetensors(of('{"__metadata__":{"a":"b"}}   ')) == {}


HALF = '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


@pytest.mark.parametrize(
    "file, message",
    [
        (io.BytesIO(), "truncated .safetensors file"),
        (io.BytesIO(b"1234567"), "truncated .safetensors file"),
        (of("{}", length=3), "truncated .safetensors file: expected a header of 3 bytes, found 10 bytes in all"),
        (of("{}", length=2**64 - 1), "truncated .safetensors file: expected a header of 18446744073709551615"),
        (of("{}", length=0), "it begins with b'', not with '{'"),
        (of(" {}"), "it begins with b' ', not with '{'"),
        (of("[]"), "it begins with b'[', not with '{'"),
        (of("{} {}"), "the header is not the JSON it should be"),
        (of("{"), "the header is not the JSON it should be"),
        (of(b'{"\xff":1}'), "the header is not the JSON it should be ('utf-8'"),
        (of("\ufeff{}"), "it begins with"),
        (of("{}".encode("utf-16")), "it begins with"),
        (of('{"x":' + "[" * 100_000), "the header is not the JSON it should be"),
        (of('{"x":' + "9" * 5000 + "}"), "the header is not the JSON it should be"),
        (of('{"\\ud800":{}}'), "half a surrogate pair"),
        (of(HALF + "," + HALF[1:] + "}", bytes(8)), "the key 'x' occurs twice"),
        (of(HALF[:-1] + ',"dtype":"I32"}}', bytes(8)), "the key 'dtype' occurs twice"),
        (of(HALF.replace("8", "NaN") + "}", bytes(8)), "NaN is not JSON"),
        (of({"x": 3}), "x: expected dtype, shape and data_offsets, found 3"),
        (of({"x": {"dtype": "F32"}}), "x: expected dtype, shape and data_offsets"),
        (
            of({"x": entry("F8_E4M3", (8,))}, bytes(8)),
            "x: NumPy has no type for F8_E4M3; where the file was made, save the tensor as",
        ),
        (of({"x": entry("F4", (16,))}, bytes(8)), "x: NumPy has no type for F4"),
        (of({"x": entry("F128")}, bytes(8)), "x: the type 'F128' cannot be read; the format has F64, F32"),
        (of({"x": entry(["F32"])}, bytes(8)), "x: the type ['F32'] cannot be read"),
        (of({"x": entry(shape="2")}, bytes(8)), "x: the shape should be at most 64 sizes, got '2'"),
        (of({"x": entry(shape=[2.0])}, bytes(8)), "x: the shape should be at most 64 sizes, got [2.0]"),
        (of({"x": entry(shape=[True, 2])}, bytes(8)), "x: the shape should be at most 64 sizes"),
        (of({"x": entry(shape=[-2])}, bytes(8)), "x: the shape should be at most 64 sizes, got [-2]"),
        (of({"x": entry(shape=[-1, -2])}, bytes(8)), "x: the shape should be at most 64 sizes"),
        (of({"x": entry(shape=[1] * 65, offsets=[0, 4])}, bytes(4)), "x: the shape should be at most 64 sizes"),
        (of({"x": entry(shape=[2**64])}, bytes(8)), "x: the shape should be at most 64 sizes"),
        (of({"x": entry(shape=[2**62] * 64)}, bytes(8)), "x: expected "),
        (
            of({"x": entry(shape=[2**40])}, bytes(8)),
            "x: expected 4398046511104 bytes for the shape [1099511627776], found 8 bytes",
        ),
        (of({"x": entry(offsets=[0])}, bytes(8)), "x: data_offsets should be where the values begin and end, got [0]"),
        (of({"x": entry(offsets=[0, 8, 8])}, bytes(8)), "x: data_offsets should be"),
        (of({"x": entry(offsets={})}, bytes(8)), "x: data_offsets should be"),
        (of({"x": entry(offsets=[-8, 0])}, bytes(8)), "x: data_offsets should be"),
        (of({"x": entry(offsets=[8, 0])}, bytes(8)), "x: expected 8 bytes for the shape [2], found -8 bytes"),
        (of({"x": entry(offsets=[0, 7])}, bytes(8)), "x: expected 8 bytes for the shape [2], found 7 bytes"),
        (of({"x": entry(offsets=[8, 16])}, bytes(8)), "x: expected 8 bytes for the shape [2], found 8 bytes at 8 of 8"),
        (of({"x": entry(offsets=[1, 9])}, bytes(9)), "x: begins at byte 1, but the previous tensor ends at 0"),
        (of({"x": entry(), "y": entry()}, bytes(8)), "y: begins at byte 0, but the previous tensor ends at 8"),
        (of({"x": entry(), "y": entry(offsets=[9, 17])}, bytes(17)), "y: begins at byte 9, but the previous tensor ends at 8"),
        (of({"x": entry()}, bytes(9)), "the tensors take 8 bytes, but 9 follow the header"),
        (of({}, bytes(1)), "the tensors take 0 bytes, but 1 follow the header"),
        (of({"__metadata__": {"epoch": 3}}), "__metadata__ should be strings by strings, got {'epoch': 3}"),
        (of({"__metadata__": "pt"}), "__metadata__ should be strings by strings, got 'pt'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_against_the_rules_is_refused_by_name(tmp_path: Path, file: io.BytesIO, message: str) -> None:
    content = file.getvalue()
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_safetensors(io.BytesIO(content))
    assert str(caught.value).startswith("<BytesIO>: ")
    with pytest.raises(ValueError, match=r"x\.safetensors': .*" + re.escape(message)):
        load_safetensors(tmp_path / "x.safetensors")


def test_a_header_longer_than_the_format_allows_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    with open(path, "wb") as file:
        file.write((100_000_001).to_bytes(8, "little"))
        file.truncate(200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a header of 100000001 bytes, where the format allows 100000000"):
            load_safetensors(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_large_file_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    save_safetensors({"x": torch.ones(4_000_000), "y": torch.ones(2, 2_000_000).t()}, path)
    tracemalloc.start()
    try:
        load_safetensors(path)
        assert tracemalloc.get_traced_memory()[1] < 36e6  # of 32e6
    finally:
        tracemalloc.stop()
