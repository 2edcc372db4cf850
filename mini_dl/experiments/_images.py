"""Images of handwritten digits as arrays, for training and for testing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mini_dl import datasets
from mini_dl.experiments._types import Results


def read(data: str, root: Path | None, dtype: str) -> Results:
    """Images as (N, 1, H, W) in 0..1 and labels. Every fifth of the digits (of MNIST's 10,000 test images) is for testing."""
    images = datasets.Digits(train=None) if data == "digits" else datasets.MNIST(root, train=False)
    pixels, labels = np.asarray(images.data), np.asarray(images.targets)
    pixels = (pixels[:, None] / float(pixels.max())).astype(dtype)
    tests = np.arange(len(labels)) % 5 == 4
    parts = {}
    for part, chosen in (("train", ~tests), ("test", tests)):
        parts[f"{part}_images"], parts[f"{part}_labels"] = pixels[chosen], labels[chosen].astype(np.int64)
    return parts
