"""Files are replaced atomically: whatever goes wrong, the old one remains and nothing is left beside it."""

from __future__ import annotations

import ast
import errno
import io
import os
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

import mini_dl as torch
from mini_dl.files import replacing as _files
from mini_dl.files.replacing import replaced, rewrite
from mini_dl.serialization import load_npz, load_safetensors, save_npz, save_safetensors
from mini_dl.utils import viz

ROOT = Path(__file__).resolve().parent.parent
POSIX = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")
FORMATS: dict[str, tuple[Any, Any]] = {
    "pt": (torch.save, torch.load),
    "npz": (save_npz, load_npz),
    "safetensors": (save_safetensors, load_safetensors),
}


def saved_in(folder: Path, ending: str) -> tuple[Any, Any, Path]:
    """The functions that save and load files with this suffix, and a file that they wrote."""
    save, load = FORMATS[ending]
    path = folder / f"checkpoint.{ending}"
    save({"a": torch.zeros(3)}, path)
    return save, load, path


@pytest.fixture(params=["without a name", "with a name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How the new file exists until it is complete; systems without unnamed files test the second twice."""
    if request.param == "with a name":
        monkeypatch.setattr(_files, "UNNAMED", 0)
    yield request.param


@pytest.fixture(params=FORMATS)
def ending(request: pytest.FixtureRequest) -> str:
    return request.param


def run(code: str, *arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A Python process with the same import path as this one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, **{"stdout": subprocess.PIPE, **options})


def raise_(error: BaseException) -> NoReturn:
    raise error


# ------------------------------------------------------------------------------------------------ killed, full, interrupted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that it forks")
def test_a_process_killed_while_it_saves_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    program = Path(__file__).with_name("kill_saves.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(program), "--kills", "30", "--folder", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost" not in done.stdout and "left behind: " in done.stdout


LIMITED = """
import os, resource, signal, sys
import mini_dl as torch
from mini_dl.files import replacing as _files
from mini_dl.serialization import save_npz, save_safetensors
if sys.argv[3] == "with a name":
    _files.UNNAMED = 0
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
save = {"pt": torch.save, "npz": save_npz, "safetensors": save_safetensors}[sys.argv[1]]
try:
    save({"a": torch.ones(100, 100), "b": torch.ones(300, 300)}, sys.argv[2])
except OSError as error:
    print(type(error).__name__, error.errno, error.filename)
"""


@POSIX
def test_a_limit_on_the_size_of_files_leaves_the_old_file(tmp_path: Path, ending: str, way: str) -> None:
    _, load, path = saved_in(tmp_path, ending)
    said = run(LIMITED, ending, path, way).stdout.decode()
    assert said.split() == ["OSError", str(errno.EFBIG), str(path)]
    assert load(path)["a"].tolist() == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_full_disk_found_at_the_end_leaves_the_old_file(
    tmp_path: Path, ending: str, way: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, load, path = saved_in(tmp_path, ending)
    with monkeypatch.context() as patch:
        patch.setattr(os, place, lambda *_: raise_(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match=rf"No space left on device: '.*checkpoint\.{ending}'$"):
            save({"a": torch.ones(5)}, path)
    assert load(path)["a"].tolist() == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


class Failing:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError(), ValueError("no")], ids=repr)
def test_an_error_or_an_interrupt_leaves_the_old_file(tmp_path: Path, way: str, error: BaseException) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(type(error)):
        torch.save({"a": torch.ones(3), "b": Failing(error)}, path)
    with pytest.raises(type(error)), replaced(path) as file:
        file.write(b"half" * 10_000)
        raise error
    with pytest.raises(type(error)), replaced(tmp_path / "new.pt") as file:
        raise error
    assert torch.load(path)["a"].tolist() == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("part", ["write", "close"])
@pytest.mark.parametrize("ending", ["pt", "npz"])
def test_an_interrupt_within_an_archive_stays_an_interrupt(
    tmp_path: Path, ending: str, part: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, load, path = saved_in(tmp_path, ending)

    def interrupted(record: Any, *_: Any) -> NoReturn:
        if part == "close":
            io.BufferedIOBase.close(record)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile._ZipWriteFile, part, interrupted)  # type: ignore[attr-defined]
        for target in (path, io.BytesIO()):
            with pytest.raises(KeyboardInterrupt):
                save({"a": torch.ones(3)}, target)
    assert load(path)["a"].tolist() == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_refused_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for save in (save_npz, save_safetensors):
        path = tmp_path / "tensors.npz"
        save({"a": torch.zeros(3)}, path)
        before = path.read_bytes()
        with pytest.raises(TypeError):
            save({"a": torch.ones(3), "b": 3}, path)
        file = io.BytesIO()
        with pytest.raises(TypeError):
            save({"a": torch.ones(3), "b": 3}, file)
        assert file.getvalue() == b"" and path.read_bytes() == before


def test_whoever_has_the_old_file_open_goes_on_reading_it(tmp_path: Path, way: str) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(torch.zeros(3), path)
    with open(path, "rb") as old:
        if os.name == "posix":  # where an open file can be replaced
            torch.save(torch.ones(3), path)
        assert torch.load(old).tolist() == [0, 0, 0]


def test_of_several_that_save_at_once_one_wins_whole(tmp_path: Path, way: str) -> None:
    path = tmp_path / "checkpoint.npz"

    def save(value: int) -> None:
        for _ in range(10):
            save_npz({"a": torch.full((100,), value), "b": torch.full((50,), value)}, path)

    threads = [threading.Thread(target=save, args=(value,)) for value in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({value for tensor in load_npz(path).values() for value in tensor.tolist()}) == 1
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------ permissions and links


@POSIX
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, way: str) -> None:
    for mask in (0o022, 0o077, 0o002):
        before = os.umask(mask)
        try:
            rewrite(tmp_path / f"{mask}", "text")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}").stat().st_mode) == 0o666 & ~mask


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_permissions_of_the_old_file_stay_and_nobody_else_looks_in_before(tmp_path: Path, way: str, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    with replaced(path) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
        file.write(b"new")
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
def test_a_group_that_cannot_be_kept_is_not_replaced_by_one_that_may_do_as_much(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o664)
    descriptor = os.open(tmp_path / "new", os.O_CREAT | os.O_WRONLY)
    values = list(path.stat())
    values[stat.ST_GID] += 1
    monkeypatch.setattr(os, "fchown", lambda *_: raise_(PermissionError(errno.EPERM, "not permitted")))
    _files._take_permissions(descriptor, os.stat_result(values))
    assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o644
    os.close(descriptor)


AS_NOBODY = """
import os, sys
import mini_dl as torch, mini_dl.serialization
from mini_dl.files import replacing as _files
if sys.argv[2] == "with a name":
    _files.UNNAMED = 0
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    torch.save(torch.ones(3), sys.argv[1])
except PermissionError as error:
    print(error)
"""


@POSIX
def test_without_permission_the_old_file_stays(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "checkpoint.pt"
    torch.save(torch.zeros(3), path)
    for parent in (tmp_path, *tmp_path.parents):
        if "pytest" in str(parent):  # whose folders are inaccessible to others
            parent.chmod(parent.stat().st_mode | 0o011)
    for mode, folders, reason in ((0o444, 0o777, "Permission denied"), (0o666, 0o555, "the folder must be writable")):
        path.chmod(mode)
        folder.chmod(folders)
        said = run(AS_NOBODY, path, way).stdout.decode()
        folder.chmod(0o755)
        assert reason in said and said.rstrip().endswith(f"{str(path)!r}")
        assert torch.load(path).tolist() == [0, 0, 0] and list(folder.iterdir()) == [path]


@POSIX
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path, way: str) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "checkpoint.pt"
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(Path("there") / "checkpoint.pt")
    for value in (1, 2):  # at first it points to nothing
        torch.save(torch.tensor(value), tmp_path / "first")
        assert (tmp_path / "first").is_symlink() and (tmp_path / "second").is_symlink() and not target.is_symlink()
        assert torch.load(target).item() == value
    assert list(target.parent.iterdir()) == [target]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="circle"):
        torch.save(torch.tensor(3), tmp_path / "circle")


@POSIX
def test_another_name_of_the_same_file_keeps_the_old_content(tmp_path: Path) -> None:
    rewrite(tmp_path / "a", "old")
    os.link(tmp_path / "a", tmp_path / "b")
    rewrite(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new" and (tmp_path / "b").read_text() == "old"


def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path, way: str) -> None:
    path = tmp_path / ("n" * 255)
    for text in ("old", "new"):
        rewrite(path, text)
        assert path.read_text() == text
    with pytest.raises(OSError):
        rewrite(tmp_path / ("n" * 256), "text")
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_path_stays_where_it_was_when_the_folder_changes(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with replaced("file") as file:
        os.chdir("other")
        file.write(b"text")
    assert (tmp_path / "file").read_text() == "text" and not list((tmp_path / "other").iterdir())


def test_a_missing_folder_and_a_folder_in_its_place_are_named(tmp_path: Path, way: str, ending: str) -> None:
    save, _ = FORMATS[ending]
    path = tmp_path / "missing" / f"checkpoint.{ending}"
    with pytest.raises(FileNotFoundError, match=rf"checkpoint\.{ending}'$"):
        save({"a": torch.ones(3)}, path)
    path.mkdir(parents=True)
    with pytest.raises(OSError, match=rf"checkpoint\.{ending}'$"):
        save({"a": torch.ones(3)}, path)
    assert list(path.parent.iterdir()) == [path]


def test_where_files_without_a_name_cannot_get_one_the_content_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(torch.zeros(3), path)
    path.chmod(0o640)
    monkeypatch.setattr(os, "link", lambda *_, **__: raise_(PermissionError(errno.EPERM, "not permitted")))
    torch.save(torch.ones(1000), path)
    assert torch.load(path).tolist() == [1] * 1000 and list(tmp_path.iterdir()) == [path]
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o640


# ------------------------------------------------------------------------------------------------ what is written in place


@POSIX
def test_devices_and_pipes_are_written_in_place(tmp_path: Path, ending: str) -> None:
    save, load = FORMATS[ending]
    tensors = {"a": torch.arange(1000)}
    save(tensors, "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    save(tensors, pipe)
    reader.join()
    assert load(io.BytesIO(received[0]))["a"].tolist() == list(range(1000))
    assert stat.S_ISFIFO(pipe.stat().st_mode) and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="of systems that have it")
def test_the_standard_output_is_written_in_place_also_when_it_is_a_file(tmp_path: Path) -> None:
    code = "import sys, mini_dl as torch; torch.save(torch.arange(5), '/dev/stdout')"
    assert torch.load(io.BytesIO(run(code).stdout)).tolist() == [0, 1, 2, 3, 4]
    with open(tmp_path / "file", "wb") as file:
        run(code, stdout=file)
        assert os.fstat(file.fileno()).st_size > 0
    assert torch.load(tmp_path / "file").tolist() == [0, 1, 2, 3, 4]


def test_objects_are_written_straight_through_from_where_they_stand(ending: str) -> None:
    save, load = FORMATS[ending]
    file = io.BytesIO()
    save({"a": torch.arange(5)}, file)
    assert not file.closed and load(io.BytesIO(file.getvalue()))["a"].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(AttributeError, match="a file-like object with a 'write' attribute"):
        save({"a": torch.arange(5)}, 3)


class OnlyReads:
    """A file with nothing but `read`, like a server's response."""

    def __init__(self, content: bytes) -> None:
        self.read: Callable[..., bytes] = io.BytesIO(content).read


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_what_cannot_seek_is_read_too(ending: str) -> None:
    save, load = FORMATS[ending]
    file = io.BytesIO()
    save({"a": torch.arange(5)}, file)
    assert load(OnlyReads(file.getvalue()))["a"].tolist() == [0, 1, 2, 3, 4]
    for wrong in (3, io.StringIO("text")):
        with pytest.raises(TypeError, match=r"expected a (path or a binary file|file opened in binary mode), got"):
            load(wrong)


# ------------------------------------------------------------------------------------------------ every writer


def writes(call: ast.Call) -> bool:
    """Whether a call writes to a path by itself."""
    owner, _, name = ast.unparse(call.func).rpartition(".")
    modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    modes += call.args[1:2] if owner in ("", "io", "os", "gzip", "zipfile") else call.args[:1]  # else it is Path.open(mode)
    writing = any([isinstance(mode, ast.Constant) and bool(set(str(mode.value)) & set("wax+")) for mode in modes])
    if name in ("open", "fdopen"):
        return writing
    if name == "savefig" or (name == "ZipFile" and writing):
        return ast.unparse(call.args[0]) not in ("file", "written")  # which are open
    if name in ("rename", "move"):  # as plain functions they are ours, and do not touch files
        return owner != ""
    return name in ("write_text", "write_bytes", "savez", "savez_compressed", "savetxt", "tofile", "to_csv")


def test_every_writer_replaces_its_file() -> None:
    """Otherwise a report or a table could be lost to a kill that the checkpoint survives."""
    paths = [path for folder in ("mini_dl", "scripts", "parity_tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    own = {
        "mini_dl/files/replacing.py",
        "mini_dl/distributed/stores.py",  # a table that running processes share under a lock, nothing of which is kept
        "parity_tests/mutation/__main__.py",  # its process may not import mini_dl; it writes beside the file and replaces it
    }
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in paths
        if path.relative_to(ROOT).as_posix() not in own and not path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and writes(node)
    ]
    assert len(paths) > 100 and not found
    for code in ("path.write_text('a')", "open(path, 'w')", "path.open(mode='wb')", "figure.savefig(folder / name)"):
        assert writes(ast.parse(code, mode="eval").body)  # type: ignore[arg-type]


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = viz.graph(torch.ones(2, requires_grad=True) + 1)
    picture.save(tmp_path / "picture.dot")
    before = (tmp_path / "picture.dot").read_bytes()
    monkeypatch.setattr(os, "fsync", lambda *_: raise_(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        viz.graph(torch.ones(3, requires_grad=True) + 1).save(tmp_path / "picture.dot")
    assert (tmp_path / "picture.dot").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
