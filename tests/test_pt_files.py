"""Loading a .pt file may change nothing, run nothing, take little memory, and fail with one kind of error."""

from __future__ import annotations

import collections
import copy
import io
import pickle
import random
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutations import archived, mutated, records_of

import mini_dl as torch
from mini_dl import nn
from mini_dl.serialization import FileError, add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals


def archive_of(pickled: bytes, **records: bytes) -> io.BytesIO:
    """A .pt file with this pickle, and these contents of storages."""
    contents = [(f"a/data/{name[1:]}", content) for name, content in records.items()]
    return io.BytesIO(archived([("a/data.pkl", pickled), *contents, ("a/version", b"3\n")]))


def written(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def again(value: Any, **options: Any) -> Any:
    return torch.load(io.BytesIO(written(value)), **options)


def changed(content: bytes, **records: Any) -> io.BytesIO:
    """The file, with other contents of these records ("_" stands for "/"), or without them if None."""
    kept = {name.partition("/")[2]: part for name, part in records_of(content)}
    kept |= {name.replace("_", "/"): part for name, part in records.items()}
    return io.BytesIO(archived([(f"a/{name}", part) for name, part in kept.items() if part is not None]))


BUILDS = {
    "a dtype": b"ctorch\nfloat32\n(N}X\x04\0\0\0nameX\x07\0\0\0float64s\x86b.",
    "a dtype by two dictionaries": b"ctorch\nfloat32\n(N}X\x04\0\0\0nameX\x07\0\0\0float64stb.",
    "Parameter": b"ctorch.nn.parameter\nParameter\n}X\x04\0\0\0evilK\x01sb.",
    "Size": b"ctorch\nSize\n}X\x05\0\0\0numelK\x01sb.",
    "device": b"ctorch\ndevice\n}X\x04\0\0\0typeK\x01sb.",
    "Counter": b"ccollections\nCounter\n}X\x06\0\0\0updateK\x01sb.",
    "OrderedDict": b"ccollections\nOrderedDict\n}X\x04\0\0\0evilK\x01sb.",
    "Tensor": b"ctorch\nTensor\n}X\x05\0\0\0shapeK\x01sb.",
    "a rebuild function": b"ctorch._utils\n_rebuild_tensor_v2\n}X\x04\0\0\0evilK\x01sb.",
    "a storage type": b"ctorch\nFloatStorage\n}X\x04\0\0\0nameX\x05\0\0\0int64sb.",
    "a layout": b"ctorch.serialization\n_get_layout\nX\x0d\0\0\0torch.strided\x85R}X\x04\0\0\0nameK\x01sb.",
    "a device": b"ctorch\ndevice\nX\x03\0\0\0cpu\x85RN}X\x04\0\0\0typeX\x01\0\0\0xs\x86b.",
}


@pytest.mark.parametrize("what", BUILDS)
def test_no_file_changes_an_object_that_others_have(what: str) -> None:
    def state() -> Any:
        shared = (
            torch.float32,
            nn.Parameter,
            torch.Size,
            torch.device,
            collections.Counter,
            collections.OrderedDict,
            torch.Tensor,
        )
        return (
            [(dict(thing.__dict__) if isinstance(thing, type) else (thing.name, thing.numpy)) for thing in shared],
            torch.strided.name,
            str(torch.ones(1).device),
        )

    before = state()
    with pytest.raises(FileError, match="Weights only load failed"):
        torch.load(archive_of(b"\x80\x02" + BUILDS[what]))
    assert state() == before and torch.ones(1).dtype is torch.float32


@pytest.mark.parametrize(
    "pickled",
    (
        b"cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"cbuiltins\neval\nX\x01\0\0\x001\x85R.",
        b"c__builtin__\ngetattr\n.",
        b"cmini_dl.tensor\nTensor\n.",
        b"cnumpy\ndtype\nX\x02\0\0\0f4\x85R.",
        b"ctorch\nFloatStorage\n)R.",
        b"ctorch\nfloat32\n)R.",
        b"X\x01\0\0\0x)R.",
        b"ccollections\nOrderedDict\nX\x01\0\0\0aX\x01\0\0\0bs.",
        b"ctorch\nSize\nK\x01a.",
        b"ctorch.nn.parameter\nParameter\nX\x01\0\0\0x\x85\x81.",
        b"\x8c\x02os\x8c\x06system\x93.",
        b"(ios\nsystem\n.",
        b"Pcpu\n.",
    ),
)
def test_nothing_runs_but_what_is_allowed(pickled: bytes) -> None:
    with pytest.raises(FileError, match="Weights only load failed"):
        torch.load(archive_of(b"\x80\x02" + pickled))


def test_what_the_caller_allows_is_made_called_and_built(tmp_path: Path) -> None:
    content = written({"module": nn.Linear(2, 2).state_dict(), "p": Path("x")})
    with pytest.raises(FileError, match=r"Unsupported global: GLOBAL pathlib\.[\w.]+ was not an allowed global by default"):
        torch.load(io.BytesIO(content))
    names = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    assert len(names) == 1 and names[0].startswith("pathlib.")
    with safe_globals([(type(Path("x")), names[0])]):
        assert torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content)) == []
        assert torch.load(io.BytesIO(content))["p"] == Path("x")
        with safe_globals([Holder]):
            back = torch.load(io.BytesIO(written(Holder(3))))
    assert back.value == 3 and get_safe_globals() == []
    with pytest.raises(ValueError, match="tuple of length 2"):
        add_safe_globals([(Holder, "a", "b")])
    with pytest.raises(TypeError, match="second item in tuple to be str"):
        add_safe_globals([(Holder, Holder)])
    add_safe_globals([(len, "os.system"), nn.Linear])
    assert set(get_safe_globals()) == {(len, "os.system"), nn.Linear}
    with pytest.raises(FileError, match="module os is blocked"):
        torch.load(archive_of(b"\x80\x02cos\nsystem\n."))
    assert torch.load(archive_of(b"\x80\x02ctorch.nn.modules.linear\nLinear\n.")) is nn.Linear
    clear_safe_globals()
    assert get_safe_globals() == []


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value


# ------------------------------------------------------------------------------------------------ bombs


def bomb(name: str) -> io.BytesIO:
    """A small file that would take a lot of memory, time or stack."""
    deep = b"\x85" * 100_000
    bombs = {
        "a memo of four billion": b"K\x01r" + struct.pack("<I", 2**32 - 1) + b"0.",
        "a text of 4 GB": b"X\xff\xff\xff\xff.",
        "a bytearray by its length": b"cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x10\x85R.",
        "a deep key": b"}K\x01" + deep + b"K\x01s.",
        "a deep member": b"cbuiltins\nset\n]K\x01" + deep + b"a\x85R.",
        "a key that doubles": b"}K\x01" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
        "copies of a list": b"](" + b"K\x01" * 20_000 + b"eq\x000](" + b"cbuiltins\nset\nh\x00\x85R" * 5000 + b"e.",
        "a tensor by its size": b"ctorch\nTensor\n\x8a\x05\0\0\0\0\x10\x85R.",
        "a sparse tensor of 10**12": b"".join([
            b"ctorch._utils\n_rebuild_sparse_tensor\n(ctorch.serialization\n_get_layout\nX\x10\0\0\0torch.sparse_coo\x85R(",
            b"ctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nLongStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\x00K\x01K\x01\x86K\x01K\x01\x86tR",
            b"ctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nLongStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\x00K\x01\x85K\x01\x85tR",
            b"\x8a\x06\0\0\0\0\x00\x01\x85t\x86R.",
        ]),
        "a storage of 2**40 bytes": (
            b"ctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000X\x03\0\0\0cpu\x8a\x06\0\0\0\0\0\x01tQK\x00K\x01\x85K\x01\x85tR."
        ),
    }  # fmt: skip
    return archive_of(b"\x80\x02" + bombs[name], _0=bytes(8))


@pytest.mark.parametrize(
    "name",
    (
        "a text of 4 GB", "a bytearray by its length", "a deep key", "a deep member", "a key that doubles", "copies of a list",
        "a tensor by its size", "a sparse tensor of 10**12", "a storage of 2**40 bytes", "a memo of four billion",
    ),
)  # fmt: skip
def test_a_small_file_takes_little_memory(name: str) -> None:
    file = bomb(name)
    tracemalloc.start()
    try:
        with pytest.raises(FileError):
            torch.load(file)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_compressed_records_may_not_grow_without_bound_and_stored_ones_not_overlap() -> None:
    grown = io.BytesIO(archived([("a/data.pkl", bytes(300_000_000)), ("a/version", b"3")], zipfile.ZIP_DEFLATED))
    with pytest.raises(FileError, match="out of all proportion"):
        torch.load(grown)
    x = torch.arange(1000.0)
    content = bytearray(archived(records_of(written([x, x.clone()]))))
    entries = [at for at in range(len(content)) if content.startswith(b"PK\x01\x02", at)]
    first, second = [
        at for at in entries if b"data/" in content[at + 46 : at + 46 + 14] and b"pkl" not in content[at + 46 : at + 64]
    ]
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    content[second + 16 : second + 20] = content[first + 16 : first + 20]
    again_ = torch.load(io.BytesIO(content))  # two records at one position take no more than the archive has
    assert again_[1].tolist() == x.tolist()
    for at in entries:
        content[at + 20 : at + 28] = content[first + 20 : first + 28]
        content[at + 42 : at + 46] = content[first + 42 : first + 46]
        content[at + 16 : at + 20] = bytes(4)
    with pytest.raises(FileError):
        torch.load(io.BytesIO(content))


def test_deep_nesting_is_read_and_needs_no_recursion() -> None:
    value = torch.load(archive_of(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."))
    for _ in range(49_999):
        (value,) = value
    assert value == []


# ------------------------------------------------------------------------------------------------ how files are refused


def test_every_refusal_is_a_file_error_with_the_file_and_the_record(tmp_path: Path) -> None:
    content = written({"x": torch.arange(4.0)})
    for file, kind, message in (
        (changed(content, version=b"0"), RuntimeError, "version 0, but the minimum supported version for reading is 1"),
        (changed(content, version=b"11"), RuntimeError, "version 11, but the maximum supported version for reading is 10"),
        (changed(content, version=b"abc"), RuntimeError, "Couldn't parse the version 'abc' as Long Long"),
        (changed(content, version=None), RuntimeError, "no record of its version"),
        (changed(content, byteorder=b"middle"), ValueError, "record byteorder: Unknown endianness type: 'middle'"),
        (
            changed(content, data_0=bytes(8)),
            RuntimeError,
            "record data/0: record size .8 bytes. does not match expected size .16",
        ),
        (
            changed(content, data_0=bytes(20)),
            RuntimeError,
            "record data/0: record size .20 bytes. does not match expected size .16",
        ),
        (changed(content, data_0=None), RuntimeError, "failed locating file data/0: file not found"),
        (changed(content, **{"data.pkl": None}), RuntimeError, "failed locating file data.pkl: file not found"),
        (changed(content, **{"constants.pkl": b""}), RuntimeError, "TorchScript"),
        (
            changed(content, **{"data.pkl": b"\x80\x02]"}),
            EOFError,
            "record data.pkl: byte 4 of the pickle: the pickle has no end",
        ),
        (changed(content, **{"data.pkl": b"\x80\x02h\x05."}), pickle.UnpicklingError, "nothing was kept under the number 5"),
        (io.BytesIO(content[:-1]), RuntimeError, "failed finding central directory"),
        (io.BytesIO(b""), EOFError, "a BytesIO: its head: byte 1 of the pickle: the pickle has no end"),
        (io.BytesIO(b"something else"), pickle.UnpicklingError, "not a .pt file"),
        (io.BytesIO(b"PK\x03\x04"), RuntimeError, "not a ZIP archive"),
        (io.BytesIO(pickle.dumps({"a": 1}, 2)), RuntimeError, "Invalid magic number; corrupt file"),
    ):
        with pytest.raises(kind, match=message) as caught:
            torch.load(file)
        assert isinstance(caught.value, FileError) and "a BytesIO: " in str(caught.value)
    (tmp_path / "x.pt").write_bytes(content[:-30])
    with pytest.raises(FileError, match=r"x\.pt: failed reading zip archive"):
        torch.load(tmp_path / "x.pt")


def test_two_records_of_one_name_and_wrong_check_sums_are_refused() -> None:
    content = written(torch.arange(4.0))
    records = records_of(content)
    data = next(name for name, _ in records if name.endswith("data/0"))
    with pytest.raises(FileError, match="two records of the name 'data/0'"):
        torch.load(io.BytesIO(archived([*records, (data, bytes(16))])))
    at = content.find(np.arange(4, dtype=np.float32).tobytes())
    with pytest.raises(FileError, match="record data/0: its checksum is wrong"):
        torch.load(io.BytesIO(content[: at + 1] + b"\x01" + content[at + 2 :]))


def test_tensors_that_make_no_sense_are_refused() -> None:
    described = b"(X\x07\0\0\0storagectorch\nLongStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
    head = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + described
    for rest, message in (
        (b"K\x00K\x03\x85K\x01\x85\x89NtR.", "does not fit its storage of 2 elements"),
        (b"J\xff\xff\xff\xffK\x01\x85K\x01\x85\x89NtR.", "invalid storage offset"),
        (b"K\x00K\x02\x85J\xff\xff\xff\xff\x85\x89NtR.", "does not fit"),
        (b"K\x00K\x01K\x01\x86K\x01\x85\x89NtR.", "does not fit"),
        (b"K\x00K\x01\x85K\x01\x85\x88NtR.", "only Tensors of floating point and complex dtype can require gradients"),
        (b"K\x00K\x01\x85K\x01\x85\x89N}X\x04\0\0\0conj\x88stR.", "only a complex tensor can be a conjugate"),
        (b"K\x00X\x01\0\0\0aK\x01\x85\x89NtR.", "sizes and strides are tuples of integers"),
        (b"K\x00(\x8a\x06\0\0\0\0\0\x10\x8a\x06\0\0\0\0\0\x10tK\x00K\x00\x86\x89NtR.", "cannot be made"),
    ):
        with pytest.raises(FileError, match=message):
            torch.load(archive_of(head + rest, _0=bytes(16)))


@pytest.mark.parametrize(
    "name",
    (
        "_array",
        "_edge",
        "_counter",
        "_hooks",
        "shape",
        "grad",
        "data",
        "requires_grad",
        "__class__",
        "sum",
        "__array_interface__",
        "__array_struct__",
        "__setstate__",
    ),
)
def test_attributes_in_a_file_are_no_way_into_a_tensor(name: str) -> None:
    pickled = written(nn.Buffer(torch.ones(2)))
    part = dict(records_of(pickled))["archive/data.pkl"]
    other = part.replace(b"X\x0a\0\0\0persistent", b"X" + struct.pack("<I", len(name)) + name.encode())
    assert other != part
    with pytest.raises(FileError, match="attribute"):
        torch.load(changed(pickled, **{"data.pkl": other}))


def test_attributes_in_a_file_make_no_dictionary_into_an_array_of_any_memory() -> None:
    head = b"\x80\x02ccollections\nOrderedDict\n)R}X\x13\0\0\0__array_interface__}sb."
    with pytest.raises(FileError, match="attributes are a dictionary of names"):
        torch.load(archive_of(head))


def samples() -> list[bytes]:
    torch.manual_seed(0)
    parameter, base, network = nn.Parameter(torch.ones(2)), torch.arange(10.0), nn.Linear(3, 2)
    parameter.tag = "x"
    values: list[Any] = [
        torch.arange(4.0),
        {"a": torch.arange(6).reshape(2, 3), "b": [1, 2.5, "s", None, True, (1,), b"ab", {3}, 2 + 1j, 10**30]},
        collections.OrderedDict(part=base[2:5], whole=base, t=torch.ones(2, 3).t(), n=torch.tensor(3)),
        network.state_dict(),
        [parameter, nn.Buffer(torch.zeros(2)), torch.ones(2, requires_grad=True), torch.arange(3).to(torch.uint16)],
        [torch.float32, torch.Size([2, 3]), torch.device("cpu"), torch.strided, collections.Counter("abca")],
    ]
    return [written(value, _use_new_zipfile_serialization=zipped) for zipped in (True, False) for value in values]


@pytest.mark.parametrize("archive", (True, False))
def test_damaged_files_are_read_or_refused_and_nothing_else(archive: bool) -> None:
    bases = samples()[: 6 if archive else None][0 if archive else 6 :]
    before = repr([torch.float32, torch.int64, torch.strided, torch.Size([2])])
    read = refused = 0
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(500):
            content = mutated(random.Random(f"{archive} {number}"), bases[number % len(bases)])
            try:
                torch.load(io.BytesIO(content))
                read += 1
            except FileError:
                refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read > 50 and refused > 200 and peak < 100e6
    assert repr([torch.float32, torch.int64, torch.strided, torch.Size([2])]) == before


# ------------------------------------------------------------------------------------------------ what is kept


def test_attributes_flags_and_classes_of_tensors_come_back() -> None:
    parameter = nn.Parameter(torch.ones(2))
    parameter.tag = {"a": torch.zeros(1)}
    tensor = torch.ones(2)
    tensor.note = "n"
    back = again([parameter, tensor, nn.Buffer(torch.zeros(1), persistent=False), parameter])
    assert isinstance(back[0], nn.Parameter) and back[0].tag["a"].tolist() == [0] and back[0] is back[3]
    assert back[1].note == "n" and isinstance(back[2], nn.Buffer) and not back[2].persistent
    (back[0] * 2).sum().backward()
    assert back[0].grad.tolist() == [2, 2]


def test_hooks_are_not_written_and_that_is_said() -> None:
    tensor = torch.ones(2, requires_grad=True)
    tensor.register_hook(lambda grad: grad * 2)
    with pytest.warns(UserWarning, match="hook on a tensor will not be serialized"):
        back = again(tensor)
    back.sum().backward()
    assert back.grad.tolist() == [1, 1]


def test_layouts_types_and_storages_come_back() -> None:
    assert again([torch.strided, torch.sparse_coo, torch.float16]) == [torch.strided, torch.sparse_coo, torch.float16]
    storage = again(torch.arange(3).to(torch.uint8).untyped_storage())
    assert storage.tolist() == [0, 1, 2] and isinstance(storage, torch.UntypedStorage) and len(storage) == storage.nbytes() == 3
    pair = again([torch.arange(3).to(torch.uint8).untyped_storage(), torch.ones(1)])
    assert pair[0].dtype is torch.uint8 and pair[0][1] == 1 and again(pair[0]).tolist() == [0, 1, 2]


def test_memory_that_was_shared_in_a_file_is_shared_in_the_next() -> None:
    base, bytes_ = torch.arange(10.0), torch.arange(5).to(torch.uint8)
    loaded = again(again({"base": base, "part": base[2:5], "bytes": bytes_, "some": bytes_[1:3]}))
    loaded["part"][0], loaded["some"][0] = 99, 77
    assert loaded["base"][2] == 99 and loaded["bytes"][1] == 77
    copied = copy.deepcopy(loaded)
    copied = again(copied)
    copied["part"][0] = 5
    assert copied["base"][2] == 5


def test_memory_seen_as_two_types_is_not_written() -> None:
    z = torch.tensor([1 + 2j])
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        again([z, z.real])
    assert again(z.real).tolist() == [1] and again(z.imag).tolist() == [2] and again(z.conj()).tolist() == [1 - 2j]


@pytest.mark.parametrize(
    "form", (None, "cpu", b"cpu", torch.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, lambda storage, where: None)
)
def test_map_location_takes_every_form(form: Any) -> None:
    assert again(torch.ones(2), map_location=form).tolist() == [1, 1]


def test_map_location_is_obeyed_or_refused() -> None:
    seen: list[Any] = []
    x = torch.ones(2)
    again([x, x[:1], torch.zeros(3)], map_location=lambda storage, location: seen.append((storage.nbytes(), location)) or storage)
    assert seen == [(8, "cpu"), (12, "cpu")]
    assert again(x, map_location=torch.device("meta")).is_meta
    for form in ("cuda", {"cpu": "cuda:0"}, torch.device("xpu")):
        with pytest.raises(RuntimeError):
            again(x, map_location=form)
    with pytest.raises(TypeError):
        again(x, map_location=lambda storage, location: 3)
    with pytest.raises(TypeError):
        again(x, map_location=3)


class Reader:
    """A minimal file."""

    def __init__(self, content: bytes) -> None:
        file = io.BytesIO(content)
        self.read, self.seek, self.tell, self.readline = file.read, file.seek, file.tell, file.readline


class Writer:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, content: Any) -> int:
        self.parts.append(bytes(content))
        return len(self.parts[-1])


@pytest.mark.parametrize("archive", (True, False))
def test_files_need_little_to_be_read_and_written(archive: bool) -> None:
    target = Writer()
    torch.save({"x": torch.arange(3.0)}, target, _use_new_zipfile_serialization=archive)  # type: ignore[arg-type]
    content = b"".join(target.parts)
    assert torch.load(Reader(content))["x"].tolist() == [0, 1, 2]  # type: ignore[arg-type]
    file = io.BytesIO(b"abc")
    file.seek(3)
    torch.save([1], file, _use_new_zipfile_serialization=archive)
    file.seek(3)
    assert torch.load(file) == [1]
    with pytest.raises(AttributeError, match="You can only torch\\.load from a file that is seekable"):
        torch.load(Writer())  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="a file-like object with a 'write' attribute"):
        torch.save(1, object())  # type: ignore[arg-type]


def test_several_objects_in_the_old_format_follow_each_other_in_one_file() -> None:
    file = io.BytesIO(
        written(torch.ones(2), _use_new_zipfile_serialization=False) + written("b", _use_new_zipfile_serialization=False)
    )
    assert torch.load(file).tolist() == [1, 1] and torch.load(file, weights_only=False) == "b"


def test_a_mapped_file_is_read_when_it_is_looked_at_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.arange(1000.0), "b": torch.ones(3)}, path)
    before = path.read_bytes()
    mapped = torch.load(path, mmap=True)
    assert mapped["a"][999] == 999 and mapped["a"].untyped_storage().nbytes() == 4000
    mapped["a"][0] = 5
    assert mapped["a"][0] == 5 and path.read_bytes() == before
    assert len(written(mapped["b"])) < 1500 and again(mapped)["a"][0] == 5
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        torch.load(io.BytesIO(before), mmap=True)
    torch.save(1, path, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used"):
        torch.load(path, mmap=True)


def test_records_are_aligned_so_that_they_can_be_mapped() -> None:
    content = written([torch.arange(3.0), torch.arange(5).to(torch.complex128)])
    assert content.find(np.arange(3, dtype=np.float32).tobytes()) % 64 == 0
    assert content.find(np.arange(5, dtype=np.complex128).tobytes()) % 64 == 0


def test_any_pickle_is_read_if_the_caller_says_so() -> None:
    content = written(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    with pytest.raises(FileError):
        torch.load(io.BytesIO(content))
    network = torch.load(io.BytesIO(content), weights_only=False)
    assert network(torch.ones(1, 2)).shape == (1, 2)
    assert isinstance(torch.load(io.BytesIO(content), pickle_module=pickle), nn.Sequential)
    with pytest.raises(RuntimeError, match="Can not safely load weights when explicit pickle_module is specified"):
        torch.load(io.BytesIO(content), pickle_module=pickle, weights_only=True)


def test_byte_strings_of_python_2_are_decoded_as_asked() -> None:
    pickled = b"\x80\x02U\x02\xc3\xa9."
    assert torch.load(archive_of(pickled)) == "é"
    with pytest.warns(UserWarning, match="pickle_load_args only works"):
        assert torch.load(archive_of(pickled), encoding="latin1") == "Ã©"
    assert torch.load(archive_of(pickled), encoding="bytes", weights_only=False) == b"\xc3\xa9"
    with pytest.raises(FileError):
        torch.load(archive_of(b"\x80\x02U\x01\xff."))
