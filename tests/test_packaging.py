"""The distributions: the source one has all that the README's commands need, and its tests can be collected."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mini_dl

ROOT = Path(__file__).resolve().parent.parent
HERE_ONLY = {".git", ".gitignore", ".pre-commit-config.yaml"}
"""Files of the repository that a distribution may lack."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions, the source one unpacked."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder


def unpacked(built: Path) -> Path:
    return built / f"mini_dl-{mini_dl.__version__}"


def test_the_version_stands_in_one_place(built: Path) -> None:
    assert f"\nVersion: {mini_dl.__version__}\n" in (unpacked(built) / "PKG-INFO").read_text(encoding="utf-8")
    for name in ("pyproject.toml", "tox.ini", "docs/conf.py"):
        assert mini_dl.__version__ not in (ROOT / name).read_text(encoding="utf-8")


def test_the_source_distribution_has_every_file_of_the_repository(built: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split("\n") if listed.returncode == 0 else [path.name for path in ROOT.iterdir() if path.is_file()]
    there = {path.relative_to(unpacked(built)).as_posix() for path in unpacked(built).rglob("*")}
    assert {name for name in names if name and (ROOT / name).exists()} - there <= HERE_ONLY


def test_the_tests_of_the_source_distribution_are_collected(built: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=unpacked(built), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert len(re.findall("::|: \\d+$", done.stdout, re.MULTILINE)) > 50


def test_the_commands_of_the_source_distribution_have_their_files(built: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_commands.py"]
    done = subprocess.run(command, cwd=unpacked(built), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_wheel_that_is_built_from_it_is_the_wheel_of_the_repository(built: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=unpacked(built), check=True, capture_output=True)
    contents = []
    for folder in (tmp_path, built):
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            contents.append({info.filename: info.CRC for info in archive.infolist()})
    assert contents[0] == contents[1]
    assert {name.partition("/")[0] for name in contents[0]} == {"mini_dl", f"mini_dl-{mini_dl.__version__}.dist-info"}
    for needed in ("py.typed", "__init__.pyi", "standins/tables/onnx.txt", "datasets/data/README.md", "onnx/operators.py"):
        assert f"mini_dl/{needed}" in contents[0]
