"""Digits and MNIST: their contents, and invalid files."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.datasets import MNIST, Digits, read_idx
from mini_dl.datasets.mnist import MD5


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """`array` in the IDX format."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five small images of a test set, without a training set."""
    images = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([3, 1, 4, 1, 5], np.uint8)))
    return tmp_path


# ------------------------------------------------------------------------------------------------ digits


def test_the_digits_are_the_1797_that_were_published() -> None:
    digits = Digits(train=None)
    assert digits.data.shape == (1797, 8, 8) and digits.data.dtype == torch.uint8 and digits.targets.dtype == torch.int64
    content = digits.data.numpy().tobytes() + digits.targets.numpy().astype(np.uint8).tobytes()
    assert hashlib.sha256(content).hexdigest() == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    assert np.bincount(digits.targets.numpy()).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_digits_to_train_and_to_test_have_nothing_in_common_and_make_the_whole() -> None:
    train, test, whole = Digits(), Digits(train=False), Digits(train=None)
    assert (len(train), len(test), len(whole)) == (1437, 360, 1797)
    assert np.array_equal(np.concatenate([train.data.numpy(), test.data.numpy()]), whole.data.numpy())


def test_a_sample_is_a_float_image_from_0_to_1_and_an_int() -> None:
    digits = Digits()
    image, label = digits[0]
    assert image.shape == (1, 8, 8) and image.dtype == torch.float32 and type(label) is int and label == 0
    assert (image * 16)[0].tolist() == digits.data[0].tolist()
    images, labels = digits.tensors()
    assert images.shape == (1437, 1, 8, 8) and images.min() == 0 and images.max() == 1 and labels.shape == (1437,)
    assert images[5].tolist() == digits[5][0].tolist()


def test_transforms_are_applied_to_image_and_label() -> None:
    digits = Digits(transform=lambda image: image.reshape(-1), target_transform=lambda label: label + 100)
    image, label = digits[-1]
    assert image.shape == (64,) and label >= 100


def test_the_digits_can_be_loaded_in_batches() -> None:
    images, labels = next(iter(torch.utils.data.DataLoader(Digits(), 32, shuffle=True)))
    assert images.shape == (32, 1, 8, 8) and labels.shape == (32,) and labels.dtype == torch.int64


def test_the_attribution_lies_beside_the_data() -> None:
    readme = (Path(torch.__file__).parent / "datasets" / "data" / "README.md").read_text(encoding="utf-8")
    assert "Alpaydin" in readme and "Kaynak" in readme and "Creative Commons Attribution 4.0" in readme


# ------------------------------------------------------------------------------------------------ MNIST


def test_mnist_needs_only_the_files_asked_for(folder: Path) -> None:
    images = MNIST(folder, train=False, checksum=False)
    assert len(images) == 5 and images[2][1] == 4 and images[0][0].shape == (1, 4, 3)
    assert images[1][0].numpy()[0, 0, 0] == np.float32(12) / np.float32(255)


def test_a_missing_file_is_named_with_where_to_get_it(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz.*yann\.lecun\.com.*ossci-datasets"):
        MNIST(folder)


def test_the_environment_can_name_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINI_DL_DATA", str(folder))
    assert len(MNIST(train=False, checksum=False)) == 5
    monkeypatch.delenv("MINI_DL_DATA")
    with pytest.raises(FileNotFoundError, match="MINI_DL_DATA"):
        MNIST(train=False)


@pytest.mark.parametrize("place", ("mnist", "MNIST/raw"))
def test_the_files_may_lie_in_the_usual_folders_below(folder: Path, place: str) -> None:
    (folder / place).mkdir(parents=True)
    for path in list(folder.glob("t10k*")):
        path.rename(folder / place / path.name)
    assert len(MNIST(folder, train=False, checksum=False)) == 5


def test_a_file_with_another_checksum_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=f"md5 checksum is .*, expected {MD5['t10k-images-idx3-ubyte.gz']}"):
        MNIST(folder, train=False)


def test_truncated_files_are_refused_with_the_sizes(folder: Path) -> None:
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"truncated: expected 13 bytes for the shape \[5\], found 11 bytes"):
        MNIST(folder, train=False, checksum=False)
    path.write_bytes(path.read_bytes()[:6])
    with pytest.raises(ValueError, match="expected a header of 8 bytes, found 6 bytes"):
        read_idx(path)
    packed = folder / "t10k-images-idx3-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"truncated or corrupt gzip file of \d+ bytes"):
        read_idx(packed)


def test_files_that_are_too_long_or_something_else_are_refused(folder: Path) -> None:
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="too long: expected 13 bytes"):
        read_idx(path)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="not an IDX file"):
        read_idx(path)


def test_images_and_labels_must_be_as_many(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(ValueError, match=r"\[5, 4, 3\] and \[4\]"):
        MNIST(folder, train=False, checksum=False)


def test_idx_files_hold_any_of_their_types(folder: Path) -> None:
    for kind, name in ((0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")):
        array = np.arange(6).reshape(2, 3).astype(name)
        path = folder / "any"
        path.write_bytes(idx(array, kind))
        read = read_idx(path)
        assert read.dtype == array.dtype.newbyteorder("=") and np.array_equal(read, array)


def test_the_published_test_images_are_read() -> None:
    root = os.environ.get("MINI_DL_DATA")
    if not root or not any((Path(root) / place / "t10k-images-idx3-ubyte.gz").is_file() for place in (".", "mnist")):
        pytest.skip("MINI_DL_DATA names no folder with the MNIST test files")
    images = MNIST(train=False)
    assert images.data.shape == (10000, 28, 28) and images.targets[:5].tolist() == [7, 2, 1, 0, 4]
