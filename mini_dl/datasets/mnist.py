"""MNIST from its four IDX files, of which only those requested must exist."""

from __future__ import annotations

import os
from pathlib import Path

from mini_dl.datasets.idx import read_idx
from mini_dl.datasets.images import Images, Transform

MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The checksums of the published files, gzipped and not."""

PLACES = (".", "mnist", "MNIST/raw")
"""The possible folders of the files below the root; the last is torchvision's."""


class MNIST(Images):
    """The 60,000 images of 28 x 28 pixels for training, or the 10,000 for testing, from IDX files in `root`, gzipped or not.

    Without `root`, the environment variable ``MINI_DL_DATA`` names it. The files' checksums are compared with the published ones,
    unless `checksum` is False (for other data in the same format).

    FileNotFoundError if a file is missing; ValueError if one is truncated or corrupt, or if images and labels differ in number.
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database"; after LeCun et al. (1998), doi 10.1109/5.726791.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        checksum: bool = True,
    ) -> None:
        folder = _root(root)
        part = "train" if train else "t10k"
        arrays = []
        for kind in ("images-idx3", "labels-idx1"):
            path = _find(folder, f"{part}-{kind}-ubyte")
            arrays.append(read_idx(path, MD5[path.name] if checksum else None))
        super().__init__(arrays[0], arrays[1], transform, target_transform)


def _root(root: str | os.PathLike[str] | None) -> Path:
    if root is None:
        root = os.environ.get("MINI_DL_DATA")
        if not root:
            raise FileNotFoundError(
                "MNIST: no folder was given: pass root=, or set the environment variable MINI_DL_DATA to the folder of the files"
            )
    return Path(root).expanduser()


def _find(folder: Path, name: str) -> Path:
    for place in PLACES:
        for spelling in (name + ".gz", name):
            path = folder / place / spelling
            if path.is_file():
                return path
    raise FileNotFoundError(
        f"MNIST: {name}.gz (or {name}) is missing: looked in {folder} and below it in {' and '.join(PLACES[1:])}. The four files "
        "are published at yann.lecun.com/exdb/mnist and mirrored in the bucket ossci-datasets, folder mnist."
    )
