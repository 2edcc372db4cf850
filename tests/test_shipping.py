"""The services of docs/examples work with only NumPy installed, and the page describes them correctly."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mini_dl as torch
from mini_dl.datasets import Digits

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "shipping.md"
ONLY_NUMPY = """
import sys
from importlib.machinery import PathFinder

class Only:
    @staticmethod
    def find_spec(name, path=None, target=None):
        allowed = {*sys.stdlib_module_names, "numpy", "mini_dl", "network", "model"}
        if name.partition(".")[0] not in allowed and PathFinder.find_spec(name, path) is not None:
            raise ModuleNotFoundError(f"No module named {name!r}: here only NumPy is installed", name=name)

sys.meta_path.insert(0, Only)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples in their own folder, with the weights that `train.py` saves."""
    place = tmp_path_factory.mktemp("service") / "examples"
    shutil.copytree(ROOT / "docs" / "examples", place)
    (place / "sitecustomize.py").write_text(ONLY_NUMPY, encoding="utf-8")
    printed = run(place, "train.py", "digits.safetensors")
    (said,) = re.findall(r"^    (\d+)( of 360 test images right.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert printed.endswith(said[1]) and abs(int(printed.split()[0]) - int(said[0])) <= 10  # the last bits depend on BLAS
    return place


def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]), "OMP_NUM_THREADS": "1"}


def run(place: Path, *arguments: str, given: str = "") -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=place, env=environment(place), input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def images(count: int) -> list[list[float]]:
    return [(image.reshape(-1) / 16).tolist() for image in Digits(train=False).data[:count]]


def test_nothing_but_numpy_can_be_imported_there(folder: Path) -> None:
    code = "try:\n    import pytest\nexcept ModuleNotFoundError as error:\n    print(error)"
    assert "only NumPy is installed" in run(folder, "-c", code)


def test_the_command_line_service_answers_line_by_line(folder: Path) -> None:
    lines = [*map(json.dumps, images(20)), "[1, 2]", "no json", '[["a"]]']
    answers = [json.loads(line) for line in run(folder, "classify.py", "digits.safetensors", given="\n".join(lines)).splitlines()]
    assert len(answers) == 23
    right = sum(answer["digit"] == int(label) for answer, label in zip(answers[:20], Digits(train=False).targets))
    assert right >= 17
    assert all("error" in answer for answer in answers[20:])
    shown = [
        json.loads(line) for line in re.findall(r'^\{"(?:digit|error)".*\}$', PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert shown[0] == pytest.approx(answers[0], abs=0.05) and shown[1] == answers[20]


@pytest.mark.parametrize("ending", [".npz", ".pt"])
def test_the_weights_may_be_in_any_format(folder: Path, ending: str) -> None:
    weights = torch.load(folder / "digits.safetensors")
    if ending == ".npz":
        torch.serialization.save_npz(weights, folder / "digits.npz")
    else:
        torch.save(weights, folder / "digits.pt")
    line = json.dumps(images(1)[0])
    assert run(folder, "classify.py", f"digits{ending}", given=line) == run(
        folder, "classify.py", "digits.safetensors", given=line
    )


@pytest.fixture
def service(folder: Path) -> Iterator[str]:
    command = [sys.executable, "serve.py", "digits.safetensors", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


def ask(address: str, content: Any) -> tuple[int, Any]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_http_service_answers_and_refuses(service: str, folder: Path) -> None:
    with urllib.request.urlopen(f"{service}/health", timeout=30) as answer:
        assert json.load(answer) == {"status": "ready"}
    status, found = ask(f"{service}/read", {"images": images(3)})
    lines = run(folder, "classify.py", "digits.safetensors", given="\n".join(map(json.dumps, images(3)))).splitlines()
    assert status == 200 and [one["digit"] for one in found["results"]] == [json.loads(line)["digit"] for line in lines]
    for wrong in (b"no json", {"pictures": []}, {"images": [[1, 2]]}, {"images": "x"}, [1], {"images": [[None] * 64]}):
        status, found = ask(f"{service}/read", wrong)
        assert status == 400 and "error" in found
    assert ask(f"{service}/elsewhere", {})[0] == 404
    large = http.client.HTTPConnection(service.removeprefix("http://"), timeout=30)
    large.request("POST", "/read", headers={"Content-Length": "2000000"})
    assert large.getresponse().status == 413


def test_the_code_of_the_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```\n((?:\n(?:    [^\n]*\n)+)?)", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    for code, printed in blocks:
        exec(code, names)
        assert capsys.readouterr().out.split() == printed.split()
    assert torch.equal(names["scores"], names["model"](torch.ones(1, 4)))


def test_the_exported_digits_are_read_alike(folder: Path) -> None:
    reference = pytest.importorskip("onnx.reference")
    subprocess.run([sys.executable, "train.py", "digits.onnx", "--epochs", "1"], cwd=folder, check=True, capture_output=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    scores = reference.ReferenceEvaluator(str(folder / "digits.onnx")).run(
        None, {"images": torch.tensor(images(30)).reshape(-1, 1, 8, 8).numpy()}
    )[0]
    assert scores.shape == (30, 10)
    assert sum(scores.argmax(1) == Digits(train=False).targets[:30]) >= 15


@pytest.mark.skipif("MINI_DL_FRESH" not in os.environ, reason="makes an environment; asked for by MINI_DL_FRESH=1")
def test_an_environment_with_the_package_and_numpy_trains_and_answers(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    assert {one["name"].replace("_", "-") for one in json.loads(listed)} - {"pip", "setuptools"} == {"mini-dl", "numpy"}
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "examples")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options: Any = {"cwd": tmp_path / "examples", "env": clean, "check": True, "capture_output": True, "text": True}
    subprocess.run([python, "train.py", "digits.safetensors"], **options)
    answer = subprocess.run([python, "classify.py", "digits.safetensors"], input=json.dumps(images(1)[0]), **options).stdout
    assert json.loads(answer)["digit"] == 2
