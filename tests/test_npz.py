"""Dictionaries of tensors as .npz: every key and layout is restored, NumPy reads what is written, and no file is trusted."""

from __future__ import annotations

import io
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import _dtypes
from mini_dl.serialization import load_npz, save_npz, save_safetensors

KEYS = ("allow_pickle", "file", "args", "kwds", "w", "w.npy", "w.npy.npy", "", ".npy", "a/b", "a/", "/a", "..", "../../a", "a\\b",
        "é", "日本", "\U0001f600", " ", "a b", "a\nb", "CON", "x" * 65_531)  # fmt: skip


def written(tensors: Any) -> io.BytesIO:
    file = io.BytesIO()
    save_npz(tensors, file)
    file.seek(0)
    return file


def of_arrays(**arrays: Any) -> io.BytesIO:
    """What NumPy writes."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    return file


def npy(header: str | bytes, content: bytes = b"", version: int = 1) -> bytes:
    """A .npy file with that header."""
    text = header if isinstance(header, bytes) else header.encode("latin1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + content


def archive_of(*records: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in records:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    file.seek(0)
    return file


def header(kind: str = "<f4", shape: Any = (2,), fortran: Any = False) -> str:
    return f"{{'descr': {kind!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


# ------------------------------------------------------------------------------------------------ keys


def test_every_key_comes_back_with_its_own_tensor(tmp_path: Path) -> None:
    tensors = {key: torch.tensor([i]) for i, key in enumerate(KEYS)}
    for file in (tmp_path / "tensors.npz", written(tensors)):
        if isinstance(file, Path):
            save_npz(tensors, file)
        assert {key: tensor.item() for key, tensor in load_npz(file).items()} == {key: i for i, key in enumerate(KEYS)}
    assert [path.name for path in tmp_path.iterdir()] == ["tensors.npz"]


def test_numpy_reads_what_is_written_and_equal_tensors_make_equal_files() -> None:
    tensors = {"a": torch.arange(6).reshape(2, 3), "b/c": torch.tensor(2.5), "allow_pickle": torch.ones(2)}
    with np.load(written(tensors)) as arrays:
        assert {name: arrays[name].tolist() for name in arrays.files} == {name: t.tolist() for name, t in tensors.items()}
    assert written(tensors).getvalue() == written(tensors).getvalue()


@pytest.mark.parametrize(
    "key, error, message",
    [
        ("a\0b", ValueError, r"the key 'a\x00b' has a NUL"),
        ("\ud800", ValueError, r"the key '\ud800' has half a surrogate pair"),
        ("x" * 65_532, ValueError, "longer than the 65531 bytes"),
        (1, TypeError, "keys must be strings, got 1 of type int"),
    ],
)
def test_a_key_that_an_archive_cannot_hold_is_refused(key: Any, error: type[Exception], message: str) -> None:
    file = io.BytesIO()
    with pytest.raises(error, match=re.escape(message)):
        save_npz({"first": torch.ones(2), key: torch.ones(2)}, file)
    assert file.getvalue() == b""


def test_two_records_for_one_key_are_refused() -> None:
    record = npy(header(), bytes(8))
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive_of(("w.npy", record), ("w.npy", record))
    for file in (twice, archive_of(("w", record), ("w.npy", record))):
        with pytest.raises(ValueError, match=r"<BytesIO>, record 'w\.npy': there are two records for the key 'w'"):
            load_npz(file)


def test_a_name_with_a_nul_is_refused() -> None:
    file = archive_of(("axb.npy", npy(header(), bytes(8))))
    with pytest.raises(ValueError, match=r"record 'a\\x00b\.npy': the name has a NUL"):
        load_npz(io.BytesIO(file.getvalue().replace(b"axb", b"a\0b")))


# ------------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize("kind", [kind for kind in _dtypes.ALL if kind is not torch.bfloat16], ids=str)
def test_every_type_and_layout_comes_back_bit_for_bit(kind: Any) -> None:
    x = torch.arange(24).to(kind).reshape(2, 3, 4)
    tensors = {"c": x, "f": x.permute(2, 1, 0), "step": x[:, ::2, 1:3], "0-d": x[1, 1, 1], "empty": x[:, :0]}
    tensors["wide"] = x[:1, :1, :1].expand(2, 2, 2)
    loaded = load_npz(written(tensors))
    for name, tensor in tensors.items():
        assert loaded[name].dtype is kind and loaded[name].shape == tensor.shape and loaded[name].tolist() == tensor.tolist()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8", "c8", "c16", "b1", "i1"])
def test_values_of_either_byte_order_become_those_of_this_machine(order: str, kind: str) -> None:
    c = np.arange(6).reshape(2, 3).astype(order + kind)
    for array in (c, np.asfortranarray(c)):
        x = load_npz(of_arrays(x=array))["x"]
        assert x._array.dtype.isnative and x.tolist() == array.tolist()
        again = io.BytesIO()
        torch.save(x, again)
        again.seek(0)
        assert torch.load(again).tolist() == array.tolist()


def test_compressed_files_and_those_of_python_2_are_read() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, x=np.zeros(10_000))
    file.seek(0)
    assert load_npz(file)["x"].shape == (10_000,)
    record = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }", bytes(8))
    assert load_npz(archive_of(("x.npy", record)))["x"].shape == (2, 1)


def test_a_bool_is_true_or_false_whatever_its_byte() -> None:
    record = npy(header("|b1", (4,)), bytes([0, 1, 2, 255]))
    x = load_npz(archive_of(("x.npy", record)))["x"]
    assert x.tolist() == [False, True, True, True] and x.sum().item() == 3 and x._array.view("uint8").max() == 1


@pytest.mark.parametrize(
    "array, kind",
    [
        (np.zeros(2, "V3"), "|V3"),
        (np.zeros(2, "M8[s]"), "<M8[s]"),
        (np.zeros(2, "m8[D]"), "<m8[D]"),
        (np.array(["a", "bc"]), "<U2"),
        (np.array([b"a"]), "|S1"),
        (np.zeros(2, [("a", "f4"), ("b", "i8")]), "('a', '<f4')"),
        (np.array([1, "a", None], object), "|O"),
        *([(np.zeros(2, "longdouble"), np.dtype("longdouble").str)] if np.dtype("longdouble").itemsize > 8 else []),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_types_without_meaning_here_are_refused_by_file_key_and_type(tmp_path: Path, array: Any, kind: str) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, good=np.ones(2), bad=array)
    message = rf"arrays\.npz', record 'bad\.npy': values of type .*{re.escape(kind)}.* have no meaning as a tensor"
    with pytest.raises(ValueError, match=message):
        load_npz(path)


# ------------------------------------------------------------------------------------------------ what is not believed


@pytest.mark.parametrize(
    "record, message",
    [
        (b"", "not an array in NumPy's"),
        (b"text", "not an array in NumPy's"),
        (b"\x80\x04N.", "not an array in NumPy's"),
        (npy(header(), bytes(8), version=9), "not an array in NumPy's"),
        (npy(header(), bytes(7)), r"expected 8 bytes for the shape \[2\] of float32, found 7"),
        (npy(header(), bytes(9)), r"expected 8 bytes for the shape \[2\] of float32, found 9"),
        (npy(header(shape=(10**12,)), bytes(8)), "expected 4000000000000 bytes"),
        (npy(header(shape=(2**62, 2**62)), bytes(8)), "expected .* bytes for the shape"),
        (npy(header(shape=(0, 2**62))), "damaged|too large"),
        (npy(header(shape=(1,) * 65), bytes(4)), "damaged"),
        (npy(header(shape=(-2,)), bytes(8)), r"a header that says shape \(-2,\)"),
        (npy(header(shape=(True, 2)), bytes(8)), r"a header that says shape \(True, 2\)"),
        (npy(header(shape=(2.0,)), bytes(8)), r"a header that says shape \(2\.0,\)"),
        (npy(header(shape=[2]), bytes(8)), r"a header that says shape \[2\]"),
        (npy(header(shape=2), bytes(8)), "a header that says shape 2"),
        (npy(header(fortran=1), bytes(8)), "fortran_order 1"),
        (npy(header("(1000,)<f4"), bytes(8)), "have no meaning"),
        (npy(header("(1000000000,)<f4"), bytes(8)), "the header cannot be read"),
        (npy(header("nonsense"), bytes(8)), "the header cannot be read"),
        (npy("{'descr': '<f4', 'shape': (2,)}", bytes(8)), r"the header cannot be read \(KeyError"),
        (npy("[]", bytes(8)), "the header cannot be read"),
        (npy("{'descr': '<f4',", bytes(8)), r"the header cannot be read \(SyntaxError"),
        (npy("(" * 5000, bytes(8)), "the header cannot be read"),
        (npy("-" * 9000 + "1", bytes(8)), "the header cannot be read"),
        (npy("'" + "\\N{x}'", bytes(8)), "the header cannot be read"),
        (npy(b"\0\xff" * 40, bytes(8)), "the header cannot be read"),
        (npy("__import__('os').system('true')", bytes(8)), "the header cannot be read"),
        (npy(header() + " " * 20_000, bytes(8)), r"a header of 20\d\d\d bytes"),
        (b"\x93NUMPY\x02\0\xff\xff\xff\xff{}", "a header of 4294967295 bytes in a record of 14"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "record",
)
def test_a_record_that_is_not_what_it_says_is_refused(record: bytes, message: str) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with pytest.raises(ValueError, match=rf"<BytesIO>, record 'x\.npy': .*({message})"):
            load_npz(archive_of(("x.npy", record), compression=compression))


def test_files_that_are_something_else_are_refused_in_one_way(tmp_path: Path) -> None:
    whole = written({"x": torch.ones(100)}).getvalue()
    (tmp_path / "x.npy").write_bytes(npy(header(), bytes(8)))
    with pytest.raises(ValueError, match=r"x\.npy': a single array"):
        load_npz(tmp_path / "x.npy")
    for content in (b"", b"something else", whole[:-30], whole[: len(whole) // 2], whole[20:], b"PK\x05\x06" + b"\xff" * 18):
        (tmp_path / "x.npz").write_bytes(content)
        for file in (tmp_path / "x.npz", io.BytesIO(content)):
            with pytest.raises(ValueError, match=r"(x\.npz'|<BytesIO>).*(not an \.npz file|damaged)"):
                load_npz(file)
    with pytest.raises(ValueError, match=r"record 'x\.npy': damaged.*CRC"):
        load_npz(io.BytesIO(whole.replace(np.ones(2, "f4").tobytes(), np.full(2, 2, "f4").tobytes(), 1)))
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "missing.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method: int) -> None:
    with pytest.raises(ValueError, match=rf"compressed by method {method}"):
        load_npz(archive_of(("x.npy", npy(header(), bytes(8))), compression=method))


def test_a_small_file_cannot_take_much_memory() -> None:
    """One record that claims to unpack to gigabytes, and hundreds of records that unpack the same bytes."""
    size = 2**31
    record = npy(header("|u1", (size,)), b"")
    lie = bytearray(archive_of(("x.npy", record), compression=zipfile.ZIP_DEFLATED).getvalue())
    place = lie.index(b"PK\x01\x02")
    lie[place + 24 : place + 28] = (size + len(record)).to_bytes(4, "little")
    zeros = npy(header("|u1", (10**6,)), bytes(10**6))
    one = archive_of(("x.npy", zeros), compression=zipfile.ZIP_DEFLATED).getvalue()
    start = one.index(b"PK\x01\x02")
    entry, end = one[start : one.index(b"PK\x05\x06")], bytearray(one[one.index(b"PK\x05\x06") :])
    for place in (8, 10):
        end[place : place + 2] = (500).to_bytes(2, "little")
    end[12:16] = (500 * len(entry)).to_bytes(4, "little")
    entries = b"".join([entry.replace(b"x.npy", b"%05d" % i) for i in range(500)])
    tracemalloc.start()
    try:
        for content in (bytes(lie), one[:start] + entries + bytes(end)):
            with pytest.raises(ValueError, match=r"more than the file can hold|damaged"):
                load_npz(io.BytesIO(content))
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_the_ending_is_added_as_numpy_does(tmp_path: Path) -> None:
    save_npz({"x": torch.ones(2)}, tmp_path / "tensors")
    assert [path.name for path in tmp_path.iterdir()] == ["tensors.npz"]


@pytest.mark.parametrize("save", [save_npz, save_safetensors])
def test_what_is_not_a_dictionary_of_dense_tensors_is_named(tmp_path: Path, save: Any) -> None:
    for wrong, said in (
        (torch.ones(1), "got Tensor"), ([torch.ones(1)], "got list"), (None, "got NoneType"),
        (torch.nn.Linear(1, 1), r"got Linear: save its state_dict\(\)"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=said):
            save(wrong, tmp_path / "tensors")
    with pytest.raises(NotImplementedError, match="'w': a sparse tensor"):
        save({"w": torch.eye(2).to_sparse()}, tmp_path / "tensors")
    assert not list(tmp_path.iterdir())
