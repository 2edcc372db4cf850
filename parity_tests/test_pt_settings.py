"""The settings of torch.serialization, and the arguments of save and load, under both libraries."""

from __future__ import annotations

import importlib
import io
import mmap
import zipfile

import pytest
import torch

import mini_dl

both = pytest.mark.parametrize("library", (torch, mini_dl))


def written(library, value=None, **options):
    file = io.BytesIO()
    library.save({"a": library.arange(4.0)} if value is None else value, file, **options)
    file.seek(0)
    return file


def outcome(call):
    try:
        return call()
    except Exception as error:
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")


def same(program):
    answers = [outcome(lambda library=library: program(library)) for library in (torch, mini_dl)]
    assert answers[0] == answers[1]
    return answers[0]


@pytest.mark.parametrize("order", (None, "NATIVE", "LITTLE", "BIG"))
def test_the_byte_order_of_files_that_do_not_say_it(order):
    def program(library):
        serialization = library.serialization
        file = written(mini_dl, _disable_byteorder_record=True)  # torch's writer writes it all the same
        before = serialization.get_default_load_endianness()
        serialization.set_default_load_endianness(order and getattr(serialization.LoadEndianness, order))
        try:
            return before, library.load(file)["a"].tolist()
        finally:
            serialization.set_default_load_endianness(before)

    answer = same(program)
    assert (answer[1] == [0, 1, 2, 3]) == (order != "BIG")
    assert same(lambda library: library.serialization.set_default_load_endianness("big")) == "TypeError"


@both
@pytest.mark.parametrize("on", (True, False))
def test_checksums_can_be_left_out(library, on):
    library.serialization.set_crc32_options(on)
    try:
        assert library.serialization.get_crc32_options() is on
        file = written(library)
    finally:
        library.serialization.set_crc32_options(True)
    for reader in (torch, mini_dl):
        file.seek(0)
        assert reader.load(file)["a"].tolist() == [0, 1, 2, 3]
    if library is mini_dl:
        assert all([bool(entry.CRC) is on for entry in zipfile.ZipFile(file).infolist()])


@pytest.mark.parametrize("flags", ("MAP_PRIVATE", "MAP_SHARED"))
def test_a_mapped_file_is_changed_only_if_it_is_shared(flags, tmp_path):
    def program(library):
        path = tmp_path / f"{library.__name__}.pt"
        library.save({"a": library.arange(4.0), "b": library.ones(2, dtype=library.int64)}, path)
        assert library.serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
        with library.serialization.set_default_mmap_options(getattr(mmap, flags)):
            mapped = library.load(path, mmap=True)
        mapped["a"].mul_(2)
        mapped["b"][0] = 7
        again = library.load(path)
        return mapped["a"].tolist(), again["a"].tolist(), again["b"].tolist()

    assert same(program)[1] == ([0, 1, 2, 3] if flags == "MAP_PRIVATE" else [0, 2, 4, 6])
    assert same(lambda library: library.serialization.set_default_mmap_options(99)) == "ValueError"


def test_mapping_needs_a_name_and_the_zip_format(tmp_path):
    assert same(lambda library: library.load(written(library), mmap=True)) == "ValueError"

    def program(library):
        library.save(library.ones(2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
        return library.load(tmp_path / "old.pt", mmap=True)

    assert same(program) == "RuntimeError"


@both
def test_the_options_live_in_a_module(library, tmp_path):
    config = importlib.import_module(f"{library.__name__}.utils.serialization").config
    library.save(library.arange(4.0), tmp_path / "a.pt")
    with config.patch({"load.mmap": True}):
        mapped = library.load(tmp_path / "a.pt")
        assert config.load.mmap is True
        with pytest.raises(ValueError, match="file path"):
            library.load(written(library))
    assert config.load.mmap is False and mapped.tolist() == [0, 1, 2, 3]
    with config.patch("save.storage_alignment", 4096):
        file = written(library)
    archive = zipfile.ZipFile(file)
    entry = next(entry for entry in archive.infolist() if entry.filename.endswith("data/0"))
    file.seek(entry.header_offset + 26)
    lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]
    assert (entry.header_offset + 30 + sum(lengths)) % 4096 == 0


def test_contents_can_be_left_out():
    def program(library):
        with library.serialization.skip_data():
            empty = written(library)
        full = written(library)
        with library.serialization.skip_data():
            shape = library.load(full)["a"].shape
        empty.seek(0)
        return library.load(empty)["a"].tolist(), tuple(shape), len(empty.getvalue()) == len(full.getvalue())

    assert same(program) == ([0, 0, 0, 0], (4,), True)

    def old(library):
        with library.serialization.skip_data():
            written(library, _use_new_zipfile_serialization=False)

    assert same(old) == "RuntimeError"


def test_others_can_register_places_for_storages(monkeypatch):
    from mini_dl.files.pt import locations

    monkeypatch.setattr(locations, "_registry", list(locations._registry))
    monkeypatch.setattr(torch.serialization, "_package_registry", list(torch.serialization._package_registry))

    def program(library):
        asked = []

        def tag(storage):
            asked.append((storage.device.type, storage.nbytes()))
            return "shelf:1"

        def restore(storage, location):
            asked.append(location)
            return storage if location.startswith("shelf") else None

        before = outcome(lambda: library.serialization.default_restore_location(library.ones(1).untyped_storage(), "shelf:0"))
        library.serialization.register_package(5, tag, restore)
        file = written(library)
        back = library.load(file)["a"].tolist()
        file.seek(0)
        other = library.load(file, map_location="shelf:2")["a"].tolist()
        return before, asked, back, other, library.serialization.location_tag(library.ones(2).untyped_storage())

    assert same(program)[0] == "RuntimeError"


@pytest.mark.parametrize("value", ("1", "0"))
@pytest.mark.parametrize("name", ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"))
@pytest.mark.filterwarnings("ignore")
def test_the_environment_decides_as_in_torch(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    for options in ({}, {"weights_only": False}, {"weights_only": True}):
        same(lambda library, options=options: library.load(written(library, [slice(1, 2)]), **options))


MAPS = {
    "none": lambda m: None,
    "text": lambda m: "cpu",
    "device": lambda m: m.device("cpu"),
    "dictionary": lambda m: {"cpu": "cpu"},
    "dictionary of others": lambda m: {"cuda:0": "cpu"},
    "function": lambda m: lambda storage, location: storage,
    "function of None": lambda m: lambda storage, location: None,
    "the default": lambda m: m.serialization.default_restore_location,
    "cuda": lambda m: "cuda",
    "cuda device": lambda m: m.device("cuda:0"),
    "dictionary to cuda": lambda m: {"cpu": "cuda:0"},
    "no such": lambda m: "nowhere",
    "a number": lambda m: 3,
    "failing": lambda m: lambda storage, location: 1 / 0,
}


@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize("form", MAPS)
def test_storages_go_where_map_location_says(form, zipped):
    same(lambda m: m.load(written(m, _use_new_zipfile_serialization=zipped), map_location=MAPS[form](m))["a"].tolist())
