"""Targets that are not ordinary files of the disk: downloads, devices, and names that are not text."""

from __future__ import annotations

import errno
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.error import ContentTooShortError

import pytest

import mini_dl as torch


class HalfAnswers(BaseHTTPRequestHandler):
    """Announces ten bytes, and sends as many as the path says."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"0123456789"[: int(self.path[1:])])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), HalfAnswers) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("count", [0, 7])
def test_a_download_that_is_cut_off_leaves_the_old_file(server: str, tmp_path: Path, count: int) -> None:
    path = tmp_path / "weights.bin"
    torch.hub.download_url_to_file(f"{server}/10", str(path))
    assert path.read_bytes() == b"0123456789"
    path.write_bytes(b"old")
    with pytest.raises(ContentTooShortError, match=rf"got {count} of 10 bytes of {server}/{count}"):
        torch.hub.download_url_to_file(f"{server}/{count}", str(path))
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of systems with this device")
@pytest.mark.parametrize("save", [torch.save, torch.serialization.save_safetensors])
def test_a_device_that_takes_nothing_is_named(save: object) -> None:
    with pytest.raises(OSError, match=r"'/dev/full'$") as raised:
        save({"a": torch.ones(10_000)}, "/dev/full")  # type: ignore[operator]
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", ["größe.pt", "\udcff.pt", ".pt"])
def test_a_file_whose_name_cannot_name_its_records_can_be_saved(tmp_path: Path, name: str) -> None:
    try:
        os.fsencode(name)
        (tmp_path / name).touch()
    except (OSError, UnicodeError):
        pytest.skip("the file system has no such names")
    torch.save([torch.ones(2)], tmp_path / name)
    assert torch.load(tmp_path / name)[0].tolist() == [1, 1]
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.namelist()[0] == ("archive/data.pkl" if name != ".pt" else ".pt/data.pkl")
