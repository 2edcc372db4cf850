"""1,797 real handwritten digits of 8 x 8 pixels, which come with the library."""

from __future__ import annotations

from pathlib import Path

from mini_dl.datasets.idx import read_idx
from mini_dl.datasets.images import Images, Transform

FOLDER = Path(__file__).parent / "data"
TRAINING = 1437
"""The first 80 %."""


class Digits(Images):
    """Handwritten digits: the first 1,437 images for training, the last 360 for testing (`train` False), or all (None).

    Pixels range from 0 to 16. The images are in the order of publication, with classes in about equal numbers; those for
    testing come last, so some of their writers do not occur in the others.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    https://doi.org/10.24432/C50P49, CC BY 4.0 (see the README next to the data).

    >>> from mini_dl.datasets import Digits
    >>> digits = Digits(train=False)
    >>> digits
    Digits(360 images of 8 x 8)
    >>> image, label = digits[0]
    >>> image.shape, label
    (torch.Size([1, 8, 8]), 2)
    """

    white = 16

    def __init__(
        self, train: bool | None = True, transform: Transform | None = None, target_transform: Transform | None = None
    ) -> None:
        chosen = slice(None) if train is None else slice(TRAINING) if train else slice(TRAINING, None)
        images, labels = (read_idx(FOLDER / f"digits-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
        super().__init__(images[chosen], labels[chosen], transform, target_transform)
